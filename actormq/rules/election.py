"""Who of those that offer a name holds it: the oldest member, and never two that see each other.

Every owner decides for its own actor alone and says what it has decided; nobody votes, and nobody
decides for another. Three rules make one holder of that:

- the best offer is the one of the oldest member, so a newcomer never takes a name away;
- who is not the best lets go, first, and only then says so;
- who is the best takes the name once no other living member says that it holds it.

So a name changes hands with nobody holding it for a moment, and is held by two only where the two
could not hear of each other: in a partition, each side elects one. After it has healed the younger
one lets go, and until it has said so its own side stays with it. Whoever must be sure that there
are never two needs a majority (`is_majority`), or an engine with consensus.

Source: `singleton` of Akka Cluster, which also gives it to the oldest; the order of letting go and
taking is that of its hand-over.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable

import msgspec

Key = tuple[str, int]
"""Names an offer: the id of its node, and the actor's serial there."""


class Offer(msgspec.Struct, frozen=True):
    """One actor that could hold a name.

    Attributes:
        seniority: Of its node; lower is older, 0 is a node that has not taken its place yet.
        node: The id of its node.
        serial: The actor's number there.
        holds: Whether it holds the name, as its node says.
    """

    seniority: int
    node: str
    serial: int
    holds: bool

    @property
    def rank(self) -> tuple[float, str, int]:
        """The lowest is the best; no two are equal."""
        return (self.seniority or math.inf, self.node, self.serial)

    @property
    def key(self) -> Key:
        """What names it."""
        return (self.node, self.serial)


class Move(enum.Enum):
    """What an owner does with its own actor."""

    STAY = "stay"
    TAKE = "take"
    LET_GO = "let go"


class Verdict(msgspec.Struct, frozen=True):
    """What to do, and because of whom.

    Attributes:
        move: What to do.
        before: The offer that goes before one's own: a better one, or one that still holds.
    """

    move: Move
    before: Offer | None = None


def decide(own: Offer, others: Iterable[Offer], *, is_known: bool) -> Verdict:
    """Say what an owner does with its actor.

    Args:
        own: Its offer.
        others: All other offers of the name by living members, as far as it knows.
        is_known: Whether its offer has been there for long enough that the others know of it.
    """
    others = list(others)
    best = min(others, key=lambda offer: offer.rank, default=None)
    if best is not None and best.rank < own.rank:
        return Verdict(Move.LET_GO if own.holds else Move.STAY, best)
    if own.holds:
        return Verdict(Move.STAY)
    holding = min((o for o in others if o.holds), key=lambda offer: offer.rank, default=None)
    if holding is not None:
        return Verdict(Move.STAY, holding)
    return Verdict(Move.TAKE if is_known else Move.STAY)


def holder(offers: Iterable[Offer], current: Key | None) -> Offer | None:
    """Say who holds a name in the eyes of one node.

    Args:
        offers: All offers of the name by living members.
        current: Whom it has held for the holder so far. It stays with that one while it holds on,
            so that it is told of nobody new before the old one has let go.
    """
    holding = [offer for offer in offers if offer.holds]
    for offer in holding:
        if offer.key == current:
            return offer
    return min(holding, key=lambda offer: offer.rank, default=None)


def majority(expected: int) -> int:
    """How many of so many expected nodes must be there for one to be elected."""
    return expected // 2 + 1


def is_majority(living: int, expected: int) -> bool:
    """Say whether enough nodes are there to elect.

    Args:
        living: The nodes that are there, this one included.
        expected: How many there ought to be; 0: nobody has said, and any number will do.
    """
    return not expected or living >= majority(expected)
