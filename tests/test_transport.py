"""Opens every socket, and nothing else does; what its options keep out, and keep in."""

import ast
import asyncio
import contextlib
import importlib
import pkgutil
import random
import resource
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import zmq

import actormq
from actormq import transport as module
from actormq.errors import PortInUse, SetupError
from actormq.loop import Loop
from actormq.transport import DEALER, PAIR, PUBLISHER, PULLER, PUSHER, ROUTER, Role, Transport

LOCAL = "tcp://127.0.0.1:*"
PACKAGE = Path(actormq.__file__).parent


class Ends:
    """Ports on one loop, and plain sockets in a context of their own."""

    def __init__(self):
        self.transport = Transport(Loop(), lan=False, frame_limit=1_000)
        self.plain = zmq.Context()
        self.peers = []
        self.came = []

    def port(self, role):
        return self.transport.open(role, None if role.kind == zmq.PUSH else self.came.append)

    def bound(self, role):
        port = self.port(role)
        self.transport.bind(port, LOCAL, "test")
        return port, port.endpoint

    def peer(self, kind):
        self.peers.append(peer := self.plain.socket(kind))
        peer.linger = 0
        return peer


@asynccontextmanager
async def ends():
    these = Ends()
    try:
        yield these
    finally:
        these.transport.close_ports()
        these.plain.destroy(0)
        await asyncio.to_thread(these.transport.close)


def dialled(endpoint):
    """A plain TCP connection to where a socket listens."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def vacant():
    """Where nobody listens: below the ports that systems give to those who connect."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port := random.randrange(20_000, 32_000)))
            return f"tcp://127.0.0.1:{port}"


# -- nothing else opens a socket ------------------------------------------------------------------

OPTIONS = {name.lower() for name in dir(zmq.SocketOption) if name.isupper()} | {"hwm"}
OPENS = {"socket", "Context", "SyncContext", "SyncSocket", "Socket", "instance", "shadow"}
SETS = {"setsockopt", "setsockopt_string", "setsockopt_unicode", "set_string", "set_hwm"}


def handiwork(source):
    """What a module does with ZeroMQ's sockets that only one may, each as it is written there."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names}
            modules = names if isinstance(node, ast.Import) else {node.module}
            own = isinstance(node, ast.ImportFrom) and node.module == "zmq"
            if modules & {"zmq.asyncio", "zmq.green"} or (own and names & {*OPENS, "asyncio"}):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, ast.unparse(node.func.value)
            if owner in ("socket", "unix") or "socket." in "".join(map(ast.unparse, node.args[:1])):
                continue  # the system's own sockets
            opens = name in OPENS and (name == "socket" or owner.startswith("zmq"))
            sets = name in SETS or (name == "set" and len(node.args) > 1)
            if opens or sets:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [
                ast.unparse(node)
                for target in targets
                if isinstance(target, ast.Attribute)
                and target.attr.lower() in OPTIONS
                and "socket" in ast.unparse(target.value)
            ]
    return found


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("context.socket(zmq.PULL)", True),
        ("self.context.socket(role.kind)", True),
        ("zmq.Context()", True),
        ("zmq.Context.instance()", True),
        ("zmq.Socket(context, zmq.PULL)", True),
        ("zmq.SyncSocket(context, zmq.PULL)", True),
        ("import zmq.asyncio", True),
        ("from zmq import asyncio", True),
        ("from zmq.asyncio import Context", True),
        ("from zmq import Context", True),
        ("far.set(zmq.LINGER, 0)", True),
        ("port.socket.set(option, value)", True),
        ("far.setsockopt(zmq.LINGER, 0)", True),
        ("socket.linger = 0", True),
        ("port.socket.RCVHWM = 1", True),
        ("event.set()", False),
        ("variable.set(value)", False),
        ("self.socket = socket", False),
        ("self.identity = identity", False),
        ("context: zmq.Context[zmq.Socket[bytes]]", False),
        ("socket.get(zmq.EVENTS)", False),
        ("socket.socket(socket.AF_INET)", False),
        ("probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)", False),
    ],
)
def test_the_watch_sees_what_it_is_for(source, is_found):
    assert bool(handiwork(source)) is is_found


@pytest.mark.slow
def test_one_module_opens_sockets_and_sets_their_options():
    found = {
        str(path.relative_to(PACKAGE)): handiwork(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    assert [name for name, lines in found.items() if lines] == ["transport.py"]


def test_only_allowed_socket_types_are_opened():
    """SERVER and CLIENT sockets can be made with the wheel's libzmq, and abort the process."""
    modules = [
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages([str(PACKAGE)], "actormq.")
        if not info.name.endswith("__main__")
    ]
    values = [value for one in modules for value in vars(one).values()]
    values += [inner for value in values if isinstance(value, dict) for inner in value.values()]
    roles = {id(value): value for value in values if isinstance(value, Role)}
    kinds = {zmq.SocketType(role.kind).name for role in roles.values()}
    assert kinds == {"ROUTER", "DEALER", "XPUB", "XSUB", "SUB", "PUSH", "PULL", "PAIR"}
    assert len(roles) >= 15


