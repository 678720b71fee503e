"""One call of `Farm.map`: inputs in, as many as there is room for; results out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from actormq.codec import Codec
from actormq.errors import ActormqError, StoreError
from actormq.farm.dispatch import Dispatch
from actormq.farm.durable import Durable
from actormq.farm.failure import Failure, failure_of, rebuilt
from actormq.farm.payload import packed
from actormq.farm.records import Outcome
from actormq.farm.results import TaskResult
from actormq.rules.tasks import Batch, Task

WINDOW = 4_096  # tasks of one call under way, or ended and not fetched, at least
WINDOW_CREDITS = 4  # times what all workers may hold, if that is more
WINDOW_BYTES = 64 * 1024 * 1024  # of payloads that wait
GROUP = 512  # inputs read at a time, at most
NOTHING = b"\xc0"  # the payload of an input that cannot travel: a nil
GROUP_SECONDS = 0.005  # s for that, before others have their turn on the loop


class Stream:
    """The tasks of one call: an `Owner` for the queue, an iterator for the user.

    Args:
        dispatch: The queue.
        codec: Packs the inputs.
        batch: What the tasks have in common.
        name: What the farm is called, for errors.
        made: Makes what the function returned of what came, or None if it is that already.
        durable: Keeps tasks and results on disk; None where nothing is kept.
        is_ordered: Whether results come in the order of the inputs.

    Attributes:
        failures: What became of the tasks that failed for good.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        codec: Codec,
        batch: Batch,
        name: str,
        made: Callable[[Any], Any] | None,
        durable: Durable | None,
        *,
        is_ordered: bool,
    ) -> None:
        batch.owner = self
        self.failures: list[TaskResult[Any, Any]] = []
        self._dispatch = dispatch
        self._codec = codec
        self._batch = batch
        self._name = name
        self._made = made
        self._durable = durable
        self._is_ordered = is_ordered
        self._ready: deque[TaskResult[Any, Any]] = deque()
        self._early: dict[int, TaskResult[Any, Any]] = {}  # ordered: those whose turn is not yet
        self._next = 0
        self._given = 0  # inputs taken
        self._fetched = 0  # results handed to the user
        self._waiting_bytes = 0
        self._error: BaseException | None = None  # of the input: comes behind the results
        self._unkept: list[TaskResult[Any, Any]] = []  # durable: those that are not on disk yet
        self._broken: StoreError | None = None  # durable: no result can be kept any more
        self._to_keep = asyncio.Event()
        self._is_fed = False
        self._changed = asyncio.Event()  # there is something for the user
        self._room = asyncio.Event()  # there is something for the feeder

    # -- out ----------------------------------------------------------------------------------

    async def results(
        self, inputs: Iterable[Any] | AsyncIterable[Any]
    ) -> AsyncGenerator[TaskResult[Any, Any], None]:
        """Feed inputs and give results, until there are no more of either."""
        loop, ready, now = asyncio.get_running_loop(), self._ready, self._dispatch.now
        helpers = [loop.create_task(self._feed(inputs))]
        if self._durable is not None:
            helpers.append(loop.create_task(self._keep(self._durable)))
        try:
            while True:
                turn = now()
                while ready:
                    self._fetched += 1
                    yield ready.popleft()
                    if now() - turn > GROUP_SECONDS:  # what is done with results holds the loop too
                        self._room.set()
                        await asyncio.sleep(0)
                        turn = now()
                self._room.set()
                if self._broken is not None:
                    raise self._broken
                if self._is_fed and self._fetched == self._given:
                    break
                self._changed.clear()
                await self._changed.wait()
            if self._error is not None:
                raise self._error
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.wait(helpers)
            self._dispatch.close_batch(self._batch, is_given_up=True)

    # -- in -----------------------------------------------------------------------------------

    async def _feed(self, inputs: Iterable[Any] | AsyncIterable[Any]) -> None:
        try:
            if isinstance(inputs, AsyncIterable):
                async for value in inputs:
                    await self._until_room()
                    await self._take([value])
            else:
                await self._feed_from(iter(inputs))
            if self._durable is not None:
                await self._durable.complete(self._given)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 a border: the input is the user's, who gets it
            self._error = error
        self._is_fed = True
        self._dispatch.close_batch(self._batch)
        self._dispatch.total = self._dispatch.given_count
        self._changed.set()

    async def _feed_from(self, inputs: Iterator[Any]) -> None:
        while True:
            room = min(await self._until_room(), GROUP)
            group, error = self._read(inputs, room)
            await self._take(group)  # what came before a generator raised counts
            if error is not None:
                if isinstance(error, StopIteration):
                    return
                raise error
            await asyncio.sleep(0)

    def _read(self, inputs: Iterator[Any], most: int) -> tuple[list[Any], BaseException | None]:
        """Read inputs for a moment; and what ended them, if something did."""
        group: list[Any] = []
        now = self._dispatch.now
        end = now() + GROUP_SECONDS
        try:
            while len(group) < most:
                group.append(next(inputs))
                if now() > end:
                    break
        except BaseException as error:  # noqa: BLE001 a border: the generator is the user's
            return group, error
        return group, None

    async def _until_room(self) -> int:
        """Wait until there is room for another task; say for how many."""
        while (room := self._window() - (self._given - self._fetched)) <= 0 or (
            self._waiting_bytes > WINDOW_BYTES
        ):
            self._room.clear()
            await self._room.wait()
        return room

    def _window(self) -> int:
        return max(WINDOW, WINDOW_CREDITS * self._dispatch.credit)

    async def _take(self, values: Sequence[Any]) -> None:
        """Pack inputs and hand them on; one that cannot travel has failed by that.

        Raises:
            StoreError: They could not be kept.
        """
        payloads, refused = self._packed(values)
        first, ended = self._given, {}
        if self._durable is not None:
            ended = {one.id: one for one in await self._durable.accept(first, payloads)}
        self._given += len(payloads)
        new = [n for n in range(len(payloads)) if first + n not in ended and n not in refused]
        self._waiting_bytes += sum([len(payloads[number]) for number in new])
        self._dispatch.put(
            self._batch,
            [payloads[number] for number in new] if len(new) < len(payloads) else payloads,
            [(first + number, values[number]) for number in new],
        )
        if ended:
            self._deliver([self._known(one, values[one.id - first]) for one in ended.values()])
        failed = [
            self._failure(first + number, values[number], failure, 0, "")
            for number, failure in refused.items()
            if first + number not in ended
        ]
        if failed:
            self._dispatch.count_refused(len(failed))
            self._ended(failed, 0)

    def _packed(self, values: Sequence[Any]) -> tuple[list[bytes], dict[int, Failure]]:
        """The payloads of inputs, nothing in place of those that cannot travel, and why these."""
        payloads: list[bytes] = []
        refused: dict[int, Failure] = {}
        codec, name = self._codec, f"farm {self._name}"
        for number, value in enumerate(values):
            try:
                payloads.append(packed(codec, name, value))
            except ActormqError as error:
                payloads.append(NOTHING)
                refused[number] = failure_of(codec, error, is_final=True)
        return payloads, refused

    # -- on disk ------------------------------------------------------------------------------

    async def _keep(self, durable: Durable) -> None:
        """Put results on disk, all at once that there are, before anybody sees them."""
        while True:
            await self._to_keep.wait()
            self._to_keep.clear()
            results, self._unkept = self._unkept, []
            try:
                await durable.keep([self._outcome(result) for result in results])
            except StoreError as error:
                self._broken = error
                self._changed.set()
                return
            self._deliver(results)

    def _outcome(self, result: TaskResult[Any, Any]) -> Outcome:
        is_failure = result.error is not None
        value = result.failure if is_failure else result.value
        payload = packed(self._codec, f"the store of farm {self._name}", value)
        return Outcome(result.index, result.tries, is_failure, payload, result.seconds, result.node)

    def _known(self, outcome: Outcome, given: Any) -> TaskResult[Any, Any]:
        """A result of a former run."""
        [value] = self._codec.unpack_all(outcome.payload)
        number = outcome.id
        if outcome.is_failure:
            failure = msgspec.convert(value, Failure)
            return self._failure(number, given, failure, outcome.tries, outcome.node)
        if self._made is not None:
            value = self._made(value)
        return TaskResult(number, given, value, None, outcome.tries, outcome.seconds, outcome.node)

    # -- what the queue says -------------------------------------------------------------

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
        result = self._failure(index, given, failure, max(task.tries, 1), node)
        self._ended([result], len(task.payload))

    def _failure(
        self, index: int, given: Any, failure: Failure, tries: int, node: str
    ) -> TaskResult[Any, Any]:
        error = rebuilt(self._codec, failure)
        result: TaskResult[Any, Any] = TaskResult(index, given, None, error, tries, 0.0, node)
        result.failure = failure
        self.failures.append(result)
        return result

    def _ended(self, results: list[TaskResult[Any, Any]], size: int) -> None:
        self._waiting_bytes -= size
        if self._durable is None:
            self._deliver(results)
        else:
            self._unkept += results
            self._to_keep.set()

    def _deliver(self, results: list[TaskResult[Any, Any]]) -> None:
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
