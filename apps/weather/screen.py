"""Shows a demo: a live view in a terminal, plain lines elsewhere, one JSON object for programs."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table

from apps.weather.board import ViewState
from apps.weather.messages import Means, Ranges
from apps.weather.view import plain, render

FRAME = 0.1  # s between two drawings: smooth to the eye, 1 % of a core
DAYS_WIDTH = 96  # columns from which on the table has room for the days of the extremes
LINE_INTERVAL = 2.0  # s between two lines where nothing can be drawn


class Screen:
    """Where a demo is shown.

    Args:
        as_json: Print one JSON object on standard output at the end, and all else on standard
            error.

    Attributes:
        frame: Seconds from one drawing to the next.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(stderr=as_json)
        self._said_at = 0.0
        self.frame = FRAME

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False)

    @contextlib.contextmanager
    def live(self) -> Iterator[Callable[[ViewState], None]]:
        """Give a function that draws a state over the one before."""
        if not self._console.is_terminal:
            yield self._line
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:

            def draw(state: ViewState) -> None:
                live.update(self._rendered(state), refresh=True)

            yield draw

    def _rendered(self, state: ViewState) -> Any:
        size = self._console.size
        encoding = (self._console.encoding or "").lower()
        is_ascii = not encoding.startswith("utf")
        return render(state, width=size.width, height=size.height - 1, ascii_only=is_ascii)

    def _line(self, state: ViewState) -> None:
        now = time.monotonic()
        if state.stations and now - self._said_at >= LINE_INTERVAL:
            self._said_at = now
            counts = ", ".join(f"{plain(s.name)} {s.count}" for s in state.stations[:5])
            self.say(f"{state.rate:.0f} messages/s, missed {state.missed}: {counts}")

    def results(self, outcome: Any, means: Means, ranges: Ranges) -> None:
        """Show what came out of a replay."""
        if self._as_json:
            sys.stdout.write(json.dumps(msgspec.to_builtins(outcome)) + "\n")
            sys.stdout.flush()
            return
        self._console.print(_table(means, ranges, with_days=self._console.width >= DAYS_WIDTH))
        seconds = f" in {outcome.seconds:.1f} s" if outcome.seconds else ""
        self.say(
            f"published {outcome.published}, received {outcome.received}, "
            f"missed {outcome.missed}{seconds}, through {len(outcome.nodes)} nodes: "
            + ", ".join(outcome.nodes)
        )

    def host(self, state: ViewState) -> None:
        """Show what came of watching this machine."""
        if self._as_json:
            stations = {
                station.name: {
                    f.column: {"mean": f.mean, "min": f.low, "max": f.high, "last": f.last}
                    for f in station.figures
                }
                for station in state.stations
            }
            figures = {"stations": stations, "received": state.received, "missed": state.missed}
            sys.stdout.write(json.dumps(figures) + "\n")
        else:
            self._console.print(self._rendered(state))


def _table(means: Means, ranges: Ranges, *, with_days: bool) -> Table:
    table = Table(title="averages and extremes", title_justify="left")
    table.add_column("station", style="cyan")
    table.add_column("column")
    for heading in ("count", "mean", "min", "max"):
        table.add_column(heading, justify="right")
    if with_days:
        table.add_column("lowest on")
        table.add_column("highest on")
    for station, columns in sorted(means.items()):
        name = plain(station)
        for column, mean in columns.items():
            both = ranges.get(station, {}).get(column)
            ends = (f"{both.low.value:.1f}", f"{both.high.value:.1f}") if both else ("", "")
            days = (str(both.low.date), str(both.high.date)) if both else ("", "")
            row = [name, plain(column), str(mean.count), f"{mean.mean:.3f}", *ends]
            table.add_row(*row, *(days if with_days else ()))
            name = ""
    return table
