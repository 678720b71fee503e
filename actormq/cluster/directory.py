"""Who has what: each node's own names and services, and copies of everybody else's.

A node is the only writer of its own set; peers hold copies. There is nothing to vote on.
A name may stand in several sets: then it names a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from actormq.address import ActorEntry, ServiceEntry
from actormq.errors import RemoteProtocolError

_PART = 1_000  # actors of one STATE envelope: at most 2 MiB, for a name has up to 1 020 bytes
_TEXT_LIMIT = 255  # characters of a name, class, service or endpoint that a peer announces


@dataclass(slots=True)
class Holdings:
    """What one node has, by serial."""

    actors: dict[int, ActorEntry] = field(default_factory=dict)
    services: dict[int, ServiceEntry] = field(default_factory=dict)

    def packed(self) -> Iterator[list[Any]]:
        """The whole of it as the tails of STATE envelopes, one at least; each fits a message."""
        services = [pack_service(entry) for entry in self.services.values()]
        actors = [pack_actor(entry) for entry in self.actors.values()]
        yield [actors[:_PART], services, []]
        for start in range(_PART, len(actors), _PART):
            yield [actors[start : start + _PART], [], []]


def pack_actor(entry: ActorEntry) -> list[Any]:
    """The form of an actor in a STATE envelope."""
    form: list[Any] = [entry.serial, entry.name, entry.kind]
    return [*form, entry.holds] if entry.elected else form


def pack_service(entry: ServiceEntry) -> list[Any]:
    """The form of a service in a STATE envelope."""
    return [entry.serial, entry.service, entry.socket, entry.codec, list(entry.endpoints)]


class Directory:
    """All that is known to be there.

    Args:
        own: The id of this node.
        entry_limit: Entries kept per node; a peer that announces more is cut off there.
    """

    def __init__(self, own: str, entry_limit: int = 200_000) -> None:
        self._entry_limit = entry_limit
        self._nodes: dict[str, Holdings] = {own: Holdings()}
        self._names: dict[str, dict[str, ActorEntry]] = {}  # name to node to entry
        self._watchers: list[Callable[[set[str], set[str]], None]] = []
        self._own = own

    # -- asking -------------------------------------------------------------------------------

    def named(self, name: str) -> list[tuple[str, ActorEntry]]:
        """Who holds a name: (node id, entry), our own first, then the longest known."""
        found = list(self._names.get(name, {}).items())
        found.sort(key=lambda pair: pair[0] != self._own)
        return found

    def services(self, service: str) -> list[tuple[str, ServiceEntry]]:
        """Who offers a service: (node id, entry)."""
        return [
            (node, entry)
            for node, holdings in self._nodes.items()
            for entry in holdings.services.values()
            if entry.service == service
        ]

    def of(self, node: str) -> Holdings:
        """What a node has, as far as is known."""
        return self._nodes.get(node) or Holdings()

    def watch(self, changed: Callable[[set[str], set[str]], None]) -> Callable[[], None]:
        """Call `changed` with the names and the services that came or went; the result ends it."""
        self._watchers.append(changed)

        def end() -> None:
            if changed in self._watchers:
                self._watchers.remove(changed)

        return end

    # -- changing -----------------------------------------------------------------------------

    def change(
        self,
        node: str,
        actors: Iterable[ActorEntry] = (),
        services: Iterable[ServiceEntry] = (),
        gone: Iterable[int] = (),
        *,
        whole: bool = False,
    ) -> None:
        """Take in what a node says of itself.

        Args:
            node: Its id.
            actors: Named actors that it has.
            services: Services that it offers.
            gone: Serials of actors and services that it has no more.
            whole: Whether this is all it has.
        """
        holdings = self._nodes.setdefault(node, Holdings())
        actors, services = list(actors), list(services)
        if whole:
            kept = {e.serial for e in actors} | {e.serial for e in services}
            gone = [s for s in (*holdings.actors, *holdings.services) if s not in kept]
        gone = (*gone, *_replaced(holdings, actors, services))
        names, offers = self._take_out(node, holdings, gone)
        for actor in actors[: self._entry_limit - len(holdings.actors)]:
            if holdings.actors.get(actor.serial) != actor:
                holdings.actors[actor.serial] = actor
                self._names.setdefault(actor.name, {})[node] = actor
                names.add(actor.name)
        for service in services[: self._entry_limit - len(holdings.services)]:
            if holdings.services.get(service.serial) != service:
                holdings.services[service.serial] = service
                offers.add(service.service)
        self._tell(names, offers)

    def forget(self, node: str) -> None:
        """A node is gone, and all it had."""
        holdings = self._nodes.pop(node, None)
        if holdings is None:
            return
        for actor in holdings.actors.values():
            self._unname(node, actor)
        self._tell(
            {actor.name for actor in holdings.actors.values()},
            {service.service for service in holdings.services.values()},
        )

    def _take_out(
        self, node: str, holdings: Holdings, gone: Iterable[int]
    ) -> tuple[set[str], set[str]]:
        names: set[str] = set()
        offers: set[str] = set()
        for serial in gone:
            actor = holdings.actors.pop(serial, None)
            if actor is not None:
                self._unname(node, actor)
                names.add(actor.name)
            service = holdings.services.pop(serial, None)
            if service is not None:
                offers.add(service.service)
        return names, offers

    def _unname(self, node: str, actor: ActorEntry) -> None:
        holders = self._names.get(actor.name, {})
        if holders.get(node) == actor:
            del holders[node]
            if not holders:
                del self._names[actor.name]

    def _tell(self, names: set[str], services: set[str]) -> None:
        if names or services:
            for changed in list(self._watchers):
                changed(names, services)


def _replaced(
    holdings: Holdings, actors: Sequence[ActorEntry], services: Sequence[ServiceEntry]
) -> list[int]:
    """Serials that stand for something else from now on: what they stood for is gone."""
    old = [e.serial for e in actors if holdings.actors.get(e.serial, e) != e]
    return old + [e.serial for e in services if holdings.services.get(e.serial, e) != e]


def state_from(envelope: Sequence[Any]) -> dict[str, Any]:
    """Read a STATE envelope into the arguments of `Directory.change`.

    Raises:
        RemoteProtocolError: It has another shape.
    """
    match envelope:
        case [_, bool(whole), list(actors), list(services), list(gone), *_]:
            return {
                "whole": whole,
                "actors": [_actor_from(raw) for raw in actors],
                "services": [_service_from(raw) for raw in services],
                "gone": [serial for serial in gone if isinstance(serial, int)],
            }
    raise RemoteProtocolError("a state is [whole, actors, services, gone]")


def _actor_from(raw: Any) -> ActorEntry:
    match raw:
        case [int(serial), str(name), str(kind), *rest] if max(len(name), len(kind)) <= _TEXT_LIMIT:
            is_elected = len(rest) > 0 and isinstance(rest[0], bool)
            return ActorEntry(serial, name, kind, is_elected, not is_elected or rest[0])
    raise RemoteProtocolError("an actor is announced as [serial, name, class, holds?]")


def _service_from(raw: Any) -> ServiceEntry:
    match raw:
        case [int(serial), str(service), str(socket), str(codec), list(endpoints), *_] if max(
            map(len, (service, socket, codec))
        ) <= _TEXT_LIMIT and all(isinstance(e, str) and len(e) <= _TEXT_LIMIT for e in endpoints):
            return ServiceEntry(serial, service, socket, codec, tuple(endpoints))
    raise RemoteProtocolError("a service is [serial, service, socket, codec, endpoints]")
