"""Nodes that start together on many hosts find each other, by multicast or by one address each."""

import contextlib
import os

import pytest
from granted import Granted
from lan_nodes import Mesh

PROCESSES = int(os.environ.get("ACTORMQ_LAN_PROCESSES", "9"))
SEEN = 5.0  # s from the start of the last node until all see all
START = 150.0 + PROCESSES  # s for all to start: Python takes 0.5 s of a core for each
PORT = 4711

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * START)]


def started_together(new_lan, nursery, folder, options, how, *, is_deaf):
    """Start so many nodes at once, three a host; the seconds from the last start to the last view.

    The names of their actors follow; how long that takes is printed.
    """
    lan = new_lan(PROCESSES // 3)
    if is_deaf:
        lan.block_multicast()
    hosts = {f"w{number}": lan.hosts[number // 3] for number in range(PROCESSES)}
    mesh = Mesh(nursery, lan, folder, "many", hosts, options)
    with Granted() as passed, contextlib.closing(mesh):
        mesh.start("w0", "--port", str(PORT))
        for name in list(hosts)[1:]:
            mesh.start(name)
        assert mesh.until(mesh.is_whole, START), mesh.lack()
        nodes = mesh.nodes.values()
        assert [len(node.view) for node in nodes] == [PROCESSES - 1] * PROCESSES
        started = max(node.started_at for node in nodes)
        seen, whole = max(node.seen_at for node in nodes), mesh.whole_since()
        assert mesh.deaths(0.0) == []
        mesh.stop()
    print(  # noqa: T201 for -s
        f"lan: {PROCESSES} nodes on {len(lan.hosts)} hosts saw all {how} {seen - started:.2f} s, "
        f"and all names {whole - started:.2f} s after the last had started"
    )
    return passed.between(started, max(seen, started))


def test_many_see_each_other_in_time_by_multicast(new_lan, nursery, tmp_path):
    seconds = started_together(new_lan, nursery, tmp_path, [], "by multicast", is_deaf=False)
    assert seconds < SEEN


def test_where_multicast_is_blocked_one_address_each_is_enough(new_lan, nursery, tmp_path):
    join = ["--join", f"10.77.0.1:{PORT}"]
    seconds = started_together(new_lan, nursery, tmp_path, join, "by one --join", is_deaf=True)
    assert seconds < SEEN
