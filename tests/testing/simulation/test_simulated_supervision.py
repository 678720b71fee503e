"""Supervisors under virtual time: failures of an hour pass in a moment."""

import pytest

from actormq import Actor, Supervisor, child, every, handler
from actormq.testing import simulate


class Lamp(Actor):
    """Fails at every seventh look."""

    def __init__(self):
        self.count = 0

    @every(1.0)
    def look(self):
        self.count += 1
        if self.count == 7:
            raise ValueError("burnt out")

    @handler
    def looked(self) -> int:
        return self.count


class Rack(Supervisor):
    children = (child(Lamp, "lamp").restarts("always"),)
    max_restarts = 1_000
    period = 1.0


async def most_of_an_hour(world):
    node = await world.start("n0")
    other = await world.start("n1")
    await node.spawn(Rack, "rack")
    lamp = await other.find("lamp")
    await world.sleep(3_000)
    looked = await lamp.within(60).ask(Lamp.looked)
    assert node.ledger().is_balanced
    return looked


@pytest.fixture
def run(logged):
    logged.expect("lamp.look")
    return simulate(5, most_of_an_hour)


def test_a_child_that_fails_is_restarted_for_an_hour_and_its_ref_leads_to_it(run):
    assert 0 <= run.result < 7


def test_the_trace_says_who_failed_and_what_became_of_it(run):
    failed = [line for line in run.trace.decode().splitlines() if "failed with ValueError" in line]
    assert len(failed) > 50
    assert all(" n0 lamp.look failed with ValueError: " in line for line in failed)


@pytest.mark.slow
def test_back_off_has_its_chance_from_the_seed(run):
    assert simulate(5, most_of_an_hour).trace == run.trace
    assert simulate(6, most_of_an_hour).trace != run.trace
