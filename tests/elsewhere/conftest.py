"""What the tests of actors elsewhere stand on."""

import functools

import pytest

STOPPING = 60.0  # s that a process may take to end in order: it is Python's, on a machine of others


@pytest.fixture
def mesh(mesh):
    """As usual, with nodes that wait for their processes."""
    mesh.start = functools.partial(mesh.start, shutdown_timeout=STOPPING)
    return mesh
