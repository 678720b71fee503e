"""Hints that are wrong, old and forged, and nodes that are there all the same; on real sockets."""

import contextlib
import socket

import msgpack
import msgspec
import pytest
import zmq

from actormq import Node, message
from actormq.cluster.discovery import Announcement
from actormq.cluster.reach import SENTENCES
from actormq.events import PeerRefused
from actormq.message import PROTOCOL
from actormq.rules.dialling import DOUBTFUL_LIMIT, DOUBTFUL_WIDTH
from actormq.rules.records import Record, State
from actormq.seeds import DEFAULT_PORT


def told_of(node, **changes):
    """What a node would announce."""
    facts = node.mesh_view.facts
    announcement = Announcement(
        facts.mesh, facts.node, facts.name, facts.scope, facts.endpoints, PROTOCOL
    )
    return msgspec.structs.replace(announcement, **changes)


def forged(node, number, endpoints, **changes):
    """The announcement of a node that is not there."""
    return told_of(
        node, node_id=f"{number:016x}", name=f"forged-{number}", endpoints=endpoints, **changes
    )


def known(node):
    return {peer.facts.name for peer in node.mesh_view.peers()}


def opened(node):
    return len(node._runtime.transport._ports)


@contextlib.asynccontextmanager
async def stranger(mesh, **options):
    """A node of the mesh that nobody has been told of."""
    async with Node(mesh=mesh.name, name="real", discovery=False, **options) as node:
        yield node


