"""How actormq's figures change with the number of actors, sockets and nodes, and with sizes.

Each work is told its size on the command line. Other processes are `actormq node`s of this file.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import ClassVar

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from protocol import AsyncRound, Result, Settings, rate, serve  # noqa: E402

from actormq import Actor, Node, Publisher, Ref, Subscriber, handler  # noqa: E402
from actormq.collector import collecting_seldom  # noqa: E402

BURST = 4_000  # messages between two looks at the receivers
PAYLOAD = b"x" * 32
PATIENCE = 60.0  # s for what takes long on a busy machine


class Counter(Actor):
    """Counts what it is told, and what all counters of this process are told."""

    total: ClassVar[int] = 0

    @handler
    def hit(self, payload: bytes) -> None:
        """Count one."""
        del payload
        Counter.total += 1

    @handler
    def so_far(self) -> int:
        """How many were told to all of this process."""
        return Counter.total


class Crowd(Actor):
    """Spawns others, where it runs itself."""

    @handler
    async def counters(self, count: int) -> list[Ref[Counter]]:
        """Spawn so many counters."""
        return [await self.spawn(Counter) for _ in range(count)]

    @handler
    async def listeners(self, count: int) -> list[Ref[Listener]]:
        """Spawn so many subscribers; they hear their publishers when this returns."""
        refs = [await self.spawn(Listener) for _ in range(count)]
        for ref in refs:
            await ref.within(PATIENCE).ask(Listener.listen)
        return refs


class Listener(Actor):
    """Subscribes, and counts with all of this process."""

    total: ClassVar[int] = 0
    feed = Subscriber(service="growth")

    @handler
    async def listen(self) -> None:
        """Subscribe, and wait until all publishers know."""
        await self.feed.subscribe("")

    @feed.received
    def note(self, topic: str, payload: bytes) -> None:
        """Count one."""
        del topic, payload
        Listener.total += 1

    @handler
    def so_far(self) -> int:
        """How many came to all of this process."""
        return Listener.total


class Source(Actor):
    """Publishes."""

    feed = Publisher(service="growth", full="wait")

    @handler
    async def publish(self, count: int) -> None:
        """Publish so many."""
        for _ in range(count):
            await self.feed.publish("t", PAYLOAD)


# -- processes ------------------------------------------------------------------------------------


@asynccontextmanager
async def meshed(others: int) -> AsyncIterator[tuple[Node, list[Ref[Crowd]]]]:
    """A node here, and others in processes of their own, each with a crowd."""
    mesh = f"growth-{os.getpid()}"
    names = [f"crowd-{number}" for number in range(others)]
    command = [sys.executable, "-m", "actormq", "node", "--quiet", "actormq_growth:Crowd"]
    processes = [
        subprocess.Popen(
            [*command, "--as", name, "--name", name, "--mesh", mesh], cwd=HERE, stdout=sys.stderr
        )
        for name in names
    ]
    try:
        async with Node(name="growth", mesh=mesh, ask_timeout=PATIENCE) as node:
            yield node, [await node.find(name, timeout=PATIENCE) for name in names]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await asyncio.to_thread(process.wait)


async def told(
    refs: Sequence[Ref[Counter]], last: Sequence[Ref[Counter]], seconds: float
) -> Result:
    """Tell each in turn, until so many seconds are over and all were handled.

    Args:
        refs: Who is told.
        last: One of each process, to ask how many were handled there.
        seconds: How long, at least.
    """
    turn = cycle(refs)
    before, sent, begun = await handled(last), 0, time.perf_counter()
    while True:
        for ref in islice(turn, BURST):
            ref.tell(Counter.hit, PAYLOAD)
        sent += BURST
        while await handled(last) - before < sent:
            pass
        took = time.perf_counter() - begun
        if took >= seconds:
            return rate(sent, took)


async def handled(last: Sequence[Ref[Counter]]) -> int:
    """How many were handled by all of these processes."""
    return sum([await ref.ask(Counter.so_far) for ref in last])


# -- works ----------------------------------------------------------------------------------------


@asynccontextmanager
async def local(settings: Settings) -> AsyncIterator[AsyncRound]:
    """Tells to `actors` in this process, in turn."""
    async with meshed(0) as (node, _):
        refs = [await node.spawn(Counter) for _ in range(int(settings["actors"]))]
        yield lambda seconds: told(refs, refs[-1:], seconds)


@asynccontextmanager
async def far(settings: Settings) -> AsyncIterator[AsyncRound]:
    """Tells to `actors` in another process, in turn."""
    async with meshed(1) as (_, [crowd]):
        refs = await crowd.ask(Crowd.counters, int(settings["actors"]))
        yield lambda seconds: told(refs, refs[-1:], seconds)


@asynccontextmanager
async def nodes(settings: Settings) -> AsyncIterator[AsyncRound]:
    """Tells to an actor on each of `nodes` nodes of this host but this one, in turn."""
    async with meshed(int(settings["nodes"]) - 1) as (_, crowds):
        refs = [(await crowd.ask(Crowd.counters, 1))[0] for crowd in crowds]
        yield lambda seconds: told(refs, refs, seconds)


@asynccontextmanager
async def size(settings: Settings) -> AsyncIterator[AsyncRound]:
    """Tells of `bytes` bytes to an actor in another process; the rate is bytes a second."""
    length = int(settings["bytes"])
    payload = bytes(length)
    at_once = max(1, min(BURST, 32 * 1024 * 1024 // length))  # half of what a link may hold
    async with meshed(1) as (_, [crowd]):
        refs = await crowd.ask(Crowd.counters, 1)

        async def once(seconds: float) -> Result:
            sent, begun = 0, time.perf_counter()
            while True:
                for _ in range(at_once):
                    refs[0].tell(Counter.hit, payload)
                await handled(refs)
                sent += at_once
                took = time.perf_counter() - begun
                if took >= seconds:
                    return rate(sent * length, took)

        yield once


@asynccontextmanager
async def pairs(settings: Settings) -> AsyncIterator[AsyncRound]:
    """What `publishers` publish to `subscribers` in another process; the rate counts deliveries."""
    publishers, subscribers = int(settings["publishers"]), int(settings["subscribers"])
    others = int(settings.get("processes", "1"))
    each = max(1, BURST // publishers // subscribers)
    async with meshed(others) as (node, crowds):
        spawned = [await node.spawn(Source) for _ in range(publishers)]
        sources = [ref.within(PATIENCE) for ref in spawned]
        last = []
        for crowd in crowds:
            listeners = await crowd.within(PATIENCE).ask(Crowd.listeners, subscribers // others)
            last += listeners[-1:]

        async def heard() -> int:
            return sum([await ref.within(PATIENCE).ask(Listener.so_far) for ref in last])

        async def once(seconds: float) -> Result:
            before, sent, begun = await heard(), 0, time.perf_counter()
            while True:
                for reply in [source.ask(Source.publish, each) for source in sources]:
                    await reply
                sent += each * publishers * (subscribers // others * others)
                while await heard() - before < sent:
                    pass
                took = time.perf_counter() - begun
                if took >= seconds:
                    return rate(sent, took)

        yield once


if __name__ == "__main__":
    with collecting_seldom():  # as `run` has it
        serve(
            {
                "grow-local": local,
                "grow-far": far,
                "grow-nodes": nodes,
                "grow-size": size,
                "grow-pairs": pairs,
            }
        )
