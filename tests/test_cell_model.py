"""The lives of actors, whatever is done to them and whenever: what must hold always.

The node, its cells, families and watches are real; the machine calls the loop's callbacks one at a
time, and acts between any two of them.

ACTORMQ_EXAMPLES=20000 scripts/test tests/test_cell_model.py
"""

import asyncio
import sys
from collections import Counter, deque

import pytest
from examples_count import run_machine, seconds_allowed, slow_if_many
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from stepped import Bench

import actormq.node
from actormq import Actor, ActormqError, Backoff, Supervisor, child, handler
from actormq.cell import Cell
from actormq.mailbox import Mailbox, State
from actormq.rules.restart import POLICIES, STRATEGIES

PICK = st.integers(0, 11)
TIMES = st.sampled_from([0.25, 0.5, 1.0, 4.0])  # s
FATES = st.sampled_from(["ok", "constructor", "on_start", "slow", "slow", "slow_to_fail", "rude"])
NAMES = st.sampled_from([None, None, "a", "b"])
HURRY = 4.0  # s; with less than that, a handler that is cut off may go on for longer
LONG = 200.0  # s in which all that was begun has come to an end
SLOW = 0.5  # s that some take to stop

STEPS = {
    None: {State.STARTING},
    State.STARTING: {State.RUNNING, State.STOPPING, State.DOWN, State.STOPPED, State.STARTING},
    State.RUNNING: {State.STOPPING, State.DOWN, State.STOPPED},
    State.DOWN: {State.STARTING, State.STOPPED},
    State.STOPPING: {State.DOWN, State.STOPPED},
    State.STOPPED: set(),
}
"""Where a life can go from where it is."""


class World:
    """What is known of all actors of one example; outlives each."""

    def __init__(self):
        self.fates = deque()
        self.gates = []
        self.is_hurried = False
        self.instances = []
        self.cut_off = []  # of those, the ones whose time was up
        self.cells = {}  # by serial, those that have ended included
        self.watches = {}  # (watcher, target) -> whether it is (still) wanted
        self.told = Counter()
        self.is_over = False
        self.wrong = []  # what was found where nobody hears an assertion

    def claim(self, holds, what):
        if not holds:
            self.wrong.append(what)

    async def gate(self):
        if not self.is_over:
            gate = asyncio.get_running_loop().create_future()
            self.gates.append(gate)
            await gate


WORLD = World()  # of the example that runs


class Noted(Cell):
    """A cell whose every step of its life is looked at."""

    __slots__ = ()

    @property
    def state(self):
        return Mailbox.state.__get__(self, type(self))

    @state.setter
    def state(self, state):
        world, serial = WORLD, self.address.serial
        before = Mailbox.state.__get__(self, type(self)) if serial in world.cells else None
        world.claim(state in STEPS[before], f"{self.address.label}: {before} -> {state}")
        world.cells[serial] = self
        Mailbox.state.__set__(self, state)
        if state in (State.STARTING, State.STOPPED) and before is not None:
            left = [c.address.label for c in children_of(self) if c.state is not State.STOPPED]
            world.claim(not left, f"{self.address.label}: {state} before its children {left}")

    def cut_off(self):
        if self.state is not State.STOPPED:
            WORLD.cut_off.append(getattr(self, "actor", None))
        super().cut_off()

    def terminated(self, terminated):
        key = self.address.serial, terminated.ref.address.serial
        WORLD.told[key] += 1
        WORLD.claim(WORLD.watches.get(key), f"{key}: told although it does not watch")
        super().terminated(terminated)


def children_of(cell):
    others = WORLD.cells.values()
    return [c for c in others if getattr(c, "family", None) and c.family.parent is cell]


