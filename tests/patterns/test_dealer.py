"""What a dealer promises: to talk to each of many in turn, and to hear all of them."""

import asyncio

import pytest
import zmq

from actormq import Dealer, Replier, Router, SetupError, SocketFull

LOCAL = "tcp://127.0.0.1:*"
CODECS = ["raw", "text", "msgpack"]
STUCK = {"rcvhwm": 1, "rcvbuf": 65_536}  # of a peer that takes little while it does not read
LARGE = "x" * 5_000  # fills the system's own buffers soon


# -- with plain programs --------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.ROUTER])
async def test_in_each_codec_all_frames_go_both_ways(owner, plain, until, codec, sample, kind):
    values, frames = sample
    dealer = await owner(Dealer(bind=LOCAL, codec=codec, identity="joe"))
    peer = plain.connected(kind, dealer.end.endpoint)
    who = [b"joe"] if kind == zmq.ROUTER else []
    await dealer.end.send(*values)
    await dealer.end.send("" if codec != "raw" else b"", values[0])  # an empty frame ahead
    empty = b"\xa0" if codec == "msgpack" else b""
    assert await plain.heard(peer, 2) == [[*who, *frames], [*who, empty, frames[0]]]
    await plain.say(peer, *who, *frames)
    await plain.say(peer, *who, empty, frames[0])
    await until(lambda: len(dealer.came) == 2)
    assert dealer.came == [values, ("" if codec != "raw" else b"", values[0])]


@pytest.mark.parametrize("codec", CODECS)
async def test_with_a_delimiter_it_talks_to_a_plain_rep(owner, plain, until, codec, sample):
    values, frames = sample
    rep, endpoint = plain.bound(zmq.REP)
    dealer = await owner(Dealer(connect=endpoint, codec=codec, delimiter=True))
    for _ in range(2):  # without waiting for the first answer
        await dealer.end.send(*values)
    for _ in range(2):
        assert await plain.heard(rep) == [frames]
        await plain.say(rep, *frames)
    await until(lambda: len(dealer.came) == 2)
    assert dealer.came == [(b"", *values) if codec == "raw" else values] * 2


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
async def test_who_binds_may_come_later(owner, plain, until, tmp_path, transport):
    endpoint = plain.free_endpoint() if transport == "tcp" else f"ipc://{tmp_path}/door"
    dealer = await owner(Dealer(connect=endpoint, codec="text"))
    await dealer.end.send("early")
    router = await plain.bound_at(zmq.ROUTER, endpoint)
    ((who, text),) = await plain.heard(router)
    assert text == b"early"
    await plain.say(router, who, b"answer")
    await until(lambda: dealer.came == [("answer",)])


async def test_several_endpoints_are_served_in_turn_and_all_heard(owner, plain, until, tmp_path):
    peers, endpoints = zip(*(plain.bound(zmq.DEALER) for _ in range(2)), strict=True)
    ipc = [f"ipc://{tmp_path}/{number}" for number in range(2)]
    dealer = await owner(Dealer(bind=ipc, connect=endpoints, codec="text"))
    peers += tuple(plain.connected(zmq.DEALER, endpoint) for endpoint in ipc)
    await dealer.end.ready(4, timeout=60)
    for number in range(20):
        await dealer.end.send(number)
    got = [await plain.heard(peer, 5) for peer in peers]
    assert sorted(int(text) for messages in got for (text,) in messages) == list(range(20))
    for peer, messages in zip(peers, got, strict=True):
        for frames in messages:
            await plain.say(peer, *frames)
    await until(lambda: len(dealer.came) == 20)
    assert sorted(int(text) for (text,) in dealer.came) == list(range(20))


# -- with sockets of actors -----------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2])
async def test_two_dealers_of_a_service_talk_both_ways(mesh, owner, until, count):
    for _ in range(count):
        near = await mesh.start()
    there = await owner(Dealer(service="line", bind=True), mesh.running[0])
    here = await owner(Dealer(service="line"), near)
    await here.end.ready(timeout=60)
    await here.end.send("question", 1)
    await until(lambda: there.came == [("question", 1)])
    await there.end.send("answer", 2)
    await until(lambda: here.came == [("answer", 2)])


async def test_several_dealers_share_what_one_deals(owner, until):
    there = await owner(Dealer(service="line", bind=True))
    here = [await owner(Dealer(service="line")) for _ in range(3)]
    await there.end.ready(3, timeout=60)
    for number in range(30):
        await there.end.send(number)
    await until(lambda: [len(dealer.came) for dealer in here] == [10, 10, 10])


async def test_with_a_delimiter_it_talks_to_a_replier(owner, until):
    class Sums(Replier):
        """Answers with what it was asked."""

    replier = await owner(Sums(service="sums"))
    dealer = await owner(Dealer(service="sums", delimiter=True))
    await dealer.end.ready(timeout=60)
    await dealer.end.send("a")
    await until(lambda: replier.came == [("a",)])
    await until(lambda: dealer.came == [(None,)])


@pytest.mark.parametrize("identity", ["desk-7", "{name}", "{room}-{shelf}"])
async def test_its_identity_is_what_a_router_calls_it(owner, until, identity):
    router = await owner(Router(service="door"))
    dealer = await owner(Dealer(service="door", identity=identity), room="lab", shelf=3)
    await dealer.end.ready(timeout=60)
    name = identity.format(name=dealer.name, room="lab", shelf=3)
    await until(lambda: router.end.peer_count)
    await router.end.send(name, "hello")
    await until(lambda: dealer.came == [("hello",)])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "goes nowhere: give it service=, bind= or connect="),
        (
            {"bind": LOCAL, "full": "block"},
            "full='block' is unknown: take 'wait', 'raise' or 'drop'",
        ),
        ({"bind": LOCAL, "codec": "json"}, "codec 'json' is unknown: take msgpack, text or raw"),
    ],
)
def test_a_dealer_that_cannot_work_is_refused(options, sentence):
    with pytest.raises(SetupError, match=sentence):
        Dealer(**options)


# -- at its mark ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("full", ["wait", "raise", "drop"])
async def test_what_comes_in_is_heard_while_nothing_can_go_out(owner, plain, until, full):
    dealer = await owner(Dealer(bind=LOCAL, codec="text", full=full))
    peer = plain.connected(zmq.DEALER, dealer.end.endpoint, **STUCK)
    await dealer.end.ready(timeout=60)
    count = 0
    while not dealer.end.waiting:
        dealer.end.send_nowait(f"{count}{LARGE}")
        count += 1
        await asyncio.sleep(0)
    if full == "raise":
        with pytest.raises(SocketFull):
            await dealer.end.send("lost")
    for number in range(100):
        await plain.say(peer, b"%d" % number)
    await until(lambda: len(dealer.came) == 100)
    got = await plain.heard(peer, count)
    assert [int(text.rstrip(b"x")) for (text,) in got] == list(range(count))
    await until(lambda: not dealer.end.waiting)
    assert (dealer.end.sent, dealer.end.received, dealer.end.dropped.total()) == (count, 100, 0)
