"""Measures what the sockets of actors cost, beside plain pyzmq in the same round."""

import asyncio
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from actormq import Actor, Node, Publisher, Puller, Pusher, Requester, handler

MESSAGES = 100_000  # a second or two of work for Python
REQUESTS = 2_000
PAYLOAD = b"x" * 32
FLOOD_SECONDS = 2.0
TASK_SECONDS = 0.001  # what each task of the flood holds the loop for
READING_SECONDS = 0.01  # from one reading to the next

Note = Callable[[str, Awaitable[float] | float], Awaitable[None]]

# A plain peer, for both directions: prints its port, then does its work and prints the seconds.
PEER = """
import sys, time, zmq
kind, count = sys.argv[1], int(sys.argv[2])
socket = zmq.Context().socket(getattr(zmq, kind))
if kind == "SUB":
    socket.subscribe(b"")
print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
if kind == "PUSH":
    for _ in range(count):
        socket.send(b"x" * 32)
elif kind == "REP":
    for _ in range(count):
        socket.send(socket.recv())
else:
    socket.recv_multipart()
    begun = time.perf_counter()
    for _ in range(count - 1):
        socket.recv_multipart()
    print(time.perf_counter() - begun, flush=True)
socket.context.destroy(-1)
"""


@contextmanager
def peer(kind: str, count: int) -> Iterator[tuple[str, Callable[[], float]]]:
    """A plain peer in a process of its own: its endpoint, and a way to wait for its seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", PEER, kind, str(count)], stdout=subprocess.PIPE, text=True
    )
    out = process.stdout
    assert out is not None
    try:
        yield f"tcp://127.0.0.1:{int(out.readline())}", lambda: float(out.readline())
    finally:
        process.terminate()
        process.wait()
        out.close()


# -- actors ---------------------------------------------------------------------------------------


class Source(Actor):
    """Sends as fast as it may."""

    tasks = Pusher(connect="{push}", codec="raw")
    feed = Publisher(connect="{publish}", codec="raw", full="wait")

    def __init__(self, push: str = "", publish: str = "") -> None:
        self.push, self.publish = push or "tcp://127.0.0.1:1", publish or "tcp://127.0.0.1:1"

    @handler
    async def push_all(self, count: int) -> None:
        """Send so many tasks."""
        await self.tasks.ready()
        for _ in range(count):
            await self.tasks.send(PAYLOAD)

    @handler
    async def publish_all(self, count: int) -> None:
        """Publish so many messages."""
        await self.feed.ready()
        for _ in range(count):
            await self.feed.publish(b"t", PAYLOAD)


class Sink(Actor):
    """Counts what comes."""

    tasks = Puller(connect="{place}", codec="raw")

    def __init__(self, place: str, count: int) -> None:
        self.place, self.left, self.begun = place, count, 0.0
        self.took: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    @tasks.received
    def take(self, _task: bytes) -> None:
        """Count one."""
        if not self.begun:
            self.begun = time.perf_counter()
        self.left -= 1
        if not self.left:
            self.took.set_result(time.perf_counter() - self.begun)

    @handler(concurrent=True)
    async def seconds(self) -> float:
        """From the first to the last."""
        return await self.took


class Client(Actor):
    """Asks one by one."""

    server = Requester(connect="{place}", codec="raw")

    def __init__(self, place: str) -> None:
        self.place = place

    @handler
    async def median(self, count: int) -> float:
        """Seconds of one request."""
        took = []
        for _ in range(count):
            begun = time.perf_counter()
            await self.server.request(PAYLOAD)
            took.append(time.perf_counter() - begun)
        return statistics.median(took)


class Reader(Actor):
    """Is flooded on one socket and reads another."""

    tasks = Puller(bind="tcp://127.0.0.1:*", codec="raw")
    readings = Puller(bind="tcp://127.0.0.1:*", codec="text")

    def __init__(self) -> None:
        self.delays: list[float] = []

    @tasks.received
    def task(self, _task: bytes) -> None:
        """Hold the loop for a while, as work does."""
        end = time.perf_counter() + TASK_SECONDS
        while time.perf_counter() < end:
            pass

    @readings.received
    def reading(self, sent: str) -> None:
        """Note how long it took to be read."""
        self.delays.append(time.monotonic() - float(sent))

    @handler
    def places(self) -> list[str]:
        """Where the two sockets are."""
        return [self.tasks.endpoint, self.readings.endpoint]

    @handler
    def worst(self) -> float:
        """The longest delay, in seconds."""
        return max(self.delays)


# -- measurements ---------------------------------------------------------------------------------


def bare_send(kind: str) -> float:
    """Messages a second from a blocking plain socket to a plain one in another process."""
    with peer("PULL" if kind == "PUSH" else "SUB", MESSAGES) as (place, seconds):
        context: zmq.Context[Any] = zmq.Context()
        socket = context.socket(getattr(zmq, kind))
        socket.connect(place)
        frames = [PAYLOAD] if kind == "PUSH" else [b"t", PAYLOAD]
        if kind == "XPUB":
            socket.set(zmq.XPUB_NODROP, 1)
            socket.recv()
        for _ in range(MESSAGES):
            socket.send_multipart(frames)
        result = MESSAGES / seconds()
        context.destroy(0)
    return result


def bare_receive() -> float:
    """Messages a second that a blocking plain PULL takes from a plain PUSH of another process."""
    with peer("PUSH", MESSAGES) as (place, _):
        context: zmq.Context[Any] = zmq.Context()
        socket = context.socket(zmq.PULL)
        socket.connect(place)
        socket.recv()
        begun = time.perf_counter()
        for _ in range(MESSAGES - 1):
            socket.recv()
        result = MESSAGES / (time.perf_counter() - begun)
        context.destroy(0)
    return result


def bare_request() -> float:
    """Seconds of a request of a plain REQ to a plain REP of another process: the median."""
    with peer("REP", REQUESTS) as (place, _):
        context: zmq.Context[Any] = zmq.Context()
        socket = context.socket(zmq.REQ)
        socket.connect(place)
        took = []
        for _ in range(REQUESTS):
            begun = time.perf_counter()
            socket.send(PAYLOAD)
            socket.recv()
            took.append(time.perf_counter() - begun)
        context.destroy(0)
    return statistics.median(took)


async def sends(node: Node, kind: str) -> float:
    """Messages a second from an actor's socket to a plain one in another process."""
    with peer("PULL" if kind == "push" else "SUB", MESSAGES) as (place, seconds):
        source = await node.spawn(Source, None, **{kind: place})
        await source.within(60).ask(f"{kind}_all", MESSAGES)
        result = MESSAGES / await asyncio.to_thread(seconds)
        await source.stop()
    return result


