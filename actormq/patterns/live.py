"""What all open sockets have in common: where they are attached, and what they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from actormq.context import Context
from actormq.errors import SetupError
from actormq.patterns.attachment import Attachment, Plug
from actormq.patterns.intake import Intake
from actormq.patterns.outlet import Full, Outlet
from actormq.patterns.payload import Payload
from actormq.patterns.peers import Peers
from actormq.patterns.sockets import ReceivingSocket, Socket, filled
from actormq.patterns.tally import Tally
from actormq.port import Port
from actormq.transport import Role

_IDENTITY_BYTES = 255  # ZMTP's own limit


class Live:
    """An open socket of one actor.

    Args:
        spec: The class attribute.
        attribute: Its name.
        context: The actor's.
    """

    def __init__(self, spec: Socket[Any], attribute: str, context: Context) -> None:
        self._context = context
        self._runtime = context.runtime
        self._label = f"{context.address.label}.{attribute}"
        self._tally = Tally(self._label, self._runtime.events)
        self._payload = Payload(spec.wiring.codec, self._runtime.codec, self._label)
        self._attachment = Attachment(context, spec.wiring, attribute, self._tally)

    @property
    def stands(self) -> bool:
        """Whether a message of it stands in the actor's mailbox."""
        return False

    @property
    def sent(self) -> int:
        """Messages that were handed to ZeroMQ, a count."""
        return self._tally.sent

    @property
    def received(self) -> int:
        """Messages that came in, a count: those handled, dropped and waiting together."""
        return self._tally.received

    @property
    def dropped(self) -> Counter[str]:
        """Messages that were lost here, by reason."""
        return self._tally.dropped


class PortLive(Live):
    """An open socket that is one ZeroMQ socket."""

    _port: Port
    _peers: Peers

    def _open(
        self,
        role: Role,
        receive: Callable[[list[bytes]], None] | None = None,
        identity: str | None = None,
    ) -> None:
        """Open the port, watch it, attach it; nothing is left open if that fails."""
        routing_id = identity_of(self._context, self._label, identity)
        self._port = self._runtime.transport.open(role, receive, routing_id)
        try:
            self._peers = Peers(self._context, self._port, self._label)
            self._attachment.attach(PortPlug(self._context, self._port, self._peers, self._label))
        except BaseException:
            self._close_port(0)
            raise

    def _close_port(self, linger_ms: int) -> None:
        self._attachment.withdraw()
        self._runtime.transport.close_port(self._port, linger_ms)

    async def close(self) -> None:
        """Take no more part in the service, and close.

        What ZeroMQ has taken goes out for half of the time that a node may take to stop.
        """
        seconds = self._runtime.settings.shutdown_timeout / 2
        self._attachment.withdraw()
        await self._port.settle(seconds)
        self._close_port(int(1000 * seconds))

    @property
    def waiting(self) -> int:
        """Messages that wait here, to be sent or to be handled, a count."""
        return 0

    @property
    def endpoint(self) -> str:
        """Where it was bound or connected last."""
        return self._port.endpoint

    @property
    def peer_count(self) -> int:
        """Connections that work now; inproc has none that could be seen."""
        return self._peers.count

    @property
    def lost_count(self) -> int:
        """Connections that worked and have ended: what was under way on them may be lost."""
        return self._peers.lost_count


class PortPlug(Plug):
    """Binds and connects one port.

    Args:
        context: The actor's.
        port: The socket.
        peers: Who is connected to it.
        label: Its name, for errors.
    """

    def __init__(self, context: Context, port: Port, peers: Peers, label: str) -> None:
        self._transport = context.runtime.transport
        self._port = port
        self._peers = peers
        self._label = label

    def bind(self, endpoint: str) -> str:
        """Bind the port."""
        bound = self._transport.bind(self._port, endpoint, self._label)
        self._peers.attached(endpoint)
        return bound

    def connect(self, endpoint: str) -> None:
        """Connect the port."""
        self._transport.connect(self._port, endpoint, self._label)
        self._peers.attached(endpoint)

    def disconnect(self, endpoint: str) -> None:
        """Let the port leave an endpoint."""
        if not self._port.is_closed:
            self._transport.disconnect(self._port, endpoint)
            self._peers.left(endpoint)


class Sends(PortLive):
    """An open socket that an actor sends through, a frame for each value."""

    _outlet: Outlet

    def _send_by(self, full: Full) -> None:
        loop = self._runtime.loop
        self._outlet = Outlet(
            loop, self._port, self._label, full, self._tally, lambda: not self._peers.is_alone
        )
        self._peers.on_change(self._outlet.kick)

    def _frames(self, values: tuple[Any, ...]) -> list[bytes]:
        return self._payload.frames(values)

    async def send(self, *values: Any) -> None:
        """Send one message; with `full="wait"` it returns when there is room for it.

        Args:
            values: One frame each, as the codec has it.

        Raises:
            SocketFull: The other end is behind, and `full` is `raise`.
            SetupError: A value does not fit the codec.
            NotEncodable: A value has no form on the wire.
            MessageTooLarge: A value is over `message_limit`.
            LifecycleError: The socket is closed.
        """
        frames = self._frames(values)
        await self._outlet.admit()
        self._outlet.put(frames)

    def send_nowait(self, *values: Any) -> None:
        """As `send`, but raises `SocketFull` where it would wait."""
        frames = self._frames(values)
        self._outlet.admit_nowait()
        self._outlet.put(frames)

    async def ready(self, peers: int = 1, timeout: float | None = None) -> None:
        """Wait until that many peers are connected.

        Args:
            peers: How many.
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            TimeoutError: They did not come in time.
        """
        await self._peers.ready(peers, timeout)

    @property
    def waiting(self) -> int:
        """Messages that wait here, to be sent or to be handled, a count."""
        return self._outlet.waiting + super().waiting

    async def close(self) -> None:
        """Send what waits, for a short while, and close."""
        self._attachment.withdraw()
        await self._outlet.close()
        await super().close()


class Receives(PortLive):
    """An open socket whose messages go to a method of its actor."""

    _intake: Intake

    def _listen(
        self,
        spec: ReceivingSocket[Any],
        role: Role,
        identity: str | None = None,
        *,
        is_answered: bool = False,
    ) -> None:
        self._intake = Intake(
            self._context,
            self._label,
            spec.receiver,
            self._tally,
            are_texts=spec.wiring.codec == "text",
            is_answered=is_answered,
        )
        self._open(role, self._arrived, identity)
        self._intake.feed_from(self._port)

    def _arrived(self, frames: list[bytes]) -> None:
        values = self._tally.read(self._intake.name, self._payload, frames)
        if values is not None:
            self._intake.put(values)

    @property
    def stands(self) -> bool:
        """Whether a message of it stands in the actor's mailbox."""
        return self._intake.stands

    @property
    def waiting(self) -> int:
        """Messages that wait here, to be sent or to be handled, a count."""
        return self._intake.waiting + super().waiting

    async def close(self) -> None:
        """Count what waits and will not be handled, and close."""
        self._intake.close()
        await super().close()


def identity_of(context: Context, label: str, identity: str | None) -> bytes | None:
    """What a ROUTER at the other end shall call a socket; None lets ZeroMQ draw one.

    Raises:
        SetupError: It is none of 1 to 255 bytes, or names an attribute that the actor lacks.
    """
    if identity is None:
        return None
    routing_id = filled(identity, context.actor, label).encode()
    if not 0 < len(routing_id) <= _IDENTITY_BYTES:
        raise SetupError(f"{label}: an identity has 1 to {_IDENTITY_BYTES} bytes, not {identity!r}")
    return routing_id
