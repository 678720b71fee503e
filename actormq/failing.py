"""What becomes of a message whose handler raised: answered, tried again, or dead."""

from __future__ import annotations

import abc
import inspect
from types import CoroutineType, TracebackType
from typing import Any, ClassVar

from actormq.context import Call
from actormq.entrance import Entrance
from actormq.errors import ActormqError, ActorStopped, ArgumentMismatch, ProcessLost
from actormq.events import HandlerFailed
from actormq.mailbox import RUNNING, Message, State
from actormq.place import Reported
from actormq.wording import described, remote_error

RETRIES_EXHAUSTED = "retries exhausted"
"""Why a message is dead whose handler raised once more than `retry` allows."""


class Again:
    """A call that failed and is tried again; `retry` says how often still."""

    __slots__ = ("concurrent", "function", "is_async", "is_plain", "name", "raises", "retry")

    is_flow: ClassVar[bool] = False

    def __init__(self, call: Call) -> None:
        self.name = call.name
        self.function = call.function
        self.is_plain = call.is_plain
        self.is_async = call.is_async
        self.concurrent = call.concurrent
        self.raises = call.raises
        self.retry = call.retry - 1


class Failing(Entrance):
    """The mailbox of one actor, with what its handlers raise."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def is_supervised(self) -> bool:
        """Whether a supervisor decides what becomes of it when it fails."""

    @abc.abstractmethod
    def failed(self, error: BaseException, handler: str) -> None:
        """A handler raised what is no answer."""

    def _raised(self, message: Message, error: BaseException) -> None:
        """A handler raised: answer, try again, bury; and see whether the actor goes on."""
        call, args, kwargs, answer = message
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            self._report(message, error, is_told=False)
            self.runtime.node.fail(error)  # somebody wants the program to end, not this message
            return
        misfit = _misfit(self.address.label, message, error)
        if misfit is not None:
            self.received_count -= 1  # no handler has seen it
            self.bury(message, misfit)
            return
        is_answer = isinstance(error, call.raises)
        if isinstance(error, Reported):
            if not error.has_run:
                self.received_count -= 1  # it was refused on the way there
                self.bury(message, error.error)
                return
            is_answer = error.is_answer
        else:
            error.__traceback__ = _inward(error, call.name)
        if not is_answer and call.retry > 0:
            self._put_first((Again(call), args, kwargs, answer))
        else:
            self._report(message, error, is_told=self.is_supervised and not is_answer)
        if not is_answer:
            self.failed(error.error if isinstance(error, Reported) else error, call.name)

    def _report(self, message: Message, error: BaseException, is_told: bool) -> None:
        """Tell the asker, or whoever reads the log unless that is told in another way."""
        call, _, _, answer = message
        label = self.address.label
        remote: ActormqError | None = None
        if isinstance(error, Reported):
            error = remote = error.error
            is_told = is_told or isinstance(error, ProcessLost)
        if isinstance(call, Again):
            self.received_count -= 1  # nobody has handled it
            self.runtime.books.dropped[RETRIES_EXHAUSTED] += 1
            self.report_dead(message, RETRIES_EXHAUSTED, described(error))
        if not (is_told or (answer is not None and answer.is_asked)):
            self.runtime.events.emit(HandlerFailed(label, call.name, error))
        if answer is not None:
            answer.reject(remote or remote_error(label, call.name, error))

    def _put_first(self, message: Message) -> None:
        """Put a message that was being handled before all others, whatever the limit."""
        self.received_count -= 1
        if self.state is State.STOPPING:
            self.bury(message, ActorStopped(self.address.label))
            return
        if self._first is None and self._mailbox is None:
            # It is idle, and a concurrent handler of it has ended; or it is about to go on.
            if self.state is RUNNING and not self._is_busy:
                self.runtime.loop.ready(self)
            self._first = message
        else:
            mailbox = self._mailbox
            if mailbox is None:
                mailbox = self._open_mailbox()
            mailbox.appendleft(message)

    def _forgotten(self, message: Message, coroutine: CoroutineType[Any, Any, Any]) -> None:
        """A plain handler has returned a coroutine."""
        coroutine.close()
        error = TypeError(
            f"{message[0].name} returned a coroutine that nobody awaits: "
            "make it `async def`, and await"
        )
        self.runtime.loop.run_apart(self._raised, message, error)


def _misfit(actor: str, message: Message, error: BaseException) -> ArgumentMismatch | None:
    """What is wrong with arguments that a handler cannot even be called with.

    Near ones are not checked beforehand, for that costs more than the call.
    """
    called = error.__traceback__
    if type(error) is not TypeError or called is None or called.tb_next is not None:
        return None  # it was raised within the handler
    call, args, kwargs, _ = message
    try:
        inspect.signature(call.function).bind(None, *args, **(kwargs or {}))
    except TypeError as reason:
        wanted = str(inspect.signature(call.function))
        return ArgumentMismatch(actor, call.name, "*args", wanted, str(reason))
    return None


def _inward(error: BaseException, handler: str) -> TracebackType | None:
    """The traceback from the handler on, without what called it."""
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_name != handler:
        step = step.tb_next
    return step or error.__traceback__
