"""Taking results: slowly, without holding anybody up; and no further, once a farm pauses."""

import asyncio
import time

import chores
import pytest

pytestmark = pytest.mark.slow


async def test_what_is_done_with_results_leaves_the_loop_its_turns(mesh, until):
    node = await mesh.start()
    async with node.farm(chores.double, workers=1) as farm:
        turns = 0

        async def turn():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        results = farm.map(range(100))
        await anext(results)
        await until(lambda: farm.progress().done == 100)  # they all lie there
        turning = asyncio.ensure_future(turn())
        async for _ in results:
            time.sleep(0.002)  # noqa: ASYNC251 what somebody does with it
        turning.cancel()
    assert turns >= 99 // 4  # for three of them take longer than others may have to wait


async def test_a_farm_that_pauses_ends_what_runs_and_gives_nothing_more_out(mesh, until):
    node = await mesh.start()
    async with node.farm(chores.double, workers=1) as farm:
        taken = []

        async def take():
            async for result in farm.map(range(4_000)):
                taken.append(result.index)
                if len(taken) == 10:
                    farm.pause()

        taking = asyncio.ensure_future(take())
        await until(lambda: len(taken) >= 10 and not farm.progress().running)
        progress = farm.progress()
        await until(lambda: len(taken) == progress.done)
        assert 10 <= progress.done < 4_000
        assert progress.waiting == 4_000 - progress.done
        assert not taking.done()
        taking.cancel()
        await asyncio.wait([taking])
