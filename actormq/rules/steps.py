"""What the rules of membership ask of whoever has the sockets."""

from __future__ import annotations

import msgspec

from actormq.message import Facts
from actormq.rules.records import Record, State


class Ping(msgspec.Struct, frozen=True):
    """Ask a node for a sign of life, over the connection to it."""

    node: str


class Dial(msgspec.Struct, frozen=True):
    """Make a connection to a member, unless there is one or one is being made."""

    facts: Facts


class Retry(msgspec.Struct, frozen=True):
    """Dial a node that is held for dead: it may only have been cut off."""

    facts: Facts


class Help(msgspec.Struct, frozen=True):
    """Ask another node to reach a third one."""

    helper: str
    node: str


class Answer(msgspec.Struct, frozen=True):
    """Tell a node whether the one that it looks for was reached."""

    asker: str
    node: str
    is_there: bool


class Tell(msgspec.Struct, frozen=True):
    """Tell one node a record."""

    node: str
    record: Record


class Spread(msgspec.Struct, frozen=True):
    """Tell all neighbours a record, but for the one that it came from."""

    record: Record
    source: str


class Change(msgspec.Struct, frozen=True):
    """What this node believes of a member has changed.

    Attributes:
        record: The latest that is said of it.
        state: What this node believes.
        reason: Why.
        is_new: Whether it was no member before.
    """

    record: Record
    state: State
    reason: str
    is_new: bool = False


class Renew(msgspec.Struct, frozen=True):
    """What this node says of itself has changed: say it from now on."""

    facts: Facts


Step = Ping | Dial | Retry | Help | Answer | Tell | Spread | Change | Renew
