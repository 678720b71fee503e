"""What a live view knows: gathered from readings, copied out as a plain state to be drawn."""

from collections.abc import Iterable, Sequence

import msgspec

from apps.weather.messages import EndOfReplay, Reading
from apps.weather.statistics import Summary

HISTORY_LIMIT = 512  # points a station; wider than terminals are, and 4 kB


class Figures(msgspec.Struct, frozen=True):
    """One column of one station.

    Attributes:
        column: Its name.
        mean: The arithmetic mean so far, in the column's unit.
        low: The lowest so far.
        high: The highest so far.
        last: The latest.
    """

    column: str
    mean: float
    low: float
    high: float
    last: float


class StationState(msgspec.Struct, frozen=True):
    """One station.

    Attributes:
        name: Its name.
        count: Observations so far.
        figures: Its columns; the main one stands first.
        trend: The main column from the first observation to the last, evenly thinned out.
        ended: Whether its replay has ended.
    """

    name: str
    count: int
    figures: list[Figures]
    trend: list[float]
    ended: bool = False


class ViewState(msgspec.Struct, frozen=True):
    """All that is drawn.

    Attributes:
        stations: By name.
        rate: Messages a second, lately.
        received: Messages so far.
        missed: Messages that never came.
        nodes: Names of the nodes of the mesh.
    """

    stations: list[StationState] = []
    rate: float = 0.0
    received: int = 0
    missed: int = 0
    nodes: list[str] = []


class History:
    """The course of a figure in bounded memory.

    When it is full, neighbours are averaged and from then on each point stands for twice as many
    figures: the whole course stays in view, only coarser.

    Args:
        limit: Points kept at most; an even count.
    """

    def __init__(self, limit: int = HISTORY_LIMIT) -> None:
        self._limit = limit
        self._points: list[float] = []
        self._stride = 1  # figures a point
        self._open: list[float] = []

    @property
    def points(self) -> list[float]:
        """The course so far, at most `limit` points; the last may stand for fewer figures."""
        rest = [_middle(self._open)] if self._open else []
        return self._points + rest

    def add(self, value: float) -> None:
        """Take in the next figure."""
        self._open.append(value)
        if len(self._open) < self._stride:
            return
        self._points.append(_middle(self._open))
        self._open.clear()
        if len(self._points) >= self._limit:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [_middle(pair) for pair in pairs]
            self._stride *= 2


class _Column:
    def __init__(self) -> None:
        self.summary = Summary()
        self.last = 0.0

    def add(self, value: float) -> None:
        self.summary.add(value)
        self.last = value

    def figures(self, name: str) -> Figures:
        summary = self.summary
        return Figures(name, summary.mean, summary.low, summary.high, self.last)


class _Station:
    def __init__(self) -> None:
        self.count = 0
        self.columns: dict[str, _Column] = {}
        self.main: str | None = None
        self.history = History()
        self.ended = False

    def note(self, values: dict[str, float]) -> None:
        self.count += 1
        self.ended = False  # it was started anew
        for name, value in values.items():
            self.columns.setdefault(name, _Column()).add(value)
        if self.main is None:
            self.main = main_column(values)
        if self.main in values:
            self.history.add(values[self.main])

    def state(self, name: str) -> StationState:
        others = (column for column in self.columns if column != self.main)
        ordered = [] if self.main is None else [self.main, *others]
        figures = [self.columns[column].figures(column) for column in ordered]
        return StationState(name, self.count, figures, self.history.points, self.ended)


class Board:
    """Gathers what a view shows."""

    def __init__(self) -> None:
        self._stations: dict[str, _Station] = {}
        self.received = 0

    def note(self, reading: Reading) -> None:
        """Take in one message."""
        self.received += 1
        station = self._stations.setdefault(reading.station, _Station())
        if isinstance(reading, EndOfReplay):
            station.ended = True
        else:
            station.note(reading.values)

    def state(self, rate: float = 0.0, missed: int = 0, nodes: Iterable[str] = ()) -> ViewState:
        """Copy out what is known now.

        Args:
            rate: Messages a second, lately.
            missed: Messages that never came.
            nodes: Names of the nodes of the mesh.
        """
        stations = [station.state(name) for name, station in sorted(self._stations.items())]
        return ViewState(stations, rate, self.received, missed, sorted(nodes))


def main_column(columns: Iterable[str]) -> str | None:
    """Choose the column whose course is drawn: the first temperature, else the first of all."""
    names = list(columns)
    return next((name for name in names if "temp" in name.lower()), names[0] if names else None)


def _middle(figures: Sequence[float]) -> float:
    # Divided first: the sum of two figures near the largest float would be infinite.
    return sum(figure / len(figures) for figure in figures)
