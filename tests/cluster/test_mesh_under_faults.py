"""What was found wrong with the mesh in simulations, and is right now."""

import pytest

from actormq.cluster.sessions import SESSIONS
from actormq.testing import simulate

NAMES = ["n0", "n1", "n2"]


def known(node):
    return {peer.facts.name for peer in node.mesh_view.peers()}


@pytest.mark.parametrize("seed", range(5))
def test_two_that_hold_each_other_for_dead_meet_again_though_nobody_names_them(seed):
    async def scenario(world):
        one, other = [await world.start(name) for name in NAMES[:2]]
        await world.settled()
        world.cut("n0", "n1")
        await world.until(lambda: not known(one) and not known(other))
        world.heal()
        await world.settled(10)

    simulate(seed, scenario)


@pytest.mark.parametrize("one_way", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_two_that_are_cut_off_from_each_other_only_are_dead_for_nobody(seed, one_way):
    async def scenario(world):
        one, two, three = [await world.start(name) for name in NAMES]
        await world.settled()
        world.cut("n0", "n1", one_way=one_way)
        await world.sleep(60)
        assert known(one) == {"n1", "n2"}
        assert known(two) == {"n0", "n2"}
        world.heal()
        await world.settled(5)
        return three.id

    assert " is dead" not in simulate(seed, scenario).trace.decode()


@pytest.mark.parametrize("seed", range(5))
def test_who_comes_back_after_a_cut_is_lost_by_nobody_again(seed):
    async def scenario(world):
        one, two, three = [await world.start(name) for name in NAMES]
        await world.settled()
        world.partition(["n0"], ["n1", "n2"])
        await world.until(lambda: not known(one) and known(two) == {"n2"})
        await world.until(lambda: known(three) == {"n1"})
        world.heal()
        await world.settled(5)
        assert one.mesh_view.facts.incarnation > 1
        world.tear("n0", "n2")  # so that they say hello again, with the new incarnation
        world.tear("n1", "n2")
        await world.sleep(5)
        assert world.is_whole()
        return three.id

    run = simulate(seed, scenario)
    before, _, after = run.trace.decode().partition("heal all")
    assert " is dead" in before
    assert " is dead" not in after


def test_an_announcement_that_outlives_its_node_does_not_let_its_place_be_dialled_for_ever():
    async def scenario(world):
        for name in NAMES[:2]:
            await world.start(name)
        await world.settled()
        world.crash("n1")
        await world.restart("n1")
        await world.settled(10)
        await world.sleep(4)
        world.note("from here on")
        await world.sleep(60)

    trace = simulate(1, scenario).trace.decode()
    assert "hello" not in trace.partition("from here on")[2]


def test_of_two_idle_nodes_one_asks_and_the_other_answers():
    async def scenario(world):
        for name in NAMES[:2]:
            await world.start(name)
        await world.settled()
        await world.sleep(100)

    lines = simulate(1, scenario).trace.decode().splitlines()
    asked = {who: sum(f" {who} to" in line and "ping" in line for line in lines) for who in NAMES}
    fewer, more = sorted((asked["n0"], asked["n1"]))
    assert 50 <= more <= 70  # one in 1.5 s, as far as looks every quarter of a second allow
    assert fewer <= 8  # for the round trip


def test_all_envelopes_are_accounted_for_whoever_sees_whom_as_gone():
    async def scenario(world):
        one, other = [await world.start(name) for name in NAMES[:2]]
        await world.settled()
        world.pause("n1")
        await world.until(lambda: not known(one))
        world.resume("n1")  # it has heard nobody as it hung, and knows that this says nothing
        await world.settled(20)
        await world.sleep(1)
        assert known(other) == {"n0"}
        assert one.traffic().unread > 0
        return world.ledger()

    assert simulate(1, scenario).result.is_balanced


def test_a_peer_whose_connection_breaks_again_and_again_leaves_no_sessions_behind():
    async def scenario(world):
        one, _ = [await world.start(name) for name in NAMES[:2]]
        await world.settled()
        for _ in range(100):
            world.tear("n0", "n1")
            await world.sleep(1)
        await world.settled()
        assert world.is_whole()
        (member,) = one.mesh_view.members.values()
        return len(member.sessions), len(one.mesh_view._sessions)

    of_the_peer, of_all = simulate(1, scenario).result
    assert of_the_peer == of_all <= SESSIONS
