"""`actormq farm worker`: offer this machine's cores to the farms of a mesh."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import click

from actormq.cli.options import (
    name_option,
    node_options,
    parent_option,
    quiet_option,
    verbose_option,
)
from actormq.cli.running import stop_after, warn_of_lan
from actormq.cli.said import is_of_farms, log_for_people
from actormq.cli.words import counted
from actormq.ending import run_to_end
from actormq.farm.farm import count_of
from actormq.farm.reports import WORKER_NAME
from actormq.farm.worker import Worker
from actormq.node import Node
from actormq.ref import Ref
from actormq.settings import NodeOptions
from actormq.topology import look_here

GRACE = 10.0  # s for tasks that run when the worker is told to end; service managers wait 90
DRAINS = 2.2  # of the time that a node has to stop, tasks have less than half
log = logging.getLogger("actormq.farm")

LOOK = 0.25  # s between looks at how long nobody has had a task here


@click.command(
    epilog="\b\nExamples:\n  actormq farm worker\n"
    "  actormq farm worker --slots 2 --mesh home --idle-exit 60\n"
    "  actormq farm worker --join bench --insecure-lan\n"
)
@click.option(
    "--slots",
    type=click.IntRange(min=1),
    help="How many tasks to run at a time; by default one on each core.",
)
@name_option
@click.option(
    "--idle-exit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End when there has been nothing to do for so long.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0, min_open=True),
    default=GRACE,
    show_default=True,
    metavar="SECONDS",
    help="How long tasks may go on after Ctrl-C or SIGTERM; what takes longer is done elsewhere.",
)
@node_options
@quiet_option
@verbose_option
@parent_option
def worker(
    slots: int | None,
    name: str | None,
    idle_exit: float | None,
    grace: float,
    options: NodeOptions,
    quiet: bool,
    verbose: bool,
    parent: int | None,
) -> None:
    """Run tasks of the farms of the mesh, until Ctrl-C or SIGTERM.

    Farms that come later are found as well, and several have their share each. Functions are
    looked for in the current folder first, then among what is installed: a worker that lacks a
    module says so, and leaves its tasks to others. Whoever is in the mesh can have any function
    run here that this Python can import.
    """
    log_for_people(quiet=quiet, verbose=verbose, shown=None if verbose else is_of_farms)
    if name is not None:
        options["name"] = name
    options["shutdown_timeout"] = DRAINS * grace
    look_here()
    running = Node(**options)
    if options.get("insecure_lan"):
        warn_of_lan()

    def end(task: asyncio.Task[None], _number: int) -> None:
        log.info("%s: takes no more tasks; what runs has %g s to end", running.name, grace)
        if not (running.is_awaited and running.begin_drain()):
            task.cancel()

    run_to_end(running, _serve(running, count_of(slots, "--slots"), idle_exit, parent), end)


async def _serve(node: Node, slots: int, idle_exit: float | None, parent: int | None) -> None:
    with contextlib.suppress(asyncio.CancelledError):  # a signal, before it had begun
        async with node:
            ref = await node.spawn(Worker, WORKER_NAME, slots, said=_said(node.name))
            offer = counted(slots, "slot")
            log.info("%s: offers %s to the farms of mesh %s", node.name, offer, node.mesh)
            if parent is not None:
                node.keep(asyncio.ensure_future(stop_after(node, parent)))
            if idle_exit is not None:
                node.keep(asyncio.ensure_future(_end_idle(node, ref, idle_exit)))
            await node.stopped()


def _said(name: str) -> Any:
    return lambda text: log.info("%s: %s", name, text)


async def _end_idle(node: Node, ref: Ref[Worker], seconds: float) -> None:
    """Leave once nobody has had work for us for so long; what comes just then is still done."""
    idle = 0.0
    while idle < seconds:
        await asyncio.sleep(min(LOOK, seconds - idle + 0.001))
        idle = await ref.ask(Worker.idle)
    log.info("%s: nothing to do for %.3g s", node.name, idle)
    await node.drain()
