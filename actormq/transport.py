"""Opens, registers, drains, flushes and closes every socket; nothing else does.

Every trap of ZeroMQ on a shared loop is cured here once:

- a stream wakes up once for many messages: each wake-up drains up to `DRAIN_MESSAGES`;
- raw use of a socket eats the edge of its descriptor: after raw sends the port looks at EVENTS;
- ZMQStream's own send queue has no bound: it is given one message at most, the one that waits;
- an exception in a callback stalls what waits behind it: every callback is guarded;
- a listener without `zap_domain` takes ZMTP 1.0 from strangers: every listener sets it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import resource
from collections.abc import Callable, Sequence
from typing import Any

import zmq
from zmq.eventloop.zmqstream import ZMQStream
from zmq.utils.monitor import parse_monitor_message

from actormq.errors import PortInUse, SetupError
from actormq.loop import Loop
from actormq.settings import DRAIN_MESSAGES, TOPIC_BYTES

Frames = Sequence[Any]
"""One multipart message: bytes-like frames."""

ZAP_DOMAIN = b"actormq"
HANDSHAKE_IVL_MS = 3_000  # 4 000 half-open connections do no harm at 1 to 5 s (measured)
HEARTBEAT_IVL_MS, HEARTBEAT_TIMEOUT_MS = 1_000, 5_000  # frees what a vanished host left open
LINK_HWM = 64  # link frames, of up to 64 KiB each; past it our own bounded queue begins
STREAM_HWM = 1_000  # published frames, of up to 64 KiB, that a subscriber may be behind
LINGER_MS = 500  # a goodbye on a LAN takes 1 ms; a dead peer must not hold up the end
TOPIC_FRAME_BYTES = 1 + TOPIC_BYTES + 64  # what an XPUB may be sent: a byte, a topic, our marks
BACKLOG = 1024  # 50 nodes that come back at once

# As plain integers: pyzmq's enums cost more than the calls that take them.
_EVENTS, _DONTWAIT = int(zmq.EVENTS), int(zmq.DONTWAIT)
_POLLIN, _POLLOUT = int(zmq.POLLIN), int(zmq.POLLOUT)

SCHEMES = ("tcp://", "ipc://", "inproc://")


def raise_descriptor_limit() -> None:
    """Lift the soft limit of open descriptors to the hard one: each PAIR takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses "unlimited"
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Port:
    """One socket on the loop.

    Args:
        loop: The node's loop.
        socket: A socket of `Transport`, whose options are set.
        receive: Called with each message, on the loop; None for a socket that only sends.
    """

    def __init__(
        self, loop: Loop, socket: zmq.Socket[bytes], receive: Callable[[list[bytes]], None] | None
    ) -> None:
        self._loop = loop
        self._receive = receive
        self._writable: Callable[[bool], None] | None = None
        self._looking = False
        self._paused = False
        self._monitor: ZMQStream | None = None
        self.socket = socket
        self._stream = ZMQStream(socket, loop.io)
        if receive is not None:
            self._stream.on_recv(self._arrived)

    @property
    def endpoint(self) -> str:
        """Where the socket was bound or connected last."""
        return self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._stream.closed()

    # -- sending ------------------------------------------------------------------------------

    def send(self, frames: Frames, copy: bool = True) -> bool:
        """Send one message now.

        Returns:
            False if the socket is at its high-water mark, or its peer is gone; nothing was sent.
        """
        try:
            if len(frames) == 1:
                self.socket.send(frames[0], _DONTWAIT, copy=copy)
            else:
                self.socket.send_multipart(frames, _DONTWAIT, copy=copy)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        self._look()
        return True

    def send_when_writable(self, frames: Frames, done: Callable[[bool], None]) -> None:
        """Send one message as soon as there is room, then call `done`, with False if it failed.

        One message may wait at a time. Only for DEALER: ROUTER and XPUB always say that they have
        room.
        """
        assert self._writable is None
        self._writable = done
        self._stream.on_send(self._sent)
        self._stream.send_multipart(list(frames), flags=zmq.DONTWAIT)

    def _sent(self, _frames: object, status: object) -> None:
        done, self._writable = self._writable, None
        if done is not None:
            guarded(done, not isinstance(status, Exception))

    # -- receiving ----------------------------------------------------------------------------

    def _arrived(self, first: list[bytes]) -> None:
        receive = self._receive
        assert receive is not None
        guarded(receive, first)
        self._drain(DRAIN_MESSAGES - 1)

    def _drain(self, most: int) -> None:
        """Take what waits; ZMQStream looks at EVENTS itself afterwards."""
        receive, socket = self._receive, self.socket
        assert receive is not None
        for _ in range(most):
            # Asking costs a sixth of the exception that an empty socket would raise.
            if self._paused or socket.closed or not self._has_message():
                return
            guarded(receive, socket.recv_multipart(_DONTWAIT))

    def _has_message(self) -> bool:
        return bool(int(self.socket.get(_EVENTS)) & _POLLIN)

    def _look(self) -> None:
        """After raw sends, look once a tick whether something came that no edge will tell of."""
        if self._receive is not None and not self._looking:
            self._looking = True
            self._loop.call_soon(self._looked)

    def _looked(self) -> None:
        self._looking = False
        if self._stream.closed() or self._paused:
            return
        events = int(self.socket.get(_EVENTS))
        if events & _POLLOUT and self._writable is not None:
            self._stream.flush(zmq.POLLOUT)  # looking has taken the edge that the stream waits for
        if events & _POLLIN:
            self._drain(DRAIN_MESSAGES)
            self._look()

    def pause(self) -> None:
        """Stop receiving: what comes waits in the socket, then at the sender."""
        if not self._paused:
            self._paused = True
            self._stream.stop_on_recv()

    def resume(self) -> None:
        """Receive again."""
        if self._paused and not self.is_closed:
            self._paused = False
            self._stream.on_recv(self._arrived)
            self._look()

    # -- connections --------------------------------------------------------------------------

    def watch(self, events: int, heard: Callable[[int, str], None]) -> None:
        """Hear of the socket's connections.

        Args:
            events: Those of zmq.EVENT_* that matter; few, for each is a message.
            heard: Called with the event and its endpoint, on the loop.
        """
        name = f"inproc://monitor-{id(self)}"
        self.socket.monitor(name, events)
        pair: zmq.Socket[bytes] = self.socket.context.socket(zmq.PAIR)
        # An unread monitor stops all sockets of its context; this one never blocks them.
        pair.set(zmq.RCVHWM, 0)
        pair.set(zmq.LINGER, 0)
        pair.connect(name)
        self._monitor = ZMQStream(pair, self._loop.io)

        def parse(frames: list[bytes]) -> None:
            message: Any = parse_monitor_message(frames)
            guarded(heard, int(message["event"]), message["endpoint"].decode(errors="replace"))

        self._monitor.on_recv(parse)

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Close the socket; what was sent goes out for `linger_ms` at most."""
        if self._stream.closed():
            return
        if self._monitor is not None:
            # In this order: closing the reading end first can freeze the process.
            self.socket.disable_monitor()
            self._monitor.close(0)
            self._monitor = None
        self._writable = None
        self._stream.close(linger_ms)


def guarded(callback: Callable[..., object], *args: Any) -> None:
    """Call it; an exception is logged, for in a stream's callback it would stall the stream."""
    try:
        callback(*args)
    except Exception:  # a border: see the head of this file
        logging.getLogger("actormq").exception("internal error in %s: please report", callback)


