"""Which mesh `actormq farm status` is about, where nobody has said so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

from actormq.cli.farm.asked import Status, asked
from actormq.cli.guest import guest, lasting, search
from actormq.cli.said import hushed
from actormq.cluster.discovery import Announcement
from actormq.errors import MeshNotFound
from actormq.node import Node
from actormq.rules.distance import DEFAULT_MESH
from actormq.settings import NodeOptions, checked

START = "`actormq farm worker` or `actormq farm run`"


@contextlib.asynccontextmanager
async def farm_guest(options: NodeOptions, *, keeps_looking: bool = False) -> AsyncGenerator[Node]:
    """A guest of the mesh that is named, or of the one that has farms.

    Args:
        options: As for `guest`.
        keeps_looking: Likewise.

    Raises:
        MeshNotFound: There is none, or several may be meant.
        SetupError: A setting cannot be.
    """
    checked(options)
    announced = None
    with hushed():  # here, for guests that overlap would give the log back in the wrong order
        if "mesh" not in options and not options.get("join"):
            announced = await search(options)
            meshes = lasting(announced)
            if len(meshes) > 1:
                looks = (_looked(options, announced, mesh) for mesh in meshes)
                options["mesh"] = with_farms(await asyncio.gather(*looks))
        async with guest(
            options, keeps_looking=keeps_looking, announced=announced, start=START
        ) as node:
            yield node


async def _looked(options: NodeOptions, announced: list[Announcement], mesh: str) -> Status:
    try:
        async with guest(NodeOptions(**{**options, "mesh": mesh}), announced=announced) as node:
            return await asked(node)
    except MeshNotFound:  # it has gone, or lets nobody in
        return Status(mesh, [], [])


def with_farms(found: Sequence[Status]) -> str:
    """The one mesh that has a farm; else the one that has workers, or would have by default.

    Raises:
        MeshNotFound: Several may be meant.
    """
    farms = [status.mesh for status in found if status.farms]
    workers = [status.mesh for status in found if status.workers]
    those = farms or workers or [status.mesh for status in found]
    if not farms and DEFAULT_MESH in those:
        return DEFAULT_MESH
    if len(those) == 1:
        return those[0]
    what = "farms in" if farms else "workers, and no farms, in" if workers else "no farms in any of"
    raise MeshNotFound(
        f"there are {what} several meshes, {', '.join(those)}: choose one with --mesh"
    )
