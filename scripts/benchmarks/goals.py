"""What a work is, what is wanted of actormq in it, and how its figures are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

US = "actormq"


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
        unit: Of its figure: s for a latency, of which less is better, or pieces as /s or B/s.
        goals: What is wanted of actormq.
        settings: What contestants are told besides.
        others: The work of the others, where theirs has another name.
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


# The steps in which figures are written, with their names; other units have those of COUNT.
STEPS = {
    "s": ((1.0, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns")),
    "B": ((1e6, " MB"), (1e4, " kB"), (1.0, " B")),
}
COUNT = ((1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, ""))


def scale(value: float, unit: str) -> tuple[float, str]:
    """The step in which a figure is written, and the name of that."""
    if unit in STEPS:
        steps = STEPS[unit]
        return next((step for step in steps if value >= step[0]), steps[-1])
    size, name = next((step for step in COUNT if value >= step[0]), COUNT[-1])
    return size, name + unit


def written(value: float, unit: str) -> str:
    """A figure with its unit: seconds as ms or µs, pieces a second as k/s or M/s."""
    size, name = scale(value, unit)
    return f"{digits(value / size)}{name}"


def digits(value: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"  # noqa: PLR2004 else 1e+03
