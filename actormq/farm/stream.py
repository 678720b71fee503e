"""One call of `Farm.map`: inputs in, as many as there is room for; results out."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from actormq.codec import Codec
from actormq.errors import ActormqError
from actormq.farm.failure import Failure, rebuilt
from actormq.farm.results import TaskResult
from actormq.farm.ventilator import Ventilator
from actormq.rules.leases import Batch, Task

WINDOW = 4_096  # tasks of one call that are under way, or have ended and were not fetched, at least
WINDOW_CREDITS = 4  # times what all workers may hold, if that is more
WINDOW_BYTES = 64 * 1024 * 1024  # of payloads that wait
GROUP = 512  # inputs read at a time, at most
GROUP_SECONDS = 0.005  # s for that, before others have their turn on the loop


class Record(Protocol):
    """What outlives the process: the store of a durable farm, see `durable.py`."""

    async def accept(self, payloads: Sequence[bytes]) -> Sequence[TaskResult[Any, Any] | None]:
        """Keep payloads, the next ones in order; gives what has become of them already."""

    async def keep(self, results: Sequence[tuple[TaskResult[Any, Any], Failure | None]]) -> None:
        """Keep results."""

    async def complete(self, count: int) -> None:
        """Keep that the input has ended."""


class Stream:
    """The tasks of one call: an `Owner` for the ventilator, an iterator for the user.

    Args:
        ventilator: Who gives them out.
        codec: Packs the inputs.
        batch: What the tasks have in common.
        name: What the farm is called, for errors.
        made: Makes what the function returned of what came, or None if it is that already.
        is_ordered: Whether results come in the order of the inputs.
    """

    def __init__(
        self,
        ventilator: Ventilator,
        codec: Codec,
        batch: Batch,
        name: str,
        made: Callable[[Any], Any] | None,
        *,
        is_ordered: bool,
    ) -> None:
        batch.owner = self
        self.failures: list[TaskResult[Any, Any]] = []
        self._ventilator = ventilator
        self._codec = codec
        self._batch = batch
        self._name = name
        self._made = made
        self._is_ordered = is_ordered
        self._ready: deque[TaskResult[Any, Any]] = deque()
        self._early: dict[int, TaskResult[Any, Any]] = {}  # ordered: those whose turn is not yet
        self._next = 0
        self._given = 0  # inputs taken
        self._fetched = 0  # results handed to the user
        self._waiting_bytes = 0
        self._error: BaseException | None = None  # of the input
        self._is_fed = False
        self._changed = asyncio.Event()  # there is something for the user
        self._room = asyncio.Event()  # there is something for the feeder

    # -- out ----------------------------------------------------------------------------------

    async def results(
        self, inputs: Iterable[Any] | AsyncIterable[Any]
    ) -> AsyncGenerator[TaskResult[Any, Any], None]:
        """Feed inputs and give results, until there are no more of either."""
        feeder = asyncio.get_running_loop().create_task(self._feed(inputs))
        ready = self._ready
        try:
            while True:
                while ready:
                    self._fetched += 1
                    yield ready.popleft()
                self._room.set()
                if self._is_fed and self._fetched == self._given:
                    break
                self._changed.clear()
                await self._changed.wait()
            if self._error is not None:
                raise self._error
        finally:
            feeder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeder
            self._ventilator.close_batch(self._batch, is_given_up=True)

    # -- in -----------------------------------------------------------------------------------

    async def _feed(self, inputs: Iterable[Any] | AsyncIterable[Any]) -> None:
        try:
            if isinstance(inputs, AsyncIterable):
                async for value in inputs:
                    await self._until_room()
                    self._take([value])
            else:
                await self._feed_from(iter(inputs))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 a border: the input is the user's, who gets it
            self._error = error
        self._is_fed = True
        self._ventilator.close_batch(self._batch)
        self._ventilator.total = self._ventilator.given_count
        self._changed.set()

    async def _feed_from(self, inputs: Iterator[Any]) -> None:
        now = self._ventilator.now
        while True:
            room = await self._until_room()
            group: list[Any] = []
            end = now() + GROUP_SECONDS
            try:
                # Few at first: the function may take its time, and so may the generator.
                for value in itertools.islice(inputs, min(room, GROUP)):
                    group.append(value)
                    if now() > end:
                        break
                else:
                    if len(group) < min(room, GROUP):
                        return
            finally:
                self._take(group)  # what came before a generator raised counts
            await asyncio.sleep(0)

    async def _until_room(self) -> int:
        """Wait until there is room for another task; say for how many."""
        while (room := self._window() - (self._given - self._fetched)) <= 0 or (
            self._waiting_bytes > WINDOW_BYTES
        ):
            self._room.clear()
            await self._room.wait()
        return room

    def _window(self) -> int:
        return max(WINDOW, WINDOW_CREDITS * self._ventilator.credit)

    def _take(self, values: Sequence[Any]) -> None:
        """Pack inputs and hand them on.

        Raises:
            NotEncodable: One of them cannot travel; those before it have been handed on.
            MessageTooLarge: Likewise.
        """
        payloads: list[bytes] = []
        pack, name = self._codec.pack_value, f"farm {self._name}"
        error: ActormqError | None = None
        for value in values:
            try:
                payloads.append(pack(name, value))
            except ActormqError as refused:
                error = refused
                break
        first = self._given
        self._given += len(payloads)
        self._waiting_bytes += sum(map(len, payloads))
        tags = zip(itertools.count(first), values, strict=False)
        self._ventilator.put(self._batch, payloads, list(itertools.islice(tags, len(payloads))))
        if error is not None:
            raise error

    # -- what the ventilator says -------------------------------------------------------------

    def succeeded(
        self, tasks: Sequence[Task | None], values: Sequence[Any], seconds: float, node: str
    ) -> None:
        """See `Owner`."""
        made, results, size = self._made, [], 0
        for task, value in zip(tasks, values, strict=True):
            if task is not None:
                index, given = task.tag
                size += len(task.payload)
                if made is not None:
                    value = made(value)  # noqa: PLW2901 it is the same value
                tries = 1 + task.raised + task.deaths
                results.append(TaskResult(index, given, value, None, tries, seconds, node))
        self._ended(results, size)

    def failed(self, task: Task, failure: Failure, node: str) -> None:
        """See `Owner`."""
        index, given = task.tag
        error = rebuilt(self._codec, failure)
        result: TaskResult[Any, Any] = TaskResult(
            index, given, None, error, max(task.tries, 1), 0.0, node
        )
        self.failures.append(result)
        self._ended([result], len(task.payload))

    def _ended(self, results: list[TaskResult[Any, Any]], size: int) -> None:
        self._waiting_bytes -= size
        if self._is_ordered:
            early = self._early
            early.update((result.index, result) for result in results)
            while (result := early.pop(self._next, None)) is not None:
                self._ready.append(result)
                self._next += 1
        else:
            self._ready.extend(results)
        if self._ready:
            self._changed.set()
