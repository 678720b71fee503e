"""Runs a scenario in a world of its own, from a seed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from actormq.errors import LifecycleError, SetupError
from actormq.testing.simulation.loop import EPOCH, VirtualLoop
from actormq.testing.simulation.network import Conditions
from actormq.testing.simulation.record import Record
from actormq.testing.simulation.standard import Standard
from actormq.testing.simulation.world import Ledger, World

R = TypeVar("R")

Scenario = Callable[[World], Coroutine[Any, Any, R]]
"""What happens in a world."""

_LINES_SHOWN = 12  # of the trace, in the message of a failure
_OURS = ("internal error", "a listener failed")


class SimulationFailed(AssertionError):
    """A simulated run did not go as it must; says with which seed, and how to see it again.

    Attributes:
        seed: The seed.
        trace: What had happened by then.
    """

    def __init__(self, seed: int, seconds: float, why: str, scenario: str, trace: bytes) -> None:
        last = trace.decode().splitlines()[-_LINES_SHOWN:]
        again = f"simulate({seed}{f', {scenario}' if scenario else ''})"
        lines = "".join(f"\n    {line}" for line in last)
        super().__init__(
            f"seed {seed} failed after {seconds:.3f} virtual seconds: {why}\n"
            f"run it again with the same arguments: {again}; the trace ended in{lines}"
        )
        self.seed = seed
        self.trace = trace


@dataclass(frozen=True, slots=True)
class Simulation(Generic[R]):
    """How a simulated run went.

    Attributes:
        seed: From which all its chance came.
        seconds: Its virtual length.
        result: What the scenario returned.
        ledger: The envelopes of all links at the end.
        counts: Link messages sent (`to`), received (`from`), lost and doubled.
    """

    seed: int
    seconds: float
    result: R
    ledger: Ledger
    counts: dict[str, int]
    _record: Record = field(repr=False)

    @property
    def trace(self) -> bytes:
        """What happened, a line each; the same bytes for the same seed and arguments."""
        return "".join(self._record.lines()).encode()

    @property
    def digest(self) -> str:
        """A hash of the trace, in 64 hex digits."""
        return hashlib.sha256(self.trace).hexdigest()


def simulate(
    seed: int,
    scenario: Scenario[R] | None = None,
    *,
    nodes: int = 5,
    seconds: float = 7.0,
    delay: tuple[float, float] = (0.000_2, 0.005),
    loss: float = 0.01,
    duplicates: float = 0.1,
    trace: bool = True,
    most: float = 3_600.0,
) -> Simulation[R]:
    """Run nodes in one thread, under virtual time, over a simulated network.

    Args:
        seed: From which all chance comes: the same seed and arguments give the same trace.
        scenario: What happens; by default random faults and random traffic among `nodes` nodes,
            and the checks of `standard.Standard`.
        nodes: How many nodes the standard scenario has.
        seconds: How long its faults go on, in virtual seconds.
        delay: The least and the most that a message takes one way, in virtual seconds.
        loss: The share of packets that are lost.
        duplicates: The share of connects that arrive twice.
        trace: Whether to keep one; long runs of many nodes may not have the room.
        most: Virtual seconds after which a scenario is given up.

    Raises:
        SimulationFailed: The scenario raised, a callback did, or time could not go on.
        SetupError: An argument cannot be.
        LifecycleError: It was called from async code.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 how asyncio's loops ask, too
        raise LifecycleError("simulate() runs a loop of its own: call it outside of async code")
    _check(seed, nodes, delay, loss, duplicates)
    loop = VirtualLoop(most)
    record = Record(loop.time, trace)
    world = World(seed, loop, Conditions(delay, loss, duplicates), record)
    run: Any = scenario if scenario is not None else Standard(nodes, seconds)
    internal = _Internal()
    logging.getLogger("actormq").addHandler(internal)
    try:
        try:
            result: R = loop.run_until_complete(_run(run, world))
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            if loop.failures:
                why += f"; before that, a callback raised {loop.failures[0]!r}"
            raise _failed(world, record, scenario, why) from error
        for surprise in (*loop.failures, *internal.errors):
            text = f"a callback raised {type(surprise).__name__}: {surprise}"
            raise _failed(world, record, scenario, text) from surprise
        seconds = loop.time() - EPOCH
        return Simulation(seed, seconds, result, world.ledger(), dict(record.events), record)
    finally:
        record.is_over = True
        world.end()
        loop.close()
        logging.getLogger("actormq").removeHandler(internal)


async def _run(scenario: Scenario[R], world: World) -> R:
    return await scenario(world)


def _failed(world: World, record: Record, scenario: object, why: str) -> SimulationFailed:
    name = getattr(scenario, "__name__", "scenario") if scenario is not None else ""
    trace = "".join(record.lines()).encode()
    return SimulationFailed(world.seed, world.time, why, name, trace)


class _Internal(logging.Handler):
    """Hears of bugs of ours that a border of a node has caught and logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was raised."""
        if record.exc_info and str(record.msg).startswith(_OURS):
            error = record.exc_info[1]
            assert error is not None
            self.errors.append(error)


def _check(
    seed: int, nodes: int, delay: tuple[float, float], loss: float, duplicates: float
) -> None:
    if type(seed) is not int:
        raise SetupError(f"seed {seed!r} is no whole number: take one, such as 1")
    if not 0 <= delay[0] <= delay[1]:
        raise SetupError(f"delay {delay!r} is no (least, most) in seconds, such as (0.001, 0.01)")
    for name, share in (("loss", loss), ("duplicates", duplicates)):
        if not 0 <= share < 1:
            raise SetupError(f"{name}={share!r} is no share from 0 to below 1")
    if nodes < 1:
        raise SetupError(f"nodes={nodes!r}: a mesh has at least one node")
