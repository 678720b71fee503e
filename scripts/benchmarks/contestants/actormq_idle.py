"""What actormq costs where nothing happens: processor time and memory of nodes and of actors.

The value is the share of one core; less is better.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import psutil  # noqa: E402
from protocol import AsyncRound, Result, Settings, serve  # noqa: E402

from actormq import Actor, Node  # noqa: E402

PATIENCE = 60.0  # s for what takes long on a busy machine
SETTLING = 3.0  # s in which nodes have made their links


class Idle(Actor):
    """Does nothing."""


def used(processes: Iterable[psutil.Process]) -> float:
    """Seconds of processor time that they have taken."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def held(process: psutil.Process) -> int:
    """Bytes of memory that this process alone holds."""
    return int(process.memory_full_info().uss)


async def watched(processes: list[psutil.Process], seconds: float, **extra: object) -> Result:
    """Watch them for so long: the share of a core that each takes."""
    before, begun = used(processes), time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - begun
    share = (used(processes) - before) / took / len(processes)
    return {"value": share, "count": len(processes), "seconds": took, **extra}


@asynccontextmanager
async def nodes(settings: Settings) -> AsyncIterator[AsyncRound]:
    """So many `nodes`, each a process, that know each other and do nothing."""
    count, mesh = int(settings["nodes"]), f"idle-{os.getpid()}"
    command = [sys.executable, "-m", "actormq", "node", "--quiet", "actormq_idle:Idle"]
    started = [
        subprocess.Popen([*command, "--mesh", mesh, "--as", f"idle-{n}"], cwd=HERE, stdout=2)
        for n in range(count)
    ]
    try:
        async with Node(mesh=mesh) as node:
            for number in range(count):
                await node.find(f"idle-{number}", timeout=PATIENCE)
        await asyncio.sleep(SETTLING)
        processes = [psutil.Process(process.pid) for process in started]
        size = sum(map(held, processes)) / count
        yield lambda seconds: watched(processes, seconds, bytes=size)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            await asyncio.to_thread(process.wait)


@asynccontextmanager
async def actors(settings: Settings) -> AsyncIterator[AsyncRound]:
    """So many `actors` on one node that do nothing; `bytes` is what each of them holds."""
    count, own = int(settings["actors"]), psutil.Process()
    async with Node(mesh=f"idle-{os.getpid()}", discovery=False, shutdown_timeout=PATIENCE) as node:
        before = held(own)
        refs = [await node.spawn(Idle) for _ in range(count)]
        size = (held(own) - before) / max(1, len(refs))
        yield lambda seconds: watched([own], seconds, bytes=size)


if __name__ == "__main__":
    serve({"idle-nodes": nodes, "idle-actors": actors})
