"""What a subscriber promises: the very next message, in order, and a count of what never came."""

import asyncio
import random
import socket
from dataclasses import dataclass
from typing import Any

import msgpack
import pytest
import zmq
import zmq.asyncio

from actormq import Actor, Publisher, RemoteError, SetupError, StartFailed, Subscriber, handler


@dataclass
class Reading:
    station: str
    value: float


class Station(Actor):
    feed = Publisher(service="weather")

    @handler
    async def say(self, topic: str, *values: Any) -> None:
        for value in values:
            await self.feed.publish(topic, value)


class Listener(Actor):
    readings = Subscriber(service="weather")

    def __init__(self, *topics: str) -> None:
        self.topics = topics
        self.heard: list[tuple[str, Any]] = []

    async def on_start(self) -> None:
        if self.topics:
            await self.readings.subscribe(*self.topics)

    @readings.received
    def note(self, topic: str, value: Any) -> None:
        self.heard.append((topic, value))

    @handler
    async def subscribe(self, *topics: str, after: Any = None) -> None:
        await self.readings.subscribe(*topics, after=after)

    @handler
    def unsubscribe(self, *topics: str) -> None:
        self.readings.unsubscribe(*topics)


class Picky(Listener):
    readings = Subscriber(service="weather")

    @readings.received
    async def note(self, topic: str, reading: Reading) -> None:
        if reading.value > 99:
            raise ValueError("too hot")
        self.heard.append((topic, reading))


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


def heard_of(node):
    """Whether a node knows of the publisher yet: before that it cannot listen to it."""
    return bool(node.directory.services("weather"))


async def placed(mesh, until, where, kind=Listener, *topics):
    """A station, a listener of the same or another node, and that listener's object."""
    near = await mesh.start()
    far = near if where == "same node" else await mesh.start()
    station = await near.spawn(Station, "station")
    await until(lambda: heard_of(far))
    listener = await far.spawn(kind, "listener", *topics)
    return station, listener, inside(far, listener)


everywhere = pytest.mark.parametrize("where", ["same node", "two nodes"])


# -- being heard ----------------------------------------------------------------------------------


@everywhere
async def test_the_very_next_message_after_subscribe_arrives(mesh, where, until):
    station, listener, actor = await placed(mesh, until, where)
    for number in range(100):
        await listener.ask(Listener.subscribe, f"topic-{number}")
        await station.ask(Station.say, f"topic-{number}", number)
        await until(lambda: actor.heard)
        assert actor.heard.pop() == (f"topic-{number}", number)
    assert actor.readings.missed == 0


@everywhere
async def test_a_subscriber_that_has_just_started_hears_the_very_next_message(mesh, where, until):
    near = await mesh.start()
    far = near if where == "same node" else await mesh.start()
    station = await near.spawn(Station)
    await until(lambda: heard_of(far))
    for number in range(100):
        ref = await far.spawn(Listener, None, "a")
        await station.ask(Station.say, "a", number)
        actor = inside(far, ref)
        await until(lambda actor=actor: actor.heard)
        assert actor.heard == [("a", number)]
        await ref.stop()


@everywhere
async def test_topics_are_beginnings(mesh, where, until):
    station, _, actor = await placed(mesh, until, where, Listener, "981", "1")
    for topic in ("98101", "981", "98", "10001", "2", "98199"):
        await station.ask(Station.say, topic, topic)
    await until(lambda: len(actor.heard) == 4)
    assert [topic for topic, _ in actor.heard] == ["98101", "981", "10001", "98199"]
    assert actor.readings.missed == 0


@everywhere
async def test_messages_of_one_publisher_come_in_its_order(mesh, where, until):
    station, _, actor = await placed(mesh, until, where, Listener, "")
    for number in range(50):
        await station.ask(Station.say, f"t{number % 3}", *range(number * 100, number * 100 + 100))
    await until(lambda: len(actor.heard) == 5_000)
    assert [value for _, value in actor.heard] == list(range(5_000))
    assert (actor.readings.received, actor.readings.missed) == (5_000, 0)


