"""Averages and extremes: figures gathered one by one, and the same computed plainly from a file.

Both kinds of table keep one cell for each station, month and column; what holds for a station as
a whole is merged from its months when somebody asks.
"""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from apps.weather.messages import (
    Extreme,
    Mean,
    Means,
    MonthlyMeans,
    MonthlyRanges,
    Observation,
    Range,
    Ranges,
)
from apps.weather.observations import Skipped, read

TOLERANCE = 1e-9  # of a mean, in the column's unit; instruments resolve 0.1

# A power of two, so that scaling is exact: with it the sum of 2**64 of the largest floats is
# still a float. What it costs lies below 1e-288.
_SCALE = 2.0**-64

T = TypeVar("T")


class Summary:
    """Count, mean, lowest and highest of figures that come one by one.

    The sum is kept exactly, as a few floats that do not overlap, and rounded once when the mean
    is read; so the mean is `math.fsum(figures) / count` in whatever order figures came and
    summaries were merged.

    Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust
    Geometric Predicates", 1997; `math.fsum`.

    Attributes:
        count: Figures that went in.
        low: The lowest; +inf before the first.
        high: The highest; -inf before the first.
        partials: Floats that do not overlap; together they are the sum, scaled by 2**-64.
    """

    __slots__ = ("count", "high", "low", "partials")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.count = 0
        self.low = math.inf
        self.high = -math.inf
        self.partials: list[float] = []
        for value in values:
            self.add(value)

    @property
    def mean(self) -> float:
        """The arithmetic mean; nan before the first figure."""
        return math.fsum(self.partials) / self.count / _SCALE if self.count else math.nan

    def add(self, value: float) -> None:
        """Take in one finite figure."""
        self.count += 1
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        self._add_exactly(value * _SCALE)

    def merge(self, other: "Summary") -> None:
        """Take in all that another summary has seen."""
        self.count += other.count
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        for partial in other.partials:
            self._add_exactly(partial)

    def _add_exactly(self, value: float) -> None:
        """Add to the partial sums; what each addition rounds off becomes a partial of its own."""
        partials = self.partials
        kept = 0
        for partial in partials:
            large, small = (value, partial) if abs(value) >= abs(partial) else (partial, value)
            value = large + small
            rest = small - (value - large)
            if rest:
                partials[kept] = rest
                kept += 1
        partials[kept:] = [value]


def month_of(day: dt.date) -> str:
    """Name the month of a day, as `2012-01`."""
    return f"{day.year:04}-{day.month:02}"


class MeanTable:
    """Averages by station, month and column."""

    def __init__(self) -> None:
        self._cells: dict[str, dict[str, dict[str, Summary]]] = {}

    def note(self, observation: Observation) -> None:
        """Take in one observation."""
        months = self._cells.setdefault(observation.station, {})
        cells = months.setdefault(month_of(observation.date), {})
        for column, value in observation.values.items():
            if column not in cells:
                cells[column] = Summary()
            cells[column].add(value)

    def by_station(self, station: str | None = None) -> Means:
        """Give the averages of one station, or of all."""
        return {
            name: {column: _mean(cell) for column, cell in _merged(months.values()).items()}
            for name, months in _chosen(self._cells, station).items()
        }

    def by_month(self, station: str | None = None) -> MonthlyMeans:
        """Give the averages of each month of one station, or of all."""
        return {
            name: {
                month: {column: _mean(cell) for column, cell in cells.items()}
                for month, cells in sorted(months.items())
            }
            for name, months in _chosen(self._cells, station).items()
        }


class RangeTable:
    """Extremes by station, month and column, each with the first day it was reached."""

    def __init__(self) -> None:
        self._cells: dict[str, dict[str, dict[str, Range]]] = {}

    def note(self, observation: Observation) -> None:
        """Take in one observation."""
        months = self._cells.setdefault(observation.station, {})
        cells = months.setdefault(month_of(observation.date), {})
        for column, value in observation.values.items():
            here = Extreme(value, observation.date)
            known = cells.get(column)
            if known is None:
                cells[column] = Range(here, here)
            elif value <= known.low.value or value >= known.high.value:
                cells[column] = wider(known, Range(here, here))

    def by_station(self, station: str | None = None) -> Ranges:
        """Give the extremes of one station, or of all."""
        result: Ranges = {}
        for name, months in _chosen(self._cells, station).items():
            whole = result[name] = {}
            for cells in months.values():
                for column, cell in cells.items():
                    whole[column] = wider(whole[column], cell) if column in whole else cell
        return result

    def by_month(self, station: str | None = None) -> MonthlyRanges:
        """Give the extremes of each month of one station, or of all."""
        return {
            name: {month: dict(cells) for month, cells in sorted(months.items())}
            for name, months in _chosen(self._cells, station).items()
        }


