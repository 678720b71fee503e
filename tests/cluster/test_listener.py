"""Where a node listens: in a network namespace of its own, for it is open to all of the network."""

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
                async with asyncio.timeout(60):
                    while len(list(third.mesh_view.peers())) < 1:
                        await asyncio.sleep(0.01)
                met.append(place)
        print(json.dumps([ports, met]))

asyncio.run(main())
"""


@pytest.mark.slow
def test_the_first_node_of_a_host_takes_the_usual_port_and_listens_on_ipv6_as_well(in_namespace):
    (first, second), met = in_namespace(PROGRAM, 40)
    assert int(first) == DEFAULT_PORT
    assert int(second) not in (0, DEFAULT_PORT)
    assert len(met) == 4
