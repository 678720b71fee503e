"""Savina's micro benchmarks with Pykka: `pykka_savina.py WORK`, see `protocol.py`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from protocol import Round, Settings, Work, repeated, serve
from pykka_concurrency import CONCURRENCY
from pykka_micro import MICRO, ended


def work(solve: Callable[[], int]) -> Work:
    """Solve a problem again and again, each time with new actors."""

    @contextmanager
    def alone(_: Settings) -> Iterator[Round]:
        yield lambda seconds: repeated(ended(solve), seconds)

    return alone


if __name__ == "__main__":
    serve({name: work(solve) for name, solve in {**MICRO, **CONCURRENCY}.items()})
