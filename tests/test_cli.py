"""The command line as users have it: real processes, what they print, and how they end."""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq
from free_ports import free_port
from granted import Granted

import actormq
from actormq.cli.guest import _chosen
from actormq.cluster.discovery import Announcement

pytestmark = pytest.mark.slow

ACTORMQ = [sys.executable, "-W", "error", "-m", "actormq"]
NO_MESH = 4.0  # s more until a command says that there is none; 3 s are promised, and met idle

SOURCE = """
import asyncio

from actormq import Actor, Publisher, every, handler


class Clerk(Actor):
    def __init__(self, greeting: str = "hello", times: int = 1) -> None:
        self.greeting, self.times, self.heard = greeting, times, []

    @handler
    def greet(self, who: str) -> str:
        return " ".join([self.greeting] * self.times + [who])

    @handler
    def echo(self, *values, **named):
        return list(values)

    @handler
    def hear(self, what) -> None:
        self.heard.append(what)

    @handler
    def told(self) -> list:
        return self.heard

    @handler
    def stumble(self) -> None:
        raise ValueError("over a\\nstone")

    @handler(concurrent=True)
    async def wait(self, seconds: float) -> None:
        self.heard.append(f"wait {seconds}")
        await asyncio.sleep(seconds)

    def unmarked(self) -> None: ...


class Clock(Actor):
    feed = Publisher(service="ticks")

    def __init__(self) -> None:
        self.count = 0

    @every(0.02)
    async def tick(self) -> None:
        self.count += 1
        await self.feed.publish(("even", "odd")[self.count % 2], self.count)


class Parrot(Actor):
    feed = Publisher(service="words", codec="text")

    @every(0.02)
    async def speak(self) -> None:
        await self.feed.publish("parrot", "good morning")


class Sleeper(Actor):
    async def on_start(self) -> None:
        self.log.warning("going to sleep")
        await asyncio.sleep(60)
"""

HOME = """
[node]
name = "roof"
mesh = "{mesh}"

[[actor]]
class = "clerks:Clerk"
name = "clerk-1"
args = {{ greeting = "good day" }}

[[actor]]
class = "clerks:Clock"

[[actor]]
class = "clerks:Parrot"
name = "polly"
"""


def until(condition, seconds=100.0):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)
    return value


class Home:
    """A folder with actors in it, and the commands that are run there."""

    def __init__(self, folder, mesh):
        self.folder = folder
        self.mesh = mesh
        self.started = []
        (folder / "clerks.py").write_text(SOURCE)
        (folder / "home.toml").write_text(HOME.format(mesh=mesh))

    def begin(self, *args, **options):
        """Start a command and go on."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen([*ACTORMQ, *args], cwd=self.folder, text=True, **pipes)
        self.started.append(process)
        return process

    def run(self, *args, **options):
        """Run a command to its end."""
        return subprocess.run(
            [*ACTORMQ, *args],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            **options,
        )

    def all(self, commands):
        """Run commands, two at a time, and keep how each ended under its key."""
        with ThreadPoolExecutor(2) as pool:
            ended = pool.map(lambda args: self.run(*args), commands.values())
            return dict(zip(commands, ended, strict=True))

    def node(self, *args):
        """Start a node; returns where it can be joined."""
        log = self.folder / f"{len(self.started)}.log"
        with log.open("w") as file:
            process = self.begin("node", *args, stdout=file, stderr=file)

        def place():
            assert process.poll() is None, log.read_text()
            return re.search(r"started in mesh \S+ at tcp://(\S+)", log.read_text())

        return process, until(place)[1]

    def end(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The node of HOME, found by zeroconf, in a mesh of its own for all tests of this module."""
    home = Home(tmp_path_factory.mktemp("home"), f"test-{secrets.token_hex(6)}")
    try:
        _, home.place = home.node("home.toml")
        until(lambda: '"polly"' in home.run("ps", "--join", home.place, "--json").stdout)
        yield home
    finally:
        home.end()


@pytest.fixture
def at(home):
    """Runs a command that joins the node of `home`: quicker than to look for it."""

    def at(command, *args):
        return home.run(command, "--join", home.place, *args)

    return at


def sentence(done, status=1):
    """The one sentence that a command failed with."""
    assert done.returncode == status, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("actormq: ")
    return done.stderr.removeprefix("actormq: ").strip()


def ended(process):
    """A process that was begun, as if it had been run."""
    out, err = process.communicate(timeout=100)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


