"""Savina's micro benchmarks with actormq: `actormq_savina.py WORK`, see `protocol.py`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actormq_concurrency import CONCURRENCY
from actormq_micro import MICRO, Problem
from protocol import AsyncRound, AsyncWork, Settings, repeated_async, serve

from actormq import Node
from actormq.collector import collecting_seldom


def work(kind: type[Problem], parties: int) -> AsyncWork:
    """Solve a problem again and again, each time with new actors."""

    @asynccontextmanager
    async def on_a_node(_: Settings) -> AsyncIterator[AsyncRound]:
        async with Node(mesh=f"savina-{os.getpid()}") as node:

            async def once() -> int:
                problem = await node.spawn(kind, None, parties)
                count: int = await problem.within(60).ask("solve")
                await problem.stop()
                return count

            yield lambda seconds: repeated_async(once, seconds)

    return on_a_node


if __name__ == "__main__":
    with collecting_seldom():  # as `run` has it
        serve({name: work(*problem) for name, problem in {**MICRO, **CONCURRENCY}.items()})
