"""What a socket as a class attribute takes, and with which sentence it refuses the rest."""

import secrets
from typing import Any

import psutil
import pytest

from actormq import (
    Actor,
    Dealer,
    LifecycleError,
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

BINDERS = [Publisher, Pusher, Replier, Router]
CONNECTORS = [Subscriber, Puller, Requester, Dealer, Pair]
KINDS = [*BINDERS, *CONNECTORS]
RECEIVERS = [Subscriber, Puller, Replier, Dealer, Router, Pair]

of_every_kind = pytest.mark.parametrize("kind", KINDS)


def owning(socket, **attributes):
    """An actor class that has that socket, and the attributes that its endpoints name."""

    class Owner(Actor):
        door = socket

        def __init__(self) -> None:
            for name, value in attributes.items():
                setattr(self, name, value)

        if isinstance(socket, tuple(RECEIVERS)):

            @door.received
            def note(self, *values: Any) -> None: ...

        @handler
        def endpoint(self) -> str:
            return self.door.endpoint

    return Owner


# -- what cannot be -------------------------------------------------------------------------------


@of_every_kind
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "() goes nowhere: give it service=, bind= or connect="),
        ({"bind": []}, "() goes nowhere: give it service=, bind= or connect="),
        ({"bind": (), "connect": ()}, "() goes nowhere: give it service=, bind= or connect="),
        ({"bind": True}, ": bind=True is for a service: give it service= too"),
        ({"connect": True}, ": connect=True is for a service: give it service= too"),
        (
            {"service": "a", "bind": True, "connect": True},
            ": bind=True and connect=True: one of two ends of a service",
        ),
        ({"bind": 5556}, ": bind=5556 is no endpoint: take tcp://HOST:PORT"),
        ({"bind": False}, ": bind=False is no endpoint: take tcp://HOST:PORT"),
        ({"connect": [5556]}, ": connect=[5556] is no endpoint: take tcp://HOST:PORT"),
        (
            {"connect": b"tcp://a:1"},
            ": connect=b'tcp://a:1' is no endpoint: take tcp://HOST:PORT",
        ),
        ({"bind": ["tcp://*:1", None]}, ": bind=['tcp://*:1', None] is no endpoint"),
        ({"bind": ""}, ": '' is no endpoint; take tcp://HOST:PORT, ipc://PATH,"),
        ({"bind": "*:5556"}, ": '*:5556' is no endpoint; take tcp://HOST:PORT,"),
        ({"bind": "udp://*:5556"}, ": 'udp://*:5556' is no endpoint; take tcp://HOST:PORT,"),
        ({"bind": "tcp://*"}, ": 'tcp://*' lacks a port; write tcp://HOST:PORT"),
        ({"bind": "ipc://"}, ": 'ipc://' names nothing behind ipc://"),
        ({"bind": "ipc://" + "x" * 108}, "is too long: a path has 107 bytes at most"),
        ({"bind": "tcp://{host:5556"}, "has a brace without its partner"),
        ({"bind": "tcp://host}:5556"}, "has a brace without its partner"),
        ({"bind": "tcp://{}:5556"}, ": {} in 'tcp://{}:5556' is no attribute of the actor"),
        ({"bind": "tcp://{0}:5556"}, ": {0} in 'tcp://{0}:5556' is no attribute of the actor"),
        ({"bind": "tcp://{a.b}:5"}, ": {a.b} in 'tcp://{a.b}:5' is no attribute of the actor"),
        ({"bind": "tcp://{a[0]}:5"}, ": {a[0]} in 'tcp://{a[0]}:5' is no attribute of the actor"),
        ({"bind": "tcp://{a!r}:5"}, ": {a} in 'tcp://{a!r}:5' is no attribute of the actor"),
        ({"bind": "tcp://{a:{b}}:5"}, ": {a} in 'tcp://{a:{b}}:5' is no attribute of the actor"),
        ({"service": ""}, ": service '' is no name of 1 to 255 characters"),
        ({"service": "x" * 256}, "is no name of 1 to 255 characters"),
        ({"service": "a\nb"}, ": service 'a\\nb' is no name of 1 to 255 characters"),
        ({"service": 5}, ": service 5 is no name of 1 to 255 characters"),
        ({"service": "a", "codec": "json"}, ": codec 'json' is unknown: take msgpack, text or raw"),
        ({"service": "a", "codec": ["raw"]}, ": codec ['raw'] is unknown"),
    ],
)
def test_a_socket_that_cannot_work_is_refused_with_its_class(kind, arguments, sentence):
    with pytest.raises(SetupError) as refused:
        kind(**arguments)
    assert str(refused.value).startswith(kind.__name__)
    assert sentence in str(refused.value)


@of_every_kind
def test_the_longest_name_of_a_service_is_taken(kind):
    assert kind(service="x" * 255).wiring.service == "x" * 255


