"""CPython's own tests of executors hold for ours, as far as they ask for what it promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cpython_futures
import pytest

HERE = Path(__file__).parent
SHARES = 6  # programs at once: most of these tests sleep

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def package(tmp_path):
    """A folder for the path of Python, in which `test` is the package that has the tests."""
    folder = cpython_futures.installed()
    if folder is None:
        version = "{}.{}".format(*sys.version_info[:2])
        pytest.skip(
            f"no test.test_concurrent_futures for Python {version} here; on Debian and Ubuntu, "
            f"sudo apt-get install libpython{version}-testsuite"
        )
    (tmp_path / "test").symlink_to(folder)
    return tmp_path


def outcomes(kind, package, mesh):
    """What came of all tests against an executor of this kind."""
    path = os.pathsep.join([str(package), str(HERE), *sys.path[1:]])
    program = [sys.executable, "-P", str(HERE / "cpython_futures.py"), kind]
    programs = [
        subprocess.Popen(
            [*program, str(share), str(SHARES)],
            env={**os.environ, "PYTHONPATH": path, "ACTORMQ_TEST_MESH": mesh},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for share in range(SHARES)
    ]
    whole = {"passed": [], "skips": {}, "faults": {}, "left_out": {}}
    for program in programs:
        out, err = program.communicate()
        assert program.returncode == 0, err.decode()
        said = json.loads(out.splitlines()[-1])
        whole["passed"] += said["passed"]
        for key in ("skips", "faults", "left_out"):
            whole[key] |= said[key]
    return whole


def test_cpythons_own_tests_hold(package, mesh_name):
    whole = outcomes("actormq", package, mesh_name)
    assert whole["faults"] == {}, "\n".join(whole["faults"].values())
    assert len(whole["passed"]) >= 25
