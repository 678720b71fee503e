"""One actor's life: made, started, run in turns, brought down, made again or ended for good."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any

from actormq.actor import Actor, unmarked
from actormq.context import Answer
from actormq.errors import (
    ActormqError,
    ActorStopped,
    RestartLimitReached,
    SetupError,
    StartFailed,
)
from actormq.events import ActorFailed
from actormq.family import Family
from actormq.instance import Instance, Recipe
from actormq.mailbox import State
from actormq.ref import Ref
from actormq.reply import Reply
from actormq.runtime import Runtime
from actormq.signals import FAILED, STOPPED, Failure, Reason, Terminated
from actormq.supervisor import Child, Supervisor
from actormq.turns import described

Watcher = Callable[[Reason, str], None]
"""Hears of an actor's end: the reason, and more words."""


class Cell(Instance):
    """Runs one actor on one node.

    Args:
        runtime: The parts of the node.
        recipe: What the actor is made of.
        serial: Its number on the node.
        name: What it is to be spawned as, None for one without a name.
        family: The children of the actor that started it; None under the node itself.
        label: What people call it; "" for its name, or its class and number.

    Attributes:
        family: The same.
        restart_count: How often it was restarted.
    """

    __slots__ = (
        "_children",
        "_end_replies",
        "_stop_replies",
        "_watchers",
        "family",
        "restart_count",
    )

    def __init__(
        self,
        runtime: Runtime,
        recipe: Recipe,
        serial: int,
        name: str | None,
        family: Family | None,
        label: str = "",
    ) -> None:
        # What all layers need, for a constructor in each would take half as long again (measured).
        kind = recipe[0]
        self.runtime = runtime
        self.serial = serial
        self.name = name
        self.family = family
        self.state = State.STARTING
        self.received_count = self.sent_count = self.restart_count = 0
        self.has_begun = self._is_busy = self._is_crowded = False
        self._address = runtime.address(serial, label) if label else None
        self._kind = kind
        self._made_of = recipe
        self._handlers = kind._actormq_handlers  # noqa: SLF001 the table that the class made for its cells
        self._limit = kind.mailbox_limit or runtime.settings.mailbox_limit
        self._thread = runtime.loop.thread
        self._mailbox = self._signals = self._inlet = self._room = None
        self.place = self._tasks = self._sockets = self._timers = None
        self._children: Family | None = None
        self._stop_replies: list[Reply[None]] | None = None
        self._end_replies: list[Reply[None]] | None = None
        self._watchers: dict[Any, Watcher] | None = None

    # -- facts --------------------------------------------------------------------------------

    @property
    def ref(self) -> Ref[Any]:
        """A ref to the actor."""
        return Ref(self)

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
        holds = not self.kind.elected or self.runtime.elections.holds(self)
        return self.is_open and self.was_started and holds

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor decides what becomes of it when it fails."""
        return self.family is not None and self.family.rules is not None

    @property
    def is_down(self) -> bool:
        """Whether it has no instance, and waits for the next one."""
        return self.state is State.DOWN

    @property
    def is_stopping(self) -> bool:
        """Whether an instance of it is about to end, and has not."""
        return self.state in (State.STOPPING, State.DOWN)

    @property
    def stop_timeout(self) -> float:
        """Seconds that an instance may take to end."""
        own = self.family.stop_timeout(self) if self.family is not None else None
        return own or self.runtime.settings.shutdown_timeout

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
        if not isinstance(ref, Ref):
            raise SetupError(
                f"watch({ref!r}): it takes a ref, such as `await self.node.find(name)`"
            )
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

    def tell_role(self, hook: str, answer: Answer) -> bool:
        """Run `on_elected` or `on_standby`; say whether it will, and `answer` hear of its end."""
        if getattr(self.kind, hook) is getattr(Actor, hook):
            return False
        call = unmarked(self.kind, hook)
        return call is not None and self.signal(call, answer=answer)

    # -- coming -------------------------------------------------------------------------------

    def start(self) -> Coroutine[Any, Any, None] | None:
        """Make and start an actor that nobody supervises; a failure ends it.

        Returns:
            What is to be awaited until it has started; None if it runs already, as all do that
            have no hook, socket or period. Awaiting it raises `StartFailed` if the constructor or
            `on_start` raised, or took too long; `SetupError` if a socket could not be opened.
        """
        try:
            self.make()
            self._made_of = None  # it is never made again
            if self._kind._actormq_has_start:  # noqa: SLF001 as in __init__
                return self._start()
            self.has_begun = True
            self._go()
        except BaseException as error:  # noqa: BLE001 a border, and it is raised again
            return self._not_started(error)
        return None

    async def _start(self) -> None:
        try:
            await self.open_instance(None)
            self._go()
        except BaseException as error:  # noqa: BLE001 a border, and it is raised again
            await self._not_started(error)

    async def _not_started(self, error: BaseException) -> None:
        if self._stop_replies is None:
            await self.wind_down(self.stop_timeout, at_once=True)
            self.end(FAILED, described(error))
        else:
            await self.stop(None)  # whoever stops it ends it
        raise error

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
            await self.open_instance(failure)
        except BaseException:
            if self.state is not State.STOPPED:
                self.state = State.DOWN
            await self.wind_down(self.stop_timeout, at_once=True)
            raise
        self._go()

    def _go(self) -> None:
        """Let messages in."""
        self.state = State.RUNNING
        if self.restart_count == 0 and self.name is not None:
            self.runtime.registry.publish(self)
        if self._mailbox is not None:
            self._next_turn()
        if self.restart_count and self.kind.elected:
            self.runtime.elections.restarted(self)

    async def begin_children(self, supervisor: Supervisor) -> None:
        """Start what a supervisor is to run.

        Raises:
            StartFailed: One of them did not start.
            SetupError: What it was told cannot be.
        """
        family = self._children = Family(self)
        try:
            await family.begin(supervisor)
        except (StartFailed, RestartLimitReached) as error:
            raise self.start_failed("one of its children", error) from error

    async def stop_children(self, seconds: float) -> None:
        """Stop all children; what has not ended by then is left behind."""
        if self._children is not None:
            await self._children.stop(seconds)
            self._children = None

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
        await self.wind_down(self.stop_timeout, at_once=True)
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
        reply.target = self  # who awaits that in its own handler waits for itself
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
            self.family.remove(self.serial)
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
        await self.wind_down(seconds)
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
        await self.wind_down(seconds)

    def cut_off(self) -> None:
        """End without another word, children first, because time is up."""
        for task in self._tasks or ():
            task.cancel()
        self._end_timers()
        self.abandon()
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
        if self.place is not None and self.place.is_open:  # it was left behind: by force
            runtime.node.keep(runtime.loop.aio.create_task(self.place.close(0.0)))
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
