"""Sends a packet to the group of mDNS on every interface, and listens whether it comes back.

The packet is a question of mDNS for a name that nobody has, so that nobody answers it.
Each probe has a UDP socket of its own, bound to port 5353 beside whoever else is, and hears only
what comes in on its own interface. What comes back shows that this machine lets multicast out and
in; what lies between two machines is seen by nodes that meet, in `trial.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Final

import psutil

from actormq.cluster.mdns import SERVICE_TYPE
from actormq.rules.findings import Interface, Multicast, Sharing

PORT: Final = 5353
GROUP: Final = "224.0.0.251"
GROUP_6: Final = "ff02::fb"
PATIENCE: Final = 0.8  # s; a packet comes back within 1 ms, on a machine that is not held up
REPEAT: Final = 0.25  # s between packets: one may be lost on a full queue

IS_LINUX: Final = sys.platform.startswith("linux")
_IP_MULTICAST_ALL = 49  # linux/in.h: 0 means only groups that this very socket has joined
_IPV6_MULTICAST_ALL = 29  # linux/in6.h
_PACKET = 9_000  # bytes; mDNS has no larger ones


def sharing() -> Sharing:
    """Try whether port 5353 can be bound beside whoever has it."""
    try:
        _bound(socket.AF_INET).close()
    except OSError as error:
        holder = _holder() if error.errno == errno.EADDRINUSE else ""
        return Sharing(os.strerror(error.errno or 0), holder)
    return Sharing()


def _holder() -> str:
    """The program that has port 5353, if the system tells us: root is told, others of their own."""
    with contextlib.suppress(psutil.Error, OSError):
        for each in psutil.net_connections("udp"):
            if each.laddr and each.laddr.port == PORT and each.pid:
                return psutil.Process(each.pid).name()
    return ""


async def probe_all(interfaces: Sequence[Interface]) -> list[Multicast]:
    """Probe each interface, in each family of addresses that it has; takes `PATIENCE` at most."""
    probes = [
        _probe(each, family, next(a for a in each.addresses if (":" in a) is is_six))
        for each in interfaces
        for family, is_six in ((socket.AF_INET, False), (socket.AF_INET6, True))
        if any((":" in address) is is_six for address in each.addresses)
    ]
    return list(await asyncio.gather(*probes))


async def _probe(interface: Interface, family: int, address: str) -> Multicast:
    name = "IPv6" if family == socket.AF_INET6 else "IPv4"
    try:
        with _bound(family) as probe:
            _join(probe, family, interface, address.partition("/")[0])
            is_heard = await _heard(probe, family, interface.index)
    except OSError as error:
        return Multicast(interface.name, name, heard=False, error=os.strerror(error.errno or 0))
    return Multicast(interface.name, name, is_heard)


def _bound(family: int) -> socket.socket:
    """A socket at port 5353, which others may have as well."""
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(("", PORT))
        opened.settimeout(0)
    except OSError:
        opened.close()
        raise
    return opened


def _join(probe: socket.socket, family: int, interface: Interface, address: str) -> None:
    """Speak and hear on one interface only."""
    if family == socket.AF_INET6:
        index = struct.pack("@I", interface.index)
        if IS_LINUX:
            probe.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
        group = socket.inet_pton(socket.AF_INET6, GROUP_6) + index
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        return
    own = socket.inet_aton(address)
    if IS_LINUX:
        probe.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    membership = socket.inet_aton(GROUP) + own
    probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    probe.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
    probe.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    probe.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)


async def _heard(probe: socket.socket, family: int, index: int) -> bool:
    """Send until it comes back, or until there is no hope."""
    loop = asyncio.get_running_loop()
    token = f"doctor-{secrets.token_hex(8)}"
    question = _question(token)
    there = (GROUP_6, PORT, 0, index) if family == socket.AF_INET6 else (GROUP, PORT)
    end = loop.time() + PATIENCE
    while loop.time() < end:
        probe.sendto(question, there)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPEAT):
                while token.encode() not in await loop.sock_recv(probe, _PACKET):
                    pass  # others speak mDNS as well
                return True
    return False


def _question(token: str) -> bytes:
    from zeroconf import DNSOutgoing, DNSQuestion  # type: ignore[attr-defined]  # noqa: PLC0415 costs 0.1 s

    question = DNSOutgoing(0)
    question.add_question(DNSQuestion(f"{token}.{SERVICE_TYPE}", 12, 1))  # PTR, class IN
    return bytes(question.packets()[0])
