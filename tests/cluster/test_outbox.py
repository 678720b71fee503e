"""What goes to one peer: in order, few frames, bounded, and nothing lost between connections."""

import asyncio
import secrets
import select
from contextlib import asynccontextmanager

import pytest
import zmq

from actormq.cluster.outbox import Outbox
from actormq.errors import LinkFull
from actormq.loop import Loop
from actormq.settings import BUFFER_BYTES, FRAME_BYTES, FRAME_MESSAGES
from actormq.transport import LINK_DIALER, LINK_HWM, LINK_LISTENER, Transport

MESSAGE = b"x" * 100


class Ends:
    """A peer that listens, and connections to it."""

    def __init__(self):
        self.loop = Loop()
        self.transport = Transport(self.loop, lan=False, frame_limit=10 * BUFFER_BYTES)
        self.came = []
        self.peer = self.transport.open(LINK_LISTENER, lambda frames: self.came.append(frames[1:]))
        self.endpoint = self.transport.bind(self.peer, "tcp://127.0.0.1:*", "test")

    def connection(self):
        port = self.transport.open(LINK_DIALER, lambda _: None, secrets.token_bytes(5))
        self.transport.connect(port, self.endpoint, "test")
        return port

    def outbox(self, limit=1_000_000):
        return Outbox(self.loop, "peer", limit)

    def messages(self):
        return b"".join(frame for frames in self.came for frame in frames)


@asynccontextmanager
async def ends():
    these = Ends()
    try:
        yield these
    finally:
        these.transport.close_ports()
        await asyncio.to_thread(these.transport.close)


async def test_what_one_tick_says_goes_in_one_frame(until):
    async with ends() as e:
        outbox = e.outbox()
        outbox.attach(e.connection())
        for number in range(10):
            outbox.put(b"%d" % number)
        assert e.came == []
        await until(lambda: e.came)
        assert e.came == [[b"0123456789"]]
        assert (outbox.sent_count, outbox.waiting_bytes) == (10, 0)


