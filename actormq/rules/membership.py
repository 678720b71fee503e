"""Who is in the mesh: a state machine over what a node hears and the time that passes.

It is SWIM (Das, Gupta, Motivala: "SWIM: scalable weakly-consistent infection-style process group
membership protocol", DSN 2002) with the refinements of Lifeguard, over connections that tell when
they break, and with neighbours on rings (`rings.py`) in the place of peers drawn at random.

- A node watches its neighbours only. It pings one that has been silent for `ASK_AFTER`; patience
  begins there, for who is not asked has nothing to answer.
- Who does not answer within `ANSWER_WITHIN`, or whose connection broke, is looked for through
  others: up to `HELPERS` nodes ping it and say whether it answered. One answer, and all is well:
  only the way between the two is cut.
- Where nobody reaches it, it is suspected, and everybody is told. It may contradict, with a new
  edition of itself, until the suspicion ends (`suspicion.py`); then it is dead. One whose
  connection broke and that nobody reaches is dead after `RECONNECT_GRACE` already: its process was
  killed. A break says nothing of one that others have reached while it was silent here: there the
  way is cut, and TCP has given the connection up.
- Death is final. A node that hears of its own comes back as a new incarnation. Who hears it still
  takes its death for a suspicion, which that incarnation contradicts: others were cut off from it.
- News go to all neighbours, who pass on what they did not know (`records.py`).
- Time in which this node itself did not listen counts for nobody's silence.
- The dead are dialled now and then, for some were only cut off.

Whoever drives it tells it what happened and does what `take_steps` says. Nothing here has a socket
or a clock; all times are seconds on the driver's clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from actormq.message import Facts
from actormq.rules.entry import Entry, Tomb
from actormq.rules.lookout import Lookout
from actormq.rules.records import DISPUTED, Record, State, disputed, is_later
from actormq.rules.rings import Rings
from actormq.rules.steps import Change, Dial, Renew, Retry, Spread, Step, Tell
from actormq.rules.suspicion import Health, Suspicion
from actormq.settings import TICK_INTERVAL

__all__ = ["Entry", "Membership", "lag_of"]

RETRY_INTERVAL = 1.0  # s between dials of each of the dead, by all of the mesh together
RETRY_FOR = 900.0  # s after a death; then it is dialled the more seldom
RETRY_SELDOM = 30  # times less often, that is
TOMBS = 4_096  # nodes remembered as gone: news of them may come for minutes
SENIORITY_MOST = 2**53  # whoever claims to stand behind so many is wrong
MEMBERS_LIMIT = 20_000  # members; whoever is told of more is lied to
LINKED_MOST = 32  # other members up to which there is a link to each; beyond, on demand


class Membership:
    """The members of a mesh as one node knows them.

    Args:
        own: What this node says of itself.
        now: The time.
        chance: Draws a number evenly from 0 (within) to 1 (without).

    Attributes:
        own: What this node says of itself, as it stands now.
        entries: The members, alive or suspect, by id; this node is not among them.
        tombs: Those that are gone, the longest gone first.
        neighbours: Those that it watches, and passes news on to; sorted.
    """

    def __init__(self, own: Facts, now: float, chance: Callable[[], float]) -> None:
        self.own = own
        self.entries: dict[str, Entry] = {}
        self.tombs: OrderedDict[str, Tomb] = OrderedDict()
        self.neighbours: list[str] = []
        self._chance = chance
        self._rings = Rings([own.node])
        self._steps: list[Step] = []
        self._lookout = Lookout(own.node, self.entries, self._steps, now, chance)
        self._retried_at = now

    @property
    def has_steps(self) -> bool:
        """Whether something is to be done."""
        return bool(self._steps)

    def take_steps(self) -> list[Step]:
        """What is to be done, in order; each is given once."""
        steps = self._steps.copy()
        self._steps.clear()
        return steps

    # -- what can be asked --------------------------------------------------------------------

    def own_record(self) -> Record:
        """What this node says of itself."""
        return Record(self.own, State.ALIVE, "said hello")

    def is_gone(self, node: str, incarnation: int) -> bool:
        """Whether that incarnation of a node was declared dead, or has left."""
        tomb = self.tombs.get(node)
        return tomb is not None and incarnation <= tomb.record.facts.incarnation

    def has_ended(self, node: str) -> bool:
        """Whether a node is gone for good, with its actors: it has left, or was started anew.

        One that was declared dead may only have been cut off, and come back.
        """
        tomb = self.tombs.get(node)
        if tomb is None or tomb.record.state is State.LEFT:
            return tomb is not None
        old = tomb.record.facts
        return any(_is_successor(entry.facts, old) for entry in self.entries.values())

    def last_words(self, node: str) -> Record:
        """What to say of a node that is gone to whoever holds it for alive."""
        return disputed(self.tombs[node].record)

    def next_seniority(self) -> int:
        """The place of a newcomer in the order of age: behind all who are there."""
        youngest = max((e.facts.seniority for e in self.entries.values()), default=0)
        return min(youngest + 1, SENIORITY_MOST)

    def neighbours_of(self, node: str) -> list[str]:
        """The neighbours of a member, as far as this node knows."""
        return self._rings.neighbours(node) if node in self.entries else []

    @property
    def health(self) -> Health:
        """How well this node does itself."""
        return self._lookout.health

    @property
    def keeps_all_links(self) -> bool:
        """Whether the mesh is so small that there is a link to each member."""
        return len(self.entries) <= LINKED_MOST

    def is_calm(self, now: float) -> bool:
        """Whether others are there, and nobody died lately who may only have been cut off."""
        return bool(self.entries) and not any(
            tomb.record.state is State.DEAD and now - tomb.at < RETRY_FOR
            for tomb in reversed(self.tombs.values())
        )

    def wants_link(self, node: str) -> bool:
        """Whether there should be a link to a member even if nothing is said to it."""
        return node in (self.entries if self.keeps_all_links else self.neighbours)

    def acquaint(self, records: Iterable[Record], rings: Rings, now: float) -> None:
        """Begin with members that are known from elsewhere; nobody is told of them.

        Args:
            records: What is said of them; this node may be among them, and has no others yet.
            rings: All of them and this node.
            now: The time.
        """
        own = self.own.node
        self.entries.update((r.node, Entry(r, now)) for r in records if r.node != own)
        self._rings = rings.copy()
        self._choose_neighbours(now)

    # -- what this node finds out itself ------------------------------------------------------

    def greeted(self, facts: Facts, now: float) -> None:
        """A node has said hello, and can be spoken to as well."""
        if facts.node == self.own.node or self.is_gone(facts.node, facts.incarnation):
            return
        record = Record(facts, State.ALIVE, "said hello")
        entry = self.entries.get(facts.node)
        if entry is None or is_later(record, entry.record):
            self._accept(record, "", now)
        self.heard(facts.node, now)

    def linked(self, node: str, now: float) -> None:
        """There is a connection to a node now."""
        self._lookout.linked[node] = None
        entry = self.entries.get(node)
        if entry is not None:
            self._lookout.reached(entry, now)
            self._lookout.hear(entry, now)  # it has said welcome

    def unlinked(self, node: str) -> None:
        """This node has ended its connection to another one, which says nothing of that one."""
        self._lookout.parted(node)

    def broke(self, node: str, now: float) -> None:
        """The connection to a node has ended, and not by this node."""
        entry = self.entries.get(node)
        if entry is not None:
            self._lookout.broke(entry, now)
        else:
            self._lookout.parted(node)

    def heard(self, node: str, now: float) -> None:
        """A word came from a node."""
        entry = self.entries.get(node)
        if entry is not None:
            self._lookout.hear(entry, now)

    def ponged(self, node: str, now: float) -> None:
        """A node has answered a ping."""
        self.heard(node, now)
        self._lookout.ponged(node)

    # -- what others find out -----------------------------------------------------------------

    def asked_for(self, node: str, asker: str, now: float) -> None:
        """Another node cannot reach a third one, and asks this one to try."""
        self._lookout.asked_for(node, asker, now)

    def answered(self, node: str, helper: str, is_there: bool, now: float) -> None:
        """A node that was asked to reach another one says whether it did."""
        entry = self.entries.get(node)
        if entry is not None:
            self._lookout.answered(entry, helper, is_there, now)

    def told(self, record: Record, source: str, now: float) -> None:
        """Another node passes on what is said of a node.

        Args:
            record: What is said.
            source: The id of who passes it on.
            now: The time.
        """
        node = record.node
        entry = self.entries.get(node)
        if node == self.own.node:
            self._contradict(record, now)
        elif entry is not None:
            if is_later(record, entry.record):
                is_same = record.facts.incarnation == entry.facts.incarnation
                is_wrong = is_same and self._lookout.hears(entry, now)
                self._accept(disputed(record) if is_wrong else record, source, now)
            elif record.state is State.SUSPECT and not is_later(entry.record, record):
                self._confirm(entry, record, source)
        elif self.is_gone(node, record.facts.incarnation):
            if not record.state.is_final and record.facts.edition < DISPUTED:
                self._steps.append(Tell(source, self.last_words(node)))
        elif record.state.is_final:
            self._bury(record, now)
        elif record.facts.edition < DISPUTED and len(self.entries) < MEMBERS_LIMIT:
            self._accept(record, source, now)

    def _confirm(self, entry: Entry, record: Record, source: str) -> None:
        """One more suspects a suspect."""
        if entry.suspicion is not None and entry.suspicion.confirm(record.accuser):
            self._steps.append(Spread(record, source))

    def _contradict(self, record: Record, now: float) -> None:
        """Answer what is said of this node."""
        own, facts = self.own, record.facts
        if record.state.is_final:
            self.died(facts.incarnation)
        elif facts.incarnation > own.incarnation:
            self.renew(incarnation=facts.incarnation, edition=facts.edition + 1)
        elif facts.incarnation == own.incarnation and facts.edition >= DISPUTED:
            self.renew(incarnation=own.incarnation + 1, edition=0)
        elif facts.incarnation == own.incarnation and (
            facts.edition > own.edition
            or (facts.edition == own.edition and record.state is State.SUSPECT)
        ):
            self.health.worsen(now)
            self.renew(edition=facts.edition + 1)

    def died(self, incarnation: int) -> None:
        """Others hold that incarnation of this node for dead: come back, unless it is past."""
        if incarnation >= self.own.incarnation:
            self.renew(incarnation=incarnation + 1, edition=0)

    def renew(self, **changes: Any) -> None:
        """Say something else of this node from now on, in a new edition unless that is given."""
        self.own = msgspec.structs.replace(self.own, **{"edition": self.own.edition + 1, **changes})
        self._steps.append(Renew(self.own))
        self._steps.append(Spread(self.own_record(), ""))

    # -- records ------------------------------------------------------------------------------

    def _accept(self, record: Record, source: str, now: float) -> None:
        """Believe a record, and pass it on."""
        node = record.node
        entry = self.entries.get(node)
        self._steps.append(Spread(record, source))
        if record.state.is_final:
            self._end(record, now)
            return
        if entry is None:
            entry = self.entries[node] = Entry(record, now)
            self.tombs.pop(node, None)
            self._rings.add(node)
            self._steps.append(Change(record, record.state, record.reason, is_new=True))
            self._choose_neighbours(now)
        else:
            entry.record = record
        if record.state is State.SUSPECT:
            entry.suspicion = Suspicion(now, {record.accuser}, max(len(self.entries) - 1, 0))
            self._lookout.watch(entry, now)
            self._steps += entry.turn(State.SUSPECT, record.reason, now)
            if node in self._lookout.linked:  # let it know, and contradict
                self._steps.append(Tell(node, record))
        else:
            entry.suspicion = None
            if entry.watch is not None:
                entry.watch.hear(now)
            if entry.watch is None or entry.watch.cut_at is None:
                self._steps += entry.turn(State.ALIVE, record.reason, now)
            self._unwatch_strangers(node)
        if self.wants_link(node):
            self._dial(node)

    def _dial(self, node: str) -> None:
        if node not in self._lookout.linked:
            self._steps.append(Dial(self.entries[node].facts))

    def _end(self, record: Record, now: float) -> None:
        """A member is gone."""
        node = record.node
        del self.entries[node]
        self._bury(record, now)
        self._rings.remove(node)
        self._lookout.forget(node)
        self._steps.append(Change(record, record.state, record.reason))
        self._choose_neighbours(now)

    def _bury(self, record: Record, now: float) -> None:
        self.tombs[record.node] = Tomb(record, now)
        self.tombs.move_to_end(record.node)
        if len(self.tombs) > TOMBS:
            self.tombs.popitem(last=False)

    def _choose_neighbours(self, now: float) -> None:
        before = self.neighbours
        self.neighbours = self._rings.neighbours(self.own.node)
        for node in self.neighbours:
            if node not in self._lookout.watched:
                self._lookout.watch(self.entries[node], now)
                self._dial(node)
        for node in before:
            self._unwatch_strangers(node)

    def _unwatch_strangers(self, node: str) -> None:
        """Watch a node no more that is no neighbour, and of which there is no doubt."""
        if node in self.neighbours:
            return
        entry = self.entries.get(node)
        if entry is not None and entry.state is State.ALIVE and entry.suspicion is None:
            self._lookout.unwatch(entry)

    # -- time ---------------------------------------------------------------------------------

    def tick(self, now: float, lag: float) -> None:
        """Look at those that are watched.

        Args:
            now: The time.
            lag: How much of the time since the last look this node did not listen, in seconds.
        """
        if lag:
            self._lookout.forgive(now, lag)
        self.health.recover(now)
        for node in list(self._lookout.watched):
            entry = self.entries.get(node)
            record = None if entry is None else self._lookout.look(entry, now)
            if record is not None:
                self._accept(record, "", now)
            self._unwatch_strangers(node)
        self._lookout.give_answers(now)
        linked = self._lookout.linked
        for node in self.entries if self.keeps_all_links else self.neighbours:
            if node not in linked:
                self._steps.append(Dial(self.entries[node].facts))
        self._retry(now)

    def _retry(self, now: float) -> None:
        """Dial one of the dead, now and then: some were only cut off."""
        if now - self._retried_at < RETRY_INTERVAL:
            return
        self._retried_at = now
        dead = [t for t in self.tombs.values() if t.record.state is State.DEAD]
        if not dead or self._chance() >= len(dead) / max(len(self.entries) + 1, 1):
            return
        tomb = dead[int(self._chance() * len(dead))]
        if now - tomb.at < RETRY_FOR or self._chance() < 1.0 / RETRY_SELDOM:
            self._steps.append(Retry(tomb.record.facts))


def _is_successor(facts: Facts, old: Facts) -> bool:
    """Whether a node stands where another one stood: by its name on that host, or its port."""
    is_namesake = (facts.name, facts.host) == (old.name, old.host)
    return is_namesake or not set(facts.endpoints).isdisjoint(old.endpoints)


def lag_of(now: float, previous: float, interval: float = TICK_INTERVAL) -> float:
    """Say how much of the time since the last look this node was not listening, in seconds.

    A look that comes up to one interval late is the ordinary jitter of a loop.
    """
    late = now - previous - interval
    return late if late > interval else 0.0
