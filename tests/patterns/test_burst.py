"""A burst of published messages is handled in one go, and each as if it had come alone."""

import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest

from actormq import Actor, Publisher, Subscriber, Supervisor, child, handler
from actormq.patterns.burst import Burst
from actormq.settings import TURN_MESSAGES, TURN_SECONDS

COUNT = 200  # fewer than one frame holds
WORK = 0.001  # s that a message may take


class Source(Actor):
    feed = Publisher(service="bursts")

    @handler
    async def say(self, *values: Any) -> None:
        for value in values:
            await self.feed.publish("t", value)


class Ear(Actor):
    """Notes what it was given, and at each message what its socket and its node say of it."""

    feed = Subscriber(service="bursts")

    def __init__(self) -> None:
        self.order: list[Any] = []
        self.said: list[tuple[Any, ...]] = []

    async def on_start(self) -> None:
        await self.feed.subscribe("t")

    def noted(self, value: Any) -> None:
        feed = self.feed
        self.order.append(value)
        self.said.append((feed.last[2], feed.received, feed.missed, feed.waiting))
        assert [*feed.positions.values()] == [feed.last[2]]
        assert self.node.ledger().is_balanced

    @feed.received
    def note(self, topic: str, value: int) -> None:
        self.noted(value)

    @handler
    def mark(self, word: str) -> None:
        self.order.append(word)


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


async def placed(mesh, kind=Ear):
    """A node, a source on it, and an actor of it that listens."""
    node = await mesh.start()
    source = await node.spawn(Source)
    ref = await node.spawn(kind)
    return node, source, inside(node, ref)


def mailed(monkeypatch, actor):
    """Notes what the sockets of an actor put into its mailbox."""
    entries = []
    receive = type(actor._actormq_context).receive

    def noted(self, *args):
        if self is actor._actormq_context:
            entries.append(args)
        receive(self, *args)

    monkeypatch.setattr(type(actor._actormq_context), "receive", noted)
    return entries


# -- the cursor -----------------------------------------------------------------------------------


def test_taking_a_message_moves_on_and_looking_at_it_does_not():
    burst = Burst(7, "t", 5, ["a", "b", "c"])
    assert (burst.number, burst.waiting, burst.peek()) == (4, 3, ("t", "a"))
    assert burst.take() == ("t", "a")
    assert (burst.number, burst.waiting, burst.peek()) == (5, 2, ("t", "b"))
    burst.take()
    burst.take()
    assert (burst.number, burst.waiting) == (7, 0)


def test_what_was_made_to_fit_moves_the_same_cursor():
    burst = Burst(7, "t", 5, ["1", "2"])
    burst.fit([["T"], [1, 2]])
    assert burst.is_fit
    assert burst.take() == ("T", 1)
    assert (burst.number, burst.waiting, burst.peek()) == (5, 1, ("t", "2"))
    assert list(burst.left) == [2]
    assert (burst.number, burst.waiting) == (6, 0)


# -- in order, each by itself ---------------------------------------------------------------------


async def test_each_message_of_a_burst_sees_itself_as_the_last_and_all_counts_exact(
    mesh, until, monkeypatch
):
    node, source, ear = await placed(mesh)
    entries = mailed(monkeypatch, ear)
    before = node.ledger().delivered
    await source.ask(Source.say, *range(COUNT))
    await until(lambda: len(ear.order) == COUNT)
    assert ear.order == [*range(COUNT)]
    assert ear.said == [(n + 1, n + 1, 0, COUNT - n - 1) for n in range(COUNT)]
    assert len(entries) < COUNT // 10  # which is what a burst is for
    await until(lambda: node.ledger().in_flight == 0)
    assert node.ledger().delivered - before == COUNT + 1  # and the source's own message


async def test_what_a_turn_leaves_of_a_burst_is_handled_on_the_loop_as_well(
    mesh, until, monkeypatch
):
    monkeypatch.setattr("actormq.turns.TURN_SECONDS", 1_000.0)  # however slow the machine is

    class Places(Ear):
        feed = Subscriber(service="bursts")

        @feed.received
        def note(self, topic: str, value: int) -> None:
            self.order.append((value, threading.get_ident()))

    _, source, ear = await placed(mesh, Places)
    await source.ask(Source.say, 0, 1, "two", 3, 4, 5)  # a row ends behind what does not fit
    await until(lambda: len(ear.order) == 5)
    assert ear.order == [(value, threading.get_ident()) for value in (0, 1, 3, 4, 5)]


