"""Which children are restarted, in which company, and how often.

OTP's words and ours: a permanent child is restarted `"always"`, a transient one `"on_error"`, a
temporary one `"never"`; intensity and period are the budget.
As in OTP, the budget is the supervisor's, not the child's: what counts is how much trouble there
is below it. What fits is `intensity` restarts within `period`; one more, and the supervisor fails
itself, in the hope that those above it can mend what it cannot.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from actormq.errors import SetupError
from actormq.rules.backoff import check_figure

RestartPolicy = Literal["always", "on_error", "never"]
"""When a child that has ended by itself is started again."""

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Whom a supervisor restarts when a child failed: it, all, or it and those started after it."""

POLICIES: tuple[RestartPolicy, ...] = get_args(RestartPolicy)
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

_IS_RESTARTED: dict[tuple[RestartPolicy, bool], bool] = {
    ("always", True): True,
    ("always", False): True,
    ("on_error", True): True,
    ("on_error", False): False,
    ("never", True): False,
    ("never", False): False,
}


def is_restarted(policy: RestartPolicy, is_error: bool) -> bool:
    """Say whether a child that ended by itself is started again.

    Args:
        policy: What was asked for it.
        is_error: Whether it failed; False if it ended in order.
    """
    return _IS_RESTARTED[policy, is_error]


class RestartBudget(msgspec.Struct, frozen=True):
    """How often a supervisor may restart its children before it gives up.

    Attributes:
        restarts: Restarts allowed within one period, a count; with 0 the first failure is passed
            on to the supervisor above.
        period: Length of the sliding window, in seconds.

    Raises:
        SetupError: A figure is out of its bounds.

    Source: OTP's restart intensity and period (design principles, "Supervisor Behaviour").
    """

    restarts: int = 3
    period: float = 5.0

    def __post_init__(self) -> None:
        is_count = isinstance(self.restarts, int) and not isinstance(self.restarts, bool)
        if not is_count or self.restarts < 0:
            raise SetupError(
                f"RestartBudget: restarts={self.restarts!r}: a whole number is wanted, 0 or more"
            )
        check_figure("RestartBudget", "period", self.period, "seconds above 0", sys.float_info.min)

    def is_recent(self, at: float, now: float) -> bool:
        """Say whether a restart still counts."""
        return now - at <= self.period

    def allows(self, history: Sequence[float], now: float) -> bool:
        """Say whether one more restart fits.

        Args:
            history: Times of past restarts, in seconds on the node's clock, any order.
            now: The present on the same clock, in seconds.
        """
        return sum(self.is_recent(at, now) for at in history) < self.restarts


class RestartHistory:
    """The restarts of one supervisor, and whether one more fits its budget.

    It answers as `RestartBudget.allows` does, without looking at all of them: only the last
    `restarts` ones are kept, and if the oldest of those still counts, there is no room.
    """

    def __init__(self, budget: RestartBudget) -> None:
        self._budget = budget
        self._times: deque[float] = deque(maxlen=min(budget.restarts, sys.maxsize))

    @property
    def times(self) -> tuple[float, ...]:
        """When the last restarts were, in seconds; at most as many as the budget allows."""
        return tuple(self._times)

    def enter(self, now: float) -> bool:
        """Enter one more restart, if it fits.

        Args:
            now: The present, in seconds; never before the time of the last restart.

        Returns:
            Whether it fits.
        """
        if len(self._times) == self._times.maxlen and (
            not self._times or self._budget.is_recent(self._times[0], now)
        ):
            return False
        self._times.append(now)
        return True


def checked_policy(value: object) -> RestartPolicy:
    """Return a restart policy that is known.

    Raises:
        SetupError: It is not; the sentence names those that are.
    """
    for policy in POLICIES:
        if value == policy:
            return policy
    raise SetupError(f"restart policy {value!r} is unknown: take {_alternatives(POLICIES)}")


def checked_strategy(value: object) -> Strategy:
    """Return a strategy that is known.

    Raises:
        SetupError: It is not; the sentence names those that are.
    """
    for strategy in STRATEGIES:
        if value == strategy:
            return strategy
    raise SetupError(f"strategy {value!r} is unknown: take {_alternatives(STRATEGIES)}")


def _alternatives(names: Sequence[str]) -> str:
    *most, last = map(repr, names)
    return f"{', '.join(most)} or {last}"
