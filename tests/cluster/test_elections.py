"""Elected names: one of all candidates holds a name, each is told what it is, and when."""

import asyncio

import pytest

from actormq import Actor, ActorNotFound, Node, SetupError, Supervisor, child, handler
from actormq.cluster.elections import ELECTED
from actormq.events import NameElected, NameStandby
from actormq.settings import STANDBY_LIMIT
from actormq.testing import simulate

NAMES = ["n0", "n1", "n2", "n3", "n4"]


class Lead(Actor):
    """Notes what it is told in a list that all share."""

    elected = True

    def __init__(self, told, leaving=0.0):
        self.told = told
        self.leaving = leaving

    @handler
    def where(self):
        return self.node.name

    @handler
    def fail(self):
        raise OSError("no sensor")

    @handler
    async def work(self, seconds):
        await asyncio.sleep(seconds)
        self.told.append((self.node.name, "has worked"))

    async def on_elected(self):
        self.told.append((self.node.name, "elected"))

    async def on_standby(self):
        self.told.append((self.node.name, "stands by"))
        await asyncio.sleep(self.leaving)
        self.told.append((self.node.name, "stood by"))

    async def on_stop(self):
        self.told.append((self.node.name, "stopped"))


class Meeting:
    """Nodes of a world that each offer a candidate, and what they see and are told."""

    def __init__(self, world, **settings):
        self.world = world
        self.settings = settings
        self.told = []
        self.refs = {}

    async def start(self, *names, kind=Lead, **options):
        for name in names:
            await self.world.start(name, lambda node: self._boot(node, kind), **options)

    async def _boot(self, node, kind):
        node.events.listen(lambda event: self._heard(node, event), NameElected)
        node.events.listen(lambda event: self._heard(node, event), NameStandby)
        self.refs[node.name] = await node.spawn(kind, "lead", self.told, **self.settings)

    def _heard(self, node, event):
        if isinstance(event, NameElected):
            what = f"sees {event.node_name}"
            assert event.is_own is (event.node == node.id)
        else:
            what = "lets go" if event.has_let_go else "is no leader"
        self.told.append((node.name, what))

    def seen(self, *names):
        """Whom the nodes find, by name: each sees one at most."""
        by_id = {node.id: node.name for node in self.world.nodes}
        found = set()
        for node in self.world.nodes:
            if not names or node.name in names:
                refs = node.find_all("lead")
                assert len(refs) <= 1
                found.add(by_id.get(refs[0].address.node, "gone") if refs else None)
        return found

    async def elected(self, *names, within=30.0):
        """Wait until the nodes agree on one; say which, and how long it took."""

        def agree():
            seen = self.seen(*names)
            return len(seen) == 1 and seen <= set(names or NAMES)

        seconds = await self.world.until(agree, within)
        (who,) = self.seen(*names)
        return who, seconds

    def of(self, name):
        return [what for who, what in self.told if who == name]

    def holding(self, *names):
        """Which actors were told last that they are elected."""
        roles = ("elected", "stands by", "stopped")
        last = {who: what for who, what in self.told if what in roles}
        return [name for name in names if last.get(name) == "elected"]


def run(scenario, seed=1, **settings):
    return simulate(seed, lambda world: scenario(Meeting(world, **settings), world)).result


# -- one of several -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_one_of_several_is_elected_and_the_others_stand_by(seed):
    async def scenario(meeting, world):
        await meeting.start("n0", "n1", "n2")
        who, _ = await meeting.elected()
        await world.sleep(5)
        for name in ("n0", "n1", "n2"):
            told = [what for what in meeting.of(name) if not what.startswith("sees")]
            stood = ["stands by", "is no leader", "stood by"]
            assert sorted(told) == sorted(["elected"] if name == who else stood)
            assert [w for w in meeting.of(name) if w.startswith("sees")] == [f"sees {who}"]
            assert await meeting.refs[name].ask("where") == name  # its own ref works in any case
            assert await (await world.node(name).find("lead")).ask("where") == who

    run(scenario, seed)


