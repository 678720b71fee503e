"""Savina's micro benchmarks with Pykka: actors that do little but send messages.

Each actor is a thread, and what it is told goes straight to `on_receive`: proxies cost more.
"""

import math
import threading
from collections.abc import Callable
from typing import Any

import problems
from problems import check
from pykka import ActorRegistry, ThreadingActor


class Gate:
    """Waits outside of all actors until so many results are there."""

    def __init__(self, parties: int = 1) -> None:
        self.parties = parties
        self.results: list[int] = []
        self.lock = threading.Lock()
        self.done = threading.Event()

    def arrive(self, result: int) -> None:
        """Take a result, in the thread of an actor."""
        with self.lock:
            self.results.append(result)
            if len(self.results) == self.parties:
                self.done.set()

    def solved(self) -> int:
        """Wait; give the sum."""
        if not self.done.wait(60):
            raise problems.WrongResult(f"{len(self.results)} of {self.parties} are done")
        return sum(self.results)


class Pong(ThreadingActor):
    """Answers pings."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, message: Any) -> Any:
        """Answer, or say how many came."""
        if message == "counted":
            return self.count
        self.count += 1
        message.tell("pong")
        return None


class Ping(ThreadingActor):
    """Sends so many pings, each when the one before is answered."""

    def __init__(self, gate: Gate, other: Any) -> None:
        super().__init__()
        self.gate, self.other = gate, other
        self.left = problems.PINGS

    def on_receive(self, message: Any) -> None:
        """Send the first or the next."""
        if message == "pong":
            self.left -= 1
        if self.left:
            self.other.tell(self.actor_ref)
        else:
            self.gate.arrive(1)


def ping_pong() -> int:
    """Two actors, and one message at a time."""
    gate = Gate()
    pong = Pong.start()
    Ping.start(gate, pong).tell("begin")
    gate.solved()
    check("pings", pong.ask("counted"), problems.PINGS)
    return 2 * problems.PINGS


class Counter(ThreadingActor):
    """Counts."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, message: Any) -> Any:
        """Count one, or say how many."""
        if message == "increment":
            self.count += 1
            return None
        return self.count


class Teller(ThreadingActor):
    """Tells another as fast as it may."""

    def on_receive(self, message: Any) -> Any:
        """Tell a counter; ask it for its count at last."""
        for _ in range(problems.INCREMENTS):
            message.tell("increment")
        return message.ask("counted")


def counting() -> int:
    """One actor tells another as fast as it may."""
    counted = Teller.start().ask(Counter.start())
    check("increments", counted, problems.INCREMENTS)
    return problems.INCREMENTS


class Link(ThreadingActor):
    """Hands the token on to the next."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.next: Any = None

    def on_receive(self, message: Any) -> None:
        """Be told who is next, or take the token."""
        if self.next is None:
            self.next = message
        elif message:
            self.next.tell(message - 1)
        else:
            self.gate.arrive(1)


def thread_ring() -> int:
    """Actors in a circle, and one token."""
    gate = Gate()
    links = [Link.start(gate) for _ in range(problems.RING)]
    for link, following in zip(links, links[1:] + links[:1], strict=True):
        link.tell(following)
    links[0].tell(problems.HOPS)
    gate.solved()
    return problems.HOPS


class Peer(ThreadingActor):
    """Pings others at random, and answers them."""

    def __init__(self, gate: Gate, number: int) -> None:
        super().__init__()
        self.gate, self.number = gate, number
        self.targets = iter(problems.BIG_TARGETS[number])
        self.target = -1
        self.answered = 0
        self.peers: list[Any] = []

    def on_receive(self, message: Any) -> None:
        """Answer a ping, or send the next."""
        kind, value = message
        if kind == "ping":
            self.peers[value].tell(("pong", self.number))
            return
        if kind == "meet":
            self.peers = value
            return
        if kind == "pong":
            check("sender of a pong", value, self.target)
            self.answered += 1
        self.target = next(self.targets, -1)
        if self.target >= 0:
            self.peers[self.target].tell(("ping", self.number))
        else:
            self.gate.arrive(self.answered)


def big() -> int:
    """Many actors, each of which writes to all others."""
    gate = Gate(problems.BIG_ACTORS)
    peers = [Peer.start(gate, number) for number in range(problems.BIG_ACTORS)]
    for peer in peers:
        peer.tell(("meet", peers))
    for peer in peers:  # only now, for the first ones ping the others at once
        peer.tell(("begin", None))
    answered = gate.solved()
    check("pongs", answered, problems.BIG_ACTORS * problems.BIG_PINGS)
    return 2 * answered


class Fork(ThreadingActor):
    """Works a little."""

    def __init__(self, gate: Gate, messages: int) -> None:
        super().__init__()
        self.gate, self.left = gate, messages

    def on_receive(self, message: Any) -> None:
        """Compute something; join at the last message."""
        math.sin(message)
        self.left -= 1
        if not self.left:
            self.gate.arrive(1)
            self.stop()


def fork_join_create() -> int:
    """Many actors, one message for each."""
    gate = Gate(problems.CREATED)
    for number in range(problems.CREATED):
        Fork.start(gate, 1).tell(number)
    return gate.solved()


def fork_join_throughput() -> int:
    """Some actors, many messages for each."""
    gate = Gate(problems.FORKED)
    messages = problems.FORKED_MESSAGES
    forks = [Fork.start(gate, messages) for _ in range(problems.FORKED)]
    for number in range(messages):
        for fork in forks:
            fork.tell(number)
    return gate.solved() * messages


def ended(solve: Callable[[], int]) -> Callable[[], int]:
    """Solve a problem, and stop its actors."""

    def once() -> int:
        try:
            return solve()
        finally:  # whatever came out: threads of actors keep a program alive
            ActorRegistry.stop_all()

    return once


MICRO = {
    "savina-pingpong": ping_pong,
    "savina-counting": counting,
    "savina-threadring": thread_ring,
    "savina-big": big,
    "savina-fjcreate": fork_join_create,
    "savina-fjthroughput": fork_join_throughput,
}
