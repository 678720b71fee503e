"""This machine's network interfaces, the ways out of it, and which firewall it runs.

Opens no connection: a UDP socket that is connected sends nothing, and says which way it would go.
"""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import psutil

from actormq.rules.findings import Interface

_ARP = Path("/proc/net/arp")
_ARP_COMPLETE = 0x2  # ATF_COM of net/if_arp.h: it has answered
_ARP_COLUMNS = 6
_UFW = Path("/etc/ufw/ufw.conf")
_FIREWALLD = Path("/run/firewalld")
_NO_ROUTE_PORT = 9  # discard; nothing is sent there


def interfaces() -> list[Interface]:
    """The interfaces that are up and have an address, loopback last."""
    states = psutil.net_if_stats()
    indices = {name: index for index, name in socket.if_nameindex()}
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        state = states.get(name)
        texts = [
            _with_prefix(each.address, each.netmask)
            for family in (socket.AF_INET, socket.AF_INET6)
            for each in addresses
            if each.family == family
        ]
        if state is None or not state.isup or not texts:
            continue
        flags = state.flags.split(",")
        # Linux does not flag its loopback, on which multicast works all the same.
        multicast = "multicast" in flags or "loopback" in flags or not state.flags
        found.append(Interface(name, tuple(texts), state.mtu, multicast, indices.get(name, 0)))
    return sorted(found, key=lambda each: each.is_loopback)


def _with_prefix(address: str, netmask: str | None) -> str:
    """An address and the length of its network, without the interface's name."""
    plain = address.partition("%")[0]
    if not netmask:
        return plain
    bits = int(ipaddress.ip_address(netmask.partition("/")[0])).bit_count()
    return f"{plain}/{bits}"


def own_addresses(found: list[Interface]) -> set[str]:
    """The addresses of all interfaces, without the length of their networks."""
    return {address.partition("/")[0] for each in found for address in each.addresses}


def source_of(address: str) -> str:
    """Our own address on the way to another; "" if there is no way."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _NO_ROUTE_PORT))
            return str(probe.getsockname()[0]).partition("%")[0]
    except OSError:
        return ""


def network_of(source: str, found: list[Interface]) -> tuple[str, str]:
    """The interface that has an address, and the network there; "" and "" if none has."""
    for each in found:
        for address in each.addresses:
            if address.partition("/")[0] == source:
                return each.name, str(ipaddress.ip_interface(address).network)
    return "", ""


def is_in(address: str, network: str) -> bool:
    """Whether an address belongs to a network."""
    if not network:
        return False
    plain, space = ipaddress.ip_address(address.partition("%")[0]), ipaddress.ip_network(network)
    return plain.version == space.version and plain in space


def is_there(address: str) -> bool | None:
    """Whether a machine of our own network has answered to its address; None if not known."""
    try:
        lines = _ARP.read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return None
    for line in lines[1:]:
        columns = line.split()
        if len(columns) >= _ARP_COLUMNS and columns[0] == address:
            return bool(int(columns[2], 16) & _ARP_COMPLETE)
    return None


def firewall() -> str:
    """The firewall that this machine runs, as far as that can be seen: `ufw`, `firewalld` or ""."""
    try:
        is_on = "enabled=yes" in _UFW.read_text(encoding="utf-8").lower().replace(" ", "")
    except OSError:
        is_on = False
    if is_on:
        return "ufw"
    return "firewalld" if _FIREWALLD.is_dir() else ""
