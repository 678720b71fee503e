"""The weather through real processes, one of which is killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from actormq import ActormqError, Node
from apps.processes import Part, topology
from apps.weather.messages import Progress, Recorded
from apps.weather.observations import shipped_data
from apps.weather.statistics import direct

pytestmark = pytest.mark.slow

STATIONS = ("Seattle", "New York")


class Program:
    """`actormq node -` with a topology, as a process."""

    def __init__(self, name, mesh, parts):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "actormq", "node", "-", "--quiet"], stdin=subprocess.PIPE
        )
        self.process.stdin.write(topology(name, mesh, parts).encode())
        self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def station_parts():
    return [
        Part("apps.weather:Station", f"s-{n}", {"station": n, "speed": 600.0, "autostart": False})
        for n in STATIONS
    ]


@pytest.mark.timeout(120)
async def test_after_a_kill_in_the_middle_every_message_is_received_or_counted_as_missed(
    tmp_path, mesh_name, until
):
    recorder = [Part("apps.weather:Recorder", "recorder", {"path": str(tmp_path / "w.sqlite")})]
    statistics = [Part("apps.weather:Average", "average")]

    async def recorded(node, handler="recorded"):
        try:
            ref = await node.find("recorder", timeout=5)
            return msgspec.convert(await ref.within(5).ask(handler), Recorded)
        except ActormqError:
            return None

    async with Node(mesh=mesh_name, name="control") as node:
        with (
            Program("stations", mesh_name, station_parts()),
            Program("statistics", mesh_name, statistics),
            Program("disk", mesh_name, recorder) as victim,
        ):
            await node.find("average", timeout=60)
            await node.find("recorder", timeout=60)
            stations = [await node.find(f"s-{n}", timeout=60) for n in STATIONS]
            for station in stations:
                station.tell("replay", 2)

            async def is_in_the_middle():
                state = await recorded(node)
                return state is not None and state.rows > 300

            await until(is_in_the_middle)
            victim.kill()
            with Program("disk", mesh_name, recorder):
                back = await node.find("recorder", timeout=60)
                assert back is not None

                async def is_done():
                    states = [await station.ask("progress") for station in stations]
                    return all(msgspec.convert(s, Progress).done for s in states)

                await until(is_done)

                async def has_all():
                    # Again and again: whoever has come back may not have subscribed by then.
                    progress[:] = [
                        msgspec.convert(await station.ask("repeat_end"), Progress)
                        for station in stations
                    ]
                    state = await recorded(node, "sync")
                    seqs = {} if state is None else {p.topic: p.seq for p in state.positions}
                    return all(seqs.get(p.station) == p.messages for p in progress)

                progress = []
                await until(has_all)
                end = await recorded(node)
                average = await (await node.find("average")).ask("account")
    published = sum(p.published for p in progress)
    assert published == sum(direct(shipped_data()).observations.values())
    for position in end.positions:
        station = next(p for p in progress if p.station == position.topic)
        assert position.rows + position.missed + position.ends == station.messages
    assert end.missed > 0  # the kill did cost something, and it is known how much
    assert end.rows + end.missed + sum(p.ends for p in end.positions) == sum(
        p.messages for p in progress
    )
    # Whoever was not killed missed nothing.
    assert (average["observations"], average["missed"]) == (published, 0)


def demo(*options, **environment):
    return subprocess.run(
        [sys.executable, "-m", "actormq", "demo", "weather", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_the_demo_gives_what_a_direct_computation_gives(nodes):
    done = demo("--speed", "0", "--json", "--nodes", str(nodes))
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    should = direct(shipped_data())
    assert outcome["missed"] == 0
    assert outcome["published"] == outcome["received"] == sum(should.observations.values())
    assert len(outcome["nodes"]) == nodes
    for station, columns in should.means.items():
        for column, mean in columns.items():
            got = outcome["stations"][station][column]
            ends = should.ranges[station][column]
            assert got["count"] == mean.count
            assert got["mean"] == pytest.approx(mean.mean, abs=1e-9)
            assert (got["min"], got["max"]) == (ends.low.value, ends.high.value)


def test_the_demo_skips_and_counts_lines_that_cannot_be_read(tmp_path):
    file = tmp_path / "readings.csv"
    file.write_text("date,station,t\n2024-01-01,A,1.5\n2024-01-02,A,warm\n2024-01-03,A,2.5\n")
    done = demo("--data", str(file), "--speed", "0", "--json")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["stations"] == {"A": {"t": {"count": 2, "mean": 2.0, "min": 1.5, "max": 2.5}}}
    assert "1 line skipped" in done.stderr
    assert "line 3" in done.stderr


def test_a_file_that_is_not_there_ends_the_demo_in_one_sentence(tmp_path):
    done = demo("--data", str(tmp_path / "none.csv"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "none.csv" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_with_a_table_and_leaves_nothing(number, tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "actormq", "demo", "weather", "--speed", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    for line in process.stdout:
        if "messages/s" in line:
            break
    children = children_of(process.pid)
    assert len(children) == 2
    process.send_signal(number)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(100) == 0, rest
    assert "averages and extremes" in rest
    assert "Traceback" not in rest
    assert not [pid for pid in children if is_alive(pid)]
    assert list(temporary.iterdir()) == []
    assert tempfile.gettempdir() != str(temporary)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for children in /proc")
async def test_nodes_of_a_killed_demo_end_by_themselves(until, tmp_path):
    process = subprocess.Popen(  # noqa: ASYNC220 the loop has nothing else to do
        [sys.executable, "-m", "actormq", "demo", "weather", "--speed", "20"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # where it leaves its file
    )
    for line in process.stdout:
        if "messages/s" in line:
            break
    children = children_of(process.pid)
    assert len(children) == 2
    process.kill()
    process.wait()
    process.stdout.close()
    await until(lambda: not [pid for pid in children if is_alive(pid)])


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
