"""Actors of different nodes that await each other: one ask is rejected, and nothing else is."""

import asyncio
import itertools

import pytest
from granted import Granted

from actormq import Actor, AskCircle, AskTimeout, RemoteError, handler, message
from actormq.cluster import probes
from actormq.errors import rebuilt


class Asker(Actor):
    """Asks along a path of `[name, handler]`, in whichever way it is told to."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.caught: list[AskCircle] = []
        self.others = {}

    @handler
    async def ask(self, path: list[list[str]]) -> str:
        """Await the first of the path, which does the same with the rest."""
        if not path:
            return "end"
        (name, how), *rest = path
        return await self.others[name].within(20).ask(how, rest)

    @handler
    async def ask_or_give_up(self, path: list[list[str]]) -> str:
        try:
            return await self.ask(path)
        except AskCircle as error:
            self.caught.append(error)
            return "gave up"

    @handler(concurrent=True)
    async def ask_aside(self, path: list[list[str]]) -> str:
        return await self.ask(path)

    @handler
    async def gather(self, path: list[list[str]]) -> str:
        return (await asyncio.gather(self.ask(path), asyncio.sleep(0)))[0]

    @handler(blocking=True)
    def block(self, path: list[list[str]]) -> str:
        (name, how), *rest = path
        return self.others[name].within(20).ask(how, rest).result()

    @handler
    async def leave_behind(self, path: list[list[str]]) -> str:
        self.task = asyncio.create_task(self.ask(path))
        return await self.wait()

    @handler
    async def wait(self, _path: list[list[str]] = []) -> str:  # noqa: B006 never changed
        await self.gate.wait()
        return "waited"

    @handler
    def fine(self, _path: list[list[str]] = []) -> str:  # noqa: B006 never changed
        return "fine"


@pytest.fixture
def soon(monkeypatch):
    """Probes that follow sooner, so that no test waits for a second."""
    monkeypatch.setattr(probes, "PROBE_AFTER", 0.1)
    monkeypatch.setattr("actormq.cluster.pulse.TICK_INTERVAL", 0.02)
    monkeypatch.setattr(probes, "PROBE_INTERVAL", 0.3)
    monkeypatch.setattr(probes, "PASS_INTERVAL", 0.2)
    monkeypatch.setattr("actormq.waits.CHILD_GRACE", 0.1)


class Crew:
    """Actors by name, each on one of the nodes of a mesh, all of whom know each other."""

    def __init__(self, mesh) -> None:
        self.mesh = mesh
        self.refs = {}
        self.homes = {}

    async def join(self, names, *, on) -> "Crew":
        for name in names:
            self.refs[name] = await on.spawn(Asker, name)
            self.homes[name] = on
        for name, node in self.homes.items():
            self.inside(name).others = {other: await node.find(other) for other in self.refs}
        return self

    def inside(self, name):
        return self.cell(name).actor

    def cell(self, name):
        registry = self.homes[name]._runtime.registry
        return registry.by_serial(self.refs[name].address.serial)

    def caught(self):
        return [error for name in self.refs for error in self.inside(name).caught]

    def are_balanced(self):
        ledgers = [node.ledger() for node in self.mesh.nodes]
        assert all(ledger.is_balanced for ledger in ledgers)
        return all(ledger.in_flight == 0 for ledger in ledgers)

    async def are_well(self):
        """All of them answer again, and every message is accounted for."""
        for ref in self.refs.values():
            assert await ref.ask(Asker.fine) == "fine"
        assert self.are_balanced()


async def crew(mesh, *groups):
    """A node for each group of names."""
    nodes = [await mesh.start() for _ in groups]
    made = Crew(mesh)
    for node, names in zip(nodes, groups, strict=True):
        await made.join(names, on=node)
    return made


def told(error):
    """The circle at the bottom of what an asker of one node was told by others."""
    text = str(error)
    assert "they would await each other for ever" in text
    return text


@pytest.mark.parametrize("first", ["ask", "block", "gather"])
@pytest.mark.parametrize("second", ["ask", "block"])
async def test_two_actors_of_two_nodes_that_await_each_other_are_told(mesh, soon, first, second):
    made = await crew(mesh, "a", "b")
    with pytest.raises(RemoteError) as caught:
        await made.refs["a"].within(20).ask(first, [["b", second], ["a", "fine"]])
    assert f"a.{first} -> b.{second} -> a.fine (behind a.{first}): " in told(caught.value)
    await made.are_well()


async def test_the_ask_that_is_rejected_has_not_run_and_its_asker_goes_on(mesh, soon):
    made = await crew(mesh, "a", "b")
    path = [["b", "ask_or_give_up"], ["a", "fine"]]
    assert await made.refs["a"].within(20).ask("ask_or_give_up", path) == "gave up"
    [error] = made.inside("b").caught
    assert error.circle == (
        "a.ask_or_give_up -> b.ask_or_give_up -> a.fine (behind a.ask_or_give_up)"
    )
    assert made.inside("a").caught == []
    assert made.cell("a").received_count == 1
    await made.are_well()


async def test_three_nodes_in_a_ring_are_told(mesh, soon):
    made = await crew(mesh, "a", "b", "c")
    path = [["b", "ask"], ["c", "ask_or_give_up"], ["a", "fine"]]
    assert await made.refs["a"].within(20).ask("ask", path) == "gave up"
    [error] = made.caught()
    assert error.circle == "a.ask -> b.ask -> c.ask_or_give_up -> a.fine (behind a.ask)"
    await made.are_well()


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("xyz")])
async def test_a_ring_of_which_two_share_a_node_is_told_whoever_begins(mesh, soon, until, order):
    """The message that waits may be of an actor of the same node."""
    made = await crew(mesh, "xy", "z")
    one, two, three = order
    path = [[two, "ask_or_give_up"], [three, "ask_or_give_up"], [one, "fine"]]
    assert await made.refs[one].within(20).ask("ask_or_give_up", path) == "gave up"
    [error] = made.caught()
    assert error.circle == (
        f"{one}.ask_or_give_up -> {two}.ask_or_give_up -> {three}.ask_or_give_up -> "
        f"{one}.fine (behind {one}.ask_or_give_up)"
    )
    await made.are_well()
    await until(lambda: not any(node._post.probes._numbers for node in mesh.nodes))


async def test_of_two_that_met_in_the_mailboxes_one_is_told_and_the_other_answered(mesh, soon):
    """Neither asks on behalf of the other, and both probes set out at once."""
    made = await crew(mesh, "a", "b")
    done = await asyncio.gather(
        made.refs["a"].within(20).ask("ask_or_give_up", [["b", "fine"]]),
        made.refs["b"].within(20).ask("ask_or_give_up", [["a", "fine"]]),
    )
    assert sorted(done) == ["fine", "gave up"]
    assert len(made.caught()) == 1
    await made.are_well()


async def test_a_ring_of_asks_that_all_wait_loses_one(mesh, soon):
    made = await crew(mesh, *"abcde")
    asks = [
        made.refs[one].within(20).ask("ask_or_give_up", [[two, "fine"]])
        for one, two in zip("abcde", "bcdea", strict=True)
    ]
    assert sorted(await asyncio.gather(*asks)) == [*["fine"] * 4, "gave up"]
    assert len(made.caught()) == 1
    await made.are_well()


async def test_who_awaits_a_concurrent_handler_waits_for_what_that_awaits(mesh, soon):
    made = await crew(mesh, "a", "b")
    path = [["b", "ask_aside"], ["a", "fine"]]
    with pytest.raises(RemoteError) as caught:
        await made.refs["a"].within(20).ask("ask", path)
    assert "a.ask -> b.ask_aside -> a.fine (behind a.ask): " in told(caught.value)
    await made.are_well()


async def test_a_concurrent_handler_lets_the_circle_open(mesh, soon):
    made = await crew(mesh, "a", "b")
    assert await made.refs["a"].ask("ask_aside", [["b", "ask"], ["a", "fine"]]) == "fine"


class Flaky(Actor):
    """Holds its turn while it asks another, and has a handler aside that fails at first."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.tries = 0

    @handler(concurrent=True, retry=1)
    async def fail_once(self, _path: list[list[str]]) -> str:
        self.tries += 1
        if self.tries == 1:
            await self.gate.wait()
            raise OSError("not yet")
        return "fine"

    @handler
    async def hold(self, ref) -> str:
        self.gate.set()
        try:
            return await ref.within(20).ask(Asker.fine)
        except AskCircle as error:
            return error.circle


