"""Servers that know nothing of actormq, for what asks: in this process and in others."""

import asyncio
import contextlib
import struct
import subprocess
import sys
import threading

import zmq

LOCAL = "tcp://127.0.0.1:*"


class Server:
    """A plain REP, or a ROUTER that takes `identity, empty, body` apart as ZeroMQ's guide does."""

    def __init__(self, socket, until, endpoint=LOCAL):
        """Bind it, if it is not bound yet: then `endpoint` is None."""
        socket.linger = 0
        if endpoint is not None:
            socket.bind(endpoint)
        self.socket, self.until, self.asked = socket, until, []
        self.endpoint = socket.LAST_ENDPOINT.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Close it now: over inproc before its node stops, and waits for it."""
        self.socket.close(0)

    async def next(self):
        """Take the next request; gives what answers it."""
        await self.until(lambda: self.socket.get(zmq.EVENTS) & zmq.POLLIN)
        frames = self.socket.recv_multipart(zmq.NOBLOCK)
        envelope = []
        if self.socket.type == zmq.ROUTER:
            identity, empty, *frames = frames
            assert not empty
            envelope = [identity, b""]
        self.asked.append(frames)
        return lambda *reply: self.socket.send_multipart([*envelope, *reply])

    async def serve(self, count=1):
        for _ in range(count):
            (await self.next())(b"re " + self.asked[-1][0])

    @property
    def has_request(self):
        return bool(self.socket.get(zmq.EVENTS) & zmq.POLLIN)


SERVER = """
import sys, zmq
socket = zmq.Context().socket(zmq.REP)
socket.bind(sys.argv[1])
print("bound", flush=True)
for number in range(int(sys.argv[2])):
    socket.send(b"re " + socket.recv())
print("asked", socket.recv(), flush=True)  # and never answers
sys.stdin.read()
"""


class Program:
    """A plain REP in a process of its own: answers so many, takes one more, and hangs."""

    def __init__(self, endpoint, answers):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, endpoint, str(answers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout.readline() == b"bound\n"

    async def asked(self):
        assert (await asyncio.to_thread(self.process.stdout.readline)).startswith(b"asked")

    def send_signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """End it by SIGKILL, stopped or not."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Queue:
    """ZeroMQ's own proxy between a ROUTER and a DEALER, in a thread with a context of its own."""

    def __init__(self):
        self.context = zmq.Context()
        self.sockets = [self.context.socket(kind) for kind in (zmq.ROUTER, zmq.DEALER)]
        for socket in self.sockets:
            socket.linger = 0
            socket.bind(LOCAL)
        self.front, self.back = (socket.LAST_ENDPOINT.decode() for socket in self.sockets)
        self.thread = threading.Thread(target=self.run, name="queue")
        self.thread.start()

    def run(self):
        try:
            zmq.proxy(*self.sockets)
        except zmq.ContextTerminated:
            for socket in self.sockets:
                socket.close()

    def stop(self):
        self.context.term()
        self.thread.join()


class Rude:
    """Shakes hands as a ROUTER of ZMTP 3 does, and closes: at once, or when it has a request."""

    GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    NAME, VALUE = b"Socket-Type", b"ROUTER"
    READY = b"\x05READY" + bytes([len(NAME)]) + NAME + struct.pack(">I", len(VALUE)) + VALUE

    def __init__(self, waits):
        self.waits = waits
        self.guests = 0
        self.here = set()

    async def open(self):
        self.server = await asyncio.start_server(self.receive, "127.0.0.1", 0)
        return f"tcp://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def receive(self, reader, writer):
        self.guests += 1
        self.here.add(asyncio.current_task())
        writer.write(self.GREETING + bytes([4, len(self.READY)]) + self.READY)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(len(self.GREETING))
            _, size = await reader.readexactly(2)
            await reader.readexactly(size)
            if self.waits:
                await reader.readexactly(1)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def close(self):
        self.server.close()
        await self.server.wait_closed()
        await asyncio.wait(self.here)
