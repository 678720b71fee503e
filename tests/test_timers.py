"""Messages that an actor sends itself: later, or again and again."""

import asyncio
import threading

import pytest

from actormq import Actor, HandlerNotFound, SetupError, every, handler


class Alarm(Actor):
    def __init__(self) -> None:
        self.rung: list[object] = []
        self.timers: list[object] = []

    @handler
    def set_bound(self, seconds: float, note: object) -> None:
        self.timers.append(self.after(seconds, self.ring, note))

    @handler
    def set_unbound(self, seconds: float, note: object) -> None:
        self.timers.append(self.after(seconds, Alarm.ring, note))

    @handler
    def set_named(self, seconds: float, note: object) -> None:
        self.timers.append(self.after(seconds, "ring", note))

    @handler
    def set_keyword(self, seconds: float, note: object) -> None:
        self.timers.append(self.after(seconds, self.ring, note=note))

    @handler
    async def set_and_await(self, note: object) -> None:
        self.after(0, self.ring, note)
        await asyncio.sleep(0.02)
        self.rung.append("awaited")

    @handler
    def cancel(self) -> None:
        for timer in self.timers:
            timer.cancel()

    def ring(self, note: object) -> None:  # needs no mark
        self.rung.append(note)

    @handler
    def fail(self, seconds: float, what: object) -> None:
        self.after(seconds, what)


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial)


@pytest.mark.parametrize("form", ["set_bound", "set_unbound", "set_named", "set_keyword"])
async def test_a_message_comes_later_in_any_form(mesh, until, form):
    node = await mesh.start()
    ref = await node.spawn(Alarm)
    await ref.ask(form, 0.005, "now")
    actor = inside(node, ref).actor
    assert actor.rung == []
    await until(lambda: actor.rung == ["now"])


async def test_later_ones_come_in_the_order_of_their_time(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Alarm)
    for seconds in (0.03, 0.01, 0.02):
        ref.tell(Alarm.set_bound, seconds, seconds)
    actor = inside(node, ref).actor
    await until(lambda: actor.rung == [0.01, 0.02, 0.03])
    assert not inside(node, ref)._extras.timers


async def test_zero_seconds_is_behind_what_waits_already(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Alarm)
    ref.tell(Alarm.set_bound, 0, "later")
    ref.tell(Alarm.set_named, 0, "later still")
    actor = inside(node, ref).actor
    await until(lambda: actor.rung == ["later", "later still"])


async def test_a_timer_waits_for_the_handler_under_way(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Alarm)
    await ref.ask(Alarm.set_and_await, "rang")
    actor = inside(node, ref).actor
    await until(lambda: actor.rung == ["awaited", "rang"])


async def test_a_cancelled_timer_does_not_ring(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Alarm)
    await ref.ask(Alarm.set_bound, 0.01, "cancelled")
    await ref.ask(Alarm.cancel)
    await ref.ask(Alarm.cancel)  # once more is no error
    await ref.ask(Alarm.set_bound, 0.02, "kept")
    actor = inside(node, ref).actor
    await until(lambda: actor.rung)
    assert actor.rung == ["kept"]


async def test_an_actor_that_stops_takes_its_timers_with_it(mesh):
    node = await mesh.start()
    ref = await node.spawn(Alarm)
    await ref.ask(Alarm.set_bound, 0.005, "too late")
    cell = inside(node, ref)
    alarm = cell.actor
    await ref.stop()
    assert not cell._extras.timers
    rung = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, rung.set)
    await rung.wait()
    assert alarm.rung == []
    assert node.events.dead_letter_count == {}


@pytest.mark.parametrize("seconds", [-1, float("nan"), "soon"])
async def test_a_delay_is_a_number_of_seconds(mesh, seconds):
    node = await mesh.start()
    ref = await node.spawn(Alarm)
    with pytest.raises(Exception, match="a delay is a number of seconds, 0 or more") as failed:
        await ref.ask(Alarm.fail, seconds, "ring")
    assert isinstance(failed.value.__cause__, SetupError)


@pytest.mark.parametrize("what", ["fly", print])
async def test_only_its_own_methods_can_be_sent_later(mesh, what):
    node = await mesh.start()
    ref = await node.spawn(Alarm)
    with pytest.raises(Exception, match="has no handler") as failed:
        await ref.ask(Alarm.fail, 0, what)
    assert isinstance(failed.value.__cause__, HandlerNotFound)


# -- again and again ------------------------------------------------------------------------------


class Clock(Actor):
    def __init__(self) -> None:
        self.ticks = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    @every(0.005)
    async def tick(self) -> None:
        self.ticks += 1
        if self.fails:
            raise ValueError("stuck hand")
        await self.gate.wait()

    @handler
    def read(self) -> int:
        return self.ticks


async def test_a_period_repeats_while_the_actor_lives(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Clock)
    await until(lambda: ref.ask(Clock.read))
    actor = inside(node, ref).actor
    await until(lambda: actor.ticks >= 5)
    await ref.stop()
    ticks = actor.ticks
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, passed.set)
    await passed.wait()
    assert actor.ticks == ticks


async def test_what_repeats_does_not_pile_up_behind_a_busy_actor(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Clock)
    cell = inside(node, ref)
    await until(lambda: cell.actor.ticks == 1)
    cell.actor.gate.clear()
    await until(lambda: cell.actor.ticks == 2)
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, later.set)  # ten periods
    await later.wait()
    assert cell.mailbox_count <= 1
    ticks = cell.actor.ticks
    cell.actor.gate.set()
    await ref.ask(Clock.read)
    assert cell.actor.ticks <= ticks + 1


async def test_a_loop_that_slept_does_not_make_up_for_it(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Clock)
    actor = inside(node, ref).actor
    await until(lambda: actor.ticks)
    ticks = actor.ticks
    threading.Event().wait(0.1)  # the loop's own thread: twenty periods without a look
    await ref.ask(Clock.read)
    await asyncio.sleep(0)
    assert actor.ticks <= ticks + 2


async def test_a_turn_that_fails_is_reported_and_the_next_one_comes(mesh, until, logged):
    node = await mesh.start()
    ref = await node.spawn(Clock, "clock")
    actor = inside(node, ref).actor
    logged.expect("clock.tick raised: ValueError('stuck hand')")
    actor.fails = True
    ticks = actor.ticks
    await until(lambda: actor.ticks >= ticks + 3)


async def test_what_repeats_cannot_be_called_from_outside_unless_marked(mesh):
    node = await mesh.start()
    ref = await node.spawn(Clock)
    with pytest.raises(HandlerNotFound, match="mark the method with @handler"):
        ref.tell(Clock.tick)

    class Both(Clock):
        @handler
        @every(60)
        async def tick(self) -> None:
            self.ticks += 100

    both = await node.spawn(Both)
    await both.ask(Both.tick)
    assert await both.ask(Clock.read) == 100


async def test_a_subclass_keeps_the_period_of_what_it_overrides(mesh, until):
    node = await mesh.start()

    class Loud(Clock):
        async def tick(self) -> None:
            self.ticks += 1_000

    ref = await node.spawn(Loud)
    await until(lambda: ref.ask(Clock.read))
    assert (await ref.ask(Clock.read)) % 1_000 == 0
