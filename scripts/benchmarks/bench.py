"""Measures actormq, its peers and the limits in one run, round by round.

Each work is done by all contestants in turn, and again, and ratios are taken round by round: the
machine's mood is in both. Figures of works that were not asked for stay as they were. It reports
how the goals are met, and judges nothing: the status is 0.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence, Sized
from pathlib import Path

import store
import sweeps
from contest import contest
from goals import US, Work
from options import arguments, chosen, idle
from pages import all_figures, goals, page, verdicts
from plot import plot
from programs import ALWAYS, HERE, NAMES, PROGRAMS, Program, environment
from works import WORKS


def say(text: str) -> None:
    """Tell whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


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


def install(works: Sequence[Work], peers: Sequence[str]) -> None:
    """Set up the peers that can do some of the works."""
    for name in idle(peers, works) if list(peers) != list(NAMES) else ():
        say(f"{name} does none of these works")
    able = {p.peer for p in PROGRAMS for work in works if work.told(p.name)[0] in p.works}
    if needed := able & {*peers, ALWAYS}:
        subprocess.run([HERE / "install", *sorted(needed)], check=False)


def measure(work: Work, programs: Sequence[Program], rounds: int, seconds: float) -> store.Record:
    """Let all of them do a work."""
    say(f"{work.name}: {work.what}")
    before = store.load()
    commands = {program.name: program.command(work.told(program.name)) for program in programs}
    outcome = contest(commands, rounds, seconds, say, environment())
    versions = {program.name: program.version for program in programs}
    return store.record(outcome, seconds, versions, (before, store.load()))


def measured_works(options: argparse.Namespace) -> int:
    """Measure works, print how the goals are met, and write it all; give the status."""
    works = chosen(options.only)
    measured: store.Records = {}

    def all_of_them() -> None:
        install(works, options.peers)
        for work in works:
            programs = contestants(work, options.peers)
            if US in {program.name for program in programs}:
                measured[work.name] = measure(work, programs, options.rounds, options.seconds)

    status = interruptible(all_of_them, measured)
    there = [work for work in works if work.name in measured]
    if not there:
        return status
    print("\n".join([*goals(measured, there), "", *all_figures(measured, there)]))
    if options.out:
        publish(options.out, measured)
    return status


def measured_growth(options: argparse.Namespace) -> int:
    """Measure curves, and write them; give the status."""
    told, results, before = sweeps.named(options.only), sweeps.Results(), store.load()
    status = interruptible(
        lambda: sweeps.measure(told, options.rounds, options.seconds, say, results), results
    )
    if not results:
        return status
    print(sweeps.page(results))
    if options.out:
        sweeps.publish(options.out, results, before, options.seconds)
    return status


def interruptible(body: Callable[[], None], finished: Sized) -> int:
    """Run it; where somebody ends it, what was finished counts: give the status."""

    def end(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        body()
    except KeyboardInterrupt as word:
        kept = "what was finished is kept" if finished else "nothing was finished"
        say(f"ended before all was measured; {kept}")
        return 128 + int(word.args[0])
    return 0


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


def main() -> int:
    """Do what is asked for."""
    options = arguments(__doc__)
    if not options.out:
        say("a look, short or beside some peers only: nothing is written without --out FOLDER")
    try:
        return measured_growth(options) if options.growth else measured_works(options)
    except OSError as error:
        say(f"cannot write to {options.out}: {error.strerror}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
