"""A connection of a simulated network: two ordered streams, and what becomes of them.

What is modelled is TCP as ZeroMQ uses it. In a connection that lives nothing is lost and nothing
overtakes; a lost packet costs time. One that breaks loses what is under way; of what a process had
sent as it ended, a part may still arrive, as the system's buffers have it. A cut is silent: what
is sent waits, and arrives some time after the heal, unless its sender's system has given the
connection up by then, since nothing was acknowledged for too long.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from enum import Enum
from typing import Any, Protocol

from actormq.testing.simulation.loop import VirtualLoop
from actormq.testing.simulation.record import Record
from actormq.transport import (
    KEEPALIVE_COUNT,
    KEEPALIVE_IDLE,
    KEEPALIVE_INTERVAL,
    LINK_HWM,
    LINK_UNACKNOWLEDGED_MS,
)

Frames = Sequence[Any]

RETRY_MOST = 3.0  # s that a connection which was cut may wait after the heal until it tries again
FRAMES_LIMIT = 2 * LINK_HWM  # link messages under way in one stream, half of them at either end
UNACKNOWLEDGED = LINK_UNACKNOWLEDGED_MS / 1_000  # s
IDLE = float(KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_COUNT)  # s
LOOK_AGAIN = 1.0  # s


class Control(Enum):
    """What the ends of a connection say to each other below the messages."""

    OPEN = "open"
    ACCEPTED = "accepted"
    CLOSED = "closed"


class Place(Protocol):
    """A machine, as the network sees it.

    Attributes:
        name: Its name, which is its address as well.
        context: In which what arrives there is handled.
    """

    name: str
    context: Context


class End(Protocol):
    """What a connection ends in: a port.

    Attributes:
        place: Its machine.
    """

    place: Place

    def accepted(self, connection: Connection) -> None:
        """Somebody has dialled it."""

    def established(self) -> None:
        """The other end has accepted."""

    def arrived(self, routing_id: bytes, frames: Frames) -> None:
        """A message has come."""

    def drained(self) -> None:
        """There is room again where there was none."""

    def broken(self, connection: Connection) -> None:
        """It has ended, and not by this end."""


class Net(Protocol):
    """The network, as its connections see it.

    Attributes:
        flows_at: When the last of the connections that were cut goes on.
    """

    flows_at: float
    context: Context
    loop: VirtualLoop
    chance: random.Random
    record: Record

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing gets from one machine to another."""

    def delay(self) -> float | None:
        """Draw how long a message takes, in seconds; None if it breaks its connection."""

    def dropped(self, source: Place, target: Place, frames: Frames, reason: str) -> None:
        """Count a message that is lost."""

    def listening(self, place: str, endpoint: str) -> End | None:
        """Who listens at an endpoint of a machine."""

    def is_doubled(self) -> bool:
        """Draw whether a connect arrives twice."""

    def haunt(self, connection: Connection, listener: End, frames: Frames) -> None:
        """Let the first message of a connect come again."""

    def ended(self, connection: Connection) -> None:
        """Nothing will come of a connection any more."""


class Stream:
    """One direction of a connection.

    Attributes:
        source: The machine that sends.
        target: The machine that receives.
        flying: What is under way: when it arrives, and what.
        is_over: Whether the sender takes no more.
        cut_at: Since when nothing gets through; None if all does.
    """

    __slots__ = (
        "_connection",
        "_is_armed",
        "_last_at",
        "_net",
        "cut_at",
        "flying",
        "is_over",
        "source",
        "target",
    )

    def __init__(self, net: Net, connection: Connection, source: Place, target: Place) -> None:
        self._net = net
        self._connection = connection
        self._is_armed = False
        self._last_at = 0.0
        self.source = source
        self.target = target
        self.flying: deque[tuple[float, Frames | Control]] = deque()
        self.is_over = False
        self.cut_at: float | None = None

    def put(self, what: Frames | Control) -> None:
        """Send something behind all else."""
        net = self._net
        delay = net.delay()
        is_torn = delay is None and not isinstance(what, Control)
        at = net.loop.time() + (RETRY_MOST if delay is None else delay)
        self._last_at = max(self._last_at, at)
        self.flying.append((self._last_at, what))
        if is_torn:
            self._connection.tear()
        elif not self._is_armed and self.cut_at is None:
            self.arm()

    def arm(self) -> None:
        """Wait for what comes next, in the receiver's context as it is now."""
        if self.flying:
            self._is_armed = True
            loop, context = self._net.loop, self.target.context
            loop.call_at(self.flying[0][0], self._arrive, context, context=context)

    def _arrive(self, context: Context) -> None:
        if context is not self.target.context:
            return  # the machine was started anew, and armed anew
        self._is_armed = False
        flying = self.flying
        if not flying or self.cut_at is not None:
            return
        if flying[0][0] > self._net.loop.time():  # it was cut meanwhile, and comes later
            self.arm()
            return
        _, what = flying.popleft()
        if flying:
            self.arm()
        self._connection.arrived(self, what)

    def cut(self, now: float) -> None:
        """Let nothing through; whoever sends into it gives it up if that lasts."""
        if self.cut_at is None:
            self.cut_at = now
            wait = UNACKNOWLEDGED + LOOK_AGAIN * self._net.chance.random()
            self._net.loop.call_later(wait, self._starve, now, context=self._net.context)

    def _starve(self, since: float) -> None:
        """Give the connection up if something waits for too long, or nothing for very long."""
        if self.cut_at != since:
            return
        if self._net.loop.time() - since >= IDLE:
            self._connection.tear()
        else:
            if self.flying and not self.is_over:
                self._connection.give_up(self, by_sender=True)
            self._net.loop.call_later(LOOK_AGAIN, self._starve, since, context=self._net.context)

    def heal(self, now: float) -> None:
        """Go on; what was cut for long notices late."""
        if self.cut_at is None:
            return
        at = now + min(now - self.cut_at, RETRY_MOST) * self._net.chance.random()
        self.cut_at = None
        self._net.flows_at = max(self._net.flows_at, at)
        waiting, self.flying = self.flying, deque()
        for due, what in waiting:
            at = max(at, due)
            self.flying.append((at, what))
        self._last_at = max(self._last_at, at)
        if not self._is_armed:
            self.arm()

    def moved(self) -> None:
        """Arrive in another context from now on: the receiver's has changed."""
        self._is_armed = False
        if self.cut_at is None:
            self.arm()

    def lose(self, kept: int = 0) -> None:
        """Lose what is under way behind the first few."""
        while len(self.flying) > kept:
            _, what = self.flying.pop()
            if not isinstance(what, Control):
                self._net.dropped(self.source, self.target, what, "broken")


