"""So many lines a second, and afterwards a line that says how many were left out."""

from __future__ import annotations

import time
from collections.abc import Callable

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after so many seconds."""


class Limit:
    """Lets so many through a second; the second begins with the first of them.

    Args:
        lines: How many a second, a count.
        left_out: Called at the end of a second with how many of it were left out, if any were.
        later: Where time passes.
        clock: The time, in seconds.
    """

    def __init__(
        self,
        lines: int,
        left_out: Callable[[int], None],
        later: Later,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lines = lines
        self._left_out = left_out
        self._later = later
        self._clock = clock
        self._ends = 0.0
        self._shown = 0
        self._hidden = 0

    def allows(self, count: int = 1) -> bool:
        """Whether a line may be written now.

        Args:
            count: Of how many it tells, for the sum of those that were left out.
        """
        now = self._clock()
        if now >= self._ends:
            self.flush()
            self._ends, self._shown = now + 1.0, 0
        if self._shown < self._lines:
            self._shown += 1
            return True
        if not self._hidden:
            self._later(self._ends - now, self.flush)
        self._hidden += count
        return False

    def flush(self) -> None:
        """Say what was left out so far."""
        hidden, self._hidden = self._hidden, 0
        if hidden:
            self._left_out(hidden)
