"""The clock of the tests stands still while the machine does."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from granted import Granted

STOPPED = 0.3  # s

PROGRAM = """
import sys, time
from granted import Granted

with Granted() as passed:
    begun = time.monotonic()
    print("up", flush=True)
    sys.stdin.readline()
    ended = time.monotonic()
print(ended - begun, passed.between(begun, ended), passed.seconds)
"""


@pytest.mark.slow
def test_what_was_not_granted_is_not_counted():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGSTOP)
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)
        time.sleep(STOPPED)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate("go on\n", timeout=100)
    wall, between, whole = map(float, out.split())
    assert wall > STOPPED
    assert 0 <= between <= wall - STOPPED + 0.01  # which is its round
    assert 0 <= whole <= wall - STOPPED + 0.05  # with the end of the thread


@pytest.mark.parametrize(
    ("begun", "ended", "granted"),
    [
        (0.0, 1.0, 1.0),
        (0.0, 10.0, 6.0),  # both stalls are in it
        (2.5, 3.5, 0.5),  # it begins in one
        (1.5, 2.5, 0.5),  # it ends in one
        (2.1, 2.9, 0.0),
        (3.0, 6.0, 3.0),
    ],
)
def test_stalls_count_as_far_as_they_are_in_a_stretch(begun, ended, granted):
    passed = Granted()
    passed._stalls = [(2.0, 3.0), (6.0, 9.0)]
    assert passed.between(begun, ended) == pytest.approx(granted)
