"""ProcessPoolExecutor: tasks that do nothing, on two processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

from protocol import Round, Settings, repeated, serve

PROCESSES = 2
PIECE = {1: 10_000, 10: 100_000, 100: 500_000, 1_000: 2_000_000}  # tasks of one map, by chunksize


def noop(number: int) -> int:
    """Do nothing."""
    return number


def mapped(executor: Executor, chunksize: int) -> int:
    """Do a piece of tasks by `map`, and count them."""
    count = PIECE[chunksize]
    assert sum(executor.map(noop, range(count), chunksize=chunksize)) == count * (count - 1) // 2
    return count


@contextmanager
def farm_map(settings: Settings) -> Iterator[Round]:
    """Map again and again; one by one where no size of chunks is said."""
    chunksize = int(settings.get("chunksize", "1"))
    with ProcessPoolExecutor(PROCESSES) as executor:
        list(executor.map(noop, range(100)))
        yield lambda seconds: repeated(lambda: mapped(executor, chunksize), seconds)


if __name__ == "__main__":
    names = ("farm-tasks", *(f"farm-map-{size}" for size in PIECE))
    serve(dict.fromkeys(names, farm_map))
