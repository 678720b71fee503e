"""When named places are looked up and dialled, on a clock of the test's own."""

import asyncio
import itertools

import pytest

from actormq.cluster.dns import Found, NameUnknown
from actormq.cluster.named import ASK_MOST, RETRY, RETRY_MOST, RETRY_SELF, Named
from actormq.message import Facts
from actormq.rules.admission import LAN
from actormq.seeds import DEFAULT_PORT, dns_name_of, place_of


class Peer:
    def __init__(self, *endpoints):
        self.facts = Stub(endpoints)


class Stub:
    """As much of a node's facts as is looked at."""

    def __init__(self, endpoints=(), node="own", scope=LAN):
        self.node, self.endpoints, self.scope = node, endpoints, scope


class World:
    """The hub, the dialler and the names of one `Named`."""

    def __init__(self, *joins, dns=(), scope=LAN):
        self.now = 100.0
        self.facts = Stub(scope=scope)
        self.members = {}
        self.remarks = []
        self.dialled = []
        self.table = {}
        self.asked = []
        self.refusals = {}
        places = {join: place_of(join) for join in joins}
        names = map(dns_name_of, dns)
        self.named = Named(
            self, self, self, places, names, self.refusals.__setitem__, lambda: self.now
        )

    def is_member(self, node):
        return node in self.members

    def everybody(self):
        return [peer.facts for peer in self.members.values()]

    def remark(self, sentence):
        self.remarks.append(sentence)

    def dial_named(self, key, endpoints):
        self.dialled.append((key, list(endpoints)))

    def known(self, host):
        return [host] if host[0].isdigit() or ":" in host else None

    async def addresses(self, host):
        return self._look_up(host)

    async def records(self, name):
        return self._look_up(name.name)

    def _look_up(self, name):
        self.asked.append(name)
        found = self.table.get(name)
        if found is None:
            raise NameUnknown("no such name")
        return found

    def close(self):
        pass

    async def pass_time(self, seconds, step=0.25):
        """Tick as the mesh does; what was begun is ended within the tick."""
        end = self.now + seconds
        while self.now < end:
            self.named.tick(self.now)
            for task in list(self.named._tasks):
                await asyncio.wait([task])
            self.now += step

    def taken(self):
        dialled, self.dialled = self.dialled, []
        return dialled


async def test_an_address_is_dialled_until_it_answers_and_again_when_it_is_lost():
    world = World("10.0.0.1:7")
    await world.pass_time(10 * RETRY)
    assert world.taken() == [("10.0.0.1:7", ["tcp://10.0.0.1:7"])] * 10
    world.members["n1"] = Peer()
    world.named.answered("10.0.0.1:7", "n1")
    await world.pass_time(10)
    assert world.taken() == []
    del world.members["n1"]
    await world.pass_time(0.25)
    assert len(world.taken()) == 1


async def test_tries_that_fail_come_slower_but_not_so_slow_that_a_heal_would_wait():
    world = World("10.0.0.1:7")
    times = []
    for _ in range(400):
        world.named.tick(world.now)
        if world.taken():
            times.append(world.now)
            world.named.failed("10.0.0.1:7", "nobody is there")
        world.now += 0.25
    waits = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert waits == sorted(waits)
    assert waits[0] < 2 * RETRY
    assert waits[-1] == RETRY_MOST


@pytest.mark.parametrize(
    ("place", "hosts", "endpoints"),
    [
        ("bench", ["10.0.0.1"], [f"tcp://10.0.0.1:{DEFAULT_PORT}"]),
        ("bench:7", ["10.0.0.1", "fd00::1"], ["tcp://10.0.0.1:7", "tcp://[fd00::1]:7"]),
        ("bench:7", ["fe80::1%eth0"], ["tcp://[fe80::1%eth0]:7"]),
    ],
)
async def test_all_addresses_of_a_name_are_dialled_as_one_place(place, hosts, endpoints):
    world = World(place)
    world.table["bench"] = hosts
    await world.pass_time(0.25)
    assert world.taken() == [(place, endpoints)]


async def test_a_name_is_looked_up_for_each_try_and_not_while_its_node_is_there():
    world = World("bench:7")
    world.table["bench"] = ["10.0.0.1"]
    await world.pass_time(0.25)
    world.table["bench"] = ["10.0.0.2"]  # it has moved
    await world.pass_time(RETRY)
    assert world.taken()[-1] == ("bench:7", ["tcp://10.0.0.2:7"])
    world.members["n1"] = Peer()
    world.named.answered("bench:7", "n1")
    asked = len(world.asked)
    await world.pass_time(100)
    assert len(world.asked) == asked


