"""One run of `actormq farm run`: inputs to the farm, results to their file, and an end in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from actormq.cli.farm.bar import Bar
from actormq.cli.farm.done import Done
from actormq.cli.farm.inputs import inputs_of
from actormq.cli.farm.results import Output, error_line, result_line
from actormq.cli.farm.words import ended, pace, waits
from actormq.cli.farm.writer import Writer
from actormq.cli.said import hushed
from actormq.cli.words import counted, number
from actormq.errors import ActormqError, TaskFailed
from actormq.farm.farm import Farm, FarmOptions
from actormq.farm.reports import Progress
from actormq.farm.results import TaskResult
from actormq.node import Node

MISFITS = {"builtins:TypeError", "actormq.errors:ArgumentMismatch"}

LOOK = 0.05  # s between looks at what still runs, once somebody has asked for the end


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        function: What each input is given to.
        inputs: Words, `-` for the lines of standard input.
        farm: How the farm is made.
        retries: How often a task that raised is tried again.
        timeout: Seconds for one try, None for no limit.
        grace: Seconds for what runs, when the end is asked for.
        is_quiet: Whether nothing is said of how far it is.
        has_tracebacks: Whether lines of tasks that failed have their tracebacks as well.
    """

    function: Any
    inputs: Sequence[str]
    farm: FarmOptions
    retries: int
    timeout: float | None
    grace: float
    is_quiet: bool
    has_tracebacks: bool


