"""`actormq ps` for people: one table a node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from actormq.errors import one_line
from actormq.report import ActorReport, NodeReport

SHOWN = 40  # actors of a node that fit a screen; --json has more


def show(reports: Sequence[NodeReport]) -> None:
    """Print what nodes told of themselves."""
    console = Console()
    with console.capture() as shown:  # rich ends the process in its own way at a closed pipe
        for report in reports:
            console.print(_headline(report))
            if report.actors:
                console.print(_actors(report))
            hidden = report.actor_count - min(len(report.actors), SHOWN)
            if hidden > 0:
                console.print(f"  and {hidden} more actors")
        count = len(reports)
        console.print(f"{count} node{'s' if count != 1 else ''} in mesh {escape(reports[0].mesh)}")
    click.echo(shown.get(), nl=False)


def _headline(report: NodeReport) -> str:
    colour = "green" if report.state == "alive" else "red"
    lost = sum(report.dead_letters.values())
    parts = [
        f"[bold]{escape(report.name)}[/bold] [{colour}]{report.state}[/{colour}]",
        escape(report.address),
        f"in {report.received} out {report.sent}",
    ]
    if report.services:
        parts.append("services " + escape(", ".join(report.services)))
    if lost:
        parts.append(f"[yellow]dead letters {lost}[/yellow]")
    return "  ".join(parts)


def _actors(report: NodeReport) -> Table:
    table = Table(box=None, padding=(0, 2), show_edge=False)
    table.add_column("actor", style="cyan")
    table.add_column("class")
    table.add_column("mailbox", justify="right")
    table.add_column("received", justify="right")
    shown = list(as_tree(report.actors))[:SHOWN]
    notes = [_note(actor) for _, actor in shown]
    if any(notes):
        table.add_column("note", style="yellow")
    for (depth, actor), note in zip(shown, notes, strict=True):
        name = "  " * depth + actor.name
        row = [name, actor.class_, str(actor.mailbox), str(actor.received), note]
        table.add_row(*map(escape, row[: len(table.columns)]))
    return table


def as_tree(actors: Sequence[ActorReport]) -> Iterator[tuple[int, ActorReport]]:
    """Actors with their depth, children behind their parents."""
    children: defaultdict[str, list[ActorReport]] = defaultdict(list)
    names = {actor.name for actor in actors}
    for actor in actors:
        children[actor.parent if actor.parent in names else ""].append(actor)
    left = [(0, actor) for actor in reversed(children.pop("", []))]
    while left:
        depth, actor = left.pop()
        yield depth, actor
        left += [(depth + 1, child) for child in reversed(children.pop(actor.name, []))]


def _note(actor: ActorReport) -> str:
    """What is to be known of an actor: it stands by, fails, is stuck, has held up all others."""
    parts = [actor.role] if actor.role else []
    if actor.is_down:
        parts.append("down, waits for its restart")
    if actor.restarts:
        parts.append(f"restarted {actor.restarts} time{'s' if actor.restarts != 1 else ''}")
    if actor.awaits:
        parts.append(f"awaits {actor.awaits} for {actor.busy:.3g} s in {actor.handler}")
    elif actor.handler:
        parts.append(f"in {actor.handler} for {actor.busy:.3g} s")
    if actor.held:
        parts.append(f"held the loop for {actor.held:.3g} s in {actor.held_by}")
    return ", ".join(map(one_line, parts))
