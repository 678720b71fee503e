"""Ports that are free, and stay so until somebody takes them."""

import contextlib
import random
import socket


def free_port():
    """A port of 127.0.0.1 where nobody listens.

    Below those that a system gives to who connects or asks for any: it would give this one away.
    """
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port := random.SystemRandom().randrange(20_000, 32_000)))
            return port
