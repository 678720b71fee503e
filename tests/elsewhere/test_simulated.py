"""In a simulation every actor lives on the loop."""

import pytest
from crunchers import Cruncher, Thread

from actormq.testing import simulate


@pytest.mark.parametrize("kind", [Cruncher, Thread])
def test_in_a_simulation_there_is_no_elsewhere(kind):
    async def scenario(world):
        node = await world.start("one")
        actor = await node.spawn(kind, "actor", 3)
        return await actor.ask(kind.add, 4), await actor.ask(kind.wait, 1.0)

    simulation = simulate(1, scenario)
    assert simulation.result == (7, 1.0)
    assert simulation.seconds >= 1.0
