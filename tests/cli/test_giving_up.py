"""`actormq node` when a supervisor at the top gives up: a sentence, a status, no traceback."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
from actormq import Actor, Backoff, Supervisor, child, handler

class Part(Actor):
    async def on_start(self):
        self.after(0.0, "crash")

    @handler
    def crash(self):
        raise OSError("no sensor")

class Rack(Supervisor):
    backoff = Backoff(first=0.0)
    max_restarts = 1
    children = [child(Part, "part")]

class Late(Supervisor):
    def __init__(self):
        self.period = -1

class Chicken(Supervisor):
    pass

class Egg(Supervisor):
    children = [child(Chicken)]

Chicken.children = [child(Egg)]

class Unborn(Supervisor):
    def __init__(self):
        raise OSError("no sensor")

class Leaving(Actor):
    async def on_start(self):
        self.after(0.0, "leave")

    @handler
    def leave(self):
        raise SystemExit(7)

class LeavingAtOnce(Actor):
    async def on_start(self):
        raise SystemExit(7)
"""


@pytest.fixture
def node(tmp_path, mesh_name):
    (tmp_path / "rack.py").write_text(PROGRAM)

    def node(kind):
        command = [sys.executable, "-m", "actormq", "node", f"rack:{kind}", "--no-zeroconf", "-q"]
        return subprocess.run(
            [*command, "--mesh", mesh_name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return node


def test_a_supervisor_at_the_top_that_gives_up_ends_the_program_with_a_sentence(node):
    done = node("Rack")
    assert (done.returncode, done.stdout) == (1, "")
    *lines, last = done.stderr.splitlines()
    assert last.startswith("actormq: supervisor 'rack' gave up: 'part' failed again, OSError: no ")
    assert sum("Traceback" in line for line in lines) == 2  # the two that the log tells of
    assert "RestartLimitReached" not in done.stderr
    assert "actormq/" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("Unborn", "actor 'unborn' did not start: its constructor raised OSError: no sensor"),
        ("Late", "supervisor Late: period=-1: a number is wanted, seconds above 0"),
        ("Egg", "Egg -> Chicken -> Egg: supervisors that contain each other would never all start"),
    ],
)
def test_a_supervisor_that_cannot_be_is_refused_in_a_sentence(node, kind, sentence):
    done = node(kind)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"actormq: {sentence}\n")


@pytest.mark.parametrize("kind", ["Leaving", "LeavingAtOnce"])
def test_an_actor_that_exits_ends_the_program_with_its_status_and_nothing_falls_over(node, kind):
    done = node(kind)
    assert done.returncode == 7
    assert "the node ends: SystemExit: 7" in done.stderr
    assert "never retrieved" not in done.stderr
    assert "ending.py" not in done.stderr
