"""What few actors have, kept beside the cell: of 100 000 most have none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actormq.actor import Actor
from actormq.context import LiveSocket, Timer
from actormq.reply import Reply
from actormq.signals import Reason

if TYPE_CHECKING:
    from actormq.family import Family

Watcher = Callable[[Reason, str], None]
"""Hears of an actor's end: the reason, and more words."""


class Extras:
    """What few actors have: all those that have nothing of it share one.

    Six slots less in a cell are 48 bytes, and 4 % of a spawn: the garbage collector looks at each.

    Attributes:
        children: Its children.
        end_replies: Hear that it has ended for good.
        restart_count: How often it was restarted.
        sockets: Its open sockets by attribute.
        stop_replies: Hear that the instance has ended that was told to stop.
        timers: What will be sent to it later.
        watchers: Hear of its end.
    """

    __slots__ = (
        "children",
        "end_replies",
        "restart_count",
        "sockets",
        "stop_replies",
        "timers",
        "watchers",
    )

    def __init__(self) -> None:
        self.children: Family | None = None
        self.end_replies: list[Reply[None]] | None = None
        self.restart_count = 0
        self.sockets: dict[str, LiveSocket] | None = None
        self.stop_replies: list[Reply[None]] | None = None
        self.timers: set[Timer] | None = None
        self.watchers: dict[Any, Watcher] | None = None


GONE = object.__new__(Actor)
"""What an actor that has ended at rest has for the user's object."""

NO_EXTRAS = Extras()
"""That of all actors that have nothing of it; it is never written to."""
