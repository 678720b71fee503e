"""What a plain program sends and then exits arrives whole, however slowly it is read."""

import asyncio
import sys

import pytest

from actormq import Actor, Puller, Subscriber, handler

HEARTBEAT_IVL = 1.0  # s; what other programs set, ZeroMQ's own default is none

COUNT = 30_000

PROGRAM = f"""
import sys, zmq
kind, port = sys.argv[1:]
context = zmq.Context()
socket = context.socket(getattr(zmq, kind))
socket.connect("tcp://127.0.0.1:" + port)
if kind == "XPUB":
    socket.set(zmq.XPUB_NODROP, 1)
    socket.recv()
for number in range({COUNT}):
    socket.send(b"t %d" % number)
context.destroy(-1)
"""


class Slow(Actor):
    """Reads about as fast as the program sends for a while, and is then told to go on."""

    tasks = Puller(bind="tcp://127.0.0.1:*", codec="text")
    feed = Subscriber(bind="tcp://127.0.0.1:*", codec="text")

    def __init__(self):
        self.heard = []
        self.gate = None

    async def on_start(self):
        await self.feed.subscribe("t")

    @tasks.received
    async def task(self, text):
        await self._note(text)

    @feed.received
    async def reading(self, topic, text):
        await self._note(f"{topic} {text}")

    async def _note(self, text):
        if self.gate is not None:
            await self.gate.wait()
        self.heard.append(text)

    @handler
    def port(self, attribute):
        return getattr(self, attribute).endpoint.rpartition(":")[2]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "attribute"), [("PUSH", "tasks"), ("XPUB", "feed")])
async def test_the_last_words_of_a_program_that_exits_arrive(mesh, until, kind, attribute):
    node = await mesh.start()
    ref = await node.spawn(Slow)
    actor = node._runtime.registry.by_serial(ref.address.serial).actor
    port = await ref.ask("port", attribute)
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, kind, port)
    await until(lambda: len(actor.heard) > 100)
    actor.gate = asyncio.Event()  # from here on what comes stays in sockets and in the system
    status = await asyncio.wait_for(program.wait(), 20)
    assert status == 0
    live = getattr(actor, attribute)
    await until(lambda: live.peer_count == 0 or live.waiting >= 1_000)
    await _heartbeats_would_have_gone_out()
    actor.gate.set()
    await until(lambda: len(actor.heard) == COUNT)
    assert actor.heard == [f"t {number}" for number in range(COUNT)]


async def _heartbeats_would_have_gone_out():
    """Let a heartbeat's interval pass: there is no event for what must not happen."""
    await asyncio.sleep(1.2 * HEARTBEAT_IVL)
