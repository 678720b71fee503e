"""What a requester promises: its own reply or an error in time, and never another's."""

import asyncio
import random
import signal
import time

import msgpack
import pytest
import zmq
import zmq.asyncio
from servers import LOCAL, Program, Queue, Rude, Server

from actormq import (
    Actor,
    DeliveryError,
    LifecycleError,
    MessageTooLarge,
    NobodyThere,
    NotEncodable,
    PeerLost,
    RemoteError,
    RemoteProtocolError,
    Replier,
    Requester,
    RequestTimeout,
    SetupError,
    handler,
)

TRANSPORTS = ["tcp", "ipc", "inproc"]


class Client(Actor):
    """Asks a plain server, as it is told."""

    server = Requester(connect="{place}", codec="text", timeout=60, retries=3)

    def __init__(self, place):
        self.place = place
        self.errors = []

    @handler(concurrent=True)
    async def ask(self, text: str) -> str:
        try:
            return await self.server.request(text)
        except Exception as error:
            self.errors.append(error)
            raise


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


def asking(requester, *values, **options):
    return asyncio.ensure_future(requester.request(*values, **options))


def ports(node):
    return len(node._runtime.transport._ports)


@pytest.fixture
def place(plain, tmp_path):
    """An endpoint of each transport where nobody is yet."""

    def place(transport):
        if transport == "tcp":
            return plain.free_endpoint()
        return f"ipc://{tmp_path}/server" if transport == "ipc" else "inproc://server"

    return place


@pytest.fixture
def server(plain, mesh, until):
    """Starts a plain server; over inproc it has to be in the context of the one node."""

    def server(kind=zmq.REP, endpoint=LOCAL):
        if endpoint.startswith("inproc"):
            socket = mesh.running[0]._runtime.transport.context.socket(kind)
        else:
            socket = plain.socket(kind)
        servers.append(Server(socket, until, endpoint))
        return servers[-1]

    servers = []
    yield server
    for one in servers:
        one.socket.close(0)


@pytest.fixture
def program():
    """Starts a plain REP in a process of its own."""
    programs = []

    def program(endpoint, answers):
        programs.append(Program(endpoint, answers))
        return programs[-1]

    yield program
    for one in programs:
        if one.process.poll() is None:
            one.kill()


# -- replies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [zmq.REP, zmq.ROUTER])
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_plain_server_gets_what_a_req_sends_and_is_understood(
    mesh, owner, server, place, kind, transport
):
    await mesh.start()
    with server(kind, place(transport)) as one:
        client = await owner(Requester(connect=one.endpoint, codec="text"))
        assert client.end.endpoint == one.endpoint
        for number in range(3):
            reply, _ = await asyncio.gather(client.end.request(f"Hello {number}"), one.serve())
            assert reply == f"re Hello {number}"
    assert one.asked == [[b"Hello 0"], [b"Hello 1"], [b"Hello 2"]]
    assert (client.end.sent, client.end.received) == (3, 3)
    assert client.end.dropped == {}


@pytest.mark.parametrize("codec", ["raw", "text", "msgpack"])
async def test_requests_and_replies_of_several_frames_stay_whole(owner, server, codec, sample):
    values, frames = sample
    one = server()
    client = await owner(Requester(connect=one.endpoint, codec=codec))
    reply = asking(client.end, *values)
    (await one.next())(*frames)
    assert await reply == values
    assert one.asked == [frames]


async def test_a_requester_reaches_servers_behind_zeromqs_own_proxy(owner, plain, until):
    queue = Queue()
    servers = [plain.connected(zmq.REP, queue.back) for _ in range(2)]
    client = await owner(Requester(connect=queue.front, codec="text", timeout=20))
    for number in range(6):
        reply = asking(client.end, str(number))
        await until(lambda: any(server.get(zmq.EVENTS) & zmq.POLLIN for server in servers))
        for server in servers:
            if server.get(zmq.EVENTS) & zmq.POLLIN:
                server.send(b"re " + server.recv())
        assert await reply == f"re {number}"
    queue.stop()


