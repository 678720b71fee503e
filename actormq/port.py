"""One socket on the loop: sends, drains, pauses, is watched, flushes and closes.

Every trap of ZeroMQ on a shared loop is cured here once:

- a descriptor tells once of many messages: each wake-up drains up to `DRAIN_MESSAGES`, and comes
  back at once if that was not all;
- any use of a socket eats the edge of its descriptor: after it the port looks at EVENTS;
- whoever waits for room keeps one message: there is no queue without a bound;
- an exception in a callback stalls what waits behind it: every callback is guarded;
- closing the reading end of a monitor first can freeze the process: it is disabled before.

The descriptor is watched on the loop itself. pyzmq's ZMQStream does the same and more at every
wake-up: that was a fifth of the time of an ask between two processes (measured).
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import zmq

from actormq.loop import Loop
from actormq.multicast import Pace
from actormq.settings import DRAIN_MESSAGES

Frames = Sequence[Any]
"""One multipart message: bytes-like frames."""

Monitor = Callable[[int, int, str], None]
"""Takes an event of zmq.EVENT_*, its value (a descriptor, an error), and the endpoint."""

LINGER_MS = 500  # a goodbye on a LAN takes 1 ms; a dead peer must not hold up the end

# As plain integers: pyzmq's enums cost more than the calls that take them.
_EVENTS, _DONTWAIT = int(zmq.EVENTS), int(zmq.DONTWAIT)
_POLLIN, _POLLOUT = int(zmq.POLLIN), int(zmq.POLLOUT)
_MORE = _DONTWAIT | int(zmq.SNDMORE)
# pyzmq's send_multipart looks at each frame first, and its send has options that nobody here uses:
# two frames cost 3.8 us with the one and 1.3 with the other, so (measured) 0.5.
_send = zmq.backend.Socket.send
_REFUSALS = (zmq.EAGAIN, zmq.EHOSTUNREACH)

_IPV4_IN_IPV6 = re.compile(r"\[::ffff:([0-9.]+)\]")


class Port:
    """One socket on the loop.

    Args:
        loop: The node's loop.
        socket: One that `transport` has opened, with its options set.
        receive: Called with each message, on the loop; None for a socket that only sends.

    Attributes:
        copied_frames: Frames of a message that come as bytes; those behind them, which are large on
            a link, come as views of what ZeroMQ has received.
        pace: Of one that sends to a multicast group; None of all others.
    """

    def __init__(
        self, loop: Loop, socket: zmq.Socket[bytes], receive: Callable[[list[bytes]], None] | None
    ) -> None:
        self._loop = loop
        self._receive = receive
        self._waiting: tuple[Frames, Callable[[bool], None]] | None = None
        self._look_after = 0.0
        self._looking = False
        self._paused = False
        self._unwatch: Callable[[], None] | None = None
        self.socket = socket
        self.copied_frames = sys.maxsize
        self.pace: Pace | None = None
        self._descriptor = int(socket.get(zmq.FD))
        loop.watch(self._descriptor, self._ready)
        if receive is not None:
            self.look()  # what has come before is told of by no edge

    @property
    def endpoint(self) -> str:
        """Where the socket was bound or connected last."""
        return as_written(self.socket.getsockopt_string(zmq.LAST_ENDPOINT))

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self.socket.closed

    # -- sending ------------------------------------------------------------------------------

    def send(self, frames: Frames, copy: bool = True) -> bool:
        """Send one message now.

        Returns:
            False if the socket is at its high-water mark, or its peer is gone; nothing was sent.
        """
        return not self.offer(frames, copy)

    def offer(self, frames: Frames, copy: bool = True) -> int:
        """Send one message now, and say how it went.

        Returns:
            0 if it was sent, `zmq.EAGAIN` if the socket is at its high-water mark,
            `zmq.EHOSTUNREACH` if a ROUTER has no such peer.
        """
        refusal = 0
        try:
            *firsts, last = frames
            for frame in firsts:
                _send(self.socket, frame, _MORE, copy)
            _send(self.socket, last, _DONTWAIT, copy)
        except zmq.ZMQError as error:
            if error.errno not in _REFUSALS:
                raise
            refusal = int(error.errno)
        if self.pace is not None and not refusal:
            self.pace.sent(map(len, frames), self._loop.now())
        self.look()
        return refusal

    async def settle(self, most: float) -> None:
        """Wait until what was sent to a multicast group has left; for `most` seconds at most."""
        if self.pace is not None:
            await asyncio.sleep(min(most, self.pace.remaining(self._loop.now())))

    def send_when_writable(self, frames: Frames, done: Callable[[bool], None]) -> None:
        """Send one message as soon as there is room, then call `done`, with False if it failed.

        One message may wait at a time. Only for DEALER: ROUTER and XPUB always say that they have
        room.
        """
        assert self._waiting is None
        self._waiting = (frames, done)
        self._look_soon()

    def _send_waiting(self) -> None:
        assert self._waiting is not None
        frames, done = self._waiting
        refusal = self.offer(frames)
        if refusal != zmq.EAGAIN:
            self._waiting = None
            guarded(done, not refusal)

    # -- receiving ----------------------------------------------------------------------------

    def _ready(self) -> None:
        """The descriptor has told of something: of what, only EVENTS says."""
        if self._waiting is None and self._receive is not None and not self._paused:
            self._drain()  # which is the shortest look
            return
        events = int(self.socket.get(_EVENTS))
        if events & _POLLOUT and self._waiting is not None:
            self._send_waiting()  # looking has taken the edge
        if events & _POLLIN and self._receive is not None:
            self._drain()  # nothing, while it is paused

    def _drain(self) -> None:
        """Take what waits, up to a bound.

        Most wake-ups are for one message, and asking costs a third of the exception that an empty
        socket raises; where there is a second one there are mostly many, and asking before each
        would cost more than receiving it.
        """
        receive = self._receive
        assert receive is not None
        for count in range(DRAIN_MESSAGES):
            if self._paused or self.socket.closed:
                return
            if count == 1 and not self._has_message():
                return
            try:
                frames = self._received()
            except zmq.Again:
                return
            guarded(receive, frames)
        self._look_soon()

    def _received(self) -> list[Any]:
        """Receive a message; a frame object knows of the next one at a third of RCVMORE's price."""
        receive = self.socket.recv
        frame = receive(_DONTWAIT, copy=False)
        frames: list[Any] = [frame.bytes]
        while frame.more:
            frame = receive(_DONTWAIT, copy=False)
            is_view = len(frames) >= self.copied_frames
            frames.append(frame.buffer.toreadonly() if is_view else frame.bytes)
        return frames

    def spin(self) -> None:
        """Let the loop look for messages while it spins."""
        self._loop.poll(self._descriptor, self._look_now)

    def _look_now(self) -> bool:
        if self._paused or not self._has_message():
            return False
        self._loop.woken(self._drain)
        return True

    def _has_message(self) -> bool:
        return bool(int(self.socket.get(_EVENTS)) & _POLLIN)

    def look(self) -> None:
        """After raw use, look once a tick whether something came that no edge will tell of."""
        if self._looking or (self._receive is None and self._waiting is None):
            return
        if self._look_after and self._waiting is None:
            self._looking = True
            self._loop.call_later(self._look_after, self._looked)
        else:
            self._look_soon()

    def look_late(self, seconds: float) -> None:
        """It mostly sends from now on: what comes in may be noticed so many seconds late.

        A look after every message costs more than sending it.
        """
        self._look_after = seconds

    def _look_soon(self) -> None:
        self._looking = True
        self._loop.call_soon(self._looked)

    def _looked(self) -> None:
        self._looking = False
        if not self.socket.closed:
            self._ready()

    def pause(self) -> None:
        """Stop receiving: what comes waits in the socket, then at the sender."""
        self._paused = True

    def resume(self) -> None:
        """Receive again."""
        if self._paused and not self.is_closed:
            self._paused = False
            self._look_soon()  # now, also where others look late

    # -- connections --------------------------------------------------------------------------

    def watched(self, pair: zmq.Socket[bytes], heard: Monitor) -> None:
        """Read the socket's monitor from now on; see `Transport.watch`."""
        from zmq.utils.monitor import parse_monitor_message  # noqa: PLC0415 brings zmq.asyncio along

        def parse(frames: list[bytes]) -> None:
            message: Any = parse_monitor_message(frames)
            endpoint = message["endpoint"].decode(errors="replace")
            guarded(heard, int(message["event"]), int(message["value"]), as_written(endpoint))

        def end() -> None:
            # In this order: closing the reading end first can freeze the process.
            self.socket.disable_monitor()
            monitor.close(0)

        monitor = Port(self._loop, pair, parse)
        self._unwatch = end

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Close the socket; what was sent goes out for `linger_ms` at most."""
        if self.socket.closed:
            return
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        self._waiting = None
        self._loop.unwatch(self._descriptor)
        self.socket.close(linger_ms)


def as_written(endpoint: str) -> str:
    """An endpoint as people and other hosts write it.

    A socket that takes IPv6 too tells of IPv4 as `tcp://[::ffff:127.0.0.1]:5555`; of what it
    connects to only from the second connection on.
    """
    return _IPV4_IN_IPV6.sub(r"\1", endpoint)


def guarded(callback: Callable[..., object], *args: Any) -> None:
    """Call it; an exception is logged, for it would leave what waits behind it in the socket."""
    try:
        callback(*args)
    except (Exception, asyncio.CancelledError):  # a border: see the head of this file
        logging.getLogger("actormq").exception("internal error in %s: please report", callback)