def test_a_lone_node_takes_the_name_once_it_has_looked_for_others():
    async def scenario(meeting, world):
        await meeting.start("n0", discovery=False)
        with pytest.raises(ActorNotFound):
            await world.node("n0").find("lead", timeout=0)
        who, seconds = await meeting.elected(within=5)
        assert who == "n0"
        assert seconds > 1.0
        assert meeting.of("n0") == ["sees n0", "elected"]

    run(scenario)


def test_watch_tells_of_those_who_hold_the_name_only():
    async def scenario(meeting, world):
        node = await world.start("n4")
        seen = []

        async def follow():
            async for refs in node.watch("lead"):
                seen.append([ref.address.node for ref in refs])  # noqa: PERF401 as it comes

        await meeting.start("n0", "n1")
        following = asyncio.ensure_future(follow())
        who, _ = await meeting.elected()
        other = "n1" if who == "n0" else "n0"
        ids = [world.node(name).id for name in (who, other)]
        await world.stop(other)
        await world.sleep(1)
        await meeting.start(other)
        await world.sleep(5)
        assert seen[-1] == ids[:1]
        assert all(each in ([], ids[:1]) for each in seen)
        assert len(seen) <= 2
        following.cancel()

    run(scenario)


def test_a_group_and_an_elected_actor_of_one_name_are_all_found():
    class Member(Actor):
        @handler
        def where(self):
            return self.node.name

    async def scenario(meeting, world):
        await meeting.start("n0", "n1")
        who, _ = await meeting.elected()
        node = await world.start("n2")
        await node.spawn(Member, "lead")
        await world.until(lambda: len(world.node("n0").find_all("lead")) == 2)
        names = {await ref.ask("where") for ref in world.node("n0").find_all("lead")}
        assert names == {who, "n2"}

    run(scenario)


# -- the oldest ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_who_comes_later_stands_by_also_if_it_was_there_before(seed):
    async def scenario(meeting, world):
        await meeting.start("n0")
        await meeting.elected()
        await meeting.start("n1")
        await world.sleep(3)
        await meeting.start("n2")
        await world.settled()
        await world.sleep(3)
        assert meeting.seen() == {"n0"}
        assert meeting.of("n1") == ["sees n0", "is no leader", "stands by", "stood by"]
        world.crash("n0")
        assert await meeting.elected("n1", "n2") == ("n1", pytest.approx(1.0, abs=1.0))
        meeting.told.clear()
        await meeting.start("n0")
        await world.settled()
        await world.sleep(5)
        assert meeting.seen() == {"n1"}
        assert meeting.told == [
            ("n0", "sees n1"),
            ("n0", "is no leader"),
            ("n0", "stands by"),
            ("n0", "stood by"),
        ]

    run(scenario, seed)


def test_the_oldest_takes_the_name_although_it_offers_it_last():
    async def scenario(meeting, world):
        oldest = await world.start("n0")
        await world.sleep(2)
        await meeting.start("n1", "n2")
        first, _ = await meeting.elected()
        await world.settled()
        meeting.told.clear()
        await meeting._boot(oldest, Lead)
        await world.until(lambda: meeting.seen() == {"n0"}, 5)
        told = meeting.told
        assert told.index((first, "stood by")) < told.index((first, "lets go"))
        assert told.index((first, "lets go")) < told.index(("n0", "elected"))
        assert told.index(("n0", "elected")) < told.index(("n2", "sees n0"))
        assert meeting.holding("n0", "n1", "n2") == ["n0"]

    run(scenario, leaving=0.5)


