"""Kills a process that uses a store before each of its writes, and looks at what is left.

`python kill_points.py SCENARIO FOLDER` prints in JSON how many points there were, and what went
wrong.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import traced
from batches import outcome_count, pending

from actormq.farm import store, tables
from actormq.farm.records import Outcome
from actormq.farm.store import Store

JOB = "words:count one"
COUNT = 48  # tasks
GROUP = 6
FRAMES = 6  # in the log that a killed process leaves
LONG = 3  # of the groups, this one has records longer than a page

store.BALLAST = 1 << 16  # bytes: the steps are the same as with more
tables.CHECKPOINT_PAGES = 12  # so that the log is moved into the file more than once


def payload(number):
    size = 5000 if number // GROUP == LONG else 40 + number
    return (b"task %d " % number * size)[:size]


def outcome(number):
    return Outcome(number, 1 + number % 3, number % 7 == 0, payload(number)[::-1], 0.5, "roof")


def use(path, tell):
    """Do a whole batch in two sittings, and tell of each task and outcome once it is on disk."""
    for share in (COUNT // 2, COUNT):
        batch = Store(path, JOB, resume=True)
        finish(batch, share, tell)
        batch.close()


def finish(batch, share, tell):
    """Do what is left up to the share, outcomes a group behind the tasks."""
    while batch.accepted_count < share or pending(batch, -1, 1):
        first = batch.accepted_count
        numbers = range(first, min(first + GROUP, share))
        if numbers:
            batch.accept([(number, payload(number)) for number in numbers])
            tell(numbers[-1] + 1)
        for begun in range(0, first if numbers else share, GROUP):
            some = [number for number, _ in pending(batch, begun - 1, GROUP)]
            if some and some[0] < begun + GROUP:
                batch.record([outcome(number) for number in some])
                for number in some:
                    tell(-1 - number)
                break
    if share == COUNT:
        batch.complete(COUNT)


def wrong(path, told, damaged=frozenset()):
    """Say what is wrong with the store that was left; None if nothing is."""
    batch = Store(path, JOB, resume=True)
    try:
        return next(troubles(batch, told, damaged), None)
    finally:
        batch.close()


def troubles(batch, told, damaged):
    accepted = max((number for number in told if number > 0), default=0)
    done = {-1 - number for number in told if number < 0}
    lost = {number for what, number in damaged if what == "task"}
    numbers = range(batch.accepted_count)
    if len(numbers) < accepted:
        yield f"{accepted} tasks were accepted, {len(numbers)} are there"
    if {(each.what, each.id) for each in batch.damaged} != set(damaged):
        yield f"damaged: {batch.damaged}"
    others = {number for number in numbers if batch.payload(number) != payload(number)}
    if others != lost:
        yield f"tasks with another payload: {others}"
    found = batch.outcomes(-1, COUNT)
    ids = [each.id for each in found]
    if ids != sorted(set(ids)) or len(ids) != outcome_count(batch):
        yield f"outcomes: {ids}"
    if any(each != outcome(each.id) for each in found):
        yield "an outcome is another"
    if done - set(ids):
        yield f"outcomes were lost: {done - set(ids)}"
    waiting = [number for number, _ in pending(batch, -1, COUNT)]
    if waiting != sorted(set(numbers) - lost - set(ids)):
        yield f"waiting are {waiting}"


def whole(path):
    """Go on with the batch to its end, as the next process would."""
    batch = Store(path, JOB, resume=True)
    for number in [each.id for each in batch.damaged if each.what == "task"]:
        batch.replace(number, payload(number))
    finish(batch, COUNT, lambda number: None)
    batch.close()
    left = {entry.name for entry in path.parent.iterdir()} - {"batch", "batch-damaged"}
    return f"left behind: {left}" if left - {"batch-damaged-wal"} else None


def every_point(folder, prepare, work, damaged=frozenset()):
    """Kill the work before each of its writes, from the same beginning."""
    path, point, failures = folder / "batch", 0, []
    told_before = prepare(path)
    start = {entry.name: entry.read_bytes() for entry in folder.iterdir()}
    while True:
        point += 1
        for entry in folder.iterdir():
            entry.unlink()
        for name, content in start.items():
            (folder / name).write_bytes(content)
        _, told, status = traced.run(lambda tell: work(path, tell), point)
        told = [*told_before, *told]
        everything = [*range(1, COUNT + 1), *(-1 - number for number in range(COUNT))]
        try:
            trouble = wrong(path, told, damaged) or whole(path)
            stays = {each for each in damaged if each[0] == "file"}
            trouble = trouble or wrong(path, everything, stays)
            if path.with_name("batch-damaged").exists() != bool(damaged):
                trouble = trouble or "the damaged file is to be kept, and no other"
        except Exception as error:  # noqa: BLE001 it is told of
            trouble = f"{type(error).__name__}: {error}"
        if trouble:
            failures.append(f"before write {point}: {trouble}")
        if status != -9:
            return point - 1, [*failures, *([] if status == 0 else [f"ended with {status}"])]


def a_batch(path):
    return []


def opened(path, tell):
    Store(path, JOB, resume=True).close()


def a_log_that_was_left(path, share=0.33):
    """A process is killed in the middle: the next one finds a log, a lock and a ballast."""
    writes, _, _ = traced.run(lambda tell: use(path, tell))
    for point in range(int(writes * share), writes):
        for entry in path.parent.iterdir():
            entry.unlink()
        _, told, _ = traced.run(lambda tell: use(path, tell), point)
        if frames(path.with_name("batch-wal")) > FRAMES:
            return told
    raise AssertionError("no log had enough in it")


def frames(log):
    """Count the pages in a log that are not in the file yet: those with the salt of its head."""
    content = log.read_bytes() if log.exists() else b""
    salt, places = content[16:24], range(32, len(content), 24 + 4096)
    return sum(content[at + 8 : at + 16] == salt for at in places)


def a_record_that_flipped(path):
    use(path, lambda number: None)
    content = bytearray(path.read_bytes())
    at = content.index(b"task 7 task 7 ") + 20
    content[at] ^= 4
    path.write_bytes(content)
    return [*range(1, COUNT + 1), *(-1 - number for number in range(COUNT))]


def a_first_page_that_flipped(path):
    """Such a file is made anew from a copy; its log, which was left, is not for the new one."""
    told = a_log_that_was_left(path, 0.8)
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    return told


SCENARIOS = {
    "a batch": (a_batch, use),
    "a log that was left": (a_log_that_was_left, opened),
    "a record that flipped": (a_record_that_flipped, opened, {("task", 7)}),
    "a first page that flipped": (a_first_page_that_flipped, opened, {("file", -1)}),
}


if __name__ == "__main__":
    points, failures = every_point(Path(sys.argv[2]), *SCENARIOS[sys.argv[1]])
    json.dump({"points": points, "failures": failures}, sys.stdout)
