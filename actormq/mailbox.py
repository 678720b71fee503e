"""The mailbox of one actor: what is told and asked waits in here, up to a limit.

A message that waits alone has a place in the cell. The second one makes a deque, which is given
back when it is empty: of 100 000 actors few have something to do at any moment, and fewer much.
What comes on the actor's sockets goes in as well, one message of each at a time, which have places
of their own: a flood on one leaves the others theirs, whatever the limit.
Signals have a lane of their own, which no limit bounds and no message is ahead of.
"""

from __future__ import annotations

import abc
import enum
import itertools
from collections import deque
from collections.abc import Callable, Collection, Sequence
from itertools import repeat
from typing import Any

from actormq.actor import Actor
from actormq.address import Address
from actormq.context import Answer, Call
from actormq.errors import (
    ActormqError,
    ActorStopped,
    DeliveryError,
    MailboxFull,
)
from actormq.events import DeadLetter
from actormq.inlet import Inlet
from actormq.marks import HandlerSpec
from actormq.reply import Reply
from actormq.runtime import Runtime
from actormq.settings import SPARE_MAILBOXES

Message = tuple[Call, Sequence[Any], "dict[str, Any] | None", "Answer | None"]
"""`(call, args, kwargs, answer)`; a plain tuple, since there are millions of them."""

Queued = tuple["Call | str", Sequence[Any], "dict[str, Any] | None", "Answer | None"]
"""A message that waits.

What was told names its handler instead of holding it: a tuple of texts and numbers is none of the
garbage collector's business, which would look at each again while it waits, at a sixth of a tell.
"""


class State(enum.Enum):
    """The life of a cell."""

    STARTING = enum.auto()  # messages wait
    DOWN = enum.auto()  # messages wait for the next instance
    RUNNING = enum.auto()
    STOPPING = enum.auto()  # nothing is taken, and nothing waits; the handler under way ends
    STOPPED = enum.auto()


RUNNING = State.RUNNING
"""For where it counts: to look a member up in its class takes longer than to queue a message."""

_COMING = (State.STARTING, State.DOWN)