class Transport:
    """The sockets of one node: their context, options and end.

    Args:
        loop: The node's loop.
        lan: Whether listeners without an address of their own are open to other machines.
        frame_limit: Bytes of the largest frame that may come in on a link or stream.
    """

    def __init__(self, loop: Loop, lan: bool, frame_limit: int) -> None:
        raise_descriptor_limit()
        self._loop = loop
        self._frame_limit = frame_limit
        self.host = "0.0.0.0" if lan else "127.0.0.1"  # noqa: S104 the user's word: insecure_lan
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.context.set(zmq.MAX_SOCKETS, self.context.get(zmq.SOCKET_LIMIT))
        self._ports: set[Port] = set()

    # -- the kinds of ports -------------------------------------------------------------------

    def router(self, receive: Callable[[list[bytes]], None]) -> Port:
        """A socket that all peers send to. It tells when an answer has nowhere to go."""
        socket = self._socket(zmq.ROUTER)
        socket.set(zmq.ROUTER_MANDATORY, 1)
        socket.set(zmq.RCVHWM, LINK_HWM)
        socket.set(zmq.BACKLOG, BACKLOG)
        return self._port(socket, receive)

    def dealer(self, routing_id: bytes, receive: Callable[[list[bytes]], None]) -> Port:
        """A socket to one peer. Its connection is the link: once broken it does not come back."""
        socket = self._socket(zmq.DEALER)
        socket.set(zmq.ROUTING_ID, routing_id)
        socket.set(zmq.IMMEDIATE, 1)
        socket.set(zmq.RECONNECT_IVL, -1)
        socket.set(zmq.SNDHWM, LINK_HWM)
        return self._port(socket, receive)

    def publisher(self, receive: Callable[[list[bytes]], None], lossless: bool) -> Port:
        """An XPUB; `receive` gets subscriptions. A lossless one refuses where others drop."""
        socket = self._socket(zmq.XPUB)
        socket.set(zmq.XPUB_VERBOSER, 1)
        socket.set(zmq.XPUB_NODROP, int(lossless))
        socket.set(zmq.SNDHWM, STREAM_HWM)
        socket.set(zmq.MAXMSGSIZE, TOPIC_FRAME_BYTES)
        return self._port(socket, receive)

    def subscriber(self, receive: Callable[[list[bytes]], None]) -> Port:
        """A SUB without a subscription yet."""
        socket = self._socket(zmq.SUB)
        socket.set(zmq.RCVHWM, STREAM_HWM)
        socket.set(zmq.RECONNECT_IVL_MAX, 2_000)
        return self._port(socket, receive)

    def bell(self, ring: Callable[[list[bytes]], None]) -> tuple[Port, zmq.Socket[bytes]]:
        """A PAIR/inproc pair: the near end on the loop, the far end for whoever holds its lock."""
        name = f"inproc://bell-{id(ring)}-{len(self._ports)}"
        far = self._socket(zmq.PAIR)
        try:
            near = self._socket(zmq.PAIR)
        except SetupError:
            far.close(0)  # one that is left open would hold up the end of its context for ever
            raise
        near.bind(name)
        far.connect(name)
        return self._port(near, ring), far

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        try:
            socket = self.context.socket(kind)
        except zmq.ZMQError as error:
            if error.errno == errno.EMFILE:
                raise SetupError(
                    "no more sockets: the limit of open descriptors is reached; raise it with "
                    "`ulimit -n`, or give fewer actors sockets of their own"
                ) from error
            raise
        socket.set(zmq.LINGER, LINGER_MS)
        if kind != zmq.PAIR:
            socket.set(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
            socket.set(zmq.MAXMSGSIZE, self._frame_limit)
            socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_IVL_MS)
            socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_IVL_MS)
            socket.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
            socket.set(zmq.IPV6, 1)
        return socket

    def _port(self, socket: zmq.Socket[bytes], receive: Callable[[list[bytes]], None]) -> Port:
        port = Port(self._loop, socket, receive)
        self._ports.add(port)
        return port

    # -- endpoints ----------------------------------------------------------------------------

    def bind(self, port: Port, endpoint: str, what: str) -> str:
        """Bind an endpoint.

        Args:
            port: The port to bind.
            endpoint: A ZeroMQ endpoint; `tcp://HOST:*` takes a free port.
            what: Who wants it, for errors.

        Returns:
            The endpoint with what ZeroMQ filled in.

        Raises:
            PortInUse: Somebody else holds it.
            SetupError: It is no endpoint, or not one of this host.
        """
        check_endpoint(endpoint, what)
        try:
            port.socket.bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE:
                raise PortInUse(endpoint, what) from error
            raise SetupError(f"{what} cannot bind {endpoint}: {error.strerror}") from error
        return port.endpoint

    def connect(self, port: Port, endpoint: str, what: str) -> None:
        """Connect to an endpoint, whether somebody is there yet or not.

        Raises:
            SetupError: It is no endpoint.
        """
        check_endpoint(endpoint, what)
        try:
            port.socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise SetupError(f"{what} cannot connect to {endpoint}: {error.strerror}") from error

    def disconnect(self, port: Port, endpoint: str) -> None:
        """Leave an endpoint; one that was left already is no error."""
        with contextlib.suppress(zmq.ZMQError):
            port.socket.disconnect(endpoint)

    def close_port(self, port: Port, linger_ms: int = LINGER_MS) -> None:
        """Close a port of this transport."""
        self._ports.discard(port)
        port.close(linger_ms)

    def close(self) -> None:
        """Close what is open, and the context once all has gone out; may take `LINGER_MS`.

        Must be called off the loop's thread or after its end, for it waits.
        """
        self.context.term()

    def close_ports(self) -> None:
        """Close every port; on the loop."""
        for port in list(self._ports):
            self.close_port(port)


def check_endpoint(endpoint: str, what: str) -> None:
    """Refuse what is no endpoint before ZeroMQ says "Invalid argument".

    Raises:
        SetupError: It is none.
    """
    if not isinstance(endpoint, str) or not endpoint.startswith(SCHEMES):
        raise SetupError(
            f"{what}: {endpoint!r} is no endpoint; take tcp://HOST:PORT, ipc://PATH or inproc://NAME"
        )
    if endpoint.startswith("tcp://"):
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        if not host or not (port in ("*", "!") or (port.isdecimal() and int(port) <= 65535)):  # noqa: PLR2004 TCP's range
            raise SetupError(f"{what}: {endpoint!r} lacks a port; write tcp://HOST:PORT")