async def test_a_publisher_may_come_later(mesh, until):
    near, far = await mesh.pair()
    actor = inside(near, await near.spawn(Listener, None, "a"))
    station = await far.spawn(Station)
    feed = inside(far, station).feed
    await feed.ready(1, timeout=60)
    await station.ask(Station.say, "a", 1, 2, 3)
    await until(lambda: len(actor.heard) == 3)
    assert actor.readings.missed == 0
    assert actor.readings.publisher_count == 1


async def test_a_whole_node_of_publishers_may_come_later(mesh, until):
    near = await mesh.start()
    actor = inside(near, await near.spawn(Listener, None, "a"))
    far = await mesh.start()
    stations = [await far.spawn(Station) for _ in range(5)]
    for number, station in enumerate(stations):
        await inside(far, station).feed.ready(1, timeout=60)
        await station.ask(Station.say, "a", number)
    await until(lambda: len(actor.heard) == 5)
    assert sorted(actor.heard) == [("a", number) for number in range(5)]


@everywhere
async def test_a_publisher_may_leave_and_another_take_its_place(mesh, where, until):
    station, listener, actor = await placed(mesh, until, where, Listener, "a")
    await station.ask(Station.say, "a", 1)
    await until(lambda: len(actor.heard) == 1)
    await station.stop()
    await until(lambda: actor.readings.publisher_count == 0)
    await listener.ask(Listener.subscribe, "b")  # nobody to wait for
    second = await mesh.nodes[0].spawn(Station)
    await inside(mesh.nodes[0], second).feed.ready(1, timeout=60)
    await second.ask(Station.say, "b", 2)
    await until(lambda: len(actor.heard) == 2)
    assert actor.heard == [("a", 1), ("b", 2)]
    assert actor.readings.missed == 0


async def test_what_a_publisher_says_as_it_stops_still_arrives(mesh, until):
    near, far = await mesh.pair()

    class Dying(Station):
        async def on_stop(self):
            await self.feed.publish("a", "last words")

    station = await near.spawn(Dying)
    await until(lambda: heard_of(far))
    actor = inside(far, await far.spawn(Listener, None, "a"))
    await station.stop()
    await until(lambda: actor.heard == [("a", "last words")])


async def test_subscribe_waits_for_all_publishers_of_the_service(mesh, until):
    all_nodes = [await mesh.start() for _ in range(3)]
    stations = [await node.spawn(Station) for node in all_nodes for _ in range(2)]
    actor = inside(all_nodes[0], await all_nodes[0].spawn(Listener))
    await until(lambda: actor.readings.publisher_count == 6)
    for number in range(20):
        await actor.readings.subscribe(f"t{number}")
        for station in stations:
            station.tell(Station.say, f"t{number}", number)
        await until(lambda: len(actor.heard) == 6)
        actor.heard.clear()
    assert actor.readings.missed == 0


async def test_one_publisher_is_numbered_for_itself(mesh, until):
    node = await mesh.start()
    stations = [await node.spawn(Station) for _ in range(2)]
    actor = inside(node, await node.spawn(Listener, None, "a"))
    for number, station in enumerate(stations):
        await station.ask(Station.say, "a", *range(10 * number + 10))
    await until(lambda: len(actor.heard) == 30)
    assert actor.readings.missed == 0
    assert sorted(actor.readings.positions.values()) == [10, 20]


# -- what is not asked for is not missed ----------------------------------------------------------


@everywhere
async def test_what_was_published_before_it_subscribed_is_not_missed(mesh, where, until):
    station, listener, actor = await placed(mesh, until, where)
    await station.ask(Station.say, "a", *range(5))
    await listener.ask(Listener.subscribe, "a")
    await station.ask(Station.say, "a", 5)
    await until(lambda: actor.heard == [("a", 5)])
    await station.ask(Station.say, "b", *range(5))
    await listener.ask(Listener.subscribe, "b")
    await station.ask(Station.say, "b", 5)
    await until(lambda: actor.heard == [("a", 5), ("b", 5)])
    assert (actor.readings.received, actor.readings.missed) == (2, 0)


