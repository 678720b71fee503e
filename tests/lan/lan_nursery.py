"""Starts `actormq node` on hosts of LANs, many a second.

Python and its imports take half a second of a core for each node. So one program imports all that
a node needs, and forks for each node that is asked for: the child goes to its host and does what
the command `actormq node` does, in a process of its own.

Its children end with it, and it ends with whoever has started it.
"""

import contextlib
import faulthandler
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "scripts"
ENDED = 15.0  # s for a node to end in order; takes some ms


class Nursery:
    """The program, as whoever wants nodes sees it; from any thread."""

    def __init__(self):
        self._lock = threading.Lock()
        self._program = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=HERE,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        )

    def start(self, namespace, arguments, log):
        """Start `actormq ARGUMENTS` on a host; what it prints goes to the file `log`."""
        asked = json.dumps({"namespace": namespace, "arguments": arguments, "log": str(log)})
        with self._lock:
            self._program.stdin.write(f"{asked}\n".encode())
            self._program.stdin.flush()
            return Child(int(self._program.stdout.readline()))

    def close(self):
        """End it, and whatever it has started."""
        self._program.stdin.close()
        self._program.wait()
        self._program.stdout.close()


class Child:
    """One process that it has started.

    Attributes:
        pid: Its id.
    """

    def __init__(self, pid):
        self.pid = pid
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle = -1

    def signal(self, number):
        if self.is_running():
            signal.pidfd_send_signal(self._handle, number)

    def is_running(self):
        return not self.ended(0)

    def ended(self, seconds=ENDED):
        """Wait for its end, so long at most; say whether it has come."""
        if self._handle >= 0 and select.select([self._handle], [], [], seconds)[0]:
            os.close(self._handle)
            self._handle = -1
        return self._handle < 0

    def kill(self):
        self.signal(signal.SIGKILL)
        assert self.ended()


# -- the program ------------------------------------------------------------------------------


LOADED = ("actormq.cli", "actormq.cluster.mdns", "zeroconf.asyncio", "lan_worker")
"""What a node imports, also what it imports only as it starts."""


def serve():
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # what is never collected is never copied
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which then close us
    children = []
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            become(**asked)
        children.append(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def become(namespace, arguments, log):
    """Be the command line on a host."""
    import lan_switch  # noqa: PLC0415 tests import this module too, for the other end

    from actormq.cli import main  # noqa: PLC0415 likewise

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path("/run/netns", namespace).open("rb") as file:
        lan_switch.enter(file.fileno())
    nothing = os.open(os.devnull, os.O_RDONLY)
    kept = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for file, stream in ((nothing, 0), (kept, 1), (kept, 2)):
        os.dup2(file, stream)
    faulthandler.enable()  # a crash of Python itself says where
    main(args=arguments, prog_name="actormq")


if __name__ == "__main__":
    serve()
