import itertools
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actormq import SetupError
from actormq.rules.restart import (
    POLICIES,
    STRATEGIES,
    RestartBudget,
    RestartHistory,
    checked_policy,
    checked_strategy,
    is_restarted,
)


@pytest.mark.parametrize(
    ("history", "now", "allowed"),
    [
        ([], 0.0, True),
        ([0.0, 1.0], 2.0, True),
        ([0.0, 1.0, 2.0], 3.0, False),
        ([2.0, 0.0, 1.0], 3.0, False),  # in any order
        ([0.0, 1.0, 2.0], 5.0, False),  # at the edge of the period it still counts, as in OTP
        ([0.0, 1.0, 2.0], 5.5, True),  # the first restart has left the window
        ([0.0, 1.0, 2.0], 1000.0, True),
    ],
)
def test_budget_counts_only_the_current_period(history, now, allowed):
    assert RestartBudget(restarts=3, period=5.0).allows(history, now) is allowed


def test_a_budget_of_0_allows_nothing():
    assert not RestartBudget(restarts=0).allows([], 0.0)
    assert not RestartHistory(RestartBudget(restarts=0)).enter(0.0)


def test_a_history_answers_for_the_current_period():
    history = RestartHistory(RestartBudget(restarts=2, period=5.0))
    assert [history.enter(now) for now in (0.0, 1.0, 2.0, 5.0, 5.5, 6.0, 6.5)] == [
        *(True, True, False, False),
        *(True, False, True),
    ]
    assert history.times == (5.5, 6.5)


def test_a_restart_that_does_not_fit_is_not_entered():
    history = RestartHistory(RestartBudget(restarts=1, period=5.0))
    assert [history.enter(now) for now in (0.0, 4.0, 5.5)] == [True, False, True]


@settings(deadline=None)
@given(
    st.integers(0, 4),
    st.floats(0.5, 10.0),
    st.lists(st.floats(0.0, 5.0), max_size=30),
)
def test_a_history_decides_as_the_budget_does(restarts, period, pauses):
    budget = RestartBudget(restarts, period)
    history = RestartHistory(budget)
    entered = []
    for now in itertools.accumulate(pauses):
        allowed = budget.allows(entered, now)
        assert history.enter(now) is allowed
        entered += [now] * allowed
        assert len(history.times) <= restarts


def test_a_budget_that_no_machine_can_spend_is_taken():
    assert RestartHistory(RestartBudget(restarts=2 * sys.maxsize)).enter(0.0)


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"restarts": -1}, "RestartBudget: restarts=-1: a whole number is wanted, 0 or more"),
        ({"restarts": 2.0}, "RestartBudget: restarts=2.0: a whole number is wanted, 0 or more"),
        ({"restarts": True}, "RestartBudget: restarts=True: a whole number is wanted, 0 or more"),
        ({"restarts": "3"}, "RestartBudget: restarts='3': a whole number is wanted, 0 or more"),
        ({"period": 0}, "RestartBudget: period=0: a number is wanted, seconds above 0"),
        ({"period": -5.0}, "RestartBudget: period=-5.0: a number is wanted, seconds above 0"),
        (
            {"period": float("nan")},
            "RestartBudget: period=nan: a number is wanted, seconds above 0",
        ),
        (
            {"period": float("inf")},
            "RestartBudget: period=inf: a number is wanted, seconds above 0",
        ),
    ],
)
def test_figures_out_of_bounds_are_refused(given_, sentence):
    with pytest.raises(SetupError) as caught:
        RestartBudget(**given_)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("policy", "after_error", "after_end"),
    [("always", True, True), ("on_error", True, False), ("never", False, False)],
)
def test_the_policy_says_whether_an_ended_child_is_restarted(policy, after_error, after_end):
    assert is_restarted(policy, is_error=True) is after_error
    assert is_restarted(policy, is_error=False) is after_end


def test_known_words_are_returned():
    assert [checked_policy(word) for word in POLICIES] == ["always", "on_error", "never"]
    assert [checked_strategy(word) for word in STRATEGIES] == [
        *("one_for_one", "one_for_all", "rest_for_one"),
    ]


@pytest.mark.parametrize("word", ["permanent", "", None, 3, ["always"]])
def test_an_unknown_policy_is_refused_by_name(word):
    with pytest.raises(SetupError) as caught:
        checked_policy(word)
    assert str(caught.value) == (
        f"restart policy {word!r} is unknown: take 'always', 'on_error' or 'never'"
    )


@pytest.mark.parametrize("word", ["simple_one_for_one", "", None, 3, ["one_for_all"]])
def test_an_unknown_strategy_is_refused_by_name(word):
    with pytest.raises(SetupError) as caught:
        checked_strategy(word)
    assert str(caught.value) == (
        f"strategy {word!r} is unknown: take 'one_for_one', 'one_for_all' or 'rest_for_one'"
    )
