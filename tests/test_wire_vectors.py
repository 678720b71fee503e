"""Holds the code and docs/wire.md to the same bytes.

The second half knows nothing of actormq but that page: it talks to a real node with pyzmq and
msgpack alone, as a program in another language would.
"""

import asyncio
import contextlib
import functools
import hashlib
import inspect
import json
import operator
import os
import re
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq
import zmq.asyncio

from actormq import Actor, Node, Publisher, Subscriber, handler, message, settings
from actormq.address import ActorEntry, Address, ServiceEntry
from actormq.cluster import gossip, pulse
from actormq.cluster.directory import Directory, Taken, pack_actor, state_from
from actormq.cluster.gossip import record_from
from actormq.codec import Codec
from actormq.errors import TRAVELLING, RemoteProtocolError
from actormq.patterns.presence import Presence, presence_from
from actormq.rules import lookout, membership
from actormq.rules.digest import Digest
from actormq.rules.rings import Rings

HERE = Path(__file__).parent
PAGE = (HERE.parent / "docs" / "wire.md").read_text(encoding="utf-8")
VECTORS = json.loads((HERE / "vectors" / "wire.json").read_text(encoding="utf-8"))
BLOCKS = {
    name: bytes.fromhex("".join(re.findall(r"^(?:[0-9a-f]{2}\b ?)+", dump, re.MULTILINE)))
    for name, dump in re.findall(r"```hex (\w+)\n(.*?)```", PAGE, re.DOTALL)
}
MARK = b"\xf4\x8f\xbf\xbfactormq\x00"
PROSE = PAGE.split("## 9.")[0]


def meaning(value):  # noqa: PLR0911 a table of forms
    """What the JSON of a vector stands for."""
    match value:
        case list():
            return [meaning(one) for one in value]
        case {"$bin": digits}:
            return bytes.fromhex(digits)
        case {"$ref": [node, serial, label]}:
            return Address(node, serial, label)
        case {"$array": [dtype, shape, digits]}:
            data = np.frombuffer(bytes.fromhex(digits), dtype) if digits else np.empty(0, dtype)
            return data.reshape(shape)
        case {"$large": [byte, times]}:
            return bytes([byte]) * times
        case {"$largearray": [dtype, shape, byte]}:
            return np.full(shape, byte, dtype)
        case dict():
            return {key: meaning(one) for key, one in value.items()}
    return value


def same(one, other):
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def codec():
    return Codec(4 << 20, 256 << 20, lambda value: value if isinstance(value, Address) else None)


def each(kind):
    rows = VECTORS[kind]
    return pytest.mark.parametrize(
        "vector", rows, ids=[row.get("name") or row["hex"][:24] for row in rows]
    )


# -- golden vectors ---------------------------------------------------------------------------


@each("envelopes")
def test_an_envelope_has_these_bytes_and_is_read_back(vector):
    value, data = meaning(vector["value"]), bytes.fromhex(vector["hex"])

    assert codec().pack("peer", value) == (data, [])
    assert codec().unpack([data]) == [value]


@each("values")
def test_a_value_has_these_bytes_and_is_read_back(vector):
    value, data = meaning(vector["value"]), bytes.fromhex(vector["hex"])

    assert codec().pack("peer", value) == (data, [])
    [got] = codec().unpack_all(data)
    assert same(got, value)


@each("beside")
def test_a_large_buffer_has_a_frame_of_its_own(vector):
    one, data = codec(), bytes.fromhex(vector["hex"])
    buffers = [bytes([byte]) * times for byte, times in vector["buffers"]]
    value = meaning(vector["value"])
    *head, last = value
    args = [one.aside("peer", v) for v in last] if isinstance(last, list) else last
    sent = [*head, one.aside("peer", args)]

    packed, beside = one.pack("peer", sent)

    assert packed == data
    assert [bytes(buffer) for buffer in beside] == buffers
    [got] = one.unpack([data, *buffers])
    assert same(got, value)


@each("frames")
def test_envelopes_stand_behind_each_other_in_a_frame(vector):
    data = bytes.fromhex(vector["hex"])

    assert b"".join(codec().pack("peer", one)[0] for one in vector["value"]) == data
    assert codec().unpack([data]) == vector["value"]


@each("bodies")
def test_a_published_body_begins_with_its_stream_and_number(vector):
    data = bytes.fromhex(vector["hex"])
    values = meaning(vector["values"])

    [head, *got] = codec().unpack_all(data)

    assert head == [vector["stream"], vector["number"]]
    assert got == values


@each("marks")
def test_a_mark_names_node_socket_and_token(vector):
    presence = Presence(vector["node"], vector["socket"], vector["token"])

    assert presence.topic().hex() == vector["hex"]
    assert presence_from(bytes.fromhex(vector["hex"])) == presence


@each("garbage")
def test_garbage_is_refused_whole(vector):
    with pytest.raises(RemoteProtocolError):
        codec().unpack([bytes.fromhex(vector["hex"])])


def test_there_is_a_vector_for_each_kind_of_envelope_and_ext_type():
    kinds = {vector["value"][0] for vector in VECTORS["envelopes"]}
    text = json.dumps(VECTORS["values"]) + json.dumps(VECTORS["beside"])

    assert kinds == set(range(message.HELLO, message.REPLIES + 1))
    assert all(form in text for form in ("$ref", "$array", "$bin", "$large", "$largearray"))


