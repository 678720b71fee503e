"""Where one open socket is bound and connected, and what the mesh says of its service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from actormq.address import ServiceEntry, ipc_endpoint
from actormq.context import Context
from actormq.errors import IncompatibleSockets, SetupError
from actormq.patterns.sockets import Wiring
from actormq.patterns.tally import Tally
from actormq.rules.pairing import mismatch
from actormq.runtime import ServiceEnd

PARTING = 1.0  # s that a connection outlives the announcement of its end: last words are under way


class Plug(Protocol):
    """What is attached: one socket, or as many as there are ends."""

    def bind(self, endpoint: str) -> str:
        """Bind, and tell the endpoint with what ZeroMQ filled in."""

    def connect(self, endpoint: str) -> None:
        """Connect."""

    def disconnect(self, endpoint: str) -> None:
        """Leave what it was connected to."""


class Attachment:
    """One socket's places, announced if it binds for a service, found if it connects for one.

    Made before the socket, for a pair that cannot work is refused before it opens.

    Args:
        context: The actor's.
        wiring: What the class says.
        attribute: The socket's name in it.
        tally: Counts the ends that do not fit.

    Attributes:
        label: The socket's name, for people.
        serial: Its number on the node.
        connected: Endpoints that its author named.
        ends: Those of its service that it is connected to, by endpoint.
        is_changed: Called when `ends` have changed.

    Raises:
        IncompatibleSockets: The service has an end of a type that cannot be the other of this one.
        SetupError: An endpoint names an attribute that the actor does not have.
    """

    def __init__(self, context: Context, wiring: Wiring, attribute: str, tally: Tally) -> None:
        runtime = context.runtime
        self.label = f"{context.address.label}.{attribute}"
        self.serial = runtime.next_serial()
        self.ends: dict[str, ServiceEnd] = {}
        self.is_changed: Callable[[], None] = lambda: None
        self._runtime = runtime
        self._wiring = wiring
        self._attribute = attribute
        self._tally = tally
        self._bind, self.connected = wiring.places(context.actor, self.label)
        self._plug: Plug | None = None
        self._parting: set[str] = set()
        self._refused: set[tuple[str, int]] = set()
        self._unwatch: Callable[[], None] | None = None
        self._is_announced = False
        if wiring.service is not None:
            for entry in runtime.services.opposite(wiring.service, is_binder=wiring.is_binder):
                self._check(entry)

    def _check(self, entry: ServiceEntry) -> None:
        found = mismatch(entry.socket, entry.service, self._wiring.socket, self._attribute)
        if found is not None:
            raise IncompatibleSockets(*found)

    def attach(self, plug: Plug) -> None:
        """Bind, connect, and take part in the service.

        Raises:
            PortInUse: Somebody else holds an endpoint.
            SetupError: An endpoint is none, or not one of this host.
        """
        self._plug = plug
        bound = [plug.bind(endpoint) for endpoint in self._bind]
        for endpoint in self.connected:
            plug.connect(endpoint)
        service = self._wiring.service
        if service is None:
            return
        if self._wiring.is_binder:
            self._announce(tuple(map(_anywhere, bound or self._bind_for_service(plug))))
        else:
            self._announce(())
            self._unwatch = self._runtime.services.watch_service(service, self._offered)

    def _bind_for_service(self, plug: Plug) -> list[str]:
        runtime = self._runtime
        return [
            plug.bind(ipc_endpoint(f"{runtime.node_id}-{self.serial}")),
            plug.bind(f"tcp://{runtime.transport.host}:*"),
        ]

    def _announce(self, endpoints: tuple[str, ...]) -> None:
        """Tell the mesh; one that connects has no endpoints, and is told of for the pairing."""
        wiring = self._wiring
        assert wiring.service is not None
        self._is_announced = True
        self._runtime.services.announce(
            ServiceEntry(self.serial, wiring.service, wiring.socket, wiring.codec, endpoints)
        )

    # -- the ends of the service --------------------------------------------------------------

    def _offered(self, ends: Sequence[ServiceEnd]) -> None:
        """Ends have come or gone."""
        plug = self._plug
        assert plug is not None
        wanted: dict[str, ServiceEnd] = {}
        for end in ends:
            is_known = end.endpoint in wanted or end.endpoint in self.ends
            if self._fits(end) and (is_known or self._reaches(plug, end)):
                wanted[end.endpoint] = end
        for endpoint in self.ends.keys() - wanted.keys():
            # Its last words may still be on their way: the mesh is faster than they are.
            self._parting.add(endpoint)
            self._runtime.loop.call_later(PARTING, self._leave, endpoint)
        self.ends = wanted
        self.is_changed()

    def _reaches(self, plug: Plug, end: ServiceEnd) -> bool:
        """Connect; what a peer calls an endpoint may be none."""
        if end.endpoint in self._parting:
            self._parting.discard(end.endpoint)
            return True
        try:
            plug.connect(end.endpoint)
        except SetupError as error:
            self._refuse(end, type(error).__name__, str(error))
            return False
        return True

    def _leave(self, endpoint: str) -> None:
        if endpoint in self._parting and self._plug is not None:
            self._parting.discard(endpoint)
            self._plug.disconnect(endpoint)

    def _fits(self, end: ServiceEnd) -> bool:
        """Whether it is one to connect to; what is not is counted once."""
        entry, codec = end.entry, self._wiring.codec
        try:
            self._check(entry)
        except IncompatibleSockets as error:
            self._refuse(end, type(error).__name__, str(error))
        else:
            if entry.codec != codec:
                text = f"the other end has codec {entry.codec!r}, {self.label} {codec!r}"
                self._refuse(end, "another codec", text)
        return (end.node, entry.serial) not in self._refused

    def _refuse(self, end: ServiceEnd, reason: str, detail: str) -> None:
        """Count what is not connected to, once."""
        key = (end.node, end.entry.serial)
        if key not in self._refused:
            self._refused.add(key)
            self._tally.drop(end.entry.service, reason, detail)

    def withdraw(self) -> None:
        """Take no more part in the service; what is connected stays so."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        if self._is_announced:
            self._is_announced = False
            self._runtime.services.withdraw(self.serial)
        self._plug = None


def _anywhere(endpoint: str) -> str:
    """Write tcp endpoints of all interfaces or of loopback as `tcp://*:PORT`.

    Each peer puts in the host under which it reached us.
    """
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    is_tcp = endpoint.startswith("tcp://")
    return f"tcp://*:{port}" if is_tcp and host in ("0.0.0.0", "127.0.0.1", "[::]") else endpoint  # noqa: S104 compared, not bound
