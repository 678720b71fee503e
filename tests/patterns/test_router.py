"""What a router promises: it knows who a message came from, and answers nobody else."""

import asyncio

import pytest
import zmq

from actormq import Actor, Dealer, LifecycleError, Peer, PeerGone, Router, SetupError, SocketFull

LOCAL = "tcp://127.0.0.1:*"
CODECS = ["raw", "text", "msgpack"]
STUCK = {"rcvhwm": 1, "rcvbuf": 65_536}  # of a peer that takes little while it does not read
LARGE = "x" * 5_000  # fills the system's own buffers soon


class Echo(Actor):
    """Answers whoever said something, with the same."""

    door = Router(bind=LOCAL, codec="text")

    @door.received
    async def hear(self, peer: Peer, *texts: str) -> None:
        await self.door.send(peer, *texts)


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


def numbers(messages):
    return [int(frames[-1].rstrip(b"x")) for frames in messages]


# -- with plain programs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "said", "heard"),
    [
        (zmq.REQ, [b"a"], [b"a"]),
        (zmq.REQ, [b""], [b""]),
        (zmq.REQ, [b"a", b"", b"c"], [b"a", b"", b"c"]),
        (zmq.DEALER, [b"a"], [b"a"]),
        (zmq.DEALER, [b"", b"a"], [b"", b"a"]),
        (zmq.DEALER, [b"a", b"b", b""], [b"a", b"b", b""]),
        (zmq.DEALER, [b"client", b"", b"a"], [b"client", b"", b"a"]),  # a REQ behind a device
        (zmq.DEALER, [b"one", b"two", b"", b"a", b""], [b"one", b"two", b"", b"a", b""]),
    ],
)
async def test_an_answer_finds_its_way_back(mesh, plain, kind, said, heard):
    node = await mesh.start()
    echo = inside(node, await node.spawn(Echo))
    socket = plain.connected(kind, echo.door.endpoint)
    for _ in range(2):
        await plain.say(socket, *said)
        assert await plain.heard(socket) == [heard]


async def test_each_of_many_gets_its_own_answers(mesh, plain):
    node = await mesh.start()
    echo = inside(node, await node.spawn(Echo))
    sockets = [plain.connected(zmq.DEALER, echo.door.endpoint) for _ in range(20)]
    for number, socket in enumerate(sockets):
        for round_ in range(50):
            await plain.say(socket, b"%d %d" % (number, round_))
    for number, socket in enumerate(sockets):
        expected = [[b"%d %d" % (number, round_)] for round_ in range(50)]
        assert await plain.heard(socket, 50) == expected
    assert echo.door.sent == echo.door.received == 1_000


@pytest.mark.parametrize("codec", CODECS)
async def test_in_each_codec_a_plain_dealer_is_heard_and_answered(
    owner, plain, until, codec, sample
):
    values, frames = sample
    if codec != "raw":
        values, frames = values[::2], frames[::2]  # an empty frame between would end an envelope
    router = await owner(Router(bind=LOCAL, codec=codec))
    dealer = plain.connected(zmq.DEALER, router.end.endpoint, routing_id=b"joe")
    await plain.say(dealer, *frames)
    await until(lambda: router.came)
    assert router.came == [(Peer(b"joe"), *values)]
    await router.end.send(router.came[0][0], *values)
    await router.end.send("joe", values[0])
    assert await plain.heard(dealer, 2) == [frames, frames[:1]]


async def test_raw_leaves_all_frames_behind_the_id_to_the_actor(owner, plain, until):
    router = await owner(Router(bind=LOCAL, codec="raw"))
    req = plain.connected(zmq.REQ, router.end.endpoint)
    await plain.say(req, b"a")
    await until(lambda: router.came)
    peer, *frames = router.came[0]
    assert frames == [b"", b"a"]
    await router.end.send(peer, b"", b"b")
    assert await plain.heard(req) == [[b"b"]]


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
async def test_a_router_may_connect_first_and_to_several(owner, plain, until, tmp_path, transport):
    endpoints = [
        plain.free_endpoint() if transport == "tcp" else f"ipc://{tmp_path}/{number}"
        for number in range(2)
    ]
    router = await owner(Router(connect=endpoints, codec="text", identity="hub"))
    workers = [
        await plain.bound_at(zmq.DEALER, endpoint, routing_id=name)
        for endpoint, name in zip(endpoints, (b"one", b"two"), strict=True)
    ]
    await router.end.ready(2, timeout=60)
    for name, worker in zip(("one", "two"), workers, strict=True):
        await router.end.send(name, f"for {name}")
        assert await plain.heard(worker) == [[b"for %s" % name.encode()]]


