"""Savina's concurrency benchmarks with Thespian: actors that share something, which one keeps."""

from collections import deque
from collections.abc import Callable
from typing import Any

import problems
from problems import COMPLEMENTS, check
from thespian.actors import Actor, ActorExitRequest
from thespian_micro import Stage, Starter


class Mall(Actor):  # type: ignore[misc]
    """Lets creatures meet in pairs, so many times."""

    left = problems.MEETINGS
    waiting: Any = None

    def receiveMessage(self, colour: Any, creature: Any) -> None:  # noqa: N802 Thespian's name
        """Let a creature wait, meet the one that waits, or send it home."""
        if isinstance(colour, ActorExitRequest):
            return
        if not self.left:
            self.send(creature, ("leave", None, None))
        elif self.waiting is None:
            self.waiting = creature
        else:
            self.left -= 1
            self.send(self.waiting, ("meet", creature, colour))
            self.waiting = None


class Creature(Actor):  # type: ignore[misc]
    """Changes its colour with each meeting."""

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Meet another, take the colour that the other one says, or leave."""
        if type(message) is not tuple:
            return
        kind, other, colour = message
        if kind == "meet":
            self.colour = COMPLEMENTS[self.colour, colour]
            self.send(other, ("change", None, self.colour))
            self.met += 1
        elif kind == "change":
            self.colour = colour
            self.met += 1
        elif kind == "leave":
            self.stage.results.append(self.met)
            return
        else:
            self.met = 0
            self.stage, self.mall, self.colour = other, kind, colour
        self.send(self.mall, self.colour)


def chameneos(stage: Stage) -> int:
    """Creatures that meet in pairs."""
    mall = stage.create(Mall)
    creatures = [stage.create(Creature) for _ in range(problems.CREATURES)]
    stage.create(
        Starter,
        [
            (creature, (mall, stage, problems.COLOURS[number % 3]))
            for number, creature in enumerate(creatures)
        ],
    )
    met = stage.solved(problems.CREATURES)
    check("times that a creature met another", met, 2 * problems.MEETINGS)
    return problems.MEETINGS


class Smoker(Actor):  # type: ignore[misc]
    """Smokes when the arbiter has put what it lacks on the table."""

    smoked = 0

    def receiveMessage(self, message: Any, arbiter: Any) -> None:  # noqa: N802
        """Say that it has taken what it lacked and smoke, or leave."""
        if message == "smoke":
            self.send(arbiter, "started")
            self.smoked += 1
        elif type(message) is tuple:
            message[0].results.append(self.smoked)


class Arbiter(Actor):  # type: ignore[misc]
    """Lets one smoker after another take what is on the table."""

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """The table is empty: choose the next."""
        if type(message) is tuple:
            self.stage, self.smokers = message
            self.order = iter(problems.SMOKER_ORDER)
        elif message != "started":
            return
        chosen = next(self.order, -1)
        if chosen >= 0:
            self.send(self.smokers[chosen], "smoke")
        else:
            for smoker in self.smokers:
                self.send(smoker, (self.stage,))


def smokers(stage: Stage) -> int:
    """Smokers, and one who says whose turn it is."""
    stage.create(Arbiter, stage, [stage.create(Smoker) for _ in range(problems.SMOKERS)])
    check("smokes", stage.solved(problems.SMOKERS), problems.SMOKES)
    return problems.SMOKES


class Dictionary(Actor):  # type: ignore[misc]
    """Keeps values by their keys."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}

    def receiveMessage(self, message: Any, asker: Any) -> None:  # noqa: N802
        """Tell a value, 0 if there is none; keep one before if it is given."""
        if type(message) is not tuple:
            return
        key, value = message
        if value is None:
            value = self.values.get(key, 0)
        else:
            self.values[key] = value
        self.send(asker, value)


class Reader(Actor):  # type: ignore[misc]
    """Reads and writes, one at a time."""

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Ask for the next."""
        if type(message) is int:
            if self.written is not None:
                check("value just written", message, self.written)
            self.answered += 1
        elif type(message) is tuple:
            self.stage, self.dictionary, number = message
            self.requests = iter(problems.REQUESTED[number])
            self.answered = 0
        else:
            return
        key, self.written = next(self.requests, (-1, None))
        if key < 0:
            self.stage.results.append(self.answered)
        else:
            self.send(self.dictionary, (key, self.written))


def concurrent_dictionary(stage: Stage) -> int:
    """Actors that ask one for values."""
    dictionary = stage.create(Dictionary)
    workers = range(problems.DICTIONARY_WORKERS)
    stage.create(
        Starter, [(stage.create(Reader), (stage, dictionary, number)) for number in workers]
    )
    answered = stage.solved(problems.DICTIONARY_WORKERS)
    check("answers", answered, problems.DICTIONARY_WORKERS * problems.REQUESTS)
    return answered


class Producer(Actor):  # type: ignore[misc]
    """Makes an item whenever it may."""

    left = problems.ITEMS

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Make the next item, or say that there are no more."""
        if type(message) is tuple:
            self.stage, self.buffer = message
        elif message != "produce":
            return
        if self.left:
            self.send(self.buffer, ("put", self.left))
            self.left -= 1
        else:
            self.stage.results.append(0)


