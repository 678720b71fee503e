"""`actormq farm status`: the farms of a mesh, how far they are, and who works for them."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import click
import msgspec

from actormq.cli.farm.asked import Status, asked
from actormq.cli.farm.meshes import farm_guest
from actormq.cli.options import guest_options, json_option
from actormq.ending import ending_on_signals
from actormq.node import Node
from actormq.settings import NodeOptions

REFRESH = 1.0  # s


@click.command(
    epilog="\b\nExamples:\n  actormq farm status\n  actormq farm status --watch\n"
    "  actormq farm status --mesh home --json | jq '.farms[].progress.left'\n"
)
@click.option("--watch", "-w", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@guest_options
@json_option
def status(
    watch: bool,
    options: NodeOptions,
    as_json: bool,
) -> None:
    """Show the farms of the mesh: how far they are, and who works for them.

    Where there are several meshes and none is named, it is the one that has a farm.
    """
    asyncio.run(_watch(options, as_json=as_json) if watch else _once(options, as_json=as_json))


async def _once(options: NodeOptions, *, as_json: bool) -> None:
    async with farm_guest(options) as node:
        _print(await asked(node), as_json=as_json)


async def _watch(options: NodeOptions, *, as_json: bool) -> None:
    async with farm_guest(options, keeps_looking=True) as node:
        is_table = sys.stdout.isatty() and not as_json
        task = asyncio.ensure_future(_draw(node) if is_table else _repeat(node, as_json=as_json))
        with (
            ending_on_signals(lambda _: task.cancel()),
            contextlib.suppress(asyncio.CancelledError),
        ):
            await task


async def _repeat(node: Node, *, as_json: bool) -> None:
    while True:
        _print(await asked(node), as_json=as_json)
        await asyncio.sleep(REFRESH)


async def _draw(node: Node) -> None:
    from rich.console import Console  # noqa: PLC0415 rich costs 0.1 s
    from rich.live import Live  # noqa: PLC0415 as above

    from actormq.cli.farm.tables import tables  # noqa: PLC0415 as above

    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            live.update(tables(await asked(node)), refresh=True)
            await asyncio.sleep(REFRESH)


def _print(found: Status, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        from actormq.cli.farm.tables import show  # noqa: PLC0415 rich costs 0.1 s

        show(found)
    sys.stdout.flush()
