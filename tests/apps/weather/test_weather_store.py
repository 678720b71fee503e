"""Observations in SQLite: rows and positions agree, whatever happens."""

import datetime as dt
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from apps.weather.messages import EndOfReplay, Observation, Position
from apps.weather.store import COLUMN_LIMIT, Store, StoreError, column_names

ROOT = Path(__file__).parents[3]
STREAM = 2**64 - 3  # ids may need 64 bits without a sign


def observation(number, **values):
    day = dt.date(2012, 1, 1) + dt.timedelta(days=number)
    return Observation("Oslo", day, values or {"temp": float(number)})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weather.db"


def fetch(path, query):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_rows_positions_and_gaps_are_written_together_and_found_again(path):
    with closing(Store(path)) as store:
        for seq in (1, 2, 5):
            assert store.add(STREAM, "Oslo", seq, observation(seq))
        store.add(STREAM, "Rome", 2, observation(2))
        store.add(STREAM, "Oslo", 6, EndOfReplay("Oslo", published=5))
        assert (store.waiting, store.rows, store.positions) == (5, 0, {})
        assert store.flush() == 5
        assert store.flush() == 0
    with closing(Store(path)) as store:
        assert (store.waiting, store.rows, store.missed) == (0, 4, 3)
        assert store.positions == {(STREAM, "Oslo"): 6, (STREAM, "Rome"): 2}
        assert store.account() == [
            Position(STREAM, "Oslo", seq=6, rows=3, missed=2, ends=1, published=5),
            Position(STREAM, "Rome", seq=2, rows=1, missed=1),
        ]


def test_a_later_run_goes_on_where_the_rows_end_and_counts_what_it_missed(path):
    with closing(Store(path)) as store:
        store.add(1, "Oslo", 1, observation(1))
        store.flush()
    with closing(Store(path)) as store:
        assert not store.add(1, "Oslo", 1, observation(1))
        assert store.add(1, "Oslo", 4, observation(4))
        assert store.add(2, "Oslo", 1, observation(1))  # the publisher was started anew
        store.flush()
        assert (store.rows, store.missed) == (3, 2)


def test_columns_come_as_readings_bring_them(path):
    with closing(Store(path)) as store:
        store.add(1, "a", 1, observation(1, temp=1.0))
        store.flush()
        store.add(1, "a", 2, observation(2, wind=2.0, temp=3.0))
        store.add(1, "a", 3, observation(3, TEMP=4.0))
        store.flush()
    assert fetch(path, "SELECT station, date, temp, wind FROM readings ORDER BY seq") == [
        ("Oslo", "2012-01-02", 1.0, None),
        ("Oslo", "2012-01-03", 3.0, 2.0),
        ("Oslo", "2012-01-04", 4.0, None),
    ]


def test_names_that_no_column_can_have_are_kept_as_json(path):
    values = {"a\0b": 1.0, "": 2.0, 'x"; DROP TABLE readings; --': 3.0, "seq": 4.0, "n" * 99: 5.0}
    with closing(Store(path)) as store:
        store.add(1, "a", 1, observation(1, **values))
        store.flush()
    query = 'SELECT seq, seq_2, more, "x""; DROP TABLE readings; --" FROM readings'
    ((seq, seq_2, more, odd),) = fetch(path, query)
    assert (seq, seq_2, odd) == (1, 4.0, 3.0)
    assert more == '{"a\\u0000b": 1.0, "": 2.0, "' + "n" * 99 + '": 5.0}'


@pytest.mark.parametrize(
    ("names", "columns", "stored"),
    [
        (["temp", "wind"], set(), ["temp", "wind"]),
        (["Temp"], {"temp"}, ["Temp"]),
        (["Temp", "temp", "TEMP"], {"temp"}, ["Temp", "temp_2", "TEMP_3"]),
        (["date", "STATION"], set(), ["date_2", "STATION_2"]),
        (["Ä", "ä"], set(), ["Ä", "ä"]),  # SQLite folds ASCII only
        (["old", "new"], {"old"} | {f"c{n}" for n in range(COLUMN_LIMIT - 1)}, ["old", None]),
    ],
)
def test_every_value_has_a_column_of_its_own_or_none(names, columns, stored):
    assert column_names(names, columns) == stored


