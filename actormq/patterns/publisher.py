"""Publishes to whoever subscribes: an XPUB inside, which knows who listens to what."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter, deque
from typing import Any, Literal, Protocol, overload

import msgpack

from actormq.context import Context
from actormq.errors import LifecycleError, NotEncodable, SetupError
from actormq.patterns.presence import MARK, Presence, presence_from
from actormq.patterns.sockets import CodecName, Endpoints, Wiring
from actormq.settings import (
    BUFFER_BYTES,
    FRAME_BYTES,
    FRAME_MESSAGES,
    TOPIC_BYTES,
    TOPICS_NUMBERED,
)

BASELINE_TOPICS = 4_096  # topics whose numbers a new subscriber is told; beyond, it starts anywhere
RETRY, RETRY_MOST = 0.001, 0.01  # s between tries while a subscriber is at its mark
CALM_SECONDS = 0.02  # s without a subscription, after which a plain subscriber has made all of its
CLOSE_SECONDS = 1.0  # s that a subscriber at its mark may hold up the end of a publisher


class Publisher:
    """A class attribute: a socket that publishes.

    Args:
        service: The name under which subscribers of the mesh find it.
        bind: Endpoints to bind, such as `tcp://*:5556`.
        connect: Endpoints to connect to.
        codec: `msgpack` numbers the messages; `text` sends one frame `TOPIC TEXT`, `raw` the
            frames `[topic, part, …]`: with these two the other end may be any plain SUB.
        full: What happens when a subscriber does not keep up: `drop` loses messages for that one
            (it can tell how many), `wait` lets `publish` wait for it.

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
        full: Literal["drop", "wait"] = "drop",
    ) -> None:
        if full not in ("drop", "wait"):
            raise SetupError(f"Publisher: full={full!r} is unknown: take 'drop' or 'wait'")
        self.wiring = Wiring("Publisher", service, bind, connect, codec)
        self.is_lossless = full == "wait"
        self._attribute = "publisher"

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def open(self, attribute: str, context: Context) -> LivePublisher:
        """Open the socket for one actor."""
        return LivePublisher(self, f"{context.address.label}.{attribute}", context)

    @overload
    def __get__(self, actor: None, owner: type) -> Publisher: ...
    @overload
    def __get__(self, actor: object, owner: type) -> LivePublisher: ...
    def __get__(self, actor: Any, owner: type) -> Publisher | LivePublisher:
        if actor is None:
            return self
        live = opened(actor, self._attribute)
        assert isinstance(live, LivePublisher)
        return live


