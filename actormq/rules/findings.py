"""What `actormq doctor` finds out about a machine and about others: plain facts, judged elsewhere.

`doctor/` gathers them with real packets and real nodes, `diagnosis.py` and `distance.py` judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Intent:
    """How the nodes are started that are meant to find each other.

    Attributes:
        mesh: The name of their mesh; None if nobody said.
        lan: Whether they are open to the network, as with `--insecure-lan`.
        joins: Whether they are told with `--join` whom to dial, and can do without multicast.
        scope: Who may reach them, as they announce it.
        protocol: The version of the protocol that this installation speaks.
    """

    mesh: str | None
    lan: bool
    joins: bool
    scope: str
    protocol: int


# -- this machine ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface that is up.

    Attributes:
        name: Its name.
        addresses: Its addresses, each with the length of its network: `10.77.0.1/24`.
        mtu: Bytes of the largest packet.
        multicast: Whether it does multicast at all; VPNs and tunnels often do not.
        index: Its number.
    """

    name: str
    addresses: tuple[str, ...]
    mtu: int
    multicast: bool
    index: int = 0

    @property
    def is_loopback(self) -> bool:
        """Whether it leads nowhere but here."""
        return any(address.startswith(("127.", "::1/")) for address in self.addresses)


@dataclass(frozen=True, slots=True)
class Multicast:
    """A packet that was sent to the group of mDNS on one interface, and listened for.

    Attributes:
        interface: The interface's name.
        family: `IPv4` or `IPv6`.
        heard: Whether it came back.
        error: What stood in the way of sending or listening; "" if nothing did.
    """

    interface: str
    family: str
    heard: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Whether UDP port 5353, that of mDNS, can be used beside other programs.

    Attributes:
        error: Why not; "" if it can.
        holder: The program that has it for itself; "" if that is not known.
    """

    error: str = ""
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two nodes that were started here to see whether they find each other.

    Attributes:
        seconds: Until each had the other; None if that did not happen.
        error: Why a node could not start; "" if it could.
    """

    seconds: float | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Open files and sockets of a process, counts.

    Attributes:
        most: How many it may have; a node lifts its own limit to this one.
        used: How many a process has before it starts a node.
    """

    most: int
    used: int


@dataclass(frozen=True, slots=True)
class OwnName:
    """What this machine is called, and what that name leads to here."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A node that announces itself by mDNS.

    Attributes:
        name: Its name.
        node: Its id.
        mesh: Its mesh.
        scope: Who may reach it.
        protocol: The version of the protocol that it speaks.
        endpoints: Where it can be dialled.
        is_here: Whether it runs on this machine.
    """

    name: str
    node: str
    mesh: str
    scope: str
    protocol: int
    endpoints: tuple[str, ...]
    is_here: bool


# -- another machine ------------------------------------------------------------------------------


class Outcome(StrEnum):
    """What became of a TCP connection."""

    OPEN = "open"
    REFUSED = "refused"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    NO_ROUTE = "no route"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Dialled:
    """A TCP connection that was tried.

    Attributes:
        address: Of the other machine.
        port: Of the other machine.
        outcome: What became of it.
        source: Our own address on the way; "" if there is no way.
        network: Our network on that interface, as `10.77.0.0/24`; "" if not known.
        interface: Our interface on the way; "" if not known.
        is_near: Whether the address is in that network, so that no router is between.
        is_there: Whether the other machine answers on the wire (ARP); None if not known.
        mtu: Bytes of the largest packet on that way, as the system believes; 0 if not known.
    """

    address: str
    port: int
    outcome: Outcome
    source: str = ""
    network: str = ""
    interface: str = ""
    is_near: bool = False
    is_there: bool | None = None
    mtu: int = 0

    @property
    def place(self) -> str:
        """The address and the port, as `--join` takes them."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Hello:
    """What answered a guest's hello.

    Attributes:
        name: The node's name; "" if none let us in.
        node: Its id.
        mesh: Its mesh.
        scope: Who may reach it.
        refused: The sentence with which it did not let us in.
    """

    name: str = ""
    node: str = ""
    mesh: str = ""
    scope: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A node started here, and one elsewhere: whether they became members of one mesh.

    Attributes:
        by_itself: Seconds until they were, by mDNS alone; None if they were not.
        there: Whether ours reached the other.
        back: Whether the other reached ours.
        heard: Whether the other's announcement was heard here.
        port: The port on which ours listened.
        error: Why ours could not start; "" if it could.
    """

    by_itself: float | None
    there: bool
    back: bool
    heard: bool
    port: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Echo:
    """Messages that the other node sent back.

    Attributes:
        round_trip: Seconds that a small one took; None if it did not come back.
        ahead: Seconds by which the other's clock is ahead of ours.
        size: Bytes of the large one.
        large: Whether the large one came back.
        is_known: Whether the other node knows how to send something back.
    """

    round_trip: float | None
    ahead: float = 0.0
    size: int = 0
    large: bool = False
    is_known: bool = True
