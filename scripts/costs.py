"""Counts the bytecodes and the calls into C that one message, or one actor, costs.

Counted, not timed: the same code has the same count on any machine, however busy, so that a test
can hold it against what `costs.json` says. Each operation is done so many times and then twice as
often; the difference is its cost. Far ones run in a simulated network, whose own code is not
counted; what happens within C, as in packing, has no count but that of its calls.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self

from actormq import Actor, Node, Ref, handler
from actormq.testing import World, simulate

WRITTEN = Path(__file__).with_name("costs.json")
PYTHON = "{}.{}".format(*sys.version_info)
WORSE = 1.25  # of what is written down: that much more fails
TIMES = 100  # an operation is done so often, and then twice as often
PAYLOAD = b"x" * 32
NOT_COUNTED = (str(Path(__file__)), str(Path("actormq", "testing")))

Operation = Callable[[int], Awaitable[None]]
Found = dict[str, float]
"""Bytecodes, and calls of functions in C, by `bytecodes` and `calls`."""


class Counter(Actor):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.n = 0

    @handler
    def hit(self, payload: bytes) -> None:
        """Take one, without an answer."""
        del payload
        self.n += 1

    @handler
    def count(self) -> int:
        """How many there were."""
        return self.n

    @handler
    def hand_on(self, left: int, other: Ref[Counter], done: asyncio.Event) -> None:
        """Go on in turn with another one, so often."""
        if left:
            other.tell(Counter.hand_on, left - 1, self.ref, done)
        else:
            done.set()

    @handler
    async def later(self) -> int:
        """The same, by a handler that could suspend."""
        return self.n


class Idle(Actor):
    """Does nothing, and ends when it is told so."""

    @handler
    def end(self) -> None:
        """Stop itself."""
        self.ref.stop()


class Count:
    """Counts all that this thread does while it is entered, but for `NOT_COUNTED`."""

    def __init__(self) -> None:
        self.bytecodes = 0
        self.calls = 0
        self._is_counted: dict[object, bool] = {}

    def __enter__(self) -> Self:
        gc.collect()
        gc.disable()
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        sys.setprofile(None)
        gc.enable()

    def _counts(self, frame: FrameType) -> bool:
        code = frame.f_code
        found = self._is_counted.get(code)
        if found is None:
            found = not any(place in code.co_filename for place in NOT_COUNTED)
            self._is_counted[code] = found
        return found

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if event == "c_call" and self._counts(frame):
            self.calls += 1

    def _trace(self, frame: FrameType, *_: object) -> Any:
        if not self._counts(frame):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._step

    def _step(self, _: FrameType, event: str, __: object) -> Any:
        if event == "opcode":
            self.bytecodes += 1
        return self._step


async def cost(operation: Operation) -> Found:
    """Count an operation, per time that it is done."""
    await operation(TIMES)  # caches fill, names become known, lists grow
    counts = []
    for times in (TIMES, 2 * TIMES):
        with Count() as count:
            await operation(times)
        counts.append(count)
    once, twice = counts
    return {
        "bytecodes": round((twice.bytecodes - once.bytecodes) / TIMES, 1),
        "calls": round((twice.calls - once.calls) / TIMES, 1),
    }


# -- what is counted ----------------------------------------------------------------------------


def telling(ref: Ref[Counter]) -> Operation:
    """Tell so often, until all were handled."""

    async def operation(times: int) -> None:
        for _ in range(times):
            ref.tell(Counter.hit, PAYLOAD)
        await ref.ask(Counter.count)

    return operation


def handing_on(ref: Ref[Counter], other: Ref[Counter]) -> Operation:
    """Tell each other, one message at a time."""

    async def operation(times: int) -> None:
        done = asyncio.Event()
        ref.tell(Counter.hand_on, times, other, done)
        await done.wait()

    return operation


def asking(ref: Ref[Counter], method: Any = Counter.count) -> Operation:
    """Ask one by one."""

    async def operation(times: int) -> None:
        for _ in range(times):
            await ref.ask(method)

    return operation


def asking_at_once(ref: Ref[Counter]) -> Operation:
    """Ask so often before the first answer is there."""

    async def operation(times: int) -> None:
        for reply in [ref.ask(Counter.count) for _ in range(times)]:
            await reply

    return operation


def spawning(node: Node) -> Operation:
    """Spawn and stop."""

    async def operation(times: int) -> None:
        for ref in [await node.spawn(Idle) for _ in range(times)]:
            await ref.stop()

    return operation


def living(node: Node) -> Operation:
    """Spawn, and let each stop itself when it is told so."""

    async def operation(times: int) -> None:
        for _ in range(times):
            (await node.spawn(Idle)).tell(Idle.end)
        await asyncio.sleep(0)

    return operation


async def scenario(world: World) -> dict[str, Found]:
    """Count everything on two nodes of a simulated network."""

    async def program(node: Node) -> None:
        await node.spawn(Counter, "counter")

    await world.start("far", program)
    node = await world.start("near")
    await world.settled()
    near, far = await node.spawn(Counter, "local"), await node.find("counter", timeout=5)
    operations: dict[str, Operation] = {
        "tell": telling(near),
        "tell of an idle actor": handing_on(near, await node.spawn(Counter)),
        "tell of itself": handing_on(near, near),
        "ask": asking(near),
        "ask of an async handler": asking(near, Counter.later),
        "asks at once": asking_at_once(near),
        "far tell": telling(far),
        "far ask": asking(far),
        "far asks at once": asking_at_once(far),
        "spawn and stop": spawning(node),
        "spawn, and stop by itself": living(node),
    }
    return {name: await cost(operation) for name, operation in operations.items()}


# -- what is said of it -------------------------------------------------------------------------


def rows(found: dict[str, Found], known: dict[str, Found]) -> list[str]:
    """Write a Markdown table of what was counted, beside what is written down."""
    lines = [
        "| operation | bytecodes | calls into C | bytecodes written down |",
        "| --- " * 4 + "|",
    ]
    for name, each in found.items():
        was = known.get(name, {}).get("bytecodes", "")
        lines.append(f"| {name} | {each['bytecodes']} | {each['calls']} | {was} |")
    return lines


def complaints(found: dict[str, Found], known: dict[str, Found]) -> list[str]:
    """Say what costs too much."""
    return [
        f"{name}: {each[what]} {what}, over {WORSE:g} times the {known[name][what]} that "
        f"{WRITTEN.name} has for Python {PYTHON}: mend it, or where it is worth that, run "
        "scripts/costs --write"
        for name, each in found.items()
        for what in each
        if name in known and each[what] > WORSE * known[name][what]
    ]


def main() -> int:
    """Count, print, and compare or write down."""
    parser = argparse.ArgumentParser(prog="scripts/costs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the counts down")
    options = parser.parse_args()
    found = simulate(1, scenario, trace=False).result
    written: dict[str, dict[str, Found]] = json.loads(WRITTEN.read_text(encoding="utf-8"))
    known = written.get(PYTHON, {})
    print("\n".join(rows(found, known)))
    if options.write:
        written[PYTHON] = found
        text = json.dumps(written, indent=1, sort_keys=True)
        WRITTEN.write_text(f"{text}\n", encoding="utf-8")
        return 0
    if not known:
        print(f"nothing is written down for Python {PYTHON}: run scripts/costs --write")
        return 0
    worse = complaints(found, known)
    print("\n".join(worse), end="\n" * bool(worse), file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
