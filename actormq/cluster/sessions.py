"""Who speaks on which connection to the node's ROUTER."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actormq import message
from actormq.cluster.member import Member
from actormq.message import Facts
from actormq.rules.admission import refusal

SESSIONS = 16  # connections of a peer that are remembered: each of its redials begins one


class Sessions:
    """The connections of peers to this node, by routing id.

    A ROUTER does not say that a connection has ended, so a peer may have several. It speaks on the
    newest; what then still comes on an older one was overtaken, and is not heard.
    """

    def __init__(self) -> None:
        self._members: dict[bytes, Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def get(self, routing_id: bytes) -> Member | None:
        """Who speaks on a connection; None if it has not said hello."""
        return self._members.get(routing_id)

    def begin(self, routing_id: bytes, member: Member) -> None:
        """A peer has said hello on a connection."""
        self._members[routing_id] = member
        member.sessions[routing_id] = None
        if len(member.sessions) > SESSIONS:
            self.end(next(iter(member.sessions)))

    def speaks(self, routing_id: bytes) -> Member | None:
        """Something came on a connection: those that its peer made before count no more."""
        member = self._members.get(routing_id)
        if member is not None:
            while (oldest := next(iter(member.sessions))) != routing_id:
                self.end(oldest)
        return member

    def end(self, routing_id: bytes) -> None:
        """A connection counts no more: whoever speaks on it has to say hello again."""
        member = self._members.pop(routing_id, None)
        if member is not None:
            member.sessions.pop(routing_id, None)

    def end_all(self, member: Member) -> None:
        """A peer is gone."""
        for routing_id in list(member.sessions):
            self.end(routing_id)


def refused(
    own: Facts,
    version: int,
    facts: Facts | None,
    dead: Mapping[str, int],
    complain: Callable[[str, str], None],
) -> message.Envelope | None:
    """Say no to a hello, and report it.

    Args:
        own: Our facts.
        version: The protocol version of the hello.
        facts: Those of who said it, None if the version is another one.
        dead: The incarnation up to which its id was declared dead.
        complain: Reports a refusal: who, and why.

    Returns:
        The answer; None to let it in.
    """
    no = refusal(own, version, facts, dead)
    if no is None:
        return None
    reason, sentence = no
    if reason != message.REASON_STALE:
        who = facts.name if facts is not None else f"a node of protocol version {version}"
        complain(who, f"not let in: {sentence}")
    return [message.REFUSED, reason, sentence]
