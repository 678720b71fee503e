"""No slow joiner: whatever comes first, nothing is lost behind `subscribe` and `ready`.

Each case is one publisher and three subscribers that start in an order, at moments, on nodes and
by a way that its seed draws. A thousand cases run, five hundred over tcp and five hundred over ipc.
"""

import asyncio
import contextlib
import random
import socket
from typing import Any

import pytest

from actormq import Actor, AskTimeout, Publisher, Subscriber, handler

CASES = 125  # per test below, of which there are eight
TOGETHER = 25  # cases at a time
MESSAGES = 30
TOPICS = ["98101", "981", "1"]
LATEST = 0.03  # s from the first start of a case to the last
PATIENCE = 5.0  # s until what has not come is lost


def station(wiring):
    class Station(Actor):
        feed = Publisher(**wiring)

        @handler
        async def say(self) -> None:
            await self.feed.ready(3, timeout=60)
            for number in range(MESSAGES):
                await self.feed.publish(TOPICS[number % 3], number)

    return Station


def listener(wiring):
    class Listener(Actor):
        readings = Subscriber(**wiring)

        def __init__(self, at_start: bool) -> None:
            self.at_start = at_start
            self.heard: list[tuple[str, int]] = []
            self.complete = asyncio.Event()

        async def on_start(self) -> None:
            if self.at_start:
                await self.readings.subscribe("98", "1")

        @handler
        async def subscribe(self) -> None:
            if not self.at_start:
                await self.readings.subscribe("98", "1")

        @readings.received
        def note(self, topic: str, value: Any) -> None:
            self.heard.append((topic, int(value)))
            if len(self.heard) == MESSAGES:
                self.complete.set()

        @handler(concurrent=True)
        async def wait(self) -> None:
            await self.complete.wait()

        @handler
        def result(self) -> tuple[list[tuple[str, int]], int, dict[str, int]]:
            return self.heard, self.readings.missed, dict(self.readings.dropped)

    return Listener


class Places:
    """Endpoints that are known before anybody has bound them."""

    def __init__(self, transport, folder):
        self.transport = transport
        self.folder = folder
        self.kept = []

    def next(self):
        if self.transport == "ipc":
            self.kept.append(None)
            return f"ipc://{self.folder}/{len(self.kept)}"
        # A port that is bound and not listened at is given to nobody who takes any free one.
        keeper = socket.socket()
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        self.kept.append(keeper)
        return f"tcp://127.0.0.1:{keeper.getsockname()[1]}"

    def close(self):
        for keeper in filter(None, self.kept):
            keeper.close()


@pytest.fixture(params=["tcp", "ipc"])
def places(request, tmp_path):
    found = Places(request.param, tmp_path)
    yield found
    found.close()


def wirings(way, codec, name, places):
    """How the publisher and each subscriber of a case find each other."""
    if way == "service":
        return {"service": name}, [{"service": name}] * 3
    if way == "service at a place":
        return {"service": name, "bind": places.next()}, [{"service": name}] * 3
    if way == "service of subscribers":
        ends = [{"service": name, "bind": places.next()} for _ in range(3)]
        return {"service": name, "connect": True}, ends
    if way == "publisher binds":
        place = places.next()
        return {"bind": place}, [{"connect": place}] * 3
    ends = [places.next() for _ in range(3)]
    return {"connect": ends}, [{"bind": place} for place in ends]


WAYS = [
    "service",
    "service at a place",
    "service of subscribers",
    "publisher binds",
    "subscribers bind",
]


class Case:
    """One start order."""

    def __init__(self, seed, nodes, places):
        self.draw = draw = random.Random(seed)
        self.seed = seed
        self.nodes = nodes if draw.random() < 0.5 else nodes[:1]
        # Without a place, those of one host meet over ipc.
        self.way = draw.choice(WAYS[places.transport == "tcp" :])
        self.codec = draw.choice(["msgpack", "msgpack", "text"])
        own, others = wirings(self.way, self.codec, seed, places)
        self.kinds = [station(own | {"codec": self.codec})]
        self.kinds += [listener(other | {"codec": self.codec}) for other in others]
        self.moments = [draw.uniform(0, LATEST) for _ in range(4)]
        self.at_start = [draw.random() < 0.5 for _ in range(3)]
        self.is_patient = draw.random() < 0.5  # publishes when all calls of subscribe are back
        self.asked = asyncio.Event()
        self.subscribed = 0

    async def station(self):
        await asyncio.sleep(self.moments[3])
        ref = await self.draw.choice(self.nodes).spawn(self.kinds[0])
        if self.is_patient:
            await self.asked.wait()
        await ref.within(25).ask("say")
        return ref

    async def listener(self, number):
        await asyncio.sleep(self.moments[number])
        node = self.draw.choice(self.nodes)
        ref = await node.spawn(self.kinds[number + 1], None, self.at_start[number])
        await ref.ask("subscribe")
        self.subscribed += 1
        if self.subscribed == 3:
            self.asked.set()
        return ref

    async def run(self):
        """Give back what went wrong."""
        refs = await asyncio.gather(self.station(), *map(self.listener, range(3)))
        wanted = [(TOPICS[number % 3], number) for number in range(MESSAGES)]
        complaints = []
        for ref in refs[1:]:
            with contextlib.suppress(AskTimeout):
                await ref.within(PATIENCE).ask("wait")
            heard, missed, dropped = await ref.ask("result")
            if (heard, missed, dropped) != (wanted, 0, {}):
                complaints.append((self.seed, self.way, self.codec, len(heard), missed, dropped))
        await asyncio.gather(*(ref.stop() for ref in refs))
        return complaints


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(4))
async def test_nothing_is_lost_whatever_starts_first(mesh, places, batch):
    both = await mesh.pair()
    cases = iter([Case(f"{places.transport}-{batch}-{n}", both, places) for n in range(CASES)])
    complaints = []

    async def work():
        for case in cases:
            complaints.extend(await case.run())

    await asyncio.gather(*(work() for _ in range(TOGETHER)))
    assert complaints == []
    for node in both:
        assert len(node._runtime.registry) == 1
        assert not node.directory.of(node.id).services