@of_every_kind
def test_endpoints_may_be_one_or_several_of_any_sort(kind):
    ends = ["tcp://[::1]:5556", "ipc://a", "inproc://b", "tcp://{host}:{port}", "{all}"]
    wiring = kind(bind=ends[0], connect=iter(ends)).wiring
    assert wiring.bind == (ends[0],)
    assert wiring.connect == tuple(ends)


# -- which end binds ------------------------------------------------------------------------------


@of_every_kind
def test_a_class_binds_for_a_service_or_connects_unless_it_is_turned_round(kind):
    assert kind(service="a").wiring.is_binder is (kind in BINDERS)
    assert kind(service="a", bind=True).wiring.is_binder
    assert kind(service="a", bind="tcp://127.0.0.1:*").wiring.is_binder
    assert not kind(service="a", connect=True).wiring.is_binder
    # Endpoints to connect to are further ones: they do not say where the service is.
    both = kind(service="a", connect="tcp://127.0.0.1:1").wiring
    assert both.is_binder is (kind in BINDERS)


@of_every_kind
async def test_an_end_that_binds_is_announced_with_endpoints_and_one_that_connects_without(
    mesh, kind
):
    node = await mesh.start()
    for turn in ({}, {"bind": True}, {"connect": True}, {"bind": "ipc://@{mark}"}):
        mark = secrets.token_hex(8)
        ref = await node.spawn(owning(kind(service="a", **turn), mark=mark))
        (entry,) = node.directory.of(node.id).services.values()
        assert (entry.service, entry.socket, entry.codec) == ("a", kind.socket, "msgpack")
        binds = "bind" in turn or (not turn and kind in BINDERS)
        transports = [endpoint.partition("://")[0] for endpoint in entry.endpoints]
        own = ["ipc"] if turn.get("bind") not in (True, None) else ["ipc", "tcp"]
        assert transports == (own if binds else [])
        await ref.stop()
        assert not node.directory.of(node.id).services


# -- attributes in endpoints ----------------------------------------------------------------------


@of_every_kind
async def test_attributes_of_the_actor_are_filled_in(mesh, kind):
    node = await mesh.start()
    mark = secrets.token_hex(8)
    wiring = kind(bind="ipc://@{mark}-{number}").wiring
    actor = owning(kind(bind="ipc://@{mark}-{number}"), mark=mark, number=7)()
    assert wiring.places(actor, "it") == ((f"ipc://@{mark}-7",), ())
    ref = await node.spawn(owning(kind(bind="ipc://@{mark}-{number}"), mark=mark, number=7))
    if kind is not Requester:
        assert await ref.ask("endpoint") == f"ipc://@{mark}-7"


async def test_an_endpoint_that_comes_out_empty_is_left_out(mesh):
    node = await mesh.start()
    mark = secrets.token_hex(8)
    ends = ["{first}", "{second}"]
    kind = owning(Pusher(bind=ends, connect="{third}"), first="", second=f"ipc://@{mark}", third="")
    ref = await node.spawn(kind)
    assert await ref.ask("endpoint") == f"ipc://@{mark}"
    # With a service there is a place left, and it is bound.
    ref = await node.spawn(owning(Pusher(service="a", bind="{first}"), first=""))
    assert (await ref.ask("endpoint")).startswith("tcp://127.0.0.1:")


@of_every_kind
@pytest.mark.parametrize(
    ("arguments", "attributes", "sentence"),
    [
        (
            {"bind": "tcp://{host}:1"},
            {},
            r"owner#1\.door: 'tcp://\{host\}:1' names 'host', which the actor does not have",
        ),
        (
            {"bind": "{one}", "connect": ["{one}", "{one}"]},
            {"one": ""},
            r"owner#1\.door goes nowhere: all of its endpoints came out empty",
        ),
        ({"bind": "{one}"}, {"one": None}, r"owner#1\.door: 'None' is no endpoint"),
        ({"connect": "tcp://{one}"}, {"one": "a"}, r"owner#1\.door: 'tcp://a' lacks a port"),
        ({"service": "a", "bind": "tcp://{one}:*"}, {"one": "300.1.1.1"}, "owner#1.door cannot"),
    ],
)
async def test_what_cannot_be_filled_in_is_said_and_leaves_nothing_open(
    mesh, kind, arguments, attributes, sentence
):
    node = await mesh.start()
    before = len(node._runtime.transport._ports)
    with pytest.raises(SetupError, match=sentence):
        await node.spawn(owning(kind(**arguments), **attributes))
    assert len(node._runtime.transport._ports) == before
    assert not node.directory.of(node.id).services
    assert len(node._runtime.registry) == 1


