"""A clock that is moved by hand."""

import asyncio
import itertools
import time

import pytest

from actormq import Actor, AskTimeout, Publisher, Subscriber, every, handler
from actormq.testing import Clock, ClockLoop, until


class Diary(Actor):
    def __init__(self) -> None:
        self.pages: list[object] = []

    @every(60)
    def write(self) -> None:
        self.pages.append(round(asyncio.get_running_loop().time()))

    @handler
    def read(self) -> list[object]:
        return self.pages

    @handler
    async def sleep(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "awake"

    @handler
    def remind(self, seconds: float) -> None:
        self.after(seconds, self.note, seconds)

    @handler
    def note(self, seconds: float) -> None:
        self.pages.append(seconds)

    @handler(blocking=True)
    def block(self, seconds: float) -> None:
        time.sleep(seconds)
        self.pages.append("blocked")


def hurried(began, clock):
    """Virtual seconds took no real ones, or few on a busy machine."""
    return time.monotonic() - began < clock.now / 2


async def test_time_stands_still_until_it_is_moved(clock, node):
    ref = await node.spawn(Diary)
    reply = ref.within(50).ask(Diary.sleep, 1)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not reply.is_done
    assert clock.now == 0
    await clock.advance(1)
    assert await reply == "awake"
    assert clock.now == 1


async def test_a_period_runs_once_for_each_of_its_seconds(clock, node):
    began = time.monotonic()
    ref = await node.spawn(Diary)
    await clock.advance(600)
    pages = await ref.ask(Diary.read)
    assert len(pages) == 10
    assert {later - earlier for earlier, later in itertools.pairwise(pages)} == {60}
    assert hurried(began, clock)


async def test_a_day_of_a_node_that_is_alone_takes_no_time(clock, node):
    began = time.monotonic()
    ref = await node.spawn(Diary)
    await clock.advance(24 * 3600)
    assert len(await ref.ask(Diary.read)) == 24 * 60
    assert clock.now == 24 * 3600
    assert hurried(began, clock)


async def test_a_period_of_a_tenth_has_ten_turns_in_a_second(clock, node):
    turns = []

    class Quick(Actor):
        @every(0.1)
        async def tick(self) -> None:
            turns.append(clock.now)

    await node.spawn(Quick)
    await clock.advance(1)
    assert turns == [pytest.approx(number / 10) for number in range(1, 11)]


async def test_an_ask_expires_without_any_real_time(clock, node):
    began = time.monotonic()
    ref = await node.spawn(Diary)
    reply = ref.ask(Diary.sleep, 3600)
    await clock.advance(4.9)
    assert not reply.is_done
    await clock.advance(0.2)
    with pytest.raises(AskTimeout):
        await reply
    assert hurried(began, clock)


async def test_timers_run_in_the_order_of_their_time(clock, node):
    ref = await node.spawn(Diary)
    for seconds in (3.0, 1.0, 2.0):
        await ref.ask(Diary.remind, seconds)
    await clock.advance(2.5)
    assert await ref.ask(Diary.read) == [1.0, 2.0]
    await clock.advance(1)
    assert await ref.ask(Diary.read) == [1.0, 2.0, 3.0]


async def test_what_a_timer_starts_may_take_time_itself(clock):
    woken = []

    async def sleeper():
        for _ in range(3):
            await asyncio.sleep(10)
            woken.append(clock.now)

    task = asyncio.create_task(sleeper())
    await clock.advance(100)
    await task
    assert woken == [10, 20, 30]


async def test_a_timeout_of_asyncio_follows_the_clock(clock):
    async def waits():
        async with asyncio.timeout(5):
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await clock.advance(4)
    assert not task.done()
    await clock.advance(2)
    with pytest.raises(TimeoutError):
        await task


async def test_a_cancelled_timer_is_passed_over(clock):
    rung = []
    loop = asyncio.get_running_loop()
    handle = loop.call_later(1, rung.append, "first")
    loop.call_later(2, rung.append, "second")
    handle.cancel()
    await clock.advance(1.5)
    assert rung == []
    await clock.advance(1.5)
    assert rung == ["second"]


async def test_blocking_handlers_are_waited_for(clock, node):
    ref = await node.spawn(Diary)
    ref.tell(Diary.block, 0.02)
    await clock.advance(1)
    assert await ref.ask(Diary.read) == ["blocked"]


async def test_two_nodes_stay_alive_while_minutes_pass(clock, mesh):
    began = time.monotonic()
    near, far = await mesh.pair()
    await far.spawn(Diary, "diary")
    await clock.advance(120)
    assert [peer.state.value for peer in near.mesh_view.peers()] == ["alive"]
    diary = await near.find("diary")
    assert len(await diary.ask(Diary.read)) == 2
    assert hurried(began, clock)


async def test_what_is_sent_at_one_time_has_arrived_before_the_next(clock, mesh):
    near, far = await mesh.pair()
    at = []

    class Far(Actor):
        @handler
        def note(self, number: int) -> None:
            at.append((number, clock.now))

    class Near(Actor):
        def __init__(self, far: object) -> None:
            self.far = far
            self.number = 0

        @every(1)
        def send(self) -> None:
            self.number += 1
            self.far.tell(Far.note, self.number)

    await far.spawn(Far, "far")
    await near.spawn(Near, None, await near.find("far"))
    await clock.advance(10)
    assert at == [(number, number) for number in range(1, 11)]


@pytest.mark.slow
async def test_a_node_that_falls_silent_is_suspect_and_then_dead_by_the_clock(clock, mesh):
    near, far = await mesh.pair()
    states = []
    near.events.listen(lambda event: states.append((getattr(event, "state", None), clock.now)))
    view = near.mesh_view
    far.mesh_view.pulse.stop()  # it says no more, and answers no more
    far.mesh_view._sorter.take = lambda *_: None
    view._sorter.take = lambda *_: None
    await clock.advance(10)
    assert [state for state, _ in states] == ["suspect", "dead"]
    (_, suspected), (_, died) = states
    assert 3 <= suspected <= 4
    assert 5.0 <= died <= 7


async def test_sockets_of_actors_are_settled_too(clock, node):
    heard = []

    class Station(Actor):
        feed = Publisher(bind="inproc://weather")

        @every(1)
        async def sample(self) -> None:
            await self.feed.publish("here", clock.now)

    class Listener(Actor):
        readings = Subscriber(connect="inproc://weather")

        async def on_start(self) -> None:
            await self.readings.subscribe("here")

        @readings.received
        async def note(self, topic: str, value: float) -> None:
            heard.append((value, clock.now))

    await node.spawn(Station)
    await node.spawn(Listener)
    await clock.advance(5)
    assert heard == [(second, second) for second in range(1, 6)]


async def test_until_waits_while_time_stands_still(clock):
    rang = []
    asyncio.get_running_loop().call_soon(rang.append, 1)
    assert await until(lambda: rang) == [1]
    with pytest.raises(AssertionError, match=r"not within 0.01 s: .*until\(lambda: False"):
        await until(lambda: False, 0.01)
    assert clock.now == 0


@pytest.mark.parametrize("seconds", [-1, float("nan")])
async def test_time_does_not_go_back(clock, seconds):
    with pytest.raises(ValueError, match="a clock is moved by 0 seconds or more"):
        await clock.advance(seconds)


async def test_one_moves_the_clock_at_a_time(clock):
    first = asyncio.create_task(clock.advance(1))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match=r"await one advance\(\) at a time"):
        await clock.advance(1)
    await first


