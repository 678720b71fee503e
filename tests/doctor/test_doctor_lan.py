"""`actormq doctor` on a LAN of network namespaces where one thing or another is wrong.

    a, f, g          ask
    b                has nodes: with a wrong clock, of another mesh, of another version
    c                drops what comes in over TCP
    d                has a node whose port a firewall refuses
    e                has nodes and blocks multicast
    r                leads to h, over a line that takes small packets only and does not say so

f does not let anybody connect to it, and mDNS has no port there; g has no IPv4, and a firewall.
"""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

IP, NFT = shutil.which("ip"), shutil.which("nft")
CLOCK = 8_000  # s by which b's clock is ahead

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),  # all that takes time is in the fixture, before the first test
    pytest.mark.skipif(
        os.geteuid() != 0 or IP is None or NFT is None,
        reason="making network namespaces takes root, iproute2's ip and nftables' nft",
    ),
]

# Not `actormq node`: several nodes in a process, with another clock or another version.
NODES = """
import asyncio, contextlib, json, socket, sys, time
import actormq.message, actormq.node
from actormq import Node

options = json.loads(sys.argv[1])
real = time.time
time.time = lambda: real() + options.get("ahead", 0)
actormq.message.PROTOCOL = actormq.node.PROTOCOL = options.get("protocol", actormq.message.PROTOCOL)
if "deaf" in options:  # a program that is no node, at all addresses
    deaf = socket.create_server(("", options["deaf"]), family=socket.AF_INET6, dualstack_ipv6=True)

async def main():
    async with contextlib.AsyncExitStack() as stack:
        for name, mesh, port in options["nodes"]:
            node = Node(name=name, mesh=mesh, port=port, insecure_lan=True)
            await stack.enter_async_context(node)
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""

HOLDER = """
import socket, time
held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
held.bind(("", 5353))
print("ready", flush=True)
time.sleep(600)
"""

# More time than users have: the suite runs other tests beside this one.
DOCTOR = """
import sys
from actormq.doctor import examination
examination.WHOLE = 40
from actormq.cli import main
main(["doctor", "--json", *sys.argv[1:]])
"""


class Lan:
    """Hosts on a bridge, each a network namespace."""

    def __init__(self):
        self.prefix = f"doctor{os.getpid()}"
        self.names = []
        self.processes = []

    def ip(self, *commands):
        done = subprocess.run(
            [IP, "-batch", "-"],
            input="\n".join(commands),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def space(self, name):
        self.names.append(name)
        self.ip(f"netns add {self.prefix}{name}")
        self.ip_in(name, "link set lo up")
        return f"{self.prefix}{name}"

    def ip_in(self, name, *commands):
        done = subprocess.run(
            [IP, "-n", f"{self.prefix}{name}", "-batch", "-"],
            input="\n".join(commands),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def host(self, name, number, to="switch"):
        """A host with a cable to the switch, or to a router."""
        space = self.space(name)
        self.ip_in(to, f"link add p{name} type veth peer name eth0 netns {space}")
        if to == "switch":
            self.ip_in(to, f"link set p{name} master br0 up")
        if number:
            self.ip_in(
                name,
                f"addr add 10.77.0.{number}/24 dev eth0",
                f"addr add fd77::{number}/64 dev eth0 nodad",
                "link set eth0 up",
            )

    def nft(self, name, hook, rule):
        rules = (
            f"table inet t {{ chain {hook} {{ type filter hook {hook} priority 0; {rule}; }}; }}"
        )
        self.run(name, NFT, rules)

    def run(self, name, *command):
        whole = [IP, "netns", "exec", f"{self.prefix}{name}", *command]
        done = subprocess.run(whole, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def begin(self, name, source, *args):
        """Start a Python program that says when it is ready."""
        command = [IP, "netns", "exec", f"{self.prefix}{name}", sys.executable, "-c", source, *args]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.processes.append(process)
        return process

    def nodes(self, name, *nodes, **options):
        return self.begin(name, NODES, json.dumps({"nodes": nodes, **options}))

    def doctor(self, name, *args):
        """What `actormq doctor` finds on a host: its status, and verdicts by host and check."""
        command = [IP, "netns", "exec", f"{self.prefix}{name}", sys.executable, "-c", DOCTOR, *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.stderr == ""
        found = json.loads(done.stdout)
        assert found["would_form"] is (done.returncode == 0)
        return done.returncode, {(each["host"], each["check"]): each for each in found["checks"]}

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()
        for name in self.names:
            subprocess.run([IP, "netns", "del", f"{self.prefix}{name}"], check=False)


def build(lan):
    """The LAN of this module's first lines."""
    lan.space("switch")
    lan.ip_in("switch", "link add br0 type bridge mcast_snooping 0", "link set br0 up")
    for number, name in enumerate("abcdefgr", 1):
        lan.host(name, number)
    lan.host("h", 0, to="r")
    lan.ip_in("r", "addr add 10.78.0.254/24 dev ph", "link set ph mtu 1000 up")
    lan.ip_in("h", "addr add 10.78.0.1/24 dev eth0", "link set eth0 up")
    lan.ip_in("h", "route add default via 10.78.0.254")
    lan.ip_in("a", "route add 10.78.0.0/24 via 10.77.0.8")
    lan.run("r", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    lan.nft("r", "output", "icmp type destination-unreachable drop")
    lan.nft("c", "input", "meta l4proto tcp drop")
    lan.nft("d", "input", "tcp dport 4711 reject with tcp reset")
    lan.nft("e", "input", "iifname eth0 udp dport 5353 drop")
    lan.nft("e", "output", "oifname eth0 udp dport 5353 drop")
    lan.nft("f", "input", "iifname eth0 tcp flags & (syn | ack) == syn drop")
    lan.ip_in("g", "addr del 10.77.0.7/24 dev eth0")
    lan.nft("g", "input", "iifname eth0 udp dport 5353 drop")
    ready = [
        lan.nodes("b", ("roof", "home", 4711), ("attic", "attic", 4712), ahead=CLOCK, deaf=4714),
        lan.nodes("b", ("next", "next", 4713), protocol=2),
        lan.nodes("d", ("shut", "home", 4711)),
        lan.nodes("e", ("mute", "home", 4711), ("shy", "shy", 4712)),
        lan.nodes("h", ("tight", "home", 4711)),
        lan.begin("f", HOLDER),
    ]
    for process in ready:
        assert process.stdout.readline() == "ready\n"


FLAWS = [
    *("10.77.0.2:4712", "10.77.0.2:4713", "10.77.0.2:4714", "10.77.0.2:4999", "10.77.0.3"),
    *("10.77.0.4", "10.77.0.5:4711", "10.78.0.1:4711", "10.77.0.99", "nowhere.invalid"),
]

WELL = dict.fromkeys(("name", "way", "node", "way back", "multicast", "messages"), "ok")
"""All that is tried with a machine where nothing is wrong, but its clock."""

RUNS = {
    "well": ("a", "--insecure-lan", "--mesh", "home", "10.77.0.2"),
    "flaws": ("a", "--insecure-lan", "--mesh", "home", *FLAWS),
    "shy": ("a", "--mesh", "home", "10.77.0.2"),
    "joining": ("a", "--insecure-lan", "--mesh", "shy", "--join", "10.77.0.5:4712"),
    "one way": ("f", "--insecure-lan", "10.77.0.2:4711"),
    "IPv6": ("g", "--insecure-lan", "[fd77::2]:4711", "[fd77::2]:4714"),
}


@pytest.fixture(scope="module")
def runs():
    """How each of RUNS ended; they run at the same time, and wait most of it."""
    lan = Lan()
    try:
        build(lan)
        with ThreadPoolExecutor(len(RUNS)) as pool:
            ended = pool.map(lambda run: lan.doctor(*run), RUNS.values())
            yield dict(zip(RUNS, ended, strict=True))
    finally:
        lan.end()


def test_where_a_mesh_would_form_the_status_is_0(runs):
    status, found = runs["well"]
    assert status == 0, [each for each in found.values() if each["state"] == "problem"]
    ours = {check: each["state"] for (host, check), each in found.items() if host}
    assert ours == {**WELL, "clock": "warning"}
    assert "2.2 hours ahead" in found["10.77.0.2", "clock"]["found"]
    assert "of mesh home, on another machine" in found["", "node roof"]["found"]
    assert found["", "node attic"]["state"] == "warning"


@pytest.mark.parametrize(
    ("host", "check", "words"),
    [
        ("10.77.0.2:4712", "node", "it is in mesh 'attic', nodes here are in 'home'"),
        ("10.77.0.2:4713", "node", "speaks version 2"),
        ("10.77.0.2:4714", "node", "another program has that port"),
        ("10.77.0.2:4999", "way", "no node listens at that port"),
        ("10.77.0.3", "way", "a firewall on 10.77.0.3 drops what comes in"),
        ("10.77.0.4", "way", "a firewall on 10.77.0.4 refuses in its place"),
        ("10.77.0.5:4711", "multicast", "multicast (UDP port 5353) does not get through"),
        ("10.78.0.1:4711", "multicast", "multicast ends at routers"),
        ("10.78.0.1:4711", "messages", "the notices that say so (ICMP) are blocked"),
        ("10.77.0.99", "way", "no machine of the network 10.77.0.0/24 has that address"),
        ("nowhere.invalid", "name", "neither /etc/hosts nor a name server knows that name"),
    ],
)
def test_what_is_wrong_with_another_machine_is_told_by_its_cause(runs, host, check, words):
    status, found = runs["flaws"]
    assert status == 1
    verdict = found[host, check]
    assert (verdict["state"], words in verdict["cause"]) == ("problem", True), verdict
    assert verdict["fix"]


def test_only_what_is_wrong_is_called_a_problem(runs):
    _, found = runs["flaws"]
    bad = {host for (host, _), each in found.items() if each["state"] == "problem"}
    assert bad == set(FLAWS)
    mute = {check: each["state"] for (host, check), each in found.items() if "0.5:" in host}
    assert {check for check, state in mute.items() if state != "ok"} == {"multicast"}


def test_nodes_that_stay_on_this_machine_meet_nobody_elsewhere(runs):
    status, found = runs["shy"]
    assert status == 1
    bad = {key for key, each in found.items() if each["state"] == "problem"}
    assert bad == {("10.77.0.2", "openness")}
    assert "`actormq doctor --insecure-lan 10.77.0.2`" in found["10.77.0.2", "openness"]["fix"]


def test_a_mesh_that_is_joined_by_address_does_without_multicast(runs):
    status, found = runs["joining"]
    assert status == 0, [each for each in found.values() if each["state"] == "problem"]
    assert "not needed" in found["10.77.0.5:4712", "multicast"]["found"]


def test_a_firewall_in_one_direction_is_told_from_one_in_the_other(runs):
    status, found = runs["one way"]
    assert status == 1
    assert found["10.77.0.2:4711", "node"]["state"] == "ok"
    back = found["10.77.0.2:4711", "way back"]
    assert (back["state"], "here drops or refuses" in back["cause"]) == ("problem", True)
    assert "10.77.0.0/24" in back["fix"]


def test_a_program_that_has_the_port_of_mdns_for_itself_is_named(runs):
    _, found = runs["one way"]
    shared = found["", "port 5353"]
    assert (shared["state"], "python" in shared["cause"]) == ("problem", True)


def test_a_machine_without_ipv4_is_looked_at_over_ipv6(runs):
    status, found = runs["IPv6"]
    assert status == 1
    interfaces = found["", "interfaces"]
    assert (interfaces["state"], "10.77" in interfaces["found"]) == ("ok", False)
    there = {check: each["state"] for (host, check), each in found.items() if host.endswith("4711")}
    assert there == {**WELL, "clock": "warning"}
    assert "eth0 (fd77::7)" in found["[fd77::2]:4714", "way"]["found"]
    assert "another program" in found["[fd77::2]:4714", "node"]["cause"]


def test_a_firewall_here_that_blocks_multicast_is_noticed_without_anybody_else(runs):
    _, found = runs["IPv6"]
    verdict = found["", "multicast eth0"]
    assert (verdict["state"], "a firewall on this machine" in verdict["cause"]) == ("problem", True)
    assert "fd77::/64" in verdict["fix"]