async def test_a_message_that_has_run_and_is_tried_again_is_not_the_one(mesh, soon, until):
    """Both asks wait, and the one that has run is the lesser."""
    here, there = sorted([await mesh.start(), await mesh.start()], key=lambda node: node.id)
    made = await Crew(mesh).join("a", on=here)
    flaky = await there.spawn(Flaky, "flaky")
    made.inside("a").others["flaky"] = await here.find("flaky")
    asking = made.refs["a"].within(20).ask("ask", [["flaky", "fail_once"]])
    cell = there._runtime.registry.by_serial(flaky.address.serial)
    await until(lambda: cell.actor.tries)
    circle = await flaky.within(20).ask(Flaky.hold, await there.find("a"))
    assert circle == "a.ask -> flaky.fail_once (behind flaky.hold) -> a.fine (behind a.ask)"
    assert await asking == "fine"
    await until(made.are_balanced)


async def probed(made, until, count):
    """Wait until asks of so many nodes have been probed, and then probed once more."""

    def ways():
        return [dict(node._post.probes._passed) for node in made.mesh.nodes]

    await until(lambda: sum(map(bool, ways())) == count)
    before = ways()
    await until(lambda: all(not one or one != b for one, b in zip(ways(), before, strict=True)))


async def test_a_chain_that_waits_is_left_alone(mesh, soon, until):
    made = await crew(mesh, "a", "b", "c")
    waiting = made.refs["a"].within(20).ask("ask", [["b", "ask"], ["c", "wait"]])
    behind = [ref.within(20).ask(Asker.fine) for ref in made.refs.values()]
    await probed(made, until, count=2)
    made.inside("c").gate.set()
    assert await waiting == "waited"
    assert await asyncio.gather(*behind) == ["fine"] * 3
    assert made.are_balanced()


