"""Shows the demo of a farm: a bar in a terminal, plain lines elsewhere, JSON for programs."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

LINE_INTERVAL = 2.0  # s between two lines where nothing can be drawn
FRAME = 0.1  # s between two drawings: smooth to the eye


class Screen:
    """Where the demo is shown.

    Args:
        as_json: Print one JSON object on standard output at the end, and all else on standard
            error.

    Attributes:
        frame: Seconds from one drawing to the next.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(stderr=as_json)
        self._said_at = time.monotonic()
        self.frame = FRAME

    def say(self, text: str) -> None:
        """Print a line; above the bar, if there is one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def bar(self, total: int) -> Iterator[Callable[[int, str], None]]:
        """Give a function that draws how many of `total` have ended, and words beside that."""
        if not self._console.is_terminal:
            yield self._line
            return
        columns = (BarColumn(30), TaskProgressColumn(), TextColumn("{task.fields[words]}"))
        with Progress(
            *columns, console=self._console, auto_refresh=False, transient=True
        ) as progress:
            task = progress.add_task("", total=total, words="")

            def draw(ended: int, words: str) -> None:
                progress.update(task, completed=ended, words=words, refresh=True)

            yield draw

    def _line(self, ended: int, words: str) -> None:
        now = time.monotonic()
        if ended and now - self._said_at >= LINE_INTERVAL:
            self._said_at = now
            self.say(words)

    def result(self, outcome: dict[str, Any]) -> None:
        """Show what came out, for programs."""
        if self._as_json:
            sys.stdout.write(json.dumps(outcome) + "\n")
            sys.stdout.flush()
