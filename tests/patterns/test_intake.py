"""What came on sockets, on its way to the method: fair between them, bounded, counted."""

import asyncio
import time
from typing import Any

import pytest
import zmq

from actormq import Actor, Dealer, MailboxFull, Publisher, Puller, Pusher, Subscriber, handler
from actormq.settings import DRAIN_MESSAGES, SOCKET_WINDOW

FLOOD = 5_000
READINGS = 20
WORK = 0.001  # s that a message of the flood takes


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


class Order(Actor):
    """Notes what it handles, and what had come on each socket by then."""

    readings: Any

    def __init__(self, *endpoints: str) -> None:
        self.one, self.two, self.three = (*endpoints, "", "")[:3]
        self.order: list[tuple[str, int]] = []
        self.handled = 0
        self.work_count = 0

    async def on_start(self) -> None:
        for name in ("readings", "other"):
            live = self._actormq_context.sockets.get(name)
            if live is not None and hasattr(live, "subscribe"):
                await live.subscribe("")

    def reading_came(self) -> None:
        self.order.append(("reading", self.handled))
        self.handled += 1

    def worked(self) -> None:
        self.order.append(("work", self.readings._tally.received))
        self.work_count += 1
        time.sleep(WORK)

    async def worked_slowly(self) -> None:
        self.order.append(("work", self.readings._tally.received))
        self.work_count += 1
        await asyncio.sleep(WORK)

    @handler
    def ping(self) -> int:
        return self.work_count


class Pulls(Order):
    tasks = Puller(connect="{one}", codec="text")
    readings = Subscriber(connect="{two}", codec="text")

    @tasks.received
    def work(self, task: str) -> None:
        self.worked()

    @readings.received
    def note(self, topic: str, text: str) -> None:
        self.reading_came()


class PullsAndAwaits(Order):
    tasks = Puller(connect="{one}", codec="text")
    readings = Subscriber(connect="{two}", codec="text")

    @tasks.received
    async def work(self, task: str) -> None:
        await self.worked_slowly()

    @readings.received
    async def note(self, topic: str, text: str) -> None:
        await asyncio.sleep(0)
        self.reading_came()


class Listens(Order):
    other = Subscriber(connect="{one}", codec="raw")
    readings = Subscriber(connect="{two}", codec="text")

    @other.received
    def work(self, task: bytes) -> None:
        self.worked()

    @readings.received
    def note(self, topic: str, text: str) -> None:
        self.reading_came()


class Three(Order):
    tasks = Puller(connect="{one}", codec="text")
    deals = Dealer(connect="{three}", codec="text")
    readings = Subscriber(connect="{two}", codec="text")

    @tasks.received
    def work(self, task: str) -> None:
        self.worked()

    @deals.received
    async def deal(self, task: str) -> None:
        await self.worked_slowly()

    @readings.received
    def note(self, topic: str, text: str) -> None:
        self.reading_came()


async def pour(plain, socket, kind):
    if kind == zmq.XPUB:
        await plain.heard(socket)
    for number in range(FLOOD):
        await plain.say(socket, b"%d" % number)


