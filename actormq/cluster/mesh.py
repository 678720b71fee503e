"""Who is there: finds peers, lets them in, keeps links to them, and knows when they are gone.

The mesh knows who is there, never what flows: envelopes for actors go on to `post.py`.
Discovery gives hints and `rules/` decide; here are the sockets and the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable

from actormq import message
from actormq.cluster.directory import Directory, state_from
from actormq.cluster.discovery import Announcement
from actormq.cluster.dns import Names
from actormq.cluster.link import Link
from actormq.cluster.listener import Listener
from actormq.cluster.member import Member, Traffic
from actormq.cluster.outbox import Outbox
from actormq.cluster.reach import Reach
from actormq.codec import Codec
from actormq.errors import DeliveryError, RemoteProtocolError
from actormq.events import Events, MemberChanged, PeerRefused
from actormq.loop import Loop
from actormq.message import Envelope, Facts
from actormq.rules.admission import refusal
from actormq.rules.membership import Patience, State, judge, lag_of
from actormq.settings import (
    GUEST_SILENCE,
    HEARTBEAT_INTERVAL,
    TICK_INTERVAL,
    Settings,
)
from actormq.transport import Transport

TOMBSTONES = 4_096  # nodes remembered as dead: hints about them may come for minutes
SESSIONS = 16  # connections of a peer that are remembered: each of its redials begins one
HELD_STATES = 1_000  # announcements kept of a peer whose link is still being dialled

Deliver = Callable[[Member, Envelope], None]
"""Takes an envelope from a member that is not for the mesh itself."""


class Mesh:
    """This node among its peers.

    Args:
        loop: The node's loop.
        transport: Opens sockets.
        codec: Reads and writes envelopes.
        events: Where changes are reported.
        settings: The node's settings.
        facts: What the node says of itself; `listen` adds the endpoints.
        directory: Where what peers have is kept.
        deliver: Takes the envelopes that are for actors.
        watched: Takes those that are about the ends of actors.
        linked: Called with a member to which there is a new link.
        lost: Called with a member that is gone, and why.
        ticked: Called every `TICK_INTERVAL` with the node's time.
        names: Looks names up, those of `join` and `dns`.
    """

    def __init__(
        self,
        loop: Loop,
        transport: Transport,
        codec: Codec,
        events: Events,
        settings: Settings,
        facts: Facts,
        directory: Directory,
        deliver: Deliver,
        watched: Deliver,
        linked: Callable[[Member], None],
        lost: Callable[[Member, str], None],
        ticked: Callable[[float], None],
        names: Names,
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._codec = codec
        self._events = events
        self._settings = settings
        self._directory = directory
        self._deliver = deliver
        self._watched = watched
        self._linked_anew = linked
        self._lost = lost
        self._ticked = ticked
        self._patience = Patience()
        self._listener: Listener | None = None
        self._sessions: dict[bytes, Member] = {}
        self._dead: OrderedDict[str, int] = OrderedDict()
        self._complained: set[str] = set()
        self._past = Traffic()
        self._ping, _ = codec.pack("a peer", [message.PING, 0])
        self._ticked_at = loop.now()
        self._timer: asyncio.TimerHandle | None = None
        self.facts = facts
        self.members: dict[str, Member] = {}
        self.garbage_count = 0
        self.reach = Reach(self, loop, transport, codec, settings.join, settings.dns, names)

    # -- life ---------------------------------------------------------------------------------

    def listen(self) -> None:
        """Open the link socket, so that this node is more than a guest.

        Raises:
            PortInUse: The port that was asked for is taken.
        """
        self._listener = Listener(self._transport, self._codec, self)
        endpoints = self._listener.bind(self._settings, self.facts.node)
        self.facts = dataclasses.replace(self.facts, endpoints=endpoints)

    def start(self) -> None:
        """Begin to dial, to be heard and to judge."""
        self._ticked_at = self._loop.now()
        self._tick()

    def stop(self, reason: str) -> None:
        """Say goodbye to all and close the links."""
        if self._timer is not None:
            self._timer.cancel()
        self.reach.stop()
        for member in self.members.values():
            self._say(member, [message.LEAVE, reason])
            member.outbox.flush()
        for member in self.members.values():
            if member.link is not None:
                member.link.close(linger_ms=200)
        if self._listener is not None:
            self._listener.close()

    # -- links --------------------------------------------------------------------------------

    def hint(self, found: Announcement) -> None:
        """Take a hint of discovery; it may be wrong, old or forged."""
        self.reach.hint(found)

    def endpoints_changed(self, endpoints: tuple[str, ...]) -> None:
        """This host has other addresses now: who says hello from now on is told of them."""
        self.facts = dataclasses.replace(self.facts, endpoints=endpoints)

    def is_dead(self, node: str, incarnation: int) -> bool:
        """Whether that incarnation of a node was declared dead, or has left."""
        return incarnation <= self._dead.get(node, 0)

    def link_up(self, link: Link, facts: Facts) -> None:
        """A node let us in."""
        member = self._meet(facts)
        if member.link is not None:
            link.close()
            return
        member.link = link
        member.evidence.cut_at = None
        member.evidence.heard_at = self._loop.now()
        member.outbox.attach(link.port)
        self._introduce(member)
        self._linked_anew(member)

    def link_down(self, link: Link) -> None:
        """A link has ended: its peer is a suspect until it can be reached again."""
        member = self._linked(link)
        if member is not None:
            member.link = None
            member.outbox.detach()
            member.evidence.cut_at = self._loop.now()
            self._judge(member, self._loop.now())

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """A peer answers us as its guest."""
        member = self._linked(link)
        if member is not None:
            self._take(member, envelopes)

    def _linked(self, link: Link) -> Member | None:
        return next((member for member in self.members.values() if member.link is link), None)

    # -- what the listener says ---------------------------------------------------------------

    def greeted(self, routing_id: bytes, version: int, facts: Facts | None) -> Envelope:
        """Answer a hello."""
        no = refusal(self.facts, version, facts, self._dead)
        if no is not None:
            reason, sentence = no
            who = facts.name if facts is not None else f"a node of protocol version {version}"
            if reason != message.REASON_STALE:
                self.complain(who, f"not let in: {sentence}")
            return [message.REFUSED, reason, sentence]
        assert facts is not None
        if facts.node != self.facts.node:
            member = self._meet(facts)
            self._begin_session(routing_id, member)
            member.evidence.heard_at = self._loop.now()
            if not facts.is_guest:
                if member.link is None:
                    self.reach.redial(member.facts)
                else:
                    self._report(member)
        return message.welcome(self.facts)

    def _begin_session(self, routing_id: bytes, member: Member) -> None:
        self._sessions[routing_id] = member
        member.sessions[routing_id] = None
        if len(member.sessions) > SESSIONS:
            # A ROUTER does not say that a connection has ended, but a peer has one that counts.
            self.end_session(next(iter(member.sessions)))

    def answered(self, routing_id: bytes) -> None:
        """Speak to a guest, now that the welcome stands before all else on its connection."""
        member = self._sessions.get(routing_id)
        if member is not None and member.facts.is_guest:
            assert self._listener is not None
            member.outbox.attach(self._listener.port, routing_id)
            self._introduce(member)

    def heard(self, routing_id: bytes, envelopes: list[Envelope]) -> bool:
        """Take what a session said."""
        member = self._sessions.get(routing_id)
        if member is None:
            if envelopes and envelopes[0][0] != message.HELLO:
                self._past.unread += len(envelopes)
            return False
        self._take(member, envelopes)
        return True

    def end_session(self, routing_id: bytes) -> None:
        """A session that broke the protocol has to say hello again."""
        member = self._sessions.pop(routing_id, None)
        if member is not None:
            member.sessions.pop(routing_id, None)

    def garbage(self, who: str, why: str) -> None:
        """Count and report bytes that are no protocol."""
        self.garbage_count += 1
        self.complain(who, f"what came on the link's port is not the actormq protocol: {why}")

    # -- members ------------------------------------------------------------------------------

    def _meet(self, facts: Facts) -> Member:
        member = self.members.get(facts.node)
        if member is None:
            outbox = Outbox(self._loop, facts.name, self._settings.link_limit)
            # Of two idle nodes the one with the lower id asks, a little before the other would.
            quiet_for = HEARTBEAT_INTERVAL * (1.0 if self.facts.node < facts.node else 1.5)
            member = Member(facts, outbox, self._loop.now(), quiet_for)
            self.members[facts.node] = member
            if not facts.is_guest:
                member.evidence.cut_at = self._loop.now()  # until our own link to it stands
        else:
            # A higher incarnation, perhaps: others have held it for dead, and we have not.
            member.facts = facts
        return member

    def _introduce(self, member: Member) -> None:
        """Tell a member what we have and whom we know, first thing on every connection."""
        for number, part in enumerate(self._directory.of(self.facts.node).packed()):
            self._say(member, [message.STATE, number == 0, *part])
        peers = [
            other.facts.packed()
            for other in self.members.values()
            if other is not member and not other.facts.is_guest
        ]
        self._say(member, [message.PEERS, peers])
        self._report(member)

    def _report(self, member: Member) -> None:
        """A member counts once it can be heard and be spoken to."""
        both_ways = member.facts.is_guest or (
            member.link is not None and (bool(member.sessions) or self.facts.is_guest)
        )
        if both_ways and not member.is_known:
            member.is_known = True
            self._changed(member, State.ALIVE, "said hello")
            if not member.facts.is_guest:
                self._tell_guests(member)
            held, member.held = member.held, []
            for envelope in held:
                self._take_state(member, envelope)

    def _tell_guests(self, newcomer: Member) -> None:
        """Nodes hear of a newcomer from itself; guests, who listen nowhere, from us."""
        for member in self.members.values():
            if member.facts.is_guest:
                self._say(member, [message.PEERS, [newcomer.facts.packed()]])

    def _changed(self, member: Member, state: State, reason: str) -> None:
        member.state, member.reason, member.since = state, reason, self._loop.now()
        if member.is_known and not member.facts.is_guest:
            facts = member.facts
            self._events.emit(MemberChanged(facts.node, facts.name, state.value, reason))

    def _bury(self, member: Member, state: State, reason: str) -> None:
        """A member is gone: nobody waits for it any more."""
        node = member.facts.node
        del self.members[node]
        self._dead[node] = member.facts.incarnation
        self._dead.move_to_end(node)
        if len(self._dead) > TOMBSTONES:
            self._dead.popitem(last=False)
        for routing_id in member.sessions:
            self._sessions.pop(routing_id, None)
        if member.link is not None:
            member.link.close()
            member.link = None
        self.reach.cancel(node)
        member.outbox.close()
        self._past.add(member)
        self._changed(member, state, reason)
        self._lost(member, reason)
        self._directory.forget(node)

    # -- envelopes ----------------------------------------------------------------------------

    def _take(self, member: Member, envelopes: list[Envelope]) -> None:
        member.evidence.heard_at = self._loop.now()
        member.received_count += len(envelopes)
        for envelope in envelopes:
            if member.facts.node not in self.members:
                return  # it has said goodbye
            kind = envelope[0]
            try:
                if message.TELL <= kind <= message.FAIL or kind in (message.SEND, message.PROBE):
                    self._deliver(member, envelope)
                else:
                    self._take_own(member, kind, envelope)
            except RemoteProtocolError as error:
                self.garbage(member.facts.name, str(error))

    def _take_own(self, member: Member, kind: int, envelope: Envelope) -> None:
        """Take an envelope that is for the mesh; kinds of later versions are passed over."""
        if kind == message.PING:
            self._say(member, [message.PONG, *envelope[1:2]])
        elif kind == message.PONG:
            member.round_trip = self._loop.now() - member.pinged_at
        elif kind == message.STATE:
            if not member.facts.is_guest:
                self._take_state(member, envelope)
        elif kind == message.PEERS and len(envelope) > 1 and isinstance(envelope[1], list):
            for raw in envelope[1]:
                self.reach.consider(message.facts_from(raw))
        elif kind in (message.WATCH, message.TERMINATED):
            self._watched(member, envelope)
        elif kind == message.LEAVE and member.facts.node in self.members:
            reason = str(envelope[1])[:200] if len(envelope) > 1 else "it left"
            self._bury(member, State.LEFT, reason)

    def _take_state(self, member: Member, envelope: Envelope) -> None:
        """What a member has can be found once the member itself can be spoken to."""
        if member.is_known:
            self._directory.change(member.facts.node, **state_from(envelope))
        elif len(member.held) < HELD_STATES:
            member.held.append(envelope)

    def _say(self, member: Member, envelope: Envelope) -> None:
        try:
            packed, _ = self._codec.pack(member.facts.name, envelope)
        except DeliveryError:
            return  # an echo of what it pinged with may be too large
        self._put(member, packed)

    @staticmethod
    def _put(member: Member, packed: bytes) -> None:
        with contextlib.suppress(DeliveryError):  # a peer that does not read is told later
            member.outbox.put(packed)

    def broadcast(self, envelope: Envelope) -> None:
        """Say something to every member."""
        for member in self.members.values():
            self._say(member, envelope)

    # -- time ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self._loop.now()
        lag = lag_of(now, self._ticked_at)
        self._ticked_at = now
        self._timer = self._loop.call_later(TICK_INTERVAL, self._tick)
        if lag:
            for member in self.members.values():
                member.evidence.forgive(lag)
        others = [member for member in self.members.values() if not member.is_well(now)]
        for member in others:
            if member.facts.node in self.members:
                self._judge(member, now)
        for member in others:
            if member.is_ping_due(now) and member.facts.node in self.members:
                member.pinged_at = now
                self._put(member, self._ping)
        self.reach.rejoin(now)
        self._ticked(now)

    def _judge(self, member: Member, now: float) -> None:
        if member.facts.is_guest:
            if now - member.evidence.heard_at > GUEST_SILENCE:
                self._bury(member, State.LEFT, "a guest that went silent")
            return
        state, reason = judge(member.evidence, now, self._patience)
        if state is State.DEAD:
            self._bury(member, state, reason)
            return
        if state is not member.state and member.is_known:
            self._changed(member, state, reason)
        if member.link is None:
            self.reach.redial(member.facts)

    # -- words --------------------------------------------------------------------------------

    def complain(self, who: str, sentence: str) -> None:
        """Report a refusal; the same one is reported once, whoever knocks how often."""
        if self._is_news(f"{who} {sentence}"):
            self._events.emit(PeerRefused(who, sentence))

    def remark(self, sentence: str) -> None:
        """Say something to whoever runs the node, once."""
        if self._is_news(sentence):
            self._events.notice(logging.WARNING, sentence)

    def _is_news(self, sentence: str) -> bool:
        if sentence in self._complained or len(self._complained) >= TOMBSTONES:
            return False
        self._complained.add(sentence)
        return True

    def traffic(self) -> Traffic:
        """Count the envelopes of all links, those of members that are gone included."""
        traffic = dataclasses.replace(self._past)
        for member in self.members.values():
            traffic.add(member)
        return traffic

    def peers(self) -> Iterable[Member]:
        """The members that are nodes, not guests."""
        return [m for m in self.members.values() if not m.facts.is_guest and m.is_known]
