"""Probes: they write down, answer as told, and expect with a deadline."""

import asyncio
from dataclasses import dataclass

import pytest

from actormq import (
    Actor,
    ArgumentMismatch,
    AskTimeout,
    HandlerNotFound,
    Publisher,
    RemoteError,
    SetupError,
    every,
    handler,
)
from actormq.testing import Probe, Received


@dataclass
class Reading:
    station: str
    value: float


class Greeter(Actor):
    feed = Publisher(bind="tcp://127.0.0.1:*")

    def __init__(self, greeting: str) -> None:
        raise AssertionError("a probe runs nothing of this")

    async def on_start(self) -> None:
        raise AssertionError

    @handler
    @every(0.001)
    def tick(self) -> None:
        raise AssertionError

    @handler
    def greet(self, who: str, times: int = 1) -> str:
        raise AssertionError

    @handler
    async def note(self, reading: Reading) -> None:
        raise AssertionError

    @handler(blocking=True)
    def work(self) -> int:
        raise AssertionError

    def helper(self) -> None: ...


# -- what it writes down --------------------------------------------------------------------------


async def test_a_probe_writes_down_what_it_is_sent_in_order(probe):
    greeter = await probe(Greeter)
    greeter.ref.tell(Greeter.greet, "LAN")
    greeter.ref.tell("greet", who="WAN", times=2)
    greeter.ref.tell(Greeter.work)
    await greeter.expect(Greeter.greet, "LAN")
    await greeter.expect(Greeter.greet, "WAN", 2)
    await greeter.expect("work")
    assert greeter.received == [
        Received("greet", ("LAN",)),
        Received("greet", (), {"who": "WAN", "times": 2}),
        Received("work"),
    ]


async def test_it_runs_nothing_of_the_class_that_it_stands_in_for(clock, probe):
    greeter = await probe(Greeter)
    await clock.advance(1)
    assert greeter.received == []


async def test_arguments_from_another_node_are_checked_as_the_class_would(probe, mesh):
    near, far = await mesh.pair()
    greeter = await probe(Greeter, "greeter", node=far)
    ref = await near.find("greeter")
    ref.tell(Greeter.note, Reading("roof", 1.5))
    assert (await greeter.expect("note")).args == (Reading("roof", 1.5),)
    with pytest.raises(ArgumentMismatch, match="'who' should be str, got 7"):
        await ref.ask(Greeter.greet, 7)
    with pytest.raises(HandlerNotFound, match="has no handler 'helper'"):
        await ref.ask("helper")


async def test_a_probe_of_no_class_takes_every_message(probe, mesh):
    near, far = await mesh.pair()
    sink = await probe(name="sink", node=far)
    ref = await near.find("sink")
    assert await ref.ask("anything", 1, two=[3]) is None
    await sink.expect("anything", 1, two=[3])
    sink.ref.tell(Greeter.greet, "LAN")
    await sink.expect(Greeter.greet, "LAN")


async def test_a_probe_without_fixtures_is_spawned_by_hand(node):
    greeter = Probe(Greeter)
    with pytest.raises(SetupError, match=r"before `await probe.spawn\(node\)`"):
        assert greeter.ref
    ref = await greeter.spawn(node, "greeter")
    assert ref == greeter.ref == await node.find("greeter")
    with pytest.raises(SetupError, match="the probe 'greeter' lives already"):
        await greeter.spawn(node)


@pytest.mark.parametrize("kind", [int, "Greeter", Greeter.greet])
def test_a_probe_stands_in_for_actors_only(kind):
    with pytest.raises(SetupError, match="is no actor: a probe stands in for a class of actors"):
        Probe(kind)


# -- what it answers ------------------------------------------------------------------------------


async def test_it_answers_none_until_it_is_told(probe):
    greeter = await probe(Greeter)
    assert await greeter.ref.ask(Greeter.greet, "LAN") is None
    greeter.answers(Greeter.greet, "hi")
    assert await greeter.ref.ask(Greeter.greet, "LAN") == "hi"
    greeter.answers("greet", "ho")
    assert await greeter.ref.ask(Greeter.greet, "LAN") == "ho"


async def test_it_answers_with_a_function_of_the_arguments(probe):
    greeter = await probe(Greeter)
    greeter.answers_with(Greeter.greet, lambda who, times=1: f"hello {who}" * times)
    assert await greeter.ref.ask(Greeter.greet, "x", times=2) == "hello xhello x"


async def test_it_raises_what_it_is_told(probe):
    greeter = await probe(Greeter)
    greeter.raises(Greeter.greet, ValueError("too early"))
    with pytest.raises(RemoteError, match="greet raised ValueError: too early"):
        await greeter.ref.ask(Greeter.greet, "LAN")
    await greeter.expect(Greeter.greet, "LAN")


