"""The traps of ZeroMQ on a shared loop: each of these fails without its cure."""

import asyncio
import contextlib
import itertools
import random
import select
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
import zmq

from actormq.loop import Loop
from actormq.port import as_written
from actormq.settings import DRAIN_MESSAGES
from actormq.transport import DEALER, PAIR, PULLER, PUSHER, ROUTER, Role, Transport

LOCAL = "tcp://127.0.0.1:*"
STUCK = {zmq.RCVHWM: 1, zmq.RCVBUF: 65_536}  # of a peer that takes little while it does not read
LARGE = b"x" * 5_000  # fills the system's own buffers soon
PATIENCE = 5_000  # ms; what is waited for takes one


class Ends:
    """Ports on one loop, and plain sockets in a context of their own."""

    def __init__(self, loop):
        self.loop = loop
        self.transport = Transport(self.loop, lan=False, frame_limit=100_000)
        self.plain = zmq.Context()
        self.peers = []
        self.came = []

    def port(self, role, receive=None):
        return self.transport.open(role, receive or (None if role.kind == zmq.PUSH else self.note))

    def note(self, frames):
        self.came.append(frames[-1])

    def bound(self, role, receive=None):
        port = self.port(role, receive)
        return port, self.transport.bind(port, LOCAL, "test")

    def peer(self, kind, endpoint, options=None):
        """A plain socket that connects."""
        peer = self._peer(kind)
        for option, value in (options or {}).items():
            peer.set(option, value)
        peer.connect(endpoint)
        return peer

    def listener(self, kind, endpoint=LOCAL):
        peer = self._peer(kind)
        peer.bind(endpoint)
        return peer, peer.LAST_ENDPOINT.decode()

    def _peer(self, kind):
        self.peers.append(peer := self.plain.socket(kind))
        peer.linger = 0
        return peer


@asynccontextmanager
async def ends(**options):
    these = Ends(Loop(**options))
    try:
        yield these
    finally:
        these.transport.close_ports()
        these.plain.destroy(0)
        await asyncio.to_thread(these.transport.close)


