"""Ray: a numpy array to an actor of another process and back, through its object store.

As its pages advise for large arguments: it is given as it is, so that Ray puts it into the store
and the actor reads it there, uncopied; so is the result. No dashboard, all else the default.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what it warns to set
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers

import numpy as np
import ray
from protocol import Round, Settings, repeated, serve

MB = 1_000_000  # bytes
STORE = 1_000 * MB  # bytes of the object store: fifteen of the largest arrays


@ray.remote
class Echo:
    """Sends back what comes."""

    def echo(self, array: np.ndarray) -> np.ndarray:
        """Send it back."""
        return array


@contextmanager
def echoed(size: int, _settings: Settings) -> Iterator[Round]:
    """An array there and back, bytes counted once; each has a number that must come back."""
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=STORE,
        logging_level=logging.ERROR,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    try:
        echo = Echo.remote()
        array = np.zeros(size // 8)
        numbers = itertools.count(1)

        def once() -> int:
            number = next(numbers)
            array[0] = array[-1] = number
            back = ray.get(echo.echo.remote(array))
            assert back[0] == back[-1] == number
            assert back.nbytes == size
            return size

        yield partial(repeated, once)
    finally:
        ray.shutdown()


if __name__ == "__main__":
    serve({"echo-1mb": partial(echoed, MB), "echo-64mb": partial(echoed, 64 * MB)})
