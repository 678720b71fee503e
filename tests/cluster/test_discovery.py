import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.cluster.discovery import (
    CONTESTED_FOR,
    ENDPOINT_COUNT_LIMIT,
    ENDPOINT_LIMIT,
    NAME_LIMIT,
    RECORD_LIFE,
    TXT_ITEM_LIMIT,
    TXT_LIMIT,
    Announcement,
    AnnouncementError,
    DiscoveryUnavailable,
    Sightings,
    TooManyKnown,
    from_txt,
    split_txt,
    to_txt,
)

ROOF = Announcement(
    mesh="home",
    node_id="0123456789abcdef",
    name="roof",
    scope="loopback:1000",
    endpoints=("tcp://127.0.0.1:49152", "ipc://@actormq-1"),
    protocol=1,
)

names = st.text(min_size=1, max_size=NAME_LIMIT).filter(str.isprintable)
ports = st.integers(1, 65535)
hosts = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map("[{}]".format),
    st.from_regex(r"[a-z][a-z0-9-]{0,30}(\.local)?", fullmatch=True),
)
endpoints = st.one_of(
    st.builds("tcp://{}:{}".format, hosts, ports),
    st.from_regex(r"ipc://[@/]?[a-zA-Z0-9/._-]{1,60}", fullmatch=True),
)
announcements = st.builds(
    Announcement,
    mesh=names,
    node_id=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    name=names,
    scope=st.one_of(st.just("lan"), st.integers(0, 2**32).map("loopback:{}".format)),
    endpoints=st.lists(endpoints, min_size=1, max_size=ENDPOINT_COUNT_LIMIT).map(tuple),
    protocol=st.integers(0, 65535),
)


def wire(items):
    """The data of a TXT record, as RFC 6763 section 6.1 has it."""
    rows = [key if value is None else key + b"=" + value for key, value in items.items()]
    return b"".join(bytes([len(row)]) + row for row in rows)


def altered(**changes):
    """The items of ROOF with some values changed, or taken out where the change is None."""
    items = to_txt(ROOF) | {key.encode(): value for key, value in changes.items()}
    return {key: value for key, value in items.items() if value is not None}


@given(announcements)
def test_what_was_written_is_read_back(announcement):
    text = wire(to_txt(announcement))

    assert len(text) <= TXT_LIMIT
    assert from_txt(split_txt(text)) == announcement


@given(announcements)
def test_no_item_is_longer_than_its_length_byte_can_say(announcement):
    assert all(len(k) + 1 + len(v) <= TXT_ITEM_LIMIT for k, v in to_txt(announcement).items())


def test_the_longest_names_and_endpoints_fit():
    endpoint = "tcp://" + "a" * (ENDPOINT_LIMIT - len("tcp://:65535")) + ":65535"
    longest = Announcement(
        "\N{SNOWMAN}" * 63, "f" * 16, "\U0001f600" * 63, "lan", (endpoint,) * 36, 65535
    )

    assert from_txt(split_txt(wire(to_txt(longest)))) == longest


def test_more_than_a_record_holds_is_refused_before_it_is_sent():
    long = "ipc://" + "a" * (ENDPOINT_LIMIT - len("ipc://"))

    with pytest.raises(AnnouncementError, match=r"takes \d+ bytes, the limit is 8192"):
        to_txt(Announcement("home", "f" * 16, "roof", "lan", (long,) * 64, 1))


@given(st.binary(max_size=2000))
def test_random_bytes_raise_nothing_but_an_announcement_error(text):
    with pytest.raises(AnnouncementError):
        from_txt(split_txt(text))


@given(
    st.dictionaries(
        st.sampled_from([b"v", b"i", b"m", b"n", b"s", b"e0", b"e1", b"e63", b"e64", b""]),
        st.one_of(st.none(), st.binary(max_size=300), st.just(b"1"), st.just(b"lan")),
    )
)
def test_random_values_raise_nothing_but_an_announcement_error(items):
    with pytest.raises(AnnouncementError) as caught:
        from_txt(items)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text",
    [
        os.urandom(65536),
        b"\0" * 65536,
        b"\1e" * 32768,
        b"\xff" * 65536,
        wire({b"e%d" % number: b"tcp://10.0.0.1:1" for number in range(3000)}),
    ],
)
def test_64_kb_of_anything_is_refused_at_once(text):
    started = time.thread_time()
    with pytest.raises(AnnouncementError, match="the limit is 8192"):
        split_txt(text)

    assert time.thread_time() - started < 0.05  # takes microseconds: its length is all that counts