# -- with sockets of actors -----------------------------------------------------------------------


@pytest.mark.parametrize("where", [LOCAL, "ipc", "inproc://door"])
async def test_over_every_transport_a_dealer_talks_to_a_router(owner, until, tmp_path, where):
    where = where if "://" in where else f"ipc://{tmp_path}/door"
    router = await owner(Router(bind=where))
    dealer = await owner(Dealer(connect=router.end.endpoint))
    for number in range(200):
        await dealer.end.send("question", number, "")
    await until(lambda: len(router.came) == 200)
    assert [values[1:] for values in router.came] == [("question", n, "") for n in range(200)]
    for peer, _, number, _ in router.came:
        await router.end.send(peer, number, "")
    await until(lambda: len(dealer.came) == 200)
    assert dealer.came == [(number, "") for number in range(200)]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("binder", [Router, Dealer])
async def test_a_service_joins_a_router_and_a_dealer_whichever_binds(
    mesh, owner, until, count, binder
):
    for _ in range(count):
        near = await mesh.start()
    connector = Dealer if binder is Router else Router
    there = await owner(binder(service="door", bind=True), mesh.running[0])
    here = await owner(connector(service="door", connect=True), near)
    router, dealer = (there, here) if binder is Router else (here, there)
    await dealer.end.ready(timeout=60)
    await dealer.end.send("a")
    await until(lambda: router.came)
    peer, text = router.came[0]
    await router.end.send(peer, text, "b")
    await until(lambda: dealer.came == [("a", "b")])


@pytest.mark.parametrize("count", [1, 2])
async def test_two_routers_talk_by_their_identities(mesh, owner, until, count):
    for _ in range(count):
        near = await mesh.start()
    there = await owner(Router(service="hub", identity="hub-{shelf}"), mesh.running[0], shelf=3)
    here = await owner(Router(service="hub", connect=True, identity="{name}"), near)
    await here.end.ready(timeout=60)
    await here.end.send("hub-3", "question")
    await until(lambda: there.came)
    peer, text = there.came[0]
    assert (peer, text) == (Peer(here.name.encode()), "question")
    assert repr(peer) == f"<Peer {here.name}>"
    await there.end.send(peer, "answer")
    await until(lambda: here.came == [(Peer(b"hub-3"), "answer")])


@pytest.mark.parametrize(
    ("identity", "sentence"),
    [
        ("", "an identity has 1 to 255 bytes, not ''"),
        ("ä" * 128, "an identity has 1 to 255 bytes"),
        ("{shelf}", "names 'shelf', which the actor does not have: set self.shelf in __init__"),
        ("{", "has a brace without its partner"),
    ],
)
async def test_an_identity_that_cannot_be_is_refused(mesh, owner, identity, sentence):
    with pytest.raises(SetupError, match=sentence):
        await owner(Router(bind=LOCAL, identity=identity))


# -- peers that are not there ---------------------------------------------------------------------


async def test_a_peer_that_left_is_gone_and_counted(mesh, owner, plain, until):
    router = await owner(Router(bind=LOCAL, codec="text"))
    dealer = plain.connected(zmq.DEALER, router.end.endpoint, routing_id=b"joe")
    await plain.say(dealer, b"a")
    await until(lambda: router.came)
    peer = router.came[0][0]
    dealer.close()
    await until(lambda: router.end.lost_count == 1)
    for send in (router.end.send, router.end.send_nowait):
        with pytest.raises(PeerGone, match=r"owner#\d\.end has no peer <Peer joe>: it has left"):
            await send(peer, "b")
    with pytest.raises(PeerGone, match="has no peer 'nobody'"):
        await router.end.send("nobody", "b")
    assert (router.end.sent, router.end.dropped) == (0, {"peer gone": 3})
    assert mesh.running[0].events.dead_letter_count == {"peer gone": 3}


@pytest.mark.parametrize("peer", [b"joe", None, 3])
async def test_what_is_no_peer_is_refused(owner, peer):
    router = await owner(Router(bind=LOCAL, codec="text"))
    with pytest.raises(SetupError, match="a peer is as a message came with it, or an identity as"):
        await router.end.send(peer, "a")


# -- peers that do not read -----------------------------------------------------------------------


