"""The socket types that go together: the whole table, and how the rest is said."""

import itertools

import pytest

from actormq.errors import IncompatibleSockets
from actormq.rules.pairing import (
    SOCKET_TYPES,
    can_pair,
    common_partners,
    is_named_first,
    mismatch,
    partners,
    plain,
)

TYPES = ["PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB"]

ALLOWED = {
    ("PUB", "SUB"),
    ("PUB", "XSUB"),
    ("XPUB", "SUB"),
    ("XPUB", "XSUB"),
    ("REQ", "REP"),
    ("REQ", "ROUTER"),
    ("DEALER", "REP"),
    ("DEALER", "ROUTER"),
    ("DEALER", "DEALER"),
    ("ROUTER", "ROUTER"),
    ("PUSH", "PULL"),
    ("PAIR", "PAIR"),
}
"""The deck's list, with XPUB and XSUB; each holds the other way round too."""

PAIRS = list(itertools.product(TYPES, TYPES))


def is_allowed(one, other):
    return (one, other) in ALLOWED or (other, one) in ALLOWED


def test_there_are_eleven_socket_types():
    assert sorted(SOCKET_TYPES) == sorted(TYPES)
    assert len(PAIRS) == 121


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_exactly_the_pairs_of_the_deck_are_allowed(one, other):
    assert can_pair(one, other) is is_allowed(one, other)
    assert (mismatch(one, "a", other, "b") is None) is is_allowed(one, other)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_refusal_names_both_ends_and_what_the_first_goes_with(one, other):
    found = mismatch(one, "a", other, "b")
    if is_allowed(one, other):
        assert found is None
        return
    ends = {(plain(one), "a"), (plain(other), "b")}
    assert {(found.one, found.one_name), (found.other, found.other_name)} == ends
    assert found.partners == tuple(k for k in partners(found.one) if not k.startswith("X"))
    sentence = str(IncompatibleSockets(*found))
    assert "XPUB" not in sentence
    assert "XSUB" not in sentence
    senders = {"PUB", "PUSH"} & {found.one, found.other}
    assert (found.one in senders) is bool(senders)
    assert (" cannot feed " in sentence) is bool(senders)


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        ("PUSH", "SUB", 'PUSH "tasks" cannot feed SUB "readings"; PUSH goes with PULL'),
        ("XSUB", "PUSH", 'PUSH "readings" cannot feed SUB "tasks"; PUSH goes with PULL'),
        ("PULL", "XPUB", 'PUB "readings" cannot feed PULL "tasks"; PUB goes with SUB'),
        ("PUB", "PUSH", 'PUB "tasks" cannot feed PUSH "readings"; PUB goes with SUB'),
        ("PULL", "SUB", 'PULL "tasks" cannot talk to SUB "readings"; PULL goes with PUSH'),
        ("REQ", "REQ", 'REQ "tasks" cannot talk to REQ "readings"; REQ goes with REP or ROUTER'),
        ("REP", "PUSH", 'PUSH "readings" cannot feed REP "tasks"; PUSH goes with PULL'),
        (
            "DEALER",
            "PAIR",
            'DEALER "tasks" cannot talk to PAIR "readings"; DEALER goes with REP, ROUTER or DEALER',
        ),
        (
            "SERVER",
            "REQ",
            'REQ "readings" cannot talk to SERVER "tasks"; REQ goes with REP or ROUTER',
        ),
        ("PUSH", "SCATTER", 'PUSH "tasks" cannot feed SCATTER "readings"; PUSH goes with PULL'),
        ("PULL", "SCATTER", 'PULL "tasks" cannot talk to SCATTER "readings"; PULL goes with PUSH'),
    ],
)
def test_the_error_says_it_in_one_sentence(one, other, sentence):
    assert str(IncompatibleSockets(*mismatch(one, "tasks", other, "readings"))) == sentence


@pytest.mark.parametrize("kind", TYPES)
def test_partners_are_those_that_can_pair_and_the_plain_ones_come_first(kind):
    found = partners(kind)
    assert set(found) == {other for other in TYPES if is_allowed(kind, other)}
    assert len(set(found)) == len(found)
    are_plain = [other == plain(other) for other in found]
    assert are_plain == sorted(are_plain, reverse=True)


@pytest.mark.parametrize("kind", ["", "SERVER", "push", "Pusher"])
def test_a_type_that_is_not_known_goes_with_nothing(kind):
    assert partners(kind) == ()
    assert not any(can_pair(kind, other) or can_pair(other, kind) for other in [*TYPES, kind])


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_common_partners_are_those_that_go_with_both(one, other):
    both = {kind for kind in TYPES if is_allowed(one, kind) and is_allowed(other, kind)}
    assert set(common_partners(one, other)) == both


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_at_least_one_of_two_is_named_first(one, other):
    assert is_named_first(one, other) or is_named_first(other, one)
