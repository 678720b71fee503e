import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.address import ipc_endpoint
from actormq.rules.endpoints import at_host, dialable

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
    ],
)
def test_which_endpoints_are_dialled_and_in_which_order(offered, near, dialled):
    assert dialable(offered, near) == dialled


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
