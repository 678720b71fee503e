"""Values to msgpack: within limits, or with an error that says why not."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import pathlib
import re
import sys
import uuid
from collections.abc import Callable
from typing import Any, cast

import msgpack
import msgspec

from actormq.address import Address
from actormq.errors import MessageTooLarge, NotEncodable
from actormq.forms import DTYPE, EXT_ARRAY, EXT_BUFFER, EXT_REF, Buffer, struct_form
from actormq.kept import form
from actormq.message import Envelope
from actormq.settings import ASIDE_BYTES, BUFFER_BYTES

_BUFFERS_LIMIT = 255  # large buffers beside one message
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


class Packer:
    """The half of a `Codec` that packs; there the arguments are described."""

    def __init__(
        self,
        message_limit: int,
        buffer_limit: int,
        address_of: Callable[[object], Address | None],
    ) -> None:
        self.message_limit = message_limit
        self.buffer_limit = buffer_limit
        self._address_of = address_of
        self._outgoing: list[Buffer] | None = None
        self._packer = msgpack.Packer(default=self._plain)
        self._keeper = msgpack.Packer(default=self._kept, strict_types=True)

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
            return struct_form(value)
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
        if not DTYPE.match(array.dtype.str) or array.dtype.names:
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


class _Aside:
    """A buffer on its way beside a message; not of msgpack's types, so that `_plain` sees it."""

    __slots__ = ("buffer",)

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