def test_builders_and_readers_of_the_code_agree_with_the_vectors():
    by_name = {vector["name"]: vector["value"] for vector in VECTORS["envelopes"]}
    roof = message.facts_from(by_name["WELCOME"][2])
    guest = message.facts_from(by_name["HELLO of a guest"][3])

    *head, said = message.hello(guest)
    assert [*head, {**said}] == [
        *by_name["HELLO of a guest"][:3],
        by_name["HELLO of a guest"][3] | {"edition": 0, "seniority": 0},
    ]
    assert message.hello(roof) == by_name["HELLO of a node"]
    for name in ("PROBE that has met no ask that waits", "PROBE that looks for an ask"):
        assert message.probe(*message.probe_from(by_name[name])) == by_name[name]
    assert message.welcome(roof) == by_name["WELCOME"]
    assert guest.is_guest
    assert not roof.is_guest
    actor = ActorEntry(1, "greeter", "hello:Greeter")
    assert [pack_actor(actor)] == by_name["STATE, the whole"][4]
    state = state_from(by_name["STATE, a change"])
    [entry] = state.services
    assert entry == ServiceEntry(4, "weather", "XPUB", "msgpack", entry.endpoints)
    assert (state.base, state.version, state.gone) == (1, 2, [1])
    elected = state_from(by_name["STATE, elected names"]).actors
    assert [(one.elected, one.holds) for one in elected] == [(True, True), (True, False)]
    for name, value in by_name.items():
        if name.startswith("STATE"):
            assert state_from(value).packed() == value
        elif name.startswith("PEERS"):
            for raw in value[1]:
                record, version = record_from(raw)
                packed = record.facts.packed()
                assert [packed, record.state, record.reason, record.accuser, version] == raw


def test_a_whole_comes_in_parts_as_the_vectors_have_them():
    by_name = {vector["name"]: vector["value"] for vector in VECTORS["envelopes"]}
    parts = ["the first part of three", "the second part", "the last part"]
    directory = Directory("0" * 16)

    for part in parts:
        taken = directory.take(state_from(by_name[f"STATE, {part}"]), "1" * 16)

    assert taken is Taken.NEWS
    [node] = {by_name[f"STATE, {part}"][1] for part in parts}
    assert [len(directory.named(name)) for name in "abc"] == [1, 1, 1]
    assert directory.version(node) == by_name["STATE, the last part"][3]


def hashed(text, size):
    return hashlib.blake2b(text.encode("ascii"), digest_size=size).digest()


@pytest.mark.parametrize("vector", VECTORS["digests"])
def test_what_is_known_of_the_mesh_has_these_sums(vector):
    digest = Digest()
    for node, *known in vector["known"]:
        digest.put(node, tuple(known))
    by_name = {row["name"]: row["value"] for row in VECTORS["envelopes"]}

    # As the page says it, in words of its own:
    marks = [int.from_bytes(hashed(text, 8), "big") for text in vector["texts"]]
    assert vector["texts"] == [" ".join(map(str, known)) for known in vector["known"]]
    assert marks == vector["fingerprints"]
    assert [int(node[-2:], 16) % 64 for node, *_ in vector["known"]] == vector["buckets"]
    # And as the code makes them:
    assert digest.root == functools.reduce(operator.xor, marks) == vector["root"]
    assert {str(n): one for n, one in enumerate(digest.buckets) if one} == vector["sums"]
    assert by_name["DIGEST"] == [message.DIGEST, digest.buckets]
    assert by_name["SUMMARY of all"] == [message.SUMMARY, None, vector["known"]]
    assert by_name["PING of a node"][2] == by_name["PONG"][2] == digest.root


@pytest.mark.parametrize("vector", VECTORS["rings"])
def test_twenty_nodes_have_these_neighbours(vector):
    ids = list(vector["neighbours"])
    drawn = {node: hashed(node, 40) for node in ids}
    places = {
        node: [int.from_bytes(drawn[node][at : at + 8], "big") for at in range(0, 40, 8)]
        for node in ids
    }
    found = {node: set() for node in ids}
    for number in range(5):
        ring = sorted(ids, key=lambda node: (places[node][number], node))
        for node, after in zip(ring, ring[1:] + ring[:1], strict=True):
            found[node].add(after)
            found[after].add(node)

    assert {node: places[node] for node in vector["places"]} == vector["places"]
    assert {node: sorted(others) for node, others in found.items()} == vector["neighbours"]
    rings = Rings(reversed(ids))
    assert {node: rings.neighbours(node) for node in ids} == vector["neighbours"]


# -- the page ---------------------------------------------------------------------------------


def test_the_hex_of_the_example_is_what_the_code_makes_and_reads():
    by_name = {vector["name"]: bytes.fromhex(vector["hex"]) for vector in VECTORS["envelopes"]}

    assert {
        "hello": by_name["HELLO of a guest"],
        "welcome": by_name["WELCOME"],
        "peers": by_name["PEERS, the node itself"] + by_name["STATE, the whole"],
        "ask": by_name["ASK by name"],
        "reply": by_name["REPLY"],
        "leave": by_name["LEAVE"],
        "fail": by_name["FAIL that has not run"].replace(b"\x94\x06\x03", b"\x94\x06\x01"),
    } == BLOCKS
    for data in BLOCKS.values():
        envelopes = codec().unpack([data])
        assert b"".join(codec().pack("peer", one)[0] for one in envelopes) == data


def rows(heading):
    """The cells of the table whose first header is this, without their backticks."""
    table = PROSE[PROSE.index(f"| {heading} |") :].split("\n\n")[0]
    lines = [line for line in table.splitlines()[2:] if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in lines]


def test_the_page_lists_each_travelling_error_with_its_facts():
    listed = {name: facts.split(", ") for name, facts, _ in rows("error")}

    assert listed == {
        name: list(inspect.signature(kind).parameters) for name, kind in TRAVELLING.items()
    }


def test_the_page_lists_each_kind_under_its_number():
    listed = {int(kind): shape.split()[-1] for kind, shape, *_ in rows("kind")}

    assert listed == {getattr(message, name): name for name in listed.values()}
    assert set(listed) == set(range(27))


