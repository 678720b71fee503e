import asyncio

import pytest

from actormq import (
    Actor,
    ActorNotFound,
    ActorStopped,
    AskTimeout,
    NodeNotRunning,
    NodeUnreachable,
    PeerLost,
    Publisher,
    SetupError,
    every,
    handler,
)
from actormq.testing import SimulationFailed, simulate

NAMES = ["n0", "n1", "n2", "n3", "n4"]


async def started(world, count=3, **options):
    nodes = [await world.start(name, **options) for name in NAMES[:count]]
    await world.settled(10)
    return nodes


def states(node):
    return {peer.facts.name: peer.state.value for peer in node.mesh_view.peers()}


# -- nodes ----------------------------------------------------------------------------------------


def test_nodes_find_each_other_by_multicast_and_their_actors_talk(counter):
    async def scenario(world):
        one, other = await started(world, 2)
        await one.spawn(counter, "counter", 5)
        far = await other.find("counter")
        far.tell(counter.add, 2)
        return await far.ask(counter.add, 3)

    assert simulate(1, scenario).result == 10


def test_nodes_find_each_other_where_one_is_named():
    async def scenario(world):
        await world.start("n0", discovery=False)
        await world.start("n1", discovery=False, join=["n0"])
        await world.start("n2", discovery=False, join=["n0:7000"])
        await world.settled(5)
        return [states(node) for node in world.nodes]

    known = simulate(1, scenario).result
    assert known[0] == {"n1": "alive", "n2": "alive"}


def test_a_node_that_is_named_and_not_there_yet_is_found_later():
    async def scenario(world):
        await world.start("n1", discovery=False, join=["n0"])
        await world.sleep(5)
        await world.start("n0", discovery=False)
        return await world.settled(5)

    assert simulate(1, scenario).result <= 2.0


def test_nodes_of_two_meshes_stay_apart():
    async def scenario(world):
        one = await world.start("n0", mesh="home")
        await world.start("n1", mesh="lab")
        await world.sleep(10)
        return states(one)

    assert simulate(1, scenario).result == {}


def test_a_quarter_of_a_day_of_one_node_passes_soon():
    class Clock(Actor):
        def __init__(self):
            self.hours = 0

        @every(3600.0)
        def strike(self):
            self.hours += 1

        @handler
        def struck(self) -> int:
            return self.hours

    async def scenario(world):
        node = await world.start("n0")
        clock = await node.spawn(Clock)
        await world.sleep(6 * 3600 + 1)
        return await clock.ask(Clock.struck)

    run = simulate(1, scenario, most=100_000.0, trace=False)
    assert run.result == 6
    assert run.seconds == 6 * 3600 + 1


# -- faults ---------------------------------------------------------------------------------------


def test_a_partition_parts_the_mesh_and_after_the_heal_it_is_whole(counter):
    async def scenario(world):
        nodes = await started(world, 5)
        await nodes[0].spawn(counter, "counter")
        world.partition(["n0", "n1"], ["n2", "n3", "n4"])
        await world.until(lambda: set(states(nodes[0])) == {"n1"}, 10)
        await world.until(lambda: set(states(nodes[4])) == {"n2", "n3"}, 10)
        assert nodes[4].find_all("counter") == []
        world.heal()
        took = await world.settled(20)
        await world.until(lambda: nodes[4].find_all("counter"), 5)
        return took

    assert simulate(1, scenario).result <= 10.0


@pytest.mark.parametrize("seed", range(10))
def test_two_nodes_that_hold_each_other_for_dead_meet_again(seed):
    async def scenario(world):
        one, other = await started(world, 2)
        world.cut("n0", "n1")
        await world.until(lambda: not states(one) and not states(other), 10)
        world.heal()
        await world.settled(20)

    simulate(seed, scenario)


@pytest.mark.parametrize("one_way", [False, True])
def test_a_cut_between_two_parts_nobody_while_a_third_reaches_both(one_way):
    async def scenario(world):
        nodes = await started(world, 3)
        world.cut("n0", "n1", one_way=one_way)
        for _ in range(60):
            await world.sleep(0.5)
            assert all(len(states(node)) == 2 for node in nodes)
        world.heal("n1")
        await world.settled(5)

    simulate(1, scenario)