async def test_one_that_awaits_a_circle_and_is_not_in_it_is_not_rejected(mesh, soon):
    made = await crew(mesh, "a", "b", "c")
    path = [["a", "ask"], ["b", "ask_or_give_up"], ["a", "fine"]]
    assert await made.refs["c"].within(20).ask("ask_or_give_up", path) == "gave up"
    [error] = made.caught()
    assert error.circle == "a.ask -> b.ask_or_give_up -> a.fine (behind a.ask)"
    await made.are_well()


async def test_a_task_that_a_handler_may_have_left_behind_is_not_judged_at_once(
    mesh, soon, until, monkeypatch
):
    monkeypatch.setattr("actormq.waits.CHILD_GRACE", 60.0)
    made = await crew(mesh, "a", "b")
    first = made.refs["a"].within(20).ask("leave_behind", [["b", "ask"], ["a", "wait"]])
    await until(lambda: made.cell("a").mailbox_count)
    await probed(made, until, count=2)
    made.inside("a").gate.set()
    assert await first == "waited"
    assert await made.inside("a").task == "waited"


async def test_a_handler_aside_holds_nobody_up(mesh, soon, until):
    """The message waits behind another handler, which awaits nobody."""
    made = await crew(mesh, "a", "b")
    holding = [made.refs["b"].within(20).ask(Asker.wait)]
    asking = made.refs["a"].within(20).ask("ask_aside", [["b", "ask"], ["a", "fine"]])
    await until(lambda: made.cell("b").mailbox_count)
    holding.append(made.refs["a"].within(20).ask(Asker.wait))
    await until(lambda: len(made.cell("a").serving()) == 2)
    made.inside("b").gate.set()
    await until(lambda: made.cell("a").mailbox_count)
    await probed(made, until, count=2)
    made.inside("a").gate.set()
    assert await asking == "fine"
    assert await asyncio.gather(*holding) == ["waited"] * 2


async def test_where_there_are_too_many_each_has_its_turn(mesh, soon, until, monkeypatch):
    monkeypatch.setattr(probes, "PROBES_LIMIT", 1)
    monkeypatch.setattr(probes, "PROBE_INTERVAL", 0.0)
    made = await crew(mesh, "a", "b")
    asks = [made.refs["a"].within(20).ask("ask_aside", [["b", "wait"]]) for _ in range(3)]
    post = made.homes["a"]._post
    await until(lambda: len(post.pending) == 3)
    await until(lambda: all(reply.probe_at for reply in post.pending.values()))
    made.inside("b").gate.set()
    assert await asyncio.gather(*asks) == ["waited"] * 3


async def test_equal_probes_go_the_same_way_once(mesh, soon, until, monkeypatch):
    monkeypatch.setattr(probes, "PASS_INTERVAL", 60.0)
    made = await crew(mesh, "a", "b")
    waiting = made.refs["a"].within(20).ask("ask", [["b", "wait"]])
    await until(lambda: made.cell("b").serving())
    node, said = made.homes["a"], []
    monkeypatch.setattr(node._post, "say", lambda *words: said.append(words))
    for ahead in range(3):
        node._post.probes.look(node._runtime.loop.now() + 3.0 * ahead)
    number, address = next(iter(node._post.pending)), made.refs["b"].address
    assert said == [(made.homes["b"].id, [message.PROBE, number, address.serial, None, []])]
    made.inside("b").gate.set()
    assert await waiting == "waited"


