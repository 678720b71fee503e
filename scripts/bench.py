"""Measures what a message costs, beside bare references in the same run.

Every figure is the median of several rounds, and in each round the references run as well: the
machine's mood is in both, so the ratio can be trusted where the seconds cannot.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import zmq
from bench_devices import bare_forwarder, forwarder
from bench_farm import CHUNKS, FarmBench
from bench_sockets import measure_sockets
from bench_start import measure_starts

from actormq import Actor, Node, Ref, handler, run

BURST = 5_000  # tells between two looks at the receiver: half of a mailbox
HERE = Path(__file__).resolve().parent
PAYLOAD = b"x" * 32

Figures = dict[str, list[float]]


class Counter(Actor):
    """Counts, in every way a handler can."""

    def __init__(self) -> None:
        self.n = 0

    @handler
    def hit(self, payload: bytes) -> None:
        """A plain handler."""
        del payload
        self.n += 1

    @handler
    async def hit_async(self, payload: bytes) -> None:
        """A handler that could suspend and does not."""
        del payload
        self.n += 1

    @handler
    def count(self) -> int:
        """How many came."""
        return self.n


class Idle(Actor):
    """An actor with nothing to do."""


# -- bare references ----------------------------------------------------------------------------


def bare_calls(count: int = 300_000) -> float:
    """Calls a second of bound methods out of a deque: what a local tell adds to."""
    counter = Counter.__new__(Counter)
    counter.n = 0
    queue: deque[Any] = deque()
    begun = time.perf_counter()
    for _ in range(count):
        queue.append((counter.hit, (PAYLOAD,)))
    while queue:
        function, args = queue.popleft()
        function(*args)
    return count / (time.perf_counter() - begun)


async def bare_future(count: int = 20_000) -> float:
    """Seconds of one future and one turn of the loop: what a local ask adds to."""
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future
    return (time.perf_counter() - begun) / count


ECHO = """
import sys, zmq
context = zmq.Context()
router = context.socket(zmq.ROUTER)
port = router.bind_to_random_port("tcp://127.0.0.1")
print(port, flush=True)
while True:
    frames = router.recv_multipart()
    if frames[1] == b"end":
        break
    router.send_multipart(frames)
router.close()
context.term()
"""


class BareEcho:
    """A blocking pyzmq DEALER/ROUTER echo between two processes: what a far ask adds to."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        self._context = zmq.Context()
        self._dealer = self._context.socket(zmq.DEALER)
        self._dealer.connect(f"tcp://127.0.0.1:{port}")
        return self

    def round_trip(self, count: int = 3_000) -> float:
        """Seconds of one echo."""
        begun = time.perf_counter()
        for _ in range(count):
            self._dealer.send(PAYLOAD)
            self._dealer.recv()
        return (time.perf_counter() - begun) / count

    def __exit__(self, *_: object) -> None:
        self._dealer.send(b"end")
        self._dealer.close()
        self._context.term()
        self._process.wait()


# -- actormq ------------------------------------------------------------------------------------


async def tells(ref: Ref[Counter], method: Any, seconds: float = 1.0) -> float:
    """Tells a second to one actor, until the last was handled."""
    sent = 0
    before = await ref.ask(Counter.count)
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for _ in range(BURST):
            ref.tell(method, PAYLOAD)
        sent += BURST
        handled = await ref.within(30).ask(Counter.count)
    assert handled - before == sent
    return sent / (time.perf_counter() - begun)


async def asks(ref: Ref[Counter], count: int) -> float:
    """Seconds of one ask, one by one: the median."""
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        await ref.ask(Counter.count)
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def asks_in_flight(ref: Ref[Counter], width: int = 100, seconds: float = 1.0) -> float:
    """Asks a second with so many under way."""
    done = 0
    begun = time.perf_counter()

    async def one() -> None:
        nonlocal done
        while time.perf_counter() - begun < seconds:
            await ref.ask(Counter.count)
            done += 1

    await asyncio.gather(*(one() for _ in range(width)))
    return done / (time.perf_counter() - begun)


async def spawns(node: Node, count: int = 10_000) -> float:
    """Actors spawned a second."""
    begun = time.perf_counter()
    refs = [await node.spawn(Idle) for _ in range(count)]
    took = time.perf_counter() - begun
    for ref in refs:
        await ref.stop()
    return count / took


async def bytes_per_actor(node: Node, count: int = 5_000) -> float:
    """Bytes of one idle actor and the ref to it."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    refs = [await node.spawn(Idle) for _ in range(count)]
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for ref in refs:
        await ref.stop()
    return (after - before) / count


async def started(node: Node, name: str) -> tuple[subprocess.Popen[bytes], float]:
    """Start a node process; give it, and the seconds until its actor was found here."""
    command = [sys.executable, "-m", "actormq", "node", "--quiet", "bench:Counter"]
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--name", name, "--as", name, "--mesh", node.mesh],
        cwd=HERE,
    )
    await node.find(name, timeout=30)
    return process, time.perf_counter() - begun


def starting_python() -> float:
    """Seconds to start Python and import what actormq stands on."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "import zmq, tornado.ioloop, msgpack, zeroconf.asyncio"], check=True
    )
    return time.perf_counter() - begun


class Notes:
    """Keeps figures by name.

    Attributes:
        figures: What was measured, round by round.
    """

    def __init__(self) -> None:
        self.figures: Figures = {}

    async def __call__(self, name: str, value: Awaitable[float] | float) -> None:
        """Note a figure, once it is there."""
        result = await value if not isinstance(value, float) else value
        self.figures.setdefault(name, []).append(result)


