import pytest

from actormq.cluster.remarks import NAMED_MOST, Namesakes, Remarks
from actormq.events import Events, Notice
from actormq.message import Facts


def facts(number, name):
    return Facts("home", f"{number:016x}", 1, name, "lan", ("tcp://10.0.0.1:1",), "")


@pytest.fixture
def said():
    """Namesakes of a node called roof, and what was said of them."""
    events, notices = Events(), []
    events.listen(notices.append, Notice)
    names = Namesakes(facts(1, "roof"), Remarks(events))
    return names, lambda: [notice.text for notice in notices]


def test_who_comes_with_a_name_that_another_one_has_is_told_of_with_all_of_that_name(said):
    names, lines = said
    names.came(facts(2, "cellar"))
    assert lines() == []
    names.came(facts(3, "cellar"))
    names.came(facts(4, "roof"))
    ids = [f"{number:016x}" for number in range(5)]
    assert lines() == [
        f"several nodes are called 'cellar': {ids[2]}, {ids[3]}",
        f"several nodes are called 'roof': {ids[1]}, {ids[4]}",
    ]


def test_who_has_gone_is_no_namesake_and_what_was_said_is_not_said_again(said):
    names, lines = said
    names.came(facts(2, "cellar"))
    names.went(facts(2, "cellar"))
    names.went(facts(9, "attic"))  # was never there
    names.came(facts(3, "cellar"))
    assert lines() == []
    for _ in range(2):
        names.came(facts(4, "cellar"))
        names.went(facts(4, "cellar"))
    assert len(lines()) == 1


def test_of_many_of_one_name_a_few_are_named(said):
    names, lines = said
    for number in range(2, 20):
        names.came(facts(number, "roof"))
    assert lines()
    assert all(line.count(",") < NAMED_MOST for line in lines())
