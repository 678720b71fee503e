"""A node that drains leaves without an error at anybody's; its elected names change hands."""

import asyncio

import pytest

from actormq import Actor, ActorNotFound, HandlerCancelled, NodeNotRunning, handler
from actormq.settings import DRAIN_QUIET


class Worker(Actor):
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.under_way = 0

    @handler(concurrent=True)
    async def work(self) -> str:
        self.under_way += 1
        await self.gate.wait()
        return self.node.name

    @handler
    def ping(self) -> str:
        return self.node.name

    @handler
    def go(self) -> None:
        self.gate.set()

    @handler
    async def ask_neighbour(self, name: str) -> str:
        return await (await self.node.find(name, timeout=0)).ask(Worker.ping)


def actor(node, name):
    return node._runtime.registry.by_name(name).actor


async def drained(node):
    """Begin to drain a node; it is under way when this returns."""
    task = asyncio.create_task(node.drain())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert node.is_draining
    return task


async def test_what_is_under_way_and_what_still_comes_is_handled_but_nothing_is_found(mesh, until):
    node, far = await mesh.pair(shutdown_timeout=20.0)
    await node.spawn(Worker, "worker")
    ref = await far.find("worker")
    under_way = ref.ask(Worker.work)
    await until(lambda: actor(node, "worker").under_way)
    drain = await drained(node)
    assert await ref.ask(Worker.ping) == "n0"  # whoever has not heard of it yet
    with pytest.raises(ActorNotFound):
        await far.find("worker", timeout=0.1)
    await ref.ask(Worker.go)
    assert await under_way == "n0"
    assert not drain.done()
    await drain
    assert (node.was_drained, node.is_running, node.left) == (True, False, [])
    assert far.events.dead_letter_count == node.events.dead_letter_count == {}


async def test_what_is_left_may_use_its_neighbours_and_start_others(mesh):
    node, far = await mesh.pair(shutdown_timeout=20.0)
    await node.spawn(Worker, "worker")
    await node.spawn(Worker, "neighbour")
    ref = await far.find("worker")
    drain = await drained(node)
    assert await ref.ask(Worker.ask_neighbour, "neighbour") == "n0"
    await node.spawn(Worker, "late")
    assert await ref.ask(Worker.ask_neighbour, "late") == "n0"
    assert far.find_all("late") == []
    await drain


async def test_it_takes_shutdown_timeout_at_most_whatever_is_under_way(mesh, until):
    node, far = await mesh.pair(shutdown_timeout=0.6)
    await node.spawn(Worker, "worker")
    ref = await far.find("worker")
    under_way = ref.ask(Worker.work)
    await until(lambda: actor(node, "worker").under_way)
    begun = asyncio.get_running_loop().time()
    await node.drain()
    assert asyncio.get_running_loop().time() - begun < 0.6 + 1.0  # the least for a busy machine
    with pytest.raises(HandlerCancelled):
        await under_way


async def test_stop_ends_a_drain_and_to_drain_twice_is_no_error(mesh, until):
    node, far = await mesh.pair(shutdown_timeout=20.0)
    await node.spawn(Worker, "worker")
    under_way = (await far.find("worker")).ask(Worker.work)
    await until(lambda: actor(node, "worker").under_way)
    drains = [await drained(node), await drained(node)]
    begun = asyncio.get_running_loop().time()
    actor(node, "worker").gate.set()
    await node.stop()
    assert await under_way == "n0"
    await asyncio.gather(*drains)
    assert asyncio.get_running_loop().time() - begun < 5.0
    await node.drain()  # it has stopped already
    with pytest.raises(NodeNotRunning):
        await node.spawn(Worker, "late")


async def test_a_node_without_peers_waits_for_its_own_work_only(mesh, until):
    node = await mesh.start(shutdown_timeout=5.0)
    ref = await node.spawn(Worker, "worker")
    under_way = ref.ask(Worker.work)
    await until(lambda: actor(node, "worker").under_way)
    drain = await drained(node)
    await asyncio.sleep(0)
    assert await ref.ask(Worker.ping) == "n0"
    assert node.is_running
    begun = asyncio.get_running_loop().time()
    ref.tell(Worker.go)
    assert await under_way == "n0"
    await drain
    assert asyncio.get_running_loop().time() - begun < DRAIN_QUIET


async def test_whoever_asks_by_name_sees_no_error_while_one_of_two_drains(mesh, until):
    one, other, asker = [await mesh.start(shutdown_timeout=20.0) for _ in range(3)]
    for node in (one, other):
        await node.spawn(Worker, "worker")
    answers = []

    async def ask():
        while True:
            answers.append(await (await asker.find("worker")).ask(Worker.ping))

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    await until(lambda: answers)
    used, other = (one, other) if answers[0] == one.name else (other, one)
    await used.drain()
    count = len(answers)
    await until(lambda: len(answers) >= count + 100)
    assert not any(task.done() for task in asking)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert set(answers[count:]) == {other.name}
