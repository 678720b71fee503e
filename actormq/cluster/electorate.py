"""Who is there, as elections see it: the mesh's members by their age."""

from __future__ import annotations

from actormq.cluster.mesh import Mesh
from actormq.message import Facts


class MeshElectorate:
    """The members of a mesh, and this node among them.

    Args:
        mesh: The same.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    @property
    def is_settled_in(self) -> bool:
        """See `Electorate.is_settled_in`."""
        return self._mesh.facts.seniority > 0

    def seniority(self, node: str) -> int | None:
        """See `Electorate.seniority`."""
        facts = self._facts(node)
        return facts.seniority if facts is not None else None

    def living_count(self) -> int:
        """See `Electorate.living_count`."""
        own = 0 if self._mesh.facts.is_guest else 1
        return own + len(self._mesh.membership.entries)

    def name_of(self, node: str) -> str:
        """See `Electorate.name_of`."""
        facts = self._facts(node)
        return facts.name if facts is not None else node

    def _facts(self, node: str) -> Facts | None:
        if node == self._mesh.facts.node:
            return self._mesh.facts
        entry = self._mesh.membership.entries.get(node)
        return entry.facts if entry is not None else None
