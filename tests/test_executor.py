"""`actormq.Executor`, beyond what CPython's own tests ask (tests/farm/test_cpython_futures.py)."""

import asyncio
import concurrent.futures
import functools
import gc
import io
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import BrokenExecutor, wait
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "farm"))

import calls

import actormq
from actormq import (
    Executor,
    MessageTooLarge,
    NotEncodable,
    ResultRefused,
    SetupError,
    TaskLost,
)
from actormq.farm.reports import WORKER_NAME
from actormq.farm.worker import Worker

pytestmark = pytest.mark.slow


@pytest.fixture
def hire(mesh_name):
    """Makes executors with two workers, which are shut down at the end."""
    hired = []

    def hire(workers=1, **options):
        executor = Executor(workers, mesh=mesh_name, discovery=False, **options)
        hired.append(executor)
        return executor

    yield hire
    for executor in hired:
        executor.shutdown(cancel_futures=True)


def test_values_and_errors_come_back_as_what_they_are(hire):
    executor = hire()
    assert executor.submit(calls.double, 21).result() == 42
    assert executor.submit(calls.double, value=True).result() == 2  # a bool is an int
    for size in (1, 2):
        assert list(executor.map(calls.double, [True, 2], chunksize=size)) == [2, 4]
    assert executor.submit(calls.pair, (1, {2}), second=3).result() == ((1, {2}), 3)
    assert executor.submit(calls.moved, calls.Point(1, 2), 1).result() == calls.Point(2, 3)
    with pytest.raises(calls.Refused) as caught:
        executor.submit(calls.refuse, "it").result()
    assert (caught.value.name, caught.value.count) == ("it", 3)
    assert "raise Refused(name, 3)" in str(caught.value.__cause__)
    with pytest.raises(ResultRefused, match="Event"):
        executor.submit(calls.object_of_a_class).result()


def test_a_map_gives_results_in_order_whatever_its_chunks(hire):
    executor = hire(2)
    for size in (1, 7, 100, 1000):
        assert list(executor.map(calls.double, range(100), chunksize=size)) == [*range(0, 200, 2)]
        pairs = executor.map(calls.pair, range(20), itertools.count(5), chunksize=size)
        assert list(pairs) == list(zip(range(20), range(5, 25), strict=True))
    assert list(executor.map(calls.pair, [1, 2])) == [(1, 2), (2, 2)]
    moved = executor.map(calls.moved, [calls.Point(1, 2)], [3], chunksize=4)
    assert list(moved) == [calls.Point(4, 5)]
    assert list(executor.map(calls.double, [])) == []
    assert list(executor.map(calls.double)) == []


def test_a_chunk_fails_as_a_whole_and_the_iterator_ends_there(hire):
    quotients = hire().map(divmod, [4, 4, 4, 4], [2, 0, 1, 2], chunksize=3)
    with pytest.raises(ZeroDivisionError):
        next(quotients)
    assert list(quotients) == []


def test_an_argument_that_does_not_fit_its_annotation_is_an_error_of_the_call(hire):
    executor = hire()
    with pytest.raises(actormq.ArgumentMismatch, match="value"):
        executor.submit(calls.double, "21").result()
    with pytest.raises(actormq.ArgumentMismatch, match="value"):
        list(executor.map(calls.double, [1, "2"], chunksize=2))


