"""What a program waits for at first: importing actormq, and a node that is up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from base_start import starts, whole
from protocol import Result, Round, Settings, latency, serve


def node_up() -> float:
    """Seconds until `actormq node` says that it has started."""
    command = [sys.executable, "-m", "actormq", "node", "--mesh", f"bench-{os.getpid()}"]
    begun = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        took = time.perf_counter() - begun
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert b"started in mesh" in said, said
    return took


@contextmanager
def start_node(_settings: Settings) -> Iterator[Round]:
    """Start nodes, and end each while nobody looks at the clock."""
    os.environ.pop("PYTHONPATH", None)
    node_up()

    def started(seconds: float) -> Result:
        took = [node_up()]
        while sum(took) < seconds:
            took.append(node_up())
        return latency(took)

    yield started


if __name__ == "__main__":
    serve(
        {
            "start-import": starts(lambda: whole("import actormq")),
            "start-names": starts(lambda: whole("from actormq import Actor, Node, handler, run")),
            "start-node": start_node,
        }
    )
