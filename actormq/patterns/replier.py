"""Answers requests: a ROUTER inside, so that a slow answer does not hold up the next request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from actormq.context import Answer, Context
from actormq.errors import ActormqError, RemoteError
from actormq.events import HandlerFailed
from actormq.patterns.envelope import Peer, parted
from actormq.patterns.intake import REFUSED
from actormq.patterns.live import Receives
from actormq.patterns.payload import CodecName, Payload
from actormq.patterns.sockets import Endpoints, ReceivingSocket
from actormq.transport import ROUTER

ERROR = b"error"
"""The first of three frames of a reply with codec `msgpack` that says what went wrong."""


class Replier(ReceivingSocket["LiveReplier"]):
    """A class attribute: a socket that answers requests (REP to whoever looks from outside).

    What the method marked `received` returns is the reply: one value, several as a tuple with
    codec `raw`, or None for an empty message (with `msgpack`, for nil).
    If it raises, a `Requester` with codec `msgpack` gets a `RemoteError`.

    Args:
        service: The name under which requesters of the mesh find it.
        bind: Endpoints to bind, such as `tcp://*:5555`; True binds for the service.
        connect: Endpoints to connect to, such as the back of a queue; True connects to requesters
            that bind for the service.
        codec: As the requesters have it; with `text` and `raw` they may be any plain REQ.
        error: With `text` and `raw`, the reply to a request whose method raised or which did not
            fit it; None sends nothing, and a plain REQ waits for ever.

    Raises:
        SetupError: The arguments cannot work.
    """

    socket: ClassVar = "REP"
    binds_by_default: ClassVar = True

    def __init__(
        self,
        *,
        service: str | None = None,
        bind: Endpoints | Literal[True] = None,
        connect: Endpoints | Literal[True] = None,
        codec: CodecName = "msgpack",
        error: str | bytes | None = None,
    ) -> None:
        super().__init__(service, bind, connect, codec)
        self.error = error

    def open(self, attribute: str, context: Context) -> LiveReplier:
        """Open the socket for one actor."""
        return LiveReplier(self, attribute, context)


class LiveReplier(Receives):
    """The replier of one actor.

    What came is counted in `received`, replies in `sent`; a request without a reply in `dropped`.
    """

    def __init__(self, spec: Replier, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._error = spec.error.encode() if isinstance(spec.error, str) else spec.error
        self._listen(spec, ROUTER)

    def _arrived(self, frames: list[bytes]) -> None:
        peer, body = parted(frames)
        if not peer.envelope[1:]:
            self._tally.received += 1
            text = "a request has an empty frame ahead of its body: is the sender a DEALER?"
            self._tally.drop(self._intake.name, "RemoteProtocolError", text)
            return
        values = self._tally.read(self._intake.name, self._payload, body)
        if values is None:
            self.failed(peer, "RemoteProtocolError", f"it does not fit codec {self._payload.name}")
        else:
            self._intake.put(values, _Answer(self, peer))

    def reply(self, peer: Peer, value: Any) -> None:
        """Send what the method returned."""
        try:
            frames = _written(self._payload, value)
        except ActormqError as error:
            self._runtime.events.emit(HandlerFailed(self._label, self._intake.name, error))
            self.failed(peer, type(error).__name__, str(error))
        else:
            self._send(peer, frames)

    def failed(self, peer: Peer, kind: str, text: str) -> None:
        """Tell a requester that there is no result, if there is a way to say it."""
        if self._payload.name == "msgpack":
            self._send(peer, [ERROR, kind.encode(), text.encode(errors="replace")])
        elif self._error is not None:
            self._send(peer, [self._error])
        else:
            self._tally.drop("reply", "not answered", f"{kind}: {text}")

    def _send(self, peer: Peer, frames: Sequence[bytes]) -> None:
        if not self._port.is_closed and self._port.send([*peer.envelope, *frames]):
            self._tally.sent += 1
        else:
            self._tally.drop("reply", "peer gone", f"{peer!r} has left before its reply")

    @property
    def label(self) -> str:
        """The socket's name."""
        return self._label

    def note(self, error: BaseException) -> None:
        """Tell whoever runs the node of what a method raised."""
        self._runtime.events.emit(HandlerFailed(self._label, self._intake.name, error))


class _Answer(Answer):
    """Where the result of a request goes."""

    deadline = 0.0

    def __init__(self, live: LiveReplier, peer: Peer) -> None:
        self._live = live
        self._peer = peer

    def is_open(self) -> bool:
        return True

    def resolve(self, value: Any) -> None:
        if value is REFUSED:
            self._live.failed(self._peer, "ArgumentMismatch", "the request does not fit")
        else:
            self._live.reply(self._peer, value)

    def reject(self, error: BaseException) -> None:
        if isinstance(error, RemoteError):
            self._live.note(error.__cause__ or error)
            self._live.failed(self._peer, error.type, error.text)
        else:
            self._live.failed(self._peer, type(error).__name__, str(error))


def _written(payload: Payload, value: Any) -> list[bytes]:
    if payload.name != "msgpack" and value is None:
        return [b""]
    if payload.name == "raw" and isinstance(value, tuple):
        return payload.frames(value)
    return payload.frames((value,))
