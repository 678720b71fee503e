"""What a publisher promises: to whom it speaks, in which bytes, and what the slow ones lose."""

import asyncio
import resource
from typing import Any

import pytest
import zmq
import zmq.asyncio

from actormq import (
    Actor,
    LifecycleError,
    MessageTooLarge,
    NotEncodable,
    Publisher,
    RemoteError,
    SetupError,
    Subscriber,
    handler,
)


class Speaker(Actor):
    """Publishes what it is told to, over every kind of publisher."""

    feed = Publisher(service="feed")
    text = Publisher(bind="tcp://127.0.0.1:*", codec="text")
    raw = Publisher(bind="tcp://127.0.0.1:*", codec="raw")

    @handler
    async def say(self, topic: Any, *values: Any, over: str = "feed") -> None:
        await getattr(self, over).publish(topic, *values)

    @handler
    async def say_many(self, topic: str, count: int, topics: int = 1) -> None:
        for number in range(count):
            await self.feed.publish(f"{topic}{number % topics}" if topics > 1 else topic, number)

    @handler
    async def ready(self, count: int, seconds: float) -> int:
        await self.feed.ready(count, timeout=seconds)
        return self.feed.subscriber_count

    @handler
    async def topics_when_ready(self) -> int:
        await self.feed.ready()
        return len(self.feed._topics)

    @handler
    def endpoint(self, over: str) -> str:
        return getattr(self, over).endpoint

    @handler
    def subscribers(self, over: str = "feed") -> int:
        return getattr(self, over).subscriber_count

    @handler
    def published(self) -> int:
        return self.feed.published


