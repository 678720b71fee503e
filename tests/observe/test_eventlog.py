"""The event log: a line of JSON for each event of the mesh, at once, for as long as it can."""

import json
import logging
import os
import time

import pytest

from actormq import Actor, DeadLetter, Node, SetupError, handler
from actormq.events import Events, LoopHeld, MemberChanged, Notice, PeerRefused
from actormq.observe.eventlog import EventLog, line_of


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (
            MemberChanged("0a", "roof", "dead", "silent", 2, "0b"),
            {
                "node": "0a",
                "name": "roof",
                "state": "dead",
                "reason": "silent",
                "incarnation": 2,
                "accuser": "0b",
            },
        ),
        (PeerRefused("roof", "no\nkey"), {"who": "roof", "reason": "no\nkey"}),
        (Notice(30, "mind the step"), {"level": 30, "text": "mind the step"}),
        (
            LoopHeld("lamp", "set", 1.5, "", is_over=True),
            {"actor": "lamp", "handler": "set", "seconds": 1.5, "stack": "", "is_over": True},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_line_is_when_what_and_the_fields_of_the_event(event, fields):
    line = line_of(event, 12.3456789, 1_700_000_000.25)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "monotonic": 12.345679,
        "time": "2023-11-14T22:13:20.250000+00:00",
        "event": type(event).__name__,
        **fields,
    }


def test_lines_are_there_at_once_and_follow_those_of_an_earlier_run(tmp_path):
    path = tmp_path / "events.jsonl"
    for name in ("first", "second"):
        events = Events()
        with EventLog(events, path):
            before = time.monotonic()
            events.emit(MemberChanged("0a", name, "alive", "said hello"))
            assert before - 1e-6 <= lines_of(path)[-1]["monotonic"] <= time.monotonic() + 1e-6
        events.emit(MemberChanged("0b", "after the end", "alive", "said hello"))
    assert [line["name"] for line in lines_of(path)] == ["first", "second"]


def test_single_messages_are_not_written(tmp_path):
    events = Events()
    with EventLog(events, tmp_path / "events.jsonl"):
        events.emit(DeadLetter("lamp", "set", "ActorStopped"))
    assert lines_of(tmp_path / "events.jsonl") == []


def test_a_file_that_cannot_be_written_is_refused_by_name(tmp_path):
    with pytest.raises(SetupError, match=f"--events {tmp_path}: it cannot be written: Is a dir"):
        EventLog(Events(), tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a full disk at hand")  # noqa: PTH110
def test_a_full_disk_ends_the_log_with_one_word_and_nothing_else():
    events, heard = Events(), []
    events.listen(heard.append, Notice)
    with EventLog(events, "/dev/full"):
        for _ in range(3):
            events.emit(PeerRefused("roof", "no key"))
    (notice,) = heard
    assert notice.level == logging.ERROR
    assert notice.text == "no more is written to /dev/full: No space left on device"


class Lamp(Actor):
    @handler
    def set(self, level: float) -> float:
        return level


async def test_a_node_tells_of_its_start_and_at_its_end_of_its_messages(tmp_path, mesh_name):
    path = tmp_path / "events.jsonl"
    one = Node(mesh=mesh_name, name="one", discovery=False)
    with EventLog(one.events, path):
        async with one:
            address = one.address.removeprefix("tcp://")
            async with Node(mesh=mesh_name, discovery=False, join=[address]) as other:
                await one.spawn(Lamp, "lamp")
                lamp = await other.find("lamp")
                for level in range(3):
                    await lamp.ask(Lamp.set, level)
    started, *between, stopped = lines_of(path)
    assert (started["event"], started["node"], started["id"]) == ("NodeStarted", "one", one.id)
    assert [(line["event"], line["state"]) for line in between] == [
        ("MemberChanged", "alive"),
        ("MemberChanged", "left"),
    ]
    assert (stopped["event"], stopped["id"]) == ("NodeStopped", one.id)
    assert stopped["ledger"] == {"sent": 3, "delivered": 3, "dropped": {}, "in_flight": 0}
    assert stopped["traffic"]["received"] >= 3
    assert stopped["traffic"]["waiting"] == 0
