"""What every test of the project stands on: nothing left behind, nothing unexpected in the log."""

import functools
import secrets
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from side_by_side import Turns, held, is_worker

from actormq.testing import leaks, meshes, testloop

# Others share the machine: how long an example took says nothing of it.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# s; what they wait for always comes, and others may have the machine for a while
leaks.GRACE = testloop.GRACE = meshes.MEETING = PATIENCE = 60.0


def pytest_configure(config):
    # Whoever starts the suite in the background has the shell ignore these for it, and for all
    # programs that it starts: those that a test interrupts would go on.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(
                number,
                signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL,
            )
    if is_worker(config):
        config.pluginmanager.register(Turns(), "turns")


@pytest.fixture(autouse=True)
def nothing_left(no_leaks, logged):
    """Each test, those without a fixture of their own too."""


@pytest.fixture
def until(until):
    """As users have it, and patient: a condition that never comes ends the test all the same."""

    async def until_(condition, within=PATIENCE):
        return await until(condition, within)

    return until_


@pytest.fixture
def patience_with_processes(mesh):
    """Nodes wait for processes to end in order, in which Python runs, on a machine of others."""
    mesh.start = functools.partial(mesh.start, shutdown_timeout=PATIENCE)


@pytest.fixture
def mesh_name():
    """The name of a mesh that is nobody else's, for tests that start nodes by themselves."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def type_checking():
    """For a test that runs a type checker: their caches are for one process at a time."""
    with held(Path(__file__).parent / "typing"):
        yield
