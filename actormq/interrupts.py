"""Ctrl-C while modules are being imported.

An exception would come up wherever an import stands just then, as a traceback of somebody else's
code; some of that code swallows it, and the program goes on as if nobody had said anything.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process at once at Ctrl-C, with status 130 and without a word.

    Whoever started us may want it ignored, or have a handler of its own: that stays.
    """
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        with contextlib.suppress(ValueError):  # not on the main thread, where no signal comes
            signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    try:
        yield
    finally:
        if is_ours:
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGINT, signal.default_int_handler)
