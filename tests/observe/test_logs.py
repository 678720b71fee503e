"""The log says what happened in plain words, and not more lines than anybody reads."""

import asyncio
import logging
import time

import pytest

from actormq import Actor, DeadLetter, handler
from actormq.events import Events, HandlerFailed, LoopHeld, NameElected, NameStandby
from actormq.observe.limit import Limit
from actormq.observe.logs import DEAD_LETTERS_A_SECOND, FAILURES_A_SECOND, log_events


class Clock:
    """Time that is moved by hand."""

    def __init__(self):
        self.now = 100.0
        self.due = []

    def __call__(self):
        return self.now

    def later(self, seconds, call):
        self.due.append((self.now + seconds, call))

    def move(self, seconds):
        self.now += seconds
        due, self.due = self.due, []
        for at, call in due:
            if at <= self.now:
                call()
            else:
                self.due.append((at, call))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def said(clock):
    """What a limit of three a second said was left out, and the limit."""
    left_out = []
    return left_out, Limit(3, left_out.append, clock.later, clock)


def test_so_many_are_let_through_a_second(said, clock):
    left_out, limit = said
    assert [limit.allows() for _ in range(5)] == [True, True, True, False, False]
    clock.move(0.9)
    assert not limit.allows()
    clock.move(0.2)
    assert left_out == [3]
    assert limit.allows()


def test_what_was_left_out_is_said_although_nothing_follows(said, clock):
    left_out, limit = said
    for _ in range(10):
        limit.allows()
    assert left_out == []
    clock.move(1.0)
    assert left_out == [7]
    clock.move(10.0)
    assert left_out == [7]


def test_nothing_is_said_if_nothing_was_left_out(said, clock):
    left_out, limit = said
    for _ in range(3):
        limit.allows()
    assert clock.due == []
    limit.flush()
    assert left_out == []


def test_an_end_says_what_was_left_out_until_then(said):
    left_out, limit = said
    for _ in range(4):
        limit.allows(count=5)
    limit.flush()
    assert left_out == [5]


@pytest.fixture
def events(clock):
    events = Events()
    events.end = log_events(events, "roof", clock.later)
    return events


LINES = [
    (
        DeadLetter("lamp", "set", "ActorStopped"),
        "roof: a dead letter, message for lamp.set: the actor has stopped",
    ),
    (
        DeadLetter("lamp", "set", "MailboxFull"),
        "roof: a dead letter, message for lamp.set: its mailbox is full, see mailbox_limit",
    ),
    (
        DeadLetter("lamp", "set", "asker gave up"),
        (
            "roof: a dead letter, message for lamp.set: nobody waits for its answer any more, "
            "so it was not run"
        ),
    ),
    (
        DeadLetter("attic", "reply", "late reply"),
        "roof: a dead letter, reply for attic: the reply came after its asker had given up",
    ),
    (
        DeadLetter("hub.out", "send", "full", "the oldest went", 3),
        "roof: a dead letter, 3 messages for hub.out.send: the oldest went",
    ),
    (
        DeadLetter("hub.feed", "take", "ArgumentMismatch", "hub.feed.take: argument 'n' is …"),
        "roof: a dead letter, message for hub.feed.take: argument 'n' is …",
    ),
    (DeadLetter("a\nb", "c", "x\x1b"), "roof: a dead letter, message for a b.c: x\\x1b"),
]


@pytest.mark.parametrize(("event", "line"), LINES)
def test_a_dead_letter_says_what_for_whom_and_why(events, caplog, event, line):
    events.emit(event)
    assert [record.message for record in caplog.records] == [line]


ROLES = [
    (NameElected("lead", "a" * 16, "roof", is_own=True), "lead is elected here"),
    (NameElected("lead", "b" * 16, "attic", is_own=False), "lead is elected on attic"),
    (NameStandby("lead", "attic is older", has_let_go=False), "lead stands by: attic is older"),
    (
        NameStandby("lead", "attic holds it", has_let_go=True),
        "lead has let go and stands by: attic holds it",
    ),
]


@pytest.mark.parametrize(("event", "line"), ROLES)
def test_an_election_is_said_in_one_line(events, caplog, event, line):
    caplog.set_level(logging.INFO, "actormq")
    events.emit(event)
    assert caplog.messages == [f"roof: {line}"]


def test_a_flood_of_dead_letters_is_ten_lines_and_a_sum(events, clock, caplog):
    for _ in range(1_000):
        events.emit(DeadLetter("lamp", "set", "full"))
    clock.move(1.0)
    events.end()
    assert len(caplog.records) == DEAD_LETTERS_A_SECOND + 1
    assert caplog.records[-1].message == (
        "roof: and 990 more dead letters within a second: `actormq ps` counts them"
    )


def test_a_hold_is_a_warning_with_its_stack_once_and_a_word_when_it_is_over(events, caplog):
    events.emit(LoopHeld("lamp", "set", 0.51, '  File "lamp.py", line 3', is_over=False))
    events.emit(LoopHeld("", "main", 1.25, "", is_over=True))
    events.emit(LoopHeld("lamp", "set", 0.6, '  File "lamp.py", line 3', is_over=False))
    assert [record.message for record in caplog.records] == [
        (
            "roof: lamp.set has held the loop for 0.51 s, nothing else runs meanwhile:\n"
            '  File "lamp.py", line 3'
        ),
        "roof: main held the loop for 1.25 s",
        "roof: lamp.set has held the loop for 0.6 s, again",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


class Crasher(Actor):
    @handler
    def crash(self) -> None:
        raise ValueError("as always")


async def test_a_thousand_actors_that_crash_at_once_write_few_lines(mesh, logged, until, caplog):
    node = await mesh.start()
    crashed = []
    node.events.listen(crashed.append, HandlerFailed)
    refs = [await node.spawn(Crasher) for _ in range(1_000)]
    logged.expect("raised: ValueError('as always')", "more handlers raised within a second")
    begun = time.monotonic()
    for ref in refs:
        ref.tell(Crasher.crash)
    await until(lambda: len(crashed) == 1_000)
    await asyncio.sleep(0)
    await node.stop()
    seconds = int(time.monotonic() - begun) + 1
    written = [x for x in caplog.records if x.exc_info]
    assert FAILURES_A_SECOND <= len(written) <= FAILURES_A_SECOND * (seconds + 1)
    left_out = [x.args[1] for x in caplog.records if "more handlers raised" in x.message]
    assert len(written) + sum(left_out) == 1_000
