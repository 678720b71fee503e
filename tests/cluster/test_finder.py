"""What a node makes of networks that come and go."""

from actormq.cluster.discovery import DiscoveryUnavailable
from actormq.cluster.finder import Finder
from actormq.cluster.interfaces import SETTLE_LOOKS, Watch, interfaces
from actormq.events import Events
from actormq.loop import Loop
from actormq.settings import checked


class Board:
    """Discovery that only notes what it is told."""

    refused_count = 0

    def __init__(self, said, is_usable=True):
        self.said = said
        self.is_usable = is_usable

    async def start(self, found, is_calm):
        if not self.is_usable:
            raise DiscoveryUnavailable("mDNS", "no network")

    async def announce(self, announcement):
        self.said.append(announcement.endpoints)

    async def refresh(self):
        self.said.append("refresh")

    async def stop(self):
        self.said.append("stop")


class OwnFacts:
    mesh, node, name, scope = "home", "0" * 16, "roof", "lan"
    endpoints = ("ipc://@actormq-0", "tcp://10.0.0.1:7", "tcp://127.0.0.1:7")
    is_guest = False


class Hub:
    def __init__(self):
        self.facts = OwnFacts()
        self.changes = []

    def hint(self, found):
        raise AssertionError(found)

    def endpoints_changed(self, endpoints):
        self.facts.endpoints = endpoints
        self.changes.append(endpoints)


class Sockets:
    addresses = ()


OLD, NEW = ["10.0.0.1", "127.0.0.1"], ["10.0.0.1", "10.9.0.1", "127.0.0.1"]
MOVED = ("ipc://@actormq-0", *(f"tcp://{host}:7" for host in NEW))


def finder(hub, boards, look, transport=None, **options):
    settings = checked({"insecure_lan": True, **options})
    made = Finder(
        Loop(), transport or Sockets(), hub, settings, Events(), lambda: boards.pop(0), look
    )
    made._watch._interval = 0.001
    return made


async def test_a_new_address_is_told_to_the_mesh_and_announced_on_what_is_there_now(until):
    hub, said, addresses, transport = Hub(), [], [OLD], Sockets()
    watching = finder(hub, [Board(said)], lambda: addresses[-1], transport)
    await watching.start()
    assert said == [OwnFacts.endpoints]
    addresses.append(NEW)
    await until(lambda: said.count("refresh") == 1 + SETTLE_LOOKS)
    assert hub.changes == [MOVED]
    assert said[1:3] == ["refresh", MOVED]
    assert transport.addresses == NEW
    await watching.stop()
    assert said[-1] == "stop"


async def test_discovery_that_had_no_network_begins_with_the_first_one(until):
    hub, said, addresses = Hub(), [], [["127.0.0.1"]]
    boards = [Board(said, is_usable=False), Board(said)]
    watching = finder(hub, boards, lambda: addresses[-1])
    await watching.start()
    assert said == []
    addresses.append(NEW)
    await until(lambda: MOVED in said)
    await watching.stop()


async def test_without_discovery_the_mesh_is_told_all_the_same(until):
    hub, addresses = Hub(), [OLD]
    watching = finder(hub, [], lambda: addresses[-1], discovery=False)
    await watching.start()
    addresses.append(NEW)
    await until(lambda: hub.changes)
    await watching.stop()


async def test_on_loopback_nobody_looks():
    watching = finder(Hub(), [], lambda: OLD, discovery=False, insecure_lan=False)
    await watching.start()
    assert watching._watch._timer is None
    await watching.stop()


async def test_a_watch_tells_of_a_change_until_it_has_settled_and_of_nothing_else(until):
    looks, told, addresses = [0], [], [OLD]

    def look():
        looks[0] += 1
        return list(addresses[-1])

    watch = Watch(Loop(), look, told.append, 0.001)
    watch.start()
    await until(lambda: looks[0] > 5)
    assert told == []
    addresses.append(NEW)
    await until(lambda: len(told) == 1 + SETTLE_LOOKS)
    seen = looks[0]
    await until(lambda: looks[0] > seen + 5)
    watch.stop()
    assert told == [NEW] * (1 + SETTLE_LOOKS)
    assert watch._timer is None


def test_this_host_has_a_loopback_interface_and_no_scopes_in_its_addresses():
    every = interfaces()
    assert any("127.0.0.1" in each.addresses for each in every)
    assert not any("%" in address for each in every for address in each.addresses)