# -- strangers ------------------------------------------------------------------------------------

ZMTP_1 = b"\x01\0" + b"\x05\0junk"  # an anonymous peer of ZMTP 1.0, and its message


@pytest.mark.parametrize(
    ("role", "kind"), [(PULLER, zmq.PUSH), (ROUTER, zmq.DEALER), (DEALER, zmq.DEALER)]
)
async def test_a_stranger_that_speaks_zmtp_1_is_not_heard(until, role, kind):
    async with ends() as e:
        _, endpoint = e.bound(role)
        plain = e.peer(zmq.PULL)  # without the cure: it takes the same bytes for a message
        plain.bind(LOCAL)
        with dialled(plain.LAST_ENDPOINT.decode()) as stranger:
            stranger.sendall(ZMTP_1)
            assert plain.poll(5_000)
            assert plain.recv() == b"junk"
        with dialled(endpoint) as stranger:
            stranger.sendall(ZMTP_1)
            while await asyncio.to_thread(stranger.recv, 100):
                pass  # it is turned away
        peer = e.peer(kind)
        peer.connect(endpoint)
        peer.send(b"good")
        await until(lambda: e.came)
        assert [frames[-1] for frames in e.came] == [b"good"]


async def test_a_connection_that_says_nothing_is_ended(monkeypatch):
    monkeypatch.setattr(module, "HANDSHAKE_IVL_MS", 50)
    async with ends() as e:
        _, endpoint = e.bound(PULLER)
        with dialled(endpoint) as stranger:
            assert (await asyncio.to_thread(stranger.recv, 1_000))[:1] == b"\xff"
            stranger.settimeout(5)
            while await asyncio.to_thread(stranger.recv, 1_000):
                pass


async def test_a_frame_over_the_limit_is_not_received_and_the_next_is(until):
    async with ends() as e:
        _, endpoint = e.bound(PULLER)
        peer = e.peer(zmq.PUSH)
        peer.reconnect_ivl = 5
        peer.connect(endpoint)
        for size in (1_000, 1_001, 999):
            peer.send(b"x" * size)
            if size == 1_000:
                await until(lambda: e.came)
        await until(lambda: peer.poll(0, zmq.POLLOUT) and (peer.send(b"again") or e.came[1:]))
        assert len(e.came[0][0]) == 1_000
        assert not any(len(frames[0]) > 1_000 for frames in e.came)


# -- dead endpoints -------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "kind"), [(PUSHER, zmq.PULL), (DEALER, zmq.DEALER)])
async def test_nothing_is_queued_for_an_endpoint_that_is_dead(until, role, kind):
    """Without IMMEDIATE half of it would be: 50 of 100 messages."""
    async with ends() as e:
        alive, port = e.peer(kind), e.port(role)
        alive.bind(LOCAL)
        for endpoint in (vacant(), alive.LAST_ENDPOINT.decode()):
            e.transport.connect(port, endpoint, "test")
        for number in range(100):
            await until(lambda number=number: port.send([b"%d" % number]))
        for number in range(100):
            assert alive.poll(5_000)
            assert alive.recv() == b"%d" % number


async def test_with_nobody_there_nothing_is_taken():
    async with ends() as e:
        for role in (PUSHER, DEALER, PAIR):
            port = e.port(role)
            e.transport.connect(port, vacant(), "test")
            assert not port.send([b"a"])


