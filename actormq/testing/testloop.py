"""The loop of one test: its fixtures and its body run on it, one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from actormq.testing.clock import ClockLoop, call_really_later, real_sleep
from actormq.testing.leaks import GRACE, Leaks, node_left

POLL = 0.001  # s of real time
CANCELLED_WITHIN = 1.0  # s of real time for tasks to see that they were cancelled

T = TypeVar("T")


class TestLoop:
    """Runs coroutines, one after the other, on a loop of their own.

    Args:
        leaks: Is told what was left on the loop.
        has_clock: Whether its time stands still.
    """

    __test__ = False  # for pytest: this is no test

    def __init__(self, leaks: Leaks, *, has_clock: bool) -> None:
        self._leaks = leaks
        self._runner = asyncio.Runner(loop_factory=ClockLoop if has_clock else None)
        self.loop = self._runner.get_loop()
        self.loop.set_exception_handler(self._heard)

    def run(self, coroutine: Coroutine[Any, Any, T], within: float | None = None) -> T:
        """Run a coroutine to its end.

        Args:
            coroutine: The body of a test, or a part of a fixture.
            within: Seconds of real time that it may take; None for no limit.

        Raises:
            AssertionError: It took longer; the text shows where it was.
        """
        return self._runner.run(coroutine if within is None else _limited(coroutine, within))

    def close(self) -> None:
        """Say what was left, and end it."""
        if isinstance(self.loop, ClockLoop):
            self.loop.thaw()
        self.run(self._stop_nodes())
        if self.run(self._end_tasks()):
            self._runner.close()
        else:
            # It would wait for ever for what does not let itself be cancelled.
            self.loop.close()
            asyncio.set_event_loop(None)

    def _heard(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Python has taken away a task that nobody held: it is not among the loop's any more."""
        task = context.get("task")
        if isinstance(task, asyncio.Task) and not task.done():
            self._leaks.say(f"task left: {_described(task)}, which nobody held on to")
        loop.default_exception_handler(context)

    async def _stop_nodes(self) -> None:
        for node in self._leaks.nodes():
            runtime = node._runtime  # noqa: SLF001 the kit may look inside
            if runtime is not None and runtime.loop.aio is self.loop:
                self._leaks.say(node_left(node))
                await node.stop()

    async def _end_tasks(self) -> bool:
        """Wait for tasks, name those that stay, and say whether they could be ended."""
        end = time.monotonic() + GRACE
        while self._tasks() and time.monotonic() < end:
            await real_sleep(POLL)
        self._leaks.say(*(f"task left: {_described(task)}" for task in self._tasks()))
        end = time.monotonic() + CANCELLED_WITHIN
        while self._tasks() and time.monotonic() < end:
            for task in self._tasks():
                task.cancel()
            await real_sleep(POLL)
        return not self._tasks()

    def _tasks(self) -> list[asyncio.Task[Any]]:
        own = asyncio.current_task()
        return [task for task in asyncio.all_tasks() if task is not own]


async def _limited(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    own = asyncio.current_task()
    assert own is not None
    late: list[str] = []

    def expire() -> None:
        late.append(_described(own))
        own.cancel()

    timer = call_really_later(asyncio.get_running_loop(), seconds, expire)
    try:
        return await coroutine
    except asyncio.CancelledError:
        if not late:
            raise
        sentence = f"the test took longer than {seconds:g} s (actormq_deadline): {late[0]}"
        if isinstance(own.get_loop(), ClockLoop):
            sentence += "; time stands still until `await clock.advance(seconds)`"
        raise AssertionError(sentence) from None
    finally:
        timer.cancel()


def _described(task: asyncio.Task[Any]) -> str:
    """What a task runs, and the line where it is."""
    coroutine: Any = task.get_coro()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    inner = coroutine
    while (below := getattr(inner, "cr_await", None)) is not None and hasattr(below, "cr_frame"):
        inner = below
    frame = getattr(inner, "cr_frame", None)
    where = f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
    return f"{task.get_name()} in {name}{where}"
