"""The tables of `docs/benchmarks/results.md`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from goals import US, Work, digits, scale, written
from ratios import Figure, Rounds, Verdict, figure, ratio, values, verdict
from store import Record, Records
from works import WORKS

HEAD = """# What was measured

Written by `scripts/bench`; [how to read it](README.md).
A figure is the median of its rounds, with their range.
A ratio is the median of the ratios of each round, ours over theirs, or over the best of several.
"""
CLOSE = 0.02  # of a goal: medians of two runs differ by as much
TIMES = "\N{MULTIPLICATION SIGN}"


def page(records: Records, works: Sequence[Work] = WORKS) -> str:
    """The whole page."""
    there = [work for work in works if work.name in records]
    picture = "\n![How much of each goal was reached](results.svg)\n"
    parts = [HEAD, "## Goals\n", *goals(records, there), picture]
    parts += ["## Figures\n", *all_figures(records, there), ""]
    parts += ["## The machine\n", *machines(records, there)]
    return "\n".join(parts)


def verdicts(records: Records, works: Sequence[Work]) -> Iterator[tuple[Work, Verdict]]:
    """All goals of which something was measured."""
    for work in works:
        for goal in work.goals:
            found = verdict(work, goal, records[work.name]["rounds"])
            if found is not None:
                yield work, found


def goals(records: Records, works: Sequence[Work]) -> list[str]:
    """A row for each goal: ours, theirs, the ratio, and whether it is met."""
    lines = ["| work | actormq | against | has | ratio | goal | |", "| --- " * 7 + "|"]
    for work, found in verdicts(records, works):
        rounds = records[work.name]["rounds"]
        unit = found.goal.unit or work.unit
        ours = shown(figure(values(rounds, US, found.goal.of)), unit)
        theirs = written(found.theirs.median, unit) if found.theirs else ""
        ratios = shown(found.ratio, TIMES) if found.against else ""
        share = share_text(found.share, ".2f")
        met = "met" if found.share >= 1 else f"{share} of it"
        if found.share >= 1 and is_close(found.share):
            met = f"met, {share} of it"
        lines.append(
            f"| {work.name} | {ours} | {found.against} | {theirs} | {ratios} "
            f"| {goal_text(found)} | {met} |"
        )
    return lines


def is_close(share: float) -> bool:
    """Whether another run might well tell another story: it is met, or missed, by little."""
    return abs(share - 1) <= CLOSE


def share_text(share: float, form: str = ".2g") -> str:
    """How much of a goal was reached; where that is close, cut, so that no miss looks met."""
    return f"{math.floor(share * 1000) / 1000:.3f}" if is_close(share) else f"{share:{form}}"


def goal_text(found: Verdict) -> str:
    """What is wanted, such as at least 8 times theirs."""
    goal = found.goal
    bound = f"{goal.bound:.3g} {TIMES}" if goal.against else written(goal.bound, goal.unit)
    return f"{'≥' if goal.is_floor else '≤'} {bound}"


def shown(found: Figure, unit: str) -> str:
    """A median and its range, in the unit of the median."""
    size, name = (1.0, "") if unit == TIMES else scale(found.median, unit)
    low, median, high = (digits(v / size) for v in (found.low, found.median, found.high))
    if low == high:
        return f"{median}{name}"
    return f"{median}{name} ({low} to {high})"


def all_figures(records: Records, works: Sequence[Work]) -> list[str]:
    """A row for each work and contestant; ours first, then the best."""
    lines = ["| work | who | figure | ours over theirs |", "| --- " * 4 + "|"]
    for work in works:
        rounds = records[work.name]["rounds"]
        lines.append(f"| **{work.name}**: {work.what} | | | |")
        for name in _ranked(work, rounds):
            ours = ratio(rounds, name) if name != US else None
            over = shown(ours, TIMES) if ours else ""
            lines.append(
                f"| | {name} | {shown(figure(values(rounds, name)), work.unit)} | {over} |"
            )
        for name, reason in records[work.name]["left_out"].items():
            lines.append(f"| | {name} | {reason} | |")
    return lines


def _ranked(work: Work, rounds: Rounds) -> list[str]:
    medians = {name: figure(values(rounds, name)).median for name in rounds if rounds[name]}
    sign = 1 if work.is_latency else -1
    return sorted(medians, key=lambda name: (name != US, sign * medians[name]))


def machines(records: Records, works: Sequence[Work]) -> list[str]:
    """Where and when each work was measured, and what load there was before and after it."""
    loads: dict[str, list[str]] = {}
    versions: dict[str, set[str]] = {}
    for work in works:
        record = records[work.name]
        run, load = _run(record), record["load"]
        loads.setdefault(run, []).append(f"{work.name} {load['before']} to {load['after']}")
        versions.setdefault(run, set()).update(record["versions"].values())
    return [
        "\n".join([f"{run}{_among(versions[run])}", f"Load: {', '.join(each)}.\n"])
        for run, each in loads.items()
    ]


def _among(versions: set[str]) -> str:
    return f"\nPeers: {', '.join(sorted(versions))}." if versions else ""


def _run(record: Record) -> str:
    facts = record["machine"]
    rounds = max(map(len, record["rounds"].values()), default=0)
    return (
        f"{record['when'][:10]}, {rounds} rounds of {record['seconds']:g} s, "
        f"{facts['cores']} cores, {facts['system']} {facts['architecture']}, "
        f"Python {facts['python']}, pyzmq {facts['pyzmq']} (libzmq {facts['libzmq']}), "
        f"tornado {facts['tornado']}, actormq at {facts['commit']}."
    )
