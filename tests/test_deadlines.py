import asyncio
import gc
import math
import random

import pytest

from actormq.deadlines import BUCKETS_LEAST, BUCKETS_PER_SECOND, Deadlines
from actormq.loop import Loop
from actormq.testing.simulation.loop import VirtualLoop

BUCKET = 1 / BUCKETS_PER_SECOND


class Item:
    """Notes when it expired."""

    def __init__(self, loop):
        self.loop = loop
        self.expired_at = None
        self.done = asyncio.Event()

    def expire(self):
        self.expired_at = self.loop.now()
        self.done.set()


def on_a_loop(test):
    """Run a coroutine function with a loop and its deadlines."""

    async def body():
        loop = Loop()
        deadlines = Deadlines(loop)
        try:
            async with asyncio.timeout(60):
                await test(loop, deadlines)
        finally:
            deadlines.close()

    asyncio.run(body())


def test_an_item_expires_at_its_deadline_and_not_before():
    async def test(loop, deadlines):
        item = Item(loop)
        deadline = loop.now() + 0.025

        deadlines.add(item, deadline)
        await item.done.wait()

        assert item.expired_at >= deadline

    on_a_loop(test)


def test_items_expire_in_the_order_of_their_deadlines():
    async def test(loop, deadlines):
        order = []

        class Noted(Item):
            def expire(self):
                order.append(self)
                super().expire()

        now = loop.now()
        items = [Noted(loop) for _ in range(8)]
        for number in random.Random(7).sample(range(8), 8):
            deadlines.add(items[number], now + 0.01 + number * BUCKET)
        await items[-1].done.wait()

        assert order == items

    on_a_loop(test)


def test_one_that_ended_in_time_does_not_expire():
    async def test(loop, deadlines):
        ended, late = Item(loop), Item(loop)
        bucket = deadlines.add(ended, loop.now() + BUCKET)
        deadlines.add(late, loop.now() + 3 * BUCKET)

        bucket.pop(ended)
        await late.done.wait()

        assert ended.expired_at is None

    on_a_loop(test)


def test_a_deadline_that_has_passed_expires_at_once():
    async def test(loop, deadlines):
        item = Item(loop)

        deadlines.add(item, loop.now() - 5)
        await item.done.wait()

    on_a_loop(test)


def test_an_earlier_deadline_that_comes_later_does_not_wait_for_the_first():
    async def test(loop, deadlines):
        late, early = Item(loop), Item(loop)
        deadlines.add(late, loop.now() + 3600)

        deadlines.add(early, loop.now() + BUCKET)
        await early.done.wait()

        assert late.expired_at is None

    on_a_loop(test)


def test_an_item_may_set_the_next_deadline_as_it_expires():
    async def test(loop, deadlines):
        last = Item(loop)

        class First(Item):
            def expire(self):
                deadlines.add(last, loop.now() + BUCKET)
                super().expire()

        first = First(loop)
        deadlines.add(first, loop.now())
        await last.done.wait()

        assert last.expired_at > first.expired_at

    on_a_loop(test)


def test_items_of_one_bucket_may_leave_it_as_they_expire():
    async def test(loop, deadlines):
        deadline = loop.now() + BUCKET
        items = []

        class Pair(Item):
            def expire(self):
                for other in items:
                    bucket.pop(other, None)
                super().expire()

        items += [Pair(loop), Pair(loop)]
        for item in items:
            bucket = deadlines.add(item, deadline)
        await items[1].done.wait()

        assert items[0].expired_at is not None

    on_a_loop(test)


def test_thousands_of_deadlines_share_one_timer():
    async def test(loop, deadlines):
        before = sum(isinstance(one, asyncio.TimerHandle) for one in gc.get_objects())
        now = loop.now()
        kept = [
            (item := Item(loop), deadlines.add(item, now + 60 + n / 1_000)) for n in range(5_000)
        ]
        after = [one for one in gc.get_objects() if isinstance(one, asyncio.TimerHandle)]

        assert len(kept) == 5_000
        assert len([one for one in after if not one.cancelled()]) <= before + 1

    on_a_loop(test)


def test_buckets_that_all_have_left_are_let_go_long_before_their_time():
    async def test(loop, deadlines):
        now = loop.now()
        late = [(Item(loop), now + 600 + 5 * number * BUCKET) for number in range(100)]
        for item, deadline in late:
            deadlines.add(item, deadline)
        for number in range(20_000):
            item = Item(loop)
            del deadlines.add(item, now + 300 + number * BUCKET)[item]
            deadlines.sweep()
        assert deadlines.waiting() == [item for item, _ in late]
        assert len(deadlines._heap) == len(deadlines._buckets) <= 2 * (len(late) + 1)

    on_a_loop(test)


@pytest.mark.slow
def test_one_that_comes_once_buckets_were_let_go_expires_in_time():
    async def test(loop, deadlines):
        for number in range(2 * BUCKETS_LEAST):
            item = Item(loop)
            del deadlines.add(item, loop.now() + (1 + number) * BUCKET)[item]
        deadlines.sweep()
        assert not deadlines._heap
        late, deadline = Item(loop), loop.now() + (2 * BUCKETS_LEAST + 1) * BUCKET
        deadlines.add(late, deadline)
        soon = Item(loop)
        deadlines.add(soon, loop.now())
        await soon.done.wait()
        assert late.expired_at is None
        await late.done.wait()
        assert late.expired_at >= deadline

    on_a_loop(test)


def test_a_deadline_at_infinity_never_comes():
    async def test(loop, deadlines):
        never, soon = Item(loop), Item(loop)
        bucket = deadlines.add(never, math.inf)
        deadlines.add(soon, loop.now())
        await soon.done.wait()

        assert bucket is None
        assert never.expired_at is None

    on_a_loop(test)


@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_expires_once_they_are_closed(when):
    async def test(loop, deadlines):
        item = Item(loop)
        if when == "before":
            deadlines.add(item, loop.now() + BUCKET)
        deadlines.close()
        if when == "after":
            deadlines.add(item, loop.now())
        passed = asyncio.Event()
        loop.call_later(5 * BUCKET, passed.set)
        await passed.wait()

        assert item.expired_at is None

    on_a_loop(test)


def test_a_timer_that_rounding_makes_early_is_not_set_again_and_again_for_no_time():
    # In real time it would be set twice; in virtual time, which stands still meanwhile, for ever.
    async def test():
        loop = Loop()
        deadlines = Deadlines(loop)
        items = [Item(loop) for _ in range(500)]
        await asyncio.sleep(24)  # from here on some hundredths, a hundred times, are a little less
        begun = loop.now()
        for number, item in enumerate(items):
            deadlines.add(item, begun + number * 0.0137)
        assert deadlines.waiting() == items
        await asyncio.sleep(8)
        assert deadlines.waiting() == []
        for number, item in enumerate(items):
            assert -1e-9 <= item.expired_at - begun - number * 0.0137 <= BUCKET + 1e-6

    virtual = VirtualLoop(100.0)
    virtual.run_until_complete(test())
    virtual.close()
