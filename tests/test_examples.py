"""The examples run as they stand, and what README and docs/patterns.md show is what they are."""

import asyncio
import hashlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import actormq

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
FILES = sorted(path for path in EXAMPLES.iterdir() if path.suffix in {".py", ".toml"})
DECK = [  # the programs of ZeroMQ's slides
    "hello_server.py",
    "hello_client.py",
    "weather_server.py",
    "weather_client.py",
    "task_ventilator.py",
    "task_worker.py",
    "task_sink.py",
    "multi_reader.py",
    "weather_proxy.py",
    "message_queue.py",
]

pytestmark = pytest.mark.slow


def run(name):
    """What an example prints; it has to end by itself, without a word on stderr."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
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


def test_executor_hashes_files():
    *lines, power = run("executor.py")
    assert lines == [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()[:12]} {path.name}"
        for path in sorted(EXAMPLES.glob("hello*.py"))
    ]
    assert power == str(2**100)


def test_farm_counts_all_primes():
    assert run("farm.py") == ["9592 primes below 100000"]


def test_supervised_fails_once_and_comes_back_with_what_it_had():
    command = [sys.executable, "-W", "error", str(EXAMPLES / "supervised.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "roof is back after: there is no -1.0 K",
        "good readings: 3",
    ]
    assert done.stderr.count("roof.note failed: it is restarted in 0.") == 1
    assert done.stderr.count("Traceback") == 1


def test_elected_hands_the_name_over_when_its_holder_leaves():
    assert run("elected.py") == [
        "roof schedules",
        "cellar stands by",
        "found on roof",
        "roof stands by",
        "cellar schedules",
        "found on cellar",
        "cellar stands by",
    ]


def test_home_runs_a_station_until_it_is_told_to_stop(mesh_name):
    command = [sys.executable, "-m", "actormq", "node", str(EXAMPLES / "home.toml")]
    with subprocess.Popen(
        [*command, "--mesh", mesh_name], stderr=subprocess.PIPE, text=True
    ) as node:
        started = node.stderr.readline()
        actormq = [sys.executable, "-m", "actormq"]
        join = ["--join", re.search(r"tcp://(\S+)", started)[1], "--json"]
        ask = [*actormq, "ask", "station-98101", "progress", *join]
        found = _until_it_works(ask)
        node.send_signal(signal.SIGINT)
        assert node.wait(100) == 0
        assert "Traceback" not in node.stderr.read()
    assert f"roof: started in mesh {mesh_name}" in started
    assert '"station":"98101"' in found


def _until_it_works(command):
    end = time.monotonic() + 60
    while True:
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < end, done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_first_line_says_how_to_run_an_example(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    way = "python" if path.suffix == ".py" else "actormq node"
    assert re.fullmatch(rf"# .+: {way} examples/{re.escape(path.name)}( \d+)?", first)


@pytest.mark.parametrize("name", DECK)
def test_a_program_of_the_deck_has_15_to_40_lines_of_code(name):
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert 15 <= len(code) <= 40


@pytest.mark.parametrize("name", DECK)
def test_a_program_of_the_deck_tells_its_options(name):
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert "--host" in done.stdout
    assert "port" in done.stdout


# -- what pages show --------------------------------------------------------------------------


def blocks(page, language="python"):
    """What a page of the project shows in a language, block by block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def is_program(block):
    """Whether a block brings all that it needs, and so has to be a file of `examples/`."""
    return re.search(r"^(from|import) ", block, re.MULTILINE) is not None


def fragments(page):
    """The blocks of a page that are parts of programs."""
    return [block for block in blocks(page) if not is_program(block)]


def defined(block):
    """What a fragment defines, where the public names of actormq are imported."""
    names = {name: getattr(actormq, name) for name in actormq.__all__}
    namespace = {"__name__": "fragment", "asyncio": asyncio, **names}
    exec(compile(block, "fragment", "exec", dont_inherit=True), namespace)
    return namespace


def shown(page, name):
    """A class that a fragment of a page defines, and what else it does."""
    (block,) = (block for block in fragments(page) if f"class {name}(" in block)
    return defined(block)


def test_the_programs_that_readme_shows_are_examples():
    examples = {path.name: body(path.read_text(encoding="utf-8")) for path in FILES}
    programs = [body(block) for block in blocks("README.md") if is_program(block)]
    assert examples["hello.py"] in programs
    assert [program for program in programs if program not in examples.values()] == []
    assert [body(block) for block in blocks("README.md", "toml")] == [examples["home.toml"]]


@pytest.mark.parametrize("name", DECK)
def test_patterns_shows_a_program_of_the_deck_word_for_word(name):
    assert (EXAMPLES / name).read_text(encoding="utf-8") in blocks("docs/patterns.md")


@pytest.mark.parametrize("page", ["docs/patterns.md", "docs/farm.md"])
def test_the_programs_that_a_page_shows_are_examples(page):
    examples = [path.read_text(encoding="utf-8") for path in FILES]
    programs = [block for block in blocks(page) if is_program(block)]
    assert programs
    assert [program for program in programs if program not in examples] == []


@pytest.mark.parametrize("page", ["README.md", "docs/patterns.md"])
def test_the_fragments_of_a_page_define_actors(page):
    assert fragments(page)
    for fragment in fragments(page):
        classes = [each for each in defined(fragment).values() if isinstance(each, type)]
        own = [each for each in classes if each.__module__ == "fragment"]
        assert own
        assert [each for each in own if not issubclass(each, actormq.Actor)] == []


async def test_the_desk_of_patterns_gives_more_to_the_quick_worker(mesh, until, capsys):
    page = shown("docs/patterns.md", "Desk")
    node = await mesh.start()
    await node.spawn(page["Desk"], "desk")
    await node.spawn(page["Worker"], "slow", 1.0)
    await node.spawn(page["Worker"], "quick", 0.01)
    lines = []

    def are_done():
        lines.extend(capsys.readouterr().out.splitlines())
        return len(lines) == 5

    await until(are_done)
    workers, trees = zip(*(line.split(" did ") for line in lines), strict=True)
    assert workers == ("quick", "quick", "quick", "quick", "slow")
    assert sorted(trees) == ["ash", "birch", "cedar", "date", "elm"]


async def test_the_players_of_patterns_take_turns(mesh, until, capsys):
    player = shown("docs/patterns.md", "Player")["Player"]
    node = await mesh.start()
    anna = await node.spawn(player, "anna", "inproc://court")
    await node.spawn(player, "bert", "", "inproc://court")
    anna.tell(player.ball, 1)
    lines = []

    def are_done():
        lines.extend(capsys.readouterr().out.splitlines())
        return len(lines) == 3

    await until(are_done)
    assert lines == ["anna 1", "bert 2", "anna 3"]