@everywhere
async def test_what_was_published_while_it_did_not_listen_is_not_missed(mesh, where, until):
    station, listener, actor = await placed(mesh, until, where, Listener, "a")
    feed = inside(mesh.nodes[0], station).feed
    await station.ask(Station.say, "a", 1)
    await until(lambda: actor.heard)
    await listener.ask(Listener.unsubscribe, "a")
    await until(lambda: not feed._topics)
    await station.ask(Station.say, "a", 2, 3)
    await listener.ask(Listener.subscribe, "a")
    await station.ask(Station.say, "a", 4)
    await until(lambda: len(actor.heard) == 2)
    assert actor.heard == [("a", 1), ("a", 4)]
    assert actor.readings.missed == 0


async def test_a_subscriber_of_text_counts_what_came(mesh, until):
    node = await mesh.start()

    class Reads(Listener):
        readings = Subscriber(service="text", codec="text")

        @readings.received
        def note(self, topic: str, text: str) -> None:
            self.heard.append((topic, text))

    class Says(Station):
        feed = Publisher(service="text", codec="text")

    says = await node.spawn(Says)
    actor = inside(node, await node.spawn(Reads, None, "9"))
    await says.ask(Station.say, "98101", "20 45", 7, 1.5)
    await until(lambda: len(actor.heard) == 3)
    assert actor.heard == [("98101", "20 45"), ("98101", "7"), ("98101", "1.5")]
    assert (actor.readings.received, actor.readings.missed) == (3, 0)
    assert actor.readings.last is None


# -- going on where one left off ------------------------------------------------------------------


async def test_who_resumes_learns_how_much_it_missed(mesh, until):
    near, far = await mesh.pair()
    station = await near.spawn(Station)
    await until(lambda: heard_of(far))
    first = await far.spawn(Listener, None, "a")
    actor = inside(far, first)
    await station.ask(Station.say, "a", *range(10))
    await until(lambda: len(actor.heard) == 10)
    positions = actor.readings.positions
    await first.stop()
    await station.ask(Station.say, "a", *range(7))  # heard by nobody
    await station.ask(Station.say, "ab", *range(3))
    second = await far.spawn(Listener)
    actor = inside(far, second)
    await second.ask(Listener.subscribe, "a", after=positions)
    await station.ask(Station.say, "a", "back")
    await station.ask(Station.say, "ab", "new")
    await until(lambda: len(actor.heard) == 2)
    assert (actor.readings.received, actor.readings.missed) == (2, 10)


async def test_the_position_of_the_message_at_hand_is_known(mesh, until):
    node = await mesh.start()
    lasts = []

    class Keeper(Listener):
        readings = Subscriber(service="weather")

        @readings.received
        def note(self, topic: str, value: Any) -> None:
            lasts.append(self.readings.last)

    station = await node.spawn(Station)
    await node.spawn(Keeper, None, "a")
    await station.ask(Station.say, "a", "x", "y")
    await until(lambda: len(lasts) == 2)
    stream = inside(node, station).feed.stream
    assert lasts == [(stream, "a", 1), (stream, "a", 2)]


# -- what does not fit ----------------------------------------------------------------------------


async def test_values_of_a_wrong_type_are_counted_dead_letters(mesh, until, logged):
    near, far = await mesh.pair()
    station = await near.spawn(Station)
    await until(lambda: heard_of(far))
    actor = inside(far, await far.spawn(Picky, "picky", "a"))
    good = Reading("98101", 20.0)
    logged.expect("picky.note raised: ValueError('too hot')")
    await station.ask(Station.say, "a", good, "bad", {"station": 1}, Reading("98101", 100), good)
    await until(lambda: len(actor.heard) == 2)
    assert actor.heard == [("a", good)] * 2
    assert actor.readings.dropped.total() == 2
    assert far.events.dead_letter_count == {"ArgumentMismatch": 2}
    assert (actor.readings.received, actor.readings.missed) == (5, 0)


async def test_a_publisher_of_another_codec_is_left_alone_and_counted(mesh, until):
    node = await mesh.start()

    class Says(Station):
        feed = Publisher(service="weather", codec="text")

    await node.spawn(Says)
    station = await node.spawn(Station)
    actor = inside(node, await node.spawn(Listener, None, "a"))
    assert actor.readings.publisher_count == 1
    assert actor.readings.dropped.total() == 1
    await station.ask(Station.say, "a", 1)
    await until(lambda: actor.heard == [("a", 1)])


