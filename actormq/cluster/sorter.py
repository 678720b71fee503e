"""Sorts what members say: to actors, to the rules of membership, to gossip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from actormq import message
from actormq.cluster.gossip import Gossip
from actormq.cluster.member import Member
from actormq.cluster.pulse import Pulse
from actormq.errors import RemoteProtocolError
from actormq.message import Envelope, Facts
from actormq.rules.membership import Membership
from actormq.rules.records import Record, State

Deliver = Callable[[Member, Envelope], None]
"""Takes an envelope from a member that is not for the mesh itself."""

REASON_LIMIT = 200  # characters of the words with which a node leaves


class Hub(Protocol):
    """The mesh, as what sorts for it sees it."""

    membership: Membership
    members: dict[str, Member]
    gossip: Gossip
    pulse: Pulse

    def now(self) -> float:
        """The node's time, in seconds."""

    def redial(self, facts: Facts) -> None:
        """Make a link to a node, unless there is one or one is being made."""

    def say(self, members: Iterable[Member], envelope: Envelope) -> None:
        """Say something to some members."""

    def act(self) -> None:
        """Do what the membership wants done."""

    def forget(self, member: Member, reason: str) -> None:
        """A peer is gone."""

    def garbage(self, who: str, why: str) -> None:
        """Bytes came that are no protocol."""


class Sorter:
    """Takes the envelopes of all members.

    Args:
        hub: The mesh.
        deliver: Takes those that are for actors.
        watched: Takes those that are about the ends of actors.
    """

    def __init__(self, hub: Hub, deliver: Deliver, watched: Deliver) -> None:
        self._hub = hub
        self._deliver = deliver
        self._watched = watched

    def take(self, member: Member, envelopes: list[Envelope]) -> None:
        """Take what a member has said, in order."""
        hub = self._hub
        now = member.heard_at = hub.now()
        hub.membership.heard(member.facts.node, now)
        member.received_count += len(envelopes)
        if member.link is None and not member.facts.is_guest:
            hub.redial(member.facts)  # it will want answers
        deliver = self._deliver
        for envelope in envelopes:
            kind = envelope[0]
            try:
                if kind in _OF_ACTORS:
                    member.used_at = now
                    deliver(member, envelope)
                else:
                    self._take_own(member, kind, envelope)
                    if member.facts.node not in hub.members:
                        break  # it has said goodbye
            except RemoteProtocolError as error:
                hub.garbage(member.facts.name, str(error))
        if hub.membership.has_steps:
            hub.act()

    def _take_own(self, member: Member, kind: int, envelope: Envelope) -> None:
        """Take an envelope that is for the mesh; kinds of later versions are passed over."""
        hub = self._hub
        if kind == message.PING:
            pong = [message.PONG, *(envelope[1:2] or [None]), hub.gossip.digest.root]
            hub.say([member], pong)
            hub.gossip.compared(member, *envelope[2:3] or (None,))
        elif kind == message.PONG:
            hub.pulse.ponged(member, *envelope[1:2] or (None,))
            hub.gossip.compared(member, *envelope[2:3] or (None,))
        elif kind in (message.WATCH, message.TERMINATED):
            self._watched(member, envelope)
        elif kind in _OF_MEMORY:
            self._take_memory(member, kind, envelope)
        elif kind == message.LEAVE:
            self._left(member, envelope)
        elif kind in (_OF_GUESTS if member.facts.is_guest else _OF_NODES) and member.is_known:
            self._take_of_member(member, kind, envelope)

    def _take_memory(self, member: Member, kind: int, envelope: Envelope) -> None:
        """Take what is about memory that both see; of a peer of another host it is passed over."""
        if member.borrower is None or member.outbox.lender is None:
            return
        if kind == message.SHARE:
            member.borrower.take(envelope)
        elif kind == message.LEND:
            lent = member.borrower.read(envelope)
            if not (message.TELL <= lent[0] <= message.FAIL or lent[0] == message.SEND):
                raise RemoteProtocolError(f"an envelope of kind {lent[0]} is lent")
            member.used_at = member.heard_at
            self._deliver(member, lent)
        elif len(envelope) > 1:
            member.outbox.lender.opened(envelope[1])

    def _take_of_member(self, member: Member, kind: int, envelope: Envelope) -> None:
        node, membership, now = member.facts.node, self._hub.membership, self._hub.now()
        match envelope:
            case [message.HELP, about, *_] if message.is_node(about):
                membership.asked_for(about, node, now)
            case [message.HELPED, about, bool(is_there), *_] if message.is_node(about):
                membership.answered(about, node, is_there, now)
            case [message.HELP | message.HELPED, *_]:
                raise RemoteProtocolError(f"an envelope of kind {kind} has another shape")
            case _:
                self._hub.gossip.take(member, envelope)

    def _left(self, member: Member, envelope: Envelope) -> None:
        hub = self._hub
        said = str(envelope[1])[:REASON_LIMIT] if len(envelope) > 1 else "it left"
        reason = "".join(c if c.isprintable() else "?" for c in said)  # it is passed on
        entry = hub.membership.entries.get(member.facts.node)
        if entry is None:
            hub.forget(member, reason)
        else:
            record = Record(entry.facts, State.LEFT, reason)
            hub.membership.told(record, member.facts.node, hub.now())
            hub.act()  # what stands behind it in the frame counts no more


_OF_ACTORS = frozenset(
    (
        *(message.TELL, message.TELLS, message.ASK, message.ASKS, message.SEND),
        *(message.REPLY, message.REPLIES, message.FAIL, message.PROBE),
    )
)
_OF_MEMORY = frozenset((message.SHARE, message.OPENED, message.LEND))
_OF_GUESTS = frozenset((message.HELP, message.DIGEST, message.SUMMARY, message.WANT))
"""A guest asks; it says nothing of the mesh."""
_OF_NODES = _OF_GUESTS | {message.PEERS, message.STATE, message.HELPED}
