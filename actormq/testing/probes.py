"""The probes of one test."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from actormq.actor import Actor
from actormq.node import Node
from actormq.testing.meshes import Mesh
from actormq.testing.probe import Probe

A = TypeVar("A", bound=Actor)


class Probes:
    """What the fixture `probe` gives: makes probes that live on a node.

    Args:
        mesh: Whose first node they live on, unless another one is named.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._made: list[Probe[Any]] = []

    @overload
    async def __call__(
        self, kind: None = None, name: str | None = None, *, node: Node | None = None
    ) -> Probe[Any]: ...
    @overload
    async def __call__(
        self, kind: type[A], name: str | None = None, *, node: Node | None = None
    ) -> Probe[A]: ...
    async def __call__(
        self, kind: type[Actor] | None = None, name: str | None = None, *, node: Node | None = None
    ) -> Probe[Any]:
        """Make a probe and let it live.

        Args:
            kind: The class that it stands in for; None for one that takes every message.
            name: By which the mesh finds it; None for none.
            node: Where it lives; None for the test's first node, which is started if need be.
        """
        if node is None:
            node = self._mesh.running[0] if self._mesh.running else await self._mesh.start()
        probe: Probe[Any] = Probe(kind)
        await probe.spawn(node, name)
        self._made.append(probe)
        return probe

    def release(self) -> None:
        """Answer what was withheld: nobody shall be waited for at the end."""
        for probe in self._made:
            probe.release()
