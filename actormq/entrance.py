"""The ways into one actor's mailbox: told, asked or sent, on the loop or from another thread."""

from __future__ import annotations

import threading
from threading import get_ident
from typing import Any

from actormq.deadlines import CURRENT, deadline_for
from actormq.errors import ActorStopped, HandlerNotFound, MailboxFull
from actormq.inlet import Inlet
from actormq.mailbox import RUNNING, Mailbox, Message, Queued
from actormq.marks import HandlerSpec
from actormq.reply import Reply, RoomReply

_INLET_LOCK = threading.Lock()


class Entrance(Mailbox):
    """The mailbox of one actor, with the ways in: what a ref's route is on its own node."""

    __slots__ = ()

    def find(self, handler: Any) -> HandlerSpec:
        """Look up a handler by its name or by the method.

        Raises:
            HandlerNotFound: There is none, or it is not marked.
        """
        spec = self._handlers.get(handler)
        if spec is not None:
            return spec
        name = handler if isinstance(handler, str) else getattr(handler, "__name__", repr(handler))
        spec = self._handlers.get(name)
        if spec is not None:  # a bound method, or one that the subclass overrides
            return spec
        unmarked = callable(getattr(self.kind, name, None))
        known = [key for key in self._handlers if isinstance(key, str)]
        raise HandlerNotFound(self.address.label, name, unmarked, known)

    def handler(self, name: str) -> HandlerSpec | None:
        """The handler of that name, if there is one."""
        return self._handlers.get(name)

    def tell(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Queue a message without an answer; see `Ref.tell`."""
        spec = self._handlers.get(handler) or self.find(handler)
        message = (spec.name, args, kwargs or None, None)
        if get_ident() != self._thread:
            self._put_from_thread(message)
            return
        # `put`, spelled out: the way of most messages, and a call costs a tenth of it.
        mailbox = self._mailbox
        if mailbox is not None and len(mailbox) < self._limit:
            mailbox.append(message)
            self.sent_count += 1
        else:
            self.put(message)

    def offer(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Queue a message, or drop it; see `Ref.offer`."""
        try:
            self.tell(handler, args, kwargs)
        except (MailboxFull, ActorStopped) as error:
            dropped = ((self.find(handler), args, kwargs, None), type(error).__name__)
            if self.runtime.loop.is_current():
                self.report_dead(*dropped)
            else:
                self.runtime.loop.call_from_thread(self.report_dead, *dropped)
            return False
        return True

    def ask(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[Any]:
        """Queue a message with an answer; see `Ref.ask`."""
        runtime = self.runtime
        spec = self._handlers.get(handler)
        if spec is not None:
            name = spec.name
        else:
            name = handler if isinstance(handler, str) else getattr(handler, "__name__", "?")
        loop = runtime.loop
        now = loop.now()
        seconds = runtime.settings.ask_timeout if within is None else within
        if CURRENT.get(None) is None:
            deadline = now + seconds
        else:
            seconds, deadline = deadline_for(now, seconds, seconds)
        # The deadline before its turn can come, for it bounds what the handler asks.
        is_outside = get_ident() != self._thread
        reply: Reply[Any] = Reply(
            loop, (self._address or self.address).label, name, seconds, deadline, self, is_outside
        )
        try:
            message = (spec or self.find(handler), args, kwargs, reply)
            if not is_outside:
                # `put` for an actor that has nothing to do, spelled out: most that are asked.
                if (
                    self._first is None
                    and self._mailbox is None
                    and self.state is RUNNING
                    and not self._is_busy
                ):
                    self._first = message
                    self.sent_count += 1
                    loop.ready(self)
                else:
                    self.put(message)
                runtime.deadlines.add_soon(reply)
            else:
                self._put_from_thread(message)
                loop.call_from_thread(reply.arm, runtime.deadlines, deadline)
        except (HandlerNotFound, MailboxFull, ActorStopped) as error:
            error.undelivered = (name, args, kwargs)
            reply.reject(error)
        return reply

    def send(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[None]:
        """Queue a message once there is room; see `Ref.send`."""
        runtime = self.runtime
        name = handler if isinstance(handler, str) else getattr(handler, "__name__", "?")
        now = runtime.loop.now()
        seconds, deadline = deadline_for(now, within, runtime.settings.ask_timeout)
        reply: Reply[None] = RoomReply(runtime.loop, self.address.label, name, seconds, self._limit)
        try:
            message: Message = (self.find(handler), args, kwargs, None)
        except HandlerNotFound as error:
            reply.reject(error)
            return reply
        if runtime.loop.is_current():
            self.put_when_room(message, reply, deadline)
        else:
            runtime.loop.call_from_thread(self.put_when_room, message, reply, deadline)
        return reply

    # -- from another thread --------------------------------------------------------------------

    def _put_from_thread(self, message: Queued) -> None:
        if self._inlet is None:
            inlet = Inlet(self.runtime.loop, self.runtime.transport, self.put_or_drop)
            # Two threads may come at once: the first inlet that is set is everybody's.
            with _INLET_LOCK:
                if self._inlet is None:
                    self._inlet = inlet
        if self.is_open and self.mailbox_count - self.from_sockets >= self._limit:
            self._refused_in_thread(MailboxFull.__name__)
            raise MailboxFull(self.address.label, self._limit)
        if not self.is_open or not self._inlet.put(message):
            self._refused_in_thread(ActorStopped.__name__)
            raise ActorStopped(self.address.label)

    def _refused_in_thread(self, reason: str) -> None:
        self.runtime.loop.call_from_thread(self.runtime.books.refuse, reason)
