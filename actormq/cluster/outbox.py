"""What goes to one peer: in order, one tick's envelopes in one frame, bounded in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from actormq.cluster.lending import LENT_BYTES, Lender
from actormq.cluster.row import LEAST, NO_ROOM, ReplyRow, Room, Row
from actormq.errors import LinkFull, NodeUnreachable
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
        replies: What gathers the answers to the peer's asks.
        lender: Lends large buffers to a peer of this host; None for any other.
        sent_count: Messages handed to a connection, each envelope one, and each of a row.
        dropped_count: Messages that no connection took before the peer was gone.
    """

    def __init__(self, loop: Loop, who: str, limit: int) -> None:
        self._loop = loop
        self._who = who
        self._limit = limit
        self._port: Port | None = None
        self._prefix: list[Any] = []
        self._rows: dict[int | None, Row] = {}  # what has gathered behind the batch, by receiver
        self._room = Room(0)  # for these
        self.replies = ReplyRow()
        self._batch: list[bytes] = []  # one frame to be, in pieces
        self._batch_bytes = self._batch_count = 0
        self._queue: deque[tuple[list[Any], int, int]] = deque()  # frames, bytes, messages
        self._is_dirty = False
        self._is_blocked = False
        self._is_closed = False
        self.lender: Lender | None = None
        self._waiting_bytes = 0  # but for the rows
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
            NodeUnreachable: The peer is gone.
        """
        if self._is_closed:
            raise NodeUnreachable(self._who)
        if self._rows:
            self._end_rows()
        size = len(packed)
        if buffers:
            size += sum(memoryview(buffer).nbytes for buffer in buffers)
        if self._waiting_bytes and self._waiting_bytes + size > self._limit:
            raise LinkFull(self._who, self._limit)
        if buffers and self.lender is not None and size >= LENT_BYTES:
            lent = self.lender.lend(packed, buffers)
            if lent is not None:
                packed, buffers = lent, ()
        self._waiting_bytes += size
        if buffers:
            self._seal()
            self._queue.append(([packed, *buffers], size, 1))
        else:
            self._batch.append(packed)
            self._batch_bytes += size
            self._batch_count += 1
            if self._batch_count >= FRAME_MESSAGES or self._batch_bytes >= FRAME_BYTES:
                self._seal()
                self._pump()
        self._flush_soon()

    def say(self, packed: bytes) -> None:
        """Queue a packed envelope of the link's own, which is small and not to be refused."""
        if self._rows:
            self._end_rows()
        self._waiting_bytes += len(packed)
        self._batch.append(packed)
        self._batch_bytes += len(packed)
        self._batch_count += 1
        self._flush_soon()

    def make_way(self, to: int | None) -> None:
        """End the rows that what is queued next must not be overtaken by.

        Args:
            to: The serial of the actor that it is for; None for what must keep its place among all.
        """
        rows = self._rows
        if rows and (to is None or None in rows):
            self._end_rows()
        elif to in rows:
            self._end([rows.pop(to)])

    def begin_row(self, row: Row, size: int, most: int) -> None:
        """Queue an envelope that may be added to, by its row, until it has to make way.

        So several rows go on at a time, each to another actor: order is promised from each sender
        to each receiver.

        Args:
            row: The row, for which way was made; the caller then puts the first message into it.
            size: Bytes of an envelope with that one alone.
            most: Bytes of one envelope; 0 if nothing shall follow.

        Raises:
            LinkFull: More than the limit waits already.
            NodeUnreachable: The peer is gone.
        """
        rows, room = self._rows, self._room
        if rows and size > room.left:
            self._end_rows()
        if not rows:
            if self._is_closed:
                raise NodeUnreachable(self._who)
            waiting, count = self._waiting_bytes, self._batch_count
            if waiting and waiting + size > self._limit:
                raise LinkFull(self._who, self._limit)
            in_frame = FRAME_BYTES - (max(self._batch_bytes, LEAST * count) if count else 0)
            room.left = min(self._limit - waiting, in_frame, most or in_frame)
        room.left -= size if size > LEAST else LEAST  # noqa: FURB136 a call costs thrice
        row.room = room if most else NO_ROOM
        rows[row.to] = row
        if not self._is_dirty:
            self._is_dirty = True
            self._loop.flush_soon(self)

    def _flush_soon(self) -> None:
        if not self._is_dirty:
            self._is_dirty = True
            self._loop.flush_soon(self)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for a connection, or for room in one."""
        return self._waiting_bytes + sum(row.size for row in self._rows.values())

    @property
    def waiting_count(self) -> int:
        """Messages that wait for a connection, or for room in one."""
        in_rows = sum(len(row.parts) for row in self._rows.values())
        return in_rows + self._batch_count + sum(count for _, _, count in self._queue)

    def flush(self) -> None:
        """Send what one tick has gathered."""
        self._is_dirty = False
        self._seal()
        self._pump()

    def close(self) -> int:
        """Drop what waits, and say how many messages that were; nothing is taken any more."""
        self._port = None
        self._is_closed = True
        self._seal()
        dropped = sum(count for _, _, count in self._queue)
        self._queue.clear()
        self._waiting_bytes = 0
        self.dropped_count += dropped
        return dropped

    def _end_rows(self) -> None:
        rows = list(self._rows.values())
        self._rows.clear()
        self._end(rows)

    def _end(self, rows: list[Row]) -> None:
        count = self._batch_count + sum([len(row.parts) for row in rows])
        packed = [row.end() for row in rows]
        size = sum(map(len, packed))
        self._batch += packed
        self._batch_count = count
        self._batch_bytes += size
        self._waiting_bytes += size
        if count >= FRAME_MESSAGES or self._batch_bytes >= FRAME_BYTES:
            self._seal()
            self._pump()

    def _seal(self) -> None:
        rows, batch = self._rows, self._batch
        if len(rows) == 1 and not batch:  # as most frames are
            _, row = rows.popitem()
            count, frame = len(row.parts), row.end()
            self._waiting_bytes += len(frame)
            self._queue.append(([frame], len(frame), count))
            return
        if rows:
            self._end_rows()
            batch = self._batch
        if batch:
            frame = batch[0] if len(batch) == 1 else b"".join(batch)
            self._queue.append(([frame], self._batch_bytes, self._batch_count))
            self._batch, self._batch_bytes, self._batch_count = [], 0, 0

    def _pump(self) -> None:
        port, queue = self._port, self._queue
        while queue and port is not None and not (self._is_blocked or port.is_closed):
            frames, size, _ = queue[0]
            is_small = size < BUFFER_BYTES or (len(frames) == 1 and len(frames[0]) < BUFFER_BYTES)
            if port.send([*self._prefix, *frames], copy=is_small):
                self._sent()
            else:
                self._wait(port)

    def _sent(self) -> None:
        _, size, count = self._queue.popleft()
        self._waiting_bytes -= size
        self.sent_count += count

    def _wait(self, port: Port) -> None:
        self._is_blocked = True
        if self._prefix:
            self._loop.call_later(RETRY, self._unblock, port)
            return
        frames, *_ = self._queue[0]  # stays until it is sent: the connection may break

        def done(was_sent: bool) -> None:
            if self._port is port:
                if was_sent:
                    self._sent()
                self._unblock(port)

        port.send_when_writable(frames, done)

    def _unblock(self, port: Port) -> None:
        if self._port is port:
            self._is_blocked = False
            self._pump()
