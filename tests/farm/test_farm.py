"""A farm on one node, and over two: every task done, every result there once."""

import asyncio
import itertools
import resource
import sys
import types

import chores
import pytest

from actormq import (
    ArgumentMismatch,
    FarmClosed,
    NotEncodable,
    ResultRefused,
    SetupError,
    TaskLost,
    TaskTimeout,
)
from actormq.farm.reports import FARM_PREFIX, WORKER_NAME
from actormq.farm.ventilator import Ventilator
from actormq.farm.worker import Worker

pytestmark = pytest.mark.slow


async def results(farm, inputs, **options):
    return [result async for result in farm.map(inputs, **options)]


async def values(farm, inputs, **options):
    return [result.value for result in await results(farm, inputs, **options)]


async def gather(seen, stream):
    """Note values as they come, for those that come before an error."""
    async for result in stream:
        seen.append(result.value)


async def serving(worker, farms):
    """Wait until a worker has given its slots to these farms."""
    while (report := await worker.ask(Worker.report)).farms != farms:  # noqa: ASYNC110 far away
        await asyncio.sleep(0)
    return report


async def test_every_input_gives_one_result_in_whatever_order_it_comes(mesh):
    node = await mesh.start()
    async with node.farm(chores.double, workers=2) as farm:
        found = await results(farm, range(5_000))
        assert {result.input: result.value for result in found} == {n: 2 * n for n in range(5_000)}
        assert sorted(result.index for result in found) == list(range(5_000))
        assert {(result.tries, result.node) for result in found} == {(1, node.name)}
        assert await values(farm, range(100), ordered=True) == [2 * n for n in range(100)]
        done = farm.progress()
    assert (done.accepted, done.total, done.done, done.running) == (5_100, 5_100, 5_100, 0)
    with pytest.raises(FarmClosed):
        farm.progress()


async def test_inputs_may_come_asynchronously_and_be_none_at_all(mesh):
    async def inputs():
        for number in range(20):
            await asyncio.sleep(0)
            yield number

    node = await mesh.start()
    async with node.farm(chores.double, workers=1) as farm:
        assert await values(farm, inputs(), ordered=True) == [2 * n for n in range(20)]
        assert await values(farm, []) == []


async def test_what_raises_is_tried_again_and_fails_with_its_own_error(mesh):
    node = await mesh.start()
    async with node.farm(chores.odd_only, workers=2) as farm:
        found = await results(farm, range(6), retries=2, ordered=True)
        assert [result.error is None for result in found] == [False, True] * 3
        assert [result.tries for result in found] == [3, 1] * 3
        assert [failure.input for failure in farm.failures] in list(
            map(list, itertools.permutations([0, 2, 4]))
        )
        with pytest.raises(ValueError, match="0 is even") as caught:
            _ = found[0].value
        assert "odd_only" in str(caught.value.__cause__)
        assert farm.progress().retried == 6


async def test_a_task_that_kills_its_workers_fails_alone_after_five_tries(mesh):
    node = await mesh.start()
    async with node.farm(chores.kill_at_seven, workers=2) as farm:
        found = await results(farm, range(40))
        failed = [result for result in found if result.error is not None]
    assert len(found) == 40
    assert [(result.input, result.tries) for result in failed] == [(7, 5)]
    assert isinstance(failed[0].error, TaskLost)
    assert "SIGKILL" in str(failed[0].error)


async def test_a_task_that_takes_too_long_is_ended_and_holds_up_no_other(mesh):
    node = await mesh.start()
    async with node.farm(chores.hang_at_three, workers=2) as farm:
        found = await results(farm, range(30), timeout=0.6, retries=1)
    failed = [result for result in found if result.error is not None]
    assert len(found) == 30
    assert [(result.input, result.tries) for result in failed] == [(3, 2)]
    assert isinstance(failed[0].error, TaskTimeout)


async def test_a_straggler_is_given_a_second_time_and_the_first_answer_counts(mesh, tmp_path):
    # The first who takes it hangs for a minute; whoever comes second does not.
    node = await mesh.start()
    mark = tmp_path / "mark"
    async with node.farm(chores.hang_unless_marked, workers=2) as farm:
        found = await values(farm, [str(mark), *["" for _ in range(20)]])
    assert len(found) == 21


async def test_what_cannot_travel_fails_in_one_sentence_and_nothing_else_does(mesh):
    node = await mesh.start()
    async with node.farm(chores.strange, workers=1) as farm:
        refused, *good = await results(farm, ["object", "plain", "huge"], ordered=True)
        assert isinstance(refused.error, ResultRefused)
        assert refused.tries == 1
        assert good[0].value == "plain"
        assert "100000000" in str(good[1].error)[:60] or "bytes" in str(good[1].error)
        found = await results(farm, ["plain", object(), "plain"], ordered=True)
        assert [result.tries for result in found] == [1, 0, 1]
        assert isinstance(found[1].error, NotEncodable)
        [mismatch] = await results(farm, [5], retries=3)
        assert isinstance(mismatch.error, ArgumentMismatch)
        assert mismatch.tries == 1  # it would not fit the next time either


async def test_a_generator_that_raises_ends_the_batch_behind_what_it_gave(mesh):
    def inputs():
        yield from range(50)
        raise OSError("the list of inputs is gone")

    node = await mesh.start()
    async with node.farm(chores.double, workers=1) as farm:
        seen = []
        with pytest.raises(OSError, match="is gone"):
            await gather(seen, farm.map(inputs()))
        assert sorted(seen) == [2 * n for n in range(50)]
        assert await values(farm, [1]) == [2]


