"""The connections that requests go out on: one request at a time each, or many told apart.

What was sent has one fate, and is counted under it: `sent` is what was answered, what was dropped
under a reason, and what is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from functools import partial

import zmq

from actormq.context import Context
from actormq.errors import PeerLost, SetupError
from actormq.patterns.peers import SEEN, Peers
from actormq.patterns.tally import Tally
from actormq.port import Port
from actormq.settings import LINES_LIMIT
from actormq.transport import DEALER, LINE

PAUSE = 0.1  # s from a line that is good for nothing to the next one: as ZeroMQ's own first try
STALE_AFTER = 3.0  # s without a connection, then a new line: ZeroMQ gives up after a bad handshake
OWED_LIMIT = 1_000  # requests that were given up and may be answered yet, of one shared line

_NUMBER_BYTES = 8


class Request:
    """What is asked: it waits for a line, then for its reply.

    Args:
        body: Its frames.
        is_farewell: Whether the body of a reply says that its sender is about to go.

    Attributes:
        reply: A future of the reply's frames.
        line: What it went out on; None as long as it waits.
    """

    __slots__ = ("body", "is_farewell", "line", "reply")

    def __init__(
        self, body: Sequence[bytes], is_farewell: Callable[[Sequence[bytes]], bool]
    ) -> None:
        self.body = body
        self.is_farewell = is_farewell
        self.reply: asyncio.Future[Sequence[bytes]] = asyncio.get_running_loop().create_future()
        self.line: Line | SharedLine | None = None

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for the reply any more."""
        return self.reply.done()

    def fail(self, error: Exception) -> None:
        """There will be no reply, and why."""
        if not self.is_given_up:
            self.reply.set_exception(error)


class Line:
    """A REQ to the last byte: a DEALER that carries one request at a time.

    Args:
        context: The actor's.
        label: The socket's name, for errors.
        endpoint: Where to connect.
        tally: Counts.
        changed: Called when the line may have become free, or is lost.

    Attributes:
        endpoint: Where it is connected.
        is_up: Whether somebody is there; of inproc that cannot be known.
        is_spoilt: Whether it carries nothing any more: it could take a reply for another's, or its
            other end is about to go.
        asked_at: When its last request was sent, on the node's clock.

    Raises:
        SetupError: The endpoint is none, or the process has no descriptor left.
    """

    def __init__(
        self,
        context: Context,
        label: str,
        endpoint: str,
        tally: Tally,
        changed: Callable[[], None],
    ) -> None:
        self.endpoint = endpoint
        self.is_up = self._is_unseen = not endpoint.startswith(SEEN)
        self.is_spoilt = False
        self.asked_at = 0.0
        self._loop = context.runtime.loop
        self._transport = context.runtime.transport
        self._tally = tally
        self._changed = changed
        self._request: Request | None = None
        self._down_since = self._loop.now()
        self._port: Port = self._transport.open(LINE, self._arrived)
        try:
            peers = Peers(context, self._port, label)
            peers.on_change(lambda: self._heard(peers.count > 0))
            self._transport.connect(self._port, endpoint, label)
        except BaseException:
            self._transport.close_port(self._port, 0)
            raise

    @property
    def waiting(self) -> int:
        """Requests under way, given up or not: one or none."""
        return self._request is not None

    @property
    def owes(self) -> bool:
        """Whether a reply is under way that nobody waits for any more."""
        return self._request is not None and self._request.is_given_up

    @property
    def is_useless(self) -> bool:
        """Whether a new line had better take its place."""
        is_stale = not self.is_up and self._loop.now() - self._down_since > STALE_AFTER
        return self.is_spoilt or is_stale

    def send(self, request: Request) -> bool:
        """Send a request, if the line is free and somebody takes it."""
        if not self.is_up or self._request is not None or self.is_spoilt:
            return False
        if not self._port.send([b"", *request.body]):
            # Over inproc: who was there has gone, and ZeroMQ does not connect to the next one.
            self.is_spoilt = self._is_unseen
            return False
        self._tally.sent += 1
        self._request, request.line = request, self
        self.asked_at = self._loop.now()
        return True

    def _arrived(self, frames: list[bytes]) -> None:
        self._tally.received += 1
        request, self._request = self._request, None
        if request is None:
            # The next one could be taken for the reply to a request that has not been sent yet.
            self.is_spoilt = True
            self._tally.drop("request", "unasked reply", "a reply came to no request")
            self._changed()
            return
        body = _body(frames, 0)
        self.is_spoilt = self.is_spoilt or request.is_farewell(body)
        if request.is_given_up:
            self._tally.drop("request", "late reply", "a reply came after its request was given up")
        else:
            request.reply.set_result(body)
        self._changed()

    def _heard(self, is_up: bool) -> None:
        """Somebody has come or gone; what came before may not have been read yet."""
        self._port.look()
        self._loop.call_soon(self._settle, is_up)

    def _settle(self, is_up: bool) -> None:
        if self._port.is_closed:
            return
        self.is_up = is_up
        if not is_up:
            self._down_since = self._loop.now()
            # It may have gone out on the connection that came next, where a reply is under way.
            self.is_spoilt = self._request is not None
            self._lose("peer lost", "the connection broke")
        self._changed()

    def _lose(self, reason: str, why: str) -> None:
        request, self._request = self._request, None
        if request is not None:
            self._tally.drop("request", reason, f"no reply from {self.endpoint}: {why}")
            request.fail(PeerLost(self.endpoint, why))

    def close(self, reason: str, why: str) -> None:
        """Close it; a request under way is dropped for that reason."""
        self._lose(reason, why)
        self._transport.close_port(self._port, 0)


