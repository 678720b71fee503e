"""The actor that offers a machine's slots to the farms of its mesh.

It passes tasks on to its slots and their answers back, and looks into neither. How many slots work
for whom, and that they come and go, is the business of `slots.py`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

from actormq.actor import Actor
from actormq.errors import DeliveryError
from actormq.farm.failure import Failure
from actormq.farm.job import Job
from actormq.farm.reports import FARM_PREFIX, WorkerFacts, WorkerReport
from actormq.farm.roster import key_of
from actormq.farm.served import Held, Offer, Served
from actormq.farm.slot import Slot
from actormq.farm.slots import Slots
from actormq.marks import every, handler
from actormq.ref import Ref
from actormq.signals import Terminated

TICK = 0.25  # s between looks at whether the node drains
RETRY_PAUSE = 2.0  # s until a farm that has not answered is offered the worker again


class Worker(Actor):
    """Runs tasks of farms in processes of this machine.

    Args:
        slots: How many tasks at a time.
        farm: The ventilator of the one farm that it serves; None to serve all of the mesh.
        said: Called with a line of what it does, for people.
    """

    mailbox_limit = 100_000

    def __init__(
        self,
        slots: int,
        farm: Ref[Any] | None = None,
        said: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._count = slots
        self._only = farm
        self._say_line = said
        self._farms: dict[str, Served] = {}
        self._offered: dict[str, Offer] = {}
        self._is_leaving = False
        self._done_count = 0
        self._lost_count = 0

    async def on_start(self) -> None:
        """Find the farms."""
        runtime = self._actormq_own.runtime
        self._loop = runtime.loop
        self.idle_since: float | None = self._loop.now()
        self._key = key_of(self.ref)
        self._slots = Slots(
            runtime, self._count, self._farms, self._key, self, self._let_go, self._say_line
        )
        self._end_watch = self.node.directory.watch(self._names_changed)
        names = [] if self._only is not None else self.node.directory.names(FARM_PREFIX)
        for ref in [r for name in names for r in self.node.find_all(name)]:
            self._offer(ref)
        if self._only is not None:
            self._offer(self._only)

    async def on_stop(self) -> None:
        """End the slots, and tell the farms."""
        self._end_watch()
        self._is_leaving = True
        for farm in self._farms.values():
            self._tell(farm, "leave", self._key)
            self._slots.end_all(farm, 0.0)
        self._farms.clear()
        await self._slots.kill()

    # -- farms --------------------------------------------------------------------------------

    def _names_changed(self, names: set[str], _services: set[str]) -> None:
        if self._only is None:
            for name in names:
                if name.startswith(FARM_PREFIX):
                    for ref in self.node.find_all(name):
                        self._offer(ref)

    def _offer(self, ref: Ref[Any]) -> None:
        key = key_of(ref)
        if key not in self._offered and not self._is_leaving:
            self._offered[key] = Offer(ref, self._loop.now())
            self.watch(ref)
            self._introduce(ref)

    def _introduce(self, ref: Ref[Any]) -> None:
        facts = WorkerFacts(self.node.name, self._count, self._only is not None)
        with contextlib.suppress(DeliveryError):  # then it is told again, if it is there
            ref.tell("join", self.ref, facts)

    def _offer_again(self, now: float) -> None:
        """Ask those again who have not answered: a link may have broken meanwhile."""
        for key, offer in self._offered.items():
            if key not in self._farms and now - offer.at >= RETRY_PAUSE:
                offer.at = now
                self._introduce(offer.ref)

    @handler
    def welcome(self, farm: Ref[Any], name: str, wanted: int) -> None:
        """A farm takes this worker, with the slots that work for it already, if there are any."""
        key = key_of(farm)
        if self._is_leaving or key not in self._offered:
            return
        served = self._farms.get(key)
        if served is None:
            served = self._farms[key] = Served(farm, name, wanted)
            self._say_line(f"joins farm {name!r}")
        served.wanted = wanted
        for held in list(served.slots.values()):
            if held.is_ready:
                self._announce(held)
        self._slots.balance()

    @handler
    def rejoin(self, farm: Ref[Any]) -> None:
        """A farm has taken this worker for lost."""
        if key_of(farm) in self._farms and not self._is_leaving:
            self._introduce(farm)

    @handler
    def want(self, farm: str, wanted: int) -> None:
        """A farm says how many slots it could use."""
        served = self._farms.get(farm)
        if served is not None and served.wanted != wanted:
            served.wanted = wanted
            self._slots.balance()

    @handler
    def announce(self, farm: str, slot: int) -> None:
        """A farm has not heard of a slot."""
        held = self._held(farm, slot)
        if held is not None and held.is_ready:
            self._announce(held)

    @handler
    def dismiss(self, farm: str) -> None:
        """A farm has ended."""
        self._forget(farm)

    async def on_terminated(self, terminated: Terminated) -> None:
        """A farm has ended, or its whole node."""
        self._forget(key_of(terminated.ref))

    def _forget(self, key: str) -> None:
        self._offered.pop(key, None)
        farm = self._farms.pop(key, None)
        if farm is not None:
            self._say_line(f"farm {farm.name!r} has ended")
            self._slots.end_all(farm)
            self._note_idle()
            self._slots.balance()

    def _let_go(self, held: Held, how: str) -> None:
        """A slot has ended that was given no more tasks: the farm has lost nothing with it."""
        self._tell(held.farm, "lost", self._key, held.slot.number, None, how, is_slow=False)

    def _held(self, farm: str, slot: int) -> Held | None:
        served = self._farms.get(farm)
        return served.slots.get(slot) if served is not None else None

    def _tell(self, farm: Served, message: str, *args: Any, **kwargs: Any) -> None:
        try:
            farm.ref.tell(message, *args, **kwargs)
        except DeliveryError:
            return  # it will find out by what it does not hear

    # -- tasks --------------------------------------------------------------------------------

    @handler
    def job(self, farm: str, number: int, job: Job) -> None:
        """A farm tells what tasks of a number run."""
        served = self._farms.get(farm)
        if served is not None:
            served.jobs[number] = job
            for held in served.slots.values():
                held.slot.add_job(number, job)

    @handler
    def work(
        self,
        farm: str,
        slot: int,
        job: int,
        ids: list[int],
        blob: bytes,
        timeout: float | None,
    ) -> None:
        """Tasks for a slot."""
        served = self._farms.get(farm)
        if served is None:
            return
        held = served.slots.get(slot)
        if held is None:
            self._tell(served, "returned", self._key, slot)
            return
        held.received += len(ids)
        self.idle_since = None
        try:
            held.slot.work(job, ids, blob, math.inf if timeout is None else timeout)
        except DeliveryError as error:
            held.slot.kill(f"could not be given its tasks: {error}")

    @handler
    def recall(self, farm: str, slot: int, count: int) -> None:
        """A farm wants tasks back that a slot has not begun, for others have nothing to do."""
        held = self._held(farm, slot)
        if held is not None:
            ids = held.slot.recall(count)
            busy = held.slot.busy_for
            if busy > (held.mean or 0.0):
                held.mean, held.asked = busy, 1
            self._answered(held, len(ids), "recalled", ids, held.credit)

    @handler
    def drop(self, farm: str, slot: int) -> None:
        """A farm does not know any more what a slot holds: it is ended."""
        held = self._held(farm, slot)
        if held is not None:
            self._slots.drop(held)

    @handler
    def ping(self, farm: str, number: int, wanted: int) -> None:
        """A farm asks what its slots hold, and says again how many it could use."""
        served = self._farms.get(farm)
        if served is not None:
            self.want(farm, wanted)
            counts = [
                (slot, held.received, held.answered)
                for slot, held in served.slots.items()
                if held.is_ready
            ]
            self._tell(served, "beat", self._key, number, counts)

    # -- what slots say -----------------------------------------------------------------------

    def slot_ready(self, slot: Slot) -> None:
        """See `SlotOwner`."""
        held = self._slots.find(slot.number)
        if held is not None:
            self._slots.came_up(held)
            self._announce(held)

    def _announce(self, held: Held) -> None:
        ids = list(held.slot.held)
        held.received, held.answered = len(ids), 0
        self._tell(held.farm, "ready", self._key, held.slot.number, held.credit, ids)

    def slot_done(self, slot: Slot, ids: list[int], blob: bytes, seconds: float) -> None:
        """See `SlotOwner`."""
        held = self._slots.find(slot.number)
        if held is None:
            return
        held.measured(seconds, len(ids))
        self._done_count += len(ids)
        self._answered(held, len(ids), "done", ids, blob, seconds, held.credit)

    def slot_failed(self, slot: Slot, id_: int, failure: Failure) -> None:
        """See `SlotOwner`."""
        held = self._slots.find(slot.number)
        if held is not None:
            self._done_count += 1
            self._answered(held, 1, "failed", id_, failure, held.credit)

    def slot_cannot(self, slot: Slot, job: int, ids: list[int], text: str) -> None:
        """See `SlotOwner`."""
        held = self._slots.find(slot.number)
        if held is not None:
            if job not in held.farm.refused:
                held.farm.refused.add(job)
                self._say_line(f"takes no task of {held.farm.jobs[job].target}: {text}")
            self._answered(held, len(ids), "cannot", job, ids, text)

    def slot_skipped(self, slot: Slot, ids: list[int]) -> None:
        """See `SlotOwner`."""
        held = self._slots.find(slot.number)
        if held is not None:
            self._answered(held, len(ids), "recalled", ids, held.credit)

    def slot_broken(self, slot: Slot, job: int, ids: list[int], failure: Failure) -> None:
        """See `SlotOwner`."""
        held = self._slots.find(slot.number)
        if held is not None:
            self._say_line(f"the initializer of {held.farm.name!r} failed: {failure.text}")
            self._answered(held, len(ids), "broken", job, ids, failure)

    def _answered(self, held: Held, count: int, message: str, *args: Any) -> None:
        held.answered += count
        self._tell(held.farm, message, self._key, held.slot.number, *args)
        if held.slot.is_idle:
            self._slots.end_if_done(held)
            self._note_idle()

    def slot_lost(self, slot: Slot, blamed: int | None, _ids: list[int], how: str) -> None:
        """See `SlotOwner`."""
        held = self._slots.find(slot.number)
        if held is None:
            return
        self._slots.lost(held)
        self._lost_count += 1
        self._say_line(f"slot {slot.number} {how}")
        self._tell(held.farm, "lost", self._key, slot.number, blamed, how, is_slow=slot.was_late)
        self._note_idle()

    # -- the end ------------------------------------------------------------------------------

    def _note_idle(self) -> None:
        if self.idle_since is None and all(held.slot.is_idle for held in self._slots.all()):
            self.idle_since = self._loop.now()

    @handler
    def idle(self) -> float:
        """Tell for how many seconds nobody has had a task here; 0 if somebody has."""
        return 0.0 if self.idle_since is None else self._loop.now() - self.idle_since

    @handler(concurrent=True)
    async def retire(self) -> None:
        """Take no more tasks; ends when those that have been taken have ended."""
        self._is_leaving = True
        self._slots.count = 0
        self._slots.balance_now()
        await self._slots.ended()
        for farm in self._farms.values():
            self._tell(farm, "leave", self._key)

    @handler
    def report(self) -> WorkerReport:
        """Tell what it does."""
        slots = self._slots.all()
        return WorkerReport(
            node=self.node.name,
            slots=self._count,
            busy=sum(not held.slot.is_idle for held in slots),
            farms={farm.name: len(farm.slots) for farm in self._farms.values()},
            done=self._done_count,
            lost=self._lost_count,
        )

    @every(TICK)
    def tick(self) -> None:
        """Look whether the node drains, and for farms that have not answered."""
        if self.node.is_draining and not self._is_leaving:
            self.ref.tell("retire")
        self._offer_again(self._loop.now())
