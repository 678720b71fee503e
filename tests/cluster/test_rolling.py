"""Nodes that are drained one after another, as in a rolling restart: nobody sees an error."""

import asyncio
import os
import signal
import sys

import pytest

from actormq import Node

pytestmark = pytest.mark.slow

NAMES = ("a", "b", "c")
ASKERS = 8

SERVER = """
import asyncio

from actormq import Actor, handler


class Server(Actor):
    @handler(concurrent=True)
    async def serve(self, number: int) -> list:
        await asyncio.sleep(0.02)
        return [self.node.name, number]
"""


class Asking:
    """Finds a server by its name and asks it, again and again, and tries nothing twice."""

    def __init__(self, node):
        self.node = node
        self.served = dict.fromkeys(NAMES, 0)
        self.failures = []
        self.is_over = False
        self.tasks = [asyncio.create_task(self._ask(n)) for n in range(ASKERS)]

    async def _ask(self, number):
        while not self.is_over:
            try:
                ref = await self.node.find("server", timeout=60)
                name, same = await ref.within(20).ask("serve", number)
                assert same == number
            except Exception as error:  # noqa: BLE001 whatever it is, it is one too many
                self.failures.append(repr(error))
            else:
                self.served[name] += 1

    async def end(self):
        self.is_over = True  # each has its answer first: one for a node that has gone is dead
        await asyncio.gather(*self.tasks)


async def drained_by_command(name, mesh, place):
    """`actormq drain`; gives its status and what it said."""
    command = ("-m", "actormq", "drain", name, "--mesh", mesh, "--join", place)
    pipe = asyncio.subprocess.PIPE
    run = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=pipe, stderr=pipe)
    out, err = await run.communicate()
    return run.returncode, out.decode(), err.decode()


@pytest.mark.timeout(120)
async def test_nobody_sees_an_error_while_three_nodes_are_restarted_in_turn(
    programs, mesh_name, until
):
    (programs.folder / "servers.py").write_text(SERVER)
    async with Node(mesh=mesh_name, name="asker", discovery=False) as node:
        place = node.address.removeprefix("tcp://")

        def start(name):
            options = ("--as", "server", "--no-zeroconf", "--join", place)
            return programs.start("servers:Server", name, *options)

        def servers():
            names = {peer.facts.node: peer.facts.name for peer in node.mesh_view.peers()}
            return [names.get(ref.address.node, "?") for ref in node.find_all("server")]

        def are_there(*wanted):
            return sorted(servers()) == sorted(wanted)

        def in_use():
            return servers()[0]

        running = {name: start(name) for name in NAMES}
        await until(lambda: are_there(*NAMES))
        asking = Asking(node)
        drained = []
        while len(drained) < len(NAMES):
            name = in_use()
            await until(lambda name=name, count=asking.served[name]: asking.served[name] > count)
            drained.append(name)
            others = [other for other in NAMES if other != name]
            old = running[name]
            if len(drained) == 1:
                said = await drained_by_command(name, mesh_name, place)
                assert said == (0, f"{name} has left\n", "")
            else:
                os.kill(old.pid, signal.SIGTERM)
            await until(lambda old=old: old.poll() is not None)
            assert old.returncode == 0
            assert are_there(*others)
            running[name] = start(name)
            await until(lambda: are_there(*NAMES))
        await asking.end()
        assert asking.failures == []
        assert sorted(drained) == list(NAMES)
        assert node.events.dead_letter_count == {}
    for name in NAMES:
        assert "ERROR" not in programs.log(name)
        assert "dead letter" not in programs.log(name)
