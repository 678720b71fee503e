"""A node: its actors and their names, its start, its end, and `run`."""

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from granted import Granted

from actormq import (
    Actor,
    ActorNotFound,
    LifecycleError,
    NameTaken,
    Node,
    NodeNotRunning,
    OutcomeUnknown,
    PortInUse,
    Publisher,
    SetupError,
    StartFailed,
    handler,
    run,
)


class Desk(Actor):
    def __init__(self, drawers: int = 3) -> None:
        self.drawers = drawers
        self.gate = asyncio.Event()
        self.is_working = False

    @handler
    def where(self) -> str:
        return self.node.name

    @handler
    async def work(self) -> str:
        self.is_working = True
        await self.gate.wait()
        return "done"


class Plain(Actor):
    pass


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


# -- spawn ----------------------------------------------------------------------------------------


async def test_a_name_is_taken_once_per_node(mesh):
    node, other = await mesh.pair()
    first = await node.spawn(Desk, "desk")
    with pytest.raises(NameTaken, match="the name 'desk' is taken on node 'n0'"):
        await node.spawn(Desk, "desk")
    assert node.find_all("desk") == [first]
    await other.spawn(Desk, "desk")
    await first.stop()
    assert await node.spawn(Desk, "desk") != first


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "a\x00", 7])
async def test_a_name_is_a_short_printable_text(mesh, name):
    node = await mesh.start()
    with pytest.raises(SetupError, match="is no text of 1 to 255 characters"):
        await node.spawn(Desk, name)


@pytest.mark.parametrize("thing", [object, Desk(), "Desk", None, print])
async def test_only_actor_classes_can_be_spawned(mesh, thing):
    node = await mesh.start()
    with pytest.raises(SetupError, match="spawn takes a class that extends Actor"):
        await node.spawn(thing)


@pytest.mark.parametrize("kind", [Desk, Plain])
async def test_arguments_that_do_not_fit_the_constructor_are_a_failed_start(mesh, kind):
    node = await mesh.start()
    with pytest.raises(StartFailed, match="'it' did not start: its constructor raised TypeError"):
        await node.spawn(kind, "it", 1, 2, 3)
    await node.spawn(kind, "it")


async def test_without_a_name_an_actor_is_called_by_its_class_and_number(mesh):
    node = await mesh.start()
    first, second = await node.spawn(Desk), await node.spawn(Desk)
    assert first.name == f"desk#{first.address.serial}" != second.name
    assert node.find_all(first.name) == []


# -- names ----------------------------------------------------------------------------------------


async def test_an_actor_is_found_on_its_own_node_and_on_others(mesh):
    near, far = await mesh.pair()
    ref = await far.spawn(Desk, "desk")
    assert await far.find("desk") == ref
    found = await near.find("desk")
    assert found == ref
    assert await found.ask("where") == await found.ask(Desk.where) == "n1"


async def test_find_waits_until_somebody_has_the_name(mesh):
    near, far = await mesh.pair()
    finding = asyncio.create_task(near.find("desk", timeout=60))
    await asyncio.sleep(0)
    assert not finding.done()
    ref = await far.spawn(Desk, "desk")
    assert await finding == ref


async def test_find_gives_up_with_the_name_and_the_mesh(mesh):
    node = await mesh.start(ask_timeout=0.02)
    with pytest.raises(ActorNotFound, match=f"no actor named 'desk' in mesh '{mesh.name}'"):
        await node.find("desk", timeout=0)
    with pytest.raises(ActorNotFound, match=r"within 0\.01 s"):
        await node.find("desk", timeout=0.01)
    with pytest.raises(ActorNotFound, match=r"within 0\.02 s"):
        await node.find("desk")


