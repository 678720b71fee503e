"""What the lines of a requester promise: few sockets, each request with one fate, all in step."""

import asyncio
import contextlib
import itertools
import os
import resource
from pathlib import Path

import pytest
import zmq
from servers import LOCAL, Server

from actormq import NobodyThere, PeerLost, Requester, RequestTimeout, SetupError
from actormq.patterns.line import Request
from actormq.settings import LINES_LIMIT


@pytest.fixture
def server(plain, until):
    """A ROUTER that takes `identity, empty, body` apart, and answers when it is told to."""
    return Server(plain.socket(zmq.ROUTER), until)


def asking(requester, *values, **options):
    return asyncio.ensure_future(requester.request(*values, **options))


def ports(node):
    return len(node._runtime.transport._ports)


def lines(requester):
    [way] = requester._ways.values()
    return way._lines


async def give_up(requester, text):
    with pytest.raises((RequestTimeout, NobodyThere)) as failed:
        await requester.request(text, timeout=0.02)
    return isinstance(failed.value, RequestTimeout)


# -- how many -------------------------------------------------------------------------------------


async def test_a_requester_has_one_line_until_several_requests_are_under_way(owner, server):
    client = await owner(Requester(connect=server.endpoint, codec="text"))
    for text in "abc":
        reply = asking(client.end, text)
        await server.serve()
        await reply
    assert len(lines(client.end)) == 1


async def test_requests_at_once_have_a_line_each_up_to_a_limit_and_the_others_wait(
    owner, server, until
):
    client = await owner(Requester(connect=server.endpoint, codec="text", timeout=20))
    texts = [str(number) for number in range(3 * LINES_LIMIT)]
    replies = [asking(client.end, text) for text in texts]
    held = [(await server.next(), server.asked[-1][0]) for _ in range(LINES_LIMIT)]
    assert (client.end.sent, client.end.waiting) == (LINES_LIMIT, len(texts))
    assert [line.waiting for line in lines(client.end)] == [1] * LINES_LIMIT
    assert not server.has_request
    for reply, text in reversed(held):
        reply(b"re " + text)
    await server.serve(2 * LINES_LIMIT)
    assert await asyncio.gather(*replies) == [f"re {text}" for text in texts]
    assert len(lines(client.end)) == LINES_LIMIT
    assert client.end.waiting == 0


async def test_a_line_that_owes_carries_the_next_request_once_it_has_been_answered(
    owner, server, until
):
    client = await owner(Requester(connect=server.endpoint, codec="text", timeout=20))
    await client.end.ready(1, 60)
    assert await give_up(client.end, "a")
    late = await server.next()
    reply = asking(client.end, "b")
    await server.serve()
    assert await reply == "re b"
    assert [line.owes for line in lines(client.end)] == [True, False]
    late(b"late")
    await until(lambda: client.end.dropped == {"late reply": 1})
    replies = [asking(client.end, text) for text in "cd"]
    await server.serve(2)
    assert await asyncio.gather(*replies) == ["re c", "re d"]
    assert len(lines(client.end)) == 2


async def test_at_the_limit_the_line_that_has_owed_longest_makes_room(owner, server, until):
    client = await owner(Requester(connect=server.endpoint, codec="text", timeout=20))
    await client.end.ready(1, 60)
    late = {}
    for number in itertools.count():
        if await give_up(client.end, str(number)):
            late[number] = await server.next()
        if len(late) == LINES_LIMIT:
            break
    first, *others = late
    oldest, *younger = lines(client.end)
    assert oldest.owes
    assert all(line.owes for line in younger)
    reply = asking(client.end, "a")
    await server.serve()
    assert await reply == "re a"
    assert client.end.dropped == {"no reply": 1}
    assert lines(client.end)[:-1] == younger
    late[first](b"late")  # to nobody: its line was closed
    for number in others:
        late[number](b"late")
    await until(lambda: client.end.dropped == {"no reply": 1, "late reply": LINES_LIMIT - 1})
    assert client.end.sent == 1 + client.end.dropped.total()


