"""What one socket of an actor has done, counted: nothing is lost without a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from actormq.errors import RemoteProtocolError
from actormq.events import DeadLetter, Events
from actormq.patterns.payload import Payload


class Tally:
    """The counts of one socket.

    Of what came in: `received = handled + dropped + waiting`.
    Of what went out: `accepted = sent + dropped + waiting`.

    Args:
        label: The socket's name, for the log.
        events: Where losses are told.

    Attributes:
        received: Messages that came in, a count.
        sent: Messages that were handed to ZeroMQ, a count.
        dropped: Messages that were lost here, by reason.
    """

    __slots__ = ("_events", "_label", "dropped", "received", "sent")

    def __init__(self, label: str, events: Events) -> None:
        self._label = label
        self._events = events
        self.received = 0
        self.sent = 0
        self.dropped: Counter[str] = Counter()

    def drop(self, what: str, reason: str, detail: str = "", count: int = 1) -> None:
        """Count a message that is lost, and say so.

        Args:
            what: The method that would have taken it, or "send".
            reason: One of few.
            detail: A sentence for the log.
            count: How many, if they are lost together.
        """
        self.dropped[reason] += count
        self._events.emit(DeadLetter(self._label, what, reason, detail, count))

    def read(self, what: str, payload: Payload, frames: Sequence[bytes]) -> list[Any] | None:
        """Count a message that came in, and read it; one that cannot be read is dropped: None."""
        self.received += 1
        try:
            return payload.values(frames)
        except RemoteProtocolError as error:
            self.drop(what, type(error).__name__, str(error))
            return None
