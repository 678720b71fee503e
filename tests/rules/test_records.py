import functools
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.message import Facts
from actormq.rules.records import Record, State, is_later, rank


def record(incarnation, edition, state, accuser=""):
    facts = Facts("home", "0" * 16, incarnation, "a", "lan", ("tcp://a:1",), "", edition)
    return Record(facts, state, "", accuser)


ALIVE, SUSPECT, DEAD, LEFT = State


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (record(1, 0, ALIVE), record(1, 1, ALIVE)),
        (record(1, 0, ALIVE), record(1, 0, SUSPECT)),
        (record(1, 0, SUSPECT), record(1, 1, ALIVE)),  # it has contradicted
        (record(1, 1, ALIVE), record(1, 1, SUSPECT)),
        (record(1, 0, SUSPECT), record(1, 0, DEAD)),
        (record(1, 9, ALIVE), record(1, 0, DEAD)),  # too late
        (record(1, 9, SUSPECT), record(1, 0, LEFT)),
        (record(1, 0, DEAD), record(2, 0, ALIVE)),
        (record(1, 9, LEFT), record(2, 0, SUSPECT)),
        (record(2, 9, ALIVE), record(2, 0, DEAD)),
    ],
)
def test_the_later_one_of_two(earlier, later):
    assert is_later(later, earlier)
    assert not is_later(earlier, later)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (record(1, 0, DEAD), record(1, 9, DEAD)),
        (record(1, 0, DEAD), record(1, 0, LEFT)),
        (record(1, 3, SUSPECT, "b"), record(1, 3, SUSPECT, "c")),
        (record(1, 3, ALIVE), record(1, 3, ALIVE)),
    ],
)
def test_of_two_that_say_the_same_neither_is_later(one, other):
    assert not is_later(one, other)
    assert not is_later(other, one)


RECORDS = st.builds(record, st.integers(1, 3), st.integers(0, 3), st.sampled_from(State))


def latest(one, other):
    return other if is_later(other, one) else one


@given(RECORDS, RECORDS, RECORDS)
def test_the_order_is_total_and_has_no_circle(a, b, c):
    assert is_later(a, b) + is_later(b, a) + (rank(a) == rank(b)) == 1
    if is_later(a, b) and is_later(b, c):
        assert is_later(a, c)
    # Equal ranks are one incarnation that is over, or one and the same claim.
    if rank(a) == rank(b):
        assert a.facts.incarnation == b.facts.incarnation
        assert a.state.is_final == b.state.is_final
        assert a.state.is_final or (a.facts.edition, a.state) == (b.facts.edition, b.state)


@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_whatever_comes_in_which_order_and_how_often_all_end_with_the_same(heard):
    ends = {
        rank(functools.reduce(latest, (*order, *order[:2])))
        for order in itertools.permutations(heard)
    }
    assert len(ends) == 1


@given(RECORDS, st.lists(RECORDS, max_size=6))
def test_an_end_yields_to_a_new_incarnation_only(end, heard):
    if end.state.is_final:
        after = functools.reduce(latest, heard, end)
        assert after.state.is_final or after.facts.incarnation > end.facts.incarnation
