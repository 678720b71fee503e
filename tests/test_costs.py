"""Nothing gets slower unnoticed: what messages cost in bytecodes is held against what it was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
PYTHON = "{}.{}".format(*sys.version_info)
WRITTEN = json.loads((SCRIPTS / "costs.json").read_text(encoding="utf-8"))

SLOWER = """
import runpy, sys
import actormq.{module} as module
real = module.{name}
def slower(self, *args):
    for _ in range({turns}):
        pass
    return real(self, *args)
module.{name} = slower
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def costs(*before):
    return subprocess.run(
        [sys.executable, *before, str(SCRIPTS / "costs.py")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )


written_down = pytest.mark.skipif(
    PYTHON not in WRITTEN, reason=f"scripts/costs.json has no counts of Python {PYTHON}"
)


@pytest.mark.slow
@written_down
def test_nothing_costs_a_quarter_more_than_is_written_down():
    done = costs()

    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert len(done.stdout.splitlines()) == 2 + len(WRITTEN[PYTHON])


@pytest.mark.slow
@written_down
def test_a_detour_of_each_message_is_noticed():
    """Planted: so many turns of a loop that does nothing, each time a ref is told something."""
    slower = SLOWER.format(module="ref", name="Ref.tell", turns=100)
    done = costs("-c", slower)

    assert done.returncode == 1
    worse = {line.partition(":")[0] for line in done.stderr.splitlines()}
    assert {"tell", "far tell"} <= worse
    assert "ask" not in worse


def test_each_python_has_the_same_operations_written_down():
    assert len({frozenset(counts) for counts in WRITTEN.values()}) == 1
