"""How one actor ends: at once if it is at rest, else in order, or cut off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from actormq.errors import ActorStopped
from actormq.extras import GONE, NO_EXTRAS
from actormq.family import Family
from actormq.instance import Instance
from actormq.mailbox import RUNNING, State
from actormq.reply import Reply
from actormq.signals import STOPPED, Reason

if TYPE_CHECKING:
    from actormq.cell import Cell


class Parting(Instance):
    """The instance of an actor, and its end.

    Attributes:
        family: The children of the actor that started it; None under the node itself.
    """

    __slots__ = ("family",)

    family: Family | None

    @property
    def children(self) -> list[Cell]:
        """The cells of its children, in the order of their start."""
        children = self._extras.children
        return children.cells if children is not None else []

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor decides what becomes of it when it fails."""
        return self.family is not None and self.family.rules is not None

    @property
    def stop_timeout(self) -> float:
        """Seconds that an instance may take to end."""
        own = self.family.stop_timeout(self.serial) if self.family is not None else None
        return own or self.runtime.settings.shutdown_timeout

    def stop(self, within: float | None) -> Reply[None]:
        """Stop behind the handler that runs now; see `Ref.stop`."""
        loop = self.runtime.loop
        if self._is_at_rest and loop.is_current() and not loop.is_pause_due():
            self._end_at_rest()
            return self.runtime.stopped
        seconds = within or self.runtime.settings.shutdown_timeout
        label = self.address.label if self.state is not State.STOPPED else ""  # nobody will wait
        reply: Reply[None] = Reply(loop, label, "stop", seconds)
        reply.target = self  # who awaits that in its own handler waits for itself
        if loop.is_current():
            self._stop(reply, seconds)
        else:
            loop.call_from_thread(self._stop, reply, seconds)
        return reply

    @property
    def _is_at_rest(self) -> bool:
        """Whether it may end in this very moment, as most can.

        An actor in its turn is busy or has a mailbox.
        """
        return (
            self._first is None
            and self._mailbox is None
            and self.state is RUNNING
            and self._has_nothing_to_end
        )

    @property
    def _has_nothing_to_end(self) -> bool:
        """Whether its end needs no task, which would take ten times as long."""
        return (
            not self._is_busy
            and self.is_bare
            and self._extras.children is None
            and (self.family is None or self.family.rules is None)
        )

    def _end_at_rest(self) -> None:
        self.end(STOPPED, "")
        self.actor = GONE  # else both hold each other, until the garbage collector comes by

    def _stop(self, reply: Reply[None], seconds: float) -> None:
        if self.state is State.STOPPED:
            reply.resolve(None)
            return
        extras = self._own_extras()
        if self.state is not State.RUNNING and self.is_supervised and not extras.stop_replies:
            # Between two instances, or about to be one: there is nothing to end in order.
            assert self.family is not None
            self._at_end(reply)
            self.family.remove(self.serial)
        elif extras.stop_replies is not None:
            extras.stop_replies.append(reply)
        elif self.state is State.DOWN:
            self._at_end(reply)  # it is about to end
        else:
            extras.stop_replies = [reply]
            if self.family is not None and self.family.wants_back(self.serial):
                self.state = State.DOWN  # messages wait for the next instance
            else:
                self.state = State.STOPPING
                self._turn_away(ActorStopped(self.address.label))
            if self.is_bare:  # it may be in its turn
                self.runtime.loop.ready(_Behind(self, seconds))
            else:
                self.finish(seconds)

    def finish(self, seconds: float) -> None:
        """End in order, now that the turn is over in which it was stopped."""
        if self.state is State.STOPPED:  # it was cut off
            return
        if self._has_nothing_to_end:
            self._end_at_rest()
        else:
            task = self.runtime.loop.aio.create_task(self._finish(seconds))
            self.runtime.node.keep(task)

    async def _finish(self, seconds: float) -> None:
        await self.wind_down(seconds)
        if self.state is State.STOPPED:  # it was cut off, and all who asked know
            return
        extras = self._extras
        replies, extras.stop_replies = extras.stop_replies or [], None
        if self.family is not None and self.is_supervised:
            if self.state is State.STOPPING:  # it may be down already, since it is wanted back
                self.state = State.DOWN
            self.family.ended(self.serial, None, "")  # which may want it to be started again
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
            self._at_end(reply)
        return reply

    def _at_end(self, reply: Reply[None]) -> None:
        extras = self._own_extras()
        extras.end_replies = [*(extras.end_replies or ()), reply]

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
        extras, runtime = self._extras, self.runtime
        if extras.children is not None:
            for child in reversed(self.children):  # there are some only if their time was up
                child.cut_off()
        self.state = State.STOPPED
        cell: Any = self  # all that end are cells
        runtime.registry.remove(cell)
        if self.place is not None and self.place.is_open:  # it was left behind: by force
            runtime.node.keep(runtime.loop.aio.create_task(self.place.close(0.0)))
        if self._first is not None or self._mailbox is not None or self._inlet is not None:
            error = ActorStopped(self.address.label)
            self._turn_away(error)
            self._close_inlet(error)
        runtime.books.close(self.sent_count, self.received_count)
        if self.family is not None:
            self.family.left(self.serial)
        runtime.watching.forget(cell)
        if extras is NO_EXTRAS:
            return
        watchers, extras.watchers = extras.watchers, None
        for watcher in (watchers or {}).values():
            watcher(reason, detail)
        for reply in (*(extras.stop_replies or ()), *(extras.end_replies or ())):
            reply.resolve(None)
        extras.stop_replies = extras.end_replies = None


class _Behind:
    """The end of an actor, as a turn behind the one in which it was stopped.

    Args:
        cell: The actor's.
        seconds: That it may take.
    """

    __slots__ = ("_cell", "_seconds")

    def __init__(self, cell: Parting, seconds: float) -> None:
        self._cell = cell
        self._seconds = seconds

    def turn(self) -> None:
        """End it."""
        self._cell.finish(self._seconds)
