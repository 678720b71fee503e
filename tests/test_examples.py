"""The examples run as they stand, and what README shows is what they are."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
FILES = sorted(path for path in EXAMPLES.iterdir() if path.suffix in {".py", ".toml"})

pytestmark = pytest.mark.slow


def run(name):
    """What an example prints; it has to end by itself, without a word on stderr."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.splitlines()


def body(text):
    """A program without the comment lines at its head: they say what it does, or its name."""
    lines = text.strip().splitlines()
    while lines and lines[0].startswith("#"):
        del lines[0]
    return lines


def test_hello_greets():
    assert run("hello.py") == ["hello LAN"]


def test_average_averages_what_it_heard():
    *readings, average = run("average.py")
    values = [float(re.fullmatch(r"here (\S+) %", line)[1]) for line in readings][:5]
    assert len(values) == 5
    mean = float(re.fullmatch(r"on average (\S+) %", average)[1])
    assert mean == pytest.approx(sum(values) / 5, abs=0.1)  # both are rounded to a tenth
    assert 0 < mean < 100


def test_home_runs_a_station_until_it_is_told_to_stop(mesh):
    command = [sys.executable, "-m", "actormq", "node", str(EXAMPLES / "home.toml")]
    with subprocess.Popen([*command, "--mesh", mesh], stderr=subprocess.PIPE, text=True) as node:
        started = node.stderr.readline()
        actormq = [sys.executable, "-m", "actormq"]
        join = ["--join", re.search(r"tcp://(\S+)", started)[1], "--json"]
        ask = [*actormq, "ask", "station-98101", "progress", *join]
        found = _until_it_works(ask)
        node.send_signal(signal.SIGINT)
        assert node.wait(10) == 0
        assert "Traceback" not in node.stderr.read()
    assert f"roof: started in mesh {mesh}" in started
    assert '"station":"98101"' in found


def _until_it_works(command):
    end = time.monotonic() + 20
    while True:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < end, done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_first_line_says_how_to_run_an_example(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    way = "python" if path.suffix == ".py" else "actormq node"
    assert first.startswith("# ")
    assert first.endswith(f": {way} examples/{path.name}")


def test_what_readme_shows_in_python_and_toml_are_examples():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = [
        body(block) for block in re.findall(r"```(?:python|toml)\n(.*?)```", readme, re.DOTALL)
    ]
    examples = {path.name: body(path.read_text(encoding="utf-8")) for path in FILES}
    assert examples["hello.py"] in shown
    assert examples["home.toml"] in shown
    assert [block for block in shown if block not in examples.values()] == []
