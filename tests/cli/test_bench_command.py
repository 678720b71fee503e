"""`actormq bench`: how figures read, how rounds share the time, and what a real run prints."""

import asyncio
import json
import logging
import math
import signal
import subprocess
import sys

import pytest

from actormq import AskTimeout, Node
from actormq.cli import guest as guests
from actormq.cli.bench import _measured
from actormq.cli.bench import places as places_module
from actormq.cli.bench.figures import (
    Place,
    Report,
    encoded,
    headline,
    limits,
    percentile,
    rows,
)
from actormq.cli.bench.places import Tour
from actormq.cli.bench.rounds import in_rounds
from actormq.cli.bench.showing import Silent, plain

BENCH = [sys.executable, "-W", "error", "-m", "actormq", "bench"]


@pytest.fixture(autouse=True)
def level_of_the_log():
    """The command is one of a process of its own, and says for all of it what is logged."""
    log = logging.getLogger("actormq")
    level = log.level
    yield
    log.setLevel(level)


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        ([7.0], 0.5, 7.0),
        ([7.0], 0.99, 7.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([4.0, 3.0, 2.0, 1.0], 0.5, 2.0),
        ([float(n) for n in range(100, 0, -1)], 0.99, 99.0),
        ([float(n) for n in range(1, 11)], 0.99, 10.0),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values, share, found):
    assert percentile(values, share) == found


@pytest.mark.parametrize(
    ("name", "values", "median", "span"),
    [
        ("tells", [1_234_000.0, 950_000.0, 1_100_000.0], "1.10 M/s", "0.950 to 1.23"),
        ("tells", [999_000.0, 1_500_000.0, 10_000.0], "999 k/s", "10.0 to 1500"),
        ("asks", [250.0], "250 /s", "250 to 250"),
        ("asks", [0.5], "0.500 /s", "0.500 to 0.500"),
        ("ask_p50", [0.000_007, 0.000_009, 0.000_008], "8.00 µs", "7.00 to 9.00"),
        ("ask_p99", [0.0015, 0.1], "50.8 ms", "1.50 to 100"),
        ("ask_p99", [2.0], "2.00 s", "2.00 to 2.00"),
        ("echo_1mb", [1.5e9], "1.50 GB/s", "1.50 to 1.50"),
        ("echo_256k", [11e6, 12e6, 10e6], "11.0 MB/s", "10.0 to 12.0"),
        ("echo_256k", [90.0], "0.0900 kB/s", "0.0900 to 0.0900"),
    ],
)
def test_a_figure_is_the_median_and_the_range_in_one_unit(name, values, median, span):
    assert [row[1:] for row in rows(Place("link", "roof", figures={name: values}))] == [
        (median, span)
    ]


def test_rows_stand_in_one_order_and_what_was_not_measured_is_left_out():
    place = Place("link", "roof", figures={"echo_256k": [1e6], "asks": [1e3], "ask_p50": []})
    assert [row[0] for row in rows(place)] == ["asks, 100 in flight", "256 KiB there and back"]


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        (Place("local", "this process"), "this process"),
        (Place("link", "roof", "tcp://10.0.0.2:28460"), "roof (tcp://10.0.0.2:28460)"),
        (Place("link", "roof", "ipc://@actormq-0123"), "roof (ipc)"),
        (Place("link", "ro\nof\x1b[2J"), "ro of\\x1b[2J"),
    ],
)
def test_a_place_is_named_in_one_line(place, shown):
    assert headline(place) == shown


@pytest.mark.parametrize(
    ("load", "cores", "said"),
    [
        (2.0, 2, ""),
        (0.0, 1, ""),
        (math.nan, 2, ""),
        (
            2.1,
            2,
            "others use this machine (load 2.1 on 2 cores): trust the ratios, not the figures",
        ),
        (1.1, 1, "others use this machine (load 1.1 on 1 core): trust the ratios, not the figures"),
    ],
)
def test_a_machine_that_others_use_is_said(load, cores, said):
    assert limits(load, cores) == said


def test_programs_get_units_that_are_never_scaled_and_each_round():
    place = Place("link", "roof", "tcp://a:1", {"asks": [30e3, 10e3, 20e3]}, ["lost"])
    told = json.loads(encoded(Report(math.nan, 2, [place], ["all"])))
    assert told == {
        "places": [
            {
                "kind": "link",
                "name": "roof",
                "way": "tcp://a:1",
                "figures": {
                    "asks": {
                        "unit": "1/s",
                        "median": 20e3,
                        "least": 10e3,
                        "most": 30e3,
                        "rounds": [30e3, 10e3, 20e3],
                    }
                },
                "notes": ["lost"],
            }
        ],
        "load": None,
        "cores": 2,
        "notes": ["all"],
    }


class Parts:
    """Parts that take what they are given, or longer, on a clock of their own."""

    def __init__(self, slowest=0.0, fails=()):
        self.time = 0.0
        self.order = []
        self.slowest = slowest
        self.fails = fails

    def now(self):
        return self.time

    def part(self, name):
        async def measure(seconds):
            self.order.append(name)
            self.time += max(seconds, self.slowest)
            if name in self.fails:
                raise AskTimeout("roof", "echo", 1.5)
            return {name: float(len(self.order))}

        return measure


