"""Stops many actors at once, and lets others have their turn meanwhile."""

from __future__ import annotations

import asyncio

from actormq.cell import Cell
from actormq.signals import STOPPED

STOPPED_AT_ONCE = 200  # actors that a node stops in one step, some ms; others want their turn too


async def stop_all(cells: list[Cell], seconds: float) -> None:
    """Stop actors that are nobody's children, all at once, the last that was started first.

    Args:
        cells: Theirs, oldest first.
        seconds: For the handlers of each to end by themselves.
    """
    stops = []
    for number, cell in enumerate(reversed(cells)):
        if cell.is_bare and not cell.children:  # as most are; a task for each would hold the loop
            cell.end(STOPPED, "")
        else:
            stops.append(cell.stop(seconds))
        if number % STOPPED_AT_ONCE == STOPPED_AT_ONCE - 1:
            await asyncio.sleep(0)
    for stop in stops:
        await stop
