"""What this machine lets a process have, and what it takes itself for."""

from __future__ import annotations

import resource
import socket

import psutil

from actormq.rules.findings import Descriptors, OwnName

_UNLIMITED = 1_048_576  # where there is no limit, libzmq has one of its own before this one


def descriptors() -> Descriptors:
    """How many files and sockets a node may open, and how many a process has open anyway."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _UNLIMITED if hard == resource.RLIM_INFINITY else min(hard, _UNLIMITED)
    return Descriptors(most, psutil.Process().num_fds())


def is_free(port: int, *, lan: bool) -> bool:
    """Whether a node could listen at a TCP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as libzmq does
        try:
            probe.bind(("" if lan else "127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """A TCP port that nobody has now, and that no node takes of its own accord."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_name() -> OwnName:
    """Look up this machine's own name; blocks for as long as the system takes."""
    name = socket.gethostname()
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return OwnName(name, ())
    return OwnName(name, tuple(dict.fromkeys(str(each[4][0]) for each in found)))
