import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import math
import pathlib
import tracemalloc
import uuid
import weakref
from typing import Any, NamedTuple

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.address import Address
from actormq.codec import Codec
from actormq.errors import MessageTooLarge, NotEncodable, RemoteProtocolError
from actormq.forms import EXT_ARRAY, EXT_BUFFER, EXT_REF
from actormq.settings import ASIDE_BYTES, BUFFER_BYTES
from actormq.unpacker import CONTAINERS_LIMIT

MIB = 1 << 20
DATA = b"d" * ASIDE_BYTES
GREETER = Address("0123456789abcdef", 3, "greeter")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 2


class Mode(enum.StrEnum):
    FAST = "fast"


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass(repr=False)
class Reading:
    station: str
    celsius: float
    at: dt.datetime | None = None


class Task(msgspec.Struct):
    name: str
    tries: int = 0


class Circle(msgspec.Struct, tag=True):
    r: float


class Compact(msgspec.Struct, array_like=True, tag="c"):
    x: int
    y: int


class Plain(msgspec.Struct, array_like=True):
    x: int


class Renamed(msgspec.Struct, rename="camel"):
    wind_speed: float
    gust: float | msgspec.UnsetType = msgspec.UNSET


class Handle:
    """Stands in for a ref: something that only the hooks know."""

    def __init__(self, address):
        self.address = address

    def __eq__(self, other):
        return isinstance(other, Handle) and other.address == self.address

    def __hash__(self):
        return hash(self.address)


def codec(message_limit=4 * MIB, buffer_limit=256 * MIB):
    return Codec(
        message_limit,
        buffer_limit,
        lambda value: value.address if isinstance(value, Handle) else None,
        Handle,
    )


def there_and_back(value):
    one = codec()
    packed, buffers = one.pack("peer", [3, value])
    [[_, got]] = one.unpack([packed, *map(bytes, buffers)])
    return got


keys = st.text() | st.integers(-(2**63), 2**64 - 1) | st.booleans() | st.binary(max_size=20)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.builds(Handle, st.builds(Address, st.just("0" * 16), st.integers(0, 2**53), st.text()))
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=30,
)
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
dtypes = st.sampled_from(["u1", "<i2", ">i4", "<i8", "<f4", "f8", "c16", "?", "M8[us]", "S3", "U2"])

# -- what travels -----------------------------------------------------------------------------


@given(values)
def test_nested_values_arrive_as_they_were(value):
    assert there_and_back(value) == value


@pytest.mark.slow
@given(st.lists(values, max_size=6))
def test_joined_values_come_apart_again(several):
    one = codec()
    frame = b"".join(one.pack("peer", value)[0] for value in several)

    assert one.unpack_all(frame) == several


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 2),
        (Mode.FAST, "fast"),
        (Point(1, 2), [1, 2]),
        (Reading("98101", 21.5), {"station": "98101", "celsius": 21.5, "at": None}),
        (Task("thumb"), {"name": "thumb", "tries": 0}),
        (Circle(2.0), {"type": "Circle", "r": 2.0}),
        (Compact(1, 2), ["c", 1, 2]),
        (Plain(1), [1]),
        (Renamed(3.5), {"windSpeed": 3.5}),
        (Renamed(3.5, 7.0), {"windSpeed": 3.5, "gust": 7.0}),
        (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02T03:04:05+00:00"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 600), "2026-01-02T03:04:05.000600"),  # noqa: DTZ001 on purpose
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.time(3, 4), "03:04:00"),
        (dt.timedelta(seconds=90), "PT90S"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (decimal.Decimal("1.50"), "1.50"),
        (pathlib.PurePosixPath("/data/a"), "/data/a"),
        ({1}, [1]),
        (frozenset(["a"]), ["a"]),
        ((1, (2, 3)), [1, [2, 3]]),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (np.float64(1.5), 1.5),
        (np.int16(3), 3),
        (np.bool_(True), True),  # noqa: FBT003 a value
        ({uuid.UUID(int=0): 1}, {"00000000-0000-0000-0000-000000000000": 1}),
        ([Task("a"), {"r": Reading("x", 0.0)}], None),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0][:40],  # the same in all workers
)
def test_values_travel_in_their_plain_form(value, form):
    if form is None:
        form = msgspec.to_builtins(value)

    assert there_and_back(value) == form


