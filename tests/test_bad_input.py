"""What bad input gets: one sentence that names the thing and the way out; the node goes on."""

import asyncio
import os
import random
import re
import secrets
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgpack
import pytest
import zmq
import zmq.asyncio

from actormq import (
    Actor,
    ArgumentMismatch,
    HandlerNotFound,
    MessageTooLarge,
    Node,
    PortInUse,
    SetupError,
    StartFailed,
    handler,
)
from actormq.cluster.discovery import Announcement
from actormq.events import PeerRefused
from actormq.message import PROTOCOL

GARBAGE = "what came on the link's port is not the actormq protocol: "


class Clerk(Actor):
    @handler
    def greet(self, who: str) -> str:
        return f"hello {who}"

    @handler
    def fill(self, size: int) -> str:
        return "x" * size

    def unmarked(self) -> None: ...


class Faulty(Actor):
    async def on_start(self) -> None:
        raise OSError("the sensor is\nunplugged")


class Picky(Actor):
    def __init__(self, speed: float) -> None:
        if speed < 0:
            raise ValueError(f"speed is {speed}; give a number from 0 on")


# -- at the command line --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with this module's actors in it, as a user would have."""
    folder = tmp_path_factory.mktemp("shop")
    text = Path(__file__).read_text(encoding="utf-8")
    actors = re.findall(r"^class \w+\(Actor\):\n(?:(?:    .*)?\n)+", text, re.MULTILINE)
    (folder / "shop.py").write_text("from actormq import Actor, handler\n" + "".join(actors))
    return folder


def actormq(folder, *args):
    """Run a command in a folder, to its end."""
    return run(folder, "-m", "actormq", *args)


def run(folder, *args):
    """Run a Python program in a folder, to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def sentence(done):
    """The one sentence with which a command ended."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("actormq: ")
    return done.stderr.removeprefix("actormq: ").strip()


FILES = [
    (
        '[[actor]]\nclass = "shop:Clrek"',
        "0.toml, actor 1: module 'shop' has no class 'Clrek': it has Clerk, Faulty, Picky",
    ),
    (
        '[[actor]]\nclass = "shp:Clerk"',
        (
            "1.toml, actor 1: there is no module 'shp': "
            "looked in this folder and in the installed packages"
        ),
    ),
    (
        '[[actor]]\nclass = "shop:Picky"\nargs = { speed = "fast" }',
        ("2.toml, actor 1 (picky): argument 'speed' does not fit: Expected `float`, got `str`"),
    ),
    (
        '[[actor]]\nclass = "shop:Picky"\nargs = { speed = -1 }',
        (
            "actor 'picky' did not start: its constructor raised "
            "ValueError: speed is -1.0; give a number from 0 on"
        ),
    ),
    (
        '[[actor]]\nclass = "shop:Faulty"\nname = "roof"',
        "actor 'roof' did not start: on_start raised OSError: the sensor is unplugged",
    ),
    (
        '[[actor]]\nclass = "shop:Clerk"\n[[actor]]\nclass = "shop:Clerk"',
        (
            "the name 'clerk' is taken on node 'n0': give the new actor another name, "
            "or stop the one that holds it"
        ),
    ),
    ("[node]\nmesh = 'a/b'", "mesh name 'a/b' cannot be used: take 1 to 63 of the letters"),
]


COMMANDS = [
    (("shop:Clrek",), "module 'shop' has no class 'Clrek': it has Clerk, Faulty, Picky"),
    (("shop:Picky",), "--arg: Picky cannot be made of these args: missing a required argument"),
    (("shop:Picky", "--arg", "speed=fast"), "--arg speed=fast: Expected `float`, got `str`"),
    (("shop:Picky", "--arg", "speed"), "--arg 'speed' is no KEY=VALUE"),
    (
        ("shop:Picky", "--arg", "speed=1", "--arg", "sped=1"),
        "unexpected keyword argument 'sped'; it takes speed",
    ),
    (("home.toml", "--as", "bob"), "--as and --arg go with one actor, module:Class"),
    (
        ("shop:Faulty", "-q"),
        "actor 'faulty' did not start: on_start raised OSError: the sensor",
    ),
    (("--mesh", "a/b"), "mesh name 'a/b' cannot be used: take 1 to 63 of the letters"),
    (("--name", "a/b"), "node name 'a/b' cannot be used: take 1 to 63 of the letters"),
    (("--port", "70000"), "setting port: expected int <= 65535, not"),
    (("--join", "here:x"), "'here:x' is no HOST or HOST:PORT: take roof, roof:4711"),
    (("--dns", "10.0.0.2"), "'10.0.0.2' is no name for DNS: take actormq.default.svc"),
    (("--lan",), "lan is the keyed mesh across machines, which this version does not have yet"),
]


