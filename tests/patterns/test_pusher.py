"""What a pusher promises: each message to one of those that have room, and none lost unsaid."""

import asyncio
import resource

import pytest
import zmq

from actormq import LifecycleError, MessageTooLarge, Puller, Pusher, SetupError, SocketFull

LOCAL = "tcp://127.0.0.1:*"
CODECS = ["raw", "text", "msgpack"]
STUCK = {"rcvhwm": 1, "rcvbuf": 65_536}  # of a peer that takes little while it does not read
LARGE = "x" * 5_000  # fills the system's own buffers soon


async def fill(pusher):
    """Push until one message waits; returns how many were accepted."""
    count = 0
    while not pusher.end.waiting:
        pusher.end.send_nowait(f"{count}{LARGE}")
        count += 1
        await asyncio.sleep(0)
    return count


def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def numbers(messages):
    return [int(frames[0].rstrip(b"x")) for frames in messages]


# -- to plain programs ----------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
async def test_a_plain_pull_reads_what_was_pushed(owner, plain, codec, sample):
    values, frames = sample
    pusher = await owner(Pusher(bind=LOCAL, codec=codec))
    pull = plain.connected(zmq.PULL, pusher.end.endpoint)
    await pusher.end.send(*values)
    await pusher.end.send(values[0])
    assert await plain.heard(pull, 2) == [frames, frames[:1]]
    assert (pusher.end.sent, pusher.end.waiting, pusher.end.dropped.total()) == (2, 0, 0)


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
async def test_who_binds_may_come_later(owner, plain, tmp_path, transport):
    endpoint = plain.free_endpoint() if transport == "tcp" else f"ipc://{tmp_path}/tasks"
    pusher = await owner(Pusher(connect=endpoint, codec="text"))
    await pusher.end.send("early")
    assert pusher.end.waiting == 1
    pull = await plain.bound_at(zmq.PULL, endpoint)
    assert await plain.heard(pull) == [[b"early"]]
    await pusher.end.send("late")
    assert await plain.heard(pull) == [[b"late"]]


async def test_several_endpoints_are_served_in_turn(owner, plain, tmp_path):
    pulls, endpoints = zip(*(plain.bound(zmq.PULL) for _ in range(2)), strict=True)
    ipc = [f"ipc://{tmp_path}/{number}" for number in range(2)]
    pusher = await owner(Pusher(bind=ipc, connect=endpoints, codec="text"))
    pulls += tuple(plain.connected(zmq.PULL, endpoint) for endpoint in ipc)
    await pusher.end.ready(4, timeout=60)
    for number in range(40):
        await pusher.end.send(number)
    got = [await plain.heard(pull, 10) for pull in pulls]
    assert sorted(int(text) for messages in got for (text,) in messages) == list(range(40))


# -- to pullers of actors -------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["tcp", "ipc", "inproc"])
async def test_over_every_transport_messages_come_in_order(owner, plain, until, tmp_path, where):
    endpoint = {
        "tcp": plain.free_endpoint(),
        "ipc": f"ipc://{tmp_path}/tasks",
        "inproc": "inproc://tasks",
    }[where]
    puller = await owner(Puller(connect=endpoint))
    pusher = await owner(Pusher(bind=endpoint))
    for number in range(3_000):
        await pusher.end.send(number, [number])
    await until(lambda: len(puller.came) == 3_000)
    assert puller.came == [(number, [number]) for number in range(3_000)]
    assert pusher.end.sent == puller.end.received == 3_000


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("binder", ["the pusher", "the puller"])
async def test_a_service_joins_both_ends_whichever_binds(mesh, owner, until, count, binder):
    for _ in range(count):
        near = await mesh.start()
    far = mesh.running[0]
    if binder == "the pusher":
        puller = await owner(Puller(service="tasks"), far)
        pusher = await owner(Pusher(service="tasks"), near)
    else:
        pusher = await owner(Pusher(service="tasks", connect=True), near)
        puller = await owner(Puller(service="tasks", bind=True), far)
    await pusher.end.ready(timeout=60)
    await pusher.end.send("a", {"b": 1})
    await until(lambda: puller.came == [("a", {"b": 1})])


@pytest.mark.parametrize("insecure_lan", [True, False])
async def test_a_service_is_announced_at_a_port_of_whatever_host_the_node_is_reached_at(
    mesh, owner, insecure_lan
):
    node = await mesh.start(insecure_lan=insecure_lan)
    await owner(Pusher(service="tasks"))
    ((_, entry),) = node.directory.services("tasks")
    ipc, tcp = entry.endpoints
    assert ipc.startswith("ipc://@actormq-")
    assert tcp.removeprefix("tcp://*:").isdecimal()


