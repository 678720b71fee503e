"""What a process that a node has started does first, whatever it runs.

It lives as long as its standard input: when the node's process ends, however it does, so does this
one.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def tie(told: dict[str, Any]) -> None:
    """Bind this process to the node that has started it.

    Args:
        told: What the node wrote on standard input.
    """
    _outlive_nobody(told["parent"])
    _leave_signals_to_the_node()
    # A segmentation fault shows on stderr where it was; what our own threads did then is no help.
    faulthandler.enable(all_threads=False)
    sys.argv[:] = told["argv"]
    _log(told["log"])


def _outlive_nobody(parent: int) -> None:
    """End at once when the node's process has ended."""
    # User code may read standard input: it finds it empty, and this end is left alone.
    descriptor = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> NoReturn:
        while os.read(descriptor, 4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, name="actormq-parent", daemon=True).start()
    if sys.platform.startswith("linux"):
        # The thread above needs the interpreter's lock, which an endless loop in C never gives.
        import ctypes  # noqa: PLC0415 only Linux needs it

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if hasattr(os, "getppid") and os.getppid() != parent:
        os._exit(0)


def _leave_signals_to_the_node() -> None:
    """Let whoever ends the node, and with it all its group, not end this before its time.

    Handlers that do nothing, and not SIG_IGN: that one would be passed on to programs that user
    code starts. What it forks without starting a program takes the handlers along: those obey.
    """
    for name in _SIGNALS:
        signal.signal(name, lambda *_: None)

    masks = []

    def hold() -> None:
        # One that comes before the new process obeys must not meet a handler that does nothing.
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS))

    def go_on() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop())

    def obey() -> None:
        for name in _SIGNALS:
            signal.signal(name, signal.SIG_DFL)
        go_on()

    os.register_at_fork(before=hold, after_in_parent=go_on, after_in_child=obey)


def _log(how: dict[str, Any]) -> None:
    """Write the log as the node does, to standard error."""
    if how["is_set"]:
        logging.basicConfig(format=how["format"], datefmt=how["datefmt"], level=how["level"])
    logging.getLogger("actormq").setLevel(how["own_level"])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