@pytest.mark.parametrize("value", [Task("a", 3), Circle(1.0), Compact(1, 2), Renamed(1.0)])
def test_a_struct_has_the_form_that_msgspec_gives_it(value):
    assert there_and_back(value) == msgspec.to_builtins(value)
    assert msgspec.convert(there_and_back(value), type(value)) == value


def test_refs_inside_dataclasses_and_structs_arrive_as_refs():
    @dataclasses.dataclass
    class Job:
        to: Handle

    class Post(msgspec.Struct):
        to: Handle

    ref = Handle(GREETER)

    assert there_and_back([Job(ref), Post(ref), ref]) == [{"to": ref}, {"to": ref}, ref]


def test_a_dict_with_tuples_for_keys_keeps_them():
    value = {(1, 2): "a", (3, (4, 5)): {"b": (6,)}}

    assert there_and_back(value) == {(1, 2): "a", (3, (4, 5)): {"b": [6]}}


def test_a_key_that_is_an_array_does_not_cost_what_stands_beside_it():
    one = codec()
    frame = b"".join(one.pack("peer", envelope)[0] for envelope in ([3, {(1, 2): 3}], [7, 1]))

    assert one.unpack([frame]) == [[3, {(1, 2): 3}], [7, 1]]
    assert one.unpack([frame]) == [[3, {(1, 2): 3}], [7, 1]]


# -- arrays and large buffers -----------------------------------------------------------------


@given(shape=shapes, dtype=dtypes)
def test_small_arrays_travel_inside_their_message(shape, dtype):
    array = np.zeros(shape, dtype)

    packed, buffers = codec().pack("peer", [3, array])
    got = there_and_back(array)

    assert buffers == []
    assert len(packed) < 100 + array.nbytes
    assert (got.shape, got.dtype) == (array.shape, array.dtype)
    assert np.array_equal(got, array)


def test_an_array_that_is_not_contiguous_arrives_in_order():
    array = np.arange(24).reshape(4, 6).T[::2]

    assert np.array_equal(there_and_back(array), array)


def test_a_large_array_travels_beside_its_message_uncopied():
    array = np.arange(BUFFER_BYTES, dtype="u1").reshape(2, -1)

    packed, buffers = codec().pack("peer", [3, {"deep": [array]}])
    [[_, got]] = codec().unpack([packed, *map(bytes, buffers)])

    assert len(packed) < 100
    assert np.shares_memory(np.asarray(buffers[0]), array)
    assert np.array_equal(got["deep"][0], array)


@pytest.mark.parametrize("kind", [bytearray, lambda data: np.frombuffer(data, "u1").copy()])
def test_a_smaller_one_that_could_change_is_copied_at_once(kind):
    data = kind(b"a" * ASIDE_BYTES)

    _, buffers = codec().pack("peer", [3, [data]])
    data[0] = 0

    assert buffers == [b"a" * ASIDE_BYTES]


def test_one_byte_less_travels_inside():
    packed, buffers = codec().pack("peer", [3, np.zeros(ASIDE_BYTES - 1, "u1")])

    assert buffers == []
    assert len(packed) > ASIDE_BYTES


def test_a_published_array_stays_in_its_one_frame_however_large():
    one = codec()
    array = np.arange(MIB, dtype="u1")

    packed, buffers = one.pack("feed", array, beside=False)

    assert buffers == []
    assert np.array_equal(one.unpack_all(packed)[0], array)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_large_buffer_among_the_arguments_travels_beside(kind):
    one = codec()
    data = kind(bytes(BUFFER_BYTES))

    packed, buffers = one.pack("peer", [3, 1, "note", [one.aside("peer", data), "small"]])
    [[*_, args]] = one.unpack([packed, *map(bytes, buffers)])

    assert len(packed) < 100
    assert buffers[0] is data
    assert args == [bytes(BUFFER_BYTES), "small"]


class Parcel(msgspec.Struct):
    label: str
    data: Any


@dataclasses.dataclass
class Box:
    parcels: list[Parcel]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ([DATA], [DATA]),
        ((1, (DATA, "x")), [1, [DATA, "x"]]),
        ({"deep": {"er": [DATA]}}, {"deep": {"er": [DATA]}}),
        ({3: bytearray(DATA)}, {3: DATA}),
        (Box([Parcel("a", DATA)]), {"parcels": [{"label": "a", "data": DATA}]}),
    ],
)
def test_a_large_buffer_within_a_value_travels_beside(value, plain):
    packed, buffers = codec().pack("peer", [3, value])

    assert len(packed) < 100
    assert buffers == [DATA]
    assert codec().unpack([packed, *map(bytes, buffers)]) == [[3, plain]]


