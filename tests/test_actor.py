"""The forms of an actor, as the first hour shows them."""

import asyncio
import logging
import threading
from dataclasses import dataclass

import pytest

from actormq import (
    Actor,
    LifecycleError,
    Node,
    Publisher,
    SetupError,
    StartFailed,
    Subscriber,
    every,
    handler,
    run,
)

# -- the forms that examples and users build on, as printed ---------------------------------------


class Greeter(Actor):
    @handler
    async def greet(self, who: str) -> str:  # plain `def` works as well
        return f"hello {who}"


async def main(node: Node) -> None:
    greeter = await node.spawn(Greeter, "greeter")
    print(await greeter.ask(Greeter.greet, "LAN"))  # str, known to the type checker  # noqa: T201
    greeter.tell(Greeter.greet, "LAN")  # no reply; never blocks
    far = await node.find("collector", timeout=60)  # any node of the mesh; name registered there
    await far.within(0.5).ask("flush")  # by name where the class is not at hand


@dataclass
class Reading:
    temperature: float
    humidity: float


def read_sensor() -> Reading:
    return Reading(21.5, 40.0)


class Station(Actor):
    feed = Publisher(service="weather")

    def __init__(self, station: str) -> None:
        self.station = station

    @every(0.01)
    async def sample(self) -> None:
        await self.feed.publish(self.station, read_sensor())


class Average(Actor):
    readings = Subscriber(service="weather")

    def __init__(self) -> None:
        self.seen: list[tuple[str, Reading]] = []

    async def on_start(self) -> None:
        await self.readings.subscribe("98101")

    @readings.received
    async def note(self, topic: str, reading: Reading) -> None:
        self.seen.append((topic, reading))

    @handler
    def first(self) -> tuple[str, str, float] | None:
        topic, reading = self.seen[0] if self.seen else (None, None)
        return reading and (topic, type(reading).__name__, reading.temperature)


class Collector(Actor):
    def __init__(self, flushed: threading.Event) -> None:
        self._flushed = flushed

    @handler
    def flush(self) -> None:
        self._flushed.set()


def test_the_first_program_runs_as_printed(mesh_name, capsys):
    up, stop, flushed = threading.Event(), threading.Event(), threading.Event()
    address = []

    async def collector(node):
        await node.spawn(Collector, "collector", flushed)
        address.append(node.address.removeprefix("tcp://"))
        up.set()
        await asyncio.to_thread(stop.wait, 10)

    other = threading.Thread(
        target=run, args=(collector,), kwargs={"mesh": mesh_name, "discovery": False}
    )
    other.start()
    try:
        assert up.wait(10)
        run(main, mesh=mesh_name, discovery=False, join=address)
    finally:
        stop.set()
        other.join(10)
    assert capsys.readouterr().out == "hello LAN\n"
    assert flushed.is_set()


async def test_a_station_is_averaged_on_another_node(mesh, until):
    roof, desk = await mesh.pair()
    average = await desk.spawn(Average, "average")
    await roof.spawn(Station, "station", "98101")
    seen = await until(lambda: average.ask(Average.first))
    assert seen == ("98101", "Reading", 21.5)


def test_run_returns_what_main_returned_and_takes_the_settings_of_a_node(mesh_name):
    async def main(node):
        return node.mesh, node.name

    assert run(main, mesh=mesh_name, name="roof", discovery=False) == (mesh_name, "roof")


def test_run_raises_what_main_raised(mesh_name):
    async def main(_node):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main, mesh=mesh_name, discovery=False)


# -- marks ----------------------------------------------------------------------------------------


def test_the_mark_leaves_the_method_as_it_is():
    assert Greeter.greet.__name__ == "greet"
    assert asyncio.run(Greeter().greet("you")) == "hello you"


def test_blocking_is_for_plain_methods():
    with pytest.raises(SetupError, match=r"slow is `async def` and marked blocking"):

        class Wrong(Actor):
            @handler(blocking=True)
            async def slow(self): ...