def vacant():
    """Where nobody listens: below the ports that systems give to those who connect."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port := random.randrange(20_000, 32_000)))
            return f"tcp://127.0.0.1:{port}"


async def fill(port, *ahead):
    """Send until there is no room; returns how many it took."""
    count = 0
    while port.send([*ahead, b"%d" % count, LARGE]):
        count += 1
        await asyncio.sleep(0)
    return count


def has_edge(port):
    """Whether the descriptor tells of something, without taking that away."""
    return bool(select.select([port.socket.FD], [], [], 0)[0])


def wait_for_edge(port):
    assert select.select([port.socket.FD], [], [], PATIENCE / 1_000)[0]


# -- the edge -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("lateness", "count"), [(None, 300), (0.001, 20)], ids=["soon", "late"])
async def test_replies_whose_edge_a_send_has_taken_are_noticed(until, lateness, count):
    async with ends() as e:
        router, endpoint = e.listener(zmq.ROUTER)
        port = e.port(DEALER)
        e.transport.connect(port, endpoint, "test")
        await until(lambda: port.send([b"hello"]))
        who, _ = router.recv_multipart()
        if lateness is not None:  # as of a port that mostly sends
            await until(lambda: not port._looking)  # who has yet to look is given no edge
            port.look_late(lateness)
        for number in range(count):
            router.send_multipart([who, b"%d" % number])
            wait_for_edge(port)
            while has_edge(port):
                port.send([b"more"])
            await until(lambda number=number: len(e.came) == number + 1)
        assert e.came == [b"%d" % number for number in range(count)]


async def test_turns_that_a_message_asks_for_are_given_right_behind_it(until):
    class Actor:
        def turn(self):
            done.append("turn")

    done = []
    async with ends() as e:

        def receive(_):
            e.loop.ready(Actor())
            asyncio.get_running_loop().call_soon(done.append, "next round")

        _, endpoint = e.bound(PULLER, receive)
        e.peer(zmq.PUSH, endpoint).send(b"a")
        await until(lambda: len(done) == 2)
        assert done == ["turn", "next round"]


async def test_a_message_whose_edge_a_send_without_room_has_taken_is_noticed(until):
    async with ends() as e:
        port, endpoint = e.bound(PAIR)
        peer = e.peer(zmq.PAIR, endpoint, STUCK)
        await until(lambda: port.send([b"hello"]))
        await fill(port)
        for _ in range(100):
            await asyncio.sleep(0)
        for number in range(10):
            while has_edge(port):
                port.send([LARGE])
            peer.send(b"%d" % number)
            wait_for_edge(port)
            while has_edge(port):
                port.send([LARGE])
            await until(lambda number=number: len(e.came) == number + 1)


async def test_what_came_over_inproc_before_the_bind_is_noticed(until):
    async with ends() as e:
        early, late = e.port(PAIR), e.port(PAIR)
        e.transport.connect(early, "inproc://line", "test")
        assert early.send([b"early"])
        e.transport.bind(late, "inproc://line", "test")
        await until(lambda: e.came == [b"early"])


async def test_a_flood_is_drained_in_portions_that_let_others_in(until):
    async with ends() as e:
        floods = []
        for name in (b"a", b"b"):
            floods.append(port := e.port(PULLER))
            port.pause()
            endpoint = f"inproc://{name.decode()}"
            e.transport.bind(port, endpoint, "test")
            e.transport.connect(push := e.transport.open(PUSHER), endpoint, "test")
            for _ in range(900):
                assert push.send([name])
        for port in floods:
            port.resume()
        await until(lambda: len(e.came) == 1_800)
        switches = sum(one != other for one, other in itertools.pairwise(e.came))
        assert switches >= 1_800 // (2 * DRAIN_MESSAGES) - 1


async def test_frames_behind_those_that_are_copied_are_views_that_stay(until):
    async with ends() as e:
        came = []
        port, endpoint = e.bound(PULLER, came.append)
        port.copied_frames = 2
        peer = e.peer(zmq.PUSH, endpoint)
        sent = [[b"%d" % n, b"x", LARGE, bytes([n]) * 5_000] for n in range(10)]
        for frames in sent:
            peer.send_multipart(frames)

        await until(lambda: len(came) == 10)

        assert [[bytes(frame) for frame in frames] for frames in came] == sent
        assert {type(frame) for frames in came for frame in frames[:2]} == {bytes}
        views = [f for frames in came for f in frames[2:] if isinstance(f, memoryview)]
        assert views
        assert all(view.readonly for view in views)


async def test_a_port_that_is_paused_receives_nothing_and_goes_on_where_it_was(until):
    async with ends() as e:
        port, endpoint = e.bound(PAIR)
        peer = e.peer(zmq.PAIR, endpoint)
        await until(lambda: port.send([b"hello"]))
        port.pause()
        port.pause()
        for number in range(100):
            peer.send(b"%d" % number)
        await until(port._has_message)  # which takes the edge
        port.send([b"more"])
        for _ in range(100):
            await asyncio.sleep(0)
        assert e.came == []
        port.resume()
        port.resume()
        await until(lambda: len(e.came) == 100)
        assert e.came == [b"%d" % number for number in range(100)]


async def test_a_port_that_is_paused_does_not_keep_the_loop_awake(until):
    async with ends() as e:
        port, endpoint = e.bound(PULLER)
        push = e.peer(zmq.PUSH, endpoint)
        push.send(b"a")
        await until(lambda: e.came == [b"a"])
        port.pause()
        push.send(b"b")
        wait_for_edge(port)
        await until(lambda: not has_edge(port))
        port.resume()
        await until(lambda: e.came == [b"a", b"b"])


async def test_a_port_that_its_receiver_pauses_stops_at_once(until):
    async with ends() as e:
        port, endpoint = e.bound(PULLER, lambda frames: (e.note(frames), port.pause()))
        push = e.peer(zmq.PUSH, endpoint)
        for number in range(10):
            push.send(b"%d" % number)
        for number in range(10):
            await until(lambda number=number: len(e.came) == number + 1)
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(e.came) == number + 1
            port.resume()


# -- sending --------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_what_a_port_does_not_send_it_does_not_keep():
    """ZMQStream would: 19 990 of 20 000, with a mark of 10."""
    async with ends() as e:
        endpoint = vacant()
        port = e.port(Role(zmq.PUSH, {zmq.SNDHWM: 10}))
        e.transport.connect(port, endpoint, "test")
        assert sum(port.send([b"%d" % number]) for number in range(20_000)) == 10
        assert port._waiting is None
        pull = e.listener(zmq.PULL, endpoint)[0]
        got = [pull.recv() for _ in range(10) if pull.poll(PATIENCE)]
        assert got == [b"%d" % number for number in range(10)]


async def test_a_routers_peer_at_its_mark_does_not_hold_up_the_loop(until):
    async with ends() as e:
        port, endpoint = e.bound(ROUTER)
        e.peer(zmq.DEALER, endpoint, {**STUCK, zmq.ROUTING_ID: b"stuck"})
        brisk = e.peer(zmq.DEALER, endpoint, {zmq.ROUTING_ID: b"brisk"})
        for name in (b"stuck", b"brisk"):
            await until(lambda name=name: port.offer([name, b"hello"]) == 0)
        await fill(port, b"stuck")
        assert port.offer([b"nobody", b"a"]) == zmq.EHOSTUNREACH
        assert port.offer([b"stuck", b"a"]) in (zmq.EAGAIN, 0)  # and so the loop runs
        assert port.offer([b"brisk", b"a"]) == 0
        assert [brisk.recv(), brisk.recv()] == [b"hello", b"a"]


async def test_what_was_sent_goes_out_though_the_port_is_closed_at_once(until):
    async with ends() as e:
        port, endpoint = e.bound(PUSHER)
        pull = e.peer(zmq.PULL, endpoint, STUCK)
        await until(lambda: port.send([b"hello"]))
        count = await fill(port)  # up to 1 000 of them are still in the socket
        e.transport.close_port(port, PATIENCE)
        assert port.is_closed
        e.transport.close_port(port)  # again: no error
        assert pull.recv() == b"hello"
        got = [pull.recv_multipart()[0] for _ in range(count) if pull.poll(PATIENCE)]
        assert got == [b"%d" % number for number in range(count)]


# -- exceptions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError])
async def test_an_exception_in_a_receiver_stalls_nothing(until, logged, kind):
    logged.expect("internal error in", "number 0", "number 99")
    async with ends() as e:

        def receive(frames):
            e.note(frames)
            raise kind(f"number {frames[0].decode()}")

        port, endpoint = e.bound(PULLER, receive)
        push = e.peer(zmq.PUSH, endpoint)
        port.pause()  # so that many are taken behind each other
        for number in range(100):
            push.send(b"%d" % number)
        port.resume()
        await until(lambda: len(e.came) == 100)
        push.send(b"100")
        await until(lambda: e.came[-1] == b"100")


async def test_an_exception_in_who_waits_for_room_stalls_nothing(until, logged):
    logged.expect("internal error in")
    async with ends() as e:
        router, endpoint = e.listener(zmq.ROUTER)
        port = e.port(DEALER)

        def done(_was_sent):
            raise ValueError("room")

        port.send_when_writable([b"1"], done)
        e.transport.connect(port, endpoint, "test")
        who, _ = await asyncio.to_thread(router.recv_multipart)
        router.send_multipart([who, b"answer"])
        await until(lambda: e.came == [b"answer"])
        await until(lambda: port.send([b"2"]))
        assert (await asyncio.to_thread(router.recv_multipart))[1] == b"2"


async def test_an_exception_in_who_hears_of_connections_stalls_nothing(until, logged):
    logged.expect("internal error in")
    async with ends() as e:
        heard = []

        def hear(event, _value, _endpoint):
            heard.append(event)
            raise ValueError("connections")

        port = e.port(PULLER)
        e.transport.watch(port, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED, hear)
        endpoint = e.transport.bind(port, LOCAL, "test")
        for count in (1, 2, 3):
            push = e.peer(zmq.PUSH, endpoint)
            push.send(b"a")
            await until(lambda count=count: len(e.came) == count)
            push.close()
            await until(lambda count=count: len(heard) == 2 * count)


async def test_a_receiver_may_close_its_port(until):
    async with ends() as e:
        port, endpoint = e.bound(
            PULLER, lambda frames: (e.note(frames), e.transport.close_port(port, 0))
        )
        push = e.peer(zmq.PUSH, endpoint)
        for number in range(10):
            push.send(b"%d" % number)
        await until(lambda: port.is_closed)
        for _ in range(20):
            await asyncio.sleep(0)
        assert e.came == [b"0"]


# -- monitors -------------------------------------------------------------------------------------


# A process of their own: without the cures they freeze, and nothing in them can tell.

UNREAD = """
    for _ in range(1_500):  # the loop does not run meanwhile, and nobody reads the events
        knock(place)
    assert other.send([b"alive"])
    assert peer.poll(5_000), "it has stopped all sockets of its context, not only its own"
    while len(heard) < 3_000:
        await asyncio.sleep(0)
