"""What the tests of actors elsewhere stand on."""

import pytest


@pytest.fixture
def mesh(mesh, patience_with_processes):
    """As usual, with nodes that wait for their processes."""
    return mesh
