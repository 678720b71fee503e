"""An asyncio loop whose time jumps: nothing waits, and the same happens in the same order always.

- Time stands still while callbacks run, and then jumps to the next timer.
- Timers of one moment run in the order in which they were set; so do callbacks.
- Each simulated machine has a *lane*, a queue of its own. All that it has to do in a moment is done
  before the next machine's turn, so that how many steps a task takes, which differs between
  versions of Python, changes nothing for the others.
- A lane can be held (its machine hangs) and dropped (its machine is gone): what belongs to it then
  waits, or never happens. A callback belongs to the lane that its context names, and contexts are
  handed on by asyncio itself.
- There are no threads, no descriptors and no signals. `run_in_executor` calls the function here.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import itertools
import sys
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple

from actormq.testing.simulation.refusing import Refusing

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH = 1_000.0  # s; a machine that has been up for a while, as all have been
STEPS_LIMIT = 1_000_000  # callbacks of one lane in one moment: more is a loop that never waits
_SWEEP = 1_000  # cancelled timers that are not worth sweeping out


class SimulationStuck(RuntimeError):
    """Time cannot go on, or has gone on for too long; says why."""


class Lane:
    """The callbacks of one machine.

    Attributes:
        name: The machine's.
        ready: What is to be called in this moment.
        held: What waits until the machine goes on; None while it runs.
        is_active: Whether it waits for its turn, or has it.
        is_dropped: Whether it is gone for good.
        tasks: Those that were made in it.
    """

    __slots__ = ("held", "is_active", "is_dropped", "name", "ready", "tasks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[Handle] = deque()
        self.held: list[Handle] | None = None
        self.is_active = self.is_dropped = False
        self.tasks: weakref.WeakSet[Task] = weakref.WeakSet()


LANE: contextvars.ContextVar[Lane | None] = contextvars.ContextVar("actormq_lane", default=None)
"""To which lane what is called from this context belongs; None to that of the scenario."""


class Handle(asyncio.TimerHandle):
    """A callback to come; made often, so without what asyncio's own does for debugging."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: contextvars.Context,
    ) -> None:
        self._when = when
        self._callback: Any = callback
        self._args: Any = args
        self._loop = loop
        self._context = context
        self._cancelled = False
        self._scheduled = False
        self._repr = None
        self._source_traceback = None

    def cancel(self) -> None:
        """Do not call it."""
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None
            if self._scheduled:
                self._loop.timer_cancelled()


class Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where it lies in memory."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(Refusing):
    """Runs callbacks by lanes, and time by jumps.

    Args:
        most: Seconds of virtual time after which a run is given up.

    Attributes:
        failures: What callbacks and tasks raised that nobody was there to hear.
    """

    def __init__(self, most: float) -> None:
        self._now = EPOCH
        self._end = EPOCH + most
        self._most = most
        self._main = Lane("scenario")
        self._active: deque[Lane] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._cancelled_count = 0
        self._halted: BaseException | None = None
        self._still = 0  # jumps that did not go anywhere
        self._sequence = itertools.count()
        self._is_closed = False
        self._generators: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()
        self.failures: list[BaseException] = []

    # -- time and callbacks -------------------------------------------------------------------

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._now

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> Handle:
        """Call it in this moment, when its lane gets there."""
        if context is None:
            context = contextvars.copy_context()
        handle = Handle(self._now, callback, args, self, context)
        lane = context.get(LANE)
        self._put(lane or self._main, handle)
        return handle

    call_soon_threadsafe = call_soon  # there are no threads

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> Handle:
        """Call it after `delay` seconds."""
        if context is None:
            context = contextvars.copy_context()
        when = self._now + delay
        handle = Handle(when, callback, args, self, context)
        handle._scheduled = True  # noqa: SLF001 as asyncio's own
        heapq.heappush(self._timers, (when, next(self._sequence), handle))
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> Handle:
        """Call it at a time."""
        if context is None:
            context = contextvars.copy_context()
        handle = Handle(when, callback, args, self, context)
        handle._scheduled = True  # noqa: SLF001 as asyncio's own
        heapq.heappush(self._timers, (when, next(self._sequence), handle))
        return handle

    def timer_cancelled(self) -> None:
        """Count a timer that will do nothing, and sweep when most are such."""
        self._cancelled_count += 1
        if self._cancelled_count > _SWEEP and self._cancelled_count > len(self._timers) // 2:
            self._timers = [entry for entry in self._timers if not entry[2]._cancelled]  # noqa: SLF001
            heapq.heapify(self._timers)
            self._cancelled_count = 0

    def _put(self, lane: Lane, handle: Handle) -> None:
        if lane.held is not None:
            lane.held.append(handle)
        elif not lane.is_dropped:
            lane.ready.append(handle)
            if not lane.is_active:
                lane.is_active = True
                self._active.append(lane)

    # -- running ------------------------------------------------------------------------------

    def run_until_complete(self, future: Awaitable[T] | Any) -> T:
        """Run until a coroutine or a future is done.

        Raises:
            SimulationStuck: It waits for something that never comes, or time is up.
        """
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._generators.add, finalizer=self._finalize)
        asyncio._set_running_loop(self)  # noqa: SLF001 as asyncio's own loops do
        try:
            awaited: asyncio.Future[T] = asyncio.ensure_future(future, loop=self)
            active, is_done = self._active, awaited.done
            while not is_done():
                while active:
                    self._run(active[0])
                if not is_done():
                    self._jump()
            return awaited.result()
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 as above
            sys.set_asyncgen_hooks(*hooks)

    def _run(self, lane: Lane) -> None:
        """Do all that one machine has to do in this moment."""
        ready, steps = lane.ready, 0
        while ready:
            handle = ready.popleft()
            if handle._cancelled:  # noqa: SLF001 ours
                continue
            try:
                handle._context.run(handle._callback, *handle._args)  # noqa: SLF001 ours
            except Exception as error:  # noqa: BLE001 a border, as in asyncio
                self.failures.append(error)
            steps += 1
            if steps > STEPS_LIMIT:
                raise SimulationStuck(
                    f"{lane.name} goes round in circles at {self._now - EPOCH:.6f} s: "
                    f"{STEPS_LIMIT} callbacks, and none of them waits"
                )
        lane.is_active = False
        self._active.popleft()

    def _jump(self) -> None:
        """Go to the moment of the next timer."""
        if self._halted is not None:
            raise self._halted
        timers = self._timers
        while timers and timers[0][2]._cancelled:  # noqa: SLF001 ours
            heapq.heappop(timers)
            self._cancelled_count -= 1
        if not timers:
            raise SimulationStuck(
                f"nothing is left to happen at {self._now - EPOCH:.6f} s, and the scenario waits"
            )
        now = timers[0][0]
        if now > self._end:
            raise SimulationStuck(
                f"the scenario has not ended within {self._most:g} virtual seconds; "
                "simulate(..., most=...) allows more"
            )
        if now > self._now:
            self._now, self._still = now, 0
        else:
            self._still += 1
            if self._still > STEPS_LIMIT:
                raise SimulationStuck(
                    f"time stands still at {self._now - EPOCH:.6f} s: "
                    "a timer sets itself again and again for no time at all"
                )
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            handle._scheduled = False  # noqa: SLF001 ours
            if handle._cancelled:  # noqa: SLF001 ours
                self._cancelled_count -= 1
            else:
                lane = handle._context.get(LANE)  # noqa: SLF001 ours
                self._put(lane or self._main, handle)

    def halt(self, error: BaseException) -> None:
        """End the run with an error, once what happens in this moment has happened."""
        self._halted = self._halted or error

    # -- lanes --------------------------------------------------------------------------------

    def hold(self, lane: Lane) -> None:
        """Let a machine do nothing for a while; what comes meanwhile waits."""
        if lane.held is None:
            lane.held = list(lane.ready)
            lane.ready.clear()

    def resume(self, lane: Lane) -> None:
        """Let it go on."""
        held, lane.held = lane.held, None
        for handle in held or ():
            self._put(lane, handle)

    def drop(self, lane: Lane) -> None:
        """Let it do nothing for ever."""
        lane.is_dropped, lane.held = True, None
        lane.ready.clear()

    # -- tasks --------------------------------------------------------------------------------

    def create_task(self, coro: Any, **options: Any) -> Task:
        """Make a task, in the lane of its context."""
        task = Task(coro, loop=self, **options)
        context = options.get("context")
        lane = LANE.get() if context is None else context.get(LANE)
        task.number = next(self._sequence)
        (lane or self._main).tasks.add(task)
        return task

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future."""
        return asyncio.Future(loop=self)

    def run_in_executor(
        self,
        executor: Any,  # noqa: ARG002 there is none
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Call it here, soon: there are no threads, and no time passes meanwhile."""
        future: asyncio.Future[T] = self.create_future()

        def call() -> None:
            if not future.cancelled():
                try:
                    future.set_result(func(*args))
                except Exception as error:  # noqa: BLE001 whoever awaits it is told
                    future.set_exception(error)

        self.call_soon(call)
        return future

    # -- what else asyncio asks for -----------------------------------------------------------

    def get_debug(self) -> bool:
        """No: a simulation finds its bugs by itself."""
        return False

    def is_running(self) -> bool:
        """Whether it is the loop that runs."""
        return asyncio._get_running_loop() is self  # noqa: SLF001 as above

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    def close(self) -> None:
        """Forget what was to come."""
        self._is_closed = True
        self._timers.clear()
        self._active.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember what a task or a callback raised."""
        error = context.get("exception")
        if not isinstance(error, BaseException):
            error = RuntimeError(str(context.get("message")))
        self.failures.append(error)

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._is_closed:
            self.create_task(_closed(generator))


async def _closed(generator: AsyncGenerator[Any, Any]) -> None:
    await generator.aclose()


def ended(coroutine: Coroutine[Any, Any, Any] | Any) -> None:
    """End a coroutine of a machine that is gone; what it does at its end is nobody's concern."""
    with contextlib.suppress(Exception):  # it is not there any more to fail
        coroutine.close()
