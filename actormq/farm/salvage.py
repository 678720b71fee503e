"""What a damaged file still holds, and a sound file made of it.

A file is written to only while it is wholly sound: an insert into a tree with one wrong pointer
can overwrite what was right. So whatever is found wrong as a batch is resumed, be it one record,
the sound ones are written into a new file, which takes the place of the old one. That is kept
beside it, its name ending in `-damaged`.

What is wrong is found in this order: the header of the file, by what stands in each file of ours;
the trees, by SQLite's own check; the records, by their digests; records that are not there, for ids
are consecutive and two copies of the head say how many there are; and the end of a write-ahead log
that SQLite dropped, by the claim's note.

Where the first page, which leads to all others, is damaged, it is replaced in a copy of the file:
but for a few counters it is the same in all files of ours.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from actormq.farm import tables
from actormq.farm.records import (
    OUTCOME,
    TASK,
    Altered,
    Damage,
    Head,
    unpack_head,
    unseal,
)
from actormq.farm.tables import Trouble, beside, connect, create, look_up, schema, transaction

LOST, WAITING, DONE = range(3)
"""What a task is: its record damaged and no outcome there, accepted, or with an outcome."""

PAGE = 4096  # bytes
GROUP = 1024  # records in a transaction of a new file
WHAT = {TASK: "task", OUTCOME: "outcome"}
TABLE = {TASK: "tasks", OUTCOME: "outcomes"}

Aside = tuple[Damage, bytes | None]
"""What is put aside, and the bytes that stand in its place, if there are any."""


@dataclass(slots=True)
class Survey:
    """What a file holds.

    Attributes:
        head: The facts of the batch, counts as they should be.
        states: Of each task, LOST, WAITING or DONE.
        damages: What is damaged, now and as it was resumed earlier.
        asides: Those that were found only now.
        is_sound: Whether the file may be written to.
    """

    head: Head
    states: bytearray
    damages: list[Damage]
    asides: list[Aside]
    is_sound: bool


def identify(path: Path) -> Head | None:
    """Read the facts of the batch in a file; None if it is no file of ours.

    Args:
        path: Of the file, which is not changed.
    """
    # By a copy of its first pages: opening what is not ours could change it.
    copy = beside(path, "-look")
    try:
        _restore(path, copy, most=3 * PAGE)
        db = connect(copy)
        try:
            return _head(db)
        finally:
            db.close()
    except Trouble:
        return None
    finally:
        _remove(copy)


def open_sound(path: Path, noted: Head | None) -> tuple[sqlite3.Connection, Survey]:
    """Open a file of ours, after it has been made anew if anything in it is damaged.

    Args:
        path: Of the file.
        noted: What the claim noted of this batch.

    Raises:
        sqlite3.DatabaseError: Nothing can be made of it.
    """
    if _has_our_header(path):
        try:
            db = connect(path)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
        else:
            found = _survey_or_close(db, noted)
            if found is not None and found.is_sound:
                return db, found
            if found is not None:
                return _made_anew(path, db, found)
    copy = beside(path, "-salvage")
    try:
        _restore(path, copy)
        db = connect(copy)
        found = _survey_or_close(db, noted)
        if found is None:
            reason = "what it says of its batch cannot be read"
            raise sqlite3.DatabaseError(reason)
        found.asides.insert(0, (Damage("file", -1, "its first page was altered"), None))
        return _made_anew(path, db, found)
    finally:
        _remove(copy)


def begin(path: Path, head: Head) -> None:
    """Make the file of a new batch; it is there with all that belongs into it, or not at all.

    Args:
        path: Of the file.
        head: The facts of the batch.
    """
    building = beside(path, "-building")
    db = create(building)
    try:
        put_head(db, head)
    finally:
        db.close()
    path.unlink(missing_ok=True)  # an empty one, of which nothing need be kept
    _publish(path, building)


def settle(path: Path) -> None:
    """Finish what a process was about when it was killed: a new file takes its place.

    Args:
        path: Of the file.
    """
    for left in ("-building", "-look", "-salvage"):
        _remove(beside(path, left))
    new = beside(path, "-new")
    if not new.exists():
        return
    # A file that is there as `-new` is complete. Each step can be the last one before a kill.
    if path.exists():
        path.replace(beside(path, "-damaged"))
        _sync(path.parent)
    log = beside(path, "-wal")  # must not be taken for the new file's
    if log.exists():
        log.replace(beside(path, "-damaged-wal"))
        _sync(path.parent)
    new.replace(path)
    _sync(path.parent)


def put_head(db: sqlite3.Connection, head: Head) -> None:
    """Write the facts of the batch, in a transaction that is open or in one of their own."""
    record = head.pack()
    db.execute("REPLACE INTO head VALUES (0, ?)", (record,))
    db.execute("REPLACE INTO spare VALUES (0, ?)", (record,))


def _survey_or_close(db: sqlite3.Connection, noted: Head | None) -> Survey | None:
    try:
        return _survey(db, noted)
    except Trouble:
        db.close()
        return None
    except BaseException:
        db.close()
        raise


def _survey(db: sqlite3.Connection, noted: Head | None) -> Survey | None:
    head = _head(db)
    if head is None or schema(db) != _schema():
        raise sqlite3.DatabaseError
    heads = {_unpacked(look_up(db, table, 0)) for table in ("head", "spare")}
    is_sound = heads == {head} and _passes_check(db)
    known = _known_damage(db)
    missing = {(damage.what, damage.id) for damage in known}
    asides: list[Aside] = []
    if noted is not None and noted.accepted > head.accepted:
        head = replace(head, accepted=noted.accepted)
    if noted is not None and noted.outcomes > head.outcomes:
        reason = f"{noted.outcomes - head.outcomes} were lost with the end of the write-ahead log"
        asides.append((Damage("outcome", -1, reason), None))
    states = bytearray(head.accepted)
    for number, _ in _sound(db, TASK, head, asides, missing):
        states[number] = WAITING
    for number, _ in _sound(db, OUTCOME, head, asides, missing):
        states[number] = DONE
    damages = [*known, *(damage for damage, _ in asides)]
    return Survey(head, states, damages, asides, is_sound and not asides)


def _sound(
    db: sqlite3.Connection,
    kind: bytes,
    head: Head,
    asides: list[Aside],
    missing: set[tuple[str, int]],
) -> Iterator[tuple[int, bytes]]:
    """Give the sound records of a kind, each once, and put aside what is not.

    Args:
        db: The file.
        kind: TASK or OUTCOME.
        head: The facts of the batch.
        asides: What is put aside is added here.
        missing: What was put aside earlier.
    """
    seen = bytearray(head.accepted)
    altered: dict[int, bytes | None] = {}
    is_whole = True
    try:
        for number, record in db.execute(f"SELECT id, record FROM {TABLE[kind]}"):  # noqa: S608
            if not _is_sound(kind, number, record, head.accepted):
                altered[number] = record if isinstance(record, bytes) else None
            elif not seen[number]:
                seen[number] = 1
                yield number, record
    except Trouble:
        is_whole = False  # a page that cannot be read ends the scan, and others can be behind it
    expected = head.accepted if kind == TASK else head.outcomes
    if not is_whole or seen.count(1) < expected:
        for number in _holes(seen):
            record = look_up(db, TABLE[kind], number)
            if isinstance(record, bytes) and _is_sound(kind, number, record, head.accepted):
                seen[number] = 1
                yield number, record
            elif kind == TASK and (WHAT[kind], number) not in missing:
                altered.setdefault(number, None)
    _put_aside(kind, seen, altered, asides, expected)


def _put_aside(
    kind: bytes,
    seen: bytearray,
    altered: dict[int, bytes | None],
    asides: list[Aside],
    expected: int,
) -> None:
    what = WHAT[kind]
    for number, raw in altered.items():
        is_task = 0 <= number < len(seen)
        if is_task and seen[number]:
            continue
        reason = "its record is not there" if raw is None else "its record was altered"
        asides.append((Damage(what, number if is_task else -1, reason), raw))
    absent = expected - seen.count(1) - len(altered)
    if kind == OUTCOME and absent > 0:
        asides.append((Damage(what, -1, f"the records of {absent} are not there"), None))


def _made_anew(
    path: Path, db: sqlite3.Connection, found: Survey
) -> tuple[sqlite3.Connection, Survey]:
    """Write what is sound into a new file, which takes the place of the old one.

    Args:
        path: Of the old file.
        db: That file, or the copy that what is sound is read from; it is closed.
        found: What it holds.
    """
    building = beside(path, "-building")
    try:
        new = create(building)
        try:
            new.execute("PRAGMA synchronous=OFF")  # all of it is forced to the disk at the end
            _copy(db, new, found)
        finally:
            new.close()
    finally:
        db.close()
    _publish(path, building)
    return connect(path), found


def _copy(db: sqlite3.Connection, new: sqlite3.Connection, found: Survey) -> None:
    for kind in (TASK, OUTCOME):
        records = _sound(db, kind, found.head, [], set())
        while group := list(islice(records, GROUP)):
            with transaction(new):
                new.executemany(f"INSERT INTO {TABLE[kind]} VALUES (?, ?)", group)  # noqa: S608
    found.head = replace(found.head, outcomes=found.states.count(DONE))
    raws = [None] * (len(found.damages) - len(found.asides)) + [raw for _, raw in found.asides]
    found.damages = found.damages[: len(raws) - len(found.asides)] + [d for d, _ in found.asides]
    with transaction(new):
        put_head(new, found.head)
        new.executemany(
            "INSERT INTO damaged (what, task, reason, raw) VALUES (?, ?, ?, ?)",
            [(d.what, d.id, d.reason, raw) for d, raw in zip(found.damages, raws, strict=True)],
        )


def _publish(path: Path, building: Path) -> None:
    with building.open("rb+") as file:
        os.fsync(file.fileno())
    building.replace(beside(path, "-new"))
    _sync(path.parent)
    settle(path)


def _restore(path: Path, copy: Path, most: int | None = None) -> None:
    """Copy a file and its write-ahead log, with a first page that is sound.

    Args:
        path: Of the file.
        copy: Of the copy.
        most: Bytes to copy, the rest reads as zeros; None for all.
    """
    pages = max(path.stat().st_size // PAGE, len(tables.SCHEMA) + 2)
    first = bytearray(tables.first_page())
    first[18:20] = b"\2\2"  # written with a write-ahead log
    first[28:32] = pages.to_bytes(4, "big")
    _remove(copy)
    for ending, part in (("", most), ("-wal", None)):
        if not beside(path, ending).exists():
            continue
        with beside(path, ending).open("rb") as source, beside(copy, ending).open("wb") as target:
            while piece := source.read(1 << 20 if part is None else part - target.tell()):
                target.write(piece)
    with copy.open("rb+") as file:
        file.write(first)
        file.truncate(pages * PAGE)


def _has_our_header(path: Path) -> bool:
    """Say whether the fixed parts of the header are those of each file of ours."""
    with path.open("rb") as file:
        found = bytearray(file.read(100))
    ours = bytearray(tables.first_page()[:100])
    ours[18:20] = b"\2\2"
    for start, end in ((24, 44), (92, 100)):  # counters, and the version of SQLite
        ours[start:end] = found[start:end]
    return found == ours


def _schema() -> list[tuple[object, ...]]:
    db = sqlite3.connect(":memory:")
    try:
        for statement in tables.SCHEMA:
            db.execute(statement)
        return schema(db)
    finally:
        db.close()


def _head(db: sqlite3.Connection) -> Head | None:
    heads = [_unpacked(look_up(db, table, 0)) for table in ("head", "spare")]
    return max(
        (head for head in heads if head is not None), key=lambda head: head.accepted, default=None
    )


def _unpacked(record: object) -> Head | None:
    try:
        return unpack_head(record)
    except Altered:
        return None


def _is_sound(kind: bytes, number: int, record: object, accepted: int) -> bool:
    try:
        unseal(kind, number, record)
    except Altered:
        return False
    return number < accepted


def _passes_check(db: sqlite3.Connection) -> bool:
    try:
        return db.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]
    except Trouble:
        return False


def _known_damage(db: sqlite3.Connection) -> list[Damage]:
    try:
        rows = db.execute("SELECT what, task, reason FROM damaged ORDER BY id").fetchall()
    except Trouble:
        return []
    return [Damage(str(what), int(task), str(reason)) for what, task, reason in rows]


def _holes(seen: bytearray) -> Iterator[int]:
    at = seen.find(0)
    while at >= 0:
        yield at
        at = seen.find(0, at + 1)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-journal"):
        beside(path, ending).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    if os.name == "nt":  # there a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
