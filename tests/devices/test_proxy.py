"""What a proxy promises: it pauses, counts, ends and leaves nothing, whatever its peers do."""

import asyncio
import contextlib
import signal
import struct
import threading
import time

import pytest
import zmq

from actormq import LifecycleError, PortInUse, SetupError
from actormq.devices.proxy import ROLES, Face, Flow, Proxy, _check_apart, pause_word
from actormq.transport import Role

ANYWHERE = "tcp://127.0.0.1:*"
BODY = b"x" * 1024
SENT = 700  # messages of one sender, of which 1 000 fit into the frontend


def streamer(node, frontend=ANYWHERE, backend=ANYWHERE):
    """A proxy of PULL and PUSH, both bound."""
    return Proxy(node._runtime, "streamer", Face("PULL", frontend), Face("PUSH", backend), print)


def streaming(*args):
    """The same, closed in the end."""
    return closing(streamer(*args))


@contextlib.asynccontextmanager
async def closing(proxy):
    try:
        yield proxy
    finally:
        await proxy.close()


def threads():
    return [thread for thread in threading.enumerate() if "proxy" in thread.name]


async def received(socket, count):
    return [await socket.recv() for _ in range(count)]


async def counted(proxy):
    assert await proxy.count()
    return proxy.to_backend


# -- pause ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "word"),
    [((4, 3, 4), b"PAUSE"), ((4, 3, 5), b"RESUME"), ((4, 3, 6), b"PAUSE"), ((5, 0, 0), b"PAUSE")],
)
def test_the_word_for_a_pause_is_right_for_each_libzmq(version, word):
    assert pause_word(version) == word


def test_the_word_for_a_pause_makes_a_bare_proxy_of_this_libzmq_pause():
    with zmq.Context() as context:
        ends = [context.socket(kind) for kind in (zmq.PULL, zmq.PUSH, zmq.PAIR)]
        peers = [context.socket(kind) for kind in (zmq.PUSH, zmq.PULL, zmq.PAIR)]
        for number, (end, peer) in enumerate(zip(ends, peers, strict=True)):
            end.bind(f"inproc://{number}")
            peer.connect(f"inproc://{number}")
        front, back, far = ends
        sender, receiver, control = peers
        proxy = threading.Thread(target=zmq.proxy_steerable, args=(front, back, None, far))
        proxy.start()

        def relayed():
            control.send(b"STATISTICS")
            while len(frames := control.recv_multipart()) < 8:
                """An acknowledgement of this libzmq's."""
            return struct.unpack("=8Q", b"".join(frames))[6]

        try:
            control.send(pause_word(zmq.zmq_version_info()))
            sender.send(b"waits")  # inproc: it is there before the next word
            assert [relayed() for _ in range(10)] == [0] * 10
            control.send(({b"PAUSE", b"RESUME"} - {pause_word(zmq.zmq_version_info())}).pop())
            assert receiver.recv() == b"waits"
            assert relayed() == 1
        finally:
            control.send(b"TERMINATE")
            proxy.join()
            for socket in (*ends, *peers):
                socket.close(0)


async def test_what_comes_during_a_pause_waits_and_nothing_of_it_is_lost(mesh, plain):
    async with streaming(await mesh.start()) as proxy:
        sender = plain.connected(zmq.PUSH, proxy.frontend.endpoint)
        receiver = plain.connected(zmq.PULL, proxy.backend.endpoint)
        await sender.send(b"before")
        assert await receiver.recv() == b"before"
        assert await proxy.pause()
        for number in range(500):
            await sender.send(b"%d" % number)
        assert not await receiver.poll(100)
        assert await counted(proxy) == Flow(1, 6)
        proxy.resume()
        assert await received(receiver, 500) == [b"%d" % number for number in range(500)]
        assert await counted(proxy) == Flow(501, 6 + sum(len(str(number)) for number in range(500)))


