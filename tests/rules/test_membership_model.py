"""What must hold whatever happens to processes and the ways between them.

ACTORMQ_EXAMPLES=5000 scripts/test tests/rules/test_membership_model.py
"""

import itertools

import pytest
from examples_count import examples_count, run_machine, seconds_allowed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from membership_world import World

from actormq.rules.lookout import HANG_LIMIT
from actormq.rules.records import State

USUAL = 40
STEPS = 25
CALM = 10.0  # s behind a mend until what was decided before it is over
HEALED_WITHIN = 9.0  # s from the mend of all to equal views: those who have just vanished are dead
PICK = st.integers(0, 6)


class Ways:
    """Since when each way passes, and since when each process runs."""

    def __init__(self, world):
        self.world = world
        self.troubled_at = {}  # a pair, or a process, to when it was in trouble last

    def note(self):
        """To be called often: what is in trouble now."""
        world = self.world
        for one, other in world.cuts:
            self.troubled_at[frozenset((one, other))] = world.now
        for process in world.up:
            if process.frozen_until >= world.now:
                self.troubled_at[process.node] = world.now

    def is_calm(self, what):
        return self.world.now - self.troubled_at.get(what, 0.0) > CALM

    def is_calm_around(self, node):
        """Whether neither it nor any way to or from it was in trouble."""
        return all(self.is_calm(what) for what in self.troubled_at if what == node or node in what)

    def is_way(self, one, other):
        """Whether one could have heard another for long, directly or through a third.

        One that hangs for a while is not expected to be heard through others, too: whoever is cut
        off from it cannot tell that from a kill.
        """
        if self.is_calm(frozenset((one.node, other.node))):
            return True
        return self.is_calm(other.node) and any(
            self.is_calm(third.node)
            and self.is_calm(frozenset((one.node, third.node)))
            and self.is_calm(frozenset((third.node, other.node)))
            for third in self.world.up
            if third not in (one, other)
        )


class Mesh(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 999), count=st.integers(2, 5))
    def begin(self, seed, count):
        self.world = World(seed, count)
        self.ways = Ways(self.world)
        self.hung = set()  # (process, incarnation): hung for so long that it may be held for dead
        self.buried = {}  # (process, node) to the last incarnation that it saw dead
        self.world.checks.append(self.check)
        self.world.run(4.0)
        assert self.world.agrees()

    # -- what may never happen

    def check(self, process, change):
        node, incarnation = change.record.node, change.record.facts.incarnation
        if change.state.is_final:
            self.buried[process.node, node] = incarnation
        else:
            assert incarnation > self.buried.get((process.node, node), 0), "none comes back"
        if change.state is State.DEAD:
            other = self.world.processes[node]
            if other.is_up and (node, incarnation) not in self.hung:
                assert not self.ways.is_way(process, other), f"it is there: {change}"

    @invariant()
    def the_dead_are_no_members(self):
        if not hasattr(self, "world"):
            return
        for process in self.world.up:
            machine = process.membership
            assert not [n for n, (i, _) in process.view.items() if machine.is_gone(n, i)]

    def excuse(self, process):
        """Whoever holds this incarnation for dead may be right."""
        self.hung.add((process.node, process.membership.own.incarnation))

    # -- what happens

    def pick(self, pick):
        return self.world.up[pick % len(self.world.up)]

    def pair(self, pick, other):
        one = self.pick(pick)
        rest = [process for process in self.world.up if process is not one]
        return one, rest[other % len(rest)]

    def is_many():
        return precondition(lambda self: len(self.world.up) > 1)

    @rule(seconds=st.sampled_from([0.3, 1.0, 3.0, 8.0, 20.0]))
    def run(self, seconds):
        for _ in range(int(seconds / 0.25) + 1):
            self.ways.note()
            self.world.run(min(seconds, 0.25))
        self.ways.note()

    @is_many()
    @rule(pick=PICK)
    def kill(self, pick):
        self.world.kill(self.pick(pick))

    @is_many()
    @rule(pick=PICK)
    def vanish(self, pick):
        self.world.vanish(self.pick(pick))

    @precondition(lambda self: len(self.world.up) < 6)
    @rule()
    def start(self):
        process = self.world.start()
        self.ways.troubled_at[process.node] = self.world.now  # nobody knows it yet
        for other in self.world.processes:
            self.ways.troubled_at[frozenset((process.node, other))] = self.world.now

    @rule(pick=PICK, seconds=st.sampled_from([0.4, 1.0, 2.5, HANG_LIMIT - 0.1]))
    def hang(self, pick, seconds):
        process = self.pick(pick)
        if not self.ways.is_calm_around(process.node):  # pauses and cuts together may be too much
            self.excuse(process)
        process.freeze(seconds)

    @rule(pick=PICK, seconds=st.sampled_from([7.0, 12.0]))
    def hang_long(self, pick, seconds):
        process = self.pick(pick)
        process.freeze(seconds)
        self.excuse(process)

    @is_many()
    @rule(pick=PICK, other=PICK, is_one_way=st.booleans(), is_told=st.booleans())
    def cut(self, pick, other, is_one_way, is_told):
        one, other = self.pair(pick, other)
        for process in (one, other):
            if not self.ways.is_calm(process.node):
                self.excuse(process)
        self.world.cut(one, other, is_told)
        if not is_one_way:
            self.world.cut(other, one, is_told)
        self.ways.note()

    @is_many()
    @rule(size=st.integers(1, 3))
    def part(self, size):
        up = self.world.up
        for process in up:
            if not self.ways.is_calm(process.node):
                self.excuse(process)
        for one, other in itertools.product(up[:size], up[size:]):
            self.world.cut(one, other)
            self.world.cut(other, one)
        self.ways.note()

    @rule()
    def mend(self):
        self.ways.note()
        self.world.mend()

    def teardown(self):
        if not hasattr(self, "world"):
            return
        self.mend()
        latest = max((p.frozen_until for p in self.world.up), default=0.0) - self.world.now
        self.run(max(latest, 0.0))
        self.ways.note()
        self.world.run(HEALED_WITHIN, self.world.agrees)
        assert self.world.agrees(), "all see all, and nobody else"
        self.run(3.0)
        assert self.world.agrees(), "and it stays so"


