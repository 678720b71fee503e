"""How long to wait before a child is started again.

OTP's supervisor starts it at once, and leaves its budget of restarts as the only brake: a sensor
that stays away for a minute brings the whole tree down within milliseconds.
Pekko's `BackoffSupervisor` waits instead, longer from one failure to the next up to a limit, and
adds chance, so that a thousand children of one lost server do not come back in the same instant.
So it is here. Unlike Pekko's, chance goes both ways, so that the delay on average is the one asked
for. As there, it comes on top of the limit: what all wait at the limit would else be the same.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from actormq.errors import SetupError


class Backoff(msgspec.Struct, frozen=True):
    """The delays before the restarts of one child.

    Attributes:
        first: Delay before the first restart in a row, in seconds; 0 never waits.
        most: The longest delay, in seconds, before chance is added.
        factor: What each delay is of the one before, 1 or more.
        jitter: How far chance moves a delay, both ways: a share of it, from 0 to 1.

    Raises:
        SetupError: A figure is out of its bounds.

    Source: `minBackoff`, `maxBackoff` and `randomFactor` of Pekko's `BackoffSupervisor`.
    """

    first: float = 0.1
    most: float = 30.0
    factor: float = 2.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        check_figure("Backoff", "first", self.first, "seconds, 0 or more", 0.0)
        check_figure("Backoff", "most", self.most, "seconds, 0 or more", 0.0)
        check_figure("Backoff", "factor", self.factor, "1 or more", 1.0)
        check_figure("Backoff", "jitter", self.jitter, "a share from 0 to 1", 0.0, 1.0)
        if self.most < self.first:
            raise SetupError(
                f"Backoff: most={self.most!r} is below first={self.first!r}: "
                "the longest delay cannot be shorter than the first"
            )

    def delay(self, attempt: int, chance: float) -> float:
        """Say how long to wait.

        Args:
            attempt: Which restart in a row it is, from 1.
            chance: A number drawn evenly from 0 (within) to 1 (without) by the caller.

        Returns:
            Seconds, at most `most * (1 + jitter)`.
        """
        if not self.first:
            return 0.0
        try:
            grown = self.first * self.factor ** (attempt - 1)
        except OverflowError:
            grown = self.most
        return min(grown, self.most) * (1.0 + self.jitter * (2.0 * chance - 1.0))


def check_figure(
    what: str, name: str, value: Any, wanted: str, least: float, most: float = sys.float_info.max
) -> None:
    """Refuse what is no finite number from `least` to `most`.

    Args:
        what: What is being set up, as users write it.
        name: The argument's name.
        value: What was given for it.
        wanted: What it should be, in words.
        least: The least it may be.
        most: The most it may be.

    Raises:
        SetupError: It is something else.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:  # nan is neither
        raise SetupError(f"{what}: {name}={value!r}: a number is wanted, {wanted}")
