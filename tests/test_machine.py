import asyncio

import pytest

from actormq import Node
from actormq.loop import Loop
from actormq.machine import MACHINE, Machine, addresses, host_identity
from actormq.settings import checked


@pytest.mark.parametrize(
    ("host", "beginning"),
    [("roof", "roof-"), ("roof.example.org", "roof-"), ("büro pc", "b-ro-pc-"), ("日本", "node-")],
)
def test_a_name_is_made_of_the_hosts_and_a_random_ending(monkeypatch, host, beginning):
    monkeypatch.setattr("socket.gethostname", lambda: host)
    names = {MACHINE.new_name() for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith(beginning) for name in names)
    assert all(checked({"name": name}) for name in names)


def test_the_scope_is_the_users_loopback_or_the_lan():
    assert MACHINE.scope(checked({})).startswith("loopback:")
    assert MACHINE.scope(checked({"insecure_lan": True})) == "lan"


def test_the_identity_of_a_machine_stays_the_same():
    assert MACHINE.identity() == host_identity() == MACHINE.identity()


def test_the_loopback_is_the_last_of_its_addresses():
    assert addresses()[-1] == "127.0.0.1"


async def test_a_transport_is_dialled_at_the_loopback_unless_the_lan_may_come_in():
    transport = MACHINE.transport(Loop(), checked({}))
    assert list(transport.addresses) == ["127.0.0.1"]
    await asyncio.to_thread(transport.close)


async def test_a_node_asks_the_machine_that_it_is_given():
    class Mine(Machine):
        def new_node_id(self):
            return "0123456789abcdef"

        def new_name(self):
            return "mine"

        def identity(self):
            return "mine/1"

    async with Node(Mine(), discovery=False) as node:
        facts = node.mesh_view.facts
        assert (node.id, node.name) == ("0123456789abcdef", "mine")
        assert (facts.node, facts.name, facts.host) == (node.id, "mine", "mine/1")