def worlds(count, seeds):
    """Meshes at all phases of their looks at each other, and one process of each."""
    for seed in range(seeds):
        world = World(seed, count)
        world.run(4.0 + 2.0 * seed / seeds)
        assert world.agrees()
        yield world, world.random.choice(world.up)


def seconds_until_all_know(world, gone):
    return world.run(10.0, lambda: not any(world.knows(process, gone.node) for process in world.up))


def others_are_there(world, gone):
    return all(
        world.knows(one, other.node)
        for one in world.up
        for other in world.up
        if gone not in (one, other) and one is not other
    )


@pytest.mark.parametrize(("count", "seeds"), [(2, 6), (3, 6), (7, 4), (16, 1)])
@pytest.mark.parametrize(("how", "within"), [("kill", 1.5), ("vanish", 7.7)])
def test_one_that_is_gone_is_out_everywhere_in_time(count, seeds, how, within):
    for world, process in worlds(count, seeds):
        getattr(world, how)(process)
        assert seconds_until_all_know(world, process) < within
        assert others_are_there(world, process)


def test_several_that_are_killed_at_once_are_out_in_time():
    for world, _ in worlds(7, 4):
        for process in world.up[:4]:
            world.kill(process)
        assert world.run(4.0, world.agrees) < 2.0


@pytest.mark.parametrize("count", [2, 5])
def test_one_that_hangs_for_less_than_the_limit_is_never_dead(count):
    for world, process in worlds(count, 8):
        process.freeze(HANG_LIMIT - 0.05)
        world.run(HANG_LIMIT + 3.0)
        assert world.agrees()
        assert process.membership.own.incarnation == 1


def test_one_that_hangs_and_is_killed_is_out_as_fast_as_any():
    for world, process in worlds(4, 4):
        process.freeze(60.0)
        world.run(4.0)
        world.kill(process)
        assert seconds_until_all_know(world, process) < 1.5


def test_one_that_was_alone_comes_back_and_buries_nobody_among_the_others():
    for world, process in worlds(5, 4):
        rest = [other for other in world.up if other is not process]
        for other in rest:
            world.cut(process, other)
            world.cut(other, process)
        world.run(10.0)
        assert set(process.view) == {process.node}
        world.changes.clear()
        world.mend()
        assert world.run(6.0, world.agrees) < 5.0
        dead = [change for _, _, change in world.changes if change.state is State.DEAD]
        assert dead == []


@pytest.mark.parametrize("seed", [148, 278, 335, 398, 523])  # where one was, once
def test_halves_that_only_one_node_reaches_hold_nobody_for_dead(seed):
    world = World(seed, 7)
    world.run(2.0)
    _, *rest = world.up
    for one, other in itertools.product(rest[:3], rest[3:]):
        world.cut(one, other)
        world.cut(other, one)
    world.changes.clear()
    world.run(8.0)
    world.mend()
    world.run(3.0)
    assert world.agrees()
    assert not [change for _, _, change in world.changes if change.state is State.DEAD]


@pytest.mark.slow
@pytest.mark.timeout(seconds_allowed())
def test_whatever_happens_the_mesh_keeps_its_head():
    run_machine(Mesh, STEPS, count=examples_count(USUAL))
