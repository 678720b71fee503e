"""Hands out tasks: each message goes to one of the pullers, in turn among those with room."""

from __future__ import annotations

from typing import ClassVar, Literal

from actormq.context import Context
from actormq.patterns.live import Sends
from actormq.patterns.outlet import Full, check_full
from actormq.patterns.payload import CodecName
from actormq.patterns.sockets import Endpoints, Socket
from actormq.transport import PUSHER


class Pusher(Socket["LivePusher"]):
    """A class attribute: a socket that pushes (PUSH).

    Args:
        service: The name under which pullers of the mesh find it.
        bind: Endpoints to bind, such as `tcp://*:5557`; True binds for the service.
        connect: Endpoints to connect to; True connects to the pullers that bind for the service.
        codec: As the pullers have it; with `text` and `raw` they may be any plain PULL.
        full: What `send` does while no puller has room: `wait`, `raise` a `SocketFull`, or `drop`
            the oldest of those that wait.

    Raises:
        SetupError: The arguments cannot work.
    """

    socket: ClassVar = "PUSH"
    binds_by_default: ClassVar = True

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
        check_full("Pusher", full)
        self.full = full

    def open(self, attribute: str, context: Context) -> LivePusher:
        """Open the socket for one actor."""
        return LivePusher(self, attribute, context)


class LivePusher(Sends):
    """The pusher of one actor: `send`, `send_nowait`, and `ready(n)` for n pullers.

    What a puller has taken and not handled is lost with it: PUSH and PULL know no answer.
    """

    def __init__(self, spec: Pusher, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._open(PUSHER)
        self._send_by(spec.full)
