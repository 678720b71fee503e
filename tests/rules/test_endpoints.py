import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.address import ipc_endpoint
from actormq.rules.endpoints import (
    DIALLED_LIMIT,
    OFFERED_LIMIT,
    Interface,
    at_host,
    dialable,
    has_link_local,
    moved,
    offered,
    zones,
)

IPC = ipc_endpoint("0123456789abcdef")
DOCKER = "ipc:///run/docker.sock"
LOOP, LOOP6, NAMED = "tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1"
LAN, LAN6 = "tcp://192.168.1.20:1", "tcp://[fd00::1]:1"


@pytest.mark.parametrize(
    ("offered", "near", "dialled"),
    [
        # on this host: ipc first, then loopback, then the rest
        ([LAN, LOOP, IPC], True, [IPC, LOOP, LAN]),
        ([LOOP6, NAMED, LAN6], True, [LOOP6, NAMED, LAN6]),
        # on another host: its loopback and its ipc are not ours
        ([IPC, LOOP, LAN, LAN6], False, [LAN, LAN6]),
        ([IPC, LOOP], False, []),
        # not known: loopback only where there is nothing else
        ([IPC, LOOP, LAN], None, [IPC, LAN]),
        ([IPC, LOOP], None, [IPC, LOOP]),
        # an ipc name that is not one of ours could be any program's socket
        ([DOCKER, LOOP], True, [LOOP]),
        ([DOCKER, ipc_endpoint("x/../../run/docker.sock")], None, []),
        # what is no endpoint for a link
        (["inproc://x", "udp://1.2.3.4:1", "", "tcp"], True, []),
        ([], True, []),
        # what is said twice is dialled once
        ([LAN, LAN, LOOP, LOOP], True, [LOOP, LAN]),
    ],
)
def test_which_endpoints_are_dialled_and_in_which_order(offered, near, dialled):
    assert dialable(offered, near) == dialled


LOCAL = "tcp://[fe80::1]:1"


@pytest.mark.parametrize(
    ("offered", "behind", "dialled"),
    [
        (
            [LOCAL, LAN],
            ["eth0", "wlan0"],
            [LAN, "tcp://[fe80::1%eth0]:1", "tcp://[fe80::1%wlan0]:1"],
        ),
        ([LOCAL, LAN], [], [LAN]),
        # what an interface is called elsewhere means nothing here
        (["tcp://[fe80::1%enp3s0]:1"], ["eth0"], ["tcp://[fe80::1%eth0]:1"]),
        (["tcp://[FE80::1]:1"], ["eth0"], ["tcp://[FE80::1%eth0]:1"]),
        ([LAN6], ["eth0"], [LAN6]),
    ],
)
def test_a_link_local_address_is_dialled_behind_each_interface_and_last(offered, behind, dialled):
    assert dialable(offered, near=False, behind=behind) == dialled
    assert has_link_local(offered) == (LAN6 not in offered)


def test_a_thousand_endpoints_are_not_dialled():
    many = [f"tcp://10.0.{n // 250}.{n % 250}:1" for n in range(1_000)]
    assert dialable(many, near=False) == many[:DIALLED_LIMIT]


ETH = Interface("eth0", ("192.168.1.20", "fd00::1", "fe80::1"))
DOCKER_BRIDGE = Interface("docker0", ("172.17.0.1", "fe80::2"))
CONTAINER = Interface("veth12ab", ("fe80::3",), is_port=True)
LO = Interface("lo", ("127.0.0.1", "::1"))
VPN = Interface("tun0", ("10.8.0.2",))


@pytest.mark.parametrize(
    ("interfaces", "addresses"),
    [
        ([LO], ["127.0.0.1"]),
        ([LO, ETH], ["192.168.1.20", "[fd00::1]", "[fe80::1]", "127.0.0.1"]),
        # networks inside the host come late: each host has the same
        (
            [LO, CONTAINER, DOCKER_BRIDGE, VPN, ETH],
            [
                *("10.8.0.2", "192.168.1.20", "[fd00::1]", "172.17.0.1"),
                *("[fe80::1]", "[fe80::2]", "127.0.0.1"),
            ],
        ),
        # a cable between two hosts and nothing else
        ([LO, Interface("eth0", ("fe80::1",))], ["[fe80::1]", "127.0.0.1"]),
        ([], ["127.0.0.1"]),
    ],
)
def test_which_addresses_are_offered_and_in_which_order(interfaces, addresses):
    assert offered(interfaces) == addresses


def test_a_host_of_a_hundred_networks_offers_the_best_of_them():
    bridges = [Interface(f"br-{n:012x}", (f"172.18.{n}.1",)) for n in range(100)]
    found = offered([LO, *bridges, ETH])
    assert found[:2] == ["192.168.1.20", "[fd00::1]"]
    assert found[-1] == "127.0.0.1"
    assert len(found) == OFFERED_LIMIT


def test_link_local_peers_are_looked_for_behind_interfaces_that_have_such_an_address():
    assert zones([LO, ETH, VPN, CONTAINER, DOCKER_BRIDGE]) == ["eth0", "docker0"]


def test_new_addresses_keep_the_port_and_ipc():
    old = (IPC, "tcp://192.168.1.20:4711", "tcp://127.0.0.1:4711")
    new = moved(old, ["10.0.0.5", "[fd00::5]", "127.0.0.1"])
    assert new == (
        *(IPC, "tcp://10.0.0.5:4711", "tcp://[fd00::5]:4711"),
        "tcp://127.0.0.1:4711",
    )
    assert moved(new, ["192.168.1.20", "127.0.0.1"]) == old


endpoints = st.sampled_from([IPC, DOCKER, LOOP, LOOP6, NAMED, LAN, LAN6, "inproc://x"]) | st.text()


@given(offered=st.lists(endpoints), near=st.sampled_from([True, False, None]))
def test_nothing_is_dialled_that_was_not_offered(offered, near):
    assert set(dialable(offered, near)) <= set(offered)


@pytest.mark.parametrize(
    ("announced", "link", "endpoint"),
    [
        ("tcp://*:5556", "tcp://192.168.1.20:4711", "tcp://192.168.1.20:5556"),
        ("tcp://*:5556", "tcp://[fd00::1]:4711", "tcp://[fd00::1]:5556"),
        ("tcp://*:5556", IPC, "tcp://127.0.0.1:5556"),
        ("tcp://*:5556", "", "tcp://127.0.0.1:5556"),
        ("tcp://192.168.1.9:5556", "tcp://192.168.1.20:4711", "tcp://192.168.1.9:5556"),
        (IPC, "tcp://192.168.1.20:4711", IPC),
    ],
)
def test_a_star_stands_for_the_host_at_which_the_peer_answered(announced, link, endpoint):
    assert at_host(announced, link) == endpoint
