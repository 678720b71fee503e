"""The farms that a worker serves, and what each of them knows of its slots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from actormq.farm.job import Job
from actormq.farm.slot import Slot
from actormq.ref import Ref
from actormq.rules.credit import credit_for, mean_after


@dataclass(slots=True, eq=False)
class Offer:
    """A farm that was offered this worker, and when it was told so last, in seconds."""

    ref: Ref[Any]
    at: float


@dataclass(slots=True, eq=False)
class Held:
    """One slot, and what the farm knows of it.

    Attributes:
        slot: The slot.
        farm: Whose it is.
        received: Tasks it was given, by count.
        answered: Tasks it has answered.
        mean: Seconds that a task takes it, None as long as none has ended.
        asked: How many tasks it asked for last.
        is_ready: Whether its process has said so.
        is_leaving: Whether it is given no more tasks, and ends once it has none.
    """

    slot: Slot
    farm: Served
    received: int = 0
    answered: int = 0
    mean: float | None = None
    asked: int = 1
    is_ready: bool = False
    is_leaving: bool = False

    @property
    def credit(self) -> int:
        """How many tasks it asks for now."""
        return 0 if self.is_leaving else self.asked

    def measured(self, seconds: float, count: int) -> None:
        """Take into account that `count` tasks took so many seconds together."""
        self.mean = mean_after(self.mean, seconds, count)
        # Step by step: the next ones may take a thousand times as long as the first.
        self.asked = min(credit_for(self.mean), 2 * self.asked)


@dataclass(slots=True, eq=False)
class Served:
    """One farm that is served here.

    Attributes:
        ref: Its ventilator.
        name: What people call it.
        wanted: How many slots it could use.
        jobs: What it runs, by number.
        slots: The slots that work for it.
        refused: The jobs that are not on this machine.
    """

    ref: Ref[Any]
    name: str
    wanted: int
    jobs: dict[int, Job] = field(default_factory=dict)
    slots: dict[int, Held] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
