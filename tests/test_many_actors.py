"""Many actors: what one costs, that who starts or stops thousands lets others in, and their end."""

import asyncio
import gc
import tracemalloc
import weakref
from typing import ClassVar

import pytest

from actormq import Actor, ActorStopped, StartFailed, Supervisor, child, handler
from actormq.mailbox import State
from actormq.settings import PAUSE_EVERY

MANY = 4 * PAUSE_EVERY
BYTES_LIMIT = 600  # of an idle actor with its object, its ref, and its place in the list of all


class Idle(Actor):
    @handler
    def note(self) -> None: ...

    @handler
    def stop_self(self) -> State:
        self.ref.stop()
        return self._actormq_context.state

    @handler
    async def grow(self, count: int) -> list:
        return [await self.spawn(Idle) for _ in range(count)]


class Tidy(Idle):
    """Has something to be run when it ends."""

    ended: ClassVar[list[str]] = []

    async def on_stop(self) -> None:
        self.ended.append(self.name)


class Rack(Supervisor):
    pass


def cell_of(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial)


async def turns_of(work):
    """How often others had their turn while a coroutine ran."""
    loop, count = asyncio.get_running_loop(), 0

    def turn():
        nonlocal count, handle
        count += 1
        handle = loop.call_soon(turn)

    handle = loop.call_soon(turn)
    await work
    handle.cancel()
    return count


async def spawned(node, count, kind=Idle):
    return [await node.spawn(kind) for _ in range(count)]


async def stopped(refs):
    for ref in refs:
        await ref.stop()


async def test_who_starts_thousands_in_a_row_lets_others_have_their_turn(node):
    assert await turns_of(spawned(node, MANY)) >= MANY // PAUSE_EVERY


async def test_an_actor_that_starts_many_children_lets_others_have_their_turn(node):
    parent = await node.spawn(Idle)
    assert await turns_of(parent.ask(Idle.grow, MANY)) >= MANY // PAUSE_EVERY


async def test_who_stops_thousands_one_by_one_lets_others_have_their_turn(node):
    refs = await spawned(node, MANY)
    assert await turns_of(stopped(refs)) >= MANY // PAUSE_EVERY
    assert not any(map(cell_of, [node] * MANY, refs))


async def test_a_parent_or_node_that_stops_with_many_actors_lets_others_have_their_turn(node):
    parent = await node.spawn(Idle)
    await parent.ask(Idle.grow, MANY)
    assert await turns_of(parent.stop()) >= MANY // PAUSE_EVERY
    await spawned(node, MANY)
    assert await turns_of(node.stop()) >= MANY // PAUSE_EVERY
    assert not node.left


async def test_an_actor_at_rest_ends_as_soon_as_it_is_told_to(node):
    ref = await node.spawn(Idle)
    assert ref.stop().is_done
    assert cell_of(node, ref) is None
    with pytest.raises(ActorStopped):
        ref.tell(Idle.note)
    assert ref.stop().is_done


async def test_an_actor_that_stops_itself_ends_behind_its_handler(node):
    ref = await node.spawn(Idle)
    cell = cell_of(node, ref)
    assert await ref.ask(Idle.stop_self) is State.STOPPING
    await ref.stop()
    assert cell.state is State.STOPPED
    assert node.ledger().is_balanced


async def test_an_actor_with_messages_does_not_end_before_they_are_answered(node):
    ref = await node.spawn(Idle)
    asked = ref.ask(Idle.note)
    stop = ref.stop()
    assert not stop.is_done
    with pytest.raises(ActorStopped):
        await asked
    await stop
    assert node.ledger().is_balanced


@pytest.mark.parametrize("count", [1, PAUSE_EVERY])
async def test_on_stop_runs_in_each_actor_that_has_it(node, count):
    Tidy.ended = []
    refs = await spawned(node, count, Tidy)
    await stopped(refs)
    assert Tidy.ended == [ref.name for ref in refs]


async def test_a_parent_ends_after_its_children(node):
    parent = await node.spawn(Idle)
    children = await parent.ask(Idle.grow, 3)
    stop = parent.stop()
    assert not stop.is_done
    await stop
    assert [cell_of(node, each) for each in (*children, parent)] == [None] * 4


async def test_a_supervised_actor_that_stops_is_left_to_its_supervisor(node):
    rack = await node.spawn(Rack, "rack")
    ref = await cell_of(node, rack).start_child(child(Idle).restarts("always"))
    await ref.stop()
    assert await ref.ask(Idle.note) is None  # it has been started again, in the same cell


async def test_the_object_of_an_actor_that_has_ended_is_let_go_of_at_once(node):
    ref = await node.spawn(Idle)
    held = weakref.ref(cell_of(node, ref).actor)
    gc.disable()
    try:
        await ref.stop()
        assert held() is None
    finally:
        gc.enable()


async def test_a_child_that_does_not_start_is_not_kept(node):
    class Parent(Actor):
        @handler
        async def begin(self) -> int:
            with pytest.raises(StartFailed):
                await self.spawn(Broken)
            return len(self._actormq_context.children)

    class Broken(Actor):
        def __init__(self) -> None:
            raise ValueError("broken")

    parent = await node.spawn(Parent)
    assert await parent.ask(Parent.begin) == 0


async def test_only_ones_own_children_are_stopped_by_stop_child(node):
    rack, other = await node.spawn(Rack, "rack"), await node.spawn(Rack, "other")
    one = await cell_of(node, rack).start_child(child(Idle, "one"))
    for whom in (one, "one", "nobody", await node.spawn(Idle)):
        await cell_of(node, other).stop_child(whom)
    assert await one.ask(Idle.note) is None
    await cell_of(node, rack).stop_child("one")
    assert cell_of(node, one) is None


@pytest.mark.alone
async def test_an_idle_actor_and_its_ref_take_little_memory(node):
    await spawned(node, 10)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        refs = await spawned(node, 2_000)
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / len(refs)
    finally:
        tracemalloc.stop()
    assert each < BYTES_LIMIT


async def test_mailboxes_are_used_again_by_one_actor_at_a_time(node, until):
    refs = await spawned(node, 50)
    for number in range(10):
        for ref in refs:
            ref.tell(Idle.note)
            ref.tell(Idle.note)  # one that waits alone needs no mailbox
        refs[number].tell(Idle.stop_self)
        await refs[-1].ask(Idle.note)  # handled ahead, while the others' mailboxes are in use
        await until(lambda: not any(cell.mailbox_count for cell in node._runtime.registry.cells()))
        del refs[number]
    spare = node._runtime.mailboxes
    assert len(spare) <= 51
    assert not any(spare)
    in_use = [cell._mailbox for cell in node._runtime.registry.cells() if cell._mailbox is not None]
    assert len({id(mailbox) for mailbox in (*spare, *in_use)}) == len(spare) + len(in_use)
    assert node.ledger().is_balanced