def wider(one: Range, other: Range) -> Range:
    """Join two ranges; of equal figures the earlier day stands, in whatever order they came."""
    low = min(one.low, other.low, key=lambda end: (end.value, end.date))
    high = min(one.high, other.high, key=lambda end: (-end.value, end.date))
    return Range(low, high)


def _mean(cell: Summary) -> Mean:
    return Mean(cell.count, cell.mean)


def _merged(parts: Iterable[Mapping[str, Summary]]) -> dict[str, Summary]:
    whole: dict[str, Summary] = {}
    for part in parts:
        for column, cell in part.items():
            whole.setdefault(column, Summary()).merge(cell)
    return whole


def _chosen(cells: Mapping[str, T], station: str | None) -> dict[str, T]:
    if station is None:
        return dict(sorted(cells.items()))
    return {station: cells[station]} if station in cells else {}


@dataclass(frozen=True, slots=True)
class Direct:
    """What a file says, computed plainly: sort the figures into lists, then `fsum`, min and max.

    Attributes:
        means: Averages by station.
        monthly_means: Averages by station and month.
        ranges: Extremes by station.
        monthly_ranges: Extremes by station and month.
        observations: Lines read, by station.
        skipped: Lines that could not be read, a count.
    """

    means: Means
    monthly_means: MonthlyMeans
    ranges: Ranges
    monthly_ranges: MonthlyRanges
    observations: dict[str, int]
    skipped: int


_Dated = list[tuple[float, dt.date]]


def direct(path: str | Path) -> Direct:
    """Compute averages and extremes of a file without actors and without `Summary`.

    It keeps every figure in memory, and shares with the actors only the reading of lines: what
    they arrive at can be held against it.

    Raises:
        ObservationFileError: The file as a whole is of no use.
    """
    figures: dict[tuple[str, str, str], _Dated] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    skipped: list[Skipped] = []
    for observation in read(path, skipped.append):
        counts[observation.station] += 1
        for column, value in observation.values.items():
            figures[observation.station, month_of(observation.date), column].append(
                (value, observation.date)
            )
    result = Direct({}, {}, {}, {}, dict(counts), len(skipped))
    whole: dict[tuple[str, str], _Dated] = defaultdict(list)
    for (station, month, column), dated in figures.items():
        whole[station, column].extend(dated)
        result.monthly_means.setdefault(station, {}).setdefault(month, {})[column] = _plain(dated)
        result.monthly_ranges.setdefault(station, {}).setdefault(month, {})[column] = _ends(dated)
    for (station, column), dated in whole.items():
        result.means.setdefault(station, {})[column] = _plain(dated)
        result.ranges.setdefault(station, {})[column] = _ends(dated)
    return result


def _plain(dated: _Dated) -> Mean:
    return Mean(len(dated), math.fsum(value for value, _ in dated) / len(dated))


def _ends(dated: _Dated) -> Range:
    low = min(value for value, _ in dated)
    high = max(value for value, _ in dated)
    return Range(
        Extreme(low, min(day for value, day in dated if value == low)),
        Extreme(high, min(day for value, day in dated if value == high)),
    )


def differences(direct_result: Direct, means: Means, ranges: Ranges) -> list[str]:
    """Hold what the actors answered against the plain computation.

    Args:
        direct_result: What `direct` made of the file.
        means: What `Average` answered; stations that the file does not have are left alone.
        ranges: What `Extremes` answered.

    Returns:
        A sentence for each figure that is wrong or missing; none when all agree.
    """
    found = []
    for station, columns in direct_result.means.items():
        for column, right in columns.items():
            mean = means.get(station, {}).get(column)
            if mean is None or not _agree(mean, right):
                found.append(f"{station} {column}: average {mean}, should be {right}")
            ends = ranges.get(station, {}).get(column)
            if ends != direct_result.ranges[station][column]:
                should = direct_result.ranges[station][column]
                found.append(f"{station} {column}: extremes {ends}, should be {should}")
    return found


def _agree(mean: Mean, right: Mean) -> bool:
    return mean.count == right.count and abs(mean.mean - right.mean) <= TOLERANCE
