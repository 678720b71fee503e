"""What the rules of membership ask of whoever has the sockets."""

from __future__ import annotations

from dataclasses import dataclass

from actormq.message import Facts
from actormq.rules.records import Record, State


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask a node for a sign of life, over the connection to it."""

    node: str


@dataclass(frozen=True, slots=True)
class Dial:
    """Make a connection to a member, unless there is one or one is being made."""

    facts: Facts


@dataclass(frozen=True, slots=True)
class Retry:
    """Dial a node that is held for dead: it may only have been cut off."""

    facts: Facts


@dataclass(frozen=True, slots=True)
class Help:
    """Ask another node to reach a third one."""

    helper: str
    node: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell a node whether the one that it looks for was reached."""

    asker: str
    node: str
    is_there: bool


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell one node a record."""

    node: str
    record: Record


@dataclass(frozen=True, slots=True)
class Spread:
    """Tell all neighbours a record, but for the one that it came from."""

    record: Record
    source: str


@dataclass(frozen=True, slots=True)
class Change:
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


@dataclass(frozen=True, slots=True)
class Renew:
    """What this node says of itself has changed: say it from now on."""

    facts: Facts


Step = Ping | Dial | Retry | Help | Answer | Tell | Spread | Change | Renew
