import asyncio
import contextvars
import itertools

import pytest

from actormq.testing.simulation.loop import EPOCH, LANE, Lane, SimulationStuck, VirtualLoop


@pytest.fixture
def loop():
    loop = VirtualLoop(1_000.0)
    yield loop
    loop.close()


def in_lane(name):
    lane = Lane(name)
    context = contextvars.Context()
    context.run(LANE.set, lane)
    return lane, context


def test_an_hour_takes_no_time_and_is_an_hour(loop):
    async def wait():
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(900)
        return asyncio.get_running_loop().time() - begun

    assert loop.run_until_complete(wait()) == 900


def test_timers_of_one_moment_run_in_the_order_in_which_they_were_set(loop):
    ran = []

    async def wait():
        for number in range(100):
            loop.call_at(EPOCH + 5, ran.append, number)
        loop.call_at(EPOCH + 4, ran.append, -1)
        await asyncio.sleep(6)

    loop.run_until_complete(wait())
    assert ran == [-1, *range(100)]


def test_a_cancelled_timer_does_not_run_and_thousands_of_them_take_no_room(loop):
    async def wait():
        for _ in range(5_000):
            loop.call_later(500, pytest.fail).cancel()
        await asyncio.sleep(1)

    loop.run_until_complete(wait())
    assert len(loop._timers) < 2_500


def test_a_lane_does_all_that_it_has_to_do_before_the_next_one_begins(loop):
    ran = []
    (_, one), (_, other) = in_lane("one"), in_lane("other")

    def step(name, left):
        ran.append(name)
        if left:
            loop.call_soon(step, name, left - 1)

    async def wait():
        loop.call_soon(step, "one", 2, context=one)
        loop.call_soon(step, "other", 2, context=other)
        await asyncio.sleep(1)

    loop.run_until_complete(wait())
    assert ran == ["one"] * 3 + ["other"] * 3


def test_a_held_lane_waits_and_goes_on_in_order(loop):
    ran = []
    lane, context = in_lane("one")

    async def wait():
        loop.call_soon(ran.append, 1, context=context)
        loop.hold(lane)
        loop.call_later(1, ran.append, 2, context=context)
        await asyncio.sleep(5)
        assert ran == []
        loop.resume(lane)
        loop.call_soon(ran.append, 3, context=context)
        await asyncio.sleep(0.001)

    loop.run_until_complete(wait())
    assert ran == [1, 2, 3]


def test_a_lane_that_holds_itself_stops_behind_the_callback_that_runs(loop):
    ran = []
    lane, context = in_lane("one")

    async def wait():
        loop.call_soon(loop.hold, lane, context=context)
        loop.call_soon(ran.append, 1, context=context)
        await asyncio.sleep(1)
        assert ran == []
        loop.resume(lane)
        await asyncio.sleep(1)

    loop.run_until_complete(wait())
    assert ran == [1]


def test_a_dropped_lane_never_runs_again(loop):
    lane, context = in_lane("one")

    async def wait():
        loop.call_soon(pytest.fail, context=context)
        loop.call_later(1, pytest.fail, context=context)
        loop.drop(lane)
        loop.call_soon(pytest.fail, context=context)
        await asyncio.sleep(5)

    loop.run_until_complete(wait())
    assert loop.failures == []


def test_a_task_belongs_to_the_lane_of_its_context(loop):
    lane, context = in_lane("one")

    async def sleep():
        await asyncio.sleep(1)

    async def wait():
        task = loop.create_task(sleep(), context=context)
        assert list(lane.tasks) == [task]
        await task

    loop.run_until_complete(wait())


def test_waiting_for_what_never_comes_says_so(loop):
    with pytest.raises(SimulationStuck, match=r"nothing is left to happen at 3\.0"):
        loop.run_until_complete(_waits_for_ever())


async def _waits_for_ever():
    await asyncio.sleep(3)
    await asyncio.get_running_loop().create_future()


def test_a_scenario_that_goes_on_for_too_long_is_given_up(loop):
    with pytest.raises(SimulationStuck, match="has not ended within 1000 virtual seconds"):
        loop.run_until_complete(asyncio.sleep(1_001))


def test_a_loop_that_never_waits_is_found(loop, monkeypatch):
    monkeypatch.setattr("actormq.testing.simulation.loop.STEPS_LIMIT", 100)

    async def spin():
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(SimulationStuck, match="scenario goes round in circles"):
        loop.run_until_complete(spin())


def test_a_timer_that_sets_itself_for_no_time_is_found(loop, monkeypatch):
    monkeypatch.setattr("actormq.testing.simulation.loop.STEPS_LIMIT", 100)

    def again():
        loop.call_later(0, again)

    async def wait():
        again()
        await asyncio.sleep(1)

    with pytest.raises(SimulationStuck, match="time stands still"):
        loop.run_until_complete(wait())


def test_what_a_callback_raises_is_kept_and_the_others_run(loop):
    ran = []

    async def wait():
        loop.call_soon(int, "no number")
        loop.call_soon(ran.append, 1)
        await asyncio.sleep(0.1)

    loop.run_until_complete(wait())
    assert ran == [1]
    assert [type(error) for error in loop.failures] == [ValueError]


def test_a_function_for_an_executor_is_called_here(loop):
    async def wait():
        return await asyncio.to_thread(lambda: 7)

    assert loop.run_until_complete(wait()) == 7


def test_a_function_for_an_executor_may_raise(loop):
    with pytest.raises(ZeroDivisionError):
        loop.run_until_complete(asyncio.to_thread(divmod, 1, 0))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("add_reader", "descriptors"),
        ("create_connection", "sockets"),
        ("subprocess_exec", "processes"),
        ("add_signal_handler", "signals"),
    ],
)
def test_what_reaches_out_of_the_process_is_refused_by_name(loop, name, what):
    with pytest.raises(NotImplementedError, match=f"a simulation has no {what}"):
        getattr(loop, name)(1, 2)


def test_the_places_of_tasks_in_a_set_are_those_of_their_making(loop):
    async def wait():
        tasks = [asyncio.create_task(asyncio.sleep(1)) for _ in range(50)]
        assert [hash(task) for task in tasks] == sorted(hash(task) for task in tasks)
        await asyncio.wait(tasks)

    loop.run_until_complete(wait())
