"""What devices promise as actors, to peers that know nothing of actormq."""

import asyncio
import contextlib
import datetime as dt
import signal
import subprocess
import sys
import threading

import psutil
import pytest
import zmq

from actormq import (
    Forwarder,
    PortInUse,
    Queue,
    RemoteError,
    SetupError,
    StartFailed,
    Streamer,
)
from actormq.devices.proxy import ROLES, Face, Flow
from actormq.topology import parse
from actormq.transport import Role

ANYWHERE = "tcp://127.0.0.1:*"
WHOLE = zmq.zmq_version_info() < (4, 3, 5)  # it counts messages, not their frames


def threads():
    return [thread for thread in threading.enumerate() if "proxy" in thread.name]


async def spawned(node, kind, frontend=ANYWHERE, backend=ANYWHERE, name=None):
    """A device of which both sides are bound, and where they are."""
    device = await node.spawn(kind, name, frontend, backend)
    statistics = await device.ask(kind.statistics)
    return device, statistics.frontend.endpoint, statistics.backend.endpoint


def flow(frames, size):
    """What is counted of one message."""
    return Flow(1 if WHOLE else frames, size)


def times(count, one):
    return Flow(count * one.frames, count * one.bytes)


async def bound_again(plain, until, kind, endpoint):
    """A socket where another was; that one's port comes free after its close."""
    socket = plain.socket(kind)

    def is_bound():
        with contextlib.suppress(zmq.ZMQError):
            socket.bind(endpoint)
            return True

    await until(is_bound)
    return socket


# -- relaying, whoever binds ----------------------------------------------------------------------

sides = pytest.mark.parametrize("frontend_connect", [False, True], ids=["binds", "connects"])
others = pytest.mark.parametrize("backend_connect", [False, True], ids=["binds", "connects"])


async def faced(node, plain, kind, peers, frontend_connect, backend_connect):
    """A device between two plain peers; each side binds or connects, its peer does the other."""
    frontend = backend = ANYWHERE
    if frontend_connect:
        near, frontend = plain.bound(peers[0])
    if backend_connect:
        far, backend = plain.bound(peers[1])
    device = await node.spawn(kind, None, frontend, backend, frontend_connect, backend_connect)
    statistics = await device.ask(kind.statistics)
    assert statistics.frontend.is_connected is frontend_connect
    assert statistics.backend.is_connected is backend_connect
    if not frontend_connect:
        near = plain.connected(peers[0], statistics.frontend.endpoint)
    if not backend_connect:
        far = plain.connected(peers[1], statistics.backend.endpoint)
    return device, near, far


@sides
@others
async def test_a_queue_takes_requests_there_and_replies_back(
    mesh, plain, frontend_connect, backend_connect
):
    node = await mesh.start()
    device, client, worker = await faced(
        node, plain, Queue, (zmq.REQ, zmq.REP), frontend_connect, backend_connect
    )
    for number in range(10):
        await client.send_multipart([b"Hello", b"%d" % number, b""])
        assert await worker.recv_multipart() == [b"Hello", b"%d" % number, b""]
        await worker.send(b"World")
        assert await client.recv() == b"World"
    statistics = await device.ask(Queue.statistics)
    # The client's name of 5 bytes and an empty frame go before the parts.
    assert statistics.to_backend == times(10, flow(5, 5 + 5 + 1))
    assert statistics.to_frontend == times(10, flow(3, 5 + 5))


@sides
@others
async def test_a_forwarder_takes_filters_up_and_messages_down(
    mesh, plain, frontend_connect, backend_connect
):
    node = await mesh.start()
    device, publisher, subscriber = await faced(
        node, plain, Forwarder, (zmq.XPUB, zmq.SUB), frontend_connect, backend_connect
    )
    subscriber.subscribe(b"98101")
    # A SUB that binds says what it wants to whom has come only while it is looked at.
    hearing = asyncio.ensure_future(_heard(subscriber, 10))
    assert await publisher.recv() == b"\x0198101"
    for number in range(10):
        await publisher.send(b"10001 0 0")  # nobody asked for it: it does not even come in
        await publisher.send_multipart([b"98101", b"%d" % number])
    assert await hearing == [[b"98101", b"%d" % number] for number in range(10)]
    statistics = await device.ask(Forwarder.statistics)
    assert statistics.to_backend == times(10, flow(2, 6))
    assert statistics.to_frontend == Flow(1, 6)