@pytest.mark.parametrize("count", [3, COUNT])  # few go one by one
async def test_what_comes_meanwhile_waits_for_one_message_of_the_burst(mesh, until, count):
    class Talks(Ear):
        feed = Subscriber(service="bursts")

        @feed.received
        def note(self, topic: str, value: int) -> None:
            self.noted(value)
            if value % 10 == 0:
                self.ref.tell(Ear.mark, f"after {value}")

    _, source, ear = await placed(mesh, Talks)
    await source.ask(Source.say, *range(count))
    expected: list[Any] = [*range(count)]
    for value in range(0, count, 10):
        expected.insert(expected.index(value) + 1, f"after {value}")
    await until(lambda: len(ear.order) == len(expected))
    assert ear.order == expected


@pytest.mark.slow
async def test_a_slow_method_holds_the_loop_for_a_turn_and_not_for_a_burst(mesh, until):
    class Slow(Ear):
        feed = Subscriber(service="bursts")

        @feed.received
        def note(self, topic: str, value: int) -> None:
            self.order.append(value)
            time.sleep(WORK)

    node, source, ear = await placed(mesh, Slow)
    other = await node.spawn(Ear)
    await source.ask(Source.say, *range(COUNT))
    asked = 0
    while len(ear.order) < COUNT:
        before = len(ear.order)
        await other.ask(Ear.mark, "asked")
        asked += 1
        assert len(ear.order) - before <= 10  # one a turn, for the few turns that an ask takes
    assert asked >= COUNT // 10


def turns_of(monkeypatch, ear):
    """How many it has handled after each of its turns."""
    turns = []
    go_on = type(ear._actormq_context)._go_on_with
    monkeypatch.setattr(
        type(ear._actormq_context),
        "_go_on_with",
        lambda self, flow: (go_on(self, flow), turns.append(len(ear.order)))[0],
    )
    return turns


@pytest.mark.parametrize("are_alone", [False, True])
async def test_a_row_has_as_many_messages_a_turn_as_a_mailbox(mesh, until, monkeypatch, are_alone):
    class Notes(Ear):
        feed = Subscriber(service="bursts")

        @feed.received
        def note(self, topic: str, value: int) -> None:
            self.order.append(value)

    node, _, ear = await placed(mesh, Notes)
    monkeypatch.setattr(node._runtime.loop, "clock", lambda: 0.0)  # no time passes
    turns = turns_of(monkeypatch, ear)
    values = range(3 * TURN_MESSAGES)
    if are_alone:
        for value in values:
            ear.feed._intake.put(("t", value))
    else:
        ear.feed._intake.put_all(Burst(1, "t", 1, [*values]))
    await until(lambda: len(ear.order) == len(values))
    assert turns[1] - turns[0] == TURN_MESSAGES
    # The first of those that came alone was in the mailbox before they were many: a turn of that.
    assert turns[0] <= (2 * TURN_MESSAGES if are_alone else TURN_MESSAGES)


async def test_a_method_that_is_not_quick_has_the_clock_looked_at_behind_each_message(
    mesh, until, monkeypatch
):
    now = [0.0]

    class Works(Ear):
        feed = Subscriber(service="bursts")

        @feed.received
        def note(self, topic: str, value: int) -> None:
            self.order.append(value)
            now[0] += TURN_SECONDS / 5

    node, _, ear = await placed(mesh, Works)
    monkeypatch.setattr(node._runtime.loop, "clock", lambda: now[0])
    turns = turns_of(monkeypatch, ear)
    ear.feed._intake.put_all(Burst(1, "t", 1, [*range(COUNT)]))
    await until(lambda: len(ear.order) == COUNT)
    assert len(turns) >= COUNT // 6


# -- what fits, raises, stops ---------------------------------------------------------------------


KNOWN = {float(number): "known" for number in range(10)}


@dataclass
class Reading:
    value: float

    def __post_init__(self) -> None:
        KNOWN[self.value]