def test_a_crash_is_seen_soon_and_ends_the_asks_of_others(counter):
    async def scenario(world):
        one, other = await started(world, 2)

        class Slow(Actor):
            @handler
            async def nap(self) -> None:
                await asyncio.sleep(60)

        await other.spawn(Slow, "slow")
        far = await one.find("slow")
        reply = far.within(30).ask(Slow.nap)
        await world.sleep(0.5)
        world.crash("n1")
        begun = world.time
        with pytest.raises(PeerLost):
            await reply
        with pytest.raises(NodeUnreachable):
            far.tell(Slow.nap)
        return world.time - begun

    assert simulate(1, scenario).result <= 2.0


def test_a_machine_that_loses_power_is_known_to_be_dead_within_8_s():
    async def scenario(world):
        nodes = await started(world, 3)
        world.crash("n2", silent=True)
        return await world.until(lambda: "n2" not in states(nodes[0]) | states(nodes[1]), 8)

    assert simulate(1, scenario).result > 3.0


def test_a_restart_is_another_node_that_runs_the_same_program(counter):
    async def scenario(world):
        async def program(node):
            await node.spawn(counter, "counter", 40)

        one = await world.start("n0")
        before = await world.start("n1", program)
        old = await one.find("counter")
        await old.ask(counter.add, 1)
        world.crash("n1")
        after = await world.restart("n1")
        assert after.id != before.id
        await world.settled(10)
        with pytest.raises(ActorStopped):
            old.tell(counter.add)
        new = await one.find("counter")
        return await new.ask(counter.add, 2)

    assert simulate(1, scenario).result == 42


def test_whoever_waits_outside_for_a_node_that_crashes_is_told(counter):
    class Stuck(Actor):
        async def on_start(self):
            await asyncio.sleep(3600)

    class Waits(Actor):
        @handler
        async def wait(self) -> None:
            await asyncio.sleep(3600)

    async def scenario(world):
        node = await world.start("n0", start_timeout=7200.0)
        ref = await node.spawn(Waits)
        spawning = asyncio.create_task(node.spawn(Stuck))
        reply = ref.within(7200).ask(Waits.wait)
        await world.sleep(1)
        world.crash("n0")
        with pytest.raises(PeerLost, match="its machine crashed"):
            await reply
        with pytest.raises(NodeNotRunning):
            await spawning
        with pytest.raises(NodeNotRunning):
            await node.spawn(counter)
        assert world.nodes == []

    simulate(1, scenario)


def test_nothing_of_a_crashed_node_goes_on():
    ran = []

    class Busy(Actor):
        @every(0.1)
        async def work(self):
            ran.append("every")

        async def on_stop(self):
            ran.append("on_stop")

        @handler(concurrent=True)
        async def hold(self) -> None:
            try:
                await asyncio.sleep(1)
            finally:
                ran.append("finally")

    async def scenario(world):
        node = await world.start("n0")
        ref = await node.spawn(Busy)
        ref.tell(Busy.hold)
        await world.sleep(0.55)
        world.crash("n0")
        count = len(ran)
        await world.sleep(10)
        assert ran[count:] == []
        return count

    assert simulate(1, scenario).result > 0
    assert "on_stop" not in ran


def test_a_node_that_stops_says_goodbye():
    async def scenario(world):
        nodes = await started(world, 2)
        await world.stop("n1")
        took = await world.until(lambda: not states(nodes[0]), 1)
        await world.restart("n1")
        await world.settled(10)
        return took

    run = simulate(1, scenario)
    assert run.result < 0.1
    assert b"is left: it was stopped" in run.trace


def test_a_node_that_hangs_briefly_is_never_dead_and_answers_late(counter):
    async def scenario(world):
        one, other = await started(world, 2)
        await other.spawn(counter, "counter")
        far = await one.find("counter")
        world.pause("n1")
        with pytest.raises(AskTimeout):
            await far.within(1).ask(counter.add)
        reply = far.within(4).ask(counter.add)
        await world.sleep(1)
        world.resume("n1")
        return await reply

    run = simulate(1, scenario)
    assert run.result == 2  # the first ask came as late as the second, and its time begins there
    assert b"is dead" not in run.trace


