"""What nodes tell each other of the mesh, between nodes that share one queue of envelopes."""

import random
from collections import deque

import msgspec
import pytest

from actormq import message
from actormq.address import ActorEntry
from actormq.cluster.directory import Directory
from actormq.cluster.gossip import DIFFERS_FOR, ENTRIES_LIMIT, WANT_AGAIN, Gossip
from actormq.cluster.member import Member
from actormq.codec import Codec
from actormq.errors import RemoteProtocolError
from actormq.message import Facts
from actormq.rules import membership
from actormq.rules.digest import BUCKETS
from actormq.rules.lookout import ANSWER_WITHIN
from actormq.rules.membership import Membership
from actormq.rules.records import DISPUTED, Record, State
from actormq.rules.steps import Change, Renew, Spread, Tell

CODEC = Codec(4 << 20, 1 << 20)
DRAWN = random.Random(5)
IDS = [f"{DRAWN.getrandbits(64):016x}" for _ in range(400)]


def facts_of(node, **changes):
    facts = Facts("m", node, 1, f"n{node[:4]}", "lan", (f"tcp://h:{node}",), "h")
    return msgspec.structs.replace(facts, **changes)


class Wires:
    """All envelopes on their way, in the order in which they were said."""

    def __init__(self):
        self.now = 0.0
        self.hubs = {}
        self.queue = deque()
        self.said = []
        self.cut = set()

    def add(self, node, **changes):
        hub = self.hubs[node] = InMemoryHub(self, facts_of(node, **changes))
        return hub

    def run(self):
        """Let all that was said arrive, and what is said thereupon."""
        while self.queue:
            source, target, packed = self.queue.popleft()
            if target not in self.hubs or {source, target} & self.cut:
                continue
            hub = self.hubs[target]
            [envelope] = CODEC.unpack([packed])
            hub.gossip.take(hub.member(source), envelope)
            hub.act()

    def kinds(self):
        """The kinds that were said since this was asked last, each with how often."""
        kinds = {kind: self.said.count(kind) for kind in set(self.said)}
        self.said.clear()
        return kinds


class Way:
    """Stands for a link: a member that has one can be told something."""


class InMemoryHub:
    """A node with all of its membership, gossip and directory; instead of a mesh, a queue."""

    def __init__(self, wires, facts):
        self.wires = wires
        self.membership = Membership(facts, wires.now, random.Random(facts.node).random)
        self.directory = Directory(facts.node)
        self.gossip = Gossip(self, self.directory)
        self.members = {}
        self.gossip.note(facts.node)

    @property
    def id(self):
        return self.membership.own.node

    def now(self):
        return self.wires.now

    def member(self, node):
        if node not in self.members and node in self.wires.hubs:
            member = Member(self.wires.hubs[node].membership.own, None, 0.0)
            member.link = Way()
            self.members[node] = member
        return self.members.get(node)

    def guests(self):
        return [member for member in self.members.values() if member.facts.is_guest]

    def say(self, members, envelope):
        packed, _ = CODEC.pack("a peer", envelope)
        for member in members:
            self.wires.said.append(envelope[0])
            self.wires.queue.append((self.id, member.facts.node, packed))

    def act(self):
        while steps := self.membership.take_steps():
            for step in steps:
                match step:
                    case Tell(node, record):
                        self.gossip.tell(self.member(node), record)
                    case Spread(record, source) if not self.membership.own.is_guest:
                        self.gossip.spread(record, source)
                    case Renew(facts):
                        self.gossip.note(facts.node)
                    case Change(record, state) if state.is_final:
                        self.gossip.note(record.node)
                        self.directory.forget(record.node)

    def meets(self, other):
        """Two nodes have said hello to each other."""
        for one, two in ((self, other), (other, self)):
            one.membership.greeted(two.membership.own, self.wires.now)
            one.membership.linked(two.id, self.wires.now)
            one.act()
            one.gossip.introduce(one.member(two.id))

    def has(self, *names):
        serials = range(self.directory.version(self.id) + 1, 1_000)
        self.gossip.announce(
            [ActorEntry(n, name, "m:A") for n, name in zip(serials, names, strict=False)]
        )

    def compares_with(self, other):
        """A ping, and a pong after it."""
        for one, two in ((other, self), (self, other)):
            one.gossip.compared(one.member(two.id), two.gossip.digest.root)


