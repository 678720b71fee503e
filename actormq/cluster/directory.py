"""Who has what: each node's own names and services, and copies of everybody else's.

A node is the only writer of its own set; peers hold copies. There is nothing to vote on.
A name may stand in several sets: then it names a group.

Each change of a set has a number, its version, and a copy is as old as its version. A change that
fits a copy is applied, one that it has already is passed over, and one that leaves a gap is not
taken: then the whole is asked for, which may come in several parts. Those of one sender follow each
other; where one is missing, the whole is dropped, to be asked for again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from actormq.address import ActorEntry, ServiceEntry
from actormq.errors import RemoteProtocolError
from actormq.message import STATE, Envelope, is_node

_PART = 1_000  # actors of one STATE envelope: at most 2 MiB, for a name has up to 1 020 bytes
_TEXT_LIMIT = 255  # characters of a name, class, service or endpoint that a peer announces

_Entry = TypeVar("_Entry", ActorEntry, ServiceEntry)
_Ends = dict[tuple[str, int], ServiceEntry]  # by node and serial


class Taken(enum.Enum):
    """What became of a change that was told."""

    NEWS = "news"
    KNOWN = "known"
    GAP = "gap"  # changes before it have not come


class StateChange(msgspec.Struct, frozen=True):
    """What a node says of what it has.

    Attributes:
        node: Its id.
        base: The version that it changes; None: this is the whole, or the first part of it;
            -1: its second part, and so on.
        version: The version that it leads to; 0: more parts follow.
        actors: Named actors that have come.
        services: Sockets that take part in a service and have come.
        gone: Serials of actors and sockets that are gone.
    """

    node: str
    base: int | None
    version: int
    actors: Sequence[ActorEntry] = ()
    services: Sequence[ServiceEntry] = ()
    gone: Sequence[int] = ()

    def packed(self) -> Envelope:
        """The STATE envelope that says so."""
        actors = [pack_actor(entry) for entry in self.actors]
        services = [pack_service(entry) for entry in self.services]
        return [STATE, self.node, self.base, self.version, actors, services, list(self.gone)]


class Holdings(msgspec.Struct):
    """What one node has, by serial.

    Attributes:
        actors: Its named actors.
        services: Its sockets that take part in services.
        version: How often that has changed; 0: nothing is known of it yet.
    """

    actors: dict[int, ActorEntry] = msgspec.field(default_factory=dict)
    services: dict[int, ServiceEntry] = msgspec.field(default_factory=dict)
    version: int = 0

    def whole(self, node: str) -> Iterator[StateChange]:
        """All of it, in parts that each fit a message; nothing if it was never changed."""
        if not self.version:
            return
        actors, services = list(self.actors.values()), list(self.services.values())
        parts = max(-(-max(len(actors), len(services)) // _PART), 1)
        for part in range(parts):
            some = slice(part * _PART, (part + 1) * _PART)
            is_last = part == parts - 1
            yield StateChange(
                node,
                -part or None,
                self.version if is_last else 0,
                actors[some],
                services[some],
            )


class Coming(msgspec.Struct):
    """The whole of a node of which not all parts have come.

    Attributes:
        node: Whose it is.
        whole: What has come.
        parts: How many those are.
    """

    node: str
    whole: Holdings = msgspec.field(default_factory=Holdings)
    parts: int = 0


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
        self._ends: dict[tuple[str, bool], _Ends] = {}  # by service, and whether they are bound
        self._coming: dict[str, Coming] = {}  # by who tells it: one at a time
        self._watchers: list[Callable[[set[str], set[str]], None]] = []
        self._own = own

    # -- asking -------------------------------------------------------------------------------

    def named(self, name: str) -> list[tuple[str, ActorEntry]]:
        """Who holds a name: (node id, entry), our own first, then the longest known."""
        found = list(self._names.get(name, {}).items())
        found.sort(key=lambda pair: pair[0] != self._own)
        return found

    def names(self, prefix: str) -> list[str]:
        """All names that begin so; takes a look at each name there is."""
        return [name for name in self._names if name.startswith(prefix)]

    def services(self, service: str) -> list[tuple[str, ServiceEntry]]:
        """Who takes part in a service: (node id, entry), those that are bound first."""
        return [*self.bound(service), *self.connecting(service)]

    def bound(self, service: str) -> list[tuple[str, ServiceEntry]]:
        """Who takes part in it and can be connected to."""
        return self._of_service(service, is_bound=True)

    def connecting(self, service: str) -> list[tuple[str, ServiceEntry]]:
        """Who takes part in it and connects."""
        return self._of_service(service, is_bound=False)

    def _of_service(self, service: str, *, is_bound: bool) -> list[tuple[str, ServiceEntry]]:
        ends = self._ends.get((service, is_bound), {})
        return [(node, entry) for (node, _), entry in ends.items()]

    def of(self, node: str) -> Holdings:
        """What a node has, as far as is known."""
        return self._nodes.get(node) or Holdings()

    def owners(self) -> Iterable[str]:
        """The ids of those of whom something is known."""
        return self._nodes.keys()

    def version(self, node: str) -> int:
        """The version of what is known of a node's; 0 if nothing is."""
        holdings = self._nodes.get(node)
        return holdings.version if holdings is not None else 0

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
        actors: Sequence[ActorEntry] = (),
        services: Sequence[ServiceEntry] = (),
        gone: Sequence[int] = (),
    ) -> StateChange:
        """Change what this node itself has.

        Args:
            actors: Named actors that have come.
            services: Sockets that have come.
            gone: Serials of those that are gone.

        Returns:
            What there is to tell the others.
        """
        base = self.version(self._own)
        change = StateChange(self._own, base, base + 1, actors, services, gone)
        self.take(change)
        return change

    def take(self, change: StateChange, source: str = "") -> Taken:
        """Take in what is said of what a node has.

        Args:
            change: What is said.
            source: The id of who says it.
        """
        if change.base is None or change.base < 0:
            return self._take_part(change, source)
        have = self.version(change.node)
        if change.version <= have:
            return Taken.KNOWN
        if change.base != have:
            return Taken.GAP
        self._apply(change.node, change.actors, change.services, change.gone)
        self._nodes[change.node].version = change.version
        return Taken.NEWS

    def _take_part(self, change: StateChange, source: str) -> Taken:
        """Take in the whole of what a node has, or a part of it."""
        node = change.node
        coming = self._coming.pop(source, None)
        if change.base is None:
            coming = Coming(node)
        if coming is None or coming.node != node or coming.parts != -(change.base or 0):
            return Taken.KNOWN  # a part before it is missing
        if change.version and change.version <= self.version(node):
            return Taken.KNOWN
        coming.parts += 1
        self._enter(coming.whole, change)
        if not change.version:
            self._coming[source] = coming
            return Taken.KNOWN  # so far
        self._replace(node, coming.whole)
        self._nodes[node].version = change.version
        return Taken.NEWS

    def _enter(self, holdings: Holdings, change: StateChange) -> None:
        """Take a part into a whole that is not complete yet."""
        room = self._entry_limit - len(holdings.actors)
        holdings.actors.update((e.serial, e) for e in change.actors[: max(room, 0)])
        room = self._entry_limit - len(holdings.services)
        holdings.services.update((e.serial, e) for e in change.services[: max(room, 0)])

    def _replace(self, node: str, whole: Holdings) -> None:
        holdings = self._nodes.get(node) or Holdings()
        gone = [
            serial
            for serial in (*holdings.actors, *holdings.services)
            if serial not in whole.actors and serial not in whole.services
        ]
        self._apply(node, list(whole.actors.values()), list(whole.services.values()), gone)

    def _apply(
        self,
        node: str,
        actors: Sequence[ActorEntry],
        services: Sequence[ServiceEntry],
        gone: Iterable[int],
    ) -> None:
        holdings = self._nodes.setdefault(node, Holdings())
        actors, services = _last_of_each(actors), _last_of_each(services)
        gone = (*gone, *_replaced(holdings, actors, services))
        names, offers = self._take_out(node, holdings, gone)
        for actor in actors[: max(self._entry_limit - len(holdings.actors), 0)]:
            if holdings.actors.get(actor.serial) != actor:
                holdings.actors[actor.serial] = actor
                self._names.setdefault(actor.name, {})[node] = actor
                names.add(actor.name)
        for service in services[: max(self._entry_limit - len(holdings.services), 0)]:
            if holdings.services.get(service.serial) != service:
                holdings.services[service.serial] = service
                self._ends.setdefault(_kind(service), {})[node, service.serial] = service
                _note(offers, service)
        self._tell(names, offers)

    def forget(self, node: str) -> None:
        """A node is gone, and all it had."""
        self._coming.pop(node, None)
        for source in [source for source, coming in self._coming.items() if coming.node == node]:
            del self._coming[source]
        holdings = self._nodes.pop(node, None)
        if holdings is None:
            return
        gone = [*holdings.actors, *holdings.services]
        self._tell(*self._take_out(node, holdings, gone))

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
                self._unend(node, service)
                _note(offers, service)
        return names, offers

    def _unend(self, node: str, service: ServiceEntry) -> None:
        ends = self._ends[_kind(service)]
        del ends[node, service.serial]
        if not ends:
            del self._ends[_kind(service)]

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