def test_what_cannot_travel_is_said_at_once(hire):
    executor = hire(message_limit=100_000, buffer_limit=400_000)
    with pytest.raises(SetupError, match="lambda"):
        executor.submit(lambda: 1)
    with pytest.raises(SetupError, match="bound to an object"):
        executor.map([].append, [1])
    with pytest.raises(SetupError):
        executor.submit({}, 1)
    with pytest.raises(NotEncodable, match="calls:double"):
        executor.submit(calls.double, threading.Event())
    with pytest.raises(MessageTooLarge, match=r"raise message_limit, buffer_limit and link_limit"):
        executor.submit(calls.double, bytes(100_000))
    large = hire(buffer_limit=400_000)
    with pytest.raises(MessageTooLarge, match=r"pass its name, or raise buffer_limit and link"):
        large.submit(calls.double, bytes(500_000))
    assert executor.submit(calls.double, 1).result() == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_workers": -1}, "max_workers=-1"),
        ({"max_workers": 1.5}, "max_workers=1.5"),
        ({"mesh": ""}, "mesh"),
        ({"mash": "x"}, "mash"),
        ({"initializer": lambda: 1}, "lambda"),
        ({"initializer": calls.begin, "initargs": [threading.Event()]}, "initargs"),
        (
            {"initializer": calls.begin, "initargs": [bytes(9_000)], "buffer_limit": 8_000},
            r"initargs cannot travel.*calls:begin.*over the limit of 8000: .*buffer_limit",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_said_by_the_constructor(given, said):
    with pytest.raises(SetupError, match=said) as caught:
        Executor(**given)
    assert isinstance(caught.value, ValueError)


def test_a_future_is_pending_then_runs_then_is_done(hire, tmp_path):
    executor = hire(1)
    first = executor.submit(calls.till, str(tmp_path / "go"))
    second = executor.submit(calls.double, 1)
    third = executor.submit(calls.double, 2)
    while not first.running():
        time.sleep(0.001)
    assert not second.running()
    assert second.cancel()
    assert not first.cancel()
    calls.wrote(tmp_path / "go")
    assert third.result() == 4
    assert wait([first, second, third], 10).not_done == set()
    assert first.done()


def test_a_map_that_takes_too_long_cancels_what_has_not_begun(hire, tmp_path):
    executor = hire(1)
    blocking = executor.submit(calls.till, str(tmp_path / "go"))
    executor.map(calls.wrote, [str(tmp_path / "unheard")])  # nobody asks for its results
    while not blocking.running():
        time.sleep(0.001)
    paths = [str(tmp_path / f"{number}") for number in range(50)]
    with pytest.raises(TimeoutError):
        next(executor.map(calls.wrote, paths, timeout=0.01))
    calls.wrote(tmp_path / "go")
    assert executor.submit(calls.double, 1).result() == 2
    assert set(tmp_path.iterdir()) == {tmp_path / "go", tmp_path / "unheard"}


def test_each_process_is_initialized_once_for_all_functions(hire):
    executor = hire(1, initializer=calls.begin, initargs=(5,))
    assert executor.submit(calls.began).result() == 5
    assert list(executor.map(calls.double, range(3))) == [0, 2, 4]
    assert executor.submit(calls.began).result() == 5


def test_an_initializer_that_fails_breaks_the_executor_and_says_why(hire):
    executor = hire(1, initializer=calls.cannot_begin, initargs=("no licence",))
    waiting = [executor.submit(calls.double, number) for number in range(20)]
    for future in waiting:
        with pytest.raises(BrokenExecutor, match="no licence"):
            future.result()
    with pytest.raises(BrokenExecutor, match="calls:cannot_begin") as caught:
        executor.submit(calls.double, 1)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_call_whose_worker_dies_is_done_by_another_one(hire, tmp_path):
    executor = hire(1)
    died = executor.submit(calls.die_once, str(tmp_path / "died"))
    others = [executor.submit(calls.double, number) for number in range(50)]
    assert died.result() != os.getpid()
    assert [future.result() for future in others] == [*range(0, 100, 2)]


def test_a_call_that_ends_its_worker_each_time_is_lost_and_the_executor_goes_on(hire):
    executor = hire(1)
    with pytest.raises(TaskLost, match="ended by itself with status 3"):
        executor.submit(calls.leave).result()
    assert executor.submit(calls.double, 1).result() == 2


def test_threads_submit_at_once_and_each_gets_its_own(hire):
    executor = hire(2)

    def many(first):
        futures = [executor.submit(calls.double, number) for number in range(first, first + 300)]
        return [future.result() for future in futures]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(many, range(0, 8_000, 1_000)))
    assert parts == [[2 * n for n in range(first, first + 300)] for first in range(0, 8_000, 1_000)]


def test_a_callback_may_submit_and_shut_down(hire):
    executor = hire(1)
    ended = threading.Event()
    second = []

    def then(future):
        second.append(executor.submit(calls.double, future.result()))
        executor.shutdown(wait=True)  # from its own thread: it does not wait for itself
        ended.set()

    executor.submit(calls.double, 1).add_done_callback(then)
    assert ended.wait(10)
    assert second[0].result() == 4


async def test_a_loop_runs_functions_in_it(hire):
    executor = hire(2)
    loop = asyncio.get_running_loop()
    values = [loop.run_in_executor(executor, calls.double, number) for number in range(100)]
    assert await asyncio.gather(*values) == [*range(0, 200, 2)]
    await asyncio.to_thread(executor.shutdown)


async def test_workers_of_other_nodes_do_what_is_submitted_here(node):
    await node.spawn(Worker, WORKER_NAME, 1)
    place = node.address.removeprefix("tcp://")
    executor = Executor(0, mesh=node.mesh, discovery=False, join=[place])
    [first, second] = [executor.submit(calls.pid), executor.submit(calls.pid)]
    assert await asyncio.wrap_future(first) == await asyncio.wrap_future(second) != os.getpid()
    await asyncio.to_thread(executor.shutdown)


