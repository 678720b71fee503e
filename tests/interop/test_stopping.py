"""Every example of the deck can be stopped while it waits for its peers, and says nothing more."""

import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
ENDING = {"hello.py", "average.py"}  # by themselves, and soon: tests/test_examples.py runs them
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
    program = ours(role, **dict(zip(names, ports(len(names)), strict=True)))
    program.line()  # it says what it is doing
    program.send_signal(number)
    program.ended(0 if role in SERVERS else 128 + number)


def test_a_ventilator_stops_while_it_waits_for_workers(ours, port):
    program = ours("ventilator", "--yes", port=port, workers=2)
    program.line()
    program.send_signal(signal.SIGTERM)
    program.ended(128 + signal.SIGTERM)
