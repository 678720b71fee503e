"""What type checkers say of right and of wrong use: all of the mistakes, and nothing else."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RIGHT, WRONG = (ROOT / "tests" / "typing" / name for name in ("right_use.py", "wrong_use.py"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]  # as long as others check types


def mypy(path):
    """The lines of a file that mypy finds mistakes on."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(rf"{path.name}:(\d+): error: ", done.stdout)
    assert bool(found) is bool(done.returncode), done.stdout
    return {int(line): done.stdout for line in found}


def pyright(path):
    """The lines of a file that pyright finds mistakes on."""
    command = [sys.executable, "-m", "pyright", "--outputjson"]
    command += ["--pythonpath", sys.executable, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        pytest.skip(f"pyright cannot run here: {(done.stderr or done.stdout)[-300:]}")
    assert report["summary"]["filesAnalyzed"] == 1
    return {
        each["range"]["start"]["line"] + 1: each["message"]
        for each in report["generalDiagnostics"]
        if each["severity"] == "error"
    }


def marked(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("  # error")}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_right_use_is_accepted(checker, type_checking):
    assert checker(RIGHT) == {}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_each_mistake_is_found_and_nothing_else(checker, type_checking):
    found = checker(WRONG)
    assert set(found) - marked(WRONG) == set(), found
    assert marked(WRONG) - set(found) == set()
