"""Values to msgpack and back: bounds first, one type of error, never pickle.

What msgpack itself has travels as it is.
Dataclasses, `msgspec.Struct`s, enums, dates, `UUID`, `Decimal` and sets travel in their plain form;
the receiver's annotation makes them again (`arguments.py`).
Refs and numpy arrays have ext types, so that they arrive as what they were without an annotation.
So do tuples, sets, dates and some more, where both ends are Python (`kept.py`).
Buffers from `ASIDE_BYTES` on leave their message and travel beside it, uncopied.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import pathlib
import re
import sys
import uuid
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgpack
import msgspec

from actormq.address import Address
from actormq.errors import MessageTooLarge, NotEncodable, RemoteProtocolError
from actormq.kept import EXT_KIND, MARK, Reader, form
from actormq.message import Envelope
from actormq.settings import ASIDE_BYTES, BUFFER_BYTES, FRAME_BYTES

EXT_REF = 1  # [node id, serial, label]
EXT_ARRAY = 2  # [dtype, shape, bytes or ext 3]
EXT_BUFFER = 3  # index of a frame that follows, as one unsigned byte

CONTAINERS_LIMIT = 250_000  # per frame: 1 MiB of empty lists would decode to 70 MiB (measured)
_NIL = b"\xc0"
_MARK_BEGIN = MARK[:1]
_CONTAINER_MARKS = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])  # msgpack's lists and maps
_BUFFERS_LIMIT = 255  # large buffers beside one message
_LONG_ARRAY, _LONGER_ARRAY = b"\xdc", b"\xdd"  # headers that may claim elements which never come
_REF_BYTES, _REF_TEXT_BYTES = 2_048, 1_024  # a label has 255 characters of up to 4 bytes
_DIMENSIONS_LIMIT = 64  # as numpy
_DTYPE = re.compile(r"[<>|][biufcmMSUV][0-9]{1,9}(\[[0-9A-Za-z]{1,16}\])?\Z")
"""What `dtype.str` gives. numpy itself reads far more from a text, structures and Python objects
included, and warns of some."""
_BIN_HEADER = re.compile(
    rb"\xc6(?:%b[%b-\xff]|[\x01-\xff])"
    % (re.escape(bytes([ASIDE_BYTES >> 24])), re.escape(bytes([ASIDE_BYTES >> 16]))),
    re.DOTALL,
)
"""How a bin of at least `ASIDE_BYTES` begins; other bytes may look the same."""
_TEXT_FORMS = (uuid.UUID, decimal.Decimal, pathlib.PurePath)
_DATE_FORMS = (dt.datetime, dt.date, dt.time)

# AttributeError: a field of a dataclass or Struct that was never set; BufferError: a memoryview
# with gaps.
_UNPACKABLE = (
    *(AttributeError, TypeError, ValueError, OverflowError, RecursionError, BufferError),
)

Buffer = bytes | bytearray | memoryview


class Codec:
    """Packs and unpacks for one node.

    Args:
        message_limit: Bytes of one packed message, buffers beside it not counted.
        buffer_limit: Bytes of one buffer.
        address_of: Gives the address of a ref, None for anything else.
        ref_to: Makes a ref of an address.
    """

    def __init__(
        self,
        message_limit: int,
        buffer_limit: int,
        address_of: Callable[[object], Address | None] = lambda _: None,
        ref_to: Callable[[Address], object] = lambda address: address,
    ) -> None:
        self.message_limit = message_limit
        self.buffer_limit = buffer_limit
        self._address_of = address_of
        self._ref_to = ref_to
        self._outgoing: list[Buffer] | None = None
        self._incoming: list[Buffer] = []
        self._reader: Reader | None = None
        self._packer = msgpack.Packer(default=self._plain)
        self._keeper = msgpack.Packer(default=self._kept, strict_types=True)
        self._unpacker = self._new_unpacker()
        self._skipper = self._new_unpacker()

    # -- out ----------------------------------------------------------------------------------

    def pack(
        self, to: str, envelope: Envelope, *, beside: bool = True
    ) -> tuple[bytes, list[Buffer]]:
        """Pack one envelope.

        Args:
            to: The receiver, for errors.
            envelope: Its values; large buffers anywhere in its last elements leave it.
            beside: Whether they may; a published value has no frames of its own for them.

        Returns:
            The packed envelope, and the buffers that must follow it as frames of their own.

        Raises:
            NotEncodable: It holds something without a form on the wire.
            MessageTooLarge: It is over `message_limit`, or a buffer over `buffer_limit`.
        """
        buffers: list[Buffer] = []
        self._outgoing = buffers if beside else None
        try:
            packed: bytes = self._packer.pack(envelope)
            if beside and len(packed) >= ASIDE_BYTES and _BIN_HEADER.search(packed):
                packed = self._pack_asides(to, envelope, buffers)
        except _UNPACKABLE as error:
            self._packer.reset()
            raise NotEncodable(to, str(error) or type(error).__name__) from error
        finally:
            self._outgoing = None
        if len(packed) > self.message_limit:
            raise MessageTooLarge(to, len(packed), self.message_limit)
        return packed, buffers

    def _pack_asides(self, to: str, envelope: Envelope, buffers: list[Buffer]) -> bytes:
        """Pack an envelope again in which msgpack has met a large buffer: it asks about none.

        So a message without one pays nothing, and one with several pays for packing it twice.
        """
        buffers.clear()
        self._packer = msgpack.Packer(default=self._plain)  # the old one keeps what it has grown to
        packer = msgpack.Packer(default=lambda value: self._asides(to, self._plain(value)))
        return cast("bytes", packer.pack(self._asides(to, envelope)))

    def _asides(self, to: str, value: Any) -> Any:
        """Set aside the large buffers in a value, at any depth of what msgpack packs unasked."""
        if isinstance(value, dict):
            return {key: self._asides(to, one) for key, one in value.items()}
        if isinstance(value, list | tuple) and not isinstance(value, msgpack.ExtType):
            return [self._asides(to, one) for one in value]
        return self.aside(to, value)

    def pack_whole(self, to: str, value: Any) -> bytes:
        """Pack one value that has no frames beside it: all of it is in these bytes.

        Raises:
            NotEncodable: It holds something without a form on the wire.
            MessageTooLarge: It is over `message_limit`.
        """
        try:
            packed: bytes = self._packer.pack(value)
        except _UNPACKABLE as error:
            self._packer.reset()
            raise NotEncodable(to, str(error) or type(error).__name__) from error
        if len(packed) > self.message_limit:
            raise MessageTooLarge(to, len(packed), self.message_limit)
        return packed

    def pack_value(self, to: str, value: Any) -> bytes:
        """Pack one value of any kind that keeps its type, large buffers within it (`kept.py`).

        Raises:
            NotEncodable: It holds something without a form on the wire.
            MessageTooLarge: It is over `message_limit`.
        """
        try:
            packed: bytes = self._keeper.pack(value)
        except _UNPACKABLE as error:
            self._keeper.reset()
            raise NotEncodable(to, str(error) or type(error).__name__) from error
        if len(packed) > self.message_limit:
            raise MessageTooLarge(to, len(packed), self.message_limit)
        return packed

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

    def aside(self, to: str, value: Any) -> Any:
        """Make a large buffer into something that `pack` sets beside the message.

        msgpack packs bytes without asking. `pack` finds those that it has packed, but by then they
        were copied; so those who send arguments and results pass each through here first.

        Raises:
            MessageTooLarge: It is over `buffer_limit`.
        """
        if isinstance(value, bytes | bytearray | memoryview):
            if isinstance(value, memoryview) and not value.c_contiguous:
                value = value.tobytes()  # neither msgpack nor zmq takes one with gaps
            size = value.nbytes if isinstance(value, memoryview) else len(value)
            if size >= ASIDE_BYTES:
                if size > self.buffer_limit:
                    raise MessageTooLarge(to, size, self.buffer_limit)
                return _Aside(value)
        return value

    def _beside(self, buffer: Buffer) -> Any:
        if self._outgoing is None:
            return buffer
        if len(self._outgoing) >= _BUFFERS_LIMIT:
            raise ValueError(f"more than {_BUFFERS_LIMIT} large buffers in one message")
        if len(buffer) < BUFFER_BYTES and type(buffer) is not bytes:
            buffer = bytes(buffer)  # ZeroMQ copies it, but later: it may have changed by then
        self._outgoing.append(buffer)
        return msgpack.ExtType(EXT_BUFFER, bytes([len(self._outgoing) - 1]))

    def _plain(self, value: Any) -> Any:  # noqa: C901, PLR0911 a table of forms
        """The form of a value that msgpack does not know; called by the packer."""
        if type(value) is _Aside:
            return self._beside(value.buffer)
        address = self._address_of(value)
        if address is not None:
            body = self._packer_of_parts().pack([address.node, address.serial, address.label])
            return msgpack.ExtType(EXT_REF, body)
        if isinstance(value, msgspec.Struct):
            return _struct_form(value)
        # Where that was never imported, nothing is of its making.
        dataclasses = sys.modules.get("dataclasses")
        if dataclasses and dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if isinstance(value, enum.Enum):
            return value.value
        if isinstance(value, _DATE_FORMS):
            return value.isoformat()
        if isinstance(value, _TEXT_FORMS):
            return str(value)
        if isinstance(value, set | frozenset):
            return list(value)
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.generic):
            return value.item()
        if numpy is not None and isinstance(value, numpy.ndarray):
            if isinstance(value, numpy.ma.MaskedArray):
                raise TypeError("a masked array has no form on the wire: send data and mask")
            return self._array_form(numpy.ascontiguousarray(value), value.shape)
        return msgspec.to_builtins(value)

    def _kept(self, value: Any) -> Any:
        """The form of a value that arrives as what it is; called by the packer that keeps types."""
        known = form(value)
        return self._plain(value) if known is None else known

    def _array_form(self, array: Any, shape: tuple[int, ...]) -> msgpack.ExtType:
        if array.dtype.hasobject:
            raise TypeError("a numpy array of Python objects has no form on the wire")
        if not _DTYPE.match(array.dtype.str) or array.dtype.names:
            raise TypeError(f"a numpy array of {array.dtype} has no form on the wire")
        data: Any = array.reshape(-1).view("u1").data if array.size else b""
        if array.nbytes > self.buffer_limit:
            raise ValueError(f"an array of {array.nbytes} bytes, over buffer_limit")
        if array.nbytes >= ASIDE_BYTES:
            data = self._beside(data)
        parts = [array.dtype.str, list(shape), data]
        return msgpack.ExtType(EXT_ARRAY, self._packer_of_parts().pack(parts))

    @staticmethod
    def _packer_of_parts() -> Any:
        # The kept packer is in the middle of a message when ext bodies are packed.
        return msgpack.Packer()

    # -- in -----------------------------------------------------------------------------------

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
                self._check_claims(frame)
            is_large = len(frame) > FRAME_BYTES and _containers_at_most(frame) > CONTAINERS_LIMIT
            count = _Counter() if is_large else None
            # One byte is looked for a hundred times as fast as two: 0.2 us and not 21 in 9 kB.
            if _MARK_BEGIN in frame and MARK in frame:
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

    def _check_claims(self, frame: bytes) -> None:
        """Walk a frame without making its values.

        An array header of five bytes may claim a million elements, and msgpack makes room for
        them at once, at every level of nesting.

        Raises:
            msgpack.UnpackException: Some of the elements are not there.
        """
        skipper = self._skipper
        end = skipper.tell() + len(frame)
        skipper.feed(frame)
        while skipper.tell() < end:
            skipper.skip()

    def _new_unpacker(self, **hooks: Any) -> Any:
        # Every bound is given by name: with max_buffer_size alone, strings and containers could
        # still claim its whole length. Integer keys are allowed: users' dicts have them.
        # Nesting is bounded by msgpack itself, at 1024 containers.
        limit = self.message_limit + FRAME_BYTES
        return msgpack.Unpacker(
            ext_hook=self._extension,
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

    def _extension(self, code: int, data: bytes) -> Any:
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
            return _array_from(
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
    return len(frame) - len(frame.translate(None, _CONTAINER_MARKS))


class _Counter:
    """Counts containers as they are made, and stops where there are too many."""

    def __init__(self) -> None:
        self._left = CONTAINERS_LIMIT

    def __call__(self, container: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {CONTAINERS_LIMIT} lists or maps in one message")
        return container


class _Aside:
    """A buffer on its way beside a message; not of msgpack's types, so that `_plain` sees it."""

    __slots__ = ("buffer",)

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer


def _struct_form(value: msgspec.Struct) -> Any:
    """One level of a Struct as a map or array; its values are the packer's, they may be refs."""
    kind = type(value)
    values = [getattr(value, name) for name in kind.__struct_fields__]
    config = kind.__struct_config__
    if config.array_like:
        return values if config.tag is None else [config.tag, *values]
    form: dict[Any, Any] = {} if config.tag is None else {config.tag_field: config.tag}
    form.update(zip(kind.__struct_encode_fields__, values, strict=True))
    return {k: v for k, v in form.items() if v is not msgspec.UNSET}


def _array_from(parts: Any) -> Any:
    match parts:
        case [str(dtype), list(shape), bytes() | bytearray() | memoryview() as data]:
            pass
        case _:
            raise ValueError("an array is [dtype, shape, bytes]")
    try:
        import numpy as np  # noqa: PLC0415 an extra: needed only by those who send arrays
    except ImportError as error:
        raise ValueError("a numpy array came, and numpy is not installed here") from error
    if not _DTYPE.match(dtype):
        raise ValueError(f"an array of unknown type {dtype[:20]!r}")
    kind = np.dtype(dtype)
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("an array of unknown shape")
    if math.prod(shape) * kind.itemsize != len(data):
        raise ValueError("an array whose shape does not fit its bytes")
    return np.frombuffer(data, dtype=kind).reshape(shape)
