"""Publisher(last=True): who comes late is handed the last value of each topic, alone and once."""

import asyncio
import random
import threading
from typing import Any

import msgpack
import pytest
import zmq

from actormq import Actor, Publisher, Subscriber, handler
from actormq.patterns.lastvalues import LastValues
from actormq.settings import FRAME_BYTES, TOPICS_NUMBERED

everywhere = pytest.mark.parametrize("where", ["one node", "two nodes"])


# -- the table ------------------------------------------------------------------------------------


def test_the_last_value_of_each_topic_is_kept():
    last = LastValues()
    for number, topic in enumerate([b"b", b"a", b"ab", b"b", b"", b"abc"]):
        last.keep(topic, number)
    assert last.under(b"") == [(b"", 4), (b"a", 1), (b"ab", 2), (b"abc", 5), (b"b", 3)]
    assert last.under(b"ab") == [(b"ab", 2), (b"abc", 5)]
    assert last.under(b"abcd") == last.under(b"c") == []
    last.clear()
    assert last.under(b"") == []


def test_of_too_many_topics_the_longest_unheard_of_is_forgotten():
    last = LastValues()
    for number in range(TOPICS_NUMBERED):
        last.keep(b"%05d" % number, number)
    last.keep(b"00000", "again")
    last.keep(b"new", 1)
    found = dict(last.under(b""))
    assert len(found) == TOPICS_NUMBERED
    assert b"00001" not in found
    assert (found[b"00000"], found[b"new"]) == ("again", 1)


def test_the_table_holds_what_a_dict_and_a_look_at_each_topic_say():
    draw = random.Random(7)
    last, table = LastValues(), {}
    for number in range(2_000):
        topic = bytes(draw.choices(b"ab\xff", k=draw.randrange(6)))
        last.keep(topic, number)
        table[topic] = number
        beginning = bytes(draw.choices(b"ab\xff", k=draw.randrange(4)))
        wanted = sorted((t, v) for t, v in table.items() if t.startswith(beginning))
        assert last.under(beginning) == wanted


# -- between actors -------------------------------------------------------------------------------


class Board(Actor):
    feed = Publisher(service="board", last=True)

    def __init__(self, **said: Any) -> None:
        self.said = said

    async def on_start(self) -> None:
        for topic, value in self.said.items():
            await self.feed.publish(topic, value)

    @handler
    async def say(self, topic: str, *values: Any) -> None:
        for value in values:
            await self.feed.publish(topic, value)


class Waiting(Board):
    feed = Publisher(service="board", last=True, full="wait")

    @handler
    async def fill(self) -> int:
        """Publish until somebody is behind; say how often."""
        count = 0
        while not self.feed.waiting:
            await self.feed.publish(f"t{count % 2}", count)
            count += 1
            await asyncio.sleep(0)
        return count


class Listener(Actor):
    feed = Subscriber(service="board")

    def __init__(self, *topics: str) -> None:
        self.topics = topics
        self.heard: list[tuple[str, Any]] = []
        self.places: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def on_start(self) -> None:
        if self.topics:
            await self.feed.subscribe(*self.topics)

    @feed.received
    async def note(self, topic: str, value: Any) -> None:
        await self.gate.wait()
        self.heard.append((topic, value))
        self.places.append(self.feed.last)


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


async def placed(mesh, until, where, kind=Board, **said):
    near = await mesh.start()
    far = near if where == "one node" else await mesh.start()
    board = await near.spawn(kind, None, **said)
    await until(lambda: far.directory.services("board"))
    return board, near, far


@everywhere
async def test_a_new_subscriber_is_handed_the_last_value_of_each_topic_it_asks_for(
    mesh, until, where
):
    board, near, far = await placed(mesh, until, where, a=0, ab=0, b=0)
    await board.ask("say", "a", 1, 2, 3)
    old = inside(near, await near.spawn(Listener, None, ""))
    await until(lambda: len(old.heard) == 3)
    assert old.heard == [("a", 3), ("ab", 0), ("b", 0)]
    await board.ask("say", "a", 4)
    new = inside(far, await far.spawn(Listener, None, "a"))
    await board.ask("say", "a", 5)
    await board.ask("say", "b", 1)
    await until(lambda: len(new.heard) == 3 and len(old.heard) == 6)
    assert new.heard == [("a", 4), ("ab", 0), ("a", 5)]
    assert old.heard[3:] == [("a", 4), ("a", 5), ("b", 1)]
    stream = inside(near, board).feed.stream
    assert new.places == [(stream, "a", 5), (stream, "ab", 1), (stream, "a", 6)]
    assert (old.feed.missed, new.feed.missed) == (0, 0)
    assert (old.feed.received, new.feed.received) == (6, 3)


