"""Actors that await each other get an error that draws the circle, and nobody else does."""

import asyncio
import contextlib
import time

import pytest
from granted import Granted

from actormq import Actor, AskCircle, AskTimeout, RemoteError, StartFailed, handler
from actormq.waits import CHILD_GRACE


class Asker(Actor):
    """Asks whom it is told to, in whichever way there is, along a path of `(ref, handler)`."""

    def __init__(self, first=None) -> None:
        self.gate = asyncio.Event()
        self.caught: list[BaseException] = []
        self.first = first

    async def on_start(self) -> None:
        if self.first is not None:
            await self.first.ask(Asker.ask, [(self.ref, "fine")])

    @handler
    async def ask(self, path) -> str:
        """Await the first of the path, which does the same with the rest."""
        if not path:
            return "end"
        (ref, name), *rest = path
        return await ref.ask(name, rest)

    @handler
    async def ask_later(self, path) -> str:
        await asyncio.sleep(0.001)
        return await self.ask(path)

    @handler(concurrent=True)
    async def ask_aside(self, path) -> str:
        return await self.ask(path)

    @handler
    async def gather(self, path) -> str:
        (ref, name), *rest = path
        return (await asyncio.gather(ref.ask(name, rest), asyncio.sleep(0)))[0]

    @handler
    async def group(self, path) -> str:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.ask(path))
        return task.result()

    @handler
    async def leave_behind(self, path, seconds: float) -> None:
        self.task = asyncio.create_task(self.ask(path))
        await asyncio.sleep(seconds)

    @handler
    async def result_of_task(self) -> str:
        return await self.task

    @handler(blocking=True)
    def block(self, path) -> str:
        if not path:
            return "end"
        (ref, name), *rest = path
        return ref.ask(name, rest).result()

    @handler
    async def ask_or_give_up(self, path) -> str:
        try:
            return await self.ask(path)
        except AskCircle as error:
            self.caught.append(error)
            return "gave up"

    @handler
    async def wait(self, _path=()) -> str:
        await self.gate.wait()
        return "waited"

    @handler
    def open(self) -> None:
        self.gate.set()

    @handler
    def fine(self, _path=()) -> str:
        return "fine"

    @handler(concurrent=True)
    async def fine_aside(self, _path=()) -> str:
        return "fine"


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


def circle_of(error):
    """The circle at the bottom of what an asker was told."""
    while not isinstance(error, AskCircle):
        assert isinstance(error, RemoteError)
        error = error.__cause__
    return error


def names_in(error):
    return circle_of(error).circle.split(" -> ")


async def trio(node):
    return [await node.spawn(Asker, name) for name in "abc"]


AT_ONCE = ["ask", "ask_later", "block"]


@pytest.mark.parametrize("first", AT_ONCE)
@pytest.mark.parametrize("second", AT_ONCE)
async def test_two_actors_that_await_each_other_are_told_at_once(mesh, first, second):
    node = await mesh.start()
    a, b, _ = await trio(node)
    with Granted() as taken, pytest.raises(RemoteError) as caught:
        await a.ask(first, [(b, second), (a, "fine")])
    assert taken.seconds < CHILD_GRACE
    error = circle_of(caught.value)
    assert names_in(error) == [f"a.{first}", f"b.{second}", f"a.fine (behind a.{first})"]
    assert str(error) == (
        f"a.{first} -> b.{second} -> a.fine (behind a.{first}): they would await each other for "
        "ever; mark one of these handlers concurrent=True, or tell instead of asking"
    )
    assert await a.ask(Asker.fine) == await b.ask(Asker.fine) == "fine"


@pytest.mark.parametrize("way", AT_ONCE)
async def test_an_actor_that_asks_itself_is_told_at_once(mesh, way):
    node = await mesh.start()
    a, _, _ = await trio(node)
    for target in ("fine", "fine_aside"):
        with pytest.raises(RemoteError) as caught:
            await a.ask(way, [(a, target)])
        assert names_in(caught.value) == [f"a.{way}", f"a.{target} (behind a.{way})"]


async def test_a_message_that_was_told_is_in_a_circle_as_well(mesh, until):
    node = await mesh.start()
    a, b, _ = await trio(node)
    a.tell(Asker.ask_or_give_up, [(b, "ask_or_give_up"), (a, "fine")])
    await until(lambda: inside(node, b).caught)
    assert names_in(inside(node, b).caught[0]) == [
        *("a.ask_or_give_up", "b.ask_or_give_up", "a.fine (behind a.ask_or_give_up)")
    ]
    assert await a.ask(Asker.fine) == "fine"
    assert inside(node, a).caught == []


async def test_a_long_circle_is_drawn_whole(mesh):
    node = await mesh.start()
    a, b, c = await trio(node)
    with pytest.raises(RemoteError) as caught:
        await a.ask(Asker.ask, [(b, "ask_later"), (c, "ask"), (b, "fine")])
    assert names_in(caught.value) == ["b.ask_later", "c.ask", "b.fine (behind b.ask_later)"]


async def test_two_that_are_busy_when_each_is_asked_form_a_circle(mesh):
    """Neither asks on behalf of the other: both messages are in the mailboxes."""
    node = await mesh.start()
    a, b, _ = await trio(node)
    one = a.ask(Asker.ask_later, [(b, "fine")])
    other = b.ask(Asker.ask_later, [(a, "fine")])
    done = await asyncio.gather(one, other, return_exceptions=True)
    assert sorted(map(str, done))[1] == "fine"
    error = circle_of(next(each for each in done if each != "fine"))
    assert names_in(error) in (
        ["a.ask_later", "b.fine (behind b.ask_later)", "a.fine (behind a.ask_later)"],
        ["b.ask_later", "a.fine (behind a.ask_later)", "b.fine (behind b.ask_later)"],
    )


