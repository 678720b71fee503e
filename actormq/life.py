"""The life of a node: started upward, drained, stopped downward; and what may end it."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import itertools
import logging
import weakref
from collections.abc import Callable
from typing import Any, Self

import msgspec

from actormq import unended
from actormq.address import NODE_SERIAL
from actormq.assembly import Parts, assemble
from actormq.cell import Cell
from actormq.cluster.directory import Directory
from actormq.cluster.elections import Elections
from actormq.cluster.finder import Finder
from actormq.cluster.mesh import Mesh
from actormq.cluster.post import Post
from actormq.cluster.services import MeshServices
from actormq.draining import until_quiet
from actormq.elsewhere.finding import pass_over
from actormq.errors import ActormqError, NodeNotRunning, SetupError
from actormq.events import Events, NodeStarted, NodeStopped
from actormq.family import Family
from actormq.ledger import Ledger
from actormq.machine import Machine
from actormq.mailbox import State
from actormq.observe.logs import log_events
from actormq.runtime import Runtime
from actormq.settings import DRAIN_SHARE, STANDBY_LIMIT, NodeOptions, Settings, checked
from actormq.steward import Steward
from actormq.stopping import stop_all
from actormq.wording import described

CLOSING_SHARE, CLOSING_MOST = 0.3, 0.5  # of shutdown_timeout, and s, for goodbyes and sockets
HANDLERS_SHARE = 0.9  # of what is left then, so that those who are late still end in order
LAST_ANSWER = 0.1  # s for a guest to read it: what it has not read when we close is lost to it
STANDBY_SHARE = 0.3  # of shutdown_timeout, at most, for on_standby of those that are elected

STARTED: weakref.WeakSet[Any] = weakref.WeakSet()
"""The nodes of this process that were ever started, and are still held; for tests."""


class Life(abc.ABC):
    """What a node goes through; `Node` is what it can do meanwhile, and says what is what.

    Args:
        machine: What it runs on.
        options: The settings.

    Raises:
        SetupError: A setting cannot be.
    """

    def __init__(self, machine: Machine, options: NodeOptions) -> None:
        self._machine = machine
        self._settings = _named(checked(options), machine)
        self._is_guest = self._has_started = False
        self.id = machine.new_node_id()
        self.name = self._settings.name
        self.events = Events()
        self.directory = Directory(self.id)
        self._runtime: Runtime | None = None
        self._parts: Parts | None = None
        self._mesh: Mesh | None = None
        self._post: Post | None = None
        self._services: MeshServices | None = None
        self._elections: Elections | None = None
        self._finder: Finder | None = None
        self._draining: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[bool] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._hurry: asyncio.Event | None = None
        self._ended: asyncio.Event | None = None
        self._end_by: float | None = None
        self._end_log: Callable[[], None] | None = None
        self._awaited_count = 0
        self._ended_from_outside: list[Callable[[], object]] = []
        self.failure: BaseException | None = None
        self.was_drained = False
        self.left: list[str] = []
        self._tasks: dict[asyncio.Future[Any], None] = {}
        self._spawn_count = 0
        self._serials = itertools.count(NODE_SERIAL)

    @abc.abstractmethod
    def new_cell(
        self,
        kind: Any,
        name: str | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        family: Family | None,
        label: str = "",
    ) -> Cell:
        """Make room for an actor; see `Node.new_cell`."""

    @abc.abstractmethod
    def ledger(self) -> Ledger:
        """Tell what became of the messages; see `Node.ledger`."""

    @property
    def mesh(self) -> str:
        """The name of its mesh."""
        return self._mesh.facts.mesh if self._mesh is not None else self._settings.mesh

    @property
    def is_running(self) -> bool:
        """Whether it has started and not begun to stop; a node that drains runs."""
        return self._runtime is not None and self._stopping is None

    @property
    def is_draining(self) -> bool:
        """Whether it has withdrawn its names and takes no new ones."""
        return self._draining is not None

    @property
    def shutdown_timeout(self) -> float:
        """Seconds that it may take to stop."""
        return self._settings.shutdown_timeout

    def keep(self, task: asyncio.Future[Any]) -> None:
        """Hold on to a task until it ends, or until the node does."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    # -- the beginning ------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.stop()
        if self.failure is not None and kind is None:
            raise self.failure

    async def start(self) -> None:
        """Open the sockets and join the mesh.

        Raises:
            PortInUse: The port that was asked for is taken.
            SetupError: The node has been started before.
        """
        pass_over()  # in a process of a worker, this script is loaded for its functions only
        if self._runtime is not None or self._ended is not None:
            raise SetupError(f"node {self.name!r} has been started before: make a new one")
        self._ended, self._hurry = asyncio.Event(), asyncio.Event()
        STARTED.add(self)
        parts = assemble(self, self._settings, self._machine, self._serials)
        mesh, runtime = parts.mesh, parts.runtime
        self._mesh, self._post, self._services = mesh, parts.post, parts.services
        self._elections, self._runtime = parts.elections, runtime
        try:
            if not self._is_guest:
                mesh.listen()
            self._end_log = log_events(
                self.events, self.name, runtime.loop.call_later, runtime.loop.now
            )
            # Every node has one: it is found by the node, not by name.
            steward = (parts.services.vouched, self.until_drained)
            starting = self.new_cell(Steward, None, steward, {}, None, "node").start(steward, {})
            if starting is not None:
                await starting
            mesh.start()
            self._finder = self._finding(runtime, mesh)
            await self._finder.start()
            runtime.watched.begin()  # not before: what is imported meanwhile is nobody's fault
        except BaseException:
            await self._close(runtime, self._settings.shutdown_timeout)
            raise
        self._has_started = True
        self.events.emit(NodeStarted(self.name, self.mesh, mesh.facts.endpoints, self.id))

    def _finding(self, runtime: Runtime, mesh: Mesh) -> Finder:
        machine, settings = self._machine, self._settings
        return Finder(
            runtime.loop,
            runtime.transport,
            mesh,
            settings,
            self.events,
            lambda: machine.discovery(settings),
            lambda: machine.addresses(settings),
        )

    # -- what may end it ----------------------------------------------------------------------

    async def stop(self) -> None:
        """Stop the actors, say goodbye, close everything.

        Nothing new is taken; handlers under way end, children before parents, the last that was
        started first; what is left in mailboxes is answered or counted. Takes `shutdown_timeout`
        at most, and says what did not end by then. A node that has stopped already is no error;
        one that drains stops now.
        """
        if self._runtime is None:
            return
        if self._stopping is None:
            assert self._hurry is not None
            self._hurry.set()
            self._stopping = asyncio.create_task(self._stop(self._runtime))
        await asyncio.shield(self._stopping)

    async def drain(self) -> None:
        """Leave the mesh without an error at anybody's: withdraw, handle what is left, stop.

        Names and services are withdrawn first; elected actors let theirs go. What waits, what is
        under way, and what still comes from peers that have not heard of it is handled until it
        has been quiet for a moment; then the node stops as `stop` says. All of it takes
        `shutdown_timeout` at most. Who waits in `stopped` hears of it.
        """
        self.begin_drain()
        self._awaited_count += 1
        try:
            if self._draining is not None:
                await asyncio.shield(self._draining)
        finally:
            self._awaited_count -= 1

    def begin_drain(self) -> bool:
        """Begin to drain, if it does not yet; say whether it drains."""
        is_up = self._runtime is not None and self._has_started and self._stopping is None
        if is_up and self._draining is None:
            assert self._runtime is not None
            self._draining = asyncio.create_task(self._drain(self._runtime))
        return self._draining is not None

    async def until_drained(self) -> bool:
        """Drain it; wait until it is about to stop, and say whether all was handled by then."""
        if self.was_drained or not self.begin_drain():
            return self.was_drained
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._drained)

    def fail(self, error: BaseException) -> None:
        """End the node because of an actor: a supervisor gave up, or it wants the program to end.

        The node stops in order; then `stopped`, leaving `async with` and `run` raise the error.

        Args:
            error: A `RestartLimitReached`, or a SystemExit or KeyboardInterrupt that a handler
                raised.
        """
        if self.failure is not None or self._runtime is None:
            return
        self.failure = error
        why = str(error) if isinstance(error, ActormqError) else described(error)
        self.events.notice(logging.CRITICAL, "the node ends: %s", why)
        self._say_ended(self._runtime)
        self.keep(asyncio.ensure_future(self.stop()))

    def _say_ended(self, runtime: Runtime) -> None:
        for ended in self._ended_from_outside:
            runtime.loop.call_soon(ended)  # behind the answer that the asker is given

    def when_ended_from_outside(self, ended: Callable[[], object]) -> None:
        """Call `ended` when the node is about to stop by `fail`, or because it was drained."""
        self._ended_from_outside.append(ended)

    async def stopped(self) -> None:
        """Wait until the node has stopped; under `run`, until Ctrl-C or SIGTERM.

        Raises:
            RestartLimitReached: A supervisor under no other one gave up.
        """
        if self._ended is None:
            raise NodeNotRunning(self.name)
        self._awaited_count += 1
        try:
            await self._ended.wait()
        finally:
            self._awaited_count -= 1
        if isinstance(self.failure, ActormqError):
            raise self.failure

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for it to stop: its end is then what they want."""
        return self._awaited_count > 0

    def unended(self) -> list[str]:
        """Say what has not ended, a line each; from any thread, also while the loop is held."""
        return unended.of_node(self._runtime) if self._runtime is not None else []

    # -- the end ------------------------------------------------------------------------------

    @property
    def _closing(self) -> float:
        """Seconds of its time that it keeps for goodbyes and sockets."""
        return min(CLOSING_SHARE * self._settings.shutdown_timeout, CLOSING_MOST)

    async def _drain(self, runtime: Runtime) -> None:
        mesh, post, services = self._mesh, self._post, self._services
        assert mesh is not None
        assert post is not None
        assert services is not None
        assert self._hurry is not None
        begun = runtime.loop.now()
        self._end_by = begun + self._settings.shutdown_timeout
        end = begun + DRAIN_SHARE * (self._settings.shutdown_timeout - self._closing)
        self.events.notice(logging.INFO, "it drains: its names are withdrawn")
        services.withdraw_all(is_draining=True)
        await self._let_names_go()
        is_quiet = await until_quiet(
            runtime, lambda: post.calls.count, lambda: not mesh.members, self._hurry, end
        )
        self.was_drained = True
        if self._drained is not None:
            self._drained.set_result(is_quiet)
            await asyncio.sleep(LAST_ANSWER)
        self._say_ended(runtime)
        if self._ended_from_outside and not self.is_awaited:
            # The program is cut off now, may use the node to tidy up, and stops it then.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._end_by):
                    await self._hurry.wait()
        await self.stop()

    async def _let_names_go(self) -> None:
        """Elected actors are told that they are elected no more, before others can be."""
        if self._elections is not None:
            limit = STANDBY_SHARE * self._settings.shutdown_timeout
            await self._elections.close(min(limit, STANDBY_LIMIT))

    async def _stop(self, runtime: Runtime) -> None:
        assert self._services is not None
        deadline = runtime.loop.now() + self._settings.shutdown_timeout
        if self._end_by is not None:  # it has been drained, or has tidied up for long
            deadline = max(self._end_by, runtime.loop.now() + 2 * self._closing)
        self._services.withdraw_all()
        await self._let_names_go()
        cells = [c for c in runtime.registry.cells() if c.serial != NODE_SERIAL]
        limit = deadline - runtime.loop.now() - self._closing
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await stop_all([c for c in cells if c.family is None], HANDLERS_SHARE * limit)
        self._leave_behind(runtime, [c for c in cells if c.state is not State.STOPPED])
        await self._close(runtime, max(deadline - runtime.loop.now(), 0.0))

    def _leave_behind(self, runtime: Runtime, late: list[Cell]) -> None:
        """End those that did not end in time, and say which they are."""
        cut_off = [text for has_ended, text in runtime.unfinished if not has_ended()]
        self.left = [*cut_off, *(unended.of_node(runtime) if late else ())]
        for cell in reversed(late):
            cell.cut_off()

    async def _close(self, runtime: Runtime, seconds: float) -> None:
        """Close what `start` opened, downward, in about so many seconds at most."""
        assert self._mesh is not None
        steward = runtime.registry.by_serial(NODE_SERIAL)
        if steward is not None:
            await steward.stop(min(seconds, 1.0))
            steward.cut_off()
        await runtime.places.close()
        self._mesh.stop("it was stopped")
        if self._post is not None:
            self._post.close()
        if self._finder is not None:
            await self._finder.stop()
        runtime.deadlines.close()
        await runtime.stepper.close()
        runtime.transport.close_ports()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=min(seconds, 1.0))
        runtime.threads.shutdown(wait=False, cancel_futures=True)
        self.left += [line for line in unended.of_threads(runtime) if line not in self.left]
        for line in self.left:
            self.events.notice(logging.WARNING, f"did not end: {line}")
        # Waits until goodbyes have gone out, at most LINGER_MS: not on the loop.
        await asyncio.to_thread(runtime.transport.close)
        runtime.watched.end()
        traffic = msgspec.structs.asdict(self._mesh.traffic())
        self.events.emit(NodeStopped(self.name, self.mesh, self.id, self.ledger(), traffic))
        if self._end_log is not None:
            self._end_log()
        self._runtime = None
        assert self._ended is not None
        self._ended.set()


def _named(settings: Settings, machine: Machine) -> Settings:
    if settings.name:
        return settings
    return msgspec.structs.replace(settings, name=machine.new_name())
