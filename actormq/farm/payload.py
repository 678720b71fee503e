"""Payloads and results: one msgpack value each, with bounds that hold where it is read too."""

from __future__ import annotations

from typing import Any

from actormq.codec import Codec
from actormq.errors import MessageTooLarge, NotEncodable, RemoteProtocolError
from actormq.settings import BUFFER_BYTES, FRAME_BYTES

_ROUND = 512  # bytes of an envelope around a blob of one value


def value_limit(message_limit: int, buffer_limit: int, link_limit: int) -> int:
    """The bytes that one packed payload or result may have, on a node with these settings."""
    limit = min(buffer_limit, link_limit)
    if message_limit < BUFFER_BYTES + _ROUND:  # what is too small to travel beside a message
        limit = min(limit, message_limit - _ROUND)
    return limit


def limits_named(limit: int) -> str:
    """The settings to raise where a value is over what `value_limit` gave."""
    message = "" if limit >= BUFFER_BYTES else "message_limit, "
    return f"{message}buffer_limit and link_limit of the nodes"


def payload_codec(limit: int) -> Codec:
    """A codec for values on their own, of at most `limit` bytes each."""
    return Codec(limit, limit)


def packed(codec: Codec, to: str, value: Any) -> bytes:
    """Pack a payload or a result.

    Args:
        codec: Of `payload_codec`.
        to: The receiver, for errors.
        value: Anything that has a form on the wire.

    Raises:
        NotEncodable: It holds something that has none, or more lists and maps than a reader makes.
        MessageTooLarge: It is over the codec's limit.
    """
    try:
        data = codec.pack_value(to, value)
    except MessageTooLarge as error:
        _, size, limit = error.facts
        advice = f"put it into a file and pass its name, or raise {limits_named(limit)}"
        raise MessageTooLarge(to, size, limit, advice) from None
    if len(data) > FRAME_BYTES:
        check(codec, to, data)
    return data


def check(codec: Codec, to: str, data: bytes) -> None:
    """Make sure that a long value can be read: readers count its lists and maps.

    Raises:
        NotEncodable: It cannot.
    """
    try:
        codec.unpack_all(data)
    except RemoteProtocolError as error:
        raise NotEncodable(to, str(error)) from error


def values_of(codec: Codec, blob: bytes) -> list[Any]:
    """Read a blob, however many lists and maps its values have together.

    Raises:
        RemoteProtocolError: One of them cannot be read.
    """
    try:
        return codec.unpack_all(blob)
    except RemoteProtocolError:
        return [codec.unpack_all(piece)[0] for piece in codec.split(blob)]
