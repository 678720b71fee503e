"""The queue of a farm: facts in, grants out."""

import random

import pytest

from actormq.rules.leases import DEATHS_LIMIT, Leases
from actormq.rules.tasks import Batch, Holder, Task


def farm(tasks=0, *, holders=(), **batch):
    leases = Leases()
    kind = Batch(1, **batch)
    leases.add([Task(number, kind, b"") for number in range(tasks)])
    for worker, credit in holders:
        leases.enter(Holder(worker, 1, credit))
    return leases, kind


def held(leases):
    return {holder.worker: list(holder.held) for holder in leases.holders.values()}


def ids(grants):
    return [(grant.holder.worker, [task.id for task in grant.tasks]) for grant in grants]


def test_a_holder_is_given_as_much_as_its_credit_and_its_share_allow():
    leases, _ = farm(100, holders=[("a", 10), ("b", 1)])
    assert ids(leases.grants(0.0)) == [("a", list(range(10))), ("b", [10])]
    assert leases.waiting_count == 89


def test_where_little_is_left_each_is_given_a_share_of_it():
    leases, _ = farm(8, holders=[("a", 100), ("b", 100)])
    assert ids(leases.grants(0.0)) == [("a", [0, 1]), ("b", [2, 3])]


def test_a_holder_is_refilled_once_half_of_its_credit_is_free():
    leases, _ = farm(100, holders=[("a", 4)])
    leases.grants(0.0)
    holder = leases.holders["a", 1]
    leases.done(holder, [0])
    assert leases.grants(0.0) == []
    leases.done(holder, [1])
    assert ids(leases.grants(0.0)) == [("a", [4, 5])]


def test_what_a_lost_holder_had_is_given_to_others_in_the_same_order():
    leases, _ = farm(40, holders=[("a", 3)])
    leases.grants(0.0)
    leases.enter(Holder("b", 1, 6))
    assert leases.lose(leases.holders["a", 1]) == []
    assert ids(leases.grants(0.0)) == [("b", [0, 1, 2, 3, 4, 5])]
    assert leases.redelivered_count == 3


def test_a_result_counts_once_whoever_brings_it():
    leases, _ = farm(3, holders=[("a", 3), ("b", 3)])
    leases.grants(0.0)
    a, b = leases.holders["a", 1], leases.holders["b", 1]
    first = next(iter(a.held))
    leases.lose(a)
    leases.grants(0.0)
    assert [task.id for task in leases.done(None, [first])] == [first]
    assert leases.done(b, [first]) == [None]
    assert leases.waiting_count + len(b.held) == len(leases.tasks) == 2


def test_a_task_that_raised_is_tried_again_as_often_as_its_batch_says():
    leases, _ = farm(1, holders=[("a", 1)], retries=2)
    a = leases.holders["a", 1]
    for _ in range(2):
        leases.grants(0.0)
        assert leases.raised(a, 0) is None
    leases.grants(0.0)
    failed = leases.raised(a, 0)
    assert failed is not None
    assert failed.raised == 3
    assert leases.repeated_count == 2
    assert not leases.tasks
    assert not leases.waiting_count


def test_an_error_that_would_come_again_is_final():
    leases, _ = farm(1, holders=[("a", 1)], retries=9)
    leases.grants(0.0)
    assert leases.raised(leases.holders["a", 1], 0, is_final=True) is not None


def test_a_task_that_kills_its_holders_is_tried_alone_and_elsewhere_and_then_fails():
    leases, _ = farm(30, holders=[("a", 8), ("b", 8)])
    leases.grants(0.0)
    assert leases.lose(leases.holders["a", 1], blamed=0) == []
    leases.enter(Holder("a", 2, 8))
    for grant in leases.grants(0.0):  # not to the worker that it has killed
        assert 0 not in [task.id for task in grant.tasks]
    b = leases.holders["b", 1]
    leases.done(b, list(b.held))
    assert ids(leases.grants(0.0))[0] == ("b", [0])
    assert b.is_alone
    assert not b.is_hungry
    failed = leases.lose(b, blamed=0)
    for number in range(3, DEATHS_LIMIT + 1):
        assert failed == []
        holder = Holder("b", number, 8)
        leases.enter(holder)
        for other in [one for one in leases.holders.values() if one is not holder]:
            leases.lose(other)
        leases.grants(0.0)
        assert list(holder.held) == [0]
        failed = leases.lose(holder, blamed=0)
    assert [(task.id, task.deaths) for task in failed] == [(0, DEATHS_LIMIT)]
    assert len(leases.tasks) == leases.waiting_count


