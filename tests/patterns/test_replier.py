"""What a replier promises: each request has one reply or one reason, none holds up the others."""

import asyncio
import itertools
from typing import Any

import msgpack
import pytest
import zmq
from servers import LOCAL, Queue

from actormq import (
    Actor,
    DeliveryError,
    LifecycleError,
    PeerLost,
    PortInUse,
    RemoteError,
    Replier,
    Requester,
    Router,
    SetupError,
    handler,
)

CODECS = ["raw", "text", "msgpack"]


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


def pack(value):
    return value if isinstance(value, bytes) else msgpack.packb(value)


@pytest.fixture
def serve(mesh):
    """Spawns an actor with a replier, `.end`, that answers with `answer(self, *values)`."""

    async def serve(answer, node=None, *, concurrent=False, **options):
        node = node or (mesh.running or [await mesh.start()])[0]
        socket = Replier(**{"bind": LOCAL, **options})
        answer = handler(concurrent=concurrent)(answer)
        body = {"end": socket, answer.__name__: socket.received(answer)}
        return inside(node, await node.spawn(type("Door", (Actor,), body)))

    return serve


@pytest.fixture
def client(owner):
    """Spawns an actor that asks a replier; gives its requester."""

    async def client(door, **options):
        options = {"connect": door.end.endpoint, "codec": door.end._payload.name, **options}
        return (await owner(Requester(**options))).end

    return client


def echo(self, *values: Any) -> Any:
    return values if len(values) > 1 else values[0]


class Held:
    """A method that answers a request when it is told to: `.begun`, `.release[text]`."""

    def __init__(self):
        self.begun = []
        self.release = {}

    def method(self):
        async def answer(_actor, text: str) -> str:
            self.begun.append(text)
            self.release[text] = asyncio.Event()
            await self.release[text].wait()
            return f"re {text}"

        return answer


def is_settled(end):
    """Whether each request has one fate."""
    return end.received == end.sent + end.dropped.total() + end.waiting


# -- to plain programs ----------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("transport", ["tcp", "ipc", "inproc"])
async def test_a_plain_req_is_answered(mesh, serve, plain, until, tmp_path, codec, transport):
    node = await mesh.start()
    place = {"tcp": LOCAL, "ipc": f"ipc://{tmp_path}/door", "inproc": "inproc://door"}[transport]
    door = await serve(echo, bind=place, codec=codec)
    context = node._runtime.transport.context if transport == "inproc" else plain.context
    frame = pack("ä") if codec == "msgpack" else "ä".encode()
    with context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(door.end.endpoint)
        for _ in range(3):
            socket.send(frame)
            assert await plain.heard(socket) == [[frame]]
    assert (door.end.received, door.end.sent, door.end.waiting) == (3, 3, 0)
    assert door.end.dropped == {}


@pytest.mark.parametrize("codec", ["raw", "text"])
async def test_requests_and_replies_of_several_frames_stay_whole(serve, plain, codec, sample):
    _, frames = sample
    door = await serve(echo, codec=codec)
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(socket, *frames)
    assert await plain.heard(socket) == [frames]


@pytest.mark.parametrize(
    ("codec", "value", "frames"),
    [
        ("raw", None, [b""]),
        ("text", None, [b""]),
        ("msgpack", None, [b"\xc0"]),
        ("text", 7, [b"7"]),
        ("text", 2.5, [b"2.5"]),
        ("raw", bytearray(b"a"), [b"a"]),
        ("raw", (b"a", b"", b"c"), [b"a", b"", b"c"]),
        ("text", ("a", 7), [b"a", b"7"]),
        ("msgpack", ("a", 7), [msgpack.packb(["a", 7])]),
    ],
)
async def test_what_a_method_returns_is_the_reply(serve, plain, codec, value, frames):
    door = await serve(lambda _self, _request: value, codec=codec)
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(socket, b"\xc0" if codec == "msgpack" else b"a")
    assert await plain.heard(socket) == [frames]


async def test_a_plain_dealer_may_ask_much_at_once_and_knows_its_replies_by_their_envelope(
    serve, plain
):
    door = await serve(echo, codec="text")
    socket = plain.connected(zmq.DEALER, door.end.endpoint)
    for number in range(100):
        await plain.say(socket, b"%d" % number, b"", b"request %d" % number)
    got = await plain.heard(socket, 100)
    assert got == [[b"%d" % number, b"", b"request %d" % number] for number in range(100)]


