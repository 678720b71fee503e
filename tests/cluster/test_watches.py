"""Who is told of whose end: once, with the reason, near and far, also too late."""

import pytest

from actormq import Actor, Supervisor, Terminated, child, handler
from actormq.rules.records import Record, State


class Lamp(Actor):
    @handler
    def fail(self) -> None:
        raise RuntimeError("burnt out")


class Watcher(Actor):
    def __init__(self) -> None:
        self.terminated: list[Terminated] = []

    @handler
    def begin(self, ref) -> None:
        self.watch(ref)

    @handler
    def end(self, ref) -> None:
        self.unwatch(ref)

    async def on_terminated(self, terminated: Terminated) -> None:
        self.terminated.append(terminated)

    @handler
    def ends(self) -> list[list[str]]:
        return [[t.ref.name, t.reason] for t in self.terminated]


class Rack(Supervisor):
    children = (child(Lamp, "lamp").restarts("never"),)


async def watched(mesh, *, far):
    """A node with a watcher, and the node on which others are watched."""
    if far:
        node, other = await mesh.pair()
    else:
        node = other = await mesh.start()
    return await node.spawn(Watcher, "watcher"), node, other


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
async def test_an_actor_that_stops_is_told_of_once(mesh, until, far):
    watcher, node, other = await watched(mesh, far=far)
    await other.spawn(Lamp, "lamp")
    ref = await node.find("lamp")
    await watcher.ask("begin", ref)
    await watcher.ask("begin", ref)  # twice is once
    await ref.stop()
    await until(lambda: watcher.ask("ends"))
    assert await watcher.ask("ends") == [["lamp", "stopped"]]


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
async def test_one_that_has_gone_already_is_told_of_at_once(mesh, until, far):
    watcher, node, other = await watched(mesh, far=far)
    await other.spawn(Lamp, "lamp")
    ref = await node.find("lamp")
    await ref.stop()
    await watcher.ask("begin", ref)
    await until(lambda: watcher.ask("ends"))
    assert await watcher.ask("ends") == [["lamp", "stopped"]]


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
async def test_one_that_fails_for_good_says_so(mesh, until, logged, far):
    logged.expect("lamp.fail failed: it is not restarted")
    watcher, node, other = await watched(mesh, far=far)
    await other.spawn(Rack, "rack")
    ref = await node.find("lamp")
    await watcher.ask("begin", ref)
    ref.tell("fail")
    await until(lambda: watcher.ask("ends"))
    assert await watcher.ask("ends") == [["lamp", "failed"]]


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
async def test_who_watches_no_more_is_not_told(mesh, until, far):
    watcher, node, other = await watched(mesh, far=far)
    for name in ("lamp", "other"):
        await other.spawn(Lamp, name)
    refs = [await node.find(name) for name in ("lamp", "other")]
    for ref in refs:
        await watcher.ask("begin", ref)
    await watcher.ask("end", refs[0])
    for ref in refs:
        await ref.stop()
    await until(lambda: watcher.ask("ends"))
    assert await watcher.ask("ends") == [["other", "stopped"]]
    assert not any(node._runtime.watching._far.get(other.id, {}).values())


async def test_a_node_that_is_lost_ends_all_its_actors(mesh, until):
    watcher, node, other = await watched(mesh, far=True)
    for name in ("lamp", "other"):
        await other.spawn(Lamp, name)
    refs = [await node.find(name) for name in ("lamp", "other")]
    for ref in refs:
        await watcher.ask("begin", ref)
    mesh_view = node.mesh_view
    mesh_view.membership.broke(other.id, mesh_view.now())  # or it would know better
    facts = mesh_view.members[other.id].facts
    mesh_view.membership.told(Record(facts, State.DEAD, "pulled out"), "", mesh_view.now())
    mesh_view.act()
    ends = await until(lambda: watcher.ask("ends"))
    assert sorted(ends) == [["lamp", "node lost"], ["other", "node lost"]]


async def test_an_actor_of_a_node_that_is_gone_is_told_of_at_once(mesh, until):
    watcher, node, other = await watched(mesh, far=True)
    await other.spawn(Lamp, "lamp")
    ref = await node.find("lamp")
    await other.stop()
    await until(lambda: not node.mesh_view.members)
    await watcher.ask("begin", ref)
    await until(lambda: watcher.ask("ends"))
    assert await watcher.ask("ends") == [["lamp", "node lost"]]


async def test_a_watch_outlives_the_connection_it_was_said_on(mesh, until):
    watcher, node, other = await watched(mesh, far=True)
    await other.spawn(Lamp, "lamp")
    ref = await node.find("lamp")
    await watcher.ask("begin", ref)
    cell = other._runtime.registry.by_serial(ref.address.serial)
    await until(lambda: cell._extras.watchers)
    cell._extras.watchers.clear()  # as if the word had been lost with its connection
    member = node._mesh.members[other.id]
    broken = member.link
    broken.close()
    node._mesh.link_down(broken)
    await until(lambda: member.link is not None)
    await until(lambda: cell._extras.watchers)
    await ref.stop()
    await until(lambda: watcher.ask("ends"))


async def test_a_watcher_that_ends_leaves_no_watch_behind(mesh, until):
    watcher, node, other = await watched(mesh, far=True)
    await other.spawn(Lamp, "lamp")
    near = await node.spawn(Lamp, "near")
    ref = await node.find("lamp")
    for each in (ref, near):
        await watcher.ask("begin", each)
    cell = other._runtime.registry.by_serial(ref.address.serial)
    await until(lambda: cell._extras.watchers)
    await watcher.stop()
    await until(lambda: not cell._extras.watchers)
    assert not node._runtime.watching._watched
    assert not node._runtime.registry.by_serial(near.address.serial)._extras.watchers


async def test_a_signal_comes_before_the_messages_that_wait(mesh):
    order = []

    class Keen(Actor):
        def __init__(self, ref) -> None:
            self.watch(ref)

        @handler
        def note(self, number: int) -> None:
            order.append(number)

        async def on_terminated(self, terminated: Terminated) -> None:
            order.append(terminated.reason)

    class Gate(Keen):
        mailbox_limit = 3

    node = await mesh.start()
    lamp = await node.spawn(Lamp, "lamp")
    keen = await node.spawn(Gate, "keen", lamp)
    for number in range(3):
        keen.tell("note", number)  # full: signals get through all the same
    node._runtime.registry.by_serial(lamp.address.serial).end("failed", "")
    await keen.send("note", 3)
    await keen.stop()
    assert order == ["failed", 0, 1, 2, 3]
