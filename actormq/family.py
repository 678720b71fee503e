"""The children of one actor: started, restarted and stopped as `rules.supervision` decides.

An ordinary actor may have children as well; then nothing is restarted, and they stop before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from actormq.actor import Actor
from actormq.errors import (
    ActorStopped,
    NodeNotRunning,
    RestartLimitReached,
    SetupError,
)
from actormq.events import ActorFailed
from actormq.mailbox import State
from actormq.ref import Ref
from actormq.rules import actions as to_do
from actormq.rules.circles import drawn
from actormq.rules.restart import RestartBudget
from actormq.rules.supervision import Supervision
from actormq.signals import FAILED, STOPPED, Failure
from actormq.stopping import stop_all
from actormq.supervisor import Child, Supervisor, circle_of, supervision_of
from actormq.wording import described

if TYPE_CHECKING:
    from actormq.cell import Cell

DEPTH_LIMIT = 64  # supervisors within supervisors; more is one that contains itself

GRACE = 0.5  # s past its time in which a child that was cut off ends, with all below it


class Family:
    """The children of one actor.

    Args:
        parent: The actor's cell.

    Attributes:
        parent: The same.
        rules: What decides on restarts; None in the family of an ordinary actor.
    """

    def __init__(self, parent: Cell) -> None:
        self.parent = parent
        self.rules: Supervision | None = None
        self._runtime = parent.runtime
        self._budget = RestartBudget()
        self._cells: dict[int, Cell] = {}  # in the order of their start
        self._specs: dict[int, Child[Any]] = {}
        self._failures: dict[int, tuple[BaseException, str]] = {}  # the last, and in which handler
        self._newest: BaseException | None = None
        self._waits: dict[int, asyncio.TimerHandle] = {}
        self._starts: dict[int, asyncio.Task[None]] = {}  # those that are under way
        self._begun: asyncio.Future[None] | None = None
        self._first_starts: dict[int, asyncio.Future[None]] = {}
        self._done: asyncio.Future[None] | None = None
        self._deadline = 0.0

    @property
    def cells(self) -> list[Cell]:
        """The children, in the order of their start."""
        return list(self._cells.values())

    def stop_timeout(self, key: int) -> float | None:
        """Seconds that a child was given to stop; None if nothing was said."""
        spec = self._specs.get(key)
        return spec.stop_timeout if spec is not None else None

    # -- coming -------------------------------------------------------------------------------

    async def begin(self, supervisor: Supervisor) -> None:
        """Start what a supervisor is to run, one after another.

        Raises:
            SetupError: What it was told cannot be.
            StartFailed: One of them did not start; all others have been stopped again.
        """
        strategy, self._budget, backoff = supervision_of(supervisor)
        self._check_depth(type(supervisor))
        self.rules = Supervision(strategy, self._budget, backoff, self._runtime.chance)
        try:
            for spec in supervisor.children:
                self._enter(spec)
        except BaseException:
            self._leave_all()
            raise
        self._begun = self._runtime.loop.aio.create_future()
        self._act(self.rules.begin([(key, spec.policy) for key, spec in self._specs.items()]))
        await self._begun

    def _check_depth(self, kind: type[Supervisor]) -> None:
        circle = circle_of(kind)
        ancestors: list[type[Actor]] = [kind]
        family = self.parent.family
        while family is not None:
            ancestors.append(family.parent.kind)
            family = family.parent.family
        if circle is None and len(ancestors) > DEPTH_LIMIT:
            circle = ancestors[1:3]
        if circle is not None:
            names = drawn([each.__name__ for each in circle])
            raise SetupError(f"{names}: supervisors that contain each other would never all start")

    def _enter(self, spec: Child[Any]) -> Cell:
        cell: Cell = self._runtime.node.new_cell(spec.kind, spec.name, spec.args, spec.kwargs, self)
        self._cells[cell.serial] = cell
        self._specs[cell.serial] = spec
        return cell

    def new_cell(
        self, kind: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Cell:
        """Make room for one more child, which nobody will restart; see `Node.new_cell`.

        It comes off the list when it ends, and so also if it does not start.

        Raises:
            NameTaken: The name is taken.
            NodeNotRunning: The node or the parent is stopping.
        """
        self._check_open()
        cell: Cell = self._runtime.node.new_cell(kind, name, args, kwargs, self)
        self._cells[cell.serial] = cell
        return cell

    def _check_open(self) -> None:
        if self._done is not None or self.parent.is_stopping or not self.parent.is_open:
            raise NodeNotRunning(self._runtime.node.name)

    async def spawn(self, spec: Child[Any]) -> Ref[Any]:
        """Start one more child, to be restarted as the rules say.

        Raises:
            StartFailed: It did not start; it is not kept.
            NameTaken: The name is taken.
            NodeNotRunning: The node or the parent is stopping.
        """
        self._check_open()
        assert self.rules is not None
        key = (cell := self._enter(spec)).serial
        first = self._first_starts[key] = self._runtime.loop.aio.create_future()
        self._act(self.rules.add(key, spec.policy))
        await first
        return cell.ref

    # -- going --------------------------------------------------------------------------------

    def wants_back(self, key: int) -> bool:
        """Whether a child that stops is to be started again, as far as is known by now."""
        return self.rules is not None and self.rules.wants_back(key)

    async def stop_child(self, child: Ref[Any] | str) -> None:
        """Stop a child for good; one that is not there is no error."""
        registry = self._runtime.registry
        if isinstance(child, str):
            cell = registry.holder(child)
        elif child.address.node == self._runtime.node_id:
            cell = registry.by_serial(child.address.serial)
        else:
            return
        if cell is not None and cell.serial in self._cells:
            reply = cell.when_ended()
            self.remove(cell.serial)
            await reply

    def remove(self, key: int) -> None:
        """Stop a child for good."""
        if self.rules is not None:
            self._act(self.rules.remove(key))
        else:
            self._cells[key].stop(None)

    async def stop(self, seconds: float) -> None:
        """Stop all, the last that was started first.

        Args:
            seconds: Time for all of them together; what has not ended by then is left behind.
        """
        loop = self._runtime.loop
        self._deadline = loop.now() + seconds
        if self.rules is None:
            await stop_all(self.cells, seconds)
            return
        self._done = loop.aio.create_future()
        self._act(self.rules.stop())
        await asyncio.wait([self._done], timeout=seconds + GRACE)
        for cell in reversed(self.cells):
            if cell.has_begun:  # its turn to stop, or that of its on_stop, did not come in time
                cell.cut_off()
        self._leave_all()
        _settle(self._begun)  # `begin` may still wait; its cell sees that it is to stop

    def ended(self, key: int, error: BaseException | None, handler: str) -> None:
        """A child has come down, because of a failure or in order; the rules say what then."""
        if self.rules is None or key not in self._cells:
            return
        if error is not None:
            self._failures[key] = (error, handler)
            self._newest = error
        actions = self.rules.ended(key, error is not None, self._runtime.loop.now())
        if error is not None:
            what = self._consequence(key, actions)
            label = self._cells[key].address.label
            self._runtime.events.emit(ActorFailed(label, handler, error, what))
        self._act(actions)

    def left(self, key: int) -> None:
        """A child has ended for good."""
        if self.rules is None:
            self._cells.pop(key, None)  # of those that nobody restarts no more is kept
        else:
            self._leave(key)

    # -- what the rules say -------------------------------------------------------------------

    def _act(self, actions: Iterable[to_do.Action]) -> None:
        for action in actions:
            match action:
                case to_do.Start(key):
                    self._starts[key] = self._keep(self._start(key))
                case to_do.Stop(key):
                    self._keep(self._stop(key))
                case to_do.Wait(key, seconds):
                    self._wait(key, seconds)
                case to_do.Forget(key):
                    self._forget(key)
                case to_do.GiveUp(key):
                    self._give_up(key)
                case to_do.Started():
                    _settle(self._begun)
                case to_do.StartFailed(key):
                    _settle(self._begun, self._failures[key][0])
                    self._leave_all()
                case to_do.Done():
                    _settle(self._done)
                    self._leave_all()

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._runtime.loop.aio.create_task(work)
        self._runtime.node.keep(task)
        return task

    async def _start(self, key: int) -> None:
        cell, rules, now = self._cells[key], self.rules, self._runtime.loop.now
        assert rules is not None
        try:
            spec = self._specs[key]
            await cell.open(spec.args, spec.kwargs, self._failure(key, cell, rules))
        except BaseException as error:  # noqa: BLE001 whatever it is: the rules must hear of it
            self._starts.pop(key, None)
            self._not_started(key, cell, error)
        else:
            self._starts.pop(key, None)
            self._failures.pop(key, None)
            _settle(self._first_starts.pop(key, None))
            self._act(rules.started(key, now()))

    def _failure(self, key: int, cell: Cell, rules: Supervision) -> Failure | None:
        """Why a child is started again; None if this is its first time."""
        count = rules.restart_count(key)
        if not count:
            return None
        error, handler = self._failures.get(key, (self._newest, ""))
        previous = cell.actor if cell.place is None else cell.place.left
        return Failure(error or ActorStopped(cell.address.label), handler, count, previous)

    def _not_started(self, key: int, cell: Cell, error: BaseException) -> None:
        if key not in self._cells:
            return
        assert self.rules is not None
        is_own = not isinstance(error, asyncio.CancelledError)  # not for a sibling's sake
        if is_own:
            self._failures[key] = (error, "on_start")
        is_restart = self.rules.restart_count(key) > 0
        # On a node that stops none can have children any more, so most starts would fail for ever;
        # nor has anybody use for one that would not.
        is_last = not self._runtime.node.is_running
        actions = self.rules.start_failed(key, self._runtime.loop.now(), is_last=is_last)
        if is_restart and is_own:
            what = self._consequence(key, actions)
            self._runtime.events.emit(ActorFailed(cell.address.label, "on_start", error, what))
        self._act(actions)

    async def _stop(self, key: int) -> None:
        start = self._starts.get(key)
        if start is not None:  # it reports by itself that it did not start
            start.cancel()
            await asyncio.wait([start])
        cell = self._cells.get(key)
        if cell is None or cell.state is not State.RUNNING:
            return
        seconds = cell.stop_timeout
        if self._done is not None:
            seconds = min(seconds, max(self._deadline - self._runtime.loop.now(), 0.0))
        await cell.bring_down(seconds)
        self.ended(key, None, "")

    def _wait(self, key: int, seconds: float) -> None:
        handle = self._waits.pop(key, None)
        if handle is not None:
            handle.cancel()
        self._waits[key] = self._runtime.loop.call_later(seconds, self._due, key)

    def _due(self, key: int) -> None:
        del self._waits[key]
        assert self.rules is not None
        self._act(self.rules.due(key, self._runtime.loop.now()))

    def _forget(self, key: int) -> None:
        cell = self._cells[key]
        first = self._first_starts.pop(key, None)
        error = self._failures[key][0] if key in self._failures else None
        self._end(cell)
        _settle(first, error or NodeNotRunning(self._runtime.node.name))

    def _give_up(self, key: int) -> None:
        cell = self._cells[key]
        # A child that is restarted always may have ended too often without a failure.
        error, _ = self._failures.get(key, (None, ""))
        limit = RestartLimitReached(
            self.parent.address.label,
            cell.address.label,
            self._budget.restarts,
            self._budget.period,
            described(error) if error is not None else 'it ended, and is restarted "always"',
        )
        limit.__cause__ = error
        self._leave_all()
        if self._begun is not None and not self._begun.done():
            _settle(self._begun, limit)
        else:
            self.parent.escalate(limit)

    def _consequence(self, key: int, actions: Iterable[to_do.Action]) -> str:
        """What becomes of a child that failed, in words."""
        if self.rules is not None and self.rules.is_stopping:
            return "its supervisor stops" if self._done is not None else "its supervisor gives up"
        for action in actions:
            match action:
                case to_do.Wait(_, seconds):
                    return f"it is restarted in {seconds:.2g} s"
                case to_do.Forget(other) if other == key:
                    return "it is not restarted"
        return "it is restarted"

    # -- the list -----------------------------------------------------------------------------

    def _end(self, cell: Cell) -> None:
        """End a child for good; by `left` it comes off the list."""
        failure = self._failures.get(cell.serial)
        if failure is None:
            cell.end(STOPPED, "")
        else:
            cell.end(FAILED, described(failure[0]))

    def _leave(self, key: int) -> None:
        self._cells.pop(key, None)
        self._specs.pop(key, None)
        self._failures.pop(key, None)
        handle = self._waits.pop(key, None)
        if handle is not None:
            handle.cancel()

    def _leave_all(self) -> None:
        for cell in self.cells:
            self._end(cell)


def _settle(future: asyncio.Future[None] | None, error: BaseException | None = None) -> None:
    if future is not None and not future.done():
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
