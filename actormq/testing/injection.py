"""Failures put into an actor from outside: its n-th message raises what the test wants.

The table of handlers of that one cell is replaced, never the class's: other actors of the class
know nothing of it, and undoing it is putting the old table back.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Concatenate, Self, TypeVar, overload

from actormq.cell import Cell
from actormq.errors import SetupError
from actormq.marks import HandlerSpec
from actormq.ref import Ref
from actormq.timers import Periodic

A = TypeVar("A")
Raisable = BaseException | type[BaseException]
"""What may follow `raise`."""


class Fault:
    """A failure that waits for its message; a context manager that takes it out again.

    Attributes:
        seen: Messages of that handler since it was put in.
        is_hit: Whether it was raised.
    """

    def __init__(self, cell: Cell, name: str, number: int, error: BaseException) -> None:
        self._cell = cell
        self._number = number
        self._error = error
        self._before = self._table = cell._handlers  # noqa: SLF001 the kit may look inside
        self._lock = threading.Lock()  # blocking handlers count in threads
        self._timers: list[tuple[Any, HandlerSpec]] = []
        self.seen = 0
        self.is_hit = False
        self._put_in(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _traceback: TracebackType | None
    ) -> None:
        self.undo()

    def undo(self) -> None:
        """Take it out; once is enough."""
        self._number = 0  # one that a later fault wraps stays in the table, and lets all pass
        if self._cell._handlers is self._table:  # noqa: SLF001 as above
            self._cell._handlers = self._before  # noqa: SLF001 as above
        for timer, spec in self._timers:
            timer._spec = spec  # noqa: SLF001 as above
        self._timers = []

    def _put_in(self, name: str) -> None:
        place: Any = self._cell.place
        if place is not None:  # its handlers run in a thread or process, and are called by name
            self._cell.find(name)
            self._put_before(place, name)
            return
        periodic = [
            timer
            for timer in self._cell._extras.timers or ()  # noqa: SLF001 as above
            if isinstance(timer, Periodic) and timer._spec.name == name  # noqa: SLF001 as above
        ]
        if not periodic or name in self._before:
            spec = self._wrapped(self._cell.find(name))
            keys = [key for key, value in self._before.items() if value.name == name]
            self._table = {**self._before, **dict.fromkeys([name, *keys], spec)}
            self._cell._handlers = self._table  # noqa: SLF001 as above
        for timer in periodic:
            self._timers.append((timer, timer._spec))  # noqa: SLF001 as above
            timer._spec = self._wrapped(timer._spec)  # noqa: SLF001 as above

    def _put_before(self, place: Any, name: str) -> None:
        run = place.run

        def run_or_fail(called: str, *rest: Any) -> asyncio.Future[Any]:
            if called == name:
                try:
                    self._count()
                except BaseException as error:  # noqa: BLE001 the one that was asked for
                    failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                    failed.set_exception(error)
                    return failed
            future: asyncio.Future[Any] = run(called, *rest)
            return future

        place.run = run_or_fail

    def _wrapped(self, spec: HandlerSpec) -> HandlerSpec:
        function, wrapped = spec.function, copy.copy(spec)
        if spec.is_async:

            @functools.wraps(function)
            async def later(*args: Any, **kwargs: Any) -> Any:
                self._count()
                return await function(*args, **kwargs)

            wrapped.function = later
        else:

            @functools.wraps(function)
            def now(*args: Any, **kwargs: Any) -> Any:
                self._count()
                return function(*args, **kwargs)

            wrapped.function = now
        return wrapped

    def _count(self) -> None:
        with self._lock:
            self.seen += 1
            is_due = self.seen == self._number
        if is_due:
            self.is_hit = True
            raise self._error.with_traceback(None)


@overload
def fail_at(
    ref: Ref[A], handler: Callable[Concatenate[A, ...], Any], number: int, error: Raisable
) -> Fault: ...
@overload
def fail_at(ref: Ref[Any], handler: str, number: int, error: Raisable) -> Fault: ...
def fail_at(ref: Ref[Any], handler: Any, number: int, error: Raisable) -> Fault:
    """Let an actor fail at its n-th message from now on; the others are handled as ever.

    For handlers of every kind (`def`, `async def`, `blocking`), wherever the actor runs and however
    often it is restarted; also for what `@every` repeats, on the loop until the actor is restarted.
    Use it as `with fail_at(...)`, or by the fixture `inject`, which takes it out at the end.

    Args:
        ref: An actor, as its own node gives it.
        handler: The method, or its name.
        number: Of the message of that handler that fails, from 1.
        error: What is raised in the handler's place.

    Raises:
        SetupError: There is no such message, or the actor lives on another node.
        HandlerNotFound: The actor has no such handler.
        ActorStopped: It has stopped.
    """
    if not (isinstance(number, int) and number >= 1):
        raise SetupError(f"fail_at({number!r}): messages are counted from 1")
    name = handler if isinstance(handler, str) else handler.__name__
    raised = error() if isinstance(error, type) else error  # as `raise` has it
    return Fault(cell_of(ref), name, number, raised)


class Injector:
    """The failures of one test; the fixture `inject` takes them out at its end."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    @overload
    def fail_at(
        self,
        ref: Ref[A],
        handler: Callable[Concatenate[A, ...], Any],
        number: int,
        error: Raisable,
    ) -> Fault: ...
    @overload
    def fail_at(self, ref: Ref[Any], handler: str, number: int, error: Raisable) -> Fault: ...
    def fail_at(self, ref: Ref[Any], handler: Any, number: int, error: Raisable) -> Fault:
        """Let an actor fail at its n-th message; see `fail_at`."""
        fault = fail_at(ref, handler, number, error)
        self._faults.append(fault)
        return fault

    def undo(self) -> None:
        """Take all of them out, the last first."""
        while self._faults:
            self._faults.pop().undo()


def cell_of(ref: Ref[Any]) -> Cell:
    """The cell behind a ref of this process.

    Raises:
        SetupError: The ref leads to another node.
    """
    cell = ref._route  # noqa: SLF001 the kit may look inside
    if not isinstance(cell, Cell):
        raise SetupError(
            f"{ref.name!r} lives on another node than the one that gave this ref: "
            "take the ref that `spawn` gave, or let its own node find it"
        )
    return cell