def test_a_holder_is_let_run_empty_for_a_task_that_is_to_be_tried_alone():
    leases, _ = farm(1_000, holders=[("a", 8), ("b", 8), ("c", 8)])
    leases.grants(0.0)
    leases.lose(leases.holders["a", 1], blamed=0)
    b, c = leases.holders["b", 1], leases.holders["c", 1]
    for _ in range(10):  # one of them is given no more until it has none, the other goes on
        for holder in (b, c):
            leases.done(holder, list(holder.held)[:4])
        leases.grants(0.0)
        if 0 in b.held or 0 in c.held:
            break
    assert min(map(len, (b.held, c.held))) == 1
    assert max(map(len, (b.held, c.held))) > 1


def test_one_that_took_too_long_has_used_a_try_and_no_life():
    leases, _ = farm(1, holders=[("a", 1)], retries=1)
    leases.grants(0.0)
    assert leases.lose(leases.holders["a", 1], blamed=0, is_slow=True) == []
    leases.enter(Holder("a", 2, 1))
    leases.grants(0.0)
    failed = leases.lose(leases.holders["a", 2], blamed=0, is_slow=True)
    assert [(task.raised, task.deaths) for task in failed] == [(2, 0)]


def test_what_a_dead_worker_was_at_is_blamed_later():
    leases, _ = farm(9, holders=[("a", 4)])
    leases.grants(0.0)
    leases.lose(leases.holders["a", 1])
    assert leases.blame([0], "a") == []
    leases.enter(Holder("b", 1, 1))
    assert ids(leases.grants(0.0)) == [("b", [0])]
    assert leases.waiting_count == 8


def test_a_holder_that_cannot_run_a_job_gets_no_more_of_it():
    leases, _ = farm(2, holders=[("a", 1)])
    leases.grants(0.0)
    a = leases.holders["a", 1]
    leases.refuse(a, 1, list(a.held))
    assert leases.grants(0.0) == []
    leases.add([Task(7, Batch(2), b"")])
    assert ids(leases.grants(0.0)) == [("a", [7])]


def test_the_oldest_task_comes_first_whatever_its_batch():
    leases, _ = farm(0)
    for number in range(4):
        leases.add([Task(number, Batch(number), b"")])
    leases.enter(Holder("a", 1, 1))
    order = []
    for _ in range(4):
        order += ids(leases.grants(0.0))
        leases.done(leases.holders["a", 1], order[-1][1])
    assert [one for _, (one,) in order] == [0, 1, 2, 3]


def test_what_takes_long_at_the_end_is_given_a_second_time_and_the_first_answer_counts():
    leases, batch = farm(2, holders=[("a", 1), ("b", 1)])
    leases.grants(0.0)
    batch.mean = 1.0
    b = leases.holders["b", 1]
    leases.done(b, [1])
    assert leases.second_grants(9.0) == []  # there may come more
    batch.is_open = False
    assert leases.second_grants(1.9) == []  # it is not late yet
    assert ids(leases.second_grants(2.0)) == [("b", [0])]
    assert leases.second_grants(9.0) == []  # twice is enough
    assert [task.id for task in leases.done(b, [0])] == [0]
    assert leases.done(leases.holders["a", 1], [0]) == [None]


def test_who_has_more_than_it_is_at_shares_with_those_who_have_nothing():
    leases, _ = farm(8, holders=[("a", 8)])
    while leases.grants(0.0):
        a = leases.holders["a", 1]
    a.credit = 16
    while leases.waiting_count:
        leases.give_credit(a, 16)
        leases.grants(0.0)
    assert list(a.held) == list(range(8))
    assert leases.recalls(9.0) == []  # nobody is idle
    leases.enter(Holder("b", 1, 1))
    assert leases.recalls(0.1) == []  # it may be done with them in no time
    assert leases.recalls(0.2) == [(a, 4)]
    assert leases.recalls(0.3) == []  # it was asked already
    leases.give_credit(a, 1)  # as it says when it gives them back
    leases.recalled(a, [4, 5, 6, 7])
    assert ids(leases.grants(0.3)) == [("b", [4])]


