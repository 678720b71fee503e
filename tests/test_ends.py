"""How a node ends: in order, in time, with nothing left and nothing unsaid."""

import asyncio
import contextlib
import gc
import threading

import pytest
import zmq
from granted import Granted

from actormq import (
    Actor,
    ActorStopped,
    Node,
    NodeNotRunning,
    RemoteError,
    StartFailed,
    Supervisor,
    child,
    handler,
    run,
)
from actormq.deadlines import BUCKETS_LEAST


class Part(Actor):
    """Notes its end in a list that the test shares with it."""

    def __init__(self, order: list[str]) -> None:
        self.order = order
        self.gate = asyncio.Event()

    @handler
    async def grow(self, name: str) -> None:
        await self.spawn(Part, name, self.order)

    @handler
    async def wait(self) -> str:
        await asyncio.sleep(0.02)
        self.order.append(f"{self.name} is done")
        return self.name

    @handler
    async def hang(self) -> None:
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                if self.gate.is_set():
                    raise

    @handler
    def note(self) -> None: ...

    async def on_stop(self) -> None:
        self.order.append(self.name)


class Rack(Supervisor):
    def __init__(self, order: list[str], strategy: str) -> None:
        self.strategy = strategy
        self.children = [child(Part, name, order) for name in ("a", "b")]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_children_stop_before_parents_and_the_last_of_them_first(mesh, strategy):
    node, order = await mesh.start(shutdown_timeout=5.0), []
    parent = await node.spawn(Part, "parent", order)
    await parent.ask("grow", "child")
    await (await node.find("child")).ask("grow", "grandchild")
    await node.spawn(Rack, "rack", order, strategy)
    await node.stop()
    assert sorted(order) == ["a", "b", "child", "grandchild", "parent"]
    assert order.index("grandchild") < order.index("child") < order.index("parent")
    assert order.index("b") < order.index("a")


async def test_a_handler_under_way_ends_and_what_waits_is_answered(mesh):
    node, order = await mesh.start(shutdown_timeout=5.0), []
    ref = await node.spawn(Part, "part", order)
    under_way, waiting = ref.ask("wait"), ref.ask("wait")
    ref.tell("note")
    await asyncio.sleep(0)
    stopping = asyncio.create_task(node.stop())
    assert await under_way == "part"
    with pytest.raises(ActorStopped):
        await waiting
    await stopping
    assert order == ["part is done", "part"]
    assert node.events.dead_letter_count["ActorStopped"] == 1
    with pytest.raises(NodeNotRunning):
        await node.spawn(Part, "late", order)


async def test_what_does_not_end_is_named_and_left_behind_in_time(mesh):
    node, order = await mesh.start(shutdown_timeout=0.6), []
    parent = await node.spawn(Part, "parent", order)
    await parent.ask("grow", "child")
    child = node._runtime.registry.by_name("child").actor
    hanging = (await node.find("child")).ask("hang")
    await asyncio.sleep(0)
    with Granted() as taken:
        await node.stop()
    assert taken.seconds < 0.6 + 0.5
    assert [line for line in node.left if line.startswith("child.hang")]
    assert hanging.is_done
    child.gate.set()  # let it go, for this test leaves nothing behind
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_a_parent_that_stops_takes_its_children_along_and_only_them(mesh):
    node, order = await mesh.start(), []
    parent = await node.spawn(Part, "parent", order)
    await parent.ask("grow", "child")
    await node.spawn(Part, "other", order)
    await parent.stop()
    assert order == ["child", "parent"]
    assert node.find_all("child") == []
    assert node.find_all("other") != []


async def test_a_child_that_stops_leaves_its_parent_alone(mesh):
    node, order = await mesh.start(), []
    parent = await node.spawn(Part, "parent", order)
    await parent.ask("grow", "child")
    await (await node.find("child")).stop()
    await parent.ask("grow", "child")  # the name is free again
    assert order == ["child"]


def open_sockets():
    return [one for one in gc.get_objects() if isinstance(one, zmq.Socket) and not one.closed]


