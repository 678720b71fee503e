"""`Supervision` against a naive supervisor, and against what must hold whatever happens.

ACTORMQ_EXAMPLES=20000 scripts/test tests/rules/test_supervision_model.py
"""

import random
from collections import Counter

import pytest
from examples_count import run_machine, seconds_allowed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from naive_supervisor import NaiveSupervisor

from actormq.rules.actions import Done, Forget, GiveUp, Start, Started, StartFailed, Stop, Wait
from actormq.rules.backoff import Backoff
from actormq.rules.restart import POLICIES, STRATEGIES, RestartBudget
from actormq.rules.supervision import Supervision

PERIOD = 2.0  # s; all figures are sums of powers of 2, so that both sides reckon alike
POLICY = st.sampled_from(POLICIES)
PICK = st.integers(0, 7)
NEW = 1000  # a key that is never used
IN_ORDER, BY_ERROR = False, True

PENDING = {"starting": ["started"], "stopping": ["ended", IN_ORDER], "waiting": ["due"]}
"""What is to come for a child in such a phase: a fact, and what it is told besides key and time."""

EXPECTED = {
    "started": ["starting"],
    "start_failed": ["starting", "up", "stopping"],
    "ended": ["starting", "up", "stopping"],
    "due": ["waiting"],
}
COMMANDS = st.sampled_from(["add"] * 7 + ["remove"] * 6 + ["stop"])


def chances(seed):
    """Numbers from 0 to 1 in steps of an eighth."""
    generator = random.Random(seed)
    return lambda: generator.randrange(8) / 8


class World:
    """What really runs, as far as facts and actions tell, and what may never happen there."""

    def __init__(self, strategy):
        self.strategy = strategy
        self.running = {}  # by key: starting, up or stopping
        self.order = []
        self.begun = set()
        self.been_up = set()
        self.forgotten = set()
        self.ends = Counter()
        self.is_stopped = False

    def hear(self, fact, arguments):
        match fact, arguments:
            case "begin", (children,):
                self.order += [key for key, _ in children]
                self.begun = set(self.order)
            case "add", (key, _):
                self.order.append(key)
            case "started", (key, _) if self.running.get(key) == "starting":
                self.running[key] = "up"
                self.been_up.add(key)
            case (("start_failed" | "ended"), (key, *_)):
                self.running.pop(key, None)
            case "stop", ():
                self.is_stopped = True

    def check(self, fact, arguments, actions):
        stops = [a.key for a in actions if isinstance(a, Stop)]
        assert [self.order.index(key) for key in stops] == sorted(
            (self.order.index(key) for key in stops), reverse=True
        )
        for action in actions:
            if isinstance(action, Start | Stop | Wait | Forget):
                assert action.key in self.order
                assert action.key not in self.forgotten
            self.check_one(action, is_asked=(fact, arguments) == ("remove", (action_key(action),)))

    def check_one(self, action, is_asked):
        match action:
            case Start(key):
                assert not self.is_stopped
                assert not self.ends.keys() & {"Done", "GiveUp", "StartFailed"}
                assert key not in self.running, "never two of one child"
                self.running[key] = "starting"
            case Stop(key):
                assert self.running[key] in ("starting", "up")
                if self.strategy != "one_for_one" and not is_asked:
                    later = self.order[self.order.index(key) + 1 :]
                    assert not self.running.keys() & set(later), "the last one is stopped first"
                self.running[key] = "stopping"
            case Wait(key, seconds):
                assert seconds > 0
                assert key not in self.running
            case Forget(key):
                assert key not in self.running
                self.forgotten.add(key)
            case Started():
                assert self.begun <= self.been_up | self.forgotten
                self.ends["Started"] += 1
            case StartFailed() | GiveUp() | Done():
                assert not self.running, "all have ended"
                self.ends[type(action).__name__] += 1
                assert self.is_stopped is isinstance(action, Done)
        assert set(self.ends.values()) <= {1}


def action_key(action):
    return getattr(action, "key", None)


