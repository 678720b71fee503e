"""The forms of values that msgpack has no word for: our ext types, Structs and numpy arrays.

The ext type of values that keep their types is in `kept.py`.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

EXT_REF = 1  # [node id, serial, label]
EXT_ARRAY = 2  # [dtype, shape, bytes or ext 3]
EXT_BUFFER = 3  # index of a frame that follows, as one unsigned byte

DTYPE = re.compile(r"[<>|][biufcmMSUV][0-9]{1,9}(\[[0-9A-Za-z]{1,16}\])?\Z")
"""What `dtype.str` gives. numpy itself reads far more from a text, structures and Python objects
included, and warns of some."""

Buffer = bytes | bytearray | memoryview


def struct_form(value: msgspec.Struct) -> Any:
    """One level of a Struct as a map or array; its values are the packer's, they may be refs."""
    kind = type(value)
    config = kind.__struct_config__
    form: dict[Any, Any] = msgspec.structs.asdict(value)
    if config.array_like:
        return [*form.values()] if config.tag is None else [config.tag, *form.values()]
    if kind.__struct_encode_fields__ is not kind.__struct_fields__:
        form = dict(zip(kind.__struct_encode_fields__, form.values(), strict=True))
    if config.tag is not None:
        form = {config.tag_field: config.tag, **form}
    unset = msgspec.UNSET
    for one in form.values():
        if one is unset:  # seldom: to leave nothing out takes as long as all the rest
            return {k: v for k, v in form.items() if v is not unset}
    return form


def array_from(parts: Any) -> Any:
    """Make a numpy array of what a peer says it is; it may share the memory of its bytes.

    Raises:
        ValueError: It is none, or numpy is not installed here.
    """
    match parts:
        case [str(dtype), list(shape), bytes() | bytearray() | memoryview() as data]:
            pass
        case _:
            raise ValueError("an array is [dtype, shape, bytes]")
    try:
        import numpy as np  # noqa: PLC0415 an extra: needed only by those who send arrays
    except ImportError as error:
        raise ValueError("a numpy array came, and numpy is not installed here") from error
    if not DTYPE.match(dtype):
        raise ValueError(f"an array of unknown type {dtype[:20]!r}")
    kind = np.dtype(dtype)
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("an array of unknown shape")
    if math.prod(shape) * kind.itemsize != len(data):
        raise ValueError("an array whose shape does not fit its bytes")
    return np.frombuffer(data, dtype=kind).reshape(shape)
