"""The deck's programs as processes: our examples, and peers that know nothing of actormq.

A role has one name here, whoever plays it: `ours("hello-server", port=5555)` starts our example,
`foreign("hello-server", port=5555)` the program in the language that the test is run for.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from free_ports import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SOURCES = Path(__file__).parent / "peers"
PEERS = ROOT / ".venv" / "peers"  # where scripts/peers puts what it builds and installs

DEADLINE = 100.0  # s for one line or one end; the slowest takes a few
HARMLESS = (
    "did not end in time and was cut off",  # of who was told to stop, and waited
    # On a busy machine:
    "a reply came after its request was given up",  # it is asked again
    "messages were not handled when the actor stopped",  # they came as it had what it wanted
    "held the loop for",
    "Waiting for queued ZeroMQ messages to be delivered",  # Node.js, at its end
)
POLL = 0.005  # s between looks at a process

OURS = {
    "hello-server": "hello_server.py",
    "hello-client": "hello_client.py",
    "weather-server": "weather_server.py",
    "weather-client": "weather_client.py",
    "ventilator": "task_ventilator.py",
    "worker": "task_worker.py",
    "sink": "task_sink.py",
    "multi-reader": "multi_reader.py",
    "queue": "message_queue.py",
    "proxy": "weather_proxy.py",
}
FOREIGN = {
    "python": [sys.executable, str(SOURCES / "peer.py")],
    "c": [str(PEERS / "peer")],
    "node": ["node", str(SOURCES / "peer.mjs")],
}


def lack_of(language):
    """What this language's peer lacks here, or None."""
    if language == "c" and not (PEERS / "peer").exists():
        return "scripts/peers has built no C peer: it needs gcc, pkg-config and libzmq3-dev"
    if language == "node" and not shutil.which("node"):
        return "there is no node"
    if language == "node" and not (PEERS / "node_modules" / "zeromq").exists():
        return "scripts/peers has not installed the npm package zeromq"
    return None


class Program:
    """One process: what it prints, and how it ends."""

    def __init__(self, command, folder, *, is_ours):
        self.is_ours = is_ours
        self.name = " ".join(Path(word).name for word in command)
        self._out, self._err = folder / "out", folder / "err"
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "NODE_PATH": str(PEERS / "node_modules"),
        }
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environment
            )

    @property
    def lines(self):
        """The whole lines printed so far."""
        return self._out.read_text().rpartition("\n")[0].splitlines()

    @property
    def errors(self):
        return self._err.read_text()

    def line(self, pattern=""):
        """Wait for a line that holds the pattern; returns its match."""
        compiled = re.compile(pattern)
        end = time.monotonic() + DEADLINE
        while True:
            has_ended = self.process.poll() is not None  # asked first: what it printed is then all
            for found in map(compiled.search, self.lines):
                if found:
                    return found
            if has_ended or time.monotonic() > end:
                pytest.fail(f"printed no line with {pattern!r}: {self}")
            time.sleep(POLL)

    def say(self, line):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def close_input(self):
        self.process.stdin.close()

    def send_signal(self, number):
        self.process.send_signal(number)

    def ended(self, *statuses):
        """Wait for the end, with one of these statuses, 0 if none is named; returns all lines."""
        try:
            self.process.wait(DEADLINE)  # communicate() would close its input: it may hang on that
        except subprocess.TimeoutExpired:
            pytest.fail(f"did not end: {self}")
        lines = [line for line in self.errors.splitlines() if not line.startswith("  ")]  # stacks
        assert [x for x in lines if not any(text in x for text in HARMLESS)] == [], self
        assert self.process.returncode in (statuses or (0,)), self
        return self.lines

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def __str__(self):
        status = self.process.poll()
        shown = [f"  {line}" for line in (*self.lines[-10:], *self.errors.splitlines())]
        return "\n".join([f"{self.name} (status {status}) printed", *shown])


class Programs:
    """The processes of one test."""

    def __init__(self, folder):
        self.folder = folder
        self.all = []

    def example(self, role, *arguments, **options):
        """Start our program for a role; a warning of Python's is an error to it."""
        path = str(EXAMPLES / OURS[role])
        return self._start([sys.executable, "-W", "error", path], arguments, options, is_ours=True)

    def peer(self, language, role, *arguments, **options):
        """Start a language's program for a role; without it the test is skipped."""
        if lack := lack_of(language):
            pytest.skip(lack)
        return self._start([*FOREIGN[language], role], arguments, options, is_ours=False)

    def _start(self, command, arguments, options, *, is_ours):
        named = [w for name, value in options.items() for w in (dashed(name), str(value))]
        folder = self.folder / str(len(self.all))
        folder.mkdir()
        whole = [*command, *map(str, arguments), *named, "--host", "127.0.0.1"]
        program = Program(whole, folder, is_ours=is_ours)
        self.all.append(program)
        return program

    def stop(self):
        """End what still runs: silently, ours with status 0 and a peer by the signal."""
        running = [program for program in self.all if program.process.poll() is None]
        try:
            for program in running:
                if program.is_ours:
                    program.line()  # before it says a word, a signal finds it half started
                program.send_signal(signal.SIGTERM)
            for program in running:
                program.ended(0, *([] if program.is_ours else [-signal.SIGTERM]))
        finally:
            for program in self.all:
                program.kill()


def dashed(name):
    return f"--{name.replace('_', '-')}"


@pytest.fixture
def programs(tmp_path):
    """Starts programs, and sees at the test's end that those which still run end well."""
    started = Programs(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def ours(programs):
    """Starts an example of ours by its role."""
    return programs.example


@pytest.fixture
def roles():
    """Which file of ours plays which role."""
    return OURS


@pytest.fixture(params=FOREIGN)
def language(request):
    """Each language of the peers, a test each; skipped where it is not to be had."""
    if lack := lack_of(request.param):
        pytest.skip(lack)  # here, before a program of ours has to be stopped half started
    return request.param


@pytest.fixture
def foreign(programs, language):
    """Starts the language's peer by its role."""
    return partial(programs.peer, language)


@pytest.fixture
def ports():
    """Find free ports: `ports(2)`."""

    def ports(count):
        found = set()
        while len(found) < count:
            found.add(free_port())
        return list(found)

    return ports


@pytest.fixture
def port(ports):
    """A free port."""
    return ports(1)[0]
