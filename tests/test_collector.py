"""How often the collector looks, while a node is the program and afterwards."""

import gc

import pytest

from actormq import Node, run
from actormq.collector import YOUNG_OBJECTS, collecting_seldom


@pytest.fixture(autouse=True)
def as_before():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


async def threshold(node: Node) -> tuple[int, int, int]:
    del node
    return gc.get_threshold()


def test_messages_that_wait_are_looked_through_less_often_under_run():
    gc.set_threshold(700, 10, 11)

    assert run(threshold, discovery=False) == (YOUNG_OBJECTS, 10, 11)
    assert gc.get_threshold() == (700, 10, 11)


@pytest.mark.parametrize("chosen", [(0, 10, 10), (50_000, 5, 5)], ids=["switched off", "higher"])
def test_what_a_program_has_chosen_for_itself_is_left_alone(chosen):
    gc.set_threshold(*chosen)

    assert run(threshold, discovery=False) == chosen
    assert gc.get_threshold() == chosen


def test_what_is_chosen_meanwhile_stays():
    gc.set_threshold(700, 10, 10)
    with collecting_seldom():
        gc.set_threshold(5_000, 3, 3)

    assert gc.get_threshold() == (5_000, 3, 3)
