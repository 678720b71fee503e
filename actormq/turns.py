"""One actor's messages: in from everywhere, handled one at a time, answered.

The mailbox is made by the first message and given back when it is empty: of 100 000 actors few
have something to do at any moment.
"""

from __future__ import annotations

import asyncio
import contextvars
import enum
import math
import threading
import traceback
import types
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from threading import get_ident
from time import perf_counter
from typing import Any

from actormq.actor import Actor, HandlerSpec
from actormq.address import Address
from actormq.context import Answer, Call
from actormq.deadlines import CURRENT, Served
from actormq.errors import (
    ActorStopped,
    HandlerCancelled,
    HandlerNotFound,
    MailboxFull,
    RemoteError,
)
from actormq.events import DeadLetter, HandlerFailed
from actormq.mailbox import Inlet
from actormq.place import Place, Reported
from actormq.reply import Reply
from actormq.runtime import Runtime
from actormq.settings import TURN_MESSAGES, TURN_SECONDS
from actormq.stepping import SUSPENDED

_INLET_LOCK = threading.Lock()

Message = tuple[Call, Sequence[Any], "dict[str, Any] | None", "Answer | None"]
"""`(call, args, kwargs, answer)`; a plain tuple, since there are millions of them."""


class State(enum.Enum):
    """The life of a cell."""

    STARTING = enum.auto()  # messages wait
    RUNNING = enum.auto()
    STOPPING = enum.auto()  # nothing new is taken; the handler under way ends
    STOPPED = enum.auto()