@pytest.mark.slow
async def test_a_thousand_requests_that_nobody_answers_keep_few_sockets(owner, server, mesh):
    client = await owner(Requester(connect=server.endpoint, codec="text", timeout=20))
    [node] = mesh.running
    await client.end.ready(1, 60)
    before = ports(node)
    for first in range(0, 1_000, 20):
        await asyncio.gather(*(give_up(client.end, f"{first + number}") for number in range(20)))
        assert ports(node) < before + LINES_LIMIT
    reply = asking(client.end, "last")
    while True:
        answer = await server.next()
        if server.asked[-1] == [b"last"]:
            break
        answer(b"late")
    answer(b"World")
    assert await reply == "World"
    await client.ref.stop()
    assert ports(node) == before - 1
    assert client.end.sent == 1 + client.end.dropped.total()
    assert client.end.waiting == 0


async def test_of_several_endpoints_the_ones_with_free_lines_are_asked_first(owner, plain, until):
    servers = [Server(plain.socket(zmq.ROUTER), until) for _ in range(2)]
    client = await owner(
        Requester(connect=[one.endpoint for one in servers], codec="text", timeout=20)
    )
    await client.end.ready(2, 60)
    replies = [asking(client.end, text) for text in "ab"]
    late = [await one.next() for one in servers]
    assert [len(way._lines) for way in client.end._ways.values()] == [1, 1]
    third = asking(client.end, "c")
    await until(lambda: any(one.has_request for one in servers))
    assert sorted(len(way._lines) for way in client.end._ways.values()) == [1, 2]
    for answer in late:
        answer(b"done")
    [busy] = [one for one in servers if one.has_request]
    await busy.serve()
    assert await asyncio.gather(third, *replies) == ["re c", "done", "done"]


# -- when a connection breaks ---------------------------------------------------------------------


async def test_when_the_server_goes_all_lines_with_requests_become_one_new_line(
    owner, server, plain, until
):
    client = await owner(Requester(connect=server.endpoint, codec="text", timeout=20))
    replies = [asking(client.end, str(number)) for number in range(5)]
    for _ in range(5):
        await server.next()
    replies[0].cancel()
    server.socket.close(0)
    got = await asyncio.gather(*replies, return_exceptions=True)
    assert [type(error) for error in got] == [asyncio.CancelledError, *[PeerLost] * 4]
    assert (client.end.dropped, client.end.waiting) == ({"peer lost": 5}, 0)
    again = Server(await plain.bound_at(zmq.REP, server.endpoint), until, None)
    reply = asking(client.end, "a")
    await again.serve()
    assert await reply == "re a"
    assert len(lines(client.end)) == 1


@pytest.mark.parametrize("is_bound", [False, True])
async def test_a_reply_that_is_there_unread_when_the_connection_breaks_is_read(
    owner, server, plain, is_bound
):
    if is_bound:
        client = await owner(Requester(bind=LOCAL, codec="text", timeout=20))
        socket = plain.connected(zmq.REP, client.end.endpoint)
        [line] = client.end._ways.values()
    else:
        client = await owner(Requester(connect=server.endpoint, codec="text", timeout=20))
        socket = server.socket
        [line] = lines(client.end)
    reply = asking(client.end, "a")
    [frames] = await plain.heard(socket)
    socket.send_multipart(frames)
    while not line._port.socket.get(zmq.EVENTS) & zmq.POLLIN:
        pass  # and the loop does not run meanwhile
    if is_bound:
        line._peers._connections._up.clear()
        line._heard()
    else:
        line._heard(is_up=False)
    assert await reply == "a"
    assert client.end.dropped == {}


async def test_a_line_without_a_request_outlives_its_connection(owner, server, plain, until):
    client = await owner(Requester(connect=server.endpoint, codec="text", timeout=20))
    await client.end.ready(1, 60)
    [before] = lines(client.end)
    server.socket.close(0)
    await until(lambda: not client.end.peer_count)
    again = Server(await plain.bound_at(zmq.REP, server.endpoint), until, None)
    await client.end.ready(1, 60)
    assert lines(client.end) == [before]
    reply = asking(client.end, "a")
    await again.serve()
    assert await reply == "re a"


