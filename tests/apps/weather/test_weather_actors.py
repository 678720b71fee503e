"""The weather actors together: what was published is averaged, recorded and accounted for."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from actormq import run
from apps.weather import Average, Extremes, HostStation, LiveView, Recorder, Station
from apps.weather.observations import shipped_data
from apps.weather.stations import delay_before
from apps.weather.statistics import differences, direct


async def until(ask, condition):
    """Ask again until the answer meets the condition; the test's own timeout is the limit."""
    while True:
        answer = await ask()
        if condition(answer):
            return answer
        await asyncio.sleep(0)


@pytest.mark.slow
def test_what_the_stations_publish_is_what_the_file_says(tmp_path):
    path = tmp_path / "weather.db"

    async def main(node):
        stations = [
            await node.spawn(Station, name, name, speed=0.0, autostart=False)
            for name in ("Seattle", "New York")
        ]
        average = await node.spawn(Average, "average")
        extremes = await node.spawn(Extremes, "extremes")
        view = await node.spawn(LiveView, "view")
        recorder = await node.spawn(Recorder, "recorder", str(path))
        for station in stations:
            assert not (await station.ask(Station.start)).done
        for listener, account in (
            (average, Average.account),
            (extremes, Extremes.account),
            (view, LiveView.account),
        ):
            done = await until(
                lambda listener=listener, account=account: listener.ask(account),
                lambda account: len(account.ended) == 2,
            )
            assert (done.observations, done.missed) == (2922, 0)
            assert {end.published for end in done.ended.values()} == {1461}
        means = await average.ask(Average.averages)
        ranges = await extremes.ask(Extremes.extremes)
        plain = direct(shipped_data())
        assert differences(plain, means, ranges) == []
        assert await average.ask(Average.monthly) == plain.monthly_means
        assert await extremes.ask(Extremes.monthly) == plain.monthly_ranges
        await view.ask(LiveView.show_nodes, ["roof"])
        state = await view.ask(LiveView.state)
        assert [(each.name, each.count, each.ended) for each in state.stations] == [
            ("New York", 1461, True),
            ("Seattle", 1461, True),
        ]
        recorded = await until(
            lambda: recorder.ask(Recorder.sync), lambda answer: answer.rows == 2922
        )
        assert (recorded.missed, recorded.waiting, recorded.problem) == (0, 0, "")
        progress = [await station.ask(Station.progress) for station in stations]
        assert {(each.topic, each.stream, each.rows) for each in recorded.positions} == {
            (each.station, each.stream, each.published) for each in progress
        }

    run(main)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM readings").fetchone() == (2922,)


@pytest.mark.slow
def test_a_recorder_that_was_away_accounts_for_what_it_missed(tmp_path):
    path = tmp_path / "weather.db"
    data = tmp_path / "observations.csv"
    lines = [f"Oslo,2012-01-01,{number}" for number in range(20_000)]
    data.write_text("\n".join(["station,date,temp", *lines]), encoding="utf-8")

    async def main(node):
        station = await node.spawn(
            Station, "station", "Oslo", str(data), speed=0.0, autostart=False
        )
        recorder = await node.spawn(Recorder, "first", str(path))
        await station.ask(Station.start)
        await until(lambda: recorder.ask(Recorder.sync), lambda answer: answer.rows > 500)
        await recorder.stop()
        await until(lambda: station.ask(Station.progress), lambda answer: answer.done)
        recorder = await node.spawn(Recorder, "second", str(path))
        progress = await station.ask(Station.repeat_end)
        recorded = await until(
            lambda: recorder.ask(Recorder.sync),
            lambda answer: any(each.published is not None for each in answer.positions),
        )
        (position,) = recorded.positions
        assert (position.stream, position.seq) == (progress.stream, progress.messages)
        assert position.published == progress.published == 20_000
        assert position.rows + position.missed + position.ends == position.seq
        assert position.missed > 0

    run(main)


def test_a_station_called_by_its_zip_code_publishes_under_it():
    async def main(node):
        average = await node.spawn(Average, "average", ["98101"])
        await node.spawn(Station, "station-98101", station="98101", speed=0.0)
        account = await until(lambda: average.ask(Average.account), lambda each: each.ended)
        assert account.ended["98101"].published == account.observations == 1461
        assert list(await average.ask(Average.averages)) == ["98101"]

    run(main)


@pytest.mark.slow
def test_this_machine_is_a_station_too():
    async def main(node):
        view = await node.spawn(LiveView, "view")
        host = await node.spawn(HostStation, "host", "here")
        state = await until(lambda: view.ask(LiveView.state), lambda state: state.stations)
        assert state.stations[0].name == "here"
        assert "memory_percent" in await host.ask(HostStation.values)

    run(main)


@pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(ValueError, match="give observations a second"):
        Station("Seattle", speed=speed)


@pytest.mark.parametrize(
    ("published", "speed", "elapsed", "delay"),
    [
        (0, 10.0, 0.0, 0.0),
        (5, 10.0, 0.25, 0.25),
        (5, 10.0, 0.75, -0.25),  # late: the next ones catch up
        (1000, 0.0, 0.0, 0.0),
    ],
)
def test_observations_keep_the_pace_of_the_whole_replay(published, speed, elapsed, delay):
    assert delay_before(published, speed, elapsed) == pytest.approx(delay)