async def test_what_never_rests_is_named(clock, monkeypatch):
    monkeypatch.setattr("actormq.testing.clock.SETTLE_LIMIT", 0.02)

    async def spin():
        while True:  # noqa: ASYNC110 the very mistake
            await asyncio.sleep(0)

    task = asyncio.create_task(spin())
    with pytest.raises(RuntimeError, match=r"no quiet within 0\.02 s .* a loop that never waits"):
        await clock.advance(1)
    task.cancel()


async def test_a_blocking_handler_that_hangs_is_named(clock, node, monkeypatch):
    monkeypatch.setattr("actormq.testing.clock.SETTLE_LIMIT", 0.02)
    ref = await node.spawn(Diary)
    ref.tell(Diary.block, 0.1)
    with pytest.raises(RuntimeError, match="1 blocking handlers still run"):
        await clock.advance(1)


def test_a_loop_made_by_hand_has_the_clock_as_well():
    async def main():
        clock = Clock(asyncio.get_running_loop())
        sleeper = asyncio.create_task(asyncio.sleep(1000))
        await clock.advance(1000)
        assert sleeper.done()

    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        runner.run(main())


def test_a_loop_that_was_thawed_goes_by_itself():
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        loop = runner.get_loop()
        loop.thaw()
        before = loop.time()
        runner.run(asyncio.sleep(0.01))
        assert loop.time() >= before + 0.009
