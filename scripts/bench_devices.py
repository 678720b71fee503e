"""Measures how much a `Forwarder` relays beside bare `zmq.proxy`, in the same round."""

import asyncio
import subprocess
import sys
import threading

import zmq

from actormq import Forwarder, Node

ANYWHERE = "tcp://127.0.0.1:*"

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
while not count % 1_000 == 0 or time.perf_counter() - begun < float(sys.argv[2]):
    subscriber.recv()
    count += 1
print(count / (time.perf_counter() - begun), flush=True)
"""


def relayed(frontend: str, backend: str, seconds: float = 1.5) -> float:
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
    return float(done.stdout)


async def bare_forwarder() -> float:
    """Messages a second through `zmq.proxy` in a thread: what a forwarder adds to."""
    context = zmq.Context()
    ends = []
    for kind in (zmq.XSUB, zmq.XPUB):
        ends.append(context.socket(kind))
        ends[-1].bind(ANYWHERE)
    frontend, backend = (end.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode() for end in ends)

    def relay() -> None:
        try:
            zmq.proxy(*ends)
        except zmq.ContextTerminated:
            for end in ends:
                end.close(0)

    thread = threading.Thread(target=relay)
    thread.start()
    try:
        return await asyncio.to_thread(relayed, frontend, backend)
    finally:
        await asyncio.to_thread(context.term)
        thread.join()


async def forwarder(node: Node) -> float:
    """Messages a second through a device."""
    device = await node.spawn(Forwarder, None, ANYWHERE, ANYWHERE)
    try:
        faces = await device.ask(Forwarder.statistics)
        return await asyncio.to_thread(relayed, faces.frontend.endpoint, faces.backend.endpoint)
    finally:
        await device.stop()
