"""Publishes to whoever subscribes: an XPUB inside, which knows who listens to what."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from typing import Any, ClassVar, Literal

import msgpack

from actormq.cluster.row import PLAIN, pack_plain
from actormq.context import Context
from actormq.errors import LifecycleError, SetupError
from actormq.patterns.batch import LEAST, Batch
from actormq.patterns.lastvalues import LastValues, handed_over
from actormq.patterns.live import PortLive
from actormq.patterns.outlet import Full, Outlet, check_full
from actormq.patterns.payload import CodecName
from actormq.patterns.presence import MARK, Presence, presence_from
from actormq.patterns.sockets import Endpoints, Socket
from actormq.patterns.topics import topic_bytes
from actormq.settings import FRAME_BYTES, TOPICS_NUMBERED
from actormq.transport import PUBLISHER, RETAINING_PUBLISHER

BASELINE_TOPICS = 4_096  # topics whose numbers a new subscriber is told; beyond, it starts anywhere
CALM_SECONDS = 0.02  # s without a subscription, after which a plain subscriber has made all of its


_NOTHING = object()  # no topic


class Publisher(Socket["LivePublisher"]):
    """A class attribute: a socket that publishes.

    Args:
        service: The name under which subscribers of the mesh find it.
        bind: Endpoints to bind, such as `tcp://*:5556`; True binds for the service.
        connect: Endpoints to connect to, such as the front of a forwarder; True connects to the
            subscribers that bind for the service.
        codec: `msgpack` numbers the messages; `text` sends one frame `TOPIC TEXT`, `raw` the
            frames `[topic, part, …]`: with these two the other end may be any plain SUB.
        full: What happens when a subscriber does not keep up: `drop` loses messages for that one
            (it can tell how many), `wait` lets `publish` wait for it, `raise` makes `publish`
            raise a `SocketFull`.
        last: Whether a new subscriber is handed the last value of each topic it asks for, at once.

    Raises:
        SetupError: The arguments cannot work.
    """

    socket: ClassVar = "XPUB"
    binds_by_default: ClassVar = True

    def __init__(
        self,
        *,
        service: str | None = None,
        bind: Endpoints | Literal[True] = None,
        connect: Endpoints | Literal[True] = None,
        codec: CodecName = "msgpack",
        full: Full = "drop",
        last: bool = False,
    ) -> None:
        super().__init__(service, bind, connect, codec)
        check_full("Publisher", full)
        self.full = full
        self.last = last

    def open(self, attribute: str, context: Context) -> LivePublisher:
        """Open the socket for one actor."""
        return LivePublisher(self, attribute, context)


class LivePublisher(PortLive):
    """The publisher of one actor.

    `sent` counts what was handed to ZeroMQ, in frames of up to 1 024 messages with codec `msgpack`.
    `dropped["subscriber full"]` counts the messages at which a subscriber was found at its mark.
    It has lost at least these: until it has read half of what it is behind, ZeroMQ passes it over
    without a word. A subscriber of actormq knows them all, as `missed`.

    Attributes:
        stream: The id under which its messages are numbered now.
    """

    def __init__(self, spec: Publisher, attribute: str, context: Context) -> None:
        super().__init__(spec, attribute, context)
        self._codec = spec.wiring.codec
        self._full = spec.full
        self._pack = self._runtime.codec.pack_whole
        self._topics: Counter[bytes] = Counter()
        self._presences: dict[tuple[str, int], int] = {}
        self._numbers: dict[str, int] = {}  # the last of each topic, the batch not counted
        self._batch = Batch(self._runtime.loop.clock)
        self._bursting: object = _NOTHING  # its topic, while a plain value may be added unasked
        self._may_burst = not spec.last and self._runtime.codec.message_limit >= FRAME_BYTES
        self._is_dirty = False
        self._changed = asyncio.Event()
        self._last = LastValues() if spec.last else None
        self._queued: deque[bytes] = deque()  # topics of what the outlet has, the last ones of it
        self._is_closed = False
        self.stream = _new_stream()
        self._published = 0  # the batch not counted
        self._open(RETAINING_PUBLISHER if spec.last else PUBLISHER, self._subscribed)
        if self._port.pace is not None:
            self._topics[b""] += 1  # a multicast group never says what it wants: it gets all
        loop = self._runtime.loop
        self._outlet = Outlet(loop, self._port, self._label, spec.full, self._tally)

    @property
    def subscriber_count(self) -> int:
        """Subscribers known: those of actormq, and at least how many others."""
        others = max(self._topics.values(), default=0)
        return max(len(self._presences), others)

    @property
    def published(self) -> int:
        """Messages published, a count."""
        return self._published + len(self._batch.values)

    async def publish(self, topic: str | bytes, value: Any, *parts: bytes) -> None:
        """Publish one message; costs next to nothing when nobody listens.

        Args:
            topic: At most 255 bytes; subscribers choose by its beginning. With codec `text` it has
                no space, with `raw` it may be bytes.
            value: With codec `msgpack` any value that can travel, with `text` a text or number,
                with `raw` bytes.
            parts: With codec `raw` more frames of the same message.

        Raises:
            SetupError: The topic or value does not fit the codec.
            NotEncodable: The value has no form on the wire.
            MessageTooLarge: It is over `message_limit`.
            SocketFull: A subscriber is behind, and `full` is `raise`.
            LifecycleError: The socket is closed.
        """
        if topic is self._bursting:  # what is asked below was asked for the first of its batch
            try:
                is_plain = type(value) in PLAIN
                packed = pack_plain(value) if is_plain else self._pack(self._label, value)
            except (ValueError, OverflowError):
                packed = self._pack(self._label, value)  # which says what is wrong
            batch, size = self._batch, len(packed)
            if size <= batch.room:  # as `Batch.add`: calling it takes as long as doing it (80 ns)
                batch.values.append(packed)
                taken = size if size > LEAST else LEAST  # noqa: FURB136 a third of what `max` takes
                batch.room -= taken
                if taken > batch.room and not batch.has_room(taken):
                    self._seal()
                    await asyncio.sleep(0)
                return
        if self._is_closed:
            raise LifecycleError(f"{self._label} is closed: its actor has stopped")
        if self._full != "drop" and self._outlet.waiting:
            await self._outlet.admit()
        if self._codec == "msgpack":
            is_sealed = self._add(topic, value)
        else:
            frames = self._plain(topic, value, parts)
            self._published += 1
            if self._last is not None:
                self._last.keep(self._topic_of(frames[0]), frames)
            self._send(frames)
            is_sealed = False
        if is_sealed or self._runtime.loop.is_pause_due():
            await asyncio.sleep(0)  # a tight loop of publishing lets the node breathe

    async def ready(self, subscribers: int = 1, timeout: float | None = None) -> None:
        """Wait until that many subscribers are known.

        Args:
            subscribers: How many.
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            TimeoutError: They did not come in time.
        """
        try:
            async with asyncio.timeout(timeout):
                while len(self._presences) < subscribers:
                    if not await self._is_changing(self.subscriber_count >= subscribers):
                        return
        except TimeoutError:
            raise TimeoutError(
                f"{self._label} has {self.subscriber_count} of {subscribers} subscribers "
                f"after {timeout:g} s"
            ) from None

    async def _is_changing(self, are_enough: bool) -> bool:
        """Wait for news of subscribers; False if there are enough, and none came for a while.

        Only a subscriber's mark says that all of its topics are known, and plain ones have none.
        """
        self._changed.clear()
        try:
            async with asyncio.timeout(CALM_SECONDS if are_enough else None):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    # -- out ----------------------------------------------------------------------------------

    def _add(self, topic: Any, value: Any) -> bool:
        """Number one message and join it to the batch; say whether a full one was sent."""
        batch = self._batch
        is_next = bool(batch.values) and isinstance(topic, str) and topic == batch.topic
        number = batch.first + len(batch.values) if is_next else 1 + self._number_of(topic)
        # Who has a mark listens, whatever a stranger said to cancel what is not its own.
        is_heard = bool(self._topics or self._presences)
        packed = self._pack(self._label, value) if is_heard or self._last is not None else b""
        if self._last is not None:
            self._last.keep(topic.encode(), (number, packed))
        if not is_heard:
            if batch.values:
                self._seal()
            self._numbers[topic] = number
            self._published += 1
            return False
        is_full = is_next and len(packed) > batch.room and not batch.has_room(len(packed))
        if is_full or not is_next:
            self._seal()
            batch.begin(topic, number)
            if not self._is_dirty:
                self._is_dirty = True
                self._runtime.loop.flush_soon(self)
        if batch.add(packed):
            self._bursting = topic if self._may_burst else _NOTHING
            return is_full
        self._seal()
        return True

    def _number_of(self, topic: Any) -> int:
        """The number of the last message of a topic, 0 if there was none."""
        try:
            number = self._numbers.get(topic)
        except TypeError:  # not even a key
            number = None
        if number is None:
            self._checked(topic)
            self._make_room_for_number()
        return number or 0

    def _checked(self, topic: object) -> bytes:
        """The bytes of a topic that may be published."""
        if isinstance(topic, bytes) and self._codec != "raw":
            raise SetupError(f"{self._label}: a topic is a text, not bytes")
        raw = topic_bytes(topic, self._label)
        if raw.startswith(MARK):
            raise SetupError(f"{self._label}: topics that begin as {raw[:10]!r} are actormq's own")
        if b" " in raw and self._codec == "text":
            raise SetupError(
                f"{self._label}: codec 'text' parts topic and text at the first space, "
                f"and topic {raw.decode()!r} has one"
            )
        return raw

    def _make_room_for_number(self) -> None:
        if len(self._numbers) >= TOPICS_NUMBERED:
            # Numbers of so many topics are enough: begin a new stream.
            self._seal()
            self._numbers.clear()
            if self._last is not None:
                self._last.clear()
            self.stream = _new_stream()

    def _plain(self, topic: str | bytes, value: Any, parts: tuple[bytes, ...]) -> list[bytes]:
        if self._codec == "text":
            if not isinstance(value, str | int | float) or parts:
                raise SetupError(
                    f"{self._label}: codec 'text' publishes a text or number, "
                    f"not {type(value).__name__}"
                )
            return [self._checked(topic) + b" " + self._payload.frames((value,))[0]]
        return [self._checked(topic), *self._payload.frames((value, *parts))]

    def flush(self) -> None:
        """Send what one tick has gathered."""
        self._is_dirty = False
        self._seal()

    def _seal(self) -> None:
        batch = self._batch
        if batch.values:
            self._bursting = _NOTHING
            self._numbers[batch.topic] = batch.number
            count, topic = len(batch.values), batch.topic.encode()
            self._published += count
            header: bytes = msgpack.packb([self.stream, batch.first])
            body = b"".join((header, *batch.values))
            batch.values = []
            self._send([topic, body], count)

    def _send(self, frames: list[bytes], count: int = 1) -> None:
        if self._full != "drop":
            self._outlet.put(frames)
            if self._last is not None:
                self._queued.append(self._topic_of(frames[0]))
                self._trim_queued()
            return
        if not self._port.send(frames):
            self._runtime.transport.send_to_ready(self._port, frames)
            self._count_full(count)
        self._tally.sent += 1

    def _count_full(self, count: int) -> None:
        why = 'a subscriber does not keep up; to wait for it, take full="wait"'
        self._tally.drop("publish", "subscriber full", why, count)

    def _topic_of(self, frame: bytes) -> bytes:
        """The topic of a message by its first frame."""
        return frame.partition(b" ")[0] if self._codec == "text" else frame

    def _trim_queued(self) -> None:
        """Forget the topics of what has been sent: the outlet sends what came first."""
        while len(self._queued) > self._outlet.waiting:
            self._queued.popleft()

    # -- subscriptions ------------------------------------------------------------------------

    def _subscribed(self, frames: list[bytes]) -> None:
        """Take a subscription (first byte 1) or the end of one (0)."""
        first = frames[0]
        if len(frames) != 1 or not first or first[0] > 1:
            # To a manual XPUB it may do harm: libzmq keeps whose subscriptions wait in a list of
            # its own, and takes the next of it for a message too. Once all are read it is in step.
            self._tally.received += 1
            text = "a message came where only subscriptions do: is the sender an XSUB?"
            self._tally.drop("subscribe", "RemoteProtocolError", text)
            return
        topic, is_new = first[1:], first[0] == 1
        if self._last is not None:
            self._seal()  # what waits here is for those who were there before
            self._runtime.transport.accept(self._port, topic, is_new)
        self._bursting = _NOTHING  # perhaps nobody listens any more
        presence = presence_from(topic)
        if presence is not None:
            self._met(presence, is_new)
        else:
            self._topics[topic] += 1 if is_new else -1
            if self._topics[topic] <= 0:
                del self._topics[topic]
            if is_new and self._last is not None:
                self._hand_over(topic, self._last)
        self._changed.set()

    def _hand_over(self, beginning: bytes, last: LastValues) -> None:
        """Give whoever has just subscribed the last values of what it asks for.

        ZeroMQ sends one message to one subscriber alone. With codec `msgpack` one holds them all;
        with the others a second one goes to all who have asked for its topic.
        What waits in the outlet comes to the new one too, and is the last value of its topic.
        """
        self._trim_queued()
        found = [
            (topic, value)
            for topic, value in last.under(self._topic_of(beginning))
            if topic not in self._queued
            and (self._codec == "msgpack" or value[0].startswith(beginning))
        ]
        if not found:
            return
        send_to_newest = self._runtime.transport.send_to_newest
        if self._codec == "msgpack":
            if not send_to_newest(self._port, handed_over(self.stream, beginning, found)):
                self._count_full(len(found))
            return
        (_, first), *others = found
        if not send_to_newest(self._port, first):
            self._count_full(1)
        for _, frames in others:
            self._send(frames)

    def _met(self, presence: Presence, is_new: bool) -> None:
        key = (presence.node, presence.socket)
        if is_new:
            # To a publisher that comes later two marks of one socket come in any order.
            self._presences[key] = max(presence.token, self._presences.get(key, 0))
            self._seal()  # so that all are numbered
            few = len(self._numbers) <= BASELINE_TOPICS
            self._runtime.services.vouch(
                presence.node, presence.token, self.stream, dict(self._numbers) if few else None
            )
        elif self._presences.get(key) == presence.token:
            del self._presences[key]

    @property
    def waiting(self) -> int:
        """Frames that wait for a subscriber at its mark, a count."""
        return self._outlet.waiting

    async def close(self) -> None:
        """Send what is left and close."""
        self._seal()
        self._is_closed = True
        await self._outlet.close()
        await super().close()


def _new_stream() -> int:
    """Draw the number of a stream of messages, 63 bits, so that none is taken for another."""
    return int.from_bytes(os.urandom(8)) >> 1