@pytest.mark.parametrize(
    ("topics", "sentence"),
    [
        ((), r"listener#1\.readings\.subscribe\(\) names no topic: \"\" is everything"),
        (("x" * 256,), "topic 'x+' is over 255 bytes"),
        (("a", "ä" * 128), "topic 'ä+' is over 255 bytes"),
        ((b"x" * 256,), "is over 255 bytes"),
        ((5,), "a topic is a text, not int"),
        ((None,), "a topic is a text, not NoneType"),
        ((["a"],), "a topic is a text, not list"),
        (("\ud800",), r"topic '\\ud800' cannot be written as UTF-8"),
    ],
)
async def test_topics_that_cannot_be_are_refused(mesh, until, topics, sentence):
    node = await mesh.start()
    listener = await node.spawn(Listener)
    actor = inside(node, listener)
    for ask in (Listener.subscribe, Listener.unsubscribe) if topics else (Listener.subscribe,):
        with pytest.raises(RemoteError, match=sentence) as failed:
            await listener.ask(ask, *topics)
        assert isinstance(failed.value.__cause__, SetupError)
    station = await node.spawn(Station)
    await actor.readings.subscribe("b")
    await station.ask(Station.say, "a", 1)
    await station.ask(Station.say, "b", 2)
    await until(lambda: actor.heard == [("b", 2)])


async def test_topics_may_be_bytes_that_end_within_a_character(mesh, until):
    node = await mesh.start()

    class Kept(Station):
        feed = Publisher(service="weather", last=True)

    station = await node.spawn(Kept)
    await station.ask(Station.say, "ä", 1)
    actor = inside(node, await node.spawn(Listener, None, "ä".encode()[:1]))
    await station.ask(Station.say, "ä", 2)
    await until(lambda: actor.heard == [("ä", 1), ("ä", 2)])
    assert (actor.readings.missed, actor.readings.dropped) == (0, {})


@pytest.mark.slow
async def test_of_two_calls_at_a_time_neither_returns_before_its_topics_are_known(mesh, until):
    near, far = await mesh.pair()
    station = await near.spawn(Station)
    feed = inside(near, station).feed
    await until(lambda: heard_of(far))
    actor = inside(far, await far.spawn(Listener))
    topics = [f"t{number}" for number in range(200)]

    async def subscribe(topic):
        await actor.readings.subscribe(topic)
        assert feed._topics[topic.encode()] == 1
        await feed.publish(topic, "next")

    for first in range(0, len(topics), 10):
        await asyncio.gather(*map(subscribe, topics[first : first + 10]))
    await until(lambda: len(actor.heard) == len(topics))
    assert sorted(topic for topic, _ in actor.heard) == sorted(topics)
    assert actor.readings.missed == 0
    assert feed.subscriber_count == 1
    assert len(feed._presences) == 1
    assert len(far._runtime.services._expected) == 1
    # The word for an earlier call does not end a later one, nor say where its topics stand.
    calls = [asyncio.create_task(actor.readings.subscribe(topic)) for topic in ("u", "v")]
    await asyncio.sleep(0)
    _, earlier, later = actor.readings._tokens
    far._runtime.services.vouched(earlier, feed.stream, {})
    assert not actor.readings._vouched
    await asyncio.gather(*calls)
    assert feed._topics[b"u"] == feed._topics[b"v"] == 1
    assert actor.readings._tokens == [later]


async def test_a_subscriber_that_binds_waits_for_those_who_have_connected(mesh, until):
    near, far = await mesh.pair()

    class Hall(Listener):
        readings = Subscriber(bind="tcp://127.0.0.1:*")

        @readings.received
        def note(self, topic: str, value: Any) -> None:
            self.heard.append((topic, value))

    class Guest(Station):
        feed = Publisher(connect="{place}")

        def __init__(self, place: str) -> None:
            self.place = place

    actor = inside(far, await far.spawn(Hall))
    place = actor.readings.endpoint
    guests = [inside(near, await near.spawn(Guest, None, place)) for _ in range(3)]
    await until(lambda: actor.readings.peer_count == 3)
    for number in range(50):
        await actor.readings.subscribe(f"t{number}")
        for guest in guests:
            assert f"t{number}".encode() in guest.feed._topics
            await guest.feed.publish(f"t{number}", number)
    await until(lambda: len(actor.heard) == 150)
    assert actor.readings.missed == 0


