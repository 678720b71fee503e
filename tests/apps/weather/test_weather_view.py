"""The live view: what it gathers, and that it fits."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from apps.weather.board import Board, History, ViewState, main_column
from apps.weather.messages import EndOfReplay
from apps.weather.observations import read, shipped_data
from apps.weather.view import Fit, fit, number_text, render, resample, sparkline


def drawn(state, width, height, *, ascii_only=False):
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, color_system=None)
    console.print(render(state, width=width, height=height, ascii_only=ascii_only))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.fixture(scope="module")
def board():
    board = Board()
    for observation in read(shipped_data()):
        board.note(observation)
    board.note(EndOfReplay("Seattle", 1461))
    return board


def stations(count, columns=4):
    board = Board()
    template = next(read(shipped_data()))
    for number in range(count):
        values = {f"column {index}": 1.0 for index in range(columns)}
        board.note(type(template)(f"station {number:02}", template.date, values))
    return board.state()


def test_the_view_shows_all_columns_of_all_stations(board):
    lines = drawn(board.state(1234.6, 7, ["roof", "cellar"]), 100, 24)
    assert lines[0] == ("1,235 messages/s, 2,923 received, 7 missed")
    assert lines[1].split() == ["station", "column", "count", "mean", "min", "max", "last"]
    assert lines[2].split() == [
        "New",
        "York",
        "temp_max",
        "1,461",
        "17.10",
        "-7.70",
        "37.80",
        "11.10",
    ]
    assert [line.split()[0] for line in lines[3:6]] == ["precipitation", "temp_min", "wind"]
    assert lines[6].split()[:2] == ["Seattle", "temp_max"]
    assert lines[10].startswith("New York")
    assert set(lines[10][17:]) <= set("▁▂▃▄▅▆▇█")
    assert len(lines[10]) == 100
    assert lines[-1] == "2 stations, 1 ended; nodes: cellar, roof"
    assert len(lines) == 13


@pytest.mark.parametrize("width", [1, 20, 40, 60, 79, 80, 200])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_it_is_never_wider_or_higher_than_the_terminal(width, count):
    for height in (6, 10, 24, 50):
        lines = drawn(stations(count), width, height)
        assert max(map(len, lines)) <= width
        assert len(lines) <= height


def test_at_60_columns_no_figure_is_cut(board):
    lines = drawn(board.state(), 60, 24)
    assert lines[2].split() == ["New", "York", "temp_max", "17.10", "-7.70", "37.80", "11.10"]
    assert len(lines[-2]) == 60


def test_before_the_first_reading_it_says_that_it_waits():
    assert drawn(ViewState(), 60, 24)[1] == "no data yet: waiting for stations"


def test_of_fifty_stations_it_shows_the_first_and_counts_the_rest():
    lines = drawn(stations(50), 80, 24)
    assert lines[2].startswith("station 00")
    assert lines[-1] == "and 40 more; 50 stations, 0 ended; nodes: none known"
    assert sum(line.startswith("station ") for line in lines[2:]) == 20


@pytest.mark.parametrize(
    ("columns", "lines", "expected"),
    [
        ([4, 4], 10, Fit(2, None)),
        ([4, 4], 9, Fit(2, 1)),
        ([4, 4], 3, Fit(1, 1)),
        ([4, 4], -1, Fit(1, 1)),
        ([1] * 50, 40, Fit(20, 1)),
        ([0], 1, Fit(1, None)),
    ],
)
def test_all_columns_are_shown_if_they_fit_else_the_main_one(columns, lines, expected):
    assert fit(columns, lines) == expected


def test_names_from_other_machines_cannot_steer_the_terminal():
    board = Board()
    template = next(read(shipped_data()))
    board.note(type(template)("[red]\x1b[2J\nOslo", template.date, {"\x1b[2Jtemp": 1.0}))
    lines = drawn(board.state(nodes=["\x1b]0;x\x07"]), 100, 24)
    assert lines[2].startswith("[red]?[2J?Oslo")
    assert "\x1b" not in "".join(lines)


def test_a_terminal_without_unicode_gets_ascii(board):
    assert "\n".join(drawn(board.state(), 60, 24, ascii_only=True)).isascii()


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([], 10, ""),
        ([1.0], 0, ""),
        ([0.0, 1.0], 10, "▁█"),
        ([3.0, 3.0], 10, "▄▄"),
        (list(range(8)), 8, "▁▂▃▄▅▆▇█"),
        ([0, 0, 7, 7, 0, 0], 3, "▁█▁"),
        ([-1.7e308, 1.7e308], 2, "▁█"),
    ],
)
def test_a_course_is_drawn_from_its_lowest_to_its_highest(values, width, expected):
    assert sparkline(values, width) == expected


@given(st.lists(st.floats(-1e9, 1e9)), st.integers(0, 50))
def test_resampling_keeps_every_value_in_one_share(values, width):
    points = resample(values, width)
    assert len(points) == min(len(values), width)
    if points:
        assert min(values) - 1e-3 <= min(points) <= max(points) <= max(values) + 1e-3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (-12.345, "-12.35"),
        (1013.25, "1013.2"),
        (-99999.0, "-99999.0"),
        (1e5, "1.0e+05"),
        (-1.7e308, "-1.7e+308"),
    ],
)
def test_figures_are_short(value, text):
    assert number_text(value) == text


def test_a_long_course_stays_whole_and_bounded():
    history = History(limit=8)
    for number in range(1000):
        history.add(float(number))
        assert len(history.points) <= 8
    points = history.points
    assert points == sorted(points)
    assert points[0] < 100
    assert points[-1] > 900


@pytest.mark.parametrize(
    ("columns", "main"),
    [
        (["wind", "temp_max", "temp_min"], "temp_max"),
        (["wind", "Temperature"], "Temperature"),
        (["wind", "rain"], "wind"),
        ([], None),
    ],
)
def test_the_course_is_that_of_the_first_temperature(columns, main):
    assert main_column(columns) == main