@pytest.mark.parametrize("seed", range(3))
def test_two_meshes_that_meet_keep_the_holder_of_the_older_one(seed):
    async def scenario(meeting, world):
        world.partition(["n0", "n1"], ["n2", "n3"])
        await meeting.start("n0", "n1")
        await world.sleep(5)
        await meeting.start("n2", "n3")
        await world.sleep(5)
        older, younger = meeting.seen("n0", "n1"), meeting.seen("n2", "n3")
        assert older < {"n0", "n1"}
        assert younger < {"n2", "n3"}
        world.heal()
        await world.until(lambda: meeting.seen() == older, 10)
        await world.sleep(3)
        assert meeting.seen() == older
        assert meeting.holding(*NAMES) == list(older)

    run(scenario, seed)


# -- taking over --------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_another_takes_over_from_a_node_that_is_gone(seed, silent):
    async def scenario(meeting, world):
        await meeting.start("n0", "n1", "n2")
        first, _ = await meeting.elected()
        await world.settled()
        world.crash(first, silent=silent)
        left = [node.name for node in world.nodes]
        second, seconds = await meeting.elected(*left, within=10)
        assert second != first
        assert seconds < (8.0 if silent else 2.0)
        assert meeting.of(second)[-1] == "elected" or "elected" in meeting.of(second)
        await world.sleep(3)
        assert meeting.holding(*left) == [second]

    run(scenario, seed)


@pytest.mark.parametrize("how", ["stop", "drain", "actor"])
def test_who_leaves_in_order_is_told_before_the_next_one_is_elected(how):
    async def scenario(meeting, world):
        await meeting.start("n0", "n1", "n2")
        first, _ = await meeting.elected()
        await world.settled()
        if how == "actor":
            await meeting.refs[first].stop()
        else:
            await world.stop(first, drain=how == "drain")
        left = [name for name in ("n0", "n1", "n2") if name != first]
        second, seconds = await meeting.elected(*left)
        assert seconds < 1.0
        end = meeting.told.index((first, "stopped" if how == "actor" else "stood by"))
        assert end < meeting.told.index((second, "elected"))
        assert end < meeting.told.index((left[0], f"sees {second}"))

    run(scenario, leaving=0.3)


# -- partitions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_each_side_of_a_partition_has_one_and_the_loser_is_told_before_the_winner_is_seen(seed):
    async def scenario(meeting, world):
        await meeting.start(*NAMES)
        first, _ = await meeting.elected()
        await world.settled()
        side = [name for name in NAMES if name != first][:2]
        rest = [name for name in NAMES if name not in side]
        world.partition(side, rest)
        second, seconds = await meeting.elected(*side, within=10)
        assert second != first
        assert seconds < 9.0
        assert meeting.seen(*rest) == {first}
        await world.sleep(5)
        assert meeting.holding(*side) == [second]
        assert meeting.holding(*rest) == [first]
        meeting.told.clear()
        world.heal()
        who, _ = await meeting.elected(within=10)
        await world.settled()
        await world.sleep(5)
        loser = second if who == first else first
        assert meeting.seen() == {who}
        told = meeting.told
        assert meeting.of(loser)[:2] == ["stands by", "stood by"]
        assert (who, "elected") not in told or who not in (first, second)
        let_go = told.index((loser, "lets go"))
        losers = side if loser == second else rest
        for name in losers:
            assert told.index((name, f"sees {who}")) > let_go
        assert [w for w in told if w[1] == "elected"] == []

    run(scenario, seed, leaving=0.5)


