"""Savina's concurrency benchmarks with actormq: actors that share something, which one keeps."""

from collections import deque

import problems
from actormq_micro import Problem
from problems import COMPLEMENTS, check

from actormq import Actor, Ref, handler

# -- chameneos ------------------------------------------------------------------------------------


class Mall(Actor):
    """Lets creatures meet in pairs, so many times."""

    def __init__(self) -> None:
        self.left = problems.MEETINGS
        self.waiting: Ref[Creature] | None = None

    @handler
    def enter(self, creature: "Ref[Creature]", colour: str) -> None:
        """Wait for another, meet the one that waits, or be sent home."""
        if not self.left:
            creature.tell(Creature.leave)
        elif self.waiting is None:
            self.waiting = creature
        else:
            self.left -= 1
            self.waiting.tell(Creature.meet, creature, colour)
            self.waiting = None


class Creature(Actor):
    """Changes its colour with each meeting."""

    def __init__(self, problem: Ref[Problem], mall: Ref[Mall], colour: str) -> None:
        self.problem, self.mall, self.colour = problem, mall, colour
        self.met = 0

    @handler
    def begin(self) -> None:
        """Go to the mall."""
        self.mall.tell(Mall.enter, self.ref, self.colour)

    @handler
    def meet(self, other: "Ref[Creature]", colour: str) -> None:
        """Meet another, which is told what colour both take."""
        self.colour = COMPLEMENTS[self.colour, colour]
        other.tell(Creature.change, self.colour)
        self.met += 1
        self.mall.tell(Mall.enter, self.ref, self.colour)

    @handler
    def change(self, colour: str) -> None:
        """Take the colour that the other one says."""
        self.colour = colour
        self.met += 1
        self.mall.tell(Mall.enter, self.ref, self.colour)

    @handler
    def leave(self) -> None:
        """The mall is closed."""
        self.problem.tell(Problem.arrive, self.met)


class Chameneos(Problem):
    """Creatures that meet in pairs."""

    @handler(concurrent=True)
    async def solve(self) -> int:
        """Count the meetings."""
        mall = await self.spawn(Mall)
        for number in range(problems.CREATURES):
            colour = problems.COLOURS[number % 3]
            (await self.spawn(Creature, None, self.ref, mall, colour)).tell(Creature.begin)
        check("times that a creature met another", await self.solved(), 2 * problems.MEETINGS)
        return problems.MEETINGS


# -- cigarette smokers ----------------------------------------------------------------------------


class Smoker(Actor):
    """Smokes when the arbiter has put what it lacks on the table."""

    def __init__(self) -> None:
        self.smoked = 0

    @handler
    def smoke(self) -> str:
        """Say that it has taken what it lacked, and smoke."""
        self.smoked += 1
        return "started"

    @handler
    def leave(self) -> int:
        """There is no more."""
        return self.smoked


class Arbiter(Problem):
    """Lets one smoker after another take what is on the table."""

    @handler
    async def solve(self) -> int:
        """Count the smokes."""
        smokers = [await self.spawn(Smoker) for _ in range(problems.SMOKERS)]
        for chosen in problems.SMOKER_ORDER:
            await smokers[chosen].ask(Smoker.smoke)
        smoked = sum([await smoker.ask(Smoker.leave) for smoker in smokers])
        check("smokes", smoked, problems.SMOKES)
        return smoked


# -- concurrent dictionary ------------------------------------------------------------------------