@pytest.mark.parametrize("body", [b"", b"a"])
async def test_frames_ahead_of_the_empty_one_come_back_and_those_behind_it_are_the_request(
    serve, plain, body
):
    door = await serve(echo, codec="raw")
    socket = plain.connected(zmq.DEALER, door.end.endpoint)
    await plain.say(socket, b"", body)
    await plain.say(socket, b"one", b"two", b"", body, b"", b"end")
    assert await plain.heard(socket, 2) == [[b"", body], [b"one", b"two", b"", body, b"", b"end"]]


async def test_a_replier_works_behind_zeromqs_own_proxy(serve, plain):
    queue = Queue()
    doors = [await serve(echo, bind=None, connect=queue.back, codec="text") for _ in range(2)]
    sockets = [plain.connected(zmq.REQ, queue.front) for _ in range(4)]
    for number, socket in enumerate(sockets):
        socket.send(b"%d" % number)
    for number, socket in enumerate(sockets):
        assert await plain.heard(socket) == [[b"%d" % number]]
    assert sum(door.end.sent for door in doors) == 4
    queue.stop()


async def test_requests_of_many_at_once_go_back_to_whom_they_came_from(serve, plain):
    door = await serve(echo, codec="text")
    sockets = [plain.connected(zmq.REQ, door.end.endpoint) for _ in range(20)]
    for number, socket in enumerate(sockets):
        socket.send(b"%d" % number)
    for number, socket in enumerate(sockets):
        assert await plain.heard(socket) == [[b"%d" % number]]


# -- to requesters --------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
async def test_a_requester_and_a_replier_understand_each_other(serve, client, codec, sample):
    values, _ = sample
    door = await serve(echo, codec=codec)
    requester = await client(door)
    got = await requester.request(*values)
    assert tuple(got) == values  # with msgpack what was returned is one value, a list
    assert await requester.request(values[0]) == values[0]
    assert (requester.sent, door.end.received, door.end.sent) == (2, 2, 2)


async def test_a_requester_that_binds_is_answered_by_repliers_that_connect(serve, owner):
    asks = (await owner(Requester(bind=LOCAL, codec="text", timeout=20))).end
    doors = [await serve(echo, bind=None, connect=asks.endpoint, codec="text") for _ in range(2)]
    await asks.ready(2, 60)
    texts = [str(number) for number in range(20)]
    assert await asyncio.gather(*(asks.request(text) for text in texts)) == texts
    assert [door.end.sent for door in doors] == [10, 10]


async def test_a_router_of_ours_answers_a_requester(owner, until):
    routed = await owner(Router(bind=LOCAL, codec="text"))
    asks = (await owner(Requester(connect=routed.end.endpoint, codec="text", timeout=20))).end
    reply = asyncio.ensure_future(asks.request("a"))
    await until(lambda: routed.came)
    [(peer, text)] = routed.came
    await routed.end.send(peer, f"re {text}")
    assert await reply == "re a"


# -- methods --------------------------------------------------------------------------------------


async def test_a_plain_method_answers_and_so_does_one_that_awaits(serve, client):
    async def slow(self, text: str) -> str:
        await asyncio.sleep(0)
        return text.upper()

    def quick(self, text: str) -> str:
        return text.upper()

    for method in (slow, quick):
        requester = await client(await serve(method))
        assert await requester.request("a") == "A"


async def test_one_request_at_a_time_is_handled_unless_the_method_is_concurrent(
    serve, client, until
):
    held = Held()
    door = await serve(held.method())
    requester = await client(door, timeout=20)
    replies = [asyncio.ensure_future(requester.request(text)) for text in "abc"]
    await until(lambda: door.end.received == 3)
    for _ in range(3):
        assert len(held.begun) == len(held.release)
        text = held.begun[-1]
        held.release[text].set()
        await until(lambda text=text: held.begun[-1] != text or door.end.sent == 3)
    assert await asyncio.gather(*replies) == ["re a", "re b", "re c"]


async def test_one_slow_request_does_not_hold_up_those_of_a_concurrent_method(serve, client, until):
    held = Held()
    door = await serve(held.method(), concurrent=True)
    requester = await client(door, timeout=20)
    slow = asyncio.ensure_future(requester.request("slow"))
    await until(lambda: held.begun == ["slow"])
    for text in "abc":
        quick = asyncio.ensure_future(requester.request(text))
        await until(lambda text=text: text in held.release)
        held.release[text].set()
        assert await quick == f"re {text}"
    assert (door.end.waiting, door.end.sent) == (1, 3)
    held.release["slow"].set()
    assert await slow == "re slow"
    assert is_settled(door.end)