@pytest.mark.slow
@pytest.mark.filterwarnings("error::ResourceWarning")
def test_nothing_is_left_of_a_node_however_often_it_starts_and_ends(mesh_name):
    before = {thread.ident for thread in threading.enumerate()}
    of_others = {id(socket) for socket in open_sockets()}

    async def main(node: Node) -> None:
        order: list[str] = []
        await node.spawn(Rack, "rack", order, "one_for_one")
        parent = await node.spawn(Part, "parent", order)
        await parent.ask("grow", "child")
        parent.tell("wait")

    for _ in range(200):
        run(main, mesh=mesh_name, discovery=False, shutdown_timeout=5.0)
    gc.collect()
    assert [socket for socket in open_sockets() if id(socket) not in of_others] == []
    left = {t for t in threading.enumerate() if t.ident not in before}
    for thread in left:
        thread.join(5.0)
    assert [thread for thread in left if thread.is_alive()] == []


# -- words that are meant for the whole program ---------------------------------------------------


class Ender(Actor):
    @handler
    def leave(self, status: int) -> None:
        raise SystemExit(status)

    @handler
    async def leave_later(self, status: int) -> None:
        await asyncio.sleep(0)
        raise SystemExit(status)

    @handler
    def interrupt(self) -> None:
        raise KeyboardInterrupt

    @handler(blocking=True)
    def leave_in_a_thread(self, status: int) -> None:
        raise SystemExit(status)


@pytest.mark.parametrize("method", ["leave", "leave_later", "leave_in_a_thread"])
@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "busy"])
def test_a_handler_that_exits_ends_the_program_in_order_with_its_status(
    mesh_name, logged, method, waits
):
    logged.expect("the node ends: SystemExit: 7")
    order: list[str] = []

    async def main(node: Node) -> None:
        await node.spawn(Part, "part", order)
        ref = await node.spawn(Ender, "ender")
        with pytest.raises(RemoteError, match="SystemExit: 7"):
            await ref.ask(method, 7)
        if waits:
            await node.stopped()
        else:
            await asyncio.sleep(3_600)

    with pytest.raises(SystemExit) as ended:
        run(main, mesh=mesh_name, discovery=False)
    assert ended.value.code == 7
    assert order == ["part"]


class Unborn(Actor):
    def __init__(self, hook: str) -> None:
        self.hook = hook
        if hook == "constructor":
            raise SystemExit(7)

    async def on_start(self) -> None:
        if self.hook == "on_start":
            raise SystemExit(7)

    async def on_stop(self) -> None:
        if self.hook == "on_stop":
            raise SystemExit(7)


@pytest.mark.parametrize("hook", ["constructor", "on_start", "on_stop"])
def test_so_does_a_hook(mesh_name, logged, hook):
    logged.expect("the node ends: SystemExit: 7")

    async def main(node: Node) -> None:
        with contextlib.suppress(StartFailed):
            await (await node.spawn(Unborn, "unborn", hook)).stop()
        await node.stopped()

    with pytest.raises(SystemExit) as ended:
        run(main, mesh=mesh_name, discovery=False)
    assert ended.value.code == 7


def test_a_keyboard_interrupt_in_a_handler_ends_the_program_as_ctrl_c_does(mesh_name, logged):
    logged.expect("ender.interrupt raised", "the node ends: KeyboardInterrupt")

    async def main(node: Node) -> None:
        (await node.spawn(Ender, "ender")).tell("interrupt")
        await node.stopped()

    with pytest.raises(SystemExit) as ended:
        run(main, mesh=mesh_name, discovery=False)
    assert ended.value.code == 130


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Odd(Actor):
    @handler
    def fail(self, how: str) -> None:
        raise {
            "silent": RuntimeError(),
            "mute": Mute(),
            "surrogates": RuntimeError("\udcff"),
            "long": RuntimeError("x" * 10_000_000),
            "binary": RuntimeError(b"\x00", object()),
        }[how]


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("silent", r"odd.fail raised RuntimeError$"),
        ("mute", r"Mute: \(its text cannot be had: ValueError\)"),
        ("surrogates", r"RuntimeError: \\udcff"),
        ("long", r"x{100}"),
        ("binary", r"object object"),
    ],
)
@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
async def test_whatever_a_handler_raises_reaches_its_asker(mesh, how, text, far):
    node, other = await mesh.pair() if far else [await mesh.start()] * 2
    await other.spawn(Odd, "odd")
    ref = await node.find("odd")
    with pytest.raises(RemoteError, match=text):
        await ref.ask("fail", how)


# -- what is said to one that stops ---------------------------------------------------------------


