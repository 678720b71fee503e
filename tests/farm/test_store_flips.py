"""A bit of a store's file flips: no record comes back altered, and what is lost is named.

`ACTORMQ_FLIPS` says how many bits; `scripts/prove store` flips 10 000.
"""

import os
import random

import pytest
from batches import outcome_count, pending

from actormq.errors import StoreDamaged
from actormq.farm import store as module
from actormq.farm.records import Outcome
from actormq.farm.store import Store

FLIPS = int(os.environ.get("ACTORMQ_FLIPS", "600"))
JOB = "words:count one"
COUNT = 150  # tasks; with their outcomes they take 20 pages, some of which lead to others
SEED = 6

chance = random.Random(SEED)
TASKS = {
    number: chance.randbytes(6000 if number == 20 else chance.choice((20, 100, 300)))
    for number in range(COUNT)
}
OUTCOMES = {
    number: Outcome(
        number,
        1 + number % 3,
        number % 10 == 0,
        chance.randbytes(9000 if number == 30 else chance.choice((30, 200))),
        number / 2,
        "roof",
    )
    for number in range(0, COUNT, 2)
}


@pytest.fixture
def batch(ram, monkeypatch):
    monkeypatch.setattr(module, "BALLAST", 4096)
    return ram / "batch"


def filled(path):
    """A store with some tasks done, and some waiting; it is open."""
    opened = Store(path, JOB, resume=False)
    for first in range(0, COUNT, 30):
        opened.accept([(number, TASKS[number]) for number in range(first, first + 30)])
    opened.record(list(OUTCOMES.values()))
    return opened


def files(folder):
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


def put_back(folder, content):
    for entry in folder.iterdir():
        entry.unlink()
    for name, data in content.items():
        (folder / name).write_bytes(data)


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit >> 3] ^= 1 << (bit & 7)
    return bytes(changed)


def bits(content, count, seed):
    """Half of them anywhere, the others where SQLite keeps what leads to records."""
    chance = random.Random(seed)
    pages = len(content) // 4096
    for number in range(count):
        if number % 2:
            yield chance.randrange(len(content) * 8)
        elif number % 4:
            yield chance.randrange(4096 * 8)
        else:
            yield chance.randrange(pages) * 4096 * 8 + chance.randrange(200 * 8)


def look(path):
    """Open a store that was damaged; count what is lost, and say if the file is a new one.

    Fails if anything comes back altered, or is lost and not named.
    """
    opened = Store(path, JOB, resume=True)
    try:
        assert opened.accepted_count == COUNT
        damaged = opened.damaged
        payloads = {number: opened.payload(number) for number in range(COUNT)}
        lost = {number for number, payload in payloads.items() if payload is None}
        assert all(payloads[number] == TASKS[number] for number in set(TASKS) - lost)
        assert lost == {each.id for each in damaged if each.what == "task"} - {-1}
        found = {outcome.id: outcome for outcome in opened.outcomes(-1, COUNT)}
        assert all(OUTCOMES[number] == outcome for number, outcome in found.items())
        again = set(OUTCOMES) - set(found)
        assert not set(found) & {each.id for each in damaged if each.what == "outcome"}
        assert len(again) <= sum(each.count for each in damaged if each.what == "outcome")
        waiting = pending(opened, -1, COUNT)
        assert {number for number, _ in waiting} == set(TASKS) - lost - set(found)
        assert all(TASKS[number] == payload for number, payload in waiting)
        is_anew = path.with_name("batch-damaged").exists()
        assert is_anew == bool(damaged)
        return len(lost), len(again), is_anew
    finally:
        opened.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_bit_that_flips_alters_a_record(batch):
    filled(batch).close()
    whole = batch.read_bytes()
    results = []
    for bit in bits(whole, FLIPS, SEED):
        put_back(batch.parent, {"batch": flipped(whole, bit)})
        try:
            results.append(look(batch))
        except Exception as error:
            error.add_note(f"bit {bit}")
            raise
    anew = [result for result in results if result[2]]
    assert len(anew) > FLIPS / 4  # else the bits were not where they matter
    lost = sum(tasks + outcomes for tasks, outcomes, _ in anew)
    print(f"flips {FLIPS}: none altered, {len(anew)} found, {lost} records put aside")  # noqa: T201 for -s


