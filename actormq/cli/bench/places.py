"""Where is measured: in this process, between two of this machine, over each link of the mesh."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import Protocol

from actormq.cli.bench.figures import Place, Report
from actormq.cli.bench.rounds import (
    PAYLOAD,
    Counter,
    Part,
    at_once,
    echoes,
    in_rounds,
    one_by_one,
    tells,
)
from actormq.cli.guest import guest
from actormq.errors import ActormqError, ActorNotFound, MeshNotFound
from actormq.node import Node
from actormq.ref import Ref
from actormq.settings import NodeOptions
from actormq.steward import Steward

LOCAL_SHARE, HOST_SHARE = 0.25, 0.35  # of the time; the links have the rest
BODY = 1_000_000  # bytes of a large body between processes
LINK_BODY = 256 * 1024  # bytes of one over a link: a second and a half of slow Wi-Fi would be long
START = 5.0  # s for the second process; it takes half a second, or some on a busy machine
STOP = 5.0  # s for it to end, before it is killed
ANSWER = 1.5  # s for a node to answer, as `actormq ps` gives it
GRACE = 2.0  # s past their time, after which links that are slow keep nobody waiting any more


class Showing(Protocol):
    """Shows the places while they are measured."""

    def begun(self, place: Place) -> None:
        """One is about to be measured."""

    def ended(self, place: Place) -> None:
        """One has been, as far as it came."""


class Tour:
    """Goes from place to place, nearest first, one at a time so that none disturbs another.

    Args:
        report: Keeps what is measured.
        showing: Is told of each place.
        seconds: To measure in all; finding the mesh and starting a process are beside it.
    """

    def __init__(self, report: Report, showing: Showing, seconds: float) -> None:
        self._report = report
        self._showing = showing
        self._seconds = seconds

    async def near(self) -> None:
        """Measure in this process, and between two of this machine."""
        # The process is ended when our node has gone: alone, it ends without a pause.
        async with contextlib.AsyncExitStack() as after, _own_node() as node:
            ref = await node.spawn(Counter)
            with self._at(Place("local", "this process")) as place:
                await in_rounds(place, _near_parts(ref), self._seconds * LOCAL_SHARE)
            with self._at(Place("host", "two processes of this host")) as place:
                try:
                    far = await _second(node, after)
                except ActorNotFound:
                    place.note(f"the second process did not start within {START:g} s")
                    return
                place.way = _way(node, far.address.node)
                parts = [*_near_parts(far), _large(far)]
                await in_rounds(place, parts, self._seconds * HOST_SHARE)

    async def far(self, options: NodeOptions) -> bool:
        """Measure each link to the nodes that are there; say whether there were any.

        Args:
            options: Which mesh, as for `guest`.
        """
        try:
            async with guest(options) as node:
                await self._links(node)
        except MeshNotFound as error:
            self._report.notes.append(f"no other node was measured: {error}")
            return False
        return True

    async def _links(self, node: Node) -> None:
        entries = sorted(node.mesh_view.peers(), key=lambda entry: entry.facts.name)
        refs = [node.steward_of(entry.facts.node, entry.facts.name) for entry in entries]
        said = await asyncio.gather(*map(_silence, refs))
        seconds = self._seconds * (1 - LOCAL_SHARE - HOST_SHARE)
        begun = time.perf_counter()
        left = sum(not why for why in said)
        for entry, ref, why in zip(entries, refs, said, strict=True):
            place = Place("link", entry.facts.name, _way(node, entry.facts.node))
            with self._at(place):
                if why:
                    place.note(why)
                    continue
                used = time.perf_counter() - begun
                share = max(seconds - used, 0.0) / left
                left -= 1
                try:
                    async with asyncio.timeout(max(seconds + GRACE - used, 0.0)):
                        await in_rounds(place, _link_parts(ref), share)
                except TimeoutError:
                    place.note("its time was over: give more with --seconds")

    @contextlib.contextmanager
    def _at(self, place: Place) -> Iterator[Place]:
        self._report.places.append(place)
        self._showing.begun(place)
        try:
            yield place
        finally:
            self._showing.ended(place)


def _near_parts(ref: Ref[Counter]) -> list[Part]:
    ask = partial(ref.ask, Counter.echo, PAYLOAD)
    return [partial(tells, ref), partial(one_by_one, ask), partial(at_once, ask)]


def _large(ref: Ref[Counter]) -> Part:
    return partial(echoes, "echo_1mb", partial(ref.ask, Counter.echo, bytes(BODY)), BODY)


def _link_parts(steward: Ref[Steward]) -> list[Part]:
    """What every node can answer."""
    steward = steward.within(ANSWER)
    ask = partial(steward.ask, Steward.echo, PAYLOAD)
    large = partial(steward.ask, Steward.echo, bytes(LINK_BODY))
    return [
        partial(one_by_one, ask),
        partial(at_once, ask),
        partial(echoes, "echo_256k", large, LINK_BODY),
    ]


async def _silence(steward: Ref[Steward]) -> str:
    """Why a node does not answer; "" if it does."""
    try:
        await steward.within(ANSWER).ask(Steward.echo, PAYLOAD)
    except ActormqError as error:
        return f"does not answer: {error}"
    return ""


def _way(node: Node, other: str) -> str:
    """The endpoint at which another node is spoken to; "" if there is no link to it now."""
    member = node.mesh_view.members.get(other)
    return member.link.endpoint if member is not None and member.link is not None else ""


@contextlib.asynccontextmanager
async def _own_node() -> AsyncGenerator[Node]:
    """A node in a mesh of its own, which no other finds."""
    async with Node(name="bench", mesh=f"bench-{os.urandom(6).hex()}", discovery=False) as node:
        yield node


async def _second(node: Node, after: contextlib.AsyncExitStack) -> Ref[Counter]:
    """Start a second node in a process of its own, and find its counter.

    Args:
        node: Which it joins.
        after: Ends the process.

    Raises:
        ActorNotFound: It did not start in time.
    """
    place = node.address.removeprefix("tcp://")
    command = [
        *(sys.executable, "-m", "actormq", "node", f"{Counter.__module__}:{Counter.__name__}"),
        *("--as", "second", "--name", "second", "--mesh", node.mesh, "--join", place),
        *("--no-zeroconf", "--quiet", "--parent", str(os.getpid())),
    ]
    # Ctrl-C is meant for us, who end it in order.
    process = subprocess.Popen(  # noqa: ASYNC220, S603 some milliseconds; our own words
        command, stdin=subprocess.DEVNULL, start_new_session=True
    )
    after.push_async_callback(_end, process)
    found: Ref[Counter] = await node.find("second", timeout=START)
    return found


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)