def test_nobody_is_elected_on_the_smaller_side():
    async def scenario(meeting, world):
        await meeting.start(*NAMES, expected_nodes=5)
        first, _ = await meeting.elected()
        await world.settled()
        side = [first, next(name for name in NAMES if name != first)]
        rest = [name for name in NAMES if name not in side]
        world.partition(side, rest)
        second, seconds = await meeting.elected(*rest, within=10)
        assert seconds < 9.0
        await world.until(lambda: meeting.seen(*side) == {None}, 5)
        assert meeting.of(first)[-1] == "lets go"
        assert meeting.holding(*NAMES) == [second]
        with pytest.raises(ActorNotFound) as raised:
            await world.node(first).find("lead", timeout=0.5)
        assert str(raised.value) == (
            "no actor named 'lead' in mesh 'simulated' within 0.5 s (2 of 5 expected nodes are "
            "here, and nobody is elected by fewer than 3): check the name with `actormq ps`, or "
            "wait longer with timeout="
        )
        world.heal()
        await world.until(lambda: meeting.seen() == {first}, 10)  # it is still the oldest
        await world.sleep(5)
        assert meeting.seen() == {first}
        assert meeting.holding(*NAMES) == [first]

    run(scenario)


def test_too_few_nodes_elect_nobody_until_enough_are_there():
    async def scenario(meeting, world):
        await meeting.start("n0", expected_nodes=3)
        await world.sleep(5)
        assert meeting.seen() == {None}
        assert meeting.told == [("n0", "is no leader"), ("n0", "stands by"), ("n0", "stood by")]
        await meeting.start("n1", expected_nodes=3)
        who, _ = await meeting.elected(within=5)
        await world.sleep(1)
        assert meeting.holding("n0", "n1") == [who]

    run(scenario)


# -- whatever happens -----------------------------------------------------------------------------


class Observed(Meeting):
    """Sees to it that nobody is seen in the place of one that is there and has not let go."""

    def __init__(self, world, **settings):
        super().__init__(world, **settings)
        self.seen_by = {}  # node: whom it sees, and since when
        self.let_go_at = {}

    def _heard(self, node, event):
        super()._heard(node, event)
        now = self.world.time
        if isinstance(event, NameStandby):
            self.let_go_at[node.id] = now
            return
        before, since = self.seen_by.get(node.id, (event.node, now))
        self.seen_by[node.id] = event.node, now
        if before != event.node and node.mesh_view.is_member(before):
            holding = [each.id for each in self.world.nodes if role(each) == ELECTED]
            assert before not in holding or self.let_go_at.get(before, -1.0) >= since


def role(node):
    return next((each.role for each in node._elections._candidates.values()), "")


async def trouble(world):
    """Something that happens to a node or between several, and is over when this returns."""
    chance = world.random
    kind = chance.choice(["partition", "crash", "silent", "pause", "stop", "drain"])
    name = chance.choice(NAMES)
    if kind == "partition":
        world.partition(chance.sample(NAMES, chance.choice([1, 2])))
        await world.sleep(chance.choice([2, 5, 15]))
        world.heal()
    elif kind == "pause":
        world.pause(name)
        await world.sleep(chance.choice([1, 4, 12]))
        world.resume(name)
    else:
        if kind in ("crash", "silent"):
            world.crash(name, silent=kind == "silent")
        else:
            await world.stop(name, drain=kind == "drain")
        await world.sleep(chance.choice([0.5, 3, 10]))
        await world.restart(name)
    await world.sleep(chance.choice([0, 1, 3]))


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_the_oldest_holds_the_name_alone_in_the_end(seed):
    async def scenario(world):
        meeting = Observed(world, leaving=0.5 * (seed % 2))
        await meeting.start(*NAMES)
        await world.settled()
        for _ in range(4):
            await trouble(world)
        await world.settled(40)
        who, _ = await meeting.elected(within=5)
        await world.sleep(4)
        ages = {node.name: node.mesh_view.facts.seniority for node in world.nodes}
        assert ages[who] == min(ages.values())
        assert meeting.seen() == {who}
        assert meeting.holding(*NAMES) == [who]
        assert [node.name for node in world.nodes if role(node) == ELECTED] == [who]

    simulate(seed, scenario)


# -- slow and failing candidates ----------------------------------------------------------------


