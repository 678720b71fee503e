"""`actormq farm status`: the farms of a mesh, how far they are, and who works for them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import click
import msgspec

from actormq.cli.guest import guest
from actormq.cli.options import json_option, mesh_options, node_options
from actormq.ending import ending_on_signals
from actormq.errors import ActormqError
from actormq.farm.reports import FARM_PREFIX, WORKER_NAME, FarmReport, WorkerReport
from actormq.node import Node
from actormq.ref import Ref
from actormq.settings import NodeOptions

T = TypeVar("T")

ANSWER = 1.5  # s for a farm or worker to tell of itself; one that does not is left out, and said
REFRESH = 1.0  # s


class Status(msgspec.Struct, frozen=True):
    """What there is in a mesh.

    Attributes:
        mesh: Its name.
        farms: Those that answered.
        workers: Likewise.
        silent: How many of both did not.
    """

    mesh: str
    farms: list[FarmReport]
    workers: list[WorkerReport]
    silent: int = 0


@click.command(
    epilog="\b\nExamples:\n  actormq farm status\n  actormq farm status --watch\n"
    "  actormq farm status --mesh home --json | jq '.farms[].progress.left'\n"
)
@click.option("--watch", "-w", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@mesh_options
@json_option
def status(
    watch: bool,
    mesh: str | None,
    join: tuple[str, ...],
    insecure_lan: bool,
    lan: bool,
    as_json: bool,
) -> None:
    """Show the farms of the mesh: how far they are, and who works for them."""
    options = node_options(mesh, join, insecure_lan, lan)
    asyncio.run(_watch(options, as_json=as_json) if watch else _once(options, as_json=as_json))


async def _once(options: NodeOptions, *, as_json: bool) -> None:
    async with guest(options) as node:
        _print(await asked(node), as_json=as_json)


async def _watch(options: NodeOptions, *, as_json: bool) -> None:
    async with guest(options, keeps_looking=True) as node:
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


async def asked(node: Node) -> Status:
    """Ask all farms and workers that are known how they are."""
    names = node.directory.names(FARM_PREFIX)
    farms = [ref for name in sorted(names) for ref in node.find_all(name)]
    workers = node.find_all(WORKER_NAME)
    told, works = await asyncio.gather(_told(farms, FarmReport), _told(workers, WorkerReport))
    silent = len(farms) + len(workers) - len(told) - len(works)
    told.sort(key=lambda report: (report.name, report.node))
    works.sort(key=lambda report: report.node)
    return Status(node.mesh, told, works, silent)


async def _told(refs: Sequence[Ref[Any]], kind: type[T]) -> list[T]:
    answers = await asyncio.gather(
        *(ref.within(ANSWER).ask("report") for ref in refs), return_exceptions=True
    )
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, ActormqError):
            raise answer
    return [
        msgspec.convert(answer, kind) for answer in answers if not isinstance(answer, BaseException)
    ]