async def _heard(subscriber, count):
    return [await subscriber.recv_multipart() for _ in range(count)]


@sides
@others
async def test_a_streamer_takes_tasks_to_workers(mesh, plain, frontend_connect, backend_connect):
    node = await mesh.start()
    device, ventilator, worker = await faced(
        node, plain, Streamer, (zmq.PUSH, zmq.PULL), frontend_connect, backend_connect
    )
    for number in range(100):
        await ventilator.send(b"%d" % number)
    assert [await worker.recv() for _ in range(100)] == [b"%d" % number for number in range(100)]
    statistics = await device.ask(Streamer.statistics)
    assert (statistics.to_backend, statistics.to_frontend) == (Flow(100, 190), Flow())


async def test_a_device_relays_between_tcp_and_ipc(mesh, plain, tmp_path):
    node = await mesh.start()
    device, frontend, backend = await spawned(node, Queue, backend=f"ipc://{tmp_path}/workers")
    assert backend == f"ipc://{tmp_path}/workers"
    client = plain.connected(zmq.REQ, frontend)
    worker = plain.connected(zmq.REP, backend)
    await client.send(b"Hello")
    await worker.send(await worker.recv())
    assert await client.recv() == b"Hello"
    await device.stop()


# -- filters --------------------------------------------------------------------------------------


async def test_filters_reach_a_publisher_once_and_leave_with_the_last_subscriber(mesh, plain):
    node = await mesh.start()
    _, frontend, backend = await spawned(node, Forwarder)
    publisher = plain.connected(zmq.XPUB, frontend)
    one, other = (plain.connected(zmq.SUB, backend) for _ in range(2))
    one.subscribe(b"98101")
    assert await publisher.recv() == b"\x0198101"
    other.subscribe(b"98101")
    other.subscribe(b"10001")
    assert await publisher.recv() == b"\x0110001"  # and not 98101 again
    one.close()
    other.unsubscribe(b"10001")
    assert await publisher.recv() == b"\x0010001"
    other.close()
    assert await publisher.recv() == b"\x0098101"


async def test_filters_reach_a_publisher_that_comes_back(mesh, plain, until):
    node = await mesh.start()
    first, endpoint = plain.bound(zmq.XPUB)
    device = await node.spawn(Forwarder, None, endpoint, ANYWHERE, frontend_connect=True)
    backend = (await device.ask(Forwarder.statistics)).backend.endpoint
    subscriber = plain.connected(zmq.SUB, backend)
    subscriber.subscribe(b"98101")
    assert await first.recv() == b"\x0198101"
    first.close()
    again = await bound_again(plain, until, zmq.XPUB, endpoint)
    assert await again.recv() == b"\x0198101"
    await again.send(b"98101 20 45")
    assert await subscriber.recv() == b"98101 20 45"


async def test_a_filter_over_the_limit_does_not_reach_the_publishers(mesh, plain):
    node = await mesh.start()
    device, frontend, backend = await spawned(node, Forwarder)
    publisher = plain.connected(zmq.XPUB, frontend)
    hostile = plain.connected(zmq.SUB, backend)
    hostile.subscribe(bytes(2_000))
    subscriber = plain.connected(zmq.SUB, backend)
    subscriber.subscribe(bytes(900))
    assert await publisher.recv() == b"\x01" + bytes(900)
    assert (await device.ask(Forwarder.statistics)).to_frontend == Flow(1, 901)


# -- pause ----------------------------------------------------------------------------------------


async def test_requests_to_a_paused_queue_wait_and_are_answered_later(mesh, plain):
    node = await mesh.start()
    device, frontend, backend = await spawned(node, Queue)
    client = plain.connected(zmq.REQ, frontend)
    worker = plain.connected(zmq.REP, backend)
    await device.ask(Queue.pause)
    await client.send(b"Hello")
    assert not await worker.poll(100)
    statistics = await device.ask(Queue.statistics)
    assert statistics.is_paused
    assert not statistics.is_held_up
    assert statistics.to_backend == Flow()
    await device.ask(Queue.resume)
    assert await worker.recv() == b"Hello"
    assert not (await device.ask(Queue.statistics)).is_paused


