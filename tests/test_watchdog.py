"""Whoever holds the loop is found while it does, by name and with its stack; nobody else is."""

import asyncio
import itertools
import logging
import math
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from actormq import Actor, Puller, Pusher, every, handler, watchdog
from actormq.events import LoopHeld
from actormq.settings import Settings
from actormq.watchdog import Watched

LIMIT = 0.05  # s
LONGEST = 1.6  # s; on a busy machine something short may take that long


class Hog(Actor):
    """Holds the loop until it is let go, in whichever way there is."""

    tasks = Puller(bind="inproc://hog-{serial}", codec="msgpack")

    def __init__(self, go: threading.Event, serial: int = 0, where: str = "") -> None:
        self.go = go
        self.serial = serial
        if where == "__init__":
            assert go.wait(10)
        self.where = where

    async def on_start(self) -> None:
        if self.where == "on_start":
            assert self.go.wait(10)

    async def on_stop(self) -> None:
        if self.where == "on_stop":
            assert self.go.wait(10)

    @every(0.02)
    def tick(self) -> None:
        if self.where == "tick":
            self.where = ""
            assert self.go.wait(10)

    @tasks.received
    def take(self, _task: str) -> None:
        assert self.go.wait(10)

    @handler
    def plain(self) -> None:
        self._deep()

    def _deep(self) -> None:
        assert self.go.wait(10)

    @handler
    async def at_once(self) -> None:
        self._deep()

    @handler
    async def resumed(self) -> None:
        await asyncio.sleep(0.001)
        self._deep()

    @handler
    async def child(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._later())

    async def _later(self) -> None:
        await asyncio.sleep(0.001)
        assert self.go.wait(10)

    @handler
    def busy(self, seconds: float) -> None:
        end = time.thread_time() + seconds  # which do not pass while others have the processor
        while time.thread_time() < end:
            pass

    @handler
    def explode(self, length: int) -> None:
        assert re.match(r"(a|aa)+$", "a" * length + "b") is None

    @handler(blocking=True)
    def aside(self, seconds: float) -> None:
        time.sleep(seconds)

    @handler
    async def quiet(self) -> None:
        await asyncio.sleep(0)


class Heard:
    """Lets go as soon as the hold is told, which is only possible from another thread.

    What others are said to hold is passed over: the machine may stand still in any callback.
    """

    def __init__(self, node, actor="hog"):
        self.actor = actor
        self.go = threading.Event()
        self.events = []
        self.later = []
        node.events.listen(self.note, LoopHeld, any_thread=True)
        node.events.listen(self.note_later, LoopHeld)

    def note(self, event):
        if event.actor == self.actor:
            self.events.append((event, threading.current_thread().name))
            self.go.set()

    def note_later(self, event):
        if event.actor == self.actor:
            self.later.append(event)


