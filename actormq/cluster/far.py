"""What stands for an actor of another node, and for an asker there: routes, replies and answers."""

from __future__ import annotations

import concurrent.futures
from threading import get_ident
from typing import TYPE_CHECKING, Any

import msgspec

from actormq import message
from actormq.address import NODE_SERIAL, Address
from actormq.cluster.member import Member
from actormq.cluster.row import (
    LEAST,
    NO_ROW,
    PLAIN,
    AskRow,
    TellRow,
    pack_plain,
    packed_arguments,
)
from actormq.deadlines import CURRENT, Served, deadline_for
from actormq.errors import ActormqError, DeliveryError, LinkFull, MailboxFull
from actormq.events import DeadLetter
from actormq.reply import Reply
from actormq.settings import ASIDE_BYTES

if TYPE_CHECKING:
    from actormq.cluster.calls import Calls
    from actormq.cluster.post import Post

SEND_PAUSE, SEND_PAUSE_MOST = 0.005, 0.2  # s from a refusal for want of room to the next try
SENDS_LIMIT = 10_000  # messages that wait for room elsewhere; who sends more is refused at once
STOP = "stop_actor"
"""The handler of a node's own actor that stops another one of that node."""


class FarReply(Reply[Any]):
    """The reply of an actor on another node.

    Args:
        post: Sends the ask.
        address: The actor's.
        handler: The handler's name.
        seconds: How long it may take, in seconds.
        deadline: When that ends, on the node's clock.
        outside: What a thread waits with; None for who asks on the loop.

    Attributes:
        address: The actor's.
        awaiter: The handler that awaits it, if one has begun to.
        number: That of the ask; 0 before it has left.
        probe_at: When a probe may follow it (again), on the node's clock.
    """

    __slots__ = ("_post", "address", "awaiter", "number", "probe_at")

    def __init__(
        self,
        post: Post,
        address: Address,
        handler: str,
        seconds: float,
        deadline: float,
        outside: concurrent.futures.Future[Any] | None = None,
    ) -> None:
        # All of a reply, for a constructor in each class would take half as long again (measured).
        self._loop = post.loop
        self.bucket = self._error = self._futures = self.target = None
        self._outside = outside
        self.actor = address.label
        self.handler = handler
        self.seconds = seconds
        self.deadline = deadline
        self.is_done = False
        self._post = post
        self.address = address
        self.awaiter: Served | None = None
        self.number = 0
        self.probe_at = 0.0

    def awaited_by(self, served: Served) -> None:
        """A handler awaits it from now on."""
        self.awaiter = served

    def expire(self) -> None:
        """Give up, and do not wait for what may come later."""
        self._post.pending.pop(self.number, None)
        super().expire()


class FarSend(FarReply):
    """Tries to send a message until the receiver has room for it, or the deadline comes."""

    __slots__ = ("_call", "_pause", "_was_full")

    def __init__(
        self,
        post: Post,
        address: Address,
        call: tuple[str, Any, dict[str, Any]],
        seconds: float,
        deadline: float,
        outside: concurrent.futures.Future[Any] | None,
    ) -> None:
        super().__init__(post, address, call[0], seconds, deadline, outside)
        post.sends += 1
        self._call = call
        self._pause = SEND_PAUSE
        self._was_full: DeliveryError | None = None

    def attempt(self) -> None:
        """Send it once more."""
        if not self.is_done:
            self._post.ask(self, *self._call, message.SEND)

    def reject(self, error: BaseException) -> None:
        """Try again later if it is only for want of room."""
        if isinstance(error, MailboxFull | LinkFull) and self._post.sends <= SENDS_LIMIT:
            self._was_full, self.number = error, 0
            self._post.loop.call_later(self._pause, self.attempt)
            self._pause = min(2 * self._pause, SEND_PAUSE_MOST)
        else:
            self._end()
            super().reject(error)

    def resolve(self, value: Any) -> None:
        """It is queued."""
        self._end()
        super().resolve(value)

    def _end(self) -> None:
        if not self.is_done:
            self._post.sends -= 1

    def expire(self) -> None:
        """There was no room in time, or no word came."""
        if self._was_full is not None and self.number == 0:
            self._end()
            super().reject(self._was_full)
        else:
            super().expire()


