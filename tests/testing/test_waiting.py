"""Waiting for a condition."""

import functools

import pytest

from actormq.testing import until


async def test_a_condition_gives_its_value_once_it_is_true():
    looks = []

    def condition():
        looks.append(1)
        return len(looks) if len(looks) == 3 else 0

    assert await until(condition) == 3


async def test_a_condition_may_be_async():
    async def condition():
        return "yes"

    assert await until(condition) == "yes"


async def test_a_condition_that_never_holds_shows_its_source():
    with pytest.raises(AssertionError, match=r"not within 0.01 s: .*until\(lambda: None, 0.01\)"):
        await until(lambda: None, 0.01)


async def test_a_condition_without_a_source_shows_itself():
    with pytest.raises(AssertionError, match=r"not within 0 s: functools.partial\(<class 'list'"):
        await until(functools.partial(list), 0)


async def test_the_fixture_is_the_function(until):
    assert await until(lambda: 1) == 1