async def test_an_answer_that_is_withheld_comes_when_it_is_released(probe):
    greeter = await probe(Greeter)
    greeter.answers(Greeter.greet, "hi")
    greeter.withholds(Greeter.greet)
    reply = greeter.ref.ask(Greeter.greet, "LAN")
    assert await greeter.ref.ask(Greeter.work) is None  # it takes the next one meanwhile
    await greeter.expect(Greeter.greet)
    await greeter.expect(Greeter.work)
    assert not reply.is_done
    greeter.release()
    assert await reply == "hi"


async def test_an_asker_that_gets_no_answer_can_be_tested(clock, probe):
    greeter = await probe(Greeter)
    greeter.withholds("greet")
    reply = greeter.ref.ask(Greeter.greet, "LAN")
    await clock.advance(6)
    with pytest.raises(AskTimeout):
        await reply


async def test_a_handler_that_the_class_does_not_have_is_named(probe):
    greeter = await probe(Greeter)
    sentence = "Greeter has no handler 'helper': it has greet, note, tick, work"
    with pytest.raises(SetupError, match=sentence):
        greeter.answers(Greeter.helper, None)
    with pytest.raises(SetupError, match=sentence):
        await greeter.expect("helper")


# -- what it expects ------------------------------------------------------------------------------


async def test_expect_waits_for_what_is_under_way(probe):
    greeter = await probe(Greeter)
    waiting = asyncio.create_task(greeter.expect(Greeter.greet, "LAN"))
    await asyncio.sleep(0)
    assert not waiting.done()
    greeter.ref.tell(Greeter.greet, "LAN")
    assert await waiting == Received("greet", ("LAN",))


async def test_expect_fails_at_its_deadline_and_says_what_came_before(probe):
    greeter = await probe(Greeter, "greeter")
    with pytest.raises(
        AssertionError,
        match=r"the probe 'greeter' for Greeter was not sent greet\('LAN'\) within 0.01 s$",
    ):
        await greeter.expect(Greeter.greet, "LAN", within=0.01)
    greeter.ref.tell(Greeter.work)
    await greeter.expect()
    with pytest.raises(AssertionError, match=r"not sent any within .*; before that came work\(\)$"):
        await greeter.expect(within=0.01)


async def test_expect_fails_for_another_message_than_the_one_that_is_meant(probe):
    greeter = await probe(Greeter)
    greeter.ref.tell(Greeter.greet, "WAN")
    with pytest.raises(AssertionError, match=r"sent greet\('WAN'\) where greet\('LAN'\) was"):
        await greeter.expect(Greeter.greet, "LAN")
    with pytest.raises(AssertionError, match=r"sent greet\('WAN'\) where work was expected"):
        await greeter.expect(Greeter.work)
    await greeter.expect(Greeter.greet, who="WAN")


async def test_no_message_means_none_when_all_that_is_under_way_has_come(probe, mesh):
    near, far = await mesh.pair()
    greeter = await probe(Greeter, "greeter", node=far)
    await greeter.expect_no_message()
    ref = await near.find("greeter")
    ref.tell(Greeter.greet, "LAN")
    with pytest.raises(AssertionError, match=r"sent what nobody expected: greet\('LAN'\)"):
        await greeter.expect_no_message()
    await greeter.expect(Greeter.greet, "LAN")
    await greeter.expect_no_message()


async def test_no_message_for_a_while_is_for_a_clock_that_is_moved(clock, probe):
    greeter = await probe(Greeter)

    class Late(Actor):
        @every(10)
        def send(self) -> None:
            greeter.ref.tell(Greeter.work)

    await greeter.ref._route.runtime.node.spawn(Late)
    await greeter.expect_no_message(9)
    with pytest.raises(AssertionError, match="sent what nobody expected: work"):
        await greeter.expect_no_message(1)


async def test_no_message_for_a_while_is_refused_where_time_goes_by_itself(probe):
    greeter = await probe(Greeter)
    with pytest.raises(SetupError, match="ask for the fixture `clock`"):
        await greeter.expect_no_message(1)


# -- whom it watches ------------------------------------------------------------------------------


class Mortal(Actor):
    """An actor that can be stopped."""


@pytest.mark.parametrize("kind", [None, Greeter])
async def test_a_probe_is_told_of_the_end_of_whom_it_watches(probe, mesh, kind):
    near, far = await mesh.pair()
    watcher = await probe(kind)
    mine, theirs = await near.spawn(Mortal, "mine"), await far.spawn(Mortal, "theirs")
    distant = await near.find("theirs")
    watcher.watch(mine)
    watcher.watch(distant)
    await theirs.stop()
    assert (await watcher.expect_terminated(distant)).reason == "stopped"
    with pytest.raises(AssertionError, match=r"not told within 0.01 s that 'mine' has ended"):
        await watcher.expect_terminated(mine, within=0.01)
    await mine.stop()
    assert (await watcher.expect_terminated(mine)).ref == mine
    assert watcher.terminated == []
    assert watcher.received == []
