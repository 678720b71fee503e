"""Plain pyzmq that blocks: what the sockets and devices of actors add to.

Also the other end of both: programs of their own, which `peer` and `relayed` start.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zmq
from protocol import Result, Round, Settings, Work, rate, repeated, serve, timed

PAYLOAD = b"x" * 32
PACE = 100_000  # messages for a second of a round: about what Python does
TO = {"push": "PULL", "publish": "SUB"}  # the other end's kind
ANYWHERE = "tcp://127.0.0.1:*"

# The other end, for both directions: prints its port, then does its work and prints the seconds.
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
    while True:
        socket.send(socket.recv())
else:
    socket.recv_multipart()
    begun = time.perf_counter()
    for _ in range(count - 1):
        socket.recv_multipart()
    print(time.perf_counter() - begun, flush=True)
socket.context.destroy(-1)
"""

PRODUCER = """
import sys, zmq
publisher = zmq.Context().socket(zmq.PUB)
publisher.set(zmq.XPUB_NODROP, 1)  # wait where a PUB would drop: the relay sets the pace
publisher.connect(sys.argv[1])
body = b"x" * 32
while True:
    publisher.send(body)
"""

CONSUMER = """
import sys, time, zmq
subscriber = zmq.Context().socket(zmq.SUB)
subscriber.subscribe(b"")
subscriber.connect(sys.argv[1])
subscriber.recv()
count, begun = 0, time.perf_counter()
while count % 1_000 or time.perf_counter() - begun < float(sys.argv[2]):
    subscriber.recv()
    count += 1
print(count, time.perf_counter() - begun, flush=True)
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


def relayed(frontend: str, backend: str, seconds: float) -> Result:
    """Messages a second that a consumer gets from a producer, each a process of its own."""
    producer = subprocess.Popen([sys.executable, "-c", PRODUCER, frontend])
    try:
        done = subprocess.run(
            [sys.executable, "-c", CONSUMER, backend, str(seconds)],
            stdout=subprocess.PIPE,
            check=True,
        )
    finally:
        producer.kill()
        producer.wait()
    count, took = done.stdout.split()
    return rate(int(count), float(took))


# -- plain pyzmq ----------------------------------------------------------------------------------


@contextmanager
def connected(kind: int, place: str) -> Iterator[zmq.Socket[bytes]]:
    """A plain socket."""
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(kind)
    socket.connect(place)
    yield socket
    context.destroy(0)


def sends(kind: str) -> Work:
    """A work that sends from a blocking plain socket to a plain one in another process."""

    def sent(seconds: float) -> Result:
        count = int(PACE * seconds)
        with (
            peer(TO[kind], count) as (place, took),
            connected(zmq.PUSH if kind == "push" else zmq.XPUB, place) as socket,
        ):
            frames = [PAYLOAD] if kind == "push" else [b"t", PAYLOAD]
            if kind == "publish":
                socket.set(zmq.XPUB_NODROP, 1)
                socket.recv()
            for _ in range(count):
                socket.send_multipart(frames)
            return rate(count, took())

    @contextmanager
    def work(_settings: Settings) -> Iterator[Round]:
        yield sent

    return work


@contextmanager
def pull(_settings: Settings) -> Iterator[Round]:
    """Take messages from a plain PUSH of another process."""

    def taken(seconds: float) -> Result:
        count = int(PACE * seconds)
        with peer("PUSH", count + 1) as (place, _), connected(zmq.PULL, place) as socket:
            socket.recv()

            def all_of_them() -> int:
                for _ in range(count):
                    socket.recv()
                return count

            return repeated(all_of_them, 0.0)

    yield taken


@contextmanager
def request(_settings: Settings) -> Iterator[Round]:
    """Ask a plain REP of another process, one by one."""
    with peer("REP", 0) as (place, _), connected(zmq.REQ, place) as socket:

        def once() -> None:
            socket.send(PAYLOAD)
            socket.recv()

        yield lambda seconds: timed(once, seconds)


@contextmanager
def forwarder(_settings: Settings) -> Iterator[Round]:
    """Relay by `zmq.proxy` in a thread."""
    context = zmq.Context()
    ends = [context.socket(kind) for kind in (zmq.XSUB, zmq.XPUB)]
    places = []
    for end in ends:
        end.bind(ANYWHERE)
        places.append(end.get_string(zmq.LAST_ENDPOINT).rstrip("\0"))

    def relay() -> None:
        try:
            zmq.proxy(*ends)
        except zmq.ContextTerminated:
            for end in ends:
                end.close(0)

    thread = threading.Thread(target=relay)
    thread.start()
    yield lambda seconds: relayed(places[0], places[1], seconds)
    context.term()
    thread.join()


if __name__ == "__main__":
    serve(
        {
            "socket-push": sends("push"),
            "socket-pull": pull,
            "socket-publish": sends("publish"),
            "socket-request": request,
            "forwarder": forwarder,
        }
    )
