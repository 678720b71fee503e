"""The standard scenario finds what it is there for: bugs that are planted here, one at a time."""

import pytest

from actormq.cluster import elections
from actormq.cluster.directory import Directory
from actormq.cluster.far import FarAnswer
from actormq.cluster.gossip import Gossip
from actormq.cluster.mesh import Mesh
from actormq.cluster.outbox import Outbox
from actormq.cluster.post import Post
from actormq.cluster.reach import Reach
from actormq.rules import election, lookout
from actormq.rules.entry import Watch
from actormq.rules.lookout import Lookout
from actormq.rules.membership import Membership
from actormq.rules.records import State
from actormq.testing import SimulationFailed, simulate
from actormq.testing.simulation.connection import Connection
from actormq.testing.simulation.transport import SimulatedPort

SEEDS = 60

pytestmark = pytest.mark.slow


def says_the_last_thing_again(monkeypatch):
    """An outbox sends what it was told last once more on a new connection."""
    attach, seal = Outbox.attach, Outbox._seal

    def again(self, port, routing_id=None):
        held = self.__dict__.get("last")
        if held is not None:
            self._queue.appendleft(held)
            self._waiting_bytes += held[1]
        attach(self, port, routing_id)

    def note(self):
        seal(self)
        if self._queue and self._queue[-1][0][0][1:2] in (b"\x03", b"\x15"):  # it begins with tells
            self.last = self._queue[-1]

    monkeypatch.setattr(Outbox, "attach", again)
    monkeypatch.setattr(Outbox, "_seal", note)


def overtakes(monkeypatch):
    """An outbox lets what is small go first, where something waits."""

    def seal(self):
        self._end_rows()
        if self._batch:
            entry = ([b"".join(self._batch)], self._batch_bytes, self._batch_count)
            self._queue.appendleft(entry)
            self._batch, self._batch_bytes, self._batch_count = [], 0, 0

    monkeypatch.setattr(Outbox, "_seal", seal)


def keeps_names_of_the_dead(monkeypatch):
    """A directory does not forget a node."""
    monkeypatch.setattr(Directory, "forget", lambda _self, _node: None)


def forgets_to_count(monkeypatch):
    """A mesh forgets what it had sent to whoever is gone."""
    forget = Mesh.forget

    def forgetful(self, member, reason):
        member.outbox.sent_count = 0
        forget(self, member, reason)

    monkeypatch.setattr(Mesh, "forget", forgetful)


def loses_in_silence(monkeypatch):
    """A port says that it has sent what it has thrown away."""
    offer = SimulatedPort.offer
    count = 0

    def now_and_then(self, frames, copy=True):
        nonlocal count
        count += self._routing_id is not None and self._dialled is not None
        return 0 if count % 100 == 99 else offer(self, frames, copy)

    monkeypatch.setattr(SimulatedPort, "offer", now_and_then)


def never_dials_the_dead(monkeypatch):
    """A node waits for those whom it holds for dead to come by themselves."""
    dial = Reach._dial

    def proud(self, key, endpoints, *how):
        if self._hub.is_member(key) or not self._hub.is_dead(key, 1):
            dial(self, key, endpoints, *how)

    monkeypatch.setattr(Reach, "_dial", proud)


def does_not_say_what_it_has(monkeypatch):
    """A node compares what it knows with nobody."""
    monkeypatch.setattr(Gossip, "_compare", lambda _self, _member: None)


def raises_when_somebody_is_lost(monkeypatch):
    """A callback raises."""

    def lost(_self, _member, _reason):
        raise KeyError("planted")

    monkeypatch.setattr(Post, "lost", lost)


def answers_the_wrong_one(monkeypatch):
    """A reply goes to the ask before."""
    resolve, latest = FarAnswer.resolve, {}

    def crossed(self, value):
        before, latest[self.calls] = latest.get(self.calls, value), value
        resolve(self, before)

    monkeypatch.setattr(FarAnswer, "resolve", crossed)


