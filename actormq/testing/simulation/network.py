"""A simulated network: who can reach whom, how long it takes, and what is lost."""

from __future__ import annotations

import contextvars
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from actormq.testing.simulation.connection import (
    Connection,
    Control,
    End,
    Frames,
    Place,
    Stream,
)
from actormq.testing.simulation.loop import VirtualLoop
from actormq.testing.simulation.record import Record, count_of

RETRANSMISSION = 0.2  # s; the least that Linux waits for an acknowledgement, doubled each time
RETRANSMISSIONS = 5  # in a row, after which a connection breaks
LATE = 0.5  # s under way; what takes longer than that makes a difference
GHOST_LIFE = 3.0  # s that the double of a connection lives at most


@dataclass(frozen=True, slots=True)
class Conditions:
    """How the network is.

    Attributes:
        delay: The least and the most that a message takes one way, in seconds; most messages
            take little more than the least.
        loss: The share of packets that are lost: a connection sends them again, a datagram is
            gone.
        duplicates: The share of connects that arrive twice.
    """

    delay: tuple[float, float] = (0.000_2, 0.005)
    loss: float = 0.0
    duplicates: float = 0.0


class Network:
    """All connections, and what is cut.

    Args:
        loop: The virtual loop.
        chance: Where the network's luck comes from.
        conditions: How it is.
        record: Where what happens is written.

    Attributes:
        lost: Envelopes that were lost, by reason.
        late_until: When the last message arrives that losses delayed by more than `LATE`, or the
            last connection broke for them.
        flows_at: When the last of the connections that were cut goes on.
    """

    def __init__(
        self, loop: VirtualLoop, chance: random.Random, conditions: Conditions, record: Record
    ) -> None:
        self.context = contextvars.copy_context()  # no machine's: what happens here always does
        self.loop = loop
        self.chance = chance
        self.conditions = conditions
        self.record = record
        self.lost: Counter[str] = Counter()
        self.late_until = 0.0
        self.flows_at = 0.0
        self._numbers = itertools.count(1)
        self._listeners: dict[tuple[str, str], End] = {}
        self._connections: dict[int, Connection] = {}
        self._at: dict[str, dict[int, Connection]] = {}  # by machine
        self._ghosts: dict[bytes, Connection] = {}
        self._cuts: set[tuple[str, str]] = set()
        self._sides: dict[str, int] = {}
        self._down: set[str] = set()

    # -- what ports ask for -------------------------------------------------------------------

    def listen(self, place: str, endpoint: str, end: End) -> bool:
        """Take an endpoint of a machine; False if somebody has it."""
        return self._listeners.setdefault((place, endpoint), end) is end

    def unlisten(self, place: str, endpoint: str) -> None:
        """Give an endpoint back."""
        self._listeners.pop((place, endpoint), None)

    def listening(self, place: str, endpoint: str) -> End | None:
        """Who listens at an endpoint of a machine."""
        return self._listeners.get((place, endpoint))

    def connect(self, dialer: End, target: Place, endpoint: str, routing_id: bytes) -> Connection:
        """Dial an endpoint of a machine."""
        connection = Connection(self, next(self._numbers), dialer, target, endpoint, routing_id)
        self._connections[connection.number] = connection
        for place in (dialer.place, target):
            self._at.setdefault(place.name, {})[connection.number] = connection
        self._refresh([connection])
        connection.open()
        return connection

    def count(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def ended(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.pop(connection.number, None)
        for place in (connection.forth.source, connection.forth.target):
            self._at[place.name].pop(connection.number, None)

    # -- luck ---------------------------------------------------------------------------------

    def delay(self) -> float | None:
        """Draw how long a message takes, in seconds; None if it breaks its connection."""
        low, high = self.conditions.delay
        loss, luck = self.conditions.loss, self.chance.random()
        late, wait = 0.0, RETRANSMISSION
        for _ in range(RETRANSMISSIONS):
            if luck >= loss:
                luck = (luck - loss) / (1.0 - loss)
                if late > LATE:
                    self.late_until = max(self.late_until, self.loop.time() + late)
                return late + low + (high - low) * luck * luck * luck
            late, wait = late + wait, 2 * wait
            luck = self.chance.random()
        self.late_until = max(self.late_until, self.loop.time())
        return None

    def is_doubled(self) -> bool:
        """Draw whether a connect arrives twice."""
        share = self.conditions.duplicates
        return share > 0 and self.chance.random() < share

    def haunt(self, connection: Connection, listener: End, frames: Frames) -> None:
        """Let the first message of a connect come again, as if from another connection."""
        source, target = connection.forth.source, connection.forth.target
        ghost = connection.routing_id[:1] + self.chance.randbytes(12)
        self._ghosts[ghost] = connection

        def appear() -> None:
            if listener.place.context is context:
                self.record.frame(target.name, "again from", source.name, frames)
                listener.arrived(ghost, frames)

        context = target.context
        self.loop.call_later(self.delay() or 0.0, appear, context=context)
        life = GHOST_LIFE * self.chance.random()
        self.loop.call_later(life, self._ghosts.pop, ghost, None, context=self.context)

    def haunted(self, routing_id: bytes, frames: Frames) -> bool:
        """Swallow what a ROUTER says to a double; False if there is none of that id."""
        connection = self._ghosts.get(routing_id)
        if connection is None:
            return False
        self.dropped(connection.back.source, connection.back.target, frames, "double")
        return True

    # -- the ledger ---------------------------------------------------------------------------

    def dropped(self, source: Place, target: Place, frames: Frames, reason: str) -> None:
        """Count a message that is lost."""
        count = count_of(frames)
        if count:
            self.lost[reason] += count
        self.record.frame(source.name, f"lost ({reason}) to", target.name, frames)

    def in_flight(self) -> int:
        """Envelopes of outboxes that are under way."""
        return sum(
            count_of(what)
            for stream, _ in self._streams()
            for _, what in stream.flying
            if not isinstance(what, Control)
        )

    # -- faults -------------------------------------------------------------------------------

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing gets from one machine to another."""
        if (source, target) in self._cuts or source in self._down or target in self._down:
            return True
        sides = self._sides
        return source != target and bool(sides) and sides.get(source) != sides.get(target)

    def cut(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Let nothing through from the first to the second of each pair, without a word."""
        self._cuts.update(pair for pair in pairs if pair[0] != pair[1])
        self._refresh(self._connections.values())

    def partition(self, groups: Sequence[Iterable[str]]) -> None:
        """Let nothing through between groups of machines; those in none are a group as well."""
        self._sides = {name: side for side, names in enumerate(groups) for name in names}
        self._refresh(self._connections.values())

    def heal(self, is_meant: Callable[[str, str], bool], *, whole: bool) -> None:
        """Let everything through again.

        Args:
            is_meant: Says whether a cut pair, source and target, is to be healed.
            whole: Whether the partition ends as well.
        """
        self._cuts = {pair for pair in self._cuts if not is_meant(*pair)}
        if whole:
            self._sides = {}
        self._refresh(self._connections.values())

    def power(self, place: str, *, on: bool) -> None:
        """Let a machine vanish from the network without a word, or come back."""
        if on:
            self._down.discard(place)
        else:
            self._down.add(place)
        self._refresh(self._of(place))

    def _refresh(self, connections: Iterable[Connection]) -> None:
        """Let connections know what is cut now."""
        now = self.loop.time()
        for stream, _ in self._streams(connections):
            if self.is_cut(stream.source.name, stream.target.name):
                stream.cut(now)
            else:
                stream.heal(now)

    def tear(self, one: str, other: str) -> int:
        """Break all connections between two machines; how many that were."""
        pair = {one, other}
        torn = [
            connection
            for stream, connection in self._streams(self._of(one))
            if stream is connection.forth and {stream.source.name, stream.target.name} == pair
        ]
        for connection in torn:
            connection.tear()
        return len(torn)

    def moved(self, place: Place) -> None:
        """The context of a machine has changed: what is under way arrives in the new one."""
        for stream, _ in self._streams(self._of(place.name)):
            if stream.target is place:
                stream.moved()

    def _of(self, place: str) -> Iterable[Connection]:
        return self._at.get(place, {}).values()

    def _streams(
        self, connections: Iterable[Connection] | None = None
    ) -> Iterator[tuple[Stream, Connection]]:
        if connections is None:
            connections = self._connections.values()
        for connection in list(connections):
            yield connection.forth, connection
            yield connection.back, connection