class Mailbox(abc.ABC):
    """What waits for one actor; `Cell` makes it.

    Attributes:
        actor: The user's object.
        name: What it was spawned as, None for one without a name.
        received_count: Messages that its handlers were given.
        runtime: The parts of the node it runs on.
        sent_count: Messages that were taken for it.
        serial: Its number on the node.
        state: Where in its life it is; `Cell` changes it.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_first",
        "_handlers",
        "_inlet",
        "_is_busy",
        "_limit",
        "_mailbox",
        "_room",
        "_signals",
        "_thread",
        "actor",
        "name",
        "received_count",
        "runtime",
        "sent_count",
        "serial",
        "state",
    )

    actor: Actor
    name: str | None
    received_count: int
    runtime: Runtime
    sent_count: int
    serial: int
    state: State
    _address: Address | None
    _first: Queued | None
    """What waits alone; with this or a mailbox it stands in the loop's queue, unless it is busy."""
    _handlers: dict[Any, HandlerSpec]
    _inlet: Inlet | None
    _is_busy: bool
    _limit: int
    _mailbox: deque[Queued] | None
    _room: deque[tuple[Message, Reply[None]]] | None
    """Who waits for room: what is to be put, and who is told of that; then there is a mailbox."""
    _signals: deque[Message] | None
    """Hooks to be run; while there are any it has a mailbox, or one message that waits behind."""
    _thread: int

    @property
    def address(self) -> Address:
        """Where the actor lives; made when somebody asks, as nobody does of most actors."""
        address = self._address
        if address is None:
            label = self.name or f"{self.kind.__name__.lower()}#{self.serial}"
            address = self._address = self.runtime.address(self.serial, label)
        return address

    @property
    @abc.abstractmethod
    def kind(self) -> type[Actor]:
        """The actor's class."""

    @property
    def mailbox_count(self) -> int:
        """Messages that wait."""
        # Threads ask as well, while the loop gives the mailbox back: then it may be another's.
        mailbox, inlet = self._mailbox, self._inlet
        waiting = len(mailbox) if mailbox is not None else int(self._first is not None)
        if mailbox is not self._mailbox:
            waiting = 0
        return waiting + (len(inlet) if inlet is not None else 0)

    @property
    def inlet_count(self) -> int:
        """Of those, messages of threads that are not on the loop yet."""
        return len(self._inlet) if self._inlet is not None else 0

    def waiting(self, is_it: Callable[[Answer], bool], limit: int) -> Message | None:
        """Find a message by where its result is to go, among the first `limit` that wait."""
        for call, args, kwargs, answer in itertools.islice(self._queued, limit):
            if answer is not None and is_it(answer) and not isinstance(call, str):
                return call, args, kwargs, answer
        return None

    @property
    def _queued(self) -> Collection[Queued]:
        """What waits on the loop, the oldest first."""
        return (self._first,) if self._first is not None else self._mailbox or ()

    @property
    def is_open(self) -> bool:
        """Whether messages are taken."""
        state = self.state
        return state is RUNNING or state in _COMING

    # -- on the loop --------------------------------------------------------------------------

    def put(self, message: Queued) -> None:
        """Queue a message.

        Raises:
            MailboxFull: It is at its limit.
            ActorStopped: The actor takes no more.
        """
        mailbox = self._mailbox
        if mailbox is None:
            if self._first is None:
                if self.state is not RUNNING:
                    self._check_open()
                elif not self._is_busy:
                    self.runtime.loop.ready(self)
                self._first = message
                self.sent_count += 1
                return
            mailbox = self._open_mailbox()
        if len(mailbox) >= self._limit and self._free() <= 0:
            self.runtime.books.refuse(MailboxFull.__name__)
            raise MailboxFull(self.address.label, self._limit)
        mailbox.append(message)
        self.sent_count += 1

    def put_all(
        self, call: Call, rows: Sequence[Sequence[Any]], answers: Sequence[Answer] | None = None
    ) -> int:
        """Queue messages, as many as there is room for.

        Args:
            call: The handler of all of them.
            rows: The arguments of each, checked; one or more.
            answers: Where the result of each goes; None if nobody has asked.

        Returns:
            How many were queued, the first ones; `put` says of the next why it was not.
        """
        mailbox = self._mailbox
        if mailbox is None:
            if not self.is_open:
                return 0
            mailbox = self._open_mailbox()
        free = self._free()
        if len(rows) > free:
            rows = rows[: max(free, 0)]
        if answers is None:
            # The collector lets go of them: see `Queued`.
            name, rows = call.name, list(map(tuple, rows))
            mailbox.extend(zip(repeat(name), rows, repeat(None), repeat(None), strict=False))
        else:
            mailbox.extend(zip(repeat(call), rows, repeat(None), answers, strict=False))
        self.sent_count += len(rows)
        return len(rows)

    def put_when_room(self, message: Message, reply: Reply[None], deadline: float) -> None:
        """Queue a message now, or once there is room; `reply` hears of it.

        As many may wait as the mailbox holds: whoever sends without waiting is refused.
        """
        if not self._room and self._free() > 0:
            try:
                self.put(message)
            except ActorStopped as error:
                reply.reject(error)
            else:
                reply.resolve(None)
            return
        if self._room is None:
            self._room = deque()
        if self._mailbox is None:
            self._open_mailbox()
        while self._room and not self._room[0][1].is_open():
            self._room.popleft()
        if len(self._room) >= self._limit:
            reply.reject(MailboxFull(self.address.label, self._limit))
            return
        reply.arm(self.runtime.deadlines, deadline)
        self._room.append((message, reply))

    def _free(self) -> int:
        """Places for what is told and asked, besides those that sockets have.

        One that is tried again is put first, whatever the limit: there may be less than none.
        """
        free = self._limit - len(self._queued)
        return free if free > 0 else free + self.from_sockets

    @property
    @abc.abstractmethod
    def from_sockets(self) -> int:
        """Of the messages that wait, those that came on sockets."""

    def _admit(self) -> None:
        """Let those in who wait for room."""
        while self._room and self.is_open and self._free() > 0:
            message, reply = self._room.popleft()
            if reply.is_open():
                self.put(message)
                reply.resolve(None)
        if not self._room:
            self._room = None

    def receive(self, call: Call, args: Sequence[Any], answer: Answer | None) -> None:
        """Queue what came on a socket, behind those who wait for room: each has one at a time."""
        if self._room:
            self._admit()
        mailbox = self._mailbox
        if mailbox is None:
            if not self.is_open:  # it was stopped by the handler that took the one before
                self.put_or_drop((call, args, None, answer))
                return
            mailbox = self._open_mailbox()
        mailbox.append((call, args, None, answer))
        self.sent_count += 1

    def signal(self, call: Call, *args: Any, answer: Answer | None = None) -> bool:
        """Let a hook run before the messages that wait.

        Args:
            call: The hook.
            args: Its arguments.
            answer: Hears of its end, unless the actor ends before.

        Returns:
            Whether it will: one that comes too late is passed over.
        """
        if not self.is_open:
            return False
        if self._signals is None:
            self._signals = deque()
        self._signals.append((call, args, None, answer))
        if self._mailbox is None and self._first is None:
            self._open_mailbox()
        return True

    def _check_open(self) -> None:
        if not self.is_open:
            self.runtime.books.refuse(ActorStopped.__name__)
            raise ActorStopped(self.address.label)

    def _open_mailbox(self) -> deque[Queued]:
        """Have room for more than one message, or for none while signals wait."""
        first = self._first
        if first is None:
            self._check_open()
            if self.state is RUNNING and not self._is_busy:
                self.runtime.loop.ready(self)
        spare = self.runtime.mailboxes
        mailbox: deque[Queued] = spare.pop() if spare else deque()
        if first is not None:
            mailbox.append(first)
            self._first = None
        self._mailbox = mailbox
        return mailbox

    def _give_back(self) -> None:
        """Let others have the empty mailbox: to make one costs a tenth of a message."""
        mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None and len(self.runtime.mailboxes) < SPARE_MAILBOXES:
            self.runtime.mailboxes.append(mailbox)

    @abc.abstractmethod
    def turn(self) -> None:
        """Handle some of what waits."""

    def put_or_drop(self, message: Queued) -> None:
        """Queue a message whose sender cannot be told; what does not fit is a dead letter."""
        try:
            self.put(message)
        except (MailboxFull, ActorStopped) as error:
            if message[3] is not None:
                message[3].reject(error)
            else:
                self.report_dead(message, type(error).__name__)

    # -- what is not handled ------------------------------------------------------------------

    def bury(self, message: Queued, error: ActormqError) -> None:
        """Answer a message that was taken and will not be handled, or count it."""
        self.runtime.books.dropped[type(error).__name__] += 1
        if message[3] is not None:
            message[3].reject(error)
        else:
            self.report_dead(message, type(error).__name__)

    def _turn_away(self, error: DeliveryError) -> None:
        """Answer or count all that waits, and who waits for room."""
        left = self._queued
        self._first = self._mailbox = self._signals = None
        for message in left:
            self.bury(message, error)
        room, self._room = self._room, None
        for _, reply in room or ():
            reply.reject(error)

    def _close_inlet(self, error: DeliveryError) -> None:
        """Take nothing of threads any more, for ever."""
        if self._inlet is not None:
            left = self._inlet.close()
            self.sent_count += len(left)
            for message in left:
                self.bury(message, error)

    def report_dead(self, message: Queued, reason: str, detail: str = "") -> None:
        """Report a message that reached no handler."""
        call, args, kwargs, _ = message
        label, name = self.address.label, call if isinstance(call, str) else call.name
        self.runtime.events.emit(
            DeadLetter(label, name, reason, detail, args=tuple(args), kwargs=kwargs or {})
        )