# -- ps -------------------------------------------------------------------------------------------


def test_ps_finds_the_mesh_by_its_name_and_tells_programs_all(home):
    done = home.run("ps", "--mesh", home.mesh, "--json")
    assert (done.stderr, done.returncode) == ("", 0)
    (node,) = json.loads(done.stdout)["nodes"]
    assert set(node) >= {"name", "id", "state", "address", "actors", "services"}
    assert (node["name"], node["state"]) == ("roof", "alive")
    assert node["address"] == f"tcp://{home.place}"
    assert re.fullmatch("[0-9a-f]{16}", node["id"])
    assert node["services"] == ["ticks", "words"]
    assert all(set(actor) >= {"name", "class", "mailbox", "received"} for actor in node["actors"])
    assert [(actor["name"], actor["class"]) for actor in node["actors"]] == [
        ("node", "actormq.steward:Steward"),
        ("clerk-1", "clerks:Clerk"),
        ("clock", "clerks:Clock"),
        ("polly", "clerks:Parrot"),
    ]
    clock = node["actors"][2]
    assert (type(clock["mailbox"]), clock["received"] > 0) == (int, True)


def test_ps_draws_a_table_for_people(home, at):
    done = at("ps")
    assert (done.stderr, done.returncode) == ("", 0)
    head, *_, last = done.stdout.splitlines()
    assert head.startswith("roof alive  tcp://")
    assert "services ticks, words" in done.stdout
    assert re.search(r"^ +actor +class +mailbox +received *$", done.stdout, re.MULTILINE)
    assert re.search(r"^ +clerk-1 +clerks:Clerk +0 +\d+ *$", done.stdout, re.MULTILINE)
    assert last == f"1 node in mesh {home.mesh}"


# -- node -----------------------------------------------------------------------------------------


def test_one_class_is_run_with_the_names_and_arguments_of_the_command_line(home, at):
    options = ("--name", "attic", "--as", "bob", "--arg", "greeting=hi", "--arg", "times=2")
    attic, _ = home.node("clerks:Clerk", "--mesh", home.mesh, *options, "--join", home.place)
    cellar, _ = home.node("clerks:Clerk", "--mesh", home.mesh, "--name", "cellar")  # by zeroconf

    def seen():
        nodes = json.loads(at("ps", "--json").stdout)["nodes"]
        names = {node["name"]: [actor["name"] for actor in node["actors"]] for node in nodes}
        return names if sum(map(len, names.values())) == 8 else None

    found = until(seen)
    assert list(found) == ["attic", "cellar", "roof"]
    assert (found["attic"], found["cellar"]) == (["node", "bob"], ["node", "clerk"])
    assert at("ask", "bob", "greet", "you").stdout == "hi hi you\n"
    assert at("ask", "clerk", "greet", "you").stdout == "hello you\n"
    for process, number in ((attic, signal.SIGINT), (cellar, signal.SIGTERM)):
        process.send_signal(number)
        assert process.wait(100) == 0
    assert len(json.loads(at("ps", "--json").stdout)["nodes"]) == 1


def test_the_command_line_goes_before_the_file_which_may_be_standard_input(home, mesh_name):
    text = HOME.format(mesh="elsewhere")
    with home.begin(
        "node", "-", "--mesh", mesh_name, "--name", "den", stdin=subprocess.PIPE
    ) as node:
        node.stdin.write(text)
        node.stdin.close()
        assert re.search(rf" den: started in mesh {mesh_name} at tcp://", node.stderr.readline())
        node.terminate()
        assert node.wait(100) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_whose_actor_has_not_started_yet(home, mesh_name, number):
    with home.begin("node", "clerks:Sleeper", "--mesh", mesh_name, "--quiet") as node:
        assert "going to sleep" in node.stderr.readline()
        node.send_signal(number)
        assert node.wait(100) == 0
        assert node.stderr.read() == ""


# -- ask and tell ---------------------------------------------------------------------------------


