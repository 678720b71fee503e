"""Deadlines for many asks at the price of one timer.

Most asks are answered long before their deadline.
A timer each would cost more than the ask itself, so they share buckets of 10 ms, and the one timer
stands at the earliest bucket.
A bucket that all have left in time stays until somebody sweeps: to see that it is empty as each
leaves would cost more than all the rest.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from operator import itemgetter
from typing import Any, Protocol

from actormq.loop import Loop

EARLY = 1e-6  # s that a timer may come too early by rounding; or it would be set for no time at all
NEVER = 1e12  # s; 30 000 years, and far from where a number of buckets is none any more
BUCKETS_PER_SECOND = 100  # an ask ends at most 10 ms late; the default deadline is 5 s
BUCKETS_LEAST = 64  # below, nobody looks for empty ones: they are some 20 kB


class Served:
    """The message that a handler serves: its deadline bounds the asks that the handler makes.

    Attributes:
        deadline: When it must be answered, on the node's clock; infinite if nobody waits, and once
            the handler has ended, for what it left running serves nobody any more.
        cell: The cell of the handler's actor.
        call: The handler.
        answer: Where its result goes.
        began: When it suspended first, on the node's clock.
        awaits: The replies that it awaits, each with the time since when, and whether the handler
            itself does or a task that it has started. Threads read it: it is replaced, not changed.
    """

    __slots__ = ("answer", "awaits", "began", "call", "cell", "deadline")

    def __init__(
        self, deadline: float, cell: Any = None, call: Any = None, answer: Any = None
    ) -> None:
        self.deadline = deadline
        self.cell = cell
        self.call = call
        self.answer = answer
        self.began = 0.0
        self.awaits: dict[Any, tuple[float, bool]] | None = None


CURRENT: contextvars.ContextVar[Served] = contextvars.ContextVar("actormq_served")
"""The message that is being handled in this context."""


def deadline_for(now: float, within: float | None, default: float) -> tuple[float, float]:
    """Say how long an ask may take: its own time, and no longer than the ask it serves.

    Returns:
        Seconds from now, and the time on the node's clock.
    """
    seconds = default if within is None else within
    outer = CURRENT.get(None)
    if outer is not None and outer.deadline - now < seconds:
        seconds = max(outer.deadline - now, 0.0)
    return seconds, now + seconds


def bucket_end(deadline: float) -> float:
    """When the bucket of a deadline ends: earlier ones than that, from this one on, are in it."""
    return (int((deadline + EARLY) * BUCKETS_PER_SECOND) + 1) / BUCKETS_PER_SECOND - EARLY


class Expires(Protocol):
    """What has a deadline."""

    def expire(self) -> None:
        """The deadline has come."""


Bucket = dict[Expires, None]
"""Those whose deadlines are the same, to 10 ms."""


class Open(Expires, Protocol):
    """What has a deadline, unless it ends in this very tick.

    Attributes:
        deadline: On the node's clock.
        is_done: Whether it has ended.
    """

    deadline: float
    is_done: bool

    def arm(self, deadlines: Deadlines, deadline: float) -> None:
        """Let it expire at `deadline`."""


class Deadlines:
    """All deadlines of a node."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._buckets: dict[int, Bucket] = {}
        self._heap: list[int] = []
        self._sweep_at = BUCKETS_LEAST
        self._new: list[Open] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def add(self, item: Expires, deadline: float) -> Bucket | None:
        """Call `item.expire()` at `deadline`, on the node's clock; from `NEVER` on it never is.

        Returns:
            What holds it, from which it is taken if it ends in time.
        """
        if deadline >= NEVER:
            return None
        number = int((deadline + EARLY) * BUCKETS_PER_SECOND) + 1
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
            heapq.heappush(self._heap, number)
            if self._heap[0] == number:
                self._arm()
        bucket[item] = None
        return bucket

    def sweep(self) -> None:
        """Let go of buckets that all have left, if there are twice as many as were in use.

        The timer may then come for nothing, once.
        """
        if len(self._heap) < self._sweep_at:
            return
        self._buckets = dict(filter(itemgetter(1), self._buckets.items()))
        self._heap = sorted(self._buckets)
        self._sweep_at = max(2 * len(self._heap), BUCKETS_LEAST)

    def add_soon(self, item: Open) -> None:
        """Arm it at the end of the tick, unless it is done by then, as most asks are."""
        if not self._new:
            self._loop.flush_last(self)
        self._new.append(item)

    def flush(self) -> None:
        """The tick has ended."""
        new, self._new = self._new, []
        for item in new:
            if not item.is_done:
                item.arm(self, item.deadline)

    def waiting(self) -> list[Expires]:
        """Those that have not come, the earliest first."""
        armed = [item for bucket in sorted(self._buckets) for item in self._buckets[bucket]]
        return [*armed, *(item for item in self._new if not item.is_done)]

    def close(self) -> None:
        """Stop the timer; nothing expires any more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._is_closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        wait = self._heap[0] / BUCKETS_PER_SECOND - self._loop.now()
        self._timer = self._loop.call_later(max(wait, 0.0), self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = (self._loop.now() + EARLY) * BUCKETS_PER_SECOND
        while self._heap and self._heap[0] <= now:
            # A copy, for whoever is told of the end of one may end others.
            for item in list(self._buckets.pop(heapq.heappop(self._heap))):
                item.expire()
        if self._heap:
            self._arm()
