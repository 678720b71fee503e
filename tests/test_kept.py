"""What msgpack has no word for arrives as what it was, where both ends are Python."""

import collections
import datetime as dt
import decimal
import enum
import pathlib
import uuid
from typing import NamedTuple

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.codec import Codec
from actormq.errors import NotEncodable, RemoteProtocolError
from actormq.settings import BUFFER_BYTES, FRAME_BYTES
from actormq.unpacker import CONTAINERS_LIMIT

CODEC = Codec(4 << 20, 4 << 20)


class Point(NamedTuple):
    x: int
    y: int


class Name(str):
    __slots__ = ()


class Shade(enum.StrEnum):
    RED = "red"


def mark(letter):
    return msgpack.ExtType(4, letter)


def sent(value):
    [arrived] = CODEC.unpack_all(CODEC.pack_value("a task", value))
    return arrived


KEPT = [
    *((), (1, "a"), ((1,), [2, (3,)]), {1, 2}, {(1, 2)}, frozenset({1}), {frozenset({1})}),
    *({(1, 2): {3: (4,)}}, [[], {}], 1j, complex("nan+infj").real, 2**64, -(2**63) - 1),
    *(dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=1))),),
    *(dt.datetime.fromisoformat("2026-01-02"), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
    *(range(3), range(2**70, 0, -7)),
    *(dt.date(2026, 1, 2), dt.time(3, 4, 5), dt.timedelta(-1, 2, 3)),
    *(uuid.UUID(int=7), decimal.Decimal("1.50"), decimal.Decimal("-Infinity"), pathlib.Path("a/b")),
    *("\x04text", b"\xd4\x04t", True, None),
]


@pytest.mark.parametrize("value", KEPT, ids=repr)
def test_a_value_arrives_as_what_it_was(value):
    arrived = sent([value])[0]
    assert type(arrived) is type(value)
    assert repr(arrived) == repr(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Point(1, 2), (1, 2)),
        (Name("x"), "x"),
        (Shade.RED, "red"),
        (collections.OrderedDict(a=1), {"a": 1}),
        (bytearray(b"x"), b"x"),
    ],
    ids=repr,
)
def test_what_a_class_adds_to_it_is_left_behind(value, plain):
    arrived = sent(value)
    assert (type(arrived), arrived) == (type(plain), plain)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.datetimes(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.tuples(st.integers()), inner)
        | st.sets(st.integers() | st.tuples(st.text()))
    ),
    max_leaves=20,
)


@given(VALUES)
def test_any_values_arrive_as_what_they_were(value):
    assert repr(sent(value)) == repr(value) or sent(value) == value  # sets have no order


@pytest.mark.parametrize(
    "value",
    [
        mark(b"t"),
        [1, mark(b"t")],
        {"a": mark(b"t")},
        {mark(b"t"): 1},
        [mark(b"?"), 1],
        [mark(b"tt"), 1],
        [mark(b"s"), [1]],
        [mark(b"i"), "0x"],
        [mark(b"i"), 7],
        [mark(b"i")],
        [mark(b"r"), 1, 2, 0],
        [mark(b"r"), 1, 2, "3"],
        [mark(b"m"), "many"],
        [mark(b"d"), "yesterday"],
        [mark(b"l"), 10**9, 0, 10**9, 0],
        [mark(b"l"), 2**40, 0, 0],
    ],
    ids=repr,
)
def test_what_is_nothing_of_its_kind_is_an_error(value):
    with pytest.raises(RemoteProtocolError):
        CODEC.unpack_all(msgpack.packb(value))
    assert sent((1,)) == (1,)


def test_containers_are_counted_here_too():
    value = [(), *([[]] * (CONTAINERS_LIMIT + 1))]
    packed = CODEC.pack_value("a task", value)
    assert len(packed) > FRAME_BYTES
    with pytest.raises(RemoteProtocolError, match="lists or maps"):
        CODEC.unpack_all(packed)


@pytest.mark.parametrize("size", [3, BUFFER_BYTES])
def test_arrays_arrive_as_arrays_beside_what_is_kept(size):
    pair = sent((np.arange(size), np.float64(0.5)))
    assert type(pair) is tuple
    assert (pair[0] == np.arange(size)).all()
    assert pair[1] == 0.5


def test_an_object_of_a_class_is_refused():
    with pytest.raises(NotEncodable):
        CODEC.pack_value("a task", (1, object()))


def test_messages_between_actors_are_as_ever():
    packed, _ = CODEC.pack("somebody", [1, (1, 2), {3}])
    assert CODEC.unpack([packed]) == [[1, [1, 2], [3]]]
