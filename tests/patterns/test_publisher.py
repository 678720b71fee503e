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
    SocketFull,
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


class Strict(Speaker):
    feed = Publisher(service="feed", full="raise")


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


async def test_ready_waits_until_so_many_subscribers_are_known(mesh, until):
    near, far = await mesh.pair()
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


async def test_ready_means_that_all_topics_of_a_late_subscription_are_known(mesh, until):
    node = await mesh.start()
    topics = [f"topic-{number:04}-{'x' * 100}" for number in range(500)]
    listener = inside(node, await node.spawn(Listener, None, *topics))
    for round_ in range(10):
        speaker = await node.spawn(Speaker)
        assert await speaker.ask(Speaker.topics_when_ready) == 500
        await speaker.ask(Speaker.say, topics[-1], round_)
        await until(lambda: listener.heard)
        assert listener.heard.pop() == (topics[-1], round_)
        await speaker.stop()


async def test_a_subscriber_that_leaves_is_counted_no_more(mesh, until):
    near, far = await mesh.pair()
    speaker = await near.spawn(Speaker)
    here = await near.spawn(Listener, None, "a", "b")
    there = await far.spawn(Listener, None, "a")
    # The other node may hear of the service only now.
    await until(lambda: inside(near, speaker).feed.subscriber_count == 2)
    assert await speaker.ask(Speaker.subscribers) == 2
    await inside(near, here).feed.subscribe("c")  # its mark is a new one: still one subscriber
    assert await speaker.ask(Speaker.subscribers) == 2
    await there.stop()
    await until(lambda: inside(near, speaker).feed.subscriber_count == 1)
    await here.stop()
    await until(lambda: inside(near, speaker).feed.subscriber_count == 0)


async def test_who_asks_twice_for_a_topic_is_one_subscriber_and_cancels_twice(mesh, until):
    node = await mesh.start()
    speaker = await node.spawn(Speaker)
    ref = await node.spawn(Listener, None, "a", "a")
    listener, feed = inside(node, ref), inside(node, speaker).feed
    await listener.feed.subscribe("a", "b")
    assert feed._topics == {b"a": 1, b"b": 1}
    assert feed.subscriber_count == 1
    for number in range(2):
        listener.feed.unsubscribe("a")
        await speaker.ask(Speaker.say, "a", number)
        await speaker.ask(Speaker.say, "b", number)
        await until(lambda: listener.heard[-1:] == [("b", number)])  # noqa: B023 awaited here
    listener.feed.unsubscribe("a")
    await until(lambda: feed._topics == {b"b": 1})
    await speaker.ask(Speaker.say, "a", 2)
    await speaker.ask(Speaker.say, "b", 2)
    await until(lambda: listener.heard[-1:] == [("b", 2)])
    assert ("a", 2) not in listener.heard
    await ref.stop()
    await until(lambda: not feed._topics)
    assert feed.subscriber_count == 0


async def test_publishing_to_nobody_costs_no_encoding(mesh):
    node = await mesh.start()
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
        ("feed", 5, [1], "a topic is a text, not int"),
        ("feed", ["a"], [1], "a topic is a text, not list"),
        ("feed", "\ud800", [1], r"topic '\\ud800' cannot be written as UTF-8"),
        ("feed", "\U0010ffffactormq\0", [1], "topics that begin as .* are actormq's own"),
        ("text", b"a", ["1"], "a topic is a text, not bytes"),
        ("text", "a", ["\ud800"], r"'\\ud800' cannot be written as UTF-8"),
        ("text", "x" * 256, ["1"], "is over 255 bytes"),
        ("text", "a", [[1]], "codec 'text' publishes a text or number, not list"),
        ("text", "a", ["1", b"2"], "codec 'text' publishes a text or number"),
        ("text", "New York", ["1"], "codec 'text' parts topic and text at the first space"),
        ("raw", "x" * 256, [b"1"], "is over 255 bytes"),
        ("raw", b"x" * 256, [b"1"], "is over 255 bytes"),
        ("raw", "a", ["1"], "codec 'raw' takes bytes, not str"),
        ("raw", "a", [b"1", "2"], "codec 'raw' takes bytes, not str"),
        ("raw", 5, [b"1"], "a topic is a text, not int"),
        ("raw", "\U0010ffffactormq\0".encode(), [b"1"], "are actormq's own"),
    ],
)
async def test_what_does_not_fit_the_codec_is_refused(mesh, over, topic, values, sentence):
    node = await mesh.start()
    speaker = await node.spawn(Speaker)
    with pytest.raises(RemoteError, match=sentence) as failed:
        await speaker.ask(Speaker.say, topic, *values, over=over)
    assert isinstance(failed.value.__cause__, SetupError)