class LivePublisher:
    """The publisher of one actor.

    Attributes:
        stream: The id under which its messages are numbered now.
        published: Messages published, a count.
    """

    def __init__(self, spec: Publisher, label: str, context: Context) -> None:
        runtime = context.runtime
        self._runtime = runtime
        self._label = label
        self._codec = spec.wiring.codec
        self._is_lossless = spec.is_lossless
        self._topics: Counter[bytes] = Counter()
        self._presences: dict[tuple[str, int], int] = {}
        self._numbers: dict[str, int] = {}
        self._batch: list[bytes] = []
        self._batch_topic = ""
        self._batch_first = 0
        self._batch_bytes = 0
        self._queue: deque[list[bytes]] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._has_room = asyncio.Event()
        self._is_dirty = False
        self._changed = asyncio.Event()
        self._serial = runtime.next_serial()
        self._is_announced = False
        self.stream = secrets.randbits(63)
        self.published = 0
        self._port = runtime.transport.publisher(self._subscribed, spec.is_lossless)
        try:
            wiring = spec.wiring
            bound = wiring.apply(runtime, self._port, label)
            if wiring.service is not None:
                entry = wiring.announced(runtime, self._port, "XPUB", self._serial, bound, label)
                runtime.services.announce(entry)
                self._is_announced = True
        except BaseException:
            runtime.transport.close_port(self._port, 0)
            raise

    @property
    def endpoint(self) -> str:
        """Where it was bound or connected last."""
        return self._port.endpoint

    @property
    def subscriber_count(self) -> int:
        """Subscribers known: those of actormq, and at least how many others."""
        others = max(self._topics.values(), default=0)
        return max(len(self._presences), others)

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
        """
        if self._codec == "msgpack":
            is_sealed = self._add(topic, value)
        else:
            self._send(self._plain(topic, value, parts))
            self.published += 1
            is_sealed = not self.published % FRAME_MESSAGES
        if self._queue:
            await self._has_room.wait()
        elif is_sealed:
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
        """Number one message and join it to the batch; say whether a batch was sent for it."""
        number = self._numbers.get(topic)
        if number is None:
            self._checked(topic)
            self._make_room_for_number()
            number = 0
        number += 1
        packed = self._packed(value) if self._topics else b""
        self._numbers[topic] = number
        self.published += 1
        if not self._topics:
            return not self.published % FRAME_MESSAGES
        if topic != self._batch_topic or not self._batch:
            self._seal()
            self._batch_topic, self._batch_first = topic, number
        self._batch.append(packed)
        self._batch_bytes += len(packed)
        if not self._is_dirty:
            self._is_dirty = True
            self._runtime.loop.flush_soon(self)
        if len(self._batch) >= FRAME_MESSAGES or self._batch_bytes >= FRAME_BYTES:
            self._seal()
            return True
        return False

    def _packed(self, value: Any) -> bytes:
        packed, buffers = self._runtime.codec.pack(self._label, value, beside=False)
        if buffers:
            raise NotEncodable(
                self._label, f"an array of {BUFFER_BYTES} bytes or more cannot be published whole"
            )
        return packed

    def _checked(self, topic: str | bytes) -> bytes:
        """The bytes of a topic that may be published."""
        if isinstance(topic, bytes) and self._codec == "raw":
            raw = topic
        elif isinstance(topic, str):
            raw = topic.encode()
        else:
            raise SetupError(f"{self._label}: a topic is a text, not {type(topic).__name__}")
        if len(raw) > TOPIC_BYTES:
            raise SetupError(f"{self._label}: topic {topic[:40]!r} is over {TOPIC_BYTES} bytes")
        if raw.startswith(MARK):
            raise SetupError(
                f"{self._label}: topics that begin as {topic[:10]!r} are actormq's own"
            )
        if b" " in raw and self._codec == "text":
            raise SetupError(
                f"{self._label}: codec 'text' parts topic and text at the first space, "
                f"and topic {topic[:40]!r} has one"
            )
        return raw

    def _make_room_for_number(self) -> None:
        if len(self._numbers) >= TOPICS_NUMBERED:
            # Numbers of so many topics are enough: begin a new stream.
            self._seal()
            self._numbers.clear()
            self.stream = secrets.randbits(63)

    def _plain(self, topic: str | bytes, value: Any, parts: tuple[bytes, ...]) -> list[bytes]:
        if self._codec == "text":
            if not isinstance(value, str | int | float) or parts:
                raise SetupError(
                    f"{self._label}: codec 'text' publishes a text or number, "
                    f"not {type(value).__name__}"
                )
            return [self._checked(topic) + f" {value}".encode()]
        raw = self._checked(topic)
        if not isinstance(value, bytes | bytearray | memoryview):
            raise SetupError(
                f"{self._label}: codec 'raw' publishes bytes, not {type(value).__name__}"
            )
        return [raw, bytes(value), *parts]

    def flush(self) -> None:
        """Send what one tick has gathered."""
        self._is_dirty = False
        self._seal()

    def _seal(self) -> None:
        if self._batch:
            header: bytes = msgpack.packb([self.stream, self._batch_first])
            frames = [self._batch_topic.encode(), b"".join((header, *self._batch))]
            self._batch, self._batch_bytes = [], 0
            self._send(frames)

    def _send(self, frames: list[bytes]) -> None:
        if self._port.is_closed:
            raise LifecycleError(f"{self._label} is closed: its actor has stopped")
        if self._queue:
            self._queue.append(frames)
        elif not self._port.send(frames):
            self._queue.append(frames)
            self._has_room.clear()
            self._retry = self._runtime.loop.call_later(RETRY, self._send_queued, RETRY)

    def _send_queued(self, waited: float) -> None:
        """Send what is queued, as far as it goes. XPUB has no event for room: ask again."""
        while self._queue:
            if not self._port.send(self._queue[0]):
                wait = min(2 * waited, RETRY_MOST)
                self._retry = self._runtime.loop.call_later(wait, self._send_queued, wait)
                return
            self._queue.popleft()
            waited = RETRY
        self._has_room.set()

    # -- subscriptions ------------------------------------------------------------------------

    def _subscribed(self, frames: list[bytes]) -> None:
        """Take a subscription (first byte 1) or the end of one (0)."""
        first = frames[0]
        if len(frames) != 1 or not first or first[0] > 1:
            return  # a message to a publisher means nothing
        topic, is_new = first[1:], first[0] == 1
        presence = presence_from(topic)
        if presence is not None:
            self._met(presence, is_new)
        else:
            self._topics[topic] += 1 if is_new else -1
            if self._topics[topic] <= 0:
                del self._topics[topic]
        self._changed.set()

    def _met(self, presence: Presence, is_new: bool) -> None:
        key = (presence.node, presence.socket)
        if is_new:
            # To a publisher that comes later two marks of one socket come in any order.
            self._presences[key] = max(presence.token, self._presences.get(key, 0))
            few = len(self._numbers) <= BASELINE_TOPICS
            self._runtime.services.vouch(
                presence.node, presence.token, self.stream, dict(self._numbers) if few else None
            )
        elif self._presences.get(key) == presence.token:
            del self._presences[key]

    async def close(self) -> None:
        """Send what is left and close."""
        self._seal()
        if self._queue:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._has_room.wait()
        if self._retry is not None:
            self._retry.cancel()
        self._queue.clear()
        self._has_room.set()
        if self._is_announced:
            self._runtime.services.withdraw(self._serial)
        self._runtime.transport.close_port(self._port)


class _Owner(Protocol):
    _context: Context


def opened(actor: _Owner, attribute: str) -> object:
    """The open socket of an actor.

    Raises:
        LifecycleError: The actor has not started, so its sockets are closed.
    """
    try:
        return actor._context.sockets[attribute]  # noqa: SLF001 the descriptor's way to its actor
    except (AttributeError, KeyError):
        raise LifecycleError(
            f"{type(actor).__name__}.{attribute} is not open: sockets open before on_start and "
            "close after on_stop"
        ) from None