@pytest.mark.slow
def test_a_bit_that_flips_in_the_log_of_a_process_that_was_killed_is_noticed(batch):
    opened = filled(batch)
    left = {name: data for name, data in files(batch.parent).items() if name != "batch-ballast"}
    opened.close()
    log = left["batch-wal"]
    assert len(log) > 10_000

    put_back(batch.parent, left)
    assert look(batch) == (0, 0, False)

    for bit in random.Random(SEED).sample(range(len(log) * 8), FLIPS // 12):
        put_back(batch.parent, {**left, "batch-wal": flipped(log, bit)})
        lost, again, is_anew = look(batch)
        assert is_anew == bool(lost or again)


@pytest.mark.parametrize("cut", [1, 4096, 8192, 40_000])
def test_a_file_that_was_cut_short_gives_back_what_is_left(batch, cut):
    filled(batch).close()
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-cut])

    lost, again, is_anew = look(batch)

    assert is_anew
    assert lost + again > 0


@pytest.mark.parametrize("page", range(6))
def test_a_page_that_was_wiped_out_is_told_of(batch, page):
    filled(batch).close()
    whole = batch.read_bytes()
    batch.write_bytes(whole[: page * 4096] + bytes(4096) + whole[(page + 1) * 4096 :])

    lost, again, is_anew = look(batch)

    assert is_anew
    assert bool(lost + again) == (page in {2, 3})  # where all tasks, and all outcomes, hang


def test_a_file_without_its_facts_is_refused(batch):
    filled(batch).close()
    whole = bytearray(batch.read_bytes())
    for page in (1, 5):
        whole[page * 4096 + 100 : (page + 1) * 4096] = bytes(3996)
    batch.write_bytes(whole)
    with pytest.raises(
        StoreDamaged, match=r"both copies of its facts\): take a copy of it that is sound"
    ):
        Store(batch, JOB, resume=True)
    assert batch.read_bytes() == whole


def test_what_was_put_aside_is_mended_by_what_is_given_again(batch):
    filled(batch).close()
    whole = batch.read_bytes()
    task, outcome = whole.index(TASKS[5][:20]), whole.index(OUTCOMES[8].payload[:20])
    batch.write_bytes(flipped(flipped(whole, task * 8), outcome * 8))

    opened = Store(batch, JOB, resume=True)
    assert {(each.what, each.id) for each in opened.damaged} == {("task", 5), ("outcome", 8)}
    assert opened.payload(5) is None
    assert [number for number, _ in pending(opened, 2, 3)] == [3, 7, 8]  # 8 is to run again
    assert outcome_count(opened) == len(OUTCOMES) - 1
    opened.replace(5, TASKS[5])
    assert opened.record([OUTCOMES[8]]) == []
    assert opened.damaged == []
    opened.close()

    again = Store(batch, JOB, resume=True)
    assert again.damaged == []
    assert [number for number, _ in pending(again, 2, 3)] == [3, 5, 7]
    assert {each.id: each for each in again.outcomes(-1, COUNT)} == OUTCOMES
    again.close()


def test_what_is_known_to_be_damaged_is_told_of_each_time(batch):
    filled(batch).close()
    whole = batch.read_bytes()
    batch.write_bytes(flipped(whole, whole.index(TASKS[5][:20]) * 8))
    for _ in range(3):
        opened = Store(batch, JOB, resume=True)
        assert [(each.what, each.id) for each in opened.damaged] == [("task", 5)]
        opened.close()
    assert batch.with_name("batch-damaged").read_bytes()[:100] == whole[:100]
