"""`actormq drain`: which node is meant, until when it is waited for, and what its program does."""

import asyncio
import subprocess
import sys

import pytest

from actormq import Actor, MeshNotFound, Node, SetupError, handler
from actormq.cli.draining import _chosen, _drain


class Worker(Actor):
    def __init__(self) -> None:
        self.gate = asyncio.Event()

    @handler(concurrent=True)
    async def work(self) -> None:
        await self.gate.wait()

    @handler
    def go(self) -> None:
        self.gate.set()


def place(node):
    return node.address.removeprefix("tcp://")


def guest(mesh, node):
    return Node.guest(mesh=mesh.name, discovery=False, join=[place(node)])


async def linked(own, until, count):
    await until(lambda: len(list(own.mesh_view.peers())) == count)


async def test_a_node_is_drained_by_the_beginning_of_its_id(mesh, until, capsys):
    node, other = await mesh.pair(shutdown_timeout=20.0)
    async with guest(mesh, other) as own:
        await linked(own, until, 2)
        await _drain(own, node.id[:8], 20.0)
        assert [peer.facts.node for peer in own.mesh_view.peers()] == [other.id]
    await until(lambda: not node.is_running)
    assert (node.was_drained, other.is_running) == (True, True)
    assert capsys.readouterr().out == "n0 has left\n"


async def test_nodes_of_one_name_are_listed_with_their_ids(mesh, until):
    one, other = [await mesh.start(name="roof") for _ in range(2)]
    async with guest(mesh, one) as own:
        await linked(own, until, 2)
        with pytest.raises(
            SetupError, match=r"^2 nodes are called 'roof', say which by its id: "
        ) as e:
            _chosen(own, "roof")
        assert all(f"{node.id} (" in str(e.value) for node in (one, other))
        assert _chosen(own, other.id).node == other.id


async def test_a_node_that_is_not_there_is_said_with_those_that_are(mesh, until):
    node, _ = await mesh.pair()
    async with guest(mesh, node) as own:
        await linked(own, until, 2)
        for wanted in ("cellar", "", node.id[:3]):
            with pytest.raises(MeshNotFound) as raised:
                _chosen(own, wanted)
            assert str(raised.value) == (f"no node {wanted!r} in mesh {mesh.name!r}: it has n0, n1")


async def test_who_waits_no_longer_is_told_that_it_goes_on(mesh, until):
    node = await mesh.start(shutdown_timeout=20.0)
    worker = await node.spawn(Worker, "worker")
    await worker.send(Worker.work)
    async with guest(mesh, node) as own:
        await linked(own, until, 1)
        with pytest.raises(MeshNotFound, match=r"n0' drains and is still there after 0\.3 s"):
            await _drain(own, "n0", 0.3)
    assert node.is_draining
    worker.tell(Worker.go)
    await node.drain()


PROGRAM = """
import asyncio, sys
from actormq import Actor, Node, handler, run

class Last(Actor):
    @handler
    def word(self) -> str:
        return "main ends"

async def main(node: Node) -> None:
    print(node.address.removeprefix("tcp://"), flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await node.spawn(Last, "last")  # it may tidy up with its node
        print(await (await node.find("last")).ask(Last.word), flush=True)

run(main, mesh=sys.argv[1], name="program", discovery=False)
"""


@pytest.mark.slow
def test_a_program_that_is_drained_ends_as_after_sigterm(mesh_name):
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, mesh_name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        where = program.stdout.readline().strip()
        command = [sys.executable, "-W", "error", "-m", "actormq", "drain"]
        options = ["--mesh", mesh_name, "--join", where]
        wrong, right = (
            subprocess.run(
                [*command, name, *options], capture_output=True, text=True, timeout=100, check=False
            )
            for name in ("programme", "program")
        )
        assert program.wait(100) == 143
        assert (program.stdout.read(), program.stderr.read()) == ("main ends\n", "")
    sentence = f"actormq: no node 'programme' in mesh '{mesh_name}': it has program\n"
    assert (wrong.stdout, wrong.stderr, wrong.returncode) == ("", sentence, 1)
    assert (right.stdout, right.stderr, right.returncode) == ("program has left\n", "", 0)
