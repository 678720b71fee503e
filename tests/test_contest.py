"""The bench: contestants take turns, ratios are of one round, and one that fails is left out."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "scripts" / "benchmarks"
sys.path.insert(0, str(FOLDER))  # its files import each other as programs do

import pages  # noqa: E402 as above
import plot  # noqa: E402 as above
import store  # noqa: E402 as above
import sweeps  # noqa: E402 as above
from contest import Contestant, Failed, Outcome, contest  # noqa: E402 as above
from goals import US, Work, at_least, at_most, written  # noqa: E402 as above
from programs import NAMES, PROGRAMS, environment  # noqa: E402 as above
from ratios import figure, ratio, verdict  # noqa: E402 as above
from works import WORKS  # noqa: E402 as above

TINY = """
import sys
from contextlib import contextmanager
from protocol import Unavailable, rate, serve

@contextmanager
def work(settings):
    if settings.get("lacks"):
        raise Unavailable("it needs " + settings["lacks"])
    print("a word that is no part of the conversation")
    diary, done = open(settings["diary"], "a"), 0
    def note(what):
        print(settings["name"], what, file=diary, flush=True)
    def once(seconds):
        nonlocal done
        done += 1
        note(seconds)
        if done == int(settings.get("crashes", 0)):
            raise SystemExit("out of paper")
        return rate(done * int(settings.get("times", 1)), 1.0)
    yield once
    note("ended")

