"""The SQLite file of a store: its tables, a connection to it, and what its errors mean.

Four tables, each a number and a record: `tasks` and `outcomes` by the task's id, and the facts of
the batch twice, in `head` and `spare`, which lie in pages apart. What was found damaged is in
`damaged`. Nothing is ever altered in place but the facts, so a page from earlier can hold no
record that was valid then and is wrong now.

The connection has the file to itself (`locking_mode=EXCLUSIVE`), so there is no shared memory
beside it that could be damaged, and no reader that holds up a checkpoint.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actormq.errors import StoreDamaged, StoreError, StoreFull, StoreInUse

CHECKPOINT_PAGES = 1000  # pages of 4 KiB in the log before they are moved into the file
PAGE = 4096  # bytes
APPLICATION = int.from_bytes(b"amqF", "big")  # in the header: by it `file` tells ours from others
CACHE = 8 << 20  # bytes

SCHEMA = (
    "CREATE TABLE head (id INTEGER PRIMARY KEY, record BLOB)",
    "CREATE TABLE tasks (id INTEGER PRIMARY KEY, record BLOB)",
    "CREATE TABLE outcomes (id INTEGER PRIMARY KEY, record BLOB)",
    "CREATE TABLE damaged (id INTEGER PRIMARY KEY, record BLOB, raw BLOB)",
    "CREATE TABLE spare (id INTEGER PRIMARY KEY, record BLOB)",
)
"""In this order, always in a new file: so each table has its root in the same page in all files."""

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the operating system says when there is no room, for anybody or for this user."""

Trouble = (sqlite3.Error, MemoryError, OverflowError, UnicodeDecodeError)
"""What reading a damaged file may raise: a length that flipped asks for any amount of memory, and a
word of the tables that flipped stands in the error's text."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a file of ours, or one that is empty.

    Args:
        path: Of the file; it is made if it is not there.
    """
    # One thread at a time uses a store, but it need not be the one that opened it.
    db = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")  # before the first look at the file
        db.execute(f"PRAGMA page_size={PAGE}")
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA cache_size=-{CACHE >> 10}")
        db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        db.execute("SELECT count(*) FROM sqlite_master")
    except BaseException:
        db.close()
        raise
    return db


def create(path: Path) -> sqlite3.Connection:
    """Make a new file with empty tables.

    Args:
        path: Of the file; what was left there by one that was killed is overwritten.
    """
    for left in (path, beside(path, "-wal"), beside(path, "-journal")):
        left.unlink(missing_ok=True)
    db = connect(path)
    try:
        db.execute(f"PRAGMA application_id={APPLICATION}")
        db.execute("PRAGMA journal_mode=WAL")
        with transaction(db):
            for statement in SCHEMA:
                db.execute(statement)
    except BaseException:
        db.close()
        raise
    return db


def schema(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Give what SQLite knows of the tables, to be compared."""
    return db.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master").fetchall()


def first_page() -> bytes:
    """Give the first page of a new file: that of every file of ours, but for a few counters."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        db.execute(f"PRAGMA page_size={PAGE}")
        db.execute(f"PRAGMA application_id={APPLICATION}")
        for statement in SCHEMA:
            db.execute(statement)
        return bytes(db.serialize()[:PAGE])
    finally:
        db.close()


def look_up(db: sqlite3.Connection, table: str, number: int) -> object:
    """Give the record of an id; None if there is none, or what is in its place cannot be read.

    Args:
        db: The file.
        table: One of those with a number and a record.
        number: The id.
    """
    query = f"SELECT record FROM {table} WHERE id = ?"  # noqa: S608 the names are ours
    try:
        row = db.execute(query, (number,)).fetchone()
    except Trouble:
        return None
    return row[0] if row else None


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do all of it or nothing; it is on disk when this ends without an exception."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say in a sentence what SQLite or the operating system say in a word.

    Args:
        path: Of the file that the user named.

    Raises:
        StoreError: Something failed, with the way out; one of its kinds where that is known.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _meant(str(path), error) from error
    except OSError as error:
        raise failed(str(path), error) from error


def failed(path: str, error: OSError) -> StoreError:
    """Give the error for one of the operating system.

    Args:
        path: Of the file that the user named.
        error: What was raised.
    """
    if error.errno in FULL:
        return StoreFull(path)
    return StoreError(path, f"{error.strerror or error}: name a file in a folder you can write to")


def _meant(path: str, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    match code & 0xFF:  # the rest says where in SQLite it arose
        case sqlite3.SQLITE_FULL:
            return StoreFull(path)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreInUse(path, 0)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreDamaged(path, str(error))
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            why = f"{error}: make file and folder writable, or name another file"
            return StoreError(path, why)
    why = f"the disk failed ({error}, {name}): look at the system's log, and open the file again"
    return StoreError(path, why)


def beside(path: Path, ending: str) -> Path:
    """Give the path of a file that belongs to another.

    Args:
        path: Of the other.
        ending: Of the name, such as "-wal".
    """
    return path.with_name(path.name + ending)
