"""A durable batch: what is accepted and recorded is there when the file is opened again."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from batches import outcome_count, pending

from actormq.errors import (
    InternalError,
    StoreDamaged,
    StoreError,
    StoreInUse,
    StoreMismatch,
)
from actormq.farm import store as module
from actormq.farm.records import Outcome
from actormq.farm.store import Store

HERE = Path(__file__).parent
JOB = "words:count one"

HOLDER = """
import sys
from actormq.farm.store import Store
batch = Store(sys.argv[1], "words:count one", resume=True)
batch.accept([(0, b"a task")])
print("ready", flush=True)
sys.stdin.read()
"""


def outcome(number, payload=b"a value"):
    return Outcome(number, 2, number % 2 == 1, payload, 0.25, "roof")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batch"


@pytest.fixture
def batch(path):
    opened = Store(path, JOB, resume=False)
    yield opened
    opened.close()


def filled(batch, count):
    batch.accept([(number, b"task %d" % number) for number in range(count)])
    return batch


def reopened(path):
    opened = Store(path, JOB, resume=True)
    opened.close()
    return opened


def test_a_new_batch_is_empty(batch):
    assert (batch.accepted_count, outcome_count(batch), batch.total) == (0, 0, None)
    assert pending(batch, -1, 10) == []
    assert batch.outcomes(-1, 10) == []
    assert batch.damaged == []
    assert batch.payload(0) is None


def test_what_is_accepted_waits_in_order_until_it_has_an_outcome(batch):
    filled(batch, 6)
    batch.accept([(6, b""), (7, b"last")])
    batch.record([outcome(4), outcome(0), outcome(6)])

    assert [number for number, _ in pending(batch, -1, 100)] == [1, 2, 3, 5, 7]
    assert pending(batch, 2, 2) == [(3, b"task 3"), (5, b"task 5")]
    assert batch.outcomes(-1, 100) == [outcome(0), outcome(4), outcome(6)]
    assert batch.outcomes(0, 1) == [outcome(4)]
    assert (batch.accepted_count, outcome_count(batch)) == (8, 3)


def test_the_next_process_finds_all_of_it(batch, path):
    filled(batch, 300).record([outcome(number, b"v" * number) for number in range(0, 300, 3)])
    batch.complete(300)
    batch.close()
    assert [entry.name for entry in path.parent.iterdir()] == ["batch"]

    again = Store(path, JOB, resume=True)
    assert (again.accepted_count, outcome_count(again), again.total) == (300, 100, 300)
    assert again.outcomes(-1, 300) == [outcome(n, b"v" * n) for n in range(0, 300, 3)]
    assert again.payload(7) == b"task 7"
    assert pending(again, 296, 9) == [(298, b"task 298"), (299, b"task 299")]
    again.close()


def test_the_first_outcome_of_a_task_stays(batch):
    filled(batch, 3)
    assert batch.record([outcome(1, b"first")]) == []
    assert batch.record([outcome(1, b"second"), outcome(2, b"a"), outcome(2, b"b")]) == [1, 2]
    assert batch.record([outcome(2, b"c")]) == [2]
    assert batch.outcomes(-1, 9) == [outcome(1, b"first"), outcome(2, b"a")]
    assert outcome_count(batch) == 2


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda batch: batch.accept([(4, b"")]), "go on from 3"),
        (lambda batch: batch.accept([(3, b""), (3, b"")]), "go on from 3"),
        (lambda batch: batch.record([outcome(3)]), "task 3, which was never accepted"),
        (lambda batch: batch.complete(4), "an input of 4 tasks, 3 accepted"),
        (lambda batch: batch.replace(1, b"other"), "task 1 is not damaged"),
    ],
)
def test_what_the_farm_may_never_do_is_its_bug(batch, call, why):
    filled(batch, 3)
    with pytest.raises(InternalError, match=why):
        call(batch)
    assert pending(batch, -1, 9) == [(0, b"task 0"), (1, b"task 1"), (2, b"task 2")]


def test_an_input_that_ends_before_what_was_accepted_is_another(batch):
    filled(batch, 3)
    with pytest.raises(StoreError, match=r"ends after 2 tasks now, and 3 had been accepted"):
        batch.complete(2)


def test_each_group_is_on_disk_before_the_call_returns(batch, path):
    """A reader that is told of a commit finds it in the log, which was forced to the disk."""
    assert batch._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert batch._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    batch.accept([(0, b"in the log" * 3)])
    assert b"in the log" * 3 in path.with_name("batch-wal").read_bytes()


def test_it_is_used_by_a_thread_that_did_not_open_it(batch):
    thread = threading.Thread(target=filled, args=(batch, 5))
    thread.start()
    thread.join()
    assert batch.accepted_count == 5


def test_another_process_that_has_it_is_named(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "ready\n"
        with pytest.raises(StoreInUse, match=rf"batch: process {holder.pid} has this batch open"):
            Store(path, JOB, resume=True)
        holder.send_signal(signal.SIGKILL)
    opened = Store(path, JOB, resume=True)
    assert opened.payload(0) == b"a task"
    opened.close()


def test_it_is_open_once_in_one_process_too(batch, path):
    with pytest.raises(StoreInUse, match=f"process {os.getpid()} has this batch open"):
        Store(path, JOB, resume=True)
    filled(batch, 1)
    batch.close()
    batch.close()
    assert reopened(path).accepted_count == 1


def test_sqlite_itself_lets_no_other_in(batch, path):
    other = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("SELECT * FROM tasks")
    other.close()


def test_who_reads_it_with_other_means_has_it_open_too(batch, path):
    filled(batch, 1).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM tasks").fetchall()
    with pytest.raises(StoreInUse, match="another process has this batch open"):
        Store(path, JOB, resume=True)
    other.close()
    assert reopened(path).accepted_count == 1


def test_a_record_that_is_too_large_is_refused_by_its_task(batch, monkeypatch):
    monkeypatch.setattr(module, "RECORD_LIMIT", 100)
    filled(batch, 1)
    with pytest.raises(StoreError, match="task 1 has 109 bytes, over the limit of 100"):
        batch.accept([(1, bytes(101))])
    with pytest.raises(StoreError, match=r"task 0 has .* bytes, over the limit of 100"):
        batch.record([outcome(0, bytes(101))])
    batch.accept([(1, b"small")])
    assert outcome_count(batch) == 0


def test_a_batch_of_another_job_is_refused_by_name(batch, path):
    batch.close()
    with pytest.raises(StoreMismatch, match="a batch of 'words:count one', not of 'words:sort'"):
        Store(path, "words:sort", resume=True)
    assert reopened(path).accepted_count == 0


def test_a_batch_that_is_there_is_not_begun_anew(batch, path):
    filled(batch, 3).close()
    with pytest.raises(StoreMismatch, match="3 tasks accepted: go on with it with --resume"):
        Store(path, JOB, resume=False)
    assert reopened(path).accepted_count == 3


def test_an_empty_file_is_a_new_batch(path):
    path.touch()
    batch = Store(path, JOB, resume=False)
    filled(batch, 1).close()
    assert [entry.name for entry in path.parent.iterdir()] == ["batch"]
    assert reopened(path).accepted_count == 1


def test_a_link_leads_to_the_file(batch, path):
    filled(batch, 2).close()
    link = path.with_name("link")
    link.symlink_to(path)
    assert reopened(link).accepted_count == 2
    assert link.is_symlink()


def test_a_file_that_was_emptied_under_a_batch_is_told_of(path):
    done = subprocess.run(
        [sys.executable, "-c", HOLDER + "import os; os._exit(0)", path], input=b"", check=True
    )
    assert done.returncode == 0
    path.write_bytes(b"")
    with pytest.raises(StoreDamaged, match="it is empty, and 1 tasks had been accepted"):
        Store(path, JOB, resume=True)


def a_database(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, record BLOB)")
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_text("a letter\n"), "not the file of a batch"),
        (lambda path: path.write_bytes(bytes(100_000)), "not the file of a batch"),
        (a_database, "not the file of a batch"),
        (lambda path: path.mkdir(), "it is a folder: name a file in it"),
        (lambda path: path.symlink_to("/dev/null"), "null: it is not a file"),
        (lambda path: path.symlink_to("nowhere/batch"), "there is no folder .*nowhere"),
    ],
)
@pytest.mark.parametrize("resume", [False, True])
def test_what_can_be_no_store_is_left_as_it_is(path, make, why, resume):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError, match=why) as caught:
        Store(path, JOB, resume=resume)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in path.parent.iterdir()] == ["batch"]
    assert before is None or path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("mode", [0o400, 0o500])
def test_where_nothing_can_be_written_the_sentence_says_so(batch, path, mode):
    batch.close()
    place = path if mode == 0o400 else path.parent
    place.chmod(mode)
    with pytest.raises(StoreError, match=r"written to|write to"):
        Store(path, JOB, resume=True)
    place.chmod(0o700)


def test_a_job_with_too_long_a_text_is_refused(path):
    with pytest.raises(StoreError, match="over 2000 bytes"):
        Store(path, "x" * 2001, resume=False)


@pytest.mark.slow
def test_a_disk_that_gets_full_loses_nothing_and_goes_on_when_there_is_room(tmp_path):
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    own = ["unshare", "-m", sys.executable]
    if subprocess.run([*own, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(
        [*own, HERE / "full_disk.py", tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr


FAILING = """
import sys
from actormq.errors import StoreError
from actormq.farm.store import Store
batch = Store(sys.argv[1], "words:count one", resume=True)
for _ in range(12):
    try:
        batch.accept([(batch.accepted_count, b"a task")])
        print("accepted")
    except StoreError as error:
        print(error)
"""


@pytest.mark.slow
def test_after_the_disk_failed_once_nothing_more_is_accepted(path):
    """What was not forced to the disk may be gone although the next fsync succeeds."""
    if shutil.which("strace") is None:
        pytest.skip("strace makes the disk fail, and is not there")
    reopened(path)
    failing = ["strace", "-o", "/dev/null", "-e", "trace=fdatasync"]
    failing += ["-e", "inject=fdatasync:error=EIO:when=6", sys.executable, "-c", FAILING, path]
    done = subprocess.run(failing, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    good = lines.count("accepted")
    assert 0 < good < 10
    assert lines[:good] == ["accepted"] * good
    assert set(lines[good:]) == {lines[-1]}
    assert "the disk failed (disk I/O error, SQLITE_IOERR_FSYNC)" in lines[-1]
    assert reopened(path).accepted_count >= good
