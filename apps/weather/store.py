"""Keeps observations in SQLite, with the position that each numbered stream has reached.

Rows and positions are written in one transaction. After a kill at any moment the two agree, so
a recorder that subscribes `after=store.positions` goes on where its rows end, and what was
published meanwhile is counted as missed: for each topic of each stream
`rows + missed + end markers == position`.

Groups are what makes `synchronous=FULL` affordable: one by one a disk takes thousands of rows a
second, in groups of 64 and more hundreds of thousands.
"""

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from apps.weather.messages import EndOfReplay, Observation, Position, Reading

VERSION = 1  # of the schema, in user_version
APPLICATION_ID = 0x57454154  # "WEAT": tells our file from another program's database
COLUMN_LIMIT = 1000  # value columns; SQLite's own limit is 2000, and what is over goes to `more`
COLUMN_NAME_LIMIT = 64  # characters
BUSY_TIMEOUT = 5.0  # s; a reader's checkpoint may hold a write up for a moment

_OWN_COLUMNS: tuple[str, ...] = ("stream", "topic", "seq", "station", "date", "more")

# A stream's id may need 64 bits without a sign, which INTEGER does not have: hence TEXT.
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS readings (
        stream TEXT NOT NULL, topic TEXT NOT NULL, seq INTEGER NOT NULL,
        station TEXT NOT NULL, date TEXT NOT NULL, more TEXT,
        PRIMARY KEY (stream, topic, seq))""",
    """CREATE TABLE IF NOT EXISTS positions (
        stream TEXT NOT NULL, topic TEXT NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (stream, topic))""",
    """CREATE TABLE IF NOT EXISTS missed (
        stream TEXT NOT NULL, topic TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (stream, topic))""",
    """CREATE TABLE IF NOT EXISTS ends (
        stream TEXT NOT NULL, topic TEXT NOT NULL, seq INTEGER NOT NULL,
        published INTEGER NOT NULL, skipped INTEGER NOT NULL,
        PRIMARY KEY (stream, topic, seq))""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)

_POSITIONS = """
    SELECT stream, topic, seq,
        (SELECT count(*) FROM readings r WHERE r.stream = p.stream AND r.topic = p.topic),
        coalesce((SELECT count FROM missed m WHERE m.stream = p.stream AND m.topic = p.topic), 0),
        (SELECT count(*) FROM ends e WHERE e.stream = p.stream AND e.topic = p.topic),
        (SELECT published FROM ends e WHERE e.stream = p.stream AND e.topic = p.topic
            ORDER BY e.seq DESC LIMIT 1)
    FROM positions p ORDER BY topic, stream
"""

# SQLite's result code, by its beginning, to what a user can do about it.
_WAYS_OUT = {
    "SQLITE_FULL": "the disk is full; free some space",
    "SQLITE_NOTADB": "is not an SQLite database; give another path",
    "SQLITE_CORRUPT": "is damaged; move it away and give another path",
    "SQLITE_READONLY": "cannot be written to; change its permissions or give another path",
    "SQLITE_CANTOPEN": "cannot be opened; look at the permissions of the file and its directory",
    "SQLITE_BUSY": "is locked by another program; end that one or give another path",
    "SQLITE_CONSTRAINT": "is written to by another recorder; end that one or give another path",
}


