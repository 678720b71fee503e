"""The standard scenario from many seeds; ACTORMQ_SEEDS says how many, 2 000 unless it does.

They are tried in pieces, so that no test that must be alone waits long for all of them, and
several workers share them.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COUNT = int(os.environ.get("ACTORMQ_SEEDS", "2000"))
PIECE = 200  # seeds: some 10 s of a core, of which starting Python takes a twentieth
PIECES = [range(first, min(first + PIECE, COUNT)) for first in range(0, COUNT, PIECE)]
# In the suite other tests run beside it, which mostly wait.
PROCESSES = 1 if COUNT <= 2_000 else 2
MOST = 0.24  # s of a core for a seed: a thousand on two cores take 2 minutes, on a usual machine
SHARE = 0.6  # of what is judged in all: a piece may have fewer faults of one kind than the next
JUDGED = {
    "not risen": 20_000,
    "death of the dead": 1_000,
    "out of view, killed": 500,
    "out of view, silent": 250,
    "out of view, stopped": 300,
    "hung shortly": 250,
}
"""How often it is judged in 2 000 seeds at least what nodes believe of each other."""

PROGRAM = """
import json, logging, sys, time
from collections import Counter
from actormq.testing import SimulationFailed, simulate
from yardstick import slowness
logging.disable(logging.WARNING)
failed = 0
before = slowness()
verdicts = Counter()
for seed in range(*map(int, sys.argv[1:])):
    try:
        run = simulate(seed, trace=False, seconds=6.0)
        assert run.ledger.is_balanced, (seed, run.ledger)
        verdicts.update(run.result.verdicts)
    except SimulationFailed:
        failed += 1
        try:
            simulate(seed, seconds=6.0)
        except SimulationFailed as failure:
            print(failure, flush=True)
print(json.dumps([time.process_time() / max(before, slowness()), verdicts]))
sys.exit(failed > 0)
"""


@pytest.mark.slow
@pytest.mark.timeout(25 * PIECE * MOST)  # others may need the cores as well
@pytest.mark.parametrize("seeds", PIECES, ids=lambda seeds: f"{seeds.start} to {seeds.stop - 1}")
def test_a_mesh_of_five_nodes_with_faults_gets_well_and_its_ledger_is_balanced(seeds):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(first), str(seeds.stop), str(PROCESSES)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for first in range(seeds.start, seeds.start + PROCESSES)
    ]
    try:
        said = [process.communicate()[0] for process in processes]  # they say little
    finally:
        for process in processes:
            process.kill()
    assert not any(process.returncode for process in processes), "\n".join(said)
    ends = [json.loads(text.splitlines()[-1]) for text in said]
    assert max(seconds for seconds, _ in ends) < PIECE * MOST
    judged = sum((Counter(verdicts) for _, verdicts in ends), Counter())
    share = SHARE * len(seeds) / 2_000
    rare = {kind: judged[kind] for kind, least in JUDGED.items() if judged[kind] < least * share}
    assert not rare