class FarRoute:
    """The way to one actor of another node."""

    __slots__ = ("_asks", "_post", "_tells", "_thread", "address")

    def __init__(self, post: Post, address: Address) -> None:
        self._post = post
        self.address = address
        self._thread = post.loop.thread
        self._tells = NO_ROW
        self._asks: AskRow | None = None

    def tell(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """See `Ref.tell`."""
        if get_ident() != self._thread:
            name = handler if isinstance(handler, str) else handler.__name__
            self._post.loop.call_from_thread(self._tell_or_drop, name, args, kwargs)
            return
        # The way of most messages, spelled out: a call costs a quarter of it.
        packed = None
        if not kwargs:
            for value in args:
                if type(value) not in PLAIN:
                    break
            else:
                try:
                    packed = pack_plain(args)
                except (ValueError, OverflowError):
                    packed = None  # the codec says what is wrong
        if packed is not None:
            row = self._tells
            room, size = row.room, len(packed)
            if row.handler is handler and size <= room.left:
                row.parts.append(packed)
                room.left -= size if size > LEAST else LEAST  # noqa: FURB136 a call costs thrice
                return
        self._tell_apart(handler, args, kwargs, packed)

    def _tell_apart(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], packed: bytes | None
    ) -> None:
        """Send what no row can take, or what begins one."""
        if packed is None or len(packed) >= ASIDE_BYTES:
            name = handler if isinstance(handler, str) else handler.__name__
            self._post.tell(self.address, name, args, kwargs)
            return
        row = self._tells
        if row is NO_ROW:
            row = self._tells = TellRow(self.address.serial)
        self._post.begin_row(row, self.address, handler, len(packed))
        row.parts.append(packed)

    def _tell_or_drop(self, name: str, args: Any, kwargs: dict[str, Any]) -> bool:
        try:
            self._post.tell(self.address, name, args, kwargs)
        except DeliveryError as error:
            self._post.events.emit(
                DeadLetter(
                    self.address.label,
                    name,
                    type(error).__name__,
                    str(error),
                    args=tuple(args),
                    kwargs=kwargs,
                )
            )
            return False
        return True

    def ask(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[Any]:
        """See `Ref.ask`."""
        if get_ident() != self._thread:
            return self._ask_from_thread(handler, args, kwargs, within)
        post, row = self._post, self._asks
        now = post.loop.now()
        seconds = post.settings.ask_timeout if within is None else within
        if CURRENT.get(None) is None:
            deadline = now + seconds
        else:
            seconds, deadline = deadline_for(now, seconds, seconds)
        if row is not None and row.handler is handler:
            name = row.name
        else:
            row = None
            name = handler if isinstance(handler, str) else handler.__name__
        reply = FarReply(post, self.address, name, seconds, deadline)
        packed = None if kwargs else packed_arguments(args)
        if packed is None:
            reply.arm(post.deadlines, deadline)
            post.ask(reply, name, args, kwargs)
        elif row is None or not row.took(reply, packed, now):
            if self._asks is None:
                self._asks = AskRow(self.address.serial, post)
            post.ask_row(self._asks, reply, handler, args, packed)
        return reply

    def _ask_from_thread(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[Any]:
        post = self._post
        name = handler if isinstance(handler, str) else handler.__name__
        seconds, deadline = deadline_for(post.loop.now(), within, post.settings.ask_timeout)
        reply = FarReply(post, self.address, name, seconds, deadline, self._outside())
        post.loop.call_from_thread(reply.arm, post.deadlines, deadline)
        post.loop.call_from_thread(post.ask, reply, name, args, kwargs)
        return reply

    def send(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[None]:
        """See `Ref.send`."""
        post = self._post
        name = handler if isinstance(handler, str) else handler.__name__
        seconds, deadline = deadline_for(post.loop.now(), within, post.settings.ask_timeout)
        outside = self._outside()
        reply = FarSend(post, self.address, (name, args, kwargs), seconds, deadline, outside)
        if outside is None:
            reply.arm(post.deadlines, deadline)
            reply.attempt()
        else:
            post.loop.call_from_thread(reply.arm, post.deadlines, deadline)
            post.loop.call_from_thread(reply.attempt)
        return reply

    def offer(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """See `Ref.offer`."""
        name = handler if isinstance(handler, str) else handler.__name__
        if not self._post.loop.is_current():
            self._post.loop.call_from_thread(self._tell_or_drop, name, args, kwargs)
            return True
        return self._tell_or_drop(name, args, kwargs)

    def stop(self, within: float | None) -> Reply[None]:
        """See `Ref.stop`."""
        if self.address.node == self._post.own:
            outside = self._outside()
            reply: Reply[None] = FarReply(self._post, self.address, STOP, 0.0, 0.0, outside)
            reply.resolve(None)  # it has stopped: see `Post._send`
            return reply
        route = FarRoute(self._post, Address(self.address.node, NODE_SERIAL, self.address.label))
        return route.ask(STOP, (self.address.serial,), {}, within)

    def _outside(self) -> concurrent.futures.Future[Any] | None:
        """What a thread waits with for an answer; None on the loop."""
        return None if get_ident() == self._thread else concurrent.futures.Future()


class FarAnswer(msgspec.Struct, eq=False):
    """Where the result of an ask from another node goes.

    Attributes:
        calls: What sends it.
        member: The asker's node.
        number: That of the ask.
        deadline: When the asker gives up, on the node's clock.
        is_waiting: Whether nothing was said yet.
    """

    is_asked = True

    calls: Calls
    member: Member
    number: int
    deadline: float
    is_waiting: bool = True

    def is_of(self, member: Member, number: int) -> bool:
        """Whether it answers that ask of that node."""
        return self.number == number and self.member is member

    def is_open(self) -> bool:
        """Whether the asker still waits, as far as can be known here."""
        return self.is_waiting and self.calls.loop.now() < self.deadline

    def resolve(self, value: Any) -> None:
        """Send the result."""
        self.is_waiting = False
        if not self.member.outbox.replies.took(self.number, value):
            self.calls.answer(self.member, self.number, value)

    def reject(self, error: BaseException) -> None:
        """Send the reason why there is none."""
        self.is_waiting = False
        facts = list(error.facts) if isinstance(error, ActormqError) else [str(error)]
        self.calls.refuse(self.member, self.number, type(error).__name__, facts)
