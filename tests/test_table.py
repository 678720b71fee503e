"""What `actormq ps` draws."""

from actormq.cli.table import _as_tree, _note
from actormq.report import ActorReport


def actor(name, parent="", **facts):
    return ActorReport(name=name, class_="m:C", mailbox=0, received=0, parent=parent, **facts)


def test_children_stand_behind_their_parents():
    actors = [
        actor("node"),
        actor("rack"),
        actor("other"),
        actor("shelf", "rack"),
        actor("a", "shelf"),
        actor("lone", "rack"),
        actor("orphan", "not shown"),
    ]
    drawn = [(depth, one.name) for depth, one in _as_tree(actors)]
    assert drawn == [
        (0, "node"),
        (0, "rack"),
        (1, "shelf"),
        (2, "a"),
        (1, "lone"),
        (0, "other"),
        (0, "orphan"),
    ]


def test_a_note_says_what_is_wrong():
    assert _note(actor("a")) == ""
    assert _note(actor("a", restarts=1)) == "restarted 1 time"
    down = actor("a", restarts=2, is_down=True)
    assert _note(down) == "down, waits for its restart, restarted 2 times"
    assert _note(actor("a", handler="f", busy=2.0, awaits="b")) == "awaits b for 2 s in f"
    assert _note(actor("a", held=3.0, held_by="g")) == "held the loop for 3 s in g"
