"""What the runtime can report, and who may listen.

Any layer may `emit`; only `observe/` and tests interpret.
Events are imported downward and called upward, which keeps the layers free of circles.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """The root of all events."""


@dataclass(frozen=True, slots=True)
class NodeStarted(Event):
    """A node listens; `endpoints` are where."""

    node: str
    mesh: str
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """Something that whoever runs the node should read once; `level` is one of logging's."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class MemberChanged(Event):
    """A node's view of a peer changed; `state` is alive, suspect, dead or left."""

    node: str
    name: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class PeerRefused(Event):
    """A peer was not let in, or did not let us in; `reason` is for whoever runs the node."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class HandlerFailed(Event):
    """A handler raised and nobody had asked for a reply."""

    actor: str
    handler: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class ActorFailed(Event):
    """A supervised actor failed; `consequence` says what becomes of it, in words."""

    actor: str
    handler: str
    error: BaseException
    consequence: str


@dataclass(frozen=True, slots=True)
class DeadLetter(Event):
    """A message that reached no handler; `reason` is one of few, `detail` says more.

    `count` is of how many it stands for, where they were lost together.
    """

    actor: str
    handler: str
    reason: str
    detail: str = ""
    count: int = 1


class Events:
    """The hub of one node: a tally by kind, and listeners that hear each event at once."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self.dead_letter_count: Counter[str] = Counter()

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event from now on, on the loop; it must not block."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell all listeners; one that raises is logged and the others still hear it."""
        if isinstance(event, DeadLetter):
            self.dead_letter_count[event.reason] += event.count
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # a listener is not ours: a border
                logging.getLogger("actormq").exception("a listener failed on %s", event)

    def notice(self, level: int, text: str, *values: Any) -> None:
        """Say something to whoever runs the node."""
        self.emit(Notice(level, text % values if values else text))
