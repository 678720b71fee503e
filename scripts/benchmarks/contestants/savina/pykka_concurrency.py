"""Savina's concurrency benchmarks with Pykka: actors that share something, which one keeps."""

from collections import deque
from typing import Any

import problems
from problems import COMPLEMENTS, check
from pykka import ThreadingActor
from pykka_micro import Gate


class Mall(ThreadingActor):
    """Lets creatures meet in pairs, so many times."""

    def __init__(self) -> None:
        super().__init__()
        self.left = problems.MEETINGS
        self.waiting: Any = None

    def on_receive(self, message: Any) -> None:
        """Let a creature wait, meet the one that waits, or send it home."""
        creature, colour = message
        if not self.left:
            creature.tell(("leave", None, None))
        elif self.waiting is None:
            self.waiting = creature
        else:
            self.left -= 1
            self.waiting.tell(("meet", creature, colour))
            self.waiting = None


class Creature(ThreadingActor):
    """Changes its colour with each meeting."""

    def __init__(self, gate: Gate, mall: Any, colour: str) -> None:
        super().__init__()
        self.gate, self.mall, self.colour = gate, mall, colour
        self.met = 0

    def on_receive(self, message: Any) -> None:
        """Meet another, take the colour that the other one says, or leave."""
        kind, other, colour = message
        if kind == "meet":
            self.colour = COMPLEMENTS[self.colour, colour]
            other.tell(("change", None, self.colour))
            self.met += 1
        elif kind == "change":
            self.colour = colour
            self.met += 1
        elif kind == "leave":
            self.gate.arrive(self.met)
            return
        self.mall.tell((self.actor_ref, self.colour))


def chameneos() -> int:
    """Creatures that meet in pairs."""
    gate = Gate(problems.CREATURES)
    mall = Mall.start()
    for number in range(problems.CREATURES):
        Creature.start(gate, mall, problems.COLOURS[number % 3]).tell(("begin", None, None))
    check("times that a creature met another", gate.solved(), 2 * problems.MEETINGS)
    return problems.MEETINGS


class Smoker(ThreadingActor):
    """Smokes when the arbiter has put what it lacks on the table."""

    def __init__(self, gate: Gate, arbiter: Any) -> None:
        super().__init__()
        self.gate, self.arbiter = gate, arbiter
        self.smoked = 0

    def on_receive(self, message: Any) -> None:
        """Say that it has taken what it lacked and smoke, or leave."""
        if message == "smoke":
            self.arbiter.tell("started")
            self.smoked += 1
        else:
            self.gate.arrive(self.smoked)


class Arbiter(ThreadingActor):
    """Lets one smoker after another take what is on the table."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.smokers = [Smoker.start(gate, self.actor_ref) for _ in range(problems.SMOKERS)]
        self.order = iter(problems.SMOKER_ORDER)

    def on_receive(self, _: Any) -> None:
        """The table is empty: choose the next."""
        chosen = next(self.order, -1)
        if chosen >= 0:
            self.smokers[chosen].tell("smoke")
        else:
            for smoker in self.smokers:
                smoker.tell("leave")


def smokers() -> int:
    """Smokers, and one who says whose turn it is."""
    gate = Gate(problems.SMOKERS)
    Arbiter.start(gate).tell("started")
    check("smokes", gate.solved(), problems.SMOKES)
    return problems.SMOKES


class Dictionary(ThreadingActor):
    """Keeps values by their keys."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[int, int] = {}

    def on_receive(self, message: Any) -> None:
        """Tell a value, 0 if there is none; keep one before if it is given."""
        asker, key, value = message
        if value is None:
            value = self.values.get(key, 0)
        else:
            self.values[key] = value
        asker.tell(value)


class Reader(ThreadingActor):
    """Reads and writes, one at a time."""

    def __init__(self, gate: Gate, dictionary: Any, number: int) -> None:
        super().__init__()
        self.gate, self.dictionary = gate, dictionary
        self.requests = iter(problems.REQUESTED[number])
        self.answered = -1
        self.written: int | None = None

    def on_receive(self, message: Any) -> None:
        """Ask for the next."""
        if self.written is not None:
            check("value just written", message, self.written)
        self.answered += 1
        key, self.written = next(self.requests, (-1, None))
        if key < 0:
            self.gate.arrive(self.answered)
        else:
            self.dictionary.tell((self.actor_ref, key, self.written))


def concurrent_dictionary() -> int:
    """Actors that ask one for values."""
    gate = Gate(problems.DICTIONARY_WORKERS)
    dictionary = Dictionary.start()
    for number in range(problems.DICTIONARY_WORKERS):
        Reader.start(gate, dictionary, number).tell(0)
    answered = gate.solved()
    check("answers", answered, problems.DICTIONARY_WORKERS * problems.REQUESTS)
    return answered


