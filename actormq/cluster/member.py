"""What a node keeps of one peer that it has spoken with."""

from __future__ import annotations

import msgspec

from actormq.cluster.lending import Borrower, Lender
from actormq.cluster.link import Link
from actormq.cluster.outbox import Outbox
from actormq.codec import Codec
from actormq.loop import Loop
from actormq.message import Facts


class Traffic(msgspec.Struct):
    """The envelopes between a node and its peers, each a count since the node began.

    What outboxes have taken is sent, dropped or waiting.

    Attributes:
        sent: Handed to a connection.
        dropped: Taken, and of no use any more as the peer had gone.
        waiting: Taken, and not sent yet.
        received: Come from members.
        unread: Come from nodes that were no members any more, or not yet.
    """

    sent: int = 0
    dropped: int = 0
    waiting: int = 0
    received: int = 0
    unread: int = 0

    def add(self, member: Member) -> None:
        """Count in what went to and came from one member."""
        outbox = member.outbox
        self.sent += outbox.sent_count
        self.dropped += outbox.dropped_count
        self.waiting += outbox.waiting_count
        self.received += member.received_count


class Member:
    """One peer, from the first word with it until it is gone.

    Attributes:
        facts: What it says of itself.
        outbox: What we say to it.
        link: Our connection to it; None for a guest and while there is none.
        sessions: Routing ids of its connections to us, the oldest first; a few may be over.
        borrower: Reads what it lends, if it is on this host.
        answered_on: Of a guest, the one on which it is answered.
        is_known: Whether it is in the mesh: it can be heard and be spoken to.
        received_count: Messages that came from it: each envelope, and each message of a row.
        heard_at: When its last word came, on the node's clock; of guests, and of those who have
            said hello.
        used_at: When something was said to it last that was not about the mesh.
        pings: How often it was pinged.
        pinged_at: When it was pinged last.
        differs_since: Since when it has known something else of the mesh than we; None if not.
    """

    __slots__ = (
        "answered_on",
        "borrower",
        "differs_since",
        "facts",
        "heard_at",
        "is_known",
        "link",
        "outbox",
        "pinged_at",
        "pings",
        "received_count",
        "sessions",
        "used_at",
    )

    def __init__(self, facts: Facts, outbox: Outbox, now: float) -> None:
        self.facts = facts
        self.outbox = outbox
        self.link: Link | None = None
        self.sessions: dict[bytes, None] = {}
        self.borrower: Borrower | None = None
        self.answered_on: bytes | None = None
        self.is_known = facts.is_guest
        self.received_count = 0
        self.heard_at = now
        self.used_at = now
        self.pings = 0
        self.pinged_at = 0.0
        self.differs_since: float | None = None

    def share_memory(self, loop: Loop, codec: Codec, limit: int) -> None:
        """It is on this host: large buffers are lent, not sent.

        Args:
            loop: The node's loop.
            codec: Reads what is lent.
            limit: Bytes that are lent to it, in all.
        """
        self.outbox.lender = Lender(loop, limit, self.outbox.say)
        self.borrower = Borrower(codec, self.outbox.say)

    def close(self) -> None:
        """It is gone: what waits for it is dropped."""
        self.outbox.close()
        self.unshare_memory()

    def unshare_memory(self) -> None:
        """Nothing is lent any more; what was lent can still be read."""
        if self.outbox.lender is not None and self.borrower is not None:
            self.outbox.lender.close()
            self.borrower.close()

    @property
    def can_be_told(self) -> bool:
        """Whether something that is said to it leaves now."""
        return self.link is not None or self.facts.is_guest

    @property
    def address(self) -> str:
        """The endpoint that answered, or a word on why there is none."""
        if self.link is not None:
            return self.link.endpoint
        return "guest" if self.facts.is_guest else ""
