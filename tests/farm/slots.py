"""A slot and its owner, for tests."""

import asyncio
import math
import sys
import time
from pathlib import Path

from work import hold_the_lock

from actormq import Node
from actormq.codec import Codec
from actormq.farm.job import job_of
from actormq.farm.slot import Slot

CODEC = Codec(1 << 30, 1 << 30)


class Owner:
    """Remembers what it is told."""

    def __init__(self):
        self.told = []  # (time, what, ...)
        self.results = {}
        self.failures = {}
        self.lost = None
        self.changed = asyncio.Event()

    def _note(self, *what):
        self.told.append((time.monotonic(), *what))
        self.changed.set()

    def slot_ready(self, slot):
        self._note("ready")

    def slot_done(self, slot, ids, blob, seconds):
        values = CODEC.unpack_all(blob)
        assert len(values) == len(ids)
        assert not self.results.keys() & set(ids), "a result came twice"
        self.results.update(zip(ids, values, strict=True))
        self._note("done", ids, seconds)

    def slot_failed(self, slot, id_, failure):
        self.failures[id_] = failure
        self._note("failed", id_)

    def slot_cannot(self, slot, job, ids, text):
        self._note("cannot", job, ids, text)

    def slot_skipped(self, slot, ids):
        self._note("skipped", ids)

    def slot_broken(self, slot, job, ids, failure):
        self._note("broken", job, ids, failure)

    def slot_lost(self, slot, blamed, ids, how):
        self.lost = blamed, ids, how
        self._note("lost")

    async def until(self, is_so):
        async with asyncio.timeout(60):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

    def count(self, what):
        return sum(told[1] == what for told in self.told)

    def at(self, what):
        """When it was first told so."""
        return next(told[0] for told in self.told if told[1] == what)


class Bench:
    """A slot of a node, given jobs by what they run."""

    def __init__(self, node):
        self.owner = Owner()
        self.slot = Slot(node._runtime, 1, "slot 1", self.owner)
        self._jobs = {}
        self.job = 0  # the number of the last one
        self._ids = 0

    @classmethod
    async def on(cls, node):
        return cls(node)

    def give(self, function, *payloads, timeout=math.inf, **how):
        """Give it tasks; their ids."""
        job = job_of(function, **how)
        if job not in self._jobs:
            self._jobs[job] = self._said(job)
        return self._given(self._jobs[job], payloads, timeout)

    def give_anew(self, job, *payloads):
        """Give it tasks of a job, as if it were another one."""
        return self._given(self._said(job), payloads, math.inf)

    def _said(self, job):
        self.job += 1
        self.slot.add_job(self.job, job)
        return self.job

    def _given(self, number, payloads, timeout):
        ids = [self._ids + n for n, _ in enumerate(payloads)]
        self._ids += len(payloads)
        self.slot.work(
            number, ids, b"".join(CODEC.pack_value("a slot", value) for value in payloads), timeout
        )
        return ids

    async def run(self, function, *payloads, **how):
        """Give it tasks and wait for what comes of each: a result or a failure."""
        ids = self.give(function, *payloads, **how)
        await self.owner.until(lambda: self.slot.is_idle)
        return [self.owner.results.get(id_, self.owner.failures.get(id_)) for id_ in ids]


def tripled(value: int) -> int:
    return 3 * value


def note(path, pid):
    Path(path).write_text(str(pid))


async def main(path):
    """Be a node whose slot is at work, until somebody ends this."""
    async with Node(discovery=False) as node:
        bench = Bench(node)
        assert await bench.run(tripled, 2) == [6]
        bench.give(hold_the_lock, 0)
        note(path, bench.slot.pid)
        await node.stopped()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