@pytest.mark.parametrize("text", [b"\1", b"\5v=1", b"\3v=1\xff"])
def test_an_item_that_ends_past_its_record_is_refused(text):
    with pytest.raises(AnnouncementError, match="ends past its record"):
        split_txt(text)


def test_keys_are_split_as_the_rfc_says():
    text = wire({b"a": b"1=2", b"flag": None, b"empty": b"", b"": b"keyless"}) + b"\3a=3"

    assert split_txt(text) == {b"a": b"1=2", b"flag": None, b"empty": b"", b"": b"keyless"}


def test_unknown_keys_are_left_alone():
    assert from_txt(altered(later=b"\xff", x=b"")) == ROOF


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"v": None}, "no value for v"),
        ({"v": b"-1"}, "not a number"),
        ({"v": b"\xd9\xa1"}, "not a number"),  # a digit elsewhere than in ASCII
        ({"v": b"1_0"}, "not a number"),
        ({"v": b"9" * 250}, "not a number"),
        ({"v": b"65536"}, "not within 0 to 65535"),
        ({"i": None}, "no value for i"),
        ({"i": b"0123456789ABCDEF"}, "not 16 hex digits"),
        ({"i": b"0123456789abcdef\n"}, "not 16 hex digits"),
        ({"m": None}, "no value for m"),
        ({"m": b""}, "the mesh is not 1 to 63"),
        ({"m": b"x" * 64}, "the mesh is not 1 to 63"),
        ({"m": b"\xff\xfe"}, "not UTF-8"),
        ({"m": b"x" * 256}, "more than an item holds"),
        ({"n": b"\x1b[2J"}, "the name is not 1 to 63 printable"),
        ({"n": "\N{RIGHT-TO-LEFT OVERRIDE}evil".encode()}, "the name is not 1 to 63 printable"),
        ({"s": b"world"}, "no such scope"),
        ({"s": b"loopback:"}, "no such scope"),
        ({"s": b"lan\n"}, "no such scope"),
        ({"e0": None}, "0 endpoints"),
        ({f"e{n}": b"ipc://@x" for n in range(65)}, "65 endpoints, not 1 to 64"),
        ({f"e{n}": b"ipc://@x" for n in range(5000)}, "65 endpoints, not 1 to 64"),
        ({"e1": b"inproc://secret"}, "not tcp://HOST:PORT or ipc://PATH"),
        ({"e1": b"file:///etc/passwd"}, "not tcp://HOST:PORT or ipc://PATH"),
        ({"e1": b"tcp://*:5555"}, "not tcp://HOST:PORT"),
        ({"e1": b"tcp://10.0.0.1:0"}, "not tcp://HOST:PORT"),
        ({"e1": b"tcp://10.0.0.1:65536"}, "not tcp://HOST:PORT"),
        ({"e1": b"tcp://10.0.0.1"}, "not tcp://HOST:PORT"),
        ({"e1": b"tcp://eth0;10.0.0.1:80"}, "not tcp://HOST:PORT"),
        ({"e1": b"ipc://"}, "not tcp://HOST:PORT or ipc://PATH"),
        ({"e1": b"ipc://\x1b[2J"}, "200 printable bytes"),
        ({"e1": b"ipc://" + b"x" * 195}, "200 printable bytes"),
    ],
)
def test_whatever_is_off_is_refused_with_its_reason(changes, reason):
    with pytest.raises(AnnouncementError, match=reason):
        from_txt(altered(**changes))


def test_endpoints_after_a_gap_are_not_read():
    assert from_txt(altered(e3=b"tcp://10.0.0.1:1")) == ROOF


def test_a_source_that_cannot_start_names_the_cause_and_the_way_out():
    error = DiscoveryUnavailable("mDNS", "Permission denied")

    assert str(error) == (
        "mDNS cannot start (Permission denied): "
        "name a node that is already there with --join HOST:PORT"
    )


def read(instance, text):
    """Stand for a reader: instances called bad are refused."""
    if instance.startswith("bad"):
        raise AnnouncementError("bad")
    return Announcement(text.decode(), "0" * 16, instance, "lan", ("ipc://@x",), 1)


def filled(limit=3, life=100.0):
    sightings = Sightings(read, limit)
    for at in range(limit):
        sightings.hear(f"node{at}", b"home", life, float(at))
    return sightings


def instances(sightings, now):
    return {announcement.name for announcement in sightings.current(now)}


