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

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from actormq.errors import StoreDamaged
from actormq.farm import tables
from actormq.farm.files import ROOTS, has_our_header, publish, remove, restore
from actormq.farm.records import (
    OUTCOME,
    TASK,
    Altered,
    Damage,
    Head,
    pack_damage,
    unpack_damage,
    unpack_head,
    unseal,
)
from actormq.farm.tables import Trouble, beside, connect, create, look_up, schema, transaction

DONE = 1
"""What a task is that has an outcome; all others are 0."""

GROUP = 1024  # records in a transaction of a new file
WHAT = {TASK: "task", OUTCOME: "outcome"}
TABLE = {TASK: "tasks", OUTCOME: "outcomes"}

FIRST_PAGE = Damage("file", -1, "first page altered")
ELSEWHERE = Damage("file", -1, "altered where it holds no record")
LOG = Damage("outcome", -1, "lost with the end of the write-ahead log")

Aside = tuple[Damage, bytes | None]
"""What is put aside, and the bytes that stand in its place, if there are any."""


@dataclass(slots=True)
class Survey:
    """What a file holds.

    Attributes:
        head: The facts of the batch, counts as they should be.
        states: Of each task, whether it is `DONE`.
        damages: What is damaged, found now or as it was resumed earlier, by the row it stands in.
        asides: Those that were found only now, and what stands in their places.
        is_sound: Whether the file may be written to.
    """

    head: Head
    states: bytearray
    damages: dict[int, Damage]
    asides: list[Aside]
    is_sound: bool


@dataclass(slots=True)
class Found:
    """A file that is one of ours.

    Attributes:
        head: The facts of its batch.
        db: A connection to it; None if its first page has to be restored first.
    """

    head: Head
    db: sqlite3.Connection | None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self.db is not None:
            self.db.close()


def find(path: Path) -> Found | None:
    """Look what batch a file holds; None if it is no file of ours, and then it is left as it is.

    Args:
        path: Of the file.
    """
    if has_our_header(path):
        try:
            db = connect(path)
        except Trouble as error:
            if not _is_damage(error):
                raise
        else:
            head = _head_or_close(db)
            if head is not None:
                return Found(head, db)
    copy = beside(path, "-look")  # opening what is not ours could change it
    try:
        restore(path, copy, most=ROOTS * tables.PAGE)
        db = connect(copy)
        head = _head_or_close(db)
        if head is not None:
            db.close()
            return Found(head, None)
    except Trouble:
        pass
    finally:
        remove(copy)
    return None


def open_sound(path: Path, found: Found, noted: Head) -> tuple[sqlite3.Connection, Survey]:
    """Open a file of ours, after it has been made anew if anything in it is damaged.

    Args:
        path: Of the file.
        found: What `find` has found.
        noted: The head, with the counts that the claim's note says, if they are higher.

    Raises:
        StoreDamaged: What was made of it was damaged again.
    """
    if found.db is not None:
        with _closing_on_error(found.db):
            survey = _survey(found.db, found.head, noted)
        return (found.db, survey) if survey.is_sound else _made_anew(path, found.db, survey)
    copy = beside(path, "-salvage")
    try:
        restore(path, copy)
        db = connect(copy)
        with _closing_on_error(db):
            survey = _survey(db, found.head, noted)
        survey.damages[max(survey.damages, default=-1) + 1] = FIRST_PAGE
        return _made_anew(path, db, survey)
    finally:
        remove(copy)


def begin(path: Path, head: Head) -> None:
    """Make the file of a new batch; it is there with all that belongs into it, or not at all.

    Args:
        path: Of the file.
        head: The facts of the batch.
    """
    building = beside(path, "-building")
    try:
        db = create(building)
        try:
            put_head(db, head)
        finally:
            db.close()
    except BaseException:
        remove(building)
        raise
    path.unlink(missing_ok=True)  # an empty one, of which nothing need be kept
    publish(path, building)


def put_head(db: sqlite3.Connection, head: Head) -> None:
    """Write the facts of the batch, in a transaction that is open or in one of their own."""
    record = head.pack()
    db.execute("REPLACE INTO head VALUES (0, ?)", (record,))
    db.execute("REPLACE INTO spare VALUES (0, ?)", (record,))


