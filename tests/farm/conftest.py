"""What the tests of the farm share."""

import shutil
import tempfile
from pathlib import Path

import pytest

RAM = Path("/dev/shm")  # where waiting for a disk costs nothing


@pytest.fixture
def ram(tmp_path):
    """A folder in memory, if the machine has that, for tests that write files by the hundred."""
    if not RAM.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="actormq-", dir=RAM))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def mesh(mesh, patience_with_processes):
    """As usual, with nodes that wait for their slots."""
    return mesh