async def test_values_become_what_the_method_asks_for_and_one_that_does_not_fit_is_alone(
    mesh, until
):
    class Reads(Ear):
        feed = Subscriber(service="bursts")

        @feed.received
        def note(self, topic: str, reading: Reading) -> None:
            self.noted(reading)

    node, source, ear = await placed(mesh, Reads)
    await source.ask(Source.say, *map(Reading, range(5)))
    await until(lambda: len(ear.order) == 5)
    await source.ask(Source.say, Reading(5), "bad", {"value": None}, {"value": 99}, Reading(6))
    await until(lambda: len(ear.order) == 7)
    assert ear.order == [Reading(float(number)) for number in range(7)]
    assert ear.feed.dropped == {"ArgumentMismatch": 3}
    assert (ear.feed.received, ear.feed.missed, ear.feed.waiting) == (10, 0, 0)
    await until(lambda: node.ledger().in_flight == 0)
    assert node.ledger().is_balanced


async def test_what_does_not_fit_ends_the_row_so_that_a_flood_of_it_is_a_turn_each(
    mesh, until, monkeypatch
):
    node, source, ear = await placed(mesh)
    entries = mailed(monkeypatch, ear)
    await source.ask(Source.say, *["bad"] * COUNT)
    await until(lambda: ear.feed.dropped == {"ArgumentMismatch": COUNT})
    assert len(entries) >= COUNT
    assert (ear.feed.received, ear.feed.missed, ear.feed.waiting) == (COUNT, 0, 0)
    await until(lambda: node.ledger().in_flight == 0)
    assert node.ledger().is_balanced


async def test_what_raises_in_a_burst_costs_one_message(mesh, until, logged):
    class Raises(Ear):
        feed = Subscriber(service="bursts")

        @feed.received
        def note(self, topic: str, value: int) -> None:
            self.noted(value)
            if value % 50 == 7:
                raise ValueError(f"not {value}")

    node, source, ear = await placed(mesh, Raises)
    logged.expect("note raised: ValueError")
    await source.ask(Source.say, *range(COUNT))
    await until(lambda: len(ear.order) == COUNT)
    assert ear.order == [*range(COUNT)]
    assert (ear.feed.received, ear.feed.missed, ear.feed.waiting) == (COUNT, 0, 0)
    assert node.ledger().is_balanced


async def test_an_actor_that_stops_in_a_burst_handles_no_more_of_it(mesh, until):
    class Stops(Ear):
        feed = Subscriber(service="bursts")

        @feed.received
        def note(self, topic: str, value: int) -> None:
            self.noted(value)
            if value == 9:
                self.ref.stop()

    node, source, ear = await placed(mesh, Stops)
    feed = ear.feed
    await source.ask(Source.say, *range(COUNT))
    await until(lambda: feed._port.is_closed)
    assert ear.order == [*range(10)]
    assert (feed.received, feed.dropped, feed.waiting) == (10, {"ActorStopped": COUNT - 10}, 0)
    assert node.ledger().is_balanced


async def test_a_supervised_actor_that_fails_in_a_burst_loses_what_was_left_and_says_so(
    mesh, until, logged
):
    feeds = []

    class Fails(Ear):
        feed = Subscriber(service="bursts")

        async def on_start(self) -> None:
            await self.feed.subscribe("t")
            feeds.append(self.feed)

        @feed.received
        def note(self, topic: str, value: int) -> None:
            self.noted(value)
            if value == 9:
                raise ValueError("nine")

    class Rack(Supervisor):
        children = (child(Fails, "ear"),)

    node = await mesh.start()
    source = await node.spawn(Source)
    await node.spawn(Rack)
    logged.expect("ear.note failed: it is restarted")
    await source.ask(Source.say, *range(COUNT))
    await until(lambda: len(feeds) == 2)
    await source.ask(Source.say, -1)
    await until(lambda: feeds[1].received == 1)
    feed = feeds[0]
    assert (feed.received, feed.dropped, feed.waiting) == (10, {"ActorStopped": COUNT - 10}, 0)
    await until(lambda: node.ledger().in_flight == 0)
    assert node.ledger().is_balanced
