"""What was measured, and how it reads: statistics and rows, nothing that measures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import msgspec

from actormq.cli.words import counted
from actormq.errors import one_line

ASKS_AT_ONCE = 100  # asks under way at a time, where they are not asked one by one

WORDS = {
    "tells": ("tells to one actor", "1/s"),
    "ask_p50": ("ask, one by one, p50", "s"),
    "ask_p99": ("ask, one by one, p99", "s"),
    "asks": (f"asks, {ASKS_AT_ONCE} in flight", "1/s"),
    "echo_1mb": ("1 MB there and back", "B/s"),
    "echo_256k": ("256 KiB there and back", "B/s"),
}
"""What each figure is called, and its unit; they are shown in this order."""

SCALES = {
    "1/s": ((1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")),
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")),
}
"""Units that people read, the largest first, and what they are in the unit itself."""

Row = tuple[str, str, str]


class Place(msgspec.Struct):
    """One distance that messages go, and what was measured over it.

    Attributes:
        kind: "local" within a process, "host" between two of this machine, "link" to a node that
            was there.
        name: What people call it.
        way: The endpoint that the messages go through; "" within a process.
        figures: By a name of `WORDS`, the value of each round, in its unit.
        notes: Why something is missing, a sentence each.
    """

    kind: str
    name: str
    way: str = ""
    figures: dict[str, list[float]] = {}
    notes: list[str] = []

    def add(self, values: Mapping[str, float]) -> None:
        """Keep what a round gave."""
        for name, value in values.items():
            self.figures.setdefault(name, []).append(value)

    def note(self, sentence: str) -> None:
        """Say what is missing, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)


class Report(msgspec.Struct):
    """All that was measured, as far as it came.

    Attributes:
        load: Programs that wanted to run before the measuring began, on average of a minute; nan
            where the system does not tell.
        cores: Of this machine.
        places: In the order in which they were measured.
        notes: What is to be known of the whole, a sentence each.
    """

    load: float
    cores: int
    places: list[Place] = []
    notes: list[str] = []


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that this share of all does not exceed.

    Args:
        values: At least one, in any order.
        share: Above 0, at most 1.
    """
    return sorted(values)[math.ceil(share * len(values)) - 1]


def rows(place: Place) -> list[Row]:
    """What was measured there for people: what, the median of the rounds, their range."""
    return [
        (WORDS[name][0], *_shown(place.figures[name], WORDS[name][1]))
        for name in WORDS
        if place.figures.get(name)
    ]


def _shown(values: Sequence[float], unit: str) -> tuple[str, str]:
    """The median with its unit, and the range in the same one."""
    middle = statistics.median(values)
    scales = SCALES[unit]
    scale, word = next((pair for pair in scales if middle >= pair[0]), scales[-1])
    least, most = _digits(min(values) / scale), _digits(max(values) / scale)
    return f"{_digits(middle / scale)} {word}", f"{least} to {most}"


def _digits(value: float) -> str:
    """Three digits that count, and never an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"  # noqa: PLR2004 three digits


def headline(place: Place) -> str:
    """What a place is called, in one line whatever its node is called, and how it is reached."""
    way = "ipc" if place.way.startswith("ipc://") else place.way  # its name means nothing to people
    return one_line(f"{place.name} ({way})" if way else place.name)


def limits(load: float, cores: int) -> str:
    """What held the figures down besides the machine itself; "" if nothing did.

    Args:
        load: As in `Report`, nan if it is not known.
        cores: Of the machine.
    """
    if not load > cores:  # nan neither
        return ""
    return (
        f"others use this machine (load {load:.1f} on {counted(cores, 'core')}): "
        "trust the ratios, not the figures"
    )


def encoded(report: Report) -> bytes:
    """The report for programs: seconds, bytes and pieces per second, never scaled."""
    return msgspec.json.encode(
        {
            "places": [
                {
                    "kind": place.kind,
                    "name": place.name,
                    "way": place.way,
                    "figures": {
                        name: {
                            "unit": WORDS[name][1],
                            "median": statistics.median(values),
                            "least": min(values),
                            "most": max(values),
                            "rounds": values,
                        }
                        for name, values in place.figures.items()
                    },
                    "notes": place.notes,
                }
                for place in report.places
            ],
            "load": None if math.isnan(report.load) else report.load,
            "cores": report.cores,
            "notes": report.notes,
        }
    )
