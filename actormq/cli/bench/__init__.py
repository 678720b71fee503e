"""`actormq bench`: how fast messages are on this machine, and over each link of the mesh.

| Module | Holds |
| --- | --- |
| figures | what was measured, and how it reads |
| rounds | measures one thing, or several in turn |
| places | where is measured: in a process, between two, over links |
| showing | shows each place once it was measured |
"""

from __future__ import annotations

import asyncio
import math
import os

import click

from actormq.cli.bench.figures import Report, encoded, limits
from actormq.cli.bench.places import Showing, Tour
from actormq.cli.bench.showing import Lines, Silent
from actormq.cli.options import guest_options, json_option
from actormq.cli.said import hushed
from actormq.ending import ending_on_signals
from actormq.errors import one_line
from actormq.settings import NodeOptions, checked

SECONDS = 10.0  # s; with two starts of Python and the search for a mesh all is done in 20


@click.command(
    epilog="\b\nExamples:\n  actormq bench\n  actormq bench --seconds 3\n"
    "  actormq bench --insecure-lan --json | jq '.places[] | {name, ask: .figures.ask_p50.median}'"
    "\n"
)
@click.option(
    "--seconds",
    type=float,
    default=SECONDS,
    show_default=True,
    help="Seconds to measure in all; with less there are fewer and shorter rounds.",
)
@guest_options
@json_option
def bench(
    seconds: float,
    options: NodeOptions,
    as_json: bool,
) -> None:
    """Measure messages: in one process, between two of this host, over each link of the mesh.

    Each figure is the median of up to five short rounds, with their range. Nodes of the mesh are
    asked for nothing but an echo. Nothing is judged: compare what was measured in one run.
    """
    if not 0 < seconds < math.inf:  # nan neither
        raise click.BadParameter("a number of seconds above 0", param_hint="--seconds")
    checked(options)
    report = Report(_load(), os.cpu_count() or 1)
    showing: Showing = Silent() if as_json else Lines()
    with hushed():  # what goes wrong on the way is said among the figures
        status = asyncio.run(_measured(report, showing, seconds, options))
    if limit := limits(report.load, report.cores):
        report.notes.append(limit)
    if as_json:
        click.echo(encoded(report))
    else:
        for note in report.notes:
            click.echo(one_line(note))
    if status:
        click.get_current_context().exit(status)


def _load() -> float:
    """The load before we add to it; nan where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan


async def _measured(report: Report, showing: Showing, seconds: float, options: NodeOptions) -> int:
    """Measure all there is; give the status to exit with."""
    task = asyncio.current_task()
    assert task is not None
    signals: list[int] = []

    def end(number: int) -> None:
        signals.append(number)
        task.cancel()

    named = "mesh" in options or "join" in options  # before the search, which settles the mesh
    try:
        with ending_on_signals(end):
            tour = Tour(report, showing, seconds)
            await tour.near()
            found = await tour.far(options)
    except asyncio.CancelledError:
        if not signals:
            raise
        report.notes.append("ended before all was measured")
        return 128 + signals[0]
    return int(named and not found)