def test_concurrent_is_for_what_can_wait():
    with pytest.raises(SetupError, match="quick is a plain `def` and marked concurrent"):

        class Wrong(Actor):
            @handler(concurrent=True)
            def quick(self): ...


def test_only_methods_can_be_handlers():
    with pytest.raises(SetupError, match="goes on a method"):
        handler(3)


@pytest.mark.parametrize("period", [0, -1, float("nan"), "1", None])
def test_a_period_is_above_zero(period):
    with pytest.raises(SetupError, match="a period is a number of seconds above 0"):
        every(period)


class Polite(Greeter):
    async def greet(self, who: str) -> str:
        return f"good day {who}"

    @handler
    def leave(self) -> str:
        return "farewell"


async def test_a_subclass_inherits_handlers_and_may_override_them(mesh):
    node = await mesh.start()
    polite = await node.spawn(Polite)
    assert await polite.ask(Greeter.greet, "you") == "good day you"
    assert await polite.ask(Polite.greet, "you") == "good day you"
    assert await polite.ask("greet", "you") == "good day you"
    assert await polite.ask(Polite.leave) == "farewell"


# -- what an actor knows of itself ----------------------------------------------------------------


class Selfish(Actor):
    @handler
    def facts(self):
        return self.name, self.ref, self.node

    @handler
    def complain(self):
        self.log.warning("too %s", "hot")


async def test_an_actor_knows_its_name_its_ref_and_its_node(mesh):
    node = await mesh.start()
    named = await node.spawn(Selfish, "it")
    assert await named.ask(Selfish.facts) == ("it", named, node)
    nameless = await node.spawn(Selfish)
    name, ref, _ = await nameless.ask(Selfish.facts)
    assert name == nameless.name == f"selfish#{nameless.address.serial}"
    assert ref == nameless


class Curious(Selfish):
    def __getattr__(self, name):
        return f"no {name} here"


async def test_an_actor_gives_one_ref_again_and_again_whatever_attributes_it_invents(mesh):
    curious = await (await mesh.start()).spawn(Curious)
    _, first, _ = await curious.ask(Curious.facts)
    _, second, _ = await curious.ask(Curious.facts)
    assert first == curious
    assert first is second


async def test_what_an_actor_logs_says_its_name_and_its_module(mesh, caplog):
    node = await mesh.start()
    ref = await node.spawn(Selfish, "it")
    await ref.ask(Selfish.complain)
    assert (__name__, logging.WARNING, "it: too hot") in caplog.record_tuples


@pytest.mark.parametrize("use", ["name", "ref", "node"])
def test_an_object_made_by_calling_the_class_says_that_it_lives_nowhere(use):
    with pytest.raises(LifecycleError, match=r"use `await node\.spawn"):
        getattr(Selfish(), use)


def test_the_sockets_of_such_an_object_are_closed():
    with pytest.raises(LifecycleError, match=r"Station\.feed is not open"):
        _ = Station("98101").feed


# -- on_start and on_stop -------------------------------------------------------------------------


class Hooks(Actor):
    feed = Publisher(service="hooks")

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes
        notes.append("init")
        self.ref.tell(Hooks.work)  # it has an address already, but handles nothing yet

    async def on_start(self) -> None:
        await asyncio.sleep(0)
        self.notes.append(f"start {self.feed.endpoint[:3]}")

    @handler
    def work(self) -> None:
        self.notes.append("work")

    async def on_stop(self) -> None:
        await asyncio.sleep(0)
        await self.feed.publish("the sockets", "are open")
        self.notes.append("stop")


async def test_hooks_run_before_the_first_and_after_the_last_message(mesh, until):
    node = await mesh.start()
    notes = []
    ref = await node.spawn(Hooks, "hooks", notes)
    await until(lambda: notes[-1] == "work")
    await ref.stop()
    assert notes == ["init", "start tcp", "work", "stop"]


async def test_a_node_stops_its_actors_the_last_first(mesh):
    node = await mesh.start()
    ends = []

    class One(Actor):
        async def on_stop(self):
            ends.append(self.name)

    for name in ("a", "b", "c"):
        await node.spawn(One, name)
    await node.stop()
    assert ends == ["c", "b", "a"]


