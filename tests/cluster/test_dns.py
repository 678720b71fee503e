"""A real little DNS server on loopback, and what a node makes of its records."""

import asyncio
import builtins
import contextlib
import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from actormq import Node
from actormq.cluster.dns import LIFE_LEAST, LIFE_MOST, Found, HostNames, NameUnknown
from actormq.seeds import DEFAULT_PORT, DnsName


class Server:
    """Answers from a table, in a thread of its own; what is not in it does not exist.

    `records` holds for a name and a type the time to live and the data.
    """

    def __init__(self):
        self.records = {}
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            data, peer = self._socket.recvfrom(4_096)
            if not data:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(data)), peer)

    def _answer(self, query):
        (question,) = query.question
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        if (name, kind) in self.records:
            life, *values = self.records[name, kind]
            answer.answer.append(dns.rrset.from_text(name, life, "IN", kind, *values))
        elif not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire(max_size=65_000)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def server():
    started = Server()
    yield started
    started.stop()


def asked_at(server, text, port=DEFAULT_PORT):
    return DnsName(text, port, "127.0.0.1", server.port)


async def test_addresses_are_found_with_the_port_that_was_named(server):
    server.records = {
        ("nodes.lab.", "A"): (10, "10.0.0.1", "10.0.0.2"),
        ("nodes.lab.", "AAAA"): (20, "fd00::1"),
    }
    found = await HostNames().records(asked_at(server, "nodes.lab", 7))
    assert set(found.endpoints) == {"tcp://10.0.0.1:7", "tcp://10.0.0.2:7", "tcp://[fd00::1]:7"}
    assert (found.life, found.lacking) == (10.0, "")


async def test_srv_records_bring_ports_of_their_own(server):
    server.records = {
        ("_actormq._tcp.nodes.lab.", "SRV"): (10, "0 0 4711 a.lab.", "0 0 4712 b.lab."),
        ("a.lab.", "A"): (10, "10.0.0.1"),
        ("b.lab.", "AAAA"): (10, "fd00::2"),
        ("nodes.lab.", "A"): (10, "10.0.0.1"),
    }
    found = await HostNames().records(asked_at(server, "nodes.lab"))
    assert set(found.endpoints) == {
        *("tcp://10.0.0.1:4711", "tcp://[fd00::2]:4712"),
        f"tcp://10.0.0.1:{DEFAULT_PORT}",
    }


async def test_a_service_of_kubernetes_is_asked_for_as_it_is_written(server):
    name = "_link._tcp.actormq.default.svc.cluster.local"
    server.records = {
        (f"{name}.", "SRV"): (5, "0 50 28460 10-1-0-7.actormq.default.svc.cluster.local."),
        ("10-1-0-7.actormq.default.svc.cluster.local.", "A"): (5, "10.1.0.7"),
    }
    found = await HostNames().records(asked_at(server, name))
    assert found == Found(("tcp://10.1.0.7:28460",), 5.0)
    assert (f"{name}.", "A") not in server.asked


@pytest.mark.parametrize(("said", "kept"), [(0, LIFE_LEAST), (7, 7.0), (86_400, LIFE_MOST)])
async def test_an_answer_is_kept_as_long_as_it_says_within_bounds(server, said, kept):
    server.records = {("nodes.lab.", "A"): (said, "10.0.0.1")}
    assert (await HostNames().records(asked_at(server, "nodes.lab"))).life == kept


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ({}, "there is no such name"),
        ({("nodes.lab.", "TXT"): (5, "hello")}, "it has no records of nodes"),
        # a service that is decidedly not there: RFC 2782
        ({("_actormq._tcp.nodes.lab.", "SRV"): (5, "0 0 0 .")}, "no such name"),
    ],
)
async def test_what_leads_nowhere_says_so(server, records, says):
    server.records = records
    with pytest.raises(NameUnknown, match=says):
        await HostNames().records(asked_at(server, "nodes.lab"))


async def test_a_name_of_six_hundred_addresses_gives_some_of_them(server):
    every = [f"10.0.{n // 250}.{n % 250}" for n in range(600)]
    server.records = {("nodes.lab.", "A"): (5, *every)}
    found = await HostNames().records(asked_at(server, "nodes.lab", 7))
    assert len(found.endpoints) == 256
    assert set(found.endpoints) <= {f"tcp://{address}:7" for address in every}


@pytest.fixture
def without_dnspython(monkeypatch):
    importing = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "dns":
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


async def test_without_dnspython_the_hosts_resolver_is_asked_and_it_says_what_lacks(
    without_dnspython,
):
    names = HostNames()
    found = await names.records(DnsName("localhost", 7))
    names.close()
    assert "tcp://127.0.0.1:7" in found.endpoints
    assert "SRV records are not asked for" in found.lacking
    assert "pip install 'actormq[dns]'" in found.lacking


@pytest.mark.parametrize("name", [DnsName("_link._tcp.lab"), DnsName("lab", 7, "127.0.0.1")])
async def test_without_dnspython_what_needs_it_says_what_to_install(without_dnspython, name):
    with pytest.raises(NameUnknown, match=r"pip install 'actormq\[dns\]'"):
        await HostNames().records(name)


async def test_a_name_that_nobody_knows_is_said_to_be_unknown():
    names = HostNames()
    with pytest.raises(NameUnknown, match=r"no host of that name|cannot be looked up at present"):
        await names.addresses("nobody.invalid")
    with pytest.raises(NameUnknown, match="no host name"):
        await names.addresses("x" * 200)
    names.close()


async def test_a_look_up_that_hangs_holds_up_nothing(monkeypatch):
    ended = asyncio.Event()
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(30) and [])
    names = HostNames()
    asked = asyncio.ensure_future(names.addresses("bench"))
    asyncio.get_running_loop().call_later(0.01, ended.set)
    await ended.wait()
    assert not asked.done()
    asked.cancel()
    names.close()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    release.set()


async def test_nodes_find_each_other_by_dns_alone_and_who_comes_later_as_well(server, mesh, until):
    first = await mesh.start()
    number = first.address.rpartition(":")[2]
    name = f"nodes.lab@127.0.0.1:{server.port}"
    second = Node(mesh=mesh.name, name="late", discovery=False, dns=[name])
    async with second:
        await until(lambda: ("nodes.lab.", "A") in server.asked)
        assert second.mesh_view.reach.is_joining
        # The port is not the usual one on loopback, so the service says it.
        server.records = {
            ("_actormq._tcp.nodes.lab.", "SRV"): (1, f"0 0 {number} roof.lab."),
            ("roof.lab.", "A"): (1, "127.0.0.1"),
        }
        await until(lambda: [peer.facts.name for peer in second.mesh_view.peers()] == ["n0"])
