"""What farms and workers tell of themselves."""

from __future__ import annotations

import msgspec

FARM_PREFIX = "actormq.farm/"
"""Ventilators are found by a name that begins like this."""

WORKER_NAME = "actormq.worker"
"""Workers that serve whoever has work are found by this name."""


class WorkerFacts(msgspec.Struct, frozen=True):
    """One worker, as it introduces itself.

    Attributes:
        node: The name of its node.
        slots: How many tasks it can run at a time.
        is_private: Whether it serves no other farm.
    """

    node: str
    slots: int
    is_private: bool = False


class Progress(msgspec.Struct, frozen=True):
    """How far a farm is; counts are of all that it was ever given.

    Attributes:
        accepted: Tasks that it has taken.
        total: Tasks there will be; None as long as the input has not been read to its end.
        done: Tasks that have a result.
        failed: Tasks that have failed for good.
        retried: How often a task was tried again because it raised or took too long.
        redelivered: How often one was given again because its worker was lost.
        second: How often one was given a second time, because it took long.
        running: Tasks that workers hold.
        waiting: Tasks that wait.
        workers: Slots that are there, and can run at least one of the jobs.
        unfit: Slots that are there, and can run none.
        rate: Tasks that end per second, of late.
        left: Seconds until all have ended, None as long as nobody can say.
    """

    accepted: int = 0
    total: int | None = None
    done: int = 0
    failed: int = 0
    retried: int = 0
    redelivered: int = 0
    second: int = 0
    running: int = 0
    waiting: int = 0
    workers: int = 0
    unfit: int = 0
    rate: float = 0.0
    left: float | None = None


class FarmReport(msgspec.Struct, frozen=True):
    """One farm, for whoever asks.

    Attributes:
        name: Its name.
        node: The name of the node that has its queue.
        jobs: What it runs, as `module:function`.
        progress: How far it is.
        workers: Node name to slots that work for it.
        refusals: Node name to why a worker there cannot run a job.
    """

    name: str
    node: str
    jobs: list[str]
    progress: Progress
    workers: dict[str, int]
    refusals: dict[str, str]


class WorkerReport(msgspec.Struct, frozen=True):
    """One worker, for whoever asks.

    Attributes:
        node: The name of its node.
        slots: How many tasks it can run at a time.
        busy: How many of them run one.
        farms: Farm to slots that it has there.
        done: Tasks that have ended in its slots.
        lost: Slots whose process ended by itself or was killed.
    """

    node: str
    slots: int
    busy: int
    farms: dict[str, int]
    done: int
    lost: int