async def test_a_subscriber_without_a_method_to_receive_does_not_start(mesh):
    node = await mesh.start()

    class Deaf(Actor):
        readings = Subscriber(service="weather")

    with pytest.raises((SetupError, StartFailed), match=r"mark a method of Deaf with @readings\."):
        await node.spawn(Deaf, "deaf")
    assert node.find_all("deaf") == []


# -- plain publishers -----------------------------------------------------------------------------


def plain_pub():
    socket = zmq.asyncio.Context.instance().socket(zmq.PUB)
    socket.linger = 0
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    return socket, f"tcp://127.0.0.1:{port}"


def reader(endpoint, codec):
    class Reader(Actor):
        ears = Subscriber(connect=endpoint, codec=codec)

        def __init__(self) -> None:
            self.heard: list[tuple[Any, ...]] = []

        async def on_start(self) -> None:
            await self.ears.subscribe("98101")

        @ears.received
        def note(self, topic: Any, *parts: Any) -> None:
            self.heard.append((topic, *parts))

    return Reader


@pytest.mark.slow
async def test_the_next_text_of_a_plain_pub_arrives(mesh, until):
    node = await mesh.start()
    pub, endpoint = plain_pub()
    with pub:
        actor = inside(node, await node.spawn(reader(endpoint, "text")))
        await pub.send(b"10001 no")
        await pub.send(b"98101 20 45")
        await pub.send_multipart([b"98101", b"in two frames"])
        await pub.send(b"98101 \xff\xfe")
        await pub.send(b"98101")
        await until(lambda: len(actor.heard) == 3)
    assert actor.heard == [("98101", "20 45"), ("98101", "in two frames"), ("98101", "")]
    assert actor.ears.dropped.total() == 1


@pytest.mark.slow
async def test_the_next_raw_frames_of_a_plain_pub_arrive(mesh, until):
    node = await mesh.start()
    pub, endpoint = plain_pub()
    with pub:
        actor = inside(node, await node.spawn(reader(endpoint, "raw")))
        await pub.send_multipart([b"98101\xff", b"", b"\x00"])
        await until(lambda: actor.heard == [(b"98101\xff", b"", b"\x00")])


def body(*values):
    return b"".join(map(msgpack.packb, values))


FORGED = {
    "a text": [b"98101 20 45"],
    "no msgpack": [b"98101", b"\xc1"],
    "an empty body": [b"98101", b""],
    "no header": [b"98101", body(1, 2)],
    "a header of one": [b"98101", body([7], "x")],
    "a header of three": [b"98101", body([7, 1, 1], "x")],
    "a stream that is a text": [b"98101", body(["7", 1], "x")],
    "a number that is a text": [b"98101", body([7, "1"], "x")],
    "a number that is a fraction": [b"98101", body([7, 1.0], "x")],
    "a number that is a truth": [b"98101", body([7, True], "x")],
    "a number below one": [b"98101", body([7, -1], "x")],
    "a number that no publisher reaches": [b"98101", body([7, 2**63], "x")],
    "a value that is cut off": [b"98101", body([7, 1]) + b"\xd9\x05ab"],
    "ext that nobody knows": [b"98101", body([7, 1], msgpack.ExtType(77, b""))],
    "a timestamp that is none": [b"98101", body([7, 1]) + b"\xc7\x0c\xff" + b"\xff" * 12],
    "a buffer that does not follow": [b"98101", body([7, 1], msgpack.ExtType(3, b"\0"))],
    "two bodies": [b"98101", body([7, 1], "x"), body("y")],
    "a topic that is no UTF-8": [b"98101\xff", body([7, 1], "x")],
    "last values that lack one": [b"98101", body([7, 0], "98101", 1)],
    "last values that have one more": [b"98101", body([7, 0], "98101", 1, "x", "98101")],
    "a last topic that is a number": [b"98101", body([7, 0], 98101, 1, "x")],
    "a last topic that is bytes": [b"98101", body([7, 0], b"98101", 1, "x")],
    "a last number that is a text": [b"98101", body([7, 0], "98101", "1", "x")],
    "a last number that is a fraction": [b"98101", body([7, 0], "98101", 1.5, "x")],
    "a last number of zero": [b"98101", body([7, 0], "98101", 0, "x")],
    "a last number below zero": [b"98101", body([7, 0], "98101", -1, "x")],
    "a last number that is huge": [b"98101", body([7, 0], "98101", 2**64 - 1, "x")],
    "a last value not asked for": [b"98101", body([7, 0], "98", 1, "x")],
    "one of the last values": [b"98101", body([7, 0], "98101", 1, "x", "98101", "2", "y")],
    "one in another frame": [b"98101", body([7, 0], "98101", 1, "x"), body("98101", None, "y")],
    "a last frame that is cut off": [b"98101", body([7, 0], "98101", 1, "x"), b"\x93\x01"],
}