class Dictionary(Actor):
    """Keeps values by their keys."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}

    @handler
    def read(self, asker: "Ref[Reader]", key: int) -> None:
        """Tell a value; 0 if there is none."""
        asker.tell(Reader.result, self.values.get(key, 0))

    @handler
    def write(self, asker: "Ref[Reader]", key: int, value: int) -> None:
        """Keep a value, and tell it."""
        self.values[key] = value
        asker.tell(Reader.result, value)


class Reader(Actor):
    """Reads and writes, one at a time."""

    def __init__(self, problem: Ref[Problem], dictionary: Ref[Dictionary], number: int) -> None:
        self.problem, self.dictionary = problem, dictionary
        self.requests = iter(problems.REQUESTED[number])
        self.answered = -1
        self.written: int | None = None

    @handler
    def result(self, value: int) -> None:
        """Ask for the next."""
        if self.written is not None:
            check("value just written", value, self.written)
        self.answered += 1
        key, self.written = next(self.requests, (-1, None))
        if key < 0:
            self.problem.tell(Problem.arrive, self.answered)
        elif self.written is None:
            self.dictionary.tell(Dictionary.read, self.ref, key)
        else:
            self.dictionary.tell(Dictionary.write, self.ref, key, self.written)


class ConcurrentDictionary(Problem):
    """Actors that ask one for values."""

    @handler(concurrent=True)
    async def solve(self) -> int:
        """Count the requests."""
        dictionary = await self.spawn(Dictionary)
        for number in range(problems.DICTIONARY_WORKERS):
            reader = await self.spawn(Reader, None, self.ref, dictionary, number)
            reader.tell(Reader.result, 0)
        answered = await self.solved()
        check("answers", answered, problems.DICTIONARY_WORKERS * problems.REQUESTS)
        return answered


# -- bounded buffer -------------------------------------------------------------------------------


class Producer(Actor):
    """Makes an item whenever it may."""

    def __init__(self, buffer: "Ref[Buffer]") -> None:
        self.buffer = buffer
        self.left = problems.ITEMS

    @handler
    def produce(self) -> None:
        """Make the next item, or say that there are no more."""
        if self.left:
            self.buffer.tell(Buffer.put, self.ref, self.left)
            self.left -= 1
        else:
            self.buffer.tell(Buffer.arrive, 0)


class Consumer(Actor):
    """Takes an item and asks for the next."""

    def __init__(self, buffer: "Ref[Buffer]") -> None:
        self.buffer = buffer
        self.count = 0

    @handler
    def consume(self, item: int) -> None:
        """Take it."""
        self.count += bool(item)
        self.buffer.tell(Buffer.take, self.ref)

    @handler
    def leave(self) -> None:
        """There are no more."""
        self.buffer.tell(Buffer.arrive, self.count)


class Buffer(Problem):
    """Holds items until somebody takes them, and producers back while it is full."""

    @handler(concurrent=True)
    async def solve(self) -> int:
        """Count the items."""
        self.items: deque[int] = deque()
        self.held_back: deque[Ref[Producer]] = deque()
        self.idle: deque[Ref[Consumer]] = deque()
        self.left = problems.PRODUCERS * problems.ITEMS
        consumers = [await self.spawn(Consumer, None, self.ref) for _ in range(problems.CONSUMERS)]
        self.idle.extend(consumers)
        for _ in range(problems.PRODUCERS):
            (await self.spawn(Producer, None, self.ref)).tell(Producer.produce)
        consumed = await self.solved()
        check("items", consumed, problems.PRODUCERS * problems.ITEMS)
        return consumed

    @handler
    def put(self, producer: Ref[Producer], item: int) -> None:
        """Keep an item, or hand it on; let its producer make the next if there is room."""
        if self.idle:
            self.idle.popleft().tell(Consumer.consume, item)
        else:
            self.items.append(item)
        if len(self.items) < problems.BUFFER - problems.PRODUCERS:
            producer.tell(Producer.produce)
        else:
            self.held_back.append(producer)

    @handler
    def take(self, consumer: Ref[Consumer]) -> None:
        """Hand an item out, and let a producer make another; or remember who waits."""
        self.left -= 1
        if not self.left:
            for one in (consumer, *self.idle):
                one.tell(Consumer.leave)
        if self.items:
            consumer.tell(Consumer.consume, self.items.popleft())
            if self.held_back:
                self.held_back.popleft().tell(Producer.produce)
        else:
            self.idle.append(consumer)


# -- dining philosophers --------------------------------------------------------------------------


class Philosopher(Actor):
    """Eats whenever it gets both forks, and asks again when it does not."""

    def __init__(self, waiter: "Ref[Waiter]", seat: int) -> None:
        self.waiter, self.seat = waiter, seat
        self.left = problems.MEALS

    @handler
    def denied(self) -> None:
        """Ask (again)."""
        self.waiter.tell(Waiter.hungry, self.ref, self.seat)

    @handler
    def eat(self) -> None:
        """Eat, give the forks back, and be hungry again."""
        self.left -= 1
        self.waiter.tell(Waiter.full, self.seat)
        if self.left:
            self.waiter.tell(Waiter.hungry, self.ref, self.seat)
        else:
            self.waiter.tell(Waiter.arrive, problems.MEALS)


class Waiter(Problem):
    """Keeps the forks."""

    @handler(concurrent=True)
    async def solve(self) -> int:
        """Count the meals."""
        self.taken = [False] * problems.PHILOSOPHERS
        for seat in range(problems.PHILOSOPHERS):
            (await self.spawn(Philosopher, None, self.ref, seat)).tell(Philosopher.denied)
        meals = await self.solved()
        check("meals", meals, problems.PHILOSOPHERS * problems.MEALS)
        check("forks taken at the end", sum(self.taken), 0)
        return meals

    @handler
    def hungry(self, philosopher: Ref[Philosopher], seat: int) -> None:
        """Give both forks or none."""
        right = (seat + 1) % problems.PHILOSOPHERS
        if self.taken[seat] or self.taken[right]:
            philosopher.tell(Philosopher.denied)
        else:
            self.taken[seat] = self.taken[right] = True
            philosopher.tell(Philosopher.eat)

    @handler
    def full(self, seat: int) -> None:
        """Take both forks back."""
        self.taken[seat] = self.taken[(seat + 1) % problems.PHILOSOPHERS] = False


CONCURRENCY = {
    "savina-chameneos": (Chameneos, problems.CREATURES),
    "savina-smokers": (Arbiter, 1),
    "savina-dictionary": (ConcurrentDictionary, problems.DICTIONARY_WORKERS),
    "savina-buffer": (Buffer, problems.PRODUCERS + problems.CONSUMERS),
    "savina-philosophers": (Waiter, problems.PHILOSOPHERS),
}
"""The works, and how many parties each has."""