@pytest.mark.parametrize(
    ("size", "count", "frames"),
    [(1, FRAME_MESSAGES + 1, 2), (FRAME_BYTES // 4, 9, 3), (2 * FRAME_BYTES, 3, 3)],
)
async def test_a_frame_is_bounded_in_messages_and_bytes(until, size, count, frames):
    async with ends() as e:
        outbox = e.outbox()
        outbox.attach(e.connection())
        for _ in range(count):
            outbox.put(b"x" * size)
        await until(lambda: len(e.messages()) == size * count)
        assert len(e.came) == frames


async def test_messages_keep_their_order_around_one_with_buffers(until):
    async with ends() as e:
        outbox = e.outbox()
        outbox.attach(e.connection())
        buffer = bytearray(b"b" * BUFFER_BYTES)
        outbox.put(b"1")
        outbox.put(b"2", [buffer, memoryview(b"small")])
        outbox.put(b"3")
        await until(lambda: len(e.came) == 3)
        assert e.came == [[b"1"], [b"2", bytes(buffer), b"small"], [b"3"]]
        assert (outbox.sent_count, outbox.waiting_bytes) == (3, 0)


async def test_what_waits_is_bounded_and_what_is_over_is_refused(until):
    async with ends() as e:
        outbox = e.outbox(limit=1_000)
        for _ in range(10):
            outbox.put(MESSAGE)
        with pytest.raises(LinkFull, match="1000 bytes wait for node 'peer'"):
            outbox.put(b"x")
        with pytest.raises(LinkFull):
            outbox.put(b"", [b"x"])
        assert outbox.waiting_bytes == 1_000
        outbox.attach(e.connection())
        await until(lambda: outbox.waiting_bytes == 0)
        outbox.put(b"more")
        await until(lambda: e.messages() == MESSAGE * 10 + b"more")


async def test_a_message_over_the_limit_goes_when_nothing_else_waits(until):
    async with ends() as e:
        outbox = e.outbox(limit=1_000)
        outbox.attach(e.connection())
        outbox.put(b"x" * 5_000)
        with pytest.raises(LinkFull):
            outbox.put(b"y")
        await until(lambda: e.messages() == b"x" * 5_000)


async def test_what_waits_outlives_the_connection(until):
    async with ends() as e:
        outbox = e.outbox()
        first = e.connection()
        outbox.attach(first)
        outbox.put(b"1")
        await until(lambda: e.messages() == b"1")
        outbox.detach()
        e.transport.close_port(first, 0)
        outbox.put(b"2")
        outbox.flush()
        outbox.put(b"3")
        outbox.attach(e.connection())
        await until(lambda: e.messages() == b"123")
        assert outbox.sent_count == 3


async def test_past_the_mark_of_the_socket_it_goes_on_when_there_is_room(until):
    async with ends() as e:
        outbox = e.outbox(limit=1_000_000_000)
        e.peer.pause()
        outbox.attach(e.connection())
        count = 20 * LINK_HWM
        for number in range(count):
            outbox.put(b"%08d" % number + b"x" * FRAME_BYTES)
        await until(lambda: outbox._is_blocked)
        for _ in range(100):
            await asyncio.sleep(0)
        assert outbox.sent_count < count
        e.peer.resume()
        await until(lambda: len(e.came) == count)
        assert [int(frames[0][:8]) for frames in e.came] == list(range(count))
        assert (outbox.sent_count, outbox.waiting_bytes) == (count, 0)


@pytest.mark.slow
async def test_room_that_comes_while_the_socket_is_looked_at_is_noticed(until):
    async with ends() as e:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as peer:
            peer.set(zmq.RCVHWM, 1)
            e.endpoint = f"tcp://127.0.0.1:{peer.bind_to_random_port('tcp://127.0.0.1')}"
            outbox = e.outbox(limit=1_000_000_000)
            port = e.connection()
            outbox.attach(port)
            for _ in range(20 * LINK_HWM):
                outbox.put(b"x" * FRAME_BYTES)
            await until(lambda: outbox._is_blocked and outbox.sent_count > LINK_HWM)
            sent = outbox.sent_count
            while not select.select([port.socket.FD], [], [], 0)[0]:  # no edge yet
                assert peer.poll(5_000)
                peer.recv_multipart()
            port._looked()  # which takes the edge away
            await until(lambda: outbox.sent_count > sent)


@pytest.mark.parametrize("is_early", [True, False], ids=["before it connects", "at its mark"])
async def test_the_message_that_waits_for_room_outlives_the_connection_too(until, is_early):
    async with ends() as e:
        outbox = e.outbox(limit=1_000_000_000)
        first = e.connection()
        if not is_early:
            e.peer.pause()
        outbox.attach(first)
        count = 0
        while not outbox._is_blocked:
            outbox.put(b"%08d" % count + b"x" * FRAME_BYTES)
            outbox.flush()
            count += 1
            if not is_early:
                await asyncio.sleep(0)
        outbox.detach()
        sent = outbox.sent_count
        e.transport.close_port(first, 0)
        assert outbox.waiting_bytes == (count - sent) * (8 + FRAME_BYTES)
        e.peer.resume()
        outbox.attach(e.connection())
        await until(lambda: outbox.sent_count == count)

        def later():
            # The peer takes from both connections in turn, so earlier ones may come between.
            numbers = [int(frames[0][:8]) for frames in e.came]
            return [number for number in numbers if number >= sent]

        await until(lambda: later()[-1:] == [count - 1])
        assert later() == list(range(sent, count))
        assert outbox.waiting_bytes == 0


async def test_what_no_connection_took_is_counted_when_the_peer_is_gone():
    async with ends() as e:
        outbox = e.outbox()
        for _ in range(300):
            outbox.put(b"x")
        outbox.put(b"y", [b"buffer"])
        assert outbox.close() == outbox.dropped_count == 301
        assert (outbox.sent_count, outbox.waiting_bytes) == (0, 0)
        assert outbox.close() == 0


async def test_what_waits_is_sent_or_dropped_and_counted_once():
    async with ends() as e:
        outbox = e.outbox()
        outbox.put(b"1")
        outbox.flush()
        outbox.put(b"2")
        assert (outbox.waiting_count, outbox.sent_count, outbox.dropped_count) == (2, 0, 0)
        outbox.close()
        assert (outbox.waiting_count, outbox.sent_count, outbox.dropped_count) == (0, 0, 2)