def test_buffers_and_arrays_within_a_value_keep_their_order():
    array = np.ones(ASIDE_BYTES, "u1")
    other = b"o" * ASIDE_BYTES

    packed, buffers = codec().pack("peer", [3, [DATA, array, {"k": other}, [DATA, b"small"]]])
    [[_, got]] = codec().unpack([packed, *map(bytes, buffers)])

    assert [len(buffer) for buffer in buffers] == [ASIDE_BYTES] * 4
    assert np.array_equal(got[1], array)
    assert [got[0], *got[2:]] == [DATA, {"k": other}, [DATA, b"small"]]


def test_what_only_looks_like_a_large_buffer_stays():
    text = "x" * ASIDE_BYTES
    lookalike = b"\xc6\x7f\xff\xff\xff"

    packed, buffers = codec().pack("peer", [3, text, lookalike])

    assert buffers == []
    assert codec().unpack([packed]) == [[3, text, lookalike]]


def test_a_large_buffer_within_a_value_over_the_limit_is_refused():
    with pytest.raises(MessageTooLarge, match="over the limit"):
        codec(buffer_limit=ASIDE_BYTES).pack("peer", [3, [DATA + b"x"]])


def test_a_packer_does_not_keep_the_room_of_a_large_buffer():
    one = codec()
    first = one._packer
    one.pack("peer", [3, [DATA]])

    assert one._packer is not first


def test_a_view_with_gaps_travels_as_what_it_shows():
    one = codec()
    view = memoryview(bytes(range(256)) * 4096)[::2]

    packed, buffers = one.pack("peer", [3, one.aside("peer", view)])

    assert one.unpack([packed, *map(bytes, buffers)]) == [[3, view.tobytes()]]


def test_small_values_are_not_set_aside():
    one = codec()
    for value in (b"x", "y" * ASIDE_BYTES, 3, None):
        assert one.aside("peer", value) is value


def test_a_buffer_does_not_outlive_its_message():
    one = codec()
    array = np.zeros(ASIDE_BYTES, "u1")
    gone = weakref.ref(array)
    packed, buffers = one.pack("peer", [3, array])
    one.unpack([packed, *map(bytes, buffers)])
    del array, buffers

    assert gone() is None
    with pytest.raises(RemoteProtocolError, match="does not follow"):
        one.unpack_all(msgpack.packb(msgpack.ExtType(EXT_BUFFER, b"\x00")))


@pytest.mark.parametrize(
    ("limits", "value", "says"),
    [
        ({"message_limit": 1024}, "x" * 1024, "over the limit of 1024"),
        ({"message_limit": MIB}, [bytes(ASIDE_BYTES - 1)] * 20, "over the limit"),
    ],
)
def test_a_message_over_its_limit_is_refused_with_both_numbers(limits, value, says):
    with pytest.raises(MessageTooLarge, match=says) as caught:
        codec(**limits).pack("greeter", [3, value])

    assert "'greeter'" in str(caught.value)
    assert "has 1" in str(caught.value) or "bytes" in str(caught.value)


def test_a_buffer_over_its_limit_is_refused_on_both_sides():
    small, large = codec(buffer_limit=ASIDE_BYTES), codec()
    data = bytes(ASIDE_BYTES + 1)

    with pytest.raises(MessageTooLarge):
        small.aside("peer", data)
    with pytest.raises(NotEncodable, match="over buffer_limit"):
        small.pack("peer", [3, np.frombuffer(data, "u1")])
    packed, buffers = large.pack("peer", [3, large.aside("peer", data)])
    with pytest.raises(RemoteProtocolError, match="buffer_limit"):
        small.unpack([packed, *buffers])


def test_256_large_buffers_in_one_message_are_one_too_many():
    array = np.zeros(ASIDE_BYTES, "u1")

    assert len(codec().pack("peer", [3, *[array] * 255])[1]) == 255
    with pytest.raises(NotEncodable, match="more than 255 large buffers"):
        codec().pack("peer", [3, *[array] * 256])


# -- what has no form -------------------------------------------------------------------------


class Nothing:
    """Has no form on the wire."""


