"""How the slots of one worker are divided among farms."""

import pytest

from actormq.rules.shares import shares


@pytest.mark.parametrize(
    ("slots", "wanted", "given"),
    [
        (4, {}, {}),
        (4, {"a": 9}, {"a": 4}),
        (4, {"a": 9, "b": 9}, {"a": 2, "b": 2}),
        (5, {"a": 9, "b": 9}, {"a": 3, "b": 2}),
        (8, {"a": 100, "b": 2, "c": 100}, {"a": 3, "b": 2, "c": 3}),
        (1, {"a": 1, "b": 1}, {"a": 1, "b": 0}),
        (4, {"a": 1}, {"a": 4}),  # nobody else wants them
        (4, {"a": 0, "b": 0}, {"a": 2, "b": 2}),
        (4, {"a": 3, "b": 0}, {"a": 3, "b": 1}),
        (0, {"a": 1}, {"a": 0}),
    ],
)
def test_slots_are_divided_evenly_among_those_who_want_them(slots, wanted, given):
    assert shares(slots, wanted) == given
