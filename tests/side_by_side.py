"""Lets the tests of several workers run side by side, and some of them alone.

`scripts/test` runs a few workers (pytest-xdist), each of which takes its tests one by one. A test
marked `alone` waits until no other one runs, and holds up those that come next: for what takes all
cores by itself, or means something only on a machine that is quiet. Whatever takes longer than half
a minute should come in pieces, or all the others wait for it as well.
"""

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent


class Turns:
    """Two files that are locked: all workers see them, and the locks end with their processes."""

    def __init__(self):
        self._door = (HERE / "side_by_side.py").open()
        self._room = (HERE / "conftest.py").open()

    @contextmanager
    def one(self, is_alone):
        """Wait for a turn, and hold it."""
        fcntl.flock(self._door, fcntl.LOCK_EX)  # who waits for an empty room lets nobody pass
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)  # also for forks that hold the file

    def close(self):
        self._door.close()
        self._room.close()

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # the wait is no part of a test's time limit
    def pytest_runtest_protocol(self, item):
        with self.one(item.get_closest_marker("alone") is not None):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self, report):
        return sendable((yield))

    def pytest_unconfigure(self):
        self.close()


@contextmanager
def held(path):
    """Let one of all processes in; the others wait."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def sendable(value):
    """What a worker can send: texts of tests may hold what is no Unicode, and end the whole run."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {sendable(key): sendable(each) for key, each in value.items()}
        case list():
            return [sendable(each) for each in value]
        case tuple():  # pytest looks for one where a test was skipped
            return tuple(sendable(each) for each in value)
    return value


def is_worker(config):
    """Whether others run beside this process. A pytest that a test starts takes no turn."""
    return hasattr(config, "workerinput")
