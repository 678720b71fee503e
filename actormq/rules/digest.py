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
    import hashlib  # noqa: PLC0415 OpenSSL costs 1 ms that a program without a node need not pay

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
        self._known: list[dict[str, Known]] = [{} for _ in range(BUCKETS)]
        self._shared: set[int] = set()
        self._count = 0

    def copy(self) -> Digest:
        """The same digest, to be changed apart; what is known is shared until then."""
        other = Digest()
        other.root, other.buckets = self.root, self.buckets.copy()
        other._known, other._count = self._known.copy(), self._count
        self._shared, other._shared = set(range(BUCKETS)), set(range(BUCKETS))
        return other

    def _own(self, node: str) -> dict[str, Known]:
        """What is known of the nodes of a node's bucket, to be changed."""
        bucket = bucket_of(node)
        if bucket in self._shared:
            self._shared.discard(bucket)
            self._known[bucket] = self._known[bucket].copy()
        return self._known[bucket]

    def put(self, node: str, known: Known) -> None:
        """Take in what is known of a node now."""
        before = self._known[bucket_of(node)].get(node)
        if before == known:
            return
        if before is not None:
            self._add(node, before)
        else:
            self._count += 1
        self._own(node)[node] = known
        self._add(node, known)

    def drop(self, node: str) -> None:
        """Leave a node out; one that is not in does no harm."""
        before = self._known[bucket_of(node)].get(node)
        if before is not None:
            del self._own(node)[node]
            self._count -= 1
            self._add(node, before)

    def known(self, node: str) -> Known:
        """What is known of a node; zeros of one that is not in."""
        return self._known[bucket_of(node)].get(node, (0, 0, 0))

    def entries(self, buckets: Sequence[int] | None = None) -> list[tuple[str, Known]]:
        """What is known of the nodes of some buckets, or of all."""
        wanted = range(BUCKETS) if buckets is None else sorted(set(buckets))
        return [p for n in wanted if 0 <= n < BUCKETS for p in self._known[n].items()]

    def __len__(self) -> int:
        return self._count

    def differing(self, buckets: Sequence[int]) -> list[int]:
        """The buckets in which another node's sums differ from ours."""
        return [
            n for n, (own, its) in enumerate(zip(self.buckets, buckets, strict=True)) if own != its
        ]

    def _add(self, node: str, known: Known) -> None:
        mark = fingerprint(node, known)
        self.root ^= mark
        self.buckets[bucket_of(node)] ^= mark
