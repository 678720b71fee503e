"""Nodes that start together on many hosts find each other, by multicast or by one address each."""

import os

import pytest
from lan_nodes import Mesh

PROCESSES = int(os.environ.get("ACTORMQ_LAN_PROCESSES", "9"))
SEEN = 5.0  # s from the start of the last node until all see all
START = 60.0 + PROCESSES  # s for all to start: Python takes 0.5 s of a core for each
PORT = 4711

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * START)]


def started_together(new_lan, nursery, folder, options, *, is_deaf):
    """So many nodes, three a host, and the seconds it took from the last start to the last view."""
    lan = new_lan(PROCESSES // 3)
    if is_deaf:
        lan.block_multicast()
    hosts = {f"w{number}": lan.hosts[number // 3] for number in range(PROCESSES)}
    mesh = Mesh(nursery, lan, folder, "many", hosts, options)
    try:
        mesh.start("w0", "--port", str(PORT))
        for name in list(hosts)[1:]:
            mesh.start(name)
        assert mesh.until(mesh.is_whole, START), mesh.lack()
        nodes = mesh.nodes.values()
        assert [len(node.view) for node in nodes] == [PROCESSES - 1] * PROCESSES
        seconds = mesh.whole_since() - max(node.started_at for node in nodes)
        assert mesh.deaths(0.0) == []
        mesh.stop()
    finally:
        mesh.close()
    return seconds


def told(seconds, how):
    hosts = PROCESSES // 3
    print(f"lan: {PROCESSES} nodes on {hosts} hosts {how} saw all {seconds:.2f} s after the last")  # noqa: T201 for -s
    return seconds


def test_many_see_each_other_in_time_by_multicast(new_lan, nursery, tmp_path):
    assert (
        told(started_together(new_lan, nursery, tmp_path, [], is_deaf=False), "by multicast") < SEEN
    )


def test_where_multicast_is_blocked_one_address_each_is_enough(new_lan, nursery, tmp_path):
    join = ["--join", f"10.77.0.1:{PORT}"]
    assert (
        told(started_together(new_lan, nursery, tmp_path, join, is_deaf=True), "by one --join")
        < SEEN
    )
