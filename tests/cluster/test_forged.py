"""A thousand forged announcements by real multicast, in a network namespace of their own."""

import pytest

PROGRAM = """
import asyncio, json, logging, socket, subprocess, time
import psutil
from zeroconf import DNSOutgoing, DNSPointer, DNSText
from zeroconf.asyncio import AsyncZeroconf
from actormq import Node
from actormq.cluster.discovery import KNOWN_LIMIT, Announcement, to_txt
from actormq.cluster.mdns import SERVICE_TYPE
from actormq.message import PROTOCOL

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
lines = []

class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

logging.basicConfig(level=logging.INFO, handlers=[Lines()])


def text(items):
    return b"".join(bytes([len(k) + len(v) + 1]) + k + b"=" + v for k, v in items.items())


def records(name, data, life=4_500):
    instance = f"{name}.{SERVICE_TYPE}"
    yield DNSPointer(SERVICE_TYPE, 12, 1, life, instance)
    yield DNSText(instance, 16, 0x8001, life, data)


def forgeries(own, silent):
    def told(number, **changes):
        facts = {
            "mesh": own.mesh, "node_id": f"{number:016x}", "name": f"forged-{number}",
            "scope": own.scope, "endpoints": silent, "protocol": PROTOCOL, **changes,
        }
        return f"actormq-{number:016x}", text(to_txt(Announcement(**facts)))

    yield told(2_001, protocol=PROTOCOL + 1)
    yield told(2_002, mesh="another")
    yield "actormq-nonsense", b"\\x05abc"
    yield "actormq-long", b"\\xff" + b"x" * 255
    yield f"actormq-{own.node}", text(to_txt(Announcement(
        own.mesh, "f" * 16, "thief", own.scope, silent, PROTOCOL)))
    for number in range(1, 1_001):
        yield told(number)


async def main():
    server = socket.create_server(("127.0.0.1", 0), backlog=4_096)
    silent = (f"tcp://127.0.0.1:{server.getsockname()[1]}",)
    process, most = psutil.Process(), 0
    async with Node(mesh="home", name="roof") as node:
        before, ports = process.memory_info().rss, node._runtime.transport._ports
        stranger = AsyncZeroconf(["127.0.0.1"])
        await stranger.zeroconf.async_wait_for_start()
        every = list(forgeries(node.mesh_view.facts, silent))
        known = node._finder._discovery._sightings._known
        async with asyncio.timeout(60):
            while len(known) < KNOWN_LIMIT:  # the system drops what comes too fast for us
                for first in range(0, len(every), 20):
                    said = DNSOutgoing(0x8400)
                    for name, data in every[first:first + 20]:
                        for record in records(name, data):
                            said.add_answer_at_time(record, 0)
                    stranger.zeroconf.async_send(said)
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.5)
        async with Node(mesh="home", name="yard") as real:
            begun = time.monotonic()
            async with asyncio.timeout(60):
                while not (list(node.mesh_view.peers()) and list(real.mesh_view.peers())):
                    most = max(most, len(ports))
                    await asyncio.sleep(0.005)
            found = time.monotonic() - begun
            others = [peer.facts.name for peer in node.mesh_view.peers()]
        grown = process.memory_info().rss - before
        await stranger.async_close()
    server.close()
    print(json.dumps([others, most, grown, found, lines]))

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_node_among_a_thousand_forged_ones_is_found_and_each_kind_is_told_of(in_namespace):
    others, most, grown, _, lines = in_namespace(PROGRAM, 150)
    assert others == ["yard"]
    assert most < 150
    assert grown < 50_000_000  # bytes, of two nodes
    assert len(lines) < 30
    assert any("it speaks version 2 of the actormq protocol" in line for line in lines)
    assert any("was refused, more are only counted" in line for line in lines)
