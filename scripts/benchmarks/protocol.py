"""What a program of `scripts/bench` needs: it does one work, a round whenever it is told to.

    PROGRAM WORK [key=value …]

It prints "ready" once it is set up and warm, or "unavailable: REASON". Each line "round SECONDS"
on its standard input is one round, answered by one line of JSON with at least `value` (pieces a
second, or for latencies the median in seconds), `count` and `seconds`. It ends with its input.

Here this is `serve`, which is given a work as a context manager: it sets up, yields the function
that does a round of about so many seconds, and cleans up. It may be asynchronous, and so may the
function.

    @contextmanager
    def local_tell(settings: Settings) -> Iterator[Round]:
        counter = Counter.start()
        yield lambda seconds: told(counter, seconds)
        counter.stop()

    serve({"local-tell": local_tell})

Only the standard library is imported, for peers live in environments of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

Result = dict[str, Any]
Settings = Mapping[str, str]
Round = Callable[[float], Result]
AsyncRound = Callable[[float], Awaitable[Result]]
Work = Callable[[Settings], AbstractContextManager[Round]]
AsyncWork = Callable[[Settings], AbstractAsyncContextManager[AsyncRound]]

WARMING = 0.2  # s of a round that nobody counts, before "ready"


class Unavailable(Exception):  # a finding, no failure
    """A work cannot be done here; raised before it is set up."""


def rate(count: int, seconds: float, **extra: object) -> Result:
    """Say how many pieces took how many seconds."""
    return {"value": count / seconds, "count": count, "seconds": seconds, **extra}


def latency(took: Sequence[float], **extra: object) -> Result:
    """Say how long each took, in seconds: the median is the value, of which less is better."""
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    result = {"value": statistics.median(ordered), "p99": p99}
    return {**result, "count": len(ordered), "seconds": sum(ordered), **extra}


def repeated(once: Callable[[], int], seconds: float) -> Result:
    """Do it until the seconds are over; it says how many pieces it did each time."""
    count, begun = 0, time.perf_counter()
    while True:
        count += once()
        took = time.perf_counter() - begun
        if took >= seconds:
            return rate(count, took)


def repeated_start(
    start: Callable[[], Sequence[T]], stop: Callable[[T], object], seconds: float
) -> Result:
    """As `repeated`; each that was started is stopped again while nobody looks at the clock."""
    count, took = 0, 0.0
    while took < seconds:
        begun = time.perf_counter()
        started = start()
        took += time.perf_counter() - begun
        count += len(started)
        for each in started:
            stop(each)
    return rate(count, took)


def timed(once: Callable[[], object], seconds: float) -> Result:
    """Time it again and again until the seconds are over."""
    clock, took = time.perf_counter, []
    now = clock()
    end = now + seconds
    while now < end:
        begun = now
        once()
        now = clock()
        took.append(now - begun)
    return latency(took)


async def repeated_async(once: Callable[[], Awaitable[int]], seconds: float) -> Result:
    """As `repeated`, awaiting it."""
    count, begun = 0, time.perf_counter()
    while True:
        count += await once()
        took = time.perf_counter() - begun
        if took >= seconds:
            return rate(count, took)


async def timed_async(once: Callable[[], Awaitable[object]], seconds: float) -> Result:
    """As `timed`, awaiting it."""
    clock, took = time.perf_counter, []
    now = clock()
    end = now + seconds
    while now < end:
        begun = now
        await once()
        now = clock()
        took.append(now - begun)
    return latency(took)


# -- the conversation -----------------------------------------------------------------------------


def serve(works: Mapping[str, Work | AsyncWork]) -> None:
    """Do the work that the command line names, as often as standard input says."""
    name, *rest = sys.argv[1:] or [""]
    settings = dict(text.split("=", 1) for text in rest)
    if name not in works:
        sys.exit(f"{sys.argv[0]}: {name!r} is none of its works: {', '.join(works)}")
    orders, answers = _taken_streams()
    try:
        work = works[name](settings)
        if isinstance(work, AbstractAsyncContextManager):
            asyncio.run(_serve_async(work, orders, answers))
        else:
            _serve(work, orders, answers)
    except Unavailable as reason:
        _say(answers, f"unavailable: {reason}")


def _taken_streams() -> tuple[TextIO, TextIO]:
    """Keep the two streams for the conversation: what others print goes to standard error."""
    orders = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 it is no file
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return orders, answers


def _say(answers: TextIO, line: str) -> None:
    answers.write(f"{line}\n")
    answers.flush()


def _seconds(order: str) -> float:
    verb, _, seconds = order.partition(" ")
    if verb != "round":
        sys.exit(f"{order!r} is no order: round SECONDS is")
    return float(seconds)


def _serve(work: AbstractContextManager[Round], orders: TextIO, answers: TextIO) -> None:
    with work as do_round:
        do_round(WARMING)
        _say(answers, "ready")
        for order in orders:
            _say(answers, json.dumps(do_round(_seconds(order))))


async def _serve_async(
    work: AbstractAsyncContextManager[AsyncRound], orders: TextIO, answers: TextIO
) -> None:
    async with work as do_round:
        await do_round(WARMING)
        _say(answers, "ready")
        while order := await asyncio.to_thread(orders.readline):
            _say(answers, json.dumps(await do_round(_seconds(order))))
