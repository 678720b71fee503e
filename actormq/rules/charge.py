"""What a supervisor knows of one child, and of what goes from child to child."""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

from actormq.rules.restart import RestartPolicy

Phase = Literal["down", "waiting", "starting", "up", "stopping"]
"""Where a child is: down until its turn comes, waiting for its back-off to pass, and so on."""


class Charge(msgspec.Struct):
    """A child in the charge of a supervisor.

    Attributes:
        key: What it is known by.
        policy: When it is restarted.
        order: Where it stands: grows from child to child.
        is_dynamic: Whether it was added, not there from the beginning.
        phase: Where it is.
        is_new: Whether it was never up.
        is_leaving: Whether it is to be forgotten once it has stopped.
        started_at: When it came up, in seconds; None while it is not up.
        attempt: Restarts in a row, a count.
        delay: The last back-off, in seconds.
        restart_count: How often it was started again.
    """

    key: int
    policy: RestartPolicy
    order: int
    is_dynamic: bool
    phase: Phase = "down"
    is_new: bool = True
    is_leaving: bool = False
    started_at: float | None = None
    attempt: int = 0
    delay: float = 0.0
    restart_count: int = 0

    @property
    def is_running(self) -> bool:
        """Whether it has, or may have, something that is to be stopped."""
        return self.phase in ("starting", "up", "stopping")


class Run(msgspec.Struct):
    """Something that goes from child to child: `begin`, a group restart, the end of a group.

    Attributes:
        first: The order of the first child that belongs to it; all after it do too.
        leader: The child that failed; None in `begin`, at the end, and once it is forgotten.
        stage: What it is at.
        queue: Keys of children to be stopped, or to be started, the next one first.
        current: The child that it waits for.
    """

    first: int
    leader: Charge | None
    stage: Literal["stopping", "waiting", "starting"]
    queue: deque[int] = msgspec.field(default_factory=deque)
    current: int | None = None
