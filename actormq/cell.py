"""One actor's life: made, started, run in turns, brought down, made again or ended for good."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, cast

from actormq.actor import Actor, HandlerSpec, unmarked
from actormq.address import Address
from actormq.context import LiveSocket, Timer
from actormq.deadlines import CURRENT, Served
from actormq.errors import (
    ActormqError,
    ActorStopped,
    HandlerCancelled,
    RemoteError,
    RestartLimitReached,
    SetupError,
    StartFailed,
)
from actormq.events import ActorFailed, HandlerFailed
from actormq.family import Family
from actormq.mailbox import State
from actormq.place import Place, Reported
from actormq.ref import Ref
from actormq.reply import Reply
from actormq.runtime import Runtime
from actormq.signals import FAILED, STOPPED, Failure, Reason, Terminated
from actormq.stepping import Exit, contained
from actormq.supervisor import Child, Supervisor
from actormq.timers import Once, Periodic
from actormq.turns import Again, Turns, described, end_served, kind_of, text_of

_NOTHING: dict[str, Any] = {}  # no arguments, shared by all
CUT_OFF = 1.0  # s that a handler has to end once it was cancelled; one that swallows that is left
PLACE_GRACE = 1.0  # s that a thread or process has to end by itself, at least
LAST_MOMENT = 0.1  # s that on_stop gets at least, however late it is

Recipe = tuple[type[Actor], tuple[Any, ...], dict[str, Any]]
"""What an actor is made of: its class and the arguments of its constructor."""

Watcher = Callable[[Reason, str], None]
"""Hears of an actor's end: the reason, and more words."""


