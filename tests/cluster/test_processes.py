"""What holds between processes: they find each other, die, hang, leave and come back."""

import signal

import pytest
from granted import Granted

from actormq import Actor, Node, PeerLost, Ref, Terminated, handler
from actormq.events import MemberChanged

pytestmark = pytest.mark.slow

KILLED = 2.0  # s until a killed node is out of every view: DESIGN 6
LEFT = 0.2  # s until a node that left is; the best of three: a busy machine is not our subject


class Watcher:
    """How a node changed its mind about others."""

    def __init__(self, node):
        self.changes = []
        node.events.listen(self.note)

    def note(self, event):
        if isinstance(event, MemberChanged):
            self.changes.append(event)

    def of(self, name, state):
        return [e for e in self.changes if (e.name, e.state) == (name, state)]


async def test_processes_find_each_other_by_zeroconf_whichever_is_first(programs, mesh_name, until):
    programs.worker("before")
    async with Node(mesh=mesh_name, name="watcher") as node:
        programs.worker("after")
        for name in ("before", "after"):
            ref = await node.find(name, timeout=60)
            assert await ref.ask("ping") == name
        await until(lambda: "after is alive" in programs.log("before"))
        await until(lambda: "before is alive" in programs.log("after"))


async def test_one_join_is_enough_to_find_all_without_zeroconf(programs, mesh_name):
    async with (
        Node(mesh=mesh_name, name="a", discovery=False) as node,
        Node(
            mesh=mesh_name, name="b", discovery=False, join=[node.address.removeprefix("tcp://")]
        ) as other,
    ):
        place = node.address.removeprefix("tcp://")
        programs.worker("c", "--no-zeroconf", "--join", place)
        assert await (await node.find("c", timeout=60)).ask("ping") == "c"
        assert await (await other.find("c", timeout=60)).ask("ping") == "c"


async def test_a_killed_node_is_out_of_all_views_in_time_and_fails_what_waits_for_it(
    programs, mesh_name, until
):
    async with (
        Node(mesh=mesh_name, name="a", discovery=False) as one,
        Node(mesh=mesh_name, name="b", discovery=False) as other,
    ):
        places = [n.address.removeprefix("tcp://") for n in (one, other)]
        victim = programs.worker("c", "--no-zeroconf", "--join", places[0], "--join", places[1])
        refs = [await node.find("c", timeout=60) for node in (one, other)]
        watchers = [Watcher(node) for node in (one, other)]
        replies = [ref.within(60).ask("wait", 60.0) for ref in refs]
        with Granted() as taken:
            victim.kill()
            for reply in replies:
                with pytest.raises(PeerLost, match="'c' was lost"):
                    await reply
        assert taken.seconds < KILLED
        for node, watcher in zip((one, other), watchers, strict=True):
            assert watcher.of("c", "dead")
            assert node.find_all("c") == []


async def test_a_clean_leave_is_seen_at_once(programs, mesh_name, until):
    async with Node(mesh=mesh_name, name="watcher", discovery=False) as node:
        watcher = Watcher(node)
        place = node.address.removeprefix("tcp://")
        waits = []
        for name in ("c", "d", "e"):
            process = programs.worker(name, "--no-zeroconf", "--join", place)
            await node.find(name, timeout=60)
            with Granted() as taken:
                process.send_signal(signal.SIGINT)  # SIGTERM has it drained before
                await until(lambda name=name: watcher.of(name, "left"))
            waits.append(taken.seconds)
            assert process.wait(100) == 0
            assert not watcher.of(name, "dead")
        assert min(waits) < LEFT


@pytest.mark.timeout(90)
async def test_a_hung_node_is_held_for_dead_and_comes_back_as_a_new_incarnation(
    programs, mesh_name, until
):
    async with Node(mesh=mesh_name, name="watcher", discovery=False) as node:
        watcher = Watcher(node)
        place = node.address.removeprefix("tcp://")
        process = programs.worker("c", "--no-zeroconf", "--join", place)
        await node.find("c", timeout=60)
        process.send_signal(signal.SIGSTOP)
        await until(lambda: watcher.of("c", "suspect"))
        await until(lambda: watcher.of("c", "dead"))
        process.send_signal(signal.SIGCONT)
        ref = await node.find("c", timeout=60)
        assert await ref.ask("ping") == "c"
        # It hears of its death in two ways, a refusal and a record, and may take a step for each.
        assert [m.facts.incarnation > 1 for m in node.mesh_view.peers()] == [True]


async def test_a_node_that_hangs_for_a_moment_is_not_held_for_dead(programs, mesh_name, until):
    async with Node(mesh=mesh_name, name="watcher", discovery=False) as node:
        watcher = Watcher(node)
        place = node.address.removeprefix("tcp://")
        programs.worker("c", "--no-zeroconf", "--join", place)
        ref = await node.find("c", timeout=60)
        ref.tell("hang", 4.0)
        assert await ref.within(20).ask("ping") == "c"
        assert not watcher.of("c", "dead")


class Mourner(Actor):
    def __init__(self) -> None:
        self.terminated: list[Terminated] = []

    @handler
    def begin(self, ref: Ref) -> None:
        self.watch(ref)

    async def on_terminated(self, terminated: Terminated) -> None:
        self.terminated.append(terminated)


async def test_who_watches_an_actor_of_a_node_that_is_killed_is_told_in_time(
    programs, mesh_name, until
):
    async with Node(mesh=mesh_name, name="watcher", discovery=False) as node:
        mourner = await node.spawn(Mourner, "mourner")
        seen = node._runtime.registry.by_name("mourner").actor.terminated
        process = programs.worker(
            "c", "--no-zeroconf", "--join", node.address.removeprefix("tcp://")
        )
        await mourner.ask("begin", await node.find("c", timeout=60))
        with Granted() as taken:
            process.kill()
            await until(lambda: seen)
        terminated, *others = seen
        assert (terminated.ref.name, terminated.reason, others) == ("c", "node lost", [])
        assert taken.seconds < KILLED
