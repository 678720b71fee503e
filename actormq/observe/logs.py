"""Says in the log what whoever runs a node should know, in one line each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from actormq.errors import one_line
from actormq.events import (
    DeadLetter,
    Event,
    Events,
    HandlerFailed,
    MemberChanged,
    NodeStarted,
    Notice,
    PeerRefused,
)

DEAD_LETTERS_A_SECOND = 10  # lines; a flood of losses must not become a flood of lines

log = logging.getLogger("actormq")


class _Limit:
    """So many lines a second; says afterwards how many were left out."""

    def __init__(self, lines: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._lines = lines
        self._clock = clock
        self._second = 0
        self._count = 0

    def allows(self) -> bool:
        """Whether one more line may be written now."""
        second = int(self._clock())
        if second != self._second:
            if self._count > self._lines:
                log.warning("%d more dead letters in that second", self._count - self._lines)
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= self._lines


def log_events(events: Events, node: str, clock: Callable[[], float] = time.monotonic) -> None:
    """Write a node's events to the logger `actormq` from now on.

    Args:
        events: Those of the node.
        node: Its name, for the lines.
        clock: Its time, in seconds.
    """
    limit = _Limit(DEAD_LETTERS_A_SECOND, clock)

    def write(event: Event) -> None:
        match event:
            case NodeStarted():
                log.info("%s: started in mesh %s at %s", node, event.mesh, _tcp(event.endpoints))
            case MemberChanged():
                reason = one_line(event.reason)
                log.info("%s: %s is %s: %s", node, one_line(event.name), event.state, reason)
            case PeerRefused():
                log.warning("%s: %s: %s", node, one_line(event.who), one_line(event.reason))
            case Notice():
                log.log(event.level, "%s: %s", node, one_line(event.text))
            case HandlerFailed():
                error = event.error
                log.error("%s: %s.%s raised", node, event.actor, event.handler, exc_info=error)
            case DeadLetter() if limit.allows():
                text = "%s: dead letter for %s.%s: %s"
                whom, why = (event.actor, event.handler), event.detail or event.reason
                log.warning(text, node, *map(one_line, whom), one_line(why))
            case _:
                pass

    events.listen(write)


def _tcp(endpoints: tuple[str, ...]) -> str:
    return ", ".join(e for e in endpoints if e.startswith("tcp://")) or "no address: a guest"