class Cell(Turns):
    """Runs one actor on one node.

    Args:
        runtime: The parts of the node.
        recipe: What the actor is made of.
        address: Where it lives.
        name: What it is to be spawned as, None for one without a name.
        family: The children of the actor that started it; None under the node itself.

    Attributes:
        family: The same.
        name: The same.
        restart_count: How often it was restarted.
    """

    __slots__ = (
        "_children",
        "_end_replies",
        "_has_begun",
        "_recipe",
        "_sockets",
        "_stop_replies",
        "_timers",
        "_watchers",
        "family",
        "name",
        "restart_count",
    )

    def __init__(
        self,
        runtime: Runtime,
        recipe: Recipe,
        address: Address,
        name: str | None,
        family: Family | None = None,
    ) -> None:
        super().__init__(runtime, recipe[0], address)
        self.name = name
        self.family = family
        self.restart_count = 0
        self._recipe = recipe
        self._has_begun = False  # its instance has started and not stopped: it has an `on_stop` to run
        self._children: Family | None = None
        self._sockets: dict[str, LiveSocket] | None = None
        self._timers: set[Timer] | None = None
        self._stop_replies: list[Reply[None]] | None = None
        self._end_replies: list[Reply[None]] | None = None
        self._watchers: dict[Any, Watcher] | None = None

    # -- facts --------------------------------------------------------------------------------

    @property
    def ref(self) -> Ref[Any]:
        """A ref to the actor."""
        return Ref(self.address, self)

    @property
    def kind(self) -> type[Actor]:
        """The actor's class."""
        return self._recipe[0]

    @property
    def sockets(self) -> dict[str, LiveSocket]:
        """Its open sockets by attribute."""
        if self._sockets is None:
            self._sockets = {}
        return self._sockets

    @property
    def children(self) -> list[Cell]:
        """The cells of its children, in the order of their start."""
        return self._children.cells if self._children is not None else []

    @property
    def was_started(self) -> bool:
        """Whether it has run once; while it is restarted its name may still be found."""
        return self.state is State.RUNNING or self.restart_count > 0 or self.state is State.DOWN

    @property
    def is_found(self) -> bool:
        """Whether its name may be found."""
        return self.is_open and self.was_started

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor decides what becomes of it when it fails."""
        return self.family is not None and self.family.rules is not None

    @property
    def is_stopping(self) -> bool:
        """Whether an instance of it is about to end, and has not."""
        return self.state in (State.STOPPING, State.DOWN)

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
        if self._timers is None:
            self._timers = set()
        self._timers.add(timer)
        return timer

    def forget(self, timer: Timer) -> None:
        """Let go of a timer that has run out."""
        if self._timers is not None:
            self._timers.discard(timer)

    # -- children and watching ----------------------------------------------------------------

    def _family(self) -> Family:
        if self._children is None:
            self._children = Family(self)
        return self._children

    async def spawn(
        self, kind: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Ref[Any]:
        """Start a child; see `Actor.spawn`."""
        return await self._family().spawn(Child(kind, name, args, kwargs))

    async def start_child(self, spec: Child[Any]) -> Ref[Any]:
        """Start a child; see `Supervisor.start_child`."""
        return await self._family().spawn(spec)

    async def stop_child(self, child: Ref[Any] | str) -> None:
        """Stop a child for good; see `Supervisor.stop_child`."""
        await self._family().stop_child(child)

    def watch(self, ref: Ref[Any]) -> None:
        """Be told of an actor's end; see `Actor.watch`."""
        self.runtime.watching.watch(self, ref)

    def unwatch(self, ref: Ref[Any]) -> None:
        """Be told no more."""
        self.runtime.watching.unwatch(self, ref)

    def add_watcher(self, key: Any, watcher: Watcher) -> None:
        """Call `watcher` when this actor ends."""
        if self._watchers is None:
            self._watchers = {}
        self._watchers[key] = watcher

    def remove_watcher(self, key: Any) -> None:
        """Call it no more."""
        if self._watchers is not None:
            self._watchers.pop(key, None)

    def terminated(self, terminated: Terminated) -> None:
        """An actor that this one watches has ended."""
        hook = unmarked(self.kind, "on_terminated")
        if self.kind.on_terminated is not Actor.on_terminated and hook is not None:
            self.signal(hook, terminated)

    # -- coming -------------------------------------------------------------------------------

    def make(self) -> None:
        """Make the user's object.

        Raises:
            StartFailed: Its constructor raised.
        """
        kind, args, kwargs = self._recipe
        if self.place is not None:
            # The object is made there, by `_open_there`; turns have an empty one to pass over.
            self.actor = object.__new__(kind)
            return
        try:
            # In two steps, so that the constructor may already use `self.name` and the like.
            actor = kind.__new__(kind, *args, **kwargs)
            actor._actormq_context = self  # noqa: SLF001 an actor is handed its powers here, and only here
            kind.__init__(actor, *args, **kwargs)
        except Exception as error:  # a border: constructors are not ours
            raise self._start_failed("its constructor", error) from error
        self.actor = actor
        if not self.is_supervised:
            self._recipe = (kind, (), _NOTHING)  # it is never made again

    def _start_failed(self, stage: str, error: BaseException) -> StartFailed:
        return StartFailed(self.address.label, stage, kind_of(error), text_of(error))

    async def start(self) -> None:
        """Make and start an actor that nobody supervises; a failure ends it.

        Raises:
            StartFailed: The constructor or `on_start` raised, or took too long.
            SetupError: A socket could not be opened.
        """
        try:
            self.make()
            await self._open(None)
        except BaseException as error:
            if self._stop_replies is None:
                await self._wind_down(0.0)
                self.end(FAILED, described(error))
            else:
                await self.stop(None)  # whoever stops it ends it
            raise

    async def open(self, failure: Failure | None) -> None:
        """Make and start an instance of a supervised actor; if that fails, it is down again.

        Args:
            failure: Why it is restarted; None if it has never run.

        Raises:
            StartFailed: The constructor, `on_restart` or `on_start` raised, or took too long.
            SetupError: A socket could not be opened.
        """
        self.state = State.STARTING
        try:
            if failure is not None:
                self.restart_count += 1
            self.make()
            await self._open(failure)
        except BaseException:
            if self.state is not State.STOPPED:
                self.state = State.DOWN
            await self._wind_down(0.0)
            raise

    async def _open(self, failure: Failure | None) -> None:
        kind = self.kind
        if self.place is not None:
            await self._run_hook("on_start", self._open_there(self.place, failure))
        else:
            await self._open_here(failure)
        self._has_begun = True
        self.state = State.RUNNING
        for periodic, seconds in kind._actormq_periodic.values():  # noqa: SLF001 as in make
            self._keep(Periodic(self, seconds, periodic))
        if self.restart_count == 0:
            self.runtime.registry.publish(self)
        self._next_turn()

    async def _open_here(self, failure: Failure | None) -> None:
        kind = self.kind
        for attribute, spec in kind._actormq_sockets.items():  # noqa: SLF001 as in make
            self.sockets[attribute] = spec.open(attribute, self)
        if isinstance(self.actor, Supervisor):
            await self._begin_children(self.actor)
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
            raise self._start_failed(hook, error) from error

    async def _run_there(self, place: Place, hook: str, *args: Any) -> None:
        """Run a hook where the object is, if its class has it."""
        if getattr(self.kind, hook) is getattr(Actor, hook):
            return
        try:
            await place.run(hook, args, {}, 0.0)
        except Reported as reported:
            raise reported.error from reported.error.__cause__

    async def _begin_children(self, supervisor: Supervisor) -> None:
        family = self._children = Family(self)
        try:
            await family.begin(supervisor)
        except (StartFailed, RestartLimitReached) as error:
            raise self._start_failed("one of its children", error) from error
        self._check_starting("on_start")

    def _check_starting(self, hook: str) -> None:
        if self.state is not State.STARTING:
            label = self.address.label
            raise StartFailed(label, hook, "ActorStopped", "it was stopped while it started")

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
                raise self._start_failed(hook, error) from error
            raise StartFailed(
                label, hook, "TimeoutError", f"it took longer than start_timeout, {limit:g} s"
            ) from error
        except asyncio.CancelledError:
            if self.state is State.STARTING:
                raise
        except Exit as exit_:
            self.runtime.node.fail(exit_.word)
            raise self._start_failed(hook, exit_.word) from exit_.word
        except StartFailed:  # it says more than could be said here
            raise
        except Exception as error:  # a border: the hook is not ours
            raise self._start_failed(hook, error) from error
        finally:
            self._tasks = None
            # Even if whoever waited for it was cut off in the same moment.
            self._has_begun = hook == "on_start" and _is_good(task)
            if task.done():
                coroutine.close()  # a task that is cut off before its first step leaves it unbegun
        self._check_starting(hook)

    # -- failing ------------------------------------------------------------------------------

    def failed(self, error: BaseException, handler: str) -> None:
        """A handler raised: a supervised actor comes down, any other goes on."""
        if self.is_supervised and self.state is State.RUNNING:
            self.fall(error, handler)

    def place_lost(self, error: ActormqError, handler: str) -> None:
        """The process that the object was in has ended by itself."""
        if self.state is State.RUNNING and not self.is_supervised:
            consequence = "it has ended, for nobody supervises it"
            self.runtime.events.emit(ActorFailed(self.address.label, handler, error, consequence))
        self.fall(error, handler)

    def fall(self, error: BaseException, handler: str) -> None:
        """This instance is lost: let the supervisor decide, or end if there is none."""
        if self.state is not State.RUNNING:
            return
        self.state = State.DOWN
        task = self.runtime.loop.aio.create_task(self._fall(error, handler))
        self.runtime.node.keep(task)

    async def _fall(self, error: BaseException, handler: str) -> None:
        await self._wind_down(0.0)
        if self.family is not None and self.family.rules is not None:
            self.family.ended(self, error, handler)
        else:
            self.end(FAILED, described(error))

    def escalate(self, error: RestartLimitReached) -> None:
        """The children of this actor fail too often: it fails itself, and so on up the tree."""
        if self.state is not State.RUNNING:
            return
        self.fall(error, "")
        if self.family is None:
            self.runtime.node.fail(error)
        elif not self.is_supervised:
            self.family.parent.escalate(error)

    # -- going --------------------------------------------------------------------------------

    def stop(self, within: float | None) -> Reply[None]:
        """Stop behind the handler that runs now; see `Ref.stop`."""
        loop = self.runtime.loop
        seconds = within or self.runtime.settings.shutdown_timeout
        reply: Reply[None] = Reply(loop, self.address.label, "stop", seconds)
        if loop.is_current():
            self._stop(reply, seconds)
        else:
            loop.call_from_thread(self._stop, reply, seconds)
        return reply

    def _stop(self, reply: Reply[None], seconds: float) -> None:
        if self.state is State.STOPPED:
            reply.resolve(None)
        elif self.state is not State.RUNNING and self.is_supervised and not self._stop_replies:
            # Between two instances, or about to be one: there is nothing to end in order.
            assert self.family is not None
            self._end_replies = [*(self._end_replies or ()), reply]
            self.family.remove(self.address.serial)
        elif self._stop_replies is not None:
            self._stop_replies.append(reply)
        elif self.state is State.DOWN:
            self._end_replies = [*(self._end_replies or ()), reply]  # it is about to end
        else:
            self._stop_replies = [reply]
            self.state = State.STOPPING
            task = self.runtime.loop.aio.create_task(self._finish(seconds))
            self.runtime.node.keep(task)

    async def _finish(self, seconds: float) -> None:
        await self._wind_down(seconds)
        if self.state is State.STOPPED:  # it was cut off, and all who asked know
            return
        replies, self._stop_replies = self._stop_replies or [], None
        if self.family is not None and self.is_supervised:
            self.state = State.DOWN
            self.family.ended(self, None, "")  # which may want it to be started again
        else:
            self.end(STOPPED, "")
        for reply in replies:
            reply.resolve(None)

    def when_ended(self) -> Reply[None]:
        """A reply that comes when the actor has ended for good."""
        reply: Reply[None] = Reply(self.runtime.loop, self.address.label, "stop", math.inf)
        if self.state is State.STOPPED:
            reply.resolve(None)
        else:
            self._end_replies = [*(self._end_replies or ()), reply]
        return reply

    async def bring_down(self, seconds: float) -> None:
        """Let the instance go in order: its supervisor wants it so; messages wait meanwhile."""
        if self.state is not State.RUNNING:
            return
        self.state = State.DOWN
        await self._wind_down(seconds)

    async def _wind_down(self, seconds: float) -> None:
        """Let handlers under way end, then the children, then `on_stop`; close what is open.

        Args:
            seconds: Time for all of it; 0 cuts off at once what is under way in here.
        """
        begun = self.runtime.loop.now()
        deadline = begun + seconds
        own = [task for task in self._tasks or () if not task.done()]
        if own:
            await self._await_handlers(own, seconds)
        if self._children is not None:
            # What has failed is cut off at once, but not those below it.
            limit = seconds or self.runtime.settings.shutdown_timeout
            await self._children.stop(max(begun + limit - self.runtime.loop.now(), LAST_MOMENT))
            self._children = None
        has_begun, self._has_begun = self._has_begun, False
        if has_begun and self.kind.on_stop is not Actor.on_stop:
            await self._run_on_stop(max(deadline - self.runtime.loop.now(), LAST_MOMENT))
        for timer in list(self._timers or ()):
            timer.cancel()
        if self.place is not None:
            await self.place.close(max(deadline - self.runtime.loop.now(), PLACE_GRACE))
        await self._close_sockets()
        self._abandon()
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

    def _abandon(self) -> None:
        """Leave the handlers behind that did not even end when they were cut off."""
        for task in [task for task in self._tasks or () if task.done()]:
            self._ended_alone(task)  # it has ended just now, and nobody has seen to its answer yet
        left, self._tasks = self._tasks or {}, None
        for message, served in left.values():
            end_served(served)
            call, _, _, answer = message
            label = self.address.label
            self.runtime.unfinished.append(f"{label}.{call.name} goes on although it was cut off")
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
        sockets, self._sockets = self._sockets or {}, None
        for attribute, socket in sockets.items():
            try:
                await socket.close()
            except Exception as error:  # noqa: BLE001 a border: the name must come free
                self.runtime.events.emit(HandlerFailed(self.address.label, attribute, error))
        if sockets and self._mailbox:  # what came on them has nobody to go on with
            kept = [m for m in self._mailbox if isinstance(m[0], HandlerSpec | Again)]
            gone = [m for m in self._mailbox if not isinstance(m[0], HandlerSpec | Again)]
            self._mailbox.clear()
            self._mailbox.extend(kept)
            for message in gone:
                self.bury(message, ActorStopped(self.address.label))

    def cut_off(self) -> None:
        """End without another word, children first, because time is up."""
        for task in self._tasks or ():
            task.cancel()
        for timer in list(self._timers or ()):
            timer.cancel()
        self._abandon()
        self.end(STOPPED, "it was told to stop, and did not in time")

    def end(self, reason: Reason, detail: str) -> None:
        """End for good: answer what is left, tell who watches, let the name go."""
        if self.state is State.STOPPED:
            return
        for cell in reversed(self.children):  # there are some only if their time was up
            cell.cut_off()
        self.state = State.STOPPED
        runtime = self.runtime
        runtime.registry.remove(self)
        self._empty(ActorStopped(self.address.label))
        runtime.books.close(self.sent_count, self.received_count)
        if self.family is not None:
            self.family.left(self)
        runtime.watching.forget(self)
        watchers, self._watchers = self._watchers, None
        for watcher in (watchers or {}).values():
            watcher(reason, detail)
        for reply in (*(self._stop_replies or ()), *(self._end_replies or ())):
            reply.resolve(None)
        self._stop_replies = self._end_replies = None


async def _serving(served: Served, coroutine: Coroutine[Any, Any, None]) -> None:
    CURRENT.set(served)
    await contained(coroutine)


def _is_good(task: asyncio.Future[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
