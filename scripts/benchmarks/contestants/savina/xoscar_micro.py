"""Savina's micro benchmarks with Xoscar: actors that do little but send messages.

All live in one pool, the main one, and are held by local refs, which cost a tenth of others. What
is sent is an awaited call wherever one can be: it runs in place, where a `tell` makes a task.
"""

import asyncio
import math
from typing import Any

import problems
import xoscar as xo
from problems import check


class Gate:
    """Waits outside of all actors until so many results are there."""

    def __init__(self, parties: int = 1) -> None:
        self.parties = parties
        self.results: list[int] = []
        self.done = asyncio.Event()

    def arrive(self, result: int) -> None:
        """Take a result."""
        self.results.append(result)
        if len(self.results) == self.parties:
            self.done.set()

    async def solved(self) -> int:
        """Wait; give the sum."""
        await self.done.wait()
        return sum(self.results)


class Stage:
    """The pool, and the actors of one problem."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.actors: list[Any] = []

    async def create(self, kind: type[xo.Actor], *args: Any) -> Any:
        """Make an actor; give a local ref."""
        actor = await xo.create_actor(kind, *args, address=self.address)
        self.actors.append(actor)
        return await xo.actor_ref(actor)

    async def clear(self) -> None:
        """End all actors."""
        for actor in self.actors:
            await xo.destroy_actor(actor)
        self.actors = []


class Pong(xo.Actor):  # type: ignore[misc]
    """Answers pings."""

    def __init__(self) -> None:
        self.count = 0

    def ping(self) -> str:
        """Answer."""
        self.count += 1
        return "pong"

    def counted(self) -> int:
        """How many came."""
        return self.count


class Ping(xo.Actor):  # type: ignore[misc]
    """Sends so many pings, each when the one before is answered."""

    async def run(self, other: Any) -> None:
        """Send them."""
        for _ in range(problems.PINGS):
            await other.ping()


async def ping_pong(stage: Stage) -> int:
    """Two actors, and one message at a time."""
    pong = await stage.create(Pong)
    await (await stage.create(Ping)).run(pong)
    check("pings", await pong.counted(), problems.PINGS)
    return 2 * problems.PINGS


class Counter(xo.Actor):  # type: ignore[misc]
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def increment(self) -> None:
        """Count one."""
        self.count += 1

    def counted(self) -> int:
        """How many came."""
        return self.count


class Teller(xo.Actor):  # type: ignore[misc]
    """Tells another as fast as it may."""

    async def run(self, counter: Any) -> int:
        """Tell a counter; ask it for its count at last."""
        for _ in range(problems.INCREMENTS):
            await counter.increment()
        counted: int = await counter.counted()
        return counted


async def counting(stage: Stage) -> int:
    """One actor tells another as fast as it may."""
    counter = await stage.create(Counter)
    check("increments", await (await stage.create(Teller)).run(counter), problems.INCREMENTS)
    return problems.INCREMENTS


class Link(xo.Actor):  # type: ignore[misc]
    """Hands the token on to the next."""

    def join(self, gate: Gate, following: Any) -> None:
        """Be told who is next."""
        self.gate, self.next = gate, following

    async def take(self, left: int) -> None:
        """Take the token, which is handed on so many times more."""
        if left:
            await self.next.take.tell(left - 1)
        else:
            self.gate.arrive(1)


async def thread_ring(stage: Stage) -> int:
    """Actors in a circle, and one token."""
    gate = Gate()
    links = [await stage.create(Link) for _ in range(problems.RING)]
    for link, following in zip(links, links[1:] + links[:1], strict=True):
        await link.join(gate, following)
    await links[0].take.tell(problems.HOPS)
    await gate.solved()
    return problems.HOPS


class Peer(xo.Actor):  # type: ignore[misc]
    """Pings others at random, and answers them."""

    def __init__(self, number: int) -> None:
        self.number = number

    @xo.no_lock  # else two that ping each other wait for ever
    def ping(self) -> int:
        """Answer."""
        return self.number

    async def run(self, peers: list[Any]) -> int:
        """Ping others, one at a time."""
        for target in problems.BIG_TARGETS[self.number]:
            check("sender of a pong", await peers[target].ping(), target)
        return problems.BIG_PINGS


async def big(stage: Stage) -> int:
    """Many actors, each of which writes to all others."""
    peers = [await stage.create(Peer, number) for number in range(problems.BIG_ACTORS)]
    answered = sum(await asyncio.gather(*(peer.run(peers) for peer in peers)))
    check("pongs", answered, problems.BIG_ACTORS * problems.BIG_PINGS)
    return 2 * answered


class Fork(xo.Actor):  # type: ignore[misc]
    """Works a little."""

    def join(self, gate: Gate, messages: int) -> None:
        """Be told whom to join, and after how many messages."""
        self.gate, self.left = gate, messages

    def work(self, angle: float) -> None:
        """Compute something; join at the last message."""
        math.sin(angle)
        self.left -= 1
        if not self.left:
            self.gate.arrive(1)


async def fork_join_create(stage: Stage) -> int:
    """Many actors, one message for each."""
    gate = Gate(problems.CREATED)
    for number in range(problems.CREATED):
        fork = await stage.create(Fork)
        await fork.join(gate, 1)
        await fork.work(number)
    return await gate.solved()


async def fork_join_throughput(stage: Stage) -> int:
    """Some actors, many messages for each."""
    gate = Gate(problems.FORKED)
    messages = problems.FORKED_MESSAGES
    forks = [await stage.create(Fork) for _ in range(problems.FORKED)]
    for fork in forks:
        await fork.join(gate, messages)
    for number in range(messages):
        for fork in forks:
            await fork.work(number)
    return await gate.solved() * messages


MICRO = {
    "savina-pingpong": ping_pong,
    "savina-counting": counting,
    "savina-threadring": thread_ring,
    "savina-big": big,
    "savina-fjcreate": fork_join_create,
    "savina-fjthroughput": fork_join_throughput,
}