@pytest.mark.parametrize(
    ("seconds", "slowest", "rounds", "used"),
    [
        (1.0, 0.0, 5, 1.0),
        (1.0, 0.2, 2, 0.8),  # a third round would end after 1.2 s
        (0.06, 0.0, 3, 0.06),  # no part is shorter than 10 ms
        (0.0, 0.0, 1, 0.02),
        (1.0, 9.0, 1, 18.0),
    ],
)
async def test_parts_take_turns_for_as_many_rounds_as_the_time_allows(
    seconds, slowest, rounds, used
):
    parts, place = Parts(slowest), Place("host", "two")
    await in_rounds(place, [parts.part("asks"), parts.part("tells")], seconds, parts.now)
    assert parts.order == ["asks", "tells"] * rounds
    assert parts.time == pytest.approx(used)
    assert [len(values) for values in place.figures.values()] == [rounds, rounds]


async def test_a_part_that_fails_is_said_once_and_the_others_go_on():
    parts, place = Parts(fails=("tells",)), Place("host", "two")
    await in_rounds(place, [parts.part("tells"), parts.part("asks")], 1.0, parts.now)
    assert parts.order == ["tells", *["asks"] * 5]
    assert list(place.figures) == ["asks"]
    assert place.notes == [str(AskTimeout("roof", "echo", 1.5))]
    assert plain(place)[-1] == f"two: {AskTimeout('roof', 'echo', 1.5)}"


async def test_nothing_is_measured_where_all_parts_fail():
    parts, place = Parts(fails=("tells", "asks")), Place("host", "two")
    await in_rounds(place, [parts.part("tells"), parts.part("asks")], 1.0, parts.now)
    assert (len(parts.order), place.figures) == (2, {})


LOCAL = {"tells", "ask_p50", "ask_p99", "asks"}


@pytest.mark.slow
async def test_a_run_measures_this_process_two_of_them_and_each_link(mesh):
    node = await mesh.start(name="roof")
    process = await asyncio.create_subprocess_exec(
        *BENCH,
        *("--seconds", "0.3", "--json", "--mesh", mesh.name),
        *("--join", node.address.removeprefix("tcp://")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    told = json.loads(out)
    assert [(place["kind"], place["name"], place["notes"]) for place in told["places"]] == [
        ("local", "this process", []),
        ("host", "two processes of this host", []),
        ("link", "roof", []),
    ]
    local, host, link = [place["figures"] for place in told["places"]]
    assert [set(local), set(host), set(link)] == [
        LOCAL,
        LOCAL | {"echo_1mb"},
        LOCAL - {"tells"} | {"echo_256k"},
    ]
    for figures in (local, host, link):
        assert figures["ask_p50"]["median"] <= figures["ask_p99"]["median"]
        for figure in figures.values():
            assert 0 < figure["least"] <= figure["median"] <= figure["most"] < math.inf
    assert local["ask_p50"]["median"] < host["ask_p50"]["median"]  # ten times and more
    assert told["places"][2]["way"].partition("://")[0] in ("ipc", "tcp")


@pytest.mark.slow
def test_ctrl_c_keeps_what_there_is():
    with subprocess.Popen(
        [*BENCH, "--seconds", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = [process.stdout.readline() for _ in LOCAL]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=100)
    assert [line.partition(": ")[0] for line in lines] == ["this process"] * len(LOCAL)
    assert (process.returncode, err) == (128 + signal.SIGINT, "")
    assert "ended before all was measured\n" in out


@pytest.mark.slow
async def test_a_mesh_that_was_named_and_is_not_there_is_said_behind_the_rest(
    mesh_name, monkeypatch
):
    monkeypatch.setattr(guests, "SEARCH", 0.1)
    report = Report(0.0, 2)
    status = await _measured(
        report, Silent(), 0.1, {"mesh": mesh_name, "join": ("127.0.0.1:1",), "discovery": False}
    )
    assert status == 1
    assert [(place.kind, bool(place.figures)) for place in report.places] == [
        ("local", True),
        ("host", True),
    ]
    assert [note.partition(": ")[0] for note in report.notes] == ["no other node was measured"]


@pytest.mark.slow
async def test_a_node_that_does_not_answer_is_said_and_the_others_are_measured(
    mesh, until, monkeypatch
):
    monkeypatch.setattr(places_module, "ANSWER", 0.3)
    node = await mesh.start(name="roof")
    place = node.address.removeprefix("tcp://")
    silent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "actormq", "node", "--mesh", mesh.name, "--name", "attic"),
        *("--join", place, "--no-zeroconf", "--quiet"),
    )
    try:
        await until(lambda: len(list(node.mesh_view.peers())) == 1)
        report = Report(0.0, 2)
        async with Node.guest(mesh=mesh.name, discovery=False, join=[place]) as own:
            await until(lambda: len(list(own.mesh_view.peers())) == 2)
            silent.send_signal(signal.SIGSTOP)
            await Tour(report, Silent(), 0.2)._links(own)
    finally:
        silent.kill()
        await silent.wait()
    assert [(p.name, bool(p.figures)) for p in report.places] == [("attic", False), ("roof", True)]
    assert [note.partition(": ")[0] for note in report.places[0].notes] == ["does not answer"]
    assert report.places[1].notes == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seconds", "nan"], "a number of seconds above 0"),
        (["--seconds", "0"], "a number of seconds above 0"),
        (["--mesh", "a b"], "mesh name 'a b' cannot be used"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(options, said):
    done = subprocess.run([*BENCH, *options], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert said in done.stderr
