"""Savina's micro benchmarks with Thespian: `thespian_savina.py WORK`, see `protocol.py`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from protocol import Round, Settings, Work, repeated, serve
from thespian_concurrency import CONCURRENCY
from thespian_micro import MICRO, Stage


def work(solve: Callable[[Stage], int]) -> Work:
    """Solve a problem again and again, each time with new actors."""

    @contextmanager
    def on_a_stage(_: Settings) -> Iterator[Round]:
        stage = Stage()

        def once() -> int:
            count = solve(stage)
            stage.clear()
            return count

        yield lambda seconds: repeated(once, seconds)
        stage.system.shutdown()

    return on_a_stage


if __name__ == "__main__":
    serve({name: work(solve) for name, solve in {**MICRO, **CONCURRENCY}.items()})
