"""Whom to dial, and where: hints, names on the command line, and what peers tell of peers.

All of it may be wrong: what answers is asked who it is before the mesh hears of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Protocol

from actormq import message
from actormq.cluster.dialer import Attempt
from actormq.cluster.discovery import Announcement
from actormq.cluster.link import Link
from actormq.cluster.member import Member
from actormq.codec import Codec
from actormq.loop import Loop
from actormq.message import Envelope, Facts
from actormq.rules.admission import LAN, reachable
from actormq.rules.endpoints import dialable
from actormq.transport import Transport

REPLACED = 4_096  # node ids of which it is remembered that another node has their endpoint
JOIN_RETRY = 1.0  # s between tries to reach a node that was named with --join


class Hub(Protocol):
    """The mesh, as whoever dials for it sees it."""

    facts: Facts
    members: dict[str, Member]

    def is_dead(self, node: str, incarnation: int) -> bool:
        """Whether that incarnation of a node was declared dead, or has left."""

    def is_member(self, node: str) -> bool:
        """Whether a node is in the mesh already."""

    def introduction(self) -> Facts:
        """What this node says of itself in a hello."""

    def died(self) -> None:
        """A peer holds us for dead."""

    def link_up(self, link: Link, facts: Facts) -> None:
        """A node of this mesh let us in."""

    def link_down(self, link: Link) -> None:
        """A link has ended."""

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """A peer says something on a link of ours."""

    def complain(self, who: str, sentence: str) -> None:
        """Report a refusal, once."""

    def remark(self, sentence: str) -> None:
        """Say something to whoever runs the node, once."""


class Reach:
    """Dials for a mesh.

    Args:
        hub: The mesh.
        loop: The node's loop.
        transport: Opens sockets.
        codec: Reads and writes envelopes.
        joins: `HOST:PORT` of nodes to dial until they answer, and again when they are lost.

    Attributes:
        refusals: Why an endpoint, or a `HOST:PORT`, did not let us in.
    """

    def __init__(
        self, hub: Hub, loop: Loop, transport: Transport, codec: Codec, joins: Iterable[str]
    ) -> None:
        self._hub = hub
        self._loop = loop
        self._transport = transport
        self._codec = codec
        self._attempts: dict[str, Attempt] = {}
        self._joins: dict[str, float] = dict.fromkeys(joins, 0.0)  # to when it was tried
        self._joined: dict[str, str] = {}  # HOST:PORT to node id
        self._replaced: dict[str, None] = {}  # node ids at whose endpoints another node answered
        self.refusals: dict[str, str] = {}

    @property
    def is_settled(self) -> bool:
        """Whether nobody is being dialled: all who are known are linked, or do not answer."""
        return not self._attempts

    @property
    def is_joining(self) -> bool:
        """Whether it was told with --join whom to dial, and does so again when they are lost."""
        return bool(self._joins)

    # -- whom -------------------------------------------------------------------------------

    def hint(self, found: Announcement) -> None:
        """Take a hint of discovery; it may be wrong, old or forged."""
        if self._hub.is_member(found.node_id):
            return  # as of most, again and again
        own = self._hub.facts
        if found.node_id == own.node or not self._concerns(found.mesh, found.scope):
            return
        if found.protocol != message.PROTOCOL:
            self._hub.complain(
                found.name,
                f"it speaks version {found.protocol} of the actormq protocol, this node speaks "
                f"{message.PROTOCOL}: run the same version of actormq on both",
            )
            return
        self._dial(found.node_id, dialable(found.endpoints, near=None))

    def _concerns(self, mesh: str, scope: str) -> bool:
        own = self._hub.facts
        if own.mesh and mesh != own.mesh:
            return False
        is_open = scope == LAN and own.is_guest
        return is_open or reachable(own.scope, scope)

    def redial(self, facts: Facts) -> None:
        """Reach a node to which we have no link, or none any more."""
        self._dial(facts.node, dialable(facts.endpoints, facts.host == self._hub.facts.host))

    def rejoin(self, now: float) -> None:
        """Dial those named with --join that are not members, each once in `JOIN_RETRY`."""
        for place, tried_at in list(self._joins.items()):
            node = self._joined.get(place)
            is_there = node == self._hub.facts.node or (node and self._hub.is_member(node))
            if not is_there and now - tried_at >= JOIN_RETRY:
                self._joins[place] = now
                self._dial(place, [f"tcp://{place.removeprefix('tcp://')}"])

    def _dial(self, key: str, endpoints: Sequence[str]) -> None:
        member = self._hub.members.get(key)
        if key in self._attempts or (member is not None and member.link is not None):
            return
        # One that is held for dead is dialled as well: after a cut it may hold us for dead, too,
        # and then neither would hear the other say hello. Not where another one has its place by
        # now, for which it is hinted at a while longer.
        if member is None and key in self._replaced and self._hub.is_dead(key, 1):
            return
        self._attempts[key] = Attempt(key, endpoints, self._open, self._loop.call_later, self)

    def _open(self, endpoint: str, owner: Attempt) -> Link:
        return Link(
            self._loop, self._transport, self._codec, self._hub.introduction(), endpoint, owner
        )

    def cancel(self, key: str) -> None:
        """Dial it no more."""
        attempt = self._attempts.pop(key, None)
        if attempt is not None:
            attempt.cancel()

    def stop(self) -> None:
        """Dial nobody any more."""
        for key in list(self._attempts):
            self.cancel(key)

    # -- what attempts and links say ----------------------------------------------------------

    def dialled(self, attempt: Attempt, link: Link, facts: Facts) -> None:
        """A node let us in: take it for a member if it is who we meant."""
        self._attempts.pop(attempt.key, None)
        hub, is_named = self._hub, attempt.key in self._joins
        if is_named:
            self._joined[attempt.key] = facts.node
        if not hub.facts.mesh:
            hub.facts = dataclasses.replace(hub.facts, mesh=facts.mesh)
        if facts.mesh != hub.facts.mesh:
            hub.complain(facts.name, f"it belongs to mesh {facts.mesh!r}")
        elif (
            facts.node != hub.facts.node
            and (is_named or facts.node == attempt.key)  # or another one has the endpoint by now
        ):
            hub.link_up(link, facts)
            return
        elif facts.node != attempt.key and not is_named:
            self._replaced[attempt.key] = None
            if len(self._replaced) > REPLACED:
                del self._replaced[next(iter(self._replaced))]
        link.close()

    def refused_by(self, attempt: Attempt, endpoint: str, reason: str, sentence: str) -> None:
        """A node did not let us in."""
        self.refusals[endpoint] = sentence
        if reason == message.REASON_STALE:
            # It holds us for dead: come back as somebody new, for the dead do not return.
            self._hub.died()
            self._loop.call_soon(self._again, attempt)
        else:
            self._hub.complain(endpoint, sentence)

    def _again(self, attempt: Attempt) -> None:
        if attempt.key not in self._attempts:
            self._dial(attempt.key, attempt.endpoints)

    def gave_up(self, attempt: Attempt, why: str) -> None:
        """Nobody let us in there; hints, joins and suspicion dial again."""
        self._attempts.pop(attempt.key, None)
        if attempt.key in self._joins:
            self.refusals.setdefault(attempt.key, why)
            self._hub.remark(f"cannot join {attempt.key}: {why}; trying on")

    def link_broken(self, link: Link, _why: str) -> None:
        """A link has ended."""
        self._hub.link_down(link)

    def link_refused(self, link: Link, _reason: str, _sentence: str) -> None:
        """The peer does not know our session (any more): begin anew."""
        self._hub.link_down(link)

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """A peer answers us as its guest."""
        self._hub.link_heard(link, envelopes)
