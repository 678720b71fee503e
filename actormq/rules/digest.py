"""Whether two nodes know the same, from a few bytes; and if not, where to look.

What a node knows of another is its incarnation, its edition and the version of what it has. The
hash of that is its fingerprint, and those of all nodes, added up by exclusive or, are the root.
Two nodes with equal roots know the same. With others they compare `BUCKETS` such sums over a part
of the nodes each, and then the nodes of the parts that differ.

Source: anti-entropy as in Demers et al., "Epidemic algorithms for replicated database maintenance"
(1987), which compares checksums first.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

BUCKETS = 64

Known = tuple[int, int, int]
"""Incarnation, edition and version."""


def bucket_of(node: str) -> int:
    """The bucket of a node, by its id: 16 hex digits that were drawn at random."""
    return int(node[-2:], 16) % BUCKETS


@functools.lru_cache(maxsize=65_536)
def fingerprint(node: str, known: Known) -> int:
    """What is known of a node, in 64 bits."""
    text = " ".join((node, *map(str, known)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class Digest:
    """The sums over all that one node knows, kept up to date.

    Attributes:
        root: That over all nodes.
        buckets: Those over the nodes of each bucket.
    """

    def __init__(self) -> None:
        self.root = 0
        self.buckets = [0] * BUCKETS
        self._known: dict[str, Known] = {}
        self._is_shared = False

    def copy(self) -> Digest:
        """The same digest, to be changed apart; what is known is shared until then."""
        other = Digest()
        other.root, other.buckets = self.root, self.buckets.copy()
        other._known = self._known
        other._is_shared = self._is_shared = True
        return other

    def _part(self) -> None:
        if self._is_shared:
            self._known = self._known.copy()
            self._is_shared = False

    def put(self, node: str, known: Known) -> None:
        """Take in what is known of a node now."""
        before = self._known.get(node)
        if before == known:
            return
        self._part()
        if before is not None:
            self._add(node, before)
        self._known[node] = known
        self._add(node, known)

    def drop(self, node: str) -> None:
        """Leave a node out; one that is not in does no harm."""
        before = self._known.get(node)
        if before is not None:
            self._part()
            del self._known[node]
            self._add(node, before)

    def known(self, node: str) -> Known:
        """What is known of a node; zeros of one that is not in."""
        return self._known.get(node, (0, 0, 0))

    def entries(self, buckets: Sequence[int] | None = None) -> list[tuple[str, Known]]:
        """What is known of the nodes of some buckets, or of all."""
        if buckets is None:
            return list(self._known.items())
        wanted = set(buckets)
        return [pair for pair in self._known.items() if bucket_of(pair[0]) in wanted]

    def __len__(self) -> int:
        return len(self._known)

    def differing(self, buckets: Sequence[int]) -> list[int]:
        """The buckets in which another node's sums differ from ours."""
        return [
            n for n, (own, its) in enumerate(zip(self.buckets, buckets, strict=True)) if own != its
        ]

    def _add(self, node: str, known: Known) -> None:
        mark = fingerprint(node, known)
        self.root ^= mark
        self.buckets[bucket_of(node)] ^= mark
