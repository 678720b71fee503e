"""Who works on which task: the one queue of a farm, as a state machine without sockets or a clock.

- A task waits, or is leased to one holder, or to two. It ends with the first answer.
- A holder is one slot of a worker. Its lease ends with an answer, or with the holder, whatever
  happened to that: then what it held waits again, at the head of the queue.
- A task that raised is tried again as often as its batch says. One that its holder died of, or that
  took too long, is blamed for that: it is tried alone from then on, elsewhere if there is an
  elsewhere, so that it costs nobody else a try; a holder is let run empty for it.
- Where nothing waits any more and a holder is idle, one that has more than it is at has to give
  back half of that. At the end of a batch, what others take long for is given a second time.

Source: the ventilator of the ZeroMQ guide hands tasks out blindly, and loses a fifth of them with
one worker of four; credit and leases are those of its Paranoid Pirate and of Majordomo.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from actormq.rules.tasks import Batch, Grant, Holder, Task

DEATHS_LIMIT = 5  # holders that a task may take with it before it counts as failed
GRANT_BYTES = 1024 * 1024  # of one message: a longer one holds the loop, and a slow link
RECALL_AFTER = 0.15  # s that a holder may be at its oldest task: what it holds is 0.05 s of work
STRAGGLER_FACTOR = 2.0  # times what a task of its batch takes on average
STRAGGLER_LEAST = 0.25  # s: below that a second run ends no sooner than the first


class Leases:
    """The queue and the leases of one farm.

    Attributes:
        tasks: All that have not ended, by id.
        waiting_count: How many of them wait.
        holders: Who may hold some.
        redelivered_count: How often a task was given again because its holder was lost.
        repeated_count: How often one was tried again because it raised or took too long.
        second_count: How often one was given a second time because it took long.
    """

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.holders: dict[tuple[str, int], Holder] = {}
        self.waiting_count = 0
        self.redelivered_count = 0
        self.repeated_count = 0
        self.second_count = 0
        self._queues: dict[Batch, deque[Task]] = {}
        self._alone: deque[Task] = deque()
        self._hungry: dict[Holder, None] = {}

    # -- tasks --------------------------------------------------------------------------------

    def add(self, tasks: Sequence[Task]) -> None:
        """Put tasks of one batch at the end of the queue."""
        if tasks:
            self._queues.setdefault(tasks[0].batch, deque()).extend(tasks)
            self.tasks.update((task.id, task) for task in tasks)
            self.waiting_count += len(tasks)

    def withdraw(self, task: Task) -> bool:
        """Take a task out that nobody holds; say whether that was so."""
        if task.copies or self.tasks.get(task.id) is not task:
            return False
        self._end(task)
        return True

    def forget(self, task: Task) -> None:
        """Nobody wants the result of a task any more, whether somebody is at it or not."""
        if self.tasks.get(task.id) is task:
            self._end(task)

    def _wait_again(self, task: Task) -> None:
        self.waiting_count += 1
        if task.deaths:
            self._alone.append(task)
        else:
            self._queues.setdefault(task.batch, deque()).appendleft(task)

    # -- holders ------------------------------------------------------------------------------

    def enter(self, holder: Holder) -> None:
        """Take in a holder; one that was lost may come back with tasks it still works on."""
        self.holders[holder.worker, holder.slot] = holder
        for task, _ in holder.held.values():
            task.copies += 1
        self._look(holder)

    def lose(
        self, holder: Holder, blamed: int | None = None, *, is_slow: bool = False
    ) -> list[Task]:
        """Forget a holder that is gone, or silent; what it held waits again.

        Args:
            holder: Which one.
            blamed: The task that it was at when it died, if it died.
            is_slow: Whether it was ended because that task took too long.

        Returns:
            The tasks that have failed for good by that.
        """
        self.holders.pop((holder.worker, holder.slot), None)
        self._hungry.pop(holder, None)
        held, holder.held = holder.held, {}
        failed = []
        for id_, (task, _) in reversed(held.items()):
            if self.tasks.get(id_) is not task:
                continue  # it has ended elsewhere
            task.copies -= 1
            if id_ == blamed and self._is_too_much(task, holder.worker, is_slow=is_slow):
                failed.append(task)
            if not task.copies:
                self._wait_again(task)
                self.redelivered_count += not (id_ == blamed and is_slow)
        return [self._end(task) for task in failed]

    def blame(self, ids: Iterable[int], worker: str) -> list[Task]:
        """Put the death of a worker down to tasks that it seems to have been at.

        Returns:
            Those that have failed for good by that.
        """
        failed = []
        for id_ in ids:
            task = self.tasks.get(id_)
            if task is None:
                continue
            if not (task.copies or task.deaths):
                self._queues[task.batch].remove(task)  # it is at the head: it came back just now
                self._alone.append(task)
            if self._is_too_much(task, worker):
                failed.append(self._end(task))
        return failed

    def _is_too_much(self, task: Task, worker: str, *, is_slow: bool = False) -> bool:
        if is_slow:
            task.raised += 1
            self.repeated_count += task.raised <= task.batch.retries
            return task.raised > task.batch.retries
        task.deaths += 1
        if worker not in task.shunned:
            task.shunned += (worker,)
        return task.deaths >= DEATHS_LIMIT

    def give_credit(self, holder: Holder, credit: int) -> None:
        """Say how many tasks a holder may hold from now on; 0 for no more."""
        holder.credit = credit
        self._look(holder)

    def refuse(self, holder: Holder, job: int, ids: Iterable[int]) -> None:
        """Take tasks back that a holder cannot run, nor any other of that job."""
        holder.refused.add(job)
        self.give_back(holder, ids)

    def is_refused(self, job: int) -> bool:
        """Whether there are holders, and none of them can run a job."""
        holders = self.holders.values()
        return bool(holders) and all(job in holder.refused for holder in holders)

    def give_back(self, holder: Holder, ids: Iterable[int]) -> None:
        """Take tasks back that a holder has not begun."""
        for id_ in sorted(ids, reverse=True):
            task = self._let_go(holder, id_)
            if task is not None and not task.copies:
                self._wait_again(task)
        self._look(holder)

    def _look(self, holder: Holder) -> None:
        if holder.credit and holder.is_hungry:
            self._hungry[holder] = None
        else:
            self._hungry.pop(holder, None)

    def _let_go(self, holder: Holder, id_: int) -> Task | None:
        """End a lease; give the task if it was held, and has not ended."""
        entry = holder.held.pop(id_, None)
        if not holder.held:
            holder.is_alone = False
        if entry is None:
            return None
        task = entry[0]
        task.copies -= 1
        return task if self.tasks.get(id_) is task else None

    # -- answers ------------------------------------------------------------------------------

    def done(self, holder: Holder | None, ids: Iterable[int]) -> list[Task | None]:
        """Take the results of tasks.

        Args:
            holder: Whose, None if it is not known any more: what it has done counts all the same.
            ids: Which tasks.

        Returns:
            The tasks, in that order; None for one that had ended before.
        """
        tasks = self.tasks
        held = {} if holder is None else holder.held
        ended: list[Task | None] = []
        for id_ in ids:
            task = tasks.pop(id_, None)
            ended.append(task)
            if held.pop(id_, None) is None and task is not None and not task.copies:
                self.waiting_count -= 1  # it waits to be tried again
        if holder is not None:
            if not held:
                holder.is_alone = False
            self._look(holder)
        return ended

    def raised(self, holder: Holder | None, id_: int, *, is_final: bool = False) -> Task | None:
        """Take an answer that is an exception.

        Args:
            holder: Whose, None if it is not known any more.
            id_: Which task raised it.
            is_final: Whether it would do so again.

        Returns:
            The task, if it has failed for good by that.
        """
        task = self.tasks.get(id_)
        was_held = holder is not None and self._let_go(holder, id_) is not None
        if task is not None:
            task.raised += 1
            if was_held and not task.copies:
                self._wait_again(task)
            if is_final or task.raised > task.batch.retries:
                self._end(task)
            else:
                self.repeated_count += 1
                task = None
        if holder is not None:
            self._look(holder)
        return task

    def _end(self, task: Task) -> Task:
        """Let a task have ended; where it still stands in a queue it is passed over."""
        del self.tasks[task.id]
        if not task.copies:
            self.waiting_count -= 1
        return task

    # -- grants -------------------------------------------------------------------------------

    def grants(self, now: float) -> list[Grant]:
        """Give what waits to those who have room: a share each, where there is not much left."""
        granted: list[Grant] = []
        emptied = len(self._alone)  # holders that are to come free for those
        for holder in list(self._hungry):
            if not self.waiting_count:
                break
            lonely = self._lonely_for(holder)
            if lonely is not None and holder.held and emptied:
                emptied -= 1
                continue
            if lonely is not None and not holder.held:
                grant: Grant | None = self._alone_grant(holder, lonely)
            else:
                grant = self._next_for(holder)
            if grant is not None:
                self._lease(grant, now)
                granted.append(grant)
        return granted

    def _lease(self, grant: Grant, now: float) -> None:
        held = grant.holder.held
        for task in grant.tasks:
            task.copies += 1
            held[task.id] = (task, now)
        self._look(grant.holder)

    def _lonely_for(self, holder: Holder) -> Task | None:
        """A task that others died of, and that this holder may be given."""
        if not self._alone:
            return None
        workers = {one.worker for one in self.holders.values()}
        for task in list(self._alone):
            if self.tasks.get(task.id) is not task:
                self._alone.remove(task)
                continue
            is_shunned = holder.worker in task.shunned and not workers <= set(task.shunned)
            if not is_shunned and task.batch.job not in holder.refused:
                return task
        return None

    def _alone_grant(self, holder: Holder, task: Task) -> Grant:
        self._alone.remove(task)
        self.waiting_count -= 1
        holder.is_alone = True
        return Grant(holder, task.batch, [task])

    def _next_for(self, holder: Holder) -> Grant | None:
        while (batch := self._next_batch(holder.refused)) is not None:
            queue = self._queues[batch]
            share = -(-len(queue) // (2 * len(self.holders)))
            tasks = self._taken(queue, min(holder.credit - len(holder.held), share))
            if not queue:
                del self._queues[batch]
            if tasks:
                self.waiting_count -= len(tasks)
                return Grant(holder, batch, tasks)
        return None

    def _taken(self, queue: deque[Task], count: int) -> list[Task]:
        """Take tasks from the head of a queue, as many as fit a message."""
        tasks: list[Task] = []
        size, unfinished = 0, self.tasks
        while queue and len(tasks) < count:
            if tasks and size + len(queue[0].payload) > GRANT_BYTES:
                break
            task = queue.popleft()
            if task.id in unfinished:
                size += len(task.payload)
                tasks.append(task)
        return tasks

    def _next_batch(self, refused: set[int]) -> Batch | None:
        """The batch whose next task is the oldest, among those that can be run."""
        if len(self._queues) == 1 and not refused:
            return next(iter(self._queues))
        able = [batch for batch in self._queues if batch.job not in refused]
        return min(able, key=lambda batch: self._queues[batch][0].id, default=None)

    def recalls(self, now: float) -> list[tuple[Holder, int]]:
        """Say who has to give back how many tasks, for others have nothing to do."""
        if self.waiting_count or not self._hungry:
            return []
        idle = sum(not holder.held for holder in self._hungry)
        if not idle:
            return []
        rich = [holder for holder in self.holders.values() if self._has_to_share(holder, now)]
        rich.sort(key=lambda holder: -len(holder.held))
        for holder in rich[:idle]:
            holder.is_recalled = True
        return [(holder, len(holder.held) // 2) for holder in rich[:idle]]

    @staticmethod
    def _has_to_share(holder: Holder, now: float) -> bool:
        if len(holder.held) <= 1 or holder.is_recalled:
            return False
        _, since = next(iter(holder.held.values()))
        return now - since >= RECALL_AFTER

    def recalled(self, holder: Holder, ids: Iterable[int]) -> None:
        """Take back what a holder had to give."""
        holder.is_recalled = False
        self.give_back(holder, ids)

    def second_grants(self, now: float) -> list[Grant]:
        """Give what takes long to those who are idle, where nothing waits any more."""
        idle = [holder for holder in self._hungry if not holder.held]
        if self.waiting_count or not idle:
            return []
        late = self._stragglers(now)
        granted = []
        for holder in idle:
            choice = next((one for one in late if self._suits(holder, *one)), None)
            if choice is not None:
                late.remove(choice)
                grant = Grant(holder, choice[0].batch, [choice[0]])
                self._lease(grant, now)
                self.second_count += 1
                granted.append(grant)
        return granted

    def _stragglers(self, now: float) -> list[tuple[Task, Holder]]:
        """What holders are at, and have been for long, at the end of its batch; oldest first."""
        found = []
        for holder in self.holders.values():
            if not holder.held:
                continue
            task, since = next(iter(holder.held.values()))
            batch = task.batch
            if batch.is_open or not batch.is_speculative or batch.mean is None:
                continue
            patience = max(STRAGGLER_FACTOR * batch.mean, STRAGGLER_LEAST)
            is_late = now - since >= patience and task.copies == 1 and not task.deaths
            if is_late and self.tasks.get(task.id) is task:
                found.append((since, task.id, task, holder))
        return [(task, holder) for _, _, task, holder in sorted(found, key=lambda one: one[:2])]

    @staticmethod
    def _suits(idle: Holder, task: Task, holder: Holder) -> bool:
        return holder is not idle and task.batch.job not in idle.refused