@everywhere
async def test_what_two_topics_ask_for_is_handed_over_once(mesh, until, where):
    board, _, far = await placed(mesh, until, where, a=1, ab=1, b=1)
    actor = inside(far, await far.spawn(Listener, None, "a", "ab", ""))
    await actor.feed.subscribe("a", "b")
    await actor.feed.subscribe("")
    await board.ask("say", "ab", 2)
    await until(lambda: ("ab", 2) in actor.heard)
    assert sorted(actor.heard) == [("a", 1), ("ab", 1), ("ab", 2), ("b", 1)]
    assert actor.feed.missed == 0


@everywhere
async def test_who_asks_anew_is_handed_it_anew_and_counts_no_false_miss(mesh, until, where):
    board, near, far = await placed(mesh, until, where)
    actor = inside(far, await far.spawn(Listener, None, "a"))
    feed = inside(near, board).feed
    await board.ask("say", "a", 1, 2)
    await until(lambda: len(actor.heard) == 2)
    for number in range(20):
        actor.feed.unsubscribe("a")
        await until(lambda: not feed._topics)
        if number % 2:
            await board.ask("say", "a", *range(5))
        actor.heard.clear()
        await actor.feed.subscribe("a")
        await board.ask("say", "a", "later")
        await until(lambda: len(actor.heard) == 2)
        assert actor.heard == [("a", 4 if number % 2 else "later" if number else 2), ("a", "later")]
    assert actor.feed.missed == 0


@everywhere
async def test_who_resumes_counts_what_the_last_value_has_overtaken(mesh, until, where):
    board, _, far = await placed(mesh, until, where)
    ref = await far.spawn(Listener, None, "a")
    actor = inside(far, ref)
    await board.ask("say", "a", 1, 2)
    await until(lambda: len(actor.heard) == 2)
    positions = actor.feed.positions
    await ref.stop()
    await board.ask("say", "a", 3, 4, 5)
    await board.ask("say", "ab", 1, 2)
    actor = inside(far, await far.spawn(Listener))
    await actor.feed.subscribe("a", after=positions)
    await board.ask("say", "a", 6)
    await until(lambda: len(actor.heard) == 3)
    assert actor.heard == [("a", 5), ("ab", 2), ("a", 6)]
    assert actor.feed.missed == 3  # 3 and 4 of one topic, 1 of the other


@everywhere
async def test_the_values_of_5_000_topics_come_in_one_message(mesh, until, where):
    board, _, far = await placed(mesh, until, where)
    topics = [f"topic-{number:04}" for number in range(5_000)]
    for topic in topics:
        await board.ask("say", topic, f"{topic} old", f"{topic} new")
    old = inside(far, await far.spawn(Listener, None, "topic-0000"))
    actor = inside(far, await far.spawn(Listener, None, "topic-"))
    await until(lambda: len(actor.heard) == 5_000)
    assert actor.heard == [(topic, f"{topic} new") for topic in topics]
    assert actor.feed._tally.received == 1
    for topic in topics[::100]:
        await board.ask("say", topic, "later")
    await until(lambda: len(actor.heard) == 5_050 and len(old.heard) == 2)
    assert (actor.feed.missed, old.feed.missed) == (0, 0)
    assert old.heard == [("topic-0000", "topic-0000 new"), ("topic-0000", "later")]


@everywhere
async def test_a_publisher_that_comes_later_hands_over_what_it_said_before(mesh, until, where):
    near = await mesh.start()
    far = near if where == "one node" else await mesh.start()
    actor = inside(far, await far.spawn(Listener, None, "a", "b"))
    boards = [await near.spawn(Board, None, a=number, c=0) for number in range(3)]
    for board in boards:
        await inside(near, board).feed.ready(1)
        await board.ask("say", "b", 1)
    await until(lambda: len(actor.heard) == 6)
    assert sorted(actor.heard) == [("a", 0), ("a", 1), ("a", 2), ("b", 1), ("b", 1), ("b", 1)]
    assert actor.feed.missed == 0