class Batch:
    """Runs a plan.

    Args:
        node: The node that has the farm; not started.
        plan: What is to be done.
        output: Where results go; what it has is not done again.

    Attributes:
        node: As above.
        is_complete: Whether all inputs have come to an end.
        done_count: Tasks that were done in this run.
        failed_count: Tasks that failed for good in this run.
        hidden_count: Those among them whose traceback is known, and not written.
        misfit_count: Those among them whose function could not take what it was given.
        seconds: How long it took.
        signal: The signal that ended it early; 0 if none did.
    """

    def __init__(self, node: Node, plan: Plan, output: Output) -> None:
        self.node = node
        self._plan = plan
        self._output = output
        self._is_durable = plan.farm.get("durable") is not None
        self._farm: Farm[str, Any] | None = None
        self._stop = asyncio.Event()
        self._begun = time.monotonic()
        self._last = Progress()
        self._bar: Bar | None = None
        self.done_count = 0
        self.failed_count = 0
        self.hidden_count = 0
        self.misfit_count = 0
        self._given_count = 0
        self.seconds = 0.0
        self.signal = 0
        self.is_complete = False

    def stop(self, signal: int) -> bool:
        """Give out no more, and let what runs end; say whether there is anything to wait for."""
        self.signal = signal
        self._stop.set()
        return self._farm is not None

    async def main(self) -> None:
        """Run it to its end, or until it is stopped.

        Raises:
            ActormqError: The farm cannot go on, or results cannot be written.
        """
        writer = Writer(self._output)
        try:
            await self._work(writer)
        finally:
            self.seconds = time.monotonic() - self._begun
            with contextlib.suppress(asyncio.CancelledError):
                await writer.close()

    async def _work(self, writer: Writer) -> None:
        with contextlib.ExitStack() as end:
            async with (
                self.node,
                self.node.farm(self._plan.function, **self._plan.farm) as farm,
            ):
                self._farm = farm
                self._begun = time.monotonic()
                try:
                    async with self._shown(farm):
                        await self._run(farm, writer)
                finally:
                    self._last = farm.progress()
                    end.enter_context(hushed())  # what workers say that are let go is no news

    def _shown(self, farm: Farm[str, Any]) -> contextlib.AbstractAsyncContextManager[None]:
        if self._plan.is_quiet:
            return Bar(farm.progress, self._missing, is_quiet=True).shown()
        self._bar = Bar(farm.progress, self._note)
        return self._bar.shown()

    async def _run(self, farm: Farm[str, Any], writer: Writer) -> None:
        results = asyncio.ensure_future(self._take(farm, writer))
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([results, stop], return_when=asyncio.FIRST_COMPLETED)
            if not results.done():
                await self._wind_down(farm, results)
        finally:
            stop.cancel()
            results.cancel()
            await asyncio.wait([results])
        if not results.cancelled():
            results.result()

    async def _wind_down(self, farm: Farm[str, Any], results: asyncio.Future[None]) -> None:
        """Let what runs end, as long as that may take."""
        farm.pause()
        if self._bar is not None:
            self._bar.draw()
        end = time.monotonic() + self._plan.grace
        while time.monotonic() < end and not results.done():
            progress = farm.progress()
            if not progress.running and self._new_count(progress) == ended(progress):
                return
            await asyncio.sleep(LOOK)

    async def _take(self, farm: Farm[str, Any], writer: Writer) -> None:
        plan = self._plan
        results = farm.map(self._inputs(), retries=plan.retries, timeout=plan.timeout)
        async with contextlib.aclosing(results):
            async for result in results:
                if result.error is None:
                    self.done_count += 1
                else:
                    self.failed_count += 1
                    self.hidden_count += not plan.has_tracebacks and bool(traceback_of(result))
                    self.misfit_count += is_misfit(result)
                # Results of a durable farm come again; those that are in the file stay out of it.
                if not (self._is_durable and self._output.done.take(result.input)):
                    await writer.write(self._written(result))
        self.is_complete = True

    async def _inputs(self) -> AsyncIterator[str]:
        done = Done() if self._is_durable else self._output.done
        async for each in inputs_of(self._plan.inputs, done):
            yield each
            self._given_count += 1  # the farm has taken it by now

    def _new_count(self, progress: Progress) -> int:
        """Results that came and are of this run; those that a durable farm had came besides."""
        before = self._given_count - progress.accepted
        return self.done_count + self.failed_count - before

    def _written(self, result: TaskResult[str, Any]) -> bytes:
        if result.error is None:
            return result_line(result.input, result.value, result.tries)
        traceback = traceback_of(result) if self._plan.has_tracebacks else ""
        return error_line(result.input, reason(result.error), result.tries, traceback)

    def _note(self) -> str:
        """What else there is to be said."""
        if self._stop.is_set():
            return (
                f"stopping: what runs has {self._plan.grace:g} s to end; Ctrl-C again ends at once"
            )
        return self._missing()

    def _missing(self) -> str:
        """That no tasks are done because workers are missing."""
        if self._farm is None:
            return ""
        return waits(self._farm.progress(), self._plan.farm.get("min_workers", 1))

    def summary(self) -> str:
        """What was done, in one line."""
        count = self._new_count(self._last)
        before = self._output.earlier.done
        if self._is_durable:
            before = self.done_count + self.failed_count - count
        words = f"{counted(count, 'task')} in {self.seconds:.1f} s"
        if self.seconds > 0 and count:
            words += f", {pace(count / self.seconds)}"
        again = self._last.retried + self._last.redelivered
        if again:
            words += f"; {number(again)} tried again"
        if before:
            words += f"; {number(before)} were done before"
        return words

    def how_far(self) -> str:
        """How many tasks had ended, and of how many, when it stopped."""
        total = self._last.total
        of = f"{number(self._last.accepted)} so far" if total is None else number(total)
        return f"{number(self.done_count + self.failed_count)} of {of} tasks were done"

    def say(self, text: str) -> None:
        """Say something on standard error, unless nobody wants to hear."""
        if not self._plan.is_quiet:
            click.echo(text, err=True)


def traceback_of(result: TaskResult[str, Any]) -> str:
    """Where a task raised; "" if it did not, but took its process with it, say."""
    text = result.failure.traceback if result.failure is not None else ""
    return text if "Traceback (most" in text else ""


def is_misfit(result: TaskResult[str, Any]) -> bool:
    """Whether a task failed because its function could not take, or use, a text."""
    return result.failure is not None and result.failure.kind in MISFITS


def reason(error: BaseException) -> str:
    """Why a task failed: what it raised, and what that said."""
    if isinstance(error, TaskFailed):
        return (
            f"{error.type}: {error.text}" if error.type and error.text else error.type or str(error)
        )
    if isinstance(error, ActormqError):  # a sentence that says all
        return str(error)
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