async def test_a_request_waits_for_one_handler_of_the_actor_and_not_for_all_requests(
    serve, client, mesh
):
    door = await serve(echo, codec="text")
    requester = await client(door, timeout=20)
    asked = [asyncio.ensure_future(requester.request(str(number))) for number in range(200)]
    assert await asyncio.gather(*asked) == [str(number) for number in range(200)]
    assert is_settled(door.end)


# -- what goes wrong in a method ------------------------------------------------------------------


class Trouble(Exception):
    pass


def trouble(self, kind: str) -> Any:
    if kind == "own":
        raise Trouble("it broke")
    if kind == "long":
        raise ValueError("x" * 100_000)
    if kind == "surrogate":
        raise ValueError("\ud800")
    if kind == "object":
        return object()
    return [[]] if kind == "fine" else kind


async def test_what_a_method_raises_is_raised_at_the_requester(serve, client, logged):
    logged.expect("door#1.end.trouble raised: Trouble('it broke')", "raised: ValueError")
    door = await serve(trouble)
    requester = await client(door)
    with pytest.raises(RemoteError, match=r"owner#3\.end\.request raised .*: it broke") as failed:
        await requester.request("own")
    assert (failed.value.type, failed.value.text) == (f"{__name__}.Trouble", "it broke")
    with pytest.raises(RemoteError) as failed:
        await requester.request("long")
    assert failed.value.type == "ValueError"
    assert set(failed.value.text) == {"x"}
    assert len(failed.value.text) == 10_000
    with pytest.raises(RemoteError, match=r"ValueError: \\ud800"):
        await requester.request("surrogate")
    assert await requester.request("fine") == [[]]
    assert (door.end.received, door.end.sent, door.end.dropped) == (4, 4, {})


async def test_what_cannot_be_encoded_is_an_error_at_both_ends(serve, client, logged):
    logged.expect("door#1.end.trouble raised: NotEncodable")
    door = await serve(trouble)
    requester = await client(door)
    with pytest.raises(RemoteError) as failed:
        await requester.request("object")
    assert failed.value.type == "NotEncodable"
    assert await requester.request("fine") == [[]]
    assert is_settled(door.end)


@pytest.mark.parametrize(
    ("codec", "value", "error"),
    [
        ("text", b"a", "SetupError"),
        ("text", (), "SetupError"),
        ("text", "\ud800", "SetupError"),
        # Python writes no integers of so many digits.
        pytest.param("text", 1 << 20_000, "ValueError", id="huge"),
        ("raw", "a", "SetupError"),
        ("raw", (b"a", "b"), "SetupError"),
    ],
)
async def test_what_does_not_fit_the_codec_is_the_reply_for_errors(
    serve, plain, logged, codec, value, error
):
    logged.expect(f"door#1.end.<lambda> raised: {error}")
    values = itertools.chain([value], itertools.repeat(b"fine" if codec == "raw" else "fine"))
    door = await serve(lambda _self, _request: next(values), codec=codec, error="sorry")
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(socket, b"a")
    assert await plain.heard(socket) == [[b"sorry"]]
    await plain.say(socket, b"a")
    assert await plain.heard(socket) == [[b"fine"]]


@pytest.mark.parametrize(
    ("codec", "word", "reply"),
    [("text", "störung", "störung".encode()), ("raw", b"\xff", b"\xff"), ("raw", "no", b"no")],
)
async def test_a_plain_req_gets_the_word_for_errors(serve, plain, logged, codec, word, reply):
    logged.expect("ValueError('no')")

    def refuse(self, request: Any) -> None:
        raise ValueError("no")

    door = await serve(refuse, codec=codec, error=word)
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(socket, b"a")
    assert await plain.heard(socket) == [[reply]]
    assert (door.end.sent, door.end.dropped) == (1, {})


async def test_without_a_word_for_errors_a_request_is_counted_as_not_answered(
    serve, plain, until, logged
):
    logged.expect("ValueError('a')")

    def choose(self, request: str) -> str:
        if request == "a":
            raise ValueError(request)
        return request

    door = await serve(choose, codec="text")
    lost, socket = (plain.connected(zmq.REQ, door.end.endpoint) for _ in range(2))
    await plain.say(lost, b"a")
    await until(lambda: door.end.dropped == {"not answered": 1})
    await plain.say(socket, b"b")
    assert await plain.heard(socket) == [[b"b"]]
    assert is_settled(door.end)


# -- what is no request ---------------------------------------------------------------------------


def measure(self, length: float, unit: str = "m") -> str:
    return f"{length} {unit}"


