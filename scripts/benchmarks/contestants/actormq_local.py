"""actormq within a process: tells, asks, and actors that come and go."""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from protocol import AsyncRound, Result, Settings, rate, repeated_async, serve, timed_async

from actormq import Actor, Node, Ref, handler
from actormq.collector import collecting_seldom

BURST = 5_000  # tells between two looks at the receiver: half of a mailbox
PAYLOAD = b"x" * 32


class Counter(Actor):
    """Counts what comes."""

    def __init__(self) -> None:
        self.n = 0

    @handler
    def hit(self, _payload: bytes) -> None:
        """Count one."""
        self.n += 1

    @handler
    def count(self) -> int:
        """How many came."""
        return self.n


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    """A node by itself, with all else as users have it."""
    async with Node(name="bench", mesh=f"bench-{os.getpid()}", discovery=False) as node:
        yield node


@asynccontextmanager
async def local_tell(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Tell bursts, each of half a mailbox, and wait until all were handled."""
    async with node() as here:
        ref = await here.spawn(Counter)
        hit, told = Counter.hit, 0

        async def burst() -> int:
            nonlocal told
            for _ in range(BURST):
                ref.tell(hit, PAYLOAD)
            told += BURST
            assert await ref.ask(Counter.count) == told
            return BURST

        yield lambda seconds: repeated_async(burst, seconds)


@asynccontextmanager
async def local_ask(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Ask one by one."""
    async with node() as here:
        ref = await here.spawn(Counter)

        async def once() -> None:
            await ref.ask(Counter.count)

        yield lambda seconds: timed_async(once, seconds)


@asynccontextmanager
async def spawn(settings: Settings) -> AsyncIterator[AsyncRound]:
    """Start actors until the time is over; once, what memory they take was looked at."""
    actors = int(settings["actors"])
    async with node() as here:
        size = await bytes_each(here, actors // 10)

        async def started(seconds: float) -> Result:
            refs: list[Ref[Counter]] = []
            begun = time.perf_counter()
            while len(refs) < actors or time.perf_counter() - begun < seconds:
                refs.append(await here.spawn(Counter))
            took = time.perf_counter() - begun
            for ref in refs:
                await ref.stop()
            return rate(len(refs), took, bytes=size)

        yield started


async def bytes_each(here: Node, count: int) -> float:
    """Bytes of one idle actor and the ref to it."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    refs = [await here.spawn(Counter) for _ in range(count)]
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for ref in refs:
        await ref.stop()
    return (after - before) / count


@asynccontextmanager
async def spawn_live(settings: Settings) -> AsyncIterator[AsyncRound]:
    """Start them all, tell each something, and stop each; all were told when all have ended."""
    actors = int(settings["actors"])
    async with node() as here:

        async def lived() -> int:
            before = here.ledger().delivered
            refs = [await here.spawn(Counter) for _ in range(actors)]
            for ref in refs:
                ref.tell(Counter.hit, PAYLOAD)
            assert await refs[-1].ask(Counter.count) == 1  # a stop goes ahead of messages
            for ref in refs:
                await ref.stop()
            assert here.ledger().delivered - before == actors + 1
            return actors

        yield lambda seconds: repeated_async(lived, seconds)


if __name__ == "__main__":
    with collecting_seldom():  # as `run` has it
        serve(
            {
                "local-tell": local_tell,
                "local-ask": local_ask,
                "spawn": spawn,
                "spawn-live": spawn_live,
            }
        )
