"""msgpack to values: whatever the bytes are, bounds come first, and there is one type of error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from actormq.address import Address
from actormq.errors import RemoteProtocolError
from actormq.forms import EXT_ARRAY, EXT_BUFFER, EXT_REF, Buffer, array_from
from actormq.kept import EXT_KIND, MARK, Reader
from actormq.message import Envelope
from actormq.settings import FRAME_BYTES

CONTAINERS_LIMIT = 250_000  # per frame: 1 MiB of empty lists would decode to 70 MiB (measured)
_NIL = b"\xc0"
_MARK_BEGIN = MARK[:1]
CONTAINER_MARKS = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])
"""How msgpack's maps and arrays begin."""

_LONG_ARRAY, _LONGER_ARRAY = b"\xdc", b"\xdd"  # headers that may claim elements which never come
_REF_BYTES, _REF_TEXT_BYTES = 2_048, 1_024  # a label has 255 characters of up to 4 bytes
_DIMENSIONS_LIMIT = 64  # as numpy


class Unpacker:
    """The half of a `Codec` that unpacks; there the arguments are described."""

    def __init__(
        self, message_limit: int, buffer_limit: int, ref_to: Callable[[Address], object]
    ) -> None:
        self.message_limit = message_limit
        self.buffer_limit = buffer_limit
        self._ref_to = ref_to
        self._incoming: list[Buffer] = []
        self._reader: Reader | None = None
        self._unpacker = self._new_unpacker()
        self._skipper = self._new_unpacker()

    def unpack(self, frames: Sequence[Any]) -> list[Envelope]:
        """Unpack one link message.

        Args:
            frames: One frame of concatenated envelopes, bytes, and then the buffers that stand
                beside them: bytes, or views of memory that is lent.

        Returns:
            The envelopes in order; each is a list whose first element is an integer.

        Raises:
            RemoteProtocolError: The bytes are no envelopes, or are over a limit; none counts.
        """
        if not frames:
            raise RemoteProtocolError("an empty message")
        if len(frames) == 1:
            envelopes = self.unpack_all(frames[0])
        else:
            envelopes = self._unpack_beside(frames[0], frames[1:])
        if not envelopes:
            raise RemoteProtocolError("a message without an envelope")
        for envelope in envelopes:
            if type(envelope) is not list or not envelope or type(envelope[0]) is not int:
                raise RemoteProtocolError("an envelope is an array that begins with its kind")
        return envelopes

    def _unpack_beside(self, frame: bytes, buffers: Sequence[bytes]) -> list[Any]:
        if any(len(buffer) > self.buffer_limit for buffer in buffers):
            raise RemoteProtocolError("a buffer over buffer_limit")
        self._incoming = list(buffers)
        try:
            return self.unpack_all(frame)
        finally:
            self._incoming = []  # the next frame must not find them, and they may be large

    def unpack_all(self, frame: bytes) -> list[Any]:
        """Unpack a frame of concatenated values of any kind, all of them or none.

        Raises:
            RemoteProtocolError: As `unpack`.
        """
        try:
            if _LONG_ARRAY in frame or _LONGER_ARRAY in frame:
                self._walk(frame)
            is_large = len(frame) > FRAME_BYTES and _containers_at_most(frame) > CONTAINERS_LIMIT
            count = _Counter() if is_large else None
            # One byte is looked for a hundred times as fast as two, and two more than twice as fast
            # from the end (in 35 kB: 0.1, 26 and 10 us).
            if _MARK_BEGIN in frame and frame.rfind(MARK) >= 0:
                return self._kept_values(frame, count)
            if count is not None:
                return _values(self._new_unpacker(list_hook=count, object_hook=count), frame)
            try:
                return _values(self._unpacker, frame)
            except TypeError:
                # A key that is an array, such as a tuple was at the sender. It must not cost the
                # frame: that holds what others have sent.
                self._unpacker = self._new_unpacker()
                return _values(self._new_unpacker(object_pairs_hook=_map_of_pairs), frame)
        except msgpack.OutOfData:
            text = "the last value of a frame is cut off"
        except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as e:
            text = f"no msgpack: {str(e) or type(e).__name__}"
        # What has failed may hold the beginning of a value: it must not meet the next frame.
        self._unpacker, self._skipper = self._new_unpacker(), self._new_unpacker()
        raise RemoteProtocolError(text)

    def split(self, frame: bytes) -> list[bytes]:
        """Cut concatenated values apart without making them.

        Raises:
            RemoteProtocolError: The bytes are no msgpack.
        """
        skipper, pieces, begin = self._new_unpacker(), [], 0
        try:
            skipper.feed(frame)
            while begin < len(frame):
                skipper.skip()
                end = skipper.tell()
                pieces.append(frame[begin:end])
                begin = end
        except (msgpack.UnpackException, ValueError, RecursionError) as error:
            text = f"no msgpack: {str(error) or type(error).__name__}"
            raise RemoteProtocolError(text) from error
        return pieces

    def _kept_values(self, frame: bytes, count: _Counter | None) -> list[Any]:
        """Read all values of a frame in which some keep their types, or seem to."""
        reader = self._reader = Reader()

        def made(items: list[Any]) -> Any:
            return reader.made(items if count is None else count(items))

        def map_of(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
            return _map_of_pairs(pairs if count is None else count(pairs))

        try:
            values = _values(self._new_unpacker(list_hook=made, object_pairs_hook=map_of), frame)
        finally:
            self._reader = None
        reader.check()
        return values

    def count(self, frame: bytes) -> int:
        """How many values a frame has, of which none claims elements that are not there.

        0 if they are no msgpack, or the last one is cut off.
        """
        try:
            return self._walk(frame)
        except (msgpack.UnpackException, ValueError, RecursionError):
            self._skipper = self._new_unpacker()
            return 0

    def _walk(self, frame: bytes) -> int:
        """Walk a frame without making its values; how many there are.

        An array header of five bytes may claim a million elements, and msgpack makes room for
        them at once, at every level of nesting.

        Raises:
            msgpack.UnpackException: Some of the elements are not there.
        """
        skipper, count = self._skipper, 0
        end = skipper.tell() + len(frame)
        skipper.feed(frame)
        while skipper.tell() < end:
            skipper.skip()
            count += 1
        return count

    def _new_unpacker(self, **hooks: Any) -> Any:
        # Every bound is given by name: with max_buffer_size alone, strings and containers could
        # still claim its whole length. Integer keys are allowed: users' dicts have them.
        # Nesting is bounded by msgpack itself, at 1024 containers.
        limit = self.message_limit + FRAME_BYTES
        return msgpack.Unpacker(
            ext_hook=self.extension,
            read_size=FRAME_BYTES,  # what it sets aside at once
            max_buffer_size=2 * limit,
            max_str_len=limit,
            max_bin_len=limit,
            max_ext_len=limit,
            max_array_len=limit,
            max_map_len=limit // 2,
            strict_map_key=False,
            timestamp=3,
            **hooks,
        )

    def extension(self, code: int, body: bytes | memoryview) -> Any:
        """Read an ext type.

        Raises:
            ValueError: It is none, or has no place here.
        """
        data = bytes(body)
        if code == EXT_BUFFER:
            return self._copied(data)
        if code == EXT_REF:
            if len(data) > _REF_BYTES:
                raise ValueError("a ref is too long")
            return self._ref(
                msgpack.unpackb(data, max_str_len=_REF_TEXT_BYTES, max_array_len=3, max_map_len=0)
            )
        if code == EXT_ARRAY:
            # No array in an array: a level costs 40 kB of the C stack, which ends the process.
            return array_from(
                msgpack.unpackb(
                    data,
                    ext_hook=self._buffer_extension,
                    max_bin_len=len(data),
                    max_array_len=_DIMENSIONS_LIMIT,
                    max_map_len=0,
                )
            )
        if code == EXT_KIND and self._reader is not None:
            return self._reader.mark(data)
        raise ValueError(f"ext type {code} is unknown")

    def _buffer_extension(self, code: int, data: bytes) -> Any:
        if code == EXT_BUFFER:
            return self._buffer(data)
        raise ValueError(f"ext type {code} in an array")

    def _copied(self, data: bytes) -> bytes:
        """A buffer as bytes, copied once: a small envelope may name a large one a million times."""
        buffer = self._buffer(data)
        if type(buffer) is not bytes:
            buffer = self._incoming[data[0]] = bytes(buffer)
        return buffer

    def _buffer(self, data: bytes) -> Buffer:
        if len(data) != 1 or data[0] >= len(self._incoming):
            raise ValueError("a buffer is named that does not follow")
        return self._incoming[data[0]]

    def _ref(self, parts: Any) -> object:
        match parts:
            case [str(node), int(serial), str(label)]:
                return self._ref_to(Address(node, serial, label))
        raise ValueError("a ref is [node id, serial, label]")


def _values(unpacker: Any, frame: bytes) -> list[Any]:
    """Read all values of a frame.

    Raises:
        msgpack.OutOfData: The last one is not complete.
    """
    unpacker.feed(frame)
    values = list(unpacker)
    # An unpacker that waits for the rest of a value says nothing. It would take what comes next
    # for that rest; so a nil comes next, and must be found to be one.
    unpacker.feed(_NIL)
    if unpacker.unpack() is not None:
        raise msgpack.OutOfData
    return values


def _map_of_pairs(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    return {_as_key(key): value for key, value in pairs}


def _as_key(key: Any) -> Any:
    """Make a key of what was one at the sender: a tuple of an array, or of a map's items."""
    if isinstance(key, list | tuple):
        return tuple(map(_as_key, key))
    if isinstance(key, dict):
        return tuple((name, _as_key(value)) for name, value in key.items())
    return key


def _containers_at_most(frame: bytes) -> int:
    """An upper bound of the lists and maps in a frame, in one pass of C over its bytes."""
    return len(frame) - len(frame.translate(None, CONTAINER_MARKS))


class _Counter:
    """Counts containers as they are made, and stops where there are too many."""

    def __init__(self) -> None:
        self._left = CONTAINERS_LIMIT

    def __call__(self, container: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {CONTAINERS_LIMIT} lists or maps in one message")
        return container