class Failing(Actor):
    feed = Publisher(service="failing")

    def __init__(self, where: str) -> None:
        self.where = where
        if where == "init":
            raise ValueError("no sensor")

    async def on_start(self) -> None:
        if self.where == "start":
            await self.feed.publish("a", 1)
            raise ValueError("no sensor")
        if self.where == "hang":
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("init", "actor 'it' did not start: its constructor raised ValueError: no sensor"),
        ("start", "actor 'it' did not start: on_start raised ValueError: no sensor"),
        ("hang", "on_start raised TimeoutError: it took longer than start_timeout, 0.05 s"),
    ],
)
async def test_an_actor_that_cannot_start_leaves_nothing_behind(mesh, where, sentence):
    node = await mesh.start(start_timeout=0.05 if where == "hang" else 30.0)
    ports = len(node._runtime.transport._ports)
    with pytest.raises(StartFailed, match=sentence) as failed:
        await node.spawn(Failing, "it", where)
    assert isinstance(failed.value.__cause__, TimeoutError if where == "hang" else ValueError)
    assert node.find_all("it") == []
    assert node.directory.services("failing") == []
    assert len(node._runtime.transport._ports) == ports
    again = await node.spawn(Failing, "it", "nowhere")  # the name is free
    assert node.find_all("it") == [again]


async def test_a_name_is_found_only_once_its_actor_has_started(mesh, until):
    node = await mesh.start()
    go = asyncio.Event()

    class Slow(Actor):
        async def on_start(self):
            await go.wait()

    spawning = asyncio.create_task(node.spawn(Slow, "slow"))
    await until(lambda: len(node._runtime.registry) == 2)
    assert node.find_all("slow") == []
    go.set()
    assert node.find_all("slow") == [] or spawning.done()
    assert [await spawning] == node.find_all("slow")


async def test_a_spawner_that_gives_up_takes_the_actor_with_it(mesh, until):
    node = await mesh.start()
    spawning = asyncio.create_task(node.spawn(Failing, "it", "hang"))
    await until(lambda: len(node._runtime.registry) == 2)
    spawning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spawning
    assert len(node._runtime.registry) == 1
    await node.spawn(Failing, "it", "nowhere")


async def test_an_actor_that_stops_itself_while_it_starts_stays_stopped(mesh):
    node = await mesh.start()

    class Reluctant(Actor):
        @every(0.001)
        def tick(self):
            raise AssertionError("it lives")

        async def on_start(self):
            self.ref.stop()
            await asyncio.sleep(0)

    with pytest.raises(StartFailed, match="it was stopped while it started"):
        await node.spawn(Reluctant, "it")
    assert node.find_all("it") == []
    assert len(node._runtime.registry) == 1


async def test_on_stop_that_raises_or_hangs_is_reported_and_the_actor_ends(mesh, logged):
    node = await mesh.start(shutdown_timeout=0.1)

    class Bad(Actor):
        async def on_stop(self):
            raise ValueError("stuck valve")

    class Hanging(Actor):
        async def on_stop(self):
            await asyncio.Event().wait()

    bad, hanging = await node.spawn(Bad, "bad"), await node.spawn(Hanging, "hanging")
    logged.expect("bad.on_stop raised: ValueError('stuck valve')", "hanging.on_stop raised")
    await bad.stop()
    await hanging.stop()
    assert node.find_all("bad") == node.find_all("hanging") == []


class Private(Actor):
    """Has names of its own that a runtime might want as well."""

    _handlers = _sockets = _periodic = _own = None

    def __init__(self):
        self._context = self._runtime = self._node = "mine"

    def _note(self, text):
        return f"{self._context} {text}"

    def _method(self):
        return self._note("method")

    @handler
    def speak(self):
        return self._method()


async def test_private_names_of_an_actor_are_its_own(mesh):
    node = await mesh.start()
    assert await (await node.spawn(Private)).ask(Private.speak) == "mine method"
