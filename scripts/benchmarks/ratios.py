"""What the rounds say: medians, ranges, and ratios that are taken round by round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goals import US, Goal, Work

Rounds = Mapping[str, Sequence[Mapping[str, Any]]]  # by contestant


@dataclass(frozen=True)
class Figure:
    """A median and its range."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """How actormq stands to a goal, as a finding: nothing fails by it.

    Attributes:
        goal: Which.
        against: Whom it was measured against: the best of those that were there.
        ratio: To that one, or our own figure where the goal is a figure.
        share: How much of the goal was reached: 1 or more is met.
    """

    goal: Goal
    against: str
    ratio: Figure
    share: float


def figure(values: Sequence[float]) -> Figure:
    """Sum up what rounds gave."""
    return Figure(statistics.median(values), min(values), max(values))


def values(rounds: Rounds, contestant: str, of: str = "value") -> list[float]:
    """One figure of each round of a contestant."""
    return [float(each[of]) for each in rounds.get(contestant, ()) if of in each]


def ratio(rounds: Rounds, against: str, of: str = "value") -> Figure | None:
    """Our figure over that of another, round by round; of rounds that both have done."""
    pairs = list(zip(values(rounds, US, of), values(rounds, against, of), strict=False))
    return figure([ours / theirs for ours, theirs in pairs]) if pairs else None


def best(rounds: Rounds, names: Sequence[str], work: Work) -> str | None:
    """Who of them has the best median; none where none was measured."""
    there = [name for name in names if values(rounds, name)]
    pick = min if work.is_latency else max
    return pick(there, key=lambda name: figure(values(rounds, name)).median) if there else None


def verdict(work: Work, goal: Goal, rounds: Rounds) -> Verdict | None:
    """How a goal was met; nothing where we or all of the others have no figures."""
    if not goal.against:
        own = values(rounds, US, goal.of)
        if not own:
            return None
        return Verdict(goal, "", figure(own), goal.share(figure(own).median))
    against = best(rounds, goal.against, work)
    found = ratio(rounds, against, goal.of) if against else None
    if against is None or found is None:
        return None
    return Verdict(goal, against, found, goal.share(found.median))