class Turns:
    """The mailbox of one actor, and its turns.

    Attributes:
        actor: The user's object; of an actor that runs elsewhere an empty one of its class.
        place: Where the user's object is, None for here.
        address: Where it lives.
        received_count: Messages that its handlers were given.
        state: Where in its life it is; `Cell` changes it.
    """

    __slots__ = (
        "__weakref__",
        "_handlers",
        "_inlet",
        "_is_busy",
        "_limit",
        "_mailbox",
        "_tasks",
        "_thread",
        "actor",
        "address",
        "place",
        "received_count",
        "runtime",
        "state",
    )

    def __init__(self, runtime: Runtime, actor: Actor, address: Address) -> None:
        self.runtime = runtime
        self.actor = actor
        self.place: Place | None = None
        self.address = address
        self.state = State.STARTING
        self.received_count = 0
        self._thread = runtime.loop.thread
        self._handlers = actor._actormq_handlers  # noqa: SLF001 the table that the class made for its cells
        self._limit = runtime.settings.mailbox_limit
        self._mailbox: deque[Message] | None = None
        self._inlet: Inlet | None = None
        self._is_busy = False
        self._tasks: dict[asyncio.Future[Any], tuple[str, Answer | None, Served | None]] | None = (
            None
        )

    @property
    def mailbox_count(self) -> int:
        """Messages that wait."""
        # Threads ask as well, while the loop takes the mailbox away: look at each once.
        mailbox, inlet = self._mailbox, self._inlet
        waiting = len(mailbox) if mailbox is not None else 0
        return waiting + (len(inlet) if inlet is not None else 0)

    # -- messages in --------------------------------------------------------------------------

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
        unmarked = callable(getattr(type(self.actor), name, None))
        known = [key for key in self._handlers if isinstance(key, str)]
        raise HandlerNotFound(self.address.label, name, unmarked, known)

    def tell(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Queue a message without an answer; see `Ref.tell`."""
        spec = self._handlers.get(handler) or self.find(handler)
        message = (spec, args, kwargs, None)
        if get_ident() != self._thread:
            self._put_from_thread(message)
            return
        # `put`, spelled out: the way of most messages, and a call costs a tenth of it.
        mailbox = self._mailbox
        if mailbox is None:
            self.put(message)
        elif len(mailbox) < self._limit:
            mailbox.append(message)
        else:
            raise MailboxFull(self.address.label, self._limit)

    def ask(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[Any]:
        """Queue a message with an answer; see `Ref.ask`."""
        runtime = self.runtime
        loop = runtime.loop
        name = handler if isinstance(handler, str) else getattr(handler, "__name__", "?")
        seconds, deadline = deadline_for(loop.now(), within, runtime.settings.ask_timeout)
        reply: Reply[Any] = Reply(loop, self.address.label, name, seconds)
        reply.deadline = deadline  # before its turn can come, for it bounds what the handler asks
        try:
            message = (self.find(handler), args, kwargs, reply)
            if loop.is_current():
                reply.arm(runtime.deadlines, deadline)
                self.put(message)
            else:
                self._put_from_thread(message)
                loop.call_from_thread(reply.arm, runtime.deadlines, deadline)
        except (HandlerNotFound, MailboxFull, ActorStopped) as error:
            error.undelivered = (name, args, kwargs)
            reply.reject(error)
        return reply

    def put(self, message: Message) -> None:
        """Queue a message; on the loop.

        A cell that has a mailbox is queued for its turn, busy or starting: whoever makes the
        mailbox queues the cell, and a turn that ends with an empty one gives it back.

        Raises:
            MailboxFull: It is at its limit.
            ActorStopped: The actor takes no more.
        """
        mailbox = self._mailbox
        if mailbox is None:
            self._open_mailbox().append(message)
        elif len(mailbox) < self._limit:
            mailbox.append(message)
        else:
            raise MailboxFull(self.address.label, self._limit)

    def receive(self, call: Call, args: Sequence[Any], answer: Answer | None) -> None:
        """Queue what came on a socket; each has one message at a time in here."""
        mailbox = self._mailbox
        if mailbox is None:
            if self.state.value > State.RUNNING.value:
                return
            mailbox = self._open_mailbox()
        mailbox.append((call, args, None, answer))

    def _open_mailbox(self) -> deque[Message]:
        if self.state.value > State.RUNNING.value:
            raise ActorStopped(self.address.label)
        mailbox: deque[Message] = deque()
        self._mailbox = mailbox
        if not self._is_busy and self.state is State.RUNNING:
            self.runtime.loop.ready(self)
        return mailbox

    def put_or_drop(self, message: Message) -> None:
        """Queue a message whose sender cannot be told; what does not fit is a dead letter."""
        try:
            self.put(message)
        except (MailboxFull, ActorStopped) as error:
            spec, _, _, answer = message
            if answer is not None:
                answer.reject(error)
            else:
                self._bury(spec.name, type(error).__name__)

    def _put_from_thread(self, message: Message) -> None:
        if self._inlet is None:
            inlet = Inlet(self.runtime.loop, self.runtime.transport, self.put_or_drop)
            # Two threads may come at once: the first inlet that is set is everybody's.
            with _INLET_LOCK:
                if self._inlet is None:
                    self._inlet = inlet
        if self.mailbox_count >= self._limit:
            raise MailboxFull(self.address.label, self._limit)
        if self.state.value > State.RUNNING.value or not self._inlet.put(message):
            raise ActorStopped(self.address.label)

    # -- turns --------------------------------------------------------------------------------

    def turn(self) -> None:  # noqa: C901 the hottest loop of all: a call costs 90 ns
        """Handle messages until the mailbox is empty, a handler suspends, or the turn is over."""
        mailbox = self._mailbox
        if mailbox is None or self.state is not State.RUNNING:
            return
        actor, popleft, running = self.actor, mailbox.popleft, State.RUNNING
        end, count = perf_counter() + TURN_SECONDS, 0
        while mailbox:
            call, args, kwargs, answer = popleft()
            if answer is not None and not answer.is_open():
                self._bury(call.name, "asker gave up")
                continue
            count += 1
            if call.is_plain:
                try:
                    if kwargs:
                        value = call.function(actor, *args, **kwargs)
                    else:
                        value = call.function(actor, *args)
                except _FAILURES as error:  # a border: handlers are not ours
                    self._failed(call.name, answer, error)
                else:
                    if answer is not None:
                        answer.resolve(value)
            elif self._begin(call, args, kwargs or {}, answer):
                break
            if count >= TURN_MESSAGES or perf_counter() > end or self.state is not running:
                break  # the last: the handler stopped its own actor
        self.received_count += count
        self._next_turn()

    def _next_turn(self) -> None:
        """Queue for another turn if messages wait, or give the empty mailbox back."""
        if self._is_busy or self.state is not State.RUNNING:
            return  # `_ended` goes on, or nobody does
        if self._mailbox:
            self.runtime.loop.ready(self)
        else:
            self._mailbox = None

    def _begin(
        self, call: Call, args: Sequence[Any], kwargs: dict[str, Any], answer: Answer | None
    ) -> bool:
        """Start a handler that may take a while.

        Returns:
            Whether it keeps the turn: `_ended` will go on.
        """
        context = contextvars.copy_context()
        served = None
        if answer is not None and answer.deadline:
            served = Served(answer.deadline)
            context.run(CURRENT.set, served)
        task: asyncio.Future[Any]
        if self.place is not None:
            deadline = answer.deadline if answer is not None else 0.0
            task = self.place.run(call.name, args, kwargs, deadline)
        elif not call.is_async:
            task = self.runtime.loop.aio.run_in_executor(
                self.runtime.threads,
                lambda: context.run(_run_blocking, call.function, self.actor, args, kwargs),
            )
        else:
            try:
                coroutine: Coroutine[Any, Any, Any] = call.function(self.actor, *args, **kwargs)
                value = self.runtime.stepper.step(coroutine, context)
            except _FAILURES as error:  # a border, as in `turn`
                _end(served)
                self._failed(call.name, answer, error)
                return False
            if value is not SUSPENDED:
                _end(served)
                if answer is not None:
                    answer.resolve(value)
                return False
            assert self.runtime.stepper.task is not None
            task = self.runtime.stepper.task
        if self._tasks is None:
            self._tasks = {}
        self._tasks[task] = (call.name, answer, served)
        self._is_busy = not call.concurrent
        task.add_done_callback(self._ended_alone if call.concurrent else self._ended)
        return self._is_busy

    def _ended_alone(self, task: asyncio.Future[Any]) -> None:
        assert self._tasks is not None
        name, answer, served = self._tasks.pop(task)
        _end(served)
        try:
            value = task.result()
        except asyncio.CancelledError as error:
            if self.state is State.RUNNING:  # nobody cut it off: it awaited what was cancelled
                self._failed(name, answer, error)
            elif answer is not None:
                answer.reject(HandlerCancelled(self.address.label, name))
        except BaseException as error:  # noqa: BLE001 a border, as in `turn`
            self._failed(name, answer, error)
        else:
            if answer is not None:
                answer.resolve(value)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._is_busy = False
        self._ended_alone(task)
        self._next_turn()

    def _failed(self, handler: str, answer: Answer | None, error: BaseException) -> None:
        if isinstance(error, Reported):
            error.report(self.runtime.events, self.address.label, handler, answer)
            return
        error.__traceback__ = _inward(error, handler)
        if answer is None:
            self.runtime.events.emit(HandlerFailed(self.address.label, handler, error))
            return
        remote = RemoteError(
            self.address.label,
            handler,
            kind_of(error),
            str(error),
            "".join(traceback.format_exception(error)),
        )
        remote.__cause__ = error
        answer.reject(remote)

    def _bury(self, handler: str, reason: str) -> None:
        self.runtime.events.emit(DeadLetter(self.address.label, handler, reason))


def deadline_for(now: float, within: float | None, default: float) -> tuple[float, float]:
    """Say how long an ask may take: its own time, and no longer than the ask it serves.

    Returns:
        Seconds from now, and the time on the node's clock.
    """
    seconds = default if within is None else within
    outer = CURRENT.get(None)
    if outer is not None and outer.deadline - now < seconds:
        seconds = max(outer.deadline - now, 0.0)
    return seconds, now + seconds


def _end(served: Served | None) -> None:
    if served is not None:
        served.deadline = math.inf


_FAILURES = (Exception, asyncio.CancelledError)
"""What a handler may raise. It has awaited something cancelled, perhaps: a failure like others."""


def _run_blocking(
    function: Callable[..., Any], actor: Actor, args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    try:
        return function(actor, *args, **kwargs)
    except StopIteration as error:
        # No future can hold one; coroutines do the same (PEP 479).
        raise RuntimeError("the handler raised StopIteration") from error


def _inward(error: BaseException, handler: str) -> types.TracebackType | None:
    """The traceback from the handler on, without what called it."""
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_name != handler:
        step = step.tb_next
    return step or error.__traceback__


def kind_of(error: BaseException) -> str:
    """The class of an exception, qualified by its module unless built in."""
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
