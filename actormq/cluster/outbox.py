"""What goes to one peer: in order, one tick's envelopes in one frame, bounded in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from actormq.cluster.lending import LENT_BYTES, Lender
from actormq.errors import LinkFull
from actormq.loop import Loop
from actormq.port import Port
from actormq.settings import BUFFER_BYTES, FRAME_BYTES, FRAME_MESSAGES

RETRY = 0.01  # s until a ROUTER whose guest is slow is tried again


class Outbox:
    """A queue to one peer that outlives the connections it is sent on.

    Args:
        loop: The node's loop.
        who: The peer's name, for errors.
        limit: Bytes that may wait; what is over is refused.

    Attributes:
        lender: Lends large buffers to a peer of this host; None for any other.
        sent_count: Envelopes handed to a connection.
        dropped_count: Envelopes that no connection took before the peer was gone.
    """

    def __init__(self, loop: Loop, who: str, limit: int) -> None:
        self._loop = loop
        self._who = who
        self._limit = limit
        self._port: Port | None = None
        self._prefix: list[Any] = []
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._queue: deque[tuple[list[Any], int, int]] = deque()  # frames, bytes, envelopes
        self._is_dirty = False
        self._is_blocked = False
        self.lender: Lender | None = None
        self.waiting_bytes = 0
        self.sent_count = 0
        self.dropped_count = 0

    def attach(self, port: Port, routing_id: bytes | None = None) -> None:
        """Send on this connection from now on.

        Args:
            port: A DEALER of our own, or the ROUTER that a guest has connected to.
            routing_id: The guest's, for the ROUTER.
        """
        self._port = port
        self._prefix = [] if routing_id is None else [routing_id]
        self._is_blocked = False
        if self.lender is not None:
            self.lender.begin()
        self._pump()

    def detach(self) -> None:
        """The connection broke; what waits stays for the next one."""
        self._port = None

    def put(self, packed: bytes, buffers: Sequence[Any] = ()) -> None:
        """Queue one packed envelope, and the buffers that travel beside it.

        Raises:
            LinkFull: More than the limit waits already.
        """
        size = len(packed)
        if buffers:
            size += sum(memoryview(buffer).nbytes for buffer in buffers)
        if self.waiting_bytes and self.waiting_bytes + size > self._limit:
            raise LinkFull(self._who, self._limit)
        if self.lender is not None and size >= LENT_BYTES and buffers:
            lent = self.lender.lend(packed, buffers)
            if lent is not None:
                packed, buffers = lent, ()
        if buffers:
            self.waiting_bytes += size
            self._seal()
            self._queue.append(([packed, *buffers], size, 1))
        else:
            self._add(packed, size)
        self._flush_soon()

    def say(self, packed: bytes) -> None:
        """Queue a packed envelope of the link's own, which is small and not to be refused."""
        self._add(packed, len(packed))
        self._flush_soon()

    def _add(self, packed: bytes, size: int) -> None:
        self.waiting_bytes += size
        self._batch.append(packed)
        self._batch_bytes += size
        if len(self._batch) >= FRAME_MESSAGES or self._batch_bytes >= FRAME_BYTES:
            self._seal()
            self._pump()

    def _flush_soon(self) -> None:
        if not self._is_dirty:
            self._is_dirty = True
            self._loop.flush_soon(self)

    @property
    def waiting_count(self) -> int:
        """Envelopes that wait for a connection, or for room in one."""
        return len(self._batch) + sum(count for _, _, count in self._queue)

    def flush(self) -> None:
        """Send what one tick has gathered."""
        self._is_dirty = False
        self._seal()
        self._pump()

    def close(self) -> int:
        """Drop what waits, and say how many envelopes that were."""
        self._seal()
        dropped = sum(count for _, _, count in self._queue)
        self._queue.clear()
        self.waiting_bytes = 0
        self.dropped_count += dropped
        self._port = None
        return dropped

    def _seal(self) -> None:
        batch = self._batch
        if batch:
            frame = batch[0] if len(batch) == 1 else b"".join(batch)
            self._queue.append(([frame], self._batch_bytes, len(batch)))
            self._batch, self._batch_bytes = [], 0

    def _pump(self) -> None:
        port, queue = self._port, self._queue
        while queue and port is not None and not (self._is_blocked or port.is_closed):
            frames, size, count = queue[0]
            is_small = len(frames) == 1 and len(frames[0]) < BUFFER_BYTES
            if port.send([*self._prefix, *frames], copy=is_small):
                queue.popleft()
                self._sent(size, count)
            else:
                self._wait(port)

    def _sent(self, size: int, count: int) -> None:
        self.waiting_bytes -= size
        self.sent_count += count

    def _wait(self, port: Port) -> None:
        self._is_blocked = True
        if self._prefix:
            self._loop.call_later(RETRY, self._unblock, port)
            return
        frames, size, count = self._queue[0]  # stays until it is sent: the connection may break

        def done(was_sent: bool) -> None:
            if self._port is port:
                if was_sent:
                    self._queue.popleft()
                    self._sent(size, count)
                self._unblock(port)

        port.send_when_writable(frames, done)

    def _unblock(self, port: Port) -> None:
        if self._port is port:
            self._is_blocked = False
            self._pump()
