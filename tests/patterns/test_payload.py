"""The three codecs: what goes out, what comes back, and what fits neither."""

import datetime as dt
import uuid

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.codec import Codec
from actormq.errors import MessageTooLarge, NotEncodable, RemoteProtocolError, SetupError
from actormq.patterns.payload import Payload

CODEC = Codec(message_limit=100_000, buffer_limit=200_000)


def payload(name):
    return Payload(name, CODEC, "sink.results")


@pytest.mark.parametrize(
    ("name", "values", "frames"),
    [
        ("raw", [b"a", b"", b"\xff\0"], [b"a", b"", b"\xff\0"]),
        ("raw", [bytearray(b"a"), memoryview(b"abc")[::2]], [b"a", b"ac"]),
        ("text", ["Zoë", "", "a b\n"], ["Zoë".encode(), b"", b"a b\n"]),
        ("text", [7, -0.5, True], [b"7", b"-0.5", b"True"]),
        ("msgpack", [1, None, "", [], {}], [b"\x01", b"\xc0", b"\xa0", b"\x90", b"\x80"]),
        ("msgpack", [{"a": [1.5, b"x"]}], [msgpack.packb({"a": [1.5, b"x"]})]),
    ],
)
def test_each_value_is_a_frame(name, values, frames):
    assert payload(name).frames(values) == frames


@given(st.lists(st.binary(), min_size=1))
def test_raw_frames_come_back_as_they_went(values):
    assert payload("raw").values(payload("raw").frames(values)) == values


@given(st.lists(st.text(), min_size=1))
def test_texts_come_back_as_they_went(values):
    assert payload("text").values(payload("text").frames(values)) == values


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.slow
@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_plain_values_come_back_as_they_went_by_msgpack_and_any_other_program_reads_them(values):
    frames = payload("msgpack").frames(values)
    assert payload("msgpack").values(frames) == values
    assert [msgpack.unpackb(frame, strict_map_key=False) for frame in frames] == values


@pytest.mark.parametrize(
    ("name", "values", "error", "sentence"),
    [
        ("raw", [], SetupError, "sink.results: a message has one value at least"),
        ("raw", ["a"], SetupError, 'takes bytes, not str; for texts there is codec="text"'),
        ("raw", [b"a", 3], SetupError, "codec 'raw' takes bytes, not int"),
        ("text", [b"a"], SetupError, "codec 'text' takes a text or number, not bytes"),
        ("text", ["a", None], SetupError, "codec 'text' takes a text or number, not NoneType"),
        ("text", ["a\ud800"], SetupError, "cannot be written as UTF-8"),
        ("msgpack", [object()], NotEncodable, "a message to 'sink.results' cannot be encoded"),
        ("msgpack", ["x" * 100_001], MessageTooLarge, "over the limit of 100000"),
        ("text", ["x" * 200_001], MessageTooLarge, "200001 bytes, over the limit of 200000"),
        ("raw", [b"x" * 200_001], MessageTooLarge, "200001 bytes, over the limit of 200000"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, values, error, sentence):
    with pytest.raises(error, match=sentence.replace(".", r"\.")):
        payload(name).frames(values)


@pytest.mark.parametrize(
    ("name", "frames", "sentence"),
    [
        ("text", [b"good", b"\xff"], "a frame that is no UTF-8 text: invalid start byte"),
        ("msgpack", [b""], "a frame of 0 msgpack values, not of one"),
        ("msgpack", [b"\x01\x02"], "a frame of 2 msgpack values, not of one"),
        ("msgpack", [b"\x01", b"\xc1"], None),
        ("msgpack", [b"\x92\x01"], None),
        ("msgpack", [b"\xdd\xff\xff\xff\xff"], None),
        ("msgpack", [b"\x91" * 5_000 + b"\xc0"], None),
        ("msgpack", [b"\xc7\x0c\xff" + b"\xff" * 12], None),  # a time that no clock shows
    ],
)
def test_what_is_not_of_the_codec_is_one_kind_of_error(name, frames, sentence):
    with pytest.raises(RemoteProtocolError, match=sentence):
        payload(name).values(frames)


@given(st.lists(st.binary(), min_size=1), st.sampled_from(["raw", "text", "msgpack"]))
def test_random_bytes_are_values_or_that_error(frames, name):
    try:
        values = payload(name).values(frames)
    except RemoteProtocolError:
        assert name != "raw"
    else:
        assert len(values) == len(frames)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (uuid.UUID(int=5), str(uuid.UUID(int=5))),
        (dt.date(2024, 2, 29), "2024-02-29"),
    ],
)
def test_values_that_can_travel_have_their_form_of_the_wire(value, form):
    assert payload("msgpack").frames([value]) == [msgpack.packb(form)]