class Supervisors(RuleBasedStateMachine):
    @initialize(
        strategy=st.sampled_from([*STRATEGIES, "rest_for_one"]),  # which has most to go wrong
        restarts=st.sampled_from([0, 1, 3, 9, 99, 99]),
        first=st.sampled_from([0.0, 0.5]),
        jitter=st.sampled_from([0.0, 0.5]),
        policies=st.lists(POLICY, max_size=5),
        seed=st.integers(0, 9),
        is_up=st.booleans(),
    )
    def begin(self, strategy, restarts, first, jitter, policies, seed, is_up):
        self.now = 0.0
        self.restarts = restarts
        budget, backoff = RestartBudget(restarts, PERIOD), Backoff(first, 4.0, 2.0, jitter)
        chance = chances(seed)

        def delay_of(attempt):
            spread = 1 + jitter * (2 * chance() - 1)
            return min(first * 2 ** (attempt - 1), 4.0) * spread if first else chance() * 0

        self.real = Supervision(strategy, budget, backoff, chances(seed))
        self.model = NaiveSupervisor(strategy, restarts, PERIOD, delay_of)
        self.world = World(strategy)
        self.tell("begin", list(enumerate(policies)))
        if is_up:
            self.calm_down()

    def tell(self, fact, *arguments):
        self.world.hear(fact, arguments)
        actions = getattr(self.real, fact)(*arguments)
        assert actions == self.model.tell(fact, *arguments)
        self.world.check(fact, arguments, actions)
        self.compare()

    def compare(self):
        rows = self.model.rows
        keys = self.real.keys
        assert keys == [row.key for row in rows]
        assert [self.real.phase(key) for key in keys] == [row.phase for row in rows]
        assert [self.real.restart_count(key) for key in keys] == [r.restart_count for r in rows]
        assert self.real.is_stopping is (self.model.ending is not None)
        times = self.model.restarted_at
        assert self.real.history == tuple(times[len(times) - min(self.restarts, len(times)) :])
        assert all(
            sum(later - PERIOD <= at <= later for at in times) <= self.restarts for later in times
        )

    def picked(self, pick, phase):
        keys = [row.key for row in self.model.rows if row.phase == phase]
        return keys[pick % len(keys)]

    def is_any(*phases):
        return precondition(lambda self: any(row.phase in phases for row in self.model.rows))

    def go_on(self, pick):
        """One of the facts that are to be expected when all goes well."""
        pending = [row for row in self.model.rows if row.phase in PENDING]
        row = pending[pick % len(pending)]
        fact, *more = PENDING[row.phase]
        self.tell(fact, row.key, *more, self.now)

    @is_any("starting", "stopping", "waiting")
    @rule(pick=PICK)
    def go_well(self, pick):
        self.go_on(pick)

    @is_any("starting", "stopping", "waiting")
    @rule()
    def calm_down(self):
        """All goes well until nothing is under way."""
        while any(row.phase in PENDING for row in self.model.rows):
            self.go_on(0)

    @is_any("starting")
    @rule(pick=PICK, is_last=st.sampled_from([False, False, True]))
    def start_failed(self, pick, is_last):
        self.tell("start_failed", self.picked(pick, "starting"), self.now, is_last)

    @is_any("up")
    @rule(pick=PICK, is_error=st.sampled_from([BY_ERROR, BY_ERROR, IN_ORDER]))
    def ended(self, pick, is_error):
        self.tell("ended", self.picked(pick, "up"), is_error, self.now)

    @is_any("up")
    @rule(picks=st.lists(PICK, min_size=2, max_size=3))
    def some_fail(self, picks):
        for pick in picks:
            if any(row.phase == "up" for row in self.model.rows):
                self.tell("ended", self.picked(pick, "up"), BY_ERROR, self.now)

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 2.25, 4.0]))
    def pass_time(self, seconds):
        self.now += seconds

    @rule(what=COMMANDS, pick=PICK, policy=POLICY)
    def command(self, what, pick, policy):
        if what == "stop":
            self.tell("stop")
        elif what == "add" and len(self.model.rows) < 8:
            self.tell("add", len(self.world.order), policy)
        elif self.world.order:
            self.tell("remove", self.world.order[pick % len(self.world.order)])

    @rule(fact=st.sampled_from(sorted(EXPECTED)), pick=PICK)
    def come_late(self, fact, pick):
        """A fact that cannot be, about a child that is known, was known, or never was."""
        key = [*self.world.order, NEW][pick % (len(self.world.order) + 1)]
        if self.real.phase(key) not in EXPECTED[fact]:
            more = [BY_ERROR] if fact == "ended" else []
            self.tell(fact, key, *more, self.now)

    def teardown(self):
        if not hasattr(self, "real"):
            return
        self.tell("stop")
        self.calm_down()
        assert self.world.ends["Done"] == 1
        assert self.real.keys == []


@pytest.mark.slow
@pytest.mark.timeout(seconds_allowed())
def test_supervision_does_what_a_naive_supervisor_does():
    run_machine(Supervisors)