async def test_several_endpoints_are_asked_in_turn_and_those_that_are_gone_left_out(
    owner, server, until
):
    servers = [server() for _ in range(3)]
    client = await owner(Requester(connect=[s.endpoint for s in servers], codec="text"))
    await client.end.ready(3, 60)

    async def ask_all(count, of):
        for number in range(count):
            serving = [asyncio.ensure_future(one.serve()) for one in of]
            assert await client.end.request(str(number)) == f"re {number}"
            for one in serving:
                one.cancel()
            await asyncio.wait(serving)

    await ask_all(6, servers)
    assert [len(one.asked) for one in servers] == [2, 2, 2]
    servers[0].socket.close(0)
    await until(lambda: client.end.peer_count == 2)
    await ask_all(4, servers[1:])
    assert [len(one.asked) for one in servers] == [2, 4, 4]


async def test_a_server_that_does_not_answer_gets_nothing_more_while_another_is_there(
    owner, server
):
    dumb, good = server(zmq.ROUTER), server()
    client = await owner(
        Requester(connect=[dumb.endpoint, good.endpoint], codec="text", timeout=0.5, retries=1)
    )
    await client.end.ready(2, 60)
    for number in range(6):
        serving = asyncio.ensure_future(good.serve())
        assert await client.end.request(str(number)) == f"re {number}"
        await serving
    assert client.end.sent == 7  # one was asked again
    await dumb.next()
    assert not dumb.has_request


async def test_requests_at_once_from_concurrent_handlers_all_get_their_own_reply(mesh, server):
    one = server(zmq.ROUTER)
    node = await mesh.start()
    client = await node.spawn(Client, None, one.endpoint)
    texts = [str(number) for number in range(50)]
    replies = [client.ask(Client.ask, text) for text in texts]
    held = [(await one.next(), one.asked[-1][0]) for _ in range(5)]
    for reply, text in reversed(held):
        reply(b"re " + text)
    await one.serve(45)
    assert [await reply for reply in replies] == [f"re {text}" for text in texts]
    assert inside(node, client).server.dropped == {}


async def test_a_thousand_requests_at_once_are_sent_first_come_first_served(owner, server):
    one = server(zmq.ROUTER)
    client = await owner(Requester(connect=one.endpoint, codec="text", timeout=20))
    replies = [asking(client.end, str(number)) for number in range(1_000)]
    await one.serve(1_000)
    assert await asyncio.gather(*replies) == [f"re {number}" for number in range(1_000)]
    numbers = [int(frames[0]) for frames in one.asked]
    assert max(abs(number - place) for place, number in enumerate(numbers)) < 16  # two rounds


# -- where it is bound ----------------------------------------------------------------------------


async def test_a_requester_that_binds_tells_its_requests_apart(owner, plain):
    client = await owner(Requester(bind=LOCAL, codec="text", timeout=20))
    servers = [plain.connected(zmq.REP, client.end.endpoint) for _ in range(3)]
    await client.end.ready(3, 60)
    texts = [str(number) for number in range(30)]
    replies = [asking(client.end, text) for text in texts]
    for _ in range(10):
        heard = [(await plain.heard(server))[0][0] for server in servers]
        for server, text in reversed([*zip(servers, heard, strict=True)]):
            server.send(b"re " + text)
    assert await asyncio.gather(*replies) == [f"re {text}" for text in texts]
    assert (client.end.sent, client.end.received, client.end.waiting) == (30, 30, 0)


async def test_where_it_is_bound_and_the_last_server_goes_its_requests_are_lost(owner, plain):
    client = await owner(Requester(bind=LOCAL, codec="text", timeout=25))
    one, other = (plain.connected(zmq.REP, client.end.endpoint) for _ in range(2))
    await client.end.ready(2, 60)
    replies = [asking(client.end, text) for text in "ab"]
    [[text]] = await plain.heard(one)
    await plain.heard(other)
    other.close(0)
    one.send(b"re " + text)
    assert await replies["ab".index(text.decode())] == f"re {text.decode()}"
    one.close(0)
    with pytest.raises(PeerLost, match="the last one that was connected has gone"):
        await replies["ba".index(text.decode())]  # and not after 25 s
    assert (client.end.dropped, client.end.waiting) == ({"peer lost": 1}, 0)


