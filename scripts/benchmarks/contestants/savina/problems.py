"""Savina's micro benchmarks: how big each problem is, for all who solve it, and what must come out.

After S. Imam and V. Sarkar, "Savina, an actor benchmark suite" (AGERE 2014). A problem is so small
that the slowest solves it several times a second, and so large that its messages outweigh the
making of its actors. The toil that Savina's smokers, philosophers, producers and consumers do
between two messages is left out: it would measure Python's loops.
"""

import random

PINGS = 10_000  # of ping-pong, each with its pong
INCREMENTS = 20_000  # told to one counter

RING = 100  # actors
HOPS = 20_000  # of the one token

BIG_ACTORS = 120
BIG_PINGS = 100  # by each, to others at random, one at a time

CREATED = 1_000  # actors that handle one message each and end

FORKED = 60  # actors
FORKED_MESSAGES = 500  # to each

CREATURES = 100
MEETINGS = 4_000
COLOURS = ("blue", "red", "yellow")

SMOKERS = 200
SMOKES = 10_000

DICTIONARY_WORKERS = 20
REQUESTS = 500  # of each worker
WRITE_SHARE = 0.1
KEYS = 512

PRODUCERS = 40
CONSUMERS = 40
ITEMS = 100  # of each producer
BUFFER = 50  # items that wait at most

PHILOSOPHERS = 20
MEALS = 200  # of each


class WrongResult(Exception):
    """What came out is not what must."""


def check(what: str, found: object, expected: object) -> None:
    """Make sure of a result.

    Raises:
        WrongResult: It is another one.
    """
    if found != expected:
        raise WrongResult(f"{what}: {found}, and not {expected}")


def complement(one: str, other: str) -> str:
    """The colour that two creatures take when they have met."""
    if one == other:
        return one
    return next(colour for colour in COLOURS if colour not in {one, other})


COMPLEMENTS = {(one, other): complement(one, other) for one in COLOURS for other in COLOURS}


def picks(seed: int, top: int, count: int) -> list[int]:
    """So many numbers below `top`, the same ones for everybody."""
    numbers = random.Random(seed)  # noqa: S311 no secret
    return [numbers.randrange(top) for _ in range(count)]


def requests(worker: int) -> list[tuple[int, int | None]]:
    """What one worker asks of the dictionary: a key, and a value to be written or None."""
    numbers = random.Random(worker)  # noqa: S311 no secret
    return [
        (numbers.randrange(KEYS), index if numbers.random() < WRITE_SHARE else None)
        for index in range(REQUESTS)
    ]


BIG_TARGETS = [picks(actor, BIG_ACTORS, BIG_PINGS) for actor in range(BIG_ACTORS)]
"""Whom each actor of *big* pings in turn: nobody draws lots while the clock runs."""

SMOKER_ORDER = picks(0, SMOKERS, SMOKES)
"""Whom the arbiter lets smoke in turn."""

REQUESTED = [requests(worker) for worker in range(DICTIONARY_WORKERS)]
"""What each worker asks of the dictionary in turn."""
