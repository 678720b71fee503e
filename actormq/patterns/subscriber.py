"""Subscribes to publishers, counts what it missed, and reads no faster than its actor handles."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, overload

import zmq

from actormq.arguments import Arguments
from actormq.context import Context
from actormq.errors import ArgumentMismatch, AskTimeout, RemoteProtocolError, SetupError
from actormq.events import DeadLetter
from actormq.patterns.presence import Presence
from actormq.patterns.publisher import opened
from actormq.patterns.sockets import CodecName, Endpoints, Wiring
from actormq.rules.streams import Position, Positions
from actormq.runtime import ServiceEnd
from actormq.settings import SUBSCRIBER_WINDOW, TOPIC_BYTES

PARTING = 1.0  # s that the connection to a publisher outlives its announcement

F = TypeVar("F", bound=Callable[..., Any])

PLAIN_GRACE = (
    0.3  # s: a plain PUB cannot say that it knows a subscription; 300 round trips of a LAN
)


class Subscriber:
    """A class attribute: a socket that subscribes.

    Args:
        service: The name that publishers of the mesh have announced.
        bind: Endpoints to bind.
        connect: Endpoints to connect to, whether somebody is there yet or not.
        codec: As the publishers have it; with `text` and `raw` they may be any plain PUB.

    Raises:
        SetupError: The arguments cannot work.
    """

    def __init__(
        self,
        *,
        service: str | None = None,
        bind: Endpoints = None,
        connect: Endpoints = None,
        codec: CodecName = "msgpack",
    ) -> None:
        self.wiring = Wiring("Subscriber", service, bind, connect, codec)
        self.receiver: str | None = None
        self._attribute = "subscriber"

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def received(self, function: F) -> F:
        """Mark the method that takes what comes in: `(self, topic, value)`.

        With codec `raw` it takes `(self, topic, part, …)`, all bytes. What does not fit its
        annotations is a counted dead letter.
        """
        self.receiver = function.__name__
        return function

    def open(self, attribute: str, context: Context) -> LiveSubscriber:
        """Open the socket for one actor."""
        return LiveSubscriber(self, attribute, context)

    @overload
    def __get__(self, actor: None, owner: type) -> Subscriber: ...
    @overload
    def __get__(self, actor: object, owner: type) -> LiveSubscriber: ...
    def __get__(self, actor: Any, owner: type) -> Subscriber | LiveSubscriber:
        if actor is None:
            return self
        live = opened(actor, self._attribute)
        assert isinstance(live, LiveSubscriber)
        return live


class _Take:
    """What runs for each message that came in: counts it, checks it, hands it to the method."""

    is_plain: bool
    concurrent = False

    def __init__(self, live: LiveSubscriber, owner: type, method: Callable[..., Any]) -> None:
        self.name = method.__name__
        self.is_async = inspect.iscoroutinefunction(method)
        self.is_plain = not self.is_async
        self._live = live
        self._method = method
        self._arguments = Arguments(owner, method)
        self.function = self.run

    def run(self, actor: Any, position: tuple[int, str, int] | None, *values: Any) -> Any:
        self._live.taken(position)
        try:
            checked = self._arguments.checked(self._live.label, values, {})
        except ArgumentMismatch as error:
            self._live.refuse(self.name, "ArgumentMismatch", str(error))
            return _nothing() if self.is_async else None
        return self._method(actor, *checked)


async def _nothing() -> None:
    pass


class LiveSubscriber:
    """The subscriber of one actor.

    Attributes:
        last: `(stream, topic, number)` of the message being handled; None if it has no number.
        refused: Messages that did not fit the handler or the codec, a count.
    """

    def __init__(self, spec: Subscriber, attribute: str, context: Context) -> None:
        runtime = context.runtime
        self._runtime = runtime
        self._context = context
        self.label = f"{context.address.label}.{attribute}"
        self._codec = spec.wiring.codec
        self._connected = list(spec.wiring.connect)
        self._parting: set[str] = set()
        self._ends: dict[str, str] = {}  # endpoint to node id
        self._shaken_at = 0.0
        self._topics: Counter[bytes] = Counter()
        self._positions = Positions()
        self._waiting = 0
        self._serial = runtime.next_serial()
        self._mark: Presence | None = None
        self._tokens: list[int] = []
        self._vouched: set[int] = set()
        self._changed = asyncio.Event()
        self._unwatch: Callable[[], None] | None = None
        self.last: tuple[int, str, int] | None = None
        self.refused = 0
        self._take = self._receiver(spec, context.kind)
        self._port = runtime.transport.subscriber(self._arrived)
        try:
            if self._connected:
                self._port.watch(zmq.EVENT_HANDSHAKE_SUCCEEDED, self._shaken)
            spec.wiring.apply(runtime, self._port, self.label)
        except BaseException:
            runtime.transport.close_port(self._port, 0)
            raise
        if spec.wiring.service is not None:
            self._unwatch = runtime.services.watch_service(spec.wiring.service, self._offered)

    def _receiver(self, spec: Subscriber, owner: type) -> _Take:
        if spec.receiver is None:
            raise SetupError(
                f"{self.label} has nobody to receive: mark a method of {owner.__name__} with "
                f"@{self.label.rpartition('.')[2]}.received"
            )
        return _Take(self, owner, getattr(owner, spec.receiver))

    # -- for the actor ------------------------------------------------------------------------

    @property
    def received(self) -> int:
        """Messages that came in, a count."""
        return self._positions.received_count

    @property
    def missed(self) -> int:
        """Messages that were published to what it subscribed to and never came, a count."""
        return self._positions.missed_count

    @property
    def positions(self) -> dict[Position, int]:
        """The last number of each (stream, topic), to be kept and given to `subscribe(after=)`."""
        return dict(self._positions.last)

    @property
    def publisher_count(self) -> int:
        """Publishers of its service that it is connected to."""
        return len(self._ends)

    async def subscribe(
        self, *topics: str | bytes, after: Mapping[Position, int] | None = None
    ) -> None:
        """Ask for topics; returns when the publishers know of it, so that the next message comes.

        A publisher that comes later learns of it as it comes. A plain PUB cannot say that it
        knows: it is given a third of a second after its handshake.

        Args:
            topics: Beginnings of topics; "" is everything.
            after: Positions of an earlier process: what was published after them and does not
                come counts as missed.

        Raises:
            SetupError: No topic, or one that is too long.
            AskTimeout: A publisher of the mesh does not answer.
        """
        if not topics:
            raise SetupError(f'{self.label}.subscribe() names no topic: "" is everything')
        wanted = [self._topic(topic) for topic in topics]
        self._forget_unasked()
        self._positions.unsettled()
        if after:
            self._positions.resume(after)
        for topic in wanted:
            self._topics[topic] += 1
            self._port.socket.subscribe(topic)
        token = self._runtime.next_serial()
        earlier, self._mark = (
            self._mark,
            Presence(self._runtime.node_id, self._serial, token),
        )
        self._vouched = set()
        self._tokens.append(token)
        self._runtime.services.expect_vouch(token, self._vouch)
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
        for topic in map(self._topic, topics):
            if self._topics[topic]:
                self._topics[topic] -= 1
                self._port.socket.unsubscribe(topic)

    def _forget_unasked(self) -> None:
        """Let go of what publishers said of topics that are not asked for: it is out of date.

        Not in `unsubscribe` already, for what was under way then may still arrive.
        """
        asked = tuple(+self._topics)
        last = self._positions.last
        for position in [p for p in last if not p[1].encode().startswith(asked)]:
            del last[position]

    def _topic(self, topic: str | bytes) -> bytes:
        raw = topic.encode() if isinstance(topic, str) else topic
        if len(raw) > TOPIC_BYTES:
            raise SetupError(f"{self.label}: topic {topic[:40]!r} is over {TOPIC_BYTES} bytes")
        return raw

    # -- being known --------------------------------------------------------------------------

    async def _until_known(self) -> None:
        limit = self._runtime.settings.ask_timeout
        try:
            async with asyncio.timeout(limit):
                while len(self._vouched) < len(self._ends):
                    await self._next_change()
        except TimeoutError:
            raise AskTimeout(self.label, "subscribe", limit) from None
        if self._connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PLAIN_GRACE) as grace:
                    while len(self._vouched) < len(self._ends) + len(self._connected):
                        await self._next_change()
                        grace.reschedule(max(grace.when() or 0, self._shaken_at + PLAIN_GRACE))

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _vouch(self, stream: int, baseline: Mapping[str, int] | None) -> None:
        """A publisher knows of us."""
        self._vouched.add(stream)
        if baseline is not None:
            self._positions.synced(stream, baseline)
        self._changed.set()

    def _shaken(self, _event: int, _endpoint: str) -> None:
        self._shaken_at = self._runtime.loop.now()
        self._changed.set()

    def _offered(self, ends: Sequence[ServiceEnd]) -> None:
        """Publishers of the service have come or gone."""
        wanted = {e.endpoint: e.node for e in ends if self._fits(e)}
        for endpoint in self._ends.keys() - wanted.keys():
            # Its last words may still be on their way: the mesh is faster than they are.
            self._parting.add(endpoint)
            self._runtime.loop.call_later(PARTING, self._leave, endpoint)
        for endpoint in wanted.keys() - self._ends.keys():
            if endpoint in self._parting:
                self._parting.discard(endpoint)
            else:
                self._runtime.transport.connect(self._port, endpoint, self.label)
        self._ends = wanted
        self._changed.set()

    def _leave(self, endpoint: str) -> None:
        if endpoint in self._parting and not self._port.is_closed:
            self._parting.discard(endpoint)
            self._runtime.transport.disconnect(self._port, endpoint)

    def _fits(self, end: ServiceEnd) -> bool:
        if end.entry.codec != self._codec:
            self.refuse(
                end.entry.service,
                "another codec",
                f"the publisher has codec {end.entry.codec!r}, {self.label} {self._codec!r}",
            )
            return False
        return end.entry.socket in ("XPUB", "PUB")

    # -- messages in --------------------------------------------------------------------------

    def _arrived(self, frames: list[bytes]) -> None:
        try:
            for position, values in self._read(frames):
                self._waiting += 1
                self._context.receive(self._take, (position, *values))
        except (RemoteProtocolError, UnicodeDecodeError) as error:
            self.refuse(self._take.name, type(error).__name__, str(error))
        if self._waiting >= SUBSCRIBER_WINDOW:
            self._port.pause()

    def _read(
        self, frames: list[bytes]
    ) -> Iterable[tuple[tuple[int, str, int] | None, tuple[Any, ...]]]:
        """Take a message apart: (position, values for the handler), one or several."""
        if self._codec == "raw":
            return [(None, tuple(frames))]
        if self._codec == "text":
            topic, _, text = b" ".join(frames).decode().partition(" ")
            return [(None, (topic, text))]
        if len(frames) != 2:  # noqa: PLR2004 topic and body
            raise RemoteProtocolError(
                f"a message of {len(frames)} frames where topic and body were expected: "
                'is the publisher a plain one? then take codec="text" or "raw"'
            )
        topic = frames[0].decode()
        match self._runtime.codec.unpack_all(frames[1]):
            case [[int(stream), int(first)], *values]:
                return [
                    ((stream, topic, first + offset), (topic, value))
                    for offset, value in enumerate(values)
                ]
        raise RemoteProtocolError("a body begins with [stream, number]")

    def taken(self, position: tuple[int, str, int] | None) -> None:
        """The actor begins to handle a message."""
        self.last = position
        if position is None:
            self._positions.received_count += 1
        else:
            self._positions.note(*position)
        self._waiting -= 1
        if self._waiting <= SUBSCRIBER_WINDOW // 4:
            self._port.resume()

    def refuse(self, what: str, reason: str, detail: str) -> None:
        """Count what cannot be handled."""
        self.refused += 1
        self._runtime.events.emit(DeadLetter(self.label, what, reason, detail))

    async def close(self) -> None:
        """Leave the publishers and close."""
        if self._unwatch is not None:
            self._unwatch()
        for token in self._tokens:
            self._runtime.services.expect_vouch(token, None)
        self._runtime.transport.close_port(self._port, 0)
