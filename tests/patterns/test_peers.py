"""Who is connected: counted as they come and go, waited for, and nobody else counted."""

import asyncio
import socket

import pytest
import zmq

from actormq import Dealer, Pair, Puller, Pusher, Router, SetupError

LOCAL = "tcp://127.0.0.1:*"
ZMTP = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + bytes(48)  # a whole greeting
JUNK = {
    "nothing": b"",
    "HTTP": b"GET / HTTP/1.1\r\nHost: roof\r\n\r\n",
    "ZMTP 1.0 and a message": b"\x01\0\x06\0hello",
    "half a greeting": ZMTP[:20],
    "a greeting and noise": ZMTP + b"noise" * 20,
    "zeros": bytes(1_000),
}


def junk(endpoint, noise):
    """A connection that is no ZeroMQ."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    stranger = socket.create_connection((host, int(port)))
    if noise:
        stranger.sendall(noise)
    return stranger


# -- ready ----------------------------------------------------------------------------------------


async def test_a_ventilator_waits_for_its_workers_and_gives_each_its_share(owner, plain, until):
    pusher = await owner(Pusher(bind=LOCAL, codec="text"))
    ready = asyncio.create_task(pusher.end.ready(3))
    pulls = []
    for count in range(3):
        await until(lambda count=count: pusher.end.peer_count == count)
        assert not ready.done()
        pulls.append(plain.connected(zmq.PULL, pusher.end.endpoint))
    await ready
    for number in range(30):
        await pusher.end.send(number)
    for pull in pulls:
        assert len(await plain.heard(pull, 10)) == 10


async def test_ready_says_how_many_there_are_when_its_time_is_up(owner, plain, until):
    pusher = await owner(Pusher(bind=LOCAL))
    plain.connected(zmq.PULL, pusher.end.endpoint)
    await until(lambda: pusher.end.peer_count)
    with pytest.raises(TimeoutError, match=r"owner#\d\.end has 1 of 2 peers after 0\.05 s"):
        await pusher.end.ready(2, timeout=0.05)
    await pusher.end.ready(1, timeout=0.05)
    await pusher.end.ready(0)


async def test_several_may_wait_and_one_that_gives_up_disturbs_nobody(owner, plain):
    pusher = await owner(Pusher(bind=LOCAL))
    impatient, *patient = (asyncio.create_task(pusher.end.ready(n)) for n in (1, 1, 2, 2))
    await asyncio.sleep(0)
    impatient.cancel()
    for _ in range(2):
        plain.connected(zmq.PULL, pusher.end.endpoint)
    await asyncio.gather(*patient)
    assert impatient.cancelled()


@pytest.mark.parametrize("kind", [Pusher, Dealer, Router, Pair])
async def test_over_inproc_nobody_can_be_waited_for(owner, kind):
    one = await owner(kind(bind="inproc://door"))
    with pytest.raises(SetupError, match=r"end: ready\(\) does not see who comes over inproc"):
        await one.end.ready()


async def test_where_some_can_be_seen_they_are_waited_for(owner, plain):
    one = await owner(Pusher(bind=["inproc://door", LOCAL]))
    plain.connected(zmq.PULL, one.end.endpoint)
    await one.end.ready(timeout=60)


# -- coming and going -----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "other"), [(Pusher, zmq.PULL), (Router, zmq.DEALER)])
@pytest.mark.parametrize("transport", ["tcp", "tcp on all interfaces", "ipc"])
async def test_who_comes_and_goes_is_counted(owner, plain, until, tmp_path, kind, other, transport):
    endpoint = {"tcp": LOCAL, "ipc": f"ipc://{tmp_path}/door"}.get(transport, "tcp://*:*")
    one = await owner(kind(bind=endpoint))
    assert (one.end.peer_count, one.end.lost_count) == (0, 0)
    place = one.end.endpoint.replace("[::]", "127.0.0.1")
    for round_ in range(1, 4):
        peers = [plain.connected(other, place) for _ in range(5)]
        await until(lambda: one.end.peer_count == 5)
        for peer in peers:
            peer.close()
        await until(lambda: one.end.peer_count == 0)
        assert one.end.lost_count == 5 * round_


@pytest.mark.slow
async def test_who_it_connects_to_is_counted_each_time_anew(owner, plain, until):
    endpoint = plain.free_endpoint()
    one = await owner(Pusher(connect=[endpoint, plain.free_endpoint()]))
    for round_ in range(3):
        pull = await plain.bound_at(zmq.PULL, endpoint)
        await one.end.ready(timeout=60)
        pull.close()
        await until(lambda: not one.end.peer_count)
        assert one.end.lost_count == round_ + 1


async def test_who_has_left_a_service_is_counted_no_more(mesh, owner, until, monkeypatch):
    monkeypatch.setattr("actormq.patterns.attachment.PARTING", 0.0)
    near, far = await mesh.pair()
    puller = await owner(Puller(service="tasks"), near)
    for _ in range(2):
        pushers = [await owner(Pusher(service="tasks"), node) for node in (near, far)]
        await until(lambda: puller.end.peer_count == 2)
        for pusher in pushers:
            await pusher.ref.stop()
        await until(lambda: puller.end.peer_count == 0)


async def test_an_endpoint_that_is_left_after_a_second_connection_is_counted_no_more(
    owner, plain, until
):
    """libzmq calls it by its address from then on, in IPv6's way of writing."""
    endpoint = plain.free_endpoint()
    one = await owner(Pusher(connect=endpoint))
    for _ in range(2):
        pull = await plain.bound_at(zmq.PULL, endpoint)
        await one.end.ready(timeout=60)
        if one.end.lost_count == 0:
            pull.close()
            await until(lambda: not one.end.peer_count)
    assert one.end._peers.has(endpoint)
    one.end._attachment._plug.disconnect(endpoint)
    assert one.end.peer_count == 0


async def test_a_plain_socket_of_a_type_that_does_not_go_with_it_is_not_counted(
    owner, plain, until
):
    one = await owner(Pusher(bind=LOCAL))
    connections = one.end._peers._connections
    for kind in (zmq.SUB, zmq.PULL, zmq.REP, zmq.PAIR, zmq.PUSH):
        plain.connected(kind, one.end.endpoint)
    await until(lambda: connections._made_count == 5 and not connections._greeting)
    assert (one.end.peer_count, one.end.lost_count) == (1, 0)


# -- no peers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("kind", [Pusher, Puller, Router])
async def test_a_connection_that_is_no_zeromq_is_not_counted(owner, plain, until, kind, noise):
    one = await owner(kind(bind=LOCAL))
    connections = one.end._peers._connections
    strangers = [junk(one.end.endpoint, noise) for _ in range(3)]
    await until(lambda: connections._made_count == 3)
    other = plain.connected(
        {Pusher: zmq.PULL, Puller: zmq.PUSH, Router: zmq.DEALER}[kind], one.end.endpoint
    )
    await until(lambda: one.end.peer_count)
    strangers += [junk(one.end.endpoint, noise) for _ in range(3)]
    await until(lambda: connections._made_count == 7)
    assert one.end.peer_count == 1
    for stranger in strangers:
        stranger.close()
    await until(lambda: not connections._greeting)
    assert (one.end.peer_count, one.end.lost_count) == (1, 0)
    other.close()
    await until(lambda: one.end.lost_count == 1)
    assert one.end.peer_count == 0
