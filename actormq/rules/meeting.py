"""Where the sockets of topology files meet, as far as it is sure before any of them opens.

Files may run on different machines. Sockets of one file are on one machine. So are those of files
whose nodes share a mesh and keep to their own machine, for else the nodes would never meet.
Anything else that hangs on one machine (loopback, ipc, `tcp://*`) is judged within a file only.
An endpoint that is settled as its actor starts meets nothing here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SocketPlan:
    """One socket as a topology file has it.

    Attributes:
        file: The file, as the user named it.
        mesh: The mesh of its node.
        is_local: Whether its node keeps to its own machine.
        actor: The actor's name.
        owner: The actor's class, `module:Class`.
        attribute: The socket's name within the actor.
        kind: The socket type, such as `PUSH`.
        service: The service it belongs to.
        is_binder: Whether it is the end that binds, for its service or at endpoints of its own.
        bind: Endpoints that it binds, as far as they are known; `{name}` stands for what is not.
        connect: Endpoints that it connects to, likewise.
        codec: `msgpack`, `text` or `raw`; None if it passes on whatever comes.
        is_subscribed: Whether a SUB has a subscription; None if that cannot be seen.
        is_answered: Whether a ROUTER sends anything; None if that cannot be seen.
    """

    file: str
    mesh: str
    is_local: bool
    actor: str
    owner: str
    attribute: str
    kind: str
    service: str | None = None
    is_binder: bool = False
    bind: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    codec: str | None = "msgpack"
    is_subscribed: bool | None = None
    is_answered: bool | None = None


_ANY = "*"
_OWN = "127.0.0.1"
_HOSTS = {"0.0.0.0": _ANY, "[::]": _ANY, "localhost": _OWN}  # noqa: S104 compared, not bound
_PLACES = ("tcp", "ipc", "inproc")  # not epgm: a group has no ends that bind


@dataclass(frozen=True, slots=True)
class End:
    """A socket at one endpoint.

    Attributes:
        plan: The socket.
        endpoint: The endpoint as written.
        scheme: `tcp`, `ipc` or `inproc`.
        host: The host as `_HOSTS` unites them; of ipc and inproc the name.
        port: The port; of ipc and inproc nothing.
    """

    plan: SocketPlan
    endpoint: str
    scheme: str
    host: str
    port: str

    @property
    def is_here(self) -> bool:
        """Whether it means the machine that it runs on, whichever that is."""
        is_own = self.host == _ANY or _is_loopback(self.host)
        return self.scheme == "ipc" or (self.scheme == "tcp" and is_own)


def ends(plan: SocketPlan, endpoints: Iterable[str]) -> Iterator[End]:
    """Those endpoints of a socket that say where they are."""
    for endpoint in endpoints:
        scheme, _, place = endpoint.partition("://")
        if scheme not in _PLACES or "{" in endpoint or place == "*":
            continue
        if scheme != "tcp":
            yield End(plan, endpoint, scheme, place, "")
            continue
        host, _, port = place.rpartition(";")[2].lower().rpartition(":")
        if port.isdecimal() and int(port):  # a port that the system chooses is nobody else's
            yield End(plan, endpoint, scheme, _HOSTS.get(host, host), str(int(port)))


def _are_on_one_machine(one: SocketPlan, other: SocketPlan) -> bool:
    """Say whether two sockets are sure to be on one machine."""
    both_local = one.is_local and other.is_local
    return one.file == other.file or (both_local and one.mesh == other.mesh)


def is_same_place(one: End, other: End) -> bool:
    """Say whether two ends of a kind, two that connect, are sure to mean the same place."""
    if (one.scheme, one.host, one.port) != (other.scheme, other.host, other.port):
        return False
    if one.scheme == "inproc":
        return one.plan.file == other.plan.file
    return _are_on_one_machine(one.plan, other.plan) if one.is_here else True


def is_met(binder: End, connector: End) -> bool:
    """Say whether an end that connects is sure to meet one that binds."""
    if is_same_place(binder, connector):
        return True
    if (binder.scheme, binder.port) != ("tcp", connector.port) or not connector.is_here:
        return False
    # What binds `*` is reached at all of loopback (0.0.0.0 not at [::1]), what connects to `*`
    # reaches 127.0.0.1.
    binds_all = binder.host == _ANY and "[" not in connector.host
    is_reached = binds_all or (binder.host, connector.host) == (_OWN, _ANY)
    return is_reached and _are_on_one_machine(binder.plan, connector.plan)


def is_clash(one: End, other: End) -> bool:
    """Say whether two ends cannot both bind.

    Across files only loopback and ipc are sure: with `tcp://*` the files are most likely meant
    for two machines. An address of a network belongs to one machine wherever it is written.
    """
    if (one.scheme, one.port) != (other.scheme, other.port):
        return False
    if one.plan.file == other.plan.file:
        covers_ipv6 = "[" in one.host + other.host  # 0.0.0.0 leaves [::1] to others
        return one.host == other.host or (_ANY in (one.host, other.host) and not covers_ipv6)
    if one.host != other.host or one.host == _ANY:
        return False
    if one.is_here:
        return _are_on_one_machine(one.plan, other.plan)
    return one.scheme == "tcp" and _is_address(one.host)


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
