"""Rings of actors that ask each other, under virtual time and a bad network, from many seeds."""

import asyncio
import contextlib
import os

import pytest

from actormq import Actor, ActormqError, AskCircle, handler
from actormq.testing import simulate

NODES = 5
COUNT = int(os.environ.get("ACTORMQ_SEEDS", "60"))
DELAY = (0.001, 0.2)


class Link(Actor):
    """One of a ring: asks the next one when it is told to begin."""

    def __init__(self):
        self.next = None
        self.circles = []
        self.answers = 0
        self.gate = asyncio.Event()

    @handler
    async def begin(self, pause: float) -> str:
        """Hold the turn, and ask the next one for what takes no time."""
        await asyncio.sleep(pause)
        return await self._ask(Link.fine)

    @handler
    async def carry(self, steps: int, pause: float) -> str:
        """Ask the next one to ask the next one, and so on."""
        await asyncio.sleep(pause)
        return await self._ask(Link.carry if steps else Link.last, steps - 1, pause)

    async def _ask(self, what, *args):
        try:
            answer = await self.next.within(60).ask(what, *(args if what is Link.carry else ()))
        except AskCircle as error:
            self.circles.append(error)
            return "circle"
        self.answers += 1
        return answer

    @handler
    async def last(self) -> str:
        await self.gate.wait()
        return "fine"

    @handler
    def fine(self) -> str:
        return "fine"


async def ring(world):
    nodes = [await world.start(f"n{number}") for number in range(NODES)]
    await world.settled()
    refs = [await node.spawn(Link, f"link-{n}") for n, node in enumerate(nodes)]
    actors = [
        node._runtime.registry.by_serial(ref.address.serial).actor
        for node, ref in zip(nodes, refs, strict=True)
    ]
    for number, node in enumerate(nodes):
        name = f"link-{(number + 1) % NODES}"
        actors[number].next = await node.find(name, timeout=60)
    return nodes, refs, actors


def balanced(world, nodes):
    assert world.ledger().is_balanced
    assert all(node.ledger().is_balanced for node in nodes)
    return all(node.ledger().in_flight == 0 for node in nodes)


async def all_at_once(world):
    """All five hold their turn and ask the next: each ask waits in a mailbox."""
    nodes, refs, actors = await ring(world)
    asks = [ref.within(60).ask(Link.begin, world.random.uniform(0.0, 0.5)) for ref in refs]
    begun = world.time
    done = await asyncio.gather(*asks)
    took = world.time - begun
    await world.until(lambda: balanced(world, nodes))
    return done.count("circle"), sum(len(actor.circles) for actor in actors), done, took


async def one_after_the_other(world):
    """One asks the next, which asks the next, round to the first, which is busy with that."""
    nodes, refs, actors = await ring(world)
    pauses = world.random.uniform(0.0, 0.3)
    for actor in actors:
        actor.gate.set()
    first = world.random.randrange(NODES)
    answer = await refs[first].within(60).ask(Link.carry, NODES - 1, pauses)
    await world.until(lambda: balanced(world, nodes))
    [where] = [n for n, actor in enumerate(actors) if actor.circles]
    assert where == (first - 1) % NODES
    names = [f"link-{(first + n) % NODES}.carry" for n in range(NODES)]
    end = f"link-{first}.last (behind link-{first}.carry)"
    assert actors[where].circles[0].circle == " -> ".join([*names, end])
    return answer, sum(actor.answers for actor in actors)


async def open_ring(world):
    """As that, but the last one is asked for what does not need a turn that is taken."""
    nodes, refs, actors = await ring(world)
    first = world.random.randrange(NODES)
    waiting = refs[first].within(60).ask(Link.carry, NODES - 2, 0.01)
    behind = [ref.within(60).ask(Link.fine) for ref in refs]
    others = [asyncio.ensure_future(chatter(world, refs, actors, first)) for _ in range(3)]
    await world.sleep(12)
    actors[(first + NODES - 1) % NODES].gate.set()
    answer = await waiting
    await asyncio.gather(*others)
    assert await asyncio.gather(*behind) == ["fine"] * NODES
    await world.until(lambda: balanced(world, nodes))
    return answer, sum(len(actor.circles) for actor in actors)


async def chatter(world, refs, actors, first):
    """Asks that give up, while probes are on their way."""
    for _ in range(8):
        with contextlib.suppress(ActormqError):
            seconds = world.random.uniform(0.5, 3.0)
            await world.random.choice(refs).within(seconds).ask(Link.fine)


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_of_five_that_ask_in_a_ring_one_is_told_and_four_are_answered(half):
    for seed in range(half, COUNT, 2):
        told, raised, done, took = simulate(seed, all_at_once, delay=DELAY, trace=False).result
        assert (told, raised, done.count("fine")) == (1, 1, NODES - 1), seed
        assert took < 20, seed


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_whoever_asks_round_to_itself_has_its_last_ask_rejected(half):
    for seed in range(half, COUNT, 2):
        assert simulate(seed, one_after_the_other, delay=DELAY, trace=False).result == (
            "circle",
            NODES - 1,
        )


@pytest.mark.slow
def test_a_ring_that_is_open_is_left_alone():
    for seed in range(COUNT):
        assert simulate(seed, open_ring, delay=DELAY, trace=False).result == ("fine", 0), seed


def test_probes_are_in_the_trace_and_the_same_seed_gives_the_same():
    one, other = simulate(3, all_at_once), simulate(3, all_at_once)
    assert one.trace == other.trace
    assert b": probe " in one.trace
    assert one.trace.count(b" AskCircle\n") == 2  # once as it is sent, once as it comes
