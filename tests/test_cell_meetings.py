"""Ends that meet a start, a failure or another end: found by the machine of test_cell_model.py."""

import asyncio

import pytest
from stepped import Bench

from actormq import (
    Actor,
    ActormqError,
    Backoff,
    RemoteError,
    RestartLimitReached,
    StartFailed,
    Supervisor,
    child,
    handler,
)
from actormq.mailbox import State


class Part(Actor):
    """Writes its life down."""

    def __init__(self, lines, seconds=0.0):
        self.lines = lines
        self.seconds = seconds

    async def on_start(self):
        self.lines.append("starts")

    async def on_stop(self):
        self.lines.append("stops")
        await asyncio.sleep(self.seconds)
        self.lines.append("has stopped")

    @handler
    async def hold(self, gate):
        return await gate

    @handler
    def fail(self):
        raise RuntimeError("told to")


class Slow(Part):
    """Takes a second to start."""

    async def on_start(self):
        await asyncio.sleep(1.0)
        self.lines.append("starts")


class Rack(Supervisor):
    backoff = Backoff(first=0.0)
    max_restarts = 1

    def __init__(self, lines, *children):
        self.lines = lines
        self.children = [each.restarts("always") for each in children]

    async def on_start(self):
        self.lines.append("rack starts")

    async def on_stop(self):
        self.lines.append("rack stops")

    @handler
    def fail(self):
        raise RuntimeError("told to")


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    if bench.node.is_running:
        bench.run(bench.node.stop())
    left = [task for task in asyncio.all_tasks(bench.loop) if not task.done()]
    complaints = bench.complaints()
    bench.close()
    assert not left
    assert not complaints


def cell_of(bench, name):
    return next(cell for cell in bench.runtime.registry.cells() if cell.address.label == name)


def test_who_falls_as_its_node_stops_runs_on_stop_once(bench):
    lines = []
    rack = bench.run(bench.node.spawn(Rack, "rack", lines, child(Part, "part", lines)))
    part = cell_of(bench, "part").ref
    bench.call(part.tell, "fail")
    bench.loop.settle()
    bench.call(part.tell, "fail")
    bench.loop.settle()
    assert isinstance(bench.node.failure, RestartLimitReached)
    stopped = bench.call(rack.stop)
    bench.loop.pass_time(10.0)
    assert stopped.is_done
    assert lines.count("rack stops") == 1


def test_a_supervisor_that_is_stopped_while_its_children_start_says_so_and_has_nothing_to_end(
    bench,
):
    lines = []
    spawn = bench.task(bench.node.spawn(Rack, "rack", lines, child(Slow, "slow", lines)))
    bench.loop.settle()
    stopped = bench.call(cell_of(bench, "rack").ref.stop)
    bench.loop.pass_time(10.0)
    assert stopped.is_done
    assert isinstance(spawn.exception(), StartFailed)
    assert "it was stopped while it started" in str(spawn.exception())
    assert lines == []


def test_a_start_that_has_succeeded_as_it_is_cut_off_is_followed_by_on_stop(bench):
    lines = []
    spawn = bench.task(bench.node.spawn(Rack, "rack", lines, child(Part, "part", lines)))
    while "starts" not in lines:
        assert bench.loop.step()
    family, part = cell_of(bench, "rack")._extras.children, cell_of(bench, "part")
    bench.call(family.remove, part.address.serial)
    bench.loop.pass_time(10.0)
    assert spawn.done()
    assert [line for line in lines if "rack" not in line] == ["starts", "stops", "has stopped"]


def test_who_is_cut_off_before_its_start_has_begun_leaves_nothing_unawaited(bench):
    lines = []
    spawn = bench.task(bench.node.spawn(Rack, "rack", lines, child(Part, "part", lines)))
    while not [c for c in bench.runtime.registry.cells() if c.address.label == "part" and c._tasks]:
        assert bench.loop.step()
    family, part = cell_of(bench, "rack")._extras.children, cell_of(bench, "part")
    bench.call(family.remove, part.address.serial)
    bench.loop.pass_time(10.0)
    assert spawn.done()
    assert part.state is State.STOPPED
    assert lines in (["rack starts"], ["starts", "stops", "has stopped", "rack starts"])


def test_who_ends_in_order_too_often_though_it_is_always_restarted_ends_its_supervisor(bench):
    rack = bench.run(bench.node.spawn(Rack, "rack", [], child(Part, "part", [])))
    for _ in range(2):
        bench.call(cell_of(bench, "part").ref.stop)
        bench.loop.settle()
    bench.loop.pass_time(10.0)
    assert isinstance(bench.node.failure, RestartLimitReached)
    assert 'it ended, and is restarted "always"' in str(bench.node.failure)
    assert not bench.node.is_running
    assert bench.call(rack.stop).is_done


def test_children_of_a_supervisor_that_fails_have_their_time_to_stop(bench):
    lines = []
    upper = bench.node.spawn(
        Rack, "upper", [], child(Rack, "rack", [], child(Part, "part", lines, 1))
    )
    bench.run(upper)
    bench.call(cell_of(bench, "rack").ref.tell, "fail")
    bench.loop.pass_time(10.0)
    assert lines == ["starts", "stops", "has stopped", "starts"]


class Parent(Part):
    async def on_stop(self):
        try:
            await self.spawn(Part, "late", self.lines)
        except ActormqError as error:
            self.lines.append(type(error).__name__)


def test_who_has_failed_has_no_more_children(bench):
    lines = []
    bench.run(bench.node.spawn(Rack, "rack", [], child(Parent, "parent", lines)))
    bench.call(cell_of(bench, "parent").ref.tell, "fail")
    bench.loop.pass_time(10.0)
    assert lines == ["starts", "NodeNotRunning", "starts"]
    assert bench.node.find_all("late") == []


class Holding(Actor):
    @handler
    async def hold(self, gate):
        return await gate


@pytest.mark.parametrize("fails", [False, True])
def test_a_handler_that_ends_in_the_same_moment_as_its_actor_gives_its_answer(bench, fails):
    ref = bench.run(bench.node.spawn(Holding))
    gate = bench.loop.create_future()
    reply = bench.call(ref.ask, "hold", gate)
    bench.loop.settle()

    def open_and_stop():
        gate.set_exception(KeyError("gate")) if fails else gate.set_result(None)
        ref.stop()

    bench.call(open_and_stop)
    bench.loop.settle()
    assert reply.is_done
    assert isinstance(reply._error, RemoteError) if fails else reply._error is None


class Busy(Rack):
    max_restarts = 1_000_000

    @handler
    async def hold(self, gate):
        return await gate


def test_a_child_that_cannot_start_because_its_node_stops_is_not_tried_again(bench):
    gate, inner = bench.loop.create_future(), child(Busy, "inner", [], child(Holding))
    outer = bench.run(bench.node.spawn(Busy, "outer", [], inner))
    bench.call(outer.tell, "hold", gate)  # so its children are stopped only after a while
    bench.loop.settle()
    bench.task(bench.node.stop())
    bench.loop.settle()
    fallen = cell_of(bench, "inner")
    bench.call(fallen.ref.tell, "fail")
    bench.loop.settle()
    assert fallen.state is State.STOPPED
    bench.call(gate.set_result, None)
    bench.loop.pass_time(1.0)
    assert not bench.node.is_running
