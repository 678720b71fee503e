"""Test files that are run with the plugin as users have it."""

import pytest

from actormq.testing import leaks, testloop
from actormq.testing.leaks import Leaks

pytest_plugins = ["pytester"]

ALONE = [f"-pno:{name}" for name in ("cacheprovider", "hypothesispytest", "timeout")]
"""Plugins that cost a second, and change nothing here."""

HEAD = """
import asyncio
import threading

import pytest
import zmq

from actormq import Actor, Node, every, handler


class Greeter(Actor):
    @handler
    def greet(self, who: str) -> str:
        return f"hello {who}"

"""


class Trial:
    """Runs a test file of a user's, in this process, and takes away what it leaves."""

    def __init__(self, pytester):
        self.pytester = pytester

    def run(self, source, *options, ini="", conftest=""):
        self.pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}\n")
        if conftest:
            self.pytester.makeconftest(conftest)
        self.pytester.makepyfile(HEAD + source)
        with Leaks() as leaks:
            done = self.pytester.runpytest_inprocess(*ALONE, *options)
            for opened in leaks._opened:
                if socket := opened.ref():
                    socket.context.destroy(0)
        return done


@pytest.fixture
def trial(pytester, monkeypatch):
    for module in (leaks, testloop):
        monkeypatch.setattr(module, "GRACE", 0.05)
    return Trial(pytester)
