"""What became of the messages: `sent = delivered + dropped by reason + in flight`.

The four are counted where they happen, each by itself, so that a message that is lost without a
word shows as a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec


class Ledger(msgspec.Struct, frozen=True):
    """The messages that were offered to one actor, or to all actors of one node.

    Attributes:
        sent: Messages offered: by whom and from where does not matter.
        delivered: Messages handed to a handler.
        dropped: Messages that no handler will see, by reason, such as `MailboxFull`.
        in_flight: Messages that wait.
    """

    sent: int
    delivered: int
    dropped: Mapping[str, int]
    in_flight: int

    @property
    def unaccounted(self) -> int:
        """Messages of which nobody knows what became: anything but 0 is a bug of actormq."""
        return self.sent - self.delivered - sum(self.dropped.values()) - self.in_flight

    @property
    def is_balanced(self) -> bool:
        """Whether every message is accounted for."""
        return self.unaccounted == 0


class Books:
    """The tallies of one node: of actors that have ended, and of messages that none has taken."""

    __slots__ = ("delivered", "dropped", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.delivered = 0
        self.dropped: Counter[str] = Counter()

    def refuse(self, reason: str) -> None:
        """A message was offered and not taken."""
        self.sent += 1
        self.dropped[reason] += 1

    def close(self, sent: int, delivered: int) -> None:
        """An actor has ended: what it was sent and given goes into the node's own tallies."""
        self.sent += sent
        self.delivered += delivered
