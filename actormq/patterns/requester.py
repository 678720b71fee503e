"""Asks and waits for the reply, with a deadline, more tries if told so, and never out of step.

A REQ that is not answered is stuck, and one that forgets its request takes the late reply for the
next one's. So a requester has lines, each a DEALER to one endpoint that carries one request at a
time. A line whose request was given up carries none until the late reply has come, which is
dropped and counted; the next request takes another line, or a new one.
On the wire a line is a REQ to the last byte. A requester that binds has one socket for all, and
tells its requests apart by a frame ahead of the empty one, which REP and ROUTER hand back.

Source: the reliable request-reply patterns of ZeroMQ's guide ("Lazy Pirate"), REQ_CORRELATE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from actormq.context import Context
from actormq.deadlines import deadline_for
from actormq.errors import (
    ActormqError,
    DeliveryError,
    LifecycleError,
    NobodyThere,
    PeerLost,
    RemoteError,
    RemoteProtocolError,
    RequestTimeout,
    SetupError,
)
from actormq.patterns.line import Lines, Request, SharedLine
from actormq.patterns.live import Live
from actormq.patterns.payload import CodecName
from actormq.patterns.replier import ERROR, ERROR_FRAMES, NOT_RUN, STOPPED
from actormq.patterns.sockets import Endpoints, Socket

RETRY = 0.05  # s until those who wait are looked after again, where no event tells


class Requester(Socket["LiveRequester"]):
    """A class attribute: a socket that asks (REQ to whoever looks from outside).

    Args:
        service: The name that repliers or routers of the mesh have announced.
        bind: Endpoints to bind, for repliers that connect; True binds for the service.
        connect: Endpoints to connect to; of several each request takes the next that is there.
        codec: As the repliers have it; with `text` and `raw` they may be any plain REP.
        timeout: Seconds to wait for a reply, for each try.
        retries: How often to ask again when no reply came: what is asked may then run twice.

    Raises:
        SetupError: The arguments cannot work.
    """

    socket: ClassVar = "REQ"
    binds_by_default: ClassVar = False

    def __init__(
        self,
        *,
        service: str | None = None,
        bind: Endpoints | Literal[True] = None,
        connect: Endpoints | Literal[True] = None,
        codec: CodecName = "msgpack",
        timeout: float = 5.0,
        retries: int = 0,
    ) -> None:
        super().__init__(service, bind, connect, codec)
        _check_timeout("Requester", timeout)
        if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
            raise SetupError(f"Requester: retries={retries!r}: a whole number, 0 or more")
        self.timeout = timeout
        self.retries = retries

    def open(self, attribute: str, context: Context) -> LiveRequester:
        """Open the socket for one actor."""
        return LiveRequester(self, attribute, context)


class LiveRequester(Live):
    """The requester of one actor.

    `sent` counts requests, and each repetition, `received` replies.
    A request that was sent is answered, or under way and one of `waiting`, or in `dropped`: as
    `late reply`, for its reply came after it was given up; as `peer lost`, for the connection
    broke; as `no reply`, for it was given up, and room was needed for others; or as `closed`.
    A reply to no request is in `dropped` too, as `unasked reply`.
    """

    def __init__(self, spec: Requester, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._spec = spec
        self._ways: dict[str, Lines | SharedLine] = {}  # by endpoint; whose turn it is comes first
        self._shared: SharedLine | None = None
        self._endpoint = ""
        self._queue: dict[Request, None] = {}
        self._changed = asyncio.Event()
        self._retry: asyncio.TimerHandle | None = None
        self._is_closed = False
        try:
            self._attachment.attach(self)
        except BaseException:
            self._close("closed", "it could not be opened")
            raise
        self._attachment.is_changed = self._serve

    # -- what it is attached with -------------------------------------------------------------

    def bind(self, endpoint: str) -> str:
        """Bind for repliers that connect; called by the attachment."""
        if self._shared is None:
            self._shared = SharedLine(self._context, self._label, self._tally, self._serve)
            self._ways[""] = self._shared
        return self._shared.bind(endpoint)

    def connect(self, endpoint: str) -> None:
        """Open a first line; called by the attachment."""
        self._endpoint = endpoint
        if endpoint not in self._ways:
            lines = Lines(self._context, self._label, endpoint, self._tally, self._serve)
            self._ways[endpoint] = lines

    def disconnect(self, endpoint: str) -> None:
        """Close the lines to an end of the service; called by the attachment."""
        if endpoint in self._ways and endpoint not in self._attachment.connected:
            self._ways.pop(endpoint).close("peer lost", "it has left the service")
            self._serve()

    # -- for the actor ------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """Where it was bound, or else connected last; empty as long as its service had nobody."""
        return self._endpoint if self._shared is None else self._shared.endpoint

    @property
    def peer_count(self) -> int:
        """Those who are there: endpoints that answer, and who is connected where it is bound.

        inproc has none that could be seen.
        """
        return sum(way.peer_count for way in self._ways.values())

    @property
    def waiting(self) -> int:
        """Requests without a reply, a count: under way, given up or not, and not sent yet."""
        return len(self._queue) + sum(way.waiting for way in self._ways.values())

    async def ready(self, peers: int = 1, timeout: float | None = None) -> None:
        """Wait until that many are there to answer.

        Args:
            peers: How many.
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            TimeoutError: They did not come in time.
            SetupError: Nobody can be seen to come over inproc.
            LifecycleError: The socket is closed.
        """
        if self._ways and all(way.is_unseen for way in self._ways.values()):
            raise SetupError(
                f"{self._label}: ready() does not see who comes over inproc: leave it out"
            )
        try:
            async with asyncio.timeout(timeout):
                while self._check_open() and self.peer_count < peers:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(
                f"{self._label} has {self.peer_count} of {peers} peers after {timeout:g} s"
            ) from None

    async def request(self, *values: Any, timeout: float | None = None) -> Any:
        """Send a request and wait for its reply.

        Args:
            values: One frame each, as the codec has it.
            timeout: Seconds for each try, in place of the socket's own; never longer than the ask
                that the actor is handling may take.

        Returns:
            The reply's value; a tuple if it has several frames.

        Raises:
            NobodyThere: Nobody was there in time, and nothing was sent.
            RequestTimeout: No reply came in time.
            PeerLost: The connection broke before the reply, or the other end's actor stopped.
            RemoteError: The other end is a `Replier`, and its method raised.
            DeliveryError: The other end is a `Replier`, and the request does not fit its method.
            RemoteProtocolError: The reply does not fit the codec.
            SetupError: A value does not fit the codec.
            NotEncodable: A value has no form on the wire.
            MessageTooLarge: A value is over `message_limit`.
            LifecycleError: The socket is closed.
        """
        if timeout is not None:
            _check_timeout(self._label, timeout)
        body = self._payload.frames(values)
        seconds = self._spec.timeout if timeout is None else timeout
        begun, tries, sent = self._runtime.loop.now(), 0, 0
        while True:
            tries += 1
            request = Request(body, self._is_farewell)
            limit, _ = deadline_for(self._runtime.loop.now(), seconds, seconds)
            try:
                return self._read(await self._answered(request, limit), request)
            except PeerLost:
                sent += 1
                if tries > self._spec.retries:
                    raise
            except TimeoutError:
                sent += request.line is not None
                # The ask that the actor is handling has no time left for another try.
                if tries > self._spec.retries or limit < seconds:
                    raise self._gave_up(begun, sent) from None

    def _gave_up(self, begun: float, sent: int) -> RequestTimeout | NobodyThere:
        seconds = self._runtime.loop.now() - begun
        if sent:
            return RequestTimeout(self._label, seconds, sent)
        places = [way.endpoint for way in self._ways.values()]
        return NobodyThere(
            self._label, ", ".join(places) or f"service {self._spec.wiring.service!r}", seconds
        )

    def _read(self, frames: Sequence[bytes], request: Request) -> Any:
        if not frames:
            raise RemoteProtocolError(f"{self._label}: a reply without the empty frame of REP")
        if self._is_error(frames):
            raise self._error(frames, request)
        values = self._payload.values(frames)
        return values[0] if len(values) == 1 else tuple(values)

    def _is_error(self, frames: Sequence[bytes]) -> bool:
        """Whether it is what a `Replier` says in place of a result."""
        if len(frames) != ERROR_FRAMES or frames[0] != ERROR:
            return False
        # One with codec `msgpack` says so too where the codecs of the two differ.
        return self._payload.name == "msgpack" or frames[1].decode(errors="replace") in NOT_RUN

    def _is_farewell(self, frames: Sequence[bytes]) -> bool:
        """Whether a `Replier` says that its actor has stopped: it hears no other request."""
        return self._is_error(frames) and frames[1].decode(errors="replace") in STOPPED

    def _error(self, frames: Sequence[bytes], request: Request) -> ActormqError:
        kind, text = (frame.decode(errors="replace") for frame in frames[1:])
        if kind in STOPPED:
            assert request.line is not None
            return PeerLost(request.line.endpoint, text)
        if kind in NOT_RUN:
            return DeliveryError(f"{self._label}: the other end refused the request: {text}")
        return RemoteError(self._label, "request", kind, text)

    # -- on the way ---------------------------------------------------------------------------

    async def _answered(self, request: Request, limit: float) -> Sequence[bytes]:
        """The frames of the reply.

        Raises:
            TimeoutError: There was none within `limit` seconds.
        """
        self._check_open()
        if limit <= 0:
            raise TimeoutError  # before it is sent
        self._queue[request] = None
        self._serve()
        try:
            async with asyncio.timeout(limit):
                return await request.reply
        except BaseException:
            self._give_up(request)
            raise

    def _give_up(self, request: Request) -> None:
        self._queue.pop(request, None)
        reply = request.reply
        if reply.done() and not reply.cancelled() and reply.exception() is None:
            self._tally.drop("request", "late reply", "a reply came as its request was given up")
        reply.cancel()
        self._serve()  # its line can make room for one that waits

    def _check_open(self) -> bool:
        if self._is_closed:
            raise LifecycleError(f"{self._label} is closed: its actor has stopped")
        return True

    def _serve(self) -> None:
        """Send what waits, first come first served, and see to it that there are lines for it."""
        self._changed.set()
        if self._is_closed:
            return
        broken = [way for way in self._ways.values() if not way.mend()]
        while self._queue:
            request = next(iter(self._queue))
            if not self._is_sent(request):
                break
            del self._queue[request]
        if self._retry is None and (self._queue or broken):
            self._retry = self._runtime.loop.call_later(RETRY, self._serve_again)

    def _serve_again(self) -> None:
        self._retry = None
        self._serve()

    def _is_sent(self, request: Request) -> bool:
        if self._is_taken(request):
            return True
        for place in self._offered():
            is_free = self._ways[place].grow()
            if is_free is not None:  # one more at a time: most requests are short
                return is_free and self._is_taken(request)
        return False

    def _is_taken(self, request: Request) -> bool:
        for place in self._offered():
            if self._ways[place].send(request):
                self._ways[place] = self._ways.pop(place)  # the others come first the next time
                return True
        return False

    def _offered(self) -> list[str]:
        """Where requests may go: an end of the service may have said goodbye."""
        attachment = self._attachment
        return [
            place
            for place in self._ways
            if not place or place in attachment.connected or place in attachment.ends
        ]

    async def close(self) -> None:
        """Close the lines; requests under way fail."""
        self._close("closed", "our own socket was closed")

    def _close(self, reason: str, why: str) -> None:
        self._attachment.withdraw()
        self._is_closed = True
        if self._retry is not None:
            self._retry.cancel()
        queue, self._queue = self._queue, {}
        for request in queue:
            request.fail(LifecycleError(f"{self._label} is closed: its actor has stopped"))
        while self._ways:
            self._ways.popitem()[1].close(reason, why)
        self._changed.set()


def _check_timeout(what: str, timeout: float) -> None:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not (is_number and timeout > 0):
        raise SetupError(f"{what}: timeout={timeout!r}: a number of seconds above 0")
