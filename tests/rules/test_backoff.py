import pytest

from actormq import SetupError
from actormq.rules.backoff import Backoff

MIDDLE = 0.5  # of chance: neither way


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.8), (9, 25.6), (10, 30.0), (11, 30.0), (10**6, 30.0)],
)
def test_delays_double_up_to_the_longest(attempt, seconds):
    assert Backoff().delay(attempt, MIDDLE) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("chance", "share"), [(0.0, 0.8), (0.25, 0.9), (0.5, 1.0), (0.75, 1.1), (1.0, 1.2)]
)
def test_chance_moves_a_delay_both_ways(chance, share):
    assert Backoff(jitter=0.2).delay(1, chance) == pytest.approx(0.1 * share)
    assert Backoff(jitter=0.2).delay(10**6, chance) == pytest.approx(30.0 * share)


def test_without_jitter_chance_is_not_asked():
    assert Backoff(first=1.0, jitter=0.0).delay(1, 0.0) == 1.0
    assert Backoff(first=1.0, jitter=0.0).delay(1, 0.99) == 1.0


@pytest.mark.parametrize("attempt", [1, 2, 10**6])
def test_a_first_delay_of_0_never_waits(attempt):
    assert Backoff(first=0.0).delay(attempt, 0.99) == 0.0
    assert Backoff(first=0, most=0).delay(attempt, 0.99) == 0.0


@pytest.mark.parametrize("attempt", [1, 2, 10**6])
def test_a_factor_of_1_waits_evenly(attempt):
    assert Backoff(first=2.0, factor=1.0).delay(attempt, MIDDLE) == 2.0


@pytest.mark.parametrize("most", [1.7e308, 30])
def test_large_figures_do_not_overflow(most):
    steep = Backoff(first=1.0, most=most, factor=1e308, jitter=0.0)
    assert [steep.delay(attempt, MIDDLE) for attempt in (2, 3, 10**6)] == [
        min(1e308, most),
        most,
        most,
    ]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"first": -0.1}, "Backoff: first=-0.1: a number is wanted, seconds, 0 or more"),
        ({"first": float("nan")}, "Backoff: first=nan: a number is wanted, seconds, 0 or more"),
        ({"first": "1"}, "Backoff: first='1': a number is wanted, seconds, 0 or more"),
        ({"first": True}, "Backoff: first=True: a number is wanted, seconds, 0 or more"),
        ({"first": None}, "Backoff: first=None: a number is wanted, seconds, 0 or more"),
        ({"most": -1}, "Backoff: most=-1: a number is wanted, seconds, 0 or more"),
        ({"most": float("inf")}, "Backoff: most=inf: a number is wanted, seconds, 0 or more"),
        ({"most": 10**400}, f"Backoff: most={10**400}: a number is wanted, seconds, 0 or more"),
        ({"factor": 0.99}, "Backoff: factor=0.99: a number is wanted, 1 or more"),
        ({"factor": float("inf")}, "Backoff: factor=inf: a number is wanted, 1 or more"),
        ({"jitter": -0.1}, "Backoff: jitter=-0.1: a number is wanted, a share from 0 to 1"),
        ({"jitter": 1.1}, "Backoff: jitter=1.1: a number is wanted, a share from 0 to 1"),
        (
            {"first": 2.0, "most": 1.0},
            (
                "Backoff: most=1.0 is below first=2.0: "
                "the longest delay cannot be shorter than the first"
            ),
        ),
    ],
)
def test_figures_out_of_bounds_are_refused(given, sentence):
    with pytest.raises(SetupError) as caught:
        Backoff(**given)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "given",
    [
        {"first": 0, "most": 0},
        {"first": 1, "most": 1},
        {"factor": 1},
        {"jitter": 0},
        {"jitter": 1},
    ],
)
def test_figures_at_their_bounds_are_taken(given):
    assert Backoff(**given).delay(1, 0.0) >= 0.0


def test_a_backoff_is_a_value():
    assert Backoff(0.1, 30.0, 2.0, 0.2) == Backoff()
    assert len({Backoff(), Backoff(first=0.1)}) == 1
