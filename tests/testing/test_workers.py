"""Tests of several workers of pytest-xdist: ours are run as ever, side by side, and some alone."""

from pathlib import Path

import pytest
import side_by_side

TESTS = """
import asyncio
import logging
import os
from pathlib import Path

import pytest
import zmq

FOLDER = Path(__file__).parent
WORKER = os.environ["PYTEST_XDIST_WORKER"]


async def test_both_are_here_at_once(mesh, until):
    node = await mesh.start()
    FOLDER.joinpath(f"{WORKER}.here").touch()
    await until(lambda: len(list(FOLDER.glob("*.here"))) == 2)


@pytest.mark.alone
async def test_one_is_here_alone(mesh):
    with FOLDER.joinpath("alone").open("x"):
        await asyncio.sleep(0.2)  # that the other one has its chance to come in
        await mesh.start()
        FOLDER.joinpath("alone").unlink()


def test_what_is_no_unicode_does_not_end_the_run():
    logging.getLogger("station").warning("\\udcff")


def test_what_is_left_is_told_of(no_leaks):
    test_what_is_left_is_told_of.left = zmq.Context.instance().socket(zmq.PAIR)
"""
CONFTEST = """
from side_by_side import Turns, is_worker


def pytest_configure(config):
    if is_worker(config):
        config.pluginmanager.register(Turns(), "turns")
"""


@pytest.mark.slow
def test_tests_run_side_by_side_in_two_workers_but_those_that_are_alone(pytester):
    pytester.makeini("[pytest]\nmarkers = alone\nfilterwarnings = error\n")
    # A copy, as that one locks what it stands beside: the turns of this run are not those of ours.
    pytester.makepyfile(TESTS, side_by_side=Path(side_by_side.__file__).read_text())
    pytester.makeconftest(CONFTEST)
    options = ("-pno:cacheprovider", "-pno:hypothesispytest", "--tx=2*popen", "--dist=each")
    done = pytester.runpytest_subprocess(*options)
    done.assert_outcomes(passed=8, errors=2)
    done.stdout.fnmatch_lines(["socket left open: PAIR*"])
