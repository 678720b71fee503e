"""The answer to an ask, before and after it is there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
from collections.abc import Generator
from functools import partial
from threading import get_ident
from typing import Any, Generic, TypeVar

from actormq import waits
from actormq.deadlines import CURRENT, Bucket, Deadlines, Served
from actormq.errors import AskTimeout, LifecycleError, MailboxFull
from actormq.loop import Loop

R_co = TypeVar("R_co", covariant=True)

LOOP_GRACE = 5.0  # s past the deadline; only a loop that has closed leaves an ask unanswered


class Reply(Generic[R_co]):
    """An awaitable of what a handler returns; the message is on its way already.

    `await` it, as often as you like. Where no loop runs, in a thread of a blocking handler for
    instance, `result()` waits for it.
    """

    is_asked = True

    __slots__ = (
        "_error",
        "_futures",
        "_loop",
        "_outside",
        "_value",
        "actor",
        "bucket",
        "deadline",
        "handler",
        "is_done",
        "seconds",
        "target",
    )

    _value: Any  # set when there is one

    def __init__(
        self,
        loop: Loop,
        actor: str,
        handler: str,
        seconds: float,
        deadline: float = 0.0,
        target: Any = None,
        is_outside: bool | None = None,
    ) -> None:
        self._loop = loop
        self.bucket: Bucket | None = None
        self._error: BaseException | None = None
        self._futures: list[asyncio.Future[None]] | None = None
        self._outside: concurrent.futures.Future[Any] | None = None
        if get_ident() != loop.thread if is_outside is None else is_outside:
            self._outside = concurrent.futures.Future()
        self.actor = actor
        self.handler = handler
        self.seconds = seconds
        self.deadline = deadline
        self.target = target  # the cell that was asked, on this node
        self.is_done = False

    # -- for the asker ------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, R_co]:
        if self._outside is not None:
            return (yield from self._await_outside(self._outside))
        if not self.is_done and self.target is not None:
            self.target.anticipate(self)
        if not self.is_done:
            future = self._loop.aio.create_future()
            if self._futures is None:
                self._futures = []
            self._futures.append(future)
            served = CURRENT.get(None)
            if served is None:
                yield from future
            else:
                waits.enter(served, self)
                try:
                    yield from future
                finally:
                    waits.leave(served, self)
        if self._error is not None:
            raise self._error
        value: R_co = self._value
        return value

    def _await_outside(
        self, outside: concurrent.futures.Future[R_co]
    ) -> Generator[Any, None, R_co]:
        """Await it on another loop, that of an actor in a thread of its own."""
        served = CURRENT.get(None)
        if served is not None:
            self._loop.call_from_thread(partial(waits.enter, served, self, is_own=True))
        try:
            return (yield from asyncio.wrap_future(outside).__await__())
        finally:
            if served is not None:
                self._loop.call_from_thread(waits.leave, served, self)

    def result(self, timeout: float | None = None) -> R_co:
        """Wait for the answer, off the loop only.

        Args:
            timeout: Seconds to wait at most; None: until the ask's own deadline.

        Raises:
            LifecycleError: This is the loop's thread, which must not wait: `await` the reply.
            TimeoutError: `timeout` has passed.
            Exception: Whatever `await` would raise.
        """
        if self._outside is None:
            raise LifecycleError("result() would stop the node's loop: `await` the reply instead")
        limit = self.seconds + LOOP_GRACE if timeout is None else timeout
        served = None if self._outside.done() else CURRENT.get(None)
        if served is not None:
            self._loop.call_from_thread(partial(waits.enter, served, self, is_own=True))
        try:
            value: R_co = self._outside.result(None if limit == math.inf else limit)
        except TimeoutError:
            if timeout is None and not self._outside.done():
                raise AskTimeout(self.actor, self.handler, self.seconds) from None
            raise
        finally:
            if served is not None:
                self._loop.call_from_thread(waits.leave, served, self)
        return value

    # -- for whoever answers ------------------------------------------------------------------

    def arm(self, deadlines: Deadlines, deadline: float) -> None:
        """Let it fail with `AskTimeout` at `deadline`, on the node's clock."""
        if self.is_done:  # an ask from a thread may be answered before it is armed
            return
        self.deadline = deadline
        self.bucket = deadlines.add(self, deadline)

    def awaited_by(self, served: Served) -> None:
        """A handler awaits it from now on, and whoever answers is not on this node."""

    def is_open(self) -> bool:
        """Whether somebody still waits for the answer."""
        return not self.is_done

    def resolve(self, value: Any) -> None:
        """Give the answer; a second one is passed over."""
        if not self.is_done:
            self._value = value
            self.is_done = True
            if self.bucket or self._futures or self._outside:
                self._tell()

    def reject(self, error: BaseException) -> None:
        """Give the reason why there is no answer; after an answer it is passed over."""
        if not self.is_done:
            self._error = error
            self.is_done = True
            if self.bucket or self._futures or self._outside:
                self._tell()

    def expire(self) -> None:
        """Fail because the deadline has come."""
        self.reject(AskTimeout(self.actor, self.handler, self.seconds))

    def _tell(self) -> None:
        """Let those know who wait for the end."""
        if self.bucket is not None:
            self.bucket.pop(self, None)
            self.bucket = None
        if self._futures is not None:
            for future in self._futures:
                if not future.done():
                    future.set_result(None)
            self._futures = None
        if self._outside is not None:
            # The waiting thread may have given up and cancelled it.
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                if self._error is not None:
                    self._outside.set_exception(self._error)
                else:
                    self._outside.set_result(self._value)


class RoomReply(Reply[None]):
    """Tells whoever waits for room; its time is up means that there was none."""

    __slots__ = ("_limit",)

    def __init__(self, loop: Loop, actor: str, handler: str, seconds: float, limit: int) -> None:
        super().__init__(loop, actor, handler, seconds)
        self._limit = limit

    def expire(self) -> None:
        """There was no room in time: nothing was sent."""
        self.reject(MailboxFull(self.actor, self._limit))
