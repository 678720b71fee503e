"""Multicast endpoints, `epgm://INTERFACE;GROUP:PORT` and `pgm://…`: refused if they cannot work.

libzmq opens a multicast socket in a thread of its own, where it has nobody to tell of a failure:
there it ends the whole process. What did so with libzmq 4.3.4, and is refused here:

- an interface that is missing in the endpoint, several of them, or more than one `;`;
- a port that another program holds, or that only root may have;
- `pgm://` without the right to open raw sockets.

Whatever else an operating system may say no to is found by trying: `check_multicast` joins the
group as libzmq will, and leaves it again.
The rest is refused because libzmq takes it and means something else by it: a port of 70000, a
network in the place of an interface, a group that is left out.

Interfaces may be named. libzmq looks such a name up in DNS first, which blocks, and fails where
DNS does not answer: `addressed` puts the interface's address there.

A publisher's socket must outlive its last message for a while; `Pace` says how long.

No check helps against two more faults of libzmq 4.3.4, so multicast is for networks one trusts and
numbers that can be missed: one malformed packet from anybody ends every subscriber's process, and
what is lost for good can leave a torn message behind, which only the codec `msgpack` notices.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Iterable

import msgspec
import zmq

from actormq.errors import PortInUse, SetupError

RATE_KBITS = 40_000
"""kbit/s, `ZMQ_RATE`, of publishers and subscribers alike.

libzmq's own 100 takes a minute for what 40 000 sends in 0.15 s. Below 12 000 OpenPGM lets a whole
second's worth go at once, above it doles out each millisecond's: at 10 000 such a burst overran
the 208 KiB buffer of a receiver, and 48 000 of 50 000 messages were lost. At 40 000 none
overran, at 100 000 some did, and a LAN of 100 Mbit/s would be full.
"""

RECOVERY_MS = 5_000
"""ms, `ZMQ_RECOVERY_IVL`: how long a publisher can repeat what was lost.

Rate times time is its memory: 28 MiB if it sends as fast as it may. Both ends need the same
value: a subscriber has a window of the same length.
"""

REPAIR_SECONDS = 0.5
"""s: a publisher tells of its last message again after 100, 200, 300 and 400 ms."""

_FORM = re.compile(
    r"(?P<scheme>epgm|pgm)://(?P<interface>[^;,\s]+);(?P<group>[^;,:\s]+):(?P<port>.*)"
)
_PORT = re.compile(r"[0-9]{1,5}")
_PORTS = range(1, 65536)
_PGM = 113  # the number of the protocol PGM, where it is not carried by UDP

# OpenPGM shares its port among the sockets of one user by this; not all systems have it.
_SHARE = getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR)


class Multicast(msgspec.Struct, frozen=True):
    """A multicast endpoint, taken apart.

    Attributes:
        scheme: `epgm`, which UDP carries, or `pgm`, a protocol of its own.
        interface: The name of an interface, or an IPv4 address that it has.
        group: The IPv4 address of the group.
        port: Its port, 1 to 65535.
    """

    scheme: str
    interface: str
    group: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.interface};{self.group}:{self.port}"


def parsed(endpoint: str, what: str) -> Multicast:
    """Take a multicast endpoint apart.

    Args:
        endpoint: What somebody wrote.
        what: Who wants it, for errors.

    Raises:
        SetupError: It is not of the form `epgm://INTERFACE;GROUP:PORT`, its group is no IPv4
            multicast address, or its port is out of range.
    """
    match = _FORM.fullmatch(endpoint)
    if match is None:
        raise SetupError(
            f"{what}: {endpoint!r} is no multicast endpoint; write epgm://INTERFACE;GROUP:PORT, "
            "such as epgm://192.168.1.5;239.192.1.1:5555"
        )
    scheme, interface, group, port = match.group("scheme", "interface", "group", "port")
    if not _is_group(group):
        raise SetupError(
            f"{what}: {group!r} in {endpoint!r} is no IPv4 multicast address; "
            "take one that begins with 239.192, such as 239.192.1.1"
        )
    if not _PORT.fullmatch(port) or int(port) not in _PORTS:
        raise SetupError(f"{what}: {port!r} in {endpoint!r} is no port from 1 to 65535")
    return Multicast(scheme, interface, group, int(port))


def check_multicast(endpoint: str, what: str) -> None:
    """Refuse a multicast endpoint that this process cannot open here and now.

    Args:
        endpoint: What somebody wrote.
        what: Who wants it, for errors.

    Raises:
        PortInUse: A program that does not share its port holds it.
        SetupError: It has not the form of one, this libzmq lacks pgm, this host has no such
            interface, or the interface cannot join the group.
    """
    multicast = parsed(endpoint, what)
    if not zmq.has("pgm"):
        raise SetupError(
            f"{what}: {endpoint}: this libzmq was built without pgm; docs/patterns.md tells how "
            "to build pyzmq against one that has it"
        )
    check_host(multicast, what)


def check_host(multicast: Multicast, what: str) -> None:
    """Refuse what this host cannot join, whatever its libzmq can.

    Raises:
        PortInUse: A program that does not share its port holds it.
        SetupError: It has no such interface, or the interface cannot join the group.
    """
    name, address = _interface(multicast, what)
    _check_running(name, what)
    _try_to_join(multicast, address, what)


def addressed(endpoint: str, what: str) -> str:
    """Put its address in the place of an interface's name: what libzmq shall be given.

    Raises:
        SetupError: It has not the form of one, or this host has no such interface.
    """
    multicast = parsed(endpoint, what)
    _, address = _interface(multicast, what)
    return f"{multicast.scheme}://{address};{multicast.group}:{multicast.port}"


def _is_group(text: str) -> bool:
    try:
        return ipaddress.IPv4Address(text).is_multicast
    except ValueError:
        return False


def _addresses() -> dict[str, list[str]]:
    """The IPv4 addresses of this host's interfaces, by their names."""
    import psutil  # noqa: PLC0415 costs 5 ms that few sockets need

    return {
        name: [entry.address for entry in entries if entry.family == socket.AF_INET]
        for name, entries in psutil.net_if_addrs().items()
    }


