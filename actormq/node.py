"""A node: what it is and knows, its actors and their names; `life.py` starts and ends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

import msgspec

from actormq.actor import Actor
from actormq.address import NODE_SERIAL, Address
from actormq.assembly import ref_of
from actormq.cell import Cell
from actormq.cluster.mesh import Mesh
from actormq.errors import ActorNotFound, NodeNotRunning, SetupError
from actormq.events import MemberChanged
from actormq.family import Family
from actormq.ledger import Ledger
from actormq.life import STARTED, Life
from actormq.machine import MACHINE, Machine
from actormq.members import MemberInfo
from actormq.place import LOOP
from actormq.ref import Ref
from actormq.runtime import Runtime
from actormq.settings import PAUSE_EVERY, NodeOptions
from actormq.steward import Steward

if TYPE_CHECKING:
    from actormq.farm.farm import Farm, FarmOptions

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")
AnyActor = TypeVar("AnyActor", bound=Actor)

_NAME_LIMIT = 255  # characters of an actor's name, as on the wire


def started_nodes() -> list[Node]:
    """The nodes of this process that were ever started, and are still held; for tests."""
    return list(STARTED)


class Node(Life):
    """One process's part of a mesh: one loop, its actors, its links.

    Use it as `async with Node(mesh="home") as node:`, or let `run` do that.

    Args:
        machine: What it runs on, another than this computer in a simulation.
        options: The settings, see `Settings`.

    Attributes:
        id: 16 hex digits, new for every node.
        name: Its name, for people.
        events: What it reports.
        directory: What is known to be there: names and services, by node.
        failure: What ended it, if `fail` did.
        was_drained: Whether it was drained, and stopped then.
        left: What had not ended when it stopped, in words.

    Raises:
        SetupError: A setting cannot be.
    """

    def __init__(self, machine: Machine = MACHINE, /, **options: Unpack[NodeOptions]) -> None:
        super().__init__(machine, options)

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
        self._spawn_count += 1
        if self._spawn_count % PAUSE_EVERY == 0:
            await asyncio.sleep(0)  # who starts thousands in a row leaves the loop to others
        cell = self.new_cell(actor, name, args, kwargs, None)
        starting = cell.start(args, kwargs)
        if starting is not None:
            await starting
        return Ref(cell)

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
        runtime = self._runtime
        if runtime is None or self._stopping is not None:
            raise NodeNotRunning(self.name)
        is_plain = isinstance(kind, type) and getattr(kind, "_actormq_is_plain", None)
        if not is_plain:
            _check_kind(kind, name)
        if name is not None:
            _check_name(name)
            runtime.registry.check(name)
        cell = Cell(runtime, kind, next(self._serials), name, family, label)
        if not is_plain and kind.runs_in != LOOP:
            cell.place = runtime.places.new(cell, kind, args, kwargs)
        runtime.registry.add(cell)
        return cell

    # -- farms --------------------------------------------------------------------------------

    @overload
    def farm(self, function: type[Actor], **options: Unpack[FarmOptions]) -> Farm[Any, Any]: ...
    @overload  # a handler that needs no argument, and so would pass for a function of an actor
    def farm(
        self, function: Callable[[AnyActor], Awaitable[R]], **options: Unpack[FarmOptions]
    ) -> Farm[Any, R]: ...
    @overload
    def farm(
        self, function: Callable[[AnyActor], R], **options: Unpack[FarmOptions]
    ) -> Farm[Any, R]: ...
    @overload
    def farm(
        self, function: Callable[[T], Awaitable[R]], **options: Unpack[FarmOptions]
    ) -> Farm[T, R]: ...
    @overload
    def farm(self, function: Callable[[T], R], **options: Unpack[FarmOptions]) -> Farm[T, R]: ...
    @overload
    def farm(
        self, function: Callable[[AnyActor, T], Awaitable[R]], **options: Unpack[FarmOptions]
    ) -> Farm[T, R]: ...
    @overload
    def farm(
        self, function: Callable[[AnyActor, T], R], **options: Unpack[FarmOptions]
    ) -> Farm[T, R]: ...
    @overload
    def farm(self, function: Any, **options: Unpack[FarmOptions]) -> Farm[Any, Any]: ...
    def farm(self, function: Any, **options: Unpack[FarmOptions]) -> Farm[Any, Any]:
        """Make a farm: it runs one function over many inputs on the workers of the mesh.

        Use it as `async with node.farm(f) as farm`; see `Farm.map`.

        Args:
            function: A function at the top of a module that the workers have as well, an Actor
                class with exactly one handler, or such a handler as `Class.handler`. It runs in
                processes, one task at a time in each. Type checkers know what a function and a
                `Class.handler` take and give; of a class as a whole they cannot: `result.value` is
                `Any` there.
            options: See `FarmOptions`.

        Raises:
            SetupError: The function cannot be found by its name, or an option cannot be.
        """
        from actormq.farm.farm import Farm  # noqa: PLC0415 nodes without a farm need none of it

        return Farm(self, function, **options)

    # -- members ------------------------------------------------------------------------------

    def members(self) -> list[MemberInfo]:
        """The nodes of the mesh as this one sees them: itself first, those that are gone last.

        Guests, such as the command line, are not listed. Those that are gone stay listed for as
        long as there is room to remember them, some thousand.
        """
        return self.mesh_view.infos()

    async def watch_members(self) -> AsyncGenerator[list[MemberInfo]]:
        """Follow who is there: yields all members now, and again whenever one changes."""
        mesh = self.mesh_view
        changed = asyncio.Event()
        end = self.events.listen(lambda _: changed.set(), MemberChanged)
        try:
            while True:
                changed.clear()
                yield mesh.infos()
                await changed.wait()
        finally:
            end()

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
            assert self._elections is not None
            raise ActorNotFound(name, self.mesh, limit, self._elections.hindrance())
        return found[0]

    def find_all(self, name: str) -> list[Ref[Any]]:
        """All actors of a name that are known now: our own first, then the longest known.

        Those of nodes that are suspected come last. Of an elected name, the one that holds it.
        """
        runtime = self._running()
        assert self._elections is not None
        holders = list(self._elections.found(self.directory.named(name)))
        holders.sort(key=lambda holder: self.mesh_view.is_suspect(holder[0]))
        found = [
            self._ref(runtime, Address(node, entry.serial, entry.name)) for node, entry in holders
        ]
        if self.is_draining:  # the others know nothing of ours any more, but what is left may
            own = runtime.registry.by_name(name)
            found = [own.ref, *found] if own is not None else found
        return found

    async def watch(self, name: str) -> AsyncGenerator[list[Ref[Any]]]:
        """Follow who holds a name: yields all its refs now, and again whenever they change."""
        self._running()
        changed = asyncio.Event()
        last: list[Ref[Any]] | None = None

        def note(names: set[str], _services: set[str]) -> None:
            if name in names:
                changed.set()

        end = self.directory.watch(note)
        try:
            while True:
                changed.clear()
                refs = self.find_all(name)
                if refs != last:  # those who only stand by come and go unseen
                    last = refs
                    yield list(refs)
                await changed.wait()
        finally:
            end()

    def _ref(self, runtime: Runtime, address: Address) -> Ref[Any]:
        assert self._post is not None
        return ref_of(runtime, self._post, address)

    def steward_of(self, node_id: str, name: str) -> Ref[Steward]:
        """The own actor of a node, which answers for it."""
        return self._ref(self._running(), Address(node_id, NODE_SERIAL, name))


def _check_kind(kind: Any, name: str | None) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Actor)):
        raise SetupError(f"{kind!r} is no actor: spawn takes a class that extends Actor")
    if kind.elected and name is None:
        raise SetupError(
            f"{kind.__name__} is elected, and so needs the name that one of its actors holds: "
            f"spawn({kind.__name__}, {kind.__name__.lower()!r})"
        )


def _check_name(name: Any) -> None:
    if not (isinstance(name, str) and 0 < len(name) <= _NAME_LIMIT and name.isprintable()):
        raise SetupError(f"actor name {name!r} is no text of 1 to {_NAME_LIMIT} characters")
