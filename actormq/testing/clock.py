"""A clock that is moved by hand: a loop whose time stands still, while its sockets go on working.

Virtual time goes from timer to timer. Before each step and after the last the loop *settles*: it
runs until nothing is ready, no blocking handler is under way, no envelope is between two nodes of
this process, and its sockets were quiet for `QUIET` of real time. So what a timer sets off on one
node has arrived on the other before the next timer runs.

Time is asked through asyncio alone (`loop.time()`, `call_at`): heartbeats, deadlines, `@every`,
`after`, `asyncio.sleep` and `asyncio.timeout` follow without knowing of it. What threads and
ZeroMQ do by themselves (connecting, `LINGER`) takes the time that it takes.

Waiting in `select` with a time that stands still would be waiting for ever: the loop waits for
sockets and for real timers (`call_really_later`) only, and settling is such a wait with an end.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import heapq
import itertools
import math
import selectors
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, TypeVarTuple

from actormq.cluster.pulse import Pulse
from actormq.testing.flight import Flight

QUIET = 0.001  # s of real time without a sign from any socket; a hop over loopback takes 0.1 ms
SETTLE_LIMIT = 10.0  # s of real time; what does not get quiet by then never will
_BEGINNING = 1_000.0  # s; a whole number above 0, as a machine's own clock would show
_QUIET_LOOKS = 5  # of a loop that cannot say whether it is idle
_TOGETHER = 1e-6  # s; timers that are apart by less mean the same moment: sums of 0.1 are inexact
_ALONE = 2  # descriptors of a loop with one socket: its own pair to wake it up, and that one


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ClockLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still until somebody moves it.

    Made by the fixture `clock`; `asyncio.Runner(loop_factory=ClockLoop)` makes one by hand.
    """

    def __init__(self) -> None:
        self._now = _BEGINNING
        self._thawed_at: float | None = None
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._real_timers: list[tuple[float, int, asyncio.Handle]] = []
        self._numbers = itertools.count()
        self._running_jobs = 0
        self._settling: _Settling | None = None
        self._flight = Flight()
        super().__init__(_Selector(selectors.DefaultSelector(), self._wait))

    # -- time ---------------------------------------------------------------------------------

    def time(self) -> float:
        """The virtual time, in seconds."""
        if self._thawed_at is None:
            return self._now
        return self._now + time.monotonic() - self._thawed_at

    def thaw(self) -> None:
        """Let time go by itself from now on: for the end of a test."""
        if self._thawed_at is None:
            self._thawed_at = time.monotonic()

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio has it; `call_later` and `sleep` come through here too."""
        handle = super().call_at(when, callback, *args, context=context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def call_really_later(self, seconds: float, callback: Callable[..., object]) -> asyncio.Handle:
        """Call it after so many seconds of real time, whatever the clock shows."""
        handle = asyncio.Handle(callback, (), self)
        due = time.monotonic() + seconds
        heapq.heappush(self._real_timers, (due, next(self._numbers), handle))
        return handle

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As asyncio has it; what runs in a thread is waited for before time goes on."""
        future = super().run_in_executor(executor, func, *args)
        self._running_jobs += 1
        future.add_done_callback(self._job_ended)
        return future

    def _job_ended(self, _future: object) -> None:
        self._running_jobs -= 1

    # -- moving it ----------------------------------------------------------------------------

    async def advance(self, seconds: float) -> None:
        """Move the time, see `Clock.advance`."""
        end = self._now + seconds
        await self.settle()
        while (when := self._next_timer()) is not None and when <= end + _TOGETHER:
            is_tick = self._is_tick(when)
            if is_tick and self._flight.has_nobody_to_meet(self):
                when = min(self._next_other(), end)  # hours of looking at no peers are passed over
            self._now = max(self._now, when)
            await self.settle(is_tick=is_tick)
        self._now = max(self._now, end)
        await self.settle()

    def _next_timer(self) -> float | None:
        timers = self._timers
        while timers and (timers[0][2].cancelled() or timers[0][0] <= self._now):
            heapq.heappop(timers)  # what is not cancelled has run: the loop has settled
        return timers[0][0] if timers else None

    def _is_tick(self, when: float) -> bool:
        """Say whether only meshes look at their peers then: what that sends, `Flight` knows."""
        return all(_looks_at_peers(handle) for at, _, handle in self._timers if at <= when)

    def _next_other(self) -> float:
        """When the next timer is due that is not a mesh's; infinite if there is none."""
        others = (
            at
            for at, _, handle in self._timers
            if not handle.cancelled() and not _looks_at_peers(handle)
        )
        return min(others, default=math.inf)

    async def settle(self, *, is_tick: bool = False) -> None:
        """Wait until nothing more happens without time going on.

        Args:
            is_tick: Whether nothing but envelopes between nodes can be under way.

        Raises:
            RuntimeError: It did not get quiet, or somebody else is waiting for that.
        """
        if self._settling is not None:
            raise RuntimeError("the clock is being moved already: await one advance() at a time")
        settling = self._settling = _Settling(self.create_future(), is_tick)
        try:
            await settling.done
        finally:
            self._settling = None

    # -- waiting ------------------------------------------------------------------------------

    def _wait(self, inner: selectors.BaseSelector, timeout: float | None) -> list[Any]:
        """What `select` is here: the loop comes by whenever it has run all that was ready."""
        is_idle = timeout is None or timeout > 0
        if self._settling is not None:
            self._check_limit(self._settling)
        if not is_idle:
            return inner.select(0)
        wait = timeout if self._thawed_at is not None else None
        if self._real_timers:
            left = self._real_timers[0][0] - time.monotonic()
            wait = max(left if wait is None else min(wait, left), 0)
        settling = self._settling
        if settling is not None and not settling.done.done():
            events = inner.select(self._quiet_for(inner, settling))
            if not events and not self._running_jobs and not self._flight.count(self):
                settling.done.set_result(None)
        else:
            events = inner.select(wait)
        self._run_real_timers()
        return events

    def _quiet_for(self, inner: selectors.BaseSelector, settling: _Settling) -> float:
        if self._running_jobs or self._flight.count(self):
            return QUIET
        is_counted = settling.is_tick and not self._flight.is_dialling(self)
        is_alone = is_counted or len(inner.get_map()) <= _ALONE
        return 0 if is_alone else QUIET

    def _check_limit(self, settling: _Settling) -> None:
        if time.monotonic() < settling.limit or settling.done.done():
            return
        why = (
            f"{self._running_jobs} blocking handlers still run"
            if self._running_jobs
            else "something goes on without it, such as a loop that never waits"
        )
        text = f"the clock stands still: no quiet within {SETTLE_LIMIT:g} s of real time, for {why}"
        settling.done.set_exception(RuntimeError(text))

    def _run_real_timers(self) -> None:
        now = time.monotonic()
        while self._real_timers and self._real_timers[0][0] <= now:
            handle = heapq.heappop(self._real_timers)[2]
            if not handle.cancelled():
                self.call_soon(handle._run)  # noqa: SLF001 what a loop does with a handle


