"""Finds the mesh for a command that only asks, and says what to do when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable

from actormq.cli.said import hushed
from actormq.cluster.discovery import Announcement, DiscoveryUnavailable
from actormq.errors import MeshNotFound
from actormq.node import Node
from actormq.rules.admission import LAN
from actormq.settings import NodeOptions, checked

NODE = "`actormq node`"

SEARCH = 2.0  # s; with the start of Python this fails within the 3 s that a user waits gladly
SETTLE = 0.3  # s for a second node of the mesh to speak up behind the first
SETTLE_MESHES = 1.2  # s for a second mesh: mDNS says no record twice within a second, and who was
#                      asked by somebody else just now keeps silent for so long (measured)
LINKED = 1.0  # s for links to the nodes that the first one named


@contextlib.asynccontextmanager
async def guest(
    options: NodeOptions,
    *,
    keeps_looking: bool = False,
    announced: list[Announcement] | None = None,
    start: str = NODE,
) -> AsyncGenerator[Node]:
    """A guest of the mesh, linked to all of its nodes that answer.

    Args:
        options: Settings; without `mesh` and `join`, the only mesh there is.
        keeps_looking: Whether it looks for further nodes as long as it is there.
        announced: What `search` has found, where somebody has searched before.
        start: What starts a node, for whoever has none.

    Raises:
        MeshNotFound: There is none, or there are several.
        SetupError: A setting cannot be.
    """
    checked(options)  # a name that cannot be need not be searched for
    with hushed():  # what goes wrong on the way is said in the end, in one sentence
        hints: list[Announcement] = []
        if not options.get("join"):
            heard = await search(options) if announced is None else announced
            hints = _chosen(heard, options.get("mesh"), start)
            options["mesh"] = hints[0].mesh
        options["discovery"] = keeps_looking
        async with Node.guest(**options) as node:
            for announcement in hints:
                node.mesh_view.hint(announcement)
            await _linked(node, options)
            yield node


async def search(options: NodeOptions) -> list[Announcement]:
    """Listen to who announces itself.

    Raises:
        MeshNotFound: Nobody can be listened to on this machine.
    """
    from actormq.cluster.mdns import Mdns  # noqa: PLC0415 costs 0.1 s that --join does not need

    is_lan = options.get("insecure_lan", False)
    wanted = options.get("mesh")
    found: dict[str, Announcement] = {}
    heard = asyncio.Event()
    ours = f"loopback:{os.getuid()}"

    def note(announcement: Announcement) -> None:
        if announcement.scope in (ours, LAN):
            found[announcement.node_id] = announcement
            if wanted in (None, announcement.mesh):
                heard.set()

    mdns = Mdns(loopback=not is_lan)
    try:
        await mdns.start(note)
    except DiscoveryUnavailable as error:
        raise MeshNotFound(str(error)) from error
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEARCH):
                await heard.wait()
                await asyncio.sleep(SETTLE if wanted else SETTLE_MESHES)
    finally:
        await mdns.stop()
    return list(found.values())


def lasting(found: list[Announcement]) -> list[str]:
    """The meshes that may be meant; a demo that happens to run is so only where nothing else is."""
    meshes = sorted({announcement.mesh for announcement in found})
    return [mesh for mesh in meshes if not mesh.startswith(("demo-", "doctor-"))] or meshes


def _chosen(found: list[Announcement], wanted: str | None, start: str = NODE) -> list[Announcement]:
    meshes = lasting(found) if wanted is None else sorted({a.mesh for a in found})
    names = ", ".join(meshes)
    if wanted is not None and wanted not in meshes:
        others = f"; there is {names}" if meshes else ""
        raise MeshNotFound(
            f"no node of mesh {wanted!r} on this machine{others}: start one with {start}, "
            "or name one with --join HOST:PORT"
        )
    if not meshes:
        raise MeshNotFound(
            f"no mesh on this machine: start a node with {start}, or name one with --join HOST:PORT"
        )
    if wanted is None and len(meshes) > 1:
        raise MeshNotFound(f"there are several meshes, {names}: choose one with --mesh")
    return [a for a in found if a.mesh == (wanted or meshes[0])]


async def _linked(node: Node, options: NodeOptions) -> None:
    """Wait for links: to one node at least, then to those that it knows."""
    mesh = node.mesh_view
    if not await until(lambda: bool(list(mesh.peers())), SEARCH):
        places = ", ".join(options.get("join", ()))
        where = places or f"mesh {options.get('mesh')!r}"
        elsewhere = (
            "check that a node runs there"
            if places
            else "choose another mesh with --mesh, or name a node with --join HOST:PORT"
        )
        why = "; ".join(dict.fromkeys(mesh.reach.refusals.values())) or f"no answer; {elsewhere}"
        raise MeshNotFound(f"cannot reach {where}: {why}")
    await until(lambda: mesh.reach.is_settled, LINKED)


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for something that no event tells of; say whether it came to be."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.01)
    return True