@pytest.fixture
def wires():
    return Wires()


def mesh_of(wires, count):
    """So many nodes, each of which has met one that was there, in a random order."""
    hubs = []
    for number in range(count):
        hub = wires.add(IDS[number])
        if hubs:
            hub.meets(hubs[DRAWN.randrange(len(hubs))])
            wires.run()
        hubs.append(hub)
    return hubs


def agree(hubs):
    """Whether all know the same, of all."""
    assert all(len(hub.membership.entries) == len(hubs) - 1 for hub in hubs)
    return len({hub.gossip.digest.root for hub in hubs}) == 1


# -- news -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 12, 24])
def test_all_hear_of_all_and_of_what_each_has(wires, count):
    hubs = mesh_of(wires, count)

    for number, hub in enumerate(hubs):
        hub.has(f"actor-{number}")
    wires.run()

    assert agree(hubs)
    for hub in hubs:
        assert all(hub.directory.named(f"actor-{number}") for number in range(count))


def test_a_newcomer_is_told_what_there_is(wires):
    hubs = mesh_of(wires, 5)
    for number, hub in enumerate(hubs):
        hub.has(f"actor-{number}")
    wires.run()

    late = wires.add(IDS[50])
    late.meets(hubs[2])
    wires.run()

    assert agree([*hubs, late])
    assert all(late.directory.named(f"actor-{number}") for number in range(5))


def test_news_end_once_all_know_them(wires):
    hubs = mesh_of(wires, 24)
    wires.kinds()

    hubs[7].has("lamp")
    wires.run()

    # Each tells its at most ten neighbours once, but those who have heard it from the same one.
    assert wires.kinds()[message.STATE] <= 24 * 10
    assert all(hub.directory.named("lamp") for hub in hubs)


def test_a_death_spreads_and_takes_what_the_dead_had(wires):
    hubs = mesh_of(wires, 20)
    hubs[3].has("lamp")
    wires.run()
    dead, accuser = hubs[3], hubs[4]
    wires.cut.add(dead.id)

    wires.now += 2 * ANSWER_WITHIN  # whoever had heard it just now would not believe that

    record = Record(dead.membership.own, State.DEAD, "silent", accuser.id)
    accuser.membership.told(record, "", wires.now)
    accuser.act()
    wires.run()

    rest = [hub for hub in hubs if hub is not dead]
    assert agree(rest)
    assert not any(hub.directory.named("lamp") for hub in rest)


def test_a_guest_is_told_all_and_hears_news(wires):
    hubs = mesh_of(wires, 3)
    for number, hub in enumerate(hubs):
        hub.has(f"actor-{number}")
    wires.run()
    guest = wires.add(IDS[60], endpoints=())

    hubs[0].gossip.introduce(hubs[0].member(guest.id))
    wires.run()
    hubs[1].has("late")
    wires.run()

    assert set(guest.membership.entries) == {hub.id for hub in hubs}
    assert all(guest.directory.named(name) for name in ("actor-0", "actor-2", "late"))
    assert guest.id not in hubs[0].membership.entries


# -- repair -----------------------------------------------------------------------------------


def is_repaired(wires, one, other):
    """Let two compare until the sums say that they know the same."""
    for _ in range(3):
        one.compares_with(other)
        wires.now += DIFFERS_FOR
        wires.run()
    return one.gossip.digest.root == other.gossip.digest.root


def test_two_that_know_the_same_have_nothing_to_say(wires):
    one, other = mesh_of(wires, 2)
    wires.kinds()

    assert is_repaired(wires, one, other)
    assert wires.kinds() == {}


def test_a_difference_that_does_not_last_is_news_on_their_way(wires):
    one, other = mesh_of(wires, 2)
    one.has("lamp")
    wires.kinds()

    one.compares_with(other)
    wires.now += DIFFERS_FOR / 2
    one.compares_with(other)
    assert wires.kinds() == {}
    wires.run()
    one.compares_with(other)
    wires.now += DIFFERS_FOR
    one.compares_with(other)

    assert wires.kinds() == {}


def lose_a_change(one, _):
    one.has("lamp")


def lose_an_edition(one, _):
    one.membership.renew(endpoints=("tcp://h:2",))
    one.act()