@pytest.fixture(scope="module")
def ended(shop):
    """How a node ended for each file and each command, two started at a time."""
    mesh = ("--mesh", f"test-{secrets.token_hex(6)}")
    options = ("--no-zeroconf", "--quiet")
    commands = {args: (*args, *(() if "--mesh" in args else mesh)) for args, _ in COMMANDS}
    for number, (text, _) in enumerate(FILES):
        (shop / f"{number}.toml").write_text(text)
        commands[text] = (f"{number}.toml", "--name", "n0", *(() if "mesh" in text else mesh))
    with ThreadPoolExecutor(2) as pool:
        each = pool.map(lambda args: actormq(shop, "node", *args, *options), commands.values())
        return dict(zip(commands, each, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("text", "says"), FILES)
def test_a_file_that_cannot_run_ends_in_one_sentence(ended, text, says):
    assert says in sentence(ended[text])


@pytest.mark.slow
@pytest.mark.parametrize(("args", "says"), COMMANDS)
def test_a_node_that_cannot_run_ends_in_one_sentence(ended, args, says):
    assert says in sentence(ended[args])


BLIND = """
import os, runpy, socket, zmq

def never(*_args, **_options):
    os.write(2, b"it looks for somebody")
    os._exit(1)

zmq.Context.socket = socket.socket.bind = socket.socket.connect = never
runpy.run_module("actormq", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("ps", "--mesh", "a/b"), "mesh name 'a/b' cannot be used: take 1 to 63 of the letters"),
        (("ps", "--join", "here:x"), "'here:x' is no HOST or HOST:PORT: take roof, roof:4711"),
        (("sub", "weather", "--lan"), "lan is the keyed mesh across machines"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_looked_for(shop, command, says):
    assert says in sentence(run(shop, "-c", BLIND, *command))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["--mesh", "--join"])
def test_what_could_be_is_looked_for(shop, mesh_name, where):
    place = {"--mesh": mesh_name, "--join": "127.0.0.1:1"}[where]
    assert run(shop, "-c", BLIND, "ps", where, place).stderr == "it looks for somebody"


@pytest.mark.slow
async def test_a_node_goes_on_after_commands_that_ask_too_much(shop, mesh):
    node = await mesh.start(name="roof", message_limit=64 * 1024)
    await node.spawn(Clerk, "clerk")
    place = node.address.removeprefix("tcp://")

    async def said(*args):
        return sentence(await asyncio.to_thread(actormq, shop, *args, "--join", place))

    assert "actor 'clerk' has no handler 'gret'" in await said("ask", "clerk", "gret", "LAN")
    assert "is not a handler: mark the method" in await said("ask", "clerk", "unmarked")
    assert "'who' should be str, got 3" in await said("ask", "clerk", "greet", "3")
    too_large = await said("ask", "clerk", "fill", "100000")
    assert "bytes, over the limit of 65536: send it in pieces" in too_large
    port = place.rpartition(":")[2]
    taken = await said("node", "shop:Clerk", "--port", port, "--name", "late")
    assert taken == (
        f"node 'late': tcp://{place} is in use by another program: "
        "stop that one, or take another port"
    )
    assert await (await node.find("clerk")).ask("greet", "LAN") == "hello LAN"


# -- in code --------------------------------------------------------------------------------------


def test_a_name_with_a_slash_is_refused_before_anything_starts():
    with pytest.raises(SetupError, match="mesh name 'a/b' cannot be used: take 1 to 63 of the let"):
        Node(mesh="a/b")


async def test_a_port_in_use_is_named_and_its_owner_goes_on(mesh, mesh_name):
    node = await mesh.start()
    await node.spawn(Clerk, "clerk")
    port = int(node.address.rpartition(":")[2])
    other = Node(mesh=mesh_name, name="late", port=port, discovery=False)
    with pytest.raises(PortInUse) as caught:
        await other.start()
    assert str(caught.value).startswith(f"node 'late': tcp://127.0.0.1:{port} is in use by another")
    assert not other.is_running
    assert await (await node.find("clerk")).ask("greet", "LAN") == "hello LAN"


@pytest.mark.parametrize(
    ("kind", "args", "says"),
    [
        (
            Faulty,
            (),
            "actor 'new' did not start: on_start raised OSError: the sensor is\nunplugged",
        ),
        (
            Picky,
            (-1,),
            "actor 'new' did not start: its constructor raised ValueError: speed is -1; give",
        ),
        (Picky, (), "actor 'new' did not start: its constructor raised TypeError: Picky.__init__"),
    ],
)
async def test_an_actor_that_does_not_start_leaves_its_neighbours_and_its_name(
    mesh, kind, args, says
):
    node, other = await mesh.pair()
    await node.spawn(Clerk, "clerk")
    with pytest.raises(StartFailed) as caught:
        await node.spawn(kind, "new", *args)
    assert str(caught.value).startswith(says)
    assert node.find_all("new") == []
    clerk = await other.find("clerk")
    assert await clerk.ask("greet", "LAN") == "hello LAN"
    await node.spawn(Clerk, "new")
    assert await (await other.find("new")).ask("greet", "you") == "hello you"


async def test_calls_that_do_not_fit_are_answered_and_the_next_one_is_too(mesh):
    node, other = await mesh.pair(message_limit=16 * 1024)
    await node.spawn(Clerk, "clerk")
    clerk = await other.find("clerk")
    for handler_name, args, error, says in [
        ("gret", (), HandlerNotFound, "actor 'clerk' has no handler 'gret': it has fill, greet"),
        ("unmarked", (), HandlerNotFound, "'unmarked' of actor 'clerk' is not a handler: mark the"),
        ("greet", (3,), ArgumentMismatch, "clerk.greet: argument 'who' should be str, got 3"),
        ("greet", ("x" * 20_000,), MessageTooLarge, "over the limit of 16384: send it in pieces"),
        ("fill", (20_000,), MessageTooLarge, "over the limit of 16384: send it in pieces"),
    ]:
        with pytest.raises(error) as caught:
            await clerk.ask(handler_name, *args)
        assert says in str(caught.value)
        assert await clerk.ask("greet", "LAN") == "hello LAN"


async def test_tells_that_do_not_fit_are_counted_and_the_next_one_arrives(mesh, until):
    node, other = await mesh.pair(message_limit=16 * 1024)
    await node.spawn(Clerk, "clerk")
    clerk = await other.find("clerk")
    for handler_name, args in (("gret", ()), ("unmarked", ()), ("greet", (3,))):
        clerk.tell(handler_name, *args)
    with pytest.raises(MessageTooLarge):
        clerk.tell("greet", "x" * 20_000)
    assert await clerk.ask("greet", "LAN") == "hello LAN"
    assert sum(node.events.dead_letter_count.values()) == 3


# -- on the wire ----------------------------------------------------------------------------------


class Refusals:
    """What a node says of those that it did not let in."""

    def __init__(self, node):
        self.said = []
        node.events.listen(self.note)

    def note(self, event):
        if isinstance(event, PeerRefused):
            self.said.append((event.who, event.reason))


class Stranger:
    """A ZeroMQ program that dials a node and says what it likes."""

    def __init__(self, node):
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(node.address)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.context.destroy(linger=0)

    async def say(self, *frames):
        await self.socket.send_multipart(frames)

    async def answer(self):
        return msgpack.unpackb((await self.socket.recv_multipart())[0])


def hello(node, *, version=PROTOCOL, **changes):
    facts = {
        "mesh": node.mesh,
        "node": secrets.token_hex(8),
        "incarnation": 1,
        "name": "stranger",
        "scope": f"loopback:{os.getuid()}",
        "endpoints": [],
        "host": "bench",
    }
    return msgpack.packb([0, "actormq", version, {**facts, **changes}])


RANDOM = random.Random(20)  # the same bytes each time
NOISE = [RANDOM.randbytes(size) for size in (1, 7, 64, 1_000, 100_000)]


@pytest.mark.parametrize(
    "noise",
    [
        *NOISE,
        b"GET / HTTP/1.1\r\nHost: roof\r\n\r\n",
        b"\xff\0\0\0\0\0\0\0\x01\x7f\x03",  # the beginning of a ZMTP greeting, and no more
        b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + bytes(48) + NOISE[3],  # a whole one, then noise
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + NOISE[2],
        b"\x00" * 10_000,
    ],
    ids=lambda noise: f"{len(noise)} bytes of {noise[:4].hex()}",
)
async def test_noise_on_the_port_disturbs_nobody(mesh, noise):
    node, other = await mesh.pair()
    await node.spawn(Clerk, "clerk")
    clerk = await other.find("clerk")
    host, port = node.address.removeprefix("tcp://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(noise)
    assert await clerk.ask("greet", "LAN") == "hello LAN"
    writer.close()
    assert await clerk.ask("greet", "LAN") == "hello LAN"
    assert [peer.facts.name for peer in node.mesh_view.peers()] == [other.name]


ENVELOPES = {
    "no msgpack": [b"\xc1"],
    "random bytes": [NOISE[3]],
    "an empty frame": [b""],
    "no frame but empty ones": [b"", b"", b""],
    "a number": [msgpack.packb(3)],
    "a map": [msgpack.packb({"a": 1})],
    "an empty array": [msgpack.packb([])],
    "a kind that is a text": [msgpack.packb(["hello"])],
    "a value that ends early": [msgpack.packb([0, "actormq", 1, {}])[:-3]],
    "too deep": [b"\x91" * 10_000 + b"\xc0"],
    "a claim of more than there is": [b"\xdd\xff\xff\xff\xff\x01"],
    "a text of 4 GiB that is not there": [b"\xdb\xff\xff\xff\xffabc"],
    "an unknown extension": [msgpack.packb([3, 0, msgpack.ExtType(77, b"x"), []])],
    "a hello of another protocol": [msgpack.packb([0, "HTTP", 1, {}])],
    "a hello without facts": [msgpack.packb([0, "actormq", 1])],
    "a hello with facts of wrong types": [msgpack.packb([0, "actormq", 1, {"mesh": 3}])],
    "a version that is no number": [msgpack.packb([0, "actormq", "1", {}])],
}


@pytest.mark.parametrize("frames", ENVELOPES.values(), ids=ENVELOPES)
async def test_frames_that_are_no_protocol_are_reported_and_disturb_nobody(mesh, until, frames):
    node, other = await mesh.pair()
    refusals = Refusals(node)
    await node.spawn(Clerk, "clerk")
    clerk = await other.find("clerk")
    async with Stranger(node) as stranger:
        await stranger.say(*frames)
        await until(lambda: refusals.said)
        who, reason = refusals.said[0]
        assert who == "a program that is no actormq node"
        assert reason.startswith(GARBAGE)
        assert reason.isprintable()
        assert node.mesh_view.garbage_count == 1
        assert await clerk.ask("greet", "LAN") == "hello LAN"
        await stranger.say(hello(node))
        assert (await stranger.answer())[0] == 1  # the same connection may still begin properly


@pytest.mark.parametrize("frames", ENVELOPES.values(), ids=ENVELOPES)
async def test_a_guest_that_turns_to_garbage_has_to_begin_anew(mesh, until, frames):
    node, other = await mesh.pair()
    await node.spawn(Clerk, "clerk")
    async with Stranger(node) as stranger:
        await stranger.say(hello(node))
        assert (await stranger.answer())[0] == 1
        await stranger.say(*frames)
        clerk = await other.find("clerk")
        assert await clerk.ask("greet", "LAN") == "hello LAN"


async def test_who_has_not_said_hello_is_told_to(mesh):
    node = await mesh.start()
    async with Stranger(node) as stranger:
        await stranger.say(msgpack.packb([4, 1, 5.0, 0, "describe", []]))
        assert await stranger.answer() == [2, "stranger", "a link begins with a hello"]


async def test_another_protocol_version_is_refused_with_a_sentence_on_both_sides(mesh):
    node, other = await mesh.pair()
    refusals = Refusals(node)
    await node.spawn(Clerk, "clerk")
    says = (
        f"node {node.name!r} speaks version {PROTOCOL} of the actormq protocol, "
        f"you speak {PROTOCOL + 1}: run the same version of actormq on both"
    )
    async with Stranger(node) as stranger:
        await stranger.say(hello(node, version=PROTOCOL + 1))
        assert await stranger.answer() == [2, "version", says]
    who = f"a node of protocol version {PROTOCOL + 1}"
    assert refusals.said == [(who, f"not let in: {says}")]
    assert await (await other.find("clerk")).ask("greet", "LAN") == "hello LAN"


async def test_an_announcement_of_another_protocol_version_is_reported_and_not_dialled(mesh):
    node = await mesh.start()
    refusals = Refusals(node)
    place = ("tcp://127.0.0.1:1",)
    scope = f"loopback:{os.getuid()}"
    node.mesh_view.hint(Announcement(node.mesh, "0" * 16, "old", scope, place, PROTOCOL + 1))
    assert refusals.said == [
        (
            "old",
            (
                f"it speaks version {PROTOCOL + 1} of the actormq protocol, this node speaks "
                f"{PROTOCOL}: run the same version of actormq on both"
            ),
        )
    ]
    assert not list(node.mesh_view.peers())


@pytest.mark.slow
def test_the_command_line_prints_why_a_node_of_another_version_refuses_it(shop, mesh_name):
    says = "node 'roof' speaks version 9 of the actormq protocol, you speak 1: run the same version"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")

        def refuse():
            who, _ = router.recv_multipart()
            router.send_multipart([who, msgpack.packb([2, "version", says])])

        node = threading.Thread(target=refuse)
        node.start()
        said = sentence(actormq(shop, "ps", "--join", f"127.0.0.1:{port}"))
        node.join()
    assert said == f"cannot reach 127.0.0.1:{port}: {says}"
