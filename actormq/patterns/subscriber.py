"""Subscribes to publishers, counts what it missed, and reads no faster than its actor handles."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

from actormq.context import Context
from actormq.errors import AskTimeout, RemoteProtocolError, SetupError
from actormq.patterns.body import NUMBERS_END, BodyReader
from actormq.patterns.burst import Burst
from actormq.patterns.intake import Intake
from actormq.patterns.live import PortLive
from actormq.patterns.payload import CodecName
from actormq.patterns.presence import Presence
from actormq.patterns.sockets import Endpoints, ReceivingSocket
from actormq.patterns.topics import topic_bytes
from actormq.rules.streams import POSITIONS_LIMIT, Position, Positions
from actormq.transport import SUBSCRIBER

PLAIN_GRACE = (
    0.3  # s: a plain PUB cannot say that it knows a subscription; 300 round trips of a LAN
)

Place = tuple[int, str, int]
"""The stream, topic and number of a message."""


class Subscriber(ReceivingSocket["LiveSubscriber"]):
    """A class attribute: a socket that subscribes.

    The method that is marked `received` takes `(self, topic, value)`, with codec `raw`
    `(self, topic, part, …)`, all bytes.

    Args:
        service: The name that publishers of the mesh have announced.
        bind: Endpoints to bind; True binds for the service, and publishers connect.
        connect: Endpoints to connect to, whether somebody is there yet or not.
        codec: As the publishers have it; with `text` and `raw` they may be any plain PUB.

    Raises:
        SetupError: The arguments cannot work.
    """

    socket: ClassVar = "SUB"
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

    def open(self, attribute: str, context: Context) -> LiveSubscriber:
        """Open the socket for one actor."""
        return LiveSubscriber(self, attribute, context)


class LiveSubscriber(PortLive):
    """The subscriber of one actor."""

    def __init__(self, spec: Subscriber, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._codec = spec.wiring.codec
        self._shaken_at = 0.0
        self._topics: Counter[bytes] = Counter()
        self._positions = Positions()
        self._heard: dict[Position, int] = {}  # the last number that came, handled or not yet
        self._is_bound = bool(spec.wiring.bind) or spec.wiring.is_binder
        self._mark: Presence | None = None
        self._tokens: list[int] = []
        self._vouched: set[int] = set()
        self._changed = asyncio.Event()
        self._at: Burst | None = None  # where the message being handled is from
        self._intake = Intake(
            context,
            self._label,
            spec.receiver,
            self._tally,
            self._begun,
            are_texts=self._codec == "text",
        )
        codec = self._runtime.codec
        decoder = self._intake.arguments.decoder(1, codec.extension)
        self._bodies = None if decoder is None else BodyReader(codec, decoder)
        self._open(SUBSCRIBER, self._arrived)
        self._intake.feed_from(self._port)
        self._attachment.is_changed = self._changed.set
        self._peers.on_change(self._shaken)

    # -- for the actor ------------------------------------------------------------------------

    @property
    def last(self) -> Place | None:
        """`(stream, topic, number)` of the message being handled; None if it has no number."""
        at = self._at
        return None if at is None else (at.stream, at.topic, at.number)

    @property
    def received(self) -> int:
        """Messages that the actor was given, a count; so that `missed` goes with it."""
        self._count()
        return self._positions.received_count

    @property
    def stands(self) -> bool:
        """Whether a message of it stands in the actor's mailbox."""
        return self._intake.stands

    @property
    def waiting(self) -> int:
        """Messages that came in and wait for the actor, a count."""
        return self._intake.waiting

    @property
    def missed(self) -> int:
        """Messages that were published to what it subscribed to and never came, a count."""
        self._count()
        return self._positions.missed_count

    @property
    def positions(self) -> dict[Position, int]:
        """The last number of each (stream, topic), to be kept and given to `subscribe(after=)`."""
        self._count()
        return dict(self._positions.last)

    @property
    def publisher_count(self) -> int:
        """Publishers of its service that it is connected to."""
        return len(self._attachment.ends)

    async def subscribe(
        self, *topics: str | bytes, after: Mapping[Position, int] | None = None
    ) -> None:
        """Ask for topics; returns when the publishers know of it, so that the next message comes.

        A publisher that comes later learns of it as it comes. A plain PUB cannot say that it
        knows: it is given a third of a second after its handshake. What is asked for twice has to
        be unsubscribed from twice, and comes once.

        Args:
            topics: Beginnings of topics; "" is everything.
            after: Positions of an earlier process: what was published after them and does not
                come counts as missed.

        Raises:
            SetupError: No topic, or one that cannot be.
            AskTimeout: A publisher of the mesh does not answer.
        """
        if not topics:
            raise SetupError(f'{self._label}.subscribe() names no topic: "" is everything')
        wanted = [topic_bytes(topic, self._label) for topic in topics]
        self._count()
        self._forget_unasked()
        self._positions.unsettled()
        if after:
            self._positions.resume(after)
            for stream, _ in after:
                self._positions.synced(stream, {})  # its word may be slower than its messages
        for topic in wanted:
            # Only once on the wire: of two ZeroMQ cancels one.
            if not self._topics[topic]:
                self._port.socket.subscribe(topic)
            self._topics[topic] += 1
        token = self._runtime.next_serial()
        earlier, self._mark = (
            self._mark,
            Presence(self._runtime.node_id, self._attachment.serial, token),
        )
        self._vouched = set()
        self._tokens.append(token)
        self._runtime.services.expect_vouch(token, partial(self._vouch, token))
        self._port.socket.subscribe(self._mark.topic())
        try:
            await self._until_known()
        finally:
            if earlier is not None:
                self._port.socket.unsubscribe(earlier.topic())
                self._runtime.services.expect_vouch(earlier.token, None)
                self._tokens.remove(earlier.token)

    def unsubscribe(self, *topics: str | bytes) -> None:
        """Ask for topics no more."""
        for topic in [topic_bytes(topic, self._label) for topic in topics]:
            if self._topics[topic]:
                self._topics[topic] -= 1
                if not self._topics[topic]:
                    self._port.socket.unsubscribe(topic)

    def _forget_unasked(self) -> None:
        """Let go of what publishers said of topics that are not asked for: it is out of date.

        Not in `unsubscribe` already, for what was under way then may still arrive.
        """
        asked = tuple(+self._topics)
        for last in (self._positions.last, self._heard):
            for position in [p for p in last if not p[1].encode().startswith(asked)]:
                del last[position]

    # -- being known --------------------------------------------------------------------------

    async def _until_known(self) -> None:
        limit = self._runtime.settings.ask_timeout
        try:
            async with asyncio.timeout(limit):
                while len(self._vouched) < len(self._attachment.ends):
                    await self._next_change()
        except TimeoutError:
            raise AskTimeout(self._label, "subscribe", limit) from None
        if self._strangers():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PLAIN_GRACE) as grace:
                    while len(self._vouched) < len(self._attachment.ends) + self._strangers():
                        await self._next_change()
                        grace.reschedule(max(grace.when() or 0, self._shaken_at + PLAIN_GRACE))

    def _strangers(self) -> int:
        """How many of no service may be publishers: those that were named, and who has come."""
        named = len(self._attachment.connected)
        if not self._is_bound:
            return named
        return max(named, self._peers.count - len(self._attachment.ends))

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _vouch(self, token: int, stream: int, baseline: Mapping[str, int] | None) -> None:
        """A publisher knows of us; with an earlier token, not of all that we ask for now."""
        if self._mark is None or token != self._mark.token:
            return
        self._vouched.add(stream)
        self._count()
        if baseline is not None:
            self._positions.synced(stream, baseline)
        self._changed.set()

    def _shaken(self) -> None:
        self._shaken_at = self._runtime.loop.now()
        self._changed.set()

    # -- messages in --------------------------------------------------------------------------

    def _arrived(self, frames: list[bytes]) -> None:
        self._tally.received += 1
        try:
            self._take_in(frames)
        except RemoteProtocolError as error:
            self._tally.drop(self._intake.name, type(error).__name__, str(error))

    def _take_in(self, frames: list[bytes]) -> None:
        """Take a message apart into one or several for the method."""
        if self._codec == "raw":
            self._intake.put(frames)
            return
        if self._codec == "text":
            topic, _, text = self._payload.values([b" ".join(frames)])[0].partition(" ")
            self._intake.put((topic, text))
            return
        if len(frames) < 2:  # noqa: PLR2004 topic and body
            raise RemoteProtocolError(
                f"a message of {len(frames)} frames where topic and body were expected: "
                'is the publisher a plain one? then take codec="text" or "raw"'
            )
        body = self._bodies.read(frames[1]) if self._bodies and len(frames) == 2 else None  # noqa: PLR2004 as above
        if body is not None:
            self._take_in_burst(frames[0], *body, are_fit=True)
            return
        unpack_all = self._runtime.codec.unpack_all
        values = unpack_all(frames[1])
        for frame in frames[2:]:
            values += unpack_all(frame)
        match values.pop(0) if values else None:
            case [int(stream), 0] if len(values) % 3 == 0:
                self._take_in_last_values(stream, frames[0], values)
            case [int(stream), int(first)] if len(frames) == 2 and _is_number(first):  # noqa: PLR2004 as above
                self._take_in_burst(frames[0], stream, first, values)
            case _:
                raise RemoteProtocolError(
                    f"a message of {len(frames)} frames that is none of a Publisher's: "
                    'is it a plain one? then take codec="text" or "raw"'
                )

    def _take_in_burst(
        self, frame: bytes, stream: int, first: int, values: list[Any], *, are_fit: bool = False
    ) -> None:
        try:
            topic = frame.decode()
        except UnicodeDecodeError as error:
            raise RemoteProtocolError("a topic that is no UTF-8 text") from error
        self._hear(stream, topic, first + len(values) - 1)
        if values:
            self._intake.put_all(Burst(stream, topic, first, values, are_fit=are_fit))

    def _take_in_last_values(self, stream: int, beginning: bytes, rest: Sequence[Any]) -> None:
        """Read `topic, number, value, …`: what a publisher hands over as we subscribe.

        What came already is passed over: it is under two of our topics, or a connection was lost
        and has come back.
        """
        found = []
        for topic, number, value in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            if not (isinstance(topic, str) and _is_number(number)):
                raise RemoteProtocolError("last values are topic, number, value, and so on")
            if not topic.encode().startswith(beginning):
                raise RemoteProtocolError("a last value of a topic that was not asked for")
            if number > self._heard.get((stream, topic), 0):
                found.append(Burst(stream, topic, number, [value]))
        for burst in found:
            self._hear(stream, burst.topic, burst.noted + 1)
            self._intake.put_all(burst)

    def _hear(self, stream: int, topic: str, number: int) -> None:
        if len(self._heard) >= POSITIONS_LIMIT:
            self._heard.clear()
        self._heard[stream, topic] = number

    def _begun(self, burst: Burst | None) -> None:
        """The actor begins to handle a burst of messages, or one without a number."""
        self._count()
        self._at = burst
        if burst is None:
            self._positions.received_count += 1

    def _count(self) -> None:
        """Count the messages that were begun since; done for many at once, and when one looks."""
        at = self._at
        if at is not None and at.noted < at.number:
            self._positions.note(at.stream, at.topic, at.noted + 1, at.number)
            at.noted = at.number

    async def close(self) -> None:
        """Leave the publishers and close."""
        self._intake.close()
        for token in self._tokens:
            self._runtime.services.expect_vouch(token, None)
        self._close_port(0)


def _is_number(number: object) -> bool:
    """Whether a message may have that number."""
    return type(number) is int and 0 < number < NUMBERS_END