def test_the_page_lists_each_reason_and_each_key_of_the_facts():
    reasons = {value for name, value in vars(message).items() if name.startswith("REASON_")}
    [hello] = [row["value"] for row in VECTORS["envelopes"] if row["name"] == "HELLO of a node"]
    keys = message.facts_from(hello[3]).packed()

    assert {row[0] for row in rows("reason")} == reasons
    assert [row[0] for row in rows("key")] == list(keys)


def test_the_figures_of_the_page_are_those_of_the_code():
    modules = (gossip, lookout, membership, pulse, settings)

    for name, value, _ in rows("figure"):
        [meant] = {getattr(module, name) for module in modules if hasattr(module, name)}
        assert float(value) == meant, name


# -- a real node, and nothing but pyzmq and msgpack --------------------------------------------


class Greeter(Actor):
    @handler
    async def greet(self, who: str) -> str:
        return f"hello {who}"


class Moody(Actor):
    @handler
    def fail(self) -> None:
        raise ValueError("no such person")


class Narrow(Actor):
    mailbox_limit = 1
    begun: asyncio.Event
    gate: asyncio.Event

    async def on_start(self) -> None:
        Narrow.begun, Narrow.gate = asyncio.Event(), asyncio.Event()

    @handler
    async def hold(self) -> None:
        self.begun.set()
        await self.gate.wait()


def unpacked(frame):
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(frame)
    return list(unpacker)


def without_peers(frame):
    """The bytes of a frame without those of its PEERS."""
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(frame)
    kept, begun = b"", 0
    for kind, *_ in unpacker:
        if kind != message.PEERS:
            kept += frame[begun : unpacker.tell()]
        begun = unpacker.tell()
    return kept


class Guest:
    """A DEALER that follows docs/wire.md."""

    def __init__(self, context, to, **facts):
        self.socket = context.socket(zmq.DEALER)
        self.socket.routing_id = b"\x01" + os.urandom(12)
        self.socket.linger = 0
        self.socket.reconnect_ivl = -1
        self.socket.connect(to.address)
        self.is_in = False
        self.facts = {
            "mesh": to.mesh,
            "node": os.urandom(8).hex(),
            "incarnation": 1,
            "name": "notebook",
            "scope": f"loopback:{os.getuid()}",
            "endpoints": [],
            "host": "bench",
        } | facts

    async def send(self, *envelopes):
        await self.socket.send(b"".join(map(msgpack.packb, envelopes)))

    async def frames(self):
        """The frames of the next message; news of the mesh may come at any time: they are left."""
        while True:
            frame, *beside = await self.socket.recv_multipart()
            kept = without_peers(frame) if self.is_in else frame
            if kept:
                return [kept, *beside]

    async def receive(self):
        """The envelopes of the next message."""
        [frame, *_] = await self.frames()
        return unpacked(frame)

    async def hello(self, version=1):
        """Say hello; the answer."""
        await self.send([0, "actormq", version, self.facts])
        [answer] = await self.receive()
        return answer

    async def enter(self):
        """Say hello, and read what a member is told first."""
        answer = await self.hello()
        assert answer[0] == 1, answer
        peers, state = await self.receive()
        assert (peers[0], state[0]) == (10, 11)
        self.is_in = True
        return self

    async def ask(self, number, *rest, seconds=5.0):
        await self.send([4, number, seconds, *rest])
        [answer] = await self.receive()
        return answer


async def until(condition):
    while not condition():  # noqa: ASYNC110 no event tells that a guest has left
        await asyncio.sleep(0.001)


def against_a_node(test, caplog):
    """Run a coroutine function with a node that runs a greeter, and a maker of guests."""

    async def body():
        context = zmq.asyncio.Context()
        try:
            async with asyncio.timeout(60), Node(discovery=False, mesh="home", name="roof") as node:
                await node.spawn(Greeter, "greeter")
                await test(node, lambda **facts: Guest(context, node, **facts), context)
        finally:
            context.destroy(linger=0)

    asyncio.run(body())
    assert "internal error" not in caplog.text


def test_the_worked_example_works(caplog):
    async def test(node, guest, _):
        caller = guest()
        hello = msgpack.unpackb(BLOCKS["hello"])
        hello[3]["scope"] = caller.facts["scope"]

        await caller.socket.send(msgpack.packb(hello))
        [welcome] = await caller.receive()
        peers, state = await caller.receive()
        caller.is_in = True
        await caller.socket.send(BLOCKS["ask"])
        [reply] = await caller.frames()
        await caller.socket.send(BLOCKS["ask"].replace(b"\xa5greet", b"\xa4gret"))
        [fail] = await caller.frames()
        await caller.socket.send(BLOCKS["leave"])
        await until(lambda: not node.mesh_view.members)

        assert welcome[:2] == [1, 1]
        assert set(welcome[2]) == {row[0] for row in rows("key")}
        assert welcome[2]["node"] == node.id
        assert node.address in welcome[2]["endpoints"]
        del welcome[2]["uptime"]
        assert peers == [10, [[welcome[2], "alive", "said hello", "", 1]]]
        assert state[:4] == [11, node.id, None, 1]
        assert state[4][0][:2] == [1, "greeter"]
        assert state[5:] == [[], []]
        assert reply == BLOCKS["reply"]
        assert fail == BLOCKS["fail"]
        await guest(node=hello[3]["node"]).enter()  # nobody remembers that a guest has left

    against_a_node(test, caplog)


