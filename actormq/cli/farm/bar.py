"""Shows how far a batch is, on standard error: a bar in a terminal, else a line now and then."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import click

from actormq.cli.farm.words import ended, how_far, how_well, share
from actormq.farm.reports import Progress

FRAME = 0.1  # s between two drawings: smooth to the eye, and next to nothing of a core
LINE_INTERVAL = 5.0  # s between two lines: a log of an hour stays one that is read
BAR_WIDTH = 30  # columns
NARROW = 80  # columns below which there is no room for the bar beside its words


class Bar:
    """Shows progress until it is closed.

    Args:
        progress: Asked for how far it is.
        note: Asked for what else is to be said, "" for nothing.
        is_quiet: Whether nothing but notes is shown, and each once.
    """

    def __init__(
        self,
        progress: Callable[[], Progress],
        note: Callable[[], str],
        *,
        is_quiet: bool = False,
    ) -> None:
        self._is_quiet = is_quiet
        self._progress = progress
        self._note = note
        self._noted = ""
        self._draw: Callable[[], None] | None = None

    def draw(self) -> None:
        """Show how far it is at once, if it is shown at all."""
        if self._draw is not None:
            self._draw()

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show it as long as this is open."""
        with self._drawer() as (draw, interval):
            self._draw = draw
            if interval == FRAME:
                draw()  # a line waits until there is something to tell
            task = asyncio.ensure_future(self._repeat(interval))
            try:
                yield
            finally:
                self._draw = None
                task.cancel()
                await asyncio.wait([task])

    async def _repeat(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            self.draw()

    @contextlib.contextmanager
    def _drawer(self) -> Iterator[tuple[Callable[[], None], float]]:
        """What draws, and how often that makes sense."""
        if self._is_quiet or sys.stderr is None or not sys.stderr.isatty():  # None: it is closed
            yield self._line, LINE_INTERVAL
            return
        from rich.live import Live  # noqa: PLC0415 rich costs 0.1 s

        with Live(
            console=_console(),
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # results go above the bar; a file is no terminal
        ) as live:
            yield lambda: live.update(self._drawn(live.console.width), refresh=True), FRAME

    def _line(self) -> None:
        progress, note = self._progress(), self._note()
        has_ended = ended(progress) > 0
        if note and not ((has_ended or self._is_quiet) and note == self._noted):
            click.echo(note, err=True)
        self._noted = note
        if has_ended and not self._is_quiet:
            click.echo(line(progress), err=True)

    def _drawn(self, width: int) -> Any:
        from rich.console import Group  # noqa: PLC0415 as above
        from rich.progress_bar import ProgressBar  # noqa: PLC0415 as above
        from rich.table import Table  # noqa: PLC0415 as above
        from rich.text import Text  # noqa: PLC0415 as above

        progress = self._progress()
        row = Table.grid(padding=(0, 2))
        words = Text(line(progress), overflow="ellipsis", no_wrap=True)
        if width < NARROW:
            row.add_row(words)
        else:
            part = share(progress)
            bar = ProgressBar(
                total=1.0,
                completed=part or 0.0,
                width=BAR_WIDTH,
                pulse=part is None,  # nobody knows how much there will be
                animation_time=time.monotonic(),
            )
            row.add_row(bar, words)
        note = self._note()
        return Group(row, Text(note, style="yellow", overflow="fold")) if note else row


def line(progress: Progress) -> str:
    """How far it is, in one line."""
    return "  ".join([how_far(progress), *how_well(progress)])


def _console() -> Any:
    from rich.console import Console  # noqa: PLC0415 rich costs 0.1 s

    class Steady(Console):
        """One that leaves the cursor alone: who ends at once cannot bring it back."""

        def show_cursor(self, show: bool = True) -> bool:
            return show

    return Steady(stderr=True)
