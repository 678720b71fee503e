"""The actor that holds a farm's one queue: gives tasks to workers, takes their answers.

What it decides stands in `rules/leases.py`. Workers are heard twice a second; one that falls
silent, or whose connection ends, has its tasks given to others. Should it come back, what it has
done meanwhile counts if it is the first to have done it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from actormq.actor import Actor
from actormq.errors import (
    DeliveryError,
    LinkFull,
    MailboxFull,
    RemoteProtocolError,
    SetupError,
    TaskLost,
    TaskTimeout,
)
from actormq.events import LinkLost
from actormq.farm.dispatch import Dispatch
from actormq.farm.failure import Failure, failure_of
from actormq.farm.payload import payload_codec, value_limit, values_of
from actormq.farm.reports import FarmReport, WorkerFacts
from actormq.farm.roster import Crew, Lane, key_of
from actormq.marks import every, handler
from actormq.ref import Ref
from actormq.rules.tasks import Grant, Holder
from actormq.signals import NODE_LOST, Terminated

TICK = 0.1  # s between looks at stragglers, and at what could not be sent
PING_INTERVAL = 0.5  # s
SILENCE_LIMIT = 2.0  # s without a word, after which a worker's tasks are given to others
PATIENCE = 3.0  # s that a batch may wait for workers before it is said
REMINDER = 30.0  # s until it is said again
WANTED_MOST = 1 << 20  # tasks; more than there are slots anywhere


class Ventilator(Actor):
    """Gives out the tasks of one farm.

    Args:
        farm: The farm's name.
        min_workers: Slots that must be there before the first task is given out.
        attach: Called with its queue once it has started.
    """

    mailbox_limit = 100_000  # 50 workers of 64 slots, each with some messages under way

    def __init__(self, farm: str, min_workers: int, attach: Callable[[Dispatch], None]) -> None:
        self._farm = farm
        self._min_workers = min_workers
        self._is_open = min_workers <= 0
        self._attach = attach
        self._crews: dict[str, Crew] = {}
        self._parted: dict[str, list[int]] = {}  # by worker: what its slots were at, to be blamed
        self._unfit: dict[int, str] = {}  # jobs that this node's own worker cannot run, and why
        self._ping = 0
        self._wanted = 0

    async def on_start(self) -> None:
        """Listen to what befalls the connections to workers."""
        runtime = self._actormq_own.runtime
        self._loop, self._events = runtime.loop, runtime.events
        limits = runtime.settings
        self._codec = payload_codec(
            value_limit(limits.message_limit, limits.buffer_limit, limits.link_limit)
        )
        self._dispatch = Dispatch(runtime.loop, self._codec, self._give)
        self._leases = self._dispatch.leases
        self._ticked_at = self._loop.now()
        self._missing_since: float | None = None
        self._end_listening = runtime.events.listen(self._link_lost, LinkLost)
        self._attach(self._dispatch)

    async def on_stop(self) -> None:
        """Let the workers go."""
        self._end_listening()
        key = key_of(self.ref)
        for crew in self._crews.values():
            self._say(crew, "dismiss", key)

    @handler
    def report(self) -> FarmReport:
        """Tell what the farm is, and how far."""
        workers: dict[str, int] = {}
        for crew in self._crews.values():
            workers[crew.facts.node] = workers.get(crew.facts.node, 0) + len(crew.lanes)
        return FarmReport(
            name=self._farm,
            node=self.node.name,
            jobs=[job.target for job in self._dispatch.jobs],
            progress=self._dispatch.progress(),
            workers=workers,
            refusals={
                crew.facts.node: text
                for crew in self._crews.values()
                for text in crew.refusals.values()
            },
        )

    # -- giving out ---------------------------------------------------------------------------

    def _give(self) -> None:
        if self._unfit:
            self._fail_unfit()
        if self._is_open and not self._dispatch.is_paused:
            now = self._loop.now()
            for grant in self._leases.grants(now):
                self._send(grant)
            for holder, count in self._leases.recalls(now):
                crew = self._crews.get(holder.worker)
                if crew is not None:
                    self._say(crew, "recall", key_of(self.ref), holder.slot, count)
        self._tell_wanted()

    def _send(self, grant: Grant) -> None:
        holder, batch = grant.holder, grant.batch
        crew = self._crews.get(holder.worker)
        if crew is None:  # a tell before this one has found out; its tasks wait again
            return
        tasks = grant.tasks if batch.begin is None else self._dispatch.begin(grant)
        if not tasks:
            return
        ids = [task.id for task in tasks]
        blob = b"".join([task.payload for task in tasks])
        key, number = key_of(self.ref), batch.job
        try:
            if number not in crew.jobs:
                crew.ref.tell("job", key, number, self._dispatch.jobs[number])
                crew.jobs.add(number)
            crew.ref.tell("work", key, holder.slot, number, ids, blob, batch.timeout)
        except (LinkFull, MailboxFull):
            self._leases.give_back(holder, ids)  # the tick tries again
        except DeliveryError as error:
            self._part(crew, str(error))
        else:
            crew.lanes[holder.slot].granted += len(ids)
            self._dispatch.note_begin()

    def _tell_wanted(self) -> None:
        """Tell the workers how many slots there is work for, where that changes what they do."""
        count = len(self._leases.tasks)
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
            self._part(self._crews[key], "it has begun anew", is_gone=True)
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
        if slot in crew.lanes:  # it was not known that this one is known
            self._lose(crew.lanes[slot], None, "", "")
        now, tasks = self._loop.now(), self._leases.tasks
        held = {id_: (tasks[id_], now) for id_ in ids if id_ in tasks}
        holder = Holder(key, slot, credit, held)
        crew.lanes[slot] = Lane(holder, len(ids), len(ids))
        self._leases.enter(holder)
        self._is_open = self._is_open or self._dispatch.worker_count >= self._min_workers
        self._dispatch.kick()

    @handler
    def done(
        self, key: str, slot: int, ids: list[int], blob: bytes, seconds: float, credit: int
    ) -> None:
        """A slot has done tasks: their values, and what they took together."""
        crew, lane = self._lane(key, slot)
        try:
            values = values_of(self._codec, blob)
        except RemoteProtocolError as error:
            self._repair(crew, lane, f"sent what is no result: {error}")
            return
        if len(values) != len(ids):
            self._repair(crew, lane, "sent another number of results than of tasks")
            return
        tasks = self._leases.done(lane.holder if lane is not None else None, ids)
        if lane is not None:
            lane.heard += len(ids)
            self._leases.give_credit(lane.holder, credit)
        self._dispatch.deliver(tasks, values, seconds / max(len(ids), 1), self._name(crew))
        self._dispatch.kick()

    @handler
    def failed(self, key: str, slot: int, id_: int, failure: Failure, credit: int) -> None:
        """A task has raised, or its result cannot travel."""
        crew, lane = self._lane(key, slot)
        holder = lane.holder if lane is not None else None
        task = self._leases.raised(holder, id_, is_final=failure.is_final)
        if lane is not None:
            lane.heard += 1
            self._leases.give_credit(lane.holder, credit)
        if task is not None:
            self._dispatch.fail(task, failure, self._name(crew))
        self._dispatch.kick()

    @handler
    def cannot(self, key: str, slot: int, job: int, ids: list[int], text: str) -> None:
        """A slot cannot run a job: its module is not there, or cannot be loaded."""
        crew, lane = self._lane(key, slot)
        if crew is None or lane is None:
            return
        lane.heard += len(ids)
        if job not in crew.refusals:
            crew.refusals[job] = text
            self._events.notice(
                logging.WARNING,
                f"farm {self._farm!r}: node {crew.facts.node!r} takes no task of "
                f"{self._dispatch.jobs[job].target}: {text}",
            )
        for one in crew.lanes.values():
            one.holder.refused.add(job)
        self._leases.refuse(lane.holder, job, ids)
        if crew.facts.is_private:
            self._unfit[job] = text
        self._dispatch.kick()

    def _fail_unfit(self) -> None:
        """Let tasks fail that not even this node's own worker can run, nor anybody else."""
        for job, text in self._unfit.items():
            if self._leases.is_refused(job):
                failure = failure_of(self._codec, SetupError(text))
                for task in [t for t in self._leases.tasks.values() if t.batch.job == job]:
                    self._leases.forget(task)
                    self._dispatch.fail(task, failure, self.node.name)

    @handler
    def broken(self, key: str, slot: int, job: int, ids: list[int], failure: Failure) -> None:
        """What a slot calls before its first task has raised: no task of the job can run."""
        crew, lane = self._lane(key, slot)
        if lane is not None:
            lane.heard += len(ids)
            self._leases.refuse(lane.holder, job, ids)
        self._dispatch.break_job(job, failure, self._name(crew))

    @handler
    def recalled(self, key: str, slot: int, ids: list[int], credit: int) -> None:
        """Tasks come back that were asked for, since others have nothing to do."""
        _, lane = self._lane(key, slot)
        if lane is not None:
            lane.heard += len(ids)
            self._leases.give_credit(lane.holder, credit)
            self._leases.recalled(lane.holder, ids)
            self._dispatch.kick()

    @handler
    def returned(self, key: str, slot: int) -> None:
        """Tasks come back that were not begun: their slot had ended when they came."""
        _, lane = self._lane(key, slot)
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
        crew, lane = self._lane(key, slot)
        if crew is not None and lane is not None:
            self._lose(lane, blamed, how, crew.facts.node, is_slow=is_slow)
            self._dispatch.kick()

    @handler
    def beat(self, key: str, ping: int, counts: list[tuple[int, int, int]]) -> None:
        """A worker answers a ping: what each slot was given, and has answered, by count."""
        crew = self._heard(key)
        if crew is None:
            return
        for slot, received, answered in counts:
            lane = crew.lanes.get(slot)
            if lane is None:
                self._say(crew, "announce", key_of(self.ref), slot)
                continue
            is_late = ping == self._ping and received < lane.at_ping
            if is_late or lane.heard < answered:
                self._repair(crew, lane, "lost messages on its way")
        if ping == self._ping:
            known = {slot for slot, _, _ in counts}
            for slot, lane in list(crew.lanes.items()):
                if lane.was_pinged and slot not in known:
                    self._repair(crew, lane, "has ended unheard")

    @handler
    def leave(self, key: str) -> None:
        """A worker takes no more tasks of this farm, and has none."""
        crew = self._crews.get(key)
        if crew is not None:
            self._part(crew, "it left", is_gone=True)

    def _heard(self, key: str) -> Crew | None:
        crew = self._crews.get(key)
        if crew is not None:
            crew.heard_at = self._loop.now()
        return crew

    def _lane(self, key: str, slot: int) -> tuple[Crew | None, Lane | None]:
        """The worker that has said something, and the slot of which; None if it is not known."""
        crew = self._heard(key)
        return crew, crew.lanes.get(slot) if crew is not None else None

    def _name(self, crew: Crew | None) -> str:
        return crew.facts.node if crew is not None else ""

    # -- their ends ---------------------------------------------------------------------------

    def _lose(
        self, lane: Lane, blamed: int | None, how: str, node: str, *, is_slow: bool = False
    ) -> None:
        holder = lane.holder
        self._crews[holder.worker].lanes.pop(holder.slot, None)
        for task in self._leases.lose(holder, blamed, is_slow=is_slow):
            self._dispatch.fail(
                task, failure_of(self._codec, (TaskTimeout if is_slow else TaskLost)(how)), node
            )

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
        self._dispatch.kick()

    def _part(self, crew: Crew, why: str, *, is_gone: bool = False) -> None:
        """Give what a worker held to others; unless it is gone, let it introduce itself again."""
        key = key_of(crew.ref)
        self._parted[key] = [
            next(iter(lane.holder.held)) for lane in crew.lanes.values() if lane.holder.held
        ]
        unfinished = self._leases.tasks
        held = sum(id_ in unfinished for lane in crew.lanes.values() for id_ in lane.holder.held)
        for lane in list(crew.lanes.values()):
            self._lose(lane, None, "", "")
        del self._crews[key]
        if held:
            self._events.notice(
                logging.WARNING,
                f"farm {self._farm!r}: {held} tasks of node {crew.facts.node!r} are given to "
                f"others: {why}",
            )
        if not is_gone:
            self._say(crew, "rejoin", self.ref)
        self._dispatch.kick()

    def _link_lost(self, event: LinkLost) -> None:
        for crew in [c for c in self._crews.values() if c.ref.address.node == event.node]:
            self._part(crew, "its connection broke")

    async def on_terminated(self, terminated: Terminated) -> None:
        """A worker has ended, or its whole node."""
        key = key_of(terminated.ref)
        crew = self._crews.get(key)
        node = crew.facts.node if crew is not None else ""
        if crew is not None:
            self._part(crew, terminated.detail or "it ended", is_gone=True)
        at_work = self._parted.pop(key, [])
        if terminated.reason == NODE_LOST:
            how = f"its worker's node was lost: {terminated.detail}"
            for task in self._leases.blame(at_work, key):
                self._dispatch.fail(task, failure_of(self._codec, TaskLost(how)), node)

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
        self._dispatch.note_pace()
        if self._is_open and not self._dispatch.is_paused:
            for grant in self._leases.second_grants(now):
                self._send(grant)
        if self._leases.tasks:
            self._dispatch.kick()
        self._look_for_workers(now)

    def _look_for_workers(self, now: float) -> None:
        """Say now and then that workers are missing, if they are."""
        wanted = 1 if self._is_open else self._min_workers
        there = self._dispatch.worker_count
        if there >= wanted or not self._leases.waiting_count or self._dispatch.is_paused:
            self._missing_since = None
            return
        if self._missing_since is None:
            self._missing_since = now + PATIENCE - REMINDER
        if now - self._missing_since < REMINDER:
            return
        self._missing_since = now
        self._events.notice(
            logging.WARNING,
            f"farm {self._farm!r} waits for workers, {there} of {wanted} are there: "
            f"start `actormq farm worker --mesh {self.node.mesh}` "
            "on other machines, or ask for fewer with min_workers=",
        )

    @every(PING_INTERVAL)
    def ping(self) -> None:
        """Ask every worker what it holds."""
        self._ping += 1
        for crew in list(self._crews.values()):
            for lane in crew.lanes.values():
                lane.at_ping, lane.was_pinged = lane.granted, True
            self._say(crew, "ping", key_of(self.ref), self._ping, self._wanted)
