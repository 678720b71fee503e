"""Measures what a program waits for at first, beside importing what actormq stands on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from actormq import Node

BASE = "import zmq, tornado.ioloop, msgpack"
PROGRAMS = {
    "base imports": BASE,
    "import actormq": "import actormq",
    "import Actor, Node, handler, run": "from actormq import Actor, Node, handler, run",
}
REPEATS = 5  # of each in one round, in turn: a start takes a tenth of a second
# As users have it: what is compiled is kept.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("PYTHONDONT")
}

Note = Callable[[str, Awaitable[float] | float], Awaitable[None]]


def whole(program: str) -> float:
    """Seconds of a Python process that runs a program."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, env=ENVIRONMENT)
    return time.perf_counter() - begun


def node_up(mesh: str) -> float:
    """Seconds until `actormq node` says that it has started."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "actormq", "node", "--mesh", mesh],
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        took = time.perf_counter() - begun
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert b"started in mesh" in said, said
    return took


async def measure_starts(node: Node, rounds: int, note: Note) -> None:
    """Measure starts in turn, so many times; what they compile is kept from the first one on."""
    mesh = f"{node.mesh}-start"
    for program in PROGRAMS.values():
        await asyncio.to_thread(whole, program)
    await asyncio.to_thread(node_up, mesh)
    for number in range(rounds):
        print(f"starts, round {number + 1} of {rounds}", file=sys.stderr)
        for _ in range(REPEATS):
            for name, program in PROGRAMS.items():
                await note(name, await asyncio.to_thread(whole, program))
            await note("actormq node until up", await asyncio.to_thread(node_up, mesh))
