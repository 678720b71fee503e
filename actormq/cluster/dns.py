"""Names to addresses: those of `--join` by the host's own resolver, those of `--dns` by DNS itself.

The host's resolver (`getaddrinfo`) knows `/etc/hosts`, mDNS names and whatever else the host is set
up for, and blocks, so it runs in threads that nobody waits for.
It says nothing of SRV records, nor how long its answer holds.
DNS is asked with dnspython, an extra; without it the addresses still come from the resolver.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from actormq.seeds import DnsName, is_address, tcp_endpoint
from actormq.threads import Threads

# dnspython is imported where it is used: it is an extra, and takes 0.1 s.
if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

LIFE_LEAST: Final = 2.0  # s that an answer is kept at least: who asks for less floods its server
LIFE_MOST: Final = 30.0  # s that it is kept at most: a pod that came must not wait for an hour
LIFE_UNSAID: Final = 5.0  # s that an answer is kept that does not say how long it holds
DNS_TIMEOUT: Final = 4.0  # s for one question, other servers and tries included
ADDRESSES_LIMIT: Final = 256  # addresses of one name; gossip makes a larger mesh whole from fewer
_TARGETS_LIMIT = 64  # hosts of SRV records whose addresses are asked for
_THREADS = 4  # names that are looked up at a time: a resolver without a network blocks for 10 s

INSTALL = "pip install 'actormq[dns]'"


class NameUnknown(OSError):
    """A name led to no address; says why, in a few words that follow the name."""


class Found(msgspec.Struct, frozen=True):
    """What the records of a name say.

    Attributes:
        endpoints: Where nodes may be, without those of SRV records twice.
        life: How long that holds, in seconds.
        lacking: What could not be asked for, and the way out; "" if all could.
    """

    endpoints: tuple[str, ...]
    life: float
    lacking: str = ""


class Names(Protocol):
    """What turns names into addresses."""

    def known(self, host: str) -> list[str] | None:
        """The addresses of a host that need not be looked up; None where they must."""

    async def addresses(self, host: str) -> list[str]:
        """Look up all addresses of a host, at least one, IPv4 and IPv6.

        Raises:
            NameUnknown: It has none, or nobody could be asked.
        """

    async def records(self, name: DnsName) -> Found:
        """Ask DNS where the nodes behind a name are.

        Raises:
            NameUnknown: It says nothing of them, or nobody could be asked.
        """

    def close(self) -> None:
        """Look up nothing any more."""


class HostNames:
    """The names that this host can look up.

    Source: `Names`, whose methods these are.
    """

    def __init__(self) -> None:
        self._threads: Threads | None = None

    def known(self, host: str) -> list[str] | None:
        """Addresses are known; names are not, for they may move."""
        return [host] if is_address(host) else None

    async def addresses(self, host: str) -> list[str]:
        """Look up all addresses of a host.

        Raises:
            NameUnknown: It has none, or nobody could be asked.
        """
        if self._threads is None:
            self._threads = Threads("actormq-names", limit=_THREADS)
        call = self._threads.submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        try:
            infos = await asyncio.wrap_future(call)
        except (socket.gaierror, UnicodeError) as error:
            raise NameUnknown(_reason(error)) from error
        return list(dict.fromkeys(str(info[4][0]) for info in infos))[:ADDRESSES_LIMIT]

    async def records(self, name: DnsName) -> Found:
        """Ask DNS where the nodes behind a name are.

        Raises:
            NameUnknown: It says nothing of them, or nobody could be asked.
        """
        try:
            import dns.asyncresolver  # noqa: F401, PLC0415 as said above
        except ImportError:
            return await self._without_dnspython(name)
        return await _Question(_resolver(name), name).answer()

    async def _without_dnspython(self, name: DnsName) -> Found:
        for what, is_wanted in (
            ("SRV records", name.is_service),
            ("another DNS server", name.server is not None),
        ):
            if is_wanted:
                raise NameUnknown(f"{what} cannot be asked for without dnspython: {INSTALL}")
        hosts = await self.addresses(name.name)
        lacking = f"its SRV records are not asked for without dnspython: {INSTALL}"
        return Found(tuple(tcp_endpoint(host, name.port) for host in hosts), LIFE_UNSAID, lacking)

    def close(self) -> None:
        """Look up nothing any more; a call that hangs is left behind."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def bounded(life: float) -> float:
    """How long to keep an answer that says it holds for `life` seconds."""
    return min(max(life, LIFE_LEAST), LIFE_MOST)


