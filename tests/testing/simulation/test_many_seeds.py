"""The standard scenario from many seeds; ACTORMQ_SEEDS says how many, 1 000 unless it does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COUNT = int(os.environ.get("ACTORMQ_SEEDS", "1000"))
PROCESSES = 2
MOST = 120.0 * max(COUNT / 1_000, 1.0)  # s of a core, for each process

PROGRAM = """
import logging, sys, time
from actormq.testing import SimulationFailed, simulate
logging.disable(logging.WARNING)
first, count, step = map(int, sys.argv[1:])
failed = 0
for seed in range(first, count, step):
    try:
        run = simulate(seed, trace=False)
        assert run.ledger.is_balanced, (seed, run.ledger)
    except SimulationFailed:
        failed += 1
        try:
            simulate(seed)
        except SimulationFailed as failure:
            print(failure, flush=True)
print("took", time.process_time())
sys.exit(failed > 0)
"""


@pytest.mark.slow
@pytest.mark.alone  # it takes two cores by itself
@pytest.mark.timeout(4 * MOST)  # others may need the cores as well
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
        said = [process.communicate()[0] for process in processes]  # they say little
    finally:
        for process in processes:
            process.kill()
    assert not any(process.returncode for process in processes), "\n".join(said)
    assert max(float(text.split()[-1]) for text in said) < MOST
