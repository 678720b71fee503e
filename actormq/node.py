"""Puts the parts together: starts upward, stops downward."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import logging
import os
import secrets
import socket
import weakref
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, ParamSpec, Self, TypeVar, Unpack

import msgspec

from actormq.actor import Actor
from actormq.address import NODE_SERIAL, ActorEntry, Address, new_node_id
from actormq.cell import Cell
from actormq.cluster.directory import Directory
from actormq.cluster.discovery import Announcement, Discovery, DiscoveryUnavailable
from actormq.cluster.listener import host_identity
from actormq.cluster.mesh import Mesh
from actormq.cluster.post import Post
from actormq.cluster.services import MeshServices
from actormq.codec import Codec
from actormq.deadlines import Deadlines
from actormq.errors import ActorNotFound, NodeNotRunning, SetupError, StartFailed
from actormq.events import Events, NodeStarted
from actormq.loop import Loop
from actormq.message import PROTOCOL, Facts
from actormq.observe.logs import log_events
from actormq.ref import Ref
from actormq.registry import Registry
from actormq.rules.admission import LAN
from actormq.runtime import Runtime
from actormq.settings import NodeOptions, Settings, checked
from actormq.stepping import Stepper
from actormq.steward import Steward
from actormq.transport import Transport
from actormq.turns import kind_of

A = TypeVar("A")
P = ParamSpec("P")

_NAME_LIMIT = 255  # characters of an actor's name, as on the wire
_STARTED: weakref.WeakSet[Node] = weakref.WeakSet()


def started_nodes() -> list[Node]:
    """The nodes of this process that have started and not ended; for tests, which stop them."""
    return [node for node in _STARTED if node._runtime is not None]  # noqa: SLF001 our own class


class Node:
    """One process's part of a mesh: one loop, its actors, its links.

    Use it as `async with Node(mesh="home") as node:`, or let `run` do that.

    Args:
        options: The settings, see `Settings`.

    Attributes:
        id: 16 hex digits, new for every node.
        name: Its name, for people.
        events: What it reports.

    Raises:
        SetupError: A setting cannot be.
    """

    def __init__(self, **options: Unpack[NodeOptions]) -> None:
        self._settings = _named(checked(options))
        self._is_guest = False
        self.id = new_node_id()
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
        self._awaited_count = 0
        self._tasks: set[asyncio.Future[Any]] = set()
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
        runtime = self._running()
        if self._stopping is not None:
            raise NodeNotRunning(self.name)
        runtime.registry.check(name)
        cell = self._cell(runtime, actor, name, next(self._serials), args, kwargs)
        runtime.registry.add(cell)
        await cell.start()
        return cell.ref

    def _cell(
        self,
        runtime: Runtime,
        kind: Any,
        name: str | None,
        serial: int,
        args: Iterable[Any],
        kwargs: dict[str, Any],
    ) -> Cell:
        if not (isinstance(kind, type) and issubclass(kind, Actor)):
            raise SetupError(f"{kind!r} is no actor: spawn takes a class that extends Actor")
        if name is not None and not (
            isinstance(name, str) and 0 < len(name) <= _NAME_LIMIT and name.isprintable()
        ):
            raise SetupError(f"actor name {name!r} is no text of 1 to {_NAME_LIMIT} characters")
        label = name if name is not None else f"{kind.__name__.lower()}#{serial}"
        try:
            # In two steps, so that the constructor may already use `self.name` and the like.
            actor = kind.__new__(kind, *args, **kwargs)
            cell = Cell(runtime, actor, runtime.address(serial, label), name)
            kind.__init__(actor, *args, **kwargs)
        except Exception as error:  # a border: constructors are not ours
            raise StartFailed(label, "its constructor", kind_of(error), str(error)) from error
        return cell

    # -- names --------------------------------------------------------------------------------

    async def find(self, name: str, *, timeout: float | None = None) -> Ref[Any]:
        """Find an actor by its name, on this node first, then on any of the mesh.

        Args:
            name: The name it was spawned with.
            timeout: Seconds to wait for it; by default `ask_timeout`, 0 does not wait.

        Raises:
            ActorNotFound: Nobody held the name in time.
        """
        runtime = self._running()
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
        if address.node == self.id:
            cell = runtime.registry.by_serial(address.serial)
            if cell is not None:
                return cell.ref
        assert self._post is not None
        return self._post.ref(address)

    def steward_of(self, node_id: str, name: str) -> Ref[Steward]:
        """The own actor of a node, which answers for it."""
        return self._ref(self._running(), Address(node_id, NODE_SERIAL, name))

    # -- life ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

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
        runtime = self._runtime = self._assemble()
        assert self._mesh is not None
        try:
            if not self._is_guest:
                self._mesh.listen()
            log_events(self.events, self.name)
            steward = self._cell(
                runtime, Steward, "node", next(self._serials), (self._vouched,), {}
            )
            steward.name = None  # every node has one: it is found by the node, not by name
            runtime.registry.add(steward)
            await steward.start()
            self._mesh.start()
            if self._settings.discovery:
                await self._discover()
        except BaseException:
            await self._close(runtime)
            raise
        self.events.emit(NodeStarted(self.name, self.mesh, self._mesh.facts.endpoints))

    def _assemble(self) -> Runtime:
        """Make the parts, from the ground up."""
        settings = self._settings
        loop = Loop()
        frame_limit = max(settings.message_limit, settings.buffer_limit) + 64 * 1024
        transport = Transport(loop, settings.insecure_lan, frame_limit)
        codec = Codec(
            settings.message_limit,
            settings.buffer_limit,
            lambda value: value.address if isinstance(value, Ref) else None,
            lambda address: self._ref(runtime, address),
        )
        deadlines = Deadlines(loop)
        registry = Registry(self.name, self._registered)
        post = self._post = Post(
            self.id,
            loop,
            codec,
            deadlines,
            self.events,
            registry,
            settings,
            lambda node: mesh.members.get(node),  # noqa: PLW0108 made below
        )
        scope = LAN if settings.insecure_lan else f"loopback:{os.getuid()}"
        facts = Facts(settings.mesh, self.id, 1, self.name, scope, (), host_identity())
        mesh = self._mesh = Mesh(
            loop,
            transport,
            codec,
            self.events,
            settings,
            facts,
            self.directory,
            post.take,
            post.lost,
        )
        services = self._services = MeshServices(self.id, self.directory, mesh, post, self.events)
        threads = concurrent.futures.ThreadPoolExecutor(thread_name_prefix=f"actormq-{self.name}")
        runtime = Runtime(
            node=self,
            node_id=self.id,
            settings=settings,
            loop=loop,
            transport=transport,
            codec=codec,
            events=self.events,
            deadlines=deadlines,
            stepper=Stepper(loop.aio),
            threads=threads,
            registry=registry,
            services=services,
            next_serial=lambda: next(self._serials),
        )
        return runtime

    def _registered(self, cell: Cell, is_there: bool) -> None:
        assert self._services is not None
        if is_there:
            assert cell.name is not None
            kind = f"{cell.kind.__module__}:{cell.kind.__qualname__}"
            self._services.announce_actor(ActorEntry(cell.address.serial, cell.name, kind))
        else:
            self._services.withdraw(cell.address.serial)

    def _vouched(self, token: int, stream: int, baseline: dict[str, int] | None) -> None:
        assert self._services is not None
        self._services.vouched(token, stream, baseline)

    async def _discover(self) -> None:
        from actormq.cluster.mdns import Mdns  # noqa: PLC0415 costs 0.1 s that --join does not need

        assert self._mesh is not None
        discovery = Mdns(loopback=not self._settings.insecure_lan)
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
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Stop the actors, the last first, say goodbye, close everything.

        Takes `shutdown_timeout` at most. A node that has stopped already is no error.
        """
        if self._runtime is None:
            return
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(self._runtime))
        await asyncio.shield(self._stopping)

    async def stopped(self) -> None:
        """Wait until the node has stopped; under `run`, until Ctrl-C or SIGTERM."""
        if self._ended is None:
            raise NodeNotRunning(self.name)
        self._awaited_count += 1
        try:
            await self._ended.wait()
        finally:
            self._awaited_count -= 1

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for it to stop: its end is then what they want."""
        return self._awaited_count > 0

    async def _stop(self, runtime: Runtime) -> None:
        assert self._services is not None
        self._services.withdraw_all()
        cells = [c for c in runtime.registry.cells() if c.address.serial != NODE_SERIAL]
        limit = self._settings.shutdown_timeout
        stops = [asyncio.ensure_future(_awaited(cell.stop(limit))) for cell in reversed(cells)]
        if stops:
            _, late = await asyncio.wait(stops, timeout=limit + 1.5)
            for stop in late:
                stop.cancel()
            if late:
                left = ", ".join(c.address.label for c in cells if c.is_found)
                self.events.notice(logging.WARNING, f"did not stop in time: {left}")
        await self._close(runtime)

    async def _close(self, runtime: Runtime) -> None:
        """Close what `start` opened, downward."""
        assert self._mesh is not None
        steward = runtime.registry.by_serial(NODE_SERIAL)
        if steward is not None:
            await steward.stop(1.0)
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
            await asyncio.wait(tasks, timeout=1.0)
        runtime.threads.shutdown(wait=False, cancel_futures=True)
        # Waits until goodbyes have gone out, at most LINGER_MS: not on the loop.
        await asyncio.to_thread(runtime.transport.close)
        self._runtime = None
        assert self._ended is not None
        self._ended.set()


async def _awaited(reply: Any) -> None:
    await reply


def _named(settings: Settings) -> Settings:
    if settings.name:
        return settings
    host = socket.gethostname().partition(".")[0] or "node"
    clean = "".join(c if c.isalnum() and c.isascii() else "-" for c in host).strip("-") or "node"
    return msgspec.structs.replace(settings, name=f"{clean[:50]}-{secrets.token_hex(2)}")
