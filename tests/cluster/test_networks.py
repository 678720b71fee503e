"""Hosts as network namespaces: IPv6 alone, and a cable that is plugged in later."""

import os
import shutil
import subprocess
import sys

import pytest


def can_make_hosts():
    return shutil.which("ip") is not None and os.geteuid() == 0


class Hosts:
    """Two hosts, and a cable between them that is not plugged in at first."""

    def __init__(self, folder):
        self.folder = folder
        self.names = [f"amq{os.getpid()}{side}" for side in "ab"]
        self.running = []
        self.made = []

    def ip(self, *args):
        subprocess.run(("ip", *args), check=True, capture_output=True)

    def make(self):
        for name in self.names:
            self.ip("netns", "add", name)
            self.made.append(name)
            self.ip("-n", name, "link", "set", "lo", "up")
        one, other = self.names
        peer = ("peer", "name", "eth0", "netns", other)
        self.ip("-n", one, "link", "add", "eth0", "type", "veth", *peer)

    def plug(self):
        for name in self.names:
            self.ip("-n", name, "link", "set", "eth0", "up")

    def node(self, name, mesh):
        log = (self.folder / f"{name}.log").open("w")
        command = (sys.executable, "-m", "actormq", "node", "--insecure-lan", "--mesh", mesh)
        self.running.append(
            subprocess.Popen(("ip", "netns", "exec", name, *command, "--name", name), stderr=log)
        )
        log.close()

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def end(self):
        for process in self.running:
            process.kill()
            process.wait()
        for name in self.made:
            subprocess.run(("ip", "netns", "del", name), check=False)


@pytest.fixture
def hosts(tmp_path):
    made = Hosts(tmp_path)
    try:
        made.make()
    except subprocess.CalledProcessError as error:
        made.end()
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    yield made
    made.end()


@pytest.mark.slow
@pytest.mark.skipif(not can_make_hosts(), reason="wants root and iproute2, for namespaces")
async def test_nodes_meet_over_a_cable_that_is_plugged_in_later_with_nothing_but_ipv6(
    hosts, mesh_name, until
):
    for name in hosts.names:
        hosts.node(name, mesh_name)
    await until(lambda: all("started in mesh" in hosts.log(name) for name in hosts.names))
    assert not any("fe80" in hosts.log(name) for name in hosts.names)
    hosts.plug()
    one, other = hosts.names
    await until(lambda: f"{other} is alive" in hosts.log(one))
    await until(lambda: f"{one} is alive" in hosts.log(other))
    assert "Traceback" not in hosts.log(one) + hosts.log(other)