# -- what cannot be pushed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "values", "error", "sentence"),
    [
        ("text", (), SetupError, "a message has one value at least"),
        ("text", ([1],), SetupError, "codec 'text' takes a text or number, not list"),
        ("raw", (b"a", "b"), SetupError, "codec 'raw' takes bytes, not str"),
        ("msgpack", ("x" * 2_000_000,), MessageTooLarge, "over the limit of 1000000"),
        ("text", ("x" * 2_000_000,), MessageTooLarge, "over the limit of 1000000"),
        ("raw", (b"a", b"x" * 2_000_000), MessageTooLarge, "over the limit of 1000000"),
    ],
)
async def test_what_does_not_fit_is_refused_and_nothing_is_sent(
    mesh, owner, plain, codec, values, error, sentence
):
    await mesh.start(message_limit=1_000_000, buffer_limit=1_000_000)
    pusher = await owner(Pusher(bind=LOCAL, codec=codec))
    pull = plain.connected(zmq.PULL, pusher.end.endpoint)
    for send in (pusher.end.send, pusher.end.send_nowait):
        with pytest.raises(error, match=sentence):
            await send(*values)
    good = "good" if codec != "raw" else b"good"
    await pusher.end.send(good)
    assert len(await plain.heard(pull)) == pusher.end.sent == 1


async def test_a_pusher_is_closed_with_its_actor(owner):
    pusher = await owner(Pusher(bind=LOCAL))
    end = pusher.end
    await pusher.ref.stop()
    with pytest.raises(LifecycleError, match=r"owner#\d\.end is closed: its actor has stopped"):
        await end.send("a")


# -- at the mark: wait ----------------------------------------------------------------------------


@pytest.mark.slow
async def test_who_waits_loses_nothing_and_grows_no_queue(owner, plain, until):
    pusher = await owner(Pusher(bind=LOCAL, codec="text"))
    pull = plain.connected(zmq.PULL, pusher.end.endpoint, **STUCK)
    before = peak_kib()
    count = 12_000  # of 5 KB: 60 MB

    async def push_all():
        for number in range(count):
            await pusher.end.send(f"{number}{LARGE}")

    pushing = asyncio.create_task(push_all())
    await until(lambda: pusher.end.waiting)
    for _ in range(100):
        await asyncio.sleep(0)
    assert pusher.end.sent < count - 1
    assert pusher.end.waiting <= 1
    for number in range(count):
        assert numbers(await plain.heard(pull)) == [number]
    await pushing
    assert (pusher.end.sent, pusher.end.waiting, pusher.end.dropped.total()) == (count, 0, 0)
    assert peak_kib() - before < 40 * 1024