async def test_figures_grow_over_pauses_and_say_since_when_they_count(mesh, plain):
    node = await mesh.start()
    before = dt.datetime.now(dt.UTC)
    device, frontend, backend = await spawned(node, Streamer)
    ventilator = plain.connected(zmq.PUSH, frontend)
    worker = plain.connected(zmq.PULL, backend)
    seen = []
    for _ in range(5):
        await ventilator.send(b"task")
        await worker.recv()
        await device.ask(Streamer.pause)
        seen.append(await device.ask(Streamer.statistics))
        await device.ask(Streamer.resume)
    assert [statistics.to_backend for statistics in seen] == [Flow(n, 4 * n) for n in range(1, 6)]
    moments = [before, seen[0].since, *(statistics.at for statistics in seen)]
    assert moments == sorted(moments)
    assert len({statistics.since for statistics in seen}) == 1


@pytest.mark.slow
async def test_a_device_that_is_held_up_says_so_when_asked(mesh, plain, until):
    node = await mesh.start()
    device, frontend, backend = await spawned(node, Streamer)
    worker = plain.connected(zmq.PULL, backend, rcvhwm=1)
    ventilators = [plain.connected(zmq.PUSH, frontend) for _ in range(5)]
    body = bytes(16_384)
    for _ in range(10):
        await ventilators[0].send(body)
        await worker.recv()
    await device.ask(Streamer.pause)
    for ventilator in ventilators:
        for _ in range(900):
            await ventilator.send(body)
    await device.ask(Streamer.resume)

    async def is_held_up():
        if (await device.ask(Streamer.statistics)).is_held_up:
            return True
        await worker.recv()  # in the end that makes room, and a burst begins that is larger
        return False

    await until(is_held_up, 25)
    with pytest.raises(RemoteError, match="did not pause within 1 s, for its receivers take too"):
        await device.ask(Streamer.pause)
    assert (await device.ask(Streamer.statistics)).is_paused
    await device.stop()
    assert not threads()


# -- peers that go --------------------------------------------------------------------------------


async def test_a_client_that_leaves_before_its_reply_does_no_harm(mesh, plain):
    node = await mesh.start()
    _, frontend, backend = await spawned(node, Queue)
    worker = plain.connected(zmq.REP, backend)
    stays = plain.connected(zmq.REQ, frontend)
    for _ in range(3):
        leaves = plain.connected(zmq.REQ, frontend)
        await leaves.send(b"Hello")
        await worker.recv()
        leaves.close()
        await stays.send(b"hello")  # behind it, on a connection that is there
        await worker.send(b"World")
        assert await worker.recv() == b"hello"
        await worker.send(b"world")
        assert await stays.recv() == b"world"


WORKER = """
import sys, zmq
worker = zmq.Context().socket(zmq.REP)
worker.connect(sys.argv[1])
while True:
    worker.send(worker.recv() + b" done")
"""


@pytest.mark.slow
async def test_a_queue_goes_on_with_the_worker_that_comes_after_a_killed_one(mesh, plain, until):
    node = await mesh.start()
    device, frontend, backend = await spawned(node, Queue)
    client = plain.connected(zmq.REQ, frontend)
    for number in range(2):
        command = [sys.executable, "-c", WORKER, backend]
        with subprocess.Popen(command) as worker:  # noqa: ASYNC220 starting takes no time
            try:
                for _ in range(20):
                    await client.send(b"%d" % number)
                    assert await client.recv() == b"%d done" % number
            finally:
                worker.send_signal(signal.SIGKILL)
        await until(lambda: not connections(backend))  # or the next request might go to the dead
    assert (await device.ask(Queue.statistics)).to_frontend.bytes == 40 * (5 + 6)