def test_news_is_told_once_and_a_repetition_is_not():
    sightings = Sightings(read)

    assert sightings.hear("roof", b"home", 100, 0.0).mesh == "home"
    assert sightings.hear("roof", b"home", 100, 1.0) is None
    assert sightings.hear("roof", b"work", 100, 2.0).mesh == "work"


def test_a_sighting_ends_when_its_life_is_over_unless_it_is_heard_again():
    sightings = Sightings(read)
    sightings.hear("roof", b"home", 100, 0.0)
    sightings.hear("yard", b"home", 100, 0.0)
    sightings.hear("roof", b"home", 100, 60.0)

    assert instances(sightings, 99.9) == {"roof", "yard"}
    assert instances(sightings, 100.0) == {"roof"}
    assert instances(sightings, 160.0) == set()


def test_nobody_is_granted_a_longer_life_than_ours():
    sightings = Sightings(read)
    sightings.hear("roof", b"home", 2**31, 0.0)

    assert instances(sightings, RECORD_LIFE - 1) == {"roof"}
    assert instances(sightings, RECORD_LIFE) == set()


def test_only_the_younger_half_of_life_needs_no_question():
    sightings = Sightings(read)
    sightings.hear("roof", b"home", 100, 0.0)

    assert sightings.settled(40.0) == [("roof", 60.0)]
    assert sightings.settled(50.0) == []


def test_one_that_says_something_else_is_asked_again_so_that_its_owner_speaks_up():
    sightings = Sightings(read)
    sightings.hear("roof", b"home", 100, 0.0)
    assert [name for name, _ in sightings.settled(1.0)] == ["roof"]
    assert sightings.hear("roof", b"forged", 100, 2.0) is not None
    assert sightings.settled(3.0) == []
    assert sightings.hear("roof", b"home", 100, 4.0) is not None
    assert sightings.settled(4.0 + CONTESTED_FOR - 0.1) == []
    assert [name for name, _ in sightings.settled(4.0 + CONTESTED_FOR)] == ["roof"]


def test_an_end_of_what_was_replaced_since_is_no_end():
    sightings = Sightings(read)
    sightings.hear("roof", b"home", 100, 0.0)
    sightings.hear("roof", b"work", 100, 1.0)
    sightings.forget("roof", b"home")
    sightings.forget("yard", b"home")
    assert instances(sightings, 2.0) == {"roof"}

    sightings.forget("roof", b"work")
    assert instances(sightings, 2.0) == set()


def test_a_thousand_forged_names_neither_grow_the_table_nor_push_anyone_out():
    sightings = filled()

    for number in range(1000):
        with pytest.raises(TooManyKnown):
            sightings.hear(f"forged{number}", b"home", 100, 3.0)

    assert instances(sightings, 3.0) == {"node0", "node1", "node2"}
    assert sightings.refused_count == 1000


def test_a_thousand_malformed_names_take_only_the_room_that_nobody_wants():
    sightings = Sightings(read, 3)
    for number in range(1000):
        with pytest.raises(AnnouncementError, match="bad"):
            sightings.hear(f"bad{number}", b"home", 100, 0.0)

    for at in range(3):
        assert sightings.hear(f"node{at}", b"home", 100, 1.0)

    assert instances(sightings, 1.0) == {"node0", "node1", "node2"}
    assert sightings.refused_count == 1000


def test_the_same_nonsense_is_counted_once():
    sightings = Sightings(read)
    with pytest.raises(AnnouncementError):
        sightings.hear("bad", b"home", 100, 0.0)

    assert sightings.hear("bad", b"home", 100, 1.0) is None
    assert sightings.refused_count == 1


@pytest.mark.parametrize(
    ("now", "gone"),
    [
        (51.0, "node0"),  # silent for more than half its life, and the longest
        (100.0, "node0"),  # past its end
    ],
)
def test_a_newcomer_takes_the_place_of_who_has_gone_silent(now, gone):
    sightings = filled()

    assert sightings.hear("late", b"home", 100, now)
    assert instances(sightings, now) == {"node0", "node1", "node2", "late"} - {gone}


def test_nonsense_in_the_name_of_a_node_does_not_hide_it():
    def strict(instance, text):
        if text != b"home":
            raise AnnouncementError("nonsense")
        return read(instance, text)

    sightings = Sightings(strict)
    sightings.hear("roof", b"home", 100, 0.0)
    with pytest.raises(AnnouncementError, match="nonsense"):
        sightings.hear("roof", b"\xff", 100, 1.0)

    assert instances(sightings, 2.0) == {"roof"}
    assert sightings.refused_count == 1
