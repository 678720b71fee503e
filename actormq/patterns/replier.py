"""Answers requests: a ROUTER inside, so that a slow answer does not hold up the next request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import zmq

from actormq.context import Answer, Context
from actormq.errors import ActorStopped, ArgumentMismatch, RemoteError, SetupError
from actormq.events import HandlerFailed
from actormq.patterns.envelope import Peer, parted
from actormq.patterns.intake import REFUSED
from actormq.patterns.live import Receives
from actormq.patterns.payload import CodecName, Payload
from actormq.patterns.sockets import Endpoints, ReceivingSocket
from actormq.transport import ROUTER

ERROR = b"error"
"""The first frame of a reply with codec `msgpack` that says what went wrong: no msgpack value."""

ERROR_FRAMES = 3  # ERROR, the kind of the error, what it says
ERROR_CHARACTERS = 10_000  # of what it says: a reply over the requester's limit would not arrive

STOPPED = ("ActorStopped", "HandlerCancelled")
"""Kinds of errors of a replier whose actor has stopped; those of others have their module ahead."""

NOT_RUN = ("ArgumentMismatch", "RemoteProtocolError")
"""Kinds of errors of a request that did not fit, and that no method has seen."""


class Replier(ReceivingSocket["LiveReplier"]):
    """A class attribute: a socket that answers requests (REP to whoever looks from outside).

    What the method marked `received` returns is the reply: one value, several as a tuple
    (with `text` and `raw`), or None for an empty message (with `msgpack`, for nil).
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
        if error is not None and not isinstance(error, str | bytes):
            raise SetupError(f"Replier: error={error!r}: a text or bytes to send as the reply")
        if error is not None and codec == "msgpack":
            raise SetupError(
                "Replier: error= is for codec text and raw; msgpack says what was raised"
            )
        self.error = error

    def open(self, attribute: str, context: Context) -> LiveReplier:
        """Open the socket for one actor."""
        return LiveReplier(self, attribute, context)


class LiveReplier(Receives):
    """The replier of one actor.

    Of the requests in `received` each is answered, and in `sent`, or one of `waiting`, or in
    `dropped`: as `RemoteProtocolError` or `ArgumentMismatch`, for it did not fit; as `peer gone` or
    `full`, for its sender has left, or does not read its replies; as `not answered`, for there was
    no way to say what went wrong; or as `ActorStopped`.
    """

    def __init__(self, spec: Replier, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._error = spec.error.encode() if isinstance(spec.error, str) else spec.error
        self._unanswered: dict[_Asked, None] = {}
        self._listen(spec, ROUTER, is_answered=True)

    @property
    def waiting(self) -> int:
        """Requests without a reply, a count: those that wait, and those that are being handled."""
        return len(self._unanswered)

    def _arrived(self, frames: list[bytes]) -> None:
        peer, body = parted(frames)
        if not peer.envelope[1:]:
            self._tally.received += 1
            text = "a request has an empty frame ahead of its body: is the sender a DEALER?"
            self._tally.drop(self._intake.name, "RemoteProtocolError", text)
            return
        values = self._tally.read(self._intake.name, self._payload, body)
        if values is None:
            text = f"a frame is not of codec {self._payload.name!r}"
            self._say(peer, self._failure("RemoteProtocolError", text))
            return
        asked = _Asked(self, peer, values)
        self._unanswered[asked] = None
        self._intake.put(values, asked)

    # -- replies ------------------------------------------------------------------------------

    def is_open(self, asked: _Asked) -> bool:
        """Whether a request has no reply yet."""
        return asked in self._unanswered

    def answer(self, asked: _Asked, value: Any) -> None:
        """Send what the method returned."""
        if not self.is_open(asked):
            return
        try:
            frames = _written(self._payload, value)
        except Exception as error:  # noqa: BLE001 a border: what a method returns is not ours
            self.fail(asked, type(error).__name__, str(error), error)
        else:
            del self._unanswered[asked]
            self._reply(asked.peer, frames)

    def fail(self, asked: _Asked, kind: str, text: str, error: BaseException | None) -> None:
        """Say that there is no result, to the requester if there is a way, and to the log."""
        if self._unanswered.pop(asked, self) is self:
            return
        if error is not None:
            self._runtime.events.emit(HandlerFailed(self._label, self._intake.name, error))
        frames = self._failure(kind, text)
        if frames is not None:
            self._reply(asked.peer, frames)
        else:
            self._tally.drop("reply", "not answered", f"{kind}: {text}")

    def refuse(self, asked: _Asked, values: Sequence[Any]) -> None:
        """Say that a request did not fit the method; it was counted when that was found."""
        del self._unanswered[asked]
        try:
            self._intake.arguments.checked(self._label, values, {})
        except ArgumentMismatch as error:
            self._say(asked.peer, self._failure(type(error).__name__, str(error)))

    def _failure(self, kind: str, text: str) -> list[bytes] | None:
        """The frames that say what went wrong; None if there is no way."""
        if self._payload.name == "msgpack":
            shown = text[:ERROR_CHARACTERS].encode(errors="replace")
            return [ERROR, kind.encode(errors="replace"), shown]
        return None if self._error is None else [self._error]

    def _reply(self, peer: Peer, frames: Sequence[bytes]) -> None:
        refusal = self._say(peer, frames)
        if not refusal:
            self._tally.sent += 1
        elif refusal == zmq.EHOSTUNREACH:
            self._tally.drop("reply", "peer gone", f"{peer!r} has left before its reply")
        else:
            self._tally.drop("reply", "full", f"{peer!r} does not read its replies")

    def _say(self, peer: Peer, frames: Sequence[bytes] | None) -> int:
        """Send frames to a peer, if there are any; see `Port.offer`."""
        return self._port.offer([*peer.envelope, *frames]) if frames is not None else 0

    async def close(self) -> None:
        """Tell those who wait that the actor has stopped, and close."""
        stopped = ActorStopped(self._context.address.label)
        unanswered, self._unanswered = self._unanswered, {}
        for asked in unanswered:
            self._say(asked.peer, self._failure(type(stopped).__name__, str(stopped)))
        before = self._tally.dropped["ActorStopped"]
        self._intake.close()  # counts those that wait here, and not the one in the mailbox
        count = len(unanswered) - (self._tally.dropped["ActorStopped"] - before)
        if count:
            text = f"{count} requests had no reply when the actor stopped"
            self._tally.drop(self._intake.name, "ActorStopped", text, count)
        await super().close()


class _Asked(Answer):
    """One request: where its result goes."""

    deadline = 0.0  # its sender has one, and does not tell
    is_asked = True

    def __init__(self, live: LiveReplier, peer: Peer, values: Sequence[Any]) -> None:
        self.peer = peer
        self._live = live
        self._values = values

    def is_open(self) -> bool:
        return self._live.is_open(self)

    def resolve(self, value: Any) -> None:
        if value is REFUSED:
            self._live.refuse(self, self._values)
        else:
            self._live.answer(self, value)

    def reject(self, error: BaseException) -> None:
        if isinstance(error, RemoteError):
            self._live.fail(self, error.type, error.text, error.__cause__ or error)
        elif not isinstance(error, ActorStopped):  # else all hear of it as the socket closes
            self._live.fail(self, type(error).__name__, str(error), None)


def _written(payload: Payload, value: Any) -> list[bytes]:
    if payload.name != "msgpack" and value is None:
        return [b""]
    if payload.name != "msgpack" and isinstance(value, tuple):
        return payload.frames(value)
    return payload.frames((value,))
