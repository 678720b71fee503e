"""NATS with nats-py: one publisher, some subscriber processes, over a nats-server of its own.

Subscribers have a callback, as the pages of nats-py show them; the server and both ends keep their
defaults. `fan-out` publishes in bursts of 5 000 with a flush behind each; a subscriber says with a
message when it has handled one, and the publisher is at most two bursts ahead of the slowest.
`fan-out-single` publishes a message when all subscribers have said that they handled the last one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from others import BURST, PATIENCE, PAYLOAD, child, end, free_port, say, wait_for_end
from protocol import AsyncRound, AsyncWork, Result, Settings, Unavailable, rate, serve


@contextmanager
def server() -> Iterator[str]:
    """A nats-server; gives its address."""
    port = free_port()
    try:
        process = subprocess.Popen(
            ["nats-server", "-a", "127.0.0.1", "-p", str(port)],  # noqa: S607 Debian's is in sbin
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise Unavailable("there is no nats-server") from None
    try:
        wait_for(port)
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.terminate()
        end(process)


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return


class Press:
    """Publishes in bursts, and hears how far its subscribers are."""

    def __init__(self, client: Client, readers: int, burst: int) -> None:
        self._client = client
        self._readers = readers
        self._burst = burst
        self._said = 0
        self._heard = asyncio.Event()

    async def done(self, _message: Msg) -> None:
        """A subscriber is there, or has handled a burst."""
        self._said += 1
        self._heard.set()

    async def publish(self, seconds: float, ahead: int) -> Result:
        """Publish for a while; the rate of messages that all handled."""
        begun, bursts = time.perf_counter(), 0
        first = self._said // self._readers
        while time.perf_counter() - begun < seconds:
            for _ in range(self._burst):
                await self._client.publish("reading", PAYLOAD)
            await self._client.flush()
            bursts += 1
            await self.wait_for(first + bursts - ahead)
        await self.wait_for(first + bursts)
        return rate(bursts * self._burst, time.perf_counter() - begun)

    async def wait_for(self, bursts: int) -> None:
        """Wait until all have handled so many bursts."""
        while self._said < bursts * self._readers:
            self._heard.clear()
            await self._heard.wait()


@asynccontextmanager
async def fan_out(burst: int, ahead: int, settings: Settings) -> AsyncIterator[AsyncRound]:
    """One publisher, some subscribers, each in a process of its own."""
    readers = int(settings.get("subscribers", "4"))
    with server() as address, contextlib.ExitStack() as children:
        client = await nats.connect(address)
        press = Press(client, readers, burst)
        await client.subscribe("done", cb=press.done)
        await client.flush()
        for _ in range(readers):
            children.enter_context(child("reader", f"{burst}", address))
        await press.wait_for(1)
        yield lambda seconds: press.publish(seconds, ahead)
        await client.close()


async def reader(burst: int, address: str) -> None:
    """Be a process with one subscriber."""
    client = await nats.connect(address)
    left = burst

    async def read(message: Msg) -> None:
        nonlocal left
        del message
        left -= 1
        if not left:
            left = burst
            await client.publish("done")

    await client.subscribe("reading", cb=read)
    await client.flush()
    await client.publish("done")  # it is there
    say("ready")
    await wait_for_end()
    os._exit(0)  # its server goes as well: there is nobody to take leave of


WORKS: dict[str, AsyncWork] = {
    "fan-out": lambda settings: fan_out(BURST, 1, settings),
    "fan-out-single": lambda settings: fan_out(1, 0, settings),
}

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["reader", burst, address]:
            asyncio.run(reader(int(burst), address))
        case _:
            serve(WORKS)