async def test_servers_connect_over_inproc_to_a_requester_that_is_bound_there(mesh, owner, until):
    node = await mesh.start()
    client = await owner(Requester(bind="inproc://asks", codec="text"))
    reply = asking(client.end, "early")
    with node._runtime.transport.context.socket(zmq.REP) as socket:
        socket.linger = 0
        socket.connect("inproc://asks")
        await until(lambda: socket.get(zmq.EVENTS) & zmq.POLLIN)
        socket.send(b"re " + socket.recv())
        assert await reply == "re early"
    with pytest.raises(SetupError, match="does not see who comes over inproc"):
        await client.end.ready()


async def test_repliers_come_to_a_requester_that_binds_for_the_service(mesh):
    near, far = await mesh.pair()

    class Asks(Actor):
        servers = Requester(service="backs", bind=True)

        @handler
        async def ask(self, text: str) -> str:
            return await self.servers.request(text)

    class Answers(Actor):
        door = Replier(service="backs", connect=True)

        @door.received
        def answer(self, text: str) -> str:
            return text.upper()

    client = await near.spawn(Asks)
    replies = client.ask(Asks.ask, "early")
    for node in (near, far):
        await node.spawn(Answers)
    assert await replies == "EARLY"
    await inside(near, client).servers.ready(2, 60)
    assert [await client.ask(Asks.ask, text) for text in "abcd"] == list("ABCD")


# -- services -------------------------------------------------------------------------------------


class Upper(Actor):
    door = Replier(service="upper")

    @door.received
    def answer(self, text: str) -> str:
        return text.upper()


class Asks(Actor):
    server = Requester(service="upper", timeout=10, retries=1)

    @handler
    async def ask(self, text: str) -> str:
        return await self.server.request(text)


@pytest.mark.slow
async def test_a_service_is_found_on_this_node_and_on_others(mesh, until):
    near, far = await mesh.pair()
    client = await near.spawn(Asks)
    actor = inside(near, client)
    assert actor.server.endpoint == ""
    early = client.ask(Asks.ask, "early")  # before anybody serves
    away = await far.spawn(Upper)
    assert await early == "EARLY"
    here = await near.spawn(Upper)
    await actor.server.ready(2, 60)
    assert [await client.ask(Asks.ask, text) for text in "abcd"] == list("ABCD")
    assert [inside(far, away).door.sent, inside(near, here).door.sent] == [3, 2]
    far._runtime.services.withdraw_all()  # a node that is about to stop: its actors still answer
    await until(lambda: len(actor.server._attachment.ends) == 1)
    assert [await client.ask(Asks.ask, text) for text in "abcd"] == list("ABCD")
    assert inside(near, here).door.sent == 6
    await away.stop()
    assert [await client.ask(Asks.ask, text) for text in "efgh"] == list("EFGH")
    await until(lambda: len(actor.server._ways) == 1)


async def test_where_nobody_serves_a_request_names_the_service(mesh):
    node = await mesh.start()
    client = await node.spawn(Asks)
    with pytest.raises(NobodyThere, match=r"nobody answers at service 'upper' within"):
        await inside(node, client).server.request("a", timeout=0.02)


# -- in step --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [zmq.REP, zmq.ROUTER])
async def test_a_late_reply_is_dropped_and_counted(owner, server, until, kind):
    one = server(kind)
    client = await owner(Requester(connect=one.endpoint, codec="text"))
    await client.end.ready(1, 60)
    with pytest.raises(RequestTimeout, match=r"no reply within [\d.]+ s, asked once"):
        await client.end.request("first", timeout=0.05)
    late = await one.next()
    assert client.end.waiting == 1
    reply = asking(client.end, "second")
    late(b"to the first")
    await one.serve()
    assert await reply == "re second"
    await until(lambda: client.end.dropped == {"late reply": 1})
    assert (client.end.sent, client.end.received, client.end.waiting) == (2, 2, 0)


