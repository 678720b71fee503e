"""Makes the parts of a node, from the ground up; `node.py` starts and stops them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from actormq.address import ActorEntry, Address
from actormq.cell import Cell
from actormq.cluster.elections import Elections
from actormq.cluster.electorate import MeshElectorate
from actormq.cluster.member import Member
from actormq.cluster.mesh import Mesh
from actormq.cluster.post import Post
from actormq.cluster.services import MeshServices
from actormq.cluster.watches import Watches
from actormq.codec import Codec
from actormq.deadlines import Deadlines
from actormq.ledger import Books
from actormq.machine import Machine
from actormq.message import Facts
from actormq.ref import Ref
from actormq.registry import Registry
from actormq.reply import Reply
from actormq.runtime import Runtime
from actormq.settings import Settings
from actormq.stepping import Stepper

if TYPE_CHECKING:
    from actormq.life import Life


class Parts(msgspec.Struct, frozen=True):
    """What a node consists of.

    Attributes:
        runtime: What its actors are run with.
        mesh: Who is there.
        post: Messages to and from other nodes.
        services: Who offers what.
        elections: Who holds the elected names.
    """

    runtime: Runtime
    mesh: Mesh
    post: Post
    services: MeshServices
    elections: Elections


def assemble(node: Life, settings: Settings, machine: Machine, serials: Iterator[int]) -> Parts:
    """Make the parts of a node.

    Args:
        node: The node.
        settings: What it was told.
        machine: What it runs on.
        serials: Numbers for its actors and sockets.
    """
    loop = machine.loop(settings)
    transport = machine.transport(loop, settings)
    codec = Codec(
        settings.message_limit,
        settings.buffer_limit,
        lambda value: value.address if isinstance(value, Ref) else None,
        lambda address: ref_of(runtime, post, address),
    )
    deadlines = Deadlines(loop)

    def changed(cell: Cell, is_there: bool) -> None:
        """Tell the mesh that an actor can be found by its name from now on, or no more."""
        if cell.kind.elected:
            (elections.enter if is_there else elections.leave)(cell)
        elif not is_there:
            services.withdraw(cell.address.serial)
        elif not node.is_draining:
            assert cell.name is not None
            kind = f"{cell.kind.__module__}:{cell.kind.__qualname__}"
            services.announce_actor(ActorEntry(cell.address.serial, cell.name, kind))

    registry = Registry(node.name, changed)
    books = Books()
    post = Post(
        node.id,
        loop,
        codec,
        deadlines,
        node.events,
        registry,
        settings,
        lambda other: mesh.partner(other),  # noqa: PLW0108 made below
        lambda other: mesh.membership.has_ended(other),  # noqa: PLW0108 as above
        books,
    )
    watches = Watches(node.id, registry, post)

    def lost(member: Member, reason: str) -> None:
        post.lost(member, reason)
        watches.lost(member, reason)

    def linked(member: Member) -> None:
        watches.linked(member)
        services.linked(member)

    def ticked(now: float) -> None:
        post.probes.look(now)
        deadlines.sweep()

    scope = machine.scope(settings)
    facts = Facts(settings.mesh, node.id, 1, node.name, scope, (), machine.identity())
    mesh = Mesh(
        loop,
        transport,
        codec,
        node.events,
        settings,
        facts,
        node.directory,
        machine.chance,
        post.take,
        watches.take,
        linked,
        lost,
        ticked,
        machine.names(),
    )
    services = MeshServices(node.id, node.directory, mesh, post)
    elections = Elections(
        node.id,
        loop,
        node.directory,
        node.events,
        MeshElectorate(mesh),
        services,
        node.keep,
        settings.expected_nodes,
    )
    stopped: Reply[None] = Reply(loop, "", "stop", 0.0)
    stopped.resolve(None)
    runtime = Runtime(
        node=node,
        node_id=node.id,
        settings=settings,
        loop=loop,
        transport=transport,
        codec=codec,
        events=node.events,
        deadlines=deadlines,
        stepper=Stepper(loop.aio),
        threads=machine.threads(node.name),
        registry=registry,
        services=services,
        watching=watches,
        elections=elections,
        books=books,
        next_serial=lambda: next(serials),
        places=machine.places(),
        chance=machine.chance,
        stopped=stopped,
        watched=machine.watch(
            node.id,
            loop,
            settings.hold_limit,
            lambda event: node.events.emit_from_thread(event, loop.call_from_thread),
        ),
    )
    return Parts(runtime, mesh, post, services, elections)


def ref_of(runtime: Runtime, post: Post, address: Address) -> Ref[Any]:
    """A ref to an actor: of this node, if it lives here, or of another."""
    if address.node == runtime.node_id:
        cell = runtime.registry.by_serial(address.serial)
        if cell is not None:
            return cell.ref
    return post.ref(address)
