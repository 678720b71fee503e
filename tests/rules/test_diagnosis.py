"""What facts about this machine come to, and that each problem says its cause and a way out."""

import pytest

from actormq.rules import diagnosis
from actormq.rules.diagnosis import State, Verdict, let_in, would_form
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

LO = Interface("lo", ("127.0.0.1/8", "::1/128"), 65_536, multicast=True)
ETH = Interface("eth0", ("10.77.0.1/24", "fd77::1/64"), 1_500, multicast=True)
VPN = Interface("tun0", ("10.8.0.2/24",), 1_400, multicast=False)
BARE = Interface("eth0", ("169.254.7.7/16", "fe80::1/64"), 1_500, multicast=True)
TIGHT = Interface("eth0", ("10.77.0.1/24",), 576, multicast=True)
V6 = Interface("eth0", ("fd77::1/64",), 1_500, multicast=True)

HERE = Intent(None, lan=False, joins=False, scope="loopback:7", protocol=1)
LAN = Intent(None, lan=True, joins=False, scope="lan", protocol=1)
JOINS = Intent(None, lan=True, joins=True, scope="lan", protocol=1)


def heard(interface, family="IPv4"):
    return Multicast(interface, family, heard=True)


def lost(interface, family="IPv4", error=""):
    return Multicast(interface, family, heard=False, error=error)


def seen(mesh="home", scope="lan", protocol=1, *, is_here=False):
    endpoints = ("ipc://@x", "tcp://10.77.0.2:4711")
    return Seen("roof", "ab" * 8, mesh, scope, protocol, endpoints, is_here)


def is_told(verdict):
    """A verdict that is not ok says why and what to do, in one line each."""
    texts = (verdict.found, verdict.cause, verdict.fix)
    if verdict.state is State.OK:
        assert texts[1:] == ("", "")
    else:
        assert all(texts)
    assert all(text.isprintable() for text in texts)
    return True


@pytest.mark.parametrize(
    ("found", "lan", "state", "cause"),
    [
        ([ETH, LO], True, "ok", ""),
        ([V6, LO], True, "ok", ""),
        ([LO], False, "ok", ""),
        ([LO], True, "problem", "no address in any network"),
        ([ETH], False, "problem", "loopback interface is down"),
        ([], True, "problem", "loopback interface is down"),
        ([BARE, LO], True, "warning", "no router or DHCP server"),
        ([BARE, LO], False, "ok", ""),
        ([BARE, ETH, LO], True, "ok", ""),
        ([TIGHT, LO], True, "warning", "packets of 576 bytes only"),
    ],
)
def test_interfaces(found, lan, state, cause):
    verdict = diagnosis.interfaces(found, lan=lan)
    assert (verdict.state, cause in verdict.cause) == (state, True)
    assert is_told(verdict)


@pytest.mark.parametrize(
    ("probes", "found", "intent", "expected"),
    [
        ([heard("eth0"), heard("lo")], [ETH, LO], LAN, {"multicast eth0": "ok"}),
        ([heard("eth0"), heard("lo")], [ETH, LO], HERE, {"multicast lo": "ok"}),
        ([lost("eth0"), heard("lo")], [ETH, LO], LAN, {"multicast eth0": "problem"}),
        ([lost("eth0"), heard("lo")], [ETH, LO], JOINS, {"multicast eth0": "warning"}),
        ([lost("eth0"), heard("lo")], [ETH, LO], HERE, {"multicast lo": "ok"}),
        # one family is enough for an interface, and one interface for a mesh
        ([lost("eth0"), heard("eth0", "IPv6")], [ETH, LO], LAN, {"multicast eth0": "ok"}),
        (
            [heard("eth0"), lost("tun0", error="No such device")],
            [ETH, VPN, LO],
            LAN,
            {"multicast eth0": "ok", "multicast tun0": "warning"},
        ),
        ([lost("tun0")], [VPN, LO], LAN, {"multicast tun0": "problem"}),
        ([lost("eth0", error="Network is unreachable")], [ETH], LAN, {"multicast eth0": "problem"}),
    ],
)
def test_multicast(probes, found, intent, expected):
    verdicts = diagnosis.multicast(probes, found, intent, "")
    assert {verdict.check: verdict.state for verdict in verdicts} == expected
    assert all(map(is_told, verdicts))


