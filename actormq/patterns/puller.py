"""Takes tasks from pushers, no faster than its actor handles them."""

from __future__ import annotations

from typing import ClassVar, Literal

from actormq.context import Context
from actormq.patterns.live import Receives
from actormq.patterns.payload import CodecName
from actormq.patterns.sockets import Endpoints, ReceivingSocket
from actormq.transport import PULLER


class Puller(ReceivingSocket["LivePuller"]):
    """A class attribute: a socket that pulls (PULL).

    Args:
        service: The name that pushers of the mesh have announced.
        bind: Endpoints to bind; True binds for the service, and pushers connect.
        connect: Endpoints to connect to, whether somebody is there yet or not.
        codec: As the pushers have it; with `text` and `raw` they may be any plain PUSH.

    Raises:
        SetupError: The arguments cannot work.
    """

    socket: ClassVar = "PULL"
    binds_by_default: ClassVar = False

    def __init__(
        self,
        *,
        service: str | None = None,
        bind: Endpoints | Literal[True] = None,
        connect: Endpoints | Literal[True] = None,
        codec: CodecName = "msgpack",
    ) -> None:
        super().__init__(service, bind, connect, codec)

    def open(self, attribute: str, context: Context) -> LivePuller:
        """Open the socket for one actor."""
        return LivePuller(self, attribute, context)


class LivePuller(Receives):
    """The puller of one actor."""

    def __init__(self, spec: Puller, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._listen(spec, PULLER)
