"""Savina's micro benchmarks with actormq: actors that do little but send messages.

Where one message at a time is under way and has an answer, it is asked for: an ask that somebody
awaits of an idle actor is handled in place. Where many are, they are told both ways: it is faster.
"""

import asyncio
import math
from typing import Any

import problems
from problems import check

from actormq import Actor, Ref, handler

HALF_A_MAILBOX = 5_000


class Problem(Actor):
    """One problem, solved by its children, which end with it.

    Args:
        parties: How many results make it solved.
    """

    def __init__(self, parties: int = 1) -> None:
        self.parties = parties
        self.results: list[Any] = []
        self.done = asyncio.Event()

    @handler
    def arrive(self, result: Any) -> None:
        """One of its children is done."""
        self.results.append(result)
        if len(self.results) == self.parties:
            self.done.set()

    async def solved(self) -> int:
        """Wait until all are done; give the sum of what they say."""
        await self.done.wait()
        return sum(self.results)


# -- ping-pong ------------------------------------------------------------------------------------


class Pong(Actor):
    """Answers pings."""

    def __init__(self) -> None:
        self.count = 0

    @handler
    def ping(self) -> str:
        """Answer."""
        self.count += 1
        return "pong"

    @handler
    def counted(self) -> int:
        """How many came."""
        return self.count


class Ping(Actor):
    """Sends so many pings, each when the one before is answered."""

    @handler
    async def run(self, other: Ref[Pong]) -> None:
        """Send them."""
        for _ in range(problems.PINGS):
            await other.ask(Pong.ping)


class PingPong(Problem):
    """Two actors, and one message at a time."""

    @handler
    async def solve(self) -> int:
        """Count the messages."""
        pong = await self.spawn(Pong)
        ping = await self.spawn(Ping)
        await ping.within(60).ask(Ping.run, pong)
        check("pings", await pong.ask(Pong.counted), problems.PINGS)
        return 2 * problems.PINGS


# -- counting -------------------------------------------------------------------------------------


class Counter(Actor):
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    @handler
    def increment(self) -> None:
        """Count one."""
        self.count += 1

    @handler
    def counted(self) -> int:
        """How many came."""
        return self.count


class Counting(Problem):
    """One actor tells another as fast as it may."""

    @handler(concurrent=True)
    async def solve(self) -> int:
        """Count the messages; wait for the counter where its mailbox is half full."""
        counter = await self.spawn(Counter)
        counted = 0
        for sent in range(0, problems.INCREMENTS, HALF_A_MAILBOX):
            for _ in range(min(HALF_A_MAILBOX, problems.INCREMENTS - sent)):
                counter.tell(Counter.increment)
            counted = await counter.ask(Counter.counted)
        check("increments", counted, problems.INCREMENTS)
        return problems.INCREMENTS


# -- thread ring ----------------------------------------------------------------------------------


class Link(Actor):
    """Hands the token on to the next."""

    def __init__(self, problem: Ref[Problem]) -> None:
        self.problem = problem
        self.next: Ref[Link]

    @handler
    def join(self, following: "Ref[Link]") -> None:
        """Be told who is next."""
        self.next = following

    @handler
    def take(self, left: int) -> None:
        """Take the token, which is handed on so many times more."""
        if left:
            self.next.tell(Link.take, left - 1)
        else:
            self.problem.tell(Problem.arrive, 1)


class ThreadRing(Problem):
    """Actors in a circle, and one token."""

    @handler(concurrent=True)
    async def solve(self) -> int:
        """Count the hops."""
        links = [await self.spawn(Link, None, self.ref) for _ in range(problems.RING)]
        for link, following in zip(links, links[1:] + links[:1], strict=True):
            link.tell(Link.join, following)
        links[0].tell(Link.take, problems.HOPS)
        await self.solved()
        return problems.HOPS


# -- big ------------------------------------------------------------------------------------------


class Peer(Actor):
    """Pings others at random, and answers them."""

    def __init__(self, problem: Ref[Problem], number: int) -> None:
        self.problem, self.number = problem, number
        self.targets = iter(problems.BIG_TARGETS[number])
        self.target = -1
        self.answered = 0
        self.peers: list[Ref[Peer]]

    @handler
    def begin(self, peers: "list[Ref[Peer]]") -> None:
        """Be told who is there, and send the first ping."""
        self.peers = peers
        self.ping_next()

    def ping_next(self) -> None:
        """Send a ping, or be done."""
        self.target = next(self.targets, -1)
        if self.target >= 0:
            self.peers[self.target].tell(Peer.ping, self.number)
        else:
            self.problem.tell(Problem.arrive, self.answered)

    @handler
    def ping(self, sender: int) -> None:
        """Answer."""
        self.peers[sender].tell(Peer.pong, self.number)

    @handler
    def pong(self, sender: int) -> None:
        """Go on: it is the answer to the last ping."""
        check("sender of a pong", sender, self.target)
        self.answered += 1
        self.ping_next()


class Big(Problem):
    """Many actors, each of which writes to all others."""

    @handler(concurrent=True)
    async def solve(self) -> int:
        """Count the messages."""
        peers = [
            await self.spawn(Peer, None, self.ref, number) for number in range(problems.BIG_ACTORS)
        ]
        for peer in peers:
            peer.tell(Peer.begin, peers)
        answered = await self.solved()
        check("pongs", answered, problems.BIG_ACTORS * problems.BIG_PINGS)
        return 2 * answered


# -- fork and join --------------------------------------------------------------------------------


class Fork(Actor):
    """Works a little."""

    def __init__(self, problem: Ref[Problem], messages: int) -> None:
        self.problem, self.left = problem, messages

    @handler
    def work(self, angle: float) -> None:
        """Compute something; join at the last message."""
        math.sin(angle)
        self.left -= 1
        if not self.left:
            self.problem.tell(Problem.arrive, 1)
            self.ref.stop()


class ForkJoinCreate(Problem):
    """Many actors, one message for each."""

    @handler(concurrent=True)
    async def solve(self) -> int:
        """Count the actors."""
        for number in range(problems.CREATED):
            fork = await self.spawn(Fork, None, self.ref, 1)
            fork.tell(Fork.work, number)
        return await self.solved()


class ForkJoinThroughput(Problem):
    """Some actors, many messages for each."""

    @handler(concurrent=True)
    async def solve(self) -> int:
        """Count the messages."""
        messages = problems.FORKED_MESSAGES
        forks = [await self.spawn(Fork, None, self.ref, messages) for _ in range(problems.FORKED)]
        for number in range(messages):
            for fork in forks:
                fork.tell(Fork.work, number)
        return await self.solved() * messages


MICRO = {
    "savina-pingpong": (PingPong, 1),
    "savina-counting": (Counting, 1),
    "savina-threadring": (ThreadRing, 1),
    "savina-big": (Big, problems.BIG_ACTORS),
    "savina-fjcreate": (ForkJoinCreate, problems.CREATED),
    "savina-fjthroughput": (ForkJoinThroughput, problems.FORKED),
}
"""The works, and how many parties each has."""