def test_a_packet_that_does_not_come_back_is_the_firewall_that_runs():
    (verdict,) = diagnosis.multicast([lost("eth0")], [ETH, LO], LAN, "ufw")
    assert "(ufw) drops UDP port 5353" in verdict.cause
    assert verdict.fix == "run `sudo ufw allow from 10.77.0.0/24`"


@pytest.mark.parametrize(
    ("kind", "network", "words"),
    [
        ("ufw", "10.77.0.0/24", ["`sudo ufw allow from 10.77.0.0/24`"]),
        ("firewalld", "fd77::/64", ["--add-source=fd77::/64", "--permanent"]),
        ("", "10.77.0.1/24", ["ufw", "firewalld", "10.77.0.0/24", "UDP port 5353"]),
        ("", "", ["192.168.1.0/24"]),
    ],
)
def test_how_to_let_nodes_in(kind, network, words):
    text = let_in(kind, network)
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("verdict", "state", "words"),
    [
        (diagnosis.sharing(Sharing(), joins=False), "ok", ""),
        (diagnosis.sharing(Sharing("in use", "dnsmasq"), joins=False), "problem", "dnsmasq"),
        (diagnosis.sharing(Sharing("in use"), joins=True), "warning", "another program"),
        (diagnosis.pair(Pair(0.25), joins=False), "ok", "0.25 s"),
        (diagnosis.pair(Pair(None), joins=False), "problem", "did not find each other"),
        (diagnosis.pair(Pair(None), joins=True), "warning", "did not find each other"),
        (diagnosis.pair(Pair(None, "no more sockets"), joins=True), "problem", "no more sockets"),
        (diagnosis.descriptors(Descriptors(20_000, 9)), "ok", "20000"),
        (diagnosis.descriptors(Descriptors(256, 9)), "warning", "about 23 other nodes"),
        (diagnosis.descriptors(Descriptors(136, 9)), "problem", "136"),
        (diagnosis.descriptors(Descriptors(20_000, 19_990)), "problem", "19990 are"),
        (diagnosis.clock(0.0), "warning", "1970-01-01 00:00 UTC"),
        (diagnosis.clock(1_800_000_000.0), "ok", "2027-01-15"),
        (diagnosis.own_name(OwnName("roof", ("127.0.1.1",))), "ok", "roof is 127.0.1.1"),
        (diagnosis.own_name(OwnName("roof", ())), "warning", "'roof'"),
        (diagnosis.own_port(4711, [], is_free=True), "ok", "is free"),
        (
            diagnosis.own_port(4711, [seen(is_here=True)], is_free=False),
            "ok",
            "roof, which runs here",
        ),
        (diagnosis.own_port(4711, [seen()], is_free=False), "problem", "cannot be bound"),
        (
            diagnosis.own_port(4712, [seen(is_here=True)], is_free=False),
            "problem",
            "cannot be bound",
        ),
        *((verdict, "ok", "ufw runs") for verdict in diagnosis.firewall("ufw")),
    ],
)
def test_this_machine(verdict, state, words):
    assert (verdict.state, words in f"{verdict.found} {verdict.cause}") == (state, True)
    assert is_told(verdict)


def test_no_firewall_is_not_spoken_of():
    assert diagnosis.firewall("") == []


def test_a_mesh_forms_unless_there_is_a_problem():
    verdicts = [Verdict("a", State.OK, "b"), Verdict("a", State.WARNING, "b", "c", "d")]
    assert would_form(verdicts)
    assert not would_form([*verdicts, Verdict("a", State.PROBLEM, "b", "c", "d")])
