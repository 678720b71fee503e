"""Pykka within a process: actors with a thread each, which is what its pages show first.

Messages go to `on_receive` as they are: a proxy, which its pages show as well, does more for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pykka
from protocol import Round, Settings, repeated, repeated_start, serve, timed

BURST = 5_000  # tells between two looks at the receiver
PAYLOAD = b"x" * 32
TOGETHER = 1_000  # actors at a time, for each is a thread


class Counter(pykka.ThreadingActor):
    """Counts what comes."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def on_receive(self, message: Any) -> Any:
        """Count one, or say how many came."""
        if message is None:
            return self.n
        self.n += 1
        return None


@contextmanager
def local_tell(_settings: Settings) -> Iterator[Round]:
    """Tell bursts, and wait until all were handled."""
    ref, told = Counter.start(), 0

    def burst() -> int:
        nonlocal told
        for _ in range(BURST):
            ref.tell(PAYLOAD)
        told += BURST
        assert ref.ask(None) == told
        return BURST

    yield lambda seconds: repeated(burst, seconds)
    ref.stop()


@contextmanager
def local_ask(_settings: Settings) -> Iterator[Round]:
    """Ask one by one."""
    ref = Counter.start()
    yield lambda seconds: timed(lambda: ref.ask(None), seconds)
    ref.stop()


@contextmanager
def spawn(_settings: Settings) -> Iterator[Round]:
    """Start as many as bear each other."""

    def start() -> list[Any]:
        return [Counter.start() for _ in range(TOGETHER)]

    yield lambda seconds: repeated_start(start, lambda ref: ref.stop(), seconds)


@contextmanager
def spawn_live(_settings: Settings) -> Iterator[Round]:
    """Start as many as bear each other, tell each something, and stop each."""

    def lived() -> int:
        refs = [Counter.start() for _ in range(TOGETHER)]
        for ref in refs:
            ref.tell(PAYLOAD)
        for ref in refs:
            ref.stop()
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
