"""How far a farm is, in words."""

import io

import pytest

from actormq.cli.farm import bar as bars
from actormq.cli.farm.bar import Bar, line
from actormq.cli.farm.words import pace, waits
from actormq.cli.words import counted
from actormq.farm.reports import Progress

HALF = Progress(accepted=2000, total=2000, done=999, workers=8, rate=249.6, left=4.01)


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (Progress(), "0 of 0 so far  0.0/s  0 workers"),
        (Progress(accepted=1500, done=7, workers=1, rate=7), "7 of 1,500 so far  7.0/s  1 worker"),
        (HALF, "999/2,000  49 %  250/s  8 workers  4 s left"),
        (
            Progress(total=4, done=1, failed=2, retried=5, redelivered=1, workers=2, rate=0.5),
            "3/4  75 %  30.0/min  2 workers  6 tried again  2 failed",
        ),
        (
            Progress(total=2000, done=1999, workers=1, rate=1, left=100),
            "1,999/2,000  99 %  1.0/s  1 worker  1 m 40 s left",
        ),
        (
            Progress(total=2000, done=2000, workers=1, rate=1234.5, left=0),
            "2,000/2,000  100 %  1,234/s  1 worker",
        ),
        (Progress(total=0, left=0), "0/0  100 %  0.0/s  0 workers"),
    ],
)
def test_a_line_says_how_far_it_is_and_what_went_wrong(progress, said):
    assert line(progress) == said


@pytest.mark.parametrize(
    ("rate", "said"),
    [(0, "0.0/s"), (0.01, "0.6/min"), (1, "1.0/s"), (9.96, "10.0/s"), (12345, "12,345/s")],
)
def test_a_pace_is_said_so_that_its_figures_tell_something(rate, said):
    assert pace(rate) == said


def test_one_thing_is_said_in_the_singular():
    assert [counted(n, "task") for n in (0, 1, 2000)] == ["0 tasks", "1 task", "2,000 tasks"]
    assert counted(2, "query", "queries") == "2 queries"


@pytest.fixture
def terminal(monkeypatch):
    """Standard error as a terminal of that width."""

    def made(columns):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        screen = Terminal()
        monkeypatch.setattr("sys.stderr", screen)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        return screen

    return made


@pytest.mark.parametrize(("columns", "has_bar"), [(100, True), (79, False), (20, False)])
async def test_a_terminal_gets_a_bar_where_there_is_room_and_keeps_its_cursor(
    terminal, columns, has_bar
):
    screen = terminal(columns)
    bar = Bar(lambda: HALF, lambda: "waits")
    async with bar.shown():
        bar.draw()
    text = screen.getvalue()
    assert ("━" in text) is has_bar
    assert "999/2,000"[:columns] in text
    assert "waits" in text
    assert "\x1b[?25" not in text


@pytest.mark.parametrize(
    ("progress", "wanted", "said"),
    [
        (Progress(), 1, ""),  # nothing waits
        (Progress(waiting=9), 1, "waiting for workers: 0 of 1"),
        (Progress(waiting=9), 0, "waiting for workers: 0 of 1"),
        (Progress(waiting=9, workers=3), 4, "waiting for workers: 3 of 4"),
        (Progress(waiting=9, workers=4), 4, ""),
        (Progress(waiting=9, workers=1, done=5), 4, ""),  # it has begun, and goes on with fewer
        (Progress(waiting=9, done=5), 4, "waiting for workers: 0 of 1"),
        (
            Progress(waiting=9, unfit=1),
            1,
            "waiting for workers: 0 of 1; 1 more is there and cannot run it",
        ),
        (
            Progress(waiting=9, unfit=2),
            1,
            "waiting for workers: 0 of 1; 2 more are there and cannot run it",
        ),
    ],
)
def test_it_is_said_that_workers_are_missing_and_whether_some_cannot_work(progress, wanted, said):
    assert waits(progress, wanted) == said


async def test_who_wants_it_quiet_gets_a_note_once_and_nothing_else(capsys, monkeypatch):
    monkeypatch.setattr(bars, "LINE_INTERVAL", 0.0)
    notes = ["", "waits", "waits", "", "waits"]
    bar = Bar(lambda: HALF, lambda: notes.pop(0) if notes else "", is_quiet=True)
    async with bar.shown():
        while notes:
            await bars.asyncio.sleep(0)
    assert capsys.readouterr().err.splitlines() == ["waits", "waits"]


async def test_a_file_gets_plain_lines_and_a_note_again_until_tasks_end(capsys, monkeypatch):
    monkeypatch.setattr(bars, "LINE_INTERVAL", 0.0)
    states = iter([Progress(), Progress(), HALF])
    last = [Progress()]

    def progress():
        last[0] = next(states, last[0])
        return last[0]

    async with Bar(progress, lambda: "waits").shown():
        while last[0] is not HALF:
            await bars.asyncio.sleep(0)
    lines = capsys.readouterr().err.splitlines()
    notes = lines.index(line(HALF))
    assert notes >= 1
    assert set(lines[:notes]) == {"waits"}
    assert set(lines[notes:]) == {line(HALF)}
