"""What is under way between the nodes of this process: sent by one, not yet taken by the other."""

from __future__ import annotations

import asyncio
import time

from actormq.node import Node, started_nodes

LOST_AFTER = 1.0  # s of real time; what has not come by then went down with its connection
DEAF_FOR = 0.01  # s of real time, for one that has not taken what came before either


class Flight:
    """Counts the envelopes between nodes of one loop.

    A broken connection takes along what was on it: that is written off after `LOST_AFTER`.
    """

    def __init__(self) -> None:
        self._written_off: dict[tuple[str, str], int] = {}
        self._deaf: set[tuple[str, str]] = set()
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}

    def count(self, loop: asyncio.AbstractEventLoop) -> int:
        """How many envelopes have been sent, and will be taken in a moment."""
        nodes = {node.id: node for node in started_nodes() if _is_on(node, loop)}
        if len(nodes) < 2:  # noqa: PLR2004 one node has nobody to talk to
            return 0
        return sum(
            self._left(nodes, sender, receiver)
            for sender in nodes
            for receiver in nodes
            if sender != receiver
        )

    def has_nobody_to_meet(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Say whether every node is alone, and looks for nobody."""
        views = [node.mesh_view for node in started_nodes() if _is_on(node, loop)]
        return not any(
            view.members
            or view.membership.entries
            or view.reach.is_joining
            or not view.reach.is_settled
            for view in views
        )

    def is_dialling(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Say whether a node tries to reach another one, which nobody counts."""
        nodes = [node for node in started_nodes() if _is_on(node, loop)]
        return not all(node.mesh_view.reach.is_settled for node in nodes)

    def _left(self, nodes: dict[str, Node], sender: str, receiver: str) -> int:
        there = nodes[sender].mesh_view.members.get(receiver)
        here = nodes[receiver].mesh_view.members.get(sender)
        if there is None or here is None:
            return 0
        pair = (sender, receiver)
        left = there.outbox.sent_count - here.received_count - self._written_off.get(pair, 0)
        before, since = self._seen.get(pair, (0, 0.0))
        if left != before:
            self._seen[pair] = (left, time.monotonic())
            if not left:
                self._deaf.discard(pair)
        elif left and time.monotonic() - since > (DEAF_FOR if pair in self._deaf else LOST_AFTER):
            self._written_off[pair] = self._written_off.get(pair, 0) + left
            self._seen[pair] = (0, 0.0)
            self._deaf.add(pair)
            return 0
        return abs(left)


def _is_on(node: Node, loop: asyncio.AbstractEventLoop) -> bool:
    runtime = node._runtime  # noqa: SLF001 the kit may look inside
    return node.is_running and runtime is not None and runtime.loop.aio is loop
