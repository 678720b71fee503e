"""What one socket has to send: now if there is room, else as its author chose."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

from actormq.errors import LifecycleError, SetupError, SocketFull
from actormq.loop import Loop
from actormq.patterns.tally import Tally
from actormq.port import Port
from actormq.settings import OUTLET_LIMIT

Full = Literal["wait", "raise", "drop"]

RETRY, RETRY_MOST = 0.001, 0.01  # s between tries while the other end is at its mark
RETRY_ALONE = 0.1  # s between tries while nobody is connected; who comes is told of at once
CLOSE_SECONDS = 1.0  # s that a slow other end may hold up the end of a socket


def check_full(kind: str, full: object) -> None:
    """Refuse what is no answer to a full socket.

    Raises:
        SetupError: It is none.
    """
    if full not in ("wait", "raise", "drop"):
        raise SetupError(f"{kind}: full={full!r} is unknown: take 'wait', 'raise' or 'drop'")


class Outlet:
    """The way out of one socket.

    What ZeroMQ does not take stands in a queue, and goes out before anything that comes later.

    Args:
        loop: The node's loop.
        port: The socket.
        label: Its name, for errors.
        full: What a sender does while something waits: `wait`, `raise`, or `drop` the oldest.
        tally: Counts.
        has_peer: Whether anybody is connected.
    """

    def __init__(
        self,
        loop: Loop,
        port: Port,
        label: str,
        full: Full,
        tally: Tally,
        has_peer: Callable[[], bool] = lambda: True,
    ) -> None:
        self._loop = loop
        self._port = port
        self._label = label
        self._full = full
        self._tally = tally
        self._has_peer = has_peer
        self._queue: deque[Sequence[bytes]] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._has_room = asyncio.Event()
        self._turnstile = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Messages that ZeroMQ has not taken yet, a count."""
        return len(self._queue)

    async def admit(self) -> None:
        """Let a sender go on at once, or do with it as its author chose.

        Raises:
            SocketFull: Something waits, and the choice was `raise`.
            LifecycleError: The socket is closed.
        """
        if self._full == "wait" and (self._queue or self._turnstile.locked()):
            async with self._turnstile:  # which lets them through in the order in which they came
                while self._queue:
                    await self._has_room.wait()
        self.admit_nowait()

    def admit_nowait(self) -> None:
        """As `admit`, but raises where it would wait."""
        if self._port.is_closed:
            raise LifecycleError(f"{self._label} is closed: its actor has stopped")
        if self._queue and self._full != "drop":
            waiting = "nobody is connected" if not self._has_peer() else "the other end is behind"
            raise SocketFull(self._label, waiting)

    def put(self, frames: Sequence[bytes]) -> None:
        """Send a message that was admitted, or let it wait."""
        if not self._queue and self._port.send(frames):
            self._tally.sent += 1
            return
        self._queue.append(frames)
        if len(self._queue) == 1:
            self._has_room.clear()
            self._try_later(RETRY)
        elif self._full == "drop" and len(self._queue) > OUTLET_LIMIT:
            self._queue.popleft()
            self._tally.drop("send", "full", "the oldest that waited was dropped for a newer one")

    def kick(self) -> None:
        """Somebody has come: try again now."""
        if self._queue:
            self._send_waiting(RETRY)

    def _try_later(self, wait: float) -> None:
        self._stop_trying()
        self._retry = self._loop.call_later(wait, self._send_waiting, wait)

    def _stop_trying(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _send_waiting(self, waited: float) -> None:
        """Send what waits, as far as it goes. Not every socket has an event for room: ask again."""
        while self._queue and not self._port.is_closed:
            if not self._port.send(self._queue[0]):
                most = RETRY_MOST if self._has_peer() else RETRY_ALONE
                self._try_later(min(2 * waited, most))
                return
            self._queue.popleft()
            self._tally.sent += 1
            waited = RETRY
        self._stop_trying()
        self._has_room.set()

    async def close(self) -> None:
        """Send what waits, for a short while, and count what is left."""
        if self._queue and self._has_peer():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    while self._queue:
                        await self._has_room.wait()
        self._stop_trying()
        if self._queue:
            text = f"{len(self._queue)} messages could not be sent before the socket was closed"
            self._tally.drop("send", "closed", text, len(self._queue))
            self._queue.clear()
        self._has_room.set()
