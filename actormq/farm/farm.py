"""What users hold of a farm: `async with node.farm(f) as farm`, and `farm.map`."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, TypeVar

from actormq.errors import DeliveryError, FarmClosed, NameTaken, OutcomeUnknown, SetupError
from actormq.farm.dispatch import Dispatch
from actormq.farm.durable import Durable, described
from actormq.farm.job import Job, job_of
from actormq.farm.reports import FARM_PREFIX, Progress
from actormq.farm.results import TaskResult, result_maker
from actormq.farm.stream import Stream
from actormq.farm.ventilator import Ventilator
from actormq.farm.worker import Worker
from actormq.ref import Ref
from actormq.rules.tasks import Batch

if TYPE_CHECKING:
    from actormq.node import Node

T = TypeVar("T")
R = TypeVar("R")

SLOTS_LIMIT = 1_024  # of one worker: a process each


class FarmOptions(TypedDict, total=False):
    """What a farm can be told.

    Attributes:
        name: By which it is found; the function's by default.
        workers: Processes that this node itself starts for it; by default one a core, 0 for none.
        min_workers: Workers that must be there before the first task is given out, 1 by default.
        durable: A file that keeps tasks and results, so that a farm which was killed goes on.
        resume: Whether to go on with what the file has; otherwise it must be new. True by default.
    """

    name: str | None
    workers: int | None
    min_workers: int
    durable: str | os.PathLike[str] | None
    resume: bool


class Farm(Generic[T, R]):
    """Runs one function over many inputs, on the workers of the mesh.

    It is made by `Node.farm`, and used as `async with node.farm(f) as farm`.

    Attributes:
        name: Its name.
        failures: What became of the tasks that failed for good.
    """

    def __init__(
        self,
        node: Node,
        function: Any,
        *,
        name: str | None = None,
        workers: int | None = None,
        min_workers: int = 1,
        durable: str | os.PathLike[str] | None = None,
        resume: bool = True,
    ) -> None:
        self._node = node
        self._job: Job = job_of(function)
        self._made = result_maker(function)
        self._workers = count_of(workers, "workers")
        if not isinstance(min_workers, int) or min_workers < 0:
            raise SetupError(f"min_workers={min_workers!r}: it is a count of workers, 0 or more")
        self._min_workers = min_workers
        self._path = None if durable is None else Path(durable)
        self._is_resumed = resume
        self._durable: Durable | None = None
        self._is_mapped = False
        self._is_named = name is not None
        self.name = name or self._job.target.rpartition(":")[2]
        self.failures: list[TaskResult[T, R]] = []
        self._dispatch: Dispatch | None = None
        self._ref: Ref[Ventilator] | None = None
        self._worker: Ref[Worker] | None = None

    # -- its life -----------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._path is not None:
            job = described(self._job)
            self._durable = await Durable.opened(self._path, job, resume=self._is_resumed)
            if self._durable.damaged:
                self._node.events.notice(logging.WARNING, self._durable.complaint())
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def _start(self) -> None:
        self._ref = await self._spawned()
        if self._workers:
            self._worker = await self._node.spawn(Worker, None, self._workers, self._ref)

    async def _spawned(self) -> Ref[Ventilator]:
        names = [self.name] if self._is_named else [self.name, f"{self.name}-{id(self):x}"]
        for name in names:
            try:
                ref = await self._node.spawn(
                    Ventilator, FARM_PREFIX + name, name, self._min_workers, self._attach
                )
            except NameTaken:
                if name == names[-1]:
                    raise
            else:
                self.name = name
                return ref
        raise AssertionError("the last name was taken, which raises")

    def _attach(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the farm, and what its workers are at; a second time it does nothing."""
        self._dispatch = None
        worker, ventilator = self._worker, self._ref
        self._worker = self._ref = None
        for ref in (worker, ventilator):
            if ref is not None:
                with contextlib.suppress(DeliveryError, OutcomeUnknown):  # the node stops as well
                    await ref.stop()
        durable, self._durable = self._durable, None
        if durable is not None:
            await durable.close()

    # -- its use ------------------------------------------------------------------------------

    def map(
        self,
        inputs: Iterable[T] | AsyncIterable[T],
        *,
        retries: int = 3,
        timeout: float | None = None,
        ordered: bool = False,
        speculate: bool = True,
    ) -> AsyncGenerator[TaskResult[T, R], None]:
        """Run the function once for each input; give the results as they come.

        Inputs are read as there is room for them: ten million of them take no more memory than some
        thousand do.

        Args:
            inputs: What the function gets, one after the other. What a generator raises comes out
                once the tasks before it have ended.
            retries: How often a task that raised, or took too long, is tried again.
            timeout: Seconds that one try may take; then its process is ended. None for no limit.
            ordered: Whether the results come in the order of the inputs.
            speculate: Whether, at the end, idle workers are given what others take long for.

        Returns:
            What became of each task, as an asynchronous iterator. One that failed for good, or
            whose input cannot travel, is no exception here: its `value` raises, and it is in
            `failures` as well.

        Raises:
            FarmClosed: The farm is not open.
            SetupError: An argument cannot be.
            StoreError: Tasks or results cannot be kept any more, where the farm is durable.
        """
        dispatch = self._open()
        _check(retries, timeout)
        job = dispatch.add_job(self._job)
        batch = Batch(job, retries, timeout, is_speculative=speculate)
        stream = Stream(
            dispatch,
            dispatch.codec,
            batch,
            self.name,
            self._made,
            self._kept(),
            is_ordered=ordered,
        )
        stream.failures = self.failures
        return stream.results(inputs)

    def _kept(self) -> Durable | None:
        """The file of this call: it holds one batch, and so is good for one call."""
        if self._durable is not None and self._is_mapped:
            raise SetupError(
                f"farm {self.name!r} is durable and has had its batch: {self._path} holds one, "
                "make another farm with another file"
            )
        self._is_mapped = True
        return self._durable

    def pause(self) -> None:
        """Give no more tasks out until `resume`; what workers hold still ends.

        Raises:
            FarmClosed: The farm is not open.
        """
        self._open().pause()

    def resume(self) -> None:
        """Give tasks out again.

        Raises:
            FarmClosed: The farm is not open.
        """
        self._open().resume()

    def progress(self) -> Progress:
        """Tell how far it is.

        Raises:
            FarmClosed: The farm is not open.
        """
        return self._open().progress()

    def _open(self) -> Dispatch:
        if self._dispatch is None:
            raise FarmClosed(self.name)
        return self._dispatch


def count_of(workers: int | None, what: str) -> int:
    """A number of slots: as many as this process may use processors, unless somebody says.

    Raises:
        SetupError: It is no such number.
    """
    if workers is None:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    is_number = isinstance(workers, int) and not isinstance(workers, bool)
    if not is_number or not 0 <= workers <= SLOTS_LIMIT:
        raise SetupError(f"{what}={workers!r}: it is a count of processes, 0 to {SLOTS_LIMIT}")
    return workers


def _check(retries: Any, timeout: Any) -> None:
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise SetupError(f"retries={retries!r}: it is a count of further tries, 0 or more")
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and timeout > 0):
        raise SetupError(f"timeout={timeout!r}: it is a number of seconds above 0, or None")
