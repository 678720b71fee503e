"""The node's side of a slot: a process that runs one task at a time, and may be ruined by it.

Who is to blame when it ends, and whether a task has run for too long, is read from a page of memory
that both see (`words.PAGE`): the process notes there what it begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import mmap
import os
import tempfile
import time
from typing import Protocol

import msgspec
import psutil

from actormq.elsewhere.spawned import Spawned
from actormq.farm import words
from actormq.farm.failure import Failure
from actormq.farm.job import Job
from actormq.message import Envelope
from actormq.runtime import Runtime

LOOK_LEAST = 0.01  # s between two looks at a page, however short the tasks' timeouts are
LOOK_MOST = 0.5  # s: a process that was stopped is seen within twice that
STOPPED_LIMIT = 1.0  # s that a process may be stopped: a person who does that for longer means it
STOPPED_LOOK = 0.25  # s between looks at one that is
STATUS_INTERVAL = 0.5  # s between questions to the system about one that seems to be at work

START = "from actormq.farm.program import main; main(told)"
"""The program of a slot. It starts fast, for the package imports only what somebody asks it for."""


class SlotOwner(Protocol):
    """Whoever has given a slot its work."""

    def slot_ready(self, slot: Slot) -> None:
        """Its process is up."""

    def slot_done(self, slot: Slot, ids: list[int], blob: bytes, seconds: float) -> None:
        """Tasks have ended well; the blob has their results, the seconds are of all of them."""

    def slot_failed(self, slot: Slot, id_: int, failure: Failure) -> None:
        """A task has raised, or its result cannot travel."""

    def slot_cannot(self, slot: Slot, job: int, ids: list[int], text: str) -> None:
        """The function of a job is not on this machine; these tasks have not run."""

    def slot_broken(self, slot: Slot, job: int, ids: list[int], failure: Failure) -> None:
        """The initializer of a job has raised; these tasks have not run."""

    def slot_skipped(self, slot: Slot, ids: list[int]) -> None:
        """Tasks were taken back that `recall` did not give; they have not run."""

    def slot_lost(self, slot: Slot, blamed: int | None, ids: list[int], how: str) -> None:
        """The process has ended.

        Args:
            slot: The slot, of no use any more.
            blamed: The task that it was at, None if it was between two, or at none.
            ids: All that it still held, the blamed one among them.
            how: What happened to it, such as "was killed by SIGSEGV".
        """


class Slot:
    """One process for tasks.

    Args:
        runtime: The parts of the node.
        number: Which of the node's slots it is.
        label: What errors and the list of processes call it.
        owner: Told what comes of the tasks.

    Attributes:
        held: The tasks that it has, and how many seconds each may take, in the order in which they
            were given.
        was_late: Whether its process was ended because a task took too long.

    Raises:
        SetupError: Its process could not be started.
    """

    def __init__(self, runtime: Runtime, number: int, label: str, owner: SlotOwner) -> None:
        self._runtime = runtime
        self._label = label
        self._owner = owner
        self._page, descriptor = _new_page()
        try:
            self._spawned = Spawned(
                runtime,
                label,
                {"page": descriptor},
                self._heard,
                self._gone,
                program=START,
                shared=(descriptor,),
                has_group=True,
            )
        except BaseException:
            self._page.close()
            raise
        finally:
            os.close(descriptor)
        self._jobs: dict[int, Job] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._seen = (0.0, words.IDLE)
        self._stopped_at: float | None = None
        self._asked_at = runtime.loop.now()
        self._status = psutil.Process(self.pid)
        self._is_over = False
        limit = runtime.settings.start_timeout
        self._starting: asyncio.TimerHandle | None = runtime.loop.call_later(
            limit, self.kill, f"did not start within {limit:g} s"
        )
        self._given = 0  # tasks, by count
        self._recalled = (0, 0)  # the last that were taken back: the first, and behind the last
        self._solid = 0  # from here to those, none was taken back before
        self._recalls = 0
        self.was_late = False
        self.number = number
        self.held: dict[int, float] = {}

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._spawned.pid

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return not self.held

    # -- what it is told ----------------------------------------------------------------------

    def add_job(self, number: int, job: Job) -> None:
        """Tell it of a job, once and before its tasks.

        Raises:
            DeliveryError: It cannot be told.
        """
        self._spawned.say([words.JOB, number, *msgspec.structs.astuple(job)])
        self._jobs[number] = job

    def work(self, job: int, ids: list[int], blob: bytes, timeout: float = math.inf) -> None:
        """Give it tasks.

        Args:
            job: The number of what they run.
            ids: Their ids.
            blob: Their payloads, one after the other.
            timeout: Seconds that each of them may run.

        Raises:
            DeliveryError: They cannot be sent; it holds none of them.
        """
        assert not self._is_over, "a slot that is closed or lost was given work"
        aside = self._runtime.codec.aside(self._label, blob)
        self._spawned.say([words.WORK, job, ids, aside])
        self.held.update(dict.fromkeys(ids, timeout))
        self._given += len(ids)
        self._look_by(timeout)

    def recall(self, count: int) -> list[int]:
        """Take back tasks that it has not begun, the last that it was given.

        Args:
            count: How many at most.

        Returns:
            Their ids: it will not run them. Fewer than `count` where it may have come to them; if
            it has not, `slot_skipped` tells of them later.
        """
        # The page has room for one range. Where more was given since, these are by themselves, and
        # the former ones are forgotten: those that it has not come to yet, it may run in vain.
        if self._recalled[1] != self._given:
            self._solid = self._recalled[1]
            self._recalled = self._given, self._given
        top, end = self._recalled
        first = max(top - count, self._solid)
        taken = list(self.held)[len(self.held) - (top - first) :]
        if not taken:
            return []
        self._write_recall(first, end)
        _, at = words.PAGE.unpack_from(self._page)
        if at == words.IDLE:  # it has done all; or has not heard of them, and will say so
            return []
        if at in taken:
            taken = taken[taken.index(at) + 1 :]
        for id_ in taken:
            del self.held[id_]
        return taken

    def _write_recall(self, first: int, end: int) -> None:
        self._recalled = first, end
        self._recalls += 1
        self._page[words.RECALLS_AT] = (2 * self._recalls - 1) % 256
        words.RECALL.pack_into(self._page, words.PAGE.size, first, end)
        self._page[words.RECALLS_AT] = 2 * self._recalls % 256 or 2

    @property
    def busy_for(self) -> float:
        """Seconds for which it has been at its present task; 0.0 if it is at none."""
        start, at = words.PAGE.unpack_from(self._page)
        return max(time.monotonic() - start, 0.0) if at in self.held else 0.0

    def kill(self, how: str) -> None:
        """End its process by force; `how` is what `slot_lost` will be told."""
        self._spawned.kill(how)

    async def close(self, seconds: float) -> None:
        """End its process once it has done what it holds, and by force after `seconds`.

        Its owner hears no more from now on.
        """
        if not self._is_over:
            self._end()
        await self._spawned.close(seconds)

    def _has_started(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None

    def _end(self) -> None:
        self._is_over = True
        self._has_started()
        self._page.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- what it says -------------------------------------------------------------------------

    def _heard(self, envelope: Envelope) -> None:
        if self._is_over:
            return
        match envelope:
            case [words.DONE, list(ids), blob, float(seconds)]:
                self._give_up(ids)
                self._owner.slot_done(self, ids, blob, seconds)
            case [words.FAILED, int(id_), *parts]:
                self._give_up([id_])
                self._owner.slot_failed(self, id_, msgspec.convert(parts, Failure))
            case [words.READY]:
                self._has_started()
                self._owner.slot_ready(self)
            case [words.SKIPPED, list(ids)]:
                skipped = [id_ for id_ in ids if id_ in self.held]
                self._give_up(skipped)
                if skipped:
                    self._owner.slot_skipped(self, skipped)
            case [words.CANNOT, int(job), list(ids), str(text)]:
                self._give_up(ids)
                self._owner.slot_cannot(self, job, ids, text)
            case [words.BROKEN, int(job), list(ids), *parts]:
                self._give_up(ids)
                self._owner.slot_broken(self, job, ids, msgspec.convert(parts, Failure))

    def _give_up(self, ids: list[int]) -> None:
        for id_ in ids:
            self.held.pop(id_, None)

    # -- its end ------------------------------------------------------------------------------

    def _gone(self, how: str) -> None:
        if self._is_over:
            return
        _, at = words.PAGE.unpack_from(self._page)
        self._end()
        ids = list(self.held)
        blamed = at if at in self.held else None
        if at == words.LOADING and ids:
            blamed, how = ids[0], f"{how} while it loaded {self._loading()}"
        self.held.clear()
        self._owner.slot_lost(self, blamed, ids, how)

    def _loading(self) -> str:
        return " or ".join(job.target for job in self._jobs.values())

    # -- looking at it ------------------------------------------------------------------------

    def _look_by(self, seconds: float) -> None:
        """Look at the page in so many seconds at the latest."""
        now = self._runtime.loop.now()
        due = now + min(max(seconds, LOOK_LEAST), LOOK_MOST)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._runtime.loop.call_later(due - now, self._look)

    def _look(self) -> None:
        """Kill the process if its task has run for too long, or if it is stopped."""
        self._timer = None
        if not self.held:
            self._stopped_at = None
            return
        seen = start, at = words.PAGE.unpack_from(self._page)
        limit = self._limit_of(at)
        left = start + limit - time.monotonic()
        if left <= 0:
            self.was_late = True
            self.kill(f"took longer than {limit:g} s")
            return
        has_moved, self._seen = seen != self._seen, seen
        if has_moved:
            self._stopped_at = None
        elif self._has_been_stopped():
            self.kill("was stopped")
            return
        least = min(self.held.values())
        self._look_by(min(left, least, LOOK_MOST if self._stopped_at is None else STOPPED_LOOK))

    def _limit_of(self, at: int) -> float:
        if at == words.LOADING:
            return self._runtime.settings.start_timeout
        return self.held.get(at, math.inf)

    def _has_been_stopped(self) -> bool:
        """Whether it has been stopped for `STOPPED_LIMIT`; a debugger's stop is another one."""
        now = self._runtime.loop.now()
        if self._stopped_at is None and now - self._asked_at < STATUS_INTERVAL:
            return False
        self._asked_at = now
        is_stopped = False
        with contextlib.suppress(psutil.Error):  # it has just ended
            is_stopped = self._status.status() == psutil.STATUS_STOPPED
        if not is_stopped:
            self._stopped_at = None
        elif self._stopped_at is None:
            self._stopped_at = now
        return self._stopped_at is not None and now - self._stopped_at >= STOPPED_LIMIT


def _new_page() -> tuple[mmap.mmap, int]:
    """A page without a name, and its descriptor."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("actormq-slot")
    else:  # macOS
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, words.PAGE.pack(0.0, words.IDLE).ljust(words.PAGE_BYTES, b"\0"))
    return mmap.mmap(descriptor, words.PAGE_BYTES), descriptor