def unset():
    return Reading.__new__(Reading)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Nothing(), "Nothing"),
        (Nothing, "type"),
        (print, "builtin_function_or_method"),
        (1j, "complex"),
        (2**64, "out of range"),
        (-(2**63) - 1, "out of range"),
        ("\ud800", "surrogates"),
        pytest.param(nested(1_100), "recursion limit", id="deep"),
        (np.array([Nothing()]), "Python objects"),
        (np.zeros(1, [("a", "i4"), ("b", "f8")]), "no form"),
        (np.ma.masked_array([1, 2], [True, False]), "masked"),
        (unset(), "station"),
        ({"deep": [1, {"er": Nothing()}]}, "Nothing"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_form_gives_one_sentence_and_the_codec_goes_on(value, says):
    one = codec()

    with pytest.raises(NotEncodable, match=says) as caught:
        one.pack("greeter", [3, value])

    assert "\n" not in str(caught.value)
    assert "'greeter'" in str(caught.value)
    assert one.unpack([one.pack("greeter", [3, "next"])[0]]) == [[3, "next"]]


def test_a_ring_is_no_message():
    ring = []
    ring.append(ring)

    with pytest.raises(NotEncodable, match="recursion limit"):
        codec().pack("greeter", [3, ring])


# -- hostile bytes ----------------------------------------------------------------------------

GOOD = msgpack.packb([7, 1])


def refused(frame, *buffers, says=None):
    """Feed a frame that must be refused; a good one must be understood right behind it."""
    one = codec()
    with pytest.raises(RemoteProtocolError, match=says):
        one.unpack([frame, *buffers])
    assert one.unpack([GOOD]) == [[7, 1]]
    with pytest.raises(RemoteProtocolError, match=says):
        one.unpack_all(frame)
    assert one.unpack_all(GOOD) == [[7, 1]]


@given(st.lists(st.binary(max_size=64), min_size=1, max_size=4))
def test_random_frames_raise_protocol_errors_only_and_leave_nothing_behind(frames):
    one = codec()
    for read in (one.unpack, lambda frames: one.unpack_all(frames[0])):
        with contextlib.suppress(RemoteProtocolError):
            read(frames)
        assert one.unpack([GOOD]) == [[7, 1]]


@given(value=values, data=st.data())
def test_a_frame_cut_off_anywhere_is_refused_whole(value, data):
    frame = msgpack.packb([7, 1]) + codec().pack("peer", [3, value])[0]
    cut = data.draw(st.integers(len(GOOD) + 1, len(frame) - 1))

    refused(frame[:cut])


@given(code=st.sampled_from([EXT_REF, EXT_ARRAY, EXT_BUFFER, 4, 127]), body=st.binary(max_size=40))
def test_random_ext_bodies_raise_protocol_errors_only(code, body):
    one = codec()
    with contextlib.suppress(RemoteProtocolError):
        one.unpack([msgpack.packb([3, msgpack.ExtType(code, body)]), b"beside"])
    assert one.unpack([GOOD]) == [[7, 1]]


dtype_texts = st.text(max_size=8) | st.sampled_from(
    ["O", "a", "(2,2)i4", "i4,f8", "|V0", "<M8[foo]", "<U0", "object", "<i3", "<f999999999"]
)


@given(
    dtype=dtype_texts,
    shape=st.lists(st.integers(-1, 2**64 - 1) | st.integers(0, 3) | st.text(), max_size=70),
    data=st.binary(max_size=32),
)
def test_random_arrays_raise_protocol_errors_only(dtype, shape, data):
    body = msgpack.packb([dtype, shape, data])
    one = codec()
    with contextlib.suppress(RemoteProtocolError):
        one.unpack([msgpack.packb([3, msgpack.ExtType(EXT_ARRAY, body)])])
    assert one.unpack([GOOD]) == [[7, 1]]


def timestamp(data):
    return b"\xc7" + bytes([len(data), 0xFF]) + data


def ext(code, *parts):
    return msgpack.packb([3, msgpack.ExtType(code, msgpack.packb(list(parts)))])


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (b"\xc1", "no msgpack"),
        (b"\xa2\xff\xff", "no msgpack"),
        (b"\x92\x07", "cut off"),
        (b"\xdd\x00\x40\x00\x00", "cut off"),
        (b"\xdb\xff\xff\xff\xff", "cut off"),
        (b"\xc9\xff\xff\xff\xff\x05", "max_ext_len"),
        (timestamp(b"\xff" * 12), "no msgpack"),
        (timestamp(b"\x00" * 4 + (2**62).to_bytes(8, "big")), "no msgpack"),
        (timestamp(b"\x00" * 4 + b"\x80" + b"\x00" * 7), "no msgpack"),
        (timestamp(b"x"), "no msgpack"),
        (msgpack.packb([3, msgpack.ExtType(9, b"")]), "ext type 9"),
        (msgpack.packb([3, msgpack.ExtType(EXT_BUFFER, b"\x00")]), "does not follow"),
        (msgpack.packb([3, msgpack.ExtType(EXT_BUFFER, b"")]), "does not follow"),
        (ext(EXT_REF, "0" * 16, 3), "a ref is"),
        (ext(EXT_REF, "0" * 16, "3", "x"), "a ref is"),
        (ext(EXT_REF, "0" * 16, 3, "x" * 4096), "too long"),
        (ext(EXT_ARRAY, "|O", [1], b"12345678"), "unknown type"),
        (ext(EXT_ARRAY, "<i4", [2], b"1234"), "does not fit"),
        (ext(EXT_ARRAY, "<i4", [-1], b""), "unknown shape"),
        (ext(EXT_ARRAY, "<i4", [2**40, 2**40, 0], b""), "no msgpack"),
        (b"\x91" * 1100 + b"\x00", "no msgpack"),
    ],
    ids=lambda value: value[:24].hex() if isinstance(value, bytes) else value,
)
def test_crafted_frames_are_refused_with_a_sentence(frame, says):
    refused(frame, says=says)


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([], "empty"),
        ([b""], "without an envelope"),
        ([msgpack.packb(7)], "begins with its kind"),
        ([msgpack.packb([])], "begins with its kind"),
        ([msgpack.packb(["7", 1])], "begins with its kind"),
        ([msgpack.packb([True, 1])], "begins with its kind"),
        ([msgpack.packb({7: 1})], "begins with its kind"),
        ([GOOD + msgpack.packb("x")], "begins with its kind"),
    ],
    ids=str,
)
def test_a_link_message_is_envelopes_and_nothing_else(frames, says):
    with pytest.raises(RemoteProtocolError, match=says):
        codec().unpack(frames)