async def test_counts_are_exact_through_many_pauses_under_load(mesh, plain):
    async with streaming(await mesh.start()) as proxy:
        sender = plain.connected(zmq.PUSH, proxy.frontend.endpoint)
        receiver = plain.connected(zmq.PULL, proxy.backend.endpoint)

        async def send():
            for _ in range(5_000):
                await sender.send(b"12345678")

        sending = asyncio.create_task(send())
        taken = 0
        while taken < 5_000:
            assert await proxy.pause()
            before = proxy.to_backend
            assert before.bytes == 8 * before.frames
            while taken < before.frames:  # all that was counted has left
                await receiver.recv()
                taken += 1
            assert await counted(proxy) == before  # and nothing else has
            proxy.resume()
            if taken < 5_000:
                await receiver.recv()
                taken += 1
        await sending
        assert await counted(proxy) == Flow(5_000, 40_000)


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clock of a thread here")
async def test_a_paused_proxy_costs_no_processor_time_while_messages_wait(mesh, plain):
    async with streaming(await mesh.start()) as proxy:
        clock = time.pthread_getcpuclockid(proxy._thread.ident)
        sender = plain.connected(zmq.PUSH, proxy.frontend.endpoint)
        receiver = plain.connected(zmq.PULL, proxy.backend.endpoint)
        await sender.send(b"ping")
        await receiver.recv()
        assert await proxy.pause()
        for _ in range(SENT):
            await sender.send(BODY)  # some of it waits in the frontend by now
        before, own = time.clock_gettime(clock), time.process_time()
        await asyncio.to_thread(_burn, 0.3)
        spent = time.process_time() - own
        assert time.clock_gettime(clock) - before < spent / 20
        proxy.resume()
        await received(receiver, SENT)


def _burn(seconds):
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        """A proxy that spins would do so beside."""


async def test_to_pause_and_resume_twice_is_no_error(mesh, plain):
    async with streaming(await mesh.start()) as proxy:
        sender = plain.connected(zmq.PUSH, proxy.frontend.endpoint)
        receiver = plain.connected(zmq.PULL, proxy.backend.endpoint)
        assert await proxy.pause()
        assert await proxy.pause()
        assert proxy.is_paused
        await sender.send(b"waits")
        proxy.resume()
        proxy.resume()
        assert not proxy.is_paused
        assert await receiver.recv() == b"waits"
        assert await counted(proxy) == Flow(1, 5)


async def test_a_paused_proxy_ends(mesh):
    async with streaming(await mesh.start()) as proxy:
        assert await proxy.pause()
        await proxy.close()
        assert not threads()


# -- signals --------------------------------------------------------------------------------------


async def test_a_signal_to_the_thread_does_not_make_it_begin_again(mesh, plain):
    async with streaming(await mesh.start()) as proxy:
        sender = plain.connected(zmq.PUSH, proxy.frontend.endpoint)
        receiver = plain.connected(zmq.PULL, proxy.backend.endpoint)
        before = signal.signal(signal.SIGUSR1, lambda *_: None)
        try:
            for _ in range(3):
                await sender.send(b"x")
                await receiver.recv()
                signal.pthread_kill(proxy._thread.ident, signal.SIGUSR1)
            assert await counted(proxy) == Flow(3, 3)
            await proxy.close()
        finally:
            signal.signal(signal.SIGUSR1, before)


# -- held up --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def held_up(node, plain, until, folder):
    """A proxy in the middle of a burst that its only receiver does not take."""
    async with streaming(node, f"ipc://{folder}/in", f"ipc://{folder}/out") as proxy:
        receiver = plain.connected(zmq.PULL, proxy.backend.endpoint, rcvhwm=1)
        senders = [plain.connected(zmq.PUSH, proxy.frontend.endpoint) for _ in range(5)]
        for _ in range(10):  # now 990 fit into the backend, and no burst ends there
            await senders[0].send(BODY)
            await receiver.recv()
        assert await proxy.pause()  # bursts are long if what they take is there already
        for sender in senders:
            for _ in range(SENT):
                await sender.send(BODY)
        proxy.resume()

        async def does_not_answer():
            return not await proxy.count()

        await until(does_not_answer)
        yield proxy, receiver


@pytest.mark.slow
async def test_a_proxy_that_is_held_up_says_so_and_loses_nothing(mesh, plain, until, tmp_path):
    async with held_up(await mesh.start(), plain, until, tmp_path) as (proxy, receiver):
        seen = proxy.to_backend, proxy.counted_at
        assert not await proxy.count()
        assert (proxy.to_backend, proxy.counted_at) == seen
        assert len(proxy._questions) == 1  # each would cost another burst before a pause
        assert await received(receiver, 5 * SENT) == [BODY] * 5 * SENT
        assert await counted(proxy) == Flow(10 + 5 * SENT, (10 + 5 * SENT) * len(BODY))
        assert proxy.counted_at > seen[1]


