"""The places that somebody named: looked up and dialled until they answer, and when they are lost.

A place of `--join` is one node, whatever addresses its name has: the first that answers is it, and
tells of the others. A name of `--dns` stands for as many nodes as it has addresses.
While a place is a member of the mesh it is neither dialled nor looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from actormq.cluster.dns import Names, NameUnknown
from actormq.message import Facts
from actormq.rules.admission import LAN
from actormq.seeds import DEFAULT_PORT, DnsName, Place, tcp_endpoint

RETRY = 1.0  # s from a try to reach a place to the next
RETRY_MOST = 3.0  # s after tries that failed: a heal must be complete within 5 s
RETRY_GROWTH = 1.5  # of one wait to the next
RETRY_SELF = 30.0  # s for a name that led to this node itself, and may lead to others later
ASK_MOST = 15.0  # s between questions about a name that DNS does not know, from 2 s on


class Dialler(Protocol):
    """Who dials for us: `Reach`."""

    def dial_named(self, key: str, endpoints: Iterable[str]) -> None:
        """Dial a place, unless it is being dialled."""


class Hub(Protocol):
    """The mesh, as far as this needs it."""

    facts: Facts

    def is_member(self, node: str) -> bool:
        """Whether a node is in the mesh already."""

    def everybody(self) -> Collection[Facts]:
        """What the other nodes of the mesh say of themselves."""

    def remark(self, sentence: str) -> None:
        """Say something to whoever runs the node, once."""


class Seed:
    """One place.

    Attributes:
        key: What somebody wrote, or the endpoint that DNS told of.
        endpoints: Where it may answer; none before its name was looked up.
        place: What was written; None if DNS told of it.
        node: The id of the node that answered.
    """

    __slots__ = ("endpoints", "is_asked", "key", "node", "place", "retry", "tried_at")

    def __init__(self, key: str, place: Place | None, endpoints: list[str]) -> None:
        self.key = key
        self.place = place
        self.endpoints = endpoints
        self.node: str | None = None
        self.tried_at = 0.0
        self.retry = RETRY
        self.is_asked = False


class Source:
    """One name of `--dns`.

    Attributes:
        name: The name.
        due_at: When to ask again, on the node's clock in seconds.
        failed_count: Questions in a row that brought nothing.
        keys: The seeds that it has told of.
    """

    __slots__ = ("due_at", "failed_count", "is_asked", "keys", "name")

    def __init__(self, name: DnsName) -> None:
        self.name = name
        self.due_at = 0.0
        self.failed_count = 0
        self.is_asked = False
        self.keys: set[str] = set()


class Named:
    """Looks after the places that somebody named.

    Args:
        hub: The mesh.
        dialler: Dials them.
        names: Looks names up.
        joins: Places, by what was written.
        dns: Names that DNS is asked for.
        refusals: Where to write why a place is not there (yet).
        now: The node's clock.
    """

    def __init__(
        self,
        hub: Hub,
        dialler: Dialler,
        names: Names,
        joins: Mapping[str, Place],
        dns: Iterable[DnsName],
        refusals: Callable[[str, str], None],
        now: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._dialler = dialler
        self._names = names
        self._refused = refusals
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()
        self._sources = [Source(name) for name in dns]
        self._seeds: dict[str, Seed] = {}
        for key, place in joins.items():
            hosts = names.known(place.host)
            self._seeds[key] = Seed(key, place, _endpoints(hosts or [], place))

    def __contains__(self, key: str) -> bool:
        return key in self._seeds

    def __bool__(self) -> bool:
        return bool(self._seeds or self._sources)

    def tick(self, now: float) -> None:
        """Dial and look up what is due."""
        for seed in list(self._seeds.values()):
            if now - seed.tried_at >= seed.retry and not seed.is_asked and not self._is_there(seed):
                seed.tried_at = now
                self._try(seed)
        for source in self._sources:
            if now >= source.due_at and not source.is_asked:
                source.is_asked = True
                self._begin(self._ask(source))

    def _is_there(self, seed: Seed) -> bool:
        own = self._hub.facts
        if seed.node is not None and self._hub.is_member(seed.node):
            return True
        if seed.place is None:  # one of many, most of which are known by gossip
            place = seed.endpoints[0]
            every = (own, *self._hub.everybody())
            return any(place in facts.endpoints for facts in every) or seed.node == own.node
        return seed.node == own.node and self._names.known(seed.place.host) is not None

    def _try(self, seed: Seed) -> None:
        if seed.place is None or self._names.known(seed.place.host) is not None:
            self._dialler.dial_named(seed.key, seed.endpoints)
        else:
            seed.is_asked = True
            self._begin(self._look_up(seed, seed.place))

    # -- names --------------------------------------------------------------------------------

    async def _look_up(self, seed: Seed, place: Place) -> None:
        if not seed.endpoints:
            self._refused(seed.key, "its name has not been looked up yet")
        try:
            seed.endpoints = _endpoints(await self._names.addresses(place.host), place)
        except NameUnknown as error:
            if not seed.endpoints:  # else it has moved or DNS is away: it may still be there
                self.failed(seed.key, str(error))
        finally:
            seed.is_asked = False
            seed.tried_at = self._now()
        if seed.endpoints:
            self._dialler.dial_named(seed.key, seed.endpoints)

    async def _ask(self, source: Source) -> None:
        name = source.name.name
        life = 0.0
        try:
            found = await self._names.records(source.name)
        except NameUnknown as error:
            source.failed_count += 1
            life = min(2.0**source.failed_count, ASK_MOST)
            self._refused(name, str(error))
            self._hub.remark(f"--dns {name}: {error}; asking on")
        else:
            source.failed_count, life = 0, found.life
            if found.lacking:
                self._hub.remark(f"--dns {name}: {found.lacking}")
            self._take(source, found.endpoints)
        finally:
            source.is_asked = False
            source.due_at = self._now() + life

    def _take(self, source: Source, endpoints: Iterable[str]) -> None:
        """Begin to dial what is new, and end to dial what is named no more."""
        wanted = set(endpoints)
        others = {key for other in self._sources if other is not source for key in other.keys}
        for key in source.keys - wanted - others:
            if key in self._seeds and self._seeds[key].place is None:
                del self._seeds[key]
        for key in wanted:
            self._seeds.setdefault(key, Seed(key, None, [key]))
        source.keys = wanted
        self.tick(self._now())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Look up nothing any more."""
        for task in self._tasks:
            task.cancel()
        self._names.close()

    # -- how it went --------------------------------------------------------------------------

    def answered(self, key: str, node: str) -> None:
        """A node answered at a place."""
        seed = self._seeds.get(key)
        if seed is not None:
            seed.node = node
            seed.retry = RETRY_SELF if node == self._hub.facts.node else RETRY

    def failed(self, key: str, why: str) -> None:
        """Nobody let us in at a place."""
        seed = self._seeds.get(key)
        if seed is None or (seed.node == self._hub.facts.node):
            return
        seed.retry = min(seed.retry * RETRY_GROWTH, RETRY_MOST)
        if seed.place is None:
            source = next((s for s in self._sources if key in s.keys), None)
            if source is not None and not self._hub.everybody():
                self._refused(source.name.name, why)
            return
        if seed.place.port is None and seed.endpoints:
            is_lan = self._hub.facts.scope == LAN
            hint = "" if is_lan else "; on one machine nodes take free ports, so say HOST:PORT"
            why = f"{why} (port {DEFAULT_PORT}){hint}"
        self._refused(key, why)
        self._hub.remark(f"cannot join {key}: {why}; trying on")


def _endpoints(hosts: Iterable[str], place: Place) -> list[str]:
    port = DEFAULT_PORT if place.port is None else place.port
    return [tcp_endpoint(host, port) for host in hosts]