def held_up(order):
    """The most messages of floods that were handled while a reading was there already."""
    most = work = handled = 0
    for kind, number in order:
        if kind == "reading":
            most, work, handled = max(most, work), 0, handled + 1
        elif number > handled:
            work += 1
    return most


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "floods", "most"),
    [
        (Pulls, [zmq.PUSH], 1),
        (PullsAndAwaits, [zmq.PUSH], 1),
        (Listens, [zmq.XPUB], 1),
        (Three, [zmq.PUSH, zmq.DEALER], 2),
    ],
)
async def test_a_flood_holds_up_a_reading_by_one_message_of_each_socket(
    mesh, until, plain, kind, floods, most
):
    node = await mesh.start()
    sources = [plain.bound(flood, sndhwm=0) for flood in floods]
    publisher, place = plain.bound(zmq.XPUB)
    ends = [endpoint for _, endpoint in sources]
    actor = inside(node, await node.spawn(kind, None, ends[0], place, *ends[1:]))
    await plain.heard(publisher)
    for (source, _), flood in zip(sources, floods, strict=True):
        await pour(plain, source, flood)
    lives = [live for name, live in actor._actormq_context.sockets.items() if name != "readings"]
    await until(lambda: all(live.waiting > SOCKET_WINDOW // 2 for live in lives))
    for number in range(READINGS):
        await plain.say(publisher, b"reading %d" % number)
        await until(lambda: actor.handled > number)  # noqa: B023 awaited here
    assert all(live.waiting > SOCKET_WINDOW // 4 for live in lives)  # the flood went on
    assert actor.work_count >= READINGS
    assert held_up(actor.order) <= most
    for live in lives:
        assert live.waiting <= SOCKET_WINDOW + DRAIN_MESSAGES


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Pulls, PullsAndAwaits])
async def test_a_flood_holds_up_an_ask_by_a_message_or_two(mesh, until, plain, kind):
    node = await mesh.start()
    source, endpoint = plain.bound(zmq.PUSH, sndhwm=0)
    _, place = plain.bound(zmq.XPUB)
    ref = await node.spawn(kind, None, endpoint, place)
    actor = inside(node, ref)
    await pour(plain, source, zmq.PUSH)
    await until(lambda: actor.tasks.waiting > SOCKET_WINDOW // 2)
    for _ in range(READINGS):
        before = actor.work_count
        after = await ref.ask("ping")
        assert after - before <= 2  # the one under way, and the one that stands in the mailbox
        await until(lambda: actor.work_count > after)  # noqa: B023 awaited here
    assert actor.tasks.waiting > SOCKET_WINDOW // 4


# -- the places of a small mailbox ----------------------------------------------------------------


class OnePlace(Pulls):
    mailbox_limit = 1

    @handler
    def say(self, text: str) -> None:
        self.order.append(("said", self.work_count))


class OnePlaceAndAwaits(PullsAndAwaits):
    mailbox_limit = 1

    @handler
    def say(self, text: str) -> None:
        self.order.append(("said", self.work_count))


def said(actor):
    """How much of the flood was handled before each message that somebody said."""
    return [count for what, count in actor.order if what == "said"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [OnePlace, OnePlaceAndAwaits])
async def test_who_waits_for_the_one_place_of_a_flooded_actor_has_it_in_turn_with_the_flood(
    mesh, until, plain, kind
):
    node = await mesh.start()
    source, endpoint = plain.bound(zmq.PUSH, sndhwm=0)
    _, place = plain.bound(zmq.XPUB)
    ref = await node.spawn(kind, None, endpoint, place)
    actor = inside(node, ref)
    await pour(plain, source, zmq.PUSH)
    await until(lambda: actor.tasks.waiting > SOCKET_WINDOW // 2)

    for _ in range(READINGS):
        ref.tell(kind.say, "told")  # the flood has a place of its own
        await ref.send(kind.say, "sent")
        await until(lambda: len(said(actor)) % 2 == 0)
    assert actor.tasks.waiting > SOCKET_WINDOW // 4  # the flood went on
    counts = said(actor)
    waited = [sent - told for told, sent in zip(counts[::2], counts[1::2], strict=True)]
    assert max(waited) <= 3  # the one under way, the one that stands in the mailbox, and the next


async def test_a_message_of_a_socket_takes_no_place_of_what_is_told(mesh, until, plain):
    node = await mesh.start()
    source, endpoint = plain.bound(zmq.PUSH)
    ref = await node.spawn(GatedOnce, None, endpoint)
    cell, actor = node._runtime.registry.by_serial(ref.address.serial), inside(node, ref)
    for task in (b"a", b"b"):
        await plain.say(source, task)
    await until(lambda: actor.begun == ["a"] and cell.mailbox_count == 1)
    ref.tell(GatedOnce.note, "told")
    with pytest.raises(MailboxFull):
        ref.tell(GatedOnce.note, "more")
    with pytest.raises(MailboxFull):
        await asyncio.to_thread(ref.tell, GatedOnce.note, "more")
    with pytest.raises(MailboxFull):
        await ref.ask(GatedOnce.note, "more")
    sending = ref.send(GatedOnce.note, "sent")
    actor.gate.set()
    await sending
    await until(lambda: actor.begun == ["a", "b", "told", "sent"])
    ledger = node.ledger()
    assert ledger.is_balanced
    assert ledger.dropped["MailboxFull"] == 3


# -- one at a time, or many -----------------------------------------------------------------------


class Gated(Actor):
    tasks = Puller(connect="{place}", codec="text")

    def __init__(self, place: str) -> None:
        self.place = place
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []

    @tasks.received
    async def work(self, task: str) -> None:
        self.begun.append(task)
        await self.gate.wait()
        self.ended.append(task)


class GatedOnce(Gated):
    mailbox_limit = 1

    @handler
    def note(self, text: str) -> None:
        self.begun.append(text)


class Concurrent(Gated):
    tasks = Puller(connect="{place}", codec="text")

    @tasks.received
    @handler(concurrent=True)
    async def work(self, task: str) -> None:
        await super().work(task)


class ConcurrentTheOtherWay(Gated):
    tasks = Puller(connect="{place}", codec="text")

    @handler(concurrent=True)
    @tasks.received
    async def work(self, task: str) -> None:
        await super().work(task)


async def test_the_next_message_waits_for_the_handler(mesh, until, plain):
    node = await mesh.start()
    source, place = plain.bound(zmq.PUSH)
    actor = inside(node, await node.spawn(Gated, None, place))
    for number in range(10):
        await plain.say(source, b"%d" % number)
    await until(lambda: actor.tasks.received == 10)
    assert actor.begun == ["0"]
    assert actor.tasks.waiting == 9
    actor.gate.set()
    await until(lambda: len(actor.ended) == 10)
    assert actor.begun == actor.ended == [str(number) for number in range(10)]
    assert (actor.tasks.received, actor.tasks.waiting, actor.tasks.dropped) == (10, 0, {})


@pytest.mark.parametrize("kind", [Concurrent, ConcurrentTheOtherWay])
async def test_a_concurrent_method_lets_the_next_message_in(mesh, until, plain, kind):
    node = await mesh.start()
    source, place = plain.bound(zmq.PUSH)
    actor = inside(node, await node.spawn(kind, None, place))
    for number in range(10):
        await plain.say(source, b"%d" % number)
    await until(lambda: len(actor.begun) == 10)
    assert actor.begun == [str(number) for number in range(10)]
    assert not actor.ended
    actor.gate.set()
    await until(lambda: len(actor.ended) == 10)
    assert (actor.tasks.received, actor.tasks.waiting, actor.tasks.dropped) == (10, 0, {})


# -- bounds and counts ----------------------------------------------------------------------------


@pytest.mark.slow
async def test_past_the_window_messages_wait_at_their_sender(mesh, until):
    node = await mesh.start()
    count = 6_000

    class Source(Actor):
        tasks = Pusher(service="tasks")

        @handler
        async def pour(self) -> None:
            for number in range(count):
                await self.tasks.send(str(number))

    class Gate(Gated):
        tasks = Puller(service="tasks")

        @tasks.received
        async def work(self, task: str) -> None:
            await super().work(task)

    source = await node.spawn(Source)
    actor = inside(node, await node.spawn(Gate, None, ""))
    live, sender = actor.tasks, inside(node, source).tasks
    pouring = source.within(20).ask("pour")
    await until(lambda: sender.waiting and live._port._paused)
    most = SOCKET_WINDOW + DRAIN_MESSAGES
    assert SOCKET_WINDOW <= live.waiting <= most
    assert live.received <= most + 1
    assert sender.sent < count  # the window, two marks, and what the system holds
    actor.gate.set()
    await pouring
    await until(lambda: len(actor.ended) == count)
    assert actor.ended == [str(number) for number in range(count)]
    assert (live.received, live.waiting, live.dropped) == (count, 0, {})


async def test_what_does_not_fit_or_raises_is_counted_and_the_rest_goes_on(
    mesh, until, plain, logged
):
    class Picky(Actor):
        tasks = Puller(connect="{place}", codec="text")

        def __init__(self, place: str) -> None:
            self.place = place
            self.came: list[int] = []

        @tasks.received
        def work(self, task: str, number: str = "") -> None:
            self.came.append(int(task))

    class PickyAndAsync(Picky):
        tasks = Puller(connect="{place}", codec="text")

        @tasks.received
        async def work(self, task: str, number: str = "") -> None:
            self.came.append(int(task))
            await asyncio.sleep(0)

    node = await mesh.start()
    logged.expect("work raised: ValueError")
    for kind in (Picky, PickyAndAsync):
        source, place = plain.bound(zmq.PUSH)
        actor = inside(node, await node.spawn(kind, None, place))
        for frames in ((b"1",), (b"1", b"2", b"3"), (b"\xff",), (b"x",), (b"", b"\xff"), (b"2",)):
            await plain.say(source, *frames)
        await until(lambda: actor.came == [1, 2])  # noqa: B023 awaited here
        assert actor.tasks.received == 6
        assert actor.tasks.dropped == {"ArgumentMismatch": 1, "RemoteProtocolError": 2}
        assert actor.tasks.waiting == 0


async def test_what_was_not_handled_when_the_actor_stopped_is_counted(mesh, until, plain):
    node = await mesh.start()
    source, place = plain.bound(zmq.PUSH)
    ref = await node.spawn(Gated, None, place)
    actor = inside(node, ref)
    live = actor.tasks
    for number in range(50):
        await plain.say(source, b"%d" % number)
    await until(lambda: live.received == 50)
    stopping = ref.stop()
    actor.gate.set()
    await stopping
    assert actor.ended == ["0"]
    assert live.dropped == {"ActorStopped": 49}
    assert live.waiting == 0
    assert node.events.dead_letter_count["ActorStopped"] >= 1


class StopsItself(Gated):
    """Stops at the first message, when so many have come as it was told to wait for."""

    tasks = Puller(connect="{place}", codec="text")

    @handler
    async def wait(self) -> None:
        await self.gate.wait()

    @tasks.received
    def work(self, task: str) -> None:
        self.ended.append(task)
        self.ref.stop()


@pytest.mark.parametrize("count", [2, 50])
async def test_what_waits_when_the_method_stops_its_actor_is_a_dead_letter(
    mesh, until, plain, count
):
    node = await mesh.start()
    source, place = plain.bound(zmq.PUSH)
    ref = await node.spawn(StopsItself, None, place)
    actor = inside(node, ref)
    live = actor.tasks
    ref.tell(StopsItself.wait)
    for number in range(count):
        await plain.say(source, b"%d" % number)
    await until(lambda: live.received == count)
    actor.gate.set()
    await until(lambda: live.dropped == {"ActorStopped": count - 1})
    assert actor.ended == ["0"]
    assert node.events.dead_letter_count == {"ActorStopped": count - 1}
    await until(lambda: node.ledger().is_balanced)


async def test_what_comes_while_the_actor_starts_waits_for_it(mesh, until, plain):
    class Late(Gated):
        tasks = Puller(connect="{place}", codec="text")

        async def on_start(self) -> None:
            await self.gate.wait()

        @tasks.received
        async def work(self, task: str) -> None:
            self.begun.append(task)

    node = await mesh.start()
    source, place = plain.bound(zmq.PUSH)
    spawning = asyncio.create_task(node.spawn(Late, None, place))
    for number in range(20):
        await plain.say(source, b"%d" % number)
    actor = next(iter(set(node._runtime.registry.cells()) - {node._runtime.registry.by_serial(0)}))
    await until(lambda: actor.sockets["tasks"].received == 20)
    assert actor.actor.begun == []
    actor.actor.gate.set()
    await spawning
    await until(lambda: len(actor.actor.begun) == 20)
    assert actor.actor.begun == [str(number) for number in range(20)]


async def test_a_node_of_many_sockets_is_fair_to_a_publisher_on_its_own_loop(mesh, until):
    """A source and its listener share a loop: publishing lets the node breathe."""

    class Says(Actor):
        news = Publisher(service="news")

        @handler
        async def say(self, count: int) -> None:
            for number in range(count):
                await self.news.publish(f"t{number % 2}", number)

    class Hears(Actor):
        news = Subscriber(service="news")

        def __init__(self) -> None:
            self.heard = 0

        async def on_start(self) -> None:
            await self.news.subscribe("")

        @news.received
        def note(self, topic: str, number: int) -> None:
            self.heard += 1

    node = await mesh.start()
    says = await node.spawn(Says)
    actor = inside(node, await node.spawn(Hears))
    saying = says.within(20).ask("say", 3_000)
    await until(lambda: actor.heard)
    assert inside(node, says).news.published < 3_000
    await saying


# -- texts ----------------------------------------------------------------------------------------


class Sums(Actor):
    """Takes texts as what its annotations say."""

    tasks = Puller(bind="tcp://127.0.0.1:*", codec="text")

    def __init__(self) -> None:
        self.came: list[object] = []

    @tasks.received
    def note(self, count: int, share: float, is_last: bool, name: str, rest: Any = "") -> None:
        self.came.append((count, share, is_last, name, rest))


async def test_texts_are_read_as_the_annotations_say(mesh, plain, until):
    node = await mesh.start()
    ref = await node.spawn(Sums)
    sums = node._runtime.registry.by_serial(ref.address.serial).actor
    pusher = plain.connected(zmq.PUSH, sums.tasks.endpoint)
    await plain.say(pusher, b"5", b"0.5", b"true", b"5", b"5")
    await plain.say(pusher, b"five", b"0.5", b"true", b"5")
    await plain.say(pusher, b"-7", b"1e3", b"0", b"")
    await until(lambda: len(sums.came) == 2)
    assert sums.came == [(5, 0.5, True, "5", "5"), (-7, 1000.0, False, "", "")]
    assert sums.tasks.dropped == {"ArgumentMismatch": 1}
