"""xoscar between two pools in two processes: tells, and a hundred asks in flight, over tcp.

As its pages show it: `await ref.method.tell(…)`, which returns when the message was sent, and
`await ref.method(…)`. Both run on uvloop, which it installs and uses in the pools that it starts.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import uvloop
import xoscar as xo
from others import PAYLOAD, child, free_port, say, wait_for_end
from protocol import AsyncRound, Result, Settings, rate, serve, timed_async

AT_ONCE = 100  # asks under way
BURST = 500  # tells between two looks at the receiver: a fiftieth of a second


class Counter(xo.Actor):  # type: ignore[misc]
    """Counts what it is told, and sends back what it is asked to."""

    def __init__(self) -> None:
        self.handled = 0

    def hit(self, payload: bytes) -> None:
        """Count a message."""
        del payload
        self.handled += 1

    def count(self) -> int:
        """Tell how many came."""
        return self.handled

    def echo(self, payload: bytes) -> bytes:
        """Send a payload back."""
        return payload


@asynccontextmanager
async def far() -> AsyncIterator[xo.ActorRef]:
    """A ref to an actor of another process."""
    address = f"127.0.0.1:{free_port()}"
    pool = await xo.create_actor_pool(f"127.0.0.1:{free_port()}", n_process=0)
    async with pool:
        with child("counter", address):
            yield await xo.actor_ref(address=address, uid="counter")


async def counter(address: str) -> None:
    """Be the other process."""
    pool = await xo.create_actor_pool(address, n_process=0)
    async with pool:
        await xo.create_actor(Counter, address=address, uid="counter")
        say("ready")
        await wait_for_end()


async def told(ref: xo.ActorRef, seconds: float) -> Result:
    """Messages a second that one actor handles."""
    before = await ref.count()
    begun, sent = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        for _ in range(BURST):
            await ref.hit.tell(PAYLOAD)
        sent += BURST
    while (handled := await ref.count() - before) < sent:
        pass
    return rate(handled, time.perf_counter() - begun)


async def at_once(ref: xo.ActorRef, seconds: float) -> Result:
    """Asks a second of so many askers, each of which asks again when it was answered."""
    begun = time.perf_counter()
    end = begun + seconds

    async def asker() -> int:
        count = 0
        while time.perf_counter() < end:
            await ref.echo(PAYLOAD)
            count += 1
        return count

    count = sum(await asyncio.gather(*(asker() for _ in range(AT_ONCE))))
    return rate(count, time.perf_counter() - begun)


@asynccontextmanager
async def far_tell(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """One producer, one counting actor."""
    async with far() as ref:
        yield partial(told, ref)


@asynccontextmanager
async def far_ask(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Asks one by one."""
    async with far() as ref:
        yield partial(timed_async, partial(ref.echo, PAYLOAD))


@asynccontextmanager
async def far_asks(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """A hundred askers."""
    async with far() as ref:
        yield partial(at_once, ref)


if __name__ == "__main__":
    uvloop.install()
    match sys.argv[1:]:
        case ["counter", address]:
            asyncio.run(counter(address))
        case _:
            serve({"far-tell": far_tell, "far-ask": far_ask, "far-asks": far_asks})
