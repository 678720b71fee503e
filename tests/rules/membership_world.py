"""Many `Membership` machines and a network between them, in virtual time: no sockets, no loops.

It does what `cluster/mesh.py` and `cluster/gossip.py` do around the machines, as plainly as can be.
A connection loses nothing while it lives. A way can be cut silently, in one direction or in both,
or be broken, so that both ends know. A process can be frozen (its system still takes what comes),
be killed (its system says that it is gone), or vanish with its host (nobody says anything).
"""

import heapq
import itertools
import random

from actormq.message import Facts
from actormq.rules.membership import Membership, lag_of
from actormq.rules.records import Record, State
from actormq.rules.steps import Answer, Change, Dial, Help, Ping, Renew, Retry, Spread, Tell
from actormq.settings import HANDSHAKE_TIMEOUT, TICK_INTERVAL

DIFFERS_FOR = 1.0  # s, as in gossip.py
UNACKNOWLEDGED = 5.0  # s after which a system gives a connection up
RESENT_WITHIN = 1.0  # s after a heal until what had waited arrives
HINTS = 0.5  # s between what discovery says
LATENCY = 0.0005, 0.004  # s


def facts_of(node, **changes):
    endpoints = (f"tcp://{node}:1",)
    return Facts("home", node, **{"incarnation": 1, "name": node, "scope": "lan"} | changes,
                 endpoints=endpoints, host="")  # fmt: skip