async def test_an_endless_generator_takes_no_more_memory_than_there_is_room_for(mesh):
    node = await mesh.start()
    async with node.farm(chores.same, workers=1) as farm:
        count, most = 0, 0
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async for _ in farm.map(bytes(1_000) for _ in itertools.count()):
            count += 1
            done = farm.progress()
            most = max(most, done.running + done.waiting)
            if count == 30_000:
                break
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert most <= 3 * 4_096
    assert grown < 60_000  # KiB; 30 000 of them would be 30 MB, and what they are packed in as much


async def test_whoever_stops_reading_gives_up_the_rest(mesh, until):
    node = await mesh.start()
    async with node.farm(chores.nap, workers=1) as farm:
        stream = farm.map([0.01] * 1_000)
        async for _ in stream:
            break
        await stream.aclose()
        await until(lambda: farm.progress().running + farm.progress().waiting == 0)
        assert await values(farm, [0.0]) == [0.0]


async def test_a_farm_that_is_paused_gives_nothing_out_until_it_goes_on(mesh):
    node = await mesh.start()
    async with node.farm(chores.double, workers=1) as farm:
        stream = farm.map([1, 2, 3], ordered=True)
        farm.pause()
        first = asyncio.ensure_future(anext(stream))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(first), 0.3)
        farm.resume()
        assert (await first).value == 2
        assert [result.value async for result in stream] == [4, 6]


async def test_workers_of_other_nodes_join_by_themselves_and_are_shared(mesh):
    here, there = await mesh.pair()
    worker = await there.spawn(Worker, WORKER_NAME, 2)
    async with (
        here.farm(chores.nap, workers=0, min_workers=1, name="one") as one,
        here.farm(chores.nap, workers=0, min_workers=1, name="two") as two,
    ):
        first, second = await asyncio.gather(results(one, [0.02] * 20), results(two, [0.02] * 20))
        assert {result.node for result in [*first, *second]} == {there.name}
        report = await serving(worker, {"one": 1, "two": 1})
        assert report.done >= 40
        farm = await here.find(FARM_PREFIX + "one")
        assert list((await farm.ask(Ventilator.report)).workers) == [there.name]
    await serving(worker, {})  # each farm takes its slots along


async def test_a_worker_without_the_module_says_so_and_takes_nothing(mesh, until, tmp_path):
    here, there = await mesh.pair()
    (tmp_path / "only_here.py").write_text("def f(x):\n    return x\n")
    sys.path.insert(0, str(tmp_path))
    try:
        import only_here  # type: ignore[import-not-found]  # noqa: PLC0415 made above

        async with here.farm(only_here.f, workers=1) as farm:
            await until(lambda: farm.progress().workers == 1)
            sys.path.remove(str(tmp_path))  # the second worker's slots do not get it
            await there.spawn(Worker, WORKER_NAME, 1)
            await until(lambda: farm.progress().workers == 2)
            found = await results(farm, range(200))
            assert {result.node for result in found} == {here.name}
            ref = await here.find(FARM_PREFIX + farm.name)
            refusals = (await ref.ask(Ventilator.report)).refusals
        assert list(refusals) == [there.name]
        assert "only_here" in refusals[there.name]
    finally:
        sys.modules.pop("only_here", None)


async def test_tasks_fail_that_not_even_the_own_worker_can_run(mesh, monkeypatch):
    ghost = types.ModuleType("ghost")
    exec("def f(x):\n    return x\n", ghost.__dict__)
    monkeypatch.setitem(sys.modules, "ghost", ghost)
    node = await mesh.start()
    async with node.farm(ghost.f, workers=2) as farm:
        found = await results(farm, range(3))
    assert {type(result.error) for result in found} == {SetupError}
    assert "No module named 'ghost'" in str(found[0].error)


async def test_a_batch_waits_for_as_many_workers_as_it_wants(mesh, until, caplog):
    node = await mesh.start()
    async with node.farm(chores.double, workers=1, min_workers=2) as farm:
        stream = farm.map([1])
        first = asyncio.ensure_future(anext(stream))
        await until(lambda: "waits for workers, 1 of 2 are there" in caplog.text)
        assert not first.done()
        await node.spawn(Worker, WORKER_NAME, 1)
        assert (await first).value == 2
        await stream.aclose()


async def test_a_draining_worker_ends_what_it_is_at_and_takes_no_more(mesh):
    here, there = await mesh.pair(shutdown_timeout=5.0)
    await there.spawn(Worker, WORKER_NAME, 1)
    async with here.farm(chores.nap, workers=0) as farm:
        stream = farm.map([0.2] * 6)
        first = await anext(stream)
        assert first.node == there.name
        third = await mesh.start()
        await third.spawn(Worker, WORKER_NAME, 1)
        await there.drain()
        rest = [result async for result in stream]
        assert len(rest) == 5
        assert all(result.tries == 1 for result in rest)
        assert farm.progress().redelivered == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": -1}, "workers=-1: it is a count of processes"),
        ({"min_workers": "two"}, "min_workers='two'"),
    ],
)
async def test_an_option_that_cannot_be_is_refused(mesh, options, text):
    node = await mesh.start()
    with pytest.raises(SetupError, match=text):
        node.farm(chores.double, **options)


@pytest.mark.parametrize("options", [{"retries": -1}, {"timeout": 0}, {"timeout": "soon"}])
async def test_an_argument_of_map_that_cannot_be_is_refused(mesh, options):
    node = await mesh.start()
    async with node.farm(chores.double, workers=0) as farm:
        with pytest.raises(SetupError, match="=".join(map(str, next(iter(options.items()))))[:7]):
            farm.map([1], **options)