async def test_a_value_over_the_message_limit_is_refused(mesh, until):
    node = await mesh.start(message_limit=10_000)
    speaker = await node.spawn(Speaker)
    listener = inside(node, await node.spawn(Listener, None, "a"))
    with pytest.raises(RemoteError) as failed:
        await speaker.ask(Speaker.say, "a", "x" * 20_000)
    assert isinstance(failed.value.__cause__, MessageTooLarge)
    await speaker.ask(Speaker.say, "a", "x" * 9_000)
    await until(lambda: listener.heard == [("a", "x" * 9_000)])
    assert listener.feed.missed == 0


async def test_a_large_array_is_refused_or_arrives_whole(mesh, until):
    numpy = pytest.importorskip("numpy")
    node = await mesh.start()
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
    assert listener.feed.dropped.total() == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "goes nowhere: give it service=, bind= or connect="),
        ({"service": ""}, "service '' is no name"),
        ({"bind": "*:5556"}, "is no endpoint; take tcp://HOST:PORT"),
        ({"bind": "tcp://*"}, "lacks a port"),
        ({"service": "a", "codec": "json"}, "codec 'json' is unknown: take msgpack, text or raw"),
        (
            {"service": "a", "full": "block"},
            "full='block' is unknown: take 'wait', 'raise' or 'drop'",
        ),
    ],
)
def test_a_publisher_that_cannot_work_is_refused_with_its_class(arguments, sentence):
    with pytest.raises(SetupError, match=sentence.replace("*", r"\*")):
        Publisher(**arguments)


async def test_a_publisher_is_closed_with_its_actor(mesh):
    node = await mesh.start()
    await node.spawn(Listener, None, "")
    for over in ("feed", "text", "raw"):
        ref = await node.spawn(Speaker)
        feed = getattr(inside(node, ref), over)
        await ref.stop()
        with pytest.raises(LifecycleError, match="is closed: its actor has stopped"):
            await feed.publish("a", 1)


# -- to plain programs ----------------------------------------------------------------------------


async def test_a_plain_sub_reads_topic_and_text_in_one_frame(mesh, until):
    node = await mesh.start()
    speaker = await node.spawn(Speaker)
    with plain(zmq.SUB, await speaker.ask(Speaker.endpoint, "text"), "98101") as sub:
        await until(lambda: speaker.ask(Speaker.subscribers, "text"))
        for topic, value in (("10001", "no"), ("98101", "20 45"), ("98101", 7), ("981", "no")):
            await speaker.ask(Speaker.say, topic, value, over="text")
        await speaker.ask(Speaker.say, "98101", "the last", over="text")
        got = [await sub.recv_multipart() for _ in range(3)]
    assert got == [[b"98101 20 45"], [b"98101 7"], [b"98101 the last"]]


async def test_a_plain_sub_reads_raw_frames_as_they_were_published(mesh, until):
    node = await mesh.start()
    speaker = await node.spawn(Speaker)
    with plain(zmq.SUB, await speaker.ask(Speaker.endpoint, "raw"), b"\x01") as sub:
        await until(lambda: speaker.ask(Speaker.subscribers, "raw"))
        await speaker.ask(Speaker.say, b"\x01\xff", b"one", b"", b"three", over="raw")
        await speaker.ask(Speaker.say, "\x01text", b"", over="raw")
        got = [await sub.recv_multipart() for _ in range(2)]
    assert got == [[b"\x01\xff", b"one", b"", b"three"], [b"\x01text", b""]]


async def test_a_plain_sub_to_everything_sees_no_mark_and_no_foreign_frame(mesh, until, tmp_path):
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

    node = await mesh.start()
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


