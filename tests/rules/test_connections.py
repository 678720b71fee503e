"""How many peers there are, told from events that do not say whose handshake has succeeded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.rules.connections import Connections

HERE, THERE = "tcp://127.0.0.1:5555", "ipc:///tmp/there"


def told(*events):
    """Connections after events such as `+7` (made), `ok`, `-7` (ended); all at one endpoint."""
    connections = Connections()
    for event in events:
        if event == "ok":
            connections.greeted(HERE)
        elif event > 0:
            connections.made(event, HERE)
        else:
            connections.ended(-event)
    return connections


@pytest.mark.parametrize(
    ("events", "count", "lost"),
    [
        ([], 0, 0),
        ([7], 0, 0),
        ([7, "ok"], 1, 0),
        ([7, "ok", 8, "ok"], 2, 0),
        ([7, "ok", -7], 0, 1),
        ([7, -7], 0, 0),
        (["ok"], 0, 0),
        ([-7], 0, 0),
        ([7, "ok", -7, 7, "ok"], 1, 1),
        ([7, "ok", 7, "ok"], 1, 1),  # the end of the first was not told
        ([7, 8, "ok", -7], 1, 0),  # 7 says nothing until its time is up
        ([7, 8, "ok", -8], 1, 0),  # 8 was junk that came right behind 7
        ([7, 8, 9, "ok", -9], 1, 0),
        ([7, 8, 9, "ok", -9, -8], 1, 0),
        ([7, 8, 9, "ok", -9, -8, -7], 0, 1),
        ([7, "ok", 8, -7], 0, 1),  # 8 is newer: it was no mistake
        ([7, 8, "ok", "ok", -8, -7], 0, 2),
        ([7, 8, "ok", -7, "ok"], 1, 1),  # 7 was the first "ok", and 8 the second
    ],
)
def test_those_count_whose_handshake_has_succeeded(events, count, lost):
    connections = told(*events)
    assert (connections.count, connections.lost_count) == (count, lost)


def test_endpoints_are_told_apart():
    connections = Connections()
    connections.made(7, HERE)
    connections.made(8, THERE)
    connections.greeted(HERE)
    assert connections.has(HERE)
    assert not connections.has(THERE)
    connections.greeted(THERE)
    assert connections.has(THERE)
    assert connections.count == 2


def test_what_we_have_left_ourselves_is_not_lost():
    connections = Connections()
    for descriptor, endpoint in ((7, HERE), (8, HERE), (9, THERE)):
        connections.made(descriptor, endpoint)
    connections.greeted(HERE)
    connections.greeted(THERE)
    connections.left(HERE)
    assert (connections.count, connections.lost_count) == (1, 0)
    assert not connections.has(HERE)
    connections.greeted(HERE)  # was under way as we left
    assert connections.count == 1


@st.composite
def lives(draw):
    """Events as libzmq tells them, of good and bad connections, and what is true after each."""
    free, greeting, good, bad, events, lost = list(range(3, 11)), [], [], [], [], 0
    for _ in range(draw(st.integers(0, 60))):
        choices = [kind for kind, members in (("made", free), ("greeted", greeting)) if members]
        choices += [kind for kind, members in (("lost", good), ("failed", bad)) if members]
        match draw(st.sampled_from(choices)):
            case "made":
                descriptor = free.pop(draw(st.integers(0, len(free) - 1)))
                draw(st.sampled_from([greeting, bad])).append(descriptor)
                events.append(("made", descriptor))
            case "greeted":
                good.append(greeting.pop(draw(st.integers(0, len(greeting) - 1))))
                events.append(("greeted", None))
            case kind:
                members = good if kind == "lost" else bad
                descriptor = members.pop(draw(st.integers(0, len(members) - 1)))
                free.append(descriptor)
                lost += kind == "lost"
                events.append(("ended", descriptor))
        events[-1] += (len(good), len(greeting) + len(bad), lost)
    return events


@pytest.mark.slow
@given(lives())
def test_the_count_is_never_too_low_and_right_while_no_handshake_is_open(events):
    connections = Connections()
    for kind, descriptor, good, others, lost in events:
        match kind:
            case "made":
                connections.made(descriptor, HERE)
            case "greeted":
                connections.greeted(HERE)
            case "ended":
                before = connections.count
                assert connections.ended(descriptor) == (connections.count < before)
        assert connections.count >= good
        if not others:
            assert (connections.count, connections.lost_count) == (good, lost)
