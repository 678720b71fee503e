"""Circles: actors that await each other, supervisors that contain each other.

A graph that had no circle can only get one through the edge that is added last, so it is enough to
ask for a circle through one end of that edge. The search is breadth first: it finds a shortest
one, the easiest to read in a sentence, and needs no stack however long the chain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

K = TypeVar("K")  # hashable; mypy holds that no class object is one

NODES_LIMIT = 10_000  # nodes looked at: some 5 ms; a longer chain is no deadlock one could read


def circle_through(
    edges: Callable[[K], Iterable[K]], start: K, limit: int = NODES_LIMIT
) -> list[K] | None:
    """Find a shortest circle that leads back to where it starts.

    Args:
        edges: Says where one can go from a node.
        start: The node.
        limit: How many nodes are looked at before the search ends without a result.

    Returns:
        The nodes of the circle in its order, `start` first and once; None if there is none.
    """
    came_from: dict[K, K] = {}
    queue = deque([start])
    for _ in range(limit):
        if not queue:
            break
        node = queue.popleft()
        for other in edges(node):
            if other == start:
                return _path(came_from, start, node)
            if other not in came_from:
                came_from[other] = node
                queue.append(other)
    return None


def _path(came_from: dict[K, K], start: K, end: K) -> list[K]:
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


def drawn(names: Sequence[str]) -> str:
    """Draw a circle: `a -> b -> a`.

    Args:
        names: Its nodes in order, the first one once; at least one.
    """
    return " -> ".join([*names, names[0]])


Ask = tuple[str, int]
"""An ask that went to another node, or could have: the asker's node, and the ask's number there."""


class Trail(msgspec.Struct, frozen=True):
    """What a probe has learned on its way along who awaits whom.

    Every circle has an ask that waits in a mailbox, and the node on which it waits can reject it.
    So a probe looks for the least of those that it passes: whichever handler of a circle it was
    sent by, it ends up looking for the same one, and comes back to it within two rounds.

    Attributes:
        origin: The ask that it looks for; None as long as it has met none that waits.
        steps: The handlers that it has passed, from the one that this ask waits behind.
    """

    origin: Ask | None = None
    steps: tuple[str, ...] = ()

    def past(self, step: str) -> Trail:
        """Go on to a handler that works on the ask, or behind which the ask waits."""
        return self if self.origin is None else Trail(self.origin, (*self.steps, step))

    def past_waiting(self, ask: Ask, behind: str, step: str) -> Trail:
        """Go on to the handler behind which an ask waits that may be rejected.

        Args:
            ask: The ask; it is not the origin, or the circle would be closed.
            behind: The handler.
            step: What to call this step.
        """
        if self.origin is None or ask < self.origin:
            return Trail(ask, (behind,))
        return self.past(step)
