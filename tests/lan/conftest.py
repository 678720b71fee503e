"""LANs of network namespaces, made by `scripts/lan_hosts.py` and taken away whatever happens."""

import contextlib
import itertools
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import lan_hosts
from lan_nodes import FAMILY
from lan_nursery import Nursery

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def can_make_lans():
    """Skip what needs a LAN where there can be none, and take away what a killed run has left."""
    why = lan_hosts.lack()
    if why is not None:
        pytest.skip(f"a LAN of network namespaces cannot be made: {why}")
    lan_hosts.sweep(FAMILY)


@pytest.fixture(scope="module")
def new_lan(can_make_lans):
    """Make a LAN: `new_lan(3)`; it is there until the tests of the module have ended."""
    with contextlib.ExitStack() as stack:

        def make(count, **options):
            prefix = f"{FAMILY}-{os.getpid()}-{next(_numbers)}"
            lan = lan_hosts.Lan.up(count, prefix, **options)
            stack.callback(lan.down)
            return lan

        yield make


@pytest.fixture(scope="module")
def nursery(can_make_lans):
    """Starts nodes on hosts, and ends those that are left."""
    started = Nursery()
    yield started
    started.close()
