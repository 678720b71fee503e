"""A storm: a thousand actors that crash at once and always; it costs little and blocks nobody."""

import asyncio
import time
from collections import Counter

import pytest
from yardstick import slowness

from actormq import Actor, Supervisor, child, handler
from actormq.events import ActorFailed

# Alone: others in the caches make each callback longer, and the limit is for the callbacks.
pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(120)]

COUNT = 1_000
SHARE_LIMIT = 0.3  # of a usual core: a slower one takes more of itself for the same
ASK_LIMIT = 0.020  # s that 99 of 100 local asks take at most
PAUSE = 0.005  # s between two asks: they are to cost little themselves
TRIES = 3
CALM_FAILURES = 6  # of each actor; from here on the back-off is over three seconds long


class Unborn(Actor):
    """Comes up once; from then on it does not."""

    is_lost = False

    async def on_start(self) -> None:
        if self.is_lost:
            raise OSError("no sensor")

    @handler
    def crash(self) -> None:
        raise OSError("no sensor")


class Shaky(Actor):
    """Comes up each time, and crashes at its first message."""

    is_lost = False

    async def on_start(self) -> None:
        if self.is_lost:
            self.after(0.0, "crash")

    @handler
    def crash(self) -> None:
        raise OSError("no sensor")


class Rack(Supervisor):
    max_restarts = 1_000_000_000

    def __init__(self, kind: type[Actor]) -> None:
        self.children = [child(kind).restarts("always") for _ in range(COUNT)]


class Calm(Actor):
    @handler
    def ping(self) -> None: ...


class Storm:
    """Counts the failures of each actor, and lets wait until each has had so many."""

    def __init__(self, node):
        self.failures = Counter()
        self._reached = Counter()  # how many actors have failed so often
        self._waits = {}
        node.events.listen(self._note, ActorFailed)

    def _note(self, event):
        self.failures[event.actor] += 1
        often = self.failures[event.actor]
        self._reached[often] += 1
        if self._reached[often] == COUNT and often in self._waits:
            self._waits[often].set_result(None)

    async def until_each_failed(self, often):
        self._waits[often] = asyncio.get_running_loop().create_future()
        if self._reached[often] < COUNT:
            await self._waits[often]


async def asking(calm, seconds, busy):
    """Ask again and again; note how long each took, and how much of it this thread has run."""
    while True:
        begun, begun_busy = time.perf_counter(), time.thread_time()
        await calm.ask(Calm.ping)
        seconds.append(time.perf_counter() - begun)
        busy.append(time.thread_time() - begun_busy)
        await asyncio.sleep(PAUSE)


def slowest_of(times):
    """What 99 of 100 do not exceed."""
    return sorted(times)[int(len(times) * 0.99)]


async def storm_of(node, kind):
    """Let all actors of a kind crash at once, and go on crashing.

    Returns:
        The share of a core in all, and once the back-off is long; the slowest asks meanwhile: as
        it were on a usual machine.
    """
    before, storm = slowness(), Storm(node)
    kind.is_lost = False
    await node.spawn(Rack, "rack", kind)
    calm = await node.spawn(Calm, "calm")
    seconds, busy = [], []
    kind.is_lost = True
    asks = asyncio.create_task(asking(calm, seconds, busy))
    try:
        wall, cpu = time.monotonic(), time.process_time()
        for cell in node._runtime.registry.cells():
            if cell.kind is kind:
                cell.ref.tell("crash")
        await storm.until_each_failed(CALM_FAILURES)
        calm_wall, calm_cpu = time.monotonic(), time.process_time()
        await storm.until_each_failed(CALM_FAILURES + 1)
        end_wall, end_cpu = time.monotonic(), time.process_time()
    finally:
        asks.cancel()
    slower = max(before, slowness())
    whole = (end_cpu - cpu) / (end_wall - wall) / slower
    steady = (end_cpu - calm_cpu) / (end_wall - calm_wall) / slower
    print(  # noqa: T201 the figures, for -s
        f"cpu {whole:.1%} of a core, {steady:.1%} once calm; ask p99 "
        f"{slowest_of(seconds) * 1e3:.2f} ms, {slowest_of(busy) * 1e3:.2f} ms of them on the loop"
    )
    return whole, steady, slowest_of(busy) / slower


@pytest.mark.parametrize("kind", [Unborn, Shaky], ids=["at their start", "at their first message"])
async def test_a_thousand_actors_that_crash_at_once_and_always_cost_little_and_block_nobody(
    mesh, logged, kind
):
    logged.expect("it is restarted", "more handlers raised within a second")
    for _ in range(TRIES):  # what others take of the processor's caches is not the node's doing
        node = await mesh.start()
        whole, steady, slowest = await storm_of(node, kind)
        assert node.ledger().is_balanced
        await node.stop()
        if whole < SHARE_LIMIT and steady < SHARE_LIMIT and slowest < ASK_LIMIT:
            break
    assert whole < SHARE_LIMIT
    assert steady < SHARE_LIMIT
    assert slowest < ASK_LIMIT  # what other programs take is not the node's doing
