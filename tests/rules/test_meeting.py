"""Which endpoints are sure to be one place, within a file and across files."""

import dataclasses

import pytest

from actormq.rules.meeting import SocketPlan, ends, is_clash, is_met, is_same_place

HERE = SocketPlan(
    file="a.toml",
    mesh="home",
    is_local=True,
    actor="one",
    owner="gadgets:One",
    attribute="feed",
    kind="PUB",
)
SAME_FILE = dataclasses.replace(HERE, actor="two")
SAME_MESH = dataclasses.replace(SAME_FILE, file="b.toml")
OTHER_MESH = dataclasses.replace(SAME_MESH, mesh="lab")
OPEN = dataclasses.replace(SAME_MESH, is_local=False)
WHERE = [SAME_FILE, SAME_MESH, OTHER_MESH, OPEN]


def end(plan, endpoint):
    (found,) = ends(plan, [endpoint])
    return found


def where(is_so):
    """For which of WHERE something holds, as letters: same (f)ile, (m)esh, other mesh, (o)pen."""
    return "".join(letter for letter, plan in zip("fmxo", WHERE, strict=True) if is_so(plan))


@pytest.mark.parametrize(
    ("bound", "connected", "meet"),
    [
        ("tcp://*:5556", "tcp://127.0.0.1:5556", "fm"),
        ("tcp://*:5556", "tcp://localhost:5556", "fm"),
        ("tcp://*:5556", "tcp://127.0.0.2:5556", "fm"),
        ("tcp://*:5556", "tcp://LOCALHOST:05556", "fm"),
        ("tcp://0.0.0.0:5556", "tcp://127.0.0.1:5556", "fm"),
        ("tcp://[::]:5556", "tcp://127.0.0.1:5556", "fm"),
        ("tcp://127.0.0.1:5556", "tcp://localhost:5556", "fm"),
        ("tcp://localhost:5556", "tcp://127.0.0.1:5556", "fm"),
        ("tcp://127.0.0.1:5556", "tcp://0.0.0.0:5556", "fm"),
        ("tcp://[::1]:5556", "tcp://[::1]:5556", "fm"),
        ("tcp://*:5556", "tcp://[::1]:5556", ""),  # 0.0.0.0 is not reached there
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.2:5556", ""),
        ("tcp://127.0.0.2:5556", "tcp://*:5556", ""),
        ("tcp://*:5556", "tcp://127.0.0.1:5557", ""),
        # a name or an address of the network may be any machine's, but the same is the same
        ("tcp://*:5556", "tcp://192.168.1.20:5556", ""),
        ("tcp://*:5556", "tcp://roof:5556", ""),
        ("tcp://192.168.1.20:5556", "tcp://192.168.1.20:5556", "fmxo"),
        ("tcp://192.168.1.20:5556", "tcp://eth0;192.168.1.20:5556", "fmxo"),
        ("tcp://192.168.1.20:5556", "tcp://127.0.0.1:5556", ""),
        ("ipc:///tmp/feed", "ipc:///tmp/feed", "fm"),
        ("ipc://@feed", "ipc://@feed", "fm"),
        ("ipc:///tmp/feed", "ipc:///tmp/food", ""),
        ("ipc://feed", "inproc://feed", ""),
        ("inproc://feed", "inproc://feed", "f"),
        ("inproc://127.0.0.1", "inproc://127.0.0.1", "f"),
    ],
)
def test_who_connects_meets_who_binds(bound, connected, meet):
    assert where(lambda plan: is_met(end(HERE, bound), end(plan, connected))) == meet
    assert where(lambda plan: is_met(end(plan, bound), end(HERE, connected))) == meet


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("tcp://*:5556", "tcp://*:5556", "f"),
        ("tcp://*:5556", "tcp://0.0.0.0:5556", "f"),
        ("tcp://*:5556", "tcp://127.0.0.1:5556", "f"),
        ("tcp://*:5556", "tcp://192.168.1.20:5556", "f"),
        ("tcp://*:5556", "tcp://eth0:5556", "f"),
        ("tcp://*:5556", "tcp://[::1]:5556", ""),
        ("tcp://127.0.0.1:5556", "tcp://localhost:5556", "fm"),
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.2:5556", ""),
        ("tcp://127.0.0.1:5556", "tcp://[::1]:5556", ""),
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5557", ""),
        ("tcp://192.168.1.20:5556", "tcp://192.168.1.20:5556", "fmxo"),
        ("tcp://192.168.1.20:5556", "tcp://192.168.1.21:5556", ""),
        ("tcp://eth0:5556", "tcp://eth0:5556", "f"),
        ("ipc:///tmp/feed", "ipc:///tmp/feed", "fm"),
        ("ipc:///tmp/feed", "ipc:///tmp/food", ""),
        ("inproc://feed", "inproc://feed", "f"),
        ("inproc://127.0.0.1", "inproc://127.0.0.1", "f"),
    ],
)
def test_two_cannot_bind_the_same(one, other, clash):
    assert where(lambda plan: is_clash(end(HERE, one), end(plan, other))) == clash
    assert where(lambda plan: is_clash(end(plan, other), end(HERE, one))) == clash


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("tcp://roof:5556", "tcp://Roof:5556", "fmxo"),
        ("tcp://roof:5556", "tcp://cellar:5556", ""),
        ("tcp://192.168.1.20:5556", "tcp://192.168.1.20:5557", ""),
        ("tcp://127.0.0.1:5556", "tcp://localhost:5556", "fm"),
        ("tcp://127.0.0.2:5556", "tcp://127.0.0.2:5556", "fm"),
        ("ipc://feed", "ipc://feed", "fm"),
        ("inproc://feed", "inproc://feed", "f"),
    ],
)
def test_two_connect_to_the_same(one, other, same):
    assert where(lambda plan: is_same_place(end(HERE, one), end(plan, other))) == same


@pytest.mark.parametrize(
    "endpoint",
    [
        *("tcp://{host}:5556", "tcp://*:{port}", "{place}", "ipc://{path}", ""),
        *("tcp://*:*", "tcp://127.0.0.1:0", "tcp://*:!", "tcp://roof", "ipc://*"),
        *("epgm://10.0.0.1;239.192.1.1:5555", "pgm://10.0.0.1;239.192.1.1:5555", "udp://*:5556"),
    ],
)
def test_what_is_not_settled_or_has_no_ends_meets_nothing(endpoint):
    assert list(ends(HERE, [endpoint])) == []