async def stuck_peer(owner, plain, full):
    router = await owner(Router(bind=LOCAL, codec="text", full=full))
    stuck = plain.connected(zmq.DEALER, router.end.endpoint, routing_id=b"stuck", **STUCK)
    brisk = plain.connected(zmq.DEALER, router.end.endpoint, routing_id=b"brisk")
    await router.end.ready(2, timeout=60)
    return router, stuck, brisk


def senders(router, peer, count):
    """So many senders; what the last of 3 000 says finds no room."""
    sends = [router.end.send(peer, f"{number}{LARGE}") for number in range(count)]
    return [asyncio.create_task(send) for send in sends]


@pytest.mark.slow
async def test_who_waits_for_a_peer_keeps_the_order_and_holds_up_no_other(owner, plain):
    router, stuck, brisk = await stuck_peer(owner, plain, "wait")
    count = 3_000
    *waiting, cancelled = senders(router, "stuck", count + 1)
    await asyncio.sleep(0)
    await router.end.send("brisk", "a")
    assert await plain.heard(brisk) == [[b"a"]]
    assert not waiting[-1].done()
    cancelled.cancel()
    got = []
    while stuck.poll(100):  # all that was sent, and the senders do not run meanwhile
        got.append(stuck.recv_multipart())
    waiting.append(asyncio.create_task(router.end.send("stuck", f"{count}{LARGE}")))
    got += await plain.heard(stuck, count + 1 - len(got))  # it found room, yet was the last
    assert numbers(got) == list(range(count + 1))
    await asyncio.gather(*waiting)
    assert (router.end.sent, router.end.dropped.total()) == (count + 2, 0)
    assert plain.all_from(stuck) == []


@pytest.mark.slow
async def test_who_waits_for_a_peer_that_leaves_is_told(owner, plain):
    router, stuck, _ = await stuck_peer(owner, plain, "wait")
    waiting = senders(router, "stuck", 3_000)
    await asyncio.sleep(0)
    stuck.close()
    with pytest.raises(PeerGone):
        await waiting[-1]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {PeerGone, type(None)}
    assert router.end.dropped == {"peer gone": sum(map(bool, results))}
    assert router.end.sent == results.count(None)


@pytest.mark.slow
async def test_who_waits_for_a_peer_as_the_actor_stops_is_told(owner, plain):
    router, _, _ = await stuck_peer(owner, plain, "wait")
    waiting = senders(router, "stuck", 3_000)
    await asyncio.sleep(0)
    await router.ref.stop()
    with pytest.raises(LifecycleError, match="is closed: its actor has stopped"):
        await waiting[-1]
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.slow
async def test_who_raises_says_which_peer_is_behind(owner, plain):
    router, stuck, brisk = await stuck_peer(owner, plain, "raise")
    count = 0
    for is_patient in (True, False):
        refused = None
        while refused is None:
            try:
                if is_patient:
                    await router.end.send("stuck", f"{count}{LARGE}")
                else:
                    router.end.send_nowait("stuck", f"{count}{LARGE}")
            except SocketFull as error:
                refused = str(error)
            else:
                count += 1
                await asyncio.sleep(0)
        assert "high-water mark: 'stuck' is behind; send more slowly, or" in refused
    await router.end.send("brisk", "a")
    assert await plain.heard(brisk) == [[b"a"]]
    assert numbers(await plain.heard(stuck, count)) == list(range(count))
    assert (router.end.sent, router.end.dropped.total()) == (count + 1, 0)


@pytest.mark.slow
async def test_who_drops_counts_what_the_slow_one_lost_and_no_other(owner, plain):
    router, stuck, brisk = await stuck_peer(owner, plain, "drop")
    count = 5_000
    for number in range(count):
        await router.end.send("stuck", f"{number}{LARGE}")
        if not number % 100:
            await router.end.send("brisk", number)
            await asyncio.sleep(0)
    dropped = router.end.dropped["full"]
    assert dropped > 0
    assert router.end.sent == count - dropped + 50
    assert numbers(await plain.heard(brisk, 50)) == list(range(0, count, 100))
    got = numbers(await plain.heard(stuck, count - dropped))
    assert got == sorted(set(got))


# -- the end --------------------------------------------------------------------------------------


async def test_answers_that_were_sent_before_the_end_arrive(owner, plain):
    router = await owner(Router(bind=LOCAL, codec="text"))
    dealer = plain.connected(zmq.DEALER, router.end.endpoint, routing_id=b"joe")
    await router.end.ready(timeout=60)
    for number in range(900):
        router.end.send_nowait("joe", number)
    await router.ref.stop()
    assert numbers(await plain.heard(dealer, 900)) == list(range(900))
