"""An ask that is awaited while the actor has nothing else to do is answered ahead of the loop."""

import asyncio
import contextvars
import threading
import time

import pytest

from actormq import Actor, AskTimeout, Backoff, RemoteError, Supervisor, child, handler
from actormq.deadlines import CURRENT
from actormq.events import LoopHeld
from actormq.settings import TICK_SECONDS, TURN_MESSAGES, TURN_SECONDS

COLOUR = contextvars.ContextVar("colour", default="none")


class Desk(Actor):
    def __init__(self):
        self.notes = []
        self.gate = asyncio.Event()

    @handler
    def note(self, what):
        self.notes.append(what)
        return len(self.notes)

    @handler
    async def note_async(self, what):
        self.notes.append(what)
        return len(self.notes)

    @handler
    def surroundings(self, task):
        del task
        return COLOUR.get(), CURRENT.get(None) is None

    @handler
    async def surroundings_async(self, task):
        is_own = CURRENT.get().cell.actor is self and asyncio.current_task() is not task
        return COLOUR.get(), is_own

    @handler
    def fail(self):
        raise LookupError("lost")

    @handler
    async def fail_async(self):
        raise LookupError("lost")

    @handler
    async def wait(self):
        await self.gate.wait()
        return "waited"

    @handler
    def end(self):
        self.ref.stop()
        return "ended"


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


def count_rounds():
    """A list that grows by one with each round of the loop."""
    rounds, loop = [], asyncio.get_running_loop()

    def again():
        rounds.append(1)
        if len(rounds) < 10_000:
            loop.call_soon(again)

    loop.call_soon(again)
    return rounds


@pytest.mark.parametrize("method", [Desk.note, Desk.note_async])
async def test_an_awaited_ask_of_an_idle_actor_needs_no_round_of_the_loop(
    mesh, monkeypatch, method
):
    monkeypatch.setattr("actormq.loop.TURN_SECONDS", 1_000.0)  # however slow the machine is
    node = await mesh.start()
    desk = await node.spawn(Desk)
    rounds = []
    asyncio.get_running_loop().call_soon(rounds.append, 1)
    assert await desk.ask(method, "a") == 1
    assert await desk.ask(method, what="b") == 2
    assert rounds == []
    assert inside(node, desk).notes == ["a", "b"]
    assert node.ledger().is_balanced


async def test_an_ask_that_nobody_awaits_waits_for_the_loop_and_is_handled(mesh):
    node = await mesh.start()
    desk = await node.spawn(Desk)
    reply = desk.ask(Desk.note, "a")
    assert inside(node, desk).notes == []
    await asyncio.sleep(0)
    assert inside(node, desk).notes == ["a"]
    assert await reply == 1


async def test_what_was_told_before_is_handled_before(mesh):
    node = await mesh.start()
    desk = await node.spawn(Desk)
    for number in range(3):
        desk.tell(Desk.note, number)
    assert await desk.ask(Desk.note, "asked") == 4
    first, second = desk.ask(Desk.note, "first"), desk.ask(Desk.note, "second")
    assert (await second, await first) == (6, 5)
    assert inside(node, desk).notes == [0, 1, 2, "asked", "first", "second"]


@pytest.mark.parametrize("method", [Desk.note, Desk.note_async])
async def test_a_chain_of_asks_lets_the_loop_have_its_round(mesh, monkeypatch, method):
    monkeypatch.setattr("actormq.loop.TURN_SECONDS", 1_000.0)  # however slow the machine is
    node = await mesh.start()
    desk = await node.spawn(Desk)
    rounds = count_rounds()
    await asyncio.sleep(0)
    before = len(rounds)
    for _ in range(TURN_MESSAGES):
        await desk.ask(method, "a")
    assert len(rounds) == before
    await desk.ask(method, "a")
    assert len(rounds) > before