async def measure_farm(node: Node, rounds: int, note: Notes) -> None:
    """Measure the farm beside others, so many times."""
    async with FarmBench(f"{node.mesh}-executor") as bench:
        for number in range(rounds):
            print(f"farm, round {number + 1} of {rounds}", file=sys.stderr)
            await bench.measure(node, note)


async def measure_messages(node: Node, rounds: int, note: Notes) -> None:
    """Measure messages, references and actormq in turn, so many times."""
    local = await node.spawn(Counter, "local")
    process, _ = await started(node, "far")
    far = await node.find("far")
    try:
        with BareEcho() as echo:
            for number in range(rounds):
                print(f"round {number + 1} of {rounds}", file=sys.stderr)
                await note("bare calls", bare_calls())
                await note("local tells", tells(local, Counter.hit))
                await note("local tells, async handler", tells(local, Counter.hit_async))
                await note("bare future", bare_future())
                await note("local ask", asks(local, 10_000))
                await note("bare echo", await asyncio.to_thread(echo.round_trip))
                await note("far ask", asks(far, 2_000))
                await note("far asks, 100 in flight", asks_in_flight(far))
                await note("far tells", tells(far, Counter.hit))
                await note("spawns", spawns(node))
                await note("starting python", await asyncio.to_thread(starting_python))
                newcomer, seconds = await started(node, f"new-{number}")
                await note("node until seen", seconds)
                newcomer.terminate()
                await asyncio.to_thread(newcomer.wait)
                await measure_sockets(node, note)
                await note("bare forwarder", bare_forwarder())
                await note("forwarder", forwarder(node))
        await note("bytes per actor", bytes_per_actor(node))
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


# -- the table ----------------------------------------------------------------------------------

Row = tuple[str, str, float, str, Callable[[float, float], float] | None]


def times(one: float, other: float) -> float:
    """How many times the other."""
    return one / other


TABLE: list[Row] = [
    ("local tells", "M/s", 1e-6, "bare calls", times),
    ("local tells, async handler", "M/s", 1e-6, "bare calls", times),
    ("local ask", "µs", 1e6, "bare future", times),
    ("far tells", "M/s", 1e-6, "bare calls", times),
    ("far ask", "µs", 1e6, "bare echo", times),
    ("far asks, 100 in flight", "k/s", 1e-3, "", None),
    ("spawns", "k/s", 1e-3, "", None),
    ("node until seen", "s", 1.0, "starting python", times),
    ("import actormq", "ms", 1e3, "base imports", times),
    ("import Actor, Node, handler, run", "ms", 1e3, "base imports", times),
    ("actormq node until up", "ms", 1e3, "base imports", times),
    ("bytes per actor", "B", 1.0, "", None),
    ("push", "k/s", 1e-3, "bare push", times),
    ("pull", "k/s", 1e-3, "bare pull", times),
    ("publish", "k/s", 1e-3, "bare publish", times),
    ("request", "µs", 1e6, "bare request", times),
    ("forwarder", "k/s", 1e-3, "bare forwarder", times),
    ("a reading in a flood, at worst", "ms", 1e3, "", None),
    ("farm tasks", "k/s", 1e-3, "pool map, chunks of 1", times),
    ("farm tasks", "k/s", 1e-3, "celery tasks", times),
    *(
        (f"executor map, chunks of {size}", "k/s", 1e-3, f"pool map, chunks of {size}", times)
        for size in CHUNKS
    ),
    ("naps of 2 ms on 8 slots", "of ideal", 1.0, "", None),
    ("bare calls", "M/s", 1e-6, "", None),
    ("bare future", "µs", 1e6, "", None),
    ("bare echo", "µs", 1e6, "", None),
    ("starting python", "s", 1.0, "", None),
    ("base imports", "ms", 1e3, "", None),
    ("bare push", "k/s", 1e-3, "", None),
    ("bare pull", "k/s", 1e-3, "", None),
    ("bare publish", "k/s", 1e-3, "", None),
    ("bare request", "µs", 1e6, "", None),
    ("bare forwarder", "k/s", 1e-3, "", None),
    ("celery tasks", "k/s", 1e-3, "", None),
    *((f"pool map, chunks of {size}", "k/s", 1e-3, "", None) for size in CHUNKS),
]


def table(figures: Figures) -> str:
    """Write a Markdown table: median, range, and the ratio to a reference, round by round."""
    lines = ["| what | median | range | unit | against | ratio |", "| --- " * 6 + "|"]
    for name, unit, scale, reference, ratio in TABLE:
        if not {name, reference or name} <= figures.keys():
            continue  # not asked for, or not there
        values = [value * scale for value in figures[name]]
        shown = f"{statistics.median(values):.3g}"
        spread = f"{min(values):.3g} to {max(values):.3g}"
        against = ""
        if ratio is not None:
            pairs = zip(figures[name], figures[reference], strict=True)
            against = f"{statistics.median(ratio(a, b) for a, b in pairs):.2f}"
        lines.append(f"| {name} | {shown} | {spread} | {unit} | {reference} | {against} |")
    return "\n".join(lines)


PARTS = {"starts": measure_starts, "messages": measure_messages, "farm": measure_farm}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write the raw figures to this file")
    parser.add_argument("--only", choices=PARTS, help="measure one part of it")
    options = parser.parse_args()
    note = Notes()

    async def body(node: Node) -> None:
        for name, measure in PARTS.items():
            if options.only in (None, name):
                await measure(node, options.rounds, note)

    run(body, name="bench", mesh=f"bench-{os.getpid()}")
    figures = note.figures
    print(table(figures))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
