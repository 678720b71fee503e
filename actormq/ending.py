"""The end of a process that runs a node: in order, in time, and at once if somebody insists.

The first SIGINT, SIGTERM or SIGHUP asks for the end in order; SIGTERM, which service managers
send, for that without an error at anybody's: the node is drained first. Python runs its own
handlers of signals between any two steps of the main thread, also while a handler of an actor
holds the loop; so that is where a guard is started: a thread that ends the process hard when the
node's `shutdown_timeout` and a grace are over, and says what did not end. The second signal meets
the operating system's own action, which needs nothing of us.

asyncio's own end may wait for ever: for tasks that swallow their cancellation, and for threads.
Here both have their time, and what is left then is named and left behind.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self, TypeVar

from actormq import unended
from actormq.collector import collecting_seldom
from actormq.node import Node
from actormq.stepping import Exit, contained
from actormq.threads import Threads

R = TypeVar("R")

GRACE = 1.5  # s past shutdown_timeout, in which the node ends: SETTLE, and a busy machine
PATIENCE = 0.5  # s for what `asyncio.to_thread` still runs when the program has ended
LAST_MOMENT = 0.1  # s for tasks that have been cancelled before, in vain
SETTLE = 1.0  # s for tasks of the user's to end once they are cancelled

SIGNALS = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):  # the terminal was closed; Windows has no word for it
    SIGNALS.append(signal.SIGHUP)


def run_to_end(
    node: Node, main: Coroutine[Any, Any, R], end: Callable[[asyncio.Task[R], int], object]
) -> R:
    """Run a program in a loop of its own, and end that in bounded time, whatever is in it.

    Args:
        node: Which the program runs.
        main: The program.
        end: Called on the loop at the first signal, with the program's task and its number.

    Returns:
        What `main` returned.

    Raises:
        SystemExit: A signal cut `main` off, or something did not end after one; with status 128
            and the signal's number, that of SIGTERM where the node was drained. Or a handler
            raised it.
        RestartLimitReached: A supervisor under no other one gave up.
    """
    runner = asyncio.Runner()
    loop = runner.get_loop()
    loop.set_default_executor(Threads("actormq-run", patience=PATIENCE))
    with collecting_seldom(), _Signals(loop, node) as signals:

        async def program() -> R:
            # What ends the program must not fly out of a task: asyncio would fall over it.
            task: asyncio.Task[R] = asyncio.create_task(contained(main))
            node.when_ended_from_outside(lambda: node.is_awaited or task.cancel())
            signals.come.add_done_callback(lambda _: end(task, signals.number))
            return await task

        try:
            value: R = runner.run(program())
        except Exit as exit_:
            raise _as_exit(exit_.word) from None
        except asyncio.CancelledError:
            if signals.number:
                raise SystemExit(128 + signals.number) from None
            if node.failure is not None:
                raise _as_exit(node.failure) from None
            if node.was_drained:  # from elsewhere, which is as good as the signal
                raise SystemExit(128 + signal.SIGTERM) from None
            raise
        finally:
            left = runner.run(_settle())
            runner.close()
        if signals.number and (left or node.left):
            raise SystemExit(128 + signals.number)
        if node.failure is not None:
            raise _as_exit(node.failure)
        return value


def _as_exit(failure: BaseException) -> BaseException:
    """What ended a node, as what ends its program."""
    return SystemExit(128 + signal.SIGINT) if isinstance(failure, KeyboardInterrupt) else failure


async def _settle() -> bool:
    """Cancel all other tasks, and leave those behind that go on; say whether there are any."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if not tasks:
        return False
    fresh = [task for task in tasks if not task.cancelling()]  # the others have had their time
    for task in tasks:
        task.cancel()
    _, left = await asyncio.wait(tasks, timeout=SETTLE if fresh else LAST_MOMENT)
    for line in unended.of_tasks(left):
        logging.getLogger("actormq").warning("did not end: %s", line)
    for task in left:
        # asyncio would wait for it, and complain when it is thrown away.
        asyncio._unregister_task(task)  # noqa: SLF001 documented, as in stepping.py
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 as asyncio itself does
    return bool(left)


class _Signals:
    """Hears the first signal, wherever the main thread is.

    Args:
        loop: The loop of the node.
        node: Whose end the guard waits for.

    Attributes:
        number: The signal that came; 0 before.
        come: Done once it has, on the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, node: Node) -> None:
        self.number = 0
        self.come: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._node = node
        self._before: dict[int, Any] = {}
        self._ended = _thread.allocate_lock()
        self._ended.acquire()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # whoever runs us there ends us
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before is signal.SIG_IGN and number not in (signal.SIGINT, signal.SIGTERM):
                continue  # nohup: the terminal may go, and the program goes on
            self._before[number] = before
            # Wakes a loop that sleeps; Windows' loop has no such thing, and wakes by itself.
            with contextlib.suppress(NotImplementedError):
                self._loop.add_signal_handler(number, lambda: None)
            signal.signal(number, self._first)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.release()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _first(self, number: int, _frame: object) -> None:
        """Runs between two steps of the main thread, so it must take no lock."""
        for other in self._before:
            signal.signal(other, signal.SIG_DFL)
        self.number = number
        _thread.start_new_thread(_guard, (self._ended, self._node, number))
        with contextlib.suppress(RuntimeError):  # the loop has closed: the end has come already
            self._loop.call_soon_threadsafe(self.come.set_result, None)


def _guard(ended: Any, node: Node, number: int) -> None:
    """End the process when its time is over."""
    if ended.acquire(timeout=node.shutdown_timeout + GRACE):
        return
    lines = node.unended()
    if not lines:
        when = "although it was cancelled" if node.is_running else "after its node has stopped"
        lines = [f"the program itself goes on {when}"]
    text = "".join(f"{node.name}: did not end: {line}\n" for line in lines)
    os.write(2, text.encode(errors="replace"))
    flushed = _thread.allocate_lock()
    flushed.acquire()
    _thread.start_new_thread(_flush, (flushed,))
    flushed.acquire(timeout=0.2)  # the thread that is stuck may hold its lock
    os._exit(128 + number)


def _flush(done: Any) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    done.release()


@contextlib.contextmanager
def ending_on_signals(end: Callable[[int], object]) -> Iterator[None]:
    """Call `end` with the number of the first SIGINT, SIGTERM or SIGHUP.

    A second signal ends the process at once, without a word.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def first(number: int) -> None:
        for other in before:
            loop.remove_signal_handler(other)
            signal.signal(other, signal.SIG_DFL)
        end(number)

    for number in SIGNALS:
        handler = signal.getsignal(number)
        # Not on the main thread, or on Windows' loop: whoever runs us there ends us.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, first, number)
            before[number] = handler
    try:
        yield
    finally:
        for installed, handler in before.items():
            loop.remove_signal_handler(installed)
            signal.signal(installed, handler)