async def serve_slowly(server, dice):
    """Echo each request after a while; a REP takes the next one then, a ROUTER at once."""

    async def answer(frames, seconds):
        await asyncio.sleep(seconds)
        await server.send_multipart(frames)

    async with asyncio.TaskGroup() as replies:
        while True:
            answering = answer(await server.recv_multipart(), dice.choice([0, 0, 0.002, 0.01]))
            if server.type == zmq.REP:
                await answering
            else:
                replies.create_task(answering)


@pytest.mark.slow
@pytest.mark.parametrize("transport", [*TRANSPORTS, "bound"])
async def test_in_200_rounds_of_random_delays_no_reply_is_anothers(
    mesh, owner, place, until, transport
):
    node = await mesh.start()
    own = node._runtime.transport.context
    context = zmq.asyncio.Context(own) if transport == "inproc" else zmq.asyncio.Context()
    with context.socket(zmq.REP if transport == "bound" else zmq.ROUTER) as server:
        server.linger = 0
        if transport == "bound":
            client = await owner(Requester(bind=LOCAL, codec="text"))
            server.connect(client.end.endpoint)
            await client.end.ready(1, 60)
        else:
            endpoint = place(transport)
            server.bind(endpoint)
            client = await owner(Requester(connect=endpoint, codec="text"))
        serving = asyncio.ensure_future(serve_slowly(server, random.Random(transport)))
        answered = late = 0
        for number in range(200):
            try:
                assert await client.end.request(str(number), timeout=0.005) == str(number)
            except RequestTimeout:
                late += 1
            except NobodyThere:
                continue  # all lines owe, and the next is not there yet
            else:
                answered += 1
        assert late
        await until(lambda: client.end.waiting == 0)
        serving.cancel()
        await asyncio.wait([serving])
    if transport != "inproc":
        context.term()
    dropped = client.end.dropped
    assert client.end.sent == answered + late
    assert client.end.received == answered + dropped["late reply"]
    assert dropped["late reply"] + dropped["no reply"] == dropped.total() == late


async def test_a_server_that_answers_twice_does_not_answer_the_next(owner, server, until):
    one = server(zmq.ROUTER)
    client = await owner(Requester(connect=one.endpoint, codec="text"))
    for text in "abc":
        first = asking(client.end, text)
        reply = await one.next()
        reply(b"one")
        assert await first == "one"
        dropped = client.end.dropped["unasked reply"]
        reply(b"two")  # and not only then: on its line nothing more is asked
        await until(lambda dropped=dropped: client.end.dropped["unasked reply"] == dropped + 1)
        reply(b"three")
        second = asking(client.end, "next")
        await one.serve()
        assert await second == "re next"
    assert client.end.sent == 6


# -- servers that die -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
async def test_a_server_that_is_killed_with_a_request_is_known_to_be_lost(
    owner, place, program, transport
):
    endpoint = place(transport)
    server = program(endpoint, 1)
    client = await owner(Requester(connect=endpoint, codec="text", timeout=25))
    assert await client.end.request("a") == "re a"
    reply = asking(client.end, "b")
    await server.asked()
    server.kill()
    with pytest.raises(PeerLost, match="was lost before it replied: the connection broke"):
        await reply  # and not after 25 s: a test has 30
    program(endpoint, 1)
    assert await client.end.request("c") == "re c"
    assert (client.end.sent, client.end.received) == (3, 2)
    assert client.end.dropped == {"peer lost": 1}


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
async def test_a_retry_reaches_the_server_that_comes_back(owner, place, program, transport):
    endpoint = place(transport)
    server = program(endpoint, 0)
    client = await owner(Requester(connect=endpoint, codec="text", timeout=15, retries=1))
    for text in "ab":
        reply = asking(client.end, text)
        await server.asked()
        server.kill()
        server = program(endpoint, 1)
        assert await reply == f"re {text}"
    assert (client.end.sent, client.end.dropped) == (4, {"peer lost": 2})