class Slow(Actor):
    """Stops only when its gate opens."""

    def __init__(self, gate: asyncio.Event, begun: list[str]) -> None:
        self.gate = gate
        self.begun = begun

    @handler
    async def hold(self) -> str:
        self.begun.append("hold")
        await self.gate.wait()
        return "held"

    @handler(concurrent=True)
    async def hold_aside(self) -> None:
        await self.gate.wait()

    @handler(concurrent=True, retry=1)
    async def hold_and_fail(self) -> None:
        await self.gate.wait()
        raise OSError

    @handler
    def note(self, what: str) -> str:
        self.begun.append(what)
        return what


class SlowRack(Supervisor):
    def __init__(self, gate: asyncio.Event, begun: list[str], policy: str) -> None:
        self.children = [child(Slow, "slow", gate, begun).restarts(policy)]


@pytest.fixture
def gate():
    return asyncio.Event()


@pytest.mark.parametrize("how", ["plain", "on_error", "far"])
async def test_who_speaks_to_an_actor_that_stops_is_told_so_at_once(mesh, until, gate, how):
    node, begun = await mesh.start(), []
    if how == "on_error":
        await node.spawn(SlowRack, "rack", gate, begun, how)
        near = ref = await node.find("slow")
    else:
        near = ref = await node.spawn(Slow, "slow", gate, begun)
    if how == "far":
        ref = await (await mesh.start()).find("slow")
    held = near.ask(Slow.hold)
    await until(lambda: begun == ["hold"])
    waiting, _ = near.ask(Slow.note, "before"), near.tell(Slow.note, "before")
    stopped = near.stop()
    with pytest.raises(ActorStopped):
        await waiting
    for asked in (ref.ask, ref.send):
        with pytest.raises(ActorStopped):
            await asked(Slow.note, "after")
    for call in (near.tell, near.offer):
        with contextlib.suppress(ActorStopped):
            assert not call(Slow.note, "after")
    with pytest.raises(ActorStopped):
        await asyncio.to_thread(near.tell, Slow.note, "after")
    assert not held.is_done  # nor has the actor ended
    gate.set()
    assert await held == "held"
    await stopped
    assert begun == ["hold"]
    ledger = node.ledger()
    assert ledger.is_balanced
    assert ledger.dropped["ActorStopped"] == 7


async def test_who_waits_for_room_at_an_actor_that_stops_is_told_so_at_once(mesh, until, gate):
    node, begun = await mesh.start(mailbox_limit=1), []
    ref = await node.spawn(Slow, "slow", gate, begun)
    held = ref.ask(Slow.hold)
    await until(lambda: begun == ["hold"])
    waiting, sending = ref.ask(Slow.note, "before"), ref.send(Slow.note, "before")
    stopped = ref.stop()
    for reply in (waiting, sending):
        with pytest.raises(ActorStopped):
            await reply
    assert not held.is_done
    gate.set()
    await asyncio.gather(held, stopped)


async def test_what_would_be_tried_again_by_an_actor_that_stops_is_not(mesh, until, gate):
    node, begun = await mesh.start(), []
    ref = await node.spawn(Slow, "slow", gate, begun)
    held, failing = ref.ask(Slow.hold), ref.ask(Slow.hold_and_fail)
    await until(lambda: begun == ["hold"])
    stopped = ref.stop()
    gate.set()
    assert await held == "held"
    with pytest.raises(ActorStopped):
        await failing
    await stopped
    assert node.ledger().is_balanced


async def test_one_that_is_restarted_always_keeps_for_its_next_instance_what_comes_meanwhile(
    mesh, until, gate
):
    node, begun = await mesh.start(), []
    await node.spawn(SlowRack, "rack", gate, begun, "always")
    ref = await node.find("slow")
    held = ref.ask(Slow.hold)
    await until(lambda: begun == ["hold"])
    ref.tell(Slow.note, "before")
    stopped = ref.stop()
    asked = ref.ask(Slow.note, "after")
    gate.set()
    await asyncio.gather(held, stopped)
    assert await asked == "after"
    assert begun == ["hold", "before", "after"]
    assert node.ledger().dropped == {}


async def test_asks_that_are_answered_leave_nothing_until_their_deadline(mesh, until, gate):
    node = await mesh.start()
    ref = await node.spawn(Slow, "slow", gate, [])
    deadlines = node._runtime.deadlines
    asks = [ref.within(600 + number).ask(Slow.hold_aside) for number in range(2 * BUCKETS_LEAST)]
    await until(lambda: len(deadlines._heap) >= len(asks))
    gate.set()
    await asyncio.gather(*asks)
    await until(lambda: len(deadlines._heap) < BUCKETS_LEAST)