async def test_who_leaves_is_forgotten_and_who_unsubscribes_hears_no_more(mesh, until):
    near, far = await mesh.pair()
    board = await near.spawn(Board, None, a=1, b=1)
    await until(lambda: far.directory.services("board"))
    feed = inside(near, board).feed
    refs = [await node.spawn(Listener, None, "a", "b") for node in (near, far)]
    one, two = (inside(node, ref) for node, ref in zip((near, far), refs, strict=True))
    await until(lambda: len(one.heard) == len(two.heard) == 2)
    assert feed.subscriber_count == 2
    two.feed.unsubscribe("a")
    await until(lambda: feed._topics == {b"a": 1, b"b": 2})
    await board.ask("say", "a", 2)
    await board.ask("say", "b", 2)
    await until(lambda: len(one.heard) == 4 and len(two.heard) == 3)
    assert two.heard[2:] == [("b", 2)]
    await refs[0].stop()
    await until(lambda: feed.subscriber_count == 1)
    assert feed._topics == {b"b": 1}
    await far.stop()
    await until(lambda: feed.subscriber_count == 0)
    assert not feed._topics
    await board.ask("say", "a", 3)
    await until(lambda: not near.directory.of(far.id).services)
    late = inside(near, await near.spawn(Listener, None, ""))
    await until(lambda: late.heard == [("a", 3), ("b", 2)])


async def test_a_stream_that_begins_anew_has_forgotten_earlier_values(mesh, until):
    node = await mesh.start()
    board = inside(node, await node.spawn(Board))
    before = board.feed.stream
    for number in range(TOPICS_NUMBERED):
        await board.feed.publish(f"{number}", number)
    old = inside(node, await node.spawn(Listener, None, "77"))
    await until(lambda: len(old.heard) == 111)  # 77, 770 to 779, 7700 to 7799
    await board.feed.publish("new", 1)
    assert board.feed.stream != before
    await board.feed.publish("77", "again")
    actor = inside(node, await node.spawn(Listener, None, ""))
    await until(lambda: len(actor.heard) == 2)
    assert actor.heard == [("77", "again"), ("new", 1)]
    await until(lambda: old.heard[-1] == ("77", "again"))
    assert (actor.feed.missed, old.feed.missed) == (0, 0)


@pytest.mark.slow
async def test_with_a_publisher_that_waits_last_values_do_not_overtake(mesh, until):
    near, far = await mesh.pair()
    board = await near.spawn(Waiting)
    await until(lambda: far.directory.services("board"))
    slow = inside(far, await far.spawn(Listener, None, ""))
    feed = inside(near, board).feed
    await feed.ready(1)
    slow.gate.clear()
    count = await board.within(20).ask("fill")
    assert feed.waiting
    new = inside(far, await far.spawn(Listener, None, ""))
    slow.gate.set()
    await board.ask("say", "t0", "end")
    await until(lambda: slow.heard[-1:] == new.heard[-1:] == [("t0", "end")])
    assert [value for _, value in slow.heard[:-1]] == list(range(count))
    for topic in ("t0", "t1"):
        mine = [place[2] for place in new.places if place[1] == topic]
        assert mine == list(range(mine[0], feed._numbers[topic] + 1))
    assert (slow.feed.missed, new.feed.missed) == (0, 0)


