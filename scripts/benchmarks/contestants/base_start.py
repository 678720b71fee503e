"""A Python that imports what actormq stands on: what each start adds to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from protocol import Round, Settings, Work, serve, timed

WORKS = ("start-import", "start-names", "start-node")


def whole(program: str) -> None:
    """Run a Python from its command to its end."""
    subprocess.run([sys.executable, "-c", program], check=True)


def starts(once: Callable[[], None]) -> Work:
    """A work that starts something again and again; the first one compiles what is kept."""

    @contextmanager
    def work(_settings: Settings) -> Iterator[Round]:
        os.environ.pop("PYTHONPATH", None)  # as users have it
        once()
        yield lambda seconds: timed(once, seconds)

    return work


if __name__ == "__main__":
    serve(dict.fromkeys(WORKS, starts(lambda: whole("import zmq, tornado.ioloop, msgpack"))))
