"""Opens every socket and sets its options; nothing else does.

- A listener without `zap_domain` takes ZMTP 1.0 from strangers: every socket sets it.
- The socket types are those in `Role` constants below: SERVER and CLIENT sockets can be made with
  the wheel's libzmq, and abort the process.
- PUSH and DEALER have `IMMEDIATE`, or they would queue for endpoints that are dead.

What a socket does on the loop from then on is `port.py`.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import resource
import socket as unix
from collections.abc import Callable, Mapping, Sequence

import msgspec
import zmq

from actormq.endpoint import check_endpoint, is_multicast
from actormq.errors import PortInUse, SetupError
from actormq.loop import Loop
from actormq.multicast import RATE_KBITS, RECOVERY_MS, Pace, addressed, check_multicast
from actormq.port import LINGER_MS, Frames, Monitor, Port, as_written
from actormq.settings import TOPIC_BYTES

ZAP_DOMAIN = b"actormq"
HANDSHAKE_IVL_MS = 3_000  # 4 000 half-open connections do no harm at 1 to 5 s (measured)
# What was sent and is not acknowledged for so long ends a link: the other host has vanished, or
# the way is cut, and a new connection will find it sooner than TCP's growing pauses do. ZeroMQ's
# own heartbeats would tell the same, at four packets a second for each pair of nodes.
LINK_UNACKNOWLEDGED_MS = 5_000
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 10, 2, 3  # s, s, probes: the same in 16 s
LINK_HWM = 64  # link frames, of up to 64 KiB each; past it our own bounded queue begins
STREAM_HWM = 1_000  # messages that the other end of an actor's socket may be behind
TOPIC_FRAME_BYTES = 1 + TOPIC_BYTES + 64  # what an XPUB may be sent: a byte, a topic, our marks
BACKLOG = 1024  # 50 nodes that come back at once
RECONNECT_MS, RECONNECT_MOST_MS = 100, 2_000  # from the first try to the last; 50 peers of a dead

NO_DESCRIPTOR = (
    "no more sockets: the limit of open descriptors is reached; raise it with `ulimit -n`, "
    "or give fewer actors sockets of their own"
)

_XPUB_MANUAL_LAST_VALUE = 98  # libzmq has it since 4.3.2, and pyzmq names it in some builds only


class Role(msgspec.Struct, frozen=True):
    """What a socket is for: its type, and the options that are not everybody's.

    Attributes:
        kind: One of zmq's socket types.
        options: Option to value.
    """

    kind: int
    options: Mapping[int, int] = msgspec.field(default_factory=dict)


# -- between nodes --
_PATIENCE: dict[int, int] = {zmq.TCP_MAXRT: LINK_UNACKNOWLEDGED_MS}
LINK_LISTENER = Role(
    zmq.ROUTER,
    {**_PATIENCE, zmq.ROUTER_MANDATORY: 1, zmq.RCVHWM: LINK_HWM, zmq.BACKLOG: BACKLOG},
)
# Its connection is the link: once broken it does not come back.
LINK_DIALER = Role(
    zmq.DEALER,
    {**_PATIENCE, zmq.IMMEDIATE: 1, zmq.RECONNECT_IVL: -1, zmq.SNDHWM: LINK_HWM},
)

# -- between a node and the processes of its actors --
# One connection for one process: what comes after it ended must not meet the next one.
PROCESS_LISTENER = Role(zmq.ROUTER, {zmq.ROUTER_MANDATORY: 1, zmq.RCVHWM: LINK_HWM})
PROCESS_DIALER = Role(zmq.DEALER, {zmq.IMMEDIATE: 1, zmq.RECONNECT_IVL: -1, zmq.SNDHWM: LINK_HWM})

# -- of actors --
# Without heartbeats: one that reaches a peer which has sent its last words and left is answered
# with a reset, and the system drops what has come and was not read (80 000 of 100 000 messages).
_SENDS: dict[int, int] = {zmq.SNDHWM: STREAM_HWM, zmq.IMMEDIATE: 1}
_RECEIVES: dict[int, int] = {zmq.RCVHWM: STREAM_HWM}
_BOTH: dict[int, int] = {**_SENDS, **_RECEIVES}
PUBLISHER = Role(
    zmq.XPUB,
    {
        zmq.XPUB_VERBOSER: 1,
        zmq.XPUB_NODROP: 1,  # says when a subscriber is full; `send_to_ready` passes it over
        zmq.SNDHWM: STREAM_HWM,
        zmq.MAXMSGSIZE: TOPIC_FRAME_BYTES,
    },
)
RETAINING_PUBLISHER = Role(zmq.XPUB, {**PUBLISHER.options, zmq.XPUB_MANUAL: 1})
SUBSCRIBER = Role(zmq.SUB, _RECEIVES)
PUSHER = Role(zmq.PUSH, _SENDS)
PULLER = Role(zmq.PULL, _RECEIVES)
DEALER = Role(zmq.DEALER, _BOTH)
# With IMMEDIATE a connection that breaks takes along what has come and was not read yet: a server
# that answers and leaves would not be heard. A line knows by itself whether somebody is there.
LINE = Role(zmq.DEALER, {**_BOTH, zmq.IMMEDIATE: 0})
ROUTER = Role(zmq.ROUTER, {**_BOTH, zmq.ROUTER_MANDATORY: 1})
PAIR = Role(zmq.PAIR, _BOTH)


def raise_descriptor_limit() -> None:
    """Lift the soft limit of open descriptors to the hard one: each PAIR takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses "unlimited"
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def new_context() -> zmq.Context[zmq.Socket[bytes]]:
    """A context that takes as many sockets as libzmq can."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, context.get(zmq.SOCKET_LIMIT))
    return context


def open_socket(
    context: zmq.Context[zmq.Socket[bytes]],
    role: Role,
    frame_limit: int,
    routing_id: bytes | None = None,
) -> zmq.Socket[bytes]:
    """Open a socket with its options set.

    Args:
        context: Whose socket it is.
        role: What it is for.
        frame_limit: Bytes of the largest frame that may come in.
        routing_id: What a ROUTER at the other end shall call it.

    Raises:
        SetupError: The process has no descriptor left.
    """
    socket = _opened(context, role.kind)
    socket.set(zmq.LINGER, LINGER_MS)
    socket.set(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
    socket.set(zmq.MAXMSGSIZE, frame_limit)
    socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_IVL_MS)
    socket.set(zmq.TCP_KEEPALIVE, 1)
    socket.set(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE)
    socket.set(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL)
    socket.set(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT)
    socket.set(zmq.IPV6, 1)
    socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.set(zmq.RECONNECT_IVL_MAX, RECONNECT_MOST_MS)
    for option, value in role.options.items():
        socket.set(option, value)
    if routing_id is not None:
        socket.set(zmq.ROUTING_ID, routing_id)
    return socket


def _opened(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    try:
        return context.socket(kind)
    except zmq.ZMQError as error:
        if error.errno == errno.EMFILE:
            raise SetupError(NO_DESCRIPTOR) from error
        raise


def bind_socket(socket: zmq.Socket[bytes], endpoint: str, what: str) -> str:
    """Bind an endpoint.

    Args:
        socket: The socket to bind.
        endpoint: A ZeroMQ endpoint; `tcp://HOST:*` takes a free port.
        what: Who wants it, for errors.

    Returns:
        The endpoint with what ZeroMQ filled in.

    Raises:
        PortInUse: Somebody else holds it.
        SetupError: It is no endpoint, or not one of this host.
    """
    endpoint = _prepared(socket, endpoint, what)
    if _is_taken(endpoint):
        raise PortInUse(endpoint, what)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise PortInUse(endpoint, what) from error
        raise SetupError(f"{what} cannot bind {endpoint}: {_reason(error)}") from error
    return as_written(socket.getsockopt_string(zmq.LAST_ENDPOINT))


def connect_socket(socket: zmq.Socket[bytes], endpoint: str, what: str) -> None:
    """Connect to an endpoint, whether somebody is there yet or not.

    Raises:
        SetupError: It is no endpoint.
    """
    endpoint = _prepared(socket, endpoint, what)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        if "*" in endpoint:
            raise SetupError(
                f"{what} cannot connect to {endpoint}: * is for binding, name a host and a port"
            ) from error
        raise SetupError(f"{what} cannot connect to {endpoint}: {_reason(error)}") from error


def _is_taken(endpoint: str) -> bool:
    """Whether somebody listens at a path; ZeroMQ would take it away from them without a word."""
    path = endpoint.removeprefix("ipc://")
    if path == endpoint or path.startswith(("@", "*")):
        return False
    try:
        with unix.socket(unix.AF_UNIX) as probe:
            probe.connect(path)
    except OSError:
        return False  # nobody is there, or nobody any more
    return True


def _prepared(socket: zmq.Socket[bytes], endpoint: str, what: str) -> str:
    """Check an endpoint, and make the socket fit for it; what libzmq shall be given."""
    check_endpoint(endpoint, what)
    if not is_multicast(endpoint):
        return endpoint
    check_multicast(endpoint, what)
    socket.set(zmq.RATE, RATE_KBITS)
    socket.set(zmq.RECOVERY_IVL, RECOVERY_MS)
    return addressed(endpoint, what)


def _paced(port: Port, endpoint: str) -> None:
    if is_multicast(endpoint) and port.pace is None:
        port.pace = Pace()


def _reason(error: zmq.ZMQError) -> str:
    if error.errno == zmq.ENOCOMPATPROTO:
        return "that transport is for publishers and subscribers only"
    if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
        return "this host has no such address"
    return zmq.strerror(error.errno or 0)  # error.strerror names the endpoint again


class Transport:
    """The sockets of one node: their context and their end.

    Args:
        loop: The node's loop.
        lan: Whether listeners without an address of their own are open to other machines.
        frame_limit: Bytes of the largest frame that may come in on a link or stream.
        addresses: The hosts under which others can dial what listens, the best first.
    """

    def __init__(
        self, loop: Loop, lan: bool, frame_limit: int, addresses: Sequence[str] = ("127.0.0.1",)
    ) -> None:
        raise_descriptor_limit()
        self._loop = loop
        self._ports: set[Port] = set()
        self._serials = itertools.count()  # a name over inproc comes free some time after its end
        self.frame_limit = frame_limit
        self.addresses = addresses
        # The star stands for all of IPv6 and IPv4: the user's word, insecure_lan.
        self.host = "*" if lan else "127.0.0.1"
        self.context = new_context()

    # -- opening ------------------------------------------------------------------------------

    def new_routing_id(self) -> bytes:
        """Draw the id of a connection: a ROUTER keeps the first of two equal ones, and no other."""
        return b"\x01" + os.urandom(12)

    def open(
        self,
        role: Role,
        receive: Callable[[list[bytes]], None] | None = None,
        routing_id: bytes | None = None,
    ) -> Port:
        """Open a socket and register it on the loop.

        Args:
            role: What it is for.
            receive: Called with each message; None for a socket that only sends.
            routing_id: What a ROUTER at the other end shall call it.

        Raises:
            SetupError: The process has no descriptor left.
        """
        socket = open_socket(self.context, role, self.frame_limit, routing_id)
        return self._port(socket, receive)

    def bell(self, ring: Callable[[list[bytes]], None]) -> tuple[Port, zmq.Socket[bytes]]:
        """A PAIR/inproc pair: the near end on the loop, the far end for whoever holds its lock."""
        name = f"inproc://bell-{next(self._serials)}"
        far = open_socket(self.context, Role(zmq.PAIR), self.frame_limit)
        try:
            near = open_socket(self.context, Role(zmq.PAIR), self.frame_limit)
        except SetupError:
            far.close(0)  # one that is left open would hold up the end of its context for ever
            raise
        near.bind(name)
        far.connect(name)
        return self._port(near, ring), far

    def adopt(
        self, socket: zmq.Socket[bytes], receive: Callable[[list[bytes]], None] | None
    ) -> Port:
        """Register a socket of `open_socket` that has a context of its own."""
        return self._port(socket, receive)

    def _port(
        self, socket: zmq.Socket[bytes], receive: Callable[[list[bytes]], None] | None
    ) -> Port:
        port = Port(self._loop, socket, receive)
        self._ports.add(port)
        return port

    # -- endpoints ----------------------------------------------------------------------------

    def bind(self, port: Port, endpoint: str, what: str) -> str:
        """Bind an endpoint; see `bind_socket`."""
        bound = bind_socket(port.socket, endpoint, what)
        _paced(port, endpoint)
        port.look()  # who came over inproc before us may have said something, without a sign
        return bound

    def connect(self, port: Port, endpoint: str, what: str) -> None:
        """Connect to an endpoint; see `connect_socket`."""
        connect_socket(port.socket, endpoint, what)
        _paced(port, endpoint)
        port.look()

    def disconnect(self, port: Port, endpoint: str) -> None:
        """Leave an endpoint; one that was left already is no error."""
        with contextlib.suppress(zmq.ZMQError, SetupError):  # its interface may have gone as well
            if is_multicast(endpoint):
                endpoint = addressed(endpoint, "disconnect")
            port.socket.disconnect(endpoint)
        port.look()

    def watch(self, port: Port, events: int, heard: Monitor) -> None:
        """Hear of a socket's connections.

        Args:
            port: The socket's port.
            events: Those of zmq.EVENT_* that matter; few, for each is a message.
            heard: Called with each, on the loop.
        """
        name = f"inproc://monitor-{next(self._serials)}"
        pair = _opened(self.context, zmq.PAIR)
        try:
            # An unread monitor stops all sockets of its context; this one never blocks them.
            pair.set(zmq.RCVHWM, 0)
            pair.set(zmq.LINGER, 0)
            port.socket.monitor(name, events)
            pair.connect(name)
        except zmq.ZMQError as error:
            pair.close(0)  # one that is left open would hold up the end of its context for ever
            if error.errno == errno.EMFILE:
                raise SetupError(NO_DESCRIPTOR) from error
            raise
        port.watched(pair, heard)

    # -- publishers ---------------------------------------------------------------------------

    def send_to_ready(self, port: Port, frames: Frames) -> None:
        """Publish past the subscribers that are at their mark: they lose this message."""
        port.socket.set(zmq.XPUB_NODROP, 0)
        port.send(frames)
        port.socket.set(zmq.XPUB_NODROP, 1)

    def accept(self, port: Port, topic: bytes, is_new: bool) -> None:
        """Let a subscription that a `RETAINING_PUBLISHER` has just received count, or end."""
        port.socket.set(zmq.SUBSCRIBE if is_new else zmq.UNSUBSCRIBE, topic)

    def send_to_newest(self, port: Port, frames: Frames) -> bool:
        """Publish to the one whose subscription was received last, once after each.

        Returns:
            False if it is at its mark, or has gone.
        """
        port.socket.set(_XPUB_MANUAL_LAST_VALUE, 1)
        is_sent = port.send(frames)
        port.socket.set(_XPUB_MANUAL_LAST_VALUE, 0)
        port.socket.set(zmq.XPUB_MANUAL, 1)  # the line above ends this too
        return is_sent

    # -- the end ------------------------------------------------------------------------------

    def close_port(self, port: Port, linger_ms: int = LINGER_MS) -> None:
        """Close a port of this transport."""
        self._ports.discard(port)
        port.close(linger_ms)

    def close(self) -> None:
        """Close what is open, and the context once all has gone out; may take `LINGER_MS`.

        Must be called off the loop's thread or after its end, for it waits.
        """
        # With term() one forgotten socket would hold it up for ever.
        self.context.destroy(LINGER_MS)

    def close_ports(self) -> None:
        """Close every port; on the loop."""
        for port in list(self._ports):
            self.close_port(port)