class Consumer(Actor):  # type: ignore[misc]
    """Takes an item and asks for the next."""

    count = 0

    def receiveMessage(self, message: Any, buffer: Any) -> None:  # noqa: N802
        """Take it, or leave."""
        if type(message) is int:
            self.count += bool(message)
            self.send(buffer, ("take", None))
        elif type(message) is tuple:
            message[0].results.append(self.count)


class Buffer(Actor):  # type: ignore[misc]
    """Holds items until somebody takes them, and producers back while it is full."""

    def __init__(self) -> None:
        self.items: deque[int] = deque()
        self.held_back: deque[Any] = deque()
        self.left = problems.PRODUCERS * problems.ITEMS

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802
        """Take an item in or hand one out."""
        if type(message) is not tuple:
            return
        kind, value = message
        if kind == "put":
            self.put(sender, value)
        elif kind == "take":
            self.take(sender)
        else:
            self.stage, self.idle = kind, deque(value)

    def put(self, producer: Any, item: int) -> None:
        """Keep an item, or hand it on; let its producer make the next if there is room."""
        if self.idle:
            self.send(self.idle.popleft(), item)
        else:
            self.items.append(item)
        if len(self.items) < problems.BUFFER - problems.PRODUCERS:
            self.send(producer, "produce")
        else:
            self.held_back.append(producer)

    def take(self, consumer: Any) -> None:
        """Hand an item out, and let a producer make another; or remember who waits."""
        self.left -= 1
        if not self.left:
            for one in (consumer, *self.idle):
                self.send(one, (self.stage,))
        if self.items:
            self.send(consumer, self.items.popleft())
            if self.held_back:
                self.send(self.held_back.popleft(), "produce")
        else:
            self.idle.append(consumer)


def bounded_buffer(stage: Stage) -> int:
    """Producers and consumers, and a buffer between them."""
    consumers = [stage.create(Consumer) for _ in range(problems.CONSUMERS)]
    buffer = stage.create(Buffer, stage, consumers)
    stage.create(
        Starter, [(stage.create(Producer), (stage, buffer)) for _ in range(problems.PRODUCERS)]
    )
    consumed = stage.solved(problems.PRODUCERS + problems.CONSUMERS)
    check("items", consumed, problems.PRODUCERS * problems.ITEMS)
    return consumed


class Philosopher(Actor):  # type: ignore[misc]
    """Eats whenever it gets both forks, and asks again when it does not."""

    left = problems.MEALS

    def receiveMessage(self, message: Any, _: Any) -> None:  # noqa: N802
        """Eat and give the forks back, if both are there; be hungry (again)."""
        if message == "eat":
            self.left -= 1
            self.send(self.waiter, ("full", self.seat))
        elif type(message) is tuple:
            self.stage, self.waiter, self.seat = message
        elif message != "denied":
            return
        if self.left:
            self.send(self.waiter, ("hungry", self.seat))
        else:
            self.stage.results.append(problems.MEALS)


class Waiter(Actor):  # type: ignore[misc]
    """Keeps the forks."""

    def __init__(self) -> None:
        self.taken = [False] * problems.PHILOSOPHERS

    def receiveMessage(self, message: Any, philosopher: Any) -> None:  # noqa: N802
        """Give both forks or none; take them back; or say how many are taken."""
        if type(message) is not tuple:
            if message == "taken":
                self.send(philosopher, sum(self.taken))
            return
        kind, seat = message
        right = (seat + 1) % problems.PHILOSOPHERS
        if kind == "full":
            self.taken[seat] = self.taken[right] = False
        elif self.taken[seat] or self.taken[right]:
            self.send(philosopher, "denied")
        else:
            self.taken[seat] = self.taken[right] = True
            self.send(philosopher, "eat")


def philosophers(stage: Stage) -> int:
    """Philosophers at a round table, with one fork between any two."""
    waiter = stage.create(Waiter)
    seats = range(problems.PHILOSOPHERS)
    stage.create(Starter, [(stage.create(Philosopher), (stage, waiter, seat)) for seat in seats])
    meals = stage.solved(problems.PHILOSOPHERS)
    check("meals", meals, problems.PHILOSOPHERS * problems.MEALS)
    check("forks taken at the end", stage.system.ask(waiter, "taken", 10), 0)
    return meals


CONCURRENCY: dict[str, Callable[[Stage], int]] = {
    "savina-chameneos": chameneos,
    "savina-smokers": smokers,
    "savina-dictionary": concurrent_dictionary,
    "savina-buffer": bounded_buffer,
    "savina-philosophers": philosophers,
}
