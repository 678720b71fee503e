"""The names of the kit, and what it takes to have them."""

import subprocess
import sys

import pytest

from actormq import testing

NAMES = {
    *("Clock", "ClockLoop", "DeadLetter", "DeadLetters", "Fault", "Injector", "Ledger", "Logged"),
    *("Mesh", "Probe", "Probes", "Received", "Simulation", "SimulationFailed", "Until", "World"),
    *("fail_at", "settled", "simulate", "until"),
}


def test_the_public_names_are_these():
    assert set(testing.__all__) == NAMES
    assert list(testing.__all__) == sorted(testing.__all__)


def test_every_public_thing_says_what_it_is():
    assert [name for name in NAMES if not getattr(testing, name).__doc__] == []


@pytest.mark.slow
def test_the_kit_is_had_without_any_tool_for_tests():
    program = """
import sys
import actormq.testing
print({"pytest", "_pytest", "hypothesis"} & set(sys.modules))
"""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.slow
def test_the_plugin_brings_pytest_along_and_nothing_else_for_tests():
    program = """
import sys
import actormq.testing.plugin
print({"pytest", "hypothesis", "zeroconf"} & set(sys.modules))
"""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{'pytest'}\n", "")
