"""What a slot says to its node: results gathered and sent together, a little late at most."""

from __future__ import annotations

import mmap
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import zmq

from actormq.codec import Codec
from actormq.errors import DeliveryError
from actormq.farm import words
from actormq.settings import BUFFER_BYTES

GATHER = 0.02  # s that a result may wait for others: what a person does not notice
ID_BYTES = 9  # of an id in an envelope, at most
_SHORT = 500  # characters of a failure's text where all of it does not fit into a message


class Outgoing:
    """The sending half of a slot's socket; the loop of the slot only receives on it.

    The loop puts finished tasks into `done` by itself: a call for each would be most of what a
    short task costs. It calls `flush` before the next task when `flush_at` is past; a thread does
    where a long task keeps it from that.

    Args:
        socket: A DEALER.
        codec: Packs envelopes.
        page: What this process is at.

    Attributes:
        done: Ids and packed results that wait.
        room: Bytes for which there is room until they are sent.
        flush_at: When they are due, in seconds of `time.monotonic`.
    """

    def __init__(self, socket: zmq.Socket[bytes], codec: Codec, page: mmap.mmap) -> None:
        self._socket = socket
        self._codec = codec
        self._page = page
        self._most = min(BUFFER_BYTES, codec.message_limit // 2)
        self._failed: deque[bytes] = deque()
        self._since = 0.0  # what has run since then is not in any `DONE` yet
        self._lock = threading.Lock()
        self._is_busy = False
        self._is_awake = False
        self._wake = threading.Event()
        self.done: deque[tuple[int, bytes]] = deque()
        self.room = self._most
        self.flush_at = 0.0
        threading.Thread(target=self._watch, name="actormq-results", daemon=True).start()

    def say(self, *envelopes: list[Any]) -> None:
        """Send envelopes, behind what waits."""
        self.flush()
        pack = self._codec.pack_whole
        packed = b"".join(pack("node", envelope) for envelope in envelopes)
        with self._lock:
            self._socket.send(packed)

    def fail(self, head: list[Any], failure: msgspec.Struct) -> None:
        """Say that something failed, with the next results."""
        packed = self._packed([*head, *msgspec.structs.astuple(failure)], failure)
        if len(packed) > self.room:
            self.flush()
        self.room -= len(packed)
        self._failed.append(packed)

    def _packed(self, envelope: list[Any], failure: msgspec.Struct) -> bytes:
        try:
            return self._codec.pack_whole("node", envelope)
        except DeliveryError:  # messages are bounded to less than it has to tell
            bare = msgspec.structs.replace(
                failure,
                text=failure.text[:_SHORT],  # type: ignore[attr-defined]  # a Failure, imported late
                args=None,
                state=None,
                traceback="",
            )
            head = envelope[: -len(failure.__struct_fields__)]
            least = [*head, *msgspec.structs.astuple(bare)]
            return self._codec.pack_whole("node", least)

    @contextmanager
    def batch(self, count: int) -> Iterator[None]:
        """Around the tasks of a batch: what they leave is sent at the end of it at the latest."""
        now = time.monotonic()
        self._since, self.flush_at = now, now + GATHER
        if count > 1:
            self._is_busy = True
            if not self._is_awake:
                self._wake.set()
        try:
            yield
        finally:  # one that means to end the process: what was done before it counts
            self._is_busy = False
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        with self._lock:
            now = time.monotonic()
            self.flush_at, self.room = now + GATHER, self._most
            done, failed = self.done, self._failed
            taken = [done.popleft() for _ in range(len(done))]
            frames: list[Any] = [failed.popleft() for _ in range(len(failed))]
            buffers: list[Any] = []
            if taken:
                ids = [id_ for id_, _ in taken]
                blob = b"".join([result for _, result in taken])
                seconds = self._seconds(ids[-1], now)
                envelope = [words.DONE, ids, self._codec.aside("node", blob), seconds]
                packed, buffers = self._codec.pack("node", envelope)
                frames.append(packed)
            if frames:
                self._socket.send_multipart([b"".join(frames), *buffers], copy=not buffers)

    def _seconds(self, last: int, now: float) -> float:
        """How long what is sent now took; not counted is what is under way, if something is."""
        start, at = words.PAGE.unpack_from(self._page)
        until = now if at == last else min(start, now)
        since, self._since = self._since, until
        return max(until - since, 0.0)

    def _watch(self) -> None:
        """Send what is due while a task keeps the loop from it."""
        while True:
            self._is_awake = False
            if not self._is_busy:  # looked at after that was said, so that no wake-up is lost
                self._wake.wait()
            self._wake.clear()
            self._is_awake = True
            rests = 0
            while self._is_busy or rests < 1.0 / GATHER:
                time.sleep(GATHER)
                rests = 0 if self._is_busy else rests + 1
                if (self.done or self._failed) and time.monotonic() > self.flush_at:
                    self.flush()
