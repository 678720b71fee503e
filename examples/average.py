# Publishes this machine's memory in use and averages what it hears: python examples/average.py
import asyncio
import statistics

import psutil

from actormq import Actor, Node, Publisher, Subscriber, every, handler, run


class Station(Actor):
    feed = Publisher(service="memory")

    @every(0.1)  # seconds
    async def sample(self) -> None:
        await self.feed.publish("here", psutil.virtual_memory().percent)


class Average(Actor):
    readings = Subscriber(service="memory")

    async def on_start(self) -> None:
        self.heard: asyncio.Queue[float] = asyncio.Queue()
        await self.readings.subscribe("here")  # from here on none is missed

    @readings.received
    async def note(self, topic: str, reading: float) -> None:
        print(f"{topic} {reading:.1f} %")
        self.heard.put_nowait(reading)

    @handler(concurrent=True)  # readings come in while it waits
    async def result(self, count: int) -> float:
        return statistics.fmean([await self.heard.get() for _ in range(count)])


async def main(node: Node) -> None:
    average = await node.spawn(Average, "average")
    await node.spawn(Station, "station")
    print(f"on average {await average.ask(Average.result, 5):.1f} %")


if __name__ == "__main__":
    run(main)