class Producer(ThreadingActor):
    """Makes an item whenever it may."""

    def __init__(self, gate: Gate, buffer: Any) -> None:
        super().__init__()
        self.gate, self.buffer = gate, buffer
        self.left = problems.ITEMS

    def on_receive(self, _: Any) -> None:
        """Make the next item, or say that there are no more."""
        if self.left:
            self.buffer.tell(("put", self.actor_ref, self.left))
            self.left -= 1
        else:
            self.gate.arrive(0)


class Consumer(ThreadingActor):
    """Takes an item and asks for the next."""

    def __init__(self, gate: Gate, buffer: Any) -> None:
        super().__init__()
        self.gate, self.buffer = gate, buffer
        self.count = 0

    def on_receive(self, item: Any) -> None:
        """Take it, or leave."""
        if item is None:
            self.gate.arrive(self.count)
        else:
            self.count += bool(item)
            self.buffer.tell(("take", self.actor_ref, None))


class Buffer(ThreadingActor):
    """Holds items until somebody takes them, and producers back while it is full."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.items: deque[int] = deque()
        self.held_back: deque[Any] = deque()
        self.idle = deque(Consumer.start(gate, self.actor_ref) for _ in range(problems.CONSUMERS))
        self.left = problems.PRODUCERS * problems.ITEMS

    def on_receive(self, message: Any) -> None:
        """Take an item in or hand one out."""
        kind, other, item = message
        if kind == "put":
            self.put(other, item)
        else:
            self.take(other)

    def put(self, producer: Any, item: int) -> None:
        """Keep an item, or hand it on; let its producer make the next if there is room."""
        if self.idle:
            self.idle.popleft().tell(item)
        else:
            self.items.append(item)
        if len(self.items) < problems.BUFFER - problems.PRODUCERS:
            producer.tell("produce")
        else:
            self.held_back.append(producer)

    def take(self, consumer: Any) -> None:
        """Hand an item out, and let a producer make another; or remember who waits."""
        self.left -= 1
        if not self.left:
            for one in (consumer, *self.idle):
                one.tell(None)
        if self.items:
            consumer.tell(self.items.popleft())
            if self.held_back:
                self.held_back.popleft().tell("produce")
        else:
            self.idle.append(consumer)


def bounded_buffer() -> int:
    """Producers and consumers, and a buffer between them."""
    gate = Gate(problems.PRODUCERS + problems.CONSUMERS)
    buffer = Buffer.start(gate)
    for _ in range(problems.PRODUCERS):
        Producer.start(gate, buffer).tell("produce")
    consumed = gate.solved()
    check("items", consumed, problems.PRODUCERS * problems.ITEMS)
    return consumed


class Philosopher(ThreadingActor):
    """Eats whenever it gets both forks, and asks again when it does not."""

    def __init__(self, gate: Gate, waiter: Any, seat: int) -> None:
        super().__init__()
        self.gate, self.waiter, self.seat = gate, waiter, seat
        self.left = problems.MEALS

    def on_receive(self, message: Any) -> None:
        """Eat and give the forks back, if both are there; be hungry (again)."""
        if message == "eat":
            self.left -= 1
            self.waiter.tell((None, self.seat))
        if self.left:
            self.waiter.tell((self.actor_ref, self.seat))
        else:
            self.gate.arrive(problems.MEALS)


class Waiter(ThreadingActor):
    """Keeps the forks."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = [False] * problems.PHILOSOPHERS

    def on_receive(self, message: Any) -> Any:
        """Give both forks or none; take them back; or say how many are taken."""
        if message == "taken":
            return sum(self.taken)
        philosopher, seat = message
        right = (seat + 1) % problems.PHILOSOPHERS
        if philosopher is None:
            self.taken[seat] = self.taken[right] = False
        elif self.taken[seat] or self.taken[right]:
            philosopher.tell("denied")
        else:
            self.taken[seat] = self.taken[right] = True
            philosopher.tell("eat")
        return None


def philosophers() -> int:
    """Philosophers at a round table, with one fork between any two."""
    gate = Gate(problems.PHILOSOPHERS)
    waiter = Waiter.start()
    for seat in range(problems.PHILOSOPHERS):
        Philosopher.start(gate, waiter, seat).tell("denied")
    meals = gate.solved()
    check("meals", meals, problems.PHILOSOPHERS * problems.MEALS)
    check("forks taken at the end", waiter.ask("taken"), 0)
    return meals


CONCURRENCY = {
    "savina-chameneos": chameneos,
    "savina-smokers": smokers,
    "savina-dictionary": concurrent_dictionary,
    "savina-buffer": bounded_buffer,
    "savina-philosophers": philosophers,
}
