"""Two ends and nobody else: what one sends, the other receives."""

from __future__ import annotations

from typing import ClassVar, Literal

from actormq.context import Context
from actormq.patterns.live import Receives, Sends
from actormq.patterns.outlet import Full, check_full
from actormq.patterns.payload import CodecName
from actormq.patterns.sockets import Endpoints, ReceivingSocket
from actormq.transport import PAIR


class Pair(ReceivingSocket["LivePair"]):
    """A class attribute: a socket with one other end (PAIR).

    A third end that connects is turned away by ZeroMQ, and what it sends goes nowhere.

    Args:
        service: The name under which the other end is found; one of the two says `bind=True`.
        bind: Endpoints to bind; True binds for the service.
        connect: Endpoints to connect to.
        codec: As the other end has it; with `text` and `raw` it may be any plain PAIR.
        full: What `send` does while the other end is behind or not there: `wait`, `raise` a
            `SocketFull`, or `drop` the oldest of those that wait.

    Raises:
        SetupError: The arguments cannot work.
    """

    socket: ClassVar = "PAIR"
    binds_by_default: ClassVar = False

    def __init__(
        self,
        *,
        service: str | None = None,
        bind: Endpoints | Literal[True] = None,
        connect: Endpoints | Literal[True] = None,
        codec: CodecName = "msgpack",
        full: Full = "wait",
    ) -> None:
        super().__init__(service, bind, connect, codec)
        check_full("Pair", full)
        self.full = full

    def open(self, attribute: str, context: Context) -> LivePair:
        """Open the socket for one actor."""
        return LivePair(self, attribute, context)


class LivePair(Sends, Receives):
    """One end of the pair: `send`, `send_nowait`, and `ready()` for the other end."""

    def __init__(self, spec: Pair, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._listen(spec, PAIR)
        self._send_by(spec.full)