def doubles_a_message(monkeypatch):
    """The network delivers some messages twice."""
    deliver = Connection._deliver
    count = 0

    def twice(self, stream, end, frames):
        nonlocal count
        count += 1
        deliver(self, stream, end, frames)
        if count % 50 == 0 and end is not None:
            deliver(self, stream, end, frames)

    monkeypatch.setattr(Connection, "_deliver", twice)


def takes_the_dead_back(monkeypatch):
    """A node does not remember who is dead."""
    monkeypatch.setattr(Membership, "is_gone", lambda _self, _node, _incarnation: False)


def is_hasty(monkeypatch):
    """A node gives who hangs a second less than it should."""
    for limit in ("SUSPICION_LEAST", "SUSPICION_MOST", "HANG_LIMIT"):
        monkeypatch.setattr(lookout, limit, getattr(lookout, limit) - 1.0)


def is_slow_to_miss_the_silent(monkeypatch):
    """A node gives who is silent three seconds more than it should, and does not ask TCP."""
    monkeypatch.setattr(Lookout, "_is_cut_off", lambda *_: False)
    for limit in ("SUSPICION_LEAST", "SUSPICION_MOST"):
        monkeypatch.setattr(lookout, limit, getattr(lookout, limit) + 3.0)


def is_slow_to_miss_the_killed(monkeypatch):
    """A node waits for a broken connection a second longer than it should."""
    monkeypatch.setattr(lookout, "RECONNECT_GRACE", lookout.RECONNECT_GRACE + 1.0)


def does_not_see_that_it_lagged(monkeypatch):
    """A node judges by silence, and takes time in which it hung itself for others' silence."""
    look, most = Lookout.look, lookout.ASK_LATER + lookout.HANG_LIMIT

    def judge(self, entry, now):
        if entry.watch is not None and now - entry.watch.heard_at > most:
            return self._accusation(entry, entry.watch, State.DEAD, now)
        return look(self, entry, now)

    monkeypatch.setattr(Lookout, "forgive", lambda _self, _now, _lag: None)
    monkeypatch.setattr(Lookout, "look", judge)


def judges_by_itself(monkeypatch):
    """A node that does not reach another one asks nobody, and forgets who has reached it."""
    monkeypatch.setattr(Lookout, "_ask_others", lambda _self, _entry, _watch, _now: None)
    monkeypatch.setattr(Watch, "is_reached_by_others", lambda _self, _patience: False)


def never_lets_go(monkeypatch):
    """Whoever holds a name keeps it, whoever else does."""

    def keep(own, others, *, is_known):
        verdict = election.decide(own, others, is_known=is_known)
        return election.Verdict(election.Move.STAY) if own.holds else verdict

    monkeypatch.setattr(elections, "decide", keep)


def forgets_who_held_a_name(monkeypatch):
    """A node turns to a better holder before the one that it knows has let go."""
    monkeypatch.setattr(elections, "holder", lambda offers, _: election.holder(offers, None))


PLANTED = {
    never_lets_go: "not within",
    forgets_who_held_a_name: "has not let it go",
    takes_the_dead_back: "which was gone",
    is_hasty: "which is well: silent for",
    is_slow_to_miss_the_silent: ", silent 8 s ago",
    is_slow_to_miss_the_killed: ", killed 2 s ago",
    does_not_see_that_it_lagged: "which is well: silent for",
    judges_by_itself: "which is well: ",
    says_the_last_thing_again: "came behind its word",
    overtakes: "came behind its word",
    keeps_names_of_the_dead: "who are no members",
    forgets_to_count: "the ledger is not balanced",
    loses_in_silence: "the ledger is not balanced",
    never_dials_the_dead: "not within",
    does_not_say_what_it_has: "not within",
    raises_when_somebody_is_lost: "planted",
    answers_the_wrong_one: "was told",
    doubles_a_message: "the ledger is not balanced",
}
"""Each, and what must be said of it."""


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant, monkeypatch, logged):
    plant(monkeypatch)
    for seed in range(SEEDS):
        try:
            simulate(seed, trace=False)
        except SimulationFailed as failure:
            if PLANTED[plant] in str(failure):
                logged.lines.clear()  # the bug's own
                return
    pytest.fail(f"{plant.__doc__} Not found in {SEEDS} seeds.")
