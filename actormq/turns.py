"""One actor's turns: messages handled one at a time, answered, tried again or failed."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import islice
from operator import length_hint
from types import CoroutineType, MethodType
from typing import Any, cast

from actormq.actor import Actor
from actormq.context import ALONE, Answer, Call, Flow
from actormq.deadlines import Served
from actormq.errors import HandlerCancelled
from actormq.failing import Failing
from actormq.mailbox import RUNNING, Message, Queued
from actormq.place import Place
from actormq.reply import Reply
from actormq.settings import CONCURRENT_LIMIT, ROW_MESSAGES, TURN_MESSAGES, TURN_SECONDS
from actormq.stepping import SUSPENDED, Exit

GAVE_UP = "asker gave up"
"""Why a message is dead whose asker waits no more."""

AHEAD_DEPTH = 8  # first steps within first steps; each takes a dozen of Python's 1 000 frames
ROW_SECONDS = TURN_SECONDS / ROW_MESSAGES  # a message that took less may begin a row of as many
ROW_MOST = 4 * ROW_MESSAGES  # of what comes on a socket, for twice as many as were quick by then


class Turns(Failing):
    """The mailbox of one actor, and its turns.

    Attributes:
        place: Where the user's object is, None for on the loop; then `actor` is the object.
    """

    __slots__ = ("_is_crowded", "_tasks", "place")

    place: Place | None
    _is_crowded: bool
    """Busy because of many concurrent handlers, not of one that is not."""
    _tasks: dict[asyncio.Future[Any], tuple[Message, Served]] | None

    def serving(self) -> list[tuple[asyncio.Future[Any], Served]]:
        """The handlers under way that have suspended, with the task that carries each."""
        return [(task, served) for task, (_, served) in (self._tasks or {}).items()]

    def turn(self) -> None:
        """Handle messages until none waits, a handler suspends, or the turn is over."""
        if self._is_busy or self.state is not RUNNING:
            return
        if self._signals and self._take_signals():
            return
        message = self._first
        if message is not None:
            self._first = None
            called, args, kwargs, answer = message
            call: Call = self._handlers[called] if isinstance(called, str) else called
            if answer is None or answer.is_open():
                self._handle(call, args, kwargs, answer)
            else:
                self._given_up((call, args, kwargs, answer))
            if self._first is None and self._mailbox is None:
                return  # as after most: there is nothing to go on with
        mailbox = self._mailbox
        if mailbox is None and self._first is not None:  # it has told itself something
            mailbox = self._open_mailbox()
        if mailbox and not self._is_busy:
            self._handle_row(mailbox)
        self._next_turn()

    def _handle(
        self,
        call: Call,
        args: Sequence[Any],
        kwargs: dict[str, Any] | None,
        answer: Answer | None,
    ) -> None:
        """Handle one message; what the actor is sent meanwhile waits, for it is busy."""
        self.received_count += 1
        self._is_busy = True
        if not call.is_plain:
            self._is_busy = self._begin((call, args, kwargs, answer))
            return
        try:
            if kwargs:
                value = call.function(self.actor, *args, **kwargs)
            elif len(args) > 1:
                value = call.function(self.actor, *args)
            elif args:  # to spread them takes longer than most handlers
                value = call.function(self.actor, args[0])
            else:
                value = call.function(self.actor)
        except BaseException as error:  # noqa: BLE001 a border: handlers are not ours
            # Apart from a task that awaits the answer, and has its actor's turn for that.
            self.runtime.loop.run_apart(self._raised, (call, args, kwargs, answer), error)
        else:
            if answer is not None:
                if type(value) is CoroutineType:
                    self._forgotten((call, args, kwargs, answer), value)
                else:
                    answer.resolve(value)
        self._is_busy = False

    def _handle_row(self, mailbox: deque[Queued]) -> None:  # noqa: C901 the hottest loop of all: a call costs 90 ns
        """Do for many messages what `_handle` does for one, in half the time."""
        handlers, popleft = self._handlers, mailbox.popleft
        loop = self.runtime.loop
        clock, looked = loop.clock, loop.looked
        end, count, look_at = looked + TURN_SECONDS, 0, 1
        latest: Any = None
        while mailbox and self.state is RUNNING:  # else the handler stopped or failed its actor
            called, args, kwargs, answer = popleft()
            if called is not latest:  # mostly it is: what follows costs as much as a call
                latest = called
                call: Call = handlers[called] if isinstance(called, str) else called
                is_plain = call.is_plain
                # `method(*args)` takes half the time of `function(actor, *args)`.
                method = MethodType(call.function, self.actor)
            if answer is not None and not answer.is_open():
                self._given_up((call, args, kwargs, answer))
                continue
            self.received_count += 1
            count += 1
            if is_plain:
                try:
                    value = method(*args, **kwargs) if kwargs else method(*args)
                except BaseException as error:  # noqa: BLE001 a border: handlers are not ours
                    self._raised((call, args, kwargs, answer), error)
                else:
                    if answer is not None:
                        if type(value) is CoroutineType:
                            self._forgotten((call, args, kwargs, answer), value)
                        else:
                            answer.resolve(value)
            elif self._begin((call, args, kwargs, answer)):
                break
            if count >= look_at and mailbox:
                now = clock()
                if now > end or count >= TURN_MESSAGES:
                    break
                is_quick = now - looked < ROW_SECONDS
                look_at = min(count + (ROW_MESSAGES if is_quick else 1), TURN_MESSAGES)
                looked = now

    def anticipate(self, reply: Reply[Any]) -> None:
        """Answer a message at once whose reply somebody begins to await, if it is the first.

        Then it is the actor's next turn anyway, and the asker is spared a future and the loop's
        next round. What has begun, waits behind others or comes too often goes the usual way.
        """
        message, mailbox = self._first, self._mailbox
        if mailbox:
            message = mailbox[0]
        if message is None or message[3] is not reply or self._signals or self.state is not RUNNING:
            return
        call: Any  # what was asked holds it
        call, args, kwargs, _ = message
        runtime = self.runtime
        if not (call.is_plain or runtime.stepper.depth < AHEAD_DEPTH):
            return
        loop = runtime.loop
        if not loop.overtake(self, reply.deadline - reply.seconds):
            return
        if mailbox:
            mailbox.popleft()
        else:
            self._first = None
        if call.is_plain:
            loop.context.copy().run(self._handle, call, args, kwargs, reply)
        else:
            loop.run_apart(self._handle, call, args, kwargs, reply)
        if loop.dirty:  # the asker may count on what was said having left, as after a tick
            loop.flush()
        if self._first is not None or self._mailbox is not None:
            loop.look_ahead()
            self._next_turn()

    def _next_turn(self) -> None:
        """Queue for another turn if messages wait, or give the empty mailbox back."""
        if self._room:
            self._admit()
        if self._is_busy or self.state is not RUNNING:
            return  # `_ended` goes on, or nobody does
        if self._first is not None or self._mailbox or self._signals:
            self.runtime.loop.ready(self)
        elif self._mailbox is not None:
            self._give_back()

    def _take_signals(self) -> bool:
        """Run the hooks that are due; say whether the turn is over: one keeps it, or fails."""
        while self._signals and self.state is RUNNING:
            message = self._signals.popleft()
            call, args, _, _ = message
            if not call.is_plain:
                if self._begin(message):
                    return True
                continue
            try:
                call.function(self.actor, *args)
            except BaseException as error:  # noqa: BLE001 a border, as in `turn`
                self._raised(message, error)
        return self.state is not RUNNING

    def _given_up(self, message: Message) -> None:
        """Bury a message whose asker waits no more."""
        self.runtime.books.dropped[GAVE_UP] += 1
        self.report_dead(message, GAVE_UP)

    def _begin(self, message: Message) -> bool:
        """Start a handler that may take a while.

        Returns:
            Whether it keeps the turn: `_ended` will go on.
        """
        call, args, kwargs, answer = message
        if call.is_flow:
            self._go_on_with(cast("Flow", call))
            return False
        context, served = self.runtime.contexts.of(self, call, answer)
        task: asyncio.Future[Any]
        if self.place is not None:
            task = self.place.run(call.name, args, kwargs or {}, served)
        elif not call.is_async:
            task = self.runtime.loop.aio.run_in_executor(
                self.runtime.threads,
                lambda: context.run(_run_blocking, call.function, self.actor, args, kwargs or {}),
            )
        else:
            try:
                coroutine: Coroutine[Any, Any, Any] = call.function(
                    self.actor, *args, **(kwargs or {})
                )
                value = self.runtime.stepper.step(coroutine, context)
            except BaseException as error:  # noqa: BLE001 a border, as in `turn`
                end_served(served)
                self._raised(message, error)
                return False
            if value is not SUSPENDED:
                end_served(served)
                if answer is not None:
                    answer.resolve(value)
                return False
            assert self.runtime.stepper.task is not None
            task = self.runtime.stepper.task
        if self._tasks is None:
            self._tasks = {}
        self._tasks[task] = (message, served)
        self.runtime.contexts.suspended(served)
        self._is_crowded = call.concurrent and len(self._tasks) >= CONCURRENT_LIMIT
        self._is_busy = not call.concurrent or self._is_crowded
        task.add_done_callback(self._ended_alone if call.concurrent else self._ended)
        return self._is_busy

    def _go_on_with(self, flow: Flow) -> None:
        """Handle what came on a socket for as long as nothing else waits: it would be next anyway.

        The messages behind the first are counted as sent and as received in one moment.
        """
        waiting = flow.waiting
        self._handle_rows(flow)
        further = waiting - flow.waiting - 1
        self.sent_count += further
        self.received_count += further
        flow.rest()

    def _handle_rows(self, flow: Flow) -> None:
        """As `turn` handles messages; the quicker they are, the fewer looks at the clock.

        A look takes 250 ns with all that belongs to it, and the inside of the loop 20 a message.
        """
        mailbox, running = self._mailbox, RUNNING
        method = MethodType(flow.method, self.actor)  # takes half the time of passing the actor
        clock = self.runtime.loop.clock
        looked = clock()
        left = 1 if self._room else TURN_MESSAGES  # those who wait for room have theirs behind it
        end, size = looked + TURN_SECONDS, 1
        for first, row in flow.rows():
            is_alone = first is ALONE
            seconds = iter((row,)) if is_alone else row
            while length_hint(seconds):
                for second in islice(seconds, size):
                    try:
                        if is_alone:
                            method(*second)
                        else:
                            method(first, second)  # twice as fast
                    except BaseException as error:  # noqa: BLE001 a border, as in `turn`
                        args = second if is_alone else (first, second)
                        self._raised((flow, args, None, None), error)
                    if mailbox or self.state is not running:
                        return
                now = clock()
                left -= 1 if is_alone else size
                if now > end or left <= 0:
                    return
                size = min(2 * size if now - looked < ROW_SECONDS else 1, ROW_MOST, left)
                looked = now

    def _ended_alone(self, task: asyncio.Future[Any]) -> None:
        if not self._tasks or task not in self._tasks:  # its instance was given up
            _retrieve(task)
            return
        message, served = self._tasks.pop(task)
        end_served(served)
        call, _, _, answer = message
        try:
            value = task.result()
        except asyncio.CancelledError as error:
            if self.state is RUNNING:  # nobody cut it off: it awaited what was cancelled
                self._raised(message, error)
            elif answer is not None:
                answer.reject(HandlerCancelled(self.address.label, call.name))
        except Exit as exit_:
            self._raised(message, exit_.word)
        except BaseException as error:  # noqa: BLE001 a border, as in `turn`
            self._raised(message, error)
        else:
            if answer is not None:
                answer.resolve(value)
        if self._is_crowded:
            self._is_crowded = self._is_busy = False
            self._next_turn()

    def _ended(self, task: asyncio.Future[Any]) -> None:
        if self._tasks and task in self._tasks:
            self._ended_alone(task)
            self._is_busy = False  # now: what is tried again is put first, and needs no turn yet
            self._next_turn()
        else:
            _retrieve(task)


def _retrieve(task: asyncio.Future[Any]) -> None:
    """Take what a task has raised that nobody waits for, or asyncio would complain of it."""
    if not task.cancelled():
        task.exception()


def end_served(served: Served) -> None:
    """A handler has ended: what it left running in the background serves nobody any more."""
    served.deadline = math.inf


def _run_blocking(
    function: Callable[..., Any], actor: Actor, args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    try:
        return function(actor, *args, **kwargs)
    except StopIteration as error:
        # No future can hold one; coroutines do the same (PEP 479).
        raise RuntimeError("the handler raised StopIteration") from error