class Listener(Actor):
    """Notes what it hears; its gate holds up its handler."""

    feed = Subscriber(service="feed")

    def __init__(self, *topics: str) -> None:
        self.topics = topics
        self.heard: list[tuple[str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def on_start(self) -> None:
        if self.topics:
            await self.feed.subscribe(*self.topics)

    @feed.received
    async def note(self, topic: str, value: Any) -> None:
        await self.gate.wait()
        self.heard.append((topic, value))

    @handler
    async def subscribe(self, *topics: str) -> None:
        await self.feed.subscribe(*topics)


class Lossless(Speaker):
    feed = Publisher(service="feed", full="wait")


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


def plain(kind, endpoint, topic=None):
    """The socket of a program that knows nothing of actormq."""
    socket = zmq.asyncio.Context.instance().socket(kind)
    socket.linger = 0
    if topic is not None:
        socket.subscribe(topic)
    socket.connect(endpoint)
    return socket


# -- who listens ----------------------------------------------------------------------------------


async def test_ready_waits_until_so_many_subscribers_are_known(nodes, until):
    near, far = await nodes.pair()
    speaker = await near.spawn(Speaker)
    with pytest.raises(RemoteError, match=r"speaker#1\.feed has 0 of 2 subscribers after 0\.01 s"):
        await speaker.ask(Speaker.ready, 2, 0.01)
    waiting = speaker.ask(Speaker.ready, 2, 10)
    listeners = [await node.spawn(Listener, None, "a") for node in (near, far)]
    assert await waiting == 2
    await speaker.ask(Speaker.say, "a", 1)
    for node, listener in zip((near, far), listeners, strict=True):
        actor = inside(node, listener)
        await until(lambda actor=actor: actor.heard == [("a", 1)])


async def test_ready_means_that_all_topics_of_a_late_subscription_are_known(nodes, until):
    node = await nodes.start()
    topics = [f"topic-{number:04}-{'x' * 100}" for number in range(500)]
    listener = inside(node, await node.spawn(Listener, None, *topics))
    for round_ in range(10):
        speaker = await node.spawn(Speaker)
        assert await speaker.ask(Speaker.topics_when_ready) == 500
        await speaker.ask(Speaker.say, topics[-1], round_)
        await until(lambda: listener.heard)
        assert listener.heard.pop() == (topics[-1], round_)
        await speaker.stop()


async def test_a_subscriber_that_leaves_is_counted_no_more(nodes, until):
    near, far = await nodes.pair()
    speaker = await near.spawn(Speaker)
    here = await near.spawn(Listener, None, "a", "b")
    there = await far.spawn(Listener, None, "a")
    assert await speaker.ask(Speaker.subscribers) == 2
    await inside(near, here).feed.subscribe("c")  # its mark is a new one: still one subscriber
    assert await speaker.ask(Speaker.subscribers) == 2
    await there.stop()
    await until(lambda: inside(near, speaker).feed.subscriber_count == 1)
    await here.stop()
    await until(lambda: inside(near, speaker).feed.subscriber_count == 0)


async def test_publishing_to_nobody_costs_no_encoding(nodes):
    node = await nodes.start()
    speaker = await node.spawn(Speaker)
    await speaker.ask(Speaker.say, "a", object())
    assert await speaker.ask(Speaker.published) == 1
    await node.spawn(Listener, None, "a")
    with pytest.raises(RemoteError) as failed:
        await speaker.ask(Speaker.say, "a", object())
    assert isinstance(failed.value.__cause__, NotEncodable)


# -- what cannot be published ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("over", "topic", "values", "sentence"),
    [
        ("feed", "x" * 256, [1], "is over 255 bytes"),
        ("feed", "ä" * 128, [1], "is over 255 bytes"),
        ("feed", b"a", [1], "a topic is a text, not bytes"),
        ("text", "x" * 256, ["1"], "is over 255 bytes"),
        ("text", "a", [[1]], "codec 'text' publishes a text or number, not list"),
        ("text", "a", ["1", b"2"], "codec 'text' publishes a text or number"),
        ("text", "New York", ["1"], "codec 'text' parts topic and text at the first space"),
        ("raw", "x" * 256, [b"1"], "is over 255 bytes"),
        ("raw", b"x" * 256, [b"1"], "is over 255 bytes"),
        ("raw", "a", ["1"], "codec 'raw' publishes bytes, not str"),
    ],
)
async def test_what_does_not_fit_the_codec_is_refused(nodes, over, topic, values, sentence):
    node = await nodes.start()
    speaker = await node.spawn(Speaker)
    with pytest.raises(RemoteError, match=sentence) as failed:
        await speaker.ask(Speaker.say, topic, *values, over=over)
    assert isinstance(failed.value.__cause__, SetupError)


async def test_a_value_over_the_message_limit_is_refused(nodes, until):
    node = await nodes.start(message_limit=10_000)
    speaker = await node.spawn(Speaker)
    listener = inside(node, await node.spawn(Listener, None, "a"))
    with pytest.raises(RemoteError) as failed:
        await speaker.ask(Speaker.say, "a", "x" * 20_000)
    assert isinstance(failed.value.__cause__, MessageTooLarge)
    await speaker.ask(Speaker.say, "a", "x" * 9_000)
    await until(lambda: listener.heard == [("a", "x" * 9_000)])
    assert listener.feed.missed == 0


async def test_a_large_array_is_refused_or_arrives_whole(nodes, until):
    numpy = pytest.importorskip("numpy")
    node = await nodes.start()
    speaker = await node.spawn(Speaker)
    listener = inside(node, await node.spawn(Listener, None, "a"))
    small, large = numpy.arange(100), numpy.arange(100_000)
    await speaker.ask(Speaker.say, "a", small)
    await until(lambda: listener.heard)
    assert (listener.heard.pop()[1] == small).all()
    try:
        await speaker.ask(Speaker.say, "a", large)
    except RemoteError as error:
        assert isinstance(error.__cause__, NotEncodable)  # noqa: PT017 one of two honest outcomes
    else:
        await until(lambda: listener.heard)
        assert (listener.heard.pop()[1] == large).all()
    assert listener.feed.refused == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "goes nowhere: give it service=, bind= or connect="),
        ({"service": ""}, "service '' is no name"),
        ({"bind": "*:5556"}, "is no endpoint; take tcp://HOST:PORT"),
        ({"bind": "tcp://*"}, "lacks a port"),
        ({"service": "a", "codec": "json"}, "codec 'json' is unknown: take msgpack, text or raw"),
        ({"service": "a", "full": "block"}, "full='block' is unknown: take 'drop' or 'wait'"),
    ],
)
def test_a_publisher_that_cannot_work_is_refused_with_its_class(arguments, sentence):
    with pytest.raises(SetupError, match=sentence.replace("*", r"\*")):
        Publisher(**arguments)


async def test_a_publisher_is_closed_with_its_actor(nodes):
    node = await nodes.start()
    ref = await node.spawn(Speaker)
    feed = inside(node, ref).text
    await ref.stop()
    with pytest.raises(LifecycleError, match="is closed: its actor has stopped"):
        await feed.publish("a", 1)


# -- to plain programs ----------------------------------------------------------------------------


async def test_a_plain_sub_reads_topic_and_text_in_one_frame(nodes, until):
    node = await nodes.start()
    speaker = await node.spawn(Speaker)
    with plain(zmq.SUB, await speaker.ask(Speaker.endpoint, "text"), "98101") as sub:
        await until(lambda: speaker.ask(Speaker.subscribers, "text"))
        for topic, value in (("10001", "no"), ("98101", "20 45"), ("98101", 7), ("981", "no")):
            await speaker.ask(Speaker.say, topic, value, over="text")
        await speaker.ask(Speaker.say, "98101", "the last", over="text")
        got = [await sub.recv_multipart() for _ in range(3)]
    assert got == [[b"98101 20 45"], [b"98101 7"], [b"98101 the last"]]


