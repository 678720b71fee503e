"""Values to msgpack and back: bounds first, one type of error, never pickle.

What msgpack itself has travels as it is.
Dataclasses, `msgspec.Struct`s, enums, dates, `UUID`, `Decimal` and sets travel in their plain form;
the receiver's annotation makes them again (`arguments.py`).
Refs and numpy arrays have ext types, so that they arrive as what they were without an annotation.
So do tuples, sets, dates and some more, where both ends are Python (`kept.py`).
Buffers from `ASIDE_BYTES` on leave their message and travel beside it, uncopied.
"""

from __future__ import annotations

from collections.abc import Callable

from actormq.address import Address
from actormq.packer import Packer
from actormq.unpacker import Unpacker


class Codec(Packer, Unpacker):
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
        Packer.__init__(self, message_limit, buffer_limit, address_of)
        Unpacker.__init__(self, message_limit, buffer_limit, ref_to)
