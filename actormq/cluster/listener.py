"""The node's ROUTER: all that peers say comes in here, and it says almost nothing itself."""

from __future__ import annotations

from typing import Protocol

from actormq import message
from actormq.address import ipc_endpoint
from actormq.codec import Codec
from actormq.errors import PortInUse, RemoteProtocolError
from actormq.message import Envelope, Facts
from actormq.port import Port
from actormq.seeds import DEFAULT_PORT
from actormq.settings import Settings
from actormq.transport import LINK_LISTENER, Transport


class Host(Protocol):
    """Whom the listener tells."""

    def greeted(self, routing_id: bytes, version: int, facts: Facts | None) -> Envelope:
        """Somebody said hello; the result is the answer, and a welcome makes a session."""

    def answered(self, routing_id: bytes) -> None:
        """The answer to a hello has been sent: what else there is to say may follow it."""

    def heard(self, routing_id: bytes, envelopes: list[Envelope]) -> bool:
        """A session said something; False if there is no such session."""

    def garbage(self, who: str, why: str) -> None:
        """Bytes came that are no protocol."""

    def end_session(self, routing_id: bytes) -> None:
        """A session broke the protocol: it has to begin anew."""


class Listener:
    """Binds the link socket of a node and sorts what comes in by session.

    Args:
        transport: Opens the socket.
        codec: Reads and writes envelopes.
        host: Hears what came.
    """

    def __init__(self, transport: Transport, codec: Codec, host: Host) -> None:
        self._transport = transport
        self._codec = codec
        self._host = host
        self.port: Port = transport.open(LINK_LISTENER, self._arrived)
        self.port.spin()
        self.port.copied_frames = 2  # whose connection, and the envelopes

    def bind(self, settings: Settings, node_id: str) -> tuple[str, ...]:
        """Listen on tcp and ipc.

        Returns:
            The endpoints that peers may dial, the best first.

        Raises:
            PortInUse: `settings.port` is taken.
        """
        what = f"node {settings.name!r}"
        bound = self._bind_tcp(settings, what)
        ipc = self._transport.bind(self.port, ipc_endpoint(node_id), what)
        number = bound.rpartition(":")[2]
        return (ipc, *(f"tcp://{host}:{number}" for host in self._transport.addresses))

    def _bind_tcp(self, settings: Settings, what: str) -> str:
        host = f"tcp://{self._transport.host}"
        if settings.port or not settings.insecure_lan:
            return self._transport.bind(self.port, f"{host}:{settings.port or '*'}", what)
        try:
            return self._transport.bind(self.port, f"{host}:{DEFAULT_PORT}", what)
        except PortInUse:  # another node of this host has it: one is enough to be found by
            return self._transport.bind(self.port, f"{host}:*", what)

    def _arrived(self, frames: list[bytes]) -> None:
        routing_id, *rest = frames
        try:
            envelopes = self._codec.unpack(rest)
            if self._host.heard(routing_id, envelopes):
                return
            if envelopes and envelopes[0][0] != message.HELLO:
                self.answer(
                    routing_id,
                    [message.REFUSED, message.REASON_STRANGER, "a link begins with a hello"],
                )
                return
            version, facts = message.hello_from(envelopes[0])
        except RemoteProtocolError as error:
            self._host.end_session(routing_id)
            self._host.garbage("a program that is no actormq node", str(error))
            return
        self.answer(routing_id, self._host.greeted(routing_id, version, facts))
        self._host.answered(routing_id)
        if envelopes[1:]:
            self._host.heard(routing_id, envelopes[1:])

    def answer(self, routing_id: bytes, envelope: Envelope) -> bool:
        """Say something to whoever has connected; False if it is gone or does not read."""
        packed = self._codec.pack_whole("a peer", envelope)
        return self.port.send([routing_id, packed])

    def close(self) -> None:
        """Listen no more."""
        self._transport.close_port(self.port)
