"""The standard scenario: a mesh with random traffic and random faults, and what must hold of it.

- Between two actors nothing comes twice and nothing overtakes, whatever the network does.
- Once all faults are healed, all nodes see each other within 5 s, and all see the same names.
- What nodes believe of each other meanwhile is judged at each event, see `guard.py`.
- Of all that could hold an elected name one does in the end, and all see it; meanwhile two of them
  do so only where they cannot hear of each other, see `ballot.py`.
- Every envelope that left is accounted for, at every moment.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from actormq.actor import Actor
from actormq.errors import DeliveryError, OutcomeUnknown
from actormq.marks import every, handler
from actormq.node import Node
from actormq.ref import Ref
from actormq.testing.simulation.guard import HANG, JOINED, OUT_KILLED, OUT_SILENT
from actormq.testing.simulation.world import Boot, World

TALK_INTERVAL = 0.5  # s between two words of an actor
TALKATIVE = 0.2  # the share of tells that are many
WORDS, WORD_INTERVAL = 8, 0.03  # in a row, and s from one to the next: less than a mesh's patience
PAUSE = (0.1, 1.0)  # s between two faults
LENGTH = (0.3, 8.0)  # s that a fault lasts: shorter and longer than all patience of a node
STARTED = 5.0  # s in which nodes that start at once must see each other
REPAIR = 5.0  # s after the last fault by which all must see all, and all names
GHOSTS = 8.0  # s instead, where somebody still knows a node that ended during the faults
ALONE = 0.15  # the share of runs that begin with a fault of its own, long enough to be judged
LONE_FAULTS = ("power", "crash", "hang", "cut")
FAULTS = ("partition", "cut", "cut", "crash", "crash", "stop", "hang", "tear", "weather")
EVEN = 0.5
QUIET = 1.0  # s from then on in which nothing may change any more


@dataclass(slots=True)
class Account:
    """What the actors of the standard scenario have seen.

    Attributes:
        told: Messages that were told, and taken by the link.
        heard: Those that came.
        outcomes: How asks ended.
        wrongs: What must not have happened.
        verdicts: How often it was judged what nodes believe of each other, see `guard.py`.
    """

    told: int = 0
    heard: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)


class Listener(Actor):
    """Hears others, and answers them.

    Args:
        account: Where what it hears is counted.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._last: dict[str, int] = {}

    @handler
    def hear(self, who: str, number: int) -> None:
        """Take a word; from each it must be a later one than the last."""
        last = self._last.get(who, 0)
        if number <= last:
            self._account.wrongs.append(f"word {number} of {who} came behind its word {last}")
        self._last[who] = number
        self._account.heard += 1

    @handler
    def answer(self, number: int) -> int:
        """Give back what was asked."""
        return number


class Warden(Actor):
    """One of all of them holds its name."""

    elected = True


class Talker(Listener):
    """Tells and asks others now and then.

    Args:
        names: Those of whom it talks to.
        chance: Whom, and what.
        account: Where what it sees is counted.
    """

    def __init__(self, names: list[str], chance: random.Random, account: Account) -> None:
        super().__init__(account)
        self._names = names
        self._chance = chance
        self._number = 0

    @every(TALK_INTERVAL)
    @handler(concurrent=True)  # or two who ask each other would wait for each other
    async def talk(self) -> None:
        """Say something to somebody."""
        found = self.node.find_all(self._chance.choice(self._names))
        if not found:
            return
        other = self._chance.choice(found)
        try:
            if self._chance.random() < EVEN:
                await self._tell(other)
            else:
                await self._ask(other)
        except (DeliveryError, OutcomeUnknown) as error:
            self._account.outcomes[type(error).__name__] += 1

    async def _tell(self, other: Ref[Any]) -> None:
        words = WORDS if self._chance.random() < TALKATIVE else 1
        for _ in range(words):
            self._number += 1
            other.tell(Listener.hear, f"{self.name} {self.node.id}", self._number)
            self._account.told += 1
            if words > 1:
                await asyncio.sleep(WORD_INTERVAL)

    async def _ask(self, other: Ref[Any]) -> None:
        self._number += 1
        number = self._number  # others may talk meanwhile
        answer = await other.within(1.0).ask(Listener.answer, number)
        if answer != number:
            self._account.wrongs.append(f"asked {number}, was told {answer}")
        self._account.outcomes["answered"] += 1