@pytest.mark.parametrize("within", [5.0, float("inf")])
async def test_many_asks_that_were_asked_at_once_let_the_loop_have_its_round_soon(mesh, within):
    node = await mesh.start()

    class Slow(Actor):
        @handler
        def crunch(self):
            time.sleep(TURN_SECONDS)

    refs = [(await node.spawn(Slow)).within(within) for _ in range(20)]
    rounds = count_rounds()
    await asyncio.sleep(0)
    for asked in (refs[:1] * 20, refs):
        before = len(rounds)
        for reply in [ref.ask(Slow.crunch) for ref in asked][:: 1 if asked[0] is asked[1] else -1]:
            await reply
        assert len(rounds) - before >= 2
    before = len(rounds)
    for _ in range(20):
        await refs[0].ask(Slow.crunch)
    assert len(rounds) - before >= 2


async def test_slow_asks_in_a_row_let_the_loop_have_its_round_soon(mesh):
    node = await mesh.start()

    class Slow(Actor):
        @handler
        def crunch(self):
            end = time.perf_counter() + 0.001
            while time.perf_counter() < end:
                pass

    slow = await node.spawn(Slow)
    rounds = count_rounds()
    await asyncio.sleep(0)
    before = len(rounds)
    await slow.ask(Slow.crunch)
    await slow.ask(Slow.crunch)
    assert len(rounds) > before


class Link(Actor):
    """Asks the next one, which asks the next one, and so on."""

    def __init__(self, following):
        self.following = following

    @handler
    async def pass_on(self, count):
        if self.following is None:
            return count
        return await self.following.ask(Link.pass_on, count + 1)


async def test_actors_that_ask_each_other_in_a_long_row_do_not_exhaust_the_stack(mesh, monkeypatch):
    monkeypatch.setattr("actormq.loop.TURN_SECONDS", 1_000.0)  # however slow the machine is
    node = await mesh.start()
    last = None
    for _ in range(500):
        last = await node.spawn(Link, None, last)
    assert await last.ask(Link.pass_on, 0) == 499
    assert node.ledger().is_balanced


class Asker(Actor):
    @handler
    async def surroundings_of(self, desk, method):
        COLOUR.set("the asker's")
        own = asyncio.current_task()
        seen = await desk.ask(method, own)
        assert COLOUR.get() == "the asker's"
        assert asyncio.current_task() is own
        return seen

    @handler
    async def waited(self, desk):
        return await desk.ask(Desk.wait)

    @handler
    async def back(self, other):
        return await other.ask(Asker.back, self.ref)


@pytest.mark.parametrize("method", [Desk.surroundings, Desk.surroundings_async])
async def test_the_handler_sees_nothing_of_who_asked(mesh, method):
    node = await mesh.start()
    asker, desk = await node.spawn(Asker), await node.spawn(Desk)
    assert await asker.ask(Asker.surroundings_of, desk, method) == ("none", True)
    token = COLOUR.set("the test's")
    assert await desk.ask(method, asyncio.current_task()) == ("none", True)
    COLOUR.reset(token)


async def test_a_handler_that_suspends_goes_on_by_itself_and_keeps_its_turn(mesh, until):
    node = await mesh.start()
    asker, desk = await node.spawn(Asker), await node.spawn(Desk)
    waited = asker.ask(Asker.waited, desk)
    await until(inside(node, desk)._actormq_context.serving)
    desk.tell(Desk.note, "behind")
    await asyncio.sleep(0)
    assert inside(node, desk).notes == []
    inside(node, desk).gate.set()
    assert await waited == "waited"
    assert await desk.ask(Desk.note, "last") == 2


async def test_two_that_ask_each_other_are_told_so_at_once(mesh):
    node = await mesh.start()
    one, other = await node.spawn(Asker, "one"), await node.spawn(Asker, "other")
    third = await node.spawn(Desk)
    third.tell(Desk.note, "queued")  # the one that runs is not to be taken for it
    with pytest.raises(RemoteError) as told:
        await one.ask(Asker.back, other)
    assert "one.back -> other.back -> one.back" in str(told.value)
    assert inside(node, third).notes == ["queued"]
    assert "AskCircle" in str(told.value)


class Office(Supervisor):
    backoff = Backoff(first=0.0, most=0.0)
    children = (child(Desk, "desk"),)


