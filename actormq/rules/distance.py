"""What facts about another machine mean: whether nodes there and here would be one mesh.

As `diagnosis.py`, for one HOST: its name, the way to it, its port, its node, and the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from actormq.rules.diagnosis import MDNS, State, Verdict, let_in, ok, seconds
from actormq.rules.findings import Dialled, Echo, Hello, Intent, Meeting, Outcome
from actormq.seeds import DEFAULT_PORT

MULTICAST: Final = "multicast"  # how the names of checks of it begin
DEFAULT_MESH: Final = "default"  # of `Settings`
CLOCKS_APART: Final = 2.0  # s; less does not confuse whoever reads two logs
SLOW: Final = 0.25  # s of a round trip; a LAN needs a hundredth of that


def name(host: str, addresses: Sequence[str], error: str) -> Verdict:
    """Judge what a name leads to.

    Args:
        host: What was asked for.
        addresses: What it leads to, in the order given.
        error: Why it leads nowhere; "" if it does.
    """
    check = "name"
    if addresses:
        return ok(check, f"is {', '.join(addresses)}")
    fix = f"use its address, which `ip address` shows on {host}, or add a line to /etc/hosts"
    if host.endswith(".local"):
        fix = f"install libnss-mdns here and avahi-daemon on {host}, or use its address"
    cause = "neither /etc/hosts nor a name server knows that name"
    return Verdict(check, State.PROBLEM, f"leads nowhere: {error}", cause, fix)


def openness(host: str) -> Verdict:
    """Judge that nodes are to meet across machines, and are not open to them."""
    return Verdict(
        "openness",
        State.PROBLEM,
        f"{host} is another machine, and nodes here stay on this one",
        "a node without --insecure-lan listens on loopback only, which other machines do not reach",
        "start the nodes on both with --insecure-lan, on a network that you trust, and run "
        f"`actormq doctor --insecure-lan {host}`",
    )


# -- the way there --------------------------------------------------------------------------------


class Ground(StrEnum):
    """How a port of another machine is known."""

    SAID = "said"
    HEARD = "heard"
    GUESSED = "guessed"


def way(host: str, dialled: Sequence[Dialled], ground: Ground) -> list[Verdict]:
    """Judge TCP connections to all addresses of a host.

    Args:
        host: What the user called it.
        dialled: One for each address, in the order in which the name gave them.
        ground: Whether the user said the port, a node announced it, or it is a guess.
    """
    opened = [each for each in dialled if each.outcome is Outcome.OPEN]
    if not opened:
        return [_shut(host, each, ground) for each in dialled]
    best = opened[0]
    by = f", by {best.interface} ({best.source})" if best.interface else ""
    return [ok("way", f"{best.place} takes connections{by}")]


def _shut(host: str, dialled: Dialled, ground: Ground) -> Verdict:
    """Say why nobody could be reached."""
    found, cause, fix = _SHUT[dialled.outcome](host, dialled)
    if dialled.outcome is Outcome.REFUSED and ground is Ground.GUESSED:
        found = f"{host} is there, and no node of it is heard; at port {dialled.port}, which the "
        found += "first node of a machine takes, nothing listens"
        fix = f"{fix}; or name the port of the one that runs: `actormq doctor {host}:PORT`"
    elif dialled.outcome is Outcome.REFUSED and ground is Ground.HEARD:
        cause = f"a node announces that port, so a firewall on {host} refuses in its place"
        fix = _on(host, dialled)
    return Verdict("way", State.PROBLEM, found, cause, fix)


def _refused(host: str, dialled: Dialled) -> tuple[str, str, str]:
    port = f" --port {dialled.port}" if dialled.port != DEFAULT_PORT else ""
    return (
        f"{dialled.place} refuses connections",
        (
            f"{host} is there, but no node listens at that port: none runs, it has another port, "
            "or it was started without --insecure-lan; seldom a firewall refuses in its place"
        ),
        f"on {host}, run `actormq node --insecure-lan{port}`",
    )


def _silent(host: str, dialled: Dialled) -> tuple[str, str, str]:
    found = f"{dialled.place} does not answer"
    if dialled.is_there:
        found += f", though {host} is there"
    if dialled.is_there or not dialled.is_near:
        where = f"on {host}" if dialled.is_near else f"on {host} or on the way to it"
        return found, f"a firewall {where} drops what comes in", _on(host, dialled)
    return (
        found,
        f"{host} is switched off, or a firewall there drops what comes in",
        (f"see that {host} runs; then {_on(host, dialled)}"),
    )


def _unreachable(host: str, dialled: Dialled) -> tuple[str, str, str]:
    found = f"{dialled.address} cannot be reached"
    if dialled.is_near and not dialled.is_there:
        return (
            found,
            (
                f"no machine of the network {dialled.network} has that address now: {host} is off, "
                "unplugged, or has got another address"
            ),
            f"see that {host} runs, and look with `ip address` there which address it has",
        )
    return (
        found,
        "a router on the way, or a firewall, says that there is no way to it",
        f"connect both machines to the same network, or {_on(host, dialled)}",
    )


def _no_route(host: str, dialled: Dialled) -> tuple[str, str, str]:
    kind = "IPv6" if ":" in dialled.address else "IPv4"
    return (
        f"there is no way from here to {dialled.address}",
        f"this machine has no {kind} address in a network that leads there",
        (
            f"connect both machines to the same network; then `ip route get {dialled.address}` "
            f"shows a way to {host}"
        ),
    )


def _forbidden(host: str, dialled: Dialled) -> tuple[str, str, str]:
    return (
        f"this machine does not let us connect to {dialled.place}",
        "a firewall here forbids connections outward",
        f"allow TCP to {host} in the firewall of this machine",
    )


def _on(host: str, dialled: Dialled) -> str:
    return f"on {host}, {let_in('', dialled.network if dialled.is_near else '')}"


_SHUT: Final = {
    Outcome.REFUSED: _refused,
    Outcome.SILENT: _silent,
    Outcome.UNREACHABLE: _unreachable,
    Outcome.NO_ROUTE: _no_route,
    Outcome.FORBIDDEN: _forbidden,
}


# -- who is there ---------------------------------------------------------------------------------


def hello(host: str, found: Hello, mesh: str | None, place: str, announced: str) -> Verdict:
    """Judge what answered there.

    Args:
        host: What the user called it.
        found: The answer.
        mesh: The mesh that is wanted; None if any will do.
        place: Address and port that were dialled.
        announced: The node that announces that it listens there; "" if none does.
    """
    check = "node"
    if found.refused:
        cause, _, fix = found.refused.rpartition(": ")
        return Verdict(
            check,
            State.PROBLEM,
            f"the node at {place} does not let nodes of here in",
            cause or found.refused,
            fix if cause else "mend what it says",
        )
    if not found.name and announced:
        return Verdict(
            check,
            State.PROBLEM,
            f"node {announced} listens at {place} and does not answer",
            "it hangs, or its machine is very busy",
            f"end it on {host} and start it anew; its log says what holds it up",
        )
    if not found.name:
        return Verdict(
            check,
            State.PROBLEM,
            f"what listens at {place} does not answer as a node of actormq does",
            "another program has that port, or the node there hangs",
            f"on {host}, look with `ss -ltnp` who has the port; take the port that the node "
            "says when it starts",
        )
    text = f"{found.name} of mesh {found.mesh} answers at {place}"
    if mesh is None and found.mesh != DEFAULT_MESH:
        text += f"; nodes here need --mesh {found.mesh}"
    if mesh is not None and found.mesh != mesh:
        return Verdict(
            check,
            State.PROBLEM,
            text,
            f"it is in mesh {found.mesh!r}, nodes here are in {mesh!r}: these two never talk",
            f"start one of them with the other's --mesh: here with --mesh {found.mesh}",
        )
    return ok(check, text)


def meeting(
    host: str, found: Meeting, dialled: Dialled, intent: Intent, firewall: str
) -> list[Verdict]:
    """Judge whether a node of here and the one there became members of one mesh.

    Args:
        host: What the user called it.
        found: What happened.
        dialled: The way there.
        intent: How nodes are started.
        firewall: Which one runs here; "" if that is not known.
    """
    check = "way back"
    if found.error:
        fix = "mend what the line says, then run this command again"
        return [Verdict(check, State.PROBLEM, "could not be tried", found.error, fix)]
    if not found.there:
        return [
            Verdict(
                check,
                State.PROBLEM,
                "a node of here did not get into the mesh there",
                "the node there let a guest in, and then no member: it is busy, or has just ended",
                "run this command again",
            )
        ]
    if not found.back:
        kind = firewall or "a firewall"
        return [
            Verdict(
                check,
                State.PROBLEM,
                f"{host} cannot reach port {found.port} of this machine",
                f"{kind} here drops or refuses what comes in: in a mesh both sides connect to each "
                "other",
                f"here, {let_in(firewall, dialled.network)}; if only some ports are open, start "
                "nodes and this command with --port PORT",
            )
        ]
    return [ok(check, f"{host} reaches this machine"), _finding(host, found, dialled, intent)]


def _finding(host: str, found: Meeting, dialled: Dialled, intent: Intent) -> Verdict:
    """Say whether they find each other without being told."""
    check = MULTICAST
    if found.by_itself is not None:
        return ok(check, f"nodes here and there find each other, in {seconds(found.by_itself)}")
    if intent.joins:
        return ok(check, "not needed: nodes are told with --join whom to dial")
    join = f"start the nodes here with --join {dialled.place}"
    if found.heard:
        return Verdict(
            check,
            State.WARNING,
            f"{host} is heard here, and yet the nodes met only when told to",
            "announcements are late: a busy network or a busy machine",
            f"run this command again; if it stays so, {join}",
        )
    if not dialled.is_near:
        cause = f"{host} is in another network, and multicast ends at routers"
        return Verdict(check, State.PROBLEM, f"{host} is not heard here", cause, join)
    return Verdict(
        check,
        State.PROBLEM,
        f"{host} is not heard here, though it can be reached",
        f"multicast ({MDNS}) does not get through: a firewall on {host} or here, a guest Wi-Fi or "
        f"access point that keeps its clients apart, or the node there runs with --no-zeroconf",
        f"{join}, one such address is enough; or {let_in('', dialled.network)}, on both machines",
    )


def in_spite(here: Sequence[Verdict], there: Sequence[Sequence[Verdict]]) -> list[Verdict]:
    """Judge this machine anew where its nodes were found by all others that were looked at.

    A firewall here that drops mDNS, say, leaves us heard: the others find us, and dial. Machines
    that are all like this one would not find each other, so it is worth a warning still.

    Args:
        here: The verdicts on this machine.
        there: Those on each of the others.

    Returns:
        The verdicts on this machine.
    """
    are_found = bool(there) and all(
        any(each.check == MULTICAST and each.state is State.OK for each in verdicts)
        for verdicts in there
    )
    return [
        replace(each, state=State.WARNING)
        if are_found and each.state is State.PROBLEM and each.check.startswith(MULTICAST)
        else each
        for each in here
    ]


# -- what comes back ------------------------------------------------------------------------------


def echo(host: str, found: Echo, mtu: int) -> list[Verdict]:
    """Judge messages that were sent there and back.

    Args:
        host: What the user called it.
        found: What came back.
        mtu: Bytes of a packet on the way, as this system believes; 0 if not known.
    """
    check = "messages"
    if not found.is_known:
        text = "not tried: the node there is of a version that does not send any back"
        return [ok(check, text)]
    if found.round_trip is None:
        return [
            Verdict(
                check,
                State.PROBLEM,
                "a small message did not come back",
                "the node there is connected and does not answer: it hangs, or is very busy",
                f"`actormq ps --join` shows what holds it up; end it on {host} and start it anew",
            )
        ]
    believed = f", packets of {mtu} bytes" if mtu else ""
    if not found.large:
        return [
            Verdict(
                check,
                State.PROBLEM,
                f"a small message came back, one of {found.size} bytes did not{believed}",
                "somewhere on the way packets must be smaller (a VPN, a tunnel, PPPoE), and the "
                "notices that say so (ICMP) are blocked",
                "make packets smaller on both machines, `sudo ip link set INTERFACE mtu 1280`, or "
                "`sudo sysctl net.ipv4.tcp_mtu_probing=1`; or let ICMP through the firewall",
            ),
            _clocks(host, found.ahead),
        ]
    text = (
        f"{found.size} bytes there and back{believed}; round trip {found.round_trip * 1e3:.1f} ms"
    )
    slow = Verdict(
        check,
        State.WARNING,
        text,
        "that is long for a local network: a weak Wi-Fi, a VPN, or a busy machine",
        "try a cable",
    )
    return [slow if found.round_trip > SLOW else ok(check, text), _clocks(host, found.ahead)]


def _clocks(host: str, ahead: float) -> Verdict:
    check = "clock"
    if abs(ahead) < CLOCKS_APART:
        return ok(check, f"within {max(abs(ahead), 0.01):.2f} s of this machine's")
    return Verdict(
        check,
        State.WARNING,
        f"{host} is {_span(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} this machine",
        "one of the clocks is not set; a mesh forms all the same, but times in logs do not agree",
        "run `sudo timedatectl set-ntp true` on both",
    )


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
