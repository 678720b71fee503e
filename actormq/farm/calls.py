"""The tasks of an executor: each answers a future."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from actormq.farm.dispatch import Dispatch
from actormq.farm.failure import Failure, rebuilt
from actormq.farm.job import Job
from actormq.rules.tasks import Batch, Task


@dataclass(slots=True, eq=False)
class Kind:
    """Calls of one function, in one way.

    Attributes:
        job: What runs.
        made: Makes what the function returned of what came, or None if it is that already.
        batch: What its tasks have in common, once there are any.
    """

    job: Job
    made: Callable[[Any], Any] | None
    batch: Batch | None = None


Call = tuple[Kind, bytes, "Future[Any]"]
"""What to run, with what, and where its result goes."""


class Calls:
    """An `Owner` of tasks: what became of a task is what became of its future.

    A future is pending as long as its task waits, and can be cancelled; it runs from when its task
    is given to a worker.

    Args:
        dispatch: The queue.
        ended: Called each time when no task is left.
        broken: Called with what an initializer has raised; no call can be run any more.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        ended: Callable[[], object],
        broken: Callable[[Exception], object],
    ) -> None:
        self._dispatch = dispatch
        self._say_ended = ended
        self._say_broken = broken
        self._open: dict[Future[Any], Task] = {}

    @property
    def count(self) -> int:
        """Futures that are not done."""
        return len(self._open)

    # -- in -----------------------------------------------------------------------------------

    def put(self, calls: Sequence[Call]) -> None:
        """Take calls, in order."""
        begin = 0
        for number, (kind, _, _) in enumerate(calls):
            if kind is not calls[begin][0]:
                self._put(calls[begin:number])
                begin = number
        self._put(calls[begin:])

    def _put(self, calls: Sequence[Call]) -> None:
        if not calls:
            return
        kind = calls[0][0]
        batch = kind.batch
        if batch is None:
            batch = kind.batch = Batch(
                self._dispatch.add_job(kind.job),
                is_speculative=False,  # a call may have effects, and nobody asked for two
                owner=_Answers(self, kind.made),
                begin=self._begin,
                broken=self._broken,
            )
        futures = [future for _, _, future in calls]
        tasks = self._dispatch.put(batch, [payload for _, payload, _ in calls], futures)
        self._open.update(zip(futures, tasks, strict=True))

    def cancel_all(self, spared: int) -> None:
        """Cancel what no worker has begun.

        Args:
            spared: How many count as begun at least, the first ones: as many as have a worker that
                is about to take them, or to start.
        """
        for future, task in list(self._open.items())[spared:]:
            if future.cancel() and self._dispatch.leases.withdraw(task):
                future.set_running_or_notify_cancel()  # which tells those who wait
                del self._open[future]
        self._look()

    def fail_all(self, error: Exception) -> None:
        """Let all fail that are not done, for a reason that is no task's own."""
        futures, self._open = self._open, {}
        for future, task in futures.items():
            self._dispatch.leases.forget(task)
            fail(future, error)
        self._look()

    # -- what the ventilator says -------------------------------------------------------------

    def _begin(self, tasks: Sequence[Task]) -> list[Task]:
        """Let the futures of tasks run that are given out; gives those that were cancelled."""
        unwanted = []
        for task in tasks:
            future: Future[Any] = task.tag
            # One that runs already was given to another worker before, which is lost.
            if not future.running() and not future.set_running_or_notify_cancel():
                unwanted.append(task)
                del self._open[future]
        if unwanted:
            self._look()
        return unwanted

    def _broken(self, failure: Failure) -> None:
        self._say_broken(rebuilt(self._dispatch.codec, failure))

    def succeeded(
        self,
        tasks: Sequence[Task | None],
        values: Sequence[Any],
        made: Callable[[Any], Any] | None,
    ) -> None:
        """Hand results to their futures."""
        futures = self._open
        for task, value in zip(tasks, values, strict=True):
            if task is not None and futures.pop(task.tag, None) is not None:
                task.tag.set_result(value if made is None else made(value))
        self._look()

    def failed(self, task: Task, failure: Failure) -> None:
        """Hand a failure to its future."""
        if self._open.pop(task.tag, None) is not None:
            fail(task.tag, rebuilt(self._dispatch.codec, failure))
        self._look()

    def _look(self) -> None:
        if not self._open:
            self._say_ended()


class _Answers:
    """The `Owner` of the calls of one kind."""

    def __init__(self, calls: Calls, made: Callable[[Any], Any] | None) -> None:
        self._calls = calls
        self._made = made

    def succeeded(
        self, tasks: Sequence[Task | None], values: Sequence[Any], _seconds: float, _node: str
    ) -> None:
        """See `Owner`."""
        self._calls.succeeded(tasks, values, self._made)

    def failed(self, task: Task, failure: Failure, _node: str) -> None:
        """See `Owner`."""
        self._calls.failed(task, failure)


def fail(future: Future[Any], error: Exception) -> None:
    """Let a future fail, unless it was cancelled."""
    if future.running() or future.set_running_or_notify_cancel():
        future.set_exception(error)
