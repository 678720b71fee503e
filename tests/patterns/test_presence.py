import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.patterns.presence import MARK, Presence, presence_from
from actormq.transport import TOPIC_FRAME_BYTES

presences = st.builds(
    Presence,
    node=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    socket=st.integers(0, 10**15 - 1),
    token=st.integers(0, 10**15 - 1),
)


@given(presences)
def test_a_mark_names_the_subscriber_that_made_it(presence):
    assert presence_from(presence.topic()) == presence


@given(presences)
def test_a_publisher_takes_a_subscription_of_that_length(presence):
    assert 1 + len(presence.topic()) <= TOPIC_FRAME_BYTES


@pytest.mark.parametrize(
    "topic",
    [
        b"",
        b"98101",
        MARK,
        MARK + b"0123456789abcdef/1",
        MARK + b"0123456789abcdef/1/2/3",
        MARK + b"0123456789abcdef/1/2\n",
        MARK + b"0123456789ABCDEF/1/2",
        MARK + b"0123456789abcde/1/2",
        MARK + b"0123456789abcdef/-1/2",
        MARK + b"0123456789abcdef/1/" + b"9" * 16,
        b"x" + Presence("0123456789abcdef", 1, 2).topic(),
        Presence("0123456789abcdef", 1, 2).topic() + b"x",
    ],
)
def test_any_other_topic_is_an_ordinary_one(topic):
    assert presence_from(topic) is None


@given(st.binary(max_size=80))
def test_no_topic_is_an_error(topic):
    assert presence_from(topic) is None or topic.startswith(MARK)
    presence_from(MARK + topic)


@given(presence=presences, topic=st.text())
def test_a_mark_comes_behind_every_topic_in_the_order_of_bytes(presence, topic):
    assert topic.encode() < presence.topic() or topic.encode().startswith(MARK[:4])


def test_the_mark_is_the_one_that_others_write():
    presence = Presence("0123456789abcdef", 12, 34)

    assert presence.topic() == b"\xf4\x8f\xbf\xbfactormq\x000123456789abcdef/12/34"
