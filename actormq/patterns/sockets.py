"""What all sockets of actors have in common: where they bind and connect, and their codec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from actormq.address import ServiceEntry, ipc_endpoint
from actormq.errors import SetupError
from actormq.runtime import Runtime
from actormq.transport import Port, check_endpoint

CodecName = Literal["msgpack", "text", "raw"]
Endpoints = str | Sequence[str] | None


class Wiring:
    """Where a socket of a class binds and connects; checked when the class is made.

    Args:
        kind: The class of the socket, for errors.
        service: A name that the mesh resolves.
        bind: Endpoints to bind.
        connect: Endpoints to connect to.
        codec: How payloads are written.

    Raises:
        SetupError: Nothing says where, or something cannot be.
    """

    def __init__(
        self,
        kind: str,
        service: str | None,
        bind: Endpoints,
        connect: Endpoints,
        codec: CodecName,
    ) -> None:
        self.kind = kind
        self.service = service
        self.bind = _as_tuple(bind)
        self.connect = _as_tuple(connect)
        self.codec = codec
        if service is None and not self.bind and not self.connect:
            raise SetupError(f"{kind}() goes nowhere: give it service=, bind= or connect=")
        if service is not None and (not service or len(service) > 255 or not service.isprintable()):  # noqa: PLR2004 as names on the wire
            raise SetupError(f"{kind}: service {service!r} is no name of 1 to 255 characters")
        if codec not in get_args(CodecName):
            raise SetupError(f"{kind}: codec {codec!r} is unknown: take msgpack, text or raw")
        for endpoint in (*self.bind, *self.connect):
            check_endpoint(endpoint, kind)

    def apply(self, runtime: Runtime, port: Port, label: str) -> list[str]:
        """Bind and connect a fresh socket.

        Returns:
            The endpoints that it was bound to.
        """
        transport = runtime.transport
        bound = [transport.bind(port, endpoint, label) for endpoint in self.bind]
        for endpoint in self.connect:
            transport.connect(port, endpoint, label)
        return bound

    def announced(
        self, runtime: Runtime, port: Port, socket: str, serial: int, bound: list[str], label: str
    ) -> ServiceEntry:
        """Bind a socket for its service, unless `bind` has said where, and make its entry."""
        assert self.service is not None
        if not bound:
            name = f"{runtime.node_id}-{serial}"
            bound = [
                runtime.transport.bind(port, ipc_endpoint(name), label),
                runtime.transport.bind(port, f"tcp://{runtime.transport.host}:*", label),
            ]
        endpoints = tuple(_anywhere(endpoint) for endpoint in bound)
        return ServiceEntry(serial, self.service, socket, self.codec, endpoints)


def _as_tuple(endpoints: Endpoints) -> tuple[str, ...]:
    if endpoints is None:
        return ()
    return (endpoints,) if isinstance(endpoints, str) else tuple(endpoints)


def _anywhere(endpoint: str) -> str:
    """Write tcp endpoints of all interfaces or of loopback as `tcp://*:PORT`.

    Each peer puts in the host under which it reached us.
    """
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    is_tcp = endpoint.startswith("tcp://")
    return f"tcp://*:{port}" if is_tcp and host in ("0.0.0.0", "127.0.0.1", "[::]") else endpoint  # noqa: S104 compared, not bound
