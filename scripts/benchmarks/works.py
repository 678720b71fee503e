"""Which works `scripts/bench` measures, and what actormq has to reach in each.

To add a work: a row here, and one in `programs.py` for each program that can do it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

US = "actormq"
PYTHON = ("pykka", "thespian", "xoscar")


@dataclass(frozen=True)
class Goal:
    """What is wanted of actormq in a work.

    Attributes:
        bound: The ratio to another, or a figure of its own where there is no other.
        against: Whom: one, or the best of several; none for a figure of its own.
        of: Which figure of a round is meant.
        is_floor: Whether more is better; otherwise less.
        unit: Of a figure of its own.
    """

    bound: float
    against: tuple[str, ...]
    of: str = "value"
    is_floor: bool = True
    unit: str = ""

    def share(self, figure: float) -> float:
        """How much of it was reached: 1 or more is met."""
        return figure / self.bound if self.is_floor else self.bound / figure


def at_least(bound: float, *against: str, of: str = "value") -> Goal:
    """Want so many times the figure of another, or of the best of them."""
    return Goal(bound, against, of)


def at_most(bound: float, *against: str, of: str = "value", unit: str = "") -> Goal:
    """Want no more than so many times the figure of another, or no more than so many units."""
    return Goal(bound, against, of, is_floor=False, unit=unit)


@dataclass(frozen=True)
class Work:
    """One work that all contestants do alike.

    Attributes:
        name: What contestants are told.
        what: What it is, for readers.
        unit: Of its figure: one of `UNITS`.
        goals: What is wanted of actormq.
        settings: What contestants are told besides.
        others: The work of the others, where theirs has another name.
        rounds: Rounds by default; more for what is short.
    """

    name: str
    what: str
    unit: str
    goals: tuple[Goal, ...] = ()
    settings: tuple[str, ...] = ()
    others: str = ""

    @property
    def is_latency(self) -> bool:
        """Whether less is better."""
        return self.unit == "s"

    def told(self, contestant: str) -> Sequence[str]:
        """The words that a contestant starts with."""
        name = self.others if self.others and contestant != US else self.name
        return (name, *self.settings)


# How a figure is written: in which steps it grows, and the names of the steps.
UNITS: dict[str, Callable[[float], str]] = {}


def _scaled(value: float, steps: Sequence[tuple[float, str]]) -> str:
    size, name = next((step for step in steps if value >= step[0]), steps[-1])
    return f"{value / size:.3g} {name}".rstrip()


def written(value: float, unit: str) -> str:
    """A figure with its unit: seconds as ms or µs, pieces a second as k/s or M/s."""
    if unit == "s":
        return _scaled(value, ((1, "s"), (1e-3, "ms"), (1e-6, "µs")))
    if unit == "B":
        return _scaled(value, ((1e6, "MB"), (1e4, "kB"), (1, "B")))
    return _scaled(value, ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))) + unit


WORKS: tuple[Work, ...] = (
    Work(
        "local-tell",
        "tells to one counting actor, one producer, within a process",
        "/s",
        (at_least(8, *PYTHON), at_least(1 / 3, "erlang")),
    ),
    Work(
        "local-ask",
        "asks one by one within a process, median",
        "s",
        (at_most(2 / 3, "thespian"), at_most(1 / 8, "thespian")),
    ),
    Work(
        "far-tell",
        "tells of 32 bytes to an actor of another process, tcp",
        "/s",
        (at_least(4, "erlang"), at_least(4, "pipe"), at_least(50, "xoscar")),
    ),
    Work(
        "far-ask",
        "asks one by one of another process, tcp, median",
        "s",
        (at_most(1.5, "libzmq"),),
    ),
    Work(
        "far-ask-spin",
        "the same, with a spin before sleeping",
        "s",
        (at_most(1.1, "libzmq"), at_most(1, "erlang")),
        others="far-ask",
    ),
    Work(
        "far-asks",
        "asks of another process, 100 in flight, tcp",
        "/s",
        (at_least(1.5, "erlang"), at_least(8, "xoscar")),
    ),
    Work(
        "fan-out",
        "messages of 32 bytes, each to 4 subscriber processes, published in bursts",
        "/s",
        (at_least(8, "nats"),),
    ),
    Work(
        "fan-out-single",
        "the same, published one at a time",
        "/s",
        (at_least(1, "nats"),),
    ),
    Work(
        "spawn",
        "actors started in one process",
        "/s",
        (at_least(8, *PYTHON), at_most(600, of="bytes", unit="B")),
        ("actors=100000",),
    ),
    Work(
        "spawn-live",
        "actors started, told something and stopped, each",
        "/s",
        (at_least(8, *PYTHON),),
        ("actors=100000",),
    ),
    Work(
        "echo-1mb",
        "an array of 1 MB to another process and back, tcp",
        "B/s",
        (at_least(1.3, "pyro5"),),
    ),
    Work(
        "echo-64mb",
        "an array of 64 MB to another process of the host and back",
        "B/s",
        (at_least(1, "ray"),),
    ),
)
