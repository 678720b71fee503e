import pytest

from actormq import message
from actormq.cluster.member import Member
from actormq.cluster.sessions import SESSIONS, Sessions, refused
from actormq.message import PROTOCOL, Facts

OWN = Facts("home", "0" * 16, 1, "roof", "lan", ("tcp://h:1",), "h")
PEER = Facts("home", "1" * 16, 2, "cellar", "lan", ("tcp://h:2",), "h")


@pytest.fixture
def sessions():
    return Sessions()


def member(facts=PEER):
    return Member(facts, None, 0.0)


def test_who_has_said_hello_speaks_on_its_connection(sessions):
    peer = member()

    assert sessions.speaks(b"1") is None
    sessions.begin(b"1", peer)

    assert sessions.get(b"1") is sessions.speaks(b"1") is peer


def test_the_newest_connection_counts_once_something_came_on_it(sessions):
    peer, other = member(), member(OWN)
    sessions.begin(b"other", other)
    for routing_id in (b"1", b"2", b"3"):
        sessions.begin(routing_id, peer)

    assert sessions.speaks(b"1") is peer  # what was sent before the next hello may come yet
    assert sessions.speaks(b"2") is peer
    assert sessions.speaks(b"1") is None  # overtaken
    assert sessions.speaks(b"2") is peer
    assert sessions.speaks(b"3") is peer

    assert (len(sessions), list(peer.sessions)) == (2, [b"3"])
    assert sessions.speaks(b"other") is other


def test_so_many_connections_of_a_peer_are_remembered_and_no_more(sessions):
    peer = member()
    ids = [bytes([n]) for n in range(3 * SESSIONS)]

    for routing_id in ids:
        sessions.begin(routing_id, peer)

    assert len(sessions) == len(peer.sessions) == SESSIONS
    assert [sessions.get(one) for one in ids[-SESSIONS - 1 :]] == [None, *[peer] * SESSIONS]


def test_who_broke_the_protocol_has_to_begin_anew(sessions):
    peer = member()
    sessions.begin(b"1", peer)

    sessions.end(b"1")
    sessions.end(b"1")

    assert sessions.speaks(b"1") is None
    assert peer.sessions == {}
    sessions.begin(b"1", peer)
    assert sessions.speaks(b"1") is peer


def test_who_is_gone_leaves_no_connection_behind(sessions):
    peer, other = member(), member(OWN)
    sessions.begin(b"other", other)
    for routing_id in (b"1", b"2"):
        sessions.begin(routing_id, peer)

    sessions.end_all(peer)

    assert len(sessions) == 1
    assert sessions.speaks(b"2") is None
    assert sessions.speaks(b"other") is other


# -- who is let in ----------------------------------------------------------------------------


def answer(version=PROTOCOL, facts=PEER, dead=0):
    """The answer to a hello, and what is reported of it."""
    said = []
    dead = {PEER.node: dead} if dead else {}
    return refused(OWN, version, facts, dead, lambda *words: said.append(words)), said


def test_who_belongs_is_let_in_without_a_word():
    assert answer() == (None, [])
    assert answer(dead=1) == (None, [])


def test_who_does_not_is_refused_and_reported():
    stranger = Facts("lab", "2" * 16, 1, "shed", "lan", (), "h")

    envelope, said = answer(facts=stranger)

    assert envelope[:2] == [message.REFUSED, message.REASON_MESH]
    assert said == [("shed", f"not let in: {envelope[2]}")]


def test_of_another_version_nothing_is_read_but_the_number():
    envelope, [(who, _)] = answer(PROTOCOL + 1, None)

    assert envelope[:2] == [message.REFUSED, message.REASON_VERSION]
    assert who == f"a node of protocol version {PROTOCOL + 1}"


def test_the_dead_who_come_back_are_no_news():
    envelope, said = answer(dead=2)

    assert envelope[:2] == [message.REFUSED, message.REASON_STALE]
    assert "come back as 3" in envelope[2]
    assert said == []
