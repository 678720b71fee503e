"""Who is told of whose end, on this node and on others.

A watch on an actor of another node is one WATCH for all who watch it here, and one TERMINATED back.
Both may be lost with a connection, so every watch is said again on each new link to its node; an
actor that has gone meanwhile is answered at once.
"""

from __future__ import annotations

from typing import Any

from actormq import message
from actormq.cell import Cell
from actormq.cluster.member import Member
from actormq.cluster.post import Post
from actormq.errors import DeliveryError, RemoteProtocolError
from actormq.message import Envelope
from actormq.ref import Ref
from actormq.registry import Registry
from actormq.signals import FAILED, NODE_LOST, STOPPED, Reason, Terminated

DETAIL_LIMIT = 1_000  # characters of the words that go with an end

_REASONS: dict[str, Reason] = {reason: reason for reason in (STOPPED, FAILED, NODE_LOST)}


class Watches:
    """The watches of the actors of one node, and those of others on them.

    Args:
        node_id: This node.
        registry: Its actors.
        post: Sends to other nodes.
    """

    def __init__(self, node_id: str, registry: Registry, post: Post) -> None:
        self._node_id = node_id
        self._registry = registry
        self._post = post
        # Of actors of other nodes, by node and serial: the cells that watch, and their refs.
        self._far: dict[str, dict[int, dict[Cell, Ref[Any]]]] = {}
        self._watched: dict[Cell, dict[tuple[str, int], None]] = {}  # what each cell watches

    # -- our actors watch ---------------------------------------------------------------------

    def watch(self, watcher: Cell, ref: Ref[Any]) -> None:
        """Tell `watcher` of the end of an actor."""
        node, serial = ref.address.node, ref.address.serial
        watched = self._watched.setdefault(watcher, {})
        if (node, serial) in watched:
            return
        watched[node, serial] = None
        if node != self._node_id:
            self._watch_far(watcher, ref)
            return
        cell = self._registry.by_serial(serial)
        if cell is None:
            self._tell(watcher, ref, STOPPED, "it had ended before")
        else:
            cell.add_watcher(
                watcher, lambda reason, detail: self._tell(watcher, ref, reason, detail)
            )

    def _watch_far(self, watcher: Cell, ref: Ref[Any]) -> None:
        node, serial = ref.address.node, ref.address.serial
        watchers = self._far.setdefault(node, {}).setdefault(serial, {})
        watchers[watcher] = ref
        if self._post.member(node) is None:
            self._ended(node, serial, NODE_LOST, "its node is not in the mesh (any more)")
        elif len(watchers) == 1:
            self._say(node, [message.WATCH, serial, True])

    def unwatch(self, watcher: Cell, ref: Ref[Any]) -> None:
        """Tell it no more."""
        self._end(watcher, ref.address.node, ref.address.serial)

    def forget(self, watcher: Cell) -> None:
        """It has ended itself and watches nobody any more."""
        if watcher in self._watched:
            for node, serial in list(self._watched[watcher]):
                self._end(watcher, node, serial)

    def _end(self, watcher: Cell, node: str, serial: int) -> None:
        watched = self._watched.get(watcher, {})
        watched.pop((node, serial), None)
        if not watched:
            self._watched.pop(watcher, None)
        if node == self._node_id:
            cell = self._registry.by_serial(serial)
            if cell is not None:
                cell.remove_watcher(watcher)
            return
        watchers = self._far.get(node, {}).get(serial, {})
        if watchers.pop(watcher, None) is not None and not watchers:
            del self._far[node][serial]
            self._say(node, [message.WATCH, serial, False])

    def _tell(self, watcher: Cell, ref: Ref[Any], reason: Reason, detail: str) -> None:
        watched = self._watched.get(watcher, {})
        if watched.pop((ref.address.node, ref.address.serial), 0) is None:
            watcher.terminated(Terminated(ref, reason, detail))
        if not watched:
            self._watched.pop(watcher, None)

    def _ended(self, node: str, serial: int, reason: Reason, detail: str) -> None:
        for watcher, ref in self._far.get(node, {}).pop(serial, {}).items():
            self._tell(watcher, ref, reason, detail)

    # -- what other nodes say -----------------------------------------------------------------

    def take(self, member: Member, envelope: Envelope) -> None:
        """Take a WATCH or TERMINATED.

        Raises:
            RemoteProtocolError: It has another shape.
        """
        match envelope:
            case [message.WATCH, int(serial), bool(is_wanted), *_]:
                self._watched_by(member, serial, is_wanted)
            case [message.TERMINATED, int(serial), str(reason), str(detail), *_]:
                known = _REASONS.get(reason, STOPPED)
                self._ended(member.facts.node, serial, known, detail[:DETAIL_LIMIT])
            case _:
                raise RemoteProtocolError(f"an envelope of kind {envelope[0]} has another shape")

    def _watched_by(self, member: Member, serial: int, is_wanted: bool) -> None:
        node = member.facts.node
        cell = self._registry.by_serial(serial)
        if cell is None:
            if is_wanted:
                self._say(node, [message.TERMINATED, serial, STOPPED, "it had ended before"])
        elif is_wanted:
            cell.add_watcher(
                node,
                lambda reason, detail: self._say(
                    node, [message.TERMINATED, serial, reason, detail[:DETAIL_LIMIT]]
                ),
            )
        else:
            cell.remove_watcher(node)

    def linked(self, member: Member) -> None:
        """There is a new link to a node: what was said on the last one may not have arrived."""
        for serial in self._far.get(member.facts.node, {}):
            self._say(member.facts.node, [message.WATCH, serial, True])

    def lost(self, member: Member, reason: str) -> None:
        """A node is gone, and all its actors with it."""
        node = member.facts.node
        for serial in list(self._far.get(node, {})):
            self._ended(node, serial, NODE_LOST, reason)
        self._far.pop(node, None)

    def _say(self, node: str, envelope: Envelope) -> None:
        try:
            self._post.say(node, envelope)
        except DeliveryError:
            # The node is gone, or its link is full: then it will be lost, or linked anew.
            return
