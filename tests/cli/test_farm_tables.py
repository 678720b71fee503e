"""`actormq farm status` for people: a line for each farm and worker, and what is wrong there."""

import pytest

from actormq.cli.farm.asked import Status
from actormq.cli.farm.tables import show
from actormq.farm.reports import FarmReport, Progress, WorkerReport

HALF = Progress(accepted=2000, total=2000, done=990, failed=10, retried=7, redelivered=2)
FARM = FarmReport("count", "roof", ["apps.farm.words:count"], HALF, {}, {})
WORKER = WorkerReport("cellar", 4, 3, {"count": 4}, 1234, 0)


@pytest.fixture
def shown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")

    def shown(farms=(), workers=(), silent=0):
        show(Status("home", list(farms), list(workers), silent))
        return capsys.readouterr().out.splitlines()

    return shown


def test_a_farm_is_a_line(shown):
    heads, line, last = shown([FARM])
    assert heads.split() == [
        "farm",
        "function",
        "node",
        *["done", "failed", "again", "rate", "slots", "left"],
    ]
    assert line.split() == [
        *("count", "apps.farm.words:count", "roof", "1,000/2,000", "50", "%", "10", "9"),
        *("0.0/s", "0"),
    ]
    assert last == "1 farm and 0 workers in mesh home"


def test_a_worker_is_a_line(shown):
    heads, line, last = shown(workers=[WORKER, WorkerReport("attic", 1, 0, {}, 0, 2)])[:3]
    assert heads.split() == ["worker", "slots", "busy", "done", "lost", "works", "for"]
    assert line.split() == ["cellar", "4", "3", "1,234", "0", "count"]
    assert last.split() == ["attic", "1", "0", "0", "2"]


def test_workers_that_a_farm_has_for_itself_alone_are_lines_too(shown):
    farm = FarmReport("count", "roof", ["m:f"], HALF, {"roof": 2, "cellar": 4}, {})
    *_, first, second, last = shown([farm], [WORKER])
    assert first.split()[:2] == ["cellar", "4"]
    assert second.split() == ["roof", "2", "count", "alone"]
    assert last == "1 farm and 2 workers in mesh home"


def test_it_is_said_who_cannot_work_for_a_farm_and_why_whatever_the_names_are(shown):
    why = "no module [bold]apps[/bold]\x1b\n"
    lame = FarmReport("count", "roof", ["m:f"], Progress(), {}, {"lame": why})
    lines = shown([lame])
    assert "  lame takes none of count: no module [bold]apps[/bold]\\x1b " in lines


def test_those_that_did_not_answer_are_counted(shown):
    assert shown(silent=2) == ["0 farms and 0 workers in mesh home, 2 that did not answer"]


def test_a_narrow_terminal_keeps_the_figures_whole(shown, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = shown([FARM], [WORKER])
    assert any("1,000/2,000  50 %" in line for line in lines)
    assert max(map(len, lines)) <= 80
