"""Threads for what blocks: they come and go, and nobody waits for them for ever."""

import asyncio
import concurrent.futures
import contextvars
import subprocess
import sys
import threading
import time

import pytest

from actormq.threads import Threads


@pytest.fixture
def pool():
    pool = Threads("actormq-test", limit=3)
    yield pool
    pool.shutdown()


def test_a_job_gives_what_it_returns_or_raises(pool):
    assert pool.submit(divmod, 7, 2).result(5) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 7, 0).result(5)
    assert list(pool.map(abs, [-1, 2])) == [1, 2]


def test_there_are_as_many_threads_as_needed_up_to_the_limit(pool):
    barrier, names = threading.Barrier(3), []

    def meet():
        names.append(threading.current_thread().name)
        barrier.wait(5)

    jobs = [pool.submit(meet) for _ in range(6)]
    concurrent.futures.wait(jobs, 5)
    assert set(names) == {"actormq-test-1", "actormq-test-2", "actormq-test-3"}
    assert len(names) == 6


def test_an_idle_thread_is_used_again(pool):
    idents = set()
    for _ in range(5):
        idents.add(pool.submit(threading.get_ident).result(5))
        deadline = time.monotonic() + 5
        while pool.busy() and time.monotonic() < deadline:
            time.sleep(0.001)
    assert len(idents) == 1


def test_idle_threads_end(pool, monkeypatch):
    monkeypatch.setattr("actormq.threads.IDLE_SECONDS", 0.01)
    thread = pool.submit(threading.current_thread).result(5)
    thread.join(5)
    assert not thread.is_alive()
    assert pool.submit(abs, -1).result(5) == 1


def test_busy_ones_are_known(pool):
    go = threading.Event()
    job = pool.submit(go.wait, 10)
    while not job.running():
        time.sleep(0.001)
    ((thread, since),) = pool.busy().items()
    assert thread in [one.ident for one in threading.enumerate()]
    assert 0 <= time.monotonic() - since < 10
    go.set()
    job.result(5)


def test_what_waits_is_cancelled_and_what_runs_is_left(pool):
    go = threading.Event()
    running = [pool.submit(go.wait, 10) for _ in range(3)]
    while not all(job.running() for job in running):
        time.sleep(0.001)
    waiting = pool.submit(abs, -1)
    pool.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(abs, -1)
    go.set()
    assert [job.result(5) for job in running] == [True] * 3


def test_an_end_waits_for_as_long_as_its_patience():
    pool = Threads("actormq-test", patience=0.05)
    go = threading.Event()
    job = pool.submit(go.wait, 10)
    begun = time.monotonic()
    pool.shutdown(wait=True)
    assert time.monotonic() - begun >= 0.05
    assert not job.done()
    go.set()
    pool.shutdown(wait=True)
    assert job.result(5)


async def test_asyncio_takes_it_for_its_own():
    asyncio.get_running_loop().set_default_executor(Threads("actormq-test"))
    variable = contextvars.ContextVar("variable")
    variable.set("here")
    assert await asyncio.to_thread(variable.get) == "here"


def test_a_thread_that_never_ends_does_not_hold_up_the_interpreter():
    code = (
        "import threading\n"
        "from actormq.threads import Threads\n"
        "Threads('x').submit(threading.Event().wait)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=100, check=False).returncode == 0
