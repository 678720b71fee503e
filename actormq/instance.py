"""One instance of an actor: the object made, its hooks run, its sockets opened and closed again."""

from __future__ import annotations

import abc
import asyncio
import logging
import math
from collections.abc import Coroutine
from typing import Any, cast

from actormq.actor import Actor
from actormq.context import Context, LiveSocket, Timer
from actormq.deadlines import CURRENT, Served
from actormq.errors import (
    ActorStopped,
    HandlerCancelled,
    RemoteError,
    SetupError,
    StartFailed,
)
from actormq.events import HandlerFailed
from actormq.extras import NO_EXTRAS, Extras
from actormq.failing import Again
from actormq.mailbox import State
from actormq.marks import HandlerSpec, unmarked
from actormq.place import Place, Reported
from actormq.signals import Failure
from actormq.stepping import Exit, contained
from actormq.supervisor import Supervisor
from actormq.timers import Once, Periodic
from actormq.turns import Turns, end_served
from actormq.wording import kind_of, text_of

CUT_OFF = 0.5  # s that a handler has to end once it was cancelled; one that swallows that is left
PLACE_GRACE = 1.0  # s that a thread or process has to end by itself, at least
LAST_MOMENT = 0.1  # s that on_stop gets at least, however late it is


class Instance(Turns):
    """The turns of an actor, with the object that has them; a restart makes another object.

    Attributes:
        has_begun: Whether it has started, and its `on_stop` is still to come.
    """

    __slots__ = ("_extras", "_kind", "has_begun")

    has_begun: bool
    _extras: Extras
    """To be read only; `_own_extras` are for writing."""
    _kind: type[Actor]

    @property
    def kind(self) -> type[Actor]:
        """The actor's class."""
        return self._kind

    @property
    def sockets(self) -> dict[str, LiveSocket]:
        """Its open sockets by attribute."""
        extras = self._own_extras()
        if extras.sockets is None:
            extras.sockets = {}
        return extras.sockets

    @property
    def from_sockets(self) -> int:
        """Of the messages that wait, those that came on sockets."""
        # Threads ask as well: the list is made in one go.
        return sum(socket.stands for socket in list((self._extras.sockets or {}).values()))

    def _own_extras(self) -> Extras:
        if self._extras is NO_EXTRAS:
            self._extras = Extras()
        return self._extras

    @abc.abstractmethod
    async def begin_children(self, supervisor: Supervisor) -> None:
        """Start what a supervisor is to run."""

    @abc.abstractmethod
    async def stop_children(self, seconds: float) -> None:
        """Stop all children of the actor."""

    # -- time ---------------------------------------------------------------------------------

    def after(
        self, seconds: float, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Timer:
        """Send the actor a message later; see `Actor.after`."""
        if not (isinstance(seconds, int | float) and seconds >= 0):
            raise SetupError(f"after({seconds!r}): a delay is a number of seconds, 0 or more")
        name = handler if isinstance(handler, str) else getattr(handler, "__name__", "")
        spec = self._handlers.get(name) or unmarked(self.kind, name) or self.find(handler)
        return self._keep(Once(self, seconds, (spec, args, kwargs, None)))

    def _keep(self, timer: Timer) -> Timer:
        extras = self._own_extras()
        if extras.timers is None:
            extras.timers = set()
        extras.timers.add(timer)
        return timer

    def forget(self, timer: Timer) -> None:
        """Let go of a timer that has run out."""
        if self._extras.timers is not None:
            self._extras.timers.discard(timer)

    @property
    def is_bare(self) -> bool:
        """Whether nothing is under way, open or to be run when it ends."""
        extras = self._extras
        return not (
            self._tasks
            or self._kind._actormq_has_stop  # noqa: SLF001 as in make
            or self.place is not None
            or (extras is not NO_EXTRAS and (extras.timers or extras.sockets))
        )

    def _end_timers(self) -> None:
        for timer in list(self._extras.timers or ()):
            timer.cancel()

    # -- made and opened ----------------------------------------------------------------------

    def make(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Make the user's object.

        Args:
            args: What its constructor takes.
            kwargs: Likewise.

        Raises:
            StartFailed: Its constructor raised.
        """
        kind = self._kind
        if self._extras.sockets is not None:
            self._extras.sockets = None
        if self.place is not None:
            # The object is made there, by `_open_there`; turns have an empty one to pass over.
            self.actor = object.__new__(kind)
            return
        try:
            # In two steps, so that the constructor may already use `self.name` and the like.
            actor = kind.__new__(kind, *args, **kwargs) if args or kwargs else kind.__new__(kind)
            actor._actormq_context = self  # type: ignore[assignment]  # noqa: SLF001 an actor is handed its powers here, and only here
            actor._actormq_ref = None  # noqa: SLF001 likewise
            if args or kwargs:  # most have none, and to spread nothing takes longer than the call
                kind.__init__(actor, *args, **kwargs)
            else:
                kind.__init__(actor)
        except (KeyboardInterrupt, SystemExit) as word:
            self.runtime.node.fail(word)
            raise self.start_failed("its constructor", word) from word
        except Exception as error:  # a border: constructors are not ours
            raise self.start_failed("its constructor", error) from error
        self.actor = actor

    async def open_instance(self, failure: Failure | None) -> None:
        """Open what the instance has, and run its first hooks.

        Args:
            failure: Why it is made; None if it is the first one.

        Raises:
            StartFailed: A hook raised, or took too long.
            SetupError: A socket could not be opened.
        """
        kind = self.kind
        if self.place is not None:
            await self._run_hook("on_start", self._open_there(self.place, failure))
        elif failure is not None or kind._actormq_has_start:  # noqa: SLF001 as in make
            await self._open_here(failure)
        for periodic, seconds in kind._actormq_periodic.values():  # noqa: SLF001 as in make
            self._keep(Periodic(self, seconds, periodic))
        self.has_begun = True

    async def _open_here(self, failure: Failure | None) -> None:
        kind = self.kind
        for attribute, spec in kind._actormq_sockets.items():  # noqa: SLF001 as in make
            self.sockets[attribute] = spec.open(attribute, cast("Context", self))
        if isinstance(self.actor, Supervisor):
            await self.begin_children(self.actor)
            self._check_starting("on_start")
        if failure is not None and kind.on_restart is not Actor.on_restart:
            await self._run_hook("on_restart", self.actor.on_restart(failure))
        if kind.on_start is not Actor.on_start:
            await self._run_hook("on_start", self.actor.on_start())

    async def _open_there(self, place: Place, failure: Failure | None) -> None:
        await place.open()
        if failure is not None:
            await self._begin_there(place, "on_restart", failure)
        await self._begin_there(place, "on_start")

    async def _begin_there(self, place: Place, hook: str, *args: Any) -> None:
        try:
            await self._run_there(place, hook, *args)
        except Exit:
            raise
        except RemoteError as error:
            label = self.address.label
            raise StartFailed(label, hook, error.type, error.text) from error.__cause__
        except Exception as error:  # a border: the hook is not ours
            raise self.start_failed(hook, error) from error

    async def _run_there(self, place: Place, hook: str, *args: Any) -> None:
        """Run a hook where the object is, if its class has it."""
        if getattr(self.kind, hook) is getattr(Actor, hook):
            return
        try:
            await place.run(hook, args, {}, None)
        except Reported as reported:
            raise reported.error from reported.error.__cause__

    async def _run_hook(self, hook: str, coroutine: Coroutine[Any, Any, None]) -> None:
        limit = self.runtime.settings.start_timeout
        label = self.address.label
        # A task of its own among the handlers: whoever stops the actor meanwhile waits for it.
        spec = cast("HandlerSpec", unmarked(self.kind, hook))
        served = Served(math.inf, self, spec)
        served.began = self.runtime.loop.now()
        task = self.runtime.loop.aio.create_task(_serving(served, coroutine))
        self._tasks = {task: ((spec, (), None, None), served)}
        try:
            async with asyncio.timeout(limit) as timeout:
                await task
        except TimeoutError as error:
            if not timeout.expired():
                raise self.start_failed(hook, error) from error
            raise StartFailed(
                label, hook, "TimeoutError", f"it took longer than start_timeout, {limit:g} s"
            ) from error
        except asyncio.CancelledError:
            if self.state is State.STARTING:
                raise
        except Exit as exit_:
            self.runtime.node.fail(exit_.word)
            raise self.start_failed(hook, exit_.word) from exit_.word
        except StartFailed:  # it says more than could be said here
            raise
        except Exception as error:  # a border: the hook is not ours
            raise self.start_failed(hook, error) from error
        finally:
            self._tasks = None
            # Even if whoever waited for it was cut off in the same moment.
            self.has_begun = hook == "on_start" and _is_good(task)
            if task.done():
                coroutine.close()  # a task that is cut off before its first step leaves it unbegun
        self._check_starting(hook)

    def _check_starting(self, hook: str) -> None:
        if self.state is not State.STARTING:
            label = self.address.label
            raise StartFailed(label, hook, "ActorStopped", "it was stopped while it started")

    def start_failed(self, stage: str, error: BaseException) -> StartFailed:
        """What is said of an instance that could not be made or opened."""
        return StartFailed(self.address.label, stage, kind_of(error), text_of(error))

    # -- wound down ---------------------------------------------------------------------------

    async def wind_down(self, seconds: float, at_once: bool = False) -> None:
        """Let handlers under way end, then the children, then `on_stop`; close what is open.

        Args:
            seconds: Time for all of it.
            at_once: Cut off what is under way, since the instance has failed.
        """
        deadline = self.runtime.loop.now() + seconds
        own = [task for task in self._tasks or () if not task.done()]
        if own:
            await self._await_handlers(own, 0.0 if at_once else seconds)
        await self.stop_children(max(deadline - self.runtime.loop.now(), LAST_MOMENT))
        self._end_timers()
        has_begun, self.has_begun = self.has_begun, False
        if has_begun and self.kind.on_stop is not Actor.on_stop:
            await self._run_on_stop(max(deadline - self.runtime.loop.now(), LAST_MOMENT))
            self._end_timers()  # which it may have begun
        if self.place is not None:
            await self.place.close(max(deadline - self.runtime.loop.now(), PLACE_GRACE))
        await self._close_sockets()
        self.abandon()
        self._is_busy = self._is_crowded = False

    async def _await_handlers(self, tasks: list[asyncio.Future[Any]], seconds: float) -> None:
        to_end = min(CUT_OFF, seconds / 4)  # of the time, for those that must be cut off
        if seconds > 0:
            _, late = await asyncio.wait(tasks, timeout=seconds - to_end)
            for task in late:
                self._say_late(task)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=max(to_end, LAST_MOMENT))

    def _say_late(self, task: asyncio.Future[Any]) -> None:
        if self._tasks and task in self._tasks:
            handler = f"{self.address.label}.{self._tasks[task][0][0].name}"
            text = "%s did not end in time and was cut off"
            self.runtime.events.notice(logging.WARNING, text, handler)

    def abandon(self) -> None:
        """Leave the handlers behind that did not even end when they were cut off."""
        for task in [task for task in self._tasks or () if task.done()]:
            self._ended_alone(task)  # it has ended just now, and nobody has seen to its answer yet
        left, self._tasks = self._tasks or {}, None
        for task, (message, served) in left.items():
            end_served(served)
            call, _, _, answer = message
            label = self.address.label
            text = f"{label}.{call.name} goes on although it was cut off"
            self.runtime.leave_unfinished(task.done, text)
            if answer is not None:
                answer.reject(HandlerCancelled(label, call.name))

    async def _run_on_stop(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                if self.place is None:
                    await contained(self.actor.on_stop())
                elif self.place.is_open:
                    await self._run_there(self.place, "on_stop")
        except Exit as exit_:
            self.runtime.node.fail(exit_.word)
        except Exception as error:  # noqa: BLE001 a border: on_stop is not ours
            self.runtime.events.emit(HandlerFailed(self.address.label, "on_stop", error))

    async def _close_sockets(self) -> None:
        sockets = self._extras.sockets or {}  # they are kept, for they know what they have counted
        for attribute, socket in sockets.items():
            try:
                await socket.close()
            except Exception as error:  # noqa: BLE001 a border: the name must come free
                self.runtime.events.emit(HandlerFailed(self.address.label, attribute, error))
        if sockets and self._mailbox:  # what came on them has nobody to go on with
            kept = [m for m in self._mailbox if isinstance(m[0], HandlerSpec | Again | str)]
            gone = [m for m in self._mailbox if not isinstance(m[0], HandlerSpec | Again | str)]
            self._mailbox.clear()
            self._mailbox.extend(kept)
            for message in gone:
                self.bury(message, ActorStopped(self.address.label))


async def _serving(served: Served, coroutine: Coroutine[Any, Any, None]) -> None:
    CURRENT.set(served)
    await contained(coroutine)


def _is_good(task: asyncio.Future[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
