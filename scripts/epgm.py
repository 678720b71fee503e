"""The programs of `scripts/epgm`: publishers and subscribers over multicast, and who starts them.

Each end is a program of its own, in a network namespace of its own, and comes twice: as an actor,
and in plain pyzmq, which knows nothing of actormq. They send and count the numbers 0, 1, 2, …
under one topic.
"""

import argparse
import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import zmq

from actormq import Actor, Node, Publisher, Subscriber, handler, run

COUNT = 1_000
GROUP = "239.192.1.1"  # of the range that an organisation may use as it likes (RFC 2365)
TOPIC = "reading"
PATIENCE = 30.0  # s that a subscriber waits for what does not come; all of it takes 0.1 s
RATE_KBITS, RECOVERY_MS = 40_000, 5_000  # as actormq has them: both ends must agree
IP = shutil.which("ip") or "/sbin/ip"  # not in every user's PATH


# -- actors -----------------------------------------------------------------------------------


class Source(Actor):
    """Publishes numbers as text."""

    feed = Publisher(bind="{endpoint}", codec="text", full="wait")

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @handler
    async def publish(self) -> None:
        """Publish all of them."""
        for number in range(COUNT):
            await self.feed.publish(TOPIC, number)


class PackedSource(Source):
    """The same in msgpack."""

    feed = Publisher(bind="{endpoint}", full="wait")


class Sink(Actor):
    """Collects numbers; how they come is for its subclasses to say."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.numbers: set[int] = set()
        self.has_all = asyncio.Event()

    def add(self, number: int) -> None:
        """Take one number, and say if it was the last."""
        self.numbers.add(number)
        if len(self.numbers) == COUNT:
            self.has_all.set()

    @handler(concurrent=True)
    async def count(self) -> int:
        """How many came, once all have or patience ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.has_all.wait()
        return len(self.numbers)


class TextSink(Sink):
    """Takes them as text."""

    feed = Subscriber(connect="{endpoint}", codec="text")

    async def on_start(self) -> None:
        """Subscribe before anything is published."""
        await self.feed.subscribe(TOPIC)

    @feed.received
    def note(self, topic: str, number: str) -> None:
        """Take one number."""
        del topic
        self.add(int(number))


class PackedSink(Sink):
    """Takes them in msgpack."""

    feed = Subscriber(connect="{endpoint}")

    async def on_start(self) -> None:
        """Subscribe before anything is published."""
        await self.feed.subscribe(TOPIC)

    @feed.received
    def note(self, topic: str, number: int) -> None:
        """Take one number."""
        del topic
        self.add(number)


def publish_as_actor(kind: type[Source], endpoint: str) -> None:
    """Run a node whose actor publishes; it ends when all has gone out."""

    async def main(node: Node) -> None:
        source = await node.spawn(kind, "source", endpoint)
        await source.within(PATIENCE).ask(kind.publish)

    run(main, mesh="epgm", discovery=False)


def subscribe_as_actor(kind: type[Sink], endpoint: str) -> None:
    """Run a node whose actor subscribes, and print how many numbers came."""

    async def main(node: Node) -> None:
        sink = await node.spawn(kind, "sink", endpoint)
        print("ready", flush=True)
        print(await sink.within(2 * PATIENCE).ask(kind.count), flush=True)

    run(main, mesh="epgm", discovery=False)


# -- plain pyzmq ------------------------------------------------------------------------------


def plain_socket(kind: int, endpoint: str) -> zmq.Socket[bytes]:
    """A socket of plain pyzmq on the group."""
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    socket.set(zmq.RATE, RATE_KBITS)
    socket.set(zmq.RECOVERY_IVL, RECOVERY_MS)
    socket.connect(endpoint)
    return socket


def publish_plainly(endpoint: str) -> None:
    """Publish with a PUB; whoever started this says when it may close."""
    with plain_socket(zmq.PUB, endpoint) as socket:
        for number in range(COUNT):
            socket.send_string(f"{TOPIC} {number}")
        sys.stdin.read()