class Standard:
    """A scenario, see above.

    Args:
        nodes: How many.
        seconds: How long faults go on.
    """

    def __init__(self, nodes: int, seconds: float) -> None:
        self._names = [f"n{number}" for number in range(nodes)]
        self._seconds = seconds
        self.account = Account()

    async def __call__(self, world: World) -> Account:
        """Run it.

        Raises:
            AssertionError: Something does not hold.
        """
        chance, guard = world.random, world.guarded()
        self.account.verdicts = guard.verdicts
        for name in self._names:
            others = [other for other in self._names if other != name]
            join = chance.sample(others, k=1) if others else []
            await world.start(name, self._boot(world, name), join=join)
        await world.settled(STARTED)
        if chance.random() < ALONE:
            await self._fault_alone(world)
        end = world.time + self._seconds
        while world.time < end:
            await world.sleep(_between(chance, PAUSE))
            await self._fault(world)
            self._check_ledger(world)
        await self._mend(world)
        world.note("all is mended")
        end = world.time + (GHOSTS if guard.is_haunted() else REPAIR)
        # Until then a fault goes on: whom nobody has doubted yet may still be doubted for it.
        await world.sleep(world.flows_in)
        world.note("all gets through")
        await world.until(lambda: self._is_well(world), end - world.time)
        world.note("all is well")
        await world.sleep(QUIET)
        if not self._is_well(world):
            raise AssertionError("the mesh was whole and is not any more, without a fault")
        self._check_ledger(world)
        return self.account

    def _boot(self, world: World, name: str) -> Boot:
        names = [*self._talkers, "anybody"]

        async def boot(node: Node) -> None:
            chance = random.Random(world.random.getrandbits(64))  # noqa: S311 a simulation's
            await node.spawn(Talker, f"talker {name}", names, chance, self.account)
            await node.spawn(Listener, "anybody", self.account)
            await node.spawn(Warden, "warden")

        return boot

    @property
    def _talkers(self) -> list[str]:
        return [f"talker {name}" for name in self._names]

    # -- faults -------------------------------------------------------------------------------

    async def _fault(self, world: World) -> None:
        """Let something happen, mostly to one machine or between two."""
        chance = world.random
        one, other = chance.sample(self._names, k=2) if len(self._names) > 1 else self._names * 2
        if one not in {node.name for node in world.nodes}:
            await world.restart(one)
            return
        match chance.choice(FAULTS):
            case "partition":
                world.partition(
                    chance.sample(self._names, k=chance.randrange(1, max(2, len(self._names))))
                )
                await self._cut_for_a_while(world)
            case "cut":
                world.cut(one, other, one_way=chance.random() < EVEN)
                await self._cut_for_a_while(world)
            case "crash":
                world.crash(one, silent=chance.random() < EVEN)
            case "stop":
                await world.stop(one)
            case "hang":
                world.pause(one)
                await world.sleep(_length(chance))
                world.resume(one)
            case "tear":
                world.tear(one, other)
            case _:
                world.worsen(loss=0.3 * chance.random())

    async def _fault_alone(self, world: World) -> None:
        """Let one thing happen to a mesh that is whole, and nothing else until it is over."""
        chance = world.random
        await world.sleep(JOINED)
        one, other = chance.sample(self._names, k=2) if len(self._names) > 1 else self._names * 2
        match chance.choice(LONE_FAULTS):
            case "power":
                world.crash(one, silent=True)
                await world.sleep(OUT_SILENT)
            case "crash":
                world.crash(one)
                await world.sleep(OUT_KILLED)
            case "hang":
                world.pause(one)
                await world.sleep(HANG * (1.0 - chance.random() ** 2))
                world.resume(one)
                await world.sleep(JOINED)
            case _:
                world.cut(one, other, one_way=chance.random() < EVEN)
                await world.sleep(OUT_SILENT)
                world.heal()

    async def _cut_for_a_while(self, world: World) -> None:
        await world.sleep(_length(world.random))
        if world.random.random() < EVEN:  # or the next fault comes on top
            world.heal()

    async def _mend(self, world: World) -> None:
        world.heal()
        world.worsen(loss=0.0)
        for name in self._names:
            if name not in {node.name for node in world.nodes}:
                await world.restart(name)

    # -- what must hold -----------------------------------------------------------------------

    def _is_well(self, world: World) -> bool:
        wardens = {tuple(node.find_all("warden")) for node in world.nodes}
        are_one = len(wardens) == 1 and all(len(found) == 1 for found in wardens)
        return (
            are_one
            and world.is_whole()
            and all(
                len(node.find_all("anybody")) == len(self._names)
                and all(len(node.find_all(name)) == 1 for name in self._talkers)
                for node in world.nodes
            )
        )

    def _check_ledger(self, world: World) -> None:
        ledger = world.ledger()
        if self.account.wrongs:
            raise AssertionError(self.account.wrongs[0])
        if not ledger.is_balanced:
            raise AssertionError(f"the ledger is not balanced: {ledger}")
        for node in world.nodes:
            own = node.ledger() if node.is_running else None
            if own is not None and not own.is_balanced:
                raise AssertionError(f"the ledger of {node.name} is not balanced: {own}")


def _length(chance: random.Random) -> float:
    """How long a fault lasts, in seconds: most are short."""
    low, high = LENGTH
    return low + (high - low) * chance.random() ** 2


def _between(chance: random.Random, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return low + (high - low) * chance.random()