def _reason(error: Exception) -> str:
    """What a failed look-up means to whoever wrote the name."""
    if isinstance(error, UnicodeError):
        return "that is no host name"
    assert isinstance(error, socket.gaierror)
    if error.errno == socket.EAI_AGAIN:
        return "the name cannot be looked up at present: no DNS server answers"
    return "no host of that name is known"


def _resolver(name: DnsName) -> Resolver:
    """What asks the servers of the host, or the one that was named."""
    import dns.asyncresolver  # noqa: PLC0415 as said above
    import dns.resolver  # noqa: PLC0415

    try:
        resolver = dns.asyncresolver.Resolver(configure=name.server is None)
    except dns.resolver.NoResolverConfiguration as error:
        raise NameUnknown("this host is set up for no DNS server: name one, NAME@SERVER") from error
    if name.server is not None:
        resolver.nameservers = [name.server]
        resolver.port = name.server_port
    resolver.lifetime = DNS_TIMEOUT
    return resolver


class _Question:
    """All that is asked of DNS for one name, and what came of it.

    Args:
        resolver: Asks the servers.
        name: The name.
    """

    def __init__(self, resolver: Resolver, name: DnsName) -> None:
        self._resolver = resolver
        self._name = name
        self._lives: list[float] = []
        self._why: list[str] = []

    async def answer(self) -> Found:
        """Ask for everything at once.

        Raises:
            NameUnknown: Nothing was found.
        """
        name = self._name
        asked = [self._services(name.services)]
        if not name.is_service:
            asked.append(self._hosts(name.name, name.port))
        parts = await asyncio.gather(*asked)
        endpoints = list(dict.fromkeys(endpoint for part in parts for endpoint in part))
        if not endpoints:
            raise NameUnknown(self._why[-1] if self._why else "it has no records of nodes")
        if len(endpoints) > ADDRESSES_LIMIT:
            endpoints = random.sample(endpoints, ADDRESSES_LIMIT)  # so that all are found by some
        return Found(tuple(endpoints), bounded(min(self._lives)))

    async def _services(self, name: str) -> list[str]:
        records = (await self._ask(name, "SRV"))[:_TARGETS_LIMIT]
        hosts = [self._hosts(record.target.to_text(), record.port) for record in records]
        return _joined(await asyncio.gather(*hosts))

    async def _hosts(self, name: str, port: int) -> list[str]:
        v4, v6 = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"))
        return [tcp_endpoint(record.address, port) for record in (*v4, *v6) if port]

    async def _ask(self, name: str, kind: str) -> list[Any]:
        """Ask for one kind of record; there may be none."""
        import dns.exception  # noqa: PLC0415 as said above
        import dns.resolver  # noqa: PLC0415

        try:
            answer = await self._resolver.resolve(name, kind, search=True)
        except dns.resolver.NXDOMAIN:
            self._why.append("there is no such name")
        except dns.resolver.NoAnswer:
            self._why.append("it has no records of nodes")
        except (dns.exception.DNSException, OSError):
            self._why.append("no DNS server answers")
        else:
            self._lives.append(float(answer.rrset.ttl) if answer.rrset is not None else LIFE_UNSAID)
            return list(answer)
        return []


def _joined(parts: Iterable[list[str]]) -> list[str]:
    return [endpoint for part in parts for endpoint in part]