serve({"tiny": work})
"""


@pytest.fixture
def tiny(tmp_path):
    """Commands of contestants that write what they do into one diary, and the diary."""
    program, diary = tmp_path / "tiny.py", tmp_path / "diary"
    program.write_text(TINY, encoding="utf-8")
    diary.touch()

    def command(name, **settings):
        words = {"name": name, "diary": diary, **settings}
        return [
            sys.executable,
            str(program),
            "tiny",
            *(f"{key}={value}" for key, value in words.items()),
        ]

    return command, lambda: diary.read_text(encoding="utf-8").split("\n")[:-1]


def hold(commands, rounds=2, said=None):
    heard = [] if said is None else said
    return contest(commands, rounds, 0.5, heard.append, environment())


@pytest.mark.slow
def test_contestants_take_turns_round_by_round_and_end_with_their_input(tiny):
    command, diary = tiny
    outcome = hold({name: command(name) for name in ("us", "them")})
    rounds = [line for line in diary() if line.endswith(" 0.5")]
    assert rounds == ["us 0.5", "them 0.5"] * 2
    assert sorted(diary()[-2:]) == ["them ended", "us ended"]
    assert outcome.left_out == {}
    # Each did two rounds before: one to be ready, one to be warm.
    assert [each["value"] for each in outcome.rounds["us"]] == [3.0, 4.0]


@pytest.mark.slow
def test_one_that_lacks_something_is_left_out_with_its_reason_and_the_rest_goes_on(tiny):
    command, _ = tiny
    said = []
    outcome = hold({"us": command("us"), "them": command("them", lacks="a licence")}, said=said)
    assert outcome.left_out == {"them": "it needs a licence"}
    assert list(outcome.rounds) == ["us"]
    assert "them is left out: it needs a licence" in said


@pytest.mark.slow
def test_one_that_crashes_keeps_the_rounds_before_and_the_rest_goes_on(tiny):
    command, diary = tiny
    outcome = hold({"us": command("us"), "them": command("them", crashes=4)}, rounds=3)
    assert outcome.left_out == {"them": "in round 2, ended with status 1: out of paper"}
    assert [len(outcome.rounds[name]) for name in ("us", "them")] == [3, 1]
    assert diary()[-1] == "us ended"


def test_a_program_that_is_not_there_is_left_out(tmp_path):
    outcome = hold({"us": [str(tmp_path / "nothing")]})
    assert "No such file" in outcome.left_out["us"]


@pytest.mark.slow
def test_what_is_no_figure_is_a_failure_that_quotes_it():
    with Contestant(["sh", "-c", "echo ready; read order; echo much"]) as contestant:
        assert contestant.answer(5) == "ready"
        with pytest.raises(Failed, match="said 'much' where a figure was due"):
            contestant.round(0.1)


@pytest.mark.slow
def test_what_a_crashed_one_had_started_ends_with_it(tmp_path):
    pid = tmp_path / "pid"
    with Contestant(["sh", "-c", f"sleep 60 & echo $! >{pid}; echo ready; exit 3"]) as contestant:
        assert contestant.answer(5) == "ready"
    stat, end = Path("/proc", pid.read_text().strip(), "stat"), time.monotonic() + 10
    while stat.exists() and stat.read_text().rpartition(") ")[2][0] != "Z":
        assert time.monotonic() < end, "it is still there"


# -- what the rounds say --------------------------------------------------------------------------


def rounds_of(**values):
    return {name: [{"value": value} for value in each] for name, each in values.items()}


SPEED = Work("tiny", "a work", "/s", (at_least(2, "slow", "fast"),))


def test_a_ratio_is_taken_round_by_round():
    rounds = rounds_of(actormq=[10, 400, 90], them=[1, 100, 30])
    assert ratio(rounds, "them") == figure([10.0, 4.0, 3.0])
    assert ratio(rounds, "them").median == 4.0  # and not 90 / 30, the ratio of the medians


def test_a_goal_is_held_against_the_best_of_those_who_were_measured():
    found = verdict(SPEED, SPEED.goals[0], rounds_of(actormq=[6], slow=[1], fast=[4]))
    assert (found.against, found.ratio.median, found.share) == ("fast", 1.5, 0.75)
    alone = verdict(SPEED, SPEED.goals[0], rounds_of(actormq=[6], slow=[1], fast=[]))
    assert (alone.against, alone.share) == ("slow", 3.0)
    assert verdict(SPEED, SPEED.goals[0], rounds_of(actormq=[6])) is None


def test_the_best_is_looked_for_in_each_round():
    rounds = rounds_of(actormq=[6, 6, 6], slow=[1, 6, 1], fast=[3, 3, 3])
    found = verdict(SPEED, SPEED.goals[0], rounds)
    assert (found.against, found.theirs) == ("slow or fast", figure([3.0, 6.0, 3.0]))
    assert found.ratio == figure([2.0, 1.0, 2.0])


def test_of_latencies_less_is_better():
    work = Work("tiny", "a work", "s", (at_most(0.5, "slow", "fast"),))
    found = verdict(work, work.goals[0], rounds_of(actormq=[1], slow=[8], fast=[4]))
    assert (found.against, found.share) == ("fast", 2.0)


def test_a_goal_may_be_a_figure_of_its_own():
    work = Work("tiny", "a work", "/s", (at_most(600, of="bytes", unit="B"),))
    found = verdict(work, work.goals[0], {US: [{"value": 1, "bytes": 1_200}]})
    assert (found.ratio.median, found.share) == (1_200, 0.5)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_234_567, "/s", "1.23 M/s"),
        (950, "/s", "950/s"),
        (1_234, "s", "1234 s"),
        (4.2e9, "B/s", "4.2 GB/s"),
        (0.000_007, "s", "7 µs"),
        (0.0123, "s", "12.3 ms"),
        (7.15e-7, "s", "715 ns"),
        (599.4, "B", "599 B"),
        (0.92, "", "0.92"),
    ],
)
def test_a_figure_is_written_with_its_unit(value, unit, text):
    assert written(value, unit) == text


# -- what is written ------------------------------------------------------------------------------


def record(values):
    outcome = Outcome(rounds_of(**values), {"late": "it needs a licence"})
    return json.loads(json.dumps(store.record(outcome, 1.0, {"them": "Them 1.0"}, (0.1, 0.2))))


def test_the_page_and_the_plot_show_goals_figures_and_who_is_left_out():
    records = {"tiny": record({"actormq": [6, 8], "fast": [4, 4]})}
    page = pages.page(records, [SPEED])
    goal = f"fast | 4/s | 1.75 (1.5 to 2) | ≥ 2 {pages.TIMES} | 0.88 of it |"
    assert f"| tiny | 7/s (6 to 8) | {goal}" in page
    assert "| | fast | 4/s | 1.75 (1.5 to 2) |" in page
    assert "| | late | it needs a licence | |" in page
    assert "Them 1.0" in page
    picture = plot.plot(list(pages.verdicts(records, [SPEED])))
    assert f"tiny ≥ 2 {pages.TIMES} fast" in picture
    assert "0.88</text>" in picture


@pytest.mark.parametrize(
    ("ours", "says"),
    [(9, "met"), (8.02, "met, 1.002 of it"), (7.9999, "0.999 of it"), (7.5, "0.94 of it")],
)
def test_a_goal_that_is_met_or_missed_by_little_says_by_how_much(ours, says):
    [*_, line] = pages.goals({"tiny": record({"actormq": [ours], "fast": [4]})}, [SPEED])
    assert line.endswith(f"≥ 2 {pages.TIMES} | {says} |")


def test_the_raw_figures_can_be_read_again(tmp_path):
    records = {"tiny": record({"actormq": [6, 8]})}
    store.write(tmp_path / "raw.json", records)
    assert store.read(tmp_path / "raw.json") == records


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_run_replaces_the_figures_of_its_own_works_only(tmp_path):
    old = {name: record({"actormq": [1], "base": [7]}) for name in ("flood", "start-import")}
    store.write(tmp_path / "results.json", old)
    command = [sys.executable, str(FOLDER / "bench.py"), "--only", "start-import"]
    command += ["--peers", "none", "--rounds", "1", "--seconds", "0.1", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    records = store.read(tmp_path / "results.json")
    assert records["flood"] == old["flood"]
    assert set(records["start-import"]["rounds"]) == {"actormq", "base"}
    assert records["start-import"]["rounds"]["base"][0]["value"] < 7
    assert "| start-import |" in done.stdout
    assert "flood" not in done.stdout
    assert "**flood**" in (tmp_path / "results.md").read_text(encoding="utf-8")
    assert (tmp_path / "results.svg").read_text(encoding="utf-8").startswith("<svg ")


def bench(*words):
    command = [sys.executable, str(FOLDER / "bench.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--peers", "nope"], "no such peer: nope; there are pykka, "),
        (["--only", "nope"], "--only nope: no such work; there are "),
        (["--growth", "--only", "nope"], "no such curve; there are grow-local, "),
        (["--rounds", "0"], "0: at least 1 round"),
        (["--seconds", "nan"], "nan: a round takes more than 0 s"),
        (["--out", "/proc/x"], "cannot write to /proc/x: No such file or directory"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_writes_nothing(tmp_path, words, sentence):
    done = bench("--out", str(tmp_path), *words)
    assert sentence in done.stderr
    assert done.stderr.startswith("bench: ")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_that_is_ended_before_anything_was_finished_says_so_and_no_more(tmp_path):
    words = ["--only", "start-import", "--peers", "none", "--out", str(tmp_path)]
    command = [sys.executable, str(FOLDER / "bench.py"), *words]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, **pipes, text=True)
    for line in process.stderr:
        if line.startswith("bench: start-import"):
            process.send_signal(signal.SIGINT)
            break
    out, errors = process.communicate()
    assert (process.returncode, out) == (128 + signal.SIGINT, "")
    assert errors.endswith("bench: ended before all was measured; nothing was finished\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_run_that_is_ended_keeps_the_works_that_were_finished(tmp_path):
    words = ["--only", "start-import,local-tell", "--peers", "none", "--rounds", "1"]
    command = [sys.executable, str(FOLDER / "bench.py"), *words, "--seconds", "0.1"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("bench: start-import"):  # local-tell is over
            process.send_signal(signal.SIGINT)
            break
    out, errors = process.communicate()
    assert process.returncode == 128 + signal.SIGINT
    assert "ended before all was measured" in errors
    assert "Traceback" not in errors
    assert "**local-tell**" in out
    assert set(store.read(tmp_path / "results.json")) == {"local-tell"}


# -- the tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ([], {sweep.name for sweep in (*sweeps.SWEEPS, *sweeps.IDLE)}),
        (["idle"], {"idle-nodes", "idle-actors"}),
        (["grow-far"], {"grow-far"}),
    ],
)
def test_all_curves_are_drawn_unless_some_are_named(only, names):
    assert {told.split()[1] for told in sweeps.named(only)} == names


def test_every_program_is_there_and_does_works_that_there_are():
    told = {work.told(name)[0] for work in WORKS for name in ("actormq", "another")}
    for program in PROGRAMS:
        assert (FOLDER / "contestants" / program.path).exists()
        assert set(program.works) <= told
        assert program.peer in {"", "limits", *NAMES}


def test_a_work_has_one_program_of_each_contestant_at_most():
    twice = [
        (work.name, name)
        for work in WORKS
        for name in {program.name for program in PROGRAMS}
        if sum(p.name == name and work.told(name)[0] in p.works for p in PROGRAMS) > 1
    ]
    assert twice == []