@pytest.mark.slow
async def test_a_proxy_that_is_held_up_pauses_after_the_burst(mesh, plain, until, tmp_path):
    async with held_up(await mesh.start(), plain, until, tmp_path) as (proxy, receiver):
        assert not await proxy.pause()
        assert proxy.is_paused
        taken = 0

        async def has_paused():
            nonlocal taken
            while await receiver.poll(0):
                await receiver.recv()
                taken += 1
            return not proxy._questions

        await until(has_paused)
        assert proxy.to_backend.frames < 10 + 5 * SENT
        proxy.resume()
        await received(receiver, 5 * SENT - taken)
        assert await counted(proxy) == Flow(10 + 5 * SENT, (10 + 5 * SENT) * len(BODY))


@pytest.mark.slow
async def test_a_proxy_that_is_held_up_ends_all_the_same(mesh, plain, until, tmp_path):
    async with held_up(await mesh.start(), plain, until, tmp_path) as (proxy, _):
        await proxy.close()
        assert not threads()
        assert proxy._context.closed


# -- the end --------------------------------------------------------------------------------------


async def test_what_was_relayed_before_the_end_still_arrives(mesh, plain, until):
    async with streaming(await mesh.start()) as proxy:
        sender = plain.connected(zmq.PUSH, proxy.frontend.endpoint)
        receiver = plain.connected(zmq.PULL, proxy.backend.endpoint)
        for _ in range(500):
            await sender.send(BODY)

        async def all_relayed():
            return await counted(proxy) == Flow(500, 500 * len(BODY))

        await until(all_relayed)
        await proxy.close()
        assert await received(receiver, 500) == [BODY] * 500


async def test_a_proxy_under_load_ends_at_once_and_frees_its_endpoints(mesh, plain):
    node = await mesh.start()
    async with streaming(node) as proxy:
        receiver = plain.connected(zmq.PULL, proxy.backend.endpoint)
        stop = threading.Event()
        sending = threading.Thread(target=_flood, args=(proxy.frontend.endpoint, stop))
        sending.start()
        try:
            await received(receiver, 5_000)
            await proxy.close()
            assert not threads()
            again = streamer(node, proxy.frontend.endpoint, proxy.backend.endpoint)
            await received(receiver, 5_000)
            await again.close()
        finally:
            stop.set()
            await asyncio.to_thread(sending.join)