@pytest.mark.slow
async def test_a_server_that_hangs_is_given_up_and_heard_again(owner, place, program, until):
    endpoint = place("tcp")
    server = program(endpoint, 3)
    client = await owner(Requester(connect=endpoint, codec="text"))
    assert await client.end.request("a") == "re a"
    server.send_signal(signal.SIGSTOP)
    with pytest.raises(RequestTimeout):
        await client.end.request("b", timeout=0.1)
    with pytest.raises(NobodyThere):  # it owes a reply, and lets nobody else in
        await client.end.request("c", timeout=0.1)
    server.send_signal(signal.SIGCONT)
    assert await client.end.request("d", timeout=10) == "re d"
    await until(lambda: client.end.dropped == {"late reply": 1})


@pytest.mark.slow
async def test_a_reply_that_came_before_the_connection_broke_is_not_lost(owner, plain, until):
    endpoint = plain.free_endpoint()
    client = await owner(Requester(connect=endpoint, codec="text", timeout=20))
    for number in range(10):
        await until(lambda: not client.end.peer_count)
        reply = asking(client.end, str(number))
        one = Server(await plain.bound_at(zmq.REP, endpoint), until, None)
        await one.serve()
        one.socket.close(1_000)  # its last words are under way
        assert await reply == f"re {number}"
    assert client.end.dropped == {}


async def test_where_nobody_is_nothing_is_sent(owner, plain):
    endpoint = plain.free_endpoint()
    client = await owner(Requester(connect=endpoint, codec="text", timeout=0.05, retries=2))
    with pytest.raises(NobodyThere, match=rf"nobody answers at {endpoint} within [\d.]+ s"):
        await client.end.request("a")
    assert (client.end.sent, client.end.waiting, client.end.dropped) == (0, 0, {})


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_comes_within_the_time_is_asked(mesh, owner, server, place, transport):
    await mesh.start()
    endpoint = place(transport)
    client = await owner(Requester(connect=endpoint, codec="text", timeout=20))
    reply = asking(client.end, "a")
    await asyncio.sleep(0)
    with server(zmq.REP, endpoint) as one:
        await one.serve()
        assert await reply == "re a"


async def test_over_inproc_a_server_that_comes_again_is_asked_again(mesh, owner, server):
    await mesh.start()
    place = "inproc://server"
    client = await owner(Requester(connect=place, codec="text", timeout=0.2, retries=50))
    for number in range(10):
        with server(zmq.REP, place) as one:
            serving = asyncio.ensure_future(one.serve(1_000))
            for text in "ab":
                assert await client.end.request(f"{number}{text}") == f"re {number}{text}"
            serving.cancel()
            await asyncio.wait([serving])
            one.socket.unbind(place)


async def test_over_inproc_a_line_that_owes_does_not_hold_up_the_next(mesh, owner, server, until):
    await mesh.start()
    client = await owner(Requester(connect="inproc://server", codec="text", timeout=20))
    late = []
    with server(zmq.ROUTER, "inproc://server") as one:
        for number in range(3):
            with pytest.raises(RequestTimeout):
                await client.end.request(str(number), timeout=0.01)
            late.append(await one.next())
        reply = asking(client.end, "a")
        await one.serve()
        assert await reply == "re a"
        for answer in late:
            answer(b"late")
        await until(lambda: client.end.dropped == {"late reply": 3})


@pytest.mark.slow
async def test_retries_are_counted_and_asked_one_after_the_other(owner, server):
    one = server(zmq.ROUTER)
    client = await owner(Requester(connect=one.endpoint, codec="text", timeout=0.3, retries=2))
    await client.end.ready(1, 60)
    with pytest.raises(RequestTimeout, match=r"within [\d.]+ s, asked 3 times: it may have"):
        await client.end.request("a")
    for _ in range(3):
        await one.next()
    assert one.asked == [[b"a"]] * 3
    assert not one.has_request


