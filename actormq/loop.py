"""The one loop of a node: turns for actors, flushes for links, the way in from other threads.

One run queue and one `call_soon` a tick; never a task, a future or a callback per message.
That is what makes a local tell cost a third of a microsecond and not five (measured).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import threading
from asyncio.tasks import _enter_task, _leave_task
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic, perf_counter, sleep
from typing import Any, Protocol

from tornado.ioloop import IOLoop

from actormq.settings import PAUSE_EVERY, TICK_SECONDS, TURN_MESSAGES, TURN_SECONDS

_give_way: Callable[[], object] = getattr(os, "sched_yield", partial(sleep, 0))  # not on Windows


class Turn(Protocol):
    """Whoever waits in the run queue: an actor's cell."""

    def turn(self) -> None:
        """Do a bounded piece of work; ask for another turn if some is left."""


class Flushable(Protocol):
    """Whoever joins what one tick says into few frames: a link, a publisher."""

    def flush(self) -> None:
        """Send what has gathered."""


class Loop:
    """The run queue of a node on the Tornado loop of its thread.

    Must be made on the thread and inside the running loop that the node will use.

    Args:
        clock: Measures turns; another one than the real in a simulation.
        spin: For how long the loop looks for what it expects before it sleeps, in seconds.

    Attributes:
        aio: The asyncio loop under Tornado's.
        io: Tornado's loop on top of it.
        context: The node's, which turns run in; not that of whoever sent the first message.
        dirty: Who waits to be flushed.
        clock: Measures how long a turn holds the loop, in seconds.
        looked: What it said when the turn under way began.
        now: Tells the node's time, in seconds: monotonic, with no meaning outside this process.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter, spin: float = 0.0) -> None:
        self.clock = clock
        self._spin = spin
        self._spin_until = 0.0
        self._is_spinning = False
        self._polls: dict[int, Callable[[], bool]] = {}
        self.looked = clock()
        self.aio = asyncio.get_running_loop()
        # What asyncio's own loops call in turn; those of tests and others have their own time.
        is_plain = type(self.aio).time is asyncio.BaseEventLoop.time
        self.now: Callable[[], float] = monotonic if is_plain else self.aio.time
        self.io = IOLoop.current()
        self.thread = threading.get_ident()
        self._ready: deque[Turn] = deque()
        self.dirty: list[Flushable] = []
        self._late: list[Flushable] = []
        self._scheduled = False
        self._ahead_left = TURN_MESSAGES  # turns that may still be had ahead of the next tick
        self._ahead_until = 0.0  # on the node's clock
        self.context = contextvars.copy_context()
        self._quick_count = 0

    def is_current(self) -> bool:
        """Whether the caller runs on the loop's thread."""
        return threading.get_ident() == self.thread

    def is_pause_due(self) -> bool:
        """Whether who does something quick without a pause should let others have their turn.

        Asked for each such thing it is True once in `PAUSE_EVERY` times, which a clock would cost
        more to say.
        """
        self._quick_count += 1
        return self._quick_count % PAUSE_EVERY == 0

    def ready(self, turn: Turn) -> None:
        """Queue an actor for its next turn; it must not be queued already."""
        self._ready.append(turn)
        if not self._scheduled:
            self._scheduled = True
            self.aio.call_soon(self._tick, context=self.context)

    def unready(self, turn: Turn) -> None:
        """Take an actor out of the queue if it stands there; that looks through all of it."""
        with contextlib.suppress(ValueError):
            self._ready.remove(turn)

    def overtake(self, turn: Turn, asked: float) -> bool:
        """Take an actor out of the queue for a turn ahead of the tick, since somebody awaits it.

        It must have been queued last, which whoever is in a turn or busy is not. As many turns may
        be had so as one actor may handle messages, and for as long; then the tick is due.

        Args:
            turn: The actor.
            asked: When that somebody asked, on the node's clock; NaN if that is not known.

        Returns:
            Whether the turn is to be had now.
        """
        ready = self._ready
        if not ready or ready[-1] is not turn:
            return False
        if not asked <= self._ahead_until or not self._ahead_left:
            if self._ahead_left < TURN_MESSAGES:
                return False
            self._ahead_until = self.now() + TURN_SECONDS
        self._ahead_left -= 1
        ready.pop()
        if ready:
            self.look_ahead()
        return True

    def look_ahead(self) -> None:
        """Have no more turns ahead of the tick if those took long.

        When somebody asked says so, without a look at the clock, unless several asks were made
        before the first was awaited.
        """
        if self.now() > self._ahead_until:
            self._ahead_left = 0

    def run_apart(self, callback: Callable[..., object], *args: Any) -> None:
        """Call it as a tick would, whoever the caller is: in the node's context, and in no task."""
        task = asyncio.current_task(self.aio)
        if task is not None:
            _leave_task(self.aio, task)
        try:
            self.context.copy().run(callback, *args)
        except (Exception, asyncio.CancelledError):  # a border, as in `_tick`
            logging.getLogger("actormq").exception("internal error in a turn: please report")
        finally:
            if task is not None:
                _enter_task(self.aio, task)

    def flush_soon(self, flushable: Flushable) -> None:
        """Flush it at the end of this tick; it must not be waiting for that already."""
        self.dirty.append(flushable)
        self._schedule()

    def flush_last(self, flushable: Flushable) -> None:
        """As `flush_soon`, but never before the tick has ended."""
        self._late.append(flushable)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.aio.call_soon(self._tick, context=self.context)

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Call it in the node's context when this tick is over."""
        self.aio.call_soon(callback, *args, context=self.context)

    def call_later(
        self, seconds: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call it in the node's context after `seconds`."""
        return self.aio.call_later(seconds, callback, *args, context=self.context)

    def call_from_thread(self, callback: Callable[..., object], *args: Any) -> None:
        """Call it on the loop, from any thread; nothing happens once the loop has closed."""
        try:
            self.aio.call_soon_threadsafe(callback, *args, context=self.context)
        except RuntimeError:
            if not self.aio.is_closed():
                raise

    def watch(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Call it in the node's context whenever there is something to read.

        Turns that it asks for are given and flushes made right behind it, and not in the loop's
        next round: that is 5 µs sooner, of the 100 that an ask between two processes takes.
        """
        # A copy, for the node may be in its context just now; add_reader keeps the one it is in.
        self.context.copy().run(self.aio.add_reader, descriptor, self.woken, callback)

    def unwatch(self, descriptor: int) -> None:
        """Watch it no more."""
        self._polls.pop(descriptor, None)
        self.aio.remove_reader(descriptor)

    def expect(self) -> None:
        """Something will come soon: with `spin`, look for it for so long before the loop sleeps."""
        if self._spin:
            self._spin_until = self.clock() + self._spin
            if not self._is_spinning:
                self._is_spinning = True
                self.call_soon(self._look)

    def poll(self, descriptor: int, has_come: Callable[[], bool]) -> None:
        """While the loop spins, ask whether something has come that a descriptor is watched for."""
        self._polls[descriptor] = has_come

    def _look(self) -> None:
        """Spin until something has come, for the time that is left."""
        self._is_spinning = False
        clock, until = self.clock, self._spin_until
        while self._polls and not self._scheduled and clock() < until:
            if any(has_come() for has_come in self._polls.values()):
                self._is_spinning = True
                self.call_soon(self._look)  # behind what that has woken
                return
            _give_way()  # to the threads that are to bring it, where processors are few

    def woken(self, callback: Callable[[], object]) -> None:
        """Call it, and then give the turns and make the flushes that it has asked for."""
        if self._scheduled:
            callback()
            return
        self._scheduled = True
        try:
            callback()
        finally:
            self._tick()

    def _tick(self) -> None:
        ready, clock = self._ready, self.clock
        self._ahead_left, self._ahead_until = TURN_MESSAGES, 0.0
        self.looked = now = clock()
        flush_at, end = now + TURN_SECONDS, now + TICK_SECONDS
        while ready:
            turn = ready.popleft()
            try:
                turn.turn()
            except (Exception, asyncio.CancelledError):  # a border: a bug must not stop the others
                logging.getLogger("actormq").exception("internal error in a turn: please report")
            self.looked = now = clock()
            if now > flush_at:
                # Replies that are ready must not wait for those who hold the loop.
                self.flush()
                flush_at = now + TURN_SECONDS
                if now > end:
                    break
        self.flush()
        if self._late:
            late, self._late = self._late, []
            _flush_all(late)
        if ready:
            self.aio.call_soon(self._tick, context=self.context)
        else:
            self._scheduled = False

    def flush(self) -> None:
        """Send at once what waits for the end of the tick."""
        while self.dirty:
            dirty, self.dirty = self.dirty, []
            _flush_all(dirty)


def _flush_all(flushables: list[Flushable]) -> None:
    for flushable in flushables:
        try:
            flushable.flush()
        except Exception:  # a border, as in `_tick`: it could never be scheduled again
            logging.getLogger("actormq").exception("internal error in a flush: please report")