def _flood(endpoint, stop):
    """Send numbers until told to stop."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as sender:
        sender.linger = 0
        sender.sndtimeo = 10
        sender.connect(endpoint)
        number = 0
        while not stop.is_set():
            with contextlib.suppress(zmq.Again):
                sender.send(b"%01024d" % number)
                number += 1


@pytest.mark.slow
async def test_what_arrives_of_a_proxy_that_ends_under_load_has_no_hole(mesh, until):
    async with streaming(await mesh.start()) as proxy:
        stop, heard = threading.Event(), []
        flood = threading.Thread(target=_flood, args=(proxy.frontend.endpoint, stop))
        drain = threading.Thread(target=_drain, args=(proxy.backend.endpoint, stop, heard))
        flood.start()
        drain.start()
        try:
            await until(lambda: len(heard) > 5_000)
            await proxy.close()
        finally:
            stop.set()
            await asyncio.to_thread(flood.join)
            await asyncio.to_thread(drain.join)
    assert heard == list(range(len(heard)))


def _drain(endpoint, stop, heard):
    with zmq.Context() as context, context.socket(zmq.PULL) as receiver:
        receiver.linger = 0
        receiver.connect(endpoint)
        while receiver.poll(100) or not stop.is_set():
            while receiver.poll(0):
                heard.append(int(receiver.recv()))


@pytest.mark.slow
async def test_fifty_starts_and_ends_leave_no_thread_and_no_descriptor(mesh, descriptors):
    node = await mesh.start()
    await streamer(node).close()
    before = descriptors()
    for _ in range(50):
        proxy = streamer(node)
        assert await proxy.count()
        await proxy.close()
        await proxy.close()  # twice is no error
        assert not threads()
    assert descriptors() == before
    assert not [port for port in node._runtime.transport._ports if port.endpoint == "control"]


async def test_who_waits_for_an_answer_at_the_end_is_told_that_there_is_none(mesh, plain):
    async with streaming(await mesh.start()) as proxy:
        assert await proxy.pause()
        proxy.is_paused = False  # as above
        asking = asyncio.create_task(proxy.count())
        await asyncio.sleep(0)
        await proxy.close()
        assert not await asking


async def test_a_thread_that_ends_by_itself_is_reported(mesh, plain, until, monkeypatch):
    # A ROUTER that tells of it cannot pass on a reply to nobody: that is an error of the proxy.
    monkeypatch.setitem(ROLES, "ROUTER", Role(zmq.ROUTER, {zmq.ROUTER_MANDATORY: 1}))
    reasons = []
    faces = Face("ROUTER", ANYWHERE), Face("DEALER", ANYWHERE)
    node = await mesh.start()
    async with closing(Proxy(node._runtime, "queue", *faces, reasons.append)) as proxy:
        client = plain.connected(zmq.DEALER, proxy.frontend.endpoint)
        worker = plain.connected(zmq.DEALER, proxy.backend.endpoint)
        await client.send_multipart([b"", b"request"])
        await worker.recv_multipart()
        await worker.send_multipart([b"nobody", b"", b"reply"])
        await until(lambda: reasons)
        assert reasons == ["Host unreachable"]
        with pytest.raises(LifecycleError, match="the thread actormq-proxy-queue has ended"):
            await proxy.count()
        await proxy.close()
        assert not threads()
        assert proxy._context.closed


# -- what cannot be -------------------------------------------------------------------------------

IMPOSSIBLE = [
    ("tcp://127.0.0.1:5559", "tcp://127.0.0.1:5559", "are one place: a device relays between two"),
    ("tcp://*:5559", "tcp://127.0.0.1:5559", "are one place"),
    ("tcp://localhost:5559", "tcp://127.0.0.1:5559", "are one place"),
    ("tcp://[::]:5559", "tcp://10.9.8.7:5559", "are one place"),
    ("ipc:///tmp/actormq-one", "ipc:///tmp/actormq-one", "are one place"),
    ("tcp://127.0.0.1", ANYWHERE, "streamer, frontend: 'tcp://127.0.0.1' lacks a port"),
    (ANYWHERE, "tcp://127.0.0.1:http", "streamer, backend: 'tcp://127.0.0.1:http' lacks a port"),
    (ANYWHERE, "tcp://*:65536", "65536 in 'tcp://*:65536' is no port"),
    ("udp://127.0.0.1:5559", ANYWHERE, "is no endpoint; take tcp://HOST:PORT"),
    (ANYWHERE, "nowhere", "streamer, backend: 'nowhere' is no endpoint"),
    (5559, ANYWHERE, "streamer, frontend: 5559 is no endpoint"),
    ("inproc://tasks", ANYWHERE, "reaches nobody, for a device has a context of its own; take ipc"),
    (ANYWHERE, "tcp://192.0.2.1:*", "streamer, backend cannot bind tcp://192.0.2.1:*"),
    (ANYWHERE, "ipc:///nowhere/at/all", "streamer, backend cannot bind ipc:///nowhere/at/all"),
]


@pytest.mark.parametrize(("frontend", "backend", "says"), IMPOSSIBLE)
async def test_endpoints_that_cannot_be_are_refused_and_nothing_is_left_open(
    mesh, descriptors, frontend, backend, says
):
    node = await mesh.start()
    before = descriptors()
    with pytest.raises(SetupError) as refused:
        streamer(node, frontend, backend)
    assert says in str(refused.value)
    assert not threads()
    assert descriptors() == before


@pytest.mark.parametrize("side", ["frontend", "backend"])
async def test_an_endpoint_in_use_is_refused_and_nothing_is_left_open(
    mesh, plain, descriptors, side
):
    node = await mesh.start()
    _, taken = plain.bound(zmq.PULL)
    before = descriptors()
    with pytest.raises(PortInUse, match=f"streamer, {side}: {taken} is in use by another program"):
        streamer(node, **{side: taken})
    assert not threads()
    assert descriptors() == before


@pytest.mark.parametrize(
    ("frontend", "backend"),
    [
        (Face("XSUB", "tcp://127.0.0.1:*"), Face("XPUB", "tcp://127.0.0.1:*")),
        (Face("XSUB", "tcp://10.9.8.7:5556", is_connected=True), Face("XPUB", "tcp://*:5556")),
        (Face("XSUB", "tcp://127.0.0.2:5556"), Face("XPUB", "tcp://127.0.0.1:5556")),
        (
            Face("XSUB", "tcp://10.9.8.7:5556", is_connected=True),
            Face("XPUB", "tcp://10.9.8.6:5556", is_connected=True),
        ),
        (Face("XSUB", "ipc:///tmp/a"), Face("XPUB", "ipc:///tmp/b")),
    ],
)
def test_two_places_are_two_places(frontend, backend):
    _check_apart("forwarder", frontend, backend)


def test_a_device_that_would_talk_to_itself_is_refused():
    with pytest.raises(SetupError, match="are one place"):
        _check_apart(
            "queue",
            Face("ROUTER", "tcp://*:5559"),
            Face("DEALER", "tcp://localhost:5559", is_connected=True),
        )