async def test_ipv6_endpoints_are_bound_and_connected_to(mesh, until):
    node = await mesh.start()
    pusher = await node.spawn(owning(Pusher(bind="tcp://[::1]:*")))
    endpoint = await pusher.ask("endpoint")
    assert endpoint.startswith("tcp://[::1]:")
    ref = await node.spawn(owning(Puller(connect="{place}"), place=endpoint))
    live = node._runtime.registry.by_serial(ref.address.serial).actor.door
    await until(lambda: live.peer_count == 1)


# -- the method that receives ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", RECEIVERS)
async def test_a_socket_that_nobody_receives_from_does_not_start(mesh, kind):
    class Deaf(Actor):
        door = kind(service="a")

    class Renamed(Actor):
        door = kind(service="a")

        @door.received
        def note(self, *values: Any) -> None: ...

        del note

    class Shadowed(Actor):
        door = kind(service="a")

        @door.received
        def note(self, *values: Any) -> None: ...

        note = 5  # noqa: F811 the mistake that is tested

    node = await mesh.start()
    before = len(node._runtime.transport._ports)
    for actor, sentence in (
        (Deaf, r"deaf#\d+\.door has nobody to receive: mark a method of Deaf with @door\.received"),
        (Renamed, r"renamed#\d+\.door: Renamed has no method 'note', which is marked with @door\."),
        (
            Shadowed,
            r"shadowed#\d+\.door: Shadowed has no method 'note', which is marked with @door",
        ),
    ):
        with pytest.raises(SetupError, match=sentence):
            await node.spawn(actor)
    assert len(node._runtime.transport._ports) == before
    assert not node.directory.of(node.id).services


@pytest.mark.parametrize("kind", RECEIVERS)
async def test_a_blocking_method_cannot_receive(mesh, kind):
    class Blocked(Actor):
        door = kind(service="a")

        @door.received
        @handler(blocking=True)
        def note(self, *values: Any) -> None: ...

    node = await mesh.start()
    with pytest.raises(SetupError) as refused:
        await node.spawn(Blocked)
    assert str(refused.value) == (
        "Blocked.note is marked blocking, and takes what comes on blocked#1.door: "
        "make it `async def`, and `await asyncio.to_thread(...)` what blocks"
    )


def test_only_methods_can_receive_and_one_for_each_socket():
    door = Puller(service="a")
    with pytest.raises(SetupError, match=r"@received goes on a method, not on 5"):
        door.received(5)
    with pytest.raises(SetupError, match=r"@received goes on a method, not on <staticmethod"):
        door.received(staticmethod(len))

    def note(self): ...

    def other(self): ...

    assert door.received(note) is note
    with pytest.raises(SetupError, match="Puller: note and other are both marked received"):
        door.received(other)
    assert door.received(note) is note  # a subclass may define it anew


def test_a_socket_of_an_actor_that_has_not_started_is_not_open():
    kind = owning(Publisher(service="a"))
    assert isinstance(kind.door, Publisher)
    with pytest.raises(LifecycleError, match=r"Owner\.door is not open: sockets open before"):
        _ = kind().door


# -- many actors ----------------------------------------------------------------------------------


class Busy(Actor):
    """Three sockets, one of each sort of attachment."""

    out = Publisher(service="out", last=True)
    tasks = Puller(service="tasks")
    ends = Router(bind="tcp://127.0.0.1:*")

    async def on_start(self) -> None:
        await self.out.publish("a", 1)

    @tasks.received
    async def work(self, task: int) -> None: ...

    @ends.received
    async def note(self, peer: Any, value: Any) -> None: ...


@pytest.mark.slow
async def test_200_actors_of_three_sockets_leave_no_port_no_task_and_no_announcement(mesh, until):
    near, far = await mesh.pair()
    await far.spawn(owning(Pusher(service="tasks")))
    await far.spawn(owning(Subscriber(service="out")))
    await until(lambda: near.directory.services("tasks") and near.directory.services("out"))
    process = psutil.Process()

    def held():
        services = near._runtime.services
        return (
            [len(node._runtime.transport._ports) for node in (near, far)],
            sorted(entry.service for entry in near.directory.of(near.id).services.values()),
            sorted(entry.service for entry in far.directory.of(near.id).services.values()),
            len(services._watchers),
            len(services._expected),
            len(near._tasks),
            len(near._runtime.registry),
        )

    await (await near.spawn(Busy)).stop()
    await until(lambda: not far.directory.of(near.id).services and not near._tasks)
    before, descriptors = held(), process.num_fds()
    for round_ in range(20):
        refs = [await near.spawn(Busy) for _ in range(10)]
        if round_ % 2:  # some in the middle of being connected to
            await until(lambda: len(far.directory.of(near.id).services) == 20)
        for ref in refs:
            await ref.stop()
    await until(lambda: held() == before)
    await until(lambda: process.num_fds() <= descriptors + 4)  # libzmq closes behind us
