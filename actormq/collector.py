"""How often the garbage collector looks through the objects of a process that is a node."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

YOUNG_OBJECTS = 10_000  # objects; a mailbox holds as many, and 20 000 or 50 000 gain nothing more


@contextlib.contextmanager
def collecting_seldom() -> Iterator[None]:
    """Let new objects come to `YOUNG_OBJECTS` before they are looked through.

    Python's own 700 (2 000 from 3.13 on) means that messages which wait are gone through again and
    again, though no message is part of a circle: a quarter of what a tell costs. Who has chosen a
    higher number, or switched the collector off, is left alone.
    """
    before = gc.get_threshold()
    if not 0 < before[0] < YOUNG_OBJECTS:
        yield
        return
    gc.set_threshold(YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        if gc.get_threshold() == (YOUNG_OBJECTS, *before[1:]):  # else it was changed meanwhile
            gc.set_threshold(*before)
