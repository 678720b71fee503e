"""Averages and extremes: exact, mergeable, and the same as the plain computation."""

import datetime as dt
import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.weather.messages import Extreme, Mean, Observation, Range
from apps.weather.observations import read, shipped_data
from apps.weather.statistics import MeanTable, RangeTable, Summary, differences, direct

FIGURES = st.lists(
    st.floats(-1e300, 1e300).map(lambda value: value if abs(value) > 1e-200 else 0.0)
)


def observation(day, temp, station="Oslo"):
    return Observation(station, dt.date.fromisoformat(day), {"temp": temp})


@given(FIGURES)
def test_the_mean_is_that_of_the_exact_sum(figures):
    summary = Summary(figures)
    assert summary.count == len(figures)
    if figures:
        exact = math.fsum(figure * 2.0**-64 for figure in figures) / len(figures) * 2.0**64
        assert summary.mean == exact
        assert (summary.low, summary.high) == (min(figures), max(figures))


@given(FIGURES, FIGURES, FIGURES)
def test_merging_is_the_same_as_having_seen_all(one, two, three):
    merged = Summary(one)
    other = Summary(two)
    other.merge(Summary(three))
    merged.merge(other)
    whole = Summary(three + one + two)
    for fact in ("count", "low", "high"):
        assert getattr(merged, fact) == getattr(whole, fact)
    assert merged.mean == whole.mean or math.isnan(whole.mean)


@pytest.mark.slow
def test_the_mean_of_a_million_figures_is_right_where_plain_adding_is_not():
    chance = random.Random(7)
    figures = [chance.choice((1e9, -1e9, 0.1)) * chance.random() for _ in range(1_000_000)]
    summary = Summary(figures)
    assert abs(summary.mean - math.fsum(figures) / len(figures)) <= 1e-9
    assert len(summary.partials) < 40


def test_a_summary_of_nothing_has_no_mean():
    assert math.isnan(Summary().mean)
    assert Summary().count == 0


def test_the_largest_floats_have_a_mean():
    assert Summary([1.7e308] * 5).mean == pytest.approx(1.7e308)


def test_months_of_different_years_are_different_months():
    table = MeanTable()
    for day, temp in (("2012-01-01", 1.0), ("2012-01-31", 2.0), ("2013-01-01", 4.5)):
        table.note(observation(day, temp))
    table.note(observation("2012-02-01", 9.0, "Rome"))
    assert table.by_station() == {"Oslo": {"temp": Mean(3, 2.5)}, "Rome": {"temp": Mean(1, 9.0)}}
    assert table.by_month("Oslo") == {
        "Oslo": {"2012-01": {"temp": Mean(2, 1.5)}, "2013-01": {"temp": Mean(1, 4.5)}}
    }
    assert table.by_station("Kyiv") == {}


def test_of_equal_extremes_the_earliest_day_stands_in_whatever_order_they_come():
    days = [("2012-03-01", 5.0), ("2012-01-02", 5.0), ("2012-01-01", -1.0), ("2012-02-01", -1.0)]
    expected = Range(low=Extreme(-1.0, dt.date(2012, 1, 1)), high=Extreme(5.0, dt.date(2012, 1, 2)))
    for order in (days, days[::-1]):
        table = RangeTable()
        for day, temp in order:
            table.note(observation(day, temp))
        assert table.by_station() == {"Oslo": {"temp": expected}}


def test_the_tables_agree_with_the_plain_computation_over_the_shipped_file():
    means, ranges = MeanTable(), RangeTable()
    for each in read(shipped_data()):
        means.note(each)
        ranges.note(each)
    plain = direct(shipped_data())
    assert plain.observations == {"Seattle": 1461, "New York": 1461}
    assert plain.skipped == 0
    assert differences(plain, means.by_station(), ranges.by_station()) == []
    assert means.by_month() == plain.monthly_means
    assert ranges.by_month() == plain.monthly_ranges
    assert plain.ranges["Seattle"]["temp_max"].high == Extreme(35.6, dt.date(2014, 8, 11))


def test_differences_name_what_is_wrong_and_what_is_missing():
    plain = direct(shipped_data())
    assert len(differences(plain, {}, {})) == 2 * 2 * 4
    wrong = msgspec.convert(msgspec.to_builtins(plain.means), dict[str, dict[str, Mean]])
    wrong["Seattle"]["wind"] = Mean(1461, wrong["Seattle"]["wind"].mean + 1e-6)
    wrong["Boston"] = {}
    (sentence,) = differences(plain, wrong, plain.ranges)
    assert sentence.startswith("Seattle wind: average Mean(count=1461")