def test_a_holder_of_a_single_task_keeps_it():
    leases, _ = farm(1, holders=[("a", 8), ("b", 8)])
    leases.grants(0.0)
    assert leases.recalls(9.0) == []


def test_a_task_can_be_taken_out_until_it_is_held():
    leases, _ = farm(3, holders=[("a", 1)])
    held_one, waiting = leases.tasks[0], leases.tasks[1]
    leases.grants(0.0)
    assert not leases.withdraw(held_one)
    assert leases.withdraw(waiting)
    assert not leases.withdraw(waiting)
    leases.done(leases.holders["a", 1], [0])
    assert ids(leases.grants(0.0)) == [("a", [2])]


def test_a_message_is_bounded_in_bytes():
    leases, kind = farm(0, holders=[("a", 100)])
    leases.add([Task(number, kind, bytes(400_000)) for number in range(10)])
    assert ids(leases.grants(0.0)) == [("a", [0, 1])]


@pytest.mark.parametrize("seed", range(60))
def test_every_task_ends_once_whatever_happens(seed):  # noqa: C901, PLR0912, PLR0915 a table of troubles
    """Random trouble, against a plain account of what must hold."""
    chance = random.Random(seed)
    leases, serial, given = Leases(), 0, 0
    batches = [Batch(job, retries=chance.randrange(3)) for job in range(3)]
    gone, ended, now = [], {}, 0.0
    for _ in range(400):
        now += chance.random()
        what = chance.randrange(12)
        holders = list(leases.holders.values())
        holder = chance.choice(holders) if holders else None
        if what == 0:
            batch = chance.choice(batches)
            count = chance.randrange(1, 20)
            leases.add([Task(given + n, batch, b"x") for n in range(count)])
            given += count
        elif what == 1 or holder is None:
            serial += 1
            leases.enter(Holder(f"w{serial % 3}", serial, chance.choice([1, 2, 8])))
        elif what in (2, 3):
            lost = dict(holder.held)
            blamed = chance.choice([None, *lost])
            slow = chance.random() < 0.3
            end(ended, leases.lose(holder, blamed, is_slow=slow))
            gone.append(lost)
        elif what == 4 and gone:  # one that was held for lost speaks after all
            end(ended, leases.done(None, chance.sample(list(gone[-1]), len(gone[-1]) // 2)))
        elif what == 5 and holder.held:
            task = leases.raised(holder, chance.choice(list(holder.held)))
            end(ended, [task])
        elif what == 6 and holder.held:
            leases.refuse(holder, 0, [i for i, (t, _) in holder.held.items() if t.batch.job == 0])
        elif what == 7 and gone:
            end(ended, leases.blame(list(gone[-1])[:1], "w1"))
        elif what == 8 and leases.tasks:
            task = chance.choice(list(leases.tasks.values()))
            if leases.withdraw(task):
                end(ended, [task])
        elif what == 9:
            leases.second_grants(now)
            for rich, count in leases.recalls(now):
                leases.recalled(rich, list(rich.held)[-count:])
        elif holder.held:
            end(ended, leases.done(holder, list(holder.held)[: chance.randrange(1, 9)]))
        leases.grants(now)
        check(leases)
    for batch in batches:
        batch.is_open = False
    leases.enter(Holder("last", 10_000, 8))
    for _ in range(10_000):
        leases.grants(now)
        for one in list(leases.holders.values()):
            end(ended, leases.done(one, list(one.held)))
        if not leases.tasks:
            break
    assert sorted(ended) == list(range(given))
    assert leases.waiting_count == 0


def end(ended, tasks):
    for task in tasks:
        if task is not None:
            assert task.id not in ended
            ended[task.id] = task


def check(leases):
    copies = {}
    for holder in leases.holders.values():
        for id_, (task, _) in holder.held.items():
            if leases.tasks.get(id_) is task:
                copies[id_] = copies.get(id_, 0) + 1
    assert {task.id: task.copies for task in leases.tasks.values() if task.copies} == copies
    assert leases.waiting_count == len(leases.tasks) - len(copies)
