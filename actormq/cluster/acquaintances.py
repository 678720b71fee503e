"""Those with whom a node has spoken: members, guests, and strangers who have said hello."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

from actormq.cluster.member import Member, Traffic
from actormq.cluster.outbox import Outbox
from actormq.codec import Codec
from actormq.loop import Loop
from actormq.message import Facts
from actormq.settings import GUEST_SILENCE, HELLO_SILENCE


class Acquaintances:
    """What is kept of each peer.

    Args:
        loop: The node's loop.
        codec: Reads what peers of this host lend.
        limit: Bytes that may wait for one of them.

    Attributes:
        members: All of them, guests included, by id.
        past: What went to and came from those that are gone.
    """

    def __init__(self, loop: Loop, codec: Codec, limit: int) -> None:
        self._loop = loop
        self._codec = codec
        self._limit = limit
        self._guests: dict[str, Member] = {}
        self._strangers: dict[str, Member] = {}  # have said hello, and are no members yet
        self.members: dict[str, Member] = {}
        self.past = Traffic()

    def met(self, facts: Facts, host: str, *, is_known: bool) -> Member:
        """What is kept of a peer, from now on if nothing was.

        Args:
            facts: What it says of itself.
            host: Where this node is.
            is_known: Whether it is in the mesh.
        """
        member = self.members.get(facts.node)
        if member is None:
            outbox = Outbox(self._loop, facts.name, self._limit)
            member = self.members[facts.node] = Member(facts, outbox, self._loop.now())
            if facts.host == host:
                member.share_memory(self._loop, self._codec, self._limit)
            if facts.is_guest:
                self._guests[facts.node] = member
            elif is_known:
                member.is_known = True
            else:
                self._strangers[facts.node] = member
        elif facts.incarnation >= member.facts.incarnation:
            member.facts = facts
        return member

    def joined(self, facts: Facts) -> None:
        """A node is in the mesh now, and says that of itself."""
        self._strangers.pop(facts.node, None)
        member = self.members.get(facts.node)
        if member is not None:
            member.is_known = True
            member.facts = facts

    def guests(self) -> Iterable[Member]:
        """Those who take part without being watched."""
        return self._guests.values()

    def silent(self, now: float, lag: float) -> Iterator[tuple[Member, float]]:
        """Find guests that say nothing, and nodes that said hello and nothing else.

        Args:
            now: The node's time.
            lag: How much of the time since the last look this node did not listen, in seconds.

        Returns:
            Each of them, with the seconds that it had.
        """
        for known, limit in ((self._guests, GUEST_SILENCE), (self._strangers, HELLO_SILENCE)):
            for member in list(known.values()):
                member.heard_at += lag
                if now - member.heard_at > limit:
                    yield member, limit

    def part(self, member: Member) -> None:
        """A peer is gone: drop what waits for it, and count what went to and came from it."""
        for known in (self.members, self._guests, self._strangers):
            known.pop(member.facts.node, None)
        member.close()
        self.past.add(member)

    def traffic(self) -> Traffic:
        """Count the envelopes of all links, those of members that are gone included."""
        traffic = copy.copy(self.past)
        for member in self.members.values():
            traffic.add(member)
        return traffic
