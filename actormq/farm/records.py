"""What a store keeps, as bytes that show whether they were altered.

SQLite does not check what it reads: a bit that flipped in a row comes back flipped, and its own
`integrity_check` finds nothing wrong. So each record carries a digest of its own, taken over its
kind, its id and its content: a record that turns up at another place than its own fails as well.

BLAKE2b with 8 bytes costs 0.4 us a record of 200 bytes, and CRC-32 would cost 0.2 us. But damage to
a page can mix up thousands of records at once, and of those one in 2**32 would pass a CRC.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from hashlib import blake2b

TASK, OUTCOME, HEAD, DAMAGE, NOTE = b"t", b"o", b"h", b"d", b"n"
"""The kinds: a task, what became of it, the facts of the batch, a damage, the claim's note."""

DIGEST = 8  # bytes
FORMAT = 1  # of all that is written here

_KEY = struct.Struct(">cQ")  # kind, id
_OUTCOME = struct.Struct(">I?dH")  # tries, is_failure, seconds, bytes of the node's name
_HEAD = struct.Struct(">B16sQQ?Q")  # format, batch, accepted, outcomes, is total known, total


class Altered(Exception):
    """A record is not what was written: its digest or its form is wrong."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task, for good.

    Attributes:
        id: Of the task, a count from 0.
        tries: How often it was begun.
        is_failure: Whether the payload is a failure.
        payload: The packed value, or the packed failure.
        seconds: How long the last try took.
        node: Where it ran.
    """

    id: int
    tries: int
    is_failure: bool
    payload: bytes
    seconds: float
    node: str


@dataclass(frozen=True, slots=True)
class Damage:
    """A record that was written and cannot be given back.

    Attributes:
        what: "task", "outcome" or "file".
        id: Of the task; -1 where nobody can say which.
        reason: What is wrong with it, in words.
        count: Of records; more than one only where nobody can say which.
    """

    what: str
    id: int
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Head:
    """The facts of a batch, written anew with each group.

    Attributes:
        batch: Random bytes that tell this batch from others, 16 of them.
        job: What it runs.
        accepted: Tasks that were accepted, a count.
        outcomes: Outcomes that were recorded, a count.
        total: Tasks of the whole input; None while it has not been read to its end.
    """

    batch: bytes
    job: str
    accepted: int
    outcomes: int
    total: int | None

    def pack(self) -> bytes:
        """Give its bytes, sealed."""
        is_known = self.total is not None
        fixed = _HEAD.pack(
            FORMAT, self.batch, self.accepted, self.outcomes, is_known, self.total or 0
        )
        return seal(HEAD, 0, fixed + self.job.encode())


def seal(kind: bytes, number: int, content: bytes) -> bytes:
    """Put the digest before a record's content.

    Args:
        kind: One of those above.
        number: Its id.
        content: Any bytes.
    """
    return blake2b(_KEY.pack(kind, number) + content, digest_size=DIGEST).digest() + content


def unseal(kind: bytes, number: int, record: object) -> bytes:
    """Give the content of a record that is as it was written.

    Raises:
        Altered: It is not.
    """
    # A damaged row may hold a number or a text in place of its bytes.
    if isinstance(record, bytes) and 0 <= number < 1 << 63:
        content = record[DIGEST:]
        if (
            blake2b(_KEY.pack(kind, number) + content, digest_size=DIGEST).digest()
            == record[:DIGEST]
        ):
            return content
    raise Altered


def pack_outcome(outcome: Outcome) -> bytes:
    """Give an outcome's bytes, sealed."""
    node = outcome.node.encode()[:65_535]
    fixed = _OUTCOME.pack(outcome.tries, outcome.is_failure, outcome.seconds, len(node))
    return seal(OUTCOME, outcome.id, fixed + node + outcome.payload)


def unpack_outcome(number: int, record: object) -> Outcome:
    """Make an outcome of its bytes.

    Raises:
        Altered: They are not what was written.
    """
    content = unseal(OUTCOME, number, record)
    tries, is_failure, seconds, length = _OUTCOME.unpack_from(content)
    end = _OUTCOME.size + length
    node = content[_OUTCOME.size : end].decode(errors="replace")
    return Outcome(number, tries, is_failure, content[end:], seconds, node)


def pack_damage(number: int, damage: Damage) -> bytes:
    """Give a damage's bytes, sealed.

    Args:
        number: Of the row that it stands in.
        damage: What was found.
    """
    fields = [damage.what, damage.id, damage.reason, damage.count]
    return seal(DAMAGE, number, json.dumps(fields).encode())


def unpack_damage(number: int, record: object) -> Damage:
    """Make a damage of its bytes.

    Raises:
        Altered: They are not what was written.
    """
    return Damage(*json.loads(unseal(DAMAGE, number, record)))


def unpack_head(record: object) -> Head:
    """Make the facts of a batch of their bytes.

    Raises:
        Altered: They are not what was written, or are of a format that is not ours.
    """
    content = unseal(HEAD, 0, record)
    form, batch, accepted, outcomes, is_known, total = _HEAD.unpack_from(content)
    if form != FORMAT:
        raise Altered
    job = content[_HEAD.size :].decode()
    return Head(batch, job, accepted, outcomes, total if is_known else None)
