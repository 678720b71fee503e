"""What the rounds say: medians, ranges, and ratios that are taken round by round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import eq
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
        against: Whom it was measured against: who was best in a round, of those that were there.
        theirs: What that one, or whoever was best in each round, has reached.
        ratio: To that one, or our own figure where the goal is a figure.
        share: How much of the goal was reached: 1 or more is met.
    """

    goal: Goal
    against: str
    theirs: Figure | None
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


def best(rounds: Rounds, names: Sequence[str], work: Work, of: str) -> tuple[str, list[float]]:
    """Who of them was best in some round, and the best figure of each round.

    One that is best by its median may be beaten in single rounds, and those count.
    """
    series = {name: found for name in names if (found := values(rounds, name, of))}
    pick = min if work.is_latency else max
    winners = [pick(each) for each in zip(*series.values(), strict=False)]
    shown = [n for n, found in series.items() if any(map(eq, found, winners))]
    return " or ".join(shown), winners


def verdict(work: Work, goal: Goal, rounds: Rounds) -> Verdict | None:
    """How a goal was met; nothing where we or all of the others have no figures."""
    own = values(rounds, US, goal.of)
    if not goal.against:
        return Verdict(goal, "", None, figure(own), goal.share(figure(own).median)) if own else None
    against, theirs = best(rounds, goal.against, work, goal.of)
    pairs = [ours / other for ours, other in zip(own, theirs, strict=False)]
    if not pairs:
        return None
    found = figure(pairs)
    return Verdict(goal, against, figure(theirs), found, goal.share(found.median))
