"""Savina's micro benchmarks with Thespian: actors that do little but send messages.

Its simple system, the fastest it has, runs all actors in the thread that tells them something, so
a problem is solved when `tell` returns. An actor is told in its first message what it needs.
"""

import math
from collections.abc import Callable
from typing import Any

import problems
from problems import check
from thespian.actors import Actor, ActorExitRequest, ActorSystem


class Stage:
    """The actor system, the actors of one problem, and what they give as their results."""

    def __init__(self) -> None:
        self.system = ActorSystem("simpleSystemBase", logDefs=False)
        self.actors: list[Any] = []
        self.results: list[int] = []

    def create(self, kind: type[Actor], *first: Any) -> Any:
        """Make an actor and tell it what it needs."""
        actor = self.system.createActor(kind)
        self.actors.append(actor)
        if first:
            self.system.tell(actor, first)
        return actor

    def tell(self, actor: Any, message: Any) -> None:
        """Tell an actor something."""
        self.system.tell(actor, message)

    def solved(self, parties: int = 1) -> int:
        """Make sure that all have a result; give the sum."""
        check("results", len(self.results), parties)
        return sum(self.results)

    def clear(self) -> None:
        """Stop all actors."""
        for actor in self.actors:
            self.system.tell(actor, ActorExitRequest())
        self.actors, self.results = [], []


class Pong(Actor):  # type: ignore[misc]
    """Answers pings."""

    count = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802 Thespian's name
        """Answer."""
        if message == "ping":
            self.count += 1
            self.send(sender, "pong")
        elif message == "counted":
            self.send(sender, self.count)


class Ping(Actor):  # type: ignore[misc]
    """Sends so many pings, each when the one before is answered."""

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Send the first or the next."""
        if message == "pong":
            self.left -= 1
            if self.left:
                self.send(self.other, "ping")
            else:
                self.stage.results.append(1)
        elif type(message) is tuple:
            self.stage, self.other = message
            self.left = problems.PINGS
            self.send(self.other, "ping")


def ping_pong(stage: Stage) -> int:
    """Two actors, and one message at a time."""
    pong = stage.create(Pong)
    stage.create(Ping, stage, pong)
    stage.solved()
    check("pings", stage.system.ask(pong, "counted", 10), problems.PINGS)
    return 2 * problems.PINGS


class Counter(Actor):  # type: ignore[misc]
    """Counts."""

    count = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802
        """Count one, or say how many."""
        if message == "increment":
            self.count += 1
        elif message == "counted":
            self.send(sender, self.count)


class Teller(Actor):  # type: ignore[misc]
    """Tells another as fast as it may."""

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Tell a counter; ask it for its count at last."""
        if type(message) is int:
            self.stage.results.append(message)
        elif type(message) is tuple:
            self.stage, counter = message
            for _ in range(problems.INCREMENTS):
                self.send(counter, "increment")
            self.send(counter, "counted")


def counting(stage: Stage) -> int:
    """One actor tells another as fast as it may."""
    stage.create(Teller, stage, stage.create(Counter))
    check("increments", stage.solved(), problems.INCREMENTS)
    return problems.INCREMENTS


class Link(Actor):  # type: ignore[misc]
    """Hands the token on to the next."""

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Be told who is next, or take the token."""
        if type(message) is int:
            if message:
                self.send(self.next, message - 1)
            else:
                self.stage.results.append(1)
        elif type(message) is tuple:
            self.stage, self.next = message


def thread_ring(stage: Stage) -> int:
    """Actors in a circle, and one token."""
    links = [stage.create(Link) for _ in range(problems.RING)]
    for link, following in zip(links, links[1:] + links[:1], strict=True):
        stage.tell(link, (stage, following))
    stage.tell(links[0], problems.HOPS)
    stage.solved()
    return problems.HOPS


class Peer(Actor):  # type: ignore[misc]
    """Pings others at random, and answers them."""

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802
        """Answer a ping, or send the next."""
        if type(message) is not tuple:
            return  # the request to exit
        kind, value = message
        if kind == "ping":
            self.send(sender, ("pong", self.number))
            return
        if kind == "begin":
            self.stage, self.peers, self.number = value
            self.targets = iter(problems.BIG_TARGETS[self.number])
            self.answered = 0
        else:
            check("sender of a pong", value, self.target)
            self.answered += 1
        self.target = next(self.targets, -1)
        if self.target >= 0:
            self.send(self.peers[self.target], ("ping", self.number))
        else:
            self.stage.results.append(self.answered)


class Starter(Actor):  # type: ignore[misc]
    """Tells many at once: what the outside tells is handled at once, one by one."""

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Send what it is told to."""
        if type(message) is tuple:
            for actor, text in message[0]:
                self.send(actor, text)


def big(stage: Stage) -> int:
    """Many actors, each of which writes to all others."""
    peers = [stage.create(Peer) for _ in range(problems.BIG_ACTORS)]
    begin = [(peer, ("begin", (stage, peers, number))) for number, peer in enumerate(peers)]
    stage.create(Starter, begin)
    answered = stage.solved(problems.BIG_ACTORS)
    check("pongs", answered, problems.BIG_ACTORS * problems.BIG_PINGS)
    return 2 * answered


class Fork(Actor):  # type: ignore[misc]
    """Works a little."""

    left = 0

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Compute something; join at the last message."""
        if type(message) is int:
            math.sin(message)
            self.left -= 1
            if not self.left:
                self.stage.results.append(1)
                self.send(self.myAddress, ActorExitRequest())
        elif type(message) is tuple:
            self.stage, self.left = message


def fork_join_create(stage: Stage) -> int:
    """Many actors, one message for each."""
    for number in range(problems.CREATED):
        stage.tell(stage.create(Fork, stage, 1), number)
    stage.actors = []  # they end themselves
    return stage.solved(problems.CREATED)


class Forker(Actor):  # type: ignore[misc]
    """Tells some actors many messages each."""

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Tell them."""
        if type(message) is tuple:
            for number in range(problems.FORKED_MESSAGES):
                for fork in message[0]:
                    self.send(fork, number)


def fork_join_throughput(stage: Stage) -> int:
    """Some actors, many messages for each."""
    messages = problems.FORKED_MESSAGES
    forks = [stage.create(Fork, stage, messages) for _ in range(problems.FORKED)]
    stage.actors = []  # they end themselves
    stage.create(Forker, forks)
    return stage.solved(problems.FORKED) * messages


MICRO: dict[str, Callable[[Stage], int]] = {
    "savina-pingpong": ping_pong,
    "savina-counting": counting,
    "savina-threadring": thread_ring,
    "savina-big": big,
    "savina-fjcreate": fork_join_create,
    "savina-fjthroughput": fork_join_throughput,
}