class Part(Actor):
    """Lives as it is fated."""

    def __init__(self):
        self.fate = WORLD.fates.popleft() if WORLD.fates else "ok"
        if self.fate == "constructor":
            raise OSError(self.fate)
        self.is_started = False
        self.stop_count = 0
        WORLD.instances.append(self)

    async def on_start(self):
        if self.fate.startswith("slow"):
            await WORLD.gate()
        if self.fate in ("on_start", "slow_to_fail"):
            raise OSError(self.fate)
        self.is_started = True

    async def on_stop(self):
        self.stop_count += 1
        WORLD.claim(self.is_started, f"{self.name}: on_stop without on_start")
        if self.fate == "rude":
            await asyncio.sleep(SLOW)
            raise OSError(self.fate)

    async def on_terminated(self, terminated):
        await asyncio.sleep(0)

    @handler
    def ping(self):
        return self.name

    @handler
    def fail(self):
        raise RuntimeError("told to")

    @handler
    async def hold(self):
        await WORLD.gate()

    @handler(concurrent=True)
    async def aside(self):
        await WORLD.gate()
        raise RuntimeError("aside")

    @handler
    async def grow(self, kind, name, args):
        await self.spawn(kind, name, *args)


class Boss(Part, Supervisor):
    period = 1_000.0

    def __init__(self, strategy, policy, names, restarts, delay):
        super().__init__()
        self.strategy, self.max_restarts = strategy, restarts
        self.backoff = Backoff(delay, max(delay, 1.0), 2.0, 0.0)
        self.children = [child(Part, name).restarts(policy) for name in names]


class Upper(Boss):
    def __init__(self, *rest):
        super().__init__(*rest)
        self.children = [*self.children, child(Boss, None, *rest).restarts("always")]


SPECS = st.one_of(
    st.just((Part, ())),
    st.tuples(
        st.sampled_from([Boss, Boss, Upper]),
        st.tuples(
            st.sampled_from(STRATEGIES),
            st.sampled_from(POLICIES),
            st.lists(st.none(), max_size=3),
            st.sampled_from([1, 3, 1_000_000, 1_000_000]),
            st.sampled_from([0.0, 0.5]),
        ),
    ),
)