# -- limits ---------------------------------------------------------------------------------------


async def test_more_sockets_can_be_open_than_a_context_has_room_for_by_default(until):
    rung = []
    async with ends() as e:
        bells = []
        try:
            for number in range(520):
                bells.append(e.transport.bell(rung.append))
                bells[-1][1].send(b"%d" % number)
            await until(lambda: len(rung) == 520)
        finally:
            for _, far in bells:
                far.close(0)
    assert sorted(int(frames[0]) for frames in rung) == list(range(520))


async def test_without_room_for_a_socket_the_way_out_is_said_and_nothing_is_left_open():
    transport = Transport(Loop(), lan=False, frame_limit=1_000)
    transport.context.set(zmq.MAX_SOCKETS, 2)
    first = transport.open(PULLER, print)
    with pytest.raises(SetupError, match=r"no more sockets: .* raise it with `ulimit -n`"):
        transport.bell(print)
    transport.close_port(first, 0)
    await asyncio.to_thread(transport.close)  # or this would wait for ever


def test_the_limit_of_descriptors_is_lifted_as_far_as_it_goes():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        module.raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_names_over_inproc_are_not_used_twice():
    """One is free only some time after the end of who had it: 296 of 2 000 bells met another."""
    async with ends() as e:
        for _ in range(200):
            near, far = e.transport.bell(print)
            far.close(0)
            e.transport.close_port(near, 0)
            port = e.port(PULLER)
            e.transport.watch(port, zmq.EVENT_ACCEPTED, print)
            e.transport.close_port(port, 0)


# -- endpoints ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "sentence"),
    [
        ("tcp://192.0.2.254:5555", "test cannot bind tcp://192.0.2.254:5555: this host has no"),
        ("ipc:///no/such/folder/door", "test cannot bind ipc:///no/such/folder/door: No such file"),
        ("udp://127.0.0.1:5555", "is no endpoint; take tcp://HOST:PORT, ipc://PATH"),
        ("tcp://127.0.0.1", "lacks a port"),
        (5555, "5555 is no endpoint"),
    ],
)
async def test_where_a_socket_cannot_be_bound_the_reason_is_said(endpoint, sentence):
    async with ends() as e:
        with pytest.raises(SetupError, match=sentence):
            e.transport.bind(e.port(PULLER), endpoint, "test")


@pytest.mark.parametrize("transport", ["tcp", "ipc", "inproc"])
async def test_an_endpoint_is_taken_once(tmp_path, transport):
    async with ends() as e:
        places = {"tcp": LOCAL, "ipc": f"ipc://{tmp_path}/door", "inproc": "inproc://door"}
        first = e.port(PULLER)
        e.transport.bind(first, places[transport], "test")
        with pytest.raises(PortInUse, match=r"test: .* is in use by another program: stop that"):
            e.transport.bind(e.port(PULLER), first.endpoint, "test")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
async def test_a_bound_endpoint_is_told_as_any_other_program_can_use_it(host):
    async with ends() as e:
        bound = e.transport.bind(e.port(PULLER), f"tcp://{host}:*", "test")
        assert "[" not in bound


async def test_what_cannot_be_connected_to_is_said_and_leaving_twice_is_no_error():
    async with ends() as e:
        port = e.port(PUSHER)
        with pytest.raises(SetupError, match="test: 'tcp://roof' lacks a port"):
            e.transport.connect(port, "tcp://roof", "test")
        e.transport.connect(port, "tcp://roof.invalid:5555", "test")  # may exist one day
        for _ in range(2):
            e.transport.disconnect(port, "tcp://roof.invalid:5555")


async def test_a_publisher_takes_topics_and_no_larger_frame(until):
    async with ends() as e:
        _, endpoint = e.bound(PUBLISHER)
        sub = e.peer(zmq.SUB)
        sub.reconnect_ivl = 5
        sub.connect(endpoint)
        sub.subscribe(b"x" * 255)
        await until(lambda: e.came == [[b"\x01" + b"x" * 255]])
        sub.subscribe(b"y" * 100_000)
        sub.subscribe(b"z")
        await until(lambda: len(e.came) > 1)
        assert all(len(frames[0]) <= 256 for frames in e.came)