def test_a_full_disk_loses_nothing(path):
    with closing(Store(path)) as store:
        store.add(1, "Oslo", 1, observation(1))
        store.flush()
        (pages,) = store._database.execute("PRAGMA page_count").fetchone()
        store._database.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "disk is full"
        for seq in range(2, 2002):
            store.add(1, "Oslo", seq, observation(seq, temp=1.0, brand_new=2.0))
        for _ in range(3):
            with pytest.raises(StoreError, match=r"weather\.db: the disk is full; free some space"):
                store.flush()
            assert (store.waiting, store.rows) == (2000, 1)
            assert store.positions == {(1, "Oslo"): 1}
        store._database.execute("PRAGMA max_page_count = 100000")
        assert store.flush() == 2000
        assert (store.waiting, store.rows, store.missed) == (0, 2001, 0)


def test_a_second_recorder_on_the_same_file_is_found_out(path):
    with closing(Store(path)) as one, closing(Store(path)) as two:
        for store in (one, two):
            store.add(1, "Oslo", 1, observation(1))
        one.flush()
        with pytest.raises(StoreError, match="is written to by another recorder"):
            two.flush()
        assert (one.rows, two.rows, two.waiting) == (1, 0, 1)


def foreign(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE readings (mine)")


def newer(path):
    Store(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda path: path.write_bytes(b"date,station\n" * 100), "is not an SQLite database; give"),
        (lambda path: path.mkdir(), "is a directory; give the path of a file"),
        (foreign, "is a database of another program; give another path"),
        (newer, "is of version 99 and this program knows 1; update the program"),
    ],
    ids=["text", "directory", "foreign", "newer"],
)
def test_a_path_that_is_no_store_is_refused_and_left_alone(path, prepare, problem):
    prepare(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert before is None or path.read_bytes() == before


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(StoreError, match="its directory does not exist; make it first"):
        Store(tmp_path / "nowhere" / "weather.db")


def test_closing_twice_is_closing_once_and_leaves_one_file(path):
    store = Store(path)
    store.add(1, "Oslo", 1, observation(1))
    store.flush()
    store.close()
    store.close()
    assert [each.name for each in path.parent.iterdir()] == ["weather.db"]
    with pytest.raises(StoreError, match="cannot be used"):
        _ = store.missed


WRITER = """
import datetime, itertools, sys
from apps.weather.messages import Observation
from apps.weather.store import Store

store = Store(sys.argv[1])
start = store.positions.get((1, "Oslo"), 0) + 1
for number in itertools.count(start):
    values = {"temp": float(number), f"column_{number // 640}": 1.0}
    seq = number + number // 100  # every hundredth message is missing
    store.add(1, "Oslo", seq, Observation("Oslo", datetime.date(2012, 1, 1), values))
    if number % 64 == 0:
        store.flush()
        print(store.rows, flush=True)
"""


@pytest.mark.slow
def test_after_kill_dash_nine_rows_and_positions_agree(path):
    promised = 0
    for kills in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        try:
            for _ in range(3 + 5 * kills):
                promised = int(child.stdout.readline())
        finally:
            child.kill()  # in the middle of whatever it is doing
            promised = max([promised, *map(int, child.stdout.read().split("\n")[:-1])])
            child.stdout.close()
            child.wait()
        with closing(Store(path)) as store:
            assert store.rows >= promised
            (position,) = store.account()
            assert position.rows == store.rows
            assert position.rows + position.missed == position.seq
        assert fetch(path, "SELECT max(seq) FROM readings") == [(position.seq,)]
        assert fetch(path, "PRAGMA integrity_check") == [("ok",)]
