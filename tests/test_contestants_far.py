"""The contestants of the bench that need another process: each does a round of its work."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts" / "benchmarks"))

from contest import Contestant  # its files import each other as programs do
from programs import PROGRAMS, environment

pytestmark = pytest.mark.slow

PROGRAM_OF = {program.path: program for program in PROGRAMS}
PATIENCE = 30.0  # s


def round_of(path, *words, seconds=0.05):
    with Contestant(PROGRAM_OF[path].command(words), environment()) as contestant:
        assert contestant.answer(PATIENCE) == "ready"
        return contestant.round(seconds)


@pytest.mark.parametrize("path", ["actormq_far.py", "multiprocessing_far.py"])
def test_what_is_told_is_counted_where_it_was_handled(path):
    result = round_of(path, "far-tell")
    assert result["count"] > 0
    assert result["count"] == pytest.approx(result["value"] * result["seconds"])
    assert not result.get("lost")


def test_a_burst_counts_once_however_many_subscribers_handled_it():
    result = round_of("actormq_far.py", "fan-out", "subscribers=2")
    assert result["count"] > 0
    assert result["count"] % 5_000 == 0
    assert result["count"] == pytest.approx(result["value"] * result["seconds"])


def test_an_array_comes_back_whole():
    result = round_of("actormq_far.py", "echo-1mb")
    assert result["count"] > 0
    assert result["count"] % 1_000_000 == 0
