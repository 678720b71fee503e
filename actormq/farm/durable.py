"""A batch that outlives its process: the store, as the loop sees it.

All that touches the disk runs in one thread, one group after the other. A task is accepted, and a
result is given to the user, once it is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from actormq.errors import StoreError
from actormq.farm.job import Job
from actormq.farm.records import Damage, Outcome
from actormq.farm.store import Store
from actormq.threads import Threads

T = TypeVar("T")

CLOSE_PATIENCE = 5.0  # s for what is being written when the farm ends


def described(job: Job) -> str:
    """Say what a batch runs, for its file: one of another job is refused."""
    return job.target if job.mode == "one" else f"{job.target}, {job.mode} by {job.mode}"


class Durable:
    """The store of one farm.

    Use `await Durable.opened(...)`.
    """

    def __init__(self) -> None:
        self._threads = Threads("actormq-store", 1, CLOSE_PATIENCE)
        self._store: Store

    @classmethod
    async def opened(cls, path: Path, job: str, *, resume: bool) -> Durable:
        """Open the file of a batch, or make it.

        Raises:
            StoreError: It cannot be used; see `Store`.
        """
        durable = cls()
        try:
            durable._store = await durable._run(lambda: Store(path, job, resume=resume))
        except BaseException:
            durable._threads.shutdown(wait=False)
            raise
        return durable

    async def _run(self, call: Callable[[], T]) -> T:
        # Shielded: what is under way on the disk ends, whoever waits for it or does not.
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._threads, call))

    @property
    def damaged(self) -> Sequence[Damage]:
        """What was found damaged, and has not been given anew since."""
        return self._store.damaged

    def complaint(self) -> str:
        """Say what was found damaged, for people."""
        damaged = self.damaged
        first = damaged[0]
        which = first.what if first.id < 0 else f"{first.what} {first.id}"
        count = sum(one.count for one in damaged)
        return (
            f"{self._store.path}: {count} damaged records were put aside, the first is {which}: "
            f"{first.reason}; tasks are taken from the input anew, and what has no result is done "
            "again"
        )

    async def accept(self, first: int, payloads: Sequence[bytes]) -> list[Outcome]:
        """Keep payloads; those that the file has already are held against it.

        Args:
            first: The number of the first one, in the whole input.
            payloads: Of the tasks from there on.

        Returns:
            What has become of some of them in a former run.

        Raises:
            StoreError: One is another than it was; or see `Store.accept`.
        """
        return await self._run(lambda: self._accept(first, payloads))

    def _accept(self, first: int, payloads: Sequence[bytes]) -> list[Outcome]:
        store, end = self._store, first + len(payloads)
        known = min(max(store.accepted_count - first, 0), len(payloads))
        for number, payload in enumerate(payloads[:known], first):
            self._compare(number, payload)
        if known < len(payloads):
            store.accept(list(enumerate(payloads[known:], first + known)))
        if not known:
            return []
        return [one for one in store.outcomes(first - 1, known) if one.id < end]

    def _compare(self, number: int, payload: bytes) -> None:
        kept = self._store.payload(number)
        if kept is None:
            self._store.replace(number, payload)
        elif kept != payload:
            raise StoreError(
                str(self._store.path),
                f"input {number} is another than it was when this batch began: give the same "
                "inputs in the same order, or name another file",
            )

    async def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Keep what has become of tasks.

        Raises:
            StoreError: See `Store.record`.
        """
        await self._run(lambda: self._store.record(outcomes))

    async def complete(self, count: int) -> None:
        """Keep that the input has ended, with so many tasks.

        Raises:
            StoreError: See `Store.complete`.
        """
        await self._run(lambda: self._store.complete(count))

    async def close(self) -> None:
        """Close the file, once what is under way is written."""
        await self._run(self._store.close)
        self._threads.shutdown(wait=False)
