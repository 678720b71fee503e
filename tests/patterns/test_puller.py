"""What a puller promises: each message once, in order, no faster than its actor handles them."""

import asyncio

import msgpack
import pytest
import zmq

from actormq import Actor, Puller, Pusher, SetupError, handler
from actormq.settings import DRAIN_MESSAGES, SOCKET_WINDOW

LOCAL = "tcp://127.0.0.1:*"
CODECS = ["raw", "text", "msgpack"]


class Picky(Actor):
    """Takes a name and a number."""

    packed = Puller(bind=LOCAL)
    texts = Puller(bind=LOCAL, codec="text")

    def __init__(self) -> None:
        self.came: list[tuple[str, object]] = []

    @packed.received
    async def take(self, name: str, number: int = 0) -> None:
        if number < 0:
            raise ValueError("too cold")
        self.came.append((name, number))

    @texts.received
    def note(self, name: str, unit: str) -> None:
        self.came.append((name, unit))

    @handler
    def ask_something(self) -> int:
        return len(self.came)


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


# -- from plain programs --------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
async def test_what_a_plain_push_sends_comes_whole_and_in_order(owner, plain, until, codec, sample):
    values, frames = sample
    puller = await owner(Puller(bind=LOCAL, codec=codec))
    push = plain.connected(zmq.PUSH, puller.end.endpoint)
    for _ in range(3):
        await plain.say(push, *frames)
        await plain.say(push, frames[0])
    await until(lambda: len(puller.came) == 6)
    assert puller.came == [values, values[:1]] * 3
    assert (puller.end.received, puller.end.waiting, puller.end.dropped.total()) == (6, 0, 0)


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
async def test_who_binds_may_come_later_and_again(owner, plain, until, tmp_path, transport):
    endpoint = plain.free_endpoint() if transport == "tcp" else f"ipc://{tmp_path}/tasks"
    puller = await owner(Puller(connect=endpoint, codec="text"))
    for round_ in range(2):
        push = await plain.bound_at(zmq.PUSH, endpoint)
        await plain.say(push, b"%d" % round_)
        await until(lambda round_=round_: len(puller.came) == round_ + 1)
        push.close()
        await until(lambda: not puller.end.peer_count)
    assert puller.came == [("0",), ("1",)]
    assert puller.end.lost_count == 2


async def test_several_endpoints_are_read_fairly(owner, plain, until, tmp_path):
    pushes, endpoints = zip(*(plain.bound(zmq.PUSH) for _ in range(2)), strict=True)
    ipc = [f"ipc://{tmp_path}/{number}" for number in range(2)]
    puller = await owner(Puller(bind=ipc, connect=endpoints, codec="text"))
    pushes += tuple(plain.connected(zmq.PUSH, endpoint) for endpoint in ipc)
    puller.gate.clear()
    for number, push in enumerate(pushes):
        for _ in range(100):
            await plain.say(push, b"%d" % number)
    puller.gate.set()
    await until(lambda: len(puller.came) == 400)
    for number in range(4):
        assert puller.came.count((str(number),)) == 100


# -- no faster than it handles --------------------------------------------------------------------


@pytest.mark.slow
async def test_it_reads_a_window_ahead_and_then_no_more_until_its_actor_has_caught_up(
    owner, plain, until
):
    puller = await owner(Puller(bind=LOCAL, codec="text"))
    push = plain.connected(zmq.PUSH, puller.end.endpoint)
    puller.gate.clear()
    count = 5 * SOCKET_WINDOW

    async def push_all():
        for number in range(count):
            await plain.say(push, b"%d" % number)

    pushing = asyncio.create_task(push_all())
    await until(lambda: puller.end._port._paused)
    for _ in range(100):
        await asyncio.sleep(0)
    assert SOCKET_WINDOW <= puller.end.waiting <= SOCKET_WINDOW + DRAIN_MESSAGES
    assert puller.end.received == puller.end.waiting + 1  # one is being handled
    puller.gate.set()
    await pushing
    await until(lambda: len(puller.came) == count)
    assert puller.came == [(str(number),) for number in range(count)]
    assert (puller.end.received, puller.end.waiting) == (count, 0)


