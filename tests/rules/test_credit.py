"""Few tasks at a time where they are long, many where they are short."""

import pytest

from actormq.rules.credit import AHEAD, CREDIT_LIMIT, LONG, credit_for, mean_after


@pytest.mark.parametrize(
    ("seconds", "credit"),
    [
        (None, 1),
        (60.0, 1),
        (LONG, 1),
        (LONG / 2, 2),
        (AHEAD, 2),
        (AHEAD / 25, 25),
        (1e-6, CREDIT_LIMIT),
        (0.0, CREDIT_LIMIT),
    ],
)
def test_a_worker_holds_what_it_does_within_a_moment(seconds, credit):
    assert credit_for(seconds) == credit


def test_the_mean_follows_the_newest_tasks():
    mean = mean_after(None, 10.0, 10)
    assert mean == 1.0
    for _ in range(10):
        mean = mean_after(mean, 30.0, 10)
    assert 2.9 < mean < 3.0
