"""Workers are killed and stopped at random: every result is there once, and soon.

`scripts/prove farm` does the same with 100 000 tasks, 100 kills and 20 stops.
"""

import asyncio
import os
import statistics
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import chores
import figures
import pytest
from granted import Granted
from hosts import Troubles

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(float(os.environ.get("ACTORMQ_FARM_TIME", "120"))),
]

TASKS = int(os.environ.get("ACTORMQ_FARM_TASKS", "1500"))
KILLS = int(os.environ.get("ACTORMQ_FARM_KILLS", "5"))
STOPS = int(os.environ.get("ACTORMQ_FARM_STOPS", "2"))
SEED = int(os.environ.get("ACTORMQ_FARM_SEED", "1"))
HOSTS, SLOTS = 3, 2
SECONDS = 0.01  # of a task
PAUSE = 0.2  # s between troubles, at most
KILL_LIMIT, STOP_LIMIT = 1.0, 4.0  # s until what was lost is begun elsewhere


@dataclass
class Runs:
    """Who has begun and ended which task when."""

    begun: dict = field(default_factory=lambda: defaultdict(list))  # number: [(time, pid)]
    ended: dict = field(default_factory=dict)  # (number, pid): time

    @classmethod
    def of(cls, path):
        runs = cls()
        for line in path.read_text().splitlines():
            what, number, pid, at = line.split()
            if what == "begun":
                runs.begun[int(number)].append((float(at), int(pid)))
            else:
                runs.ended[int(number), int(pid)] = float(at)
        return runs

    def cut_off(self, trouble):
        """The tasks that were in hand when it happened, and had not been ended by then."""
        for number, begun in self.begun.items():
            for at, pid in begun:
                was_at_it = pid in trouble.pids and at <= trouble.at
                if was_at_it and self.ended.get((number, pid), trouble.at + 1) > trouble.at:
                    yield number, pid

    def delays(self, trouble, passed):
        """Seconds from a trouble until what was cut off is begun by somebody else."""
        for number, pid in self.cut_off(trouble):
            later = [at for at, by in self.begun[number] if by != pid and at > trouble.at]
            if later:
                yield passed.between(trouble.at, min(later))
            elif (number, pid) not in self.ended:
                yield float("inf")


@pytest.fixture
def troubles(mesh_name):
    troubles = Troubles(mesh_name, HOSTS, SLOTS, SEED)
    yield troubles
    troubles.end()


@pytest.fixture
def passed():
    with Granted() as passed:
        yield passed


async def test_whatever_dies_every_result_is_there_once_and_soon(
    mesh, mesh_name, troubles, until, tmp_path, logged, passed
):
    notes = tmp_path / "notes"
    notes.touch()
    node = await mesh.start(mesh=mesh_name, discovery=True)
    kinds = [("kill_slot", "kill_host")[n % 3 == 0] for n in range(KILLS)]
    kinds += [("stop_slot", "stop_host")[n % 2] for n in range(STOPS)]
    async with node.farm(chores.noted, workers=0, min_workers=HOSTS * SLOTS) as farm:

        async def inputs():
            """As many as it takes until all troubles are over, and `TASKS` at least."""
            number = 0
            while number < TASKS or not happening.done():
                yield [str(notes), number, SECONDS]
                number += 1

        async def slots_ready():
            await until(lambda: farm.progress().workers == HOSTS * SLOTS, within=60)

        happening = asyncio.ensure_future(
            troubles.befall(kinds, PAUSE, time.monotonic, slots_ready)
        )
        found = [result async for result in farm.map(inputs())]
        await happening
        progress = farm.progress()
    runs = Runs.of(notes)

    values = {result.input[1]: result.value for result in found}
    assert len(found) == len(values) == progress.done >= TASKS
    assert values == {number: number**2 for number in range(len(found))}
    kills = [d for t in troubles.done if t.kind == "kill" for d in runs.delays(t, passed)]
    stops = [d for t in troubles.done if t.kind == "stop" for d in runs.delays(t, passed)]
    extra = sum(map(len, runs.begun.values())) - len(found)
    tell(found, troubles, kills, stops, extra, progress)
    assert kills
    assert max(kills) < KILL_LIMIT
    assert max(stops, default=0.0) < STOP_LIMIT
    assert extra <= progress.redelivered + progress.second  # what was out, and stragglers


def tell(found, troubles, kills, stops, extra, progress):
    done = Counter(trouble.kind for trouble in troubles.done)
    worst = max(stops, default=0.0)
    figures.tell(
        f"farm: {len(found)} tasks, {done['kill']} kills, {done['stop']} stops; begun elsewhere "
        f"after a kill in median {statistics.median(kills):.2f} s, worst {max(kills):.2f} s, after "
        f"a stop worst {worst:.2f} s; {extra} extra runs, {progress.redelivered} tasks were out, "
        f"{progress.second} given a second time"
    )