async def test_a_request_that_does_not_fit_is_refused_with_a_sentence(serve, client, logged):
    door = await serve(measure)
    requester = await client(door)
    for values, sentence in (
        (["long"], r"argument 'length' should be float, got 'long'"),
        ([1.0, 2], r"argument 'unit' should be str, got 2"),
        ([1.0, "m", "n"], r"should be \(.*\), got \(1\.0, 'm', 'n'\): too many"),
    ):
        with pytest.raises(DeliveryError, match=f"other end refused the request: .*{sentence}"):
            await requester.request(*values)
    assert await requester.request(1.0) == "1.0 m"
    assert (door.end.received, door.end.sent) == (4, 1)
    assert door.end.dropped == {"ArgumentMismatch": 3}


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_frame_where_one_was_expected_and_three_came_is_counted_and_answered(
    serve, plain, until, is_async
):
    async def one(self, text: str) -> str:
        return text

    def other(self, text: str) -> str:
        return text

    door = await serve(one if is_async else other, codec="text", error="sorry")
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    for frames, reply in (([b"a", b"b", b"c"], b"sorry"), ([b"a"], b"a")):
        await plain.say(socket, *frames)
        assert await plain.heard(socket) == [[reply]]
    assert (door.end.dropped, door.end.sent) == ({"ArgumentMismatch": 1}, 1)
    assert is_settled(door.end)


@pytest.mark.parametrize("error", ["sorry", None])
async def test_text_that_is_no_utf_8_is_counted_and_the_actor_goes_on(serve, plain, until, error):
    door = await serve(echo, codec="text", error=error)
    bad, good = (plain.connected(zmq.REQ, door.end.endpoint) for _ in range(2))
    await plain.say(bad, b"\xff")
    if error:
        assert await plain.heard(bad) == [[b"sorry"]]
    await until(lambda: door.end.dropped == {"RemoteProtocolError": 1})
    await plain.say(good, b"a")
    assert await plain.heard(good) == [[b"a"]]
    assert not plain.all_from(bad)
    assert is_settled(door.end)


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x01\x02", b"\x92\x01", b"\xd4\x2a\x00"])
async def test_what_is_no_msgpack_is_refused(serve, plain, frame):
    door = await serve(echo)
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(socket, frame)
    [[kind, error, text]] = await plain.heard(socket)
    assert (kind, error) == (b"error", b"RemoteProtocolError")
    assert text == b"a frame is not of codec 'msgpack'"
    await plain.say(socket, b"\x01")
    assert await plain.heard(socket) == [[b"\x01"]]
    assert is_settled(door.end)


@pytest.mark.parametrize("frames", [[b"a"], [b""], [b"a", b"b"], [b"a", b""], [b"", b"a", b""]])
async def test_a_request_without_an_empty_frame_ahead_is_counted(serve, plain, until, frames):
    door = await serve(echo, codec="text")
    dealer = plain.connected(zmq.DEALER, door.end.endpoint)
    await plain.say(dealer, *frames)
    await until(lambda: door.end.received == 1)
    if frames == [b"", b"a", b""]:
        assert await plain.heard(dealer) == [frames]  # this one has it
    else:
        assert door.end.dropped == {"RemoteProtocolError": 1}
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(socket, b"b")
    assert await plain.heard(socket) == [[b"b"]]
    assert is_settled(door.end)


# -- who has gone ---------------------------------------------------------------------------------


async def test_a_reply_to_one_who_has_gone_is_counted(serve, plain, until):
    held = Held()
    door = await serve(held.method(), codec="text")
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(socket, b"a")
    await until(lambda: held.begun)
    socket.close(0)
    await until(lambda: not door.end.peer_count)
    held.release["a"].set()
    await until(lambda: door.end.dropped == {"peer gone": 1})
    again = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(again, b"b")
    await until(lambda: "b" in held.release)
    held.release["b"].set()
    assert await plain.heard(again) == [[b"re b"]]
    assert is_settled(door.end)


@pytest.mark.slow
async def test_replies_that_are_not_read_are_counted_and_hold_up_nobody(serve, plain, until):
    door = await serve(lambda _self, _request: b"x" * 10_000, codec="raw")
    deaf = plain.connected(zmq.DEALER, door.end.endpoint, rcvhwm=1, rcvbuf=65_536)
    number = 0

    async def is_full():
        nonlocal number
        number += 1
        await plain.say(deaf, b"", b"%d" % number)
        return door.end.dropped["full"]

    await until(is_full)
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(socket, b"a")
    [[reply]] = await plain.heard(socket)
    assert len(reply) == 10_000
    await until(lambda: door.end.received == number + 1)
    assert is_settled(door.end)


