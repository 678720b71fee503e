"""Failures put into an actor's n-th message."""

import pytest

from actormq import (
    Actor,
    HandlerNotFound,
    RemoteError,
    SetupError,
    Supervisor,
    child,
    every,
    handler,
)
from actormq.testing import fail_at


class Counter(Actor):
    def __init__(self) -> None:
        self.count = 0

    @handler
    def plain(self) -> int:
        self.count += 1
        return self.count

    @handler
    async def awaiting(self) -> int:
        self.count += 1
        return self.count

    @handler(blocking=True)
    def blocking(self) -> int:
        self.count += 1
        return self.count

    @every(1)
    def tick(self) -> None:
        self.count += 1


class Threaded(Counter):
    runs_in = "thread"


class Away(Counter):
    runs_in = "process"


BROKEN = OSError("the disk is full")


@pytest.mark.parametrize("name", ["plain", "awaiting", "blocking"])
async def test_only_the_nth_message_fails(node, inject, name):
    ref = await node.spawn(Counter, "counter")
    fault = inject.fail_at(ref, getattr(Counter, name), 2, BROKEN)
    assert await ref.ask(name) == 1
    with pytest.raises(RemoteError, match=rf"counter.{name} raised OSError: the disk is full"):
        await ref.ask(getattr(Counter, name))
    assert await ref.ask(name) == 2  # the actor never saw the one that failed
    assert (fault.seen, fault.is_hit) == (3, True)


async def test_other_actors_of_the_class_know_nothing_of_it(node, inject):
    one, other = await node.spawn(Counter), await node.spawn(Counter)
    inject.fail_at(one, "plain", 1, BROKEN)
    assert await other.ask(Counter.plain) == 1
    with pytest.raises(RemoteError):
        await one.ask(Counter.plain)


async def test_other_handlers_of_the_actor_know_nothing_of_it(node, inject):
    ref = await node.spawn(Counter)
    fault = inject.fail_at(ref, Counter.plain, 1, BROKEN)
    assert await ref.ask(Counter.awaiting) == 1
    assert (fault.seen, fault.is_hit) == (0, False)


async def test_it_can_be_taken_out_again(node):
    ref = await node.spawn(Counter)
    with fail_at(ref, Counter.plain, 1, BROKEN):
        pass
    assert await ref.ask(Counter.plain) == 1
    assert ref._route._handlers is Counter._actormq_handlers


async def test_several_of_one_actor_are_taken_out_in_any_order(node):
    ref = await node.spawn(Counter)
    first = fail_at(ref, Counter.plain, 1, BROKEN)
    second = fail_at(ref, Counter.plain, 1, BROKEN)
    first.undo()
    with pytest.raises(RemoteError):
        await ref.ask(Counter.plain)
    second.undo()
    assert await ref.ask(Counter.plain) == 1


async def test_messages_from_other_nodes_are_counted_too(mesh, inject):
    near, far = await mesh.pair()
    inject.fail_at(await far.spawn(Counter, "counter"), Counter.plain, 1, BROKEN)
    with pytest.raises(RemoteError, match="the disk is full"):
        await (await near.find("counter")).ask(Counter.plain)


async def test_what_repeats_can_fail_as_well(clock, node, inject, logged):
    ref = await node.spawn(Counter, "counter")
    fault = inject.fail_at(ref, "tick", 2, BROKEN)
    logged.expect("counter.tick raised: OSError('the disk is full')")
    await clock.advance(3)
    assert fault.is_hit
    assert await ref.ask(Counter.plain) == 3


async def test_a_ref_of_another_node_is_refused(mesh, inject):
    near, far = await mesh.pair()
    await far.spawn(Counter, "counter")
    with pytest.raises(SetupError, match="'counter' lives on another node than the one that gave"):
        inject.fail_at(await near.find("counter"), "plain", 1, BROKEN)


async def test_a_handler_that_is_not_there_is_named(node, inject):
    ref = await node.spawn(Counter, "counter")
    with pytest.raises(HandlerNotFound, match="actor 'counter' has no handler 'fly'"):
        inject.fail_at(ref, "fly", 1, BROKEN)


@pytest.mark.parametrize("number", [0, -1, 1.5, "2"])
async def test_messages_are_counted_from_one(node, inject, number):
    ref = await node.spawn(Counter)
    with pytest.raises(SetupError, match="messages are counted from 1"):
        inject.fail_at(ref, "plain", number, BROKEN)


@pytest.mark.slow
@pytest.mark.usefixtures("patience_with_processes")
@pytest.mark.parametrize("place", ["thread", "process"])
async def test_an_actor_that_runs_elsewhere_fails_as_well(node, inject, place):
    kind = {"thread": Threaded, "process": Away}[place]
    ref = await node.spawn(kind, "counter")
    inject.fail_at(ref, kind.plain, 2, BROKEN)
    assert await ref.ask(kind.plain) == 1
    with pytest.raises(RemoteError, match="the disk is full"):
        await ref.ask(kind.plain)
    assert await ref.ask(kind.awaiting) == 2
    assert await ref.ask(kind.plain) == 3


@pytest.mark.slow
async def test_a_restart_does_not_begin_the_count_anew(node, inject, logged):
    class Rack(Supervisor):
        children = (child(Counter, "counter").restarts("always"),)

    logged.expect("counter.plain failed: it is restarted")
    await node.spawn(Rack, "rack")
    ref = await node.find("counter")
    inject.fail_at(ref, Counter.plain, 1, BROKEN)
    again = inject.fail_at(ref, Counter.plain, 3, BROKEN)
    with pytest.raises(RemoteError):
        await ref.ask(Counter.plain)
    assert await ref.ask(Counter.plain) == 1  # a new instance
    with pytest.raises(RemoteError):
        await ref.ask(Counter.plain)
    assert again.is_hit
