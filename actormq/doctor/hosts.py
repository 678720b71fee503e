"""From the name of another machine to a TCP connection: what it leads to, and what answers.

A connection is opened to see whether it can be, and closed without a word.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

from actormq.doctor.interfaces import is_in, is_there, network_of, source_of
from actormq.rules.findings import Dialled, Interface, Outcome
from actormq.seeds import place_of

DIAL: Final = 3.6  # s; Linux gives up after 3.1 s on a neighbour that does not answer ARP
ADDRESSES: Final = 8  # of a name are dialled; a machine with more has them for other purposes

_IP_MTU = 14  # linux/in.h
_IPV6_MTU = 24  # linux/in6.h

_OUTCOMES: Final = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ECONNRESET: Outcome.REFUSED,
    errno.EHOSTUNREACH: Outcome.UNREACHABLE,
    errno.EHOSTDOWN: Outcome.UNREACHABLE,
    errno.ENETUNREACH: Outcome.NO_ROUTE,
    errno.EADDRNOTAVAIL: Outcome.NO_ROUTE,
    errno.EAFNOSUPPORT: Outcome.NO_ROUTE,
    errno.EINVAL: Outcome.NO_ROUTE,  # a link-local IPv6 address without its interface
    errno.EACCES: Outcome.FORBIDDEN,
    errno.EPERM: Outcome.FORBIDDEN,
    errno.ETIMEDOUT: Outcome.SILENT,
}


def host_of(text: str) -> tuple[str, int | None]:
    """Read HOST, HOST:PORT, an IPv6 address, or [IPV6]:PORT.

    Raises:
        SetupError: It is none of these.
    """
    bare = text.removeprefix("tcp://")
    plain = bare[1:-1] if bare.startswith("[") and bare.endswith("]") else bare
    try:
        ipaddress.ip_address(plain)
    except ValueError:
        pass
    else:
        return plain, None
    place = place_of(text)
    return place.host, place.port


def addresses_of(host: str) -> list[str]:
    """The addresses that a name leads to, in the system's order; blocks.

    Raises:
        OSError: It leads nowhere.
        UnicodeError: It cannot be a name at all.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    names = [socket.getnameinfo(each[4], socket.NI_NUMERICHOST)[0] for each in found]
    return list(dict.fromkeys(names))[:ADDRESSES]


async def dial_all(
    addresses: Sequence[str], port: int, interfaces: list[Interface]
) -> list[Dialled]:
    """Connect to a port at each address; takes `DIAL` at most."""
    return list(await asyncio.gather(*(_dial(each, port, interfaces) for each in addresses)))


async def _dial(address: str, port: int, interfaces: list[Interface]) -> Dialled:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    mtu = 0
    try:
        place: Any = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM)[0][4]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(0)
            async with asyncio.timeout(DIAL):
                await loop.sock_connect(probe, place)
            mtu = _mtu(probe, family)
        outcome = Outcome.OPEN
    except TimeoutError:  # ours, or the system's
        outcome = Outcome.SILENT
    except OSError as error:
        outcome = _OUTCOMES.get(error.errno or 0, Outcome.UNREACHABLE)
    source = source_of(address)
    interface, network = network_of(source, interfaces)
    return Dialled(
        address,
        port,
        outcome,
        source=source,
        network=network,
        interface=interface,
        is_near=is_in(address, network),
        is_there=is_there(address),
        mtu=mtu,
    )


def _mtu(probe: socket.socket, family: int) -> int:
    """The largest packet on a connection's way, as the system believes; 0 if it does not say."""
    if not sys.platform.startswith("linux"):
        return 0
    level, option = (
        (socket.IPPROTO_IPV6, _IPV6_MTU)
        if family == socket.AF_INET6
        else (socket.IPPROTO_IP, _IP_MTU)
    )
    return probe.getsockopt(level, option)
