"""Where the user's object is at work: one actor on an asyncio loop that is its own.

The loop is that of a thread, or of a process; this is what both have in common.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from actormq.actor import Actor
from actormq.context import Context
from actormq.deadlines import CURRENT, Served
from actormq.errors import HandlerNotFound, RemoteError
from actormq.marks import HandlerSpec, unmarked
from actormq.stepping import SUSPENDED, Exit, Stepper
from actormq.wording import kind_of, text_of

Done = Callable[[int, Any, BaseException | None], None]
"""Takes the number of a run, what it returned, and what it raised if it did."""


class Bench:
    """Runs the methods of one actor's object; all but `find` on its loop, outside of any task.

    Args:
        kind: The actor's class.
        loop: The loop that is running here.
        threads: For blocking handlers.
        done: Told how each run ended.

    Attributes:
        actor: The object, once it is made.
    """

    def __init__(
        self,
        kind: type[Actor],
        loop: asyncio.AbstractEventLoop,
        threads: concurrent.futures.Executor,
        done: Done,
    ) -> None:
        self._kind = kind
        self._loop = loop
        self._threads = threads
        self._done = done
        self._stepper = Stepper(loop)
        self.actor: Actor | None = None
        self._tasks: dict[int, asyncio.Future[Any]] = {}

    def find(self, name: str, label: str) -> HandlerSpec:
        """Look up a method of the class, marked or not.

        Raises:
            HandlerNotFound: There is none.
        """
        handlers = self._kind._actormq_handlers  # noqa: SLF001 the table that cells use
        spec = handlers.get(name) or unmarked(self._kind, name)
        if spec is None:
            known = [key for key in handlers if isinstance(key, str)]
            raise HandlerNotFound(label, name, unmarked=False, known=known)
        return spec

    def make(self, context: Context, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Make the object; whatever its constructor raises comes out."""
        actor = self._kind.__new__(self._kind, *args, **kwargs)
        actor._actormq_context = context  # noqa: SLF001 as in the cell
        actor._actormq_ref = None  # noqa: SLF001 likewise
        self._kind.__init__(actor, *args, **kwargs)
        self.actor = actor

    def begin(
        self,
        number: int,
        spec: HandlerSpec,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        served: Served | None,
    ) -> None:
        """Run a method; `done` is called when it has ended, perhaps at once.

        Args:
            number: Told to `done`, and taken by `cancel`.
            spec: The method.
            args: Its arguments.
            kwargs: Likewise.
            served: The message that it serves, None if nobody asks.
        """
        context = contextvars.copy_context()
        if served is not None:
            context.run(CURRENT.set, served)
        call = functools.partial(spec.function, self.actor, *args, **kwargs)
        try:
            if spec.is_blocking:
                work = functools.partial(context.run, _without_stop, call)
                task: asyncio.Future[Any] = self._loop.run_in_executor(self._threads, work)
            elif not spec.is_async:
                self._finish(number, served, context.run(_without_stop, call), None)
                return
            else:
                value = self._stepper.step(call(), context)
                if value is not SUSPENDED:
                    self._finish(number, served, value, None)
                    return
                assert self._stepper.task is not None
                task = self._stepper.task
        except BaseException as error:  # noqa: BLE001 a border: handlers are not ours
            self._finish(number, served, None, error)
            return
        self._tasks[number] = task
        task.add_done_callback(functools.partial(self._ended, number, served))

    def _ended(self, number: int, served: Served | None, task: asyncio.Future[Any]) -> None:
        del self._tasks[number]
        try:
            value = task.result()
        except Exit as exit_:
            self._finish(number, served, None, exit_.word)
        except BaseException as error:  # noqa: BLE001 a border, as above
            self._finish(number, served, None, error)
        else:
            self._finish(number, served, value, None)

    def _finish(
        self, number: int, served: Served | None, value: Any, error: BaseException | None
    ) -> None:
        if served is not None:
            served.deadline = float("inf")  # what it left running serves nobody any more
        self._done(number, value, error)

    def cancel(self, number: int) -> None:
        """Cut a run off, if it is still under way; one in a worker thread runs on, unheard."""
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Cut off what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        await self._stepper.close()


def _without_stop(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("the handler raised StopIteration") from error  # as in `turns`


def remote_error(actor: str, handler: str, error: BaseException) -> RemoteError:
    """What whoever asked is told of an exception; it is made of texts that can travel."""
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_name != handler:
        step = step.tb_next
    error.__traceback__ = step or error.__traceback__  # from the handler on, as in `turns`
    lines = "".join(traceback.format_exception(error))
    return RemoteError(actor, handler, kind_of(error), text_of(error), clean(lines))


def clean(text: str) -> str:
    """A text without what UTF-8 has no form for, such as half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
