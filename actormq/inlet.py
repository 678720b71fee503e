"""The way into an actor for whoever is off the loop: its PAIR/inproc pair.

Messages wait in a queue and the pair rings: one empty frame for as many messages as have come
since the last, so that the pair's own limit of 2 000 messages is never met.
A PAIR has one peer, and a second sender's messages vanish: the far end stays in here, behind a
lock. The pair is opened by the first message; most actors never need one.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from actormq.errors import SetupError
from actormq.loop import Loop
from actormq.port import Port
from actormq.transport import Transport


class Inlet:
    """Takes messages for one actor from any thread.

    Args:
        loop: The node's loop.
        transport: Opens the pair.
        deliver: Called with each message, on the loop, in the order of each sender.
    """

    def __init__(self, loop: Loop, transport: Transport, deliver: Callable[[Any], None]) -> None:
        self._loop = loop
        self._transport = transport
        self._deliver = deliver
        self._lock = threading.Lock()
        self._waiting: deque[Any] = deque()
        self._rung = False
        self._near: Port | None = None
        self._far: zmq.Socket[bytes] | None = None
        self._closed = False

    def __len__(self) -> int:
        """How many messages wait to be taken to the loop."""
        return len(self._waiting)

    def put(self, message: Any) -> bool:
        """Leave a message, from any thread.

        Returns:
            False if the inlet is closed, and the message was not taken.
        """
        with self._lock:
            if self._closed:
                return False
            self._waiting.append(message)
            if not self._rung:
                self._rung = True
                if self._far is None:
                    self._loop.call_from_thread(self._open)
                else:
                    self._far.send(b"", zmq.DONTWAIT)
            return True

    def _open(self) -> None:
        if self._closed:
            return
        if self._far is None:
            # Without descriptors for a pair, the loop itself is the bell: slower, and nothing lost.
            with contextlib.suppress(SetupError):
                self._near, far = self._transport.bell(self._ring)
                with self._lock:
                    self._far = far
        self._take()

    def _ring(self, _frames: list[bytes]) -> None:
        self._take()

    def _take(self) -> None:
        with self._lock:
            messages, self._waiting = self._waiting, deque()
            self._rung = False
        for message in messages:
            self._deliver(message)

    def close(self) -> list[Any]:
        """Take no more, and hand out what still waits; on the loop."""
        with self._lock:
            self._closed = True
            left, self._waiting = list(self._waiting), deque()
            if self._far is not None:
                self._far.close(0)
                self._far = None
        if self._near is not None:
            self._transport.close_port(self._near, 0)
            self._near = None
        return left