def test_arrays_within_arrays_are_refused_at_the_first():
    # Each level would cost 40 kB of the C stack: 300 of them end a process.
    body = b"\x90"
    for _ in range(1_000):
        body = msgpack.packb(msgpack.ExtType(EXT_ARRAY, body))

    refused(body, says="in an array")


def test_half_a_value_does_not_meet_the_next_frame():
    one = codec()

    with pytest.raises(RemoteProtocolError, match="cut off"):
        one.unpack([b"\x92\x07"])

    assert one.unpack_all(b"\x02") == [2]


@pytest.mark.slow
@pytest.mark.parametrize("mark", [b"\x90", b"\x80", b"\x91\x80"], ids=bytes.hex)
def test_a_mebibyte_of_empty_containers_costs_little_and_is_refused(mark):
    frame = mark * (MIB // len(mark))
    one = codec()
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError, match=f"more than {CONTAINERS_LIMIT}"):
            one.unpack_all(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 32 * MIB  # 70 without the bound
    assert one.unpack([GOOD]) == [[7, 1]]


def test_as_many_containers_as_are_allowed_are_read():
    frame = msgpack.packb([7, [[]] * (CONTAINERS_LIMIT - 2)])

    [[_, lists]] = codec().unpack([frame])

    assert len(lists) == CONTAINERS_LIMIT - 2


@pytest.mark.parametrize("claim", [b"\xdd\x00\x40\x00\x00", b"\xdc\xff\xff"], ids=bytes.hex)
def test_claimed_lengths_cost_nothing_until_the_elements_are_there(claim):
    one = codec()
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError, match="cut off"):
            one.unpack_all(claim * 1_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * MIB


def test_large_data_is_not_mistaken_for_containers():
    data = b"\x90\xdd" * MIB

    assert there_and_back(data) == data


def test_a_long_list_of_small_things_is_no_attack():
    numbers = list(range(300_000))

    assert there_and_back(numbers) == numbers


def test_a_frame_over_every_limit_is_refused_before_it_is_read():
    refused(bytes(9 * MIB), says="no msgpack")


def test_what_is_not_a_number_stays_that():
    assert math.isnan(there_and_back(math.nan))
    assert there_and_back(math.inf) == math.inf