@pytest.fixture
def silent():
    """An endpoint that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=4_096) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


async def test_a_thousand_forged_hints_open_few_sockets_and_the_node_that_is_there_is_found(
    mesh, until, silent, monkeypatch
):
    node = await mesh.start()
    before, counts = opened(node), []
    transport = node._runtime.transport
    opening = transport.open

    def counted(*args, **kwargs):
        port = opening(*args, **kwargs)
        counts.append(opened(node) - before)
        return port

    monkeypatch.setattr(transport, "open", counted)
    for number in range(1, 1_001):
        node.mesh_view.hint(forged(node, number, (silent, silent.replace("0.0.1", "0.0.2"))))
    async with stranger(mesh) as real:

        def is_found():
            node.mesh_view.hint(told_of(real))  # as discovery does, again and again
            return known(node) == {"real"}

        await until(is_found)
    assert DOUBTFUL_LIMIT <= max(counts) <= DOUBTFUL_LIMIT * DOUBTFUL_WIDTH


async def test_an_announcement_in_a_nodes_name_with_wrong_endpoints_does_not_hide_it(
    mesh, until, silent
):
    node = await mesh.start()
    async with stranger(mesh) as real:
        node.mesh_view.hint(told_of(real, endpoints=(silent,)))
        node.mesh_view.hint(told_of(real))
        await until(lambda: known(node) == {"real"})


async def test_another_node_at_one_endpoint_does_not_keep_the_others_from_being_dialled(
    mesh, until
):
    node, other = await mesh.pair()
    async with stranger(mesh) as real:
        wrong = [other.address, node.address]
        node.mesh_view.hint(told_of(real, endpoints=(*wrong, real.address)))
        await until(lambda: known(node) == {"n1", "real"})
        reach = node.mesh_view.reach
        strangers = {key: answering for key, (answering, _) in reach._strangers.items()}
        assert (
            strangers.items()
            <= {
                (real.id, other.address): other.id,
                (real.id, node.address): node.id,
            }.items()
        )


async def test_where_another_node_is_known_to_answer_is_not_dialled_again_at_once(mesh, until):
    node, other = await mesh.pair()
    reach = node.mesh_view.reach
    false = forged(node, 1, (other.address,))
    reach.hint(false)
    await until(lambda: reach._strangers)
    await until(lambda: reach.is_settled)
    ports = opened(node)
    reach.hint(false)
    assert opened(node) == ports
    assert reach.is_settled


async def test_nodes_of_the_next_version_are_told_of_and_there_is_an_end_to_it(mesh, caplog):
    node = await mesh.start()
    heard = []
    node.events.listen(heard.append, PeerRefused)
    for number in range(1, 2_001):
        later = forged(node, number, ("tcp://127.0.0.1:9",), protocol=PROTOCOL + 1)
        node.mesh_view.hint(later)
        node.mesh_view.hint(later)
    assert node.mesh_view.reach.is_settled
    assert len(heard) == SENTENCES - 1
    assert f"this node speaks {PROTOCOL}: run the same version" in heard[0].reason
    assert caplog.text.count("no more are told of") == 1


async def test_a_mesh_of_another_name_is_left_alone(mesh, silent):
    node = await mesh.start()
    node.mesh_view.hint(forged(node, 1, (silent,), mesh="another"))
    assert node.mesh_view.reach.is_settled


async def test_what_is_announced_of_a_member_costs_nothing(mesh, silent):
    node, other = await mesh.pair()
    node.mesh_view.hint(told_of(other, endpoints=(silent,)))
    assert node.mesh_view.reach.is_settled


async def test_a_node_is_joined_by_a_name_that_has_several_addresses(mesh, until):
    first = await mesh.start()
    number = first.address.rpartition(":")[2]
    # On most hosts that is ::1 as well, where nobody listens.
    second = await mesh.start(join=[f"localhost:{number}"])
    assert known(second) == {"n0"}


async def test_new_addresses_of_a_node_are_known_to_its_peers_soon(mesh, until):
    node, other = await mesh.pair()
    endpoints = (*node.mesh_view.facts.endpoints, "tcp://192.0.2.7:4711")
    node.mesh_view.endpoints_changed(endpoints)

    def is_known():
        return any(facts.endpoints == endpoints for facts in other.mesh_view.everybody())

    await until(is_known)


async def test_a_name_that_cannot_be_found_is_named_once_and_the_others_are_joined(mesh, caplog):
    first = await mesh.start()
    places = ["nobody.invalid", first.address.removeprefix("tcp://")]
    second = await mesh.start(join=places)
    assert known(second) == {"n0"}
    assert caplog.text.count("cannot join nobody.invalid: ") <= 1


async def test_a_place_without_a_port_on_loopback_says_what_lacks(mesh, caplog, until):
    async with Node(mesh=mesh.name, discovery=False, join=["127.0.0.2"]):
        await until(lambda: "cannot join 127.0.0.2: " in caplog.text)
    assert "on one machine nodes take free ports, so say HOST:PORT; trying on" in caplog.text


async def test_who_is_told_to_join_itself_is_content(mesh, until, caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    node = await mesh.start(port=port, join=[f"127.0.0.1:{port}"])
    await until(lambda: node.mesh_view.reach.is_settled)
    seed = node.mesh_view.reach._named._seeds[f"127.0.0.1:{port}"]
    await until(lambda: seed.node == node.id)
    assert "cannot join" not in caplog.text


async def test_a_lonely_node_tells_of_the_meshes_that_there_are(mesh, caplog, silent):
    node = await mesh.start()
    reach = node.mesh_view.reach
    for name in ("home", "lab"):
        reach.hint(forged(node, 1, (silent,), mesh=name))
    reach.rejoin(reach._begun_at + 1.0)
    assert "there are nodes of" not in caplog.text
    for seconds in (11.0, 12.0):
        reach.rejoin(reach._begun_at + seconds)
    assert caplog.text.count("was found, but there are nodes of home, lab: --mesh says") == 1


def test_the_usual_port_is_one_that_no_system_hands_out():
    assert 1_024 < DEFAULT_PORT < 32_768


async def test_one_death_that_is_told_and_refused_makes_one_incarnation(mesh, until):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as peer:
        peer.linger = 0
        peer.bind("tcp://127.0.0.1:*")
        place = peer.LAST_ENDPOINT.decode().removeprefix("tcp://")
        heard = []

        def hello():
            """The incarnation of the next hello, and whom to answer."""
            with contextlib.suppress(zmq.Again):
                routing_id, packed = peer.recv_multipart(zmq.DONTWAIT)
                heard.append((msgpack.unpackb(packed)[3]["incarnation"], routing_id))
            return heard

        node = await mesh.start(join=[place])
        await until(hello)
        incarnation, routing_id = heard.pop()
        assert incarnation == 1
        view = node.mesh_view
        death = Record(view.facts, State.DEAD, "silent", "f" * 16)
        view.membership.told(death, "f" * 16, view.now())  # by gossip, ahead of the refusal
        view.act()
        refusal = [message.REFUSED, message.REASON_STALE, "come back as 2"]
        peer.send_multipart([routing_id, msgpack.packb(refusal)])
        await until(hello)
        assert [number for number, _ in heard] == [2]
        assert view.facts.incarnation == 2
        _, routing_id = heard.pop()
        # This one is not said of what is over: the pause between two deaths has not begun.
        peer.send_multipart([routing_id, msgpack.packb(refusal)])
        await until(hello)
        assert [number for number, _ in heard] == [3]