class Lines:
    """The lines to one endpoint: as many as there are requests at a time, up to `LINES_LIMIT`.

    Args:
        context: The actor's.
        label: The socket's name, for errors.
        endpoint: Where to connect.
        tally: Counts.
        changed: Called when a line may have become free, or is lost.

    Raises:
        SetupError: The endpoint is none, or the process has no descriptor left.
    """

    def __init__(
        self,
        context: Context,
        label: str,
        endpoint: str,
        tally: Tally,
        changed: Callable[[], None],
    ) -> None:
        self.endpoint = endpoint
        self.is_unseen = not endpoint.startswith(SEEN)
        self._loop = context.runtime.loop
        self._open = partial(Line, context, label, endpoint, tally, changed)
        self._next_at = 0.0  # not before then
        self._lines = [self._open()]

    @property
    def peer_count(self) -> int:
        """Whether somebody is there, as far as that can be seen: 1 or 0."""
        return not self.is_unseen and any(line.is_up for line in self._lines)

    @property
    def waiting(self) -> int:
        """Requests under way, given up or not, a count."""
        return sum(line.waiting for line in self._lines)

    def send(self, request: Request) -> bool:
        """Send a request, if a line is free."""
        return any(line.send(request) for line in self._lines)

    def mend(self) -> bool:
        """Close the lines that are good for nothing, and open one if no other is left.

        Returns:
            False if that has to wait a little: a server that ends each connection at once is not
            to be connected to without a pause.
        """
        for line in [line for line in self._lines if line.is_useless]:
            self._close(line, "peer lost", "its line was closed")
            if not self.is_unseen:
                self._next_at = self._loop.now() + PAUSE
        return bool(self._lines) or self._add() is not None

    def grow(self) -> bool | None:
        """Open one more line where all that there are have a request.

        At the limit it takes the place of the line that has owed its reply longest.

        Returns:
            Whether it may be used at once; None if none was opened.
        """
        if not self._lines or not all(line.is_up for line in self._lines):
            return None  # one is on its way already, or nobody is there
        if len(self._lines) >= LINES_LIMIT:
            owing = [line for line in self._lines if line.owes]
            if not owing:
                return None
            oldest = min(owing, key=lambda line: line.asked_at)
            self._close(oldest, "no reply", "others wait for a line")
        line = self._add()
        return None if line is None else line.is_up

    def _add(self) -> Line | None:
        if self._loop.now() < self._next_at:
            return None
        # No descriptor is left: there may be one later.
        with contextlib.suppress(SetupError, zmq.ZMQError):
            self._lines.append(self._open())
            return self._lines[-1]
        return None

    def _close(self, line: Line, reason: str, why: str) -> None:
        self._lines.remove(line)
        line.close(reason, why)

    def close(self, reason: str, why: str) -> None:
        """Close them all; requests under way are dropped for that reason."""
        for line in list(self._lines):
            self._close(line, reason, why)