@pytest.mark.slow
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "with the request"])
async def test_a_server_that_lets_nobody_stay_is_not_asked_without_a_pause(owner, until, waits):
    rude = Rude(waits)
    place = await rude.open()
    client = await owner(Requester(connect=place, codec="text", timeout=0.4, retries=1_000))
    reply = asking(client.end, "a")
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.6):
            await reply
    # without a pause there are hundreds a second
    assert rude.guests <= 40 * (time.monotonic() - begun) / 0.6
    reply = asking(client.end, "b")
    await until(lambda guests=rude.guests: rude.guests > guests + 2)  # but it is asked
    reply.cancel()
    await asyncio.wait([reply])
    assert client.end.sent == client.end.dropped.total() + client.end.waiting
    await client.ref.stop()  # or one guest would never leave
    await rude.close()


async def test_a_program_that_is_no_server_is_nobody_and_its_successor_is_asked(
    owner, plain, until, monkeypatch
):
    monkeypatch.setattr("actormq.patterns.line.STALE_AFTER", 0.1)
    wrong, endpoint = plain.bound(zmq.PUB)  # libzmq never comes back to one of these
    ended = wrong.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    client = await owner(Requester(connect=endpoint, codec="text", timeout=0.05))
    with pytest.raises(NobodyThere):
        await client.end.request("a")
    assert client.end.sent == 0
    await until(lambda: ended.get(zmq.EVENTS) & zmq.POLLIN)
    wrong.disable_monitor()
    ended.close(0)
    wrong.close(0)
    one = Server(await plain.bound_at(zmq.REP, endpoint), until, None)
    reply = asking(client.end, "b", timeout=20)
    await one.serve()
    assert await reply == "re b"


async def test_a_reply_over_the_limit_breaks_its_own_connection_only(mesh, owner, server):
    await mesh.start(message_limit=1_024, buffer_limit=1_024)
    one = server(zmq.ROUTER)
    client = await owner(Requester(connect=one.endpoint, codec="text", timeout=20))
    reply = asking(client.end, "a")
    (await one.next())(b"x" * 100_000)
    with pytest.raises(PeerLost):
        await reply
    reply = asking(client.end, "b")
    await one.serve()
    assert await reply == "re b"


# -- ends -----------------------------------------------------------------------------------------


async def test_the_deadline_of_the_ask_bounds_the_request_and_its_retries(mesh, server, until):
    one = server(zmq.ROUTER)
    node = await mesh.start()
    client = await node.spawn(Client, None, one.endpoint)
    actor = inside(node, client)
    await actor.server.ready(1, 60)
    with pytest.raises((TimeoutError, RemoteError)):  # both end in the same moment
        await client.within(0.5).ask(Client.ask, "a")
    await until(lambda: actor.errors)  # and not after a minute
    assert str(actor.errors[0]).startswith(f"{actor.name}.server: no reply within ")
    await one.next()
    assert not one.has_request
    assert actor.server.sent == 1


async def test_nothing_is_sent_when_the_ask_has_no_time_left(mesh, server, until):
    one = server(zmq.ROUTER)

    class Late(Client):
        @handler
        async def wait_and_ask(self) -> None:
            await gone.wait()
            await self.ask("a")

    node = await mesh.start()
    gone = asyncio.Event()
    client = await node.spawn(Late, None, one.endpoint)
    actor = inside(node, client)
    await actor.server.ready(1, 60)
    with pytest.raises(TimeoutError):
        await client.within(0.02).ask(Late.wait_and_ask)
    gone.set()
    await until(lambda: actor.errors)
    assert isinstance(actor.errors[0], NobodyThere)
    assert (actor.server.sent, actor.server.waiting) == (0, 0)


async def test_a_request_that_is_cancelled_leaves_its_line_in_step(owner, server, until):
    one = server()
    client = await owner(Requester(connect=one.endpoint, codec="text"))
    first = asking(client.end, "a")
    reply = await one.next()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    reply(b"late")
    await until(lambda: client.end.dropped == {"late reply": 1})
    again = asking(client.end, "b")
    await one.serve()
    assert await again == "re b"


async def test_a_request_that_is_cancelled_before_it_was_sent_never_is(owner, server, plain):
    endpoint = plain.free_endpoint()
    client = await owner(Requester(connect=endpoint, codec="text", timeout=20))
    first, second = asking(client.end, "a"), asking(client.end, "b")
    await asyncio.sleep(0)
    first.cancel()
    one = server(zmq.REP, endpoint)
    await one.serve()
    assert await second == "re b"
    assert one.asked == [[b"b"]]
    assert first.cancelled()