async def test_with_nobody_connected_the_second_waits_and_both_reach_who_comes(owner, plain, until):
    pusher = await owner(Pusher(bind=LOCAL, codec="text"))
    await pusher.end.send("1")
    second = asyncio.create_task(pusher.end.send("2"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not second.done()
    assert (pusher.end.sent, pusher.end.waiting) == (0, 1)
    pull = plain.connected(zmq.PULL, pusher.end.endpoint)
    assert await plain.heard(pull, 2) == [[b"1"], [b"2"]]
    await second


async def test_senders_that_wait_go_out_in_order_also_past_one_that_comes_later(owner, plain):
    pusher = await owner(Pusher(bind=LOCAL, codec="text"))
    pusher.end.send_nowait("0")
    tasks = [asyncio.create_task(pusher.end.send(number)) for number in range(1, 20)]
    await asyncio.sleep(0)
    tasks[9].cancel()
    pull = plain.connected(zmq.PULL, pusher.end.endpoint)
    while pusher.end.waiting:  # noqa: ASYNC110 the very tick in which there is room again
        await asyncio.sleep(0)
    await pusher.end.send("later")  # those who wait have not run yet
    got = [text for (text,) in await plain.heard(pull, 20)]
    assert got == [b"%d" % number for number in range(20) if number != 10] + [b"later"]
    assert tasks[9].cancelled()
    assert pusher.end.sent == 20


# -- at the mark: raise ---------------------------------------------------------------------------


@pytest.mark.slow
async def test_who_raises_says_why_and_what_was_accepted_arrives(owner, plain, until):
    pusher = await owner(Pusher(bind=LOCAL, codec="text", full="raise"))
    await pusher.end.send("0")
    with pytest.raises(SocketFull, match=r"owner#\d\.end is at .* mark: nobody is connected"):
        await pusher.end.send("lost")
    pull = plain.connected(zmq.PULL, pusher.end.endpoint, **STUCK)
    assert await plain.heard(pull) == [[b"0"]]
    count = await fill(pusher)
    for send in (pusher.end.send, pusher.end.send_nowait):
        with pytest.raises(SocketFull, match="the other end is behind; send more slowly, or"):
            await send("lost")
    assert numbers(await plain.heard(pull, count)) == list(range(count))
    await until(lambda: not pusher.end.waiting)
    assert (pusher.end.sent, pusher.end.dropped.total()) == (count + 1, 0)
    await pusher.end.send("again")
    assert await plain.heard(pull) == [[b"again"]]


# -- at the mark: drop ----------------------------------------------------------------------------


async def test_who_drops_keeps_the_newest_and_counts_the_rest(mesh, owner, plain, until):
    pusher = await owner(Pusher(bind=LOCAL, codec="text", full="drop"))
    for number in range(3_000):
        await pusher.end.send(number)
    assert pusher.end.dropped == {"full": 2_000}
    assert (pusher.end.sent, pusher.end.waiting) == (0, 1_000)
    assert mesh.running[0].events.dead_letter_count == {"full": 2_000}
    pull = plain.connected(zmq.PULL, pusher.end.endpoint)
    assert numbers(await plain.heard(pull, 1_000)) == list(range(2_000, 3_000))
    assert (pusher.end.sent, pusher.end.waiting) == (1_000, 0)


@pytest.mark.slow
async def test_behind_a_stuck_receiver_all_is_sent_dropped_or_waiting(owner, plain, until):
    pusher = await owner(Pusher(bind=LOCAL, codec="text", full="drop"))
    pull = plain.connected(zmq.PULL, pusher.end.endpoint, **STUCK)
    await pusher.end.ready(timeout=60)
    count = 8_000
    for number in range(count):
        await pusher.end.send(f"{number}{LARGE}")
        assert number + 1 == pusher.end.sent + pusher.end.dropped["full"] + pusher.end.waiting
        if not number % 100:
            await asyncio.sleep(0)
    dropped = pusher.end.dropped["full"]
    assert dropped > 0
    got = numbers(await plain.heard(pull, count - dropped))
    assert got[-1_000:] == list(range(count - 1_000, count))
    assert got == sorted(set(got))
    assert (pusher.end.sent, pusher.end.waiting) == (count - dropped, 0)


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", ["wait", "raise", "drop"])
async def test_what_nobody_took_before_the_end_is_counted(mesh, owner, full):
    pusher = await owner(Pusher(bind=LOCAL, codec="text", full=full))
    pusher.end.send_nowait("1")
    if full == "drop":
        pusher.end.send_nowait("2")
    end = pusher.end
    await pusher.ref.stop()
    lost = 2 if full == "drop" else 1
    assert (end.sent, end.waiting, end.dropped) == (0, 0, {"closed": lost})


async def test_a_sender_that_waits_at_the_end_is_told(owner):
    pusher = await owner(Pusher(bind=LOCAL, codec="text"))
    pusher.end.send_nowait("1")
    waiting = asyncio.create_task(pusher.end.send("2"))
    await asyncio.sleep(0)
    end = pusher.end
    await pusher.ref.stop()
    with pytest.raises(LifecycleError, match="is closed: its actor has stopped"):
        await waiting
    assert end.dropped == {"closed": 1}


@pytest.mark.parametrize("where", [LOCAL, "inproc://tasks"])
async def test_at_the_end_a_slow_receiver_still_gets_what_waits(owner, until, where):
    pusher = await owner(Pusher(bind=where))
    puller = await owner(Puller(connect=pusher.end.endpoint))
    puller.gate.clear()
    if where == LOCAL:
        await pusher.end.ready(timeout=60)
    count, end = await fill(pusher), pusher.end
    stopping = pusher.ref.stop()
    puller.gate.set()
    await stopping
    assert (end.sent, end.dropped.total()) == (count, 0)
    await until(lambda: len(puller.came) == count)


async def test_what_was_sent_before_the_end_arrives(owner, plain):
    pusher = await owner(Pusher(bind=LOCAL, codec="text"))
    pull = plain.connected(zmq.PULL, pusher.end.endpoint)
    await pusher.end.ready(timeout=60)
    for number in range(900):
        pusher.end.send_nowait(number)
    await pusher.ref.stop()
    assert numbers(await plain.heard(pull, 900)) == list(range(900))
