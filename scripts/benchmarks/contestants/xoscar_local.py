"""Xoscar within a process: one pool, and refs from `actor_ref`, which call without a channel.

Its fastest tell is a call that is awaited: `tell` makes a task for each and takes three times as
long. (`batch` puts many calls into one message, which is another work.)
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import xoscar
from protocol import AsyncRound, Result, Settings, rate, repeated_async, serve, timed_async

BURST = 5_000  # tells between two looks at the receiver
PAYLOAD = b"x" * 32
TOGETHER = 1_000  # actors at a time


class Counter(xoscar.StatelessActor):
    """Counts what comes; an actor of theirs that takes no lock for a message."""

    def __init__(self) -> None:
        self.n = 0

    def hit(self, _payload: bytes) -> None:
        """Count one."""
        self.n += 1

    def count(self) -> int:
        """How many came."""
        return self.n


@asynccontextmanager
async def pool() -> AsyncIterator[str]:
    """A pool of this process alone: its address."""
    here = await xoscar.create_actor_pool("127.0.0.1:0", n_process=0)
    async with here:
        yield here.external_address


async def counter(address: str) -> Any:
    """Start one, and find it from within."""
    await xoscar.create_actor(Counter, address=address, uid="counter")
    return await xoscar.actor_ref(address=address, uid="counter")


@asynccontextmanager
async def local_tell(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Call again and again."""
    async with pool() as address:
        ref, told = await counter(address), 0

        async def burst() -> int:
            nonlocal told
            for _ in range(BURST):
                await ref.hit(PAYLOAD)
            told += BURST
            assert await ref.count() == told
            return BURST

        yield lambda seconds: repeated_async(burst, seconds)


@asynccontextmanager
async def local_ask(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Ask one by one."""
    async with pool() as address:
        ref = await counter(address)

        async def once() -> None:
            await ref.count()

        yield lambda seconds: timed_async(once, seconds)


@asynccontextmanager
async def spawn(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Start actors, and stop them while nobody looks at the clock."""
    async with pool() as address:

        async def started(seconds: float) -> Result:
            count, took = 0, 0.0
            while took < seconds:
                begun = time.perf_counter()
                refs = [
                    await xoscar.create_actor(Counter, address=address) for _ in range(TOGETHER)
                ]
                took += time.perf_counter() - begun
                count += TOGETHER
                for ref in refs:
                    await xoscar.destroy_actor(ref)
            return rate(count, took)

        yield started


@asynccontextmanager
async def spawn_live(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Start actors, tell each something, and stop each."""
    async with pool() as address:

        async def lived() -> int:
            refs = [await xoscar.create_actor(Counter, address=address) for _ in range(TOGETHER)]
            for ref in refs:
                await ref.hit(PAYLOAD)
            for ref in refs:
                await xoscar.destroy_actor(ref)
            return TOGETHER

        yield lambda seconds: repeated_async(lived, seconds)


if __name__ == "__main__":
    serve(
        {
            "local-tell": local_tell,
            "local-ask": local_ask,
            "spawn": spawn,
            "spawn-live": spawn_live,
        }
    )
