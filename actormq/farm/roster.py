"""Which workers a farm has, and what went to each of their slots and came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from actormq.farm.reports import WorkerFacts
from actormq.ref import Ref
from actormq.rules.tasks import Holder


@dataclass(slots=True, eq=False)
class Lane:
    """What went to one slot and came back, to notice what a connection lost.

    Attributes:
        holder: The slot.
        granted: Tasks sent to it, by count.
        at_ping: How many of them before the last ping.
        heard: Tasks it has answered.
        was_pinged: Whether it was there at the last ping.
    """

    holder: Holder
    granted: int = 0
    at_ping: int = 0
    heard: int = 0
    was_pinged: bool = False


@dataclass(slots=True, eq=False)
class Crew:
    """One worker that is there.

    Attributes:
        ref: The worker.
        facts: What it said of itself.
        heard_at: When it last said anything, in seconds.
        lanes: Its slots by number.
        jobs: Jobs that it knows.
        refusals: Why it cannot run some, by number.
    """

    ref: Ref[Any]
    facts: WorkerFacts
    heard_at: float
    lanes: dict[int, Lane] = field(default_factory=dict)
    jobs: set[int] = field(default_factory=set)
    refusals: dict[int, str] = field(default_factory=dict)


def key_of(ref: Ref[Any]) -> str:
    """What a worker, or a farm, is called in messages."""
    return f"{ref.address.node}/{ref.address.serial}"
