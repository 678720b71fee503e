"""`actormq device`: relay between two endpoints until somebody stops it."""

from __future__ import annotations

import asyncio
import contextlib

import click

from actormq.cli.said import log_for_people
from actormq.devices.device import Device, DeviceStatistics, Forwarder, Queue, Streamer
from actormq.devices.proxy import Face, Flow
from actormq.ending import ending_on_signals
from actormq.errors import LifecycleError, SetupError, StartFailed
from actormq.node import Node

KINDS: dict[str, type[Device]] = {
    kind.__name__.lower(): kind for kind in (Queue, Forwarder, Streamer)
}

_STEP = 1_000  # from each unit of bytes to the next

EXAMPLES = """\b
Examples:
  actormq device queue --frontend tcp://*:5559 --backend tcp://*:5560
  actormq device forwarder --frontend tcp://10.0.0.5:5556 --frontend-connect --backend tcp://*:8100
  actormq device streamer --frontend ipc:///tmp/tasks --backend tcp://*:5557 --stats 5
"""


@click.command(epilog=EXAMPLES)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("--frontend", required=True, metavar="ENDPOINT", help="Where what is sent comes in.")
@click.option("--backend", required=True, metavar="ENDPOINT", help="Where it goes out.")
@click.option("--frontend-connect", is_flag=True, help="Connect the frontend, rather than bind it.")
@click.option("--backend-connect", is_flag=True, help="Connect the backend, rather than bind it.")
@click.option(
    "--stats",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help="Print what went through, so often.",
)
def device(
    kind: str,
    frontend: str,
    backend: str,
    frontend_connect: bool,
    backend_connect: bool,
    stats: float | None,
) -> None:
    """Run a device between two ZeroMQ endpoints until Ctrl-C or SIGTERM.

    A queue takes requests of REQ or DEALER to REP or ROUTER and the replies back, a forwarder what
    PUBs say to SUBs and their filters back, a streamer tasks of PUSHes to PULLs in turn.
    """
    log_for_people(quiet=True)
    chosen = KINDS[kind]
    front, back = chosen.faces
    faces = Face(front, frontend, frontend_connect), Face(back, backend, backend_connect)
    asyncio.run(_until_a_signal(chosen, faces, stats))


async def _until_a_signal(
    kind: type[Device], faces: tuple[Face, Face], stats: float | None
) -> None:
    running = asyncio.ensure_future(_run(kind, faces, stats))
    with ending_on_signals(lambda _: running.cancel()), contextlib.suppress(asyncio.CancelledError):
        await running


async def _run(kind: type[Device], faces: tuple[Face, Face], stats: float | None) -> None:
    name = kind.__name__.lower()
    front, back = faces
    async with Node(discovery=False) as node:
        try:
            ref = await node.spawn(
                kind, name, front.endpoint, back.endpoint, front.is_connected, back.is_connected
            )
        except StartFailed as error:
            # The sentence of what went wrong is enough where there is one actor only.
            raise error.__cause__ if isinstance(error.__cause__, SetupError) else error from None
        last = await ref.ask(Device.statistics)
        click.echo(f"{name}: frontend {last.frontend}, backend {last.backend}")
        gone = asyncio.ensure_future(_gone(node, name))
        try:
            while not (await asyncio.wait({gone}, timeout=stats))[0]:
                now = await ref.ask(Device.statistics)
                click.echo(line(last, now))
                last = now
        finally:
            gone.cancel()
        raise LifecycleError(f"the {name} has stopped: see its error above")


async def _gone(node: Node, name: str) -> None:
    """Wait until a device has stopped though nobody has asked it to."""
    async with contextlib.aclosing(node.watch(name)) as changes:
        async for refs in changes:
            if not refs:
                return


def line(last: DeviceStatistics, now: DeviceStatistics) -> str:
    """Rates and totals as one line for people.

    Args:
        last: What was printed before.
        now: What there is to print.
    """
    seconds = (now.at - last.at).total_seconds()
    there = _flow(last.to_backend, now.to_backend, seconds)
    back = _flow(last.to_frontend, now.to_frontend, seconds)
    state = " (paused)" if now.is_paused else " (waits for a receiver)" if now.is_held_up else ""
    return f"to backend {there}; to frontend {back}{state}"


def _flow(last: Flow, now: Flow, seconds: float) -> str:
    frames, size = now.frames - last.frames, now.bytes - last.bytes
    rate = f"{frames / seconds:,.0f}/s {_size(size / seconds)}/s" if seconds > 0 else "no news"
    return f"{rate}, {now.frames:,} frames {_size(now.bytes)} in all"


def _size(count: float) -> str:
    if count < _STEP:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= _STEP
        if count < _STEP:
            return f"{count:.1f} {unit}"
    return f"{count / _STEP:,.1f} GB"
