"""Who is in the mesh: a state machine over what a node hears and the time that passes.

It is SWIM (Das, Gupta, Motivala: "SWIM: scalable weakly-consistent infection-style process group
membership protocol", DSN 2002) with the refinements of Lifeguard, over connections that tell when
they break, and with neighbours on rings (`rings.py`) in the place of peers drawn at random.

- A node watches its neighbours only. It pings one that has been silent for `ASK_AFTER`.
- Who is silent for `PROBE_AFTER`, or whose connection broke, is looked for through others: up to
  `HELPERS` nodes ping it and say whether it answered. One answer, and all is well: only the way
  between the two is cut.
- Where nobody reaches it, it is suspected, and everybody is told. It may contradict, with a new
  edition of itself, until the suspicion ends (`suspicion.py`); then it is dead. One whose
  connection broke and that nobody reaches is dead after `RECONNECT_GRACE` already: its process was
  killed.
- Death is final. A node that hears of its own comes back as a new incarnation.
- News go to all neighbours, who pass on what they did not know (`records.py`).
- Time in which this node itself did not listen counts for nobody's silence.
- The dead are dialled now and then, for some were only cut off.

Whoever drives it tells it what happened and does what `take_steps` says. Nothing here has a socket
or a clock; all times are seconds on the driver's clock.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actormq.message import Facts
from actormq.rules.records import Record, State, is_later
from actormq.rules.rings import Rings
from actormq.rules.steps import Answer, Change, Dial, Help, Ping, Renew, Retry, Spread, Step, Tell
from actormq.rules.suspicion import Health, Suspicion
from actormq.settings import RECONNECT_GRACE, TICK_INTERVAL

ASK_AFTER = 1.5  # s of silence; of two idle neighbours one asks, and the answer serves both
ASK_LATER = 2.0  # s, for the other one of the two, in case the first does not think of it
ASK_AGAIN = 0.5  # s between pings of a neighbour that does not answer
ROUND_TRIP_INTERVAL = 15.0  # s between pings of one that is heard anyway
PROBE_AFTER = 2.5  # s of silence: a LAN answers within 10 ms, a busy loop within a second
HELP_WITHIN = 0.75  # s for those who are asked to help
HELPERS = 3
LAST_WORDS = 0.1  # s behind a broken connection in which words may still come that were sent before
SUSPICION_LEAST, SUSPICION_MOST = 2.5, 4.0  # s to contradict: a silent host is dead within 8 s
ROUND_TRIPS = 10  # of a reconnect: TCP, ZMTP and our own hello take some five
RETRY_INTERVAL = 1.0  # s between dials of each of the dead, by all of the mesh together
RETRY_FOR = 900.0  # s after a death; then it is dialled the more seldom
RETRY_SELDOM = 30  # times less often, that is
TOMBS = 4_096  # nodes remembered as gone: news of them may come for minutes
MEMBERS_LIMIT = 20_000  # members; whoever is told of more is lied to
LINKED_MOST = 32  # other members up to which there is a link to each; beyond, on demand


@dataclass(slots=True)
class Watch:
    """What a node has heard of one that it watches.

    Attributes:
        heard_at: When its last word came, its own or through others.
        ask_after: Silence after which it is pinged.
        cut_at: When the connection to it broke and nobody has reached it since; None if not.
        asked_at: When it was pinged last.
        helped_at: When others were asked to reach it; None if no answer is awaited.
        helpers: Those that were asked and have not answered.
    """

    heard_at: float
    ask_after: float
    cut_at: float | None = None
    asked_at: float = 0.0
    helped_at: float | None = None
    helpers: set[str] = field(default_factory=set)

    def forgive(self, lag: float) -> None:
        """Leave out a stretch of time in which this node itself did not listen."""
        self.heard_at += lag
        if self.cut_at is not None:
            self.cut_at += lag
        if self.helped_at is not None:
            self.helped_at += lag


class Entry:
    """What this node knows of one member.

    Attributes:
        record: The latest that is said of it.
        state: What this node believes: it may doubt by itself before it tells others.
        reason: Why.
        since: When that began.
        round_trip: Seconds from a ping to its answer; None before the first.
        watch: What was heard of it, if it is watched.
        suspicion: Since when and by whom it is suspected, if it is.
    """

    __slots__ = ("reason", "record", "round_trip", "since", "state", "suspicion", "watch")

    def __init__(self, record: Record, now: float) -> None:
        self.record = record
        self.state = record.state
        self.reason = record.reason
        self.since = now
        self.round_trip: float | None = None
        self.watch: Watch | None = None
        self.suspicion: Suspicion | None = None

    @property
    def facts(self) -> Facts:
        """What it says of itself."""
        return self.record.facts


@dataclass(frozen=True, slots=True)
class Tomb:
    """A node that is gone.

    Attributes:
        record: The last that was said of it.
        at: When this node learned of it.
    """

    record: Record
    at: float


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
        health: How well this node does itself.
    """

    def __init__(self, own: Facts, now: float, chance: Callable[[], float]) -> None:
        self.own = own
        self.entries: dict[str, Entry] = {}
        self.tombs: OrderedDict[str, Tomb] = OrderedDict()
        self.neighbours: list[str] = []
        self.health = Health(changed_at=now)
        self._chance = chance
        self._rings = Rings([own.node])
        self._linked: dict[str, None] = {}
        self._watched: dict[str, None] = {}  # neighbours and suspects
        self._askers: dict[str, tuple[float, list[str]]] = {}  # who wants whom reached, by when
        self._steps: list[Step] = []
        self._retried_at = now

    def take_steps(self) -> list[Step]:
        """What is to be done, in order; each is given once."""
        steps, self._steps = self._steps, []
        return steps

    # -- what can be asked --------------------------------------------------------------------

    def own_record(self) -> Record:
        """What this node says of itself."""
        return Record(self.own, State.ALIVE, "said hello")

    def is_gone(self, node: str, incarnation: int) -> bool:
        """Whether that incarnation of a node was declared dead, or has left."""
        tomb = self.tombs.get(node)
        return tomb is not None and incarnation <= tomb.record.facts.incarnation

    def next_seniority(self) -> int:
        """The place of a newcomer in the order of age: behind all who are there."""
        return 1 + max((e.facts.seniority for e in self.entries.values()), default=0)

    def neighbours_of(self, node: str) -> list[str]:
        """The neighbours of a member, as far as this node knows."""
        return self._rings.neighbours(node) if node in self.entries else []

    @property
    def keeps_all_links(self) -> bool:
        """Whether the mesh is so small that there is a link to each member."""
        return len(self.entries) <= LINKED_MOST

    def wants_link(self, node: str) -> bool:
        """Whether there should be a link to a member even if nothing is said to it."""
        return node in self._watched or (self.keeps_all_links and node in self.entries)

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
        self._linked[node] = None
        entry = self.entries.get(node)
        if entry is not None and entry.watch is not None:
            entry.watch.cut_at = None
            self._hear(entry, entry.watch, now)

    def unlinked(self, node: str) -> None:
        """This node has ended its connection to another one, which says nothing of that one."""
        self._linked.pop(node, None)

    def broke(self, node: str, now: float) -> None:
        """The connection to a node has ended, and not by this node."""
        self._linked.pop(node, None)
        entry = self.entries.get(node)
        if entry is None:
            return
        self._steps.append(Dial(entry.facts))
        watch = entry.watch
        if watch is not None and watch.cut_at is None:
            watch.cut_at = now
            if entry.state is State.ALIVE:
                self._show(entry, State.SUSPECT, "its connection broke", now)
            self._ask_others(entry, watch, now)

    def heard(self, node: str, now: float) -> None:
        """A word came from a node."""
        entry = self.entries.get(node)
        if entry is not None and entry.watch is not None:
            self._hear(entry, entry.watch, now)

    def ponged(self, node: str, now: float) -> None:
        """A node has answered a ping."""
        self.heard(node, now)
        _, askers = self._askers.pop(node, (0.0, []))
        self._steps += [Answer(asker, node, is_there=True) for asker in askers]

    def _hear(self, entry: Entry, watch: Watch, now: float) -> None:
        watch.heard_at = now
        watch.helped_at = None
        if watch.cut_at is not None and now - watch.cut_at > LAST_WORDS:
            watch.cut_at = None
        if entry.state is State.SUSPECT and watch.cut_at is None:
            suspicion = entry.suspicion
            if suspicion is None:
                self._show(entry, State.ALIVE, "heard again", now)
            elif now - suspicion.told_at >= ASK_AGAIN:  # it may not know that it has to contradict
                suspicion.told_at = now
                self._steps.append(Tell(entry.record.node, entry.record))

    # -- what others find out -----------------------------------------------------------------

    def asked_for(self, node: str, asker: str, now: float) -> None:
        """Another node cannot reach a third one, and asks this one to try."""
        if node == self.own.node:
            self._steps.append(Answer(asker, node, is_there=True))
        elif node not in self._linked:
            self._steps.append(Answer(asker, node, is_there=False))
        else:
            _, askers = self._askers.setdefault(node, (now + HELP_WITHIN, []))
            if asker not in askers:  # however often it asks
                askers.append(asker)
                self._steps.append(Ping(node))

    def answered(self, node: str, helper: str, is_there: bool, now: float) -> None:
        """A node that was asked to reach another one says whether it did."""
        entry = self.entries.get(node)
        if entry is None or entry.watch is None or helper not in entry.watch.helpers:
            return
        watch = entry.watch
        watch.helpers.discard(helper)
        if is_there:
            watch.cut_at = None
            self._hear(entry, watch, now)

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
                self._accept(record, source, now)
            elif record.state is State.SUSPECT and not is_later(entry.record, record):
                self._confirm(entry, record, source)
        elif self.is_gone(node, record.facts.incarnation):
            if not record.state.is_final:
                self._steps.append(Tell(source, self.tombs[node].record))
        elif record.state.is_final:
            self._bury(record, now)
        elif len(self.entries) < MEMBERS_LIMIT:
            self._accept(record, source, now)

    def _confirm(self, entry: Entry, record: Record, source: str) -> None:
        """One more suspects a suspect."""
        if entry.suspicion is not None and entry.suspicion.confirm(record.accuser):
            self._steps.append(Spread(record, source))

    def _contradict(self, record: Record, now: float) -> None:
        """Answer what is said of this node."""
        own, facts = self.own, record.facts
        if record.state.is_final:
            if facts.incarnation >= own.incarnation:
                self.renew(incarnation=facts.incarnation + 1, edition=0)
        elif facts.incarnation > own.incarnation:
            self.renew(incarnation=facts.incarnation, edition=facts.edition + 1)
        elif facts.incarnation == own.incarnation and (
            facts.edition > own.edition
            or (facts.edition == own.edition and record.state is State.SUSPECT)
        ):
            self.health.worsen(now)
            self.renew(edition=facts.edition + 1)

    def renew(self, **changes: Any) -> None:
        """Say something else of this node from now on, in a new edition unless that is given."""
        self.own = dataclasses.replace(self.own, **{"edition": self.own.edition + 1, **changes})
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
            self._watch(node, now)
            self._show(entry, State.SUSPECT, record.reason, now)
            if node in self._linked:  # let it know, and contradict
                self._steps.append(Tell(node, record))
        else:
            entry.suspicion = None
            if entry.watch is not None:
                entry.watch.heard_at = max(entry.watch.heard_at, now)
                entry.watch.helped_at = None
            if entry.watch is None or entry.watch.cut_at is None:
                self._show(entry, State.ALIVE, record.reason, now)
            self._unwatch_strangers(node)
        if self.wants_link(node) and node not in self._linked:
            self._steps.append(Dial(record.facts))

    def _end(self, record: Record, now: float) -> None:
        """A member is gone."""
        node = record.node
        del self.entries[node]
        self._bury(record, now)
        self._rings.remove(node)
        self._linked.pop(node, None)
        self._watched.pop(node, None)
        _, askers = self._askers.pop(node, (0.0, []))
        self._steps += [Answer(asker, node, is_there=False) for asker in askers]
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
            if node not in self._watched:
                self._watch(node, now)
        for node in before:
            self._unwatch_strangers(node)

    def _watch(self, node: str, now: float) -> None:
        if node in self._watched:
            return
        self._watched[node] = None
        entry = self.entries[node]
        entry.watch = Watch(now, ASK_AFTER if self.own.node < node else ASK_LATER)
        if node not in self._linked:
            self._steps.append(Dial(entry.facts))

    def _unwatch_strangers(self, node: str) -> None:
        """Watch a node no more that is neither a neighbour nor a suspect."""
        entry = self.entries.get(node)
        if entry is not None and entry.suspicion is None and node not in self.neighbours:
            self._watched.pop(node, None)
            entry.watch = None

    def _show(self, entry: Entry, state: State, reason: str, now: float) -> None:
        """Believe something else of a member, and report it."""
        if entry.state is not state:
            entry.state, entry.reason, entry.since = state, reason, now
            self._steps.append(Change(entry.record, state, reason))

    # -- time ---------------------------------------------------------------------------------

    def tick(self, now: float, lag: float) -> None:
        """Look at those that are watched.

        Args:
            now: The time.
            lag: How much of the time since the last look this node did not listen, in seconds.
        """
        if lag:
            self._forgive(now, lag)
        self.health.recover(now)
        for node in list(self._watched):
            entry = self.entries.get(node)
            if entry is not None and entry.watch is not None:
                self._look(entry, entry.watch, now)
        for node, (until, askers) in list(self._askers.items()):
            if now >= until:
                del self._askers[node]
                self._steps += [Answer(asker, node, is_there=False) for asker in askers]
        if self.keeps_all_links:
            self._steps += [
                Dial(e.facts) for node, e in self.entries.items() if node not in self._linked
            ]
        self._retry(now)

    def _forgive(self, now: float, lag: float) -> None:
        self.health.worsen(now)
        for node in self._watched:
            entry = self.entries[node]
            if entry.watch is not None:
                entry.watch.forgive(lag)
            if entry.suspicion is not None:
                entry.suspicion.since += lag

    def _look(self, entry: Entry, watch: Watch, now: float) -> None:
        """Ping a member, look for it, accuse it, declare it dead: whatever it is time for."""
        node = entry.record.node
        silence = now - watch.heard_at
        is_linked = node in self._linked
        if is_linked:
            self._ping_if_due(node, watch, silence, now)
        else:
            self._steps.append(Dial(entry.facts))
        if entry.suspicion is not None:
            self._look_at_suspect(entry, entry.suspicion, silence, now)
        elif watch.cut_at is not None:
            alone = now - max(watch.cut_at, watch.heard_at)
            if alone >= RECONNECT_GRACE + ROUND_TRIPS * (entry.round_trip or 0.0):
                self._declare_dead(entry, "its connection broke and did not come back", now)
        elif watch.helped_at is not None:
            if not watch.helpers or now - watch.helped_at >= HELP_WITHIN:
                self._unhelped(entry, watch, silence, now)
        elif silence >= self.health.stretched(PROBE_AFTER if is_linked else ASK_AFTER):
            self._ask_others(entry, watch, now)

    def _ping_if_due(self, node: str, watch: Watch, silence: float, now: float) -> None:
        pause = ASK_AGAIN if silence >= watch.ask_after else ROUND_TRIP_INTERVAL
        if now - watch.asked_at >= pause:
            watch.asked_at = now
            self._steps.append(Ping(node))

    def _ask_others(self, entry: Entry, watch: Watch, now: float) -> None:
        """Let others look for a member that this node cannot reach."""
        node = entry.record.node
        others = [
            other
            for other in self._linked
            if other != node and other in self.entries and self.entries[other].state is State.ALIVE
        ]
        while len(others) > HELPERS:
            others.pop(int(self._chance() * len(others)))
        watch.helped_at = now
        watch.helpers = set(others)
        self._steps += [Help(other, node) for other in others]

    def _unhelped(self, entry: Entry, watch: Watch, silence: float, now: float) -> None:
        """Nobody has reached a member either."""
        if silence < PROBE_AFTER + HELP_WITHIN:
            return  # nobody was there to ask, or all have said no at once: it has its time anyway
        if watch.helpers:
            self.health.worsen(now)  # those who were asked do not answer: perhaps it is us
        watch.helped_at = None
        facts = entry.facts
        record = Record(facts, State.SUSPECT, f"silent for {silence:.1f} s", self.own.node)
        self._accept(record, "", now)

    def _look_at_suspect(
        self, entry: Entry, suspicion: Suspicion, silence: float, now: float
    ) -> None:
        if now >= suspicion.ends(SUSPICION_LEAST, SUSPICION_MOST):
            if silence >= PROBE_AFTER:
                self._declare_dead(entry, f"silent for {silence:.1f} s", now)
        elif silence >= PROBE_AFTER and suspicion.confirm(self.own.node):
            facts = entry.facts
            record = Record(facts, State.SUSPECT, f"silent for {silence:.1f} s", self.own.node)
            self._steps.append(Spread(record, ""))

    def _declare_dead(self, entry: Entry, reason: str, now: float) -> None:
        self._accept(Record(entry.facts, State.DEAD, reason, self.own.node), "", now)

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


def lag_of(now: float, previous: float, interval: float = TICK_INTERVAL) -> float:
    """Say how much of the time since the last look this node was not listening, in seconds.

    A look that comes up to one interval late is the ordinary jitter of a loop.
    """
    late = now - previous - interval
    return late if late > interval else 0.0
