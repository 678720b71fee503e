"""Which endpoints a host offers, which of a peer's are worth dialling, and in which order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from actormq.address import is_own_ipc

OFFERED_LIMIT = 30  # addresses; with ports they fit into one TXT record, and facts hold 64
DIALLED_LIMIT = 32  # endpoints of one peer; the best stand first, and it can dial us as well

_LOOPBACK = ("tcp://127.", "tcp://[::1]", "tcp://localhost:")
_LINK_LOCAL = re.compile(r"tcp://\[(fe[89ab][0-9a-f]:[0-9a-f:.]*)(%[^\]]*)?\]:(\d+)", re.IGNORECASE)
# Networks inside a host: others have the same addresses there, so they are tried last.
_INSIDE = re.compile(r"(docker|br-|virbr|veth|cni|flannel|cali|lxc|lxd|podman|vmnet|vboxnet)")


class Interface(msgspec.Struct, frozen=True):
    """A network interface of this host that is up.

    Attributes:
        name: What the system calls it.
        addresses: Its IPv4 and IPv6 addresses, without scopes.
        is_port: Whether it is a port of a bridge, which speaks for it.
    """

    name: str
    addresses: tuple[str, ...]
    is_port: bool = False


def offered(interfaces: Iterable[Interface]) -> list[str]:
    """Choose the addresses under which others may dial this host.

    Args:
        interfaces: All that are up.

    Returns:
        At most `OFFERED_LIMIT`, IPv6 in brackets: those of networks first, IPv4 before IPv6, then
        those of networks inside the host, then link-local ones, and this host's loopback last.
        Link-local ones have no scope: which interface it is that they are behind, each host knows
        for itself.
    """
    ranked = []
    for interface in interfaces:
        for address in interface.addresses:
            if address.startswith("127.") or address == "::1":
                continue
            is_v6, is_local = ":" in address, is_link_local(address)
            if is_local and interface.is_port:
                continue
            is_inside = _INSIDE.match(interface.name) is not None
            ranked.append(((is_local, is_inside, is_v6), f"[{address}]" if is_v6 else address))
    ranked.sort(key=lambda pair: pair[0])
    found = dict.fromkeys(host for _, host in ranked)
    return [*list(found)[: OFFERED_LIMIT - 1], "127.0.0.1"]


def zones(interfaces: Iterable[Interface]) -> list[str]:
    """Name the interfaces behind which link-local addresses of others may be."""
    return [
        interface.name
        for interface in interfaces
        if not interface.is_port and any(map(is_link_local, interface.addresses))
    ]


def is_link_local(address: str) -> bool:
    """Whether it is an IPv6 address that holds behind one interface only."""
    return re.match(r"fe[89ab][0-9a-f]:", address, re.IGNORECASE) is not None


def has_link_local(endpoints: Iterable[str]) -> bool:
    """Whether one of them needs the name of an interface to be dialled."""
    return any(_LINK_LOCAL.fullmatch(endpoint) for endpoint in endpoints)


def dialable(endpoints: Sequence[str], near: bool | None, behind: Sequence[str] = ()) -> list[str]:
    """Choose among the endpoints that a peer offers.

    Args:
        endpoints: What it offers, ipc and tcp.
        near: Whether it is on this host; None if that is not known.
        behind: Interfaces behind which its link-local addresses may be.

    Returns:
        Those worth dialling, ipc first and link-local ones last, at most `DIALLED_LIMIT`. The
        loopback of another host is our own, and an ipc name that is not one of actormq's could be
        any program's socket: neither is dialled.
    """
    ipc = [e for e in endpoints if is_own_ipc(e) and near is not False]
    tcp = [e for e in endpoints if e.startswith("tcp://") and not _LINK_LOCAL.fullmatch(e)]
    loopback = [e for e in tcp if e.startswith(_LOOPBACK)]
    others = [e for e in tcp if e not in loopback]
    others += _scoped(endpoints, behind)
    chosen = ipc + others
    if near is True or (near is None and not others):
        chosen = ipc + loopback + others
    return list(dict.fromkeys(chosen))[:DIALLED_LIMIT]


def _scoped(endpoints: Sequence[str], behind: Sequence[str]) -> list[str]:
    """The link-local ones, each behind each interface: a peer cannot know what ours are called."""
    found = filter(None, map(_LINK_LOCAL.fullmatch, endpoints))
    return [f"tcp://[{match[1]}%{zone}]:{match[3]}" for match in found for zone in behind]


def moved(endpoints: Sequence[str], addresses: Sequence[str]) -> tuple[str, ...]:
    """Put a host's new addresses into the endpoints of a node.

    Args:
        endpoints: Those that it has: ipc, and one port of the old addresses.
        addresses: The new ones, IPv6 in brackets.
    """
    ipc = [endpoint for endpoint in endpoints if not endpoint.startswith("tcp://")]
    ports = dict.fromkeys(e.rpartition(":")[2] for e in endpoints if e.startswith("tcp://"))
    return (*ipc, *(f"tcp://{host}:{port}" for port in ports for host in addresses))


def at_host(endpoint: str, link: str) -> str:
    """Put a peer's host into an endpoint it announced as `tcp://*:PORT`.

    Args:
        endpoint: What it announced.
        link: The endpoint at which the peer itself answered.
    """
    if not endpoint.startswith("tcp://*:"):
        return endpoint
    port = endpoint.rpartition(":")[2]
    host = link.removeprefix("tcp://").rpartition(":")[0] if link.startswith("tcp://") else ""
    return f"tcp://{host or '127.0.0.1'}:{port}"
