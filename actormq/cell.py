"""One actor's life: made, started, run in turns, brought down, made again or ended for good."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from actormq.actor import Actor
from actormq.context import Answer
from actormq.errors import ActormqError, RestartLimitReached, SetupError, StartFailed
from actormq.events import ActorFailed
from actormq.extras import NO_EXTRAS, Watcher
from actormq.family import Family
from actormq.mailbox import State
from actormq.marks import unmarked
from actormq.parting import Parting
from actormq.ref import Ref
from actormq.runtime import Runtime
from actormq.signals import FAILED, Failure, Terminated
from actormq.supervisor import Child, Supervisor
from actormq.wording import described


class Cell(Parting):
    """Runs one actor on one node.

    Args:
        runtime: The parts of the node.
        kind: The actor's class.
        serial: Its number on the node.
        name: What it is to be spawned as, None for one without a name.
        family: The children of the actor that started it; None under the node itself.
        label: What people call it; "" for its name, or its class and number.

    Attributes:
        family: The same.
    """

    __slots__ = ()

    def __init__(
        self,
        runtime: Runtime,
        kind: type[Actor],
        serial: int,
        name: str | None,
        family: Family | None,
        label: str = "",
    ) -> None:
        # What all layers need, for a constructor in each would take half as long again (measured).
        self.runtime = runtime
        self.serial = serial
        self.name = name
        self.family = family
        self._kind = kind
        self._address = runtime.address(serial, label) if label else None
        self.state = State.STARTING
        self.received_count = self.sent_count = 0
        self.has_begun = self._is_busy = self._is_crowded = False
        self._extras = NO_EXTRAS
        self._handlers = kind._actormq_handlers  # noqa: SLF001 the table that the class made for its cells
        self._limit = kind.mailbox_limit or runtime.settings.mailbox_limit
        self._thread = runtime.loop.thread
        self._first = self._mailbox = self._signals = self._inlet = self._room = None
        self.place = self._tasks = None

    # -- facts --------------------------------------------------------------------------------

    @property
    def ref(self) -> Ref[Any]:
        """A ref to the actor."""
        return Ref(self)

    @property
    def restart_count(self) -> int:
        """How often it was restarted."""
        return self._extras.restart_count

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
    def is_down(self) -> bool:
        """Whether it has no instance, and waits for the next one."""
        return self.state is State.DOWN

    @property
    def is_stopping(self) -> bool:
        """Whether an instance of it is about to end, and has not."""
        return self.state in (State.STOPPING, State.DOWN)

    # -- children and watching ----------------------------------------------------------------

    def _family(self) -> Family:
        extras = self._own_extras()
        if extras.children is None:
            extras.children = Family(self)
        return extras.children

    async def spawn(
        self, kind: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Ref[Any]:
        """Start a child; see `Actor.spawn`."""
        family = self._family()
        if family.rules is not None:
            return await family.spawn(Child(kind, name, args, kwargs))
        if self.runtime.loop.is_pause_due():
            await asyncio.sleep(0)
        child = family.new_cell(kind, name, args, kwargs)
        starting = child.start(args, kwargs)
        if starting is not None:
            await starting
        return Ref(child)

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
        extras = self._own_extras()
        if extras.watchers is None:
            extras.watchers = {}
        extras.watchers[key] = watcher

    def remove_watcher(self, key: Any) -> None:
        """Call it no more."""
        if self._extras.watchers is not None:
            self._extras.watchers.pop(key, None)

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

    def start(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, None] | None:
        """Make and start an actor that nobody supervises; a failure ends it.

        Args:
            args: What its constructor takes.
            kwargs: Likewise.

        Returns:
            What is to be awaited until it has started; None if it runs already, as all do that
            have no hook, socket or period. Awaiting it raises `StartFailed` if the constructor or
            `on_start` raised, or took too long; `SetupError` if a socket could not be opened.
        """
        try:
            self.make(args, kwargs)
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
        if self._extras.stop_replies is None:
            await self.wind_down(self.stop_timeout, at_once=True)
            self.end(FAILED, described(error))
        else:
            await self.stop(None)  # whoever stops it ends it
        raise error

    async def open(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], failure: Failure | None
    ) -> None:
        """Make and start an instance of a supervised actor; if that fails, it is down again.

        Args:
            args: What its constructor takes.
            kwargs: Likewise.
            failure: Why it is restarted; None if it has never run.

        Raises:
            StartFailed: The constructor, `on_restart` or `on_start` raised, or took too long.
            SetupError: A socket could not be opened.
        """
        self.state = State.STARTING
        try:
            if failure is not None:
                self._own_extras().restart_count += 1
            self.make(args, kwargs)
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
        if self.name is not None and self.restart_count == 0:
            self.runtime.registry.publish(self)
        if self._first is not None or self._mailbox is not None:
            if self.restart_count:  # it may have come down while it stood in the queue
                self.runtime.loop.unready(self)
            self._next_turn()
        if self._kind.elected and self.restart_count:
            self.runtime.elections.restarted(self)

    async def begin_children(self, supervisor: Supervisor) -> None:
        """Start what a supervisor is to run.

        Raises:
            StartFailed: One of them did not start.
            SetupError: What it was told cannot be.
        """
        family = self._own_extras().children = Family(self)
        try:
            await family.begin(supervisor)
        except (StartFailed, RestartLimitReached) as error:
            raise self.start_failed("one of its children", error) from error

    async def stop_children(self, seconds: float) -> None:
        """Stop all children; what has not ended by then is left behind."""
        extras = self._extras
        if extras.children is not None:
            await extras.children.stop(seconds)
            extras.children = None

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
            self.family.ended(self.serial, error, handler)
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
