"""What a node keeps of one peer."""

from __future__ import annotations

from dataclasses import dataclass

from actormq.cluster.link import Link
from actormq.cluster.outbox import Outbox
from actormq.message import Envelope, Facts
from actormq.rules.membership import Evidence, State
from actormq.settings import HEARTBEAT_INTERVAL, ROUND_TRIP_INTERVAL


@dataclass(slots=True)
class Traffic:
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
    """One peer, from its first hello until it is dead or has left.

    Attributes:
        facts: What it says of itself.
        outbox: What we say to it.
        evidence: When it was heard.
        quiet_for: Seconds of silence after which it is asked for a sign of life.
        state: What we believe of it.
        reason: Why.
        since: When that began, on the node's clock in seconds.
        link: Our connection to it; None for a guest and while it is broken.
        sessions: Routing ids of its connections to us, the oldest first; a few may be over.
        is_known: Whether its coming has been reported.
        held: What it announced before it was known.
        received_count: Envelopes that came from it.
        round_trip: Seconds from our last ping to its pong, None before the first.
    """

    __slots__ = (
        "evidence",
        "facts",
        "held",
        "is_known",
        "link",
        "outbox",
        "pinged_at",
        "quiet_for",
        "reason",
        "received_count",
        "round_trip",
        "sessions",
        "since",
        "state",
    )

    def __init__(
        self, facts: Facts, outbox: Outbox, now: float, quiet_for: float = HEARTBEAT_INTERVAL
    ) -> None:
        self.facts = facts
        self.outbox = outbox
        self.evidence = Evidence(heard_at=now)
        self.quiet_for = quiet_for
        self.state = State.ALIVE
        self.reason = "said hello"
        self.since = now
        self.link: Link | None = None
        self.sessions: dict[bytes, None] = {}
        self.is_known = False
        self.held: list[Envelope] = []
        self.received_count = 0
        self.pinged_at = 0.0
        self.round_trip: float | None = None

    def is_well(self, now: float) -> bool:
        """Whether there is nothing to judge or to ask, as most of the time: it was just heard."""
        return (
            now - self.evidence.heard_at < HEARTBEAT_INTERVAL
            and now - self.pinged_at < ROUND_TRIP_INTERVAL
            and self.state is State.ALIVE
            and self.link is not None
            and self.evidence.cut_at is None
        )

    def is_ping_due(self, now: float) -> bool:
        """Whether to ask it for a sign of life; who has given one is asked for its round trip only.

        One of two idle nodes asks and the other answers: that tells both that both are there.
        """
        asked = now - self.pinged_at
        is_quiet = now - self.evidence.heard_at >= self.quiet_for
        if asked < (HEARTBEAT_INTERVAL if is_quiet else ROUND_TRIP_INTERVAL):
            return False
        return self.link is not None and not self.facts.is_guest

    @property
    def address(self) -> str:
        """The endpoint that answered, or a word on why there is none."""
        return self.link.endpoint if self.link is not None else "guest"
