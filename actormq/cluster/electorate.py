"""Who is there, as elections see it: the mesh's members by their age."""

from __future__ import annotations

from actormq.cluster.mesh import Mesh
from actormq.loop import Loop

DISCOVERY_WINDOW = 1.5  # s in which a node that has peers meets one; multicast takes 0.1 to 1.2 s


class MeshElectorate:
    """The members of a mesh, and this node among them.

    Args:
        mesh: The same.
        loop: The node's loop.
    """

    def __init__(self, mesh: Mesh, loop: Loop) -> None:
        self._mesh = mesh
        self._loop = loop
        self._begun_at = loop.now()

    @property
    def is_settled_in(self) -> bool:
        """See `Electorate.is_settled_in`."""
        if self._mesh.facts.is_guest:
            return False
        if self._loop.now() - self._begun_at >= DISCOVERY_WINDOW:
            return True
        return any(True for _ in self._mesh.peers())

    def seniority(self, node: str) -> int | None:
        """See `Electorate.seniority`."""
        facts = self._mesh.facts
        if node != facts.node:
            member = self._mesh.members.get(node)
            if member is None:
                return None
            facts = member.facts
        seniority: int = getattr(facts, "seniority", 0)
        return seniority

    def living_count(self) -> int:
        """See `Electorate.living_count`."""
        own = 0 if self._mesh.facts.is_guest else 1
        return own + sum(1 for _ in self._mesh.peers())

    def name_of(self, node: str) -> str:
        """See `Electorate.name_of`."""
        facts = self._mesh.facts
        if node == facts.node:
            return facts.name
        member = self._mesh.members.get(node)
        return member.facts.name if member is not None else node
