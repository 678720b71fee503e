"""What `--join` and `--dns` take: places and names that somebody wrote by hand."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from actormq.errors import SetupError

DEFAULT_PORT = 28_460
"""The port of nodes that are open to the LAN: below the ports that systems hand out, and unassigned
(IANA has 28241 to 28588 free). The first node of a host takes it, the next ones take free ones."""

DNS_PORT = 53  # RFC 1035

_NAME = re.compile(r"(?!-)[\w.-]{1,253}")  # a host's; what DNS cannot hold is found out by asking
_PORT_LIMIT = 65535
_PLACE_EXAMPLE = "take roof, roof:4711, 192.168.1.20:4711 or [fd00::1]:4711"
_DNS_EXAMPLE = "take actormq.default.svc.cluster.local, NAME:PORT or NAME@SERVER:PORT"


class Place(msgspec.Struct, frozen=True):
    """A node that somebody named.

    Attributes:
        host: A host name or an address, IPv6 without brackets.
        port: Its TCP port; None where none was named.
    """

    host: str
    port: int | None


class DnsName(msgspec.Struct, frozen=True):
    """A name whose records say where nodes are.

    Attributes:
        name: The name; one that begins with `_` has SRV records only.
        port: The port of the nodes whose addresses it has; SRV records bring their own.
        server: The address of the server to ask; None for those that the host asks.
        server_port: Its UDP and TCP port.
    """

    name: str
    port: int = DEFAULT_PORT
    server: str | None = None
    server_port: int = DNS_PORT

    @property
    def services(self) -> str:
        """The name whose SRV records are asked for."""
        return self.name if self.is_service else f"_actormq._tcp.{self.name}"

    @property
    def is_service(self) -> bool:
        """Whether it has SRV records and no addresses."""
        return self.name.startswith("_")


def place_of(text: str) -> Place:
    """Read `HOST` or `HOST:PORT`; an IPv6 address stands in brackets.

    Raises:
        SetupError: It is neither.
    """
    parts = _split(text.removeprefix("tcp://"))
    if parts is None:
        raise SetupError(f"{text!r} is no HOST or HOST:PORT: {_PLACE_EXAMPLE}")
    return Place(*parts)


def dns_name_of(text: str) -> DnsName:
    """Read `NAME`, `NAME:PORT`, and either with `@SERVER` or `@SERVER:PORT` behind it.

    Raises:
        SetupError: It is none of them.
    """
    name, at, server = text.partition("@")
    parts = _split(name)
    served = _split(server) if at else (None, None)
    if parts is None or served is None or is_address(parts[0]):
        raise SetupError(f"{text!r} is no name for DNS: {_DNS_EXAMPLE}")
    if served[0] is not None and not is_address(served[0]):
        raise SetupError(f"{text!r}: the DNS server is named by its address, such as @10.0.0.53")
    return DnsName(parts[0], parts[1] or DEFAULT_PORT, served[0], served[1] or DNS_PORT)


def is_address(host: str) -> bool:
    """Whether it is an IPv4 or IPv6 address and no name, a scope such as `%eth0` allowed."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def tcp_endpoint(host: str, port: int) -> str:
    """The endpoint of a host's port; an IPv6 address gets its brackets."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _split(text: str) -> tuple[str, int | None] | None:
    """Split into host and port; None if they cannot be."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        is_right = bool(bracket) and ":" in host and is_address(host)
    else:
        host, colon, port = text.partition(":")
        rest = colon + port
        # A number alone is a port that lacks its host; the resolver would make 0.0.18.103 of it.
        is_right = _NAME.fullmatch(host) is not None and not host.isdecimal()
    if not is_right:
        return None
    if not rest:
        return host, None
    number = rest.removeprefix(":")
    if not rest.startswith(":") or not number.isascii() or not number.isdecimal():
        return None
    return (host, int(number)) if 0 < int(number) <= _PORT_LIMIT else None
