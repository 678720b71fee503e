"""Two ends of a service: right pairs meet whoever starts first, wrong ones are refused by name."""

import asyncio
import itertools
from typing import Any

import pytest

from actormq import (
    Actor,
    Dealer,
    IncompatibleSockets,
    Pair,
    Publisher,
    Puller,
    Pusher,
    Replier,
    Requester,
    Router,
    SetupError,
    Subscriber,
    handler,
)
from actormq.address import ServiceEntry
from actormq.patterns.sockets import ReceivingSocket

KINDS = [Publisher, Subscriber, Requester, Replier, Pusher, Puller, Dealer, Router, Pair]
SENDERS = [Publisher, Pusher, Requester, Dealer, Pair, Router]

RIGHT = {
    *((Publisher, Subscriber), (Requester, Replier), (Requester, Router), (Dealer, Replier)),
    *((Dealer, Router), (Dealer, Dealer), (Router, Router), (Pusher, Puller), (Pair, Pair)),
}
"""The deck's list; each holds the other way round too."""

PARTNERS = {
    Publisher: "PUB goes with SUB",
    Subscriber: "SUB goes with PUB",
    Requester: "REQ goes with REP or ROUTER",
    Replier: "REP goes with REQ or DEALER",
    Pusher: "PUSH goes with PULL",
    Puller: "PULL goes with PUSH",
    Dealer: "DEALER goes with REP, ROUTER or DEALER",
    Router: "ROUTER goes with REQ, DEALER or ROUTER",
    Pair: "PAIR goes with PAIR",
}


def is_right(one, other):
    return (one, other) in RIGHT or (other, one) in RIGHT


PAIRS = list(itertools.product(KINDS, KINDS))
RIGHT_PAIRS = [pair for pair in PAIRS if is_right(*pair)]
WRONG_PAIRS = [pair for pair in PAIRS if not is_right(*pair)]


def end(kind, **arguments):
    """An actor class with one socket, named `door`, that says hello and notes what comes."""
    socket = kind(**arguments)

    class End(Actor):
        door = socket

        def __init__(self) -> None:
            self.came: list[Any] = []

        async def on_start(self) -> None:
            if kind is Subscriber:
                await self.door.subscribe("")

        @handler
        async def hello(self, to: str) -> Any:
            if kind is Publisher:
                await self.door.ready(1)
                return await self.door.publish("", "hello")
            if kind is Requester:
                return await self.door.request("hello")
            await self.door.ready(1)
            return await self.door.send(*([to, "hello"] if kind is Router else ["hello"]))

        if isinstance(socket, ReceivingSocket):

            @door.received
            async def note(self, *values: Any) -> Any:
                self.came.append(values[-1])
                if kind is Router and values[-1] == "hello":
                    await self.door.send(values[0], "back")
                return "back"

    return End


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


def ports(*all_nodes):
    return [len(node._runtime.transport._ports) for node in all_nodes]


async def placed(mesh, where):
    near = await mesh.start()
    return near, near if where == "one node" else await mesh.start()


everywhere = pytest.mark.parametrize("where", ["one node", "two nodes"])


# -- right pairs ----------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("first", ["binder", "connector"])
@pytest.mark.parametrize(
    ("binder", "connector"), RIGHT_PAIRS, ids=lambda kind: kind.__name__.lower()
)
async def test_the_ends_of_a_right_pair_talk(mesh, until, where, first, binder, connector):
    near, far = await placed(mesh, where)
    extra = [{}, {}]
    for place, (kind, other) in enumerate([(binder, connector), (connector, binder)]):
        if kind is Router:
            extra[place]["identity"] = f"router-{place}"
        if kind is Dealer and other is Replier:
            extra[place]["delimiter"] = True
    kinds = [
        end(binder, service="tasks", bind=True, **extra[0]),
        end(connector, service="tasks", connect=True, **extra[1]),
    ]
    if first == "binder":
        one = await near.spawn(kinds[0])
        await until(lambda: far.directory.services("tasks"))
        other = await far.spawn(kinds[1])
    else:
        other = await far.spawn(kinds[1])
        await until(lambda: near.directory.services("tasks"))
        one = await near.spawn(kinds[0])
    ends = [(binder, one, inside(near, one)), (connector, other, inside(far, other))]
    if binder not in SENDERS or binder is Router:
        ends.reverse()
    (sender, ref, speaker), (_, _, listener) = ends
    answer = await ref.ask("hello", "router-0")
    await until(lambda: listener.came == ["hello"])
    if sender is Requester:
        assert answer == "back"
    elif Router in (binder, connector) or Replier in (binder, connector):
        await until(lambda: speaker.came[:1] == ["back"])
    assert not speaker.door.dropped
    assert not listener.door.dropped


