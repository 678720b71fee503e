"""What is published in a burst shares frames, within bounds, and each value as if it were alone."""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgpack
import msgspec
import pytest

from actormq import (
    Actor,
    LifecycleError,
    NotEncodable,
    Publisher,
    SetupError,
    Subscriber,
    handler,
)
from actormq.patterns.batch import LEAST, SHARE_BYTES, SHARES, Batch
from actormq.patterns.presence import Presence
from actormq.settings import FRAME_BYTES, FRAME_MESSAGES, TURN_SECONDS

MOST = SHARES * FRAME_MESSAGES


class Hand:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def begun(clock=None):
    batch = Batch(clock or Hand())
    batch.begin("t", 7)
    return batch


def filled(batch, size):
    """Add values of one size for as long as there is room for another one; how many that were."""
    count = 1
    while batch.add(b"x" * size):
        count += 1
    return count


# -- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "count"),
    [
        (1, MOST),
        (LEAST, MOST),
        (LEAST + 1, FRAME_BYTES // (LEAST + 1)),
        (1_000, FRAME_BYTES // 1_000),
        (SHARE_BYTES + 1, 3),
        (FRAME_BYTES, 1),
        (2 * FRAME_BYTES, 1),
    ],
)
def test_a_batch_ends_at_so_many_values_or_bytes(size, count):
    assert filled(begun(), size) == count


def test_a_batch_that_takes_long_ends_at_the_next_share():
    clock = Hand()
    batch = begun(clock)
    for _ in range(FRAME_MESSAGES):
        assert batch.add(b"x")  # there was time enough for a second share
    clock.now += TURN_SECONDS
    assert filled(batch, 1) == FRAME_MESSAGES
    assert batch.number == 7 + 2 * FRAME_MESSAGES - 1


def test_a_value_that_is_larger_than_what_is_left_has_no_room():
    batch = begun()
    batch.add(b"x" * (FRAME_BYTES - 100))
    assert batch.has_room(100)
    assert not batch.has_room(101)


# -- published ------------------------------------------------------------------------------------


class Point(msgspec.Struct):
    x: float
    label: str


@dataclass
class Place:
    name: str


class Speaker(Actor):
    feed = Publisher(service="batches")

    async def say(self, *values: Any) -> None:
        for value in values:
            await self.feed.publish("t", value)

    async def say_many(self, count: int, payload: bytes = b"") -> None:
        for number in range(count):
            await self.feed.publish("t", payload or number)


class Listener(Actor):
    feed = Subscriber(service="batches")

    def __init__(self) -> None:
        self.heard: list[Any] = []

    async def on_start(self) -> None:
        await self.feed.subscribe("t")

    @feed.received
    def note(self, topic: str, value: Any) -> None:
        self.heard.append(value)

    @handler
    def look(self) -> int:
        return len(self.heard)


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


async def placed(mesh):
    """A node with an actor that publishes, and one that hears it."""
    node = await mesh.start()
    speaker = inside(node, await node.spawn(Speaker))
    return node, speaker, inside(node, await node.spawn(Listener))


def sent_by(monkeypatch, feed):
    """The first number, the count of values and the size of each frame that it sends."""
    frames = []
    send = feed._port.send

    def noted(parts, copy=True):
        unpacker = msgpack.Unpacker()
        unpacker.feed(parts[1])
        (_, first), *values = unpacker
        frames.append((first, len(values), len(parts[1])))
        return send(parts, copy)

    monkeypatch.setattr(feed._port, "send", noted)
    monkeypatch.setattr(feed._batch, "_clock", lambda: 0.0)  # however slow the machine is
    return frames


async def test_a_burst_goes_in_full_frames_and_comes_in_order(mesh, until, monkeypatch):
    _, speaker, listener = await placed(mesh)
    frames = sent_by(monkeypatch, speaker.feed)
    count = 2 * MOST + 10
    await speaker.say_many(count)
    await until(lambda: len(listener.heard) == count)
    assert listener.heard == [*range(count)]
    assert [frame[:2] for frame in frames] == [(1, MOST), (MOST + 1, MOST), (2 * MOST + 1, 10)]
    assert speaker.feed.published == count


async def test_frames_of_larger_values_are_as_long_as_a_frame_may_be(mesh, until, monkeypatch):
    _, speaker, listener = await placed(mesh)
    frames = sent_by(monkeypatch, speaker.feed)
    await speaker.say_many(100, b"x" * 3_000)
    await until(lambda: len(listener.heard) == 100)
    sizes = [size for _, _, size in frames[:-1]]
    assert all(FRAME_BYTES - 3_100 < size <= FRAME_BYTES + 32 for size in sizes)


async def test_values_of_all_kinds_go_in_one_burst(mesh, until, monkeypatch):
    _, speaker, listener = await placed(mesh)
    frames = sent_by(monkeypatch, speaker.feed)
    values = [1, "two", 3.0, b"four", None, True, {"six": [6]}, [7]]
    await speaker.say(*values, Point(8.0, "p"), Place("nine"))
    assert speaker.feed.published == 10
    await until(lambda: len(listener.heard) == 10)
    assert listener.heard == [*values, {"x": 8.0, "label": "p"}, {"name": "nine"}]
    assert [frame[:2] for frame in frames] == [(1, 10)]


async def test_topics_in_turn_are_frames_of_their_own_and_each_is_numbered(mesh, until):
    _, speaker, listener = await placed(mesh)
    for number in range(6):
        await speaker.feed.publish(("t1", "t2")[number % 2], number)
    await until(lambda: len(listener.heard) == 6)
    stream = speaker.feed.stream
    assert listener.feed.positions == {(stream, "t1"): 3, (stream, "t2"): 3}
    assert (listener.feed.received, listener.feed.missed) == (6, 0)


@pytest.mark.parametrize("value", [2**70, "\ud800", object()])
async def test_what_cannot_be_sent_is_refused_in_a_burst_and_has_no_number(mesh, until, value):
    _, speaker, listener = await placed(mesh)
    await speaker.say(1, 2)
    with pytest.raises(NotEncodable):
        await speaker.feed.publish("t", value)
    await speaker.say(3)
    await until(lambda: listener.heard == [1, 2, 3])
    assert (listener.feed.missed, speaker.feed.published) == (0, 3)


async def test_a_burst_that_nobody_hears_any_more_costs_no_encoding(mesh, until):
    _, speaker, listener = await placed(mesh)
    feed = speaker.feed
    await speaker.say(1)
    feed._presences.clear()
    feed._subscribed([b"\0t"])
    await speaker.say(object(), object())
    assert (feed.published, feed._numbers) == (3, {"t": 3})
    await until(lambda: listener.heard == [1])
    assert feed._numbers == {"t": 3}


async def test_what_is_no_topic_is_refused_in_a_burst_too(mesh, until):
    class Odd:
        def __eq__(self, other):
            raise RuntimeError("asked")

        __hash__ = object.__hash__

    _, speaker, listener = await placed(mesh)
    await speaker.say(1)
    for topic in (Odd(), b"t", None, ["t"]):
        with pytest.raises(SetupError):
            await speaker.feed.publish(topic, 2)
    await until(lambda: listener.heard == [1])


async def test_a_burst_ends_with_its_actor(mesh, until):
    _, speaker, listener = await placed(mesh)
    await speaker.say(1)
    await speaker.feed.close()
    with pytest.raises(LifecycleError):
        await speaker.say(2)
    await until(lambda: listener.heard == [1])


async def test_who_publishes_in_a_burst_lets_others_have_the_loop(mesh):
    _, speaker, _ = await placed(mesh)
    saying = asyncio.create_task(speaker.say_many(5 * MOST))
    rounds = 0
    while not saying.done():
        await asyncio.sleep(0)
        rounds += 1
    assert rounds > 5


async def test_who_subscribes_is_told_the_last_number_of_a_batch_too(mesh, until, monkeypatch):
    _, speaker, listener = await placed(mesh)
    feed, told = speaker.feed, []
    monkeypatch.setattr(feed._runtime.services, "vouch", lambda *what: told.append(what))
    await speaker.say(1, 2, 3)
    feed._subscribed([b"\1" + Presence("0" * 16, 1, 2).topic()])
    assert [baseline for *_, baseline in told] == [{"t": 3}]
    await until(lambda: listener.heard == [1, 2, 3])


# -- the socket's place ---------------------------------------------------------------------------


async def test_an_open_socket_is_found_without_a_call_once_it_was_asked_for(mesh):
    _, speaker, _ = await placed(mesh)
    feed = speaker.feed
    assert vars(speaker)["feed"] is feed
    assert isinstance(Speaker.feed, Publisher)


async def test_an_actor_with_slots_finds_its_open_socket_too(mesh):
    class Bare(Actor):
        __slots__ = ()
        feed = Publisher(service="bare")

    node = await mesh.start()
    actor = inside(node, await node.spawn(Bare))
    assert actor.feed is actor.feed
    assert not hasattr(actor, "__dict__")
