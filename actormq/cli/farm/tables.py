"""The farms and workers of a mesh as tables, for people."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from actormq.cli.farm.asked import Status
from actormq.cli.farm.words import how_far, pace
from actormq.cli.words import counted, duration, number
from actormq.errors import one_line
from actormq.farm.reports import FarmReport, WorkerReport


def show(found: Status) -> None:
    """Print what there is."""
    console = Console()
    with console.capture() as shown:  # rich ends the process in its own way at a closed pipe
        console.print(tables(found))
    click.echo(shown.get(), nl=False)


def tables(found: Status) -> Any:
    """What there is, for rich to draw."""
    parts: list[Any] = []
    if found.farms:
        parts.append(_farms(found.farms))
        parts += [
            f"  [yellow]{_clean(node)} takes none of {_clean(farm.name)}: {_clean(why)}[/yellow]"
            for farm in found.farms
            for node, why in sorted(farm.refusals.items())
        ]
    own = _own(found)
    if found.workers or own:
        parts.append(_workers(found.workers, own))
    farms = counted(len(found.farms), "farm")
    workers = counted(len(found.workers) + len(own), "worker")
    silent = f", {found.silent} that did not answer" if found.silent else ""
    parts.append(f"{farms} and {workers} in mesh {escape(found.mesh)}{silent}")
    return Group(*parts)


def _farms(farms: list[FarmReport]) -> Table:
    table = _table("farm", "function", "node")
    table.add_column("done", no_wrap=True)
    for heading in ("failed", "again", "rate", "slots", "left"):
        table.add_column(heading, justify="right", no_wrap=True)
    for farm in farms:
        progress = farm.progress
        left = "" if progress.left is None else duration(progress.left)
        table.add_row(
            *map(_clean, (farm.name, ", ".join(farm.jobs), farm.node)),
            how_far(progress),
            f"[red]{number(progress.failed)}[/red]" if progress.failed else "0",
            number(progress.retried + progress.redelivered),
            pace(progress.rate),
            number(progress.workers),
            left,
        )
    return table


def _own(found: Status) -> list[tuple[str, int, str]]:
    """Workers that farms have started for themselves alone: node, slots, farm."""
    others = {worker.node for worker in found.workers}
    return [
        (node, slots, farm.name)
        for farm in found.farms
        for node, slots in sorted(farm.workers.items())
        if node not in others
    ]


def _workers(workers: list[WorkerReport], own: list[tuple[str, int, str]]) -> Table:
    table = _table("worker")
    for heading in ("slots", "busy", "done", "lost"):
        table.add_column(heading, justify="right")
    table.add_column("works for")
    for worker in workers:
        table.add_row(
            _clean(worker.node),
            *map(number, (worker.slots, worker.busy, worker.done)),
            f"[yellow]{number(worker.lost)}[/yellow]" if worker.lost else "0",
            _clean(", ".join(sorted(worker.farms))),
        )
    for node, slots, farm in own:
        table.add_row(_clean(node), number(slots), "", "", "", f"{_clean(farm)} alone")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 1), show_edge=False)
    table.add_column(first, style="cyan", overflow="fold")
    for heading in others:
        table.add_column(heading, overflow="fold")
    return table


def _clean(text: str) -> str:
    return escape(one_line(text))