class Link:
    """What one process says to another, in order, until it breaks."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        self.is_up = True
        self.waiting = []
        self.last = 0.0


class Process:
    """One node: a machine, its links, and what it has been told."""

    def __init__(self, world, node):
        self.world = world
        self.node = node
        self.is_up = True
        self.frozen_until = 0.0
        self.inbox = []
        self.links = {}
        self.sessions = {}  # node to the link on which it speaks
        self.dialling = set()
        self.pinged_at = {}
        self.differs_since = {}
        self.buried = {}
        self.ticked_at = world.now
        self.membership = Membership(facts_of(node), world.now, world.random.random)
        world.at(world.now + TICK_INTERVAL * world.random.random(), self.tick)

    @property
    def view(self):
        """Who is there: incarnation and state, by id."""
        found = {n: (e.facts.incarnation, e.state) for n, e in self.membership.entries.items()}
        return {**found, self.node: (self.membership.own.incarnation, State.ALIVE)}

    # -- time

    def do(self, what):
        """Do something as soon as this process runs."""
        if self.is_up and self.world.now < self.frozen_until:
            self.inbox.append(what)
        elif self.is_up:
            what()
            self.act()

    def freeze(self, seconds):
        self.frozen_until = max(self.frozen_until, self.world.now + seconds)
        self.world.at(self.frozen_until, self.thaw)

    def thaw(self):
        if self.world.now >= self.frozen_until:
            inbox, self.inbox = self.inbox, []
            for what in inbox:
                self.do(what)

    def tick(self):
        if self.is_up:
            self.do(self._tick)

    def _tick(self):
        now = self.world.now
        lag = lag_of(now, self.ticked_at)
        self.ticked_at = now
        self.membership.tick(now, lag)
        self.world.at(now + TICK_INTERVAL + 0.004 * self.world.random.random(), self.tick)

    # -- words

    def say(self, node, *words):
        link = self.links.get(node)
        if link is not None:
            self.world.send(link, words)

    def spread(self, record, source):
        for node in self.membership.neighbours:
            if node not in (source, record.node):
                self.say(node, "record", record)

    def hear(self, link, words):  # noqa: C901, PLR0912 a table of words
        """What came on a connection of a peer."""
        source, membership, now = link.source.node, self.membership, self.world.now
        if self.sessions.get(source) is not link:
            self.world.close(link, is_told=True)  # it has to say hello again
            return
        membership.heard(source, now)
        match words:
            case "ping", root:
                self.say(source, "pong", self.root)
                self.compare(source, root)
            case "pong", root:
                entry, pinged_at = membership.entries.get(source), self.pinged_at.pop(source, None)
                if entry is not None and pinged_at is not None:
                    entry.round_trip = now - pinged_at
                membership.ponged(source, now)
                self.compare(source, root)
            case "help", node:
                membership.asked_for(node, source, now)
            case "helped", node, is_there:
                membership.answered(node, source, is_there, now)
            case "record", record:
                membership.told(record, source, now)
            case "summary", theirs:
                self.take_summary(source, theirs)
            case "want", nodes:
                for node in nodes:
                    if node == self.node:
                        self.say(source, "record", membership.own_record())
                    elif node in membership.entries:
                        self.say(source, "record", membership.entries[node].record)
            case ("leave",):
                entry = membership.entries.get(source)
                if entry is not None:
                    membership.told(Record(entry.facts, State.LEFT, "bye"), source, now)

    @property
    def root(self):
        own = self.membership.own
        known = {n: e.facts for n, e in self.membership.entries.items()} | {self.node: own}
        return {node: (facts.incarnation, facts.edition) for node, facts in known.items()}

    def compare(self, source, root):
        now = self.world.now
        if root == self.root:
            self.differs_since.pop(source, None)
        elif now - self.differs_since.setdefault(source, now) >= DIFFERS_FOR:
            self.differs_since[source] = now
            self.say(source, "summary", self.root)

    def take_summary(self, source, theirs):
        membership, ours = self.membership, self.root
        for node, known in ours.items():
            if known > theirs.get(node, (0, 0)):
                its = membership.entries.get(node)
                self.say(source, "record", its.record if its else membership.own_record())
        for node, known in theirs.items():
            if membership.is_gone(node, known[0]):
                self.say(source, "record", membership.last_words(node))
        self.say(source, "want", [n for n, k in theirs.items() if k > ours.get(n, (0, 0))])

    # -- connections

    def dial(self, node):
        if node not in self.dialling and node not in self.links and node != self.node:
            self.dialling.add(node)
            self.world.dial(self, node, self.membership.own)

    def greeted(self, source, facts, link):
        """Answer the hello of another one: the incarnation at which it is dead, or 0."""
        if self.membership.is_gone(facts.node, facts.incarnation):
            return facts.incarnation
        self.sessions[facts.node] = link
        self.dial(facts.node)
        self.meet(facts)
        return 0

    def linked(self, link, facts):
        """Another one has let us in."""
        self.dialling.discard(facts.node)
        if self.membership.is_gone(facts.node, facts.incarnation):
            self.world.send(link, ("record", self.membership.tombs[facts.node].record))
            self.world.close(link)
            return
        self.links[facts.node] = link
        self.membership.linked(facts.node, self.world.now)
        self.meet(facts)
        self.say(facts.node, "summary", self.root)

    def meet(self, facts):
        if facts.node in self.links and facts.node in self.sessions:
            self.membership.greeted(facts, self.world.now)

    def refused(self, node, incarnation):
        """Another one holds that incarnation of this node for dead, or does not answer: 0."""
        self.dialling.discard(node)
        if incarnation and incarnation == self.membership.own.incarnation:
            self.membership.renew(incarnation=incarnation + 1, edition=0)
            self.dial(node)

    def broke(self, link):
        if self.links.get(link.target.node) is link:
            del self.links[link.target.node]
            self.membership.broke(link.target.node, self.world.now)

    # -- what the rules want

    def act(self):
        while steps := self.membership.take_steps():
            for step in steps:
                self._act(step)

    def _act(self, step):  # noqa: C901 a table of steps
        match step:
            case Ping(node):
                self.pinged_at.setdefault(node, self.world.now)
                self.say(node, "ping", self.root)
            case Dial(facts) | Retry(facts):
                self.dial(facts.node)
            case Help(helper, node):
                self.say(helper, "help", node)
            case Answer(asker, node, is_there):
                self.say(asker, "helped", node, is_there)
            case Tell(node, record):
                self.say(node, "record", record)
            case Spread(record, source):
                self.spread(record, source)
            case Change(record, state):
                if state.is_final:
                    self.sessions.pop(record.node, None)
                    link = self.links.pop(record.node, None)
                    if link is not None:
                        self.world.close(link)
                self.world.changed(self, step)
            case Renew():
                pass


class World:
    """Processes and the ways between them.

    Args:
        seed: Draws all that is left to chance.
        count: Processes that have met by the end of the first second.
    """

    def __init__(self, seed, count):
        self.random = random.Random(seed)
        self.now = 1_000.0
        self.processes = {}
        self.links = []
        self.cuts = {}  # (from, to) to whether those who send are told at once
        self.changes = []  # (time, process, change)
        self.checks = []  # called with each change of a view
        self._events = []
        self._numbers = itertools.count()
        for _ in range(count):
            self.start()
        self.run(1.0)

    # -- time

    def at(self, when, what):
        heapq.heappush(self._events, (when, next(self._numbers), what))

    def run(self, seconds, is_done=lambda: False):
        """Let time pass; say how much it was."""
        began = self.now
        while self._events and self._events[0][0] <= began + seconds and not is_done():
            self.now, _, what = heapq.heappop(self._events)
            what()
        if not is_done():
            self.now = began + seconds
        return self.now - began

    # -- processes

    @property
    def up(self):
        return [process for process in self.processes.values() if process.is_up]

    def start(self):
        """One more; discovery tells of those that it has never heard of, now and then."""
        process = Process(self, f"{self.random.getrandbits(64):016x}")
        self.processes[process.node] = process

        def hint():
            known = {process.node, *process.membership.entries, *process.membership.tombs}
            others = [other.node for other in self.up if other.node not in known]
            if others:
                node = self.random.choice(others)
                process.do(lambda: process.dial(node))
            if process.is_up:
                self.at(self.now + HINTS, hint)

        hint()
        return process

    def kill(self, process):
        """Its system closes its connections."""
        process.is_up = False
        for link in list(self.links):
            if process in (link.source, link.target):
                self.close(link, is_told=link.target is process)

    def vanish(self, process):
        """Its host has no power any more."""
        process.is_up = False
        for other in self.processes.values():
            self.cut(process, other)
            self.cut(other, process)

    # -- ways

    def passes(self, source, target):
        return (source.node, target.node) not in self.cuts

    def is_way(self, one, other):
        return self.passes(one, other) and self.passes(other, one)

    def cut(self, source, target, is_told=False):
        self.cuts[source.node, target.node] = is_told
        if is_told:
            for link in list(self.links):
                if {link.source, link.target} == {source, target}:
                    self.close(link, is_told=True)

    def mend(self):
        """All ways pass again, but for those of hosts that have vanished."""
        gone = {process.node for process in self.processes.values() if not process.is_up}
        self.cuts = {way: told for way, told in self.cuts.items() if gone & set(way)}
        for link in list(self.links):
            self.at(self.now + RESENT_WITHIN * self.random.random(), lambda it=link: self.flush(it))

    def latency(self):
        return self.random.uniform(*LATENCY)

    def send(self, link, words):
        if not link.is_up:
            return
        if not self.is_way(link.source, link.target):
            self.at(self.now + UNACKNOWLEDGED, lambda: self.give_up(link))
        if not self.passes(link.source, link.target) or link.waiting:
            link.waiting.append(words)
            return
        link.last = max(link.last, self.now + self.latency())  # nothing overtakes
        self.at(link.last, lambda: link.target.do(lambda: self.arrive(link, words)))

    def arrive(self, link, words):
        if link.is_up or link.target.sessions.get(link.source.node) is link:
            link.target.hear(link, words)

    def flush(self, link):
        if link.is_up and self.passes(link.source, link.target):
            waiting, link.waiting = link.waiting, []
            for words in waiting:
                self.send(link, words)

    def give_up(self, link):
        if link.is_up and not self.is_way(link.source, link.target):
            self.close(link, is_told=True)

    def close(self, link, is_told=False):
        """End a connection; say so to its source. Its target is not told by its system."""
        if link.is_up:
            link.is_up = False
            self.links.remove(link)
            if is_told:
                source = link.source
                later = self.now + self.latency()
                self.at(later, lambda: source.do(lambda: source.broke(link)))

    def dial(self, source, node, facts):  # noqa: C901 one step within the other
        """A hello, and its answer."""
        target = self.processes[node]
        is_answered = False

        def fail():
            if not is_answered:
                source.do(lambda: source.refused(node, 0))

        def come():
            if not target.is_up and self.is_way(source, target):
                self.at(self.now + self.latency(), fail)
            elif self.passes(source, target) and source.is_up:
                target.do(answer)

        def answer():
            link = Link(source, target)
            gone = target.greeted(source, facts, link)
            if self.passes(target, source):
                self.at(self.now + self.latency(), lambda: source.do(lambda: take(gone, link)))

        def take(gone, link):
            nonlocal is_answered
            if is_late() or is_answered:
                return
            is_answered = True
            if gone or not target.is_up:
                source.refused(node, gone)
            else:
                self.links.append(link)
                source.linked(link, target.membership.own)

        began = self.now

        def is_late():
            return self.now - began > HANDSHAKE_TIMEOUT

        if self.cuts.get((source.node, node)) or self.cuts.get((node, source.node)):
            self.at(self.now + self.latency(), fail)
            return
        self.at(self.now + self.latency(), come)
        self.at(self.now + HANDSHAKE_TIMEOUT, fail)

    # -- what is believed

    def changed(self, process, change):
        self.changes.append((self.now, process, change))
        for check in self.checks:
            check(process, change)

    def knows(self, process, node):
        return node in process.membership.entries

    def agrees(self):
        """Whether all who are there see each other, and nobody else."""
        up = self.up
        there = {p.node: (p.membership.own.incarnation, State.ALIVE) for p in up}
        return all(process.view == there for process in up)