@pytest.mark.parametrize("method", [Desk.fail, Desk.fail_async])
async def test_what_a_handler_raises_reaches_the_asker_and_the_supervisor(mesh, logged, method):
    logged.expect("desk.fail")
    node = await mesh.start()
    office = await node.spawn(Office)
    desk = await node.find("desk")
    before = inside(node, desk)
    with pytest.raises(RemoteError, match="lost"):
        await desk.ask(method)
    assert await desk.ask(Desk.note, "after") == 1  # it waits for the next instance
    assert inside(node, desk) is not before
    assert node.ledger().is_balanced
    await office.stop()


async def test_a_wrong_argument_is_told_and_not_counted_as_handled(mesh):
    node = await mesh.start()
    desk = await node.spawn(Desk)
    with pytest.raises(Exception, match="what"):
        await desk.ask("note", 1, 2, 3)
    assert inside(node, desk)._actormq_context.received_count == 0
    assert node.ledger().is_balanced


async def test_an_actor_may_stop_in_its_answer(mesh):
    node = await mesh.start()
    desk = await node.spawn(Desk)
    assert await desk.ask(Desk.end) == "ended"
    await desk.stop()
    assert node.ledger().is_balanced


async def test_an_ask_that_is_not_answered_in_its_tick_has_its_deadline(mesh):
    node = await mesh.start()
    desk = await node.spawn(Desk)
    waiting = desk.within(0.02).ask(Desk.wait)
    behind = desk.within(0.02).ask(Desk.note, "never")
    for reply in (waiting, behind):
        with pytest.raises(AskTimeout):
            await reply
    inside(node, desk).gate.set()
    assert await desk.ask(Desk.note, "now") == 1


async def test_who_holds_the_loop_is_the_one_who_was_asked(mesh, until):
    node = await mesh.start(hold_limit=0.02)

    go, held = threading.Event(), []

    class Heavy(Actor):
        @handler
        def crunch(self):
            go.wait(10)

    class Boss(Actor):
        @handler
        async def order(self, heavy):
            await heavy.ask(Heavy.crunch)

    def note(event):
        if event.actor:  # else the machine stood still while something else ran
            held.append((event.actor, event.handler))
            go.set()

    heavy, boss = await node.spawn(Heavy, "heavy"), await node.spawn(Boss, "boss")
    node.events.listen(note, LoopHeld, any_thread=True)
    await boss.ask(Boss.order, heavy)
    assert held[0] == ("heavy", "crunch")


async def test_a_deadline_beyond_all_time_does_not_hurt_the_loop(mesh):
    node = await mesh.start()
    desk = await node.spawn(Desk)
    waiting = desk.within(1e308).ask(Desk.wait)
    await asyncio.sleep(0)
    inside(node, desk).gate.set()
    async with asyncio.timeout(60):
        assert await waiting == "waited"


class Lone(Actor):
    """Knows how many of its handlers were under way at once."""

    def __init__(self, begun, gate, counts):
        self.begun, self.gate, self.counts = begun, gate, counts
        self.count = 0

    @handler
    async def work(self):
        self.count += 1
        self.counts.append(self.count)
        self.begun.set()
        await self.gate.wait()
        self.count -= 1


class Holding(Actor):
    @handler
    def hold(self):
        time.sleep(TICK_SECONDS)


class Falling(Actor):
    @handler
    def fall(self, lone, holding):
        lone.tell(Lone.work)
        for ref in holding:
            ref.tell(Holding.hold)
        raise LookupError("lost")


class Pair(Supervisor):
    strategy = "one_for_all"
    backoff = Backoff(first=0.0, most=0.0)

    def __init__(self, *args):
        self.children = [child(Lone, "lone", *args), child(Falling, "falling")]


async def test_who_is_restarted_while_it_is_queued_has_one_message_at_a_time(mesh, logged):
    node = await mesh.start()
    logged.expect("falling.fall")
    begun, gate, counts = asyncio.Event(), asyncio.Event(), []
    await node.spawn(Pair, None, begun, gate, counts)
    lone, falling = await node.find("lone"), await node.find("falling")
    holding = [await node.spawn(Holding) for _ in range(25)]
    falling.tell(Falling.fall, lone, holding[20:])
    for ref in holding[:20]:  # a tick each, while both are restarted
        ref.tell(Holding.hold)
    await begun.wait()
    asyncio.get_running_loop().call_later(0.1, gate.set)
    await lone.ask(Lone.work)
    assert counts == [1, 1]
