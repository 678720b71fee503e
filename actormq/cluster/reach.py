"""Whom to dial, and where: hints, places that somebody named, and what peers tell of peers.

All of it may be wrong: what answers is asked who it is before the mesh hears of it.
Whom to dial first, and how many at a time, is decided in `rules/dialling.py`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from actormq import message
from actormq.cluster.dialer import WIDTH, Attempt
from actormq.cluster.discovery import Announcement
from actormq.cluster.dns import HostNames, Names
from actormq.cluster.interfaces import interfaces
from actormq.cluster.link import Link
from actormq.cluster.member import Member
from actormq.cluster.named import Named
from actormq.codec import Codec
from actormq.loop import Loop
from actormq.message import Envelope, Facts
from actormq.rules.admission import LAN, reachable
from actormq.rules.dialling import DOUBTFUL_WIDTH, Agenda, Trust
from actormq.rules.endpoints import dialable, has_link_local, zones
from actormq.seeds import dns_name_of, place_of
from actormq.transport import Transport

STRANGERS = 4_096  # endpoints of which it is remembered that another node answers there
STRANGER_LIFE = 15.0  # s; the address of a node that lives may come to be its own again
SENTENCES = 256  # reasons why endpoints did not let us in, and hints that are complained about
LONELY = 10.0  # s without a member after which other meshes are told of
MESHES = 8  # other meshes that are named then


class Hub(Protocol):
    """The mesh, as whoever dials for it sees it."""

    facts: Facts
    members: dict[str, Member]

    def is_dead(self, node: str, incarnation: int) -> bool:
        """Whether that incarnation of a node was declared dead, or has left."""

    def is_member(self, node: str) -> bool:
        """Whether a node is in the mesh already."""

    def everybody(self) -> Collection[Facts]:
        """What the other nodes of the mesh say of themselves."""

    def introduction(self) -> Facts:
        """What this node says of itself in a hello."""

    def died(self, incarnation: int) -> None:
        """A peer holds that incarnation of this node for dead: come back as the next one."""

    def link_up(self, link: Link, facts: Facts) -> None:
        """A node of this mesh let us in; it may be held for dead."""

    def link_down(self, link: Link) -> None:
        """A link has ended."""

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """A peer says something on a link of ours."""

    def endpoints_changed(self, endpoints: tuple[str, ...]) -> None:
        """This host has other addresses now: tell everybody under which this node is dialled."""

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
        joins: Places to dial until they answer, and again when they are lost; see `place_of`.
        dns: Names to ask DNS for; see `dns_name_of`.
        names: Looks names up; by default as this host does.

    Attributes:
        refusals: Why an endpoint, or a place that was named, did not let us in.
    """

    def __init__(
        self,
        hub: Hub,
        loop: Loop,
        transport: Transport,
        codec: Codec,
        joins: Iterable[str],
        dns: Iterable[str] = (),
        names: Names | None = None,
    ) -> None:
        self._hub = hub
        self._loop = loop
        self._transport = transport
        self._codec = codec
        self._agenda = Agenda()
        self._attempts: dict[str, Attempt] = {}
        self._strangers: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()
        self._mistaken: dict[str, None] = {}  # hints of other versions that were complained about
        self._other_meshes: dict[str, None] = {}
        self._begun_at = loop.now()
        self._is_stopped = False
        self._named = Named(
            hub,
            self,
            HostNames() if names is None else names,
            {join: place_of(join) for join in joins},
            map(dns_name_of, dns),
            self._note_refusal,
            loop.now,
        )
        self.refusals: dict[str, str] = {}

    @property
    def is_settled(self) -> bool:
        """Whether nobody is being dialled: all who are known are linked, or do not answer."""
        return self._agenda.is_empty

    @property
    def is_joining(self) -> bool:
        """Whether it was told whom to dial, and does so again when they are lost."""
        return bool(self._named)

    # -- whom -------------------------------------------------------------------------------

    def hint(self, found: Announcement) -> None:
        """Take a hint of discovery; it may be wrong, old or forged."""
        if self._hub.is_member(found.node_id):
            return  # as of most, again and again
        own = self._hub.facts
        if found.node_id == own.node or not self._concerns(found.mesh, found.scope):
            return
        if found.protocol != message.PROTOCOL:
            self._complain_of(found)
            return
        self._dial(found.node_id, self._dialable(found.endpoints, near=None), Trust.HINTED)

    def _concerns(self, mesh: str, scope: str) -> bool:
        own = self._hub.facts
        is_reachable = (scope == LAN and own.is_guest) or reachable(own.scope, scope)
        if own.mesh and mesh != own.mesh:
            if is_reachable and len(self._other_meshes) < MESHES:
                self._other_meshes[mesh] = None
            return False
        return is_reachable

    def _complain_of(self, found: Announcement) -> None:
        """Say that a node speaks another version, of no more nodes than anybody would read of."""
        if found.node_id in self._mistaken or len(self._mistaken) >= SENTENCES:
            return
        self._mistaken[found.node_id] = None
        if len(self._mistaken) == SENTENCES:
            self._hub.remark(f"{SENTENCES} nodes speak other versions: no more are told of")
            return
        self._hub.complain(
            found.name,
            f"it speaks version {found.protocol} of the actormq protocol, this node speaks "
            f"{message.PROTOCOL}: run the same version of actormq on both",
        )

    def redial(self, facts: Facts) -> None:
        """Reach a member to which there is no link (any more)."""
        self._reach(facts, Trust.SURE)

    def retry(self, facts: Facts) -> None:
        """Reach a node that is held for dead: it may only have been cut off."""
        self._reach(facts, Trust.TOLD)

    def _reach(self, facts: Facts, trust: Trust) -> None:
        own = self._hub.facts
        if facts.mesh == own.mesh and not facts.is_guest and facts.node != own.node:
            near = facts.host == own.host
            self._dial(facts.node, self._dialable(facts.endpoints, near), trust)

    def rejoin(self, now: float) -> None:
        """Dial the places that somebody named and that are no members, and others in their turn."""
        self._named.tick(now)
        self._go_on()
        if self._other_meshes and now - self._begun_at >= LONELY:
            self._tell_of_other_meshes()

    def _tell_of_other_meshes(self) -> None:
        """Say once whom else there is, to a node that has found nobody."""
        self._begun_at = math.inf
        if not self._hub.everybody():
            others = ", ".join(sorted(self._other_meshes))
            self._hub.remark(
                f"no other node of mesh {self._hub.facts.mesh!r} was found, but there are nodes of "
                f"{others}: --mesh says to which one a node belongs"
            )

    def dial_named(self, key: str, endpoints: Iterable[str]) -> None:
        """Dial a place that somebody named, unless it is being dialled."""
        self._dial(key, list(endpoints), Trust.SURE)

    def _dialable(self, endpoints: Sequence[str], near: bool | None) -> list[str]:
        behind = zones(interfaces()) if has_link_local(endpoints) else ()
        return dialable(endpoints, near, behind)

    def _dial(self, key: str, endpoints: Sequence[str], trust: Trust) -> None:
        member = self._hub.members.get(key)
        if self._is_stopped or (member is not None and member.link is not None):
            return
        # One that is held for dead is dialled as well: after a cut it may hold us for dead, too,
        # and then neither would hear the other say hello.
        endpoints = [e for e in endpoints if not self._is_strangers(key, e)]
        if not endpoints:
            return
        if not self._agenda.want(key, endpoints, trust, self._loop.now()):
            self._attempts[key].extend(endpoints)
        self._go_on()

    def _is_strangers(self, key: str, endpoint: str) -> bool:
        """Whether another node than the one that is meant answers there, as far as is known."""
        stranger, at = self._strangers.get((key, endpoint), ("", 0.0))
        if not stranger:
            return False
        # A hint outlives its node by minutes, and whoever has its place would be dialled all along.
        return self._hub.is_dead(key, 1) or self._loop.now() - at < STRANGER_LIFE

    def _go_on(self) -> None:
        """Begin with those whose turn it is."""
        now = self._loop.now()
        for key in self._agenda.overdue(now):
            self._attempts.pop(key).cancel()
            self._agenda.ended(key, False, now)  # noqa: FBT003 it has not answered
        while not self._is_stopped and (wish := self._agenda.next(now)) is not None:
            self._attempts[wish.key] = Attempt(
                wish.key,
                wish.endpoints,
                self._open,
                self._loop.call_later,
                self,
                DOUBTFUL_WIDTH if wish.trust >= Trust.HINTED else WIDTH,
            )

    def _open(self, endpoint: str, owner: Attempt) -> Link:
        facts = self._hub.introduction()
        return Link(self._loop, self._transport, self._codec, facts, endpoint, owner)

    def cancel(self, key: str) -> None:
        """Dial it no more."""
        self._agenda.drop(key)
        attempt = self._attempts.pop(key, None)
        if attempt is not None:
            attempt.cancel()
            self._go_on()

    def stop(self) -> None:
        """Dial nobody any more."""
        self._is_stopped = True
        self._named.stop()
        for key in list(self._attempts):
            self.cancel(key)

    # -- what attempts and links say ----------------------------------------------------------

    def objection(self, attempt: Attempt, endpoint: str, facts: Facts) -> str:
        """Say why who answers is no node of ours, or not the one that was to be dialled."""
        hub, is_named = self._hub, attempt.key in self._named
        if is_named:
            self._named.answered(attempt.key, facts.node)
        if not hub.facts.mesh:
            hub.facts = msgspec.structs.replace(hub.facts, mesh=facts.mesh)
        if facts.mesh != hub.facts.mesh:
            hub.complain(facts.name, f"it belongs to mesh {facts.mesh!r}")
            return f"it belongs to mesh {facts.mesh!r}"
        if not is_named and facts.node != attempt.key:
            self._note_stranger(attempt.key, endpoint, facts.node)
            return "another node answers there"
        if facts.node == hub.facts.node:
            return "it is this node itself"
        return ""

    def _note_stranger(self, key: str, endpoint: str, node: str) -> None:
        self._strangers[key, endpoint] = (node, self._loop.now())
        self._strangers.move_to_end((key, endpoint))
        if len(self._strangers) > STRANGERS:
            self._strangers.popitem(last=False)

    def dialled(self, attempt: Attempt, link: Link, facts: Facts) -> None:
        """A node let us in: it is a member."""
        self._ended(attempt, has_answered=True)
        self._hub.link_up(link, facts)

    def refused_by(self, attempt: Attempt, link: Link, reason: str, sentence: str) -> None:
        """A node did not let us in."""
        endpoint = link.endpoint
        self._note_refusal(endpoint, sentence)
        if reason == message.REASON_STALE:
            # It holds us for dead: come back as somebody new, for the dead do not return.
            self._hub.died(link.incarnation)
            self._loop.call_soon(self._dial, attempt.key, [endpoint], Trust.SURE)
        else:
            self._hub.complain(endpoint, sentence)

    def gave_up(self, attempt: Attempt, why: str) -> None:
        """Nobody let us in there; hints, joins and suspicion dial again."""
        self._ended(attempt, has_answered=False)
        if attempt.key in self._named:
            self._named.failed(attempt.key, why)

    def _ended(self, attempt: Attempt, *, has_answered: bool) -> None:
        self._attempts.pop(attempt.key, None)
        self._agenda.ended(attempt.key, has_answered, self._loop.now())
        self._go_on()

    def _note_refusal(self, where: str, sentence: str) -> None:
        if len(self.refusals) < SENTENCES and not any(
            known in sentence for place, known in self.refusals.items() if place != where
        ):
            self.refusals[where] = sentence

    def link_broken(self, link: Link, _why: str) -> None:
        """A link has ended."""
        self._hub.link_down(link)

    def link_refused(self, link: Link, _reason: str, _sentence: str) -> None:
        """The peer does not know our session (any more): begin anew."""
        self._hub.link_down(link)

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """A peer answers us as its guest."""
        self._hub.link_heard(link, envelopes)