"""

CLOSED = """
    knocking = [threading.Thread(target=knock_on) for _ in range(2)]
    for thread in knocking:
        thread.start()
    for _ in range(100):
        port, place = watched(zmq.EVENT_ALL)
        places.append(place)
        del heard[:]
        while len(heard) < 3:
            await asyncio.sleep(0)
        transport.close_port(port, 0)
    ended.set()
    for thread in knocking:
        thread.join()
"""

PROGRAM = """
import asyncio, socket, threading
import zmq
from actormq.loop import Loop
from actormq.transport import PAIR, PULLER, Transport

heard, places, ended = [], [], threading.Event()

def knock(place):
    with socket.create_connection(place, timeout=5) as stranger:
        stranger.sendall(bytes(1))

def knock_on():
    while not ended.is_set():
        for place in places[-1:]:
            try:
                knock(place)
            except OSError:
                pass

async def main():
    transport = Transport(Loop(), lan=False, frame_limit=1_000)

    def watched(events):
        port = transport.open(PULLER, print)
        transport.watch(port, events, lambda *event: heard.append(event))
        transport.bind(port, "tcp://127.0.0.1:*", "test")
        return port, ("127.0.0.1", int(port.endpoint.rpartition(":")[2]))

    port, place = watched(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
    other = transport.open(PAIR, print)
    transport.bind(other, "tcp://127.0.0.1:*", "test")
    context = zmq.Context()
    peer = context.socket(zmq.PAIR)
    peer.connect(other.endpoint)
    while not other.send([b"hello"]):
        await asyncio.sleep(0)
    assert peer.recv() == b"hello"
BODY
    transport.close_ports()
    context.destroy(0)
    await asyncio.to_thread(transport.close)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("body", [UNREAD, CLOSED], ids=["unread", "closed under fire"])
def test_a_monitor_stops_no_other_socket_and_no_process(body):
    program = PROGRAM.replace("BODY", body.strip("\n"))
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, timeout=100, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def test_a_monitor_is_ended_before_nobody_can_read_it_any_more(monkeypatch):
    readers, were_open = [], []
    async with ends() as e:
        connect, disable = zmq.Socket.connect, zmq.Socket.disable_monitor

        def noted(socket, endpoint):
            if endpoint.startswith("inproc://monitor"):
                readers.append(socket)
            return connect(socket, endpoint)

        monkeypatch.setattr(zmq.Socket, "connect", noted)
        monkeypatch.setattr(
            zmq.Socket,
            "disable_monitor",
            lambda socket: (were_open.append(not readers[0].closed), disable(socket)),
        )
        port = e.port(PULLER)
        e.transport.watch(port, zmq.EVENT_ACCEPTED, print)
        e.transport.close_port(port, 0)
        assert were_open == [True]
        assert readers[0].closed


# -- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ("tcp://[::ffff:127.0.0.1]:5555", "tcp://127.0.0.1:5555"),
        ("tcp://[::ffff:0.0.0.0]:5555", "tcp://0.0.0.0:5555"),
        ("tcp://[::]:5555", "tcp://[::]:5555"),
        ("tcp://[fd00::2]:5555", "tcp://[fd00::2]:5555"),
        ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"),
        ("ipc:///tmp/x", "ipc:///tmp/x"),
    ],
)
def test_an_endpoint_is_told_as_people_write_it(told, written):
    assert as_written(told) == written