async def test_an_unknown_name_is_named_with_the_reason_and_asked_for_again():
    world = World("bench")
    await world.pass_time(60)
    assert set(world.remarks) == {"cannot join bench: no such name; trying on"}
    assert world.refusals["bench"] == "no such name"
    assert 60 / RETRY_MOST <= len(world.asked) <= 60 / RETRY
    assert world.taken() == []
    world.table["bench"] = ["10.0.0.1"]
    await world.pass_time(RETRY_MOST + 0.25)
    assert world.taken() == [("bench", [f"tcp://10.0.0.1:{DEFAULT_PORT}"])]


async def test_where_dns_fails_for_a_while_the_last_addresses_are_dialled():
    world = World("bench:7")
    world.table["bench"] = ["10.0.0.1"]
    await world.pass_time(0.25)
    del world.table["bench"]
    await world.pass_time(RETRY)
    assert world.taken() == [("bench:7", ["tcp://10.0.0.1:7"])] * 2
    assert world.remarks == []


@pytest.mark.parametrize(
    ("place", "scope", "says"),
    [
        ("10.0.0.1", "loopback:0", "so say HOST:PORT"),
        ("10.0.0.1", LAN, f"silence (port {DEFAULT_PORT})"),
        ("10.0.0.1:7", "loopback:0", "cannot join 10.0.0.1:7: silence; trying on"),
    ],
)
async def test_a_port_that_nobody_named_is_told_of(place, scope, says):
    world = World(place, scope=scope)
    world.named.failed(place, "silence")
    assert says in world.remarks[0]


async def test_a_name_that_leads_to_this_node_is_asked_now_and_then_whether_it_leads_to_others():
    world = World("bench:7", "10.0.0.1:7")
    world.table["bench"] = ["10.0.0.1"]
    await world.pass_time(0.25)
    for key in ("bench:7", "10.0.0.1:7"):
        world.named.answered(key, "own")
        world.named.failed(key, "it is this node itself")
    world.taken()
    await world.pass_time(2 * RETRY_SELF + 1)
    assert world.taken() == [("bench:7", ["tcp://10.0.0.1:7"])] * 2
    assert world.remarks == []


async def test_dns_tells_of_many_nodes_and_each_is_dialled_once_it_is_named():
    world = World(dns=["nodes.lab"])
    world.table["nodes.lab"] = Found(("tcp://10.0.0.1:7", "tcp://10.0.0.2:7"), 5.0)
    await world.pass_time(0.25)
    assert sorted(key for key, _ in world.taken()) == ["tcp://10.0.0.1:7", "tcp://10.0.0.2:7"]
    world.table["nodes.lab"] = Found(("tcp://10.0.0.2:7", "tcp://10.0.0.3:7"), 5.0)
    await world.pass_time(6)
    world.taken()
    await world.pass_time(4)
    assert {key for key, _ in world.taken()} == {"tcp://10.0.0.2:7", "tcp://10.0.0.3:7"}


async def test_dns_is_asked_as_often_as_its_answers_hold():
    world = World(dns=["nodes.lab"])
    world.table["nodes.lab"] = Found((), 5.0)
    await world.pass_time(50)
    assert len(world.asked) == 10


async def test_dns_that_fails_is_asked_less_often_and_said_once_as_the_mesh_says_things():
    world = World(dns=["nodes.lab"])
    await world.pass_time(120)
    assert set(world.remarks) == {"--dns nodes.lab: no such name; asking on"}
    assert 120 / ASK_MOST <= len(world.asked) <= 14


async def test_what_dns_tells_of_members_and_of_this_node_is_not_dialled():
    world = World(dns=["nodes.lab"])
    world.facts = Stub(("tcp://10.0.0.1:7",))
    world.members["n1"] = Peer("tcp://10.0.0.2:7")
    every = tuple(f"tcp://10.0.0.{n}:7" for n in (1, 2, 3))
    world.table["nodes.lab"] = Found(every, 5.0)
    await world.pass_time(0.25)
    assert world.taken() == [("tcp://10.0.0.3:7", ["tcp://10.0.0.3:7"])]
    world.named.answered("tcp://10.0.0.3:7", "own")  # an address that this node does not know of
    await world.pass_time(20)
    assert world.taken() == []


async def test_what_dns_lacks_is_said():
    world = World(dns=["nodes.lab"])
    world.table["nodes.lab"] = Found((), 5.0, "its SRV records are not asked for")
    await world.pass_time(0.25)
    assert world.remarks == ["--dns nodes.lab: its SRV records are not asked for"]


def test_stubs_have_what_facts_have():
    assert set(vars(Stub())) <= set(Facts.__struct_fields__)
