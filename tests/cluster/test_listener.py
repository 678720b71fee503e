"""Where a node listens: in a network namespace of its own, for it is open to all of the network."""

import json
import shutil
import subprocess
import sys

import pytest

from actormq.seeds import DEFAULT_PORT

PROGRAM = """
import asyncio, json, subprocess
from actormq import Node

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

async def main():
    options = {"mesh": "home", "discovery": False, "insecure_lan": True}
    async with Node(**options) as first, Node(**options) as second:
        ports = [node.address.rpartition(":")[2] for node in (first, second)]
        met = []
        for place in ("127.0.0.1", "[::1]", "localhost", "127.0.0.1:" + ports[1]):
            async with Node(**options, name="third", join=[place]) as third:
                async with asyncio.timeout(10):
                    while len(list(third.mesh_view.peers())) < 1:
                        await asyncio.sleep(0.01)
                met.append(place)
        print(json.dumps([ports, met]))

asyncio.run(main())
"""


def can_unshare():
    tools = shutil.which("unshare"), shutil.which("ip")
    command = (tools[0], "-rn", "true")
    return all(tools) and subprocess.run(command, check=False).returncode == 0


@pytest.mark.slow
def test_the_first_node_of_a_host_takes_the_usual_port_and_listens_on_ipv6_as_well():
    if not can_unshare():
        pytest.skip("no rights to make a network namespace")
    command = ["unshare", "-rn", sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    (first, second), met = json.loads(done.stdout)
    assert int(first) == DEFAULT_PORT
    assert int(second) not in (0, DEFAULT_PORT)
    assert len(met) == 4
