"""How actormq's figures change with numbers and sizes: `scripts/bench --growth`.

Every point is a program of its own that is started for each round, and the rounds go through all
points in turn: a busy minute is then in each curve alike, and not a bend in one.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import store
from contest import Contestant, Failed, Result, Say, warm
from curves import Panel, Point, sheet
from goals import written
from options import refuse
from programs import HERE, environment

Results = dict[str, list[Result]]  # of the rounds, by what a program was told

TENS = (1, 10, 100, 1_000, 10_000)
SIZES = (8, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 64_000_000)


@dataclass(frozen=True)
class Sweep:
    """One curve.

    Attributes:
        panel: The title of the plot that it is in.
        curve: Its name there.
        along: What changes.
        unit: Of the figure.
        words: What the program is told, with `{}` where the number stands.
        numbers: Which.
        program: In `contestants/`.
        of: Which figure of a round.
    """

    panel: str
    curve: str
    along: str
    unit: str
    words: str
    numbers: Sequence[int]
    program: str = "actormq_growth.py"
    of: str = "value"

    @property
    def name(self) -> str:
        """What it is called at the command line."""
        return self.words.split()[0]

    def told(self, number: int) -> str:
        """The words for one number."""
        return f"{self.program} {self.words.replace('{}', str(number))}"

    def point(self, number: int, results: Results) -> Point | None:
        """Its median, least and most; None where it was not measured."""
        values = [each[self.of] for each in results.get(self.told(number), ())]
        return (number, statistics.median(values), min(values), max(values)) if values else None


TELLS = "Tells, in turn to so many actors"
SWEEPS = (
    Sweep(TELLS, "one process", "actors", "/s", "grow-local actors={}", TENS),
    Sweep(TELLS, "two processes", "actors", "/s", "grow-far actors={}", TENS),
    Sweep(
        "Deliveries of one publisher",
        "two processes",
        "subscribers",
        "/s",
        "grow-pairs publishers=1 subscribers={}",
        TENS[:-1],
    ),
    Sweep(
        "Deliveries of n publishers to n subscribers",
        "two processes",
        "n",
        "/s",
        "grow-pairs publishers={} subscribers={}",
        (1, 2, 4, 8, 16, 32, 64),
    ),
    Sweep(
        "Tells from one node to all others",
        "a process each",
        "nodes of this host",
        "/s",
        "grow-nodes nodes={}",
        (2, 3, 4, 6, 8, 12, 16),
    ),
    Sweep("Tells of such a size", "two processes", "bytes", "B/s", "grow-size bytes={}", SIZES),
)
IDLE = (
    Sweep("", "idle node", "nodes", "", "idle-nodes nodes={}", (2, 8), "actormq_idle.py"),
    Sweep(
        "",
        "idle actor",
        "actors",
        "",
        "idle-actors actors={}",
        (10_000, 100_000),
        "actormq_idle.py",
    ),
)
IDLE_SECONDS = 5.0  # at least: the clock of processes goes by 10 ms


def named(only: Sequence[str]) -> list[str]:
    """What programs are told for the curves that were asked for, by their first letters."""
    sweeps = (*SWEEPS, *IDLE)
    told = [s.told(n) for s in sweeps for n in s.numbers if s.name.startswith(tuple(only or [""]))]
    if not told:
        names = ", ".join(dict.fromkeys(sweep.name for sweep in sweeps))
        refuse(f"--growth --only {','.join(only)}: no such curve; there are {names}")
    return list(dict.fromkeys(told))


def measure(told: Sequence[str], rounds: int, seconds: float, say: Say, into: Results) -> None:
    """Measure all points; what came of them stands in `into`, also if somebody ends it."""
    for number in range(rounds):
        for words in told:
            say(f"round {number + 1} of {rounds}: {words}")
            if found := _round(words, seconds, say):
                into.setdefault(words, []).extend(found)


def publish(folder: Path, new: Results, before: float, seconds: float) -> None:
    """Put new points in the place of the old ones, and write what is made of all."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "growth.json"
    kept: dict[str, Any] = json.loads(raw.read_text(encoding="utf-8")) if raw.exists() else {}
    results: Results = {**kept.get("results", {}), **new}
    load = {"before": before, "after": store.load()}
    facts = {"machine": store.machine(), "load": load, "seconds": seconds, "results": results}
    store.write(raw, facts)
    panels = list(_panels(results))
    (folder / "growth.svg").write_text(sheet(panels), encoding="utf-8")
    (folder / "growth.md").write_text(page(results), encoding="utf-8")


