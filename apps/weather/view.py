"""Draws what a live view knows, to fit the terminal; a pure function of the state and the size."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from apps.weather.board import Figures, StationState, ViewState

WIDE = 80  # columns from which on names have room, and the count beside the figures
WIDE_NAMES = (16, 14)  # columns for the names of stations and of their columns; longer ones are cut
NARROW_NAMES = (10, 13)  # with four figures of 8 and the gaps these make 60
FRAME_LINES = 3  # the heading, the table's own heading, and the foot

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-=+*#@"  # for terminals without Unicode
_EXACT_LIMIT = 1_000  # below it figures are written with two places
_SHORT_LIMIT = 100_000  # from here on they are written with a power of ten


@dataclass(frozen=True, slots=True)
class Fit:
    """What fits the screen.

    Attributes:
        stations: Stations shown, a count.
        columns: Columns of each station shown; None for all.
    """

    stations: int
    columns: int | None


def fit(columns: Sequence[int], lines: int) -> Fit:
    """Decide what is shown: all columns if they fit, else the main one of as many as do.

    Args:
        columns: How many columns each station has.
        lines: Lines there are for them; a station takes one a column, and one for its course.
    """
    if sum(count + 1 for count in columns) <= lines:
        return Fit(len(columns), None)
    return Fit(min(len(columns), max(1, lines // 2)), 1)


def render(
    state: ViewState, *, width: int = 80, height: int = 24, ascii_only: bool = False
) -> RenderableType:
    """Draw the state.

    Args:
        state: What is known.
        width: Columns of the terminal.
        height: Lines of the terminal.
        ascii_only: Whether the terminal cannot show block characters.

    Returns:
        At most `width` columns; at most `height` lines from 6 lines on.
    """
    if not state.stations:
        return Group(_heading(state, width), _line("no data yet: waiting for stations", width))
    counts = [len(station.figures) for station in state.stations]
    fitting = fit(counts, height - FRAME_LINES)
    shown = state.stations[: fitting.stations]
    blocks = _ASCII_BLOCKS if ascii_only else _BLOCKS
    return Group(
        _heading(state, width),
        _table(shown, fitting.columns, width),
        *(_trend(station, width, blocks) for station in shown),
        _line(_foot(state, len(shown)), width),
    )


def sparkline(values: Sequence[float], width: int, blocks: str = _BLOCKS) -> str:
    """Draw the course of a figure as one line of block characters, lowest to highest.

    Args:
        values: The course, in any unit.
        width: Characters at most; a shorter course takes one a value.
        blocks: Characters from the lowest to the highest.
    """
    points = resample(values, width)
    if not points:
        return ""
    low, high = min(points), max(points)
    top = len(blocks) - 1
    if low == high:
        return blocks[top // 2] * len(points)
    # Halved before they are subtracted: the distance of two floats may be no float.
    span = high / 2 - low / 2
    return "".join(blocks[round((point / 2 - low / 2) / span * top)] for point in points)


def resample(values: Sequence[float], width: int) -> list[float]:
    """Thin a course out to at most `width` points, each the mean of its share of values."""
    if width <= 0:
        return []
    if len(values) <= width:
        return list(values)
    edges = [index * len(values) // width for index in range(width + 1)]
    shares = [values[start:end] for start, end in pairwise(edges)]
    return [sum(value / len(share) for value in share) for share in shares]


def number_text(value: float) -> str:
    """Write a figure in about 8 characters."""
    if abs(value) < _EXACT_LIMIT:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < _SHORT_LIMIT else f"{value:.1e}"


def plain(text: str) -> str:
    """Replace what a terminal would obey rather than show: names come from other machines."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _line(text: str, width: int, style: str = "") -> Text:
    line = Text(text, style, no_wrap=True, overflow="crop")
    line.truncate(width, overflow="crop")  # no ellipsis: not every terminal can show one
    return line


def _heading(state: ViewState, width: int) -> Text:
    text = f"{state.rate:,.0f} messages/s, {state.received:,} received, {state.missed:,} missed"
    return _line(text, width, "bold")


def _foot(state: ViewState, shown: int) -> str:
    count = len(state.stations)
    ended = sum(station.ended for station in state.stations)
    nodes = ", ".join(map(plain, state.nodes)) or "none known"
    text = f"{count} station{'s' if count != 1 else ''}, {ended} ended; nodes: {nodes}"
    hidden = count - shown
    return f"and {hidden} more; {text}" if hidden else text


def _table(stations: Sequence[StationState], columns: int | None, width: int) -> Table:
    name_width, column_width = WIDE_NAMES if width >= WIDE else NARROW_NAMES
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("station", no_wrap=True)
    table.add_column("column", no_wrap=True)
    for heading in (*(["count"] if width >= WIDE else []), "mean", "min", "max", "last"):
        table.add_column(heading, justify="right", no_wrap=True)
    for station in stations:
        # The name and the count stand once, at the first of the station's lines.
        first = (plain(station.name), f"{station.count:,}")
        for figures in station.figures[:columns]:
            name = _line(first[0], name_width, "cyan")
            column = _line(plain(figures.column), column_width)
            count = [first[1]] if width >= WIDE else []
            table.add_row(name, column, *count, *_cells(figures))
            first = ("", "")
    return table


def _cells(figures: Figures) -> list[str]:
    return [number_text(each) for each in (figures.mean, figures.low, figures.high, figures.last)]


def _trend(station: StationState, width: int, blocks: str) -> Text:
    name_width, _ = WIDE_NAMES if width >= WIDE else NARROW_NAMES
    line = _line(plain(station.name), name_width, "cyan")
    line.pad_right(name_width + 1 - line.cell_len)
    return line.append(sparkline(station.trend, width - name_width - 1, blocks), "green")