def _survey(db: sqlite3.Connection, head: Head, noted: Head) -> Survey:
    heads = {_unpacked(look_up(db, table, 0)) for table in ("head", "spare")}
    is_sound = heads == {head} and _passes_check(db)
    asides: list[Aside] = []
    damages = dict(_known_damage(db, asides))
    missing = {(damage.what, damage.id) for damage in damages.values()}
    if noted.outcomes > head.outcomes:
        asides.append((replace(LOG, count=noted.outcomes - head.outcomes), None))
    head = replace(head, accepted=noted.accepted)
    states = bytearray(head.accepted)
    for _ in _sound(db, TASK, head, asides, missing):
        pass  # those that are not sound are put aside
    for number, _ in _sound(db, OUTCOME, head, asides, missing):
        states[number] = DONE
    if not is_sound and not asides:
        asides.append((ELSEWHERE, None))
    if asides:  # then the rows are numbered anew, with those of the new file
        damages = dict(enumerate([*damages.values(), *(damage for damage, _ in asides)]))
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
    absent = expected - seen.count(1)
    for number, raw in altered.items():
        is_task = 0 <= number < len(seen)
        if is_task and seen[number]:
            continue  # what stands here a second time is another's
        absent -= 1
        reason = "not where it should be" if raw is None else "altered"
        asides.append((Damage(what, number if is_task else -1, reason), raw))
    if kind == OUTCOME and absent > 0:
        asides.append((Damage(what, -1, "not where it should be", absent), None))


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
            head = _copy(db, new, found)
        finally:
            new.close()
    finally:
        db.close()
    publish(path, building)
    db = connect(path)
    with _closing_on_error(db):
        again = _survey(db, head, head)
        if not again.is_sound:
            raise StoreDamaged(str(path), "as was the new file that was made of it")
    return db, again


def _copy(db: sqlite3.Connection, new: sqlite3.Connection, found: Survey) -> Head:
    outcomes = 0
    for kind in (TASK, OUTCOME):
        records = _sound(db, kind, found.head, [], set())
        outcomes = 0
        while group := list(islice(records, GROUP)):
            outcomes += len(group)
            with transaction(new):
                new.executemany(f"INSERT INTO {TABLE[kind]} VALUES (?, ?)", group)  # noqa: S608
    raws = dict(found.asides)
    rows = [
        (row, pack_damage(row, damage), raws.get(damage)) for row, damage in found.damages.items()
    ]
    head = replace(found.head, outcomes=outcomes)
    with transaction(new):
        put_head(new, head)
        new.executemany("INSERT INTO damaged VALUES (?, ?, ?)", rows)
    return head


def _schema() -> list[tuple[object, ...]]:
    db = sqlite3.connect(":memory:")
    try:
        for statement in tables.SCHEMA:
            db.execute(statement)
        return schema(db)
    finally:
        db.close()


def _head_or_close(db: sqlite3.Connection) -> Head | None:
    try:
        if schema(db) == _schema():
            heads = [_unpacked(look_up(db, table, 0)) for table in ("head", "spare")]
            sound = [head for head in heads if head is not None]
            if sound:  # they differ where the log was damaged while it was moved into the file
                return max(sound, key=lambda head: (head.accepted, head.outcomes))
    except Trouble:
        pass
    db.close()
    return None


@contextmanager
def _closing_on_error(db: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        db.close()
        raise


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


def _known_damage(db: sqlite3.Connection, asides: list[Aside]) -> Iterator[tuple[int, Damage]]:
    try:
        for number, record in db.execute("SELECT id, record FROM damaged"):
            yield number, unpack_damage(number, record)
    except (*Trouble, Altered):
        asides.append((Damage("file", -1, "what was noted of earlier damage altered"), None))


def _holes(seen: bytearray) -> Iterator[int]:
    at = seen.find(0)
    while at >= 0:
        yield at
        at = seen.find(0, at + 1)


def _is_damage(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
