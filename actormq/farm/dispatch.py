"""The queue of a farm, on the loop of its node: takes tasks, hands their answers back.

What may be leased to whom stands in `rules/leases.py`; who there is, and how they are told, in
`ventilator.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from actormq.codec import Codec
from actormq.farm.failure import Failure
from actormq.farm.job import Job
from actormq.farm.pace import Pace, left
from actormq.farm.reports import Progress
from actormq.loop import Loop
from actormq.rules.credit import mean_after
from actormq.rules.leases import Leases
from actormq.rules.tasks import Batch, Grant, Task


class Owner(Protocol):
    """Takes what has become of the tasks of a batch."""

    def succeeded(
        self, tasks: Sequence[Task | None], values: Sequence[Any], seconds: float, node: str
    ) -> None:
        """Take results; a task that is None had ended before. `seconds` is what each took."""

    def failed(self, task: Task, failure: Failure, node: str) -> None:
        """Take the failure of a task that is not tried again."""


class Dispatch:
    """The tasks of one farm.

    Args:
        loop: The node's loop, on which all of this is used.
        codec: Packs and unpacks payloads and results.
        give: Called soon after there may be something to give out.

    Attributes:
        leases: The queue, and who holds what.
        jobs: What tasks run, by number.
        codec: As given.
        done_count: Tasks that have a result.
        failed_count: Tasks that have failed for good.
        given_count: Tasks that were ever put in.
        total: How many there will be; None as long as nobody knows.
        is_paused: Whether nothing is given out for now.
    """

    def __init__(self, loop: Loop, codec: Codec, give: Callable[[], None]) -> None:
        self.leases = Leases()
        self.jobs: list[Job] = []
        self.codec = codec
        self.done_count = 0
        self.failed_count = 0
        self.given_count = 0
        self.total: int | None = None
        self.now = loop.now
        self._loop = loop
        self._give = give
        self.is_paused = False
        self._is_due = False
        self._pace: Pace | None = None

    # -- tasks in -----------------------------------------------------------------------------

    def add_job(self, job: Job) -> int:
        """Take in what tasks may run; the number is what batches know it by."""
        if job not in self.jobs:
            self.jobs.append(job)
        return self.jobs.index(job)

    def put(self, batch: Batch, payloads: Sequence[bytes], tags: Sequence[Any]) -> list[Task]:
        """Take tasks of one batch: each is leased as soon as a worker has room.

        Args:
            batch: Theirs; its `owner` is an `Owner`.
            payloads: What the function gets, packed, one each.
            tags: What the owner wants to find again, one each.
        """
        first = self.given_count
        self.given_count += len(payloads)
        numbers = range(first, self.given_count)
        tasks = [
            Task(number, batch, payload, tag)
            for number, payload, tag in zip(numbers, payloads, tags, strict=True)
        ]
        self.leases.add(tasks)
        self.kick()
        return tasks

    def close_batch(self, batch: Batch, *, is_given_up: bool = False) -> None:
        """There will be no more tasks in a batch; if it is given up, no result is wanted either."""
        batch.is_open = False
        if is_given_up:
            for task in [task for task in self.leases.tasks.values() if task.batch is batch]:
                self.leases.forget(task)
        self.kick()

    def pause(self) -> None:
        """Give nothing out until `resume`; what workers hold still ends."""
        self.is_paused = True

    def resume(self) -> None:
        """Give tasks out again."""
        self.is_paused = False
        self.kick()

    def kick(self) -> None:
        """Look for somebody to give tasks to, once in this tick."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._kicked)

    def _kicked(self) -> None:
        self._is_due = False
        self._give()

    def begin(self, grant: Grant) -> list[Task]:
        """Let tasks begin that are about to be given out; gives those that are still wanted."""
        assert grant.batch.begin is not None
        unwanted = {task.id for task in grant.batch.begin(grant.tasks)}
        if not unwanted:
            return grant.tasks
        self.leases.done(grant.holder, unwanted)
        self.kick()  # there is room now
        return [task for task in grant.tasks if task.id not in unwanted]

    # -- answers out --------------------------------------------------------------------------

    def deliver(
        self, tasks: list[Task | None], values: list[Any], seconds: float, node: str
    ) -> None:
        """Hand results to the owners of their batches.

        Args:
            tasks: The tasks; None for one that had ended before.
            values: Their results.
            seconds: What each took.
            node: The name of the node on which they were done.
        """
        batches = {task.batch: None for task in tasks if task is not None}
        for batch in batches:
            mine = tasks
            if len(batches) > 1:
                mine = [t if t is not None and t.batch is batch else None for t in tasks]
            count = len(mine) - mine.count(None)
            self.done_count += count
            batch.mean = mean_after(batch.mean, seconds * count, count)
            batch.owner.succeeded(mine, values, seconds, node)

    def fail(self, task: Task, failure: Failure, node: str) -> None:
        """Hand the failure of a task to its owner."""
        self.failed_count += 1
        task.batch.owner.failed(task, failure, node)

    def break_job(self, job: int, failure: Failure, node: str) -> None:
        """Let all tasks of a job fail: what comes before the first one has failed."""
        for task in [task for task in self.leases.tasks.values() if task.batch.job == job]:
            if task.batch.broken is not None:
                task.batch.broken(failure)
                return
            self.leases.forget(task)
            self.fail(task, failure, node)

    def count_refused(self, count: int) -> None:
        """Count tasks that have failed before they were put in: they could not travel."""
        self.given_count += count
        self.failed_count += count

    # -- how it stands ------------------------------------------------------------------------

    @property
    def worker_count(self) -> int:
        """Slots that are there, and can run at least one of the jobs."""
        jobs = len(self.jobs)
        return sum(
            not jobs or len(holder.refused) < jobs for holder in self.leases.holders.values()
        )

    @property
    def credit(self) -> int:
        """How many tasks all slots may hold together."""
        return sum(holder.credit for holder in self.leases.holders.values())

    def note_begin(self) -> None:
        """Note that tasks are given out: the rate counts from the first ones on."""
        if self._pace is None:
            self._pace = Pace(self._loop.now())

    def note_pace(self) -> None:
        """Note how many tasks have ended by now, for the rate."""
        if self._pace is not None:
            self._pace.note(self._loop.now(), self.done_count + self.failed_count)

    def progress(self) -> Progress:
        """Tell how far it is."""
        leases = self.leases
        ended = self.done_count + self.failed_count
        rate = self._pace.rate(self._loop.now(), ended) if self._pace is not None else 0.0
        workers = self.worker_count
        return Progress(
            accepted=self.given_count,
            total=self.total,
            done=self.done_count,
            failed=self.failed_count,
            retried=leases.repeated_count,
            redelivered=leases.redelivered_count,
            second=leases.second_count,
            running=len(leases.tasks) - leases.waiting_count,
            waiting=leases.waiting_count,
            workers=workers,
            unfit=len(leases.holders) - workers,
            rate=round(rate, 3),
            left=left(rate, ended, self.total),
        )
