"""Savina's concurrency benchmarks with Xoscar: actors that share something, which one keeps."""

import asyncio
from collections import deque
from typing import Any

import problems
import xoscar as xo
from problems import COMPLEMENTS, check
from xoscar_micro import Gate, Stage


class Mall(xo.Actor):  # type: ignore[misc]
    """Lets creatures meet in pairs, so many times."""

    def __init__(self) -> None:
        self.left = problems.MEETINGS
        self.waiting: Any = None

    async def enter(self, creature: Any, colour: str) -> None:
        """Wait for another, meet the one that waits, or be sent home."""
        if not self.left:
            await creature.leave.tell()
        elif self.waiting is None:
            self.waiting = creature
        else:
            self.left -= 1
            first, self.waiting = self.waiting, None
            await first.meet.tell(creature, colour)


class Creature(xo.Actor):  # type: ignore[misc]
    """Changes its colour with each meeting."""

    async def begin(self, gate: Gate, mall: Any, me: Any, colour: str) -> None:
        """Go to the mall."""
        self.gate, self.mall, self.me, self.colour = gate, mall, me, colour
        self.met = 0
        await self.mall.enter.tell(self.me, self.colour)

    async def meet(self, other: Any, colour: str) -> None:
        """Meet another, which is told what colour both take."""
        self.colour = COMPLEMENTS[self.colour, colour]
        await other.change.tell(self.colour)
        self.met += 1
        await self.mall.enter.tell(self.me, self.colour)

    async def change(self, colour: str) -> None:
        """Take the colour that the other one says."""
        self.colour = colour
        self.met += 1
        await self.mall.enter.tell(self.me, self.colour)

    def leave(self) -> None:
        """The mall is closed."""
        self.gate.arrive(self.met)


async def chameneos(stage: Stage) -> int:
    """Creatures that meet in pairs."""
    gate = Gate(problems.CREATURES)
    mall = await stage.create(Mall)
    for number in range(problems.CREATURES):
        creature = await stage.create(Creature)
        await creature.begin.tell(gate, mall, creature, problems.COLOURS[number % 3])
    check("times that a creature met another", await gate.solved(), 2 * problems.MEETINGS)
    return problems.MEETINGS


class Smoker(xo.Actor):  # type: ignore[misc]
    """Smokes when the arbiter has put what it lacks on the table."""

    def __init__(self) -> None:
        self.smoked = 0

    def smoke(self) -> str:
        """Say that it has taken what it lacked, and smoke."""
        self.smoked += 1
        return "started"

    def leave(self) -> int:
        """There is no more."""
        return self.smoked


class Arbiter(xo.Actor):  # type: ignore[misc]
    """Lets one smoker after another take what is on the table."""

    async def run(self, smokers: list[Any]) -> int:
        """Choose one after the other."""
        for chosen in problems.SMOKER_ORDER:
            await smokers[chosen].smoke()
        return sum([await smoker.leave() for smoker in smokers])


async def smokers(stage: Stage) -> int:
    """Smokers, and one who says whose turn it is."""
    smokers = [await stage.create(Smoker) for _ in range(problems.SMOKERS)]
    check("smokes", await (await stage.create(Arbiter)).run(smokers), problems.SMOKES)
    return problems.SMOKES


