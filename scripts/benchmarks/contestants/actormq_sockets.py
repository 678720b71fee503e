"""The sockets and devices of actors; the other end is a plain program in a process of its own."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import zmq
from protocol import AsyncRound, AsyncWork, Result, Settings, rate, serve, timed_async
from pyzmq_sockets import ANYWHERE, PACE, PAYLOAD, TO, peer, relayed

from actormq import Actor, Forwarder, Node, Publisher, Puller, Pusher, Requester, handler

TASK_SECONDS = 0.001  # what each task of the flood holds the loop for
READING_SECONDS = 0.01  # from one reading to the next


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
    async def ask_for(self, seconds: float) -> Result:
        """Ask so long, one by one."""
        return await timed_async(lambda: self.server.request(PAYLOAD), seconds)


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
    def all_delays(self) -> list[float]:
        """The delays, in seconds."""
        return self.delays


# -- works ----------------------------------------------------------------------------------------


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    """A node by itself."""
    async with Node(name="bench", mesh=f"bench-{os.getpid()}", discovery=False) as here:
        yield here


def sends(kind: str) -> AsyncWork:
    """A work that sends from an actor's socket to a plain one in another process."""

    @asynccontextmanager
    async def work(_settings: Settings) -> AsyncIterator[AsyncRound]:
        async with node() as here:

            async def sent(seconds: float) -> Result:
                count = int(PACE * seconds)
                with peer(TO[kind], count) as (place, took):
                    source = await here.spawn(Source, None, **{kind: place})
                    await source.within(60).ask(f"{kind}_all", count)
                    result = rate(count, await asyncio.to_thread(took))
                    await source.stop()
                return result

            yield sent

    return work


@asynccontextmanager
async def pull(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Take messages from a plain PUSH of another process."""
    async with node() as here:

        async def taken(seconds: float) -> Result:
            count = int(PACE * seconds)
            with peer("PUSH", count) as (place, _):
                sink = await here.spawn(Sink, None, place, count)
                result = rate(count, await sink.within(60).ask(Sink.seconds))
                await sink.stop()
            return result

        yield taken


@asynccontextmanager
async def request(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Ask a plain REP of another process, one by one."""
    async with node() as here:
        with peer("REP", 0) as (place, _):
            client = await here.spawn(Client, None, place)

            async def asked(seconds: float) -> Result:
                return await client.within(60 + seconds).ask(Client.ask_for, seconds)

            yield asked
            await client.stop()


@asynccontextmanager
async def forwarder(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """Relay by a device."""
    async with node() as here:
        device = await here.spawn(Forwarder, None, ANYWHERE, ANYWHERE)
        faces = await device.ask(Forwarder.statistics)
        ends = faces.frontend.endpoint, faces.backend.endpoint
        yield lambda seconds: asyncio.to_thread(relayed, *ends, seconds)
        await device.stop()


@asynccontextmanager
async def flood(_settings: Settings) -> AsyncIterator[AsyncRound]:
    """See how long a reading waits at worst while tasks flood the actor's other socket."""
    async with node() as here:

        async def worst(seconds: float) -> Result:
            reader = await here.spawn(Reader)
            tasks, readings = await reader.ask(Reader.places)
            await asyncio.to_thread(flooded, tasks, readings, seconds)
            delays = await reader.within(60).ask(Reader.all_delays)
            await reader.stop()
            return {"value": max(delays), "count": len(delays), "seconds": seconds}

        yield worst


def flooded(tasks: str, readings: str, seconds: float) -> None:
    """Send tasks without end to one place, and a reading now and then to the other."""
    context: zmq.Context[Any] = zmq.Context()
    end = time.monotonic() + seconds

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


if __name__ == "__main__":
    serve(
        {
            "socket-push": sends("push"),
            "socket-pull": pull,
            "socket-publish": sends("publish"),
            "socket-request": request,
            "forwarder": forwarder,
            "flood": flood,
        }
    )
