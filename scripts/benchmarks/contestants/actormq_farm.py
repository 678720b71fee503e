"""actormq's farm: tasks one by one, maps of its executor, and tasks that wait."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from pool_farm import PIECE, PROCESSES, mapped, noop
from protocol import AsyncRound, Result, Round, Settings, repeated, repeated_async, serve

from actormq import Executor, Node

PIECE_OF_TASKS = 100_000
NAP, SLOTS = 0.002, 8  # s of a task that waits, and where
MESH = f"bench-{os.getpid()}"


def nap(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


async def drawn(results: Any) -> int:
    """Take all results of a map, and count them."""
    count = 0
    async for result in results:
        assert result.error is None
        count += 1
    return count


@asynccontextmanager
async def farm_tasks(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Tasks that do nothing, each leased, acknowledged and counted by itself."""
    async with (
        Node(name="bench", mesh=MESH, discovery=False) as node,
        node.farm(noop, workers=PROCESSES, min_workers=PROCESSES) as farm,
    ):
        # Every slot has its first task, and so has loaded the function, before it is measured.
        await drawn(farm.map(range(100 * PROCESSES), speculate=False))

        async def piece() -> int:
            return await drawn(farm.map(range(PIECE_OF_TASKS)))

        yield lambda seconds: repeated_async(piece, seconds)


@contextmanager
def farm_map(settings: Settings) -> Iterator[Round]:
    """Map again and again, in chunks."""
    chunksize = int(settings["chunksize"])
    with Executor(PROCESSES, mesh=MESH, discovery=False) as executor:
        list(executor.map(noop, range(1_000)))
        yield lambda seconds: repeated(lambda: mapped(executor, chunksize), seconds)


@asynccontextmanager
async def farm_naps(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Tasks that wait: the share of the ideal time that they take."""
    async with (
        Node(name="bench", mesh=MESH, discovery=False) as node,
        node.farm(nap, workers=SLOTS, min_workers=SLOTS) as farm,
    ):
        await drawn(farm.map([NAP] * 2 * SLOTS, speculate=False))  # as above

        async def napped(seconds: float) -> Result:
            count = int(seconds / NAP) * SLOTS
            begun = time.perf_counter()
            assert await drawn(farm.map([NAP] * count)) == count
            took = time.perf_counter() - begun
            return {"value": count * NAP / SLOTS / took, "count": count, "seconds": took}

        yield napped


if __name__ == "__main__":
    maps = dict.fromkeys((f"farm-map-{size}" for size in PIECE), farm_map)
    serve({"farm-tasks": farm_tasks, "farm-naps": farm_naps, **maps})
