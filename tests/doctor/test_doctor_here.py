"""`actormq doctor` on this machine: what it prints, how it ends, and what its parts see."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from free_ports import free_port

from actormq import Node, SetupError
from actormq.doctor import hosts, interfaces, multicast
from actormq.rules.findings import Interface, Outcome

ACTORMQ = [sys.executable, "-W", "error", "-m", "actormq"]
LO = "127.0.0.1"

# `actormq doctor` that says when it is in the middle of it.
BEGINS = """
from actormq.doctor import trial
from actormq.cli import main

begin = trial.listen

async def listen(found):
    print("begun", flush=True)
    return await begin(found)

trial.listen = listen
main(["doctor"])
"""


def doctor(*args, before=()):
    command = [*before, *ACTORMQ, "doctor", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.fixture
def closed_port():
    return free_port()


@pytest.mark.slow
async def test_a_mesh_on_this_machine(mesh_name, closed_port):
    name = f"roof-{mesh_name}"  # others may run here as well
    async with Node(mesh=mesh_name, name=name) as node:
        port = int(node.address.rpartition(":")[2])
        runs = [
            ("--mesh", mesh_name, "--json", "--port", str(port), f"{LO}:{port}"),
            ("--mesh", f"{mesh_name}x", f"{LO}:{port}", f"{LO}:{closed_port}"),
        ]
        with ThreadPoolExecutor(len(runs)) as pool:
            loop = asyncio.get_running_loop()
            begun = [loop.run_in_executor(pool, lambda args=args: doctor(*args)) for args in runs]
            well, bad = await asyncio.gather(*begun)
    assert (well.returncode, well.stderr) == (0, "")
    found = json.loads(well.stdout)
    states = {(each["host"], each["check"]): each["state"] for each in found["checks"]}
    assert found["would_form"]
    loopback = next(each.name for each in interfaces.interfaces() if each.is_loopback)
    here = (f"multicast {loopback}", "port 5353", "two nodes here", f"node {name}", f"port {port}")
    there = ("name", "way", "node", "way back", "multicast", "messages", "clock")
    well_known = {("", check): "ok" for check in here}
    well_known |= {(f"{LO}:{port}", check): "ok" for check in there}
    assert {key: states.get(key) for key in well_known} == well_known

    assert (bad.returncode, bad.stderr) == (1, "")
    lines = [re.sub(" +", " ", line) for line in bad.stdout.splitlines()]
    assert lines[0] == "this machine"
    at, then = lines.index(f"{LO}:{port}"), lines.index(f"{LO}:{closed_port}")
    assert lines[at + 1 : then - 2] == [
        f"ok name is {LO}",
        f"ok way {LO}:{port} takes connections, by {loopback} ({LO})",
        f"problem node {name} of mesh {mesh_name} answers at {LO}:{port}",
    ]
    nodes_here = f"nodes here are in '{mesh_name}x'"
    assert lines[then - 2] == (
        f" why: it is in mesh '{mesh_name}', {nodes_here}: these two never talk"
    )
    assert lines[then - 1].startswith(" do: start one of them with the other's --mesh")
    assert lines[then + 1 : then + 3] == [
        f"ok name is {LO}",
        f"problem way {LO}:{closed_port} refuses connections",
    ]
    assert lines[-1] == "No mesh would form: 2 problems."


@pytest.mark.slow
def test_too_few_descriptors_are_told_before_they_end_the_process():
    done = doctor(before=["sh", "-c", 'ulimit -n 60 && exec "$@"', "sh"])
    assert (done.returncode, done.stderr) == (1, "")
    assert "60 files and sockets may be open" in done.stdout
    assert "ulimit -n 4096" in done.stdout


@pytest.mark.slow
def test_a_host_that_cannot_be_is_refused_in_one_sentence():
    done = doctor("roof:99999")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("actormq: 'roof:99999' is no HOST or HOST:PORT")


@pytest.mark.slow
def test_ctrl_c_ends_it_without_a_word():
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", BEGINS]  # without -W error: zeroconf, cut off, is untidy
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=100)
    assert (process.returncode, out, err.strip()) == (130, "", "")


# -- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("roof", "roof", None),
        ("roof:4711", "roof", 4711),
        ("tcp://roof:4711", "roof", 4711),
        ("10.0.0.2", "10.0.0.2", None),
        ("10.0.0.2:4711", "10.0.0.2", 4711),
        ("fd77::2", "fd77::2", None),
        ("[fd77::2]", "fd77::2", None),
        ("[fd77::2]:4711", "fd77::2", 4711),
        ("fe80::2%eth0", "fe80::2%eth0", None),
    ],
)
def test_a_host(text, host, port):
    assert hosts.host_of(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "roof:",
        ":4711",
        "roof:0",
        "roof:x",
        "roof:99999",
        "fd77::2:x",
        "x:y:5",
        "ro\x1bof",
    ],
)
def test_what_is_no_host(text):
    with pytest.raises(SetupError):
        hosts.host_of(text)


async def test_a_packet_to_the_group_of_mdns_comes_back_on_loopback():
    found = [each for each in interfaces.interfaces() if each.is_loopback]
    probes = await multicast.probe_all(found)
    assert [(p.interface, p.heard, p.error) for p in probes if p.family == "IPv4"] == [
        (found[0].name, True, "")
    ]


async def test_an_interface_that_is_gone_is_an_error_and_no_exception():
    gone = Interface("gone0", ("10.255.255.1/24",), 1_500, multicast=True, index=9_999)
    (probe,) = await multicast.probe_all([gone])
    assert (probe.heard, bool(probe.error)) == (False, True)


async def test_ports_are_dialled(closed_port):
    found = interfaces.interfaces()
    with socket.create_server((LO, 0)) as server:
        port = server.getsockname()[1]
        (opened,) = await hosts.dial_all([LO], port, found)
    (refused,) = await hosts.dial_all([LO], closed_port, found)
    assert (opened.outcome, refused.outcome) == (Outcome.OPEN, Outcome.REFUSED)
    assert (opened.source, opened.is_near, opened.network) == (LO, True, "127.0.0.0/8")
    assert opened.place == f"{LO}:{port}"
    if sys.platform.startswith("linux"):
        mtu = next(each.mtu for each in found if each.is_loopback)
        assert opened.mtu == min(mtu, 65_535)  # the longest packet of IPv4


@pytest.mark.parametrize(
    ("address", "network", "inside"),
    [
        ("10.77.0.2", "10.77.0.0/24", True),
        ("10.78.0.2", "10.77.0.0/24", False),
        ("fd77::2", "fd77::/64", True),
        ("fe80::2%eth0", "fe80::/64", True),
        ("fd77::2", "10.77.0.0/24", False),
        ("10.77.0.2", "", False),
    ],
)
def test_an_address_is_near_if_it_is_in_our_network(address, network, inside):
    assert interfaces.is_in(address, network) is inside


def test_this_machine_is_found_among_its_interfaces():
    found = interfaces.interfaces()
    assert any(each.is_loopback for each in found)
    assert LO in interfaces.own_addresses(found)
    assert interfaces.source_of(LO) == LO
    assert interfaces.network_of("192.0.2.99", []) == ("", "")
    assert all(each.index for each in found)


@pytest.mark.parametrize(
    ("ufw", "firewalld", "name"),
    [
        ("ENABLED=yes\nLOGLEVEL=low\n", False, "ufw"),
        ("ENABLED=no\n", True, "firewalld"),
        (None, False, ""),
    ],
)
def test_the_firewall_that_runs_is_named(tmp_path, monkeypatch, ufw, firewalld, name):
    if ufw is not None:
        (tmp_path / "ufw.conf").write_text(ufw)
    if firewalld:
        (tmp_path / "firewalld").mkdir()
    monkeypatch.setattr(interfaces, "_UFW", tmp_path / "ufw.conf")
    monkeypatch.setattr(interfaces, "_FIREWALLD", tmp_path / "firewalld")
    assert interfaces.firewall() == name