async def test_nobody_is_probed_for_a_handler_that_nobody_waits_for(mesh, soon, until):
    made = await crew(mesh, "a", "b")
    made.refs["a"].tell("ask", [["b", "wait"]])
    post = made.homes["a"]._post
    await until(lambda: post.pending)
    [reply] = post.pending.values()
    loop = made.homes["a"]._runtime.loop
    await until(lambda: loop.now() > reply.awaiter.awaits[reply][0] + 2 * probes.PROBE_AFTER)
    assert post.probes._passed == {}
    made.inside("b").gate.set()
    await until(lambda: made.cell("a").serving() == [])


async def test_a_probe_that_is_lost_is_sent_again(mesh, soon, monkeypatch):
    made = await crew(mesh, "a", "b")
    lost = []
    for name in "ab":
        post = made.homes[name]._post
        monkeypatch.setattr(post.probes, "take", lambda *probe: lost.append(probe))
    waiting = asyncio.ensure_future(
        made.refs["a"].within(20).ask("ask_or_give_up", [["b", "ask_or_give_up"], ["a", "fine"]])
    )
    while not lost:  # noqa: ASYNC110 the probes of a test come within 0.1 s
        await asyncio.sleep(0.01)
    assert not waiting.done()
    monkeypatch.undo()
    assert await waiting == "gave up"
    assert len(made.caught()) == 1


async def test_a_node_that_does_not_know_probes_leaves_it_to_the_deadline(mesh, soon, monkeypatch):
    made = await crew(mesh, "a", "b")
    monkeypatch.setattr(made.homes["b"]._post.probes, "take", lambda *_: None)
    monkeypatch.setattr(made.homes["b"].mesh_view, "_ticked", lambda _now: None)
    with pytest.raises((AskTimeout, RemoteError), match="no reply from"):
        await made.refs["a"].within(0.6).ask("ask", [["b", "ask"], ["a", "fine"]])
    assert made.caught() == []


async def test_a_probe_after_an_ask_that_was_answered_leads_nowhere(mesh, soon, until):
    made = await crew(mesh, "a", "b")
    waiting = made.refs["a"].within(20).ask("ask", [["b", "wait"]])
    await until(lambda: made.cell("b").serving())
    here, there = made.homes["a"], made.homes["b"]
    number = next(iter(here._post.pending))
    for probe in (
        message.probe(number + 1, made.refs["b"].address.serial, None, ()),
        message.probe(number, made.refs["b"].address.serial + 99, None, ()),
        message.probe(number, made.refs["b"].address.serial, (here.id, number), ("a.ask",)),
    ):
        here._post.say(there.id, probe)
    made.inside("b").gate.set()
    assert await waiting == "waited"
    assert there.mesh_view.garbage_count == 0


async def test_many_steps_are_left_to_the_deadline(mesh, soon, monkeypatch, until):
    monkeypatch.setattr(probes, "STEPS_LIMIT", 1)
    made = await crew(mesh, "a", "b", "c")
    path = [["b", "ask"], ["c", "ask_or_give_up"], ["a", "fine"]]
    waiting = asyncio.ensure_future(made.refs["a"].within(0.8).ask("ask", path))
    with pytest.raises((AskTimeout, RemoteError), match="no reply from"):
        await waiting
    assert made.caught() == []


async def test_asks_that_are_answered_in_time_cost_no_probe(mesh, soon):
    made = await crew(mesh, "a", "b")
    for _ in range(100):
        assert await made.refs["a"].ask("ask", [["b", "fine"]]) == "fine"
    for node in mesh.nodes:
        assert node._post.probes._passed == {}


async def test_what_is_kept_of_probes_is_bounded(mesh, soon, monkeypatch):
    monkeypatch.setattr(probes, "KEPT_LIMIT", 2)
    made = await crew(mesh, "a", "b")
    for _ in range(4):
        path = [["b", "ask_or_give_up"], ["a", "fine"]]
        assert await made.refs["a"].within(20).ask("ask_or_give_up", path) == "gave up"
        for node in mesh.nodes:
            assert len(node._post.probes._passed) <= 2


@pytest.mark.slow
async def test_it_takes_a_second_and_little_more(mesh):
    made = await crew(mesh, "a", "b")
    loop = asyncio.get_running_loop()
    begun = loop.time()
    path = [["b", "ask_or_give_up"], ["a", "fine"]]
    with Granted() as taken:
        assert await made.refs["a"].within(20).ask("ask_or_give_up", path) == "gave up"
    assert loop.time() - begun >= probes.PROBE_AFTER
    assert taken.seconds < probes.PROBE_AFTER + 1.0
    await made.are_well()


def test_the_circle_travels():
    error = rebuilt("AskCircle", ["a.f -> b.g -> a.h (behind a.f)"])
    assert isinstance(error, AskCircle)
    assert error.circle == "a.f -> b.g -> a.h (behind a.f)"
