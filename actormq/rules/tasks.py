"""What the queue of a farm is about: tasks, their batches, and the slots that may hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Batch:
    """What tasks have in common that were given together.

    Attributes:
        job: The number of the job they run.
        retries: How often one that raised or took too long is tried again.
        timeout: Seconds that one may run, None for as long as it likes.
        is_speculative: Whether those that take long are given a second time at the end.
        is_open: Whether there may be more of them.
        mean: Seconds that one takes, None as long as none has ended.
        owner: Whatever takes the answers.
        begin: Called with tasks as they are given to a worker; gives those that nobody wants any
            more. None where all are wanted.
        broken: Called with the failure, in place of the owner, where what comes before the first
            task of the job has failed. None to let all its tasks fail.
    """

    job: int
    retries: int = 0
    timeout: float | None = None
    is_speculative: bool = True
    is_open: bool = True
    mean: float | None = None
    owner: Any = None
    begin: Callable[[Sequence[Task]], list[Task]] | None = None
    broken: Callable[[Any], object] | None = None


class Task:
    """One task that has not ended.

    Attributes:
        id: Its number in the farm.
        batch: What it belongs to.
        payload: What the function gets, packed.
        tag: Whatever its owner wants to find again.
        raised: How often it raised, or took too long.
        deaths: How many holders died of it.
        copies: How many hold it now.
        shunned: Workers of which a holder died of it.
    """

    __slots__ = ("batch", "copies", "deaths", "id", "payload", "raised", "shunned", "tag")

    def __init__(self, id: int, batch: Batch, payload: bytes, tag: Any = None) -> None:  # noqa: A002 its name everywhere
        self.id = id
        self.batch = batch
        self.payload = payload
        self.tag = tag
        self.raised = 0
        self.deaths = 0
        self.copies = 0
        self.shunned: tuple[str, ...] = ()

    @property
    def tries(self) -> int:
        """How often it was tried so far and did not end well."""
        return self.raised + self.deaths


@dataclass(slots=True, eq=False)
class Holder:
    """One slot of a worker, as the ventilator sees it.

    Attributes:
        worker: Whose it is.
        slot: Its number at that worker, never used again.
        credit: How many tasks it may hold.
        held: What it holds, in the order given, and since when.
        refused: Jobs that it cannot run.
        is_alone: Whether it holds a task that is to be tried alone.
        is_recalled: Whether it was asked to give some back, and has not answered yet.
    """

    worker: str
    slot: int
    credit: int = 1
    held: dict[int, tuple[Task, float]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    is_alone: bool = False
    is_recalled: bool = False

    @property
    def is_hungry(self) -> bool:
        """Whether there is room worth a message: half of its credit, or all of a small one."""
        return not self.is_alone and 2 * len(self.held) <= self.credit - (self.credit == 1)


@dataclass(frozen=True, slots=True)
class Grant:
    """Tasks for a holder, all of one batch."""

    holder: Holder
    batch: Batch
    tasks: list[Task]