async def test_a_port_tells_its_endpoint_as_any_other_program_can_use_it():
    async with ends() as e:
        port, _ = e.bound(PULLER)
        assert port.endpoint.startswith("tcp://127.0.0.1:")


# -- spinning -------------------------------------------------------------------------------------


async def test_a_loop_that_spins_takes_what_comes_before_it_sleeps(until):
    # Time stands still for it: it spins until one has come.
    async with ends(clock=lambda: 0.0, spin=0.001) as e:
        loop = e.loop
        port, endpoint = e.bound(PULLER)
        port.spin()
        push = e.peer(zmq.PUSH, endpoint)
        push.send(b"first")
        await until(lambda: e.came)
        loop.expect()
        push.send(b"second")
        loop._look()
        assert e.came == [b"first", b"second"]
        port.close()
        loop._look()  # with nothing left to look at it ends


async def test_a_loop_spins_only_while_it_is_told_to_expect_something_and_not_for_long(until):
    ticks = itertools.count()
    async with ends(clock=lambda: next(ticks) / 1_000, spin=0.005) as e:
        loop = e.loop
        port, _ = e.bound(PULLER)
        port.spin()
        loop.expect()
        await until(lambda: not loop._is_spinning)
        seen = next(ticks)
        assert seen < 20
        for _ in range(50):
            await asyncio.sleep(0)
        assert next(ticks) == seen + 1


async def test_a_loop_that_is_not_told_to_spin_does_not(until):
    async with ends() as e:
        e.loop.expect()
        assert not e.loop._is_spinning


async def test_a_port_that_looks_late_looks_at_once_when_it_is_resumed(until):
    async with ends() as these:
        port, endpoint = these.bound(DEALER)
        peer = these.peer(zmq.DEALER, endpoint)
        assert peer.poll(PATIENCE, zmq.POLLOUT)
        port.look_late(PATIENCE)
        await until(lambda: port.send([b"a"]))
        port.pause()
        peer.send(b"x")
        await asyncio.to_thread(peer.poll, PATIENCE)
        port.resume()
        await until(lambda: these.came)
