"""Talks to one or many without taking turns: sends to each in turn, receives from all fairly."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from actormq.context import Context
from actormq.patterns.envelope import behind_delimiter
from actormq.patterns.live import Receives, Sends
from actormq.patterns.outlet import Full, check_full
from actormq.patterns.payload import CodecName
from actormq.patterns.sockets import Endpoints, ReceivingSocket
from actormq.transport import DEALER


class Dealer(ReceivingSocket["LiveDealer"]):
    """A class attribute: a socket that deals (DEALER).

    Args:
        service: The name that routers, repliers or dealers of the mesh have announced.
        bind: Endpoints to bind; True binds for the service.
        connect: Endpoints to connect to; True connects to those who bind for the service.
        codec: As the other ends have it; with `raw` all frames that come in are the actor's, the
            empty one of a REP included.
        full: What `send` does while nobody has room: `wait`, `raise` a `SocketFull`, or `drop`
            the oldest of those that wait.
        identity: What a Router at the other end shall call it; by default ZeroMQ draws one.
        delimiter: Whether an empty frame goes ahead of what is sent, and is taken off what comes
            in: a REP wants it.

    Raises:
        SetupError: The arguments cannot work.
    """

    socket: ClassVar = "DEALER"
    binds_by_default: ClassVar = False

    def __init__(
        self,
        *,
        service: str | None = None,
        bind: Endpoints | Literal[True] = None,
        connect: Endpoints | Literal[True] = None,
        codec: CodecName = "msgpack",
        full: Full = "wait",
        identity: str | None = None,
        delimiter: bool = False,
    ) -> None:
        super().__init__(service, bind, connect, codec)
        check_full("Dealer", full)
        self.full = full
        self.identity = identity
        self.delimiter = delimiter

    def open(self, attribute: str, context: Context) -> LiveDealer:
        """Open the socket for one actor."""
        return LiveDealer(self, attribute, context)


class LiveDealer(Sends, Receives):
    """The dealer of one actor: `send`, `send_nowait`, `ready(n)`."""

    def __init__(self, spec: Dealer, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._delimiter = [b""] if spec.delimiter else []
        self._takes_off = spec.delimiter and self._payload.name != "raw"
        self._listen(spec, DEALER, spec.identity)
        self._send_by(spec.full)

    def _frames(self, values: tuple[Any, ...]) -> list[bytes]:
        return [*self._delimiter, *super()._frames(values)]

    def _arrived(self, frames: list[bytes]) -> None:
        super()._arrived(behind_delimiter(frames) if self._takes_off else frames)