class SharedLine:
    """A socket that is bound: all requests go through it, each with a number ahead.

    Args:
        context: The actor's.
        label: The socket's name, for errors.
        tally: Counts.
        changed: Called when somebody has come or gone, or has answered.

    Raises:
        SetupError: The process has no descriptor left.
    """

    def __init__(
        self, context: Context, label: str, tally: Tally, changed: Callable[[], None]
    ) -> None:
        self.is_unseen = True  # until it is bound where peers are seen
        self._loop = context.runtime.loop
        self._transport = context.runtime.transport
        self._label = label
        self._tally = tally
        self._changed = changed
        self._numbers = itertools.count(1)
        self._requests: dict[bytes, Request] = {}
        self._port: Port = self._transport.open(DEALER, self._arrived)
        try:
            self._peers = Peers(context, self._port, label)
        except BaseException:
            self._transport.close_port(self._port, 0)
            raise
        self._peers.on_change(self._heard)

    @property
    def endpoint(self) -> str:
        """Where it was bound last."""
        return self._port.endpoint

    @property
    def peer_count(self) -> int:
        """How many are there, as far as that can be seen."""
        return self._peers.count

    @property
    def waiting(self) -> int:
        """Requests under way, given up or not, a count."""
        return len(self._requests)

    def bind(self, endpoint: str) -> str:
        """Bind, and tell the endpoint with what ZeroMQ filled in."""
        bound = self._transport.bind(self._port, endpoint, self._label)
        self.is_unseen = self.is_unseen and not endpoint.startswith(SEEN)
        self._peers.attached(endpoint)
        return bound

    def send(self, request: Request) -> bool:
        """Send a request, if somebody is there to take it."""
        if self._peers.is_alone:
            return False
        number = next(self._numbers).to_bytes(_NUMBER_BYTES)
        if not self._port.send([number, b"", *request.body]):
            return False
        self._tally.sent += 1
        self._requests[number] = request
        request.line = self
        if len(self._requests) > OWED_LIMIT:
            self._forget_one()
        return True

    def _forget_one(self) -> None:
        """Who has been owed longest may never be answered: its server has gone, perhaps."""
        for number, request in self._requests.items():
            if request.is_given_up:
                del self._requests[number]
                self._tally.drop("request", "no reply", "it was given up, and others were since")
                return

    def mend(self) -> bool:
        """As `Lines.mend`: there is nothing to mend."""
        return True

    def grow(self) -> bool | None:
        """As `Lines.grow`: there is one for all."""
        return None

    def _arrived(self, frames: list[bytes]) -> None:
        self._tally.received += 1
        request = self._requests.pop(frames[0], None)
        if request is None:
            self._tally.drop("request", "unasked reply", "a reply came to no request")
        elif request.is_given_up:
            self._tally.drop("request", "late reply", "a reply came after its request was given up")
        else:
            request.reply.set_result(_body(frames, 1))
        self._changed()

    def _heard(self) -> None:
        """Somebody has come or gone; what came before may not have been read yet."""
        self._port.look()
        self._loop.call_soon(self._settle, self._peers.is_alone)

    def _settle(self, is_alone: bool) -> None:
        if self._port.is_closed:
            return
        if is_alone:  # of several it is not known which of them had the request
            self._lose("peer lost", "the last one that was connected has gone")
        self._changed()

    def _lose(self, reason: str, why: str) -> None:
        requests, self._requests = self._requests, {}
        if requests:
            text = f"no reply to {len(requests)} requests: {why}"
            self._tally.drop("request", reason, text, len(requests))
        for request in requests.values():
            request.fail(PeerLost(self.endpoint, why))

    def close(self, reason: str, why: str) -> None:
        """Close it; requests under way are dropped for that reason."""
        self._lose(reason, why)
        self._transport.close_port(self._port, 0)


def _body(frames: Sequence[bytes], delimiter: int) -> Sequence[bytes]:
    """What stands behind the empty frame; nothing if it is not at its place."""
    return () if any(frames[delimiter : delimiter + 1]) else frames[delimiter + 1 :]
