"""Who is there: finds peers, lets them in, keeps links to them, and knows when they are gone.

The mesh knows who is there, never what flows: envelopes for actors go on to `post.py`.
Discovery gives hints and `rules/membership.py` decides; here are the sockets and the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from actormq import message
from actormq.cluster.acquaintances import Acquaintances
from actormq.cluster.directory import Directory
from actormq.cluster.discovery import Announcement
from actormq.cluster.dns import Names
from actormq.cluster.gossip import Gossip
from actormq.cluster.link import Link
from actormq.cluster.listener import Listener
from actormq.cluster.member import Member, Traffic
from actormq.cluster.outbox import Outbox
from actormq.cluster.pulse import Pulse
from actormq.cluster.reach import Reach
from actormq.cluster.remarks import Namesakes, Remarks
from actormq.cluster.sessions import Sessions, refused
from actormq.cluster.sorter import Deliver, Sorter
from actormq.cluster.views import infos
from actormq.codec import Codec
from actormq.errors import DeliveryError
from actormq.events import Events, LinkLost, MemberChanged
from actormq.loop import Loop
from actormq.members import MemberInfo
from actormq.message import Envelope, Facts
from actormq.rules.membership import Entry, Membership
from actormq.rules.records import State
from actormq.rules.steps import Change
from actormq.settings import Settings
from actormq.transport import Transport

RISE_AGAIN = 1.0  # s between two incarnations, for a peer that refuses each of them
GOODBYE_MS = 200  # a node that stops, or tells a peer that it is held for dead


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
        chance: Draws a number evenly from 0 (within) to 1 (without).
        deliver: Takes the envelopes that are for actors.
        watched: Takes those that are about the ends of actors.
        linked: Called with a member to which there is a new link.
        lost: Called with a member that is gone, and why.
        ticked: Called every `TICK_INTERVAL` with the node's time.
        names: Looks names up, those of `join` and `dns`.

    Attributes:
        membership: Who is there, and what is believed of each.
        members: Those with whom this node has spoken, guests included, by id.
        gossip: What nodes tell each other of the mesh.
        reach: Dials.
        garbage_count: Messages that were no protocol.
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
        chance: Callable[[], float],
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
        self._linked_anew = linked
        self._lost = lost
        self._ticked = ticked
        self._listener: Listener | None = None
        self._sessions = Sessions()
        self._met = Acquaintances(loop, codec, settings.link_limit)
        self._remarks = Remarks(events)
        self._namesakes = Namesakes(facts, self._remarks)
        self._by_link: dict[Link, Member] = {}
        self._risen_at = -RISE_AGAIN
        self.membership = Membership(facts, loop.now(), chance)
        self.members = self._met.members
        self.garbage_count = 0
        self.gossip = Gossip(self, directory)
        self.pulse = Pulse(self, loop, self._beat)
        self._sorter = Sorter(self, deliver, watched)
        self.reach = Reach(self, loop, transport, codec, settings.join, settings.dns, names)

    # -- life ---------------------------------------------------------------------------------

    def listen(self) -> None:
        """Open the link socket, so that this node is more than a guest.

        Raises:
            PortInUse: The port that was asked for is taken.
        """
        self._listener = Listener(self._transport, self._codec, self)
        endpoints = self._listener.bind(self._settings, self.facts.node)
        self.facts = msgspec.structs.replace(self.facts, endpoints=endpoints)

    def start(self) -> None:
        """Begin to dial, to be heard and to judge."""
        self.pulse.start()

    def stop(self, reason: str) -> None:
        """Say goodbye to all and close the links."""
        self.pulse.stop()
        self.reach.stop()
        self.say(self.members.values(), [message.LEAVE, reason])
        for member in self.members.values():
            member.outbox.flush()
        for member in self.members.values():
            member.unshare_memory()
            if member.link is not None:
                member.link.close(linger_ms=GOODBYE_MS)
        if self._listener is not None:
            self._listener.close()

    # -- this node ----------------------------------------------------------------------------

    @property
    def facts(self) -> Facts:
        """What this node says of itself."""
        return self.membership.own

    @facts.setter
    def facts(self, facts: Facts) -> None:
        self.membership.own = facts
        self.gossip.note(facts.node)

    def introduction(self) -> Facts:
        """What this node says of itself in a hello."""
        return msgspec.structs.replace(self.facts, uptime=self.pulse.uptime)

    def endpoints_changed(self, endpoints: tuple[str, ...]) -> None:
        """This node can be dialled elsewhere from now on."""
        if endpoints != self.facts.endpoints:
            self.membership.renew(endpoints=endpoints)
            self.act()

    def died(self, incarnation: int) -> None:
        """A peer holds that incarnation of this node for dead: come back as the next one."""
        now = self.now()
        if incarnation == self.facts.incarnation and now - self._risen_at >= RISE_AGAIN:
            self._risen_at = now
            self.membership.died(incarnation)
            self.act()

    @property
    def is_calm(self) -> bool:
        """Whether there is nobody to be looked for."""
        return self.membership.is_calm(self.now())

    def now(self) -> float:
        """The node's time, in seconds."""
        return self._loop.now()

    # -- links --------------------------------------------------------------------------------

    def hint(self, found: Announcement) -> None:
        """Take a hint of discovery; it may be wrong, old or forged."""
        self.reach.hint(found)

    def is_member(self, node: str) -> bool:
        """Whether a node is in the mesh already."""
        return node in self.membership.entries

    def is_suspect(self, node: str) -> bool:
        """Whether there is doubt that a member is well."""
        entry = self.membership.entries.get(node)
        return entry is not None and entry.state is State.SUSPECT

    def everybody(self) -> list[Facts]:
        """What the other nodes of the mesh say of themselves."""
        return [entry.facts for entry in self.membership.entries.values()]

    def is_dead(self, node: str, incarnation: int) -> bool:
        """Whether that incarnation of a node was declared dead, or has left."""
        return self.membership.is_gone(node, incarnation)

    def link_up(self, link: Link, facts: Facts) -> None:
        """A node let us in."""
        if self.is_dead(facts.node, facts.incarnation):
            self._tell_of_its_death(link, facts)
            return
        member = self._speak_with(facts)
        if member.link is not None:
            link.close()
            return
        member.link = link
        self._by_link[link] = member
        member.outbox.attach(link.port)
        self.membership.linked(facts.node, self.now())
        self._meet(member)
        self.gossip.introduce(member)
        self._linked_anew(member)
        self.act()

    def _tell_of_its_death(self, link: Link, facts: Facts) -> None:
        """Let a node know that it is held for dead: it comes back as a new incarnation."""
        tomb = self.membership.tombs[facts.node]
        member = Member(facts, Outbox(self._loop, facts.name, self._settings.link_limit), 0.0)
        member.outbox.attach(link.port)
        self.gossip.tell(member, tomb.record)
        member.outbox.flush()
        self._met.past.add(member)
        link.close(linger_ms=GOODBYE_MS)

    def link_down(self, link: Link) -> None:
        """A link has ended: its peer is looked for."""
        member = self._by_link.pop(link, None)
        if member is not None:
            member.link = None
            member.outbox.detach()
            self._events.emit(LinkLost(member.facts.node, member.facts.name))
            self.membership.broke(member.facts.node, self.now())
            self.act()

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """A peer answers us as its guest."""
        member = self._by_link.get(link)
        if member is not None:
            self._sorter.take(member, envelopes)

    def redial(self, facts: Facts) -> None:
        """Make a link to a node, unless there is one or one is being made."""
        member = self.members.get(facts.node)
        if member is None or member.link is None:
            self.reach.redial(facts)

    def hang_up(self, member: Member) -> None:
        """End the link to a member, which says nothing of that one."""
        link, member.link = member.link, None
        if link is not None:
            del self._by_link[link]
            member.outbox.detach()
            link.close(linger_ms=GOODBYE_MS)
            self.membership.unlinked(member.facts.node)

    def partner(self, node: str) -> Member | None:
        """The member of that id, and a link to it soon; None if it is not in the mesh."""
        member = self.members.get(node)
        if member is None:
            entry = self.membership.entries.get(node)
            if entry is None:
                return None
            member = self._speak_with(entry.facts)
        member.used_at = self.pulse.at
        if member.link is None and not member.facts.is_guest:
            self.reach.redial(member.facts)
        return member if member.is_known else None

    # -- what the listener says ---------------------------------------------------------------

    def greeted(self, routing_id: bytes, version: int, facts: Facts | None) -> Envelope:
        """Answer a hello."""
        tomb = self.membership.tombs.get(facts.node) if facts is not None else None
        dead = {} if tomb is None else {tomb.record.node: tomb.record.facts.incarnation}
        no = refused(self.facts, version, facts, dead, self.complain)
        if no is not None:
            return no
        assert facts is not None
        known = self.members.get(facts.node)
        if known is not None and known.facts.is_guest != facts.is_guest:
            sentence = f"the id {facts.node} belongs to another one: start anew"
            self.complain(facts.name, sentence)
            return [message.REFUSED, message.REASON_STRANGER, sentence]
        if facts.node != self.facts.node:
            member = self._speak_with(facts)
            self._sessions.begin(routing_id, member)
            member.heard_at = self.now()
            if not facts.is_guest:
                if member.link is None:
                    self.reach.redial(facts)
                self._meet(member)
                self.act()
        return message.welcome(self.introduction())

    def answered(self, routing_id: bytes) -> None:
        """Speak to a guest, now that the welcome stands before all else on its connection.

        A guest that dials several addresses says hello on each, and goes on with one of them.
        """
        member = self._sessions.get(routing_id)
        if member is not None and member.facts.is_guest and member.answered_on is None:
            self._answer_on(member, routing_id)
            self.gossip.introduce(member)

    def _answer_on(self, guest: Member, routing_id: bytes) -> None:
        assert self._listener is not None
        guest.answered_on = routing_id
        guest.outbox.attach(self._listener.port, routing_id)

    def heard(self, routing_id: bytes, envelopes: list[Envelope]) -> bool:
        """Take what a session said."""
        member = self._sessions.speaks(routing_id)
        if member is None:
            if envelopes and envelopes[0][0] != message.HELLO:
                self._met.past.unread += len(envelopes)
            return False
        if member.facts.is_guest and member.answered_on != routing_id:
            self._answer_on(member, routing_id)
        self._sorter.take(member, envelopes)
        return True

    def end_session(self, routing_id: bytes) -> None:
        """A session that broke the protocol has to say hello again."""
        self._sessions.end(routing_id)

    def garbage(self, who: str, why: str) -> None:
        """Count and report bytes that are no protocol."""
        self.garbage_count += 1
        self.complain(who, f"what came on the link's port is not the actormq protocol: {why}")

    # -- members ------------------------------------------------------------------------------

    def _speak_with(self, facts: Facts) -> Member:
        """What is kept of a peer, from now on if nothing was."""
        return self._met.met(facts, self.facts.host, is_known=self.is_member(facts.node))

    def _meet(self, member: Member) -> None:
        """Take a node in once it can be heard and be spoken to."""
        if member.link is not None and (member.sessions or self.facts.is_guest):
            self.pulse.give_way(member.facts)
            self.membership.greeted(member.facts, self.now())

    def member(self, node: str) -> Member | None:
        """The member of that id, if it was spoken with."""
        return self.members.get(node)

    def guests(self) -> Iterable[Member]:
        """Those who take part without being watched."""
        return self._met.guests()

    def peers(self) -> list[Entry]:
        """The members that are nodes, not guests, in the order in which they were met."""
        return list(self.membership.entries.values())

    def infos(self) -> list[MemberInfo]:
        """All nodes of the mesh, as users see them."""
        return infos(self.membership, self.members, self.pulse.uptime, self.now())

    def forget(self, member: Member, reason: str) -> None:
        """A peer is gone: nobody waits for it any more."""
        self._sessions.end_all(member)
        if member.link is not None:
            del self._by_link[member.link]
            member.link.close()
            member.link = None
        self.reach.cancel(member.facts.node)
        self._met.part(member)
        if member.is_known:
            self._lost(member, reason)

    # -- what is said -------------------------------------------------------------------------

    def say(self, members: Iterable[Member], envelope: Envelope) -> None:
        """Say something to some members; whoever does not read is told later, or never."""
        packed: bytes | None = None
        for member in list(members):
            try:
                if packed is None:
                    packed = self._codec.pack_whole("a peer", envelope)
                member.outbox.put(packed)
            except DeliveryError:
                continue  # it is full, or an echo of a token is too large

    def act(self) -> None:
        """Do what the membership wants done."""
        self.pulse.act()

    def changed(self, change: Change) -> None:
        """What is believed of a member has changed."""
        facts = change.record.facts
        if change.state.is_final:
            member = self._speak_with(facts)
            member.is_known = True
            self.gossip.note(facts.node)
            self._report(change)
            self._namesakes.went(facts)
            self.forget(member, change.reason)
            self._directory.forget(facts.node)
            return
        self._met.joined(facts)
        self._report(change)
        if change.is_new:
            self._namesakes.came(facts)

    def _report(self, change: Change) -> None:
        facts, state, accuser = change.record.facts, change.state.value, change.record.accuser
        self._events.emit(
            MemberChanged(facts.node, facts.name, state, change.reason, facts.incarnation, accuser)
        )

    def _beat(self, now: float, lag: float) -> None:
        """Let go of those who say nothing."""
        for member, limit in self._met.silent(now, lag):
            self.forget(member, f"silent for {limit:g} s")
        self.reach.rejoin(now)
        self._ticked(now)

    def complain(self, who: str, sentence: str) -> None:
        """Report that somebody was not let in, once."""
        self._remarks.complain(who, sentence)

    def remark(self, sentence: str) -> None:
        """Say something to whoever runs the node, once."""
        self._remarks.remark(sentence)

    def traffic(self) -> Traffic:
        """Count the envelopes of all links, those of members that are gone included."""
        return self._met.traffic()
