"""Stops many actors at once, and lets others have their turn meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actormq.settings import PAUSE_EVERY

if TYPE_CHECKING:
    from actormq.cell import Cell


async def stop_all(cells: list[Cell], seconds: float) -> None:
    """Stop actors of one parent, or of none, all at once; the last that was started first.

    Args:
        cells: Theirs, oldest first.
        seconds: For the handlers of each to end by themselves.
    """
    stops = []
    for number, cell in enumerate(reversed(cells), 1):
        stop = cell.stop(seconds)
        if not stop.is_done:
            stops.append(stop)
        if number % PAUSE_EVERY == 0:
            await asyncio.sleep(0)
    for stop in stops:
        await stop
