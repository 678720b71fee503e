"""What facts about this machine mean: whether a mesh would form, why not, and what to do.

Each function takes what was found out and gives verdicts, in words for somebody who knows their
program and not networks: what was found, and below a problem its cause and the way out.
What nodes announce is judged in `announced.py`, what concerns another machine in `distance.py`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from actormq.rules.findings import (
    Descriptors,
    Intent,
    Interface,
    Multicast,
    OwnName,
    Pair,
    Seen,
    Sharing,
)

NODE_DESCRIPTORS: Final = 128  # a node opens 20 (measured), and its actors with sockets some each
PEER_DESCRIPTORS: Final = 5  # for each peer (measured): its connection, ours, what watches ours
FEW_PEERS: Final = 50  # a mesh of so many nodes should not stop at a limit
SMALL_MTU: Final = 1_280  # bytes; IPv6 asks for this, and less is mostly a mistake
EARLIEST: Final = 1_767_225_600.0  # s; the start of 2026: this program is younger
MDNS: Final = "UDP port 5353"


class State(StrEnum):
    """How much a verdict matters: a mesh forms unless there is a problem."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check came to.

    Attributes:
        check: What was looked at, in a word.
        state: Whether it stands in the way of a mesh.
        found: What was found, one line.
        cause: Why that is so, or probably so; "" where all is well.
        fix: What to do about it; "" where all is well.
        host: The other machine that it is about, as the user called it; "" for this one.
    """

    check: str
    state: State
    found: str
    cause: str = ""
    fix: str = ""
    host: str = ""


def would_form(verdicts: Sequence[Verdict]) -> bool:
    """Say whether a mesh would form."""
    return all(verdict.state is not State.PROBLEM for verdict in verdicts)


def ok(check: str, found: str) -> Verdict:
    """A verdict that all is well."""
    return Verdict(check, State.OK, found)


def seconds(span: float) -> str:
    """A short time in words."""
    return f"{max(span, 0.01):.2f} s" if span < 1.0 else f"{span:.1f} s"


def let_in(firewall: str, network: str) -> str:
    """How to make a firewall let in what comes from one's own network.

    Args:
        firewall: Which one runs; "" if that is not known.
        network: The network, or an address in it, as `10.77.0.1/24`; "" if that is not known.
    """
    source = _network(network) or "192.168.1.0/24"
    ufw = f"`sudo ufw allow from {source}`"
    firewalld = f"`sudo firewall-cmd --zone=trusted --add-source={source}`"
    if firewall == "ufw":
        return f"run {ufw}"
    if firewall == "firewalld":
        return f"run {firewalld}, and again with --permanent if it helps"
    return (
        f"let nodes in (ufw: {ufw}; firewalld: {firewalld}; else {MDNS} and the nodes' TCP ports)"
    )


def _network(address: str) -> str:
    """The network of an address with a length, such as 10.77.0.1/24."""
    return str(ipaddress.ip_interface(address).network) if address else ""


# -- interfaces -----------------------------------------------------------------------------------


def interfaces(found: Sequence[Interface], *, lan: bool) -> Verdict:
    """Judge the network interfaces.

    Args:
        found: Those that are up and have an address.
        lan: Whether other machines are to be reached.
    """
    check = "interfaces"
    text = "; ".join(f"{each.name} {', '.join(each.addresses)}" for each in found) or "none is up"
    outward = [each for each in found if not each.is_loopback]
    if not any(each.is_loopback for each in found):
        return Verdict(
            check,
            State.PROBLEM,
            text,
            "the loopback interface is down, over which programs of one machine talk",
            "run `sudo ip link set lo up`",
        )
    if not lan:
        return ok(check, text)
    if not outward:
        return Verdict(
            check,
            State.PROBLEM,
            text,
            "this machine has no address in any network",
            "plug in the cable or choose a Wi-Fi; `ip address` shows when there is an address",
        )
    if all(_is_makeshift(address) for each in outward for address in each.addresses):
        return Verdict(
            check,
            State.WARNING,
            text,
            "these addresses were made up here: no router or DHCP server gave this machine one",
            "see whether the router runs, or give the machines fixed addresses",
        )
    small = next((each for each in outward if each.mtu < SMALL_MTU), None)
    if small is not None:
        return Verdict(
            check,
            State.WARNING,
            text,
            f"{small.name} takes packets of {small.mtu} bytes only, which is unusual",
            f"unless you know why, run `sudo ip link set {small.name} mtu 1500`",
        )
    return ok(check, text)


def _is_makeshift(address: str) -> bool:
    return address.lower().startswith(("169.254.", "fe80:"))


def firewall(name: str) -> list[Verdict]:
    """Say that a firewall runs here, if one is known to."""
    if not name:
        return []
    return [ok("firewall", f"{name} runs; `actormq doctor` elsewhere shows whom it lets in")]


# -- multicast ------------------------------------------------------------------------------------


def multicast(
    probes: Sequence[Multicast], found: Sequence[Interface], intent: Intent, firewall: str
) -> list[Verdict]:
    """Judge the packets that were sent to the group of mDNS, a verdict for each interface.

    Args:
        probes: One for each interface and family of addresses.
        found: The interfaces.
        intent: How nodes are started.
        firewall: Which one runs here; "" if that is not known.
    """
    meant = [each for each in found if each.is_loopback is not intent.lan]
    heard = {probe.interface for probe in probes if probe.heard}
    is_enough = intent.joins or any(each.name in heard for each in meant)
    bad = State.WARNING if is_enough else State.PROBLEM
    return [
        _on_interface(each, [p for p in probes if p.interface == each.name], bad, firewall)
        for each in meant
    ]


def _on_interface(
    interface: Interface, probes: Sequence[Multicast], bad: State, firewall: str
) -> Verdict:
    check = f"multicast {interface.name}"
    heard = [probe.family for probe in probes if probe.heard]
    lost = [probe for probe in probes if not probe.heard]
    if not interface.multicast:
        return Verdict(
            check,
            bad,
            f"{interface.name} does not do multicast",
            "it is a VPN, a tunnel or the like, over which nodes do not find each other",
            "over this interface, name a node that is already there with --join HOST:PORT",
        )
    if heard:
        return ok(check, f"sent and heard ({' and '.join(heard)})")
    error = next((probe.error for probe in lost if probe.error), "")
    if error:
        return Verdict(
            check,
            bad,
            f"could not be sent on {interface.name}: {error}",
            "the system refuses multicast there",
            f"run `sudo ip link set {interface.name} multicast on`, or use --join HOST:PORT",
        )
    network = interface.addresses[0] if interface.addresses else ""
    return Verdict(
        check,
        bad,
        f"a packet sent on {interface.name} did not come back",
        f"a firewall on this machine ({firewall or 'nftables, iptables or the like'}) drops "
        f"{MDNS}, over which nodes find each other",
        let_in(firewall, network),
    )


def sharing(found: Sharing, *, joins: bool) -> Verdict:
    """Judge whether mDNS can have its port."""
    check = "port 5353"
    if not found.error:
        return ok(check, "can be used beside other programs")
    holder = found.holder or "another program"
    return Verdict(
        check,
        State.WARNING if joins else State.PROBLEM,
        f"cannot be used: {found.error}",
        f"{holder} has {MDNS} for itself and does not share it",
        f"stop {holder}, or tell each node whom to dial with --join HOST:PORT",
    )


# -- nodes here -----------------------------------------------------------------------------------


def pair(found: Pair, *, joins: bool) -> Verdict:
    """Judge two nodes that were started here for the purpose."""
    check = "two nodes here"
    if found.error:
        return Verdict(
            check,
            State.PROBLEM,
            f"a node cannot start: {found.error}",
            "what a node needs from this machine, it does not get",
            "mend what the line above says, then run this command again",
        )
    if found.seconds is None:
        return Verdict(
            check,
            State.WARNING if joins else State.PROBLEM,
            "two nodes of this machine did not find each other",
            "they find each other by multicast, which does not work here: see above",
            "mend what is said above, or tell each node whom to dial with --join HOST:PORT",
        )
    return ok(check, f"found each other in {seconds(found.seconds)}")


def own_port(port: int, seen: Sequence[Seen], *, is_free: bool) -> Verdict:
    """Judge the TCP port on which nodes of this machine are to listen.

    Args:
        port: The port.
        seen: The nodes that announce themselves.
        is_free: Whether it can be bound.
    """
    check = f"port {port}"
    if is_free:
        return ok(check, "is free")
    for node in seen:
        if node.is_here and any(end.endswith(f":{port}") for end in node.endpoints):
            return ok(check, f"is that of node {node.name}, which runs here")
    return Verdict(
        check,
        State.PROBLEM,
        "cannot be bound",
        "another program has it, or it is below 1024 and for root only",
        f"look with `ss -ltnp` who has it; stop that program, or choose another --port than {port}",
    )


def descriptors(found: Descriptors) -> Verdict:
    """Judge how many sockets a node may open."""
    check = "descriptors"
    room = found.most - found.used
    peers = max((room - NODE_DESCRIPTORS) // PEER_DESCRIPTORS, 0)
    text = f"{found.most} files and sockets may be open"
    if room < NODE_DESCRIPTORS:
        return Verdict(
            check,
            State.PROBLEM,
            f"{text}, and {found.used} are",
            f"a node needs about {NODE_DESCRIPTORS}, and {PEER_DESCRIPTORS} more for each other",
            "run `ulimit -n 4096` first; if that is refused, raise the hard limit (nofile) in "
            "/etc/security/limits.conf, or LimitNOFILE= of the service",
        )
    if peers < FEW_PEERS:
        return Verdict(
            check,
            State.WARNING,
            f"{text}, enough for about {peers} other nodes",
            "the limit of this shell or service is low",
            "run `ulimit -n 4096` first, or set LimitNOFILE=4096 in the service",
        )
    return ok(check, text)


def clock(wall: float) -> Verdict:
    """Judge this machine's clock.

    Args:
        wall: What it says, in seconds since 1970.
    """
    check = "clock"
    said = datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if wall < EARLIEST:
        return Verdict(
            check,
            State.WARNING,
            f"says {said}, which is long past",
            "the clock was never set; a mesh forms all the same, but times in logs mean nothing",
            "run `sudo timedatectl set-ntp true`",
        )
    return ok(check, f"says {said}")


def own_name(found: OwnName) -> Verdict:
    """Judge what this machine's own name leads to."""
    check = "own name"
    if not found.addresses:
        return Verdict(
            check,
            State.WARNING,
            f"{found.name!r} is not known to this machine itself",
            "neither /etc/hosts nor a name server knows it; nodes go by addresses and do not mind",
            f"add the line `127.0.1.1 {found.name}` to /etc/hosts",
        )
    return ok(check, f"{found.name} is {', '.join(found.addresses)} here")
