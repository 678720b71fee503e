"""Threads for what blocks: as many as are needed, up to a limit, and none that anybody waits for.

`concurrent.futures.ThreadPoolExecutor` joins its threads when the interpreter ends, for as long as
it takes: one handler that blocks for ever would keep the process for ever. These are daemons.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

THREADS_LIMIT = 64  # threads of one pool; what blocks mostly sleeps, and a stack costs some 100 KiB
IDLE_SECONDS = 5.0  # s that a thread waits for more to do before it ends


class _Job:
    """One call, and where its result goes."""

    __slots__ = ("_call", "future")

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call: Callable[[], Any] | None = call
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def run(self) -> None:
        call, self._call = self._call, None
        if call is None or not self.future.set_running_or_notify_cancel():
            return
        try:
            value = call()
        except BaseException as error:  # noqa: BLE001 all of them belong to whoever waits
            self.future.set_exception(error)
        else:
            self.future.set_result(value)


class Threads(concurrent.futures.ThreadPoolExecutor):
    """An executor of daemon threads that come and go.

    It is a ThreadPoolExecutor in name only, since asyncio takes no other for its default one.

    Args:
        name: What the threads are called, with a number.
        limit: How many there may be; what is above that waits.
        patience: Seconds for which `shutdown` waits, where it is to wait.
    """

    def __init__(
        self, name: str, limit: int = THREADS_LIMIT, patience: float = IDLE_SECONDS
    ) -> None:
        super().__init__(1)
        self._name = name
        self._limit = limit
        self._patience = patience
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._idle = 0
        self._count = 0
        self._serial = 0
        self._busy: dict[int, float] = {}
        self._is_closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run it in a thread; see `Executor.submit`.

        Raises:
            RuntimeError: The pool was shut down.
        """
        job = _Job(lambda: fn(*args, **kwargs))
        with self._changed:
            if self._is_closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._changed.notify()
            elif self._count < self._limit:
                self._count += 1
                self._serial += 1
                name = f"{self._name}-{self._serial}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        return job.future

    def _work(self) -> None:
        own = threading.get_ident()
        while True:
            with self._changed:
                self._busy.pop(own, None)
                job = self._next()
                if job is None:
                    self._count -= 1
                    self._changed.notify_all()
                    return
                self._busy[own] = time.monotonic()
            job.run()
            del job  # what it holds must not wait for the next one

    def _next(self) -> _Job | None:
        end = time.monotonic() + IDLE_SECONDS
        self._idle += 1
        try:
            while not self._jobs:
                left = end - time.monotonic()
                if self._is_closed or left <= 0:
                    return None
                self._changed.wait(left)
            return self._jobs.popleft()
        finally:
            self._idle -= 1

    def busy(self) -> dict[int, float]:
        """The idents of threads that do something, and since when, on the monotonic clock."""
        with self._changed:
            return dict(self._busy)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more, and let idle threads end.

        Args:
            wait: Whether to wait for the threads, for as long as patience lasts.
            cancel_futures: Whether what has not begun never will.
        """
        with self._changed:
            self._is_closed = True
            jobs = list(self._jobs) if cancel_futures else []
            if cancel_futures:
                self._jobs.clear()
            self._changed.notify_all()
        for job in jobs:
            job.future.cancel()
        if wait:
            with self._changed:
                self._changed.wait_for(lambda: not self._count, self._patience)