_MESH_TICK = Pulse._beat  # noqa: SLF001 the one timer of which is known what it can send


def _looks_at_peers(handle: asyncio.TimerHandle) -> bool:
    callback = getattr(handle, "_callback", None)  # None of one that was cancelled
    return callback is None or getattr(callback, "__func__", None) is _MESH_TICK


class _Settling:
    """Somebody waits until the loop is quiet."""

    def __init__(self, done: asyncio.Future[None], is_tick: bool) -> None:
        self.done = done
        self.is_tick = is_tick
        self.limit = time.monotonic() + SETTLE_LIMIT


class _Selector(selectors.BaseSelector):
    """A selector that asks somebody else how long it shall wait."""

    def __init__(
        self,
        inner: selectors.BaseSelector,
        wait: Callable[[selectors.BaseSelector, float | None], list[Any]],
    ) -> None:
        self._inner = inner
        self._wait = wait

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[Any]:
        return self._wait(self._inner, timeout)

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()


class Clock:
    """The time of a test's nodes; it stands still until it is moved.

    Args:
        loop: The loop whose time it is.
    """

    def __init__(self, loop: ClockLoop) -> None:
        self._loop = loop

    @property
    def now(self) -> float:
        """How far it was moved since the test began, in seconds."""
        return round(self._loop.time() - _BEGINNING, 6)

    async def advance(self, seconds: float) -> None:
        """Move it, and run every timer on the way, in its order, each at its own time.

        Returns when all that the timers set off has been handled, on all nodes of the test.

        Args:
            seconds: How far, 0 or more; 0 only waits until all is quiet.

        Raises:
            ValueError: Time does not go back.
            RuntimeError: Something keeps the loop busy, so that time cannot go on.
        """
        if not seconds >= 0:
            raise ValueError(f"advance({seconds!r}): a clock is moved by 0 seconds or more")
        await self._loop.advance(seconds)


def call_really_later(
    loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[[], object]
) -> asyncio.Handle:
    """Call it after so many seconds of real time, on any loop."""
    if isinstance(loop, ClockLoop):
        return loop.call_really_later(seconds, callback)
    return loop.call_later(seconds, callback)


async def real_sleep(seconds: float) -> None:
    """Sleep for so many seconds of real time, whatever the clock shows."""
    passed = asyncio.Event()
    handle = call_really_later(asyncio.get_running_loop(), seconds, passed.set)
    try:
        await passed.wait()
    finally:
        handle.cancel()


async def settled() -> None:
    """Wait until nothing more happens without time going on; on any loop."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, ClockLoop):
        await loop.settle()
        return
    flight, quiet = Flight(), 0
    end = time.monotonic() + SETTLE_LIMIT
    while quiet < _QUIET_LOOKS and time.monotonic() < end:
        await asyncio.sleep(QUIET)
        quiet = 0 if flight.count(loop) else quiet + 1
