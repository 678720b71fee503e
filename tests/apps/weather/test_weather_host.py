"""This machine as a station: rates from two looks, whatever sensors there are."""

import datetime as dt
import math
from dataclasses import replace
from typing import NamedTuple

import pytest

from apps.weather.host import Look, busy_and_idle, host_name, hottest, look, values
from apps.weather.messages import Observation

FIRST = Look(
    at=10.0, load=0.5, busy=100.0, idle=900.0, memory=40.0, received=1000, sent=500,
    temperatures={"cpu": 51.0},
)  # fmt: skip
SECOND = replace(FIRST, at=12.0, busy=101.0, idle=903.0, received=3000, sent=500)


class Sensor(NamedTuple):
    current: float | None


class Times(NamedTuple):
    user: float
    system: float
    idle: float
    iowait: float
    guest: float


def test_this_machine_can_be_looked_at():
    first, second = look(), look()
    figures = values(second, first)
    assert {"memory_percent", "bytes_in", "bytes_out"} <= set(figures)
    assert 0 < figures["memory_percent"] <= 100
    assert all(math.isfinite(value) for value in figures.values())
    Observation(host_name(), dt.date(2012, 1, 1), figures)


def test_two_looks_give_rates():
    assert values(SECOND, FIRST) == {
        "memory_percent": 40.0,
        "load": 0.5,
        "temp_cpu": 51.0,
        "cpu_percent": 25.0,
        "bytes_in": 1000.0,
        "bytes_out": 0.0,
    }


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (SECOND, None),
        (SECOND, SECOND),
        (replace(FIRST, at=13.0, busy=0.0, idle=0.0, received=0, sent=0), SECOND),
    ],
    ids=["first look", "no time between", "counters went back"],
)
def test_without_two_good_looks_there_are_no_rates(now, before):
    assert set(values(now, before)) == {"memory_percent", "load", "temp_cpu"}


def test_a_machine_without_load_and_sensors_has_the_rest():
    bare = replace(FIRST, load=None, temperatures={})
    assert values(bare) == {"memory_percent": 40.0}


def test_guest_time_is_not_counted_twice():
    assert busy_and_idle(Times(5.0, 2.0, 80.0, 3.0, 4.0)) == (7.0, 83.0)


def test_a_chip_shows_its_hottest_sensor_that_has_a_figure():
    sensors = {
        "coretemp": [Sensor(50.0), Sensor(None), Sensor(61.5), Sensor(math.nan)],
        "broken": [Sensor(None)],
        "none": [],
    }
    assert hottest(sensors) == {"coretemp": 61.5}