async def test_what_a_slow_subscriber_loses_is_counted_to_the_last(mesh, until):
    near, far = await mesh.pair(mailbox_limit=1_000_000)
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
async def test_a_publisher_that_waits_loses_nothing_and_grows_no_queue(mesh, until):
    near, far = await mesh.pair(mailbox_limit=1_000_000)
    speaker = await near.spawn(Lossless)
    listener = inside(far, await far.spawn(Listener, None, ""))
    await speaker.ask(Speaker.ready, 1, 5)
    listener.gate.clear()
    feed = inside(near, speaker).feed
    count = 30_000
    saying = speaker.within(20).ask(Speaker.say_many, "t", count, topics=2)
    await until(lambda: feed.waiting and listener.feed._port._paused)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        await asyncio.sleep(0)
    assert feed.published < 10_000  # it waits: two marks, one window, and what the kernel holds
    assert feed.waiting <= 2
    listener.gate.set()
    await saying
    await until(lambda: len(listener.heard) == count)
    assert [value for _, value in listener.heard if value % 2] == list(range(1, count, 2))
    assert listener.feed.missed == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.slow
async def test_the_last_message_to_a_slow_subscriber_leaves_without_another_behind_it(mesh, until):
    node = await mesh.start(mailbox_limit=1_000_000)
    speaker = await node.spawn(Lossless)
    listener = inside(node, await node.spawn(Listener, None, ""))
    feed = inside(node, speaker).feed
    await speaker.ask(Speaker.ready, 1, 5)
    listener.gate.clear()
    published = 0
    while not feed.waiting:
        published += 1  # one by one, so that nobody waits for room when there is none
        await speaker.ask(Speaker.say, f"t{published % 2}", published)
    listener.gate.set()
    await until(lambda: len(listener.heard) == published)
    assert [value for _, value in listener.heard] == list(range(1, published + 1))