def _kind(service: ServiceEntry) -> tuple[str, bool]:
    return service.service, bool(service.endpoints)


def _note(offers: set[str], service: ServiceEntry) -> None:
    """Note what watchers want to hear of: those that connect come in hundreds, unheard."""
    if service.endpoints:
        offers.add(service.service)


def _last_of_each(entries: Sequence[_Entry]) -> list[_Entry]:
    """Leave out what a later entry of the same serial stands for: nothing would end its name."""
    return list({entry.serial: entry for entry in entries}.values())


def _replaced(
    holdings: Holdings, actors: Sequence[ActorEntry], services: Sequence[ServiceEntry]
) -> list[int]:
    """Serials that stand for something else from now on: what they stood for is gone."""
    old = [e.serial for e in actors if holdings.actors.get(e.serial, e) != e]
    return old + [e.serial for e in services if holdings.services.get(e.serial, e) != e]


def state_from(envelope: Sequence[Any]) -> StateChange:
    """Read a STATE envelope.

    Raises:
        RemoteProtocolError: It has another shape.
    """
    match envelope:
        case [
            _,
            node,
            int() | None as base,
            int(version),
            list(actors),
            list(services),
            list(gone),
            *_,
        ] if is_node(node) and version >= 0:
            return StateChange(
                node,
                base,
                version,
                [_actor_from(raw) for raw in actors],
                [_service_from(raw) for raw in services],
                [serial for serial in gone if isinstance(serial, int)],
            )
    raise RemoteProtocolError("a state is [node, base, version, actors, services, gone]")


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