# -- wrong pairs ----------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("first", ["binder", "connector"])
async def test_each_wrong_pair_is_refused_with_both_names_before_a_socket_opens(
    mesh, until, where, first
):
    near, far = await placed(mesh, where)
    for binder, connector in WRONG_PAIRS:
        kinds = [
            end(binder, service="tasks", bind=True),
            end(connector, service="tasks", connect=True),
        ]
        earlier, later = (binder, connector) if first == "binder" else (connector, binder)
        if first == "connector":
            kinds.reverse()
        ref = await near.spawn(kinds[0])
        await until(lambda: len(far.directory.services("tasks")) == 1)
        before = ports(near, far)
        with pytest.raises(IncompatibleSockets) as refused:
            await far.spawn(kinds[1])
        assert ports(near, far) == before
        assert len(far.directory.services("tasks")) == 1
        sentence = str(refused.value)
        known = [PARTNERS[kind].partition(" ")[0] for kind in (earlier, later)]
        assert f'{known[0]} "tasks"' in sentence
        assert f'{known[1]} "door"' in sentence
        assert sentence.endswith((PARTNERS[earlier], PARTNERS[later]))
        await ref.stop()
        await until(lambda: not far.directory.services("tasks"))
    assert len(WRONG_PAIRS) == 66


@everywhere
async def test_the_sentence_is_the_same_whichever_starts_first(mesh, until, where):
    near, far = await placed(mesh, where)

    class Pushes(Actor):
        tasks = Pusher(service="tasks")

    class Listens(Actor):
        readings = Subscriber(service="tasks")

        @readings.received
        def note(self, *values: Any) -> None: ...

    for first, second, sentence in (
        (Pushes, Listens, 'PUSH "tasks" cannot feed SUB "readings"; PUSH goes with PULL'),
        (Listens, Pushes, 'PUSH "tasks" cannot feed SUB "tasks"; PUSH goes with PULL'),
    ):
        ref = await near.spawn(first)
        await until(lambda: far.directory.services("tasks"))
        with pytest.raises(IncompatibleSockets) as refused:
            await far.spawn(second)
        assert str(refused.value) == sentence
        assert isinstance(refused.value, SetupError)
        await ref.stop()
        await until(lambda: not far.directory.services("tasks"))


async def test_two_ends_that_bind_or_two_that_connect_are_no_pair(mesh):
    node = await mesh.start()
    await node.spawn(end(Pusher, service="tasks"))
    await node.spawn(end(Publisher, service="tasks"))  # a second offer of that name
    await node.spawn(end(Puller, service="results"))
    await node.spawn(end(Subscriber, service="results"))
    with pytest.raises(IncompatibleSockets, match=r'PUB "tasks" cannot feed PULL "door"'):
        await node.spawn(end(Puller, service="tasks"))
    with pytest.raises(IncompatibleSockets, match=r'PUSH "door" cannot feed SUB "results"'):
        await node.spawn(end(Pusher, service="results"))


async def test_a_connector_that_started_at_the_same_moment_does_not_connect_and_counts_it_once(
    mesh, until
):
    near, far = await mesh.pair()
    pusher, subscriber = await asyncio.gather(
        near.spawn(end(Pusher, service="tasks")),
        far.spawn(end(Subscriber, service="tasks")),
    )
    live = inside(far, subscriber).door
    await until(lambda: live.dropped)
    assert live.dropped == {"IncompatibleSockets": 1}
    assert far.events.dead_letter_count == {"IncompatibleSockets": 1}
    # Others of the service come and go, and the wrong one is not looked at again.
    for number in range(3):
        publisher = await near.spawn(end(Publisher, service="tasks"))
        await publisher.ask("hello", "")
        await until(lambda: len(inside(far, subscriber).came) == number + 1)  # noqa: B023 awaited here
        assert live.publisher_count == 1
        await publisher.stop()
        await until(lambda: live.publisher_count == 0)
    assert live.dropped == {"IncompatibleSockets": 1}
    assert inside(near, pusher).door.peer_count == 0


