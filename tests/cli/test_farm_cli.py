"""`actormq farm` as users have it: real processes, what they print, and how they end."""

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from actormq.cli import main
from actormq.cli.farm.run import way_on

pytestmark = pytest.mark.slow

COMMAND = str(Path(sys.executable).with_name("actormq"))  # other than -m, it adds no folder
ACTORMQ = [sys.executable, "-W", "error", COMMAND]

SOURCE = """
import os
import time
from pathlib import Path


def size(path):
    return os.path.getsize(path)


def noted(text):
    with open("noted", "a") as file:
        file.write(text + "\\\\n")
    time.sleep(0.02)
    return text.upper()


def gate(text):
    if text.startswith("wait"):
        Path(text).touch()
        while not Path("open").exists():
            time.sleep(0.005)
    return text


def odd(text):
    return {"bytes": text.encode(), 1: float("nan")}
""".replace("\\\\", "\\")


def until(condition, seconds=100.0):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)
    return value


class Home:
    """A folder with functions in it, a mesh, and the commands that are run there."""

    def __init__(self, folder):
        self.folder = folder
        self.mesh = f"test-{secrets.token_hex(6)}"
        self.started = []
        (folder / "jobs.py").write_text(SOURCE)

    def begin(self, *args, folder=None, **options):
        """Start a command and go on."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [*ACTORMQ, "farm", *args, "--mesh", self.mesh],
            cwd=folder or self.folder,
            text=True,
            **{**pipes, **options},
        )
        self.started.append(process)
        return process

    def run(self, *args, given=None):
        """Run a command to its end."""
        process = self.begin(*args, stdin=subprocess.PIPE if given is not None else None)
        out, err = process.communicate(given, timeout=100)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def lines(self, name):
        """The results in a file."""
        path = self.folder / name
        return list(map(json.loads, path.read_text().splitlines())) if path.exists() else []

    def end(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    try:
        yield home
    finally:
        home.end()


def test_each_input_is_a_line_of_json_and_failures_are_counted(home):
    given = ["jobs.py", "vanished"]
    done = home.run("run", "jobs:size", *given, "--retries", "1", "--workers", "1", "--tracebacks")
    first, second = sorted(
        map(json.loads, done.stdout.splitlines()), key=lambda line: line["input"]
    )
    assert first == {"input": "jobs.py", "result": len(SOURCE), "tries": 1}
    error = "FileNotFoundError: [Errno 2] No such file or directory: 'vanished'"
    assert "    return os.path.getsize(path)\n" in second.pop("traceback")
    assert second == {"input": "vanished", "error": error, "tries": 2}
    assert done.returncode == 1
    summary, failed = done.stderr.splitlines()
    assert summary.startswith("2 tasks in ")
    assert summary.endswith("; 1 tried again")
    assert failed == 'actormq: 1 task failed: look for "error" in what was printed'


def test_where_no_task_can_take_a_text_it_is_said_that_inputs_are_texts(home):
    done = home.run("run", "math:sqrt", "4", "9", "--retries", "0", "--workers", "1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        'actormq: 2 tasks failed: look for "error" in what was printed; '
        "inputs are texts: annotate the argument as str, or convert it"
    )


@pytest.mark.parametrize(
    ("out", "durable", "says"),
    [
        ("", None, "nothing of this run was kept; one with --out FILE can be gone on with"),
        ("out.jsonl", None, "the same command with --resume goes on from here"),
        ("", "batch.sqlite", "the same command with --resume goes on from here"),
    ],
)
def test_a_run_that_was_stopped_promises_no_more_than_it_kept(out, durable, says):
    assert way_on(out, durable).startswith(says)


def test_a_line_that_is_no_text_ends_the_input_and_not_what_came_before(home):
    text = "a\nb\nc\udcff\nd\n"
    process = home.begin(
        *("run", "jobs:gate", "-", "--workers", "1", "--out", "out.jsonl"),
        stdin=subprocess.PIPE,
        errors="surrogateescape",
    )
    out, err = process.communicate(text, timeout=100)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines() == [
        "results so far are in out.jsonl: go on with --resume",
        "actormq: standard input, line 3: no UTF-8 text, which all inputs are",
    ]
    assert [line["input"] for line in home.lines("out.jsonl")] == ["a", "b"]


def test_what_is_closed_is_said(home):
    closed = {"stdin": 0, "stdout": 1, "stderr": 2}
    said = {}
    for name, number in closed.items():
        command = [*ACTORMQ, "farm", "run", "jobs:gate", "a", "-", "--mesh", home.mesh]
        command += ["--workers", "1", "-q"]
        shell = ["sh", "-c", f'exec "$@" {number}>&-', "sh", *command]
        done = subprocess.run(
            shell, cwd=home.folder, input="b\n", capture_output=True, text=True, check=False
        )
        said[name] = (done.returncode, done.stdout.count("\n"), done.stderr)
    assert said == {
        "stdin": (
            1,
            1,
            "actormq: standard input is closed: let it be a file or a pipe, or give no -\n",
        ),
        "stdout": (1, 0, "actormq: standard output is closed: name a file with --out FILE\n"),
        "stderr": (0, 2, ""),
    }


def test_a_reader_that_has_had_enough_ends_the_run_which_says_how_far_it_was(home):
    reader, writer = os.pipe()
    os.close(reader)
    inputs = [str(n) for n in range(3_000)]
    args = ("run", "jobs:noted", *inputs, "--workers", "1", "-q")
    process = home.begin(*args, stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert re.fullmatch(
        r"actormq: standard output was closed: \d+ of 3,000 tasks were done\n", err
    ), err


@pytest.mark.parametrize("kept", [(), ("--durable", "batch.sqlite")], ids=["out", "durable"])
def test_a_run_that_was_killed_goes_on_where_it_stopped(home, kept):
    inputs = [f"{n % 30}" for n in range(60)]  # each of them twice
    text = "".join(f"{each}\n" for each in inputs)
    args = ("run", "jobs:noted", "-", "--out", "out.jsonl", "--workers", "2", "-q", *kept)
    process = home.begin(*args, stdin=subprocess.PIPE)
    process.stdin.write(text)
    process.stdin.close()
    until(lambda: len(home.lines("out.jsonl")) > 10)
    process.kill()
    process.wait()
    before = len(home.lines("out.jsonl"))
    assert before < len(inputs)
    with (home.folder / "out.jsonl").open("a") as file:
        file.write('{"input":"0","res')
    done = home.run(*args, "--resume", given=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = home.lines("out.jsonl")
    assert Counter(line["input"] for line in lines) == Counter(inputs)
    assert all(line["result"] == line["input"].upper() for line in lines)
    runs = Counter((home.folder / "noted").read_text().split())
    assert not Counter(inputs) - runs
    args = [arg for arg in args if arg != "-q"]
    again = home.run(*args, "--resume", given=text)  # there is nothing left to do
    assert again.returncode == 0
    assert re.search(r"^0 tasks in \d\.\d s; 60 were done before$", again.stderr, re.MULTILINE)
    assert home.lines("out.jsonl") == lines
    assert Counter((home.folder / "noted").read_text().split()) == runs


def test_ctrl_c_lets_what_runs_come_to_its_end(home):
    inputs = ["a", "wait-1", *map(str, range(3_000))]  # more than a slot has at a time
    args = ("run", "jobs:gate", *inputs, "--workers", "1", "--out", "out.jsonl")
    process = home.begin(*args)
    until((home.folder / "wait-1").exists)
    process.send_signal(signal.SIGINT)
    until(lambda: process.stderr.readline().startswith("stopping: what runs has 10 s to end"))
    (home.folder / "open").touch()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    last = err.splitlines()[-1]
    assert last == (
        "actormq: stopped before the end: the same command with --resume goes on from here"
    )
    done = [line["input"] for line in home.lines("out.jsonl")]
    assert done[:2] == ["a", "wait-1"]
    assert len(done) < len(inputs)
    rest = home.run(*args, "--resume")
    assert rest.returncode == 0
    assert Counter(line["input"] for line in home.lines("out.jsonl")) == Counter(inputs)


def test_the_second_ctrl_c_ends_it_at_once(home):
    process = home.begin("run", "jobs:gate", "wait-1", "--workers", "1")
    until((home.folder / "wait-1").exists)
    process.send_signal(signal.SIGINT)
    until(lambda: process.stderr.readline().startswith("stopping: "))
    process.send_signal(signal.SIGINT)
    assert process.wait(100) == -signal.SIGINT


def test_workers_join_say_what_they_do_and_leave_in_order(home, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # where there is no jobs.py
    able = home.begin("worker", "--name", "able", "--slots", "1")
    lame = home.begin("worker", "--name", "lame", "--slots", "1", folder=elsewhere)
    inputs = ["wait-1", *map(str, range(20))]
    batch = home.begin(
        *("run", "jobs:gate", *inputs, "--workers", "0", "--min-workers", "2", "--name", "gates"),
        *("--out", "out.jsonl"),
    )
    until((home.folder / "wait-1").exists)
    until(lambda: "takes no task of jobs:gate: module 'jobs'" in lame.stderr.readline())
    lame.send_signal(signal.SIGINT)
    assert lame.wait(100) == 0
    (found,) = json.loads(home.run("status", "--json").stdout)["farms"]
    assert (found["name"], found["jobs"], found["workers"]) == ("gates", ["jobs:gate"], {"able": 1})
    assert (found["progress"]["total"], found["progress"]["running"] > 0) == (21, True)
    (home.folder / "open").touch()
    assert batch.wait(100) == 0
    assert Counter(line["input"] for line in home.lines("out.jsonl")) == Counter(inputs)
    assert "node 'lame' takes no task of jobs:gate" in batch.stderr.read()
    said = []
    until(lambda: said.append(able.stderr.readline()) or "has ended" in said[-1])
    able.terminate()
    assert able.wait(100) == 0
    assert [line.split(maxsplit=3)[-1] for line in said + able.stderr.readlines()] == [
        f"able: offers 1 slot to the farms of mesh {home.mesh}\n",
        "able: joins farm 'gates'\n",
        "able: farm 'gates' has ended\n",
        "able: takes no more tasks; what runs has 10 s to end\n",
    ]


def test_a_worker_that_nobody_needs_ends_by_itself(home):
    done = home.run("worker", "--name", "idle", "--slots", "3", "--idle-exit", "0.2", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- what is wrong with a command, in this process: nothing is started -----------------------------

MISTAKES = [
    (2, ("jobs:size", "a", "--workers", "-1"), "'--workers': -1 is not in the range x>=0"),
    (2, ("jobs:size", "a", "--retries", "-1"), "'--retries': -1 is not in the range x>=0"),
    (2, ("jobs:size", "a", "--task-timeout", "0"), "0.0 is not in the range x>0"),
    (2, ("jobs:size",), "Missing argument 'INPUT...'"),
    (2, ("jobs:size", "a", "--resume"), "--resume goes on with --out FILE, --durable FILE or both"),
    (1, ("jobs", "a"), "'jobs' is no function: write it as module:function"),
    (1, ("jbos:size", "a"), "there is no module 'jbos': looked in this folder and"),
    (1, ("jobs:sise", "a"), "module 'jobs' has no function 'sise': it has gate, noted, odd, size"),
    (1, ("jobs:SOURCE", "a"), "jobs:SOURCE is no function: it is str and no more"),
    (1, ("faulty:f", "a"), "module 'faulty' cannot be imported: ZeroDivisionError: "),
    (1, ("needy:f", "a"), "module 'needy' needs 'no_such_module_at_all': install it"),
    (1, ("jobs:size", "-", "-"), "- is standard input, which can be read once: give it once"),
    (1, ("jobs:size", "a", "--out", "."), ". cannot be written: Is a directory"),
    (1, ("jobs:size", "a", "--out", "x/y"), "x/y cannot be written: No such file or directory"),
    (1, ("jobs:size", "a", "--out", "old"), "old is there already: go on with it by --resume, or"),
    (1, ("jobs:size", "a", "--out", "old", "--resume"), "old, line 1 is no result of a farm"),
    (1, ("jobs:size", "a", "--durable", "old"), "old is there already: go on with its tasks by "),
    (1, ("jobs:size", "a", "--mesh", "no/name"), "mesh name 'no/name' cannot be used"),
    (1, ("jobs:size", "a", "--lan"), "lan is the keyed mesh across machines, which this version"),
]


@pytest.mark.parametrize(("status", "args", "says"), MISTAKES)
def test_what_cannot_be_is_said_in_one_sentence(tmp_path, monkeypatch, capsys, status, args, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("jobs", "faulty", "needy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "jobs.py").write_text(SOURCE + "\nSOURCE = 'text'\n")
    (tmp_path / "faulty.py").write_text("1 / 0\n")
    (tmp_path / "needy.py").write_text("import no_such_module_at_all\n")
    (tmp_path / "old").write_text("something else\n")
    with contextlib.ExitStack() as stack:
        ended = stack.enter_context(pytest.raises(SystemExit))
        main(["farm", "run", *args], prog_name="actormq")
    out, err = capsys.readouterr()
    assert (ended.value.code, out, len(err.splitlines())) == (status, "", 1)
    assert says in err
    assert (tmp_path / "old").read_text() == "something else\n"
