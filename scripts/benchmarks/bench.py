"""Measures actormq, its peers and the limits in one run, round by round.

Each work is done by all contestants in turn, and again, and ratios are taken round by round: the
machine's mood is in both. Figures of works that were not asked for stay as they were. It reports
how the goals are met, and judges nothing: the status is 0.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import growth
import store
from contest import contest
from goals import US, Work
from pages import all_figures, goals, page, verdicts
from plot import plot
from programs import ALWAYS, HERE, NAMES, PROGRAMS, Program, environment
from works import WORKS

FOLDER = HERE.parents[1] / "docs" / "benchmarks"
ROUNDS, SECONDS = 5, 1.0
QUICK = 2, 0.3  # rounds and seconds, to see that all of it runs


def say(text: str) -> None:
    """Tell whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """What is asked for."""
    names = [work.name for work in WORKS]
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a round, about")
    parser.add_argument(
        "--only", default="", help=f"works, or their first letters: {', '.join(names)}"
    )
    parser.add_argument(
        "--peers", default=",".join(NAMES), help="which, instead of all; none for actormq alone"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a look: short rounds, and nothing is written"
    )
    parser.add_argument(
        "--growth", action="store_true", help="how figures change with numbers and sizes, instead"
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="where results.* are written")
    return parser.parse_args()


def chosen(only: str) -> list[Work]:
    """The works that were asked for: `far` means all that begin so, a whole name itself alone."""
    if not only:
        return list(WORKS)
    wanted, names = only.split(","), {work.name for work in WORKS}
    found = [
        work
        for work in WORKS
        if any(work.name == w if w in names else work.name.startswith(w) for w in wanted)
    ]
    if not found:
        sys.exit(f"bench: --only {only}: no such work; there are {', '.join(sorted(names))}")
    return found


def contestants(work: Work, peers: Sequence[str]) -> list[Program]:
    """Who can do it, of those that were asked for and could be installed."""
    wanted = {"", ALWAYS, *peers}
    return [
        program
        for program in PROGRAMS
        if program.peer in wanted
        and program.is_installed
        and work.told(program.name)[0] in program.works
    ]


def measure(work: Work, programs: Sequence[Program], rounds: int, seconds: float) -> store.Record:
    """Let all of them do a work."""
    say(f"{work.name}: {work.what}")
    before = store.load()
    commands = {program.name: program.command(work.told(program.name)) for program in programs}
    outcome = contest(commands, rounds, seconds, say, environment())
    versions = {program.name: program.version for program in programs}
    return store.record(outcome, seconds, versions, (before, store.load()))


def main() -> None:
    """Measure, print the goals, and write the page, the raw figures and the plot."""
    options = arguments()
    peers = [name for name in options.peers.split(",") if name in NAMES]
    rounds, seconds = QUICK if options.quick else (options.rounds, options.seconds)
    if options.growth:
        growth.measure(options.out, rounds, seconds, options.only, say)
        return
    works = chosen(options.only)
    needed = {p.peer for p in PROGRAMS for work in works if work.told(p.name)[0] in p.works}
    if needed & {*peers, ALWAYS}:
        subprocess.run([HERE / "install", *sorted(needed & {*peers, ALWAYS})], check=False)
    measured = {}
    for work in works:
        programs = contestants(work, peers)
        if US in {program.name for program in programs}:
            measured[work.name] = measure(work, programs, rounds, seconds)
    there = [work for work in works if work.name in measured]
    print("\n".join([*goals(measured, there), "", *all_figures(measured, there)]))
    if not options.quick:
        publish(options.out, measured)


def publish(folder: Path, measured: store.Records) -> None:
    """Put new figures in the place of the old ones, and write what is made of all."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "results.json"
    merged = {**store.read(raw), **measured}
    records = {work.name: merged[work.name] for work in WORKS if work.name in merged}
    works = [work for work in WORKS if work.name in records]
    store.write(raw, records)
    (folder / "results.md").write_text(page(records), encoding="utf-8")
    found = list(verdicts(records, works))
    (folder / "results.svg").write_text(plot(found), encoding="utf-8")


if __name__ == "__main__":
    main()