async def test_a_name_that_several_hold_is_a_group_with_the_local_one_first(mesh, until):
    all_nodes = [await mesh.start() for _ in range(3)]
    refs = [await node.spawn(Desk, "desk") for node in all_nodes]
    for node, ref in zip(all_nodes, refs, strict=True):
        await until(lambda node=node: len(node.find_all("desk")) == 3)
        assert node.find_all("desk")[0] == ref == await node.find("desk")
        assert set(node.find_all("desk")) == set(refs)
    await refs[0].stop()
    await until(lambda: len(all_nodes[0].find_all("desk")) == 2)
    assert await all_nodes[0].find("desk") in refs[1:]


async def test_watch_follows_a_name_as_its_holders_come_and_go(mesh):
    near, far = await mesh.pair()
    seen = near.watch("desk")
    assert await anext(seen) == []
    mine = await near.spawn(Desk, "desk")
    assert await anext(seen) == [mine]
    theirs = await far.spawn(Desk, "desk")
    assert await anext(seen) == [mine, theirs]
    await mine.stop()
    assert await anext(seen) == [theirs]
    await far.stop()
    assert await anext(seen) == []
    await seen.aclose()


async def test_a_node_that_joins_later_learns_all_names(mesh, until):
    first = await mesh.start()
    refs = [await first.spawn(Desk, f"desk-{number}") for number in range(500)]
    late = await mesh.start()
    await until(lambda: late.find_all("desk-499"))
    assert [late.find_all(f"desk-{number}") for number in range(500)] == [[ref] for ref in refs]


# -- life -----------------------------------------------------------------------------------------


async def test_what_needs_a_running_node_says_so(mesh_name):
    node = Node(mesh=mesh_name, name="roof", discovery=False)
    with pytest.raises(NodeNotRunning, match="node 'roof' is not running"):
        await node.spawn(Desk)
    with pytest.raises(NodeNotRunning):
        await node.find("desk")
    with pytest.raises(NodeNotRunning):
        await node.stopped()
    await node.stop()  # nothing to stop is no error
    async with node:
        await node.spawn(Desk)
    with pytest.raises(NodeNotRunning):
        await node.spawn(Desk)
    with pytest.raises(SetupError, match="has been started before: make a new one"):
        await node.start()
    await node.stopped()