def test_an_actor_is_asked_by_serial_and_the_node_by_serial_0(caplog):
    async def test(node, guest, _):
        caller = await guest().enter()

        assert await caller.ask(7, 1, "greet", ["LAN"]) == [5, 7, "hello LAN"]
        assert await caller.ask(8, 1, "greet", [], {"who": "LAN"}) == [5, 8, "hello LAN"]
        [_, _, report] = await caller.ask(9, 0, "describe", [])
        assert (report["id"], report["name"], report["mesh"]) == (node.id, "roof", "home")
        assert [one["name"] for one in report["actors"] if "greeter" in one["name"]] == ["greeter"]
        listed = re.findall(r"`(\w+)`", next(r for r in PROSE.splitlines() if "`describe`" in r))
        # The first is the handler itself; the keys of one actor stand among those of the node.
        assert set(report) | set(report["actors"][0]) == set(listed[1:])
        await caller.send([4, 10, 5.0, 0, "stop_actor", [1]])
        answers = []
        while len(answers) < 2:  # in one message or in two
            answers += await caller.receive()
        assert [5, 10, None] in answers
        assert [11, node.id, 1, 2, [], [], [1]] in answers
        assert await caller.ask(11, 1, "greet", ["LAN"]) == [6, 11, "ActorStopped", ["#1"]]

    against_a_node(test, caplog)


