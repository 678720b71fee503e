"""Any message between a farm and a worker may be lost: the batch is done all the same."""

import chores
import pytest

from actormq.farm.reports import FARM_PREFIX, WORKER_NAME
from actormq.farm.worker import Worker

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("message", ["join", "ready", "done", "lost", "beat"])
async def test_a_message_to_the_farm_may_be_lost(mesh, inject, until, logged, message):
    logged.expect("the message is lost")
    here, there = await mesh.pair()
    async with here.farm(chores.kill_at_seven, workers=0) as farm:
        ventilator = await here.find(FARM_PREFIX + farm.name)
        fault = inject.fail_at(ventilator, message, 1, OSError("the message is lost"))
        await there.spawn(Worker, WORKER_NAME, 1)
        found = [result async for result in farm.map(range(20))]
        await until(lambda: fault.is_hit)
    assert sorted(result.input for result in found) == list(range(20))
    assert [result.input for result in found if result.error is not None] == [7]


@pytest.mark.parametrize("message", ["welcome", "want", "work", "ping"])
async def test_a_message_to_the_worker_may_be_lost(mesh, inject, until, logged, message):
    logged.expect("the message is lost")
    here, there = await mesh.pair()
    worker = await there.spawn(Worker, WORKER_NAME, 1)
    fault = inject.fail_at(worker, message, 1, OSError("the message is lost"))
    async with here.farm(chores.same, workers=0) as farm:
        found = [result.value async for result in farm.map(range(20), ordered=True)]
        await until(lambda: fault.is_hit)
    assert found == list(range(20))
