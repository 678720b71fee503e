"""The long checks are there, are told of in a line each, and fail the command if they fail."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from prove import Check, checks, main  # noqa: E402 it is no package


def test_each_long_check_is_of_tests_that_exist():
    for check in checks(20_000, 5_000, 300):
        paths = [part for part in check.command if part.endswith(".py")]
        assert paths
        assert all((ROOT / path).is_file() for path in paths)
        assert all(value.isdigit() for value in check.environment.values())


def test_the_knobs_are_those_that_the_tests_read():
    for check in checks(20_000, 5_000, 300):
        for name in check.environment:
            readers = [path for path in (ROOT / "tests").rglob("*.py") if name in path.read_text()]
            assert readers, name


def test_a_list_runs_nothing(capsys):
    assert main(["--list", "--kills", "7"]) == 0
    assert "7 kill -9 under load" in capsys.readouterr().out


def test_what_is_no_check_is_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        main(["wishes"])
    assert "there is no check 'wishes': take of supervision, mailbox" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "is_good", "line"),
    [
        ("print('.cpu 3%'); print('=== 2 passed ===')", True, "cpu 3%; 2 passed"),
        ("raise SystemExit('no')", False, "see {folder}/it.log"),
        ("import os; raise SystemExit(os.environ['KNOB'] != '5')", True, "ok"),
    ],
)
def test_a_check_is_told_of_in_one_line(tmp_path, capsys, program, is_good, line):
    check = Check("it", "what it is", ("-c", program), {"KNOB": "5"})
    assert check.run(tmp_path) is is_good
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("ok     it " if is_good else "FAILED it ")
    assert line.format(folder=tmp_path) in said
