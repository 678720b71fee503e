"""Tasks that a slot has not begun are taken back: each is run by somebody, however close it was."""

import asyncio
import random

import pytest
from chores import nap, same
from slots import CODEC, Bench, Owner

pytestmark = pytest.mark.slow


class Lenient(Owner):
    """Does not mind a result that comes twice, and counts them."""

    def slot_done(self, slot, ids, blob, seconds):
        self.twice = getattr(self, "twice", 0) + len(self.results.keys() & set(ids))
        self.results.update(zip(ids, CODEC.unpack_all(blob), strict=True))
        self._note("done", ids, seconds)


@pytest.fixture
def bench(node, _actormq_loop):
    bench = _actormq_loop.run(Bench.on(node))
    yield bench
    _actormq_loop.run(bench.slot.close(0))


async def test_the_last_ones_are_taken_back_while_the_first_one_runs(bench, until):
    first, *rest = bench.give(nap, 0.5, *[0.0] * 9)
    await until(lambda: bench.slot.busy_for)
    assert bench.slot.recall(4) == rest[-4:]
    assert bench.slot.recall(2) == rest[-6:-4]
    assert bench.slot.recall(100) == rest[:-6]
    assert bench.slot.recall(1) == []  # it is at that one
    assert list(bench.slot.held) == [first]
    more = bench.give(nap, 0.0, 0.0)
    await bench.owner.until(lambda: bench.slot.is_idle)
    assert set(bench.owner.results) == {first, *more}


async def test_what_is_taken_back_at_any_moment_is_run_by_somebody(bench):
    chance = random.Random(3)
    owner = bench.owner = bench.slot._owner = Lenient()
    given, back = [], set()

    def ran_elsewhere():
        """What was taken back and not begun all the same.

        Both may take a task for theirs: who looks at the same moment, and where more was given and
        taken back before it came to what was taken back first.
        """
        return back - owner.results.keys()

    while len(ran_elsewhere()) < 100:
        if len(bench.slot.held) < 400:
            given += bench.give(same, *range(chance.randrange(1, 300)))
        await asyncio.sleep(chance.random() * 0.002)
        back.update(bench.slot.recall(chance.randrange(1, 200)))
    await owner.until(lambda: bench.slot.is_idle)
    skipped = [id_ for told in owner.told if told[1] == "skipped" for id_ in told[2]]
    assert set(given) == {*owner.results, *back, *skipped}
    assert ran_elsewhere()