ASKED = [
    (("clerk-1", "greet", "LAN"), "good day LAN\n"),
    (("clerk-1", "greet", '"LAN"'), "good day LAN\n"),
    (("clerk-1", "greet", "LAN", "--json"), '"good day LAN"\n'),
    (("clerk-1", "echo", "1", "2.5", "--json"), "[1,2.5]\n"),
    (("clerk-1", "echo", "true", "null", '{"a": [1]}', "--json"), '[true,null,{"a":[1]}]\n'),
    (("clerk-1", "echo", "a b", "[1", "", "--json"), '["a b","[1",""]\n'),
    (("--json", "--", "clerk-1", "echo", "-1", "--json"), '[-1,"--json"]\n'),
    (("clerk-1", "echo", "1"), "[\n  1\n]\n"),
    (("clerk-1", "wait", "0"), ""),
    (("clerk-1", "wait", "0", "--json"), "null\n"),
]


@pytest.fixture(scope="module")
def asked(home):
    """How each ask of the two tables ended."""
    tables = [args for args, _ in [*ASKED, *ASKED_IN_VAIN]]
    return home.all({args: ("ask", "--join", home.place, *args) for args in tables})


@pytest.mark.parametrize(("args", "printed"), ASKED)
def test_ask_takes_json_or_text_and_prints_the_reply(asked, args, printed):
    done = asked[args]
    assert (done.stdout, done.stderr, done.returncode) == (printed, "", 0)


ASKED_IN_VAIN = [
    (
        ("nobody", "greet"),
        "1 s: check the name with `actormq ps`, or wait longer with --timeout",
    ),
    (("clerk-1", "gret"), "actor 'clerk-1' has no handler 'gret': it has echo, greet, hear, "),
    (
        ("clerk-1", "unmarked"),
        "'unmarked' of actor 'clerk-1' is not a handler: mark the method",
    ),
    (("clerk-1", "on_start"), "'on_start' of actor 'clerk-1' is not a handler"),
    (("clerk-1", "greet", "3"), "clerk-1.greet: argument 'who' should be str, got 3"),
    (("clerk-1", "greet"), "missing a required argument: 'who'"),
    (("clerk-1", "greet", "a", "b"), "too many positional arguments"),
    (("clerk-1", "echo", "9" * 30), "cannot be encoded: argument 1: Integer value out of range"),
    (("clerk-1", "echo", b"\xff"), "cannot be encoded: argument 1: 'utf-8' codec can't encode"),
    (("clerk-1", "stumble"), "clerk-1.stumble raised ValueError: over a stone"),
    (
        ("clerk-1", "wait", "60", "--timeout", "0.2"),
        "no reply from clerk-1.wait within 0.2 s: it may still run; wait longer with --timeout",
    ),
]


@pytest.mark.parametrize(("args", "says"), ASKED_IN_VAIN)
def test_ask_says_in_one_sentence_why_there_is_no_reply(home, asked, args, says):
    assert says.format(mesh=home.mesh) in sentence(asked[args])


def test_tell_sends_and_prints_nothing(at):
    for text in ("news", "[1, 2]"):
        done = at("tell", "clerk-1", "hear", text)
        assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert json.loads(at("ask", "clerk-1", "told", "--json").stdout)[-2:] == ["news", [1, 2]]


def test_tell_says_when_there_is_nobody_to_tell(at):
    said = sentence(at("tell", "nobody", "hear"))
    assert said.startswith("no actor named 'nobody' in mesh")
    assert said.endswith("check the name with `actormq ps`")  # it has no option to wait longer


# -- sub ------------------------------------------------------------------------------------------


def test_sub_prints_all_that_is_published_without_a_gap(at):
    done = at("sub", "ticks", "--count", "6")
    assert (done.stderr, done.returncode) == ("", 0)
    lines = [line.split() for line in done.stdout.splitlines()]
    first = int(lines[0][1])
    assert lines == [[("even", "odd")[n % 2], str(n)] for n in range(first, first + 6)]


def test_sub_prints_one_object_a_line_for_programs(at):
    done = at("sub", "ticks", "even", "--count", "3", "--json")
    assert (done.stderr, done.returncode) == ("", 0)
    first, *others = map(json.loads, done.stdout.splitlines())
    assert (first["topic"], first["value"] % 2, len(others)) == ("even", 0, 2)
    assert others == [
        {**first, "value": first["value"] + 2 * n, "number": first["number"] + n} for n in (1, 2)
    ]


@pytest.mark.parametrize(
    ("topics", "printed"),
    [((), {"odd", "even"}), (("od", "e"), {"odd", "even"}), (("o",), {"odd"})],
)
def test_sub_takes_beginnings_of_topics(at, topics, printed):
    done = at("sub", "ticks", *topics, "--count", "4")
    assert {line.split()[0] for line in done.stdout.splitlines()} == printed


