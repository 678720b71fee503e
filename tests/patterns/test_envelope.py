"""Who a message came from: told by its frames alone, kept for the way back."""

import pytest

from actormq import Peer
from actormq.patterns.envelope import behind_delimiter, parted


@pytest.mark.parametrize(
    ("frames", "envelope", "body"),
    [
        ([b"id", b"a"], [b"id"], [b"a"]),  # a DEALER
        ([b"id", b"a", b"b", b"c"], [b"id"], [b"a", b"b", b"c"]),
        ([b"id", b""], [b"id"], [b""]),
        ([b"id", b"a", b""], [b"id"], [b"a", b""]),
        ([b"id", b"", b"a"], [b"id", b""], [b"a"]),  # a REQ
        ([b"id", b"", b""], [b"id", b""], [b""]),
        ([b"id", b"", b"a", b"", b"b"], [b"id", b""], [b"a", b"", b"b"]),
        ([b"id", b"one", b"two", b"", b"a"], [b"id", b"one", b"two", b""], [b"a"]),  # two devices
        ([b"id"], [b"id"], []),
    ],
)
def test_an_envelope_ends_with_the_first_empty_frame_that_has_something_behind_it(
    frames, envelope, body
):
    peer, rest = parted(frames)
    assert peer == Peer(*envelope)
    assert list(rest) == body
    assert [*peer.envelope, *rest] == frames


@pytest.mark.parametrize(
    ("frames", "body"),
    [
        ([b"", b"a"], [b"a"]),
        ([b"", b"", b"a"], [b"", b"a"]),
        ([b"a", b"", b"b"], [b"a", b"", b"b"]),
        ([b""], [b""]),
        ([b"a"], [b"a"]),
    ],
)
def test_what_a_rep_puts_ahead_is_one_empty_frame(frames, body):
    assert behind_delimiter(frames) == body


def test_peers_are_equal_if_their_envelopes_are_and_serve_as_keys():
    seen = {Peer(b"a"): 1, Peer(b"a", b""): 2}
    assert seen[Peer(b"a")] == 1
    assert seen[Peer(b"a", b"")] == 2
    assert Peer(b"a") != Peer(b"b")
    assert Peer(b"a") != (b"a",)
    assert len({Peer(b"a"), Peer(b"a"), Peer(b"b")}) == 2


@pytest.mark.parametrize(
    ("envelope", "text"),
    [
        ([b"worker-3"], "<Peer worker-3>"),
        ([b"\0\x12\x34\x56\x78", b""], "<Peer 0012345678>"),
        ([b"device", b"\0\x12\x34\x56\x78", b""], "<Peer device/0012345678>"),
        (["Zoë".encode()], "<Peer 5a6fc3ab>"),
        ([b"a\nb"], "<Peer 610a62>"),
    ],
)
def test_a_peer_reads_as_its_identity_or_as_figures(envelope, text):
    assert repr(Peer(*envelope)) == text