async def test_what_went_out_unseen_on_a_new_connection_is_not_answered_there(owner, server, until):
    """The line hears of the end of a connection behind what was sent on the one that came next."""
    client = await owner(Requester(connect=server.endpoint, codec="text", timeout=20))
    first = asking(client.end, "a")
    answer = await server.next()
    [line] = lines(client.end)
    line._settle(is_up=False)  # as if it came late
    with pytest.raises(PeerLost):
        await first
    second = asking(client.end, "b")
    answer(b"to a")
    await server.serve()
    assert await second == "re b"
    assert line not in lines(client.end)


# -- one that is shared ---------------------------------------------------------------------------


@pytest.mark.slow
async def test_what_a_bound_requester_is_owed_is_bounded(owner, plain, until, monkeypatch):
    monkeypatch.setattr("actormq.patterns.line.OWED_LIMIT", 10)
    client = await owner(Requester(bind=LOCAL, codec="text", timeout=20))
    socket = plain.connected(zmq.DEALER, client.end.endpoint)
    await client.end.ready(1, 60)
    kept = asking(client.end, "kept")
    asked = await plain.heard(socket)
    for number in range(30):
        assert await give_up(client.end, str(number))
    assert (client.end.waiting, client.end.dropped) == (10, {"no reply": 21})
    asked += await plain.heard(socket, 30)
    for frames in asked:
        socket.send_multipart(frames)
    assert await kept == "kept"
    await until(lambda: client.end.waiting == 0)
    assert client.end.dropped == {"no reply": 21, "late reply": 9, "unasked reply": 21}
    assert client.end.sent == 31


@pytest.mark.parametrize("frames", [[b""], [b"x"], [b"x", b"", b"y"], [b"", b"", b"y"]])
async def test_a_reply_without_a_number_is_nobodys(owner, plain, until, frames):
    client = await owner(Requester(bind=LOCAL, codec="text", timeout=20))
    socket = plain.connected(zmq.DEALER, client.end.endpoint)
    reply = asking(client.end, "a")
    [[number, *_]] = await plain.heard(socket)
    socket.send_multipart(frames)
    await until(lambda: client.end.dropped == {"unasked reply": 1})
    socket.send_multipart([number, b"", b"re a"])
    assert await reply == "re a"


# -- no descriptor left ---------------------------------------------------------------------------


DESCRIPTORS = Path("/proc/self/fd")
needs_descriptors = pytest.mark.skipif(
    not DESCRIPTORS.is_dir(),
    reason="Linux alone lists the descriptors of a process",
)


@contextlib.contextmanager
def descriptors_left(count):
    """So many can be opened, and no more."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in DESCRIPTORS.iterdir())
    spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest)]  # fills the gaps
    highest = max(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, most))
    for number in spare[len(spare) - count :]:
        os.close(number)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
        for number in spare[: len(spare) - count]:
            os.close(number)


@needs_descriptors
@pytest.mark.parametrize("kind", ["connect", "bind"])
@pytest.mark.parametrize("count", [0, 1, 2])
async def test_what_lacks_a_descriptor_leaves_nothing_open(owner, mesh, kind, count):
    node = await mesh.start()
    before = ports(node)
    with descriptors_left(count), pytest.raises((SetupError, zmq.ZMQError)):
        await owner(Requester(**{kind: "tcp://127.0.0.1:*" if kind == "bind" else "ipc://none"}))
    assert ports(node) == before


@needs_descriptors
async def test_where_no_further_line_can_be_opened_requests_wait_for_those_there_are(owner, server):
    client = await owner(Requester(connect=server.endpoint, codec="text", timeout=20))
    await client.end.ready(1, 60)
    for count in (0, 1):
        with descriptors_left(count):
            replies = [asking(client.end, text) for text in "abc"]
            await server.serve(3)
            assert await asyncio.gather(*replies) == ["re a", "re b", "re c"]
        assert len(lines(client.end)) == 1


async def test_a_request_fails_once_and_only_while_somebody_waits():
    request = Request([b"a"], lambda _body: False)
    request.fail(PeerLost("a", "first"))
    request.fail(PeerLost("a", "second"))
    with pytest.raises(PeerLost, match="first"):
        await request.reply
