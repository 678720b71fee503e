"""One actor's life: opened, started, run in turns, stopped, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from actormq.actor import Actor, unmarked
from actormq.address import Address
from actormq.context import LiveSocket, Timer
from actormq.errors import ActormqError, ActorStopped, RemoteError, SetupError, StartFailed
from actormq.events import HandlerFailed
from actormq.place import Reported
from actormq.ref import Ref
from actormq.reply import Reply
from actormq.runtime import Runtime
from actormq.timers import Once, Periodic
from actormq.turns import Message, State, Turns, kind_of

PLACE_GRACE = 1.0  # s for a thread or process to end by itself: it has nothing left to do


class Cell(Turns):
    """Runs one actor on one node.

    Attributes:
        name: What it was spawned as, None for one without a name.
        sockets: Its open sockets by attribute.
    """

    __slots__ = ("_left", "_stop_replies", "_timers", "name", "sockets")

    def __init__(self, runtime: Runtime, actor: Actor, address: Address, name: str | None) -> None:
        super().__init__(runtime, actor, address)
        self.name = name
        self.sockets: dict[str, LiveSocket] = {}
        self._left: list[Message] | None = None
        self._timers: set[Timer] | None = None
        self._stop_replies: list[Reply[None]] | None = None
        actor._actormq_context = self  # noqa: SLF001 an actor is handed its powers here, and only here

    # -- facts --------------------------------------------------------------------------------

    @property
    def ref(self) -> Ref[Any]:
        """A ref to the actor."""
        return Ref(self.address, self)

    @property
    def kind(self) -> type:
        """The actor's class."""
        return type(self.actor)

    @property
    def is_found(self) -> bool:
        """Whether its name may be found."""
        return self.state is State.RUNNING

    # -- time ---------------------------------------------------------------------------------

    def after(
        self, seconds: float, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Timer:
        """Send the actor a message later; see `Actor.after`."""
        if not (isinstance(seconds, int | float) and seconds >= 0):
            raise SetupError(f"after({seconds!r}): a delay is a number of seconds, 0 or more")
        name = handler if isinstance(handler, str) else getattr(handler, "__name__", "")
        spec = self._handlers.get(name) or unmarked(type(self.actor), name) or self.find(handler)
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

    # -- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the sockets, run `on_start`, let messages in.

        Raises:
            StartFailed: `on_start` raised, or took too long.
            SetupError: A socket could not be opened.
        """
        kind = type(self.actor)
        try:
            for attribute, spec in kind._actormq_sockets.items():  # noqa: SLF001 as in __init__
                self.sockets[attribute] = spec.open(attribute, self)
            if self.place is not None or kind.on_start is not Actor.on_start:
                await self._run_on_start()
        except BaseException:
            if self._stop_replies is None:
                await self._end()
            else:
                await self.stop(None)  # whoever stops it ends it
            raise
        self.state = State.RUNNING
        for periodic, seconds in kind._actormq_periodic.values():  # noqa: SLF001 as in __init__
            self._keep(Periodic(self, seconds, periodic))
        self.runtime.registry.publish(self)
        self._next_turn()

    async def _run_on_start(self) -> None:
        limit = self.runtime.settings.start_timeout
        label = self.address.label
        # A task of its own among the handlers: whoever stops the actor meanwhile waits for it.
        task = self.runtime.loop.aio.create_task(self._on_start())
        self._tasks = {task: ("on_start", None, None)}
        try:
            async with asyncio.timeout(limit) as timeout:
                await task
        except TimeoutError as error:
            if not timeout.expired():
                raise StartFailed(label, "on_start", kind_of(error), str(error)) from error
            raise StartFailed(
                label, "on_start", "TimeoutError", f"it took longer than start_timeout, {limit:g} s"
            ) from error
        except asyncio.CancelledError:
            if self.state is State.STARTING:
                raise
        except StartFailed:  # the place said so
            raise
        except Exception as error:  # a border: on_start is not ours
            raise StartFailed(label, "on_start", kind_of(error), str(error)) from error
        finally:
            self._tasks = None
        if self.state is not State.STARTING:
            raise StartFailed(label, "on_start", "ActorStopped", "it was stopped while it started")

    async def _on_start(self) -> None:
        if self.place is None:
            await self.actor.on_start()
            return
        await self.place.open()
        try:
            await self._run_there("on_start")
        except RemoteError as error:
            label = self.address.label
            raise StartFailed(label, "on_start", error.type, error.text) from error.__cause__

    async def _run_there(self, hook: str) -> None:
        """Run a hook where the user's object is; one that its class does not have costs nothing."""
        if self.place is not None and getattr(self.kind, hook) is not getattr(Actor, hook):
            try:
                await self.place.run(hook, (), {}, 0.0)
            except Reported as reported:
                raise reported.error from reported.error.__cause__

    def place_lost(self, error: ActormqError) -> None:
        """The process of the actor has ended by itself: so does the actor."""
        if self.state is State.STARTING:
            return  # `start` has failed with it
        self.runtime.events.notice(logging.ERROR, str(error))
        self._stop(Reply(self.runtime.loop, self.address.label, "stop", 0.0), 0.0)

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
            return
        if self._stop_replies is not None:
            self._stop_replies.append(reply)
            return
        self._stop_replies = [reply]
        was_started = self.state is State.RUNNING
        self.state = State.STOPPING
        task = self.runtime.loop.aio.create_task(self._finish(seconds, was_started))
        self.runtime.node.keep(task)

    async def _finish(self, seconds: float, was_started: bool) -> None:
        """Wait for handlers under way, run `on_stop`, end."""
        deadline = self.runtime.loop.now() + seconds
        tasks = list(self._tasks or ())
        own = [task for task in tasks if not task.done()]
        if own:
            await asyncio.wait(own, timeout=seconds)
            for task in own:
                task.cancel()
            await asyncio.wait(own, timeout=1.0)  # a handler that swallows its cancellation
        if not was_started:
            was_started = all(_is_good(task) for task in own)
        if was_started and type(self.actor).on_stop is not Actor.on_stop:
            left = max(deadline - self.runtime.loop.now(), 0.1)
            try:
                async with asyncio.timeout(left):
                    if self.place is None:
                        await self.actor.on_stop()
                    elif self.place.is_open:
                        await self._run_there("on_stop")
            except Exception as error:  # noqa: BLE001 a border: on_stop is not ours
                self.runtime.events.emit(HandlerFailed(self.address.label, "on_stop", error))
        await self._end()

    async def _end(self) -> None:
        """Close what is open, answer what is left."""
        self.state = State.STOPPED
        for timer in list(self._timers or ()):
            timer.cancel()
        if self.place is not None:
            await self.place.close(PLACE_GRACE)
        for attribute, socket in self.sockets.items():
            try:
                await socket.close()
            except Exception as error:  # noqa: BLE001 a border: the name must come free
                self.runtime.events.emit(HandlerFailed(self.address.label, attribute, error))
        self.runtime.registry.remove(self)
        left = [*(self._left or ()), *(self._mailbox or ())]
        if self._inlet is not None:
            left += self._inlet.close()
        self._mailbox = self._left = None
        for call, _, _, answer in left:
            if answer is not None:
                answer.reject(ActorStopped(self.address.label))
            else:
                self._bury(call.name, ActorStopped.__name__)
        for reply in self._stop_replies or ():
            reply.resolve(None)


def _is_good(task: asyncio.Future[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
