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
import itertools
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from actormq.context import Context
from actormq.errors import (
    LifecycleError,
    NobodyThere,
    PeerLost,
    RemoteError,
    RemoteProtocolError,
    RequestTimeout,
    SetupError,
)
from actormq.patterns.line import Line, SharedLine
from actormq.patterns.live import Live
from actormq.patterns.payload import CodecName
from actormq.patterns.replier import ERROR
from actormq.patterns.sockets import Endpoints, Socket
from actormq.settings import LINES_LIMIT
from actormq.turns import deadline_for

RETRY = 0.01  # s until a line that would not take a request is asked again


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
        _check_timeout(timeout)
        if not isinstance(retries, int) or retries < 0:
            raise SetupError(f"Requester: retries={retries!r}: a whole number, 0 or more")
        self.timeout = timeout
        self.retries = retries

    def open(self, attribute: str, context: Context) -> LiveRequester:
        """Open the socket for one actor."""
        return LiveRequester(self, attribute, context)


class LiveRequester(Live):
    """The requester of one actor.

    `sent` counts requests with their repetitions, `received` the replies; those that came after
    their request was given up are `dropped["late reply"]`.
    """

    def __init__(self, spec: Requester, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._spec = spec
        self._lines: dict[str, list[Line]] = {}
        self._shared: SharedLine | None = None
        self._turn = itertools.count()
        self._changed = asyncio.Event()
        self._is_closed = False
        try:
            self._attachment.attach(self)
        except BaseException:
            self._close_lines()
            raise
        self._attachment.is_changed = self._changed.set

    # -- what it is attached with -------------------------------------------------------------

    def bind(self, endpoint: str) -> str:
        """Bind for repliers that connect; called by the attachment."""
        if self._shared is None:
            self._shared = SharedLine(self._context, self._label, self._tally, self._changed.set)
        return self._shared.bind(endpoint)

    def connect(self, endpoint: str) -> None:
        """Open a first line; called by the attachment."""
        self._open_line(endpoint)

    def disconnect(self, endpoint: str) -> None:
        """Close the lines to an endpoint; called by the attachment."""
        for line in self._lines.pop(endpoint, ()):
            line.close()

    def _open_line(self, endpoint: str) -> None:
        line = Line(self._context, self._label, endpoint, self._tally, self._changed.set)
        line.open()
        self._lines.setdefault(endpoint, []).append(line)

    # -- for the actor ------------------------------------------------------------------------

    @property
    def peer_count(self) -> int:
        """Endpoints where somebody is there."""
        own = self._shared.peer_count if self._shared is not None else 0
        return own + sum(any(line.is_up for line in lines) for lines in self._lines.values())

    async def ready(self, peers: int = 1, timeout: float | None = None) -> None:
        """Wait until that many are there to answer.

        Raises:
            TimeoutError: They did not come within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while self.peer_count < peers:
                    await self._change()
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
            PeerLost: The connection broke before the reply.
            RemoteError: The other end is a `Replier`, and its method raised.
            RemoteProtocolError: The reply does not fit the codec.
            SetupError: A value does not fit the codec.
            LifecycleError: The socket is closed.
        """
        if timeout is not None:
            _check_timeout(timeout)
        body = self._payload.frames(values)
        seconds, tries, sent = self._spec.timeout if timeout is None else timeout, 0, 0
        while True:
            tries += 1
            is_last = tries > self._spec.retries
            limit, _ = deadline_for(self._runtime.loop.now(), seconds, seconds)
            line: Line | SharedLine | None = None
            try:
                async with asyncio.timeout(limit):
                    line, reply = await self._send(body)
                    sent += 1
                    return self._read(await _answered(line, reply))
            except PeerLost:
                if is_last:
                    raise
            except TimeoutError:
                if is_last and sent:
                    raise RequestTimeout(self._label, seconds * tries, sent) from None
                if is_last:
                    raise NobodyThere(self._label, self._places(), seconds * tries) from None

    def _read(self, frames: Sequence[bytes]) -> Any:
        if not frames:
            raise RemoteProtocolError(f"{self._label}: a reply without the empty frame of REP")
        if self._payload.name == "msgpack" and len(frames) == 3 and frames[0] == ERROR:  # noqa: PLR2004 as `Replier` sends it
            kind, text = (frame.decode(errors="replace") for frame in frames[1:])
            raise RemoteError(self._label, "request", kind, text)
        values = self._payload.values(frames)
        return values[0] if len(values) == 1 else tuple(values)

    def _places(self) -> str:
        return ", ".join([*self._lines, self._spec.wiring.service or ""]).strip(", ") or "its bind"

    # -- lines --------------------------------------------------------------------------------

    async def _send(
        self, body: Sequence[bytes]
    ) -> tuple[Line | SharedLine, asyncio.Future[Sequence[bytes]]]:
        """Send on the next line that is free, as soon as one is."""
        while True:
            if self._is_closed:
                raise LifecycleError(f"{self._label} is closed: its actor has stopped")
            line = self._free_line()
            if line is None:
                await self._change()
                continue
            reply = line.send(body)
            if reply is not None:
                return line, reply
            await asyncio.sleep(RETRY)  # it has just been lost, and its event is under way

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _free_line(self) -> Line | SharedLine | None:
        """The next that is free; where all are under way a further one is opened."""
        shared = self._shared
        if shared is not None and shared.is_free:
            return shared
        places = [place for place in self._lines if self._is_offered(place)]
        turn = next(self._turn)
        for step in range(len(places)):
            for line in self._lines[places[(turn + step) % len(places)]]:
                if line.is_free:
                    return line
        for place in places:
            self._add_line(place)
        return None

    def _is_offered(self, endpoint: str) -> bool:
        """Whether it is still meant: the end of a service may have said goodbye."""
        return endpoint in self._attachment.connected or endpoint in self._attachment.ends

    def _add_line(self, endpoint: str) -> None:
        """Open one more where all that there are have a request, or owe a reply."""
        lines = self._lines[endpoint]
        if not all(line.is_up for line in lines):
            return
        if len(lines) >= LINES_LIMIT:
            owing = next((line for line in lines if line.owes), None)
            if owing is None:
                return
            lines.remove(owing)
            owing.close()
        self._open_line(endpoint)

    async def close(self) -> None:
        """Close the lines; requests under way fail."""
        self._attachment.withdraw()
        self._close_lines()

    def _close_lines(self) -> None:
        self._is_closed = True
        for endpoint in list(self._lines):
            self.disconnect(endpoint)
        if self._shared is not None:
            self._shared.close()
        self._changed.set()


async def _answered(
    line: Line | SharedLine, reply: asyncio.Future[Sequence[bytes]]
) -> Sequence[bytes]:
    try:
        return await reply
    finally:
        line.give_up(reply)


def _check_timeout(timeout: float) -> None:
    if not (isinstance(timeout, int | float) and timeout > 0):
        raise SetupError(f"Requester: timeout={timeout!r}: a number of seconds above 0")
