"""Waits until nobody counts on a node any more, so that it can leave without an error anywhere.

Its names are withdrawn by then, and peers know that soon. What they sent before comes in meanwhile
and is handled; when nothing has come for a moment, and nothing is under way, nothing will.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from actormq.address import NODE_SERIAL
from actormq.cell import Cell
from actormq.mailbox import State
from actormq.runtime import Runtime
from actormq.settings import DRAIN_INTERVAL, DRAIN_QUIET

LOOK_SHARE = 0.1  # of the time, at most, that goes into looking at 100 000 actors


async def until_quiet(
    runtime: Runtime,
    arrived: Callable[[], int],
    is_alone: Callable[[], bool],
    hurry: asyncio.Event,
    end: float,
) -> bool:
    """Wait until nothing is under way on a node, and nothing has come for a moment.

    Args:
        runtime: That node's.
        arrived: How many messages have come for its actors from others so far.
        is_alone: Whether there is nobody from whom one could come.
        hurry: Ends the waiting, once set.
        end: When to wait no longer, on the node's clock in seconds.

    Returns:
        Whether it came to be.
    """
    now = runtime.loop.now
    seen, since = arrived(), now()
    while True:
        began = now()
        count = arrived()
        busy = any(map(is_busy, runtime.registry.cells()))
        if busy or count != seen:
            seen, since = count, now()
        if not busy and (is_alone() or now() - since >= DRAIN_QUIET):
            return True
        left = end - now()
        if left <= 0 or hurry.is_set():
            return False
        pause = max(DRAIN_INTERVAL, (now() - began) / LOOK_SHARE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(pause, left)):
                await hurry.wait()


def is_busy(cell: Cell) -> bool:
    """Whether a message waits for an actor or is under way in it.

    Not its own periodic turns, of which there is no last; nor one that has not started.
    """
    if cell.serial == NODE_SERIAL or cell.state is State.STARTING:
        return False
    if cell.mailbox_count:
        return True
    periodic = cell.kind._actormq_periodic  # noqa: SLF001 the table that the class made for its cells
    return any(served.call.name not in periodic for _, served in cell.serving())