async def receives(node: Node) -> float:
    """Messages a second that an actor takes from a plain PUSH of another process."""
    with peer("PUSH", MESSAGES) as (place, _):
        sink = await node.spawn(Sink, None, place, MESSAGES)
        result = MESSAGES / await sink.within(60).ask(Sink.seconds)
        await sink.stop()
    return result


async def request(node: Node) -> float:
    """Seconds of a request of an actor to a plain REP of another process: the median."""
    with peer("REP", REQUESTS) as (place, _):
        client = await node.spawn(Client, None, place)
        result = await client.within(60).ask(Client.median, REQUESTS)
        await client.stop()
    return result


async def delay_in_a_flood(node: Node) -> float:
    """Seconds that a reading waits at worst while tasks flood the actor's other socket."""
    reader = await node.spawn(Reader)
    tasks, readings = await reader.ask(Reader.places)
    await asyncio.to_thread(flood, tasks, readings)
    result = await reader.within(60).ask(Reader.worst)
    await reader.stop()
    return result


def flood(tasks: str, readings: str) -> None:
    """Send tasks without end to one place, and a reading now and then to the other."""
    context: zmq.Context[Any] = zmq.Context()
    end = time.monotonic() + FLOOD_SECONDS

    def push_tasks() -> None:
        with context.socket(zmq.PUSH) as socket:
            socket.set(zmq.LINGER, 0)
            socket.connect(tasks)
            while time.monotonic() < end:
                if socket.poll(10, zmq.POLLOUT):
                    socket.send(PAYLOAD)

    thread = threading.Thread(target=push_tasks)
    thread.start()
    with context.socket(zmq.PUSH) as socket:
        socket.connect(readings)
        while time.monotonic() < end:
            socket.send(str(time.monotonic()).encode())
            time.sleep(READING_SECONDS)
    thread.join()
    context.destroy(0)


async def measure_sockets(node: Node, note: Note) -> None:
    """Measure one round, plain sockets and those of actors in turn."""
    await note("bare push", await asyncio.to_thread(bare_send, "PUSH"))
    await note("push", sends(node, "push"))
    await note("bare publish", await asyncio.to_thread(bare_send, "XPUB"))
    await note("publish", sends(node, "publish"))
    await note("bare pull", await asyncio.to_thread(bare_receive))
    await note("pull", receives(node))
    await note("bare request", await asyncio.to_thread(bare_request))
    await note("request", request(node))
    await note("a reading in a flood, at worst", delay_in_a_flood(node))
