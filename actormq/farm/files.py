"""The files of a store on the disk: a new one takes the place of the old, a copy is made readable.

A file that is complete is called `-new` before it takes its place. Whoever is killed in between
leaves that name, and the next one goes on from there: so a store is there whole, or as it was.
"""

from __future__ import annotations

import os
from pathlib import Path

from actormq.farm import tables
from actormq.farm.tables import PAGE, beside


def settle(path: Path) -> None:
    """Finish what a process was about when it was killed: a new file takes its place.

    Args:
        path: Of the file.
    """
    for left in ("-building", "-look", "-salvage"):
        remove(beside(path, left))
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


def publish(path: Path, building: Path) -> None:
    """Let a new file take the place of the old one, which is kept as `-damaged`.

    Args:
        path: Of the old one, if there is any.
        building: Of the new one, which is complete and closed.
    """
    with building.open("rb+") as file:
        os.fsync(file.fileno())
    building.replace(beside(path, "-new"))
    _sync(path.parent)
    settle(path)


ROOTS = len(tables.SCHEMA) + 1  # pages: the first one, and the root of each table


def restore(path: Path, copy: Path, most: int | None = None) -> None:
    """Copy a file and its write-ahead log, with a first page that is sound.

    Args:
        path: Of the file.
        copy: Of the copy.
        most: Bytes to copy, the rest reads as zeros; None for all.
    """
    pages = max(path.stat().st_size // PAGE, ROOTS)
    first = bytearray(tables.first_page())
    first[18:20] = b"\2\2"  # written with a write-ahead log
    first[28:32] = pages.to_bytes(4, "big")
    remove(copy)
    for ending, part in (("", most), ("-wal", None)):
        if not beside(path, ending).exists():
            continue
        with beside(path, ending).open("rb") as source, beside(copy, ending).open("wb") as target:
            while piece := source.read(1 << 20 if part is None else part - target.tell()):
                target.write(piece)
    with copy.open("rb+") as file:
        file.write(first)
        file.truncate(pages * PAGE)


def has_our_header(path: Path) -> bool:
    """Say whether the fixed parts of the header are those of each file of ours.

    Args:
        path: Of the file.
    """
    with path.open("rb") as file:
        found = bytearray(file.read(100))
    ours = bytearray(tables.first_page()[:100])
    ours[18:20] = b"\2\2"
    for start, end in ((24, 44), (92, 100)):  # counters, and the version of SQLite
        ours[start:end] = found[start:end]
    return found == ours


def remove(path: Path) -> None:
    """Take a file of SQLite away, and what belongs to it.

    Args:
        path: Of the file, which need not be there.
    """
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