async def test_a_reply_that_comes_as_its_request_is_given_up_is_counted(owner, server, until):
    one = server()
    client = await owner(Requester(connect=one.endpoint, codec="text"))
    first = asking(client.end, "a")
    await one.serve()
    await until(lambda: client.end.received)  # its task has not run since
    if first.cancel():
        with pytest.raises(asyncio.CancelledError):
            await first
        assert client.end.dropped == {"late reply": 1}


async def test_the_end_of_the_actor_ends_its_requests_and_closes_its_lines(owner, server, mesh):
    one = server(zmq.ROUTER)
    node = await mesh.start()
    before = ports(node)
    client = await owner(Requester(connect=one.endpoint, codec="text", timeout=60, retries=5))
    end = client.end
    replies = [asking(end, str(number)) for number in range(10)]
    for _ in range(8):
        await one.next()
    getting_ready = asyncio.ensure_future(end.ready(2))
    await asyncio.sleep(0)
    await client.ref.stop()
    for reply in [*replies, getting_ready, asking(end, "late")]:
        with pytest.raises(LifecycleError, match=r"\.end is closed: its actor has stopped"):
            await reply
    assert ports(node) == before
    assert (end.dropped, end.sent, end.waiting) == ({"closed": 8}, 8, 0)


async def test_who_waits_for_servers_when_the_actor_stops_waits_no_longer(owner, plain):
    client = await owner(Requester(connect=plain.free_endpoint(), codec="text"))
    waiting = asyncio.ensure_future(client.end.ready())
    await asyncio.sleep(0)
    await client.ref.stop()
    with pytest.raises(LifecycleError, match=r"\.end is closed: its actor has stopped"):
        await waiting


async def test_the_end_of_the_actor_is_no_answer_to_a_request_without_retries(owner, server):
    one = server()
    client = await owner(Requester(connect=one.endpoint, codec="text", timeout=60))
    reply = asking(client.end, "a")
    await one.next()
    await client.ref.stop()
    with pytest.raises(PeerLost, match="our own socket was closed"):
        await reply


async def test_ready_says_how_many_are_there(owner, server, plain):
    one = server()
    client = await owner(Requester(connect=[one.endpoint, plain.free_endpoint()], codec="text"))
    await client.end.ready(1, 60)
    with pytest.raises(TimeoutError, match=r"owner#1\.end has 1 of 2 peers after 0\.01 s"):
        await client.end.ready(2, 0.01)
    assert client.end.peer_count == 1


# -- what is none ---------------------------------------------------------------------------------


async def test_a_reply_that_is_none_is_an_error_and_the_requester_goes_on(owner, server):
    one = server(zmq.ROUTER)
    client = await owner(Requester(connect=one.endpoint, codec="msgpack"))
    for reply, kind, text in (
        ([b"\xc1"], RemoteProtocolError, "no msgpack"),
        ([b"\x01\x02"], RemoteProtocolError, "a frame of 2 msgpack values"),
        ([b"error", b"ValueError", b"too deep"], RemoteError, "raised ValueError: too deep"),
        ([b"error", b"\xff", b"\xff"], RemoteError, "raised �: �"),
    ):
        got = asking(client.end, 1)
        (await one.next())(*reply)
        with pytest.raises(kind, match=text):
            await got
    got = asking(client.end, 1)
    (await one.next())(msgpack.packb(2))
    assert await got == 2
    assert (client.end.sent, client.end.received, client.end.waiting) == (5, 5, 0)


@pytest.mark.parametrize("frames", [[b"bare"], [b""], [b"x", b"", b"late"], [b"\xff", b"a"]])
async def test_a_reply_without_the_empty_frame_is_an_error(owner, plain, frames):
    socket, endpoint = plain.bound(zmq.ROUTER)
    client = await owner(Requester(connect=endpoint, codec="raw"))
    reply = asking(client.end, b"a")
    [[identity, *_]] = await plain.heard(socket)
    socket.send_multipart([identity, *frames])
    with pytest.raises(RemoteProtocolError, match="a reply without the empty frame of REP"):
        await reply


