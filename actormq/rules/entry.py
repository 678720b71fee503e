"""What a node knows of one other: what was said of it, what was heard of it, what is believed."""

from __future__ import annotations

import msgspec

from actormq.message import Facts
from actormq.rules.records import Record, State
from actormq.rules.steps import Change
from actormq.rules.suspicion import Suspicion


class Watch(msgspec.Struct):
    """What a node has heard of one that it watches.

    Attributes:
        heard_at: When its last word came, its own or through others.
        spoke_at: When it said something itself last, on a connection with this node.
        ask_after: Silence after which it is pinged.
        cut_at: When the connection to it broke and nobody has reached it since; None if not.
        asked_at: When it was pinged last.
        unanswered_at: When it was first asked and has not answered since; None if it has.
        helped_at: When others were asked to reach it; None if none were since its last word.
        helpers: Those of them that have not answered.
        asked: All of them.
    """

    heard_at: float
    spoke_at: float
    ask_after: float
    cut_at: float | None = None
    asked_at: float = 0.0
    unanswered_at: float | None = None
    helped_at: float | None = None
    helpers: set[str] = msgspec.field(default_factory=set)
    asked: set[str] = msgspec.field(default_factory=set)

    def is_silent(self, now: float, patience: float) -> bool:
        """Whether it was asked that many seconds ago and has not answered."""
        return self.unanswered_at is not None and now - self.unanswered_at >= patience

    def is_helped(self, now: float, patience: float) -> bool:
        """Whether others were asked, no longer ago than that many seconds, and may find it."""
        asked_at = self.helped_at
        return bool(self.helpers) and asked_at is not None and now - asked_at < patience

    def is_reached_by_others(self, patience: float) -> bool:
        """Whether it was there after it had been silent, to this node, for that many seconds."""
        return self.heard_at - self.spoke_at >= patience

    def hear(self, now: float) -> None:
        """It is there; if the connection to it has broken, it was at least."""
        self.heard_at = now
        self.unanswered_at = None
        if self.asked and self.cut_at is None:  # mostly nobody was, and this is each frame's way
            self.forget_helpers()

    def forget_helpers(self) -> None:
        """It was found, or is to be looked for anew."""
        self.helped_at = None
        self.helpers.clear()
        self.asked.clear()

    def lost_helper(self, node: str) -> None:
        """One that may have been asked will not answer; it may be asked again."""
        self.asked.discard(node)
        if node in self.helpers:
            self.helpers.discard(node)
            if not self.helpers:
                self.helped_at = None
        if not self.asked:  # `hear` counts on that
            self.helped_at = None

    def forgive(self, lag: float, now: float) -> None:
        """Leave out a stretch of time, up to now, in which this node itself did not listen."""
        self.heard_at = min(self.heard_at + lag, now)
        self.spoke_at = min(self.spoke_at + lag, now)
        self.cut_at = _later(self.cut_at, lag, now)
        self.unanswered_at = _later(self.unanswered_at, lag, now)
        self.helped_at = _later(self.helped_at, lag, now)


def _later(at: float | None, lag: float, now: float) -> float | None:
    return None if at is None else min(at + lag, now)


class Entry:
    """What this node knows of one member.

    Attributes:
        record: The latest that is said of it.
        state: What this node believes: it may doubt by itself before it tells others.
        reason: Why.
        since: When that began.
        round_trip: Seconds from a ping to its answer; None before the first.
        watch: What was heard of it, if it is watched.
        suspicion: Since when and by whom it is suspected, if it is.
    """

    __slots__ = ("reason", "record", "round_trip", "since", "state", "suspicion", "watch")

    def __init__(self, record: Record, now: float) -> None:
        self.record = record
        self.state = record.state
        self.reason = record.reason
        self.since = now
        self.round_trip: float | None = None
        self.watch: Watch | None = None
        self.suspicion: Suspicion | None = None

    @property
    def facts(self) -> Facts:
        """What it says of itself."""
        return self.record.facts

    def turn(self, state: State, reason: str, now: float) -> list[Change]:
        """Believe something else of it; give what is to be reported, if it is something else."""
        if self.state is state:
            return []
        self.state, self.reason, self.since = state, reason, now
        return [Change(self.record, state, reason)]


class Tomb(msgspec.Struct, frozen=True):
    """A node that is gone.

    Attributes:
        record: The last that was said of it.
        at: When this node learned of it.
    """

    record: Record
    at: float
