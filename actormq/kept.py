"""Values of Python that stay what they are, between two ends that are both Python.

msgpack knows no tuple, no set and no date, and elsewhere an annotation of the receiver makes them
again. The argument of any function and the result of any task have no annotation to go by. So such
a value travels as a list that begins with a mark, an ext type of one letter:

    (1, 2)  ->  [ext 4 "t", 1, 2]        {1}  ->  [ext 4 "s", 1]        1j  ->  [ext 4 "c", "1j"]

A list costs nothing by that, for who reads looks for the bytes of a mark first.
"""

from __future__ import annotations

import datetime as dt
import decimal
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

import msgpack

EXT_KIND = 4  # one letter: what the list is that it begins
MARK = b"\xd4\x04"  # how a mark begins; other ext types and texts may hold these bytes too
_DIGITS_BASE = 16  # the base whose texts are read and written in linear time


class _Kind:
    """How values of one type travel.

    Args:
        letter: Its mark.
        type_: The type.
        parts: Gives what stands behind the mark.
        made: Makes it again of that.
    """

    __slots__ = ("made", "mark", "parts", "type")

    def __init__(
        self,
        letter: bytes,
        type_: type,
        parts: Callable[[Any], Any],
        made: Callable[[list[Any]], Any],
    ) -> None:
        self.mark = msgpack.ExtType(EXT_KIND, letter)
        self.type = type_
        self.parts = parts
        self.made = made


def _text(letter: bytes, type_: type, read: Callable[[str], Any], written: Any = str) -> _Kind:
    def made(parts: list[Any]) -> Any:
        [text] = parts
        if type(text) is not str:
            raise ValueError(f"a {type_.__name__} is a text")
        return read(text)

    return _Kind(letter, type_, lambda value: (written(value),), made)


def _as_they_are(value: Any) -> Any:
    return value


def _seconds(parts: list[Any]) -> dt.timedelta:
    days, seconds, microseconds = parts
    return dt.timedelta(days, seconds, microseconds)


def _range(parts: list[Any]) -> range:
    start, stop, step = parts
    return range(start, stop, step)


_TUPLE = _Kind(b"t", tuple, _as_they_are, tuple)
_KINDS = (
    _TUPLE,
    _Kind(b"s", set, _as_they_are, set),
    _Kind(b"f", frozenset, _as_they_are, frozenset),
    _text(b"i", int, lambda text: int(text, _DIGITS_BASE), hex),  # beyond 64 bits
    _text(b"c", complex, complex, repr),
    _text(b"d", dt.datetime, dt.datetime.fromisoformat, dt.datetime.isoformat),
    _text(b"a", dt.date, dt.date.fromisoformat, dt.date.isoformat),
    _text(b"h", dt.time, dt.time.fromisoformat, dt.time.isoformat),
    _Kind(b"r", range, lambda v: (v.start, v.stop, v.step), _range),
    _Kind(b"l", dt.timedelta, lambda v: (v.days, v.seconds, v.microseconds), _seconds),
    _text(b"u", uuid.UUID, uuid.UUID),
    _text(b"m", decimal.Decimal, decimal.Decimal),
    _text(b"p", type(pathlib.Path()), pathlib.Path),
)
_BY_TYPE = {kind.type: kind for kind in _KINDS}
_BY_LETTER = {kind.mark.data: kind for kind in _KINDS}

_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),  # not str(), which may say something else
    (int, int.__int__),
    (float, float.__float__),
    (dict, lambda value: dict(value.items())),
    (list, list),
    (tuple, lambda value: [_TUPLE.mark, *value]),
    (bytes, lambda value: bytes(memoryview(value))),
)
"""What a subclass of a type travels as, such as an enum of texts: the packer that keeps types asks
about each."""


def form(value: Any) -> Any:
    """Give the form of a value that msgpack has no word for; None if it is none of ours."""
    kind = _BY_TYPE.get(type(value))
    if kind is not None:
        return [kind.mark, *kind.parts(value)]
    for base, plain in _BASES:
        if isinstance(value, base):
            return plain(value)
    return None


class Reader:
    """Makes the values of one frame again; its methods are hooks of msgpack's unpacker."""

    def __init__(self) -> None:
        self._open = 0

    def mark(self, letter: bytes) -> _Kind:
        """Read a mark.

        Raises:
            ValueError: It is unknown.
        """
        kind = _BY_LETTER.get(letter)
        if kind is None:
            raise ValueError(f"a value of unknown kind {letter!r}")
        self._open += 1
        return kind

    def made(self, items: list[Any]) -> Any:
        """Make what a list stands for, which may be itself.

        Raises:
            ValueError: It is nothing of its kind.
        """
        if not items or type(items[0]) is not _Kind:
            return items
        self._open -= 1
        kind: _Kind = items[0]
        try:
            return kind.made(items[1:])
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(f"no {kind.type.__name__}: {error}") from error

    def check(self) -> None:
        """Make sure that each mark stood where it belongs.

        Raises:
            ValueError: One did not, and now stands for a value.
        """
        if self._open:
            raise ValueError("a mark of a kind that begins no list")