def test_leaving_by_an_interrupt_cancels_what_has_not_begun(hire, tmp_path):
    futures = []

    def interrupted():
        with hire(1) as executor:
            futures.append(executor.submit(calls.till, str(tmp_path / "go")))
            futures.extend(executor.submit(calls.double, number) for number in range(100))
            while not futures[0].running():
                time.sleep(0.001)
            futures[-1].add_done_callback(lambda _: calls.wrote(tmp_path / "go"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    first, *others = futures
    assert first.result() == str(tmp_path / "go")
    assert all(future.cancelled() for future in others)


@pytest.mark.parametrize(("chunksize", "count"), [(1, 50), (8, 7)])
def test_the_bar_of_tqdm_counts_what_is_submitted(mesh_name, monkeypatch, chunksize, count):
    concurrent_ = pytest.importorskip("tqdm.contrib.concurrent")
    full = threading.Event()

    class Bar(concurrent_.tqdm_auto):
        monitor_interval = 0  # no thread of its own

        def update(self, n=1):
            super().update(n)
            if self.n == count:
                full.set()

        def close(self):
            # A result is there before the callbacks of its future were called.
            self.disable or full.wait(10)
            super().close()

    hire = functools.partial(Executor, mesh=mesh_name, discovery=False)
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", hire)  # which it imports late
    shown = io.StringIO()
    options = {"max_workers": 1, "chunksize": chunksize, "tqdm_class": Bar, "file": shown}
    doubled = concurrent_.process_map(calls.double, range(50), **options)
    assert doubled == [*range(0, 100, 2)]
    assert f" {count}/50 " in shown.getvalue().rpartition("\r")[2]


@pytest.mark.parametrize("chunksize", [1, 8])
def test_a_submit_of_somebody_else_sees_all_tasks_of_a_map(hire, chunksize):
    executor = hire()
    submit, seen = executor.submit, []

    def counted(function, /, *args):
        seen.append((function(*args), submit(function, *args).result()))
        return submit(function, *args)

    executor.submit = counted
    pairs = list(executor.map(calls.pair, range(20), range(30), chunksize=chunksize))
    assert pairs == list(zip(range(20), range(20), strict=True))
    assert len(seen) == -(-20 // chunksize)
    assert all(here == there for here, there in seen)


@pytest.mark.parametrize("chunksize", [1, 3])
def test_a_map_with_a_buffersize_reads_as_its_results_are_taken(hire, chunksize):
    executor = hire()
    inputs = itertools.count()
    doubled = executor.map(calls.double, inputs, chunksize=chunksize, buffersize=4)
    for task in range(10):
        read = range(chunksize * task, chunksize * (task + 1))
        assert [next(doubled) for _ in read] == [2 * number for number in read]
    assert next(inputs) == chunksize * (4 + 10)
    few = executor.map(calls.double, range(5), chunksize=chunksize, buffersize=4)
    assert list(few) == [0, 2, 4, 6, 8]


def test_a_map_with_a_buffersize_keeps_its_executor(mesh_name):
    executor = Executor(1, mesh=mesh_name, discovery=False)
    doubled = executor.map(calls.double, range(9), buffersize=2)
    thread = executor._hired.thread
    del executor
    gc.collect()
    assert list(doubled) == [*range(0, 18, 2)]
    thread.join()  # and no longer than that


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"buffersize": 0}, ValueError),
        ({"buffersize": -1}, ValueError),
        ({"buffersize": 2.0}, TypeError),
        ({"buffersize": "2"}, TypeError),
        ({"chunksize": 0}, ValueError),
    ],
)
def test_a_size_of_a_map_that_cannot_be_is_said_before_anything_is_read(hire, given, error):
    inputs = itertools.count()
    with pytest.raises(error, match=next(iter(given))):
        hire().map(calls.double, inputs, **given)
    assert next(inputs) == 0


def test_one_that_is_thrown_away_does_what_it_was_given(mesh_name):
    executor = Executor(1, mesh=mesh_name, discovery=False)
    future, thread = executor.submit(calls.double, 1), executor._hired.thread
    ref = weakref.ref(executor)
    del executor
    gc.collect()
    assert ref() is None
    assert future.result() == 2
    thread.join()


def test_a_node_that_cannot_start_breaks_the_executor(hire):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        executor = hire(0, port=taken.getsockname()[1])
        waiting, thread = executor.submit(calls.double, 1), executor._hired.thread
        with pytest.raises(BrokenExecutor, match="port"):
            waiting.result()
        thread.join()
    with pytest.raises(BrokenExecutor, match="port"):
        executor.submit(calls.double, 1)


def test_one_that_has_no_call_has_no_thread_and_no_process(hire):
    executor = hire(2)
    assert executor._hired.thread is None
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(calls.double, 1)


SCRIPT = """
import os, sys, actormq

def triple(value):
    return 3 * value

def forked(executor):
    child = os.fork()
    if not child:
        try:
            executor.submit(triple, 1)
        except RuntimeError as error:
            print("fork", "in a fork" in str(error), flush=True)
            executor.shutdown()
            sys.exit(0)  # its exit waits for nothing
    os.waitpid(child, 0)

executor = actormq.Executor(1, mesh=sys.argv[1], discovery=False)
print(executor.submit(triple, 2).result(), flush=True)
forked(executor)
left = executor.submit(triple, 5)
left.add_done_callback(lambda future: print("last", future.result(), flush=True))
"""


def test_a_script_needs_no_guard_may_fork_and_is_finished_at_exit(tmp_path, mesh_name):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), mesh_name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.stdout.split("\n"), done.stderr) == (["6", "fork True", "last 15", ""], "")
    assert done.returncode == 0