# -- the end of the actor -------------------------------------------------------------------------


async def test_requests_that_wait_when_the_actor_stops_are_told_and_asked_elsewhere(
    serve, client, plain, until
):
    held = Held()
    first = await serve(held.method())
    place = first.end.endpoint
    requester = await client(first, timeout=20, retries=1)
    replies = [asyncio.ensure_future(requester.request(text)) for text in "abc"]
    await until(lambda: first.end.waiting == 3)
    await first.ref.within(0.01).stop()
    assert first.end.waiting == 0
    assert (first.end.received, first.end.sent) == (3, 1)  # the one that was cut off, told so
    assert first.end.dropped == {"ActorStopped": 2}

    async def serve_again():
        try:
            return await serve(echo, bind=place)
        except PortInUse:
            return None  # the first is not quite gone

    second = await until(serve_again)
    assert await asyncio.gather(*replies) == ["a", "b", "c"]
    assert held.begun == ["a"]
    assert requester.sent == 6
    assert second.end.sent == 3


async def test_a_requester_without_retries_hears_that_the_other_end_has_stopped(
    serve, client, until
):
    held = Held()
    door = await serve(held.method())
    requester = await client(door, timeout=20)
    replies = [asyncio.ensure_future(requester.request(text)) for text in "ab"]
    await until(lambda: door.end.waiting == 2)
    await door.ref.within(0.01).stop()
    with pytest.raises(PeerLost, match=r"door#1\.answer was cut off in the middle"):
        await replies[0]
    with pytest.raises(PeerLost, match=r"actor 'door#1' has stopped"):
        await replies[1]


@pytest.mark.parametrize("error", ["sorry", None])
async def test_plain_requests_that_wait_when_the_actor_stops_are_counted(
    serve, plain, until, error
):
    held = Held()
    door = await serve(held.method(), codec="text", error=error)
    sockets = [plain.connected(zmq.REQ, door.end.endpoint) for _ in range(3)]
    for number, socket in enumerate(sockets):
        await plain.say(socket, b"%d" % number)
        await until(lambda number=number: door.end.waiting == number + 1)
    await door.ref.within(0.01).stop()
    expected = {"ActorStopped": 2} if error else {"ActorStopped": 2, "not answered": 1}
    assert door.end.dropped == expected
    assert is_settled(door.end)
    if error:
        for socket in sockets:
            assert await plain.heard(socket) == [[b"sorry"]]


@pytest.mark.slow
async def test_a_method_that_goes_on_after_the_end_answers_nobody(serve, plain, until, logged):
    held = Held()
    going_on = asyncio.Event()

    async def stubborn(self, text: str) -> str:
        try:
            await held.method()(self, text)
        except asyncio.CancelledError:
            await going_on.wait()
        return text

    door = await serve(stubborn, codec="text")
    socket = plain.connected(zmq.REQ, door.end.endpoint)
    await plain.say(socket, b"a")
    await until(lambda: held.begun)
    await door.ref.within(0.01).stop()
    assert door.end.dropped == {"ActorStopped": 1}
    going_on.set()
    await asyncio.sleep(0)
    assert door.end.dropped == {"ActorStopped": 1}
    assert is_settled(door.end)


async def test_a_replier_is_closed_with_its_actor(serve, mesh):
    node = await mesh.start()
    before = len(node._runtime.transport._ports)
    door = await serve(echo)
    await door.ref.stop()
    assert len(node._runtime.transport._ports) == before
    with pytest.raises(LifecycleError, match=r"Door\.end is not open"):
        _ = type(door)().end


# -- what cannot be one ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"codec": "text", "error": 5}, "Replier: error=5: a text or bytes to send as the reply"),
        (
            {"error": "no"},
            "Replier: error= is for codec text and raw; msgpack says what was raised",
        ),
        ({"bind": "tcp://*"}, r"'tcp://\*' lacks a port"),
        ({"bind": None}, r"Replier\(\) goes nowhere"),
        ({"codec": "json"}, "codec 'json' is unknown"),
    ],
)
def test_a_replier_that_cannot_work_is_refused(arguments, sentence):
    with pytest.raises(SetupError, match=sentence):
        Replier(**{"bind": "tcp://127.0.0.1:1", **arguments})


async def test_a_replier_without_a_method_is_refused(mesh):
    class Mute(Actor):
        door = Replier(bind=LOCAL)

    node = await mesh.start()
    with pytest.raises(SetupError, match=r"mute#1\.door has nobody to receive: mark a method of"):
        await node.spawn(Mute)
