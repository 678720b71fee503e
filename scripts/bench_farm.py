"""Measures what a task of a farm costs, beside ProcessPoolExecutor and Celery in the same round."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor as AnyExecutor
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import actormq
from actormq import Node

HERE = Path(__file__).resolve().parent
CELERY = HERE.parent / ".venv" / "celery" / "bin" / "python"

PROCESSES = 2  # as many as cores, for all three
TASKS = {1: 50_000, 10: 200_000, 100: 500_000, 1_000: 2_000_000}  # by chunksize, about a second
CHUNKS = tuple(TASKS)
FARM_TASKS = 200_000
CELERY_TASKS = 1_000
NAPS, NAP, SLOTS = 1_000, 0.002, 8  # tasks that wait, the seconds of each, and where

Note = Callable[[str, Awaitable[float] | float], Awaitable[None]]
Rate = Callable[[str], float]


def noop(number: int) -> int:
    """Do nothing."""
    return number


def nap(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def mapped(executor: AnyExecutor, chunksize: int) -> float:
    """Tasks a second of an executor's `map`."""
    count = TASKS[chunksize]
    begun = time.perf_counter()
    sum_ = sum(executor.map(noop, range(count), chunksize=chunksize))
    took = time.perf_counter() - begun
    assert sum_ == count * (count - 1) // 2
    return count / took


# -- peers ----------------------------------------------------------------------------------------


def pool() -> None:
    """Be the process that measures ProcessPoolExecutor: a chunksize a line, answered by a rate."""
    with ProcessPoolExecutor(PROCESSES) as executor:
        list(executor.map(noop, range(100)))
        print("ready", flush=True)
        for line in sys.stdin:
            print(mapped(executor, int(line)), flush=True)


@contextmanager
def peer(*command: str) -> Iterator[Callable[[int], float]]:
    """A program that measures something else when told a number; its figure."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    into, out = process.stdin, process.stdout
    assert into is not None
    assert out is not None

    def measured(number: int) -> float:
        into.write(f"{number}\n")
        return float(out.readline())

    try:
        said = out.readline()
        if said != "ready\n":
            raise RuntimeError(f"{command[-1]} did not start: {said}")
        yield measured
    finally:
        into.close()  # which ends it, and what it has started
        process.wait()
        out.close()


# -- actormq --------------------------------------------------------------------------------------


async def one_by_one(node: Node, workers: int, count: int) -> float:
    """Tasks a second of a farm, each by itself, until the last result is here."""
    async with node.farm(noop, workers=workers, min_workers=workers) as farm:
        # Every slot has its first task, and so has loaded the function, before it is measured.
        await drawn(farm.map(range(100 * workers), speculate=False))
        begun = time.perf_counter()
        assert await drawn(farm.map(range(count))) == count
        return count / (time.perf_counter() - begun)


async def naps(node: Node) -> float:
    """The share of the ideal time that tasks which wait take."""
    async with node.farm(nap, workers=SLOTS, min_workers=SLOTS) as farm:
        await drawn(farm.map([NAP] * 2 * SLOTS, speculate=False))  # as above
        begun = time.perf_counter()
        assert await drawn(farm.map([NAP] * NAPS)) == NAPS
        return NAPS * NAP / SLOTS / (time.perf_counter() - begun)


async def drawn(results: object) -> int:
    """Take all results of a map, and count them."""
    count = 0
    async for result in results:
        assert result.error is None
        count += 1
    return count


class FarmBench:
    """What lives for all rounds: the peers, and an executor.

    Args:
        mesh: The mesh of the executor.
    """

    def __init__(self, mesh: str) -> None:
        self._mesh = mesh
        self._stack = ExitStack()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._stack.close)

    def _open(self) -> None:
        enter = self._stack.enter_context
        self._pool = enter(peer(sys.executable, __file__))
        self._celery = None
        if CELERY.exists():
            self._celery = enter(peer(str(CELERY), str(HERE / "bench_celery.py")))
        self._executor = enter(actormq.Executor(PROCESSES, mesh=self._mesh, discovery=False))
        list(self._executor.map(noop, range(1_000)))

    async def measure(self, node: Node, note: Note) -> None:
        """Measure everything once."""
        await note("farm tasks", one_by_one(node, PROCESSES, FARM_TASKS))
        for size in TASKS:
            pool = f"pool map, chunks of {size}"
            await note(pool, asyncio.to_thread(self._pool, size))
            name = f"executor map, chunks of {size}"
            await note(name, asyncio.to_thread(mapped, self._executor, size))
        if self._celery is not None:
            took = await asyncio.to_thread(self._celery, CELERY_TASKS)
            await note("celery tasks", CELERY_TASKS / took)
        await note("naps of 2 ms on 8 slots", naps(node))


if __name__ == "__main__":
    pool()