def _interface(multicast: Multicast, what: str) -> tuple[str, str]:
    """The name and the address of the interface that is meant."""
    wanted, found = multicast.interface, _addresses()
    for name, addresses in found.items():
        if wanted in addresses:
            return name, wanted
    if found.get(wanted):
        return wanted, found[wanted][0]
    why = "has no IPv4 address" if wanted in found else "is none of this host's interfaces"
    known = ", ".join(f"{name} ({' '.join(found[name])})" for name in sorted(found) if found[name])
    raise SetupError(f"{what}: {wanted!r} in {str(multicast)!r} {why}; there are {known or 'none'}")


def _check_running(name: str, what: str) -> None:
    import psutil  # noqa: PLC0415 as above

    stats = psutil.net_if_stats().get(name)
    flags = stats.flags.split(",") if stats is not None and stats.flags else None
    if flags is None:
        return  # this system does not tell
    if "up" not in flags:
        raise SetupError(f"{what}: interface {name!r} is down; switch it on, or take another")
    if not {"multicast", "loopback"} & set(flags):  # loopback carries it without saying so
        raise SetupError(f"{what}: interface {name!r} does not do multicast; take another")


def _try_to_join(multicast: Multicast, address: str, what: str) -> None:
    """Do what libzmq will do, where a failure can still be told of."""
    is_raw = multicast.scheme == "pgm"
    kind = (socket.SOCK_RAW, _PGM) if is_raw else (socket.SOCK_DGRAM, 0)
    both = socket.inet_aton(multicast.group) + socket.inet_aton(address)
    try:
        with socket.socket(socket.AF_INET, *kind) as probe:
            if not is_raw:
                probe.setsockopt(socket.SOL_SOCKET, _SHARE, 1)
                probe.bind(("", multicast.port))
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, both)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(str(multicast), what) from error
        if isinstance(error, PermissionError):
            root_only = "raw sockets" if is_raw else "ports below 1024"
            raise SetupError(f"{what}: {multicast}: {root_only} are for root") from error
        raise SetupError(f"{what}: {multicast} cannot be joined: {error.strerror}") from error


class Pace:
    """Tells when what a publisher's multicast socket was given has left it.

    libzmq takes messages at once and sends them at `RATE_KBITS`. A socket that is closed drops the
    packet that waits for its time, whatever its linger: 28 of 1 000 messages. And once it is closed
    nobody can repeat what was lost on the way.
    """

    _OVERHEAD = 16  # bytes a frame: its own header, and its share of the packet's
    _BYTES_PER_SECOND = 0.9 * RATE_KBITS * 1000 / 8  # a tenth for the packets' headers

    def __init__(self) -> None:
        self._free_at = float("-inf")

    def sent(self, sizes: Iterable[int], now: float) -> None:
        """Take note of a message.

        Args:
            sizes: Bytes of each of its frames.
            now: The present, in seconds.
        """
        size = sum(self._OVERHEAD + size for size in sizes)
        self._free_at = max(self._free_at, now) + size / self._BYTES_PER_SECOND

    def remaining(self, now: float) -> float:
        """Seconds for which the socket must stay open, on the clock that `sent` was told."""
        return max(0.0, self._free_at + REPAIR_SECONDS - now)