class StoreError(RuntimeError):
    """The database cannot be opened, read or written; what was to be written is still in memory.

    Attributes:
        path: The database.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = str(path)


class _Entry(NamedTuple):
    stream: int
    topic: str
    seq: int
    gap: int
    reading: Reading


class Store:
    """A database of observations; may be used from any thread, from one at a time.

    Args:
        path: The database; made if it is not there. Its directory must be there.

    Raises:
        StoreError: It cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self._lock = threading.Lock()  # a flush in a thread may outlive the call that awaits it
        self._waiting: list[_Entry] = []
        if self.path.is_dir():
            raise StoreError(self.path, "is a directory; give the path of a file")
        if not self.path.parent.is_dir():
            raise StoreError(self.path, "its directory does not exist; make it first")
        with self._explained():
            self._database = _open(self.path)
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        with self._explained():
            _check_owner(self.path, self._database)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            with _transaction(self._database):
                for statement in _SCHEMA:
                    self._database.execute(statement)
            self._row_count: int = _one(self._database, "SELECT count(*) FROM readings")
            self._taken = self._read_positions()

    @property
    def waiting(self) -> int:
        """Messages in memory that are not on disk yet, a count."""
        return len(self._waiting)

    @property
    def rows(self) -> int:
        """Observations on disk, a count."""
        return self._row_count

    @property
    def positions(self) -> dict[tuple[int, str], int]:
        """Stream and topic to the number of the last message on disk."""
        with self._lock, self._explained():
            return self._read_positions()

    @property
    def missed(self) -> int:
        """Messages that never came, by the gaps before those on disk, a count."""
        with self._lock, self._explained():
            total: int = _one(self._database, "SELECT coalesce(sum(count), 0) FROM missed")
            return total

    def account(self) -> list[Position]:
        """Say for each topic of each stream what is on disk; reads every row's key."""
        with self._lock, self._explained():
            rows = self._database.execute(_POSITIONS).fetchall()
        return [Position(int(stream), *rest) for stream, *rest in rows]

    def add(self, stream: int, topic: str, seq: int, reading: Reading) -> bool:
        """Take a message into the group that the next `flush` writes; never blocks.

        Args:
            stream: Id of the publisher's numbered stream.
            topic: The topic it came on.
            seq: Its number in that topic of that stream, from 1.
            reading: The message.

        Returns:
            False when a message of this or a later number was taken before; it is left out.
        """
        before = self._taken.get((stream, topic), 0)
        if seq <= before:
            return False
        self._taken[stream, topic] = seq
        self._waiting.append(_Entry(stream, topic, seq, seq - before - 1, reading))
        return True

    def flush(self) -> int:
        """Write what waits, in one transaction, and return when it is safe on disk.

        Returns:
            Messages written, a count.

        Raises:
            StoreError: Nothing was written; all of it still waits, and the next call tries again.
        """
        with self._lock:
            group = list(self._waiting)
            if not group:
                return 0
            with self._explained(), _transaction(self._database):
                rows = self._write_readings(group)
                self._write_account(group)
            self._row_count += rows
            del self._waiting[: len(group)]
            return len(group)

    def close(self) -> None:
        """Close the database; what waits is lost, so flush first. May be called twice."""
        with self._lock:
            self._database.close()

    def _read_positions(self) -> dict[tuple[int, str], int]:
        rows = self._database.execute("SELECT stream, topic, seq FROM positions")
        return {(int(stream), topic): seq for stream, topic, seq in rows}

    def _write_readings(self, group: Sequence[_Entry]) -> int:
        """Write the observations of a group, those of the same columns together."""
        shapes: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for stream, topic, seq, _, reading in group:
            if isinstance(reading, Observation):
                key = (str(stream), topic, seq, reading.station, reading.date.isoformat())
                shapes[tuple(reading.values)].append((*key, *reading.values.values()))
        # Read anew: a transaction that failed has taken its columns back with it.
        columns = _value_columns(self._database)
        for names, rows in shapes.items():
            self._insert(names, rows, columns)
        return sum(map(len, shapes.values()))

    def _insert(
        self, names: tuple[str, ...], rows: list[tuple[Any, ...]], columns: set[str]
    ) -> None:
        stored = column_names(names, columns)
        for name in stored:
            if name is not None and _fold(name) not in columns:
                self._database.execute(f"ALTER TABLE readings ADD COLUMN {_quoted(name)} REAL")
                columns.add(_fold(name))
        kept = [*_OWN_COLUMNS[:-1], *(name for name in stored if name is not None), "more"]
        self._database.executemany(
            f"INSERT INTO readings ({', '.join(map(_quoted, kept))})"  # noqa: S608  names are quoted
            f" VALUES ({', '.join('?' * len(kept))})",
            (_row(row, names, stored) for row in rows),
        )

    def _write_account(self, group: Sequence[_Entry]) -> None:
        positions: dict[tuple[str, str], int] = {}
        missed: dict[tuple[str, str], int] = defaultdict(int)
        ends = []
        for stream, topic, seq, gap, reading in group:
            key = (str(stream), topic)
            positions[key] = seq
            missed[key] += gap
            if isinstance(reading, EndOfReplay):
                ends.append((*key, seq, reading.published, reading.skipped))
        self._database.executemany(
            "INSERT INTO positions VALUES (?, ?, ?)"
            " ON CONFLICT (stream, topic) DO UPDATE SET seq = excluded.seq",
            [(*key, seq) for key, seq in positions.items()],
        )
        self._database.executemany(
            "INSERT INTO missed VALUES (?, ?, ?)"
            " ON CONFLICT (stream, topic) DO UPDATE SET count = count + excluded.count",
            [(*key, count) for key, count in missed.items() if count],
        )
        self._database.executemany("INSERT INTO ends VALUES (?, ?, ?, ?, ?)", ends)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into one sentence with a way out."""
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            problem = _way_out(error)
            if self._waiting:
                problem += f" ({len(self._waiting)} messages wait in memory)"
            raise StoreError(self.path, problem) from error


def _open(path: Path) -> sqlite3.Connection:
    # Transactions are ours (isolation_level); the lock of Store keeps threads apart.
    return sqlite3.connect(
        path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )


def _check_owner(path: Path, database: sqlite3.Connection) -> None:
    """Refuse to write into what another program, or a later version of this one, has made."""
    owner = _one(database, "PRAGMA application_id")
    version = _one(database, "PRAGMA user_version")
    if owner != APPLICATION_ID and _one(database, "SELECT count(*) FROM sqlite_master"):
        raise StoreError(path, "is a database of another program; give another path")
    if version > VERSION:
        problem = f"is of version {version} and this program knows {VERSION}; update the program"
        raise StoreError(path, problem)


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled back already; the first error is the one that counts.
        with suppress(sqlite3.Error):
            if database.in_transaction:
                database.execute("ROLLBACK")
        raise


def column_names(names: Sequence[str], columns: set[str]) -> list[str | None]:
    """Decide under which column each value of a reading is stored.

    Args:
        names: The reading's columns.
        columns: Value columns that the table has, folded as SQLite folds them.

    Returns:
        For each name a column, or None: such a value goes into `more`, as JSON. A name that the
        table or another value of the reading uses already gets a number behind it.
    """
    used = set(_OWN_COLUMNS)
    room = COLUMN_LIMIT - len(columns)
    result: list[str | None] = []
    for name in names:
        stored, number = name, 2
        while _fold(stored) in used:
            stored, number = f"{name}_{number}", number + 1
        is_new = _fold(stored) not in columns
        is_plain = 0 < len(name) <= COLUMN_NAME_LIMIT and name.isprintable()
        if not is_plain or (is_new and not room):
            result.append(None)
            continue
        room -= is_new
        used.add(_fold(stored))
        result.append(stored)
    return result


def _row(
    row: tuple[Any, ...], names: Sequence[str], stored: Sequence[str | None]
) -> tuple[Any, ...]:
    """Move the values that have no column of their own to the end, as JSON."""
    own = len(_OWN_COLUMNS) - 1
    key, values = row[:own], row[own:]
    if None not in stored:
        return (*row, None)
    placed = zip(names, stored, values, strict=True)
    kept, more = [], {}
    for name, column, value in placed:
        if column is None:
            more[name] = value
        else:
            kept.append(value)
    return (*key, *kept, json.dumps(more))


def _fold(name: str) -> str:
    """Fold as SQLite compares names: ASCII letters only."""
    return "".join(char.lower() if char.isascii() else char for char in name)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _value_columns(database: sqlite3.Connection) -> set[str]:
    names = (row[1] for row in database.execute("PRAGMA table_info(readings)"))
    return {_fold(name) for name in names} - set(_OWN_COLUMNS)


def _one(database: sqlite3.Connection, query: str) -> Any:
    return database.execute(query).fetchone()[0]


def _way_out(error: Exception) -> str:
    code = str(getattr(error, "sqlite_errorname", ""))
    for beginning, sentence in _WAYS_OUT.items():
        if code.startswith(beginning):
            return sentence
    return f"cannot be used ({error}); look at the disk, or give another path"
