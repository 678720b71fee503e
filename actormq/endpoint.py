"""What an endpoint is: checked before ZeroMQ says "Invalid argument", or ends the process."""

from __future__ import annotations

from actormq.errors import SetupError
from actormq.multicast import parsed

SCHEMES = ("tcp://", "ipc://", "inproc://")
MULTICAST = ("epgm://", "pgm://")

_PORTS = 65535  # TCP's range
_IPC_BYTES = 107  # a path is 108 bytes in `sockaddr_un`, its end included


def check_endpoint(endpoint: str, what: str) -> None:
    """Refuse what is no endpoint.

    Args:
        endpoint: What somebody wrote.
        what: Who wants it, for errors.

    Raises:
        SetupError: It is none.
    """
    if isinstance(endpoint, str) and endpoint.startswith(MULTICAST):
        parsed(endpoint, what)  # whether this host can join it is asked when it is opened
        return
    if not isinstance(endpoint, str) or not endpoint.startswith(SCHEMES):
        raise SetupError(
            f"{what}: {endpoint!r} is no endpoint; take tcp://HOST:PORT, ipc://PATH, "
            "inproc://NAME or epgm://INTERFACE;GROUP:PORT"
        )
    scheme, _, rest = endpoint.partition("://")
    if not rest:
        raise SetupError(f"{what}: {endpoint!r} names nothing behind {scheme}://")
    if scheme == "ipc" and len(rest.encode()) > _IPC_BYTES:
        raise SetupError(f"{what}: {endpoint!r} is too long: a path has {_IPC_BYTES} bytes at most")
    if scheme == "tcp":
        host, _, port = rest.rpartition(":")
        if not host and rest != port:
            raise SetupError(f"{what}: {endpoint!r} lacks a host; write tcp://HOST:PORT")
        if port.lstrip("-").isdecimal() and not 0 <= int(port) <= _PORTS:
            raise SetupError(f"{what}: {port} in {endpoint!r} is no port: take 1 to {_PORTS}")
        if not host or not (port in ("*", "!") or port.isdecimal()):
            raise SetupError(f"{what}: {endpoint!r} lacks a port; write tcp://HOST:PORT")


def is_multicast(endpoint: str) -> bool:
    """Whether it is one of a group that all hear."""
    return endpoint.startswith(MULTICAST)
