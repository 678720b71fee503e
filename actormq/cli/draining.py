"""`actormq drain`: let one node leave the mesh without an error at anybody's."""

from __future__ import annotations

import asyncio
import math

import click

from actormq.cli.guest import guest, until
from actormq.cli.options import guest_options
from actormq.errors import AskTimeout, MeshNotFound, PeerLost, SetupError
from actormq.members import MemberInfo
from actormq.node import Node
from actormq.settings import NodeOptions

TIMEOUT = 30.0  # s for a node to be gone; one with the usual shutdown_timeout takes 5 at most
ID_LEAST = 4  # digits of an id that are enough, if it is the only one that begins so


@click.command(
    epilog="\b\nExamples:\n  actormq drain roof\n  actormq drain 3f9c --mesh home --timeout 60\n"
)
@click.argument("node")
@click.option(
    "--timeout", type=float, default=TIMEOUT, show_default=True, help="Seconds until it is gone."
)
@guest_options
def drain(
    node: str,
    timeout: float,
    options: NodeOptions,
) -> None:
    """Move NODE, a name or the beginning of an id, out of the mesh; wait until it is gone.

    Its names are withdrawn first, then it does what it has been asked to do before, then its
    program ends. SIGTERM does the same.
    """
    if not 0 < timeout < math.inf:  # nan neither
        raise click.BadParameter("a number of seconds above 0", param_hint="--timeout")

    async def body() -> None:
        async with guest(options) as own:
            await _drain(own, node, timeout)

    asyncio.run(body())


async def _drain(own: Node, wanted: str, timeout: float) -> None:
    member = _chosen(own, wanted)
    id_, name = member.node, member.name
    begun = asyncio.get_running_loop().time()
    is_gone = False
    try:
        was_quiet = await own.steward_of(id_, name).within(timeout).ask("drain")
        left = begun + timeout - asyncio.get_running_loop().time()
        is_gone = await until(lambda: not own.mesh_view.is_member(id_), left)
    except AskTimeout:
        pass  # as said below
    except PeerLost as error:
        raise MeshNotFound(
            f"node {name!r} is gone, and has not said whether its work was done: {error}"
        ) from error
    if not is_gone:
        raise MeshNotFound(
            f"node {name!r} drains and is still there after {timeout:g} s: wait for it, or look "
            "with `actormq ps`"
        )
    click.echo(f"{name} has left{'' if was_quiet else ', with some of its work not done in time'}")


def _chosen(own: Node, wanted: str) -> MemberInfo:
    """The node that is meant.

    Raises:
        MeshNotFound: There is none.
        SetupError: There are several.
    """
    peers = sorted((m for m in own.members() if m.is_there), key=lambda member: member.name)
    found = [member for member in peers if member.name == wanted]
    if not found and len(wanted) >= ID_LEAST:
        found = [member for member in peers if member.node.startswith(wanted)]
    if len(found) > 1:
        ids = ", ".join(f"{member.node} ({member.address})" for member in found)
        raise SetupError(f"{len(found)} nodes are called {wanted!r}, say which by its id: {ids}")
    if not found:
        names = ", ".join(member.name for member in peers)
        raise MeshNotFound(f"no node {wanted!r} in mesh {own.mesh!r}: it has {names}")
    return found[0]
