"""The actor that holds a farm's one queue: gives tasks to workers, takes their answers.

What it decides stands in `rules/leases.py`. Workers are heard twice a second; one that falls
silent, or whose connection ends, has its tasks given to others. Should it come back, what it has
done meanwhile counts if it is the first to have done it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from actormq.actor import Actor, every, handler
from actormq.errors import (
    DeliveryError,
    LinkFull,
    MailboxFull,
    RemoteProtocolError,
    TaskLost,
    TaskTimeout,
)
from actormq.events import LinkLost
from actormq.farm.failure import Failure, failure_of
from actormq.farm.job import Job
from actormq.farm.pace import Pace, left
from actormq.farm.payload import payload_codec, value_limit, values_of
from actormq.farm.reports import FarmReport, Progress, WorkerFacts
from actormq.ref import Ref
from actormq.rules.credit import mean_after
from actormq.rules.leases import Batch, Grant, Holder, Leases, Task
from actormq.signals import NODE_LOST, Terminated

TICK = 0.1  # s between looks at stragglers, and at what could not be sent
PING_INTERVAL = 0.5  # s
SILENCE_LIMIT = 2.0  # s without a word, after which a worker's tasks are given to others
PATIENCE = 3.0  # s that a batch may wait for workers before it is said
WANTED_MOST = 1 << 20  # tasks; more than there are slots anywhere


class Owner(Protocol):
    """Takes what has become of the tasks of a batch."""

    def succeeded(
        self, tasks: Sequence[Task | None], values: Sequence[Any], seconds: float, node: str
    ) -> None:
        """Take results; a task that is None had ended before. `seconds` is what each took."""

    def failed(self, task: Task, failure: Failure, node: str) -> None:
        """Take the failure of a task that is not tried again."""


@dataclass(slots=True, eq=False)
class Lane:
    """What went to one slot and came back, to notice what a connection lost.

    Attributes:
        holder: The slot.
        granted: Tasks sent to it, by count.
        at_ping: How many of them before the last ping.
        heard: Tasks it has answered.
    """

    holder: Holder
    granted: int = 0
    at_ping: int = 0
    heard: int = 0


@dataclass(slots=True, eq=False)
class Crew:
    """One worker that is there.

    Attributes:
        ref: The worker.
        facts: What it said of itself.
        heard_at: When it last said anything, in seconds.
        lanes: Its slots by number.
        jobs: Jobs that it knows.
        refusals: Why it cannot run some, by number.
    """

    ref: Ref[Any]
    facts: WorkerFacts
    heard_at: float
    lanes: dict[int, Lane] = field(default_factory=dict)
    jobs: set[int] = field(default_factory=set)
    refusals: dict[int, str] = field(default_factory=dict)


def key_of(ref: Ref[Any]) -> str:
    """What a worker, or a farm, is called in messages."""
    return f"{ref.address.node}/{ref.address.serial}"


class Ventilator(Actor):
    """Gives out the tasks of one farm.

    Args:
        farm: The farm's name.
        min_workers: Slots that must be there before the first task is given out.
        attach: Called with the ventilator once it has started.
    """

    mailbox_limit = 100_000  # 50 workers of 64 slots, each with some messages under way

    def __init__(
        self, farm: str, min_workers: int, attach: Callable[[Ventilator], None]
    ) -> None:
        self.leases = Leases()
        self.done_count = 0
        self.failed_count = 0
        self.given_count = 0
        self.total: int | None = None
        self._farm = farm
        self._min_workers = min_workers
        self._is_open = min_workers <= 0
        self._attach = attach
        self._jobs: list[Job] = []
        self._crews: dict[str, Crew] = {}
        self._parted: dict[str, list[int]] = {}  # by worker: what its slots were at, to be blamed
        self._ping = 0
        self._wanted = -1
        self._is_due = False

    async def on_start(self) -> None:
        """Listen to what befalls the connections to workers."""
        runtime = self._actormq_own.runtime
        self._loop, self._events = runtime.loop, runtime.events
        limits = runtime.settings
        self.codec = payload_codec(
            value_limit(limits.message_limit, limits.buffer_limit, limits.link_limit)
        )
        self.now = runtime.loop.now
        self._ticked_at = self._loop.now()
        self._waits_since = self._ticked_at
        self._pace = Pace(self._ticked_at)
        self._end_listening = runtime.events.listen(self._link_lost, LinkLost)
        self._attach(self)

    async def on_stop(self) -> None:
        """Let the workers go."""
        self._end_listening()
        key = key_of(self.ref)
        for crew in self._crews.values():
            self._say(crew, "dismiss", key)

    # -- the farm, on the same loop -----------------------------------------------------------

    def add_job(self, job: Job) -> int:
        """Take in what tasks may run; the number is what batches know it by."""
        if job not in self._jobs:
            self._jobs.append(job)
        return self._jobs.index(job)

    def put(self, batch: Batch, payloads: Sequence[bytes], tags: Sequence[Any]) -> list[Task]:
        """Take tasks of one batch: each is leased as soon as a worker has room."""
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
            self._tell_wanted()

    def kick(self) -> None:
        """Look for somebody to give tasks to, once in this tick."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._give)

    @property
    def worker_count(self) -> int:
        """Slots that are there."""
        return len(self.leases.holders)

    @property
    def credit(self) -> int:
        """How many tasks all slots may hold together."""
        return sum(holder.credit for holder in self.leases.holders.values())

    def progress(self) -> Progress:
        """Tell how far it is."""
        leases, now = self.leases, self._loop.now()
        ended = self.done_count + self.failed_count
        rate = self._pace.rate(now, ended)
        return Progress(
            accepted=self.given_count,
            total=self.total,
            done=self.done_count,
            failed=self.failed_count,
            retried=leases.repeated_count,
            redelivered=leases.redelivered_count,
            running=len(leases.tasks) - leases.waiting_count,
            waiting=leases.waiting_count,
            workers=self.worker_count,
            rate=round(rate, 3),
            left=left(rate, ended, self.total),
        )

    @handler
    def report(self) -> FarmReport:
        """Tell what the farm is, and how far."""
        workers: dict[str, int] = {}
        for crew in self._crews.values():
            workers[crew.facts.node] = workers.get(crew.facts.node, 0) + len(crew.lanes)
        return FarmReport(
            name=self._farm,
            node=self.node.name,
            jobs=[job.target for job in self._jobs],
            progress=self.progress(),
            workers=workers,
            refusals={
                crew.facts.node: text
                for crew in self._crews.values()
                for text in crew.refusals.values()
            },
        )

    # -- giving out ---------------------------------------------------------------------------

    def _give(self) -> None:
        self._is_due = False
        if self._is_open:
            for grant in self.leases.grants(self._loop.now()):
                self._send(grant)
        self._tell_wanted()

    def _send(self, grant: Grant) -> None:
        holder, batch = grant.holder, grant.batch
        crew = self._crews[holder.worker]
        tasks = grant.tasks if batch.begin is None else self._wanted_of(grant)
        if not tasks:
            return
        ids = [task.id for task in tasks]
        blob = b"".join([task.payload for task in tasks])
        key, number = key_of(self.ref), batch.job
        try:
            if number not in crew.jobs:
                crew.ref.tell("job", key, number, self._jobs[number])
                crew.jobs.add(number)
            crew.ref.tell("work", key, holder.slot, number, ids, blob, batch.timeout)
        except (LinkFull, MailboxFull):
            self.leases.give_back(holder, ids)  # the tick tries again
        except DeliveryError as error:
            self._part(crew, str(error))
        else:
            crew.lanes[holder.slot].granted += len(ids)

    def _wanted_of(self, grant: Grant) -> list[Task]:
        """The tasks of a grant that are to be run; the others have ended by this."""
        assert grant.batch.begin is not None
        unwanted = {task.id for task in grant.batch.begin(grant.tasks)}
        if not unwanted:
            return grant.tasks
        self.leases.done(grant.holder, unwanted)
        self.kick()  # there is room now
        return [task for task in grant.tasks if task.id not in unwanted]

    def _tell_wanted(self) -> None:
        """Tell the workers how many slots there is work for, where that changes what they do."""
        count = len(self.leases.tasks)
        wanted = min(1 << count.bit_length(), WANTED_MOST) if count else 0
        if wanted != self._wanted:
            self._wanted = wanted
            for crew in list(self._crews.values()):
                self._say(crew, "want", key_of(self.ref), wanted)

    def _say(self, crew: Crew, message: str, *args: Any) -> None:
        try:
            crew.ref.tell(message, *args)
        except DeliveryError:
            return  # its silence, or its end, will be noticed

    # -- workers ------------------------------------------------------------------------------

    @handler
    def join(self, worker: Ref[Any], facts: WorkerFacts) -> None:
        """A worker offers itself, for the first time or again."""
        key = key_of(worker)
        if key in self._crews:
            self._part(self._crews[key], "it has begun anew")
        self._parted.pop(key, None)
        self._crews[key] = Crew(worker, facts, self._loop.now())
        self.watch(worker)
        self._say(self._crews[key], "welcome", self.ref, self._farm, self._wanted)

    @handler
    def ready(self, key: str, slot: int, credit: int, ids: list[int]) -> None:
        """A slot can take tasks; `ids` are those it works on already, given by a former lease."""
        crew = self._heard(key)
        if crew is None:
            return
        now, tasks = self._loop.now(), self.leases.tasks
        held = {id_: (tasks[id_], now) for id_ in ids if id_ in tasks}
        holder = Holder(key, slot, credit, held)
        crew.lanes[slot] = Lane(holder, len(ids), len(ids))
        self.leases.enter(holder)
        self._is_open = self._is_open or self.worker_count >= self._min_workers
        self.kick()

    @handler
    def done(
        self, key: str, slot: int, ids: list[int], blob: bytes, seconds: float, credit: int
    ) -> None:
        """A slot has done tasks: their values, and what they took together."""
        crew = self._heard(key)
        lane = crew.lanes.get(slot) if crew is not None else None
        try:
            values = values_of(self.codec, blob)
        except RemoteProtocolError as error:
            self._repair(crew, lane, f"sent what is no result: {error}")
            return
        if len(values) != len(ids):
            self._repair(crew, lane, "sent another number of results than of tasks")
            return
        tasks = self.leases.done(lane.holder if lane is not None else None, ids)
        if lane is not None:
            lane.heard += len(ids)
            self.leases.give_credit(lane.holder, credit)
        self._deliver(tasks, values, seconds / max(len(ids), 1), self._name(crew))
        self.kick()

    def _deliver(
        self, tasks: list[Task | None], values: list[Any], seconds: float, node: str
    ) -> None:
        batches = {task.batch: None for task in tasks if task is not None}
        for batch in batches:
            mine = tasks
            if len(batches) > 1:
                mine = [t if t is not None and t.batch is batch else None for t in tasks]
            count = len(mine) - mine.count(None)
            self.done_count += count
            batch.mean = mean_after(batch.mean, seconds * count, count)
            batch.owner.succeeded(mine, values, seconds, node)

    @handler
    def failed(self, key: str, slot: int, id_: int, failure: Failure, credit: int) -> None:
        """A task has raised, or its result cannot travel."""
        crew = self._heard(key)
        lane = crew.lanes.get(slot) if crew is not None else None
        holder = lane.holder if lane is not None else None
        task = self.leases.raised(holder, id_, is_final=failure.is_final)
        if lane is not None:
            lane.heard += 1
            self.leases.give_credit(lane.holder, credit)
        if task is not None:
            self._fail(task, failure, self._name(crew))
        self.kick()

    def _fail(self, task: Task, failure: Failure, node: str) -> None:
        self.failed_count += 1
        task.batch.owner.failed(task, failure, node)

    @handler
    def cannot(self, key: str, slot: int, job: int, ids: list[int], text: str) -> None:
        """A slot cannot run a job: its module is not there, or cannot be loaded."""
        crew = self._heard(key)
        if crew is None or slot not in crew.lanes:
            return
        lane = crew.lanes[slot]
        lane.heard += len(ids)
        if job not in crew.refusals:
            crew.refusals[job] = text
            self._events.notice(
                logging.WARNING,
                f"farm {self._farm!r}: node {crew.facts.node!r} takes no task of "
                f"{self._jobs[job].target}: {text}",
            )
        for one in crew.lanes.values():
            one.holder.refused.add(job)
        self.leases.refuse(lane.holder, job, ids)
        self.kick()

    @handler
    def broken(
        self, key: str, slot: int, job: int, ids: list[int], failure: Failure
    ) -> None:
        """What a slot calls before its first task has raised: no task of the job can run."""
        crew = self._heard(key)
        lane = crew.lanes.get(slot) if crew is not None else None
        if lane is not None:
            lane.heard += len(ids)
            self.leases.refuse(lane.holder, job, ids)
        for task in [t for t in self.leases.tasks.values() if t.batch.job == job]:
            if task.batch.broken is not None:
                task.batch.broken(failure)
                break
            self.leases.forget(task)
            self._fail(task, failure, self._name(crew))

    @handler
    def returned(self, key: str, slot: int, ids: list[int]) -> None:
        """Tasks come back that were not begun: their slot had ended when they came."""
        crew = self._heard(key)
        lane = crew.lanes.get(slot) if crew is not None else None
        if lane is not None:
            self._lose(lane, None, "", "")

    @handler
    def lost(self, key: str, slot: int, blamed: int | None, how: str, is_slow: bool) -> None:
        """The process of a slot has ended, and what it held with it.

        Args:
            key: The worker.
            slot: The slot.
            blamed: The task that it was at.
            how: What happened to it, in words.
            is_slow: Whether it was ended because that task took too long.
        """
        crew = self._heard(key)
        lane = crew.lanes.get(slot) if crew is not None else None
        if crew is not None and lane is not None:
            self._lose(lane, blamed, how, crew.facts.node, is_slow=is_slow)
            self.kick()

    @handler
    def beat(self, key: str, ping: int, counts: list[tuple[int, int, int]]) -> None:
        """A worker answers a ping: what each slot was given, and has answered, by count."""
        crew = self._heard(key)
        if crew is None:
            return
        for slot, received, answered in counts:
            lane = crew.lanes.get(slot)
            if lane is None:
                continue
            is_late = ping == self._ping and received < lane.at_ping
            if is_late or lane.heard < answered:
                self._repair(crew, lane, "lost messages on its way")

    @handler
    def leave(self, key: str) -> None:
        """A worker takes no more tasks of this farm, and has none."""
        crew = self._crews.get(key)
        if crew is not None:
            self._part(crew, "it left")

    def _heard(self, key: str) -> Crew | None:
        crew = self._crews.get(key)
        if crew is not None:
            crew.heard_at = self._loop.now()
        return crew

    def _name(self, crew: Crew | None) -> str:
        return crew.facts.node if crew is not None else ""

    # -- their ends ---------------------------------------------------------------------------

    def _lose(
        self, lane: Lane, blamed: int | None, how: str, node: str, *, is_slow: bool = False
    ) -> None:
        holder = lane.holder
        self._crews[holder.worker].lanes.pop(holder.slot, None)
        for task in self.leases.lose(holder, blamed, is_slow=is_slow):
            self._fail(task, failure_of(self.codec, (TaskTimeout if is_slow else TaskLost)(how)), node)

    def _repair(self, crew: Crew | None, lane: Lane | None, why: str) -> None:
        """Begin anew with a slot of which nobody knows any more what it holds."""
        if crew is None or lane is None:
            return
        self._events.notice(
            logging.WARNING,
            f"farm {self._farm!r}: a slot of node {crew.facts.node!r} {why}; it is started anew",
        )
        self._lose(lane, None, "", "")
        self._say(crew, "drop", key_of(self.ref), lane.holder.slot)
        self.kick()

    def _part(self, crew: Crew, why: str) -> None:
        """Give what a worker held to others, and let it introduce itself again if it is there."""
        key = key_of(crew.ref)
        self._parted[key] = [next(iter(l.holder.held)) for l in crew.lanes.values() if l.holder.held]
        held = sum(len(lane.holder.held) for lane in crew.lanes.values())
        for lane in list(crew.lanes.values()):
            self._lose(lane, None, "", "")
        del self._crews[key]
        if held:
            self._events.notice(
                logging.WARNING,
                f"farm {self._farm!r}: {held} tasks of node {crew.facts.node!r} are given to "
                f"others: {why}",
            )
        self._say(crew, "rejoin", self.ref)
        self.kick()

    def _link_lost(self, event: LinkLost) -> None:
        for crew in [c for c in self._crews.values() if c.ref.address.node == event.node]:
            self._part(crew, "its connection broke")

    async def on_terminated(self, terminated: Terminated) -> None:
        """A worker has ended, or its whole node."""
        key = key_of(terminated.ref)
        crew = self._crews.get(key)
        node = crew.facts.node if crew is not None else ""
        if crew is not None:
            self._part(crew, terminated.detail or "it ended")
        at_work = self._parted.pop(key, [])
        if terminated.reason == NODE_LOST:
            how = f"its worker's node was lost: {terminated.detail}"
            for task in self.leases.blame(at_work, key):
                self._fail(task, failure_of(self.codec, TaskLost(how)), node)

    # -- time ---------------------------------------------------------------------------------

    @every(TICK)
    def tick(self) -> None:
        """Look at what time brings: stragglers, silence, what could not be sent."""
        now = self._loop.now()
        lag, self._ticked_at = max(now - self._ticked_at - 2 * TICK, 0.0), now
        for crew in list(self._crews.values()):
            crew.heard_at += lag  # we did not listen either
            if now - crew.heard_at > SILENCE_LIMIT:
                self._part(crew, f"it was silent for {now - crew.heard_at:.1f} s")
        self._pace.note(now, self.done_count + self.failed_count)
        if self._is_open:
            for grant in self.leases.second_grants(now):
                self._send(grant)
        elif self._waits_since and self.leases.tasks and now - self._waits_since > PATIENCE:
            self._waits_since = 0.0
            self._say_waiting()
        if self.leases.waiting_count:
            self.kick()

    def _say_waiting(self) -> None:
        self._events.notice(
            logging.WARNING,
            f"farm {self._farm!r} waits for {self._min_workers} workers, and {self.worker_count} "
            f"are there: start `actormq farm worker --mesh {self.node.mesh}` on other machines, "
            "or ask for fewer with min_workers=",
        )

    @every(PING_INTERVAL)
    def ping(self) -> None:
        """Ask every worker what it holds."""
        self._ping += 1
        for crew in list(self._crews.values()):
            for lane in crew.lanes.values():
                lane.at_ping = lane.granted
            self._say(crew, "ping", key_of(self.ref), self._ping)