def lose_an_incarnation(one, _):
    one.membership.renew(incarnation=5, edition=0)
    one.act()


def lose_a_stranger(one, other):
    third = one.wires.add(IDS[99])
    one.membership.told(Record(third.membership.own, State.ALIVE, "said hello"), "", 0.0)
    one.act()
    assert third.id not in other.membership.entries


@pytest.mark.parametrize(
    "lose", [lose_a_change, lose_an_edition, lose_an_incarnation, lose_a_stranger]
)
@pytest.mark.parametrize("is_turned", [False, True])
def test_what_was_lost_on_its_way_is_found(wires, lose, is_turned):
    pair = one, other = mesh_of(wires, 2)
    lose(one, other)
    wires.queue.clear()
    assert one.gossip.digest.root != other.gossip.digest.root

    assert is_repaired(wires, *(reversed(pair) if is_turned else pair))

    entry = other.membership.entries[one.id]
    assert entry.facts == one.membership.own
    assert set(other.membership.entries) - {one.id} == set(one.membership.entries) - {other.id}
    assert bool(other.directory.named("lamp")) == (lose is lose_a_change)


def test_a_gap_is_filled_with_the_whole(wires):
    one, other = mesh_of(wires, 2)
    one.has("a")
    wires.run()
    one.has("b")
    wires.queue.clear()
    wires.kinds()

    one.has("c")
    wires.run()

    assert all(other.directory.named(name) for name in "abc")
    assert wires.kinds() == {message.STATE: 2, message.WANT: 1, message.PEERS: 1}


def test_two_sides_of_300_compare_parts_and_tell_only_what_differs(wires):
    one, other = wires.add(IDS[0]), wires.add(IDS[1])
    common, ours, theirs = IDS[2:292], IDS[292:296], IDS[296:300]
    for hub, some in ((one, common + ours), (other, common + theirs)):
        for node in some:
            hub.membership.told(Record(facts_of(node), State.ALIVE, "said hello"), "", 0.0)
        hub.act()
    wires.kinds()

    one.meets(other)
    wires.run()

    assert one.gossip.digest.root == other.gossip.digest.root
    assert len(one.membership.entries) == len(other.membership.entries) == 299
    kinds = wires.kinds()
    assert kinds[message.DIGEST] == 2
    assert kinds[message.SUMMARY] <= 4
    assert kinds[message.PEERS] <= 40  # not a record of each


# -- the dead ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State.DEAD, ["suspect", DISPUTED]),
        (State.LEFT, ["left", 0]),
    ],
)
def test_who_lists_one_that_is_gone_is_told(wires, state, told):
    one, other = mesh_of(wires, 2)
    gone = facts_of(IDS[9])
    one.membership.told(Record(gone, state, "so it was said", one.id), "", 0.0)
    one.act()
    wires.queue.clear()

    one.gossip.take(one.member(other.id), [message.SUMMARY, [1], [[gone.node, 1, 0, 4]]])

    kind, records = CODEC.unpack([wires.queue.pop()[2]])[0]
    [record] = [record for record in records if record[0]["node"] == gone.node]
    assert kind == message.PEERS
    assert [record[1], record[0]["edition"]] == told
    assert not wires.kinds().get(message.WANT)


def test_the_next_incarnation_of_one_that_is_gone_is_asked_for(wires):
    one, other = mesh_of(wires, 2)
    gone = facts_of(IDS[9])
    one.membership.told(Record(gone, State.DEAD, "silent", one.id), "", 0.0)
    one.act()
    wires.queue.clear()

    one.gossip.take(one.member(other.id), [message.SUMMARY, [1], [[gone.node, 2, 0, 0]]])

    assert CODEC.unpack([wires.queue.pop()[2]]) == [[message.WANT, [gone.node]]]


# -- lies -------------------------------------------------------------------------------------


def packed(facts, version=0, state="alive"):
    return [facts.packed(), state, "said hello", "", version]


def test_what_was_asked_for_is_not_asked_for_again_at_once(wires):
    one, other = mesh_of(wires, 2)
    claim = [message.PEERS, [packed(other.membership.own, version=9)]]
    wires.kinds()

    for _ in range(5):
        one.gossip.take(one.member(other.id), claim)
    assert wires.kinds() == {message.WANT: 1}
    wires.now += WANT_AGAIN
    one.gossip.take(one.member(other.id), claim)

    assert wires.kinds() == {message.WANT: 1}