class Connection:
    """A DEALER's connection to a ROUTER.

    Attributes:
        number: Its number in this simulation.
        routing_id: What the ROUTER calls it.
        dialer: The DEALER's end; None once it has closed.
        listener: The ROUTER's end; None before it has accepted, and once it has closed.
        is_established: Whether the dialer may send.
    """

    __slots__ = (
        "_endpoint",
        "_is_doubled",
        "_net",
        "back",
        "dialer",
        "forth",
        "is_established",
        "listener",
        "number",
        "routing_id",
    )

    def __init__(
        self, net: Net, number: int, dialer: End, target: Place, endpoint: str, routing_id: bytes
    ) -> None:
        self._net = net
        self._endpoint = endpoint
        self._is_doubled = False
        self.number = number
        self.dialer: End | None = dialer
        self.listener: End | None = None
        self.routing_id = routing_id
        self.is_established = False
        self.forth = Stream(net, self, dialer.place, target)
        self.back = Stream(net, self, target, dialer.place)

    # -- what ports ask for -------------------------------------------------------------------

    def open(self) -> None:
        """Dial."""
        self.forth.put(Control.OPEN)

    def send(self, end: End, frames: Frames) -> bool:
        """Send a message from one end; False if there is no room."""
        stream = self.forth if end is self.dialer else self.back
        if stream.is_over or len(stream.flying) >= FRAMES_LIMIT:
            return False
        self._net.record.sent(stream.source.name, stream.target.name, frames)
        stream.put(frames)
        return True

    def close(self, end: End, kept: float) -> None:
        """Close one end.

        Args:
            end: Which.
            kept: The share of what is under way from there that arrives nevertheless.
        """
        if end is self.dialer:
            stream, self.dialer = self.forth, None
        else:
            stream, self.listener = self.back, None
        stream.lose(int(kept * len(stream.flying)))
        self._finish(stream)

    # -- what happens to it -------------------------------------------------------------------

    def arrived(self, stream: Stream, what: Frames | Control) -> None:
        """Take what has come to the end of a stream."""
        end = self.listener if stream is self.forth else self.dialer
        if not isinstance(what, Control):
            self._deliver(stream, end, what)
        elif what is Control.OPEN:
            self._accept()
        elif what is Control.CLOSED:
            self._closed(stream, end)
        elif end is not None:
            self.is_established = True
            end.established()

    def _deliver(self, stream: Stream, end: End | None, frames: Frames) -> None:
        net = self._net
        if end is None:
            net.dropped(stream.source, stream.target, frames, "closed")
            return
        net.record.frame(stream.target.name, "from", stream.source.name, frames)
        if self._is_doubled:
            self._is_doubled = False
            net.haunt(self, end, frames)
        was_full = len(stream.flying) == FRAMES_LIMIT - 1
        end.arrived(self.routing_id, frames)
        sender = self.dialer if stream is self.forth else self.listener
        if was_full and sender is not None:
            net.loop.call_soon(sender.drained, context=stream.source.context)

    def _accept(self) -> None:
        listener = self._net.listening(self.forth.target.name, self._endpoint)
        if listener is None:
            self._finish(self.back)
            return
        self.listener = listener
        self._is_doubled = self._net.is_doubled()
        listener.accepted(self)
        self.back.put(Control.ACCEPTED)

    def _closed(self, stream: Stream, end: End | None) -> None:
        """The other end's last word has come."""
        if stream is self.back:
            self.dialer, mine = None, self.forth
        else:
            self.listener, mine = None, self.back
        mine.lose()
        mine.is_over = True
        if end is not None:
            end.broken(self)
        self._settle()

    def _finish(self, stream: Stream) -> None:
        if not stream.is_over:
            stream.is_over = True
            stream.put(Control.CLOSED)
        self._settle()

    def give_up(self, stream: Stream, *, by_sender: bool = False) -> None:
        """Let one end of a stream find the connection broken, and tell the other end."""
        is_dialer = (stream is self.forth) is by_sender
        into, mine = (self.back, self.forth) if is_dialer else (self.forth, self.back)
        into.lose()
        into.is_over = True
        if is_dialer:
            end, self.dialer = self.dialer, None
        else:
            end, self.listener = self.listener, None
        mine.lose()
        if end is not None:
            self._net.loop.call_soon(end.broken, self, context=into.target.context)
        self._finish(mine)

    def tear(self) -> None:
        """Break at both ends at once, and lose what is under way."""
        self.back.is_over = self.forth.is_over = True
        self.give_up(self.forth)
        self.give_up(self.back)

    def _settle(self) -> None:
        is_over = self.dialer is None and self.listener is None
        if is_over and not (self.forth.flying or self.back.flying):
            self.forth.is_over = self.back.is_over = True
            self._net.ended(self)