def test_who_is_busy_lets_go_when_it_is_done_and_the_name_is_nobodys_until_then():
    async def scenario(meeting, world):
        await meeting.start("n0", "n1")
        first, _ = await meeting.elected()
        await world.settled()
        meeting.refs[first].tell("work", 1.0)
        await world.stop(first, drain=True)
        who, _ = await meeting.elected(*[node.name for node in world.nodes], within=5)
        told = meeting.told
        assert told.index((first, "has worked")) < told.index((first, "stood by"))
        assert told.index((first, "stood by")) < told.index((who, "elected"))

    run(scenario)


def test_who_does_not_come_to_an_end_holds_up_the_others_for_so_long_only(caplog):
    async def scenario(meeting, world):
        await meeting.start(*NAMES[:3], expected_nodes=2)
        first, _ = await meeting.elected()
        await world.settled()
        others = [name for name in NAMES[:3] if name != first]
        for name in others:
            world.crash(name)
        begun = world.time
        await world.until(lambda: meeting.seen() == {None}, 10)
        assert STANDBY_LIMIT <= world.time - begun < STANDBY_LIMIT + 2.5
        assert meeting.of(first)[-1] == "lets go"

    run(scenario, leaving=60.0)
    assert f"has not come to the end of on_standby within {STANDBY_LIMIT:g} s" in caplog.text


class Rack(Supervisor):
    def __init__(self, told):
        self.children = [child(Lead, "lead", told)]


def test_a_new_instance_is_told_what_it_is_and_its_name_stays(logged):
    logged.expect("lead.fail failed: it is restarted")

    async def scenario(meeting, world):
        for name in ("n0", "n1"):
            node = await world.start(name)
            await node.spawn(Rack, "rack", meeting.told)
        who, _ = await meeting.elected()
        await world.settled()
        meeting.told.clear()
        for name in ("n0", "n1"):
            cell = world.node(name)._runtime.registry._by_name["lead"]
            before = cell.actor
            cell.ref.tell("fail")
            await world.until(lambda cell=cell, b=before: cell.actor is not b and not cell.is_down)
            await world.sleep(1)
            assert meeting.seen() == {who}
        assert meeting.of(who) == ["stopped", "elected"]
        assert meeting.of("n1" if who == "n0" else "n0") == ["stopped", "stands by", "stood by"]

    run(scenario)


# -- bad classes --------------------------------------------------------------------------------


async def test_an_elected_actor_needs_a_name(node):
    with pytest.raises(SetupError) as raised:
        await node.spawn(Lead, None, [])
    assert str(raised.value) == (
        "Lead is elected, and so needs the name that one of its actors holds: spawn(Lead, 'lead')"
    )


@pytest.mark.parametrize("hook", ["on_elected", "on_standby"])
def test_the_hooks_are_checked_as_others_are(hook):
    with pytest.raises(SetupError, match=rf"Bad\.{hook}: write async def {hook}\(self\)"):
        type("Bad", (Actor,), {hook: lambda self: None})


def test_elected_is_true_or_false():
    with pytest.raises(SetupError, match=r"Bad\.elected is 'scheduler': write elected = True"):
        type("Bad", (Actor,), {"elected": "scheduler"})


# -- elsewhere ----------------------------------------------------------------------------------


class Threaded(Lead):
    runs_in = "thread"


async def test_an_actor_in_a_thread_is_told_as_well_and_a_guest_finds_it(mesh):
    told = []
    node = await mesh.start()
    await node.spawn(Threaded, "lead", told)
    place = node.address.removeprefix("tcp://")
    async with Node.guest(mesh=mesh.name, discovery=False, join=[place]) as guest:
        ref = await guest.find("lead", timeout=60)
        assert await ref.ask("where") == "n0"
        assert node._elections._electorate.living_count() == 1  # a guest makes no majority
    assert told == [("n0", "elected")]
    await node.drain()
    assert told == [("n0", "elected"), ("n0", "stands by"), ("n0", "stood by"), ("n0", "stopped")]
