"""Tries the real thing: nodes that are started here, for seconds, and meet others.

They hold no actors but their own, and leave in order. Two that meet here have a mesh of their own;
one that meets nodes elsewhere is a member of their mesh meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final

from actormq.cluster.discovery import Announcement, DiscoveryUnavailable
from actormq.cluster.mdns import Mdns
from actormq.cluster.member import Member
from actormq.doctor.limits import free_port
from actormq.errors import ActormqError, HandlerNotFound
from actormq.message import PROTOCOL
from actormq.node import Node
from actormq.rules.findings import Dialled, Echo, Hello, Intent, Meeting, Pair
from actormq.steward import Steward

LISTEN: Final = 1.6  # s; who was asked by somebody else just now keeps silent for 1.2 s (measured)
FIND: Final = 3.0  # s for two nodes here to find each other; 0.3 s is usual
BY_ITSELF: Final = 1.6  # s for a node to be found by mDNS; as LISTEN
GREET: Final = 2.5  # s for a hello; the dialler gives up after 2 s
REACH: Final = 2.3  # s for a node to be reached in both directions, once it is told to
ECHO: Final = 1.0  # s for a small message
ECHO_LARGE: Final = 2.0  # s for a large one; time for TCP to send it again several times
ECHOES: Final = 3  # small messages; the quickest says best how far the clocks are apart
LARGE: Final = 64 * 1024  # bytes: dozens of packets, each as large as they may be

DOCTOR: Final = "doctor"  # how names of such nodes and meshes begin
_OURS: Final = re.compile(rf"{DOCTOR}-[0-9A-Za-z]+-[0-9a-f]{{4}}")  # see `_name`


def loopback_scope() -> str:
    """The scope of nodes that stay on this machine."""
    return f"loopback:{os.getuid()}"


async def listen(found: dict[str, Announcement]) -> str:
    """Collect for `LISTEN` who announces itself, on all interfaces.

    Args:
        found: Where to put them, by node id.

    Returns:
        Why that is not possible; "" if it is.
    """

    def note(announcement: Announcement) -> None:
        is_ours = announcement.mesh.startswith(f"{DOCTOR}-") or _OURS.fullmatch(announcement.name)
        if not is_ours:  # another look, at the same time
            found[announcement.node_id] = announcement

    mdns = Mdns(loopback=False)
    try:
        await mdns.start(note)
        await asyncio.sleep(LISTEN)
    except DiscoveryUnavailable as error:
        return error.cause
    finally:
        await mdns.stop()
    return ""


async def pair(intent: Intent) -> Pair:
    """Start two nodes, and see whether they find each other by mDNS; takes `FIND` at most.

    Args:
        intent: How nodes are started.
    """
    loop = asyncio.get_running_loop()
    mesh, lan = f"{DOCTOR}-{secrets.token_hex(4)}", intent.lan
    try:
        async with (
            Node(mesh=mesh, insecure_lan=lan, port=free_port(), name=f"{DOCTOR}-1") as one,
            Node(mesh=mesh, insecure_lan=lan, port=free_port(), name=f"{DOCTOR}-2") as other,
        ):
            start = loop.time()
            is_there = await _until(lambda: _has(one, other.id) and _has(other, one.id), FIND)
            return Pair(loop.time() - start if is_there else None)
    except (ActormqError, OSError) as error:
        return Pair(None, str(error))


@contextlib.asynccontextmanager
async def guest(place: str, *, lan: bool) -> AsyncGenerator[Node]:
    """A guest of whichever mesh the node at a place belongs to."""
    async with Node.guest(join=(place,), insecure_lan=lan, discovery=False, name=_name()) as node:
        yield node


async def greet(node: Node, place: str) -> Hello:
    """Wait for the answer to a guest's hello; takes `GREET` at most.

    Args:
        node: The guest.
        place: Whom it dialled.
    """
    reach, endpoint = node.mesh_view.reach, f"tcp://{place}"
    await _until(lambda: bool(_linked(node, endpoint) or endpoint in reach.refusals), GREET)
    member = _linked(node, endpoint)
    if member is not None:
        facts = member.facts
        return Hello(facts.name, facts.node, facts.mesh, facts.scope)
    return Hello(refused=reach.refusals.get(endpoint, ""))


def _linked(node: Node, endpoint: str) -> Member | None:
    """The member that answered at an endpoint."""
    members = node.mesh_view.members.values()
    return next((m for m in members if m.link is not None and m.link.endpoint == endpoint), None)


async def echo(node: Node, hello: Hello) -> Echo:
    """Let the other node send messages back; takes `ECHO` and `ECHO_LARGE` at most.

    Args:
        node: A guest that it has let in.
        hello: Its answer.
    """
    steward = node.steward_of(hello.node, hello.name)
    found = Echo(None, size=LARGE)
    try:
        async with asyncio.timeout(ECHO):
            for _ in range(ECHOES):
                sent, start = time.time(), time.perf_counter()
                wall, _ = await steward.within(ECHO).ask(Steward.echo, b"")
                trip = time.perf_counter() - start
                if found.round_trip is None or trip < found.round_trip:
                    ahead = wall - (sent + trip / 2)
                    found = dataclasses.replace(found, round_trip=trip, ahead=ahead)
    except HandlerNotFound:
        return dataclasses.replace(found, is_known=False)
    except (ActormqError, TimeoutError):
        if found.round_trip is None:
            return found
    payload = os.urandom(LARGE)
    with contextlib.suppress(ActormqError):
        _, back = await steward.within(ECHO_LARGE).ask(Steward.echo, payload)
        return dataclasses.replace(found, large=back == payload)
    return found


class Delegate:
    """A node of ours in one mesh, which is to meet nodes of it on other machines.

    For `BY_ITSELF` it is left to find them by mDNS; only then is it told whom to dial, as by
    `--join`. Who is met through a node that it was told of would otherwise count as found.

    Args:
        mesh: The mesh.
        intent: How nodes are started.
        lan: Whether it is open to the network.
        port: Where it shall listen; 0 for a free port.
    """

    def __init__(self, mesh: str, intent: Intent, *, lan: bool, port: int) -> None:
        self._node = Node(mesh=mesh, insecure_lan=lan, port=port, name=_name())
        self._window = 0.0 if intent.joins else BY_ITSELF
        self._started_at = 0.0
        self._found: frozenset[str] | None = None  # by mDNS; None until that is settled
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Join the mesh.

        Raises:
            ActormqError: The node cannot start.
        """
        await self._node.start()
        loop = asyncio.get_running_loop()
        self._started_at = loop.time()
        self._timer = loop.call_later(self._window, self._settle)

    def _settle(self) -> None:
        node = self._node
        self._found = frozenset(each for each in node.mesh_view.members if _has(node, each))

    async def meet(self, hello: Hello, dialled: Dialled) -> Meeting:
        """See whether we and another node become members of one mesh.

        Takes `BY_ITSELF` and `REACH` at most.

        Args:
            hello: The other node.
            dialled: The way to it.
        """
        loop, node, other = asyncio.get_running_loop(), self._node, hello.node
        await _until(lambda: self._found is not None or _has(node, other), 2 * BY_ITSELF)
        by_itself: float | None = None
        if _has(node, other) if self._found is None else other in self._found:
            by_itself = min(loop.time() - self._started_at, self._window)
        else:
            ours, place = node.mesh_view.facts, f"tcp://{dialled.place}"
            told = (ours.mesh, other, "told", ours.scope, (place,), PROTOCOL)
            node.mesh_view.hint(Announcement(*told))
            await _until(lambda: _has(node, other), REACH)
        there, back = _ways(node, other)
        own = int(node.address.rpartition(":")[2] or 0)
        return Meeting(by_itself, there, back, heard=False, port=own)

    async def stop(self) -> None:
        """Leave the mesh."""
        if self._timer is not None:
            self._timer.cancel()
        await self._node.stop()


def _ways(node: Node, other: str) -> tuple[bool, bool]:
    """Whether our node has reached another, and has been reached by it."""
    member = node.mesh_view.members.get(other)
    if member is None:
        return False, False
    return member.link is not None, bool(member.sessions)


def _has(node: Node, other: str) -> bool:
    """Whether another is a member for a node: reached, and heard."""
    return all(_ways(node, other))


def _name() -> str:
    """A name for a node of ours that says whose it is, to whoever reads it elsewhere."""
    host = "".join(c for c in socket.gethostname() if c.isascii() and c.isalnum())[:20]
    return f"{DOCTOR}-{host or 'node'}-{secrets.token_hex(2)}"


async def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for something that no event tells of; say whether it came to be."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 no event
                await asyncio.sleep(0.01)
            return True
    return False
