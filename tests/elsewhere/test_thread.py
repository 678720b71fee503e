"""Actors in threads of their own."""

import asyncio
import threading

import pytest
from crunchers import Counter, Cruncher, FailsToStartInThread, Point, Thread
from granted import Granted

from actormq import (
    Actor,
    ActorStopped,
    AskTimeout,
    HandlerNotFound,
    OutcomeUnknown,
    Publisher,
    RemoteError,
    SetupError,
    StartFailed,
)


async def test_it_behaves_as_an_actor_of_the_loop_does(mesh, until):
    node, third = await mesh.pair()
    counter = await node.spawn(Counter, "counter")
    await third.spawn(Counter, "far")
    far = await node.find("far")
    actor = await node.spawn(Thread, "actor", 3, by=2, notes=counter)
    ask = actor.ask
    values = node._runtime.registry.by_name("counter").actor.values

    assert [await ask(Thread.add, n) for n in (1, 2, 3)] == [5, 9, 15]
    _, thread, name = await ask(Thread.where)
    assert thread != threading.get_ident()
    assert name == "actor"
    assert await ask(Thread.facts) == [node.id, node.name, node.mesh, "actor"]
    assert await ask(Thread.moved, Point(1, 2)) == Point(2.0, 3.0)  # handed over, as on the loop
    assert await ask(Thread.own_ref) == actor

    assert await ask(Thread.pass_on, counter, "a") == 1
    assert await ask(Thread.pass_on, far, "a") == 1
    assert await ask(Thread.pass_on_blocking, counter, "b") == 3
    await ask(Thread.tell, counter, [*range(100)])
    await until(lambda: values[3:] == [*range(100)])
    await ask(Thread.later, counter, 0.01)
    await until(lambda: values[-1] == "later")
    assert await ask(Thread.find, "far") == far
    spawned = await ask(Thread.spawn, "spawned")
    assert spawned == await node.find("spawned")
    await ask(Thread.stop_it, spawned)
    assert node.find_all("spawned") == []
    assert await (await third.find("actor")).ask(Thread.add, 1) == 17

    await actor.stop()
    assert values[-1] == "actor stopped"
    with pytest.raises(ActorStopped):
        await actor.ask(Thread.add, 1)


async def test_what_goes_wrong_there_goes_wrong_as_on_the_loop(mesh):
    node = await mesh.start(shutdown_timeout=0.2)  # a handler of the counter still runs
    counter = await node.spawn(Counter, "counter")
    actor = await node.spawn(Thread, "actor")
    for handler, args, kind in [
        (Thread.fail, ("no",), "LookupError"),
        (Thread.fail_later, (), "KeyError"),
        (Thread.stop_iteration, (), "RuntimeError"),
        (Thread.cancelled, (), "asyncio.exceptions.CancelledError"),
        (Thread.beyond, (), "actormq.errors.LifecycleError"),
        (Thread.find, ("nobody",), "actormq.errors.ActorNotFound"),
    ]:
        with pytest.raises(RemoteError) as raised:
            await actor.ask(handler, *args)
        assert raised.value.type == kind
    with pytest.raises(HandlerNotFound):
        await actor.ask("unmarked", counter, "x")
    with pytest.raises(AskTimeout):
        await actor.within(0.02).ask(Thread.wait, 0.05)
    with pytest.raises(AskTimeout):
        await actor.within(0.05).ask(Thread.ask_slow, counter)
    assert await actor.ask(Thread.add, 1) == 1


async def test_those_who_await_each_other_are_told_so(mesh):
    node = await mesh.start()
    counter = await node.spawn(Counter, "counter")
    actor = await node.spawn(Thread, "actor")
    with pytest.raises(RemoteError, match="AskCircle"):
        await actor.within(4).ask(Thread.ask_round, counter)


async def test_one_that_holds_its_loop_holds_neither_the_node_nor_its_end(mesh, until):
    node = await mesh.start()
    held = threading.Event()
    actor = await node.spawn(Thread, "actor", held=held)
    counter = await node.spawn(Counter)
    reply = actor.ask(Thread.hold)
    for number in range(20):  # round and round goes the loop, while that one does not
        assert await counter.ask(Counter.note, number) == number + 1
    assert not reply.is_done
    held.set()
    assert await reply == "free"


async def test_one_that_never_ends_is_left_behind_with_a_word(mesh, logged, caplog):
    logged.expect("actor.on_stop raised: TimeoutError()")
    node = await mesh.start()
    held = threading.Event()
    actor = await node.spawn(Thread, "actor", held=held)
    reply = actor.ask(Thread.hold)
    await asyncio.sleep(0)
    with Granted() as taken:
        await actor.within(0.1).stop()
    assert taken.seconds < 3
    with pytest.raises(OutcomeUnknown):
        await reply
    assert "the thread of actor 'actor' is still busy with hold" in caplog.text
    held.set()


async def test_whoever_wants_the_program_to_end_is_heard_as_on_the_loop(mesh, until, logged):
    logged.expect("actor.exit raised: SystemExit(3)", "the node ends: SystemExit: 3")
    node = await mesh.start()
    actor = await node.spawn(Thread, "actor")
    actor.tell(Thread.exit)
    await node.stopped()
    assert isinstance(node.failure, SystemExit)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("constructor", "its constructor raised ValueError: not today"),
        ("on_start", "on_start raised ValueError: not today either"),
    ],
)
async def test_what_fails_to_start_says_why_and_leaves_the_name_free(mesh, how, sentence):
    node = await mesh.start()
    with pytest.raises(StartFailed, match=sentence):
        await node.spawn(FailsToStartInThread, "it", how)
    await node.spawn(Counter, "it")


def test_a_place_that_does_not_exist_is_refused():
    with pytest.raises(SetupError, match='"loop", in a "thread" of its own or in a "process"'):

        class Wrong(Actor):
            runs_in = "cloud"


@pytest.mark.parametrize("limit", [0, -1.0, "1", True, float("nan")])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(SetupError, match="hang_limit is"):
        type("Wrong", (Cruncher,), {"hang_limit": limit})


@pytest.mark.parametrize("where", ["thread", "process"])
def test_sockets_off_the_loop_are_refused(where):
    with pytest.raises(SetupError, match="has the socket 'feed': sockets live on the node's loop"):

        class Wrong(Actor):
            runs_in = where
            feed = Publisher(service="weather")
