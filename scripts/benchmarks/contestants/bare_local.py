"""The limit within a Python process: what is left of a message without actors.

A tell is an entry of a deque and a call of a bound method; an ask is a future and a turn of the
loop. Nothing is addressed, bounded, counted, checked, or caught when it fails.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from protocol import AsyncRound, Round, Settings, repeated, serve, timed_async

BURST = 5_000  # tells between two looks at the receiver
PAYLOAD = b"x" * 32


class Counter:
    """Counts what comes."""

    def __init__(self) -> None:
        self.n = 0

    def hit(self, _payload: bytes) -> None:
        """Count one."""
        self.n += 1


@contextmanager
def local_tell(_settings: Settings) -> Iterator[Round]:
    """Put bursts into a deque, and call what is in it."""
    counter, waiting = Counter(), deque[Any]()

    def burst() -> int:
        before = counter.n
        for _ in range(BURST):
            waiting.append((counter.hit, (PAYLOAD,)))
        while waiting:
            method, args = waiting.popleft()
            method(*args)
        return counter.n - before

    yield lambda seconds: repeated(burst, seconds)


@asynccontextmanager
async def local_ask(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Await a future that the next turn of the loop sets."""
    loop = asyncio.get_running_loop()

    async def once() -> None:
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future

    yield lambda seconds: timed_async(once, seconds)


if __name__ == "__main__":
    serve({"local-tell": local_tell, "local-ask": local_ask})
