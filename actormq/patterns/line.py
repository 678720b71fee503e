"""The connections that requests go out on: one request at a time each, or many told apart."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

from actormq.context import Context
from actormq.errors import PeerLost, SetupError
from actormq.patterns.peers import Peers
from actormq.patterns.tally import Tally
from actormq.port import Port
from actormq.transport import DEALER

_UNSEEN = "inproc://"


class Line:
    """A REQ to the last byte: a DEALER that carries one request at a time.

    Args:
        context: The actor's.
        label: The socket's name, for errors.
        endpoint: Where to connect.
        tally: Counts.
        changed: Called when the line may have become free or lost.

    Attributes:
        endpoint: Where it is connected.
        owes: Whether a reply is under way that nobody waits for any more.
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
        self.owes = False
        self._transport = context.runtime.transport
        self._label = label
        self._tally = tally
        self._changed = changed
        self._waiting: asyncio.Future[Sequence[bytes]] | None = None
        self._port: Port = self._transport.open(DEALER, self._arrived)
        self._peers = Peers(context, self._port, label)
        self._peers.on_change(self._heard)

    def open(self) -> None:
        """Connect.

        Raises:
            SetupError: The endpoint is none.
        """
        try:
            self._transport.connect(self._port, self.endpoint, self._label)
        except SetupError:
            self.close()
            raise

    @property
    def is_up(self) -> bool:
        """Whether somebody is there; of inproc that cannot be known."""
        return self._peers.count > 0 or self.endpoint.startswith(_UNSEEN)

    @property
    def is_free(self) -> bool:
        """Whether it may carry a request now."""
        return self.is_up and self._waiting is None and not self.owes

    def send(self, body: Sequence[bytes]) -> asyncio.Future[Sequence[bytes]] | None:
        """Send a request on a line that is free.

        Returns:
            A future of the reply's frames, or None if nobody took it.
        """
        if not self._port.send([b"", *body]):
            return None
        self._tally.sent += 1
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def give_up(self, reply: asyncio.Future[Sequence[bytes]]) -> None:
        """Wait for a reply no longer: until it has come, the line is not free."""
        if self._waiting is reply:
            self._waiting = None
            self.owes = True

    def _arrived(self, frames: list[bytes]) -> None:
        self._tally.received += 1
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            self.owes = False
            self._tally.drop("request", "late reply", "a reply came after its request was given up")
        elif frames[0] or not frames[1:]:
            self.owes = False
            waiting.set_result(())
        else:
            waiting.set_result(frames[1:])
        self._changed()

    def _heard(self) -> None:
        """Somebody has come or gone; who comes anew knows nothing of earlier requests."""
        if not self._peers.count:
            self.owes = False
            self._lose("the connection broke")
        self._changed()

    def _lose(self, why: str) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(PeerLost(self.endpoint, why))

    def close(self) -> None:
        """Close it; a request under way fails."""
        self._lose("its socket was closed")
        self._transport.close_port(self._port, 0)


class SharedLine:
    """A socket that is bound: requests of all sorts go through it, each with a number ahead.

    Args:
        context: The actor's.
        label: The socket's name, for errors.
        tally: Counts.
        changed: Called when somebody has come or gone.
    """

    def __init__(
        self, context: Context, label: str, tally: Tally, changed: Callable[[], None]
    ) -> None:
        self._transport = context.runtime.transport
        self._label = label
        self._tally = tally
        self._numbers = itertools.count(1)
        self._waiting: dict[bytes, asyncio.Future[Sequence[bytes]]] = {}
        self._port: Port = self._transport.open(DEALER, self._arrived)
        self._peers = Peers(context, self._port, label)
        self._peers.on_change(changed)

    @property
    def peer_count(self) -> int:
        """How many are there."""
        return self._peers.count

    def bind(self, endpoint: str) -> str:
        """Bind."""
        return self._transport.bind(self._port, endpoint, self._label)

    @property
    def is_free(self) -> bool:
        """Whether it may carry a request now."""
        return self._peers.count > 0

    def send(self, body: Sequence[bytes]) -> asyncio.Future[Sequence[bytes]] | None:
        """As `Line.send`."""
        number = next(self._numbers).to_bytes(8)
        if not self._port.send([number, b"", *body]):
            return None
        self._tally.sent += 1
        self._waiting[number] = reply = asyncio.get_running_loop().create_future()
        return reply

    def give_up(self, reply: asyncio.Future[Sequence[bytes]]) -> None:
        """Wait for a reply no longer."""
        for number in [number for number, other in self._waiting.items() if other is reply]:
            del self._waiting[number]

    def _arrived(self, frames: list[bytes]) -> None:
        self._tally.received += 1
        reply = self._waiting.pop(frames[0], None)
        if reply is None or reply.done():
            self._tally.drop("request", "late reply", "a reply came after its request was given up")
        else:
            reply.set_result(frames[2:] if len(frames) > 2 and not frames[1] else ())  # noqa: PLR2004 number, delimiter, body

    def close(self) -> None:
        """Close it; requests under way fail."""
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(PeerLost(self._label, "its socket was closed"))
        self._waiting.clear()
        self._transport.close_port(self._port, 0)
