"""Nodes for a test, in a mesh of a random name, which nobody else can find."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Self, Unpack

from actormq.node import Node
from actormq.settings import NodeOptions
from actormq.testing.waiting import until_or

MEETING = 10.0  # s of real time; loopback needs some ms
SHUTDOWN = 0.2  # s for handlers under way: what hangs in a test shall not hold it up for 5 s


class Mesh:
    """The nodes of one test, on loopback, without discovery: they know each other by address.

    The fixture `mesh` stops them at the end. Elsewhere, under any runner of async tests:
    `async with Mesh() as mesh`.

    Attributes:
        name: The mesh's name.
        nodes: All that were started, in their order.
    """

    def __init__(self) -> None:
        self.name = f"test-{secrets.token_hex(6)}"
        self.nodes: list[Node] = []
        self._listeners: list[Callable[[Node], None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def running(self) -> list[Node]:
        """Those that run."""
        return [node for node in self.nodes if node.is_running]

    async def start(self, **options: Unpack[NodeOptions]) -> Node:
        """Start one more node, named n0, n1 and so on; returns when all know each other.

        Args:
            options: The node's settings, where they shall not be those of a test.
        """
        own: NodeOptions = {
            "mesh": self.name,
            "name": f"n{len(self.nodes)}",
            "discovery": False,
            "shutdown_timeout": SHUTDOWN,
        }
        if self.running:
            own["join"] = [self.running[0].address.removeprefix("tcp://")]
        own.update(options)
        node = Node(**own)
        await node.start()
        self.nodes.append(node)
        for listener in self._listeners:
            listener(node)
        await self.acquainted()
        return node

    async def pair(self, **options: Unpack[NodeOptions]) -> tuple[Node, Node]:
        """Start two nodes."""
        return await self.start(**options), await self.start(**options)

    async def acquainted(self) -> None:
        """Wait until each running node knows all the others.

        Raises:
            AssertionError: They did not meet in time.
        """
        ids = {node.id for node in self.running}

        def know_each_other() -> bool:
            return all(
                {peer.facts.node for peer in node.mesh_view.peers()} == ids - {node.id}
                for node in self.running
            )

        await until_or(know_each_other, MEETING, lambda: f"the nodes did not meet in {MEETING:g} s")

    def each(self, listener: Callable[[Node], None]) -> None:
        """Call it with each node that there is, and that will be started."""
        self._listeners.append(listener)
        for node in self.nodes:
            listener(node)

    async def stop(self) -> None:
        """Stop all nodes."""
        await asyncio.gather(*(node.stop() for node in self.nodes))
