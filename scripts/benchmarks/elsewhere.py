"""Actors in threads and processes: what they cost, and 300 `kill -9` of one under load.

.venv/bin/python scripts/benchmarks/elsewhere.py [--kills 300]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import time
from collections.abc import Callable
from typing import Any

from actormq import (
    Actor,
    Backoff,
    Node,
    ProcessLost,
    Ref,
    Supervisor,
    child,
    handler,
    run,
)
from actormq.events import ActorFailed

ASKS, AT_ONCE, TELLS, STARTS = 3_000, 100, 10_000, 5


class OnLoop(Actor):
    """Adds up."""

    def __init__(self) -> None:
        self.value = 0

    @handler
    def add(self, number: int) -> int:
        """Add a number."""
        self.value += number
        return self.value

    @handler
    def pid(self) -> int:
        """The process it lives in."""
        return os.getpid()


class InThread(OnLoop):
    """Likewise, in a thread."""

    runs_in = "thread"


class InProcess(OnLoop):
    """Likewise, in a process."""

    runs_in = "process"


class Rack(Supervisor):
    """Restarts what is killed, without a pause and as often as it takes."""

    children = (child(InProcess, "adder").restarts("always"),)
    max_restarts = 100_000
    period = 3_600.0
    backoff = Backoff(first=0.0)


async def measure(node: Node, kind: type[OnLoop]) -> None:
    """Print what starting and asking such an actor costs."""
    starts, longest = [], 0.0
    ref: Ref[OnLoop]
    for _ in range(STARTS):
        begin = time.perf_counter()
        watch = asyncio.create_task(longest_pause())
        await asyncio.sleep(0)
        ref = await node.spawn(kind)
        starts.append(time.perf_counter() - begin)
        watch.cancel()
        longest = max(longest, await watch)
        await ref.stop()
    ref = await node.spawn(kind)
    await ref.ask(OnLoop.add, 1)
    begin = time.perf_counter()
    for _ in range(ASKS):
        await ref.ask(OnLoop.add, 1)
    asks = ASKS / (time.perf_counter() - begin)
    begin = time.perf_counter()
    for _ in range(ASKS // AT_ONCE):
        await asyncio.gather(*(asked(ref) for _ in range(AT_ONCE)))
    many = ASKS / (time.perf_counter() - begin)
    begin = time.perf_counter()
    for _ in range(TELLS // 1_000):
        for _ in range(1_000):
            ref.tell(OnLoop.add, 1)
        await ref.ask(OnLoop.add, 1)
    tells = TELLS / (time.perf_counter() - begin)
    print(
        f"{kind.runs_in:8} start {statistics.median(starts) * 1e3:7.1f} ms"
        f" (loop held {longest * 1e3:5.1f} ms)  asks {asks:9,.0f}/s"
        f"  {AT_ONCE} at once {many:9,.0f}/s  tells {tells:9,.0f}/s"
    )
    await ref.stop()


async def asked(ref: Ref[OnLoop]) -> int:
    """Ask once."""
    return await ref.ask(OnLoop.add, 1)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    while True:
        if condition():
            return
        await asyncio.sleep(0.001)


async def longest_pause() -> float:
    """How long the loop was held at most, in seconds."""
    longest, last = 0.0, time.perf_counter()
    try:
        while True:
            await asyncio.sleep(0)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    except asyncio.CancelledError:
        return longest


async def kill(node: Node, kills: int) -> None:
    """Kill a process again and again while 20 askers keep it busy; every message is accounted."""
    failures: list[ActorFailed] = []
    node.events.listen(failures.append, ActorFailed)
    await node.spawn(Rack, "rack")
    adder: Ref[Any] = (await node.find("adder")).within(60)
    counts = {"asked": 0, "answered": 0, "lost": 0}
    is_over = False

    async def load() -> None:
        while not is_over:
            counts["asked"] += 1
            try:
                await adder.ask(OnLoop.add, 1)
                counts["answered"] += 1
            except ProcessLost:
                counts["lost"] += 1

    loads = [asyncio.create_task(load()) for _ in range(20)]
    seen = []
    begin = time.perf_counter()
    for number in range(1, kills + 1):
        try:
            pid = await adder.ask(OnLoop.pid)
        except ProcessLost:  # it was under way as the last one died
            pid = await adder.ask(OnLoop.pid)
        answered = counts["answered"]
        await until(lambda answered=answered: counts["answered"] >= answered + 10)
        os.kill(pid, signal.SIGKILL)
        killed = time.perf_counter()
        await until(lambda number=number: len(failures) >= number)
        seen.append(time.perf_counter() - killed)
    seconds = time.perf_counter() - begin
    is_over = True
    await asyncio.gather(*loads)
    ledger = node.ledger()
    print(
        f"{kills} kills in {seconds:.0f} s: {len(failures)} failures seen after"
        f" {statistics.median(seen) * 1e3:.1f} ms (at most {max(seen) * 1e3:.0f} ms); {counts};"
        f" ledger sent {ledger.sent}, delivered {ledger.delivered}, dropped {dict(ledger.dropped)},"
        f" in flight {ledger.in_flight}, unaccounted {ledger.unaccounted}"
    )
    assert ledger.is_balanced
    assert counts["asked"] == counts["answered"] + counts["lost"]


async def main(node: Node) -> None:
    """Measure, or kill."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=0, help="only kill, so often")
    kills = options.parse_args().kills
    if kills:
        await kill(node, kills)
    else:
        for kind in (OnLoop, InThread, InProcess):
            await measure(node, kind)


if __name__ == "__main__":
    run(main, discovery=False)
