"""What a node keeps of one peer."""

from __future__ import annotations

from actormq.cluster.link import Link
from actormq.cluster.outbox import Outbox
from actormq.message import Envelope, Facts
from actormq.rules.membership import Evidence, State


class Member:
    """One peer, from its first hello until it is dead or has left.

    Attributes:
        facts: What it says of itself.
        outbox: What we say to it.
        evidence: When it was heard.
        state: What we believe of it.
        reason: Why.
        since: When that began, on the node's clock in seconds.
        link: Our connection to it; None for a guest and while it is broken.
        sessions: Routing ids of its connections to us.
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
        "reason",
        "received_count",
        "round_trip",
        "sessions",
        "since",
        "state",
    )

    def __init__(self, facts: Facts, outbox: Outbox, now: float) -> None:
        self.facts = facts
        self.outbox = outbox
        self.evidence = Evidence(heard_at=now)
        self.state = State.ALIVE
        self.reason = "said hello"
        self.since = now
        self.link: Link | None = None
        self.sessions: set[bytes] = set()
        self.is_known = False
        self.held: list[Envelope] = []
        self.received_count = 0
        self.pinged_at = 0.0
        self.round_trip: float | None = None

    @property
    def address(self) -> str:
        """The endpoint that answered, or a word on why there is none."""
        return self.link.endpoint if self.link is not None else "guest"
