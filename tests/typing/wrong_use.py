"""Mistakes: type checkers must find every line that says so, and no other."""
# pyright: strict

from __future__ import annotations

from actormq import Actor, Executor, Node, Publisher, Subscriber, Supervisor, child, handler, run
from actormq.testing import Probe, fail_at


class Greeter(Actor):
    feed = Publisher(service="weather", codec="json")  # error
    readings = Subscriber(services="weather")  # error

    def __init__(self, greeting: str = "hello") -> None:
        self.greeting = greeting

    @handler
    async def greet(self, who: str) -> str:
        self.after(1.0, self.greet, 3)  # error
        self.after(1.0, Greeter.greet)  # error
        self.after("soon", self.greet, "LAN")  # error
        return who

    @handler
    def count(self, first: int, scale: float = 1.0) -> float:
        return first * scale

    @handler(patient=True)  # error
    def wait(self) -> None: ...


class Other(Actor):
    @handler
    def flush(self, hard: int) -> None: ...


class Rack(Supervisor):
    strategy = "one_for_none"  # error
    max_restarts = "five"  # error
    children = (child(Greeter, "greeter", 3),)  # error

    @handler(raises="KeyError")  # error
    async def grow(self) -> None:
        await self.spawn(Greeter, "greeter", 3)  # error
        child(Greeter).restarts("sometimes")  # error
        child(Greeter, 3)  # error
        self.watch("greeter")  # error


def halved(number: int) -> float:
    return number / 2


class Scaler(Actor):
    @handler
    def scale(self, number: int) -> str:
        return str(number)


async def farmed(node: Node) -> None:
    node.farm(Scaler.scale, worker=2)  # error
    async with node.farm(Scaler.scale) as farm:
        farm.map(["1"])  # error
        farm.map([1], retry=1)  # error
        async for result in farm.map([1]):
            number: int = result.value  # error
            print(number)  # noqa: T201


async def main(node: Node) -> None:
    await node.spawn(Greeter, "greeter", 3)  # error
    await node.spawn(Greeter, "greeter", greetings="hello")  # error
    await node.spawn(Greeter, 3)  # error
    await node.find("greeter", timeout="5")  # error
    greeter = await node.spawn(Greeter, "greeter")
    await greeter.ask(Greeter.greet, 3)  # error
    await greeter.ask(Greeter.greet)  # error
    await greeter.ask(Greeter.greet, "LAN", "WAN")  # error
    await greeter.ask(Greeter.greet, whom="LAN")  # error
    await greeter.ask(Greeter.count, "one")  # error
    await greeter.ask(Greeter.count, 1, scale="half")  # error
    number: int = await greeter.ask(Greeter.greet, "LAN")  # error
    text: str = await greeter.ask(Greeter.count, 1)  # error
    await greeter.ask(Other.flush, 1)  # error
    greeter.tell(Other.flush, 1)  # error
    greeter.tell(Greeter.greet, 3)  # error
    greeter.tell(Greeter.count)  # error
    await greeter.send(Greeter.greet, 3)  # error
    greeter.offer(Greeter.count, "one")  # error
    greeter.within("1 s")  # error
    probe = Probe(Greeter)
    probe.answers(Other.flush, 1)  # error
    probe.raises(Greeter.greet, "no")  # error
    await probe.expect(Other.flush)  # error
    fail_at(greeter, Other.flush, 1, ValueError())  # error
    Probe(int)  # error
    with Executor(2, mesh="home") as executor:
        executor.submit(halved, "3")  # error
        executor.submit(halved, 3, scale=2)  # error
        whole: int = executor.submit(halved, 3).result()  # error
        executor.map(halved, 3)  # error
    Executor("2")  # error
    Executor(2, mehs="home")  # error
    print(number, text, whole)  # noqa: T201


if __name__ == "__main__":
    run(main, mehs="home")  # error
    run(main, mailbox_limit="10")  # error
    Node(name=3)  # error
    run(Greeter)  # error
