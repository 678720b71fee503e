"""`actormq ps`, `ask`, `tell`, `sub`: look into a running mesh and talk to its actors."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from actormq.actor import Actor
from actormq.address import ServiceEntry
from actormq.cli.guest import guest, until
from actormq.cli.options import guest_options, json_option
from actormq.ending import ending_on_signals
from actormq.errors import ActormqError, ActorNotFound, AskTimeout, MeshNotFound
from actormq.marks import handler
from actormq.node import Node
from actormq.patterns.subscriber import Subscriber
from actormq.report import NodeReport
from actormq.settings import NodeOptions
from actormq.topology import from_json

NEGATIVES = {"ignore_unknown_options": True}  # so that -1.5 is an argument
FIND = 1.0  # s for a name to appear once the mesh has been found
DESCRIBE = 1.5  # s for a node to tell of itself; one that does not is shown as silent


@click.command(
    epilog="\b\nExamples:\n  actormq ps\n  actormq ps --mesh home --json | jq '.nodes[].name'\n"
    "  actormq ps --watch\n"
)
@click.option(
    "--watch", "-w", is_flag=True, help="Follow who comes and goes, and why, until Ctrl-C."
)
@guest_options
@json_option
def ps(
    watch: bool,
    options: NodeOptions,
    as_json: bool,
) -> None:
    """Show the nodes of the mesh, their actors and services."""
    if watch:
        from actormq.cli.watching import watch as follow  # noqa: PLC0415 as below

        asyncio.run(follow(options, as_json=as_json))
        return
    reports = asyncio.run(_reports(options))
    if as_json:
        click.echo(msgspec.json.encode({"nodes": reports}))
    else:
        from actormq.cli.table import show  # noqa: PLC0415 rich costs 0.1 s

        show(reports)


async def _reports(options: NodeOptions) -> list[NodeReport]:
    async with guest(options) as node:
        peers = sorted(node.mesh_view.peers(), key=lambda member: member.facts.name)
        return await asyncio.gather(*(_report(node, member) for member in peers))


async def _report(node: Node, member: Any) -> NodeReport:
    facts = member.facts
    steward = node.steward_of(facts.node, facts.name)
    try:
        raw = await steward.within(DESCRIBE).ask("describe")
        return msgspec.convert(raw, NodeReport)
    except ActormqError:
        return NodeReport(
            name=facts.name,
            id=facts.node,
            mesh=facts.mesh,
            state="silent",
            address=next((e for e in facts.endpoints if e.startswith("tcp://")), ""),
            sent=0,
            received=0,
            dead_letters={},
            actors=[],
            actor_count=0,
            services=[],
        )


@click.command(
    context_settings=NEGATIVES,
    epilog="\b\nExamples:\n  actormq ask greeter greet LAN\n"
    "  actormq ask average result --json\n"
    "  actormq ask station-98101 progress --timeout 1\n",
)
@click.argument("name")
@click.argument("handler")
@click.argument("args", nargs=-1, metavar="[JSON]...")
@click.option(
    "--timeout",
    type=float,
    default=5.0,
    show_default=True,
    help="Seconds to wait for a reply; if said, as long for the actor to appear.",
)
@guest_options
@json_option
def ask(
    name: str,
    handler: str,
    args: tuple[str, ...],
    timeout: float,
    options: NodeOptions,
    as_json: bool,
) -> None:
    """Ask the actor NAME and print its reply.

    Each argument is JSON; what is no JSON is a text, so quotes can mostly be left out. Write --
    before NAME if one begins with a dash, as negative numbers do.
    """
    if not 0 < timeout < math.inf:  # nan neither
        raise click.BadParameter("a number of seconds above 0", param_hint="--timeout")

    source = click.get_current_context().get_parameter_source("timeout")
    find = FIND if source is ParameterSource.DEFAULT else timeout

    async def body() -> Any:
        async with guest(options) as node:
            try:
                ref = await node.find(name, timeout=find)
                return await ref.within(timeout).ask(handler, *map(from_json, args))
            except ActorNotFound as error:
                raise _here(error, "or wait longer with --timeout") from error
            except AskTimeout as error:
                raise _here(error, "wait longer with --timeout") from error

    value = asyncio.run(body())
    if as_json:
        click.echo(_json(value))
    elif isinstance(value, str):
        click.echo(value)
    elif value is not None:
        click.echo(msgspec.json.format(_json(value), indent=2))


@click.command(
    context_settings=NEGATIVES,
    epilog="\b\nExamples:\n  actormq tell greeter greet LAN\n  actormq tell lamp set on 0.5\n",
)
@click.argument("name")
@click.argument("handler")
@click.argument("args", nargs=-1, metavar="[JSON]...")
@guest_options
def tell(
    name: str,
    handler: str,
    args: tuple[str, ...],
    options: NodeOptions,
) -> None:
    """Send the actor NAME a message and do not wait for it to be handled.

    Arguments are those of `ask`.
    """

    async def body() -> None:
        async with guest(options) as node:
            try:
                ref = await node.find(name, timeout=FIND)
            except ActorNotFound as error:
                raise _here(error) from error
            ref.tell(handler, *map(from_json, args))

    asyncio.run(body())


def _here(error: ActorNotFound | AskTimeout, way_out: str = "") -> click.ClickException:
    """The same error with what the command can do about it, not what a program can."""
    sentence = str(error).removesuffix(error.LONGER)
    return click.ClickException(f"{sentence}{way_out}" if way_out else sentence.rstrip(", "))


@click.command(
    epilog="\b\nExamples:\n  actormq sub weather\n  actormq sub weather 98101 --json --count 10\n"
)
@click.argument("service")
@click.argument("topics", nargs=-1, metavar="[TOPIC]...")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many messages.")
@guest_options
@json_option
def sub(
    service: str,
    topics: tuple[str, ...],
    count: int | None,
    options: NodeOptions,
    as_json: bool,
) -> None:
    """Print what is published to SERVICE, until Ctrl-C.

    TOPICs are beginnings; without any, everything is printed.
    """
    missed = 0
    with contextlib.suppress(KeyboardInterrupt):  # the ordinary end, also before the first message
        missed = asyncio.run(_sub(service, topics or ("",), count, options, as_json))
    if missed:
        click.echo(f"actormq: missed {missed} messages", err=True)


async def _sub(
    service: str, topics: tuple[str, ...], count: int | None, options: NodeOptions, as_json: bool
) -> int:
    done = asyncio.Event()
    left = count

    def write(topic: Any, value: Any, position: Any) -> None:
        nonlocal left
        if done.is_set():
            return
        if as_json:
            line = {"topic": topic, "value": value}
            if position is not None:
                line |= {"stream": position[0], "number": position[2]}
            text = _json(line).decode()
        else:
            text = f"{topic} {value if isinstance(value, str) else _json(value).decode()}"
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            done.set()
        if left is not None:
            left -= 1
            if left == 0:
                done.set()

    async with guest(options) as node:
        codec = await _codec(node, service)
        printer = _printer(service, codec, write)
        with ending_on_signals(lambda _: done.set()):
            ref = await node.spawn(printer, None, topics)
            await done.wait()
            missed: int = await ref.ask("missed_count")
            return missed


async def _codec(node: Node, service: str) -> Any:
    """The codec that the publishers of a service announce."""
    directory = node.directory

    def offers() -> list[ServiceEntry]:
        entries = [entry for _, entry in directory.services(service)]
        return [e for e in entries if e.socket == "XPUB" and e.endpoints]

    await until(lambda: bool(offers()), FIND)
    ends = offers()
    if not ends:
        known = sorted(
            {
                entry.service
                for member in node.mesh_view.peers()
                for entry in directory.of(member.facts.node).services.values()
                if entry.socket == "XPUB" and entry.endpoints
            }
        )
        raise MeshNotFound(
            f"nobody publishes {service!r} in mesh {node.mesh!r}: "
            f"it has {', '.join(known) or 'no publishers'}"
        )
    return ends[0].codec


def _printer(service: str, codec: Any, write: Any) -> Any:
    """An actor class that writes what it hears: the service is known only now."""

    class Printer(Actor):
        feed = Subscriber(service=service, codec=codec)

        def __init__(self, topics: tuple[str, ...]) -> None:
            self.topics = topics

        async def on_start(self) -> None:
            await self.feed.subscribe(*self.topics)

        @feed.received
        def write(self, topic: Any, *values: Any) -> None:
            value = values[0] if len(values) == 1 else list(values)
            write(_shown(topic), _shown(value), self.feed.last)

        @handler
        def missed_count(self) -> int:
            return self.feed.missed

    return Printer


def _shown(value: Any) -> Any:
    """Bytes as the text that they mostly are."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value, enc_hook=str)
    except TypeError:  # keys that JSON does not know
        return msgspec.json.encode(str(value))
