"""Every example of the deck can be stopped while it waits for its peers, and says little more."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
ENDING = {
    "hello.py",
    "average.py",
    "supervised.py",
    "elected.py",
    "executor.py",
    "farm.py",
}  # by themselves, and soon: tests/test_examples.py runs them
SERVERS = {"hello-server", "weather-server", "worker", "multi-reader", "queue", "proxy"}
PROGRAMS = {  # role: its port options
    "hello-server": ["port"],
    "hello-client": ["port"],
    "weather-server": ["port"],
    "weather-client": ["port"],
    "ventilator": ["port"],
    "worker": ["port", "sink_port"],
    "sink": ["port"],
    "multi-reader": ["task_port", "weather_port"],
    "queue": ["frontend_port", "backend_port"],
    "proxy": ["port", "proxy_port"],
}


def test_no_example_is_left_out(roles):
    here = {path.name for path in EXAMPLES.glob("*.py")}
    assert {roles[role] for role in PROGRAMS} == here - ENDING


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("role", PROGRAMS)
def test_an_example_stops_cleanly_on(role, number, ours, ports):
    names = PROGRAMS[role]
    words = ["--yes"] if role == "ventilator" else []  # else it waits for Enter: see below
    program = ours(role, *words, **dict(zip(names, ports(len(names)), strict=True)))
    program.line()  # it says what it is doing
    program.send_signal(number)
    program.ended(0 if role in SERVERS else 128 + number)


@pytest.mark.parametrize(
    ("number", "status", "says"), [(signal.SIGINT, 1, "\nAborted!\n"), (signal.SIGTERM, -15, "")]
)
def test_a_ventilator_stops_while_it_waits_for_enter(port, number, status, says):
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "task_ventilator.py", "--port", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline().startswith("press Enter")
        process.send_signal(number)
        assert process.wait(30) == status
        assert process.stderr.read() == says
