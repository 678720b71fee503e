"""Hears many and answers each of them: every message comes with its sender."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, ClassVar, Literal

import zmq

from actormq.context import Context
from actormq.errors import LifecycleError, PeerGone, SetupError, SocketFull
from actormq.patterns.envelope import Peer, parted
from actormq.patterns.live import Receives
from actormq.patterns.outlet import RETRY, RETRY_MOST, Full, check_full
from actormq.patterns.payload import CodecName
from actormq.patterns.sockets import Endpoints, ReceivingSocket
from actormq.transport import ROUTER


class Router(ReceivingSocket["LiveRouter"]):
    """A class attribute: a socket that routes (ROUTER).

    The method that is marked `received` takes the `Peer` first, then an argument for each frame.
    With codec `raw` these are all the frames behind the peer's id, and it is the actor that knows
    of empty ones; else what a REQ puts ahead of its message belongs to the peer.

    Args:
        service: The name under which dealers, requesters and routers of the mesh find it.
        bind: Endpoints to bind; True binds for the service.
        connect: Endpoints to connect to; True connects to those who bind for the service.
        codec: As the other ends have it.
        full: What `send` does while that peer is behind: `wait`, `raise` a `SocketFull`, or
            `drop` the message.
        identity: What a Router at the other end shall call it; of two routers one needs it.

    Raises:
        SetupError: The arguments cannot work.
    """

    socket: ClassVar = "ROUTER"
    binds_by_default: ClassVar = True

    def __init__(
        self,
        *,
        service: str | None = None,
        bind: Endpoints | Literal[True] = None,
        connect: Endpoints | Literal[True] = None,
        codec: CodecName = "msgpack",
        full: Full = "wait",
        identity: str | None = None,
    ) -> None:
        super().__init__(service, bind, connect, codec)
        check_full("Router", full)
        self.full = full
        self.identity = identity

    def open(self, attribute: str, context: Context) -> LiveRouter:
        """Open the socket for one actor."""
        return LiveRouter(self, attribute, context)


class LiveRouter(Receives):
    """The router of one actor."""

    def __init__(self, spec: Router, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._full = spec.full
        self._turnstiles = weakref.WeakValueDictionary[bytes, asyncio.Lock]()
        self._listen(spec, ROUTER, spec.identity)

    def _arrived(self, frames: list[bytes]) -> None:
        is_raw = self._payload.name == "raw"
        peer, body = (Peer(frames[0]), frames[1:]) if is_raw else parted(frames)
        values = self._tally.read(self._intake.name, self._payload, body)
        if values is not None:
            self._intake.put((peer, *values))

    async def send(self, peer: Peer | str, *values: Any) -> None:
        """Send one message to one peer; with `full="wait"` it returns when there is room.

        Args:
            peer: As a message came with it, or the `identity` of one that is connected.
            values: One frame each, as the codec has it.

        Raises:
            PeerGone: The peer is not connected (any more).
            SocketFull: It is behind, and `full` is `raise`.
            SetupError: A value does not fit the codec, or that is no peer.
            NotEncodable: A value has no form on the wire.
            MessageTooLarge: A value is over `message_limit`.
            LifecycleError: The socket is closed.
        """
        frames = self._addressed(peer, values)
        wait = RETRY
        async with self._turnstile(frames[0]):
            while not self._is_done(peer, frames):
                # ROUTER has no event for the room of one peer: ask again.
                await asyncio.sleep(wait)
                wait = min(2 * wait, RETRY_MOST)

    def _turnstile(self, routing_id: bytes) -> asyncio.Lock:
        """What those who wait for the same peer go through in the order in which they came."""
        return self._turnstiles.setdefault(routing_id, asyncio.Lock())

    def send_nowait(self, peer: Peer | str, *values: Any) -> None:
        """As `send`, but raises `SocketFull` where it would wait."""
        if not self._is_done(peer, self._addressed(peer, values)):
            raise SocketFull(self._label, f"{peer!r} is behind")

    def _addressed(self, peer: Peer | str, values: tuple[Any, ...]) -> list[bytes]:
        if not isinstance(peer, Peer | str):
            raise SetupError(
                f"{self._label}: a peer is as a message came with it, or an identity as a text, "
                f"not {type(peer).__name__}"
            )
        envelope = peer.envelope if isinstance(peer, Peer) else (peer.encode(),)
        return [*envelope, *self._payload.frames(values)]

    def _is_done(self, peer: Peer | str, frames: list[bytes]) -> bool:
        """Send, or do with it as the author chose; False if it has to wait."""
        if self._port.is_closed:
            raise LifecycleError(f"{self._label} is closed: its actor has stopped")
        refusal = self._port.offer(frames)
        if not refusal:
            self._tally.sent += 1
        elif refusal == zmq.EHOSTUNREACH:
            self._tally.drop("send", "peer gone", f"{peer!r} is not connected")
            raise PeerGone(self._label, repr(peer))
        elif self._full == "drop":
            self._tally.drop("send", "full", f"{peer!r} is behind")
        elif self._full == "raise":
            raise SocketFull(self._label, f"{peer!r} is behind")
        else:
            return False
        return True

    async def ready(self, peers: int = 1, timeout: float | None = None) -> None:
        """Wait until that many peers are connected.

        Raises:
            TimeoutError: They did not come within `timeout` seconds.
        """
        await self._peers.ready(peers, timeout)
