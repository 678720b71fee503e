"""What others do to a mesh, on purpose or not: no wrong death, bounded memory, a line says why."""

import asyncio
import logging
import secrets
import time

import msgpack
import pytest
import zmq

from actormq import ActorNotFound, Node
from actormq.cluster.mesh import Mesh
from actormq.events import MemberChanged, PeerRefused
from actormq.message import PROTOCOL
from actormq.testing import simulate

DECADE = 10 * 365 * 86_400.0  # s
KNOCKING = 50  # nodes that say hello, and nothing else


def greeting(to, version=PROTOCOL, **facts):
    """The hello of somebody who listens where nobody answers."""
    own = to.mesh_view.facts
    said = {
        "mesh": own.mesh,
        "node": secrets.token_hex(8),
        "incarnation": 1,
        "name": "stranger",
        "scope": own.scope,
        "endpoints": ["tcp://127.0.0.1:9"],
        "host": own.host,
    }
    return msgpack.packb([0, "actormq", version, said | facts])


@pytest.fixture
def knock():
    """Connects to a node and says something; the sockets stay open until the test ends."""
    context, sockets = zmq.Context(), []

    def connect(node, frame):
        socket = context.socket(zmq.DEALER)
        sockets.append(socket)
        socket.connect(node.address)
        socket.send(frame)

    yield connect
    for socket in sockets:
        socket.close(0)
    context.term()


@pytest.mark.parametrize("jump", [DECADE, -DECADE])
async def test_a_clock_that_jumps_by_ten_years_kills_nobody(mesh, until, monkeypatch, jump):
    near, far = await mesh.pair()
    changes = []
    for node in (near, far):
        node.events.listen(changes.append, MemberChanged)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    pings = near.mesh_view.members[far.id].received_count
    await until(lambda: near.mesh_view.members[far.id].received_count >= pings + 3)
    assert changes == []
    assert [member.state for member in near.members()] == ["alive", "alive"]


async def test_nodes_that_say_hello_and_nothing_else_are_no_members_and_soon_forgotten(
    mesh, until, knock, monkeypatch
):
    monkeypatch.setattr("actormq.cluster.acquaintances.HELLO_SILENCE", 0.3)
    node = await mesh.start()
    view = node.mesh_view
    for _ in range(KNOCKING):
        knock(node, greeting(node))
    await until(lambda: len(view.members) == KNOCKING)
    assert [member.state for member in node.members()] == ["alive"]  # itself
    await until(lambda: not view.members and not len(view._sessions))
    await until(lambda: view.reach.is_settled)


async def test_a_node_of_the_next_protocol_version_is_refused_by_name(mesh, until, knock):
    node = await mesh.start()
    refused = []
    node.events.listen(refused.append, PeerRefused)
    knock(node, greeting(node, PROTOCOL + 1))
    await until(lambda: refused)
    assert "run the same version of actormq on both" in refused[0].reason
    assert not node.mesh_view.members


async def test_a_guest_that_takes_the_id_of_a_node_is_refused(mesh, until, knock):
    near, far = await mesh.pair()
    refused = []
    near.events.listen(refused.append, PeerRefused)
    knock(near, greeting(near, node=far.id, endpoints=[], name="thief"))
    await until(lambda: refused)
    assert "belongs to another one" in refused[0].reason
    assert near.mesh_view.members[far.id].facts.name == far.name


async def test_a_guest_is_answered_on_the_connection_that_it_speaks_on(mesh):
    node = await mesh.start()
    with (
        zmq.Context() as context,
        context.socket(zmq.DEALER) as one,
        context.socket(zmq.DEALER) as two,
    ):
        own = secrets.token_hex(8)
        for socket in (one, two):  # as a guest does that finds a node under two addresses
            socket.linger, socket.rcvtimeo = 0, 5_000
            socket.connect(node.address)
            socket.send(greeting(node, node=own, endpoints=[]))
            unpacker = msgpack.Unpacker()
            unpacker.feed(await asyncio.to_thread(socket.recv))
            assert next(iter(unpacker))[0] == 1  # welcome
        for socket, number in ((one, 7), (two, 8)):
            socket.send(msgpack.packb([7, number]))
            said = []
            while [8, number] not in [envelope[:2] for envelope in said]:
                unpacker = msgpack.Unpacker()
                unpacker.feed(await asyncio.to_thread(socket.recv))
                said += list(unpacker)


async def test_two_nodes_of_one_name_are_both_there_and_the_log_says_so(mesh, until, caplog):
    caplog.set_level(logging.INFO, "actormq")
    one = await mesh.start(name="roof")
    other = await mesh.start(name="roof")
    await until(lambda: len(one.members()) == len(other.members()) == 2)
    assert (
        f"several nodes are called 'roof': {', '.join(sorted((one.id, other.id)))}" in caplog.text
    )


async def test_a_mesh_of_another_name_on_the_same_host_stays_apart(mesh, until, mesh_name):
    node = await mesh.start()
    place = node.address.removeprefix("tcp://")
    refused = []
    node.events.listen(refused.append, PeerRefused)
    async with Node(mesh=f"{mesh_name}-other", discovery=False, join=[place]) as other:
        await until(lambda: refused)
        assert f"start yours with --mesh {node.mesh}" in refused[0].reason
        with pytest.raises(ActorNotFound):
            await other.find("anybody", timeout=0)
        assert not node.mesh_view.members


def test_a_node_whose_own_loop_lagged_declares_nobody_dead():
    async def scenario(world):
        nodes = [await world.start(name) for name in ("n0", "n1", "n2")]
        await world.settled()
        world.pause("n0")
        await world.sleep(30)
        world.resume("n0")
        await world.settled(10)
        return nodes[0].id

    trace = simulate(1, scenario).trace.decode()
    assert not [line for line in trace.splitlines() if " n0 n" in line and " is dead" in line]


@pytest.mark.slow
def test_beyond_32_nodes_links_are_made_on_demand_and_closed_when_they_are_idle(monkeypatch):
    monkeypatch.setattr("actormq.cluster.pulse.LINK_IDLE", 5.0)

    async def scenario(world):
        await world.start("n0")
        for number in range(1, 40):
            await world.start(f"n{number}", discovery=False, join=["n0"])
        await world.settled(30)
        await world.sleep(10)
        links = [sum(m.link is not None for m in view(n).members.values()) for n in world.nodes]
        one = world.node("n0")
        strangers = sorted(set(view(one).membership.entries) - set(view(one).membership.neighbours))
        answer = await one.steward_of(strangers[0], "n?").ask("describe")
        there = view(one).members[strangers[0]]
        was_linked = there.link is not None
        await world.until(lambda: there.link is None, 20)
        return max(links), answer["id"] == strangers[0], was_linked

    def view(node) -> Mesh:
        return node.mesh_view

    most, is_the_one, was_linked = simulate(1, scenario, trace=False).result
    assert most <= 10
    assert is_the_one
    assert was_linked