def test_sub_knows_the_codec_of_the_service(at):
    assert at("sub", "words", "--count", "1").stdout == "parrot good morning\n"
    line = json.loads(at("sub", "words", "--count", "1", "--json").stdout)
    assert line == {"topic": "parrot", "value": "good morning"}


def test_sub_names_the_services_that_there_are(home, at):
    assert sentence(at("sub", "tides")) == (
        f"nobody publishes 'tides' in mesh '{home.mesh}': it has ticks, words"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_the_ordinary_end_of_sub(home, number):
    with home.begin("sub", "ticks", "--join", home.place) as process:
        assert process.stdout.readline()
        process.send_signal(number)
        assert process.wait(100) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize("command", [("sub", "ticks"), ("ps",), ("ps", "--json")])
def test_a_closed_pipe_is_an_ordinary_end(home, command):
    with home.begin(*command, "--join", home.place) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(100) == 0


def test_ctrl_c_ends_ask_as_it_ends_other_programs(home, at):
    with home.begin("ask", "clerk-1", "wait", "30", "--join", home.place) as process:
        until(lambda: "wait 30" in at("ask", "clerk-1", "told").stdout)
        process.send_signal(signal.SIGINT)
        assert process.wait(100) == 128 + signal.SIGINT
        assert (process.stdout.read(), process.stderr.read().strip()) == ("", "")


@pytest.mark.parametrize("module", ["click", "zmq"])  # for all commands, for one
def test_ctrl_c_ends_a_command_that_is_still_being_imported(tmp_path, module):
    (tmp_path / f"{module}.py").write_text(
        "print('importing', flush=True)\ntry:\n    import time; time.sleep(60)\n"
        "except BaseException:\n    print('raised into an import', flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [*ACTORMQ, "node"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 128 + signal.SIGINT
        assert (process.stdout.read(), process.stderr.read()) == ("", "")


# -- which mesh -----------------------------------------------------------------------------------


def four_that_find(home):
    """Seconds that four commands take here that find whom they look for."""
    with Granted() as taken:
        for process in [home.begin("ps", "--join", home.place) for _ in range(4)]:
            assert ended(process).returncode == 0
    return taken.seconds


@pytest.mark.alone  # four programs at once, and a time limit
def test_a_mesh_that_is_not_there_is_said_soon_with_what_to_do(home, mesh_name):
    commands = (("ps",), ("ask", "clerk", "greet"), ("tell", "clerk", "hear"), ("sub", "ticks"))
    with Granted() as taken:
        for process in [home.begin(*command, "--mesh", mesh_name) for command in commands]:
            said = sentence(ended(process))
            assert said.startswith(f"no node of mesh '{mesh_name}' on this machine")
            assert said.endswith(
                ": start one with `actormq node`, or name one with --join HOST:PORT"
            )
    assert taken.seconds - four_that_find(home) < NO_MESH


def test_of_several_meshes_one_has_to_be_chosen(home, mesh_name):
    home.node("--mesh", mesh_name)

    def named():
        done = home.run("ps")
        return done if mesh_name in done.stderr and home.mesh in done.stderr else None

    said = sentence(until(named))
    assert said.startswith("there are several meshes, ")
    assert said.endswith(": choose one with --mesh")
    assert home.run("ps", "--mesh", mesh_name).stdout.endswith(f"1 node in mesh {mesh_name}\n")


def announced(*meshes):
    return [
        Announcement(mesh, f"{n:016x}", f"n{n}", "loopback:0", ("tcp://127.0.0.1:1",), 1)
        for n, mesh in enumerate(meshes)
    ]


def test_the_only_mesh_needs_no_name():
    assert _chosen(announced("home", "home"), None) == announced("home", "home")
    found = announced("home", "lab")
    assert _chosen(found, "lab") == found[1:]
    passing = announced("demo-1", "doctor-2", "home")  # nobody means those, unless they are alone
    assert _chosen(passing, None) == passing[2:]


def test_whoever_finds_no_mesh_is_told_the_command_that_helps():
    for wanted in (None, "farms"):
        with pytest.raises(actormq.MeshNotFound, match=r"start .* with `actormq farm worker`, or"):
            _chosen([], wanted, "`actormq farm worker`")


def test_without_any_mesh_the_sentence_says_how_to_begin():
    with pytest.raises(actormq.MeshNotFound) as caught:
        _chosen([], None)
    assert str(caught.value) == (
        "no mesh on this machine: start a node with `actormq node`, "
        "or name one with --join HOST:PORT"
    )


def _silent(listener):
    """Takes a connection and says nothing until it is closed."""
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            while connection.recv(4096):
                pass


def _web_server(listener):
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


@pytest.mark.alone  # four programs at once, and a time limit
def test_a_place_where_no_node_listens_is_said_soon(home):
    with Granted() as taken, contextlib.ExitStack() as stack:
        router = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.ROUTER))
        place = f"127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}"
        processes = {place: home.begin("ps", "--join", place)}
        place = f"127.0.0.1:{free_port()}"
        processes[place] = home.begin("ps", "--join", place)
        for answer in (_silent, _web_server):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            place = f"127.0.0.1:{listener.getsockname()[1]}"
            other = threading.Thread(target=answer, args=(listener,))
            other.start()
            stack.callback(other.join)
            processes[place] = home.begin("ps", "--join", place)
        who, _ = router.recv_multipart()
        router.send_multipart([who, b"this is no node"])
        for place, process in processes.items():
            assert sentence(ended(process)).startswith(f"cannot reach {place}: ")
    assert taken.seconds - four_that_find(home) < NO_MESH