def _round(words: str, seconds: float, say: Say) -> list[Result]:
    """Start a program, warm it, let it do one round; give nothing where it failed."""
    program, *rest = words.split()
    command = [sys.executable, str(HERE / "contestants" / program), *rest]
    is_idle = any(program == sweep.program for sweep in IDLE)
    try:
        with Contestant(command, environment()) as contestant:
            warm(contestant)
            return [contestant.round(max(seconds, IDLE_SECONDS) if is_idle else seconds)]
    except Failed as reason:
        say(f"{words} is left out: {reason}")
        return []


def _curve(sweep: Sweep, results: Results) -> list[Point]:
    points = [sweep.point(number, results) for number in sweep.numbers]
    return [point for point in points if point is not None]


def _by_panel() -> list[tuple[str, list[Sweep]]]:
    titles = dict.fromkeys(sweep.panel for sweep in SWEEPS)
    return [(title, [sweep for sweep in SWEEPS if sweep.panel == title]) for title in titles]


def _panels(results: Results) -> list[Panel]:
    """A plot for each title, with the curves that have points."""
    panels = []
    for title, own in _by_panel():
        drawn = {sweep.curve: _curve(sweep, results) for sweep in own}
        curves = {name: points for name, points in drawn.items() if points}
        if curves:
            say = partial(_written, own[0].unit)
            panels.append(Panel(title, own[0].along, curves, say, _short))
    return panels


def _written(unit: str, value: float) -> str:
    return written(value, unit) if value else "0"


def _short(number: float) -> str:
    """A number in a few letters: 64k, 1M."""
    for size, name in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{name}"
    return f"{number:g}"


HEAD = """# Growth

Written by `scripts/bench --growth`; [the findings](findings.md#growth) say what bends, and why.
Medians of the rounds, and their ranges.

![Curves of all tables below](growth.svg)
"""


def page(results: Results) -> str:
    """All medians as tables of Markdown."""
    tables = [_table(*panel, results) for panel in _by_panel() if _is_there(panel[1], results)]
    return "\n".join([HEAD, *tables, *([_idle(results)] if _is_there(IDLE, results) else [])])


def _is_there(sweeps: Sequence[Sweep], results: Results) -> bool:
    return any(_curve(sweep, results) for sweep in sweeps)


def _table(title: str, sweeps: Sequence[Sweep], results: Results) -> str:
    first = sweeps[0]
    head = [f"## {title}", "", f"| {first.along} | {' | '.join(s.curve for s in sweeps)} |"]
    head.append("| ---: " * (1 + len(sweeps)) + "|")
    return "\n".join([*head, *(_row(number, sweeps, results) for number in first.numbers), ""])


def _row(number: int, sweeps: Sequence[Sweep], results: Results) -> str:
    cells = [_cell(sweep.point(number, results), sweep.unit) for sweep in sweeps]
    return f"| {_spaced(number)} | {' | '.join(cells)} |"


def _cell(point: Point | None, unit: str) -> str:
    if point is None:
        return ""
    _, median, low, high = (written(value, unit) for value in point)
    return f"{median} ({low} to {high})" if low != high else median


def _idle(results: Results) -> str:
    lines = [
        "## What idling costs",
        "",
        "| what | number | share of a core, each process | memory of each |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        _idle_row(sweep, number, results[sweep.told(number)])
        for sweep in IDLE
        for number in sweep.numbers
        if sweep.told(number) in results
    ]
    return "\n".join(lines) + "\n"


def _idle_row(sweep: Sweep, number: int, found: Sequence[Result]) -> str:
    share, size = (statistics.median(each[of] for each in found) for of in ("value", "bytes"))
    return f"| {sweep.curve} | {_spaced(number)} | {share:.2%} | {written(size, 'B')} |"


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")