@pytest.mark.slow
async def test_a_slow_puller_is_felt_by_its_pusher_which_loses_nothing(owner, until):
    puller = await owner(Puller(bind="inproc://tasks"))
    pusher = await owner(Pusher(connect="inproc://tasks"))
    puller.gate.clear()
    count = 10_000

    async def push_all():
        for number in range(count):
            await pusher.end.send(number)

    pushing = asyncio.create_task(push_all())
    await until(lambda: pusher.end.waiting)
    assert pusher.end.sent < 5_000  # two marks and a window
    puller.gate.set()
    await pushing
    await until(lambda: len(puller.came) == count)
    assert puller.came == [(number,) for number in range(count)]


async def test_what_an_actor_that_stops_has_not_handled_is_counted(owner, plain, until):
    puller = await owner(Puller(bind=LOCAL, codec="text"))
    push = plain.connected(zmq.PUSH, puller.end.endpoint)
    puller.gate.clear()
    for number in range(100):
        await plain.say(push, b"%d" % number)
    await until(lambda: puller.end.received == 100)
    end = puller.end
    stopping = puller.ref.stop()
    puller.gate.set()
    await stopping
    assert puller.came == [("0",)]
    assert end.dropped == {"ActorStopped": 99}
    assert (end.received, end.waiting) == (100, 0)


# -- what does not fit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("over", "frames", "reason"),
    [
        ("packed", [b"\xc1"], "RemoteProtocolError"),
        ("packed", [b""], "RemoteProtocolError"),
        ("packed", [b"\x01\x02"], "RemoteProtocolError"),
        ("packed", [msgpack.packb(7)], "ArgumentMismatch"),
        ("packed", [msgpack.packb("a"), msgpack.packb("7")], "ArgumentMismatch"),
        ("packed", [msgpack.packb("a")] * 3, "ArgumentMismatch"),
        ("texts", [b"\xff", b"C"], "RemoteProtocolError"),
        ("texts", [b"a"], "ArgumentMismatch"),
        ("texts", [b"a", b"b", b"c"], "ArgumentMismatch"),
    ],
)
async def test_what_does_not_fit_is_counted_and_the_next_is_handled(
    mesh, plain, until, over, frames, reason
):
    node = await mesh.start()
    ref = await node.spawn(Picky)
    picky = inside(node, ref)
    live = getattr(picky, over)
    good = [msgpack.packb("a"), msgpack.packb(7)] if over == "packed" else [b"a", b"C"]
    push = plain.connected(zmq.PUSH, live.endpoint)
    for message in (good, frames, frames, good):
        await plain.say(push, *message)
    await until(lambda: len(picky.came) == 2)
    assert live.dropped == {reason: 2}
    assert (live.received, live.waiting) == (4, 0)
    assert node.events.dead_letter_count == {reason: 2}
    assert await ref.ask(Picky.ask_something) == 2


async def test_a_method_that_raises_is_reported_and_the_next_message_is_handled(
    mesh, plain, until, logged
):
    logged.expect("too cold")
    node = await mesh.start()
    picky = inside(node, await node.spawn(Picky))
    push = plain.connected(zmq.PUSH, picky.packed.endpoint)
    for number in (-1, 7):
        await plain.say(push, msgpack.packb("a"), msgpack.packb(number))
    await until(lambda: picky.came == [("a", 7)])


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        (None, r"has nobody to receive: mark a method of \w+ with @tasks.received"),
        (handler(blocking=True), "make it `async def`, and `await asyncio.to_thread"),
    ],
)
async def test_a_puller_that_nobody_can_listen_to_is_refused(mesh, mark, sentence):
    class Idle(Actor):
        tasks = Puller(bind=LOCAL)
        if mark is not None:

            @tasks.received
            @mark
            def take(self, task: str) -> None: ...

    node = await mesh.start()
    with pytest.raises(SetupError, match=sentence):
        await node.spawn(Idle)
    assert node._runtime.transport._ports == {node._mesh._listener.port}
