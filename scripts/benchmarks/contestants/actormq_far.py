"""actormq between processes: tells, asks, publishing, echoes of arrays; see `WORKS` at the end.

All settings are the defaults, but that the nodes find each other by `join`. They are told that they
live on different machines, so that their links are tcp; for echoes they know better, and use
what nodes of one machine have.

`fan-out` publishes in bursts of 5 000; a subscriber tells the publisher when it has handled one,
and the publisher is at most two bursts ahead of the slowest. `fan-out-single` is the same with
bursts of one, and none ahead: a message is published when all subscribers have said that they
handled the one before. So nothing can be joined: what is measured is the way there and back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from others import BURST, PAYLOAD, child, free_port, say, wait_for_end
from protocol import (
    AsyncRound,
    AsyncWork,
    Result,
    Settings,
    Unavailable,
    rate,
    repeated_async,
    serve,
    timed_async,
)

from actormq import Actor, Node, Publisher, Ref, Reply, Subscriber, handler
from actormq.collector import collecting_seldom
from actormq.machine import MACHINE, Machine
from actormq.observe.logs import log
from actormq.settings import Settings as NodeSettings

AT_ONCE = 100  # asks under way
AHEAD = 4_000  # tells between two looks at the receiver: two of them fit into its mailbox
SPIN = 0.0001  # s: two of an ask's four wake-ups are over by then
MB = 1_000_000  # bytes
MESH = os.environ.setdefault("BENCH_MESH", f"bench-{os.getpid()}")  # the children's as well

A = TypeVar("A", bound=Actor)


class OtherHost(Machine):
    """A machine that is no other node's: what is on it is reached by tcp."""

    def identity(self) -> str:
        """Name it for this process."""
        return f"{super().identity()}/{os.getpid()}"


class Counter(Actor):
    """Counts what it is told, and sends back what it is asked to."""

    def __init__(self) -> None:
        self.handled = 0

    @handler
    def hit(self, payload: bytes) -> None:
        """Count a message."""
        del payload
        self.handled += 1

    @handler
    def count(self) -> int:
        """Tell how many came."""
        return self.handled

    @handler
    def echo(self, payload: bytes) -> bytes:
        """Send a payload back."""
        return payload


# -- two nodes ------------------------------------------------------------------------------------


@asynccontextmanager
async def node_of(
    port: int, others: Iterable[int], *, is_near: bool = False, spin: float = 0
) -> AsyncIterator[Node]:
    """A node of this contestant's own mesh, at one port, which knows the ports of the others."""
    options: Any = {"spin": spin} if spin else {}
    machine = MACHINE if is_near else OtherHost()
    join = [f"127.0.0.1:{other}" for other in others]
    async with Node(machine, mesh=MESH, port=port, join=join, discovery=False, **options) as node:
        yield node


@asynccontextmanager
async def far(kind: type[A], *, is_near: bool = False, spin: float = 0) -> AsyncIterator[Ref[A]]:
    """A ref to an actor of another process."""
    own, other = free_port(), free_port()
    with child("second", kind.__name__, f"{other}", f"{own}", "near" * is_near, f"{spin}"):
        async with node_of(own, [other], is_near=is_near, spin=spin) as node:
            ref = await node.find("far", timeout=10)
            member = node.mesh_view.partner(ref.address.node)
            assert member is not None
            assert member.link is not None
            assert is_near or member.link.endpoint.startswith("tcp://")
            yield ref


async def second(kind: type[Actor], own: int, first: int, *, is_near: bool, spin: float) -> None:
    """Be the other process: run one actor for the first."""
    async with node_of(own, [first], is_near=is_near, spin=spin) as node:
        await node.spawn(kind, "far")
        say("ready")
        await wait_for_end()


# -- tells and asks -------------------------------------------------------------------------------


async def told(ref: Ref[Counter], seconds: float) -> Result:
    """Messages a second that one actor handles, sent as fast as its mailbox allows."""
    before = await ref.ask(Counter.count)
    waiting: Reply[int] | None = None
    begun, sent = time.perf_counter(), 0
    while waiting is None or time.perf_counter() - begun < seconds:
        for _ in range(AHEAD):
            ref.tell(Counter.hit, PAYLOAD)
        sent += AHEAD
        last, waiting = waiting, ref.ask(Counter.count)
        if last is not None:
            await last
    handled = await waiting - before
    took = time.perf_counter() - begun
    return rate(handled, took, lost=sent - handled)


async def at_once(ask: Callable[[], Awaitable[object]], seconds: float) -> Result:
    """Asks a second of so many askers, each of which asks again when it was answered."""
    begun = time.perf_counter()
    end = begun + seconds

    async def asker() -> int:
        for count in itertools.count(1):
            await ask()
            if time.perf_counter() >= end:
                return count
        raise AssertionError

    count = sum(await asyncio.gather(*(asker() for _ in range(AT_ONCE))))
    return rate(count, time.perf_counter() - begun)


