"""`actormq node`: run actors until somebody stops them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
from typing import Any

import click

from actormq.cli.options import (
    name_option,
    node_options,
    parent_option,
    quiet_option,
    verbose_option,
)
from actormq.cli.said import log_for_people
from actormq.ending import run_to_end
from actormq.errors import RemoteError, SetupError
from actormq.node import Node
from actormq.observe.eventlog import EventLog
from actormq.ref import Ref
from actormq.settings import NodeOptions
from actormq.supervisor import Supervisor, child
from actormq.topology import Plan, Topology, checked_args, find_class, load, read_args

EXAMPLES = """\b
Examples:
  actormq node home.toml
  actormq node apps.weather:Station --name roof --mesh home --as station-98101 --arg station=98101
  actormq node apps.weather:Average --join bench --insecure-lan
  actormq node home.toml --dns actormq.default.svc.cluster.local --insecure-lan
  actormq node home.toml --events events.jsonl
"""

PARENT_CHECK = 0.5  # s between looks at whether the process that started us is still there


@click.command(epilog=EXAMPLES)
@click.argument("target", required=False)
@name_option
@node_options
@click.option(
    "--expected-nodes",
    type=int,
    metavar="N",
    help="Let nobody be elected where not more than half of N nodes are there.",
)
@click.option("--as", "actor_name", metavar="NAME", help="The actor's name; its class by default.")
@click.option("--arg", "args", multiple=True, metavar="KEY=VALUE", help="For the constructor.")
@click.option(
    "--events",
    metavar="FILE",
    help="Append what happens in the mesh to FILE, a line of JSON each, for programs.",
)
@quiet_option
@verbose_option
@parent_option
def node(
    target: str | None,
    name: str | None,
    options: NodeOptions,
    expected_nodes: int | None,
    actor_name: str | None,
    args: tuple[str, ...],
    events: str | None,
    quiet: bool,
    verbose: bool,
    parent: int | None,
) -> None:
    """Run a node until Ctrl-C, or SIGTERM, which drains it as `actormq drain` does.

    TARGET is a topology file such as home.toml (- is standard input), or one actor as
    module:Class; without it the node only takes part in the mesh. What is said on the command
    line goes before what the file says.
    """
    log_for_people(quiet=quiet, verbose=verbose)
    topology = _topology(target, actor_name, args)
    if name is not None:
        options["name"] = name
    if expected_nodes is not None:
        options["expected_nodes"] = expected_nodes
    if options.get("insecure_lan"):
        warn_of_lan()
    settings: Any = {**topology.node, **options}
    running = Node(**settings)

    def end(task: asyncio.Task[None], number: int) -> None:
        # What has not started yet need not be waited for.
        if not (number == signal.SIGTERM and running.is_awaited and running.begin_drain()):
            task.cancel()

    with EventLog(running.events, events) if events is not None else contextlib.nullcontext():
        run_to_end(running, _serve(running, topology.actors, parent), end)


def warn_of_lan() -> None:
    """Say loudly what --insecure-lan means."""
    logging.getLogger("actormq").warning(
        "--insecure-lan: anybody on this network may now call every handler of this node"
    )


def _topology(target: str | None, name: str | None, args: tuple[str, ...]) -> Topology:
    if target is None or target == "-" or target.endswith(".toml"):
        if name is not None or args:
            raise SetupError("--as and --arg go with one actor, module:Class")
        return Topology({}, []) if target is None else load(target)
    kind = find_class(target)
    pairs = {}
    for arg in args:
        key, equals, value = arg.partition("=")
        if not equals or not key:
            raise SetupError(f"--arg {arg!r} is no KEY=VALUE")
        pairs[key] = value
    values = checked_args("--arg", kind, read_args(kind, pairs))
    return Topology({}, [Plan(kind, name or kind.__name__.lower(), values)])


async def _serve(node: Node, plans: list[Plan], parent: int | None) -> None:
    with contextlib.suppress(asyncio.CancelledError):  # a signal: that is how a node ends
        await _run(node, plans, parent)


async def _run(node: Node, plans: list[Plan], parent: int | None) -> None:
    async with node:
        await _spawn(node, plans)
        if parent is not None:
            node.keep(asyncio.ensure_future(stop_after(node, parent)))
        await node.stopped()


async def stop_after(node: Node, parent: int) -> None:
    """End with whoever started us, even if it was killed: no event tells of that."""
    while os.getppid() == parent:  # noqa: ASYNC110 as just said
        await asyncio.sleep(PARENT_CHECK)
    await node.stop()


async def _spawn(node: Node, plans: list[Plan]) -> None:
    """Start actors in their order; those that are to be restarted have one supervisor."""
    supervisor: Ref[Supervisor] | None = None
    for plan in plans:
        if plan.restart is None:
            await node.spawn(plan.kind, plan.name, **plan.args)
            continue
        if supervisor is None:
            supervisor = await node.spawn(Supervisor)
        spec = child(plan.kind, plan.name, **plan.args).restarts(plan.restart)
        try:
            await supervisor.within(math.inf).ask(Supervisor.start_child, spec)
        except RemoteError as error:
            raise error.__cause__ or error from None
