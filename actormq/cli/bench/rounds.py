"""Measures one thing for a while, and several things in turn, round by round."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from actormq.actor import Actor
from actormq.cli.bench.figures import ASKS_AT_ONCE, Place, percentile
from actormq.errors import ActormqError
from actormq.marks import handler
from actormq.ref import Ref
from actormq.reply import Reply

ROUNDS = 5  # of which the median is taken
SHORTEST = 0.01  # s that one thing is measured for in a round: ten round trips of a slow LAN
BURST = 4_000  # tells between two looks at the receiver: two of them fit into its mailbox
PAYLOAD = b"x" * 32  # bytes of an ordinary message

Ask = Callable[[], Reply[Any]]
Part = Callable[[float], Awaitable[Mapping[str, float]]]
"""Measures something for so many seconds, and gives figures by name."""


class Counter(Actor):
    """Counts what it is told, and sends back what it is asked to."""

    def __init__(self) -> None:
        self._count = 0

    @handler
    def hit(self, payload: bytes) -> None:
        """Count a message."""
        del payload
        self._count += 1

    @handler
    def count(self) -> int:
        """Tell how many came."""
        return self._count

    @handler
    def echo(self, payload: bytes) -> bytes:
        """Send a payload back."""
        return payload


async def tells(ref: Ref[Counter], seconds: float) -> dict[str, float]:
    """Messages a second that one actor handles, sent as fast as its mailbox allows.

    While it works off one burst the next is sent, as it is where a program has work to do.
    """
    before = await ref.ask(Counter.count)
    begun = time.perf_counter()
    waiting: Reply[int] | None = None
    while waiting is None or time.perf_counter() - begun < seconds:
        for _ in range(BURST):
            ref.tell(Counter.hit, PAYLOAD)
        last, waiting = waiting, ref.ask(Counter.count)
        if last is not None:
            await last
    handled = await waiting - before  # only what arrived counts
    return {"tells": handled / (time.perf_counter() - begun)}


async def one_by_one(ask: Ask, seconds: float) -> dict[str, float]:
    """Seconds of one ask, each begun when the last was answered."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    now = 0.0
    while now < end:
        begun = time.perf_counter()
        await ask()
        now = time.perf_counter()
        took.append(now - begun)
    return {"ask_p50": percentile(took, 0.5), "ask_p99": percentile(took, 0.99)}


async def at_once(ask: Ask, seconds: float) -> dict[str, float]:
    """Asks a second, with `ASKS_AT_ONCE` of them under way all the time."""
    begun = time.perf_counter()
    under_way = deque(ask() for _ in range(ASKS_AT_ONCE))
    count = 0
    while time.perf_counter() - begun < seconds:
        await under_way.popleft()
        under_way.append(ask())
        count += 1
    for reply in under_way:
        await reply
    return {"asks": (count + ASKS_AT_ONCE) / (time.perf_counter() - begun)}


async def echoes(name: str, ask: Ask, size: int, seconds: float) -> dict[str, float]:
    """Bytes a second of a body that goes there and back, one at a time, each counted once.

    Args:
        name: Of the figure.
        ask: Sends the body.
        size: Of the body, in bytes.
        seconds: As for every part.
    """
    begun = time.perf_counter()
    count = 0
    while not count or time.perf_counter() - begun < seconds:
        await ask()
        count += 1
    return {name: count * size / (time.perf_counter() - begun)}


async def in_rounds(
    place: Place,
    parts: Sequence[Part],
    seconds: float,
    now: Callable[[], float] = time.perf_counter,
) -> None:
    """Measure all parts in turn, again and again, so that each has its share of a bad moment.

    There is one round at least, and up to `ROUNDS` as far as the time allows. A part that fails
    is not tried again; the place is told why.

    Args:
        place: Keeps the figures.
        parts: What is measured.
        seconds: For all of it.
        now: The present, in seconds.
    """
    begun = now()
    part_seconds = max(seconds / ROUNDS / len(parts), SHORTEST)
    left = list(parts)
    for count in range(1, ROUNDS + 1):
        for part in list(left):
            try:
                place.add(await part(part_seconds))
            except ActormqError as error:
                place.note(str(error))
                left.remove(part)
        used = now() - begun
        if not left or used + used / count > seconds * 1.1:  # parts end a little late
            return
