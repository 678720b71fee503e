"""Measures how the cost of a mesh grows with its nodes; writes what docs/mesh.md shows of it.

The nodes are real ones in a simulated network, in which each message takes 1 ms: the time that
news take says over how many nodes they went. Each size has a process of its own.
Sizes that were measured before, and are not asked for, stay as they were.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from growth_plot import plot, table, with_table

from actormq import Actor, Node
from actormq.events import Event, MemberChanged
from actormq.testing import World, simulate

FOLDER = Path(__file__).parents[1] / "docs" / "mesh"
PAGE = FOLDER.parent / "mesh.md"
SIZES = (10, 100, 1_000, 5_000)
TOGETHER = 50  # nodes that start at once
HOP = 0.001  # s that a message takes
LINKING = 3.0  # s in which nodes make their links
IDLE = 6.0  # s over which the cost of doing nothing is measured
MOST = 10.0  # s within which anything must be known


@dataclasses.dataclass(slots=True)
class Figures:
    """What was measured with one number of nodes.

    Attributes:
        nodes: How many.
        links: Connections that a node has made.
        messages: Link messages that an idle node sends, in a second.
        bytes: Their bytes.
        name_hops: Over how many nodes a new name goes to the last one.
        joined_seconds: From the start of a new node until all know it.
        joined_bytes: What all nodes send for that.
        killed_seconds: From the end of a process until the first node declares it dead.
        killed_hops: Over how many nodes that goes to the last one.
        silent_seconds: From the end of a machine until the first node declares it dead.
        silent_all_seconds: Until all know.
        took_seconds: Of a core, to measure that.
        peak_mb: The memory of all nodes together.
    """

    nodes: int
    links: float = 0.0
    messages: float = 0.0
    bytes: float = 0.0
    name_hops: int = 0
    joined_seconds: float = 0.0
    joined_bytes: int = 0
    killed_seconds: float = 0.0
    killed_hops: int = 0
    silent_seconds: float = 0.0
    silent_all_seconds: float = 0.0
    took_seconds: float = 0.0
    peak_mb: int = 0


@dataclasses.dataclass(slots=True)
class Together:
    """What was measured with nodes that start at once and find each other.

    Attributes:
        nodes: How many.
        seconds: Until all knew all.
        messages: Link messages that were sent until then, by all.
        bytes: Their bytes.
    """

    nodes: int
    seconds: float
    messages: int
    bytes: int


class News(Actor):
    """Has a name."""


async def grow(world: World, nodes: int) -> Figures:
    """Measure a mesh."""
    figures = Figures(nodes)
    gc.disable()
    await world.start_whole([f"n{number}" for number in range(nodes)])
    gc.freeze()  # or the collector walks through millions of objects that stay, again and again
    gc.enable()
    await world.sleep(LINKING)
    figures.links = round(world.links() / nodes, 2)
    before = world.sent()
    await world.sleep(IDLE)
    after = world.sent()
    figures.messages = round((after[0] - before[0]) / nodes / IDLE, 2)
    figures.bytes = round((after[1] - before[1]) / nodes / IDLE, 1)
    await _name(world, figures)
    await _join(world, figures)
    first, last = await _end(world, "n1", is_silent=False)
    figures.killed_seconds, figures.killed_hops = round(first, 2), round((last - first) / HOP)
    first, last = await _end(world, "n2", is_silent=True)
    figures.silent_seconds, figures.silent_all_seconds = round(first, 2), round(last, 3)
    return figures


async def _name(world: World, figures: Figures) -> None:
    """Give an actor a name, and see over how many nodes it goes to the last one."""
    await world.node("n0").spawn(News, "news")
    begun, waiting = world.time, world.nodes
    while waiting:
        await world.sleep(HOP)
        waiting = [node for node in waiting if not node.find_all("news")]
        assert world.time - begun < MOST, "a name does not get around"
    figures.name_hops = round((world.time - begun) / HOP)


async def _join(world: World, figures: Figures) -> None:
    """Let one more node come, by way of one that is there."""
    idle = figures.bytes * figures.nodes
    heard = _listen(world.nodes, lambda event: event.name == "newcomer")
    begun, before = world.time, world.sent()[1]
    await world.start("newcomer", join=["n3"], discovery=False)
    await world.until(lambda: len(heard) == figures.nodes, within=MOST)
    figures.joined_seconds = round(max(heard.values()) - begun, 3)
    await world.sleep(1.0)  # until it knows all, too
    figures.joined_bytes = round(world.sent()[1] - before - (world.time - begun) * idle)
    assert len(world.node("newcomer").mesh_view.peers()) == figures.nodes


async def _end(world: World, name: str, *, is_silent: bool) -> tuple[float, float]:
    """End a node; give the seconds until the first and the last of the others hold it for dead."""
    node = world.node(name).id
    others = [other for other in world.nodes if other.id != node]
    heard = _listen(others, lambda event: event.node == node and event.state == "dead")
    begun = world.time
    world.crash(name, silent=is_silent)
    await world.until(lambda: len(heard) == len(others), within=MOST)
    return min(heard.values()) - begun, max(heard.values()) - begun


def _listen(nodes: Sequence[Node], is_meant: Callable[[MemberChanged], bool]) -> dict[str, float]:
    """Note when each node learns of something first."""
    heard: dict[str, float] = {}

    def listen(node: Node) -> None:
        def hear(event: Event) -> None:
            if isinstance(event, MemberChanged) and is_meant(event):
                heard.setdefault(node.id, asyncio.get_running_loop().time() - 1_000.0)

        node.events.listen(hear)

    for node in nodes:
        listen(node)
    return heard


async def gather(world: World, nodes: int) -> Together:
    """Start nodes at once, that find each other by multicast and by one that is named."""
    before = world.sent()
    for number in range(nodes):
        await world.start(f"n{number}", join=["n0"] if number else [])
    seconds = await world.settled(MOST)
    messages, size = world.sent()
    return Together(nodes, round(seconds, 2), messages - before[0], size - before[1])


def measure(nodes: int) -> Figures:
    """Measure a mesh of some nodes, here."""
    begun = time.process_time()

    async def scenario(world: World) -> Figures:
        return await grow(world, nodes)

    run = simulate(1, scenario, delay=(HOP, HOP), loss=0.0, duplicates=0.0, trace=False)
    gc.unfreeze()
    run.result.took_seconds = round(time.process_time() - begun, 1)
    run.result.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024
    return run.result


def measure_together(nodes: int = TOGETHER) -> Together:
    """Measure nodes that start at once, here."""

    async def scenario(world: World) -> Together:
        return await gather(world, nodes)

    return simulate(1, scenario, delay=(HOP, HOP), loss=0.0, duplicates=0.0, trace=False).result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--one", type=int, metavar="N", help="measure N nodes, print JSON")
    options = parser.parse_args(arguments)
    if options.one is not None:
        print(json.dumps(dataclasses.asdict(measure(options.one))))
        return 0
    written = FOLDER / "growth.json"
    kept = json.loads(written.read_text("utf-8"))["sizes"] if written.exists() else []
    figures = [size for size in kept if size["nodes"] not in options.nodes]
    for nodes in options.nodes:
        command = [sys.executable, __file__, "--one", str(nodes)]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        figures.append(json.loads(run.stdout))
        print(figures[-1], flush=True)
    figures.sort(key=lambda size: size["nodes"])
    together = dataclasses.asdict(measure_together())
    print(together)
    if not options.check:
        FOLDER.mkdir(exist_ok=True)
        content = json.dumps({"sizes": figures, "together": together}, indent=1) + "\n"
        written.write_text(content, encoding="utf-8")
        (FOLDER / "growth.svg").write_text(plot(figures), encoding="utf-8")
        text = with_table(PAGE.read_text(encoding="utf-8"), table(figures, together))
        PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # of this process: tests, which import this, look at the log
    sys.exit(main())