WAYS = ["plain", "at_once", "resumed", "child"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_handler_that_holds_the_loop_is_told_while_it_does(mesh, until, way):
    node = await mesh.start(hold_limit=LIMIT)
    heard = Heard(node)
    ref = await node.spawn(Hog, "hog", heard.go)
    await ref.ask(way)
    await until(lambda: len(heard.later) == 2)
    (begun, thread), (over, _) = heard.events
    assert thread == "actormq-watchdog"
    expected = {"child": "_later"}.get(way, way)
    assert (begun.actor, begun.handler, begun.is_over) == ("hog", expected, False)
    assert (over.actor, over.handler, over.is_over) == ("hog", expected, True)
    assert LIMIT <= begun.seconds <= over.seconds
    first, *_ = begun.stack.splitlines()
    assert first.endswith(f"in {expected}")
    assert "self.go.wait(10)" in begun.stack
    assert heard.later == [begun, over]


@pytest.mark.parametrize("way", ["__init__", "on_start", "tick", "on_stop", "take"])
async def test_so_is_whatever_else_an_actor_runs(mesh, until, way):
    node = await mesh.start(hold_limit=LIMIT)
    heard = Heard(node)
    ref = await node.spawn(Hog, "hog", heard.go, id(heard), way)
    if way == "take":
        await node.spawn(Feeder, None, id(heard))
    if way == "on_stop":
        await ref.stop()
    await until(lambda: len(heard.later) == 2)
    begun, over = heard.later
    assert (begun.handler, over.is_over) == (way, True)
    assert begun.actor == "hog"


class Feeder(Actor):
    out = Pusher(connect="inproc://hog-{serial}", codec="msgpack")

    def __init__(self, serial: int) -> None:
        self.serial = serial

    async def on_start(self) -> None:
        await self.out.send("task")


async def test_what_is_no_actors_is_told_by_its_function(mesh, until):
    node = await mesh.start(hold_limit=LIMIT)
    heard = Heard(node, actor="")

    async def careless():
        assert heard.go.wait(10)

    await asyncio.create_task(careless())
    await until(lambda: "careless" in [event.handler for event in heard.later])


async def test_python_code_that_computes_is_found_as_well(mesh, until, caplog):
    node = await mesh.start(hold_limit=LIMIT)
    heard = Heard(node)
    ref = await node.spawn(Hog, "hog", heard.go)
    begun = time.monotonic()
    await ref.ask(Hog.busy, 4 * LIMIT)
    told = await until(lambda: [x for x in heard.later if x.handler == "busy"][1:])
    seconds = time.monotonic() - begun
    assert LIMIT <= told[0].seconds <= seconds + LIMIT
    warned = [x.message for x in caplog.records if x.levelno == logging.WARNING]
    lines = [line for line in warned if "hog.busy" in line]
    assert "n0: hog.busy has held the loop for" in lines[0]
    assert "in busy" in lines[0]
    assert re.search(r"n0: hog.busy held the loop for [0-9.]+ s$", lines[1])


async def test_c_code_that_keeps_the_interpreters_lock_is_told_at_its_line(mesh, until):
    node = await mesh.start(hold_limit=LIMIT)
    heard = Heard(node)
    ref = await node.spawn(Hog, "hog", heard.go)
    length = 28
    while not heard.later and length < 40:
        await ref.ask(Hog.explode, length)
        length += 1
    assert heard.later[0].handler == "explode"
    assert "re.match" in heard.later[0].stack


async def told_of_short_work(mesh, limit):
    node = await mesh.start(hold_limit=limit)
    told = []
    node.events.listen(told.append, LoopHeld, any_thread=True)
    ref = await node.spawn(Hog, "hog", threading.Event())
    aside = ref.ask(Hog.aside, 3 * limit)
    await asyncio.sleep(3 * limit)
    await aside
    end = time.monotonic() + 5 * limit
    while time.monotonic() < end:
        await asyncio.gather(*(ref.ask(Hog.quiet) for _ in range(20)))
        await ref.ask(Hog.busy, LIMIT / 5)  # long enough for the dog's thread to have its turn
    await node.stop()
    return told


async def test_a_busy_loop_of_short_work_and_an_idle_one_are_not_told(mesh):
    limit = LIMIT
    while (told := await told_of_short_work(mesh, limit)) and limit < LONGEST:
        limit *= 2  # what is told by mistake is so at any limit
    assert told == []


async def test_an_infinite_limit_watches_nothing(mesh):
    await mesh.start(hold_limit=math.inf)
    assert "actormq-watchdog" not in [thread.name for thread in threading.enumerate()]


async def test_one_thread_watches_all_nodes_and_ends_with_the_last(mesh):
    first, second = await mesh.pair(hold_limit=LIMIT)
    assert [t.name for t in threading.enumerate()].count("actormq-watchdog") == 1
    await first.stop()
    assert [t.name for t in threading.enumerate()].count("actormq-watchdog") == 1
    await second.stop()
    assert "actormq-watchdog" not in [t.name for t in threading.enumerate()]


async def test_each_hold_is_told_to_the_node_of_its_actor(mesh, until):
    first, second = await mesh.pair(hold_limit=LIMIT)
    heard, other = Heard(second), Heard(first)
    ref = await second.spawn(Hog, "hog", heard.go)
    await ref.ask(Hog.plain)
    await until(lambda: len(heard.later) == 2)
    assert other.events == []


async def test_a_node_remembers_the_longest_hold_of_each_actor(mesh, until):
    node = await mesh.start(hold_limit=LIMIT)
    heard = Heard(node)
    ref = await node.spawn(Hog, "hog", heard.go)
    for seconds in (6 * LIMIT, 2 * LIMIT):
        await ref.ask(Hog.busy, seconds)
    await until(lambda: heard.later and heard.later[-1].is_over)
    report = await node.steward_of(node.id, node.name).ask("describe")
    hog = next(actor for actor in report.actors if actor.name == "hog")
    assert hog.held == round(max(event.seconds for event in heard.later), 3) >= LIMIT
    assert hog.held_by == "busy"


def test_a_loop_that_waits_is_not_woken_by_being_watched():
    woken = []

    async def sleep():
        loop = asyncio.get_running_loop()
        select = loop._selector.select
        loop._selector.select = lambda timeout: woken.append(timeout) or select(timeout)
        watched = Watched("node", threading.get_ident(), LIMIT, pytest.fail)
        watched.begin()
        await asyncio.sleep(6 * LIMIT)
        watched.end()

    asyncio.run(sleep())
    assert len(woken) < 10


def test_watching_costs_next_to_nothing(monkeypatch):
    """A thousandth of a core at the default limit: so many looks a second, so much for each."""
    dog = watchdog._Dog()
    looked = []
    monkeypatch.setattr(watchdog._Dog, "_look", lambda *_: looked.append(time.monotonic()))
    dog.nodes = (Watched("node", threading.get_ident(), math.inf, pytest.fail),)
    dog.nodes[0].limit = Settings().hold_limit
    dog.start()
    while len(looked) < 4:
        time.sleep(0.01)
    monkeypatch.undo()
    a_second = 1 / min(later - sooner for sooner, later in itertools.pairwise(looked))
    dog.nodes = ()
    dog.wake()
    dog.join()

    async def price():
        loop = Watched("node", threading.get_ident(), math.inf, pytest.fail)
        dog.nodes = (loop,)
        with ThreadPoolExecutor(1) as threads:

            def look():
                begun = time.thread_time()
                for _ in range(200):
                    now = time.monotonic()
                    dog._look(now, now)
                return (time.thread_time() - begun) / 200

            return min([await asyncio.wrap_future(threads.submit(look)) for _ in range(5)])

    assert a_second <= 5
    assert a_second * asyncio.run(price()) < 0.001
