"""What nodes tell each other of a node, and which of two such records is the later one.

A record spreads by gossip, so records come late, twice and in any order. `is_later` puts all
records of one node in one order, and everybody keeps the latest: then all end with the same.

- A higher incarnation is later, whatever was said of a lower one.
- Within one incarnation an end is final: who was declared dead, or has left, does not come back but
  as a new incarnation.
- Before that a higher edition is later. Only the node itself makes one: it contradicts a suspicion,
  or its endpoints have changed.
- Of two records of one edition a suspicion is the later one.

Two sides of a cut hold each other for dead. When they meet again, what one says of the other's
members would kill them in the eyes of their own side. So an end that is in dispute is told as a
suspicion that no edition can contradict, but the next incarnation can (`disputed`).
"""

from __future__ import annotations

import enum

import msgspec

from actormq.message import Facts

DISPUTED = 2**62
"""The edition of a suspicion that only another incarnation contradicts."""


class State(enum.StrEnum):
    """What a node believes of a peer."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"

    @property
    def is_final(self) -> bool:
        """Whether the incarnation is over."""
        return self in (State.DEAD, State.LEFT)


class Record(msgspec.Struct, frozen=True):
    """What is said of a node.

    Attributes:
        facts: What it said of itself.
        state: What is believed of it.
        reason: Why, for people.
        accuser: The id of who suspects it, or has declared it dead; "" of others.
    """

    facts: Facts
    state: State
    reason: str
    accuser: str = ""

    @property
    def node(self) -> str:
        """The id of the node."""
        return self.facts.node


def rank(record: Record) -> tuple[int, bool, int, bool]:
    """Where a record stands in the order of all that are said of one node."""
    is_final = record.state.is_final
    edition = 0 if is_final else record.facts.edition  # of two ends neither is later
    return record.facts.incarnation, is_final, edition, record.state is State.SUSPECT


def disputed(record: Record) -> Record:
    """What to say of a node that was declared dead, to whoever holds it for alive."""
    if record.state is not State.DEAD:
        return record
    facts = msgspec.structs.replace(record.facts, edition=DISPUTED)
    return Record(facts, State.SUSPECT, "others hold it for dead", record.accuser)


def is_later(one: Record, other: Record) -> bool:
    """Whether one record says something newer than another of the same node."""
    return rank(one) > rank(other)
