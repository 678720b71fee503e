"""Who is alive: what one node believes of another, from what it has heard.

Suspicion stands before death, as in SWIM: a broken connection or some silence makes a suspect,
and only time without a word makes it dead.
A node whose own loop lagged has heard nobody meanwhile, so its lag counts for nobody's silence.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from actormq.settings import DEAD_AFTER, RECONNECT_GRACE, SUSPECT_AFTER, TICK_INTERVAL


class State(enum.StrEnum):
    """What a node believes of a peer."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a node waits before it judges, all in seconds.

    Attributes:
        suspect_after: Silence that makes a suspect.
        dead_after: Silence that makes it dead.
        reconnect_grace: Time for a broken connection to come back.
    """

    suspect_after: float = SUSPECT_AFTER
    dead_after: float = DEAD_AFTER
    reconnect_grace: float = RECONNECT_GRACE


@dataclass(slots=True)
class Evidence:
    """What is known of one peer, times in seconds on the node's clock.

    Attributes:
        heard_at: When its last word came.
        cut_at: When the connection to it broke; None while it stands.
    """

    heard_at: float
    cut_at: float | None = None

    def forgive(self, lag: float) -> None:
        """Leave out a stretch of time in which this node itself did not listen."""
        self.heard_at += lag
        if self.cut_at is not None:
            self.cut_at += lag


def judge(evidence: Evidence, now: float, patience: Patience) -> tuple[State, str]:
    """Say what to believe of a peer, and why.

    Args:
        evidence: What is known of it.
        now: The present, in seconds on the same clock.
        patience: How long to wait.
    """
    silence = now - evidence.heard_at
    if silence > patience.dead_after:
        return State.DEAD, f"silent for {silence:.1f} s"
    if evidence.cut_at is not None:
        # Words may still come over the peer's own connection to us, one that broke alone.
        alone = now - max(evidence.cut_at, evidence.heard_at)
        if alone > patience.reconnect_grace:
            return State.DEAD, "its connection broke and did not come back"
        return State.SUSPECT, "its connection broke"
    if silence > patience.suspect_after:
        return State.SUSPECT, f"silent for {silence:.1f} s"
    return State.ALIVE, "heard"


def lag_of(now: float, previous: float, interval: float = TICK_INTERVAL) -> float:
    """Say how much of the time since the last look this node was not listening, in seconds.

    A look that comes up to one interval late is the ordinary jitter of a loop.
    """
    late = now - previous - interval
    return late if late > interval else 0.0
