"""Actors elsewhere under supervisors: each end is a failure like another."""

import asyncio
import os
import signal

import pytest
from crunchers import Counter, Cruncher, Ending, Thread
from granted import Granted

from actormq import (
    Actor,
    Backoff,
    Failure,
    OutcomeUnknown,
    ProcessLost,
    Supervisor,
    Terminated,
    child,
    handler,
)
from actormq.events import ActorFailed
from actormq.ref import Ref

pytestmark = pytest.mark.slow


class Rack(Supervisor):
    max_restarts = 1_000
    period = 600.0
    backoff = Backoff(first=0.0)

    def __init__(self, *children) -> None:
        self.children = [each.restarts("always") for each in children]


ENDS = {"segfault": (), "fail": ("no",), "spin": ()}


class Careful(Ending):
    """Tells of its life."""

    async def on_start(self) -> None:
        await self.notes.ask(Counter.note, "started")

    async def on_stop(self) -> None:
        """Nothing: the node stops all at once, the notes too."""

    async def on_restart(self, failure: Failure) -> None:
        self.value = failure.restart_count
        what = [type(failure.error).__name__, failure.handler, failure.previous is None]
        await self.notes.ask(Counter.note, what)

    @handler(retry=2)
    async def crash_twice(self) -> int:
        if self.value < 2:
            os._exit(1)
        return self.value

    @handler(raises=LookupError)
    def answer(self) -> None:
        raise LookupError("none")


class CarefulThread(Thread):
    async def on_restart(self, failure: Failure) -> None:
        self.value = failure.previous.value + failure.restart_count


class Watching(Actor):
    runs_in = "process"

    def __init__(self, notes: Ref[Counter]) -> None:
        self.notes = notes

    @handler
    async def begin(self, ref: Ref[Actor], child_too: bool) -> Ref[Actor] | None:
        self.watch(ref)
        return await self.spawn(Counter, "child") if child_too else None

    async def on_terminated(self, terminated: Terminated) -> None:
        await self.notes.ask(Counter.note, [terminated.ref, terminated.reason, terminated.detail])


def values_of(node, name="counter"):
    return node._runtime.registry.by_name(name).actor.values


async def test_an_end_is_a_failure_that_the_supervisor_decides_on(mesh, until, logged):
    logged.expect(*(f"careful.{name} failed: it is restarted" for name in ENDS))
    node = await mesh.start()
    failures = []
    node.events.listen(failures.append, ActorFailed)
    counter = await node.spawn(Counter, "counter")
    await node.spawn(Rack, "rack", child(Careful, "careful", notes=counter))
    careful = await node.find("careful")
    for number, (name, args) in enumerate(ENDS.items(), 1):
        with Granted() as taken:
            reply = careful.within(30).ask(name, *args)
            waits = careful.within(30).ask(Cruncher.add, 0)
            with pytest.raises(OutcomeUnknown if name != "fail" else Exception):
                await reply
            await until(lambda number=number: len(failures) == number)
        assert taken.seconds < 2.0
        assert await waits == number  # what waited came to the next instance
        assert (await node.find("careful")) == careful
    kinds = [type(each.error).__name__ for each in failures]
    assert kinds == ["ProcessLost", "RemoteError", "ProcessLost"]
    assert [each.handler for each in failures] == ["segfault", "fail", "spin"]
    assert values_of(node)[:4] == [
        "started",
        ["ProcessLost", "segfault", True],
        "started",
        ["RemoteError", "fail", True],
    ]


async def test_a_handler_may_be_tried_again_and_an_answer_is_no_failure(mesh, logged):
    logged.expect("careful.crash_twice failed: it is restarted")
    node = await mesh.start()
    counter = await node.spawn(Counter, "counter")
    await node.spawn(Rack, "rack", child(Careful, "careful", notes=counter))
    careful = await node.find("careful")
    with pytest.raises(Exception, match="LookupError: none"):
        await careful.ask("answer")
    assert await careful.within(20).ask("crash_twice") == 2
    assert values_of(node).count("started") == 3


async def test_a_thread_hands_its_former_object_over(mesh, logged):
    logged.expect("actor.fail failed: it is restarted")
    node = await mesh.start()
    await node.spawn(Rack, "rack", child(CarefulThread, "actor", 10))
    actor = await node.find("actor")
    with pytest.raises(Exception, match="LookupError: no"):
        await actor.ask(Thread.fail, "no")
    assert await actor.ask(Thread.add, 0) == 11


async def test_a_process_watches_and_has_children(mesh, until):
    node = await mesh.start()
    counter = await node.spawn(Counter, "counter")
    other = await node.spawn(Counter, "other")
    watching = await node.spawn(Watching, "watching", counter)
    kid = await watching.ask(Watching.begin, other, child_too=True)
    await watching.ask(Watching.begin, kid, child_too=False)
    await other.stop()
    await until(lambda: values_of(node) == [[other, "stopped", ""]])
    await watching.stop()
    assert node.find_all("child") == []


async def test_each_of_many_kills_under_load_is_seen_and_the_ledger_balances(mesh, until, logged):
    logged.expect("cruncher.add failed: it is restarted")
    kills = int(os.environ.get("ACTORMQ_KILLS", "4"))
    node = await mesh.start()
    failures = []
    node.events.listen(failures.append, ActorFailed)
    await node.spawn(Rack, "rack", child(Cruncher, "cruncher"))
    cruncher = (await node.find("cruncher")).within(600)
    asked, answered, lost = 0, 0, 0
    is_over = False

    async def load():
        nonlocal asked, answered, lost
        while not is_over:
            asked += 1
            try:
                await cruncher.ask(Cruncher.add, 1)
                answered += 1
            except ProcessLost:
                lost += 1

    loads = [asyncio.create_task(load()) for _ in range(20)]
    try:
        for number in range(1, kills + 1):
            pid, _, _ = await cruncher.ask(Cruncher.where)
            done = answered
            await until(lambda done=done: answered > done + 20)
            os.kill(pid, signal.SIGKILL)
            await until(lambda number=number: len(failures) == number, 2.0)
    finally:
        is_over = True
        await asyncio.gather(*loads)
    print(f"kills {kills}: {answered} of {asked} asks answered, {lost} lost")  # noqa: T201 for -s
    assert asked == answered + lost
    assert lost <= kills  # never more than the one that was under way
    assert all(isinstance(each.error, ProcessLost) for each in failures)
    ledger = node.ledger()
    assert ledger.is_balanced
    assert ledger.dropped == {}
    assert ledger.in_flight == 0