@pytest.mark.slow
async def test_what_is_no_publishers_message_is_dropped_and_counted_whole(mesh, until):
    node = await mesh.start()
    pub, endpoint = plain_pub()
    with pub:
        actor = inside(node, await node.spawn(reader(endpoint, "msgpack")))
        for count, frames in enumerate(FORGED.values(), 1):
            await pub.send_multipart(frames)
            await until(lambda: actor.ears._tally.received == count)  # noqa: B023 awaited here
            assert (count, actor.ears.dropped) == (count, {"RemoteProtocolError": count})
        await pub.send_multipart([b"98101", body([7, 0], "98101", 4, "last", "981012", 1, [])])
        await pub.send_multipart([b"98101", body([7, 5], "x", None)])
        await pub.send_multipart([b"98101", body([7, 0])])  # last values, and there are none
        await pub.send_multipart([b"98101", body([7, 7], "y")])
        await until(lambda: len(actor.heard) == 5)
    assert actor.heard == [
        ("98101", "last"),
        ("981012", []),
        *(("98101", value) for value in ("x", None, "y")),
    ]
    assert (actor.ears.received, actor.ears.missed) == (5, 0)
    assert node.events.dead_letter_count == {"RemoteProtocolError": len(FORGED)}


@pytest.mark.slow
async def test_no_bytes_of_a_publisher_stop_a_subscriber(mesh, until):
    node = await mesh.start()
    pub, endpoint = plain_pub()
    draw = random.Random(5)
    good = body([7, 1], {"a": [1, "x", b"y", 1.5, None]}, "z")
    last = body([7, 0], "98101", 1, "x", "981012", 3, {"y": []})
    count = 3_000
    with pub:
        actor = inside(node, await node.spawn(reader(endpoint, "msgpack")))
        for number in range(count):
            frame = bytearray(draw.choice([good, last, draw.randbytes(draw.randrange(60))]))
            for _ in range(draw.randrange(4)):
                if frame:
                    frame[draw.randrange(len(frame))] = draw.randrange(256)
            frames = [bytes(frame)] * draw.choice([0, 1, 1, 1, 1, 2])
            await pub.send_multipart([b"98101", *frames])
            if number % 100 == 99:
                await until(lambda: actor.ears._tally.received == number + 1)  # noqa: B023 awaited here
        await pub.send_multipart([b"98101", body([8, 1], "end")])
        await until(lambda: ("98101", "end") in actor.heard)
    assert 0 < actor.ears.dropped.total() < count
    assert set(actor.ears.dropped) == {"RemoteProtocolError"}


@pytest.mark.slow
async def test_a_plain_pub_that_comes_late_is_given_its_time(mesh, until):
    node = await mesh.start()
    keeper = socket.socket()  # a port that is bound, and not listened at, is nobody else's
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    endpoint = f"tcp://127.0.0.1:{keeper.getsockname()[1]}"
    spawning = asyncio.create_task(node.spawn(reader(endpoint, "text")))
    await until(lambda: len(node._runtime.registry) == 2)
    pub = zmq.asyncio.Context.instance().socket(zmq.PUB)
    pub.linger = 0
    pub.bind(endpoint)
    with pub, keeper:
        actor = inside(node, await spawning)
        await pub.send(b"98101 20 45")
        await until(lambda: actor.heard == [("98101", "20 45")])