@pytest.mark.slow
async def test_what_a_slow_subscriber_loses_costs_a_fast_one_beside_it_nothing(mesh, until):
    near, far = await mesh.pair()
    speaker = await near.spawn(Speaker)
    await until(lambda: far.directory.services("feed"))
    fast, slow = [inside(far, await far.spawn(Listener, None, "")) for _ in range(2)]
    feed = inside(near, speaker).feed
    slow.gate.clear()
    count, step = 12_000, 200
    for _ in range(count // step):
        await speaker.ask(Speaker.say_many, "t", step, topics=2)  # a frame each
        await until(lambda: len(fast.heard) == feed.published)
    assert [value for _, value in fast.heard] == list(range(step)) * (count // step)
    assert (fast.feed.received, fast.feed.missed) == (count, 0)
    assert slow.heard == []
    slow.gate.set()

    async def heard_the_last():
        for topic in ("t0", "t1"):
            await speaker.ask(Speaker.say, topic, "last")  # what it has read ahead ends with a 1
        await until(lambda: len(fast.heard) == feed.published)
        return slow.heard[-1:] == [("t1", "last")] and not slow.feed.waiting

    await until(heard_the_last)
    last = {(feed.stream, topic): number for topic, number in feed._numbers.items()}
    await until(lambda: slow.feed.positions == last)
    assert slow.feed.missed > 0
    assert slow.feed.received + slow.feed.missed == feed.published
    # ZeroMQ says when a subscriber is found at its mark, and passes it over until it has read on.
    assert 1 <= feed.dropped["subscriber full"] <= slow.feed.missed
    assert fast.feed.missed == 0
    assert near.events.dead_letter_count["subscriber full"] >= 1


@pytest.mark.slow
async def test_a_publisher_that_raises_says_so_and_what_it_took_arrives(mesh, until):
    near, far = await mesh.pair()
    speaker = await near.spawn(Strict)
    await until(lambda: far.directory.services("feed"))
    listener = inside(far, await far.spawn(Listener, None, ""))
    feed = inside(near, speaker).feed
    listener.gate.clear()
    taken: list[int] = []

    async def fill():
        while True:
            for _ in range(100):
                await feed.publish(f"t{len(taken) % 2}", len(taken))
                taken.append(len(taken))
            await asyncio.sleep(0)

    with pytest.raises(SocketFull) as full:
        await fill()
    assert str(full.value) == (
        "strict#1.feed is at its high-water mark: the other end is behind; send more slowly, "
        'or choose full="wait" or full="drop"'
    )
    assert feed.published == len(taken)
    listener.gate.set()
    await until(lambda: not feed.waiting)
    await feed.publish("t0", "end")
    await until(lambda: listener.heard[-1:] == [("t0", "end")])
    assert [value for _, value in listener.heard[:-1]] == taken
    assert (listener.feed.missed, feed.dropped) == (0, {})


# -- what strangers say ---------------------------------------------------------------------------


class Retaining(Speaker):
    feed = Publisher(service="feed", last=True)
    text = Publisher(bind="tcp://127.0.0.1:*", codec="text", last=True)


def framed(body, flags=0):
    return bytes([flags, len(body)]) + body


async def by_hand(endpoint):
    """A connection whose other end is no libzmq: a SUB that says what it likes (ZMTP 3.0)."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\xff".ljust(9, b"\0") + b"\x7f\x03\0" + b"NULL".ljust(52, b"\0"))
    await reader.readexactly(64)
    kind = b"".join((b"\x05READY", b"\x0bSocket-Type", (3).to_bytes(4), b"SUB"))
    writer.write(framed(kind, flags=4))
    return writer


retaining_or_not = pytest.mark.parametrize("kind", [Speaker, Retaining])


@retaining_or_not
async def test_a_message_to_a_publisher_is_counted_and_dropped(mesh, until, kind):
    node = await mesh.start()
    speaker = await node.spawn(kind)
    feed = inside(node, speaker).text
    with plain(zmq.XSUB, feed.endpoint) as stranger:
        await stranger.send(b"hello")
        await stranger.send(b"")
        await stranger.send_multipart([b"two", b"frames"])
        await stranger.send(b"\x02")
        await until(lambda: feed.received == 4)
        assert feed.dropped == {"RemoteProtocolError": 4}
        assert feed.subscriber_count == 0
        await stranger.send(b"\x01a")
        await until(lambda: feed.subscriber_count == 1)
        await speaker.ask(Speaker.say, "a", 1, over="text")
        assert await stranger.recv_multipart() == [b"a 1"]


@retaining_or_not
async def test_who_cancels_what_is_not_its_own_silences_nobody(mesh, until, kind):
    node = await mesh.start()
    speaker = await node.spawn(kind)
    listener = inside(node, await node.spawn(Listener, None, "", "a"))
    feed = inside(node, speaker).feed
    stranger = await by_hand(feed.endpoint)
    for _ in range(3):
        for topic in (b"", b"a", b"b", b"\xff"):
            stranger.write(framed(b"\0" + topic))
    await until(lambda: feed._topics == {})
    await speaker.ask(Speaker.say, "a", 1)
    await until(lambda: listener.heard == [("a", 1)])
    assert listener.feed.missed == 0
    stranger.close()
    await stranger.wait_closed()


@retaining_or_not
async def test_a_subscription_over_the_limit_costs_its_connection_only(mesh, until, kind):
    node = await mesh.start()
    speaker = await node.spawn(kind)
    listener = inside(node, await node.spawn(Listener, None, "a"))
    feed = inside(node, speaker).feed
    with plain(zmq.SUB, feed.endpoint, b"b") as sub:
        await until(lambda: b"b" in feed._topics)
        sub.subscribe(b"x" * 400)
        await until(lambda: b"b" not in feed._topics)
        await speaker.ask(Speaker.say, "a", 1)
        await until(lambda: listener.heard == [("a", 1)])
    assert not any(topic.startswith(b"x") for topic in feed._topics)


@retaining_or_not
async def test_marks_that_are_forged_are_seen_as_subscribers_and_nothing_more(mesh, until, kind):
    near, far = await mesh.pair()
    speaker = await near.spawn(kind)
    await until(lambda: far.directory.services("feed"))
    listener = inside(far, await far.spawn(Listener, None, "a"))
    feed = inside(near, speaker).feed
    own = next(iter(feed._presences))
    mark = "\U0010ffffactormq\0".encode()
    with plain(zmq.XSUB, feed.endpoint) as stranger:
        for text in (
            *(f"{'0' * 16}/1/{number}" for number in range(3)),
            *(f"{far.id}/1/{'9' * 15}", f"{near.id}/1/1", f"{far.id}/1", "no mark", "", "1/2/3"),
        ):
            await stranger.send(b"\x01" + mark + text.encode())
        await stranger.send(b"\x00" + mark + f"{own[0]}/{own[1]}/1".encode())
        await stranger.send(b"\x01end")
        await until(lambda: b"end" in feed._topics)
        assert own in feed._presences
        await listener.feed.subscribe("b")
        await speaker.ask(Speaker.say, "b", 1)
        await until(lambda: listener.heard == [("b", 1)])
    await until(lambda: set(feed._presences) == {own})
    assert listener.feed.missed == 0
