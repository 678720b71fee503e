"""Messages in a row: what is the same in each is said once, and all are one envelope.

Most messages between two nodes come in such rows: tells of one ref to one handler with nothing
for that actor between them, asks likewise, and the answers to what one peer has asked. Actor and
handler are then said, looked up and checked once; each message costs its arguments, on both sides.
That is a third of what an envelope each costs, joined into frames as they may be (measured).

Rows to several actors go on beside each other, and end in the order in which they began: order is
promised from each sender to each receiver, and no more.
"""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING, Any

import msgpack
import msgspec

from actormq import message
from actormq.address import NODE_SERIAL
from actormq.deadlines import Bucket, bucket_end
from actormq.settings import ASIDE_BYTES, FRAME_BYTES, FRAME_MESSAGES

if TYPE_CHECKING:
    from actormq.cluster.far import FarReply
    from actormq.cluster.post import Post

PLAIN = frozenset((str, int, float, bool, bytes, type(None)))
"""Types whose values, if of exactly that type, msgspec packs into the same bytes as `codec.py`."""

pack_plain = msgspec.msgpack.Encoder().encode
"""Packs what is made of `PLAIN` only; raises ValueError or OverflowError where the codec would
say what is wrong."""


def packed_arguments(args: tuple[Any, ...]) -> bytes | None:
    """Pack arguments of `PLAIN` values; None if they are for the codec."""
    for value in args:
        if type(value) not in PLAIN:
            return None
    try:
        packed = pack_plain(args)
    except (ValueError, OverflowError):
        return None  # the codec says what is wrong
    return packed if len(packed) < ASIDE_BYTES else None


def packed_plain(value: Any, limit: int) -> bytes | None:
    """Pack an envelope of `PLAIN` values, or one such value.

    Args:
        value: The envelope, or the value.
        limit: Bytes that it may have.

    Returns:
        None if it is one for the codec: with a buffer to be set aside, or one that cannot be.
    """
    try:
        packed = pack_plain(value)
    except (TypeError, ValueError, OverflowError):  # TypeError: the name of a handler is any text
        return None
    return packed if len(packed) < min(limit, ASIDE_BYTES) else None


LEAST = FRAME_BYTES // FRAME_MESSAGES
"""Bytes of room that a message takes at least, so that room bounds their number as well."""

ROW_LIMIT = 0xFFFF  # messages of one envelope; a sender's frame holds `FRAME_MESSAGES`
NUMBER_BYTES = 9  # of an ask's number, and of its seconds, at most
HEAD_BYTES = 8 + NUMBER_BYTES  # of a row, at most, without actor and handler
_FEW = 16  # elements of an array whose header is one byte
_TELL, _TELLS = b"\x94" + bytes([message.TELL]), b"\x94" + bytes([message.TELLS])
_ASK, _ASKS = b"\x96" + bytes([message.ASK]), b"\x96" + bytes([message.ASKS])
_REPLY, _REPLIES = b"\x93" + bytes([message.REPLY]), b"\x93" + bytes([message.REPLIES])


class Room:
    """The room that rows of one frame share.

    Attributes:
        left: Bytes that may still be added, each message counted as `LEAST` at least.
    """

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


NO_ROOM = Room(0)
"""That of what has become an envelope."""


class Row(abc.ABC):
    """Messages that become one envelope, gathered for as long as they are in a row.

    Attributes:
        to: The serial of the actor that they are for: rows for several go on beside each other.
            None if they must keep their place among all.
        parts: What is packed of each: its arguments, or its value.
        numbers: Those of asks, and of what is answered.
        room: What may still be added; none once it is an envelope.
    """

    __slots__ = ("numbers", "parts", "room", "to")

    def __init__(self, to: int | None) -> None:
        self.to = to
        self.parts: list[bytes] = []
        self.numbers: list[int] = []
        self.room = NO_ROOM

    @property
    def size(self) -> int:
        """Bytes of what has gathered, at most."""
        return HEAD_BYTES + sum(map(len, self.parts)) + NUMBER_BYTES * len(self.numbers)

    def end(self) -> bytes:
        """Take the envelope; nothing may be added any more."""
        parts, numbers = self.parts, self.numbers
        self.parts, self.room = [], NO_ROOM
        if numbers:
            self.numbers = []
        if len(parts) == 1:
            return self._single(parts[0], numbers)
        count = len(parts)
        header = bytes([0x90 | count]) if count < _FEW else b"\xdc" + count.to_bytes(2, "big")
        return b"".join((self._head(numbers), header, *parts))

    @abc.abstractmethod
    def _single(self, part: bytes, numbers: list[int]) -> bytes:
        """Make the envelope of one message."""

    @abc.abstractmethod
    def _head(self, numbers: list[int]) -> bytes:
        """Make what stands before the parts in the envelope of several."""