def connections(endpoint):
    """Those of this process to an endpoint, at either end."""
    port = int(endpoint.rpartition(":")[2])
    found = psutil.Process().net_connections("tcp")
    return [one for one in found if one.raddr and port in (one.laddr.port, one.raddr.port)]


async def test_what_is_sent_while_the_only_receiver_is_away_is_kept_for_it(mesh, plain, until):
    node = await mesh.start()
    worker, endpoint = plain.bound(zmq.PULL)
    device = await node.spawn(Streamer, None, ANYWHERE, endpoint, backend_connect=True)
    frontend = (await device.ask(Streamer.statistics)).frontend.endpoint
    ventilator = plain.connected(zmq.PUSH, frontend)
    await ventilator.send(b"first")
    assert await worker.recv() == b"first"
    worker.close()
    await until(lambda: not connections(endpoint))  # what is sent before may get lost on its way
    for number in range(50):
        await ventilator.send(b"%d" % number)

    async def all_relayed():
        return (await device.ask(Streamer.statistics)).to_backend.bytes == 5 + 90

    await until(all_relayed)
    again = await bound_again(plain, until, zmq.PULL, endpoint)
    assert [await again.recv() for _ in range(50)] == [b"%d" % number for number in range(50)]


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_fifty_devices_started_and_stopped_leave_nothing(mesh, descriptors):
    node = await mesh.start()
    await (await spawned(node, Queue, name="queue"))[0].stop()
    before = descriptors()
    for number in range(50):
        kind = (Queue, Forwarder, Streamer)[number % 3]
        device, *_ = await spawned(node, kind, name="device")
        assert [thread.name for thread in threads()] == ["actormq-proxy-device"]
        await device.stop()
        assert not threads()
    assert descriptors() == before


async def test_a_node_that_stops_ends_its_devices(mesh):
    node = await mesh.start()
    for kind in (Queue, Forwarder, Streamer):
        await node.spawn(kind, None, ANYWHERE, ANYWHERE)
    assert len(threads()) == 3
    await node.stop()
    assert not threads()


async def test_a_device_whose_thread_dies_says_so_once_and_stops(
    mesh, plain, until, monkeypatch, logged
):
    # A ROUTER that tells of it cannot pass on a reply to nobody: that is an error of the proxy.
    monkeypatch.setitem(ROLES, "ROUTER", Role(zmq.ROUTER, {zmq.ROUTER_MANDATORY: 1}))
    logged.expect("queue: its thread has ended, Host unreachable: the device relays no more")
    node = await mesh.start()
    _, frontend, backend = await spawned(node, Queue, name="queue")
    client = plain.connected(zmq.DEALER, frontend)
    worker = plain.connected(zmq.DEALER, backend)
    await client.send_multipart([b"", b"request"])
    await worker.recv_multipart()
    await worker.send_multipart([b"nobody", b"", b"reply"])
    await until(lambda: not node.find_all("queue"))
    await until(lambda: not threads())
    assert len(logged.lines) == 1
    await until(lambda: len(node._runtime.registry) == 1)  # the node's own actor
    again, *_ = await spawned(node, Queue, frontend, backend, "queue")
    await again.stop()


async def test_a_device_that_does_not_start_leaves_nothing(mesh, descriptors):
    node = await mesh.start()

    class Unlucky(Queue):
        async def on_start(self) -> None:
            await super().on_start()
            raise OSError("no luck")

    before = descriptors()
    with pytest.raises(StartFailed, match="no luck"):
        await node.spawn(Unlucky, "queue", ANYWHERE, ANYWHERE)
    assert not threads()
    assert descriptors() == before
    assert node.find_all("queue") == []


async def test_a_device_with_a_start_of_its_own_has_to_start_the_proxy_too(mesh):
    node = await mesh.start()

    class Forgetful(Queue):
        async def on_start(self) -> None:
            """Does not call super()."""

    device = await node.spawn(Forgetful, None, ANYWHERE, ANYWHERE)
    with pytest.raises(RemoteError, match=r"its own on_start has to await super\(\)\.on_start"):
        await device.ask(Queue.statistics)


# -- where it is ----------------------------------------------------------------------------------


