import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.rules.suspicion import (
    CONFIRMATIONS,
    HEALTH_REGAIN,
    HEALTH_STEP,
    HEALTH_WORST,
    Health,
    Suspicion,
)

LEAST, MOST = 2.0, 4.0


@pytest.mark.parametrize(
    ("accusers", "others", "seconds"),
    [
        ("a", 0, LEAST),  # nobody could share it
        ("a", 1, MOST),
        ("ab", 1, LEAST),
        ("a", 9, MOST),
        ("ab", 9, 3.0),  # the logarithm of 2 to the base of 4
        ("abcd", 9, LEAST),
        ("abcde", 9, LEAST),
    ],
)
def test_a_suspicion_that_others_share_ends_sooner(accusers, others, seconds):
    suspicion = Suspicion(100.0, set(accusers), others)
    assert suspicion.ends(LEAST, MOST) == pytest.approx(100.0 + seconds)


@given(st.integers(0, 50), st.lists(st.sampled_from("abcdefgh"), max_size=12))
def test_each_accuser_counts_once_and_up_to_a_number(others, names):
    suspicion = Suspicion(0.0, {"first"}, others)
    before = suspicion.ends(LEAST, MOST)
    counted = []
    for name in names:
        if suspicion.confirm(name):
            counted.append(name)
        ends = suspicion.ends(LEAST, MOST)
        assert LEAST <= ends <= before <= MOST
        before = ends
    assert counted == list(dict.fromkeys(names))[:CONFIRMATIONS]


def test_who_has_accused_first_does_not_confirm():
    suspicion = Suspicion(0.0, {"a"}, 5)
    assert not suspicion.confirm("a")
    assert suspicion.confirm("b")
    assert not suspicion.confirm("b")


def test_patience_grows_with_each_incident_up_to_a_bound():
    health = Health()
    patience = []
    for _ in range(HEALTH_WORST + 2):
        patience.append(health.stretched(2.0))
        health.worsen(0.0)
    steps = [min(n, HEALTH_WORST) for n in range(HEALTH_WORST + 2)]
    assert patience == [pytest.approx(2.0 * (1 + HEALTH_STEP * n)) for n in steps]


def test_a_quiet_while_wins_back_one_point_at_a_time():
    health = Health()
    health.worsen(10.0)
    health.worsen(11.0)
    scores = []
    for now in (11.0, 13.9, 11.0 + HEALTH_REGAIN, 14.5, 11.0 + 2 * HEALTH_REGAIN, 99.0):
        health.recover(now)
        scores.append(health.score)
    assert scores == [2, 2, 1, 1, 0, 0]
