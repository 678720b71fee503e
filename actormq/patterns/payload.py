"""The values of a message as the frames of a multipart, one each, in one of three codecs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from actormq.codec import Codec
from actormq.errors import MessageTooLarge, RemoteProtocolError, SetupError

CodecName = Literal["msgpack", "text", "raw"]


class Payload:
    """Writes and reads the messages of one socket.

    Args:
        name: `msgpack` (any value that can travel), `text` (UTF-8) or `raw` (bytes as they are).
        codec: The node's, for msgpack.
        label: The socket's name, for errors.
    """

    def __init__(self, name: CodecName, codec: Codec, label: str) -> None:
        self.name = name
        self._codec = codec
        self._label = label
        ways: dict[CodecName, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
            "msgpack": (self._packed, self._unpacked),
            "text": (self._text, _decoded),
            "raw": (self._raw, bytes),
        }
        self._written, self._read = ways[name]
        self._frame_limit = max(codec.message_limit, codec.buffer_limit)

    def frames(self, values: Sequence[Any]) -> list[bytes]:
        """Write a message, a frame for each value.

        Raises:
            SetupError: There is no value, or one does not fit the codec.
            NotEncodable: One has no form on the wire.
            MessageTooLarge: One is over `message_limit`; texts and bytes as they are may also have
                the size of `buffer_limit`.
        """
        if not values:
            raise SetupError(f"{self._label}: a message has one value at least")
        return [self._checked(self._written(value)) for value in values]

    def values(self, frames: Sequence[bytes]) -> list[Any]:
        """Read a message, a value for each frame.

        Raises:
            RemoteProtocolError: A frame is not of this codec.
        """
        return [self._read(frame) for frame in frames]

    def _checked(self, frame: bytes) -> bytes:
        """Refuse what a socket like ours would not take: it would drop the connection."""
        if len(frame) > self._frame_limit:
            raise MessageTooLarge(self._label, len(frame), self._frame_limit)
        return frame

    def _packed(self, value: Any) -> bytes:
        return self._codec.pack_whole(self._label, value)

    def _unpacked(self, frame: bytes) -> Any:
        values = self._codec.unpack_all(frame)
        if len(values) != 1:
            raise RemoteProtocolError(f"a frame of {len(values)} msgpack values, not of one")
        return values[0]

    def _text(self, value: Any) -> bytes:
        if not isinstance(value, str | int | float):
            raise SetupError(
                f"{self._label}: codec 'text' takes a text or number, not {type(value).__name__}"
            )
        try:
            return str(value).encode()
        except UnicodeEncodeError as error:
            raise SetupError(f"{self._label}: {value!r} cannot be written as UTF-8") from error

    def _raw(self, value: Any) -> bytes:
        if type(value) is bytes:
            return value
        if not isinstance(value, bytes | bytearray | memoryview):
            raise SetupError(
                f"{self._label}: codec 'raw' takes bytes, not {type(value).__name__}; "
                'for texts there is codec="text"'
            )
        return bytes(value)


def _decoded(frame: bytes) -> str:
    try:
        return frame.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"a frame that is no UTF-8 text: {error.reason}") from error