def test_torn_connections_are_made_again():
    async def scenario(world):
        await started(world, 2)
        torn = world.tear("n0", "n1")
        await world.sleep(3)
        assert world.is_whole()
        return torn

    run = simulate(1, scenario)
    assert run.result >= 2
    assert b"is dead" not in run.trace


def test_a_full_network_holds_messages_back_and_loses_none(counter):
    async def scenario(world):
        one, other = await started(world, 2)
        await other.spawn(counter, "counter")
        far = await one.find("counter")
        world.worsen(delay=(0.5, 0.5))
        for _ in range(400):
            far.tell(counter.add)
            await world.sleep(0.001)
        await world.sleep(20)
        return await far.ask(counter.add, 0)

    run = simulate(1, scenario)
    assert run.result == 400
    assert run.ledger.is_balanced


# -- what is as on a real machine -----------------------------------------------------------------


def test_a_blocking_handler_is_called_and_takes_no_time():
    class Worker(Actor):
        @handler(blocking=True)
        def work(self, value: int) -> int:
            return value * 2

    async def scenario(world):
        node = await world.start("n0")
        ref = await node.spawn(Worker)
        return await ref.ask(Worker.work, 21), world.time

    assert simulate(1, scenario).result == (42, 0.0)


def test_what_a_handler_awaits_takes_virtual_time():
    class Sleeper(Actor):
        @handler
        async def nap(self, seconds: float) -> float:
            async with asyncio.timeout(100):
                await asyncio.sleep(seconds)
            return asyncio.get_running_loop().time()

    async def scenario(world):
        node = await world.start("n0")
        ref = await node.spawn(Sleeper)
        await ref.ask(Sleeper.nap, 2.5)
        return world.time

    assert simulate(1, scenario).result == 2.5


def test_a_name_that_nobody_has_is_not_found_in_time():
    async def scenario(world):
        node = await world.start("n0")
        with pytest.raises(ActorNotFound):
            await node.find("nobody", timeout=3)
        return world.time

    assert simulate(1, scenario).result == 3.0


# -- what cannot be -------------------------------------------------------------------------------


class Station(Actor):
    feed = Publisher(service="weather")


def test_an_actor_with_sockets_of_its_own_is_refused_in_one_sentence():
    async def scenario(world):
        node = await world.start("n0")
        with pytest.raises(SetupError, match="sockets of actors are not simulated"):
            await node.spawn(Station)

    simulate(1, scenario)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda world: world.node("n9"), "no node runs on 'n9': start or restart it"),
        (lambda world: world.crash("n9"), "no node runs on 'n9'"),
        (lambda world: world.pause("n9"), "no node runs on 'n9'"),
        (lambda world: world.start("n0"), "a node runs on 'n0' already"),
        (lambda world: world.restart("n0"), "a node runs on 'n0' already"),
        (lambda world: world.restart("n9"), "nothing has run on 'n9' before"),
        (lambda world: world.start("n9", mailbox_limit=0), "setting mailbox_limit"),
        (lambda world: world.start("n9", colour="red"), "unknown setting 'colour'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(wrong, sentence):
    async def scenario(world):
        await world.start("n0")

        async def call():
            result = wrong(world)
            if result is not None:
                await result

        with pytest.raises(SetupError, match=sentence):
            await call()

    simulate(1, scenario)


def test_a_node_that_hangs_cannot_be_stopped_in_order():
    async def scenario(world):
        await world.start("n0")
        world.pause("n0")
        with pytest.raises(SetupError, match="hangs: resume it or crash it"):
            await world.stop("n0")
        world.crash("n0")
        await world.restart("n0")

    simulate(1, scenario)


def test_a_condition_that_does_not_come_says_so():
    async def scenario(world):
        await world.until(lambda: False, 5)

    with pytest.raises(SimulationFailed, match="not within 5 virtual seconds"):
        simulate(1, scenario)
