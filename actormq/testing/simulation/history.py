"""What was done to the machines of a simulation and to the ways between them, and when.

The network is known here as nobody in it knows it: who was cut off from whom, who hung, who is
really dead. From that `guard.py` judges what nodes believe.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from actormq.testing.simulation.connection import RETRY_MOST
from actormq.testing.simulation.machine import SimulatedNode

NEVER = -math.inf


@dataclass(slots=True, eq=False)
class Life:
    """One node, from its start to its end.

    Attributes:
        node: It.
        machine: The name of the machine that it runs on.
        began_at: When.
        ended_at: When; None while it runs.
        hangs: When it began to hang and went on; infinity for the end of one that lasts.
        gone: What it holds for gone: the highest incarnation of each node.
    """

    node: SimulatedNode
    machine: str
    began_at: float
    ended_at: float | None = None
    hangs: list[tuple[float, float]] = field(default_factory=list)
    gone: dict[str, int] = field(default_factory=dict)

    def hung(self, since: float, now: float) -> float:
        """The longest of its hangs that reach into the time from `since` to `now`, in seconds."""
        return max((min(end, now) - at for at, end in self.hangs if end >= since), default=0.0)


@dataclass(slots=True)
class _Way:
    """From one machine to another.

    Attributes:
        cut_at: Since when nothing gets through; None if all does.
        clear_at: Since when all does, what had waited included.
    """

    cut_at: float | None = None
    clear_at: float = NEVER


class History:
    """What has happened, see above.

    Attributes:
        lives: All nodes that ever ran, by id.
    """

    def __init__(self) -> None:
        self.lives: dict[str, Life] = {}
        self._ways: dict[tuple[str, str], _Way] = {}
        self._torn: dict[frozenset[str], float] = {}

    def living(self) -> list[Life]:
        """Those that run, in the order in which they started."""
        return [life for life in self.lives.values() if life.ended_at is None]

    def rewired(self, now: float, cut: Iterable[tuple[str, str]]) -> None:
        """The network has changed: these are cut now, from the first to the second, and no others.

        What was cut begins to flow again some time after the heal.
        """
        cuts = set(cut)
        for pair in cuts:
            way = self._ways.setdefault(pair, _Way())
            if way.cut_at is None:
                way.cut_at, way.clear_at = now, math.inf
        for pair, way in self._ways.items():
            if way.cut_at is not None and pair not in cuts:
                way.clear_at = now + min(now - way.cut_at, RETRY_MOST)
                way.cut_at = None

    def torn(self, one: str, other: str, now: float) -> None:
        """The connections between two machines have been broken."""
        self._torn[frozenset((one, other))] = now

    def torn_at(self, one: str, other: str) -> float:
        """When the connections between two machines were broken last."""
        return self._torn.get(frozenset((one, other)), NEVER)

    def clear_since(self, one: str, other: str) -> float:
        """Since when all gets through between two machines, both ways; infinity if it does not."""
        ways = (self._ways.get((one, other)), self._ways.get((other, one)))
        return max((way.clear_at for way in ways if way is not None), default=NEVER)

    def reaches(self, one: Life, other: Life, since: float, now: float) -> bool:
        """Whether there was a way between two nodes all the time, direct or by way of a third."""
        if self.clear_since(one.machine, other.machine) <= since:
            return True
        return any(
            third.began_at <= since
            and not third.hung(since, now)
            and self.clear_since(one.machine, third.machine) <= since
            and self.clear_since(third.machine, other.machine) <= since
            for third in self.living()
            if third is not one and third is not other
        )