def test_a_node_of_another_mesh_says_so_at_its_place(home, at, mesh_name):
    assert sentence(at("ps", "--mesh", mesh_name)) == (
        f"cannot reach {home.place}: node 'roof' belongs to mesh '{home.mesh}', "
        f"not to '{mesh_name}': "
        f"start yours with --mesh {home.mesh}"
    )


# -- help, and commands that cannot be understood -------------------------------------------------

COMMANDS = [
    *((), ("node",), ("ps",), ("ask",), ("tell",), ("sub",)),
    *(("farm",), ("farm", "run"), ("farm", "worker"), ("farm", "status")),
    *(("demo",), ("demo", "weather"), ("demo", "farm"), ("demo", "host")),
]


@pytest.fixture(scope="module")
def aloof(tmp_path_factory):
    """How each command ended that needs no mesh."""
    commands = [(*command, "--help") for command in COMMANDS]
    commands += [command for command, _ in MISTAKES]
    home = Home(tmp_path_factory.mktemp("aloof"), "none")
    return home.all({command: command for command in commands})


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_shows_an_example(aloof, command):
    done = aloof[(*command, "--help")]
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith(f"Usage: {' '.join(('actormq', *command))} ")
    _, _, examples = done.stdout.partition("Examples:\n")
    shown = [line.strip() for line in examples.splitlines() if line.strip()]
    assert shown
    assert all(line.startswith("actormq ") for line in shown)
    assert any(line.startswith(" ".join(("actormq", *command))) for line in shown)


def test_the_installed_command_says_its_version():
    command = Path(sys.executable).with_name("actormq")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"actormq, version \d+\.\d+\.\d+\n", done.stdout)


def test_a_group_without_a_command_shows_its_help(home):
    done = home.run("demo")
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: actormq demo ")


MISTAKES = [
    (("pss",), "No such command 'pss'"),
    (("benhc",), "No such command 'benhc'"),
    (("demo", "nothing"), "No such command 'nothing'"),
    (("ask",), "Missing argument 'NAME': see `actormq ask --help`"),
    (("ask", "a"), "Missing argument 'HANDLER': see `actormq ask --help`"),
    (("ask", "a", "b", "--timeout", "soon"), "Invalid value for '--timeout': 'soon' is not"),
    (("ask", "a", "b", "--timeout", "0"), "a number of seconds above 0"),
    (("ask", "a", "b", "--timeout", "nan"), "a number of seconds above 0"),
    (("ask", "a", "b", "--timeout", "inf"), "a number of seconds above 0"),
    (("sub", "a", "--count", "0"), "Invalid value for '--count': 0 is not in the range x>=1"),
    (("ps", "--jsn"), "No such option"),
    (("node", "a:B", "c:D"), "Got unexpected extra argument (c:D): see `actormq node --help`"),
]


@pytest.mark.parametrize(("command", "says"), MISTAKES)
def test_a_command_that_cannot_be_understood_gets_one_line(aloof, command, says):
    said = sentence(aloof[command], status=2)
    assert says in said
    assert said.endswith(" --help`")
    assert "?:" not in said  # some versions of click ask whether another was meant
