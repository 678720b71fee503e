"""A process that uses a store is killed before each of its writes: nothing it told of is lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import traced

PROGRAM = Path(__file__).with_name("kill_points.py")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="system calls are Linux's")
@pytest.mark.parametrize(
    ("scenario", "least"),
    [
        ("a batch", 300),
        ("a log that was left", 20),
        ("a record that flipped", 100),
        ("a first page that flipped", 100),
    ],
)
def test_nothing_is_lost_whichever_write_a_process_is_killed_before(ram, scenario, least):
    if reason := traced.reason_not_to():
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, PROGRAM, scenario, ram],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failures"] == []
    assert found["points"] >= least