@pytest.mark.parametrize(
    ("request_", "error", "facts"),
    [
        (["nobody", "greet", ["LAN"]], "ActorNotFound", ["nobody", "home"]),
        ([99, "greet", ["LAN"]], "ActorStopped", ["#99"]),
        (["greeter", "gret", []], "HandlerNotFound", ["greeter", "gret", False]),
        (["greeter", "on_start", []], "HandlerNotFound", ["greeter", "on_start", True]),
        (["greeter", "greet", [3]], "ArgumentMismatch", ["greeter", "greet", "who", "str"]),
        (["greeter", "greet", []], "ArgumentMismatch", ["greeter", "greet", "who"]),
        (["moody", "fail", []], "RemoteError", ["moody", "fail", "ValueError"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_ask_that_fails_is_answered_with_name_and_facts(request_, error, facts, caplog):
    async def test(node, guest, _):
        await node.spawn(Moody, "moody")
        caller = await guest().enter()

        kind, number, name, told = await caller.ask(1, *request_)

        assert (kind, number, name) == (6, 1, error)
        assert told[: len(facts)] == facts
        assert len(told) in {len(facts_.split(", ")) for n, facts_, _ in rows("error") if n == name}
        assert await caller.ask(2, "greeter", "greet", ["LAN"]) == [5, 2, "hello LAN"]

    against_a_node(test, caplog)


def test_a_send_is_answered_once_it_is_queued_and_a_full_mailbox_says_so(caplog):
    async def test(node, guest, _):
        await node.spawn(Narrow, "narrow")
        caller = await guest().enter()
        by_name = {vector["name"]: vector["value"] for vector in VECTORS["envelopes"]}

        await caller.send([12, 1, 5.0, "narrow", "hold", []])
        assert await caller.receive() == [[5, 1, None]]
        await Narrow.begun.wait()
        await caller.send([12, 2, 5.0, "narrow", "hold", []], [12, 3, 5.0, "narrow", "hold", []])
        answers = await caller.receive()

        assert answers == [[5, 2, None], [6, 3, "MailboxFull", ["narrow", 1]]]
        assert by_name["FAIL for want of room"][2] == answers[1][2]
        Narrow.gate.set()

    against_a_node(test, caplog)


def test_a_watch_is_answered_once_with_the_end(caplog):
    async def test(node, guest, _):
        ref = await node.spawn(Greeter, "second")
        serial = ref.address.serial
        caller = await guest().enter()
        await until(lambda: caller.facts["node"] in node.mesh_view.members)

        await caller.send([13, 1, True], [13, 1, False], [13, serial, True], [13, serial, True])
        assert await caller.ask(1, serial, "greet", ["LAN"]) == [5, 1, "hello LAN"]
        await ref.stop()
        await (await node.find("greeter")).stop()
        told = await caller.receive()
        while len(told) < 3:
            told += await caller.receive()
        await caller.send([13, 99, True])

        assert [one for one in told if one[0] == 14] == [[14, serial, "stopped", ""]]
        assert await caller.receive() == [[14, 99, "stopped", "it had ended before"]]

    against_a_node(test, caplog)


@pytest.mark.parametrize(
    ("version", "facts", "reason", "says"),
    [
        (2, {}, "version", "you speak 2"),
        (1, {"mesh": "lab"}, "mesh", "--mesh home"),
        (1, {"scope": "lan"}, "scope", "loopback"),
        (1, {"scope": "loopback:424242"}, "scope", "another user"),
    ],
)
def test_who_does_not_belong_is_refused_with_a_sentence(version, facts, reason, says, caplog):
    async def test(_node, guest, _):
        stranger = guest(**facts)

        kind, got, sentence = await stranger.hello(version)
        await stranger.send([7, 0])
        after = await stranger.receive()

        assert (kind, got) == (2, reason)
        assert says in sentence
        assert after[0][:2] == [2, "stranger"]
        caller = await guest(mesh="").enter()
        assert await caller.ask(1, "greeter", "greet", ["LAN"]) == [5, 1, "hello LAN"]

    against_a_node(test, caplog)


def test_words_before_the_hello_are_those_of_a_stranger(caplog):
    async def test(node, guest, _):
        stranger = guest()

        await stranger.send([4, 1, 5.0, "greeter", "greet", ["LAN"]])
        [answer] = await stranger.receive()

        assert answer[:2] == [2, "stranger"]
        assert node.mesh_view.garbage_count == 0
        assert (await stranger.hello())[0] == 1

    against_a_node(test, caplog)


@each("garbage")
def test_garbage_is_counted_and_makes_a_member_a_stranger(vector, caplog):
    async def test(node, guest, _):
        caller = await guest().enter()
        other = await guest().enter()

        await caller.socket.send(bytes.fromhex(vector["hex"]))
        await caller.send([7, 0])
        [answer] = await caller.receive()

        assert answer[:2] == [2, "stranger"]
        assert node.mesh_view.garbage_count == 1
        assert await other.ask(1, "greeter", "greet", ["LAN"]) == [5, 1, "hello LAN"]
        assert (await caller.hello())[0] == 1

    against_a_node(test, caplog)


@pytest.mark.parametrize(
    "envelope",
    [
        [3],
        [4, 1, 5.0, "greeter", "greet", "LAN"],
        [4, "one", 5.0, "greeter", "greet", []],
        [4, 1, 5.0, "greeter", "greet", [], {1: 2}],
        [6, 1, "AskTimeout", ["a", "b", "c"]],
        [12, "one", 5.0, "greeter", "greet", ["LAN"]],
        [13, "greeter", True],
        [14, 1, "stopped"],
        [15, 1, 1],
        [15, "one", 1, None, []],
        [15, 1, "greeter", None, []],
        [15, 1, 1, None, ["a.f"]],
        [15, 1, 1, ["0123456789abcdef", 1], []],
        [15, 1, 1, ["0123456789abcdef", "1"], ["a.f"]],
        [15, 1, 1, ["roof", 1], ["a.f"]],
        [15, 1, 1, ["0123456789abcdef", 1], [1]],
        [15, 1, 1, ["0123456789abcdef", 1], ["a.f\x1b[2J"]],
        [15, 1, 1, ["0123456789abcdef", 1], ["a" * 1_001]],
        [15, 1, 1, ["0123456789abcdef", 1], ["a.f"] * 33],
        [16],
        [16, "roof"],
        [16, 1],
        [18],
        [18, [0] * 63],
        [18, ["0"] * 64],
        [18, [[]] * 64],
        [19, None],
        [19, 1, []],
        [19, [[1]], []],
        [19, [{}], []],
        [19, ["1"], []],
        [19, [1] * 65, []],
        [19, None, {}],
        [19, None, ["0123456789abcdef"]],
        [19, None, [["0123456789abcdef", 1, 1]]],
        [19, None, [["roof", 1, 1, 1]]],
        [19, None, [["0123456789abcdef", 1, 1, True]]],
        [19, None, [["0123456789abcdef", -1, 1, 1]]],
        [20],
        [20, "0123456789abcdef"],
        [25, [], 5.0, "greeter", "greet", []],
        [25, [1], 5.0, "greeter", "greet", ["LAN"]],
        [25, [1, 3], 5.0, "greeter", "greet", [["LAN"]]],
        [25, ["one"], 5.0, "greeter", "greet", [["LAN"]]],
        [25, [1, 3], 5.0, "greeter", "greet", [["LAN"], {}]],
        [25, [1], "five", "greeter", "greet", [["LAN"]]],
        [25, [1], True, "greeter", "greet", [["LAN"]]],
        [25, [1], 5.0, "greeter", 1, [["LAN"]]],
        [25, [1] * 65_536, 5.0, "greeter", "greet", [[]] * 65_536],
        [26, [], []],
        [26, [1]],
        [26, [1], 1],
        [26, [1, 3], [1]],
        [26, ["one"], [1]],
        [26, [True], [1]],
        [26, [1] * 65_536, [None] * 65_536],
    ],
    ids=lambda envelope: str(envelope)[:60],
)
def test_an_envelope_of_another_shape_is_counted_and_its_neighbours_are_handled(envelope, caplog):
    async def test(node, guest, _):
        caller = await guest().enter()

        await caller.send(envelope, [4, 2, 5.0, "greeter", "greet", ["LAN"]], [7, "t"])
        answers = await caller.receive()
        while len(answers) < 2:
            answers += await caller.receive()

        assert sorted(one[:3] if one[0] == 5 else one[:2] for one in answers) == [
            [5, 2, "hello LAN"],
            [8, "t"],
        ]
        assert node.mesh_view.garbage_count == 1

    against_a_node(test, caplog)


def test_what_later_versions_may_add_is_passed_over(caplog):
    async def test(node, guest, _):
        caller = await guest(colour="red").enter()

        await caller.send([27, "a new kind"], [7, "t", "more"], [0, "actormq", 1, {}])
        [pong] = await caller.receive()
        await caller.send([16, node.id, "more"], [19, [1], [], "more"], [20, [], "more"])
        [helped] = await caller.receive()
        late = await caller.ask(1, "greeter", "greet", ["LAN"], {}, "an element more")

        assert pong[:2] == [8, "t"]
        assert helped == [17, node.id, True]
        assert late == [5, 1, "hello LAN"]
        assert node.mesh_view.garbage_count == 0

    against_a_node(test, caplog)


def test_a_hello_and_an_ask_may_come_in_one_frame(caplog):
    async def test(_node, guest, _):
        caller = guest()

        await caller.send([0, "actormq", 1, caller.facts], [4, 1, 5.0, "greeter", "greet", ["LAN"]])
        answers = await caller.receive()
        while len(answers) < 4:
            answers += await caller.receive()

        assert [envelope[0] for envelope in answers] == [1, 10, 11, 5]

    against_a_node(test, caplog)


def test_the_welcome_comes_first_however_much_there_is_to_tell(caplog):
    async def test(node, guest, _):
        entries = [ActorEntry(n, f"{n:0250}", "k") for n in range(100, 2_600)]
        node.directory.change(entries)
        caller = guest()

        assert (await caller.hello())[0] == 1
        told: list[Any] = []
        while not told or told[-1][:1] != [11] or not told[-1][3]:
            told += await caller.receive()

        peers, *states = told
        assert peers[0] == 10
        assert [state[2:4] for state in states] == [[None, 0], [-1, 0], [-2, 2]]
        assert sum(len(state[4]) for state in states) == 1 + len(entries)
        caller.is_in = True
        assert await caller.ask(1, "greeter", "greet", ["LAN"]) == [5, 1, "hello LAN"]

    against_a_node(test, caplog)


@pytest.mark.slow
def test_a_ping_that_is_too_large_to_echo_is_not_answered(caplog):
    async def test(_node, guest, _):
        caller = await guest().enter()

        await caller.send([7, "x" * (4 << 20)])
        await caller.send([7, "small"])
        [pong] = await caller.receive()

        assert pong[:2] == [8, "small"]

    against_a_node(test, caplog)


@pytest.mark.parametrize("key", ["name", "mesh", "host", "scope"])
def test_a_hello_that_would_write_on_a_terminal_is_garbage(key, caplog):
    async def test(node, guest, _):
        stranger = guest(**{key: "roof\x1b[2J"})

        await stranger.send([0, "actormq", 1, stranger.facts], [7, 0])
        await stranger.send([7, 0])
        [answer] = await stranger.receive()

        assert answer[:2] == [2, "stranger"]
        assert node.mesh_view.garbage_count == 1

    against_a_node(test, caplog)
    assert "\x1b" not in caplog.text


def test_a_tell_is_handled_and_not_answered(caplog):
    async def test(node, guest, _):
        class Notebook(Actor):
            def __init__(self):
                self.lines: list[str] = []

            @handler
            def note(self, line: str) -> None:
                self.lines.append(line)

            @handler
            def read(self) -> list[str]:
                return self.lines

        await node.spawn(Notebook, "notebook")
        caller = await guest().enter()

        for line in ("one", "two"):
            await caller.send([3, "notebook", "note", [line]])
        await caller.send([3, "notebook", "note", [3]])
        await caller.send([3, "nobody", "note", ["four"]])

        assert await caller.ask(1, "notebook", "read", []) == [5, 1, ["one", "two"]]
        assert sum(node.events.dead_letter_count.values()) == 2

    against_a_node(test, caplog)


def test_large_bytes_go_and_come_beside_their_message(caplog):
    async def test(node, guest, _):
        class Echo(Actor):
            @handler
            def echo(self, data: bytes) -> bytes:
                return data

        await node.spawn(Echo, "echo")
        caller = await guest().enter()
        data = bytes(range(256)) * 2_048
        buffer = msgpack.ExtType(3, b"\x00")

        await caller.socket.send_multipart(
            [msgpack.packb([4, 1, 5.0, "echo", "echo", [buffer]]), data]
        )
        first, beside = await caller.frames()

        assert msgpack.unpackb(first) == [5, 1, buffer]
        assert beside == data

    against_a_node(test, caplog)


# -- a node, of nothing but pyzmq and msgpack ---------------------------------------------------


class Peer(Guest):
    """A node that follows docs/wire.md: a ROUTER as well."""

    def __init__(self, context, to, **facts):
        super().__init__(context, to, **facts)
        self.router = context.socket(zmq.ROUTER)
        self.router.linger = 0
        port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.facts["endpoints"] = [f"tcp://127.0.0.1:{port}"]
        self.facts["host"] = to.mesh_view.facts.host  # or its loopback would not be dialled
        self.told_already: list[Any] = []

    async def enter(self):
        """Say hello, and welcome the node that dials back; what that says first."""
        assert (await self.hello())[0] == 1
        who, frame = await self.router.recv_multipart()
        [[kind, _, version, facts]] = unpacked(frame)
        assert (kind, version) == (0, 1)
        await self.router.send_multipart([who, msgpack.packb([1, 1, self.facts])])
        self.met = facts
        return self

    async def told(self, kind):
        """The next envelope of a kind; what comes meanwhile of others is passed over."""
        while True:
            while self.told_already:
                envelope = self.told_already.pop(0)
                if envelope[0] == kind:
                    return envelope
            _, frame = await self.router.recv_multipart()
            self.told_already += unpacked(frame)

    def record(self, state="alive", accuser="", version=0, **facts):
        return [{**self.facts, **facts}, state, "said so", accuser, version]


def with_a_peer(test, caplog):
    """Run a coroutine function with a node and a peer that has entered its mesh."""

    async def body(node, _, context):
        peer = Peer(context, node, name="cellar")
        try:
            await test(node, await peer.enter())
        finally:
            peer.socket.close()
            peer.router.close()

    against_a_node(body, caplog)


def test_two_nodes_compare_what_they_know_and_ask_for_what_they_lack(caplog):
    async def test(node, peer):
        own = peer.facts["node"]

        [_, parts, entries] = await peer.told(19)
        await peer.send([19, None, []])
        [_, records] = await peer.told(10)
        await peer.send([20, [node.id, "0" * 16, "nobody", 7]])
        [_, asked_for] = await peer.told(10)
        state = await peer.told(11)

        assert parts is None
        assert [node.id, 1, peer.met["edition"], 1] in entries
        assert {record[0]["node"] for record in records} == {node.id, own}
        [[facts, *rest]] = asked_for
        assert (facts["node"], rest) == (node.id, ["alive", "said hello", "", 1])
        assert state[1:4] == [node.id, None, 1]
        await peer.send([19, None, [[own, 1, 0, 0], [node.id, 1, 9, 1], ["0" * 16, 2, 0, 3]]])
        assert sorted((await peer.told(20))[1]) == sorted([node.id, "0" * 16])

    with_a_peer(test, caplog)


def test_sums_that_differ_are_answered_with_those_parts(caplog):
    async def test(node, peer):
        await peer.told(19)
        part = int(node.id[-2:], 16) % 64

        await peer.send([18, [0] * 64])
        [_, parts, entries] = await peer.told(19)

        assert part in parts
        assert node.id in [entry[0] for entry in entries]
        assert {int(entry[0][-2:], 16) % 64 for entry in entries} == set(parts)

    with_a_peer(test, caplog)


def test_a_node_tells_what_it_has_and_is_asked_for_what_did_not_come(caplog):
    async def test(node, peer):
        own = peer.facts["node"]

        await peer.send([11, own, 0, 1, [[1, "lamp", "m:Lamp"]], [], []])
        await until(lambda: node.find_all("lamp"))
        await peer.send([11, own, 2, 3, [[2, "fan", "m:Fan"]], [], []])
        assert await peer.told(20) == [20, [own]]
        await peer.send(
            [11, own, None, 0, [[2, "fan", "m:Fan"]], [], []],
            [11, own, -1, 3, [[3, "door", "m:Door", "new"]], [], [], "new"],
        )
        await until(lambda: node.find_all("door"))

        assert node.find_all("fan")
        assert not node.find_all("lamp")

    with_a_peer(test, caplog)


def test_a_node_contradicts_what_is_said_of_it(caplog):
    async def test(node, peer):
        async def own_record():
            while True:
                for record in (await peer.told(10))[1]:
                    if record[0]["node"] == node.id:
                        return record[0]["incarnation"], record[0]["edition"], record[1]

        own = peer.facts["node"]
        facts = dict(peer.met)
        facts.pop("uptime", None)
        await peer.send([10, [[facts | {"edition": 7}, "suspect", "silent", own, 1]]])
        assert await own_record() == (1, 8, "alive")
        await peer.send([10, [[facts | {"edition": 2**62}, "suspect", "silent", own, 1]]])
        assert await own_record() == (2, 0, "alive")
        await peer.send([10, [[facts | {"incarnation": 5}, "dead", "silent", own, 0]]])
        assert await own_record() == (6, 0, "alive")
        assert node.mesh_view.facts.incarnation == 6

    with_a_peer(test, caplog)


def test_a_goodbye_ends_a_node_and_what_stands_behind_it_counts_no_more(caplog):
    async def test(node, peer):
        own = peer.facts["node"]
        ends = []
        node.events.listen(lambda event: ends.append(event) if hasattr(event, "state") else None)

        await peer.send([9, "the power\nwent"], [19, None, []], [10, [peer.record()]])
        await until(lambda: not node.mesh_view.members)

        *_, end = [event for event in ends if event.node == own]
        assert (end.state, end.reason) == ("left", "the power?went")
        assert (await peer.hello())[:2] == [2, "stale"]
        peer.facts["incarnation"] = 2
        assert (await peer.hello())[0] == 1

    with_a_peer(test, caplog)


def test_help_is_given_to_whoever_asks(caplog):
    async def test(node, peer):
        await peer.send([16, node.id], [16, "0" * 16])

        assert sorted([await peer.told(17), await peer.told(17)]) == sorted(
            [[17, node.id, True], [17, "0" * 16, False]]
        )

    with_a_peer(test, caplog)


def test_what_a_guest_says_of_the_mesh_is_passed_over(caplog):
    async def test(node, guest, _):
        caller = await guest().enter()
        own = caller.facts["node"]
        facts = caller.facts | {"node": "0" * 16, "endpoints": ["tcp://127.0.0.1:1"]}

        await caller.send(
            [10, [[facts, "alive", "said so", "", 0]]],
            [10, "no records"],
            [11, own, 0, 1, [[1, "lamp", "m:Lamp"]], [], []],
            [17, node.id, True],
            [16, node.id],
        )

        assert await caller.receive() == [[17, node.id, True]]
        assert not node.mesh_view.peers()
        assert not node.find_all("lamp")
        assert node.mesh_view.garbage_count == 0

    against_a_node(test, caplog)


ID = "0123456789abcdef"
FACTS = VECTORS["envelopes"][1]["value"][3]
BAD_RECORDS = [
    "roof",
    [FACTS, "alive", "said so", ""],
    [FACTS, "asleep", "said so", "", 0],
    [FACTS, "alive", "said\nso", "", 0],
    [FACTS, "alive", "said so", "roof", 0],
    [FACTS, "alive", "said so", "", -1],
    [FACTS, "alive", "said so", "", "0"],
    [FACTS | {"node": "roof"}, "alive", "said so", "", 0],
    [FACTS | {"name": "x" * (1 << 20)}, "alive", "said so", "", 0],
    [FACTS | {"edition": -1}, "alive", "said so", "", 0],
    [FACTS | {"seniority": "1"}, "alive", "said so", "", 0],
    [FACTS | {"uptime": "long"}, "alive", "said so", "", 0],
    [FACTS | {"endpoints": ["tcp://\x1b[2J:1"]}, "alive", "said so", "", 0],
]


@pytest.mark.parametrize(
    "envelope",
    [
        [10],
        [10, {}],
        *([10, [record]] for record in BAD_RECORDS),
        [11, True, [], [], []],
        [11, "roof", 0, 1, [], [], []],
        [11, ID, "0", 1, [], [], []],
        [11, ID, 0, -1, [], [], []],
        [11, ID, 0, None, [], [], []],
        [11, ID, 0, 1, [], []],
        [11, ID, 0, 1, [[1, "x" * (1 << 20), "k"]], [], []],
        [17],
        [17, ID],
        [17, ID, 1],
        [17, "roof", True],
    ],
    ids=lambda envelope: f"{str(envelope)[:24]}{str(envelope)[-24:]}",
)
def test_what_a_node_says_in_another_shape_is_counted_and_its_neighbours_are_handled(
    envelope, caplog
):
    async def test(node, peer):
        own = peer.facts["node"]

        await peer.send(envelope, [11, own, 0, 1, [[1, "lamp", "m:Lamp"]], [], []], [7, "t"])

        assert (await peer.told(8))[1] == "t"
        assert node.find_all("lamp")
        assert node.mesh_view.garbage_count == 1
        assert [entry.facts.node for entry in node.mesh_view.peers()] == [own]

    with_a_peer(test, caplog)


# -- streams, with plain sockets at the other end ----------------------------------------------


class Feed(Actor):
    feed = Publisher(bind="tcp://127.0.0.1:*")
    words = Publisher(bind="tcp://127.0.0.1:*", codec="text")
    parts = Publisher(bind="tcp://127.0.0.1:*", codec="raw")

    @handler
    def endpoints(self) -> list[str]:
        return [self.feed.endpoint, self.words.endpoint, self.parts.endpoint]

    @handler
    async def prepare(self, stream: int, number: int, topic: str) -> None:
        """Let the next message of the topic be that number of that stream."""
        self.feed.stream = stream
        for _ in range(number - 1):
            await self.feed.publish(topic, None)

    @handler
    async def say(self, topic: str, values: list[Any]) -> None:
        await self.feed.ready(1, timeout=60)
        for value in values:
            await self.feed.publish(topic, value)

    @handler
    async def write(self, topic: str, text: str) -> None:
        await self.words.ready(1, timeout=60)
        await self.words.publish(topic, text)

    @handler
    async def hand(self, topic: str, part: bytes, more: bytes) -> None:
        await self.parts.ready(1, timeout=60)
        await self.parts.publish(topic, part, more)


@contextlib.contextmanager
def plain(context, kind, endpoint=None):
    socket = context.socket(kind)
    socket.linger = 0
    if endpoint:
        socket.connect(endpoint)
    try:
        yield socket
    finally:
        socket.close()


@pytest.mark.parametrize("vector", VECTORS["bodies"][:2], ids=lambda vector: vector["name"])
def test_a_plain_sub_reads_what_is_published(vector, caplog):
    async def test(node, _guest, context):
        feed = await node.spawn(Feed)
        endpoint, *_ = await feed.ask(Feed.endpoints)
        await feed.ask(Feed.prepare, vector["stream"], vector["number"], vector["topic"])
        with plain(context, zmq.SUB, endpoint) as socket:
            socket.subscribe(vector["topic"])

            await feed.ask(Feed.say, vector["topic"], vector["values"])
            topic, body = await socket.recv_multipart()

        assert topic.decode() == vector["topic"]
        assert body.hex() == vector["hex"]

    against_a_node(test, caplog)


def test_text_is_one_frame_and_raw_is_the_frames_as_they_are(caplog):
    async def test(node, _guest, context):
        feed = await node.spawn(Feed)
        _, words, parts = await feed.ask(Feed.endpoints)
        with plain(context, zmq.SUB, words) as text, plain(context, zmq.SUB, parts) as raw:
            text.subscribe("")
            raw.subscribe("")
            for vector in VECTORS["texts"]:
                await feed.ask(Feed.write, vector["topic"], vector["text"])
                assert [f.hex() for f in await text.recv_multipart()] == [vector["hex"]]
            await feed.ask(Feed.hand, "t", b"\x00\xff", b"")
            assert await raw.recv_multipart() == [b"t", b"\x00\xff", b""]

    against_a_node(test, caplog)


def test_a_guest_that_marks_its_subscription_is_told_that_it_is_known(caplog):
    async def test(node, guest, context):
        feed = await node.spawn(Feed)
        endpoint, *_ = await feed.ask(Feed.endpoints)
        await feed.ask(Feed.prepare, 77, 7, "98101")
        caller = await guest().enter()
        with plain(context, zmq.SUB, endpoint) as socket:
            socket.subscribe(b"98101")
            socket.subscribe(MARK + f"{caller.facts['node']}/12/34".encode())

            [told] = await caller.receive()

        assert told == [3, 0, "vouched", [34, 77, {"98101": 6}]]

    against_a_node(test, caplog)


def test_a_subscriber_reads_a_plain_publisher_that_numbers_and_vouches(caplog):
    async def test(node, guest, context):
        caller = await guest().enter()
        with plain(context, zmq.XPUB) as socket:
            port = socket.bind_to_random_port("tcp://127.0.0.1")
            heard: list[tuple[str, Any]] = []
            done = asyncio.Event()

            class Listener(Actor):
                readings = Subscriber(connect=f"tcp://127.0.0.1:{port}")

                @handler
                async def listen(self, topic: str) -> None:
                    await self.readings.subscribe(topic)

                @readings.received
                def note(self, topic: str, value: Any) -> None:
                    heard.append((topic, value))
                    if value == "last":
                        done.set()

                @handler
                def counts(self) -> list[int]:
                    return [self.readings.received, self.readings.missed]

            listener = await node.spawn(Listener)
            listening = listener.ask(Listener.listen, "98101")
            assert await socket.recv() == b"\x0198101"
            mark = await socket.recv()
            name, _, token = mark.removeprefix(b"\x01" + MARK).decode().split("/")
            await caller.send([3, 0, "vouched", [int(token), 7, {"98101": 4}]])
            await listening

            for number, values in ((5, ["a"]), (8, ["b", "last"])):
                body = b"".join(map(msgpack.packb, ([7, number], *values)))
                await socket.send_multipart([b"98101", body])
            await done.wait()

            assert name == node.id
            assert heard == [("98101", "a"), ("98101", "b"), ("98101", "last")]
            assert await listener.ask(Listener.counts) == [3, 2]

    against_a_node(test, caplog)