@asynccontextmanager
async def far_tell(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """One producer, one counting actor."""
    async with far(Counter) as ref:
        yield partial(told, ref)


@asynccontextmanager
async def far_ask(_settings: Settings, spin: float = 0) -> AsyncIterator[AsyncRound]:
    """Asks one by one."""
    async with far(Counter, spin=spin) as ref:
        yield partial(timed_async, partial(ref.ask, Counter.echo, PAYLOAD))


def far_ask_spin(settings: Settings) -> contextlib.AbstractAsyncContextManager[AsyncRound]:
    """Asks one by one, of nodes that look a little longer before they sleep."""
    if "spin" not in NodeSettings.__struct_fields__:
        raise Unavailable("a node of this actormq has no setting `spin`")
    return far_ask(settings, SPIN)


@asynccontextmanager
async def far_asks(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """A hundred askers."""
    async with far(Counter) as ref:
        yield partial(at_once, partial(ref.ask, Counter.echo, PAYLOAD))


# -- arrays ---------------------------------------------------------------------------------------


class Mirror(Actor):
    """Sends back the array that it gets."""

    @handler
    def echo(self, array: Any) -> Any:
        """Send it back."""
        return array


@asynccontextmanager
async def echoed(size: int, _settings: Settings, *, is_near: bool) -> AsyncIterator[AsyncRound]:
    """An array there and back, bytes counted once; each has a number that must come back."""
    try:
        import numpy as np  # noqa: PLC0415 an extra
    except ImportError:
        raise Unavailable("numpy is not installed") from None
    array = np.zeros(size // 8, dtype=np.float64)
    numbers = itertools.count(1)

    async with far(Mirror, is_near=is_near) as ref:

        async def once() -> int:
            number = next(numbers)
            array[0] = array[-1] = number
            back = await ref.within(30).ask(Mirror.echo, array)
            assert back[0] == back[-1] == number
            assert back.nbytes == size
            return size

        yield partial(repeated_async, once)


# -- publish and subscribe ------------------------------------------------------------------------


class Press(Actor):
    """Publishes in bursts, and hears how far its subscribers are."""

    feed = Publisher(service="bench")

    def __init__(self, burst: int, readers: int) -> None:
        self.burst = burst
        self.readers = readers
        self.said = 0
        self.heard = asyncio.Event()

    @handler
    def done(self) -> None:
        """A subscriber has handled a burst."""
        self.said += 1
        self.heard.set()

    @handler
    async def wait_for_readers(self) -> None:
        """Return when all subscribers are there."""
        await self.feed.ready(self.readers)

    @handler(concurrent=True)
    async def publish(self, seconds: float, ahead: int) -> tuple[int, float]:
        """Publish for a while; give how many messages all handled, and how long it took."""
        begun, bursts = time.perf_counter(), 0
        first = self.said // self.readers
        while time.perf_counter() - begun < seconds:
            for _ in range(self.burst):
                await self.feed.publish("reading", PAYLOAD)
            bursts += 1
            await self._wait_for(first + bursts - ahead)
        await self._wait_for(first + bursts)
        return bursts * self.burst, time.perf_counter() - begun

    async def _wait_for(self, bursts: int) -> None:
        while self.said < bursts * self.readers:
            self.heard.clear()
            await self.heard.wait()


class Reader(Actor):
    """Subscribes, and says after each burst that it has come so far."""

    feed = Subscriber(service="bench")

    def __init__(self, press: Ref[Press], burst: int) -> None:
        self.press = press
        self.burst = burst
        self.left = burst

    async def on_start(self) -> None:
        """Hear everything."""
        await self.feed.subscribe("")

    @feed.received
    def read(self, topic: str, payload: bytes) -> None:
        """Handle a message."""
        del topic, payload
        self.left -= 1
        if not self.left:
            self.left = self.burst
            self.press.tell(Press.done)


@asynccontextmanager
async def fan_out(burst: int, ahead: int, settings: Settings) -> AsyncIterator[AsyncRound]:
    """One publisher, some subscribers, each in a process of its own."""
    readers = int(settings.get("subscribers", "4"))
    ports = [free_port() for _ in range(1 + readers)]
    with contextlib.ExitStack() as children:
        for port in ports[1:]:
            rest = (str(other) for other in ports if other != port)
            children.enter_context(child("reader", f"{burst}", f"{port}", *rest))
        async with node_of(ports[0], ports[1:]) as node:
            press = await node.spawn(Press, "press", burst, readers)
            await press.within(10).ask(Press.wait_for_readers)

            async def do_round(seconds: float) -> Result:
                asked = press.within(seconds + 30).ask(Press.publish, seconds, ahead)
                return rate(*await asked)

            yield do_round


async def reader(burst: int, own: int, others: Iterable[int]) -> None:
    """Be a process with one subscriber."""
    async with node_of(own, others) as node:
        say("ready")
        press = await node.find("press", timeout=10)
        await node.spawn(Reader, None, press, burst)
        await wait_for_end()


# -- all of it ------------------------------------------------------------------------------------

KINDS: dict[str, type[Actor]] = {"Counter": Counter, "Mirror": Mirror}

WORKS: dict[str, AsyncWork] = {
    "far-tell": far_tell,
    "far-ask": far_ask,
    "far-ask-spin": far_ask_spin,
    "far-asks": far_asks,
    "fan-out": lambda settings: fan_out(BURST, 1, settings),
    "fan-out-single": lambda settings: fan_out(1, 0, settings),
    "echo-1mb": lambda settings: echoed(MB, settings, is_near=True),
    "echo-1mb-tcp": lambda settings: echoed(MB, settings, is_near=False),
    "echo-64mb": lambda settings: echoed(64 * MB, settings, is_near=True),
}


def main() -> None:
    """Be a contestant, or one of its other processes."""
    log.setLevel(logging.ERROR)  # whoever starts first cannot reach the others yet
    match sys.argv[1:]:
        case ["second", kind, own, first, near, spin]:
            near_or_not, seconds = bool(near), float(spin)
            work = second(KINDS[kind], int(own), int(first), is_near=near_or_not, spin=seconds)
            asyncio.run(work)
        case ["reader", burst, own, *others]:
            asyncio.run(reader(int(burst), int(own), map(int, others)))
        case _:
            serve(WORKS)


if __name__ == "__main__":
    with collecting_seldom():  # as `run` has it
        main()
