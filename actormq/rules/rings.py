"""Who watches whom: each node's neighbours, the same few however large the mesh grows.

Every node has a place on each of `RINGS` rings, drawn from a hash of its id. Its neighbours are
those before and behind it on each ring. Whoever knows the same nodes finds the same neighbours,
and being neighbours is mutual, so nothing has to be agreed on.

Such a union of rings is an expander: news that everybody passes on to its neighbours reach all in
a number of steps that grows with the logarithm of the mesh, and a few lost links part nobody.

Source: Rapid (Suresh et al., USENIX ATC 2018) watches along rings for the same reasons.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterable

RINGS = 5
NEIGHBOURS = 2 * RINGS
"""Neighbours of a node at most; in a mesh of as many others all are."""

_PLACE_BYTES = 8


@functools.lru_cache(maxsize=16_384)
def _places(node: str) -> tuple[tuple[int, str], ...]:
    """Where a node stands on each ring; its id decides between equal places."""
    import hashlib  # noqa: PLC0415 as in digest

    drawn = hashlib.blake2b(node.encode(), digest_size=RINGS * _PLACE_BYTES).digest()
    starts = range(0, RINGS * _PLACE_BYTES, _PLACE_BYTES)
    return tuple((int.from_bytes(drawn[at : at + _PLACE_BYTES]), node) for at in starts)


class Rings:
    """The rings of a mesh as one node knows it.

    Args:
        nodes: Ids of those that are on them.
    """

    def __init__(self, nodes: Iterable[str] = ()) -> None:
        places = [_places(node) for node in nodes]
        self._rings = [sorted(place[ring] for place in places) for ring in range(RINGS)]
        self._is_shared = False

    def __len__(self) -> int:
        return len(self._rings[0])

    def add(self, node: str) -> None:
        """Put a node on the rings; it must not be on them."""
        self._part()
        for ring, place in zip(self._rings, _places(node), strict=True):
            bisect.insort(ring, place)

    def remove(self, node: str) -> None:
        """Take a node off the rings; it must be on them."""
        self._part()
        for ring, place in zip(self._rings, _places(node), strict=True):
            del ring[bisect.bisect_left(ring, place)]

    def copy(self) -> Rings:
        """The same rings, to be changed apart; they are shared until then."""
        other = Rings()
        other._rings = self._rings
        other._is_shared = self._is_shared = True
        return other

    def _part(self) -> None:
        if self._is_shared:
            self._rings = [ring.copy() for ring in self._rings]
            self._is_shared = False

    def neighbours(self, node: str) -> list[str]:
        """The neighbours of a node that is on the rings, sorted by id."""
        count = len(self)
        if count <= NEIGHBOURS + 1:
            return sorted(other for _, other in self._rings[0] if other != node)
        found: set[str] = set()
        for ring, place in zip(self._rings, _places(node), strict=True):
            at = bisect.bisect_left(ring, place)
            found.update((ring[at - 1][1], ring[(at + 1) % count][1]))
        return sorted(found)
