"""Plain peers for devices: sockets of pyzmq that know nothing of actormq."""

import psutil
import pytest
import zmq
import zmq.asyncio

ANYWHERE = "tcp://127.0.0.1:*"


class Plain:
    """Plain sockets, all closed at the end of their test."""

    def __init__(self):
        self.context = zmq.asyncio.Context()
        self.sockets = []

    def socket(self, kind, **options):
        socket = self.context.socket(kind)
        self.sockets.append(socket)
        socket.linger = 0
        for name, value in options.items():
            setattr(socket, name, value)
        return socket

    def bound(self, kind, endpoint=ANYWHERE, **options):
        """A socket that was bound, and where."""
        socket = self.socket(kind, **options)
        socket.bind(endpoint)
        return socket, socket.LAST_ENDPOINT.decode()

    def connected(self, kind, endpoint, **options):
        socket = self.socket(kind, **options)
        socket.connect(endpoint)
        return socket

    def close(self):
        for socket in self.sockets:
            socket.close()
        self.context.term()


@pytest.fixture
def plain():
    """Opens plain sockets."""
    plain = Plain()
    yield plain
    plain.close()


@pytest.fixture
def descriptors():
    """Counts the descriptors of this process: sockets take two and more each."""
    return psutil.Process().num_fds