async def test_a_port_that_is_taken_is_named(mesh, mesh_name):
    node = await mesh.start()
    port = int(node.address.rpartition(":")[2])
    other = Node(mesh=mesh_name, name="second", port=port, discovery=False)
    with pytest.raises(PortInUse, match=f"node 'second': tcp://127.0.0.1:{port} is in use"):
        await other.start()
    assert not other.is_running


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mehs": "home"}, "unknown setting 'mehs': a node knows name, mesh, "),
        ({"mesh": "my home"}, "mesh name 'my home' cannot be used"),
        ({"name": "-"}, "node name '-' cannot be used"),
        ({"port": "80"}, "setting port: expected int, got str, not '80'"),
        ({"mailbox_limit": 0}, "setting mailbox_limit: expected int >= 1, not 0"),
        ({"join": "localhost:80"}, "join takes a list of 'HOST:PORT', not one string"),
        ({"join": ["localhost:"]}, "'localhost:' is no HOST or HOST:PORT"),
        ({"lan": True}, "say --insecure-lan on a network you trust"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_starts(options, sentence):
    with pytest.raises(SetupError, match=sentence):
        Node(**options)
    with pytest.raises(SetupError, match=sentence):
        run(Desk, **options)


async def test_a_stopped_node_leaves_no_task_socket_or_name(mesh, until):
    near, far = await mesh.pair()

    class Speaker(Desk):
        feed = Publisher(service="feed")

    await far.spawn(Speaker, "speaker")
    await near.find("speaker")
    transport = far._runtime.transport
    await far.stop()
    await far.stop()
    assert transport._ports == set()
    assert transport.context.closed
    await until(lambda: not near.find_all("speaker") and not list(near.mesh_view.peers()))
    assert near.directory.services("feed") == []


def descriptors_now():
    return len(list(Path("/dev/fd").iterdir()))


async def test_two_hundred_nodes_start_and_stop_one_after_the_other(mesh_name):
    descriptors = []
    for _ in range(200):
        async with Node(mesh=mesh_name, discovery=False) as node:
            await node.spawn(Desk, "desk")
        descriptors.append(descriptors_now())
    assert descriptors[-1] <= descriptors[0] + 2


async def test_a_node_that_leaves_lets_what_it_was_asked_end_first(mesh, until):
    near, far = await mesh.pair(shutdown_timeout=10)
    actor = inside(far, await far.spawn(Desk, "desk"))
    desk = await near.find("desk")
    reply = desk.ask(Desk.work)
    await until(lambda: actor.is_working)
    stopping = asyncio.create_task(far.stop())
    await until(lambda: not far.is_running)
    actor.gate.set()
    assert await reply == "done"
    await stopping


async def test_what_a_leaving_node_cuts_off_is_of_unknown_outcome(mesh, until):
    near, far = await mesh.pair()
    actor = inside(far, await far.spawn(Desk, "desk"))
    desk = await near.find("desk")
    reply = desk.within(20).ask(Desk.work)
    await until(lambda: actor.is_working)
    await far.stop()
    with pytest.raises(OutcomeUnknown):
        async with asyncio.timeout(10):
            await reply


async def test_a_node_that_stops_answers_what_its_own_side_asked_of_others(mesh, until):
    near, far = await mesh.pair()
    actor = inside(far, await far.spawn(Desk, "desk"))
    reply = (await near.find("desk")).within(20).ask(Desk.work)
    await until(lambda: actor.is_working)
    await near.stop()
    with pytest.raises((OutcomeUnknown, LifecycleError)):
        async with asyncio.timeout(10):
            await reply


# -- run, in a process of its own -----------------------------------------------------------------

PROGRAM = """
import asyncio, sys
from actormq import Actor, Node, handler, run

class Bench(Actor):
    async def on_stop(self) -> None:
        print(self.name, "stops", flush=True)
        if "hang" in sys.argv:
            await asyncio.Event().wait()

async def main(node: Node) -> None:
    await node.spawn(Bench, "first")
    await node.spawn(Bench, "second")
    print("up", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("main ends", flush=True)

run(main, mesh=sys.argv[1], discovery=False, shutdown_timeout=30)
print("not reached")
"""


class Program:
    """A program of the user's in a process of its own."""

    def __init__(self, *arguments):
        self._lines = []
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def read(self, line):
        reading = threading.Thread(
            target=lambda: self._lines.append(self._process.stdout.readline())
        )
        reading.start()
        reading.join(30)
        assert self._lines, f"no {line!r} within 30 s"
        assert self._lines.pop() == f"{line}\n"

    def send(self, number):
        self._process.send_signal(number)

    def end(self):
        out, err = self._process.communicate(timeout=100)
        return self._process.returncode, out, err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_program_in_order(mesh_name, number, status):
    with Program(mesh_name) as program:
        program.read("up")
        program.send(number)
        assert program.end() == (status, "main ends\nsecond stops\nfirst stops\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(mesh_name, number):
    with Program(mesh_name, "hang") as program:
        program.read("up")
        program.send(number)
        program.read("main ends")
        program.read("second stops")
        with Granted() as taken:
            program.send(number)
            status, _, _ = program.end()
        assert status != 0
        assert taken.seconds < 5  # of the 30 s that it might have taken


async def test_a_guest_hears_of_nodes_that_come_later(mesh):
    first = await mesh.start()
    place = first.address.removeprefix("tcp://")
    async with Node.guest(mesh=mesh.name, discovery=False, join=[place]) as guest:
        later = await mesh.start()
        await later.spawn(Desk, "late")
        ref = await guest.find("late", timeout=60)
        assert ref.address.node == later.id