async def test_a_plain_sub_reads_raw_frames_as_they_were_published(nodes, until):
    node = await nodes.start()
    speaker = await node.spawn(Speaker)
    with plain(zmq.SUB, await speaker.ask(Speaker.endpoint, "raw"), b"\x01") as sub:
        await until(lambda: speaker.ask(Speaker.subscribers, "raw"))
        await speaker.ask(Speaker.say, b"\x01\xff", b"one", b"", b"three", over="raw")
        await speaker.ask(Speaker.say, "\x01text", b"", over="raw")
        got = [await sub.recv_multipart() for _ in range(2)]
    assert got == [[b"\x01\xff", b"one", b"", b"three"], [b"\x01text", b""]]


async def test_a_plain_sub_to_everything_sees_no_mark_and_no_foreign_frame(nodes, until, tmp_path):
    class Mixed(Actor):
        """Listens at the same endpoint as the plain SUB does."""

        news = Publisher(bind=f"ipc://{tmp_path}/news", codec="text")
        ears = Subscriber(connect=f"ipc://{tmp_path}/news", codec="text")

        def __init__(self) -> None:
            self.heard: list[str] = []

        @ears.received
        def note(self, topic: str, text: str) -> None:
            self.heard.append(f"{topic} {text}")

        @handler
        async def subscribe(self) -> None:
            await self.ears.subscribe("")

        @handler
        async def say(self, text: str) -> None:
            await self.news.publish("news", text)

    node = await nodes.start()
    ref = await node.spawn(Mixed)
    actor = inside(node, ref)
    with plain(zmq.SUB, f"ipc://{tmp_path}/news", b"") as sub:
        await until(lambda: actor.news.subscriber_count == 1)
        for _ in range(3):  # marks come and go
            await ref.ask(Mixed.subscribe)
        for number in range(10):
            await ref.ask(Mixed.say, str(number))
        got = [await sub.recv_multipart() for _ in range(10)]
        assert not sub.get(zmq.EVENTS) & zmq.POLLIN
    assert got == [[f"news {number}".encode()] for number in range(10)]
    await until(lambda: actor.heard == [f"news {number}" for number in range(10)])


# -- slow subscribers -----------------------------------------------------------------------------


async def test_what_a_slow_subscriber_loses_is_counted_to_the_last(nodes, until):
    near, far = await nodes.pair(mailbox_limit=1_000_000)
    speaker = await near.spawn(Speaker)
    listener = inside(far, await far.spawn(Listener, None, ""))
    await speaker.ask(Speaker.ready, 1, 5)
    listener.gate.clear()
    await speaker.within(20).ask(Speaker.say_many, "t", 30_000, topics=2)  # a frame each
    listener.gate.set()
    feed = inside(near, speaker).feed

    async def heard_the_last():
        await speaker.ask(Speaker.say_many, "t", 2, topics=2)
        last = {(feed.stream, topic): number for topic, number in feed._numbers.items()}
        for _ in range(1_000):
            await asyncio.sleep(0)
            if listener.feed.positions == last:
                return True
        return False  # it was lost as well

    await until(heard_the_last)
    assert listener.feed.missed > 0
    assert listener.feed.received == len(listener.heard)
    assert listener.feed.received + listener.feed.missed == feed.published


@pytest.mark.slow
async def test_a_publisher_that_waits_loses_nothing_and_grows_no_queue(nodes, until):
    near, far = await nodes.pair(mailbox_limit=1_000_000)
    speaker = await near.spawn(Lossless)
    listener = inside(far, await far.spawn(Listener, None, ""))
    await speaker.ask(Speaker.ready, 1, 5)
    listener.gate.clear()
    feed = inside(near, speaker).feed
    count = 30_000
    saying = speaker.within(20).ask(Speaker.say_many, "t", count, topics=2)
    await until(lambda: feed._queue and listener.feed._port._paused)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        await asyncio.sleep(0)
    assert feed.published < 10_000  # it waits: two marks, one window, and what the kernel holds
    assert len(feed._queue) <= 2
    listener.gate.set()
    await saying
    await until(lambda: len(listener.heard) == count)
    assert [value for _, value in listener.heard if value % 2] == list(range(1, count, 2))
    assert listener.feed.missed == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.slow
async def test_the_last_message_to_a_slow_subscriber_leaves_without_another_behind_it(nodes, until):
    node = await nodes.start(mailbox_limit=1_000_000)
    speaker = await node.spawn(Lossless)
    listener = inside(node, await node.spawn(Listener, None, ""))
    feed = inside(node, speaker).feed
    await speaker.ask(Speaker.ready, 1, 5)
    listener.gate.clear()
    published = 0
    while not feed._queue:
        published += 1  # one by one, so that nobody waits for room when there is none
        await speaker.ask(Speaker.say, f"t{published % 2}", published)
    listener.gate.set()
    await until(lambda: len(listener.heard) == published)
    assert [value for _, value in listener.heard] == list(range(1, published + 1))
