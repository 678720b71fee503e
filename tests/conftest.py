"""What every test of the project stands on: nothing left behind, nothing unexpected in the log."""

import secrets

import pytest


@pytest.fixture(autouse=True)
def nothing_left(no_leaks, logged):
    """Each test, those without a fixture of their own too."""


@pytest.fixture
def mesh_name():
    """The name of a mesh that is nobody else's, for tests that start nodes by themselves."""
    return f"test-{secrets.token_hex(6)}"
