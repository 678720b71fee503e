"""What the farms and workers of a mesh tell of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from actormq.errors import ActormqError
from actormq.farm.reports import FARM_PREFIX, WORKER_NAME, FarmReport, WorkerReport
from actormq.node import Node
from actormq.ref import Ref

T = TypeVar("T")

ANSWER = 1.5  # s for a farm or worker to tell of itself; one that does not is left out, and said


class Status(msgspec.Struct, frozen=True):
    """What there is in a mesh.

    Attributes:
        mesh: Its name.
        farms: Those that answered.
        workers: Likewise.
        silent: How many of both did not.
    """

    mesh: str
    farms: list[FarmReport]
    workers: list[WorkerReport]
    silent: int = 0


async def asked(node: Node) -> Status:
    """Ask all farms and workers that are known how they are."""
    names = node.directory.names(FARM_PREFIX)
    farms = [ref for name in sorted(names) for ref in node.find_all(name)]
    workers = node.find_all(WORKER_NAME)
    told, works = await asyncio.gather(_told(farms, FarmReport), _told(workers, WorkerReport))
    silent = len(farms) + len(workers) - len(told) - len(works)
    told.sort(key=lambda report: (report.name, report.node))
    works.sort(key=lambda report: report.node)
    return Status(node.mesh, told, works, silent)


async def _told(refs: Sequence[Ref[Any]], kind: type[T]) -> list[T]:
    answers = await asyncio.gather(
        *(ref.within(ANSWER).ask("report") for ref in refs), return_exceptions=True
    )
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, ActormqError):
            raise answer
    return [
        msgspec.convert(answer, kind) for answer in answers if not isinstance(answer, BaseException)
    ]