def test_what_was_asked_for_is_not_remembered_for_ever(wires):
    one, other = mesh_of(wires, 2)

    for batch in range(3):
        nodes = [f"{batch * ENTRIES_LIMIT + n:016x}" for n in range(ENTRIES_LIMIT + 5)]
        summary = [message.SUMMARY, [1], [[node, 1, 0, 1] for node in nodes]]
        one.gossip.take(one.member(other.id), summary)

    assert len(one.gossip._wanted) <= ENTRIES_LIMIT


def test_who_wants_the_same_node_a_thousand_times_is_told_once(wires):
    one, other = mesh_of(wires, 2)
    one.has("lamp")
    wires.run()
    wires.kinds()

    one.gossip.take(one.member(other.id), [message.WANT, [one.id] * 1_000 + ["nobody", None, 7]])

    assert wires.kinds() == {message.PEERS: 1, message.STATE: 1}


@pytest.mark.parametrize(
    "changes", [{"mesh": "other"}, {"scope": "loopback:0"}, {"endpoints": ()}], ids=str
)
def test_records_of_other_meshes_and_of_guests_are_passed_over(wires, changes):
    one, other = mesh_of(wires, 2)
    root = one.gossip.digest.root

    record = packed(facts_of(IDS[9], **changes))
    one.gossip.take(one.member(other.id), [message.PEERS, [record]])

    assert list(one.membership.entries) == [other.id]
    assert one.gossip.digest.root == root


def test_the_state_of_a_stranger_is_passed_over(wires):
    one, other = mesh_of(wires, 2)

    for base in (None, 0):
        state = [message.STATE, IDS[9], base, 1, [[1, "lamp", "m:A"]], [], []]
        one.gossip.take(one.member(other.id), state)

    assert one.directory.named("lamp") == []


def test_nobody_else_tells_a_node_what_it_has(wires):
    one, other = mesh_of(wires, 2)
    one.has("lamp")

    state = [message.STATE, one.id, None, 9, [[1, "fan", "m:A"]], [], []]
    one.gossip.take(one.member(other.id), state)

    assert one.directory.named("fan") == []
    assert one.directory.version(one.id) == 1


def test_members_are_invented_up_to_a_limit(wires, monkeypatch):
    monkeypatch.setattr(membership, "MEMBERS_LIMIT", 500)
    one, other = mesh_of(wires, 2)

    for start in range(0, 800, 200):
        records = [packed(facts_of(f"{start + n:016x}")) for n in range(200)]
        one.gossip.take(one.member(other.id), [message.PEERS, records])

    assert len(one.membership.entries) == 500
    assert len(one.gossip.digest) == 501


@pytest.mark.parametrize(
    "envelope",
    [
        [message.PEERS],
        [message.PEERS, "all"],
        [message.PEERS, ["roof"]],
        [message.PEERS, [packed(facts_of(IDS[9])), "roof"]],
        [message.PEERS, [packed(facts_of(IDS[9], name="x" * 1_000_000))]],
        [message.PEERS, [packed(facts_of(IDS[9], endpoints=("x",) * 65))]],
        [message.PEERS, [packed(facts_of(IDS[9]), state="asleep")]],
        [message.PEERS, [packed(facts_of(IDS[9]), version=-1)]],
        [message.STATE, IDS[9], 0, 1, [], []],
        [message.DIGEST, [0] * (BUCKETS - 1)],
        [message.DIGEST, [None] * BUCKETS],
        [message.SUMMARY, "all", []],
        [message.SUMMARY, [[]], []],
        [message.SUMMARY, [0] * (BUCKETS + 1), []],
        [message.SUMMARY, None, [[IDS[9], 1, 0]]],
        [message.SUMMARY, None, [[IDS[9], 1, 0, None]]],
        [message.WANT, {}],
    ],
    ids=lambda envelope: str(envelope)[-40:],
)
def test_an_envelope_of_another_shape_is_refused_whole(wires, envelope):
    one, other = mesh_of(wires, 2)

    with pytest.raises(RemoteProtocolError):
        one.gossip.take(one.member(other.id), envelope)

    assert list(one.membership.entries) == [other.id]
