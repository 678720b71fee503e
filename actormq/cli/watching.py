"""`actormq ps --watch`: follow who comes and goes, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from actormq.cli.guest import guest
from actormq.cli.words import duration
from actormq.ending import ending_on_signals
from actormq.members import MemberInfo
from actormq.node import Node
from actormq.settings import NodeOptions

REFRESH = 1.0  # s; times and round trips move without a change
GONE_SHOWN = 10  # nodes that are gone which the table lists, the last ones
COLOURS = {"alive": "green", "suspect": "yellow", "dead": "red", "left": "dim"}


async def watch(options: NodeOptions, *, as_json: bool) -> None:
    """Show the members of a mesh, and each change, until a signal comes.

    A table for a terminal, else a line for each change; as JSON an object a line.
    """
    is_table = sys.stdout.isatty() and not as_json
    async with guest(options, keeps_looking=True) as node:
        follow = _draw(node) if is_table else _tell(node, as_json=as_json)
        task = asyncio.ensure_future(follow)
        with (
            ending_on_signals(lambda _: task.cancel()),
            contextlib.suppress(asyncio.CancelledError),
        ):
            await task


async def _tell(node: Node, *, as_json: bool) -> None:
    """A line for each member, and for each change of one."""
    known: dict[str, tuple[str, int]] = {}
    async with contextlib.aclosing(node.watch_members()) as changes:
        async for members in changes:
            for member in members:
                now = member.state, member.incarnation
                if known.get(member.node) != now:
                    known[member.node] = now
                    click.echo(_json(member) if as_json else _line(member))
                    sys.stdout.flush()


def _json(member: MemberInfo) -> bytes:
    return msgspec.json.encode(
        {"time": datetime.now().astimezone(), **msgspec.structs.asdict(member)}
    )


def _line(member: MemberInfo) -> str:
    time = datetime.now().astimezone().strftime("%H:%M:%S")
    address = f"  {member.address}" if member.address else ""
    return f"{time} {member.name} {member.state}: {member.reason}{address}"


async def _draw(node: Node) -> None:
    """A table that stays up to date."""
    with Live(_table(node), console=Console(), auto_refresh=False) as live:
        async for _ in _moments(node):
            live.update(_table(node), refresh=True)


async def _moments(node: Node) -> AsyncIterator[None]:
    """Whenever there may be something new to show."""
    async with contextlib.aclosing(node.watch_members()) as changes:
        following = asyncio.ensure_future(anext(changes))
        try:
            while True:
                await asyncio.wait([following], timeout=REFRESH)
                if following.done():
                    following = asyncio.ensure_future(anext(changes))
                yield
        finally:
            following.cancel()
            await asyncio.wait([following])


def _table(node: Node) -> Table:
    members = node.members()
    there = sorted((m for m in members if m.is_there), key=lambda m: (m.name, m.node))
    gone = sorted((m for m in members if not m.is_there), key=lambda m: m.since)[:GONE_SHOWN]
    table = Table(box=None, padding=(0, 2), show_edge=False)
    table.title = f"mesh {node.mesh}: {len(there)} node{'s' if len(there) != 1 else ''}"
    table.add_column("node", style="bold")
    table.add_column("state")
    table.add_column("for", justify="right")
    table.add_column("round trip", justify="right")
    table.add_column("address")
    table.add_column("why")
    for row in _rows([*there, *gone]):
        table.add_row(*row)
    return table


def _rows(members: Sequence[MemberInfo]) -> list[list[str]]:
    names = [member.name for member in members]
    return [
        [
            escape(
                member.name if names.count(member.name) == 1 else f"{member.name} {member.node}"
            ),
            f"[{COLOURS[member.state]}]{member.state}[/]",
            duration(member.since),
            "" if member.round_trip is None else f"{member.round_trip * 1000:.1f} ms",
            escape(member.address),
            escape(member.reason),
        ]
        for member in members
    ]
