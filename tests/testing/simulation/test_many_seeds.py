"""The standard scenario from many seeds; ACTORMQ_SEEDS says how many, 1 000 unless it does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COUNT = int(os.environ.get("ACTORMQ_SEEDS", "1000"))
PROCESSES = 2

PROGRAM = """
import logging, sys
from actormq.testing import SimulationFailed, simulate
logging.disable(logging.WARNING)
first, count, step = map(int, sys.argv[1:])
failed = 0
for seed in range(first, count, step):
    try:
        run = simulate(seed)
        assert run.ledger.is_balanced, (seed, run.ledger)
    except SimulationFailed as failure:
        failed += 1
        print(failure, flush=True)
sys.exit(failed > 0)
"""


@pytest.mark.slow
@pytest.mark.timeout(120 * max(COUNT / 1_000, 1.0))
def test_a_mesh_of_five_nodes_with_faults_gets_well_and_its_ledger_is_balanced():
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(first), str(COUNT), str(PROCESSES)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for first in range(PROCESSES)
    ]
    try:
        said = [process.communicate()[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert not any(process.returncode for process in processes), "\n".join(said)
