"""The body of a published message, read straight into what a method asks for.

msgpack makes dicts and lists of it, of which msgspec then makes what the annotations say: 390 ns a
message for a map of four, a Struct hardly less. msgspec alone takes 120, but wants to know how many
values there are. A walk over them tells for 40, and that no array claims more than has come.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actormq.unpacker import CONTAINER_MARKS, CONTAINERS_LIMIT, Unpacker

_HEAD_MARK = 0x92  # an array of two
_MORE_BYTES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}  # behind the first byte of an integer
_ARRAY_MARK = b"\xdd"

NUMBERS_END = 2**63  # a publisher of a message a nanosecond gets there in 292 years

Body = tuple[int, int, list[Any]]
"""The stream, the number of the first value, and the values, as they came and fit."""


class BodyReader:
    """Reads bodies of maps and arrays; others are as fast the usual way.

    Args:
        unpacker: Knows the limits, and walks.
        decoder: Of a list of what the method asks for.
    """

    def __init__(self, unpacker: Unpacker, decoder: msgspec.msgpack.Decoder[list[Any]]) -> None:
        self._unpacker = unpacker
        self._decode = decoder.decode

    def read(self, frame: bytes) -> Body | None:
        """Read a body; None if it has to be read the usual way, since something does not fit.

        What is wrong is said there, and which of the values it is.
        """
        begin = _begin_of_values(frame)
        if not begin or len(frame) > CONTAINERS_LIMIT:  # which may hold too many
            return None
        count = self._unpacker.count(frame) - 1
        if count < 1:
            return None
        try:
            stream, first = msgspec.msgpack.decode(frame[:begin])
            values = self._decode(_ARRAY_MARK + count.to_bytes(4) + frame[begin:])
        except Exception:  # noqa: BLE001 a border: a `__post_init__` is not ours
            return None
        is_one = type(stream) is int and type(first) is int and 0 < first < NUMBERS_END
        return (stream, first, values) if is_one else None


def _begin_of_values(frame: bytes) -> int:
    """Where the first value begins, if it is a map or an array; else 0."""
    try:
        first = 2 + _MORE_BYTES.get(frame[1], 0)
        begin = first + 1 + _MORE_BYTES.get(frame[first], 0)
        return begin if frame[0] == _HEAD_MARK and frame[begin] in CONTAINER_MARKS else 0
    except IndexError:
        return 0
