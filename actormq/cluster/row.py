"""Tells in a row: one ref to one handler, with nothing between them, become one envelope.

Most messages between two nodes come in such rows. Their actor and handler are then said, looked
up and checked once; each of the others costs its arguments, on both sides. That is a third of what
an envelope each costs, joined into frames as they may be (measured).
"""

from __future__ import annotations

from typing import Any

import msgspec

from actormq import message
from actormq.settings import ASIDE_BYTES, FRAME_BYTES, FRAME_MESSAGES

PLAIN = frozenset((str, int, float, bool, bytes, type(None)))
"""Types whose values, if of exactly that type, msgspec packs into the same bytes as `codec.py`."""

pack_plain = msgspec.msgpack.Encoder().encode
"""Packs what is made of `PLAIN` only; raises ValueError or OverflowError where the codec would
say what is wrong."""


def packed_plain(envelope: tuple[Any, ...], limit: int) -> bytes | None:
    """Pack an envelope of `PLAIN` values.

    Args:
        envelope: The envelope.
        limit: Bytes of a message.

    Returns:
        None if it is one for the codec: with a buffer to be set aside, or one that cannot be.
    """
    try:
        packed = pack_plain(envelope)
    except (ValueError, OverflowError):
        return None
    return packed if len(packed) < min(limit, ASIDE_BYTES) else None


LEAST = FRAME_BYTES // FRAME_MESSAGES
"""Bytes of room that a tell takes at least, so that room bounds their number as well."""

_TELL, _TELLS = b"\x94" + bytes([message.TELL]), b"\x94" + bytes([message.TELLS])
_FEW = 16  # elements of an array whose header is one byte
HEAD_BYTES = len(_TELLS) + 3  # of a row, at most, without actor and handler


class Row:
    """The tells of one ref, gathered for as long as they are in a row.

    Args:
        serial: The actor's.

    Attributes:
        handler: As it was named; None while nothing may be added.
        parts: The packed arguments of each.
        room: Bytes that may still be added, each tell counted as `LEAST` at least.
    """

    __slots__ = ("_name", "_serial", "_whom", "handler", "parts", "room")

    def __init__(self, serial: int) -> None:
        self.handler: Any = None
        self.parts: list[bytes] = []
        self.room = 0
        self._serial = serial
        self._name = ""
        self._whom = b""

    def name(self, name: str) -> int:
        """Say whose handler it is for, and how many bytes that takes, at most."""
        if name != self._name:
            self._name = name
            self._whom = pack_plain(self._serial) + pack_plain(name)
        return HEAD_BYTES + len(self._whom)

    @property
    def size(self) -> int:
        """Bytes of what has gathered."""
        return len(self._whom) + sum(map(len, self.parts)) + HEAD_BYTES

    def end(self) -> list[bytes]:
        """Take the envelope, in pieces; nothing may be added any more."""
        parts, self.parts, self.handler, self.room = self.parts, [], None, 0
        count = len(parts)
        if count == 1:
            return [_TELL + self._whom + parts[0]]
        header = bytes([0x90 | count]) if count < _FEW else b"\xdc" + count.to_bytes(2, "big")
        return [_TELLS, self._whom, header, *parts]


NO_ROW = Row(0)
"""That of a ref that has told nothing; nothing may ever be added to it."""