@everywhere
async def test_ends_of_another_codec_are_left_alone_and_counted_once(mesh, until, where):
    near, far = await placed(mesh, where)
    await near.spawn(end(Pusher, service="tasks", codec="text"))
    await until(lambda: far.directory.services("tasks"))
    puller = inside(far, await far.spawn(end(Puller, service="tasks")))
    await until(lambda: puller.door.dropped == {"another codec": 1})
    right = await near.spawn(end(Pusher, service="tasks"))
    await right.ask("hello", "")
    await until(lambda: puller.came == ["hello"])
    assert puller.door.dropped == {"another codec": 1}
    assert puller.door.peer_count == 1


async def test_a_type_that_this_version_does_not_know_is_refused_by_name(mesh, until):
    near, far = await mesh.pair()
    far._runtime.services.announce(ServiceEntry(999, "tasks", "RADIO", "msgpack", ("tcp://*:1",)))
    await until(lambda: near.directory.services("tasks"))
    with pytest.raises(IncompatibleSockets) as refused:
        await near.spawn(end(Puller, service="tasks"))
    assert str(refused.value) == ('PULL "door" cannot talk to RADIO "tasks"; PULL goes with PUSH')


async def test_what_a_peer_calls_an_endpoint_and_is_none_is_counted_and_costs_nobody_else(
    mesh, until, monkeypatch
):
    near, far = await mesh.pair()
    subscriber = inside(near, await near.spawn(end(Subscriber, service="news")))
    puller = inside(near, await near.spawn(end(Puller, service="news", connect="tcp://[::1]:1")))
    for serial, endpoint in enumerate(["tcp://nobody", "tcp://a b:1", "tcp://:x:y", "tcp://"]):
        entry = ServiceEntry(900 + serial, "news", "XPUB", "msgpack", (endpoint,))
        far._runtime.services.announce(entry)
    with monkeypatch.context() as patched:  # as if it had not heard of the puller yet
        patched.setattr(type(far._runtime.services), "opposite", lambda *_, **__: ())
        publisher = await far.spawn(end(Publisher, service="news", bind=True, last=True))
    await publisher.ask("hello", "")
    await until(lambda: subscriber.came == ["hello"])
    assert set(subscriber.door.dropped) == {"SetupError"}
    assert 1 <= subscriber.door.dropped["SetupError"] <= 4
    assert subscriber.door.publisher_count <= 4
    assert puller.door.dropped == {"IncompatibleSockets": 5}


# -- what the mesh is told ------------------------------------------------------------------------


async def test_only_those_who_bind_are_shown_as_services(mesh):
    node = await mesh.start()
    for kind, service in (
        *((Publisher, "news"), (Subscriber, "wanted"), (Pusher, "tasks"), (Puller, "tasks")),
        *((Requester, "answers"), (Router, "doors"), (Dealer, "doors"), (Pair, "pairs")),
    ):
        await node.spawn(end(kind, service=service))
    report = await node.steward_of(node.id, node.name).ask("describe")
    assert report.services == ["doors", "news", "tasks"]


async def test_an_end_says_where_it_is_in_the_order_in_which_it_is_best_dialled(mesh, tmp_path):
    node = await mesh.start()
    await node.spawn(end(Publisher, service="a"))
    await node.spawn(end(Publisher, service="b", bind="tcp://127.0.0.1:*"))
    await node.spawn(end(Publisher, service="c", bind="tcp://*:*"))
    await node.spawn(end(Publisher, service="d", bind=f"ipc://{tmp_path}/d"))
    await node.spawn(end(Publisher, service="e", connect=f"ipc://{tmp_path}/d"))
    found = {
        entry.service: [e.rpartition(":")[0] for e in entry.endpoints]
        for entry in node.directory.of(node.id).services.values()
    }
    assert found == {
        "a": ["ipc", "tcp://*"],
        "b": ["tcp://*"],
        "c": ["tcp://*"],
        "d": ["ipc"],
        "e": ["ipc", "tcp://*"],
    }
