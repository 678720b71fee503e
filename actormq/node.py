"""Puts the parts together: starts upward, stops downward."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any, ParamSpec, Self, TypeVar, Unpack

import msgspec

from actormq import unended
from actormq.actor import Actor
from actormq.address import NODE_SERIAL, Address
from actormq.assembly import assemble, ref_of
from actormq.cell import Cell
from actormq.cluster.directory import Directory
from actormq.cluster.discovery import Announcement, Discovery, DiscoveryUnavailable
from actormq.cluster.mesh import Mesh
from actormq.cluster.post import Post
from actormq.cluster.services import MeshServices
from actormq.errors import ActormqError, ActorNotFound, NodeNotRunning, SetupError
from actormq.events import Events, NodeStarted, NodeStopped
from actormq.family import Family
from actormq.ledger import Ledger
from actormq.machine import MACHINE, Machine
from actormq.mailbox import State
from actormq.message import PROTOCOL
from actormq.observe.logs import log_events
from actormq.place import LOOP
from actormq.ref import Ref
from actormq.runtime import Runtime
from actormq.settings import NodeOptions, Settings, checked
from actormq.steward import Steward
from actormq.stopping import stop_all
from actormq.turns import described

A = TypeVar("A")
P = ParamSpec("P")

CLOSING_SHARE, CLOSING_MOST = 0.3, 0.5  # of shutdown_timeout, and s, for goodbyes and sockets
HANDLERS_SHARE = 0.9  # of what is left then, so that those who are late still end in order
_NAME_LIMIT = 255  # characters of an actor's name, as on the wire
_STARTED: weakref.WeakSet[Node] = weakref.WeakSet()


def started_nodes() -> list[Node]:
    """The nodes of this process that were ever started, and are still held; for tests."""
    return list(_STARTED)


class Node:
    """One process's part of a mesh: one loop, its actors, its links.

    Use it as `async with Node(mesh="home") as node:`, or let `run` do that.

    Args:
        machine: What it runs on, another than this computer in a simulation.
        options: The settings, see `Settings`.

    Attributes:
        id: 16 hex digits, new for every node.
        name: Its name, for people.
        events: What it reports.
        failure: What ended it, if `fail` did.
        left: What had not ended when it stopped, in words.

    Raises:
        SetupError: A setting cannot be.
    """

    def __init__(self, machine: Machine = MACHINE, /, **options: Unpack[NodeOptions]) -> None:
        self._machine = machine
        self._settings = _named(checked(options), machine)
        self._is_guest = False
        self.id = machine.new_node_id()
        self.name = self._settings.name
        self.events = Events()
        self.directory = Directory(self.id)
        self._runtime: Runtime | None = None
        self._mesh: Mesh | None = None
        self._post: Post | None = None
        self._services: MeshServices | None = None
        self._discovery: Discovery | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._ended: asyncio.Event | None = None
        self._end_log: Callable[[], None] | None = None
        self._awaited_count = 0
        self._failed: list[Callable[[], object]] = []
        self.failure: BaseException | None = None
        self.left: list[str] = []
        self._tasks: dict[asyncio.Future[Any], None] = {}
        self._serials = itertools.count(NODE_SERIAL)

    @classmethod
    def guest(cls, **options: Unpack[NodeOptions]) -> Node:
        """A node that listens nowhere and runs no part of the mesh, such as a command line.

        Args:
            options: As for a node; without `mesh` it takes part in whichever it finds.
        """
        node = cls(**options)
        node._is_guest = True
        if "mesh" not in options:
            node._settings = msgspec.structs.replace(node._settings, mesh="")
        return node

    # -- facts --------------------------------------------------------------------------------

    @property
    def mesh(self) -> str:
        """The name of its mesh."""
        return self._mesh.facts.mesh if self._mesh is not None else self._settings.mesh

    @property
    def mesh_view(self) -> Mesh:
        """Who is there, as this node sees it."""
        self._running()
        assert self._mesh is not None
        return self._mesh

    @property
    def address(self) -> str:
        """An endpoint at which others can dial it, tcp; "" for a guest."""
        tcp = [e for e in self.mesh_view.facts.endpoints if e.startswith("tcp://")]
        return tcp[0] if tcp else ""

    @property
    def is_running(self) -> bool:
        """Whether it has started and not begun to stop."""
        return self._runtime is not None and self._stopping is None

    def ledger(self) -> Ledger:
        """What became of the messages that were offered to this node's actors.

        Between two turns it balances: see `Ledger`.
        """
        runtime = self._running()
        books = runtime.books
        cells = list(runtime.registry.cells())
        waiting = sum(cell.mailbox_count for cell in cells)
        from_threads = sum(cell.inlet_count for cell in cells)  # counted as sent on the loop
        return Ledger(
            books.sent + sum(cell.sent_count for cell in cells) + from_threads,
            books.delivered + sum(cell.received_count for cell in cells),
            dict(books.dropped),
            waiting,
        )

    def _running(self) -> Runtime:
        if self._runtime is None:
            raise NodeNotRunning(self.name)
        return self._runtime

    # -- actors -------------------------------------------------------------------------------

    async def spawn(
        self, actor: Callable[P, A], name: str | None = None, /, *args: P.args, **kwargs: P.kwargs
    ) -> Ref[A]:
        """Start an actor on this node.

        Args:
            actor: Its class.
            name: The name by which the mesh finds it; None for none.
            args: What its constructor takes.
            kwargs: Likewise.

        Returns:
            A ref to it, once `on_start` has run.

        Raises:
            SetupError: It is no actor class, or the name cannot be.
            NameTaken: An actor of this node has the name.
            StartFailed: The constructor or `on_start` raised.
            NodeNotRunning: The node has not started or is stopping.
        """
        cell = self.new_cell(actor, name, args, kwargs, None)
        await cell.start()
        return cell.ref

    def new_cell(
        self,
        kind: Any,
        name: str | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        family: Family | None,
        label: str = "",
    ) -> Cell:
        """Make room for an actor: its number, its name, its mailbox; it is not started yet.

        Args:
            kind: Its class.
            name: Its name.
            args: What its constructor takes.
            kwargs: Likewise.
            family: The children of the actor that starts it; None for the node itself.
            label: What people call it; by default its name, or its class and number.

        Raises:
            SetupError: It is no actor class, or the name cannot be.
            NameTaken: An actor of this node has the name.
            NodeNotRunning: The node has not started or is stopping.
        """
        runtime = self._running()
        if self._stopping is not None:
            raise NodeNotRunning(self.name)
        if not (isinstance(kind, type) and issubclass(kind, Actor)):
            raise SetupError(f"{kind!r} is no actor: spawn takes a class that extends Actor")
        if name is not None and not (
            isinstance(name, str) and 0 < len(name) <= _NAME_LIMIT and name.isprintable()
        ):
            raise SetupError(f"actor name {name!r} is no text of 1 to {_NAME_LIMIT} characters")
        runtime.registry.check(name)
        serial = next(self._serials)
        label = label or name or f"{kind.__name__.lower()}#{serial}"
        address = runtime.address(serial, label)
        cell = Cell(runtime, (kind, args, kwargs), address, name, family)
        if kind.runs_in != LOOP:
            cell.place = runtime.places.new(cell, kind, args, kwargs)
        runtime.registry.add(cell)
        return cell

    # -- names --------------------------------------------------------------------------------

    async def find(self, name: str, *, timeout: float | None = None) -> Ref[Any]:
        """Find an actor by its name, on this node first, then on any of the mesh.

        Args:
            name: The name it was spawned with.
            timeout: Seconds to wait for it; by default `ask_timeout`, 0 does not wait.

        Raises:
            ActorNotFound: Nobody held the name in time.
            SetupError: The name is no text.
        """
        runtime = self._running()
        if not isinstance(name, str):
            raise SetupError(f"find({name!r}): actors are found by the name they were spawned with")
        limit = runtime.settings.ask_timeout if timeout is None else timeout
        found = self.find_all(name)
        if not found and limit > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit), contextlib.aclosing(self.watch(name)) as changes:
                    async for refs in changes:
                        found = refs
                        if found:
                            break
        if not found:
            raise ActorNotFound(name, self.mesh, limit)
        return found[0]

    def find_all(self, name: str) -> list[Ref[Any]]:
        """All actors of a name that are known now: our own first, then the longest known."""
        runtime = self._running()
        found = []
        for node, entry in self.directory.named(name):
            address = Address(node, entry.serial, entry.name)
            found.append(self._ref(runtime, address))
        return found

    async def watch(self, name: str) -> AsyncGenerator[list[Ref[Any]]]:
        """Follow who holds a name: yields all its refs now, and again whenever they change."""
        self._running()
        changed = asyncio.Event()

        def note(names: set[str], _services: set[str]) -> None:
            if name in names:
                changed.set()

        end = self.directory.watch(note)
        try:
            while True:
                changed.clear()
                yield self.find_all(name)
                await changed.wait()
        finally:
            end()

    def _ref(self, runtime: Runtime, address: Address) -> Ref[Any]:
        assert self._post is not None
        return ref_of(runtime, self._post, address)

    def steward_of(self, node_id: str, name: str) -> Ref[Steward]:
        """The own actor of a node, which answers for it."""
        return self._ref(self._running(), Address(node_id, NODE_SERIAL, name))

    # -- life ---------------------------------------------------------------------------------

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
        if self._runtime is not None or self._ended is not None:
            raise SetupError(f"node {self.name!r} has been started before: make a new one")
        self._ended = asyncio.Event()
        _STARTED.add(self)
        parts = assemble(self, self._settings, self._machine, self._serials)
        self._mesh, self._post, self._services = parts.mesh, parts.post, parts.services
        runtime = self._runtime = parts.runtime
        assert self._mesh is not None
        try:
            if not self._is_guest:
                self._mesh.listen()
            self._end_log = log_events(
                self.events, self.name, runtime.loop.call_later, runtime.loop.now
            )
            # Every node has one: it is found by the node, not by name.
            await self.new_cell(Steward, None, (self._vouched,), {}, None, "node").start()
            self._mesh.start()
            if self._settings.discovery:
                await self._discover()
            runtime.watched.begin()  # not before: what is imported meanwhile is nobody's fault
        except BaseException:
            await self._close(runtime, self._settings.shutdown_timeout)
            raise
        self.events.emit(NodeStarted(self.name, self.mesh, self._mesh.facts.endpoints, self.id))

    def _vouched(self, token: int, stream: int, baseline: dict[str, int] | None) -> None:
        assert self._services is not None
        self._services.vouched(token, stream, baseline)

    async def _discover(self) -> None:
        assert self._mesh is not None
        discovery = self._machine.discovery(self._settings)
        try:
            await discovery.start(self._mesh.hint)
        except DiscoveryUnavailable as error:
            self.events.notice(logging.WARNING, str(error))
            return
        self._discovery = discovery
        if not self._is_guest:
            facts = self._mesh.facts
            await discovery.announce(
                Announcement(
                    facts.mesh, facts.node, facts.name, facts.scope, facts.endpoints, PROTOCOL
                )
            )

    def keep(self, task: asyncio.Future[Any]) -> None:
        """Hold on to a task until it ends, or until the node does."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    # -- the end ------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stop the actors, say goodbye, close everything.

        Nothing new is taken; handlers under way end, children before parents, the last that was
        started first; what is left in mailboxes is answered or counted. Takes `shutdown_timeout`
        at most, and says what did not end by then. A node that has stopped already is no error.
        """
        if self._runtime is None:
            return
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(self._runtime))
        await asyncio.shield(self._stopping)

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
        for ended in self._failed:
            self._runtime.loop.call_soon(ended)  # behind the answer that the asker is given
        self.keep(asyncio.ensure_future(self.stop()))

    def when_failed(self, failed: Callable[[], object]) -> None:
        """Call `failed` as soon as the node is ended by `fail`."""
        self._failed.append(failed)

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

    def unended(self) -> list[str]:
        """Say what has not ended, a line each; from any thread, also while the loop is held."""
        return unended.of_node(self._runtime) if self._runtime is not None else []

    @property
    def shutdown_timeout(self) -> float:
        """Seconds that it may take to stop."""
        return self._settings.shutdown_timeout

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for it to stop: its end is then what they want."""
        return self._awaited_count > 0

    async def _stop(self, runtime: Runtime) -> None:
        assert self._services is not None
        deadline = runtime.loop.now() + self._settings.shutdown_timeout
        self._services.withdraw_all()
        cells = [c for c in runtime.registry.cells() if c.address.serial != NODE_SERIAL]
        whole = self._settings.shutdown_timeout
        limit = whole - min(CLOSING_SHARE * whole, CLOSING_MOST)
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
        if self._discovery is not None:
            await self._discovery.stop()
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
        traffic = dataclasses.asdict(self._mesh.traffic())
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