async def test_a_subclass_can_say_where_it_is(mesh, plain):
    publisher, endpoint = plain.bound(zmq.XPUB)

    class WeatherProxy(Forwarder):
        frontend = endpoint
        frontend_connect = True
        backend = ANYWHERE

    node = await mesh.start()
    device = await node.spawn(WeatherProxy)
    statistics = await device.ask(WeatherProxy.statistics)
    assert statistics.frontend == Face("XSUB", endpoint, is_connected=True)
    assert str(statistics.frontend) == f"XSUB connected to {endpoint}"
    plain.connected(zmq.SUB, statistics.backend.endpoint).subscribe(b"98101")
    assert await publisher.recv() == b"\x0198101"


async def test_arguments_go_before_what_the_class_says(mesh, plain):
    _, endpoint = plain.bound(zmq.XPUB)

    class WeatherProxy(Forwarder):
        frontend = endpoint
        frontend_connect = True
        backend = ANYWHERE

    node = await mesh.start()
    device = await node.spawn(WeatherProxy, None, ANYWHERE, frontend_connect=False)
    assert not (await device.ask(WeatherProxy.statistics)).frontend.is_connected


async def test_a_topology_file_runs_devices(mesh):
    text = """
        [[actor]]
        class = "actormq:Forwarder"
        name = "weather-proxy"
        [actor.args]
        frontend = "tcp://127.0.0.1:5556"
        frontend_connect = true
        backend = "tcp://127.0.0.1:*"
    """
    (plan,) = parse(text, "home.toml").actors
    node = await mesh.start()
    device = await node.spawn(plan.kind, plan.name, **plan.args)
    statistics = await device.ask("statistics")
    assert statistics.frontend == Face("XSUB", "tcp://127.0.0.1:5556", is_connected=True)
    assert str(statistics.backend).startswith("XPUB bound at tcp://127.0.0.1:")


async def test_another_node_can_steer_a_device_by_name(mesh):
    near, far = await mesh.pair()
    await near.spawn(Queue, "queue", ANYWHERE, ANYWHERE)
    device = await far.find("queue")
    await device.ask("pause")
    statistics = await device.ask("statistics")
    assert statistics["is_paused"]
    assert statistics["frontend"]["socket"] == "ROUTER"
    assert statistics["to_backend"] == {"frames": 0, "bytes": 0}
    await device.ask("resume")
    assert not (await device.ask("statistics"))["is_paused"]


# -- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "its constructor raised actormq.errors.SetupError: Queue has no frontend: give it"),
        ((ANYWHERE,), 'Queue has no backend: give it an endpoint such as backend="tcp://*:5556"'),
        (("", ANYWHERE), "Queue has no frontend"),
        (("tcp://127.0.0.1:5559",) * 2, "queue: tcp://127.0.0.1:5559 and tcp://127.0.0.1:5559 are"),
        (("tcp://127.0.0.1", ANYWHERE), "queue, frontend: 'tcp://127.0.0.1' lacks a port"),
        ((ANYWHERE, "udp://127.0.0.1:5"), "queue, backend: 'udp://127.0.0.1:5' is no endpoint"),
        ((ANYWHERE, "inproc://a"), "queue, backend: 'inproc://a' reaches nobody"),
    ],
)
async def test_a_device_that_cannot_be_is_refused_in_one_sentence(
    mesh, descriptors, arguments, says
):
    node = await mesh.start()
    before = descriptors()
    with pytest.raises(StartFailed) as refused:
        await node.spawn(Queue, "queue", *arguments)
    assert says in str(refused.value)
    assert isinstance(refused.value.__cause__, SetupError)
    assert not threads()
    assert descriptors() == before
    assert node.find_all("queue") == []


async def test_a_port_in_use_is_said_and_the_other_side_is_closed_again(mesh, plain):
    node = await mesh.start()
    holder, taken = plain.bound(zmq.PULL)
    with pytest.raises(StartFailed, match=f"queue, backend: {taken} is in use") as refused:
        await node.spawn(Queue, "queue", ANYWHERE, taken)
    assert isinstance(refused.value.__cause__, PortInUse)
    assert not threads()
    holder.close()
    plain.sockets.remove(holder)