class Dictionary(xo.Actor):  # type: ignore[misc]
    """Keeps values by their keys."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}

    def read(self, key: int) -> int:
        """Tell a value; 0 if there is none."""
        return self.values.get(key, 0)

    def write(self, key: int, value: int) -> int:
        """Keep a value, and tell it."""
        self.values[key] = value
        return value


class Reader(xo.Actor):  # type: ignore[misc]
    """Reads and writes, one at a time."""

    async def run(self, dictionary: Any, number: int) -> int:
        """Do what it is to do."""
        answered = 0
        for key, value in problems.REQUESTED[number]:
            if value is None:
                await dictionary.read(key)
            else:
                check("value just written", await dictionary.write(key, value), value)
            answered += 1
        return answered


async def concurrent_dictionary(stage: Stage) -> int:
    """Actors that ask one for values."""
    dictionary = await stage.create(Dictionary)
    readers = [await stage.create(Reader) for _ in range(problems.DICTIONARY_WORKERS)]
    answered = sum(
        await asyncio.gather(
            *(reader.run(dictionary, number) for number, reader in enumerate(readers))
        )
    )
    check("answers", answered, problems.DICTIONARY_WORKERS * problems.REQUESTS)
    return answered


class Producer(xo.Actor):  # type: ignore[misc]
    """Makes an item whenever it may."""

    async def begin(self, gate: Gate, buffer: Any, me: Any) -> None:
        """Make the first item."""
        self.gate, self.buffer, self.me = gate, buffer, me
        self.left = problems.ITEMS
        await self.produce()

    async def produce(self) -> None:
        """Make the next item, or say that there are no more."""
        if self.left:
            await self.buffer.put.tell(self.me, self.left)
            self.left -= 1
        else:
            self.gate.arrive(0)


class Consumer(xo.Actor):  # type: ignore[misc]
    """Takes an item and asks for the next."""

    def begin(self, gate: Gate, buffer: Any, me: Any) -> None:
        """Be told whom to take from."""
        self.gate, self.buffer, self.me = gate, buffer, me
        self.count = 0

    async def consume(self, item: int) -> None:
        """Take it."""
        self.count += bool(item)
        await self.buffer.take.tell(self.me)

    def leave(self) -> None:
        """There are no more."""
        self.gate.arrive(self.count)


class Buffer(xo.Actor):  # type: ignore[misc]
    """Holds items until somebody takes them, and producers back while it is full."""

    def begin(self, consumers: list[Any]) -> None:
        """Be told who takes items."""
        self.items: deque[int] = deque()
        self.held_back: deque[Any] = deque()
        self.idle: deque[Any] = deque(consumers)
        self.left = problems.PRODUCERS * problems.ITEMS

    async def put(self, producer: Any, item: int) -> None:
        """Keep an item, or hand it on; let its producer make the next if there is room."""
        if self.idle:
            await self.idle.popleft().consume.tell(item)
        else:
            self.items.append(item)
        if len(self.items) < problems.BUFFER - problems.PRODUCERS:
            await producer.produce.tell()
        else:
            self.held_back.append(producer)

    async def take(self, consumer: Any) -> None:
        """Hand an item out, and let a producer make another; or remember who waits."""
        self.left -= 1
        if not self.left:
            for one in (consumer, *self.idle):
                await one.leave.tell()
        if self.items:
            await consumer.consume.tell(self.items.popleft())
            if self.held_back:
                await self.held_back.popleft().produce.tell()
        else:
            self.idle.append(consumer)


async def bounded_buffer(stage: Stage) -> int:
    """Producers and consumers, and a buffer between them."""
    gate = Gate(problems.PRODUCERS + problems.CONSUMERS)
    buffer = await stage.create(Buffer)
    consumers = [await stage.create(Consumer) for _ in range(problems.CONSUMERS)]
    for consumer in consumers:
        await consumer.begin(gate, buffer, consumer)
    await buffer.begin(consumers)
    for _ in range(problems.PRODUCERS):
        producer = await stage.create(Producer)
        await producer.begin.tell(gate, buffer, producer)
    consumed = await gate.solved()
    check("items", consumed, problems.PRODUCERS * problems.ITEMS)
    return consumed


class Philosopher(xo.Actor):  # type: ignore[misc]
    """Eats whenever it gets both forks, and asks again when it does not."""

    async def run(self, waiter: Any, seat: int) -> int:
        """Eat so many times."""
        meals = 0
        while meals < problems.MEALS:
            if await waiter.hungry(seat):
                meals += 1
                await waiter.full.tell(seat)
            else:
                await asyncio.sleep(0)  # a call runs at once: let those who eat come to an end
        return meals


class Waiter(xo.Actor):  # type: ignore[misc]
    """Keeps the forks."""

    def __init__(self) -> None:
        self.taken = [False] * problems.PHILOSOPHERS

    def hungry(self, seat: int) -> bool:
        """Give both forks or none."""
        right = (seat + 1) % problems.PHILOSOPHERS
        if self.taken[seat] or self.taken[right]:
            return False
        self.taken[seat] = self.taken[right] = True
        return True

    def full(self, seat: int) -> None:
        """Take both forks back."""
        self.taken[seat] = self.taken[(seat + 1) % problems.PHILOSOPHERS] = False

    def in_use(self) -> int:
        """How many forks are taken."""
        return sum(self.taken)


async def philosophers(stage: Stage) -> int:
    """Philosophers at a round table, with one fork between any two."""
    waiter = await stage.create(Waiter)
    seats = [await stage.create(Philosopher) for _ in range(problems.PHILOSOPHERS)]
    meals = sum(await asyncio.gather(*(one.run(waiter, seat) for seat, one in enumerate(seats))))
    check("meals", meals, problems.PHILOSOPHERS * problems.MEALS)
    check("forks taken at the end", await waiter.in_use(), 0)
    return meals


CONCURRENCY = {
    "savina-chameneos": chameneos,
    "savina-smokers": smokers,
    "savina-dictionary": concurrent_dictionary,
    "savina-buffer": bounded_buffer,
    "savina-philosophers": philosophers,
}