class TellRow(Row):
    """The tells of one ref.

    Args:
        serial: The actor's.

    Attributes:
        handler: As it was named.
        name: The handler's name.
    """

    __slots__ = ("_serial", "_whom", "handler", "name")

    def __init__(self, serial: int) -> None:
        # What is asked of the node itself is about other actors, such as the stop of one.
        super().__init__(None if serial == NODE_SERIAL else serial)
        self.handler: Any = None
        self.name = ""
        self._serial = serial
        self._whom = b""

    def rename(self, handler: Any, name: str) -> int:
        """Say which handler it is for, and how many bytes it takes without a message, at most.

        Raises:
            ValueError: The name has no form on the wire.
        """
        if name != self.name or not self._whom:
            # msgpack takes any text, msgspec none of a class of its own.
            self._whom = pack_plain(self._serial) + msgpack.packb(name)
            self.name = name
        self.handler = handler
        return HEAD_BYTES + len(self._whom)

    @property
    def size(self) -> int:
        """Bytes of what has gathered, at most."""
        return super().size + len(self._whom)

    def _single(self, part: bytes, _numbers: list[int]) -> bytes:
        return _TELL + self._whom + part

    def _head(self, _numbers: list[int]) -> bytes:
        return _TELLS + self._whom


class AskRow(TellRow):
    """The asks of one ref that may take as long, or end with the same ask that they serve.

    Args:
        serial: The actor's.
        post: Draws their numbers, and keeps who waits for answers.
    """

    __slots__ = ("_bucket", "_deadline", "_post", "_seconds", "_until")

    def __init__(self, serial: int, post: Post) -> None:
        super().__init__(serial)
        self._post = post
        self._seconds = self._deadline = self._until = 0.0
        self._bucket: Bucket = {}

    def begin(self, reply: FarReply, packed: bytes) -> None:
        """Add the first ask.

        Args:
            reply: What waits for the answer.
            packed: The arguments.
        """
        self._seconds = reply.seconds
        self._deadline = reply.deadline
        self._until = -math.inf
        self._add(reply, packed)

    def took(self, reply: FarReply, packed: bytes, now: float) -> bool:
        """Add one more ask, if it has the same time and there is room for it; say whether.

        Args:
            reply: What waits for the answer.
            packed: The arguments.
            now: The node's time.
        """
        size = len(packed) + NUMBER_BYTES
        if size > self.room.left or not (
            reply.seconds == self._seconds or reply.deadline == self._deadline > now
        ):
            return False
        self.room.left -= size if size > LEAST else LEAST  # noqa: FURB136 a call costs thrice
        self._add(reply, packed)
        return True

    def _add(self, reply: FarReply, packed: bytes) -> None:
        post = self._post
        number = reply.number = post.number()
        self.numbers.append(number)
        self.parts.append(packed)
        post.pending[number] = reply
        # Mostly what holds the deadline of the one before holds this one's as well.
        if reply.deadline < self._until:
            bucket = reply.bucket = self._bucket
            bucket[reply] = None
        else:
            reply.arm(post.deadlines, reply.deadline)
            if reply.bucket is not None:
                self._bucket, self._until = reply.bucket, bucket_end(reply.deadline)

    def _single(self, part: bytes, numbers: list[int]) -> bytes:
        return _ASK + pack_plain(numbers[0]) + pack_plain(self._seconds) + self._whom + part

    def _head(self, numbers: list[int]) -> bytes:
        return _ASKS + pack_plain(numbers) + pack_plain(self._seconds) + self._whom


class ReplyRow(Row):
    """The answers to what one peer has asked."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None)

    def took(self, number: int, value: Any) -> bool:
        """Add the answer to an ask, if it is plain and there is room for it; say whether."""
        if self.room is NO_ROOM or type(value) not in PLAIN:
            return False
        try:
            packed = pack_plain(value)
        except (ValueError, OverflowError):
            return False  # the codec says what is wrong
        size = len(packed) + NUMBER_BYTES
        if size > self.room.left:
            return False
        self.room.left -= size if size > LEAST else LEAST  # noqa: FURB136 a call costs thrice
        self.numbers.append(number)
        self.parts.append(packed)
        return True

    def _single(self, part: bytes, numbers: list[int]) -> bytes:
        return _REPLY + pack_plain(numbers[0]) + part

    def _head(self, numbers: list[int]) -> bytes:
        return _REPLIES + pack_plain(numbers)


NO_ROW = TellRow(0)
"""That of a ref that has told nothing; nothing may ever be added to it."""
