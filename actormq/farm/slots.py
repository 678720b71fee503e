"""The slots of a worker: how many there are, and for which farm each of them works.

A slot belongs to one farm as long as its process lives: that one has loaded the farm's modules, as
they are now.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from zlib import crc32

from actormq.errors import SetupError
from actormq.farm.served import Held, Served
from actormq.farm.slot import Slot, SlotOwner
from actormq.rules.backoff import Backoff
from actormq.rules.shares import shares
from actormq.runtime import Runtime

RESTARTS = Backoff(first=0.5)  # where the last process has not come up
CLOSE_SECONDS = 2.0  # s that a slot's process may take to end what it is at, when its farm ends


class Slots:
    """Starts and ends slots, so that each farm has its share.

    Args:
        runtime: The parts of the node.
        count: How many there may be.
        farms: Those that are served, by key; whoever serves them changes it.
        key: Which worker this is: not all are to favour the same farm.
        owner: Told what comes of the tasks of each.
        let_go: Called with each that has ended because its slot is wanted elsewhere, and with that
            in words.
        say: Called with a line for people.

    Attributes:
        count: As above; 0 ends them as they become idle.
    """

    def __init__(
        self,
        runtime: Runtime,
        count: int,
        farms: dict[str, Served],
        key: str,
        owner: SlotOwner,
        let_go: Callable[[Held, str], None],
        say: Callable[[str], None],
    ) -> None:
        self.count = count
        self._runtime = runtime
        self._loop = runtime.loop
        self._farms = farms
        self._key = key
        self._owner = owner
        self._let_go = let_go
        self._say = say
        self._serials = itertools.count(1)
        self._closing: dict[asyncio.Task[None], Slot] = {}
        self._changed = asyncio.Event()
        self._is_balancing = False
        self._may_start_at = 0.0
        self._failed_starts = 0  # in a row

    def all(self) -> list[Held]:
        """Those that there are, in no order that means anything."""
        return [held for farm in self._farms.values() for held in farm.slots.values()]

    def find(self, number: int) -> Held | None:
        """The one of a number, None if it has ended."""
        for farm in self._farms.values():
            if number in farm.slots:
                return farm.slots[number]
        return None

    # -- how many for whom --------------------------------------------------------------------

    def balance(self) -> None:
        """Start and end some, soon, so that each farm has its share."""
        if not self._is_balancing:
            self._is_balancing = True
            self._loop.call_soon(self.balance_now)

    def balance_now(self) -> None:
        """Do that at once."""
        self._is_balancing = False
        due = shares(self.count, {key: self._farms[key].wanted for key in self._order()})
        for key, farm in self._farms.items():
            staying = [held for held in farm.slots.values() if not held.is_leaving]
            # Those that have something to do are let go last.
            staying.sort(key=lambda held: not held.slot.is_idle)
            for held in staying[: max(len(staying) - due[key], 0)]:
                held.is_leaving = True
                self.end_if_done(held)
        for key, farm in self._farms.items():
            staying = [held for held in farm.slots.values() if not held.is_leaving]
            if len(staying) < due[key] and len(self.all()) < self.count:
                self._start(farm)

    def _order(self) -> list[str]:
        """The farms in an order of this worker's own, so that not all favour the same one."""
        return sorted(self._farms, key=lambda key: crc32(f"{self._key} {key}".encode()))

    # -- their beginnings ---------------------------------------------------------------------

    def _start(self, farm: Served) -> None:
        """Start one; the next one comes after it, for each takes the loop some ms."""
        pause = self._may_start_at - self._loop.now()
        if pause > 0:
            self._loop.call_later(pause, self.balance)
            return
        number = next(self._serials)
        try:
            slot = Slot(self._runtime, number, f"farm {farm.name}", self._owner)
        except SetupError as error:
            self._say(str(error))
            self._pause()
            self.balance()
            return
        farm.slots[number] = Held(slot, farm)
        for job_number, job in farm.jobs.items():
            slot.add_job(job_number, job)
        self.balance()

    def came_up(self, held: Held) -> None:
        """Take note that its process is there."""
        held.is_ready = True
        self._failed_starts = 0

    def _pause(self) -> None:
        """Wait before the next one is started, for one has not come up."""
        self._failed_starts += 1
        self._may_start_at = self._loop.now() + RESTARTS.delay(
            self._failed_starts, self._runtime.chance()
        )

    # -- their ends ---------------------------------------------------------------------------

    def end_if_done(self, held: Held) -> None:
        """End one that is given no more tasks, once it has none."""
        if held.is_leaving and held.slot.is_idle and held.slot.number in held.farm.slots:
            del held.farm.slots[held.slot.number]
            self._let_go(held, "its slot is wanted elsewhere")
            self._close(held.slot, CLOSE_SECONDS)

    def end_all(self, farm: Served, seconds: float = CLOSE_SECONDS) -> None:
        """End those of a farm, which has so many seconds for what they are at."""
        for held in farm.slots.values():
            self._close(held.slot, seconds)
        farm.slots.clear()

    def drop(self, held: Held) -> None:
        """End one at once, whatever it is at; its farm knows."""
        del held.farm.slots[held.slot.number]
        self._close(held.slot, 0.0)

    def lost(self, held: Held) -> None:
        """Take note that its process has ended by itself."""
        del held.farm.slots[held.slot.number]
        self._changed.set()
        if not held.is_ready:
            self._pause()
        self.balance()

    def _close(self, slot: Slot, seconds: float) -> None:
        task = self._loop.aio.create_task(slot.close(seconds))
        self._closing[task] = slot
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        del self._closing[task]
        self._changed.set()
        self.balance()

    async def ended(self) -> None:
        """Wait until there is none any more."""
        while self.all() or self._closing:
            self._changed.clear()
            await self._changed.wait()

    async def kill(self) -> None:
        """End those at once that are about to end, and wait for them."""
        for slot in self._closing.values():
            slot.kill("its worker was stopped")
        if self._closing:
            await asyncio.wait(self._closing)
