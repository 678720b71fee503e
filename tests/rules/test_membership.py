import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.rules.membership import Evidence, Patience, State, judge, lag_of
from actormq.settings import DEAD_AFTER, RECONNECT_GRACE, SUSPECT_AFTER, TICK_INTERVAL

PATIENCE = Patience(suspect_after=3.0, dead_after=6.0, reconnect_grace=0.75)


@pytest.mark.parametrize(
    ("heard_at", "cut_at", "now", "state"),
    [
        # silence alone
        (100.0, None, 100.0, State.ALIVE),
        (100.0, None, 103.0, State.ALIVE),
        (100.0, None, 103.1, State.SUSPECT),
        (100.0, None, 106.0, State.SUSPECT),
        (100.0, None, 106.1, State.DEAD),
        # a broken connection: suspect at once, dead after the grace
        (100.0, 100.0, 100.0, State.SUSPECT),
        (100.0, 100.5, 101.2, State.SUSPECT),
        (100.0, 100.5, 101.3, State.DEAD),
        # words after the cut, over the peer's own connection to us, begin the grace anew
        (101.0, 100.5, 101.7, State.SUSPECT),
        (101.0, 100.5, 101.8, State.DEAD),
        # long silence counts whatever the connection
        (100.0, 106.0, 106.1, State.DEAD),
    ],
)
def test_what_is_believed_of_a_peer(heard_at, cut_at, now, state):
    assert judge(Evidence(heard_at, cut_at), now, PATIENCE)[0] is state


@pytest.mark.parametrize(
    ("evidence", "now", "reason"),
    [
        (Evidence(100.0), 100.0, "heard"),
        (Evidence(100.0), 104.0, "silent for 4.0 s"),
        (Evidence(100.0), 107.25, "silent for 7.2 s"),
        (Evidence(100.0, 100.0), 100.1, "its connection broke"),
        (Evidence(100.0, 100.0), 101.0, "its connection broke and did not come back"),
    ],
)
def test_the_reason_is_for_people(evidence, now, reason):
    assert judge(evidence, now, PATIENCE)[1] == reason


@pytest.mark.parametrize(
    ("now", "previous", "lag"),
    [
        (10.25, 10.0, 0.0),
        (10.30, 10.0, 0.0),
        (10.50, 10.0, 0.0),  # one interval late is jitter
        (11.25, 10.0, 1.0),
        (20.25, 10.0, 10.0),
        (10.10, 10.0, 0.0),
    ],
)
def test_a_look_that_comes_very_late_tells_of_lag(now, previous, lag):
    assert lag_of(now, previous, interval=0.25) == pytest.approx(lag)


def test_a_node_that_lagged_declares_nobody_dead():
    evidence = Evidence(heard_at=100.0)

    evidence.forgive(lag_of(130.0, 100.25, interval=0.25))

    assert judge(evidence, 130.0, PATIENCE)[0] is State.ALIVE


def test_lag_is_forgiven_to_a_broken_connection_too():
    evidence = Evidence(heard_at=100.0, cut_at=100.0)

    evidence.forgive(5.0)

    assert judge(evidence, 105.5, PATIENCE)[0] is State.SUSPECT


ORDER = [State.ALIVE, State.SUSPECT, State.DEAD]
times = st.floats(0, 1e6)


@given(heard_at=times, cut_at=times | st.none(), now=times, later=st.floats(0, 100))
def test_without_a_word_belief_only_falls(heard_at, cut_at, now, later):
    evidence = Evidence(heard_at, cut_at)

    first, _ = judge(evidence, now, PATIENCE)
    then, _ = judge(evidence, now + later, PATIENCE)

    assert ORDER.index(then) >= ORDER.index(first)


@given(heard_at=times, cut_at=times | st.none(), now=times)
def test_a_word_never_makes_it_worse(heard_at, cut_at, now):
    evidence = Evidence(heard_at, cut_at)
    before, _ = judge(evidence, now, PATIENCE)

    after, _ = judge(dataclasses.replace(evidence, heard_at=max(heard_at, now)), now, PATIENCE)

    assert ORDER.index(after) <= ORDER.index(before)


def test_suspicion_stands_before_death_in_the_settings():
    patience = Patience()

    assert patience == Patience(SUSPECT_AFTER, DEAD_AFTER, RECONNECT_GRACE)
    assert patience.suspect_after < patience.dead_after
    # Known to all within 2 s of a kill, and within 8 s of a silent cut.
    assert patience.reconnect_grace + 2 * TICK_INTERVAL < 2.0
    assert patience.dead_after + 2 * TICK_INTERVAL < 8.0