def subscribe_plainly(endpoint: str) -> None:
    """Subscribe with a SUB, and print how many numbers came."""
    with plain_socket(zmq.SUB, endpoint) as socket:
        socket.subscribe(TOPIC)
        print("ready", flush=True)
        numbers: set[int] = set()
        end = time.monotonic() + PATIENCE
        while len(numbers) < COUNT and socket.poll(max(0, int(1000 * (end - time.monotonic())))):
            numbers.add(int(socket.recv_string().partition(" ")[2]))
        print(len(numbers), flush=True)


PROGRAMS: dict[str, Callable[[str], None]] = {
    "publish": lambda endpoint: publish_as_actor(Source, endpoint),
    "publish-packed": lambda endpoint: publish_as_actor(PackedSource, endpoint),
    "publish-plainly": publish_plainly,
    "subscribe": lambda endpoint: subscribe_as_actor(TextSink, endpoint),
    "subscribe-packed": lambda endpoint: subscribe_as_actor(PackedSink, endpoint),
    "subscribe-plainly": subscribe_plainly,
}


# -- who starts them --------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairing:
    """Two programs that shall understand each other.

    Attributes:
        name: What is printed.
        publisher: The name of its program.
        subscriber: The name of its program.
        scheme: The transport.
    """

    name: str
    publisher: str
    subscriber: str
    scheme: str = "epgm"


PAIRINGS = (
    Pairing("actormq -> actormq", "publish", "subscribe"),
    Pairing("actormq -> pyzmq", "publish", "subscribe-plainly"),
    Pairing("pyzmq -> actormq", "publish-plainly", "subscribe"),
    Pairing("actormq -> actormq, msgpack", "publish-packed", "subscribe-packed"),
    Pairing("actormq -> actormq, pgm", "publish", "subscribe", "pgm"),
)


def ip(*arguments: str) -> str:
    """What iproute2's `ip` prints."""
    return subprocess.run([IP, *arguments], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def running(namespace: str, program: str, scheme: str) -> Iterator[subprocess.Popen[str]]:
    """One end in its namespace; it is told to end by the end of its standard input."""
    interface = "eth0"
    if program.endswith("plainly"):  # libzmq would ask DNS for a name
        listed = ip("-n", namespace, "-4", "-br", "addr", "show", interface)
        interface = listed.split()[2].partition("/")[0]
    endpoint = f"{scheme}://{interface};{GROUP}:5555"
    command = [IP, "netns", "exec", namespace, sys.executable, __file__, program, endpoint]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def counted(pairing: Pairing, near: str, far: str) -> int:
    """Let one end publish in `near` and the other subscribe in `far`; how many numbers came."""
    with running(far, pairing.subscriber, pairing.scheme) as subscriber:
        assert subscriber.stdout is not None
        if subscriber.stdout.readline() != "ready\n":
            return 0
        # libzmq joins the group in a thread of its own, after connect() has returned.
        while GROUP not in ip("-n", far, "maddr", "show", "dev", "eth0"):
            if subscriber.poll() is not None:
                return 0
        with running(near, pairing.publisher, pairing.scheme):
            return int(subscriber.stdout.readline() or 0)


def between(near: str, far: str) -> bool:
    """Try all pairings between two namespaces; say whether nothing was lost."""
    is_whole = True
    for pairing in PAIRINGS:
        count = counted(pairing, near, far)
        print(f"{pairing.name}: {count} of {COUNT}", flush=True)
        is_whole = is_whole and count == COUNT
    return is_whole


def main() -> None:
    """Be one of the programs, or start them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=[*PROGRAMS, "between"])
    parser.add_argument("where", nargs="+", help="an endpoint, or two network namespaces")
    arguments = parser.parse_args()
    if arguments.what == "between":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no end is left running
        sys.exit(0 if between(*arguments.where) else 1)
    PROGRAMS[arguments.what](arguments.where[0])


if __name__ == "__main__":
    main()
