"""A body is read straight into what a method asks for, or else the usual way, with one result."""

import random
from dataclasses import dataclass
from typing import Any

import msgpack
import msgspec
import pytest

from actormq import Actor, Publisher, Subscriber
from actormq.arguments import Arguments
from actormq.codec import Codec
from actormq.errors import RemoteProtocolError
from actormq.patterns.body import NUMBERS_END, BodyReader

CODEC = Codec(message_limit=100_000, buffer_limit=200_000)
HEAD = msgpack.packb([2**62, 5])
MAP = {"name": "roof", "value": 20.5}


class Point(msgspec.Struct):
    name: str
    value: float = 0.0


@dataclass
class Place:
    name: str
    value: float = 0.0


@dataclass
class Unmade:
    of: "Nowhere"  # noqa: F821 as where it is imported for the type checker only


def method_of(kind):
    def note(self: Any, topic: str, value: kind) -> None: ...

    note.__annotations__["value"] = kind
    return note


def arguments_of(kind):
    return Arguments(Actor, method_of(kind))


def read(kind, frame):
    decoder = arguments_of(kind).decoder(1, CODEC.extension)
    return None if decoder is None else BodyReader(CODEC, decoder).read(frame)


def usual(kind, frame):
    """The same by way of dicts and lists."""
    (stream, first), *values = CODEC.unpack_all(frame)
    _, values = arguments_of(kind).converted([["t"], values])
    return stream, first, values


def body(*values, head=HEAD):
    return head + b"".join(CODEC.pack_whole("t", value) for value in values)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Any, [MAP, 1, "x", None, [1, [2]]]),
        (dict, [MAP, {}, {1: 2}, {"a": {"b": [1.5]}}]),
        (dict[str, int], [{"a": 1}]),
        (Point, [MAP, {"name": "x"}, {"name": "x", "value": 1, "other": 2}]),
        (Place, [MAP, {"name": "x"}]),
        (Point | None, [MAP, None]),
        (list, [[1, "x"], []]),
        (tuple[int, str], [[1, "x"]]),
        (set[int], [[1, 2, 1]]),
        (Any, [{"a": msgpack.Timestamp(5, 0)}]),
    ],
)
def test_what_comes_is_what_comes_the_usual_way(kind, values):
    frame = body(*values)
    assert read(kind, frame) == usual(kind, frame)
    assert read(kind, frame)[:2] == (2**62, 5)


@pytest.mark.parametrize("head", [[0, 1], [127, 200], [2**16, 2**32], [2**63, 2**63 - 1]])
def test_every_length_of_stream_and_number_is_found(head):
    assert read(dict, body(MAP, MAP, head=msgpack.packb(head))) == (*head, [MAP, MAP])


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        (bytes, body(b"flat", b"values")),  # they are faster the usual way
        (Point, body(MAP, "no point")),
        (Point, body({"value": 1.0})),
        (dict, body(MAP)[:-1]),
        (dict, body(MAP) + b"\xc1"),
        (dict, body(MAP) + b"\xdd\xff\xff\xff\xff"),  # claims what is not there
        (dict, body(MAP) + b"\x81\xa1a\xd4\x04\x00"),  # keeps its type
        (Any, body(MAP) + b"\x81\xa1a\xd4\x63\x00"),  # an ext type that there is not
        (dict, body(MAP, head=msgpack.packb([7, 0]))),  # last values
        (dict, body(MAP, head=msgpack.packb([7, NUMBERS_END]))),
        (dict, body(MAP, head=msgpack.packb(["a", 5]))),
        (dict, body(MAP, head=msgpack.packb([None, 5]))),
        (dict, body(MAP, head=msgpack.packb([7, True]))),
        (dict, body(MAP, head=msgpack.packb([7, 5, 6]))),
        (dict, body(MAP, head=b"")),
        (dict, HEAD),
        (dict, b""),
        (Point | Subscriber, body(MAP)),  # no union that msgspec takes
        (Unmade, body({"of": 1})),
    ],
)
def test_what_is_not_simply_so_is_left_to_the_usual_way(kind, frame):
    assert read(kind, frame) is None
    assert read(dict, body(MAP)) == (2**62, 5, [MAP])  # and leaves nothing behind


def test_bytes_that_went_astray_are_read_as_usually_or_not_at_all():
    draw = random.Random(5)
    frame = body(*[MAP] * 5, [1, "x", {"a": None}])
    seen = 0
    for _ in range(2_000):
        broken = bytearray(frame)
        for _ in range(draw.randint(1, 3)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        found = read(Any, bytes(broken))
        if found is not None:
            seen += 1
            assert repr(found) == repr(usual(Any, bytes(broken)))
    assert seen > 100


def test_many_containers_are_too_many_either_way():
    frame = HEAD + b"\x80" * 260_000
    assert read(dict, frame) is None
    with pytest.raises(RemoteProtocolError, match="lists or maps"):
        Codec(message_limit=2**22, buffer_limit=2**22).unpack_all(frame)


# -- as a subscriber has it -----------------------------------------------------------------------


class Source(Actor):
    feed = Publisher(service="bodies")


class Ear(Actor):
    feed = Subscriber(service="bodies")

    def __init__(self) -> None:
        self.heard: list[Any] = []

    async def on_start(self) -> None:
        await self.feed.subscribe("t")

    @feed.received
    def note(self, topic: str, value: Point) -> None:
        self.heard.append(value)


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor


async def test_structs_come_as_structs_and_what_is_none_is_dropped_alone(mesh, until, monkeypatch):
    node = await mesh.start()
    source = inside(node, await node.spawn(Source))
    ear = inside(node, await node.spawn(Ear))
    unpacked = []
    unpack_all = node._runtime.codec.unpack_all
    monkeypatch.setattr(
        node._runtime.codec, "unpack_all", lambda frame: unpacked.append(1) or unpack_all(frame)
    )
    for number in range(20):
        await source.feed.publish("t", Point("a", number))
    await until(lambda: len(ear.heard) == 20)
    assert ear.heard == [Point("a", float(number)) for number in range(20)]
    assert not unpacked  # they took the short way
    for value in (Point("b"), {"name": 7}, Point("c")):
        await source.feed.publish("t", value)
    await until(lambda: len(ear.heard) == 22)
    assert ear.heard[20:] == [Point("b"), Point("c")]
    assert ear.feed.dropped == {"ArgumentMismatch": 1}
    assert (ear.feed.received, ear.feed.missed) == (23, 0)
