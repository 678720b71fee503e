"""What travels between the weather actors, and what they answer.

The two messages of the service `weather` are tagged, so that a subscriber whose handler is
annotated with `Reading` is given the right one of them after the check on arrival.
"""

import datetime as dt
import math
from typing import TypeAlias

import msgspec


class Observation(msgspec.Struct, frozen=True, tag="observation"):
    """What one station measured on one day.

    Attributes:
        station: Name of the station, not empty.
        date: The day.
        values: Column to figure, in the units of the source; every figure is finite.
    """

    station: str
    date: dt.date
    values: dict[str, float]

    def __post_init__(self) -> None:
        """Refuse at the door what no average survives; this also runs on arrival from a wire.

        Raises:
            ValueError: The station has no name, or a figure is nan or infinite.
        """
        if not self.station:
            raise ValueError("an observation needs the name of its station")
        for column, value in self.values.items():
            if not math.isfinite(value):
                raise ValueError(f"{column} of {self.station} is {value}, not a finite number")


class EndOfReplay(msgspec.Struct, frozen=True, tag="end"):
    """The last message of a replay: without it a subscriber could not know what its tail lost.

    Attributes:
        station: The station that has no more observations.
        published: Observations published before this message, a count.
        skipped: Lines of this station that could not be read, a count.
    """

    station: str
    published: int
    skipped: int = 0


Reading: TypeAlias = Observation | EndOfReplay


class Mean(msgspec.Struct, frozen=True):
    """An average and what it rests on.

    Attributes:
        count: Figures that went in.
        mean: Their arithmetic mean, in the column's unit.
    """

    count: int
    mean: float


class Extreme(msgspec.Struct, frozen=True):
    """A lowest or highest figure, and the first day it was reached.

    Attributes:
        value: The figure, in the column's unit.
        date: The day.
    """

    value: float
    date: dt.date


class Range(msgspec.Struct, frozen=True):
    """Both ends of a column.

    Attributes:
        low: The lowest figure.
        high: The highest figure.
    """

    low: Extreme
    high: Extreme


# station -> column, and station -> month ("2012-01") -> column: string keys, as JSON wants them.
Means: TypeAlias = dict[str, dict[str, Mean]]
MonthlyMeans: TypeAlias = dict[str, dict[str, dict[str, Mean]]]
Ranges: TypeAlias = dict[str, dict[str, Range]]
MonthlyRanges: TypeAlias = dict[str, dict[str, dict[str, Range]]]


class Progress(msgspec.Struct, frozen=True):
    """How far a replay is.

    Attributes:
        station: The name that it publishes under.
        stream: Id of the publisher's numbered stream.
        published: Observations published so far, the end marker not among them.
        total: Observations that the file holds for this station.
        skipped: Lines of this station that could not be read.
        started: Whether it has been told to start.
        done: Whether the end marker is out.
        messages: Messages on the topic so far, end markers among them: the last one's number.
    """

    station: str
    stream: int
    published: int
    total: int
    skipped: int
    started: bool
    done: bool
    messages: int


class Account(msgspec.Struct, frozen=True):
    """What a subscriber has had, so that it can be held against what was published.

    Attributes:
        observations: Observations handled, a count.
        missed: Gaps in the numbered streams, a count of messages.
        ended: Replays whose end marker came: station to marker.
    """

    observations: int
    missed: int
    ended: dict[str, EndOfReplay]


class Position(msgspec.Struct, frozen=True):
    """How far the table goes in one topic of one numbered stream.

    For each: `rows + missed + ends == seq`.

    Attributes:
        stream: Id of the publisher's stream.
        topic: The topic.
        seq: Number of the last message that is accounted for; the first is 1.
        rows: Observations in the table.
        missed: Numbers up to `seq` that never came.
        ends: End markers that came.
        published: What the end marker said was published; None before it came.
    """

    stream: int
    topic: str
    seq: int
    rows: int
    missed: int
    ends: int = 0
    published: int | None = None


class Recorded(msgspec.Struct, frozen=True):
    """What a recorder has on disk.

    Attributes:
        path: The database.
        rows: Observations on disk, of all runs of the recorder together.
        missed: Messages that never came, of all runs together.
        waiting: Messages in memory, not yet on disk.
        positions: One a topic of each stream.
        problem: Why the last write failed; empty when it did not.
    """

    path: str
    rows: int
    missed: int
    waiting: int
    positions: list[Position]
    problem: str = ""
