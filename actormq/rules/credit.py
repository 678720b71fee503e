"""How many tasks a worker may hold at a time, by how long they take it.

Few messages want many tasks in each; a fair end of a batch, and little to run again when a worker
dies, want few. So a worker holds what it does within a moment, whatever that is in tasks.
"""

from __future__ import annotations

import math

AHEAD = 0.05  # s of work that a worker holds: a round trip on a busy LAN takes a tenth of it
LONG = 0.5  # s from which on a task is long: waiting for the next one costs less than a hundredth
CREDIT_LIMIT = 1_024  # tasks: past 500 in a message there is nothing left to win (measured)
NEWEST_SHARE = 0.5  # of the newest measurement in the running mean


def credit_for(seconds: float | None) -> int:
    """Say how many tasks a worker may hold, those that it has begun included.

    Args:
        seconds: What a task takes it, None as long as nobody knows.

    Returns:
        1 for long tasks, so that nobody sits on one that an idle worker could do; at least 2 for
        others, so that the next one is there when one ends; up to `CREDIT_LIMIT` for short ones.
    """
    if seconds is None or seconds >= LONG:
        return 1
    return min(max(math.ceil(AHEAD / max(seconds, AHEAD / CREDIT_LIMIT)), 2), CREDIT_LIMIT)


def mean_after(mean: float | None, seconds: float, count: int) -> float:
    """Take a measurement into a running mean of the seconds per task.

    Args:
        mean: The mean so far, None at the first.
        seconds: What `count` tasks took together.
        count: At least 1.
    """
    newest = seconds / count
    return newest if mean is None else mean + NEWEST_SHARE * (newest - mean)
