"""`multiprocessing.connection` between two processes: tells over tcp.

A message is what a user of it would send: the name of a method and a payload, with `send`, which
pickles them. The receiver counts; where nobody reads, tcp makes `send` wait.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Client, Connection, Listener

from others import BURST, PAYLOAD, child, say
from protocol import Result, Round, Settings, rate, serve


def told(connection: Connection, seconds: float) -> Result:
    """Messages a second, sent as fast as the receiver reads, until the last was counted."""
    begun, handled, bursts = time.perf_counter(), 0, 0
    while time.perf_counter() - begun < seconds:
        for _ in range(BURST):
            connection.send(("hit", PAYLOAD))
        connection.send(("count", b""))
        bursts += 1
        if bursts > 1:  # one burst is always ahead
            handled += connection.recv()
    handled += connection.recv()
    return rate(handled, time.perf_counter() - begun)


@contextmanager
def far_tell(settings: Settings) -> Iterator[Round]:
    """One producer, one counting process."""
    del settings
    with child("counter") as port, Client(("127.0.0.1", int(port))) as connection:
        yield partial(told, connection)


def counter() -> None:
    """Be the other process: count, and say how many came since the last time."""
    handled = 0
    with Listener(("127.0.0.1", 0)) as listener:
        say(f"{listener.address[1]}")
        with listener.accept() as connection:
            while True:
                try:
                    method, payload = connection.recv()
                except EOFError:
                    return
                del payload
                if method == "hit":
                    handled += 1
                else:
                    connection.send(handled)
                    handled = 0


if __name__ == "__main__":
    if sys.argv[1:] == ["counter"]:
        counter()
    else:
        serve({"far-tell": far_tell})