async def test_a_concurrent_handler_lets_the_circle_open(mesh):
    node = await mesh.start()
    a, b, _ = await trio(node)
    assert await a.ask(Asker.ask_aside, [(b, "ask"), (a, "fine")]) == "fine"
    assert await a.ask(Asker.ask_aside, [(a, "fine")]) == "fine"


async def test_who_awaits_a_concurrent_handler_waits_for_what_that_awaits(mesh):
    node = await mesh.start()
    a, b, _ = await trio(node)
    with pytest.raises(RemoteError) as caught:
        await a.ask(Asker.ask, [(b, "ask_aside"), (a, "fine")])
    assert names_in(caught.value) == ["a.ask", "b.ask_aside", "a.fine (behind a.ask)"]


async def test_a_chain_that_waits_is_no_circle(mesh, until):
    node = await mesh.start()
    a, b, c = await trio(node)
    waiting = a.ask(Asker.ask, [(b, "ask_later"), (c, "wait")])
    behind = [ref.ask(Asker.fine) for ref in (a, b, c)]
    await asyncio.sleep(0.01)
    inside(node, c).gate.set()
    assert await waiting == "waited"
    assert await asyncio.gather(*behind) == ["fine"] * 3


async def test_an_ask_that_ended_before_is_no_edge(mesh):
    node = await mesh.start()
    a, b, _ = await trio(node)
    for _ in range(3):
        assert await a.ask(Asker.ask, [(b, "fine")]) == "fine"
        assert await b.ask(Asker.ask, [(a, "fine")]) == "fine"
    with pytest.raises(AskTimeout):
        await a.within(0.02).ask(Asker.ask, [(b, "wait")])
    waiting = b.ask(Asker.ask, [(a, "fine")])  # `a` has given up, and `b` comes to it in the end
    inside(node, b).gate.set()
    assert await waiting == "fine"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["gather", "group"])
async def test_tasks_that_a_handler_awaits_count_as_it_does_after_a_second(mesh, way):
    node = await mesh.start()
    a, b, _ = await trio(node)
    begun = time.monotonic()
    with Granted() as taken, pytest.raises(RemoteError) as caught:
        await a.within(20).ask(way, [(b, "ask"), (a, "fine")])
    assert time.monotonic() - begun >= CHILD_GRACE
    assert taken.seconds < 3 * CHILD_GRACE
    error = caught.value.__cause__
    if way == "group":
        (error,) = error.exceptions
    assert names_in(error) == [f"a.{way}", "b.ask", f"a.fine (behind a.{way})"]


async def test_a_task_that_a_handler_left_behind_does_no_harm(mesh):
    node = await mesh.start()
    a, b, _ = await trio(node)
    await a.ask(Asker.leave_behind, [(b, "ask_later"), (a, "wait")], 0.02)
    with pytest.raises(AskTimeout):
        await b.within(0.02).ask(Asker.fine)  # it awaits `a`, which waits
    inside(node, a).gate.set()
    assert await inside(node, a).task == "waited"


async def test_a_handler_that_ended_holds_nobody_up(mesh):
    node = await mesh.start()
    a, b, _ = await trio(node)
    await a.ask(Asker.leave_behind, [(b, "ask_later"), (a, "fine")], 0.0)
    assert await inside(node, a).task == "fine"


async def test_an_actor_that_starts_waits_as_its_handlers_do(mesh):
    node = await mesh.start()
    a, _, _ = await trio(node)
    with pytest.raises(StartFailed) as caught:
        await node.spawn(Asker, "late", a)
    assert names_in(caught.value.__cause__) == [
        *("late.on_start", "a.ask", "late.fine (behind late.on_start)")
    ]


async def test_a_circle_over_two_nodes_ends_at_its_deadline(mesh):
    near, far = await mesh.pair()
    a, b = await near.spawn(Asker, "a"), await far.spawn(Asker, "b")
    theirs = await near.find("b")
    mine = await far.find("a")
    del b
    with pytest.raises((RemoteError, AskTimeout)):
        await a.within(0.1).ask(Asker.ask, [(theirs, "ask"), (mine, "fine")])


async def test_nothing_is_kept_of_asks_that_have_ended(mesh):
    node = await mesh.start()
    a, b, _ = await trio(node)
    for _ in range(3):
        with contextlib.suppress(RemoteError):
            await a.ask(Asker.ask, [(b, "block"), (a, "fine")])
    for ref in (a, b):
        cell = node._runtime.registry.by_serial(ref.address.serial)
        assert cell.serving() == []
    kept = node._runtime.contexts._kept
    assert not [served for _, _, served in kept.values() if served.awaits]


async def test_what_keeps_an_actor_busy_is_reported(mesh, monkeypatch):
    monkeypatch.setattr("actormq.steward.BUSY_SHOWN", 0.005)
    node = await mesh.start()
    a, b, c = await trio(node)
    waiting = a.ask(Asker.ask, [(b, "wait")])
    await asyncio.sleep(0.02)
    report = await node.steward_of(node.id, node.name).ask("describe")
    by_name = {actor.name: actor for actor in report.actors}
    assert (by_name["a"].handler, by_name["a"].awaits) == ("ask", "b")
    assert (by_name["b"].handler, by_name["b"].awaits) == ("wait", "")
    assert (by_name["c"].handler, by_name["c"].busy) == ("", 0.0)
    assert by_name["a"].busy >= 0.01
    inside(node, b).gate.set()
    await waiting
    assert await c.ask(Asker.fine) == "fine"
