"""Waiting for a condition, never for a while."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from actormq.testing.clock import real_sleep

POLL = 0.001  # s of real time between looks at a condition

T = TypeVar("T")


class Until(Protocol):
    """What the fixture `until` gives."""

    async def __call__(self, condition: Callable[[], T | Awaitable[T]], within: float = 10.0) -> T:
        """Wait for a condition; see `until`."""


async def until(condition: Callable[[], T | Awaitable[T]], within: float = 10.0) -> T:
    """Wait until a condition holds; time that stands still does not matter to it.

    Args:
        condition: Called again and again; may be `async`, or return a `Reply`.
        within: Seconds of real time.

    Returns:
        What the condition gave, which is true.

    Raises:
        AssertionError: It did not hold in time; the text shows its source.
    """
    return await until_or(condition, within, lambda: _sentence(condition, within))


async def until_or(
    condition: Callable[[], T | Awaitable[T]], seconds: float, complaint: Callable[[], str]
) -> T:
    """As `until`, with a sentence of the caller's for the error."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(complaint())
        await real_sleep(POLL)


def _sentence(condition: Callable[[], object], seconds: float) -> str:
    try:
        source = inspect.getsource(condition).strip()
    except (OSError, TypeError):  # made at run time, or no function
        source = repr(condition)
    return f"not within {seconds:g} s: {source}"
