"""A durable batch whose process is killed again and again: what was accepted is done, once.

The ventilator is killed while it takes tasks in, the sink while it only takes results.
`scripts/prove farm` kills each of them 20 times.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import chores
import figures
import pytest

from actormq import StoreError, StoreInUse, StoreMismatch
from actormq.farm.durable import described
from actormq.farm.job import job_of
from actormq.farm.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(float(os.environ.get("ACTORMQ_FARM_TIME", "120"))),
]

KILLS = int(os.environ.get("ACTORMQ_FARM_DURABLE_KILLS", "1"))  # of the ventilator, and of the sink
COUNT = 400 * KILLS
RATE = 400  # tasks a second, of an input that is slow
FOLDER = Path(__file__).parent


class Batch:
    """Runs the batch until it is killed, and notes what it has said."""

    def __init__(self, file):
        self.file, self.said = file, {}

    def run(self, lines=None, seconds=0.0):
        """Run it until it has said so many lines, or to its end; give these lines."""
        with subprocess.Popen(
            [sys.executable, "durable_batch.py", self.file, str(COUNT), str(seconds)],
            cwd=FOLDER,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            said = []
            for line in process.stdout:
                if line.endswith("\n"):
                    said.append(line.split())
                if len(said) == lines:
                    process.kill()
        self.said.update((int(one[0]), int(one[1])) for one in said if one != ["all"])
        return said

    def kept(self):
        """How many tasks and results the file holds, and whether the input was read to its end."""
        store = Store(self.file, described(job_of(chores.square_slowly)), resume=True)
        try:
            outcomes = {one.id for one in store.outcomes(-1, COUNT)}
            assert set(self.said) <= outcomes  # what it has said, it had kept before
            return store.accepted_count, len(outcomes), store.total
        finally:
            store.close()


def test_a_batch_that_is_killed_again_and_again_is_done_once_and_whole(tmp_path):
    chance = random.Random(5)
    batch = Batch(tmp_path / "batch")
    before, kills = (0, 0), {"ventilator": 0, "sink": 0}
    while min(kills.values()) < KILLS:
        # While the input is slow, the ventilator is at work; once it has ended, only the sink.
        is_taking = kills["ventilator"] < KILLS
        batch.run(before[1] + chance.randrange(1, 100), seconds=COUNT / RATE if is_taking else 0.0)
        *after, total = batch.kept()
        assert tuple(after) >= before
        before = tuple(after)
        kills["ventilator" if total is None else "sink"] += 1
    said = batch.run()
    figures.tell(
        f"farm: kills of a durable batch {kills}, {before} accepted and kept before the last"
    )
    assert said.pop() == ["all"]
    assert sorted((int(a), int(b)) for a, b in said) == [(n, n * n) for n in range(COUNT)]
    assert batch.kept() == (COUNT, COUNT, COUNT)


async def test_a_batch_goes_on_only_with_the_inputs_it_began_with(mesh, tmp_path):
    node, file = await mesh.start(), tmp_path / "batch"
    async with node.farm(chores.double, workers=1, durable=file) as farm:
        found = [result.value async for result in farm.map(range(10), ordered=True)]
    async with node.farm(chores.double, workers=0, durable=file) as farm:  # all of it is known
        assert [result.value async for result in farm.map(range(10), ordered=True)] == found
    async with node.farm(chores.double, workers=0, durable=file) as farm:
        with pytest.raises(StoreError, match="input 3 is another"):
            [result async for result in farm.map([0, 1, 2, 4])]
    with pytest.raises(StoreMismatch):
        async with node.farm(chores.same, workers=0, durable=file):
            pass
    with pytest.raises(StoreMismatch):
        async with node.farm(chores.double, workers=0, durable=file, resume=False):
            pass


async def test_a_batch_is_of_one_farm_at_a_time_and_its_failures_are_kept(mesh, tmp_path):
    node, file = await mesh.start(), tmp_path / "batch"
    async with node.farm(chores.odd_only, workers=1, durable=file) as farm:
        first = [result async for result in farm.map(range(4), retries=1, ordered=True)]
        with pytest.raises(StoreInUse):
            async with node.farm(chores.odd_only, workers=0, durable=file):
                pass
    async with node.farm(chores.odd_only, workers=0, durable=file) as farm:
        again = [result async for result in farm.map(range(4), ordered=True)]
    assert [(r.input, r.tries, repr(r.error)) for r in again] == [
        (r.input, r.tries, repr(r.error)) for r in first
    ]
    assert [r.tries for r in again] == [2, 1, 2, 1]


async def test_what_is_damaged_is_said_and_made_anew_from_the_input(mesh, tmp_path, caplog):
    node, file = await mesh.start(), tmp_path / "batch"
    async with node.farm(chores.double, workers=1, durable=file) as farm:
        assert len([result async for result in farm.map(range(2_000))]) == 2_000
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)
    async with node.farm(chores.double, workers=1, durable=file) as farm:
        assert "damaged" in caplog.text
        assert str(file) in caplog.text
        found = [result.value async for result in farm.map(range(2_000), ordered=True)]
    assert found == [2 * number for number in range(2_000)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk of its own")
def test_a_full_disk_ends_the_intake_and_loses_nothing(tmp_path):
    said = subprocess.run(
        ["unshare", "-m", sys.executable, FOLDER / "full_farm.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.splitlines()[-1:] == ["ok"], said.stderr
