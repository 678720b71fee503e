"""Looks at members, one at a time: pings them, looks for them through others, and judges silence.

Which members are watched, and what becomes of a judgement, is up to `membership.py`; the rules
stand at its head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actormq.rules.entry import Entry, Watch
from actormq.rules.records import Record, State
from actormq.rules.steps import Answer, Dial, Help, Ping, Spread, Step, Tell
from actormq.rules.suspicion import Health, Suspicion
from actormq.settings import RECONNECT_GRACE

ASK_AFTER = 1.25  # s of silence; of two idle neighbours one asks, and the answer serves both
ASK_LATER = 1.75  # s, for the other one of the two, in case the first does not think of it
ASK_AGAIN = 0.5  # s between pings of a neighbour that does not answer
ROUND_TRIP_INTERVAL = 15.0  # s between pings of one that is heard anyway
ANSWER_WITHIN = 1.0  # s from a ping: a LAN answers within 10 ms, a busy loop within a second
HELP_WITHIN = 0.75  # s for those who are asked to help
HELPERS = 3
LAST_WORDS = 0.3  # s behind a broken connection in which words may still come that were sent before
SUSPICION_LEAST, SUSPICION_MOST = 3.25, 3.5  # s to contradict
ROUND_TRIPS = 10  # of a reconnect: TCP, ZMTP and our own hello take some five
ROUND_TRIPS_MOST = 0.75  # s for them: whoever hung has answered late, and is no far node for that

HANG_LIMIT = ANSWER_WITHIN + HELP_WITHIN + SUSPICION_LEAST
"""Seconds that a node may hang, and is not declared dead: it is asked no earlier than that."""


class Lookout:
    """Watches members, and helps others to reach theirs.

    Args:
        own: This node's id.
        entries: The members by id, as `membership.py` keeps them.
        steps: Where it puts what is to be done.
        now: The time.
        chance: Draws a number evenly from 0 (within) to 1 (without).

    Attributes:
        linked: Ids of nodes to which there is a connection.
        watched: Ids of the members that are watched: each has a `Watch`.
        health: How well this node does itself.
    """

    def __init__(
        self,
        own: str,
        entries: Mapping[str, Entry],
        steps: list[Step],
        now: float,
        chance: Callable[[], float],
    ) -> None:
        self.linked: dict[str, None] = {}
        self.watched: dict[str, None] = {}
        self.health = Health(changed_at=now)
        self._own = own
        self._entries = entries
        self._steps = steps
        self._chance = chance
        self._askers: dict[str, tuple[float, list[str]]] = {}  # who wants whom reached, by when

    # -- whom ---------------------------------------------------------------------------------

    def watch(self, entry: Entry, now: float) -> None:
        """Watch a member from now on."""
        node = entry.record.node
        if node in self.watched:
            return
        self.watched[node] = None
        entry.watch = Watch(now, now, ASK_AFTER if self._own < node else ASK_LATER)

    def unwatch(self, entry: Entry) -> None:
        """Watch a member no more."""
        self.watched.pop(entry.record.node, None)
        entry.watch = None

    def forget(self, node: str) -> None:
        """A member is gone: nobody need look for it."""
        self.watched.pop(node, None)
        self.parted(node)

    # -- what is heard ------------------------------------------------------------------------

    def hear(self, entry: Entry, now: float) -> None:
        """A word came from a member."""
        if entry.watch is not None:
            entry.watch.spoke_at = now
            self._is_there(entry, entry.watch, now)

    def _is_there(self, entry: Entry, watch: Watch, now: float) -> None:
        """A member has said something, to this node or to one that was asked to reach it."""
        if watch.cut_at is not None and now - watch.cut_at > LAST_WORDS:
            watch.cut_at = None
        watch.hear(now)
        if entry.state is State.SUSPECT and watch.cut_at is None:
            suspicion = entry.suspicion
            if suspicion is None:
                self._steps += entry.turn(State.ALIVE, "heard again", now)
            elif now - suspicion.told_at >= ASK_AGAIN:  # it may not know that it has to contradict
                suspicion.told_at = now
                self._steps.append(Tell(entry.record.node, entry.record))

    def reached(self, entry: Entry, now: float) -> None:
        """There is a way to a member, whatever broke before."""
        if entry.watch is not None:
            entry.watch.cut_at = None
            self._is_there(entry, entry.watch, now)

    def parted(self, node: str) -> None:
        """There is no connection to a node any more: it helps nobody, nor is it reached."""
        self.linked.pop(node, None)
        self._answer(node, is_there=False)
        for other in self.watched:
            watch = self._entries[other].watch
            if watch is not None:
                watch.lost_helper(node)

    def hears(self, entry: Entry, now: float) -> bool:
        """Whether a member is there beyond doubt: this node is connected to it, and hears it."""
        return (
            entry.watch is not None
            and entry.watch.cut_at is None
            and entry.record.node in self.linked
            and not entry.watch.is_silent(now, ANSWER_WITHIN)
        )

    def broke(self, entry: Entry, now: float) -> None:
        """The connection to a member has ended, and not by this node.

        That says that its process was killed, unless others have reached it while this node could
        not: then the way between the two is cut, and TCP has given it up after its 5 s. Such a
        break says nothing new. The member stays one that is silent here, and can contradict, where
        those who reach it might not be among the first that are asked.
        """
        self.parted(entry.record.node)
        self._steps.append(Dial(entry.facts))
        watch = entry.watch
        if watch is None or watch.cut_at is not None or watch.is_reached_by_others(ASK_AFTER):
            return
        watch.cut_at = now
        watch.forget_helpers()
        if entry.state is State.ALIVE:
            self._steps += entry.turn(State.SUSPECT, "its connection broke", now)
        self._ask_others(entry, watch, now)

    # -- help ---------------------------------------------------------------------------------

    def asked_for(self, node: str, asker: str, now: float) -> None:
        """Another node cannot reach a third one, and asks this one to try."""
        if node == self._own:
            self._steps.append(Answer(asker, node, is_there=True))
        elif node not in self.linked:
            self._steps.append(Answer(asker, node, is_there=False))
        else:
            _, askers = self._askers.setdefault(node, (now + HELP_WITHIN, []))
            if asker not in askers:  # however often it asks
                askers.append(asker)
                self._steps.append(Ping(node))

    def ponged(self, node: str) -> None:
        """A node has answered a ping."""
        self._answer(node, is_there=True)

    def answered(self, entry: Entry, helper: str, is_there: bool, now: float) -> None:
        """A node that was asked to reach a member says whether it did."""
        if entry.watch is None or helper not in entry.watch.helpers:
            return
        entry.watch.helpers.discard(helper)
        if is_there:
            self.reached(entry, now)
        elif entry.watch.cut_at is not None:
            self._ask_others(entry, entry.watch, now)  # soon it is too late

    def _answer(self, node: str, *, is_there: bool) -> None:
        _, askers = self._askers.pop(node, (0.0, []))
        self._steps += [Answer(asker, node, is_there) for asker in askers]

    def _ask_others(self, entry: Entry, watch: Watch, now: float) -> None:
        """Let others look for a member that this node cannot reach."""
        node = entry.record.node
        others = [other for other in self.linked if other != node and self._may_help(other, watch)]
        while len(others) > max(HELPERS - len(watch.helpers), 0):
            others.pop(int(self._chance() * len(others)))
        if others:
            watch.helped_at = now
        watch.helpers.update(others)
        watch.asked.update(others)
        self._steps += [Help(other, node) for other in others]

    def _may_help(self, other: str, watch: Watch) -> bool:
        entry = self._entries.get(other)
        return entry is not None and entry.state is State.ALIVE and other not in watch.asked

    # -- time ---------------------------------------------------------------------------------

    def forgive(self, now: float, lag: float) -> None:
        """Leave out a stretch of time in which this node itself did not listen."""
        self.health.worsen(now)
        for node in self.watched:
            entry = self._entries[node]
            if entry.watch is not None:
                entry.watch.forgive(lag, now)
            if entry.suspicion is not None:
                entry.suspicion.since = min(entry.suspicion.since + lag, now)
        for node, (until, askers) in self._askers.items():
            self._askers[node] = until + lag, askers

    def give_answers(self, now: float) -> None:
        """Tell those who wait too long for a third node that it was not reached."""
        for node, (until, _) in list(self._askers.items()):
            if now >= until:
                self._answer(node, is_there=False)

    def look(self, entry: Entry, now: float) -> Record | None:
        """Ping a member, look for it or judge it: whatever it is time for.

        Returns:
            What is to be believed of it from now on, by all: it is suspected, or dead.
        """
        watch, node = entry.watch, entry.record.node
        if watch is None:
            return None
        is_linked = node in self.linked
        self._ask_if_due(entry, watch, now, is_linked=is_linked)
        if watch.cut_at is not None and self._is_cut_off(entry, watch, watch.cut_at, now):
            reason = "its connection broke and did not come back"
            return Record(entry.facts, State.DEAD, reason, self._own)
        if entry.suspicion is not None:
            return self._look_at_suspect(entry, watch, entry.suspicion, now)
        if watch.cut_at is not None or watch.unanswered_at is None:
            return None
        patience = self.health.stretched(ANSWER_WITHIN)
        waited = now - watch.unanswered_at
        if waited >= (patience if is_linked else 0.0) and watch.helped_at is None:
            self._ask_others(entry, watch, now)
        if waited < patience + HELP_WITHIN or watch.is_helped(now, HELP_WITHIN):
            return None
        if watch.helpers:
            self.health.worsen(now)  # those who were asked do not answer: perhaps it is us
        watch.helped_at = None
        return self._accusation(entry, watch, State.SUSPECT, now)

    def _ask_if_due(self, entry: Entry, watch: Watch, now: float, *, is_linked: bool) -> None:
        is_silent = now - watch.heard_at >= watch.ask_after
        if is_silent and watch.unanswered_at is None:
            watch.unanswered_at = now
        if is_linked and now - watch.asked_at >= (ASK_AGAIN if is_silent else ROUND_TRIP_INTERVAL):
            watch.asked_at = now
            self._steps.append(Ping(entry.record.node))

    def _is_cut_off(self, entry: Entry, watch: Watch, cut_at: float, now: float) -> bool:
        """Whether a broken connection has had its time to come back, and helpers theirs."""
        self._ask_others(entry, watch, now)  # those to whom there was no connection before
        trips = min(ROUND_TRIPS * (entry.round_trip or 0.0), ROUND_TRIPS_MOST)
        patience = self.health.stretched(RECONNECT_GRACE) + trips
        if watch.is_helped(now, HELP_WITHIN):
            patience += HELP_WITHIN
        return now - max(cut_at, watch.heard_at) >= patience

    def _look_at_suspect(
        self, entry: Entry, watch: Watch, suspicion: Suspicion, now: float
    ) -> Record | None:
        if not watch.is_silent(now, ANSWER_WITHIN):
            return None
        is_linked = entry.record.node in self.linked
        is_over = now >= suspicion.ends(SUSPICION_LEAST, SUSPICION_MOST)
        # Others may suspect it for what this node has not seen: that their connection has broken.
        if is_over and (not is_linked or watch.is_silent(now, HANG_LIMIT)):
            return self._accusation(entry, watch, State.DEAD, now)
        was_asked = is_linked or bool(watch.asked)
        if was_asked and suspicion.confirm(self._own):
            self._steps.append(Spread(self._accusation(entry, watch, State.SUSPECT, now), ""))
        return None

    def _accusation(self, entry: Entry, watch: Watch, state: State, now: float) -> Record:
        return Record(entry.facts, state, f"silent for {now - watch.heard_at:.1f} s", self._own)
