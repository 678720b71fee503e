"""`actormq lint` as users have it: real files, real actors beside them, what is printed and how."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.slow

ACTORMQ = [sys.executable, "-W", "error", "-m", "actormq"]

FARM = """
from actormq import Actor, Publisher, Puller, Pusher, Router, Subscriber


class Ventilator(Actor):
    tasks = Pusher(bind="tcp://{host}:{port}")

    def __init__(self, port: int = 5557, host: str = "*") -> None:
        self.host, self.port = host, port
        raise SystemExit("lint makes no actors")


class Worker(Actor):
    work = Puller(connect="tcp://{host}:5557")
    results = Pusher(service="results", connect=True)

    def __init__(self, host: str = "localhost") -> None:
        self.host = host

    @work.received
    def do(self, task) -> None: ...


class Sink(Actor):
    results = Puller(service="results", bind=True)

    @results.received
    def note(self, result) -> None: ...


class Average(Actor):
    readings = Subscriber(connect="tcp://localhost:5557")

    async def on_start(self) -> None:
        await self.readings.subscribe("")

    @readings.received
    def note(self, topic, reading) -> None: ...


class Deaf(Actor):
    news = Subscriber(service="news")

    @news.received
    def note(self, topic, what) -> None: ...


class Mute(Actor):
    door = Router(bind="tcp://*:5559")

    @door.received
    def hear(self, peer, *frames) -> None: ...


class Clock(Actor):
    feed = Publisher(service="ticks")
"""

FILES = {
    "good.toml": ["Ventilator", "Worker", "Sink"],
    "clock.toml": ["Clock"],
    "empty.toml": [],
    "bad.toml": ["Ventilator", "Average"],
    "lonely.toml": ["Deaf", "Mute"],
    "nobody.toml": ["Nobody"],
    "torn.toml": ['Clock"\nname = '],
}

MISMATCH = 'ventilator.tasks: PUSH "tasks" cannot feed SUB "readings"; PUSH goes with PULL'
SUBSCRIBE = (
    'deaf.news: SUB "news" has no subscription, so nothing comes in: '
    "call `await self.news.subscribe(...)` in on_start"
)
ANSWER = (
    'mute.door: ROUTER "door" never answers those who write to it: reply with '
    "`self.door.send(...)`, or let PUSH and PULL do what goes one way"
)

RUNS = {
    "good": ("good.toml",),
    "one": ("clock.toml",),
    "none": ("empty.toml",),
    "both": ("good.toml", "clock.toml", "./good.toml"),
    "bad": ("bad.toml",),
    "bad and good": ("good.toml", "bad.toml"),
    "lonely": ("lonely.toml",),
    "good as JSON": ("good.toml", "clock.toml", "--json"),
    "bad as JSON": ("--json", "lonely.toml"),
    "not there": ("good.toml", "nowhere.toml"),
    "no class": ("nobody.toml",),
    "no TOML": ("torn.toml",),
    "nothing": (),
    "help": ("--help",),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("farm")
    (folder / "farm.py").write_text(FARM)
    for name, actors in FILES.items():
        text = "".join(f'[[actor]]\nclass = "farm:{actor}"\n' for actor in actors)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def lint(folder):
    """Runs the command to its end."""

    def lint(*args, **options):
        return subprocess.run(
            [*ACTORMQ, "lint", *args],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            **options,
        )

    return lint


@pytest.fixture(scope="module")
def runs(lint):
    """How each of RUNS ended; two at a time."""
    with ThreadPoolExecutor(2) as pool:
        ended = pool.map(lambda args: lint(*args), RUNS.values())
        return dict(zip(RUNS, ended, strict=True))


def outcome(done):
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.mark.parametrize(
    ("run", "printed"),
    [
        ("good", ["good.toml: 4 sockets, nothing to complain of"]),
        ("one", ["clock.toml: 1 socket, nothing to complain of"]),
        ("none", ["empty.toml: 0 sockets, nothing to complain of"]),
    ],
)
def test_a_file_in_order_is_counted(runs, run, printed):
    assert outcome(runs[run]) == (0, printed, [])


def test_each_of_several_files_is_counted_once(runs):
    names = ["good.toml: 4 sockets", "clock.toml: 1 socket"]
    assert outcome(runs["both"]) == (0, [f"{name}, nothing to complain of" for name in names], [])


def test_each_mistake_is_a_line(runs):
    assert outcome(runs["bad"]) == (1, [f"bad.toml: {MISMATCH}"], [])
    expected = [f"lonely.toml: {SUBSCRIBE}", f"lonely.toml: {ANSWER}"]
    assert outcome(runs["lonely"]) == (1, expected, [])


def test_files_given_together_are_looked_at_together(runs):
    """The file in order has a ventilator of its own, so that only the names get longer."""
    line = f"bad.toml: {MISMATCH}".replace('PUSH "tasks"', 'PUSH "bad.toml: ventilator.tasks"')
    assert outcome(runs["bad and good"]) == (1, [line], [])


def test_programs_are_told_all_of_it(runs):
    done = runs["good as JSON"]
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "files": [{"file": "good.toml", "sockets": 4}, {"file": "clock.toml", "sockets": 1}],
        "findings": [],
    }
    done = runs["bad as JSON"]
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == {
        "files": [{"file": "lonely.toml", "sockets": 2}],
        "findings": [
            {
                "file": "lonely.toml",
                "actor": line.partition(".")[0],
                "attribute": line.partition(".")[2].partition(":")[0],
                "sentence": line.partition(": ")[2],
            }
            for line in (SUBSCRIBE, ANSWER)
        ],
    }


@pytest.mark.parametrize(
    ("run", "status", "says"),
    [
        ("not there", 1, "nowhere.toml cannot be read: No such file or directory; name a"),
        (
            "no class",
            1,
            "nobody.toml, actor 1: module 'farm' has no class 'Nobody': it has Average",
        ),
        ("no TOML", 1, "torn.toml is no TOML: "),
        ("nothing", 2, "Missing argument 'FILE...': see `"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(runs, run, status, says):
    found, printed, errors = outcome(runs[run])
    assert (found, printed, len(errors)) == (status, [], 1)
    assert errors[0].startswith(f"actormq: {says}")


def test_help_shows_examples(runs):
    done = runs["help"]
    assert (done.returncode, done.stderr) == (0, "")
    assert "actormq lint farm.toml workers.toml" in done.stdout


def test_standard_input_is_a_file_too(lint, folder):
    done = lint("-", input=(folder / "bad.toml").read_text())
    assert outcome(done) == (1, [f"standard input: {MISMATCH}"], [])


def test_a_reader_that_has_had_enough_is_no_error(folder):
    """The status is 0 as with all commands then: what was wrong went unread."""
    with subprocess.Popen(
        [*ACTORMQ, "lint", "bad.toml"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 0