class Lives(RuleBasedStateMachine):
    @initialize(spec=SPECS)
    def begin(self, spec):
        global WORLD  # noqa: PLW0603 the actors are made by the runtime, which hands them nothing
        WORLD = self.world = World()
        self.bench = Bench()
        actormq.node.Cell = Noted
        self.asks, self.stops, self.spawns = [], [], []
        self.is_stopping = False
        self.spawn(spec, None)

    # -- what is done to them -----------------------------------------------------------------

    @property
    def cells(self):
        return list(self.world.cells.values())

    def picked(self, pick):
        """One of those that live, mostly of the younger ones."""
        alive = [cell for cell in self.cells if cell.state is not State.STOPPED]
        return alive[-1 - pick % len(alive)] if alive else None

    def ask(self, cell, name, *args):
        self.asks.append(self.bench.call(cell.ref.ask, name, *args))

    @rule(spec=SPECS, name=NAMES)
    def spawn(self, spec, name):
        kind, args = spec
        self.spawns.append(self.bench.task(self.bench.node.spawn(kind, name, *args)))

    @rule(fate=FATES)
    def decide(self, fate):
        """So it will go with the instance that is made next."""
        self.world.fates.append(fate)

    @rule(pick=PICK, what=st.sampled_from(["ping", "fail", "fail", "hold", "aside"]))
    def use(self, pick, what):
        if cell := self.picked(pick):
            self.ask(cell, what)

    @rule(pick=PICK, spec=SPECS, name=NAMES)
    def grow(self, pick, spec, name):
        if cell := self.picked(pick):
            self.ask(cell, "grow", spec[0], name, spec[1])

    @rule(pick=PICK, spec=SPECS, name=NAMES, policy=st.sampled_from(POLICIES))
    def start_child(self, pick, spec, name, policy):
        bosses = [cell for cell in self.cells if issubclass(cell.kind, Boss)]
        if bosses:
            added = child(spec[0], name, *spec[1]).restarts(policy)
            self.ask(bosses[-1 - pick % len(bosses)], "start_child", added)

    @rule(pick=PICK)
    def stop_child(self, pick):
        cell = self.picked(pick)
        if cell is not None and cell.is_supervised:
            self.ask(cell.family.parent, "stop_child", cell.ref)

    @rule(pick=PICK, within=TIMES)
    def stop(self, pick, within):
        if cell := self.picked(pick):
            self.world.is_hurried = self.world.is_hurried or within < HURRY
            self.stops.append(self.bench.call(cell.ref.within(within).stop))

    @rule(pick=PICK, other=PICK)
    def watch(self, pick, other):
        if cell := self.picked(pick):
            target = self.cells[-1 - other % len(self.cells)]
            key = cell.address.serial, target.address.serial
            if not self.world.watches.get(key):  # else it is watched already
                self.world.told[key] = 0
            elif self.world.told[key]:
                self.world.told[key] = 0  # it has ended before: it is told again, at once
            self.world.watches[key] = True
            self.bench.call(cell.watch, target.ref)

    @precondition(lambda self: self.world.watches)
    @rule(pick=PICK)
    def unwatch(self, pick):
        watches = list(self.world.watches)
        watcher, target = watches[pick % len(watches)]
        self.world.watches[watcher, target] = False
        self.bench.call(self.world.cells[watcher].unwatch, self.world.cells[target].ref)

    @precondition(lambda self: not self.is_stopping)
    @rule(pick=PICK)
    def stop_the_node(self, pick):
        if pick == 0:
            self.is_stopping = True
            self.bench.task(self.bench.node.stop())

    # -- what goes on -------------------------------------------------------------------------

    @rule(steps=st.integers(1, 5))
    def go_on(self, steps):
        for _ in range(steps):
            self.bench.loop.step()
            self.look()

    @rule()
    def settle(self):
        while self.bench.loop.step():
            self.look()

    @rule(seconds=TIMES)
    def wait(self, seconds):
        self.bench.loop.pass_time(seconds, self.look)

    @rule(pick=PICK)
    def let_go(self, pick):
        gates = [gate for gate in self.world.gates if not gate.done()]
        if gates:
            self.bench.call(gates[pick % len(gates)].set_result, None)

    # -- what must hold -----------------------------------------------------------------------

    @invariant()
    def look(self):
        world = self.world
        assert not world.wrong, world.wrong
        for (watcher, target), is_wanted in world.watches.items():
            if is_wanted and world.cells[watcher].state is not State.STOPPED:
                has_ended = world.cells[target].state is State.STOPPED
                told = world.told[watcher, target]
                assert told == has_ended, f"{watcher} watches {target}: told {told} times"
        if self.bench.runtime is not None:
            registry = self.bench.runtime.registry
            assert all(cell.state is not State.STOPPED for cell in registry.cells())
            assert all(
                registry.by_serial(c.address.serial) is c for c in registry._by_name.values()
            )

    def teardown(self):
        if not hasattr(self, "bench"):
            return
        try:
            if sys.exc_info()[0] is None:  # or it has failed already
                self.finish()
        finally:
            actormq.node.Cell = Cell
            self.bench.close()

    def finish(self):
        world, node = self.world, self.bench.node
        world.is_over = True
        world.fates.clear()
        for gate in world.gates:
            if not gate.done():
                self.bench.call(gate.set_result, None)
        self.bench.loop.pass_time(LONG, self.look)
        states = {cell.address.label: cell.state for cell in self.cells}
        assert set(states.values()) <= {State.RUNNING, State.STOPPED}, states
        if node.is_running:
            assert node.ledger().is_balanced
            assert node.ledger().in_flight == 0
            self.bench.task(node.stop())
            self.bench.loop.pass_time(LONG, self.look)
        self.check_the_end()

    def check_the_end(self):
        world, node = self.world, self.bench.node
        assert node._runtime is None
        # A stop that is under way is not hurried; one that was leaves behind what ends later.
        assert not node.left or world.cut_off or world.is_hurried
        assert not node._tasks
        assert {cell.state for cell in self.cells} <= {State.STOPPED}
        for instance in world.instances:
            is_cut_off = any(instance is other for other in world.cut_off)
            assert instance.stop_count == instance.is_started or is_cut_off, instance.name
            assert instance.stop_count <= instance.is_started, instance.name
        assert all(reply.is_done for reply in [*self.asks, *self.stops])
        for spawn in self.spawns:
            assert spawn.done()
            assert isinstance(spawn.exception(), ActormqError | None)
        assert not [task for task in asyncio.all_tasks(self.bench.loop) if not task.done()]
        assert not self.bench.complaints()


@slow_if_many
@pytest.mark.timeout(seconds_allowed())
def test_lives_go_only_where_they_can():
    run_machine(Lives)
