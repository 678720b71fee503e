"""`actormq ps` for people: a note stands beside whoever is stuck, and only then."""

import pytest

from actormq.cli.table import as_tree, show
from actormq.report import ActorReport, NodeReport


def report(*actors):
    return NodeReport("roof", "0" * 16, "home", "alive", "", 0, 0, {}, list(actors), 1, [])


def actor(**more):
    return ActorReport("lamp", "lamps:Lamp", 3, 4, **more)


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"handler": "set", "busy": 2.34}, "in set for 2.34 s"),
        ({"handler": "set", "busy": 2.0, "awaits": "hub"}, "awaits hub for 2 s in set"),
        ({"restarts": 1}, "restarted 1 time"),
        ({"restarts": 2, "is_down": True}, "down, waits for its restart, restarted 2 times"),
        ({"held": 0.75, "held_by": "set"}, "held the loop for 0.75 s in set"),
        (
            {"handler": "a", "busy": 1.5, "held": 3.0, "held_by": "b"},
            "in a for 1.5 s, held the loop for 3 s in b",
        ),
    ],
)
def test_a_note_says_what_is_wrong(capsys, monkeypatch, more, note):
    monkeypatch.setenv("COLUMNS", "120")
    show([report(actor(**more), actor())])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["actor", "class", "mailbox", "received", "note"]
    assert lines[2].endswith(note) or lines[2].rstrip().endswith(note)
    assert lines[3].split() == ["lamp", "lamps:Lamp", "3", "4"]


def test_without_a_note_there_is_no_column_for_it(capsys):
    show([report(actor())])
    assert "note" not in capsys.readouterr().out


def test_a_note_is_one_line_whatever_the_names_are(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    show([report(actor(handler="set", busy=2.0, awaits="[bold]h\nub\x1b"))])
    assert "awaits [bold]h ub\\x1b for 2 s in set" in capsys.readouterr().out


def test_children_stand_behind_their_parents():
    pairs = [("node", ""), ("rack", ""), ("other", ""), ("shelf", "rack"), ("a", "shelf")]
    pairs += [("lone", "rack"), ("orphan", "not shown")]
    actors = [ActorReport(name, "m:C", 0, 0, parent=parent) for name, parent in pairs]
    assert [("  " * depth + one.name) for depth, one in as_tree(actors)] == [
        "node",
        "rack",
        "  shelf",
        "    a",
        "  lone",
        "other",
        "orphan",
    ]
