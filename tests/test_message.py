import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq import message
from actormq.errors import RemoteProtocolError
from actormq.message import Facts, facts_from, hello, hello_from, welcome

ROOF = Facts(
    mesh="home",
    node="0123456789abcdef",
    incarnation=1,
    name="roof",
    scope="loopback:1000",
    endpoints=("ipc://@actormq-0123456789abcdef", "tcp://127.0.0.1:49152"),
    host="bench/4026531840",
)

texts = st.text(max_size=255).filter(str.isprintable)
facts = st.builds(
    Facts,
    mesh=texts,
    node=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    incarnation=st.integers(1, 2**63 - 1),
    name=texts,
    scope=texts,
    endpoints=st.lists(texts, max_size=64).map(tuple),
    host=texts,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def altered(**changes):
    """The packed facts of ROOF with some values changed."""
    return ROOF.packed() | changes


@given(facts)
def test_facts_are_read_back_as_they_were_packed(facts):
    assert facts_from(facts.packed()) == facts


@given(facts)
def test_a_hello_is_read_back(facts):
    assert hello_from(hello(facts)) == (message.PROTOCOL, facts)


def test_keys_of_later_versions_are_passed_over():
    assert facts_from(altered(colour="red")) == ROOF


def test_who_has_no_endpoint_is_a_guest():
    assert facts_from(altered(endpoints=[])).is_guest
    assert not ROOF.is_guest


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        altered(mesh=3),
        altered(name="x" * 256),
        altered(name="roof\x1b[2J"),
        altered(mesh="home\n"),
        altered(host=None),
        altered(scope=b"lan"),
        altered(node="0123456789abcde"),
        altered(node="0123456789ABCDEF"),
        altered(node="../../../etc/pas"),
        altered(incarnation=0),
        altered(incarnation=1.0),
        altered(incarnation=2**63),
        altered(endpoints="tcp://a:1"),
        altered(endpoints=["x"] * 65),
        altered(endpoints=["x" * 256]),
        altered(endpoints=[4711]),
    ],
    ids=lambda raw: str(raw)[:40],
)
def test_unfit_facts_are_a_protocol_error(raw):
    with pytest.raises(RemoteProtocolError):
        facts_from(raw)


@given(anything)
def test_facts_of_anything_raise_nothing_else(raw):
    with contextlib.suppress(RemoteProtocolError):
        facts_from(raw)


def test_the_facts_of_another_version_are_not_read():
    assert hello_from([message.HELLO, "actormq", 2, "in whatever shape"]) == (2, None)


@pytest.mark.parametrize(
    "envelope",
    [
        [message.HELLO],
        [message.HELLO, "actormq", 1],
        [message.HELLO, "redis", 1, ROOF.packed()],
        [message.WELCOME, "actormq", 1, ROOF.packed()],
        [message.HELLO, "actormq", "1", ROOF.packed()],
        [message.HELLO, "actormq", 1, {}],
    ],
    ids=lambda envelope: str(envelope)[:30],
)
def test_what_is_no_hello_is_a_protocol_error(envelope):
    with pytest.raises(RemoteProtocolError):
        hello_from(envelope)


def test_a_welcome_says_version_and_facts():
    assert welcome(ROOF) == [message.WELCOME, message.PROTOCOL, ROOF.packed()]


def test_each_kind_has_a_number_of_its_own():
    names = "HELLO WELCOME REFUSED TELL ASK REPLY FAIL PING PONG LEAVE PEERS STATE"  # in this order
    assert [getattr(message, name) for name in names.split()] == list(range(12))


def test_facts_are_the_same_whatever_the_uptime_and_other_ones_otherwise():
    later = msgspec.structs.replace(ROOF, uptime=60.0)
    assert later == ROOF
    assert hash(later) == hash(ROOF)
    for field in ROOF.__struct_fields__[:-1]:
        assert msgspec.structs.replace(ROOF, **{field: "other"}) != ROOF
    assert ROOF != "roof"
