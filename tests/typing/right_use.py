"""Right use: type checkers know each of these types and find nothing to say."""
# pyright: strict

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, assert_type

from actormq import (
    Actor,
    Backoff,
    Child,
    Executor,
    Failure,
    Farm,
    Node,
    Publisher,
    Ref,
    Reply,
    Subscriber,
    Supervisor,
    Terminated,
    child,
    every,
    handler,
    run,
)
from actormq.testing import Fault, Mesh, Probe, Received, fail_at, until


class Greeter(Actor):
    def __init__(self, greeting: str = "hello", *, loud: bool = False) -> None:
        self.greeting = greeting
        self.loud = loud

    @handler
    async def greet(self, who: str) -> str:
        return f"{self.greeting} {who}"

    @handler
    def count(self, first: int, *more: int, scale: float = 1.0) -> float:
        return (first + sum(more)) * scale

    @handler(blocking=True)
    def read(self, path: str) -> bytes:
        return path.encode()

    @handler(concurrent=True)
    async def wait(self) -> None:
        self.after(1.0, self.greet, "later")
        self.after(1.0, Greeter.greet, "later")
        self.after(1.0, "greet", "later").cancel()

    @handler
    def me(self) -> Ref[Greeter]:
        return self.ref


class Polite(Greeter):
    @handler
    def leave(self) -> str:
        return "farewell"


class Station(Actor):
    feed = Publisher(service="weather")
    readings = Subscriber(service="weather")

    @every(1.0)
    async def sample(self) -> None:
        await self.feed.publish("98101", 3.5)
        await self.feed.ready(1, timeout=2.0)

    async def on_start(self) -> None:
        await self.readings.subscribe("98101", after=self.readings.positions)

    @readings.received
    async def note(self, topic: str, reading: float) -> None:
        self.log.info("%s %s %d", topic, reading, self.readings.missed)


async def main(node: Node) -> int:
    greeter = await node.spawn(Greeter, "greeter", "good day", loud=True)
    assert_type(greeter, Ref[Greeter])
    assert_type(await greeter.ask(Greeter.greet, "LAN"), str)
    assert_type(await greeter.ask(Greeter.greet, who="LAN"), str)
    assert_type(await greeter.ask(Greeter.count, 1, 2, 3, scale=0.5), float)
    assert_type(await greeter.ask(Greeter.read, "a file"), bytes)
    assert_type(greeter.ask(Greeter.greet, "LAN"), Reply[str])
    assert_type(greeter.ask(Greeter.read, "a file").result(timeout=1.0), bytes)
    assert_type(await (await greeter.ask(Greeter.me)).ask(Greeter.greet, "me"), str)
    await greeter.ask(Greeter.wait)
    greeter.tell(Greeter.greet, "LAN")
    greeter.tell(Greeter.count, 1, scale=2.0)
    greeter.tell("greet", "LAN")
    polite = await node.spawn(Polite)
    assert_type(await polite.ask(Greeter.greet, "LAN"), str)
    assert_type(await polite.within(0.5).ask(Polite.leave), str)
    base: Ref[Greeter] = polite
    await base.stop()
    await node.spawn(Station, None)
    far = await node.find("collector", timeout=5)
    await far.within(0.5).ask("flush")
    async for refs in node.watch("collector"):
        return len(refs)
    return 0


class Rack(Supervisor):
    strategy = "rest_for_one"
    max_restarts = 5
    backoff = Backoff(first=0.5)
    children = (
        child(Greeter, "greeter", "good day", loud=True).restarts("always").stops_within(2.0),
        child(Polite),
    )


class Caretaker(Actor):
    runs_in = "thread"

    async def on_restart(self, failure: Failure) -> None:
        self.log.info("%s in %s", failure.error, failure.handler)

    async def on_terminated(self, terminated: Terminated) -> None:
        assert_type(terminated.ref, Ref[Any])

    @handler(retry=3, raises=(KeyError, OSError))
    async def grow(self, rack: Ref[Rack]) -> bool:
        greeter = await self.spawn(Greeter, None, "hello")
        assert_type(greeter, Ref[Greeter])
        self.watch(greeter)
        await greeter.send(Greeter.greet, "LAN")
        assert_type(greeter.send(Greeter.count, 1, scale=2.0), Reply[None])
        spec = child(Greeter, None, "hello")
        assert_type(spec, Child[Greeter])
        await rack.ask(Rack.start_child, spec)
        await rack.ask(Rack.stop_child, greeter)
        return greeter.offer(Greeter.greet, "LAN")


async def kit() -> None:
    async with Mesh() as mesh:
        near, far = await mesh.pair(ask_timeout=0.5)
        assert_type(near, Node)
        probe = Probe(Greeter)
        assert_type(probe, Probe[Greeter])
        assert_type(await probe.spawn(far, "greeter"), Ref[Greeter])
        probe.answers(Greeter.greet, "hello")
        probe.answers_with("count", lambda *numbers: sum(numbers))
        probe.raises(Greeter.read, OSError())
        assert_type(await probe.ref.ask(Greeter.greet, "LAN"), str)
        assert_type(await probe.expect(Greeter.greet, "LAN", within=0.5), Received)
        await Probe().spawn(near)
        assert_type(fail_at(probe.ref, Greeter.greet, 1, ValueError()), Fault)
        assert_type(await until(lambda: len(probe.received)), int)


def halved(number: int, by: float = 2.0) -> float:
    return number / by


def hired() -> None:
    with Executor(2, mesh="home", initializer=print, initargs=("ready",)) as executor:
        assert_type(executor.submit(halved, 3, by=1.0), Future[float])
        assert_type(executor.map(halved, [1, 2], [2.0], timeout=1.0, chunksize=2), Iterator[float])
        executor.shutdown(wait=False, cancel_futures=True)


class Scaler(Actor):
    @handler
    def scale(self, number: int) -> str:
        return str(number)

    @handler
    async def later(self, number: int, by: float = 2.0) -> str:
        return str(number * by)

    @handler
    async def twice(self, number: int = 1) -> int:
        return 2 * number


async def greeted(who: str) -> bytes:
    return who.encode()


async def farmed(node: Node) -> None:
    assert_type(node.farm(halved, min_workers=2), Farm[int, float])
    assert_type(node.farm(greeted), Farm[str, bytes])
    assert_type(node.farm(Scaler.scale, workers=0), Farm[int, str])
    assert_type(node.farm(Scaler.later), Farm[int, str])
    assert_type(node.farm(Scaler.twice), Farm[Any, int])
    assert_type(node.farm(Scaler), Farm[Any, Any])
    assert_type(node.farm("module:function"), Farm[Any, Any])
    async with node.farm(Scaler.scale) as farm:
        async for result in farm.map([1, 2], retries=0):
            assert_type(result.value, str)
            assert_type(result.input, int)


if __name__ == "__main__":
    assert_type(run(main, mesh="home", join=["localhost:4711"], mailbox_limit=10), int)
