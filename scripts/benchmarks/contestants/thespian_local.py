"""Thespian within a process: its simple system base, which is the fastest of its bases for that."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from protocol import Round, Settings, repeated, repeated_start, serve, timed
from thespian.actors import Actor, ActorExitRequest, ActorSystem

BURST = 5_000  # tells between two looks at the receiver
PAYLOAD = b"x" * 32
COUNT = "count"
TOGETHER = 10_000  # actors at a time: with more each takes longer


class Counter(Actor):
    """Counts what comes."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802 theirs
        """Count one, or say how many came."""
        if message is PAYLOAD:
            self.n += 1
        elif message == COUNT:
            self.send(sender, self.n)


class Producer(Actor):
    """Tells a counter as often as asked: actors are told by actors twice as fast as from outside.

    Attributes:
        asker: Who gets the counter's answer.
    """

    asker: Any = None

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802 theirs
        """Tell a burst and ask for the count, or hand it on."""
        if isinstance(message, tuple):
            counter, burst = message
            self.asker = sender
            for _ in range(burst):
                self.send(counter, PAYLOAD)
            self.send(counter, COUNT)
        elif isinstance(message, int):
            self.send(self.asker, message)


@contextmanager
def system() -> Iterator[ActorSystem]:
    """A system, which writes no log."""
    logging.disable(logging.CRITICAL)
    actors = ActorSystem("simpleSystemBase")
    yield actors
    actors.shutdown()


@contextmanager
def local_tell(_settings: Settings) -> Iterator[Round]:
    """Let an actor tell bursts, and wait until all were handled."""
    with system() as actors:
        counter, producer, told = actors.createActor(Counter), actors.createActor(Producer), 0

        def burst() -> int:
            nonlocal told
            told += BURST
            assert actors.ask(producer, (counter, BURST), 60) == told
            return BURST

        yield lambda seconds: repeated(burst, seconds)


@contextmanager
def local_ask(_settings: Settings) -> Iterator[Round]:
    """Ask one by one."""
    with system() as actors:
        counter = actors.createActor(Counter)
        yield lambda seconds: timed(lambda: actors.ask(counter, COUNT, 60), seconds)


@contextmanager
def spawn(_settings: Settings) -> Iterator[Round]:
    """Start actors."""
    with system() as actors:

        def start() -> list[Any]:
            return [actors.createActor(Counter) for _ in range(TOGETHER)]

        def stop(actor: Any) -> None:
            actors.tell(actor, ActorExitRequest())

        yield lambda seconds: repeated_start(start, stop, seconds)


@contextmanager
def spawn_live(_settings: Settings) -> Iterator[Round]:
    """Start actors, tell each something, and stop each."""
    with system() as actors:

        def lived() -> int:
            all_ = [actors.createActor(Counter) for _ in range(TOGETHER)]
            for each in all_:
                actors.tell(each, PAYLOAD)
            for each in all_:
                actors.tell(each, ActorExitRequest())
            return TOGETHER

        yield lambda seconds: repeated(lived, seconds)


if __name__ == "__main__":
    serve(
        {
            "local-tell": local_tell,
            "local-ask": local_ask,
            "spawn": spawn,
            "spawn-live": spawn_live,
        }
    )