async def test_values_as_large_as_a_message_may_be_arrive(mesh, until):
    limit = 2 * FRAME_BYTES
    near, far = await mesh.pair(message_limit=limit, buffer_limit=1024)
    board = await near.spawn(Board)
    await until(lambda: far.directory.services("board"))
    values = [
        "x" * (limit - 5),
        "y" * (FRAME_BYTES - 5),
        "z" * (FRAME_BYTES - 6),
        "x" * (limit - 5),
    ]
    for number, value in enumerate(values):
        await board.ask("say", f"{number}-{'t' * 250}", value)
    old = inside(far, await far.spawn(Listener, None, ""))
    await until(lambda: [value for _, value in old.heard] == values)
    batch = [values[1], values[0], values[2], values[3]]  # joined to frames as far as they fit
    await board.ask("say", "a", *batch)
    await until(lambda: [value for _, value in old.heard] == values + batch)
    assert (old.feed.missed, old.feed.dropped, old.feed.lost_count) == (0, {}, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_whoever_comes_and_goes_each_topic_begins_with_its_last_value(mesh, until, seed):
    draw = random.Random(seed)
    both = await mesh.pair()
    board = await both[0].spawn(Board)
    await until(lambda: both[1].directory.services("board"))
    feed = inside(both[0], board).feed
    topics = [f"{a}{b}" for a in "abc" for b in "xyz"]
    asks = ["", "a", "b", "c", *topics]
    listeners = []
    said: dict[str, int] = {}

    async def come():
        node = draw.choice(both)
        wanted = draw.sample(asks, draw.randint(1, 4))
        known = dict(said)
        ref = await node.spawn(Listener, None, *wanted)
        listeners.append((ref, inside(node, ref), tuple(wanted), known))

    async def speak():
        topic = draw.choice(topics)
        count = draw.randint(1, 3)
        first = said.get(topic, 0) + 1
        said[topic] = first + count - 1
        await board.ask("say", topic, *range(first, first + count))

    async def go():
        if listeners:
            ref, *_ = listeners.pop(draw.randrange(len(listeners)))
            await ref.stop()

    for _ in range(150):
        await draw.choices([speak, come, go], [10, 2, 1])[0]()
    await come()
    for _, actor, wanted, known in listeners:
        last = {topic: number for topic, number in said.items() if topic.startswith(wanted)}
        await until(lambda: dict(actor.heard) == last)  # noqa: B023 awaited here
        for topic, number in last.items():
            mine = [value for other, value in actor.heard if other == topic]
            assert mine == list(range(known.get(topic, 1), number + 1))
        assert (actor.feed.missed, actor.feed.dropped) == (0, {})
    assert feed.subscriber_count == len(listeners)


# -- to plain programs ----------------------------------------------------------------------------


def plain_board(codec, **wiring):
    class PlainBoard(Board):
        feed = Publisher(**wiring, codec=codec, last=True)

    return PlainBoard


LOCAL = {"bind": "tcp://127.0.0.1:*"}


async def subscribed(plain, until, feed, *topics):
    """A plain SUB of whom the publisher knows."""
    before = sum(feed._topics.values())
    sub = plain.connected(zmq.SUB, feed.endpoint)
    for topic in topics:
        sub.subscribe(topic)
    await until(lambda: sum(feed._topics.values()) == before + len(topics))
    return sub


async def test_a_plain_sub_is_handed_the_last_text_alone(mesh, until, plain):
    node = await mesh.start()
    board = inside(node, await node.spawn(plain_board("text", **LOCAL), None, a="1 x", ab=2, b=3.5))
    old = await subscribed(plain, until, board.feed, b"")
    assert await plain.heard(old, 3) == [[b"a 1 x"], [b"ab 2"], [b"b 3.5"]]
    new = await subscribed(plain, until, board.feed, b"ab", b"nothing")
    assert await plain.heard(new) == [[b"ab 2"]]
    await board.feed.publish("ab", "later")
    assert await plain.heard(new) == [[b"ab later"]]
    assert await plain.heard(old) == [[b"ab later"]]
    await board.feed.publish("end", "")
    assert await plain.heard(old) == [[b"end "]]
    assert plain.all_from(new) == []


async def test_a_plain_sub_may_ask_for_a_topic_and_the_space_behind_it(mesh, until, plain):
    node = await mesh.start()
    kind = plain_board("text", **LOCAL)
    board = inside(node, await node.spawn(kind, None, **{"98101": "20 45", "981012": "1 1"}))
    exact = await subscribed(plain, until, board.feed, b"98101 ")
    further = await subscribed(plain, until, board.feed, b"98101 2")
    other = await subscribed(plain, until, board.feed, b"98101 3")
    await board.feed.publish("98101", "30 7")
    assert await plain.heard(exact, 2) == [[b"98101 20 45"], [b"98101 30 7"]]
    assert await plain.heard(other) == [[b"98101 30 7"]]
    await board.feed.publish("98101", "21 7")
    assert await plain.heard(further, 2) == [[b"98101 20 45"], [b"98101 21 7"]]
    assert await plain.heard(exact) == [[b"98101 21 7"]]


async def test_of_several_plain_values_the_first_is_private_and_the_others_are_not(
    mesh, until, plain
):
    """ZeroMQ sends one message to the newest; see decision 11."""
    node = await mesh.start()
    board = inside(node, await node.spawn(plain_board("text", **LOCAL), None, a=1, b=2, c=3))
    old = await subscribed(plain, until, board.feed, b"a", b"b")
    assert await plain.heard(old, 2) == [[b"a 1"], [b"b 2"]]
    new = await subscribed(plain, until, board.feed, b"")
    assert await plain.heard(new, 3) == [[b"a 1"], [b"b 2"], [b"c 3"]]
    await board.feed.publish("a", "end")
    assert await plain.heard(old, 2) == [[b"b 2"], [b"a end"]]


async def test_a_plain_sub_is_handed_the_last_frames_of_raw_topics(mesh, until, plain):
    node = await mesh.start()
    board = inside(node, await node.spawn(plain_board("raw", **LOCAL)))
    await board.feed.publish(b"New York\xff", b"1", b"", b"x")
    await board.feed.publish(b"New Delhi", b"2")
    await board.feed.publish(b"New York\xff", b"3", b"", b"y")
    york = await subscribed(plain, until, board.feed, b"New Y")
    delhi = await subscribed(plain, until, board.feed, b"New D")
    assert await plain.heard(york) == [[b"New York\xff", b"3", b"", b"y"]]
    assert await plain.heard(delhi) == [[b"New Delhi", b"2"]]
    await board.feed.publish(b"New", b"end")
    both = await subscribed(plain, until, board.feed, b"New")
    assert len(await plain.heard(both, 3)) == 3


async def test_the_message_of_last_values_is_as_the_specification_says(mesh, until, plain):
    class Stamped(Board):
        feed = Publisher(bind="tcp://127.0.0.1:*", last=True)

    node = await mesh.start()
    board = inside(node, await node.spawn(Stamped, None, a=1, ab={"x": 1}, b=2))
    sub = await subscribed(plain, until, board.feed, b"a")
    assert await plain.heard(sub) == [
        [b"a", b"".join(map(msgpack.packb, ([board.feed.stream, 0], "a", 1, 1, "ab", 1, {"x": 1})))]
    ]
    for number in range(500):
        await board.feed.publish(f"long-{number:03}", "x" * 1_000)
    sub = await subscribed(plain, until, board.feed, b"long-")
    ((beginning, *bodies),) = await plain.heard(sub)
    assert beginning == b"long-"
    assert len(bodies) > 5
    values = []
    for body in bodies:  # each holds whole values
        assert len(body) <= FRAME_BYTES + 300
        unpacker = msgpack.Unpacker()
        unpacker.feed(body)
        values += list(unpacker)
    assert values[0] == [board.feed.stream, 0]
    assert values[1::3] == [f"long-{number:03}" for number in range(500)]
    assert set(values[2::3]) == {1}


async def test_what_waits_for_the_end_of_the_tick_is_handed_over_once(mesh, until, plain):
    class Quick(Board):
        feed = Publisher(bind="tcp://127.0.0.1:*", last=True)

    node = await mesh.start()
    feed = inside(node, await node.spawn(Quick)).feed
    old = await subscribed(plain, until, feed, b"a")
    new = plain.connected(zmq.SUB, feed.endpoint)
    await until(lambda: feed.peer_count == 2)
    new.subscribe(b"a")
    while not feed._port._has_message():
        pass  # on the loop, so that nobody reads it
    await feed.publish("a", 1)
    feed._port._drain()
    await feed.publish("a", 2)
    live = [[b"a", body(feed.stream, 1, 1)], [b"a", body(feed.stream, 2, 2)]]
    assert await plain.heard(old, 2) == live
    handed = [b"a", b"".join(map(msgpack.packb, ([feed.stream, 0], "a", 1, 1)))]
    assert await plain.heard(new, 2) == [handed, live[1]]


def body(stream, first, *values):
    return b"".join(map(msgpack.packb, ([stream, first], *values)))


async def test_a_plain_sub_that_vanishes_is_forgotten(mesh, until, plain):
    node = await mesh.start()
    board = inside(node, await node.spawn(plain_board("text", **LOCAL), None, a=1))
    feed = board.feed
    stays = await subscribed(plain, until, feed, b"a")
    for _ in range(20):
        sub = plain.connected(zmq.SUB, feed.endpoint)
        sub.subscribe(b"a")
        sub.close()  # at once: perhaps before its subscription is seen
    subs = [await subscribed(plain, until, feed, b"a", b"b") for _ in range(3)]
    for sub in subs:
        sub.close()
    await until(lambda: feed._topics == {b"a": 1})
    assert feed.subscriber_count == 1
    await board.feed.publish("a", "end")
    assert (await plain.heard(stays, 2))[0] == [b"a 1"]
    await until(lambda: feed.peer_count == 1)


# -- through a proxy ------------------------------------------------------------------------------


@pytest.fixture
def proxy():
    """A plain zmq.proxy between XSUB and XPUB: give it a publisher's endpoint, get its own."""
    context = zmq.Context()
    threads = []

    def start(endpoint, verbose):
        front, back = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
        front.linger = back.linger = 0
        front.connect(endpoint)
        if verbose:
            back.xpub_verbose = 1
        back.bind("tcp://127.0.0.1:*")
        place = back.LAST_ENDPOINT.decode()

        def run():
            try:
                zmq.proxy(front, back)
            except zmq.ContextTerminated:
                front.close()
                back.close()

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return place

    yield start
    context.term()
    for thread in threads:
        thread.join()


@pytest.mark.slow
async def test_those_behind_a_proxy_are_handed_last_values_too(mesh, until, plain, proxy):
    class Distant(Listener):
        feed = Subscriber(connect="{place}")

        def __init__(self, place: str, *topics: str) -> None:
            super().__init__(*topics)
            self.place = place

        @feed.received
        async def note(self, topic: str, value: Any) -> None:
            await super().note(topic, value)

    class Source(Board):
        feed = Publisher(bind="tcp://127.0.0.1:*", last=True)

    node = await mesh.start()
    source = inside(node, await node.spawn(Source, None, a=1, ab=2, b=3))
    place = proxy(source.feed.endpoint, verbose=True)
    one = inside(node, await node.spawn(Distant, None, place, "a"))
    await until(lambda: one.heard == [("a", 1), ("ab", 2)])
    two = inside(node, await node.spawn(Distant, None, place, "a", "b"))
    await until(lambda: two.heard == [("a", 1), ("ab", 2), ("b", 3)])
    await source.feed.publish("a", "end")
    await until(lambda: one.heard[-1] == two.heard[-1] == ("a", "end"))
    assert len(one.heard) == 3  # the proxy gave it the last values again, and it knew them
    assert (one.feed.missed, two.feed.missed, one.feed.dropped) == (0, 0, {})
    assert source.feed.subscriber_count >= 2

    # A proxy that is not verbose passes on the first subscription of each topic only.
    board = inside(node, await node.spawn(plain_board("text", **LOCAL), None, a=1))
    place = proxy(board.feed.endpoint, verbose=False)
    sub = plain.connected(zmq.SUB, place)
    sub.subscribe(b"a")
    assert await plain.heard(sub) == [[b"a 1"]]


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_10_000_junk_subscriptions_cost_a_publisher_of_last_values_little(mesh, until, plain):
    node = await mesh.start()
    board = inside(node, await node.spawn(Board))
    topics = [f"topic-{number:05}" for number in range(20_000)]
    for topic in topics:
        await board.feed.publish(topic, 1)
    actor = inside(node, await node.spawn(Listener, None, topics[-1]))
    junk = plain.connected(zmq.XSUB, board.feed.endpoint, sndhwm=0)
    draw = random.Random(3)
    beginnings = {b"topic-"[:number] for number in range(7)}
    while len(beginnings) < 10_000:
        beginnings.add(draw.randbytes(draw.randrange(1, 250)))
    for beginning in beginnings:
        await plain.say(junk, b"\x01" + beginning)
    await until(lambda: len(board.feed._topics) == 10_001)
    await board.feed.publish(topics[-1], 2)
    await until(lambda: actor.heard == [(topics[-1], 1), (topics[-1], 2)])
    junk.close()
    await until(lambda: len(board.feed._topics) == 1)
    assert actor.feed.missed == 0