async def test_text_that_is_no_utf_8_is_an_error(owner, server):
    one = server()
    client = await owner(Requester(connect=one.endpoint, codec="text"))
    reply = asking(client.end, "a")
    (await one.next())(b"\xff")
    with pytest.raises(RemoteProtocolError, match="no UTF-8 text"):
        await reply


async def test_what_cannot_be_written_is_not_sent(mesh, owner, server):
    await mesh.start(message_limit=1_024)
    one = server()
    clients = {
        codec: await owner(Requester(connect=one.endpoint, codec=codec))
        for codec in ("msgpack", "text", "raw")
    }
    for codec, values, kind in (
        ("msgpack", [object()], NotEncodable),
        ("msgpack", ["x" * 2_000], MessageTooLarge),
        ("msgpack", [], SetupError),
        ("text", [b"a"], SetupError),
        ("text", ["\ud800"], SetupError),
        ("raw", ["a"], SetupError),
    ):
        with pytest.raises(kind):
            await clients[codec].end.request(*values)
        assert clients[codec].end.sent == clients[codec].end.waiting == 0


@pytest.mark.parametrize("timeout", [0, -1, "5", True, float("nan")])
async def test_a_timeout_that_is_none_is_refused_by_the_request(owner, timeout):
    client = await owner(Requester(connect="tcp://127.0.0.1:1", codec="text"))
    with pytest.raises(SetupError, match=r"owner#1\.end: timeout=.+: a number of seconds above 0"):
        await client.end.request("a", timeout=timeout)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"timeout": 0}, "Requester: timeout=0: a number of seconds above 0"),
        ({"timeout": True}, "Requester: timeout=True: a number of seconds above 0"),
        ({"timeout": "5"}, "Requester: timeout='5': a number of seconds above 0"),
        ({"timeout": None}, "Requester: timeout=None: a number of seconds above 0"),
        ({"timeout": float("nan")}, "Requester: timeout=nan: a number of seconds above 0"),
        ({"retries": -1}, "Requester: retries=-1: a whole number, 0 or more"),
        ({"retries": 1.5}, r"Requester: retries=1\.5: a whole number, 0 or more"),
        ({"retries": True}, "Requester: retries=True: a whole number, 0 or more"),
        ({"connect": "tcp://nohost"}, "'tcp://nohost' lacks a port; write tcp://HOST:PORT"),
        ({"connect": "http://a:1"}, "'http://a:1' is no endpoint"),
        ({"connect": None}, r"Requester\(\) goes nowhere"),
        ({"codec": "json"}, "codec 'json' is unknown"),
    ],
)
def test_a_requester_that_cannot_work_is_refused(arguments, sentence):
    with pytest.raises(SetupError, match=sentence):
        Requester(**{"connect": "tcp://127.0.0.1:1", **arguments})


async def test_an_endpoint_that_zeromq_refuses_leaves_nothing_open_or_announced(mesh):
    class Lost(Actor):
        server = Requester(service="a", connect=["tcp://127.0.0.1:1", "tcp://no such host:1"])

    node = await mesh.start()
    before = ports(node)
    with pytest.raises(SetupError, match="cannot connect to tcp://no such host:1"):
        await node.spawn(Lost)
    assert ports(node) == before
    assert node.directory.services("a") == []


@pytest.mark.parametrize("codec", ["text", "raw"])
async def test_a_replier_of_another_codec_refuses_and_is_no_answer(owner, mesh, codec):
    class Server(Actor):
        door = Replier(bind="tcp://127.0.0.1:*")

        @door.received
        def answer(self, number: int) -> int:
            return number

        @handler
        def place(self) -> str:
            return self.door.endpoint

    node = await mesh.start()
    place = await (await node.spawn(Server)).ask(Server.place)
    client = await owner(Requester(connect=place, codec=codec))
    with pytest.raises(DeliveryError, match="refused the request: a frame is not of codec 'msgp"):
        await client.end.request("\xc1" if codec == "text" else b"\xc1")
