"""Stands in for `actormq.transport` and `actormq.port`, on a simulated network.

Only the links between nodes are carried. A socket of an actor is refused: what ZeroMQ does with
it is ZeroMQ's, and is tested with ZeroMQ.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Never

import zmq

from actormq.endpoint import check_endpoint
from actormq.errors import PortInUse, SetupError
from actormq.port import LINGER_MS, Frames, Monitor, Port, guarded
from actormq.seeds import place_of
from actormq.testing.simulation.connection import Connection, Place
from actormq.testing.simulation.network import Network
from actormq.transport import LINK_DIALER, LINK_LISTENER, Role, Transport

if TYPE_CHECKING:
    from actormq.loop import Loop

NOT_SIMULATED = (
    "sockets of actors are not simulated: a simulation carries the messages between actors only; "
    "test this actor on real nodes, with the `node` and `mesh` fixtures"
)

FREE_PORTS = 49_152  # the first of those that a machine gives to whoever asks for any


class SimulatedPort(Port):
    """One end of simulated connections: a DEALER of one, or a ROUTER of many.

    Args:
        network: Carries what is sent.
        place: The machine that it is on.
        receive: Called with each message.
        routing_id: What the other end shall call it; None for a ROUTER.

    Attributes:
        place: The machine that it is on.
    """

    def __init__(
        self,
        network: Network,
        place: Place,
        receive: Callable[[list[bytes]], None] | None,
        routing_id: bytes | None,
    ) -> None:
        self.place = place
        self.pace = None
        self._network = network
        self._receive = receive
        self._routing_id = routing_id
        self._is_closed = False
        self._heard: Monitor | None = None
        self._waiting: tuple[Frames, Callable[[bool], None]] | None = None
        self._dialled: Connection | None = None
        self._sessions: dict[bytes, Connection] = {}
        self._endpoints: list[str] = []

    @property
    def endpoint(self) -> str:
        """Where it was bound or connected last."""
        return self._endpoints[-1] if self._endpoints else ""

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    # -- what nodes do with it ----------------------------------------------------------------

    def offer(self, frames: Frames, copy: bool = True) -> int:  # noqa: ARG002 nothing is copied
        """Send one message now; see `Port.offer`."""
        if self._routing_id is not None:
            connection = self._dialled
            if connection is None or not connection.is_established:
                return zmq.EAGAIN
            return 0 if connection.send(self, frames) else zmq.EAGAIN
        name, *rest = frames
        session = self._sessions.get(name)
        if session is None:
            return 0 if self._network.haunted(name, rest) else zmq.EHOSTUNREACH
        return 0 if session.send(self, rest) else zmq.EAGAIN

    def send_when_writable(self, frames: Frames, done: Callable[[bool], None]) -> None:
        """Send one message as soon as there is room; see `Port.send_when_writable`."""
        assert self._waiting is None
        self._waiting = (frames, done)
        if self._dialled is not None and self._dialled.is_established:
            self.drained()

    def look(self) -> None:
        """Nothing: there are no edges to miss."""

    def look_late(self, seconds: float) -> None:
        """Nothing, for the same reason."""

    def spin(self) -> None:
        """Nothing: what comes is handed over."""

    async def settle(self, most: float) -> None:
        """Nothing: there are no multicast groups of ZeroMQ."""

    def pause(self) -> None:
        """Only sockets of actors are paused.

        Raises:
            SetupError: Always.
        """
        raise SetupError(NOT_SIMULATED)

    resume = pause

    def watched_by(self, heard: Monitor) -> None:
        """Tell of broken connections."""
        self._heard = heard

    def bind(self, endpoint: str, what: str) -> str:
        """Listen at an endpoint of its machine."""
        host, colon, port = endpoint.rpartition(":")
        if port == "*":
            number = FREE_PORTS
            while self._network.listening(self.place.name, _tcp(number)) is not None:
                number += 1
            port = str(number)
        is_tcp = endpoint.startswith("tcp://")
        key = _tcp(int(port)) if is_tcp else endpoint
        if not self._network.listen(self.place.name, key, self):
            raise PortInUse(endpoint, what)
        self._endpoints.append(key)
        return f"{host}{colon}{port}" if is_tcp else endpoint

    def connect(self, target: Place, key: str) -> None:
        """Dial a machine."""
        assert self._routing_id is not None
        self._endpoints.append(key)
        self._dialled = self._network.connect(self, target, key, self._routing_id)

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Close it; without lingering, only a part of what is under way arrives."""
        self.end(1.0 if linger_ms else self._network.chance.random())

    def end(self, kept: float) -> None:
        """Close it.

        Args:
            kept: The share of what is under way that arrives.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._waiting = None
        for key in self._endpoints:
            if self._network.listening(self.place.name, key) is self:
                self._network.unlisten(self.place.name, key)
        connection, self._dialled = self._dialled, None
        if connection is not None:
            connection.close(self, kept)
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.close(self, kept)

    # -- what connections say -----------------------------------------------------------------

    def accepted(self, connection: Connection) -> None:
        """Somebody has dialled it."""
        self._sessions[connection.routing_id] = connection

    def established(self) -> None:
        """The other end has accepted."""
        self.drained()

    def arrived(self, routing_id: bytes, frames: Frames) -> None:
        """A message has come."""
        if self._is_closed or self._receive is None:
            return  # a double of a message, for a listener that is gone
        if self._routing_id is None:
            frames = [routing_id, *frames]
        guarded(self._receive, list(frames))

    def drained(self) -> None:
        """There is room again."""
        if self._waiting is not None:
            frames, done = self._waiting
            if self.offer(frames) == 0:
                self._waiting = None
                guarded(done, True)  # noqa: FBT003 was it sent

    def broken(self, connection: Connection) -> None:
        """A connection has ended, and not by this end."""
        self._sessions.pop(connection.routing_id, None)
        if connection is self._dialled:
            self._dialled = None
            if self._heard is not None and not self._is_closed:
                guarded(self._heard, int(zmq.EVENT_DISCONNECTED), 0, self.endpoint)


class SimulatedTransport(Transport):
    """The ports of one simulated node.

    Args:
        loop: The node's loop.
        network: Carries what is sent.
        place: The machine that it is on.
        chance: Where routing ids come from.
        find: Gives a machine by its name.
    """

    def __init__(
        self,
        loop: Loop,
        network: Network,
        place: Place,
        chance: random.Random,
        find: Callable[[str], Place | None],
    ) -> None:
        self._loop = loop
        self._network = network
        self._place = place
        self._chance = chance
        self._find = find
        self._open: dict[SimulatedPort, None] = {}
        self.frame_limit = 0
        self.host = place.name
        self.addresses = (place.name,)

    def new_routing_id(self) -> bytes:
        """Draw the id of a connection."""
        return b"\x01" + self._chance.randbytes(12)

    def open(
        self,
        role: Role,
        receive: Callable[[list[bytes]], None] | None = None,
        routing_id: bytes | None = None,
    ) -> Port:
        """Open a port of a link.

        Raises:
            SetupError: It is a socket of an actor.
        """
        if role not in (LINK_DIALER, LINK_LISTENER):
            self._refuse()
        name = routing_id if role is LINK_DIALER else None
        port = SimulatedPort(self._network, self._place, receive, name)
        self._open[port] = None
        return port

    def bind(self, port: Port, endpoint: str, what: str) -> str:
        """Listen at an endpoint of this machine."""
        assert isinstance(port, SimulatedPort)
        return port.bind(endpoint, what)

    def connect(self, port: Port, endpoint: str, what: str) -> None:
        """Dial an endpoint; a host that is not there never answers."""
        assert isinstance(port, SimulatedPort)
        check_endpoint(endpoint, what)
        if endpoint.startswith("tcp://"):
            place = place_of(endpoint)
            assert place.port is not None
            target, key = self._find(place.host), _tcp(place.port)
        else:
            target, key = self._place, endpoint
        if target is not None:
            port.connect(target, key)

    def watch(self, port: Port, events: int, heard: Monitor) -> None:  # noqa: ARG002 links want all
        """Hear of broken connections."""
        assert isinstance(port, SimulatedPort)
        port.watched_by(heard)

    def close_port(self, port: Port, linger_ms: int = LINGER_MS) -> None:
        """Close a port of this transport."""
        assert isinstance(port, SimulatedPort)
        self._open.pop(port, None)
        port.close(linger_ms)

    def close_ports(self) -> None:
        """Close every port."""
        for port in list(self._open):
            self.close_port(port)

    def close(self) -> None:
        """Nothing: ports close by themselves."""

    def vanish(self, kept: float) -> None:
        """End with the process; a share of what was under way arrives."""
        for port in list(self._open):
            port.end(kept)
        self._open.clear()

    def _refuse(self, *_: Any, **__: Any) -> Never:
        raise SetupError(NOT_SIMULATED)

    # A pair for threads is opened from a thread, of which there are none.
    bell = adopt = _refuse
    disconnect = send_to_ready = accept = send_to_newest = _refuse


def _tcp(port: int) -> str:
    return f"tcp://*:{port}"
