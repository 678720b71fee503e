"""Plain peers, and actors that own one socket each."""

import asyncio
from typing import Any

import msgpack
import pytest
import zmq
from free_ports import free_port

from actormq import Actor
from actormq.patterns.sockets import ReceivingSocket

LOCAL = "tcp://127.0.0.1:*"

SAMPLES = {
    "raw": ((b"\0\xff", b"", b"x"), [b"\0\xff", b"", b"x"]),
    "text": (("ä", "", "7"), ["ä".encode(), b"", b"7"]),
    "msgpack": (
        ({"a": [1, None]}, "", b"x"),
        [msgpack.packb(value) for value in ({"a": [1, None]}, "", b"x")],
    ),
}


@pytest.fixture
def sample(codec):
    """Three values, and the frames that a plain program has for them, an empty one too."""
    return SAMPLES[codec]


class Plain:
    """The sockets of programs that know nothing of actormq, all closed at the end of their test."""

    def __init__(self, until):
        self.context = zmq.Context()
        self.sockets = []
        self.until = until

    def socket(self, kind, **options):
        socket = self.context.socket(kind)
        self.sockets.append(socket)
        socket.linger = 0
        for name, value in options.items():
            setattr(socket, name, value)
        return socket

    def bound(self, kind, endpoint=LOCAL, **options):
        """A socket that was bound, and where."""
        socket = self.socket(kind, **options)
        socket.bind(endpoint)
        return socket, socket.LAST_ENDPOINT.decode()

    async def bound_at(self, kind, endpoint, **options):
        """A socket that was bound there, as soon as that is free."""
        socket = self.socket(kind, **options)

        def bound():
            try:
                socket.bind(endpoint)
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE:
                    raise
                return False
            return True

        await self.until(bound)
        return socket

    def connected(self, kind, *endpoints, **options):
        socket = self.socket(kind, **options)
        for endpoint in endpoints:
            socket.connect(endpoint)
        return socket

    def free_endpoint(self):
        """A tcp endpoint where nobody listens yet."""
        return f"tcp://127.0.0.1:{free_port()}"

    async def say(self, socket, *frames):
        """Send as soon as somebody is there to take it."""

        def sent():
            try:
                socket.send_multipart(frames, zmq.NOBLOCK)
            except zmq.Again:
                return False
            return True

        await self.until(sent)

    def all_from(self, socket):
        """What has come so far."""
        got = []
        while socket.get(zmq.EVENTS) & zmq.POLLIN:
            got.append(socket.recv_multipart(zmq.NOBLOCK))
        return got

    async def heard(self, socket, count=1):
        """The next messages, as soon as so many have come."""
        got = []

        def enough():
            while len(got) < count and socket.get(zmq.EVENTS) & zmq.POLLIN:
                got.append(socket.recv_multipart(zmq.NOBLOCK))
            return len(got) == count

        await self.until(enough)
        return got

    def close(self):
        for one in self.sockets:
            one.close()
        self.context.term()


@pytest.fixture
def plain(until):
    """Opens plain sockets."""
    plain = Plain(until)
    yield plain
    plain.close()


@pytest.fixture
def owner(mesh):
    """Spawns an actor that owns one socket: `.end`; what comes is in `.came`, held by `.gate`."""

    async def owner(socket, node=None, **attributes):
        node = node or (mesh.running or [await mesh.start()])[0]

        class Owner(Actor):
            end = socket

            def __init__(self) -> None:
                self.came: list[tuple[Any, ...]] = []
                self.gate = asyncio.Event()
                self.gate.set()
                self.__dict__.update(attributes)

            if isinstance(socket, ReceivingSocket):

                @socket.received
                async def take(self, *values: Any) -> None:
                    await self.gate.wait()
                    self.came.append(values)

        ref = await node.spawn(Owner)
        return node._runtime.registry.by_serial(ref.address.serial).actor

    return owner
