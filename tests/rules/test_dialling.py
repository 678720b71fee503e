import pytest

from actormq.rules import dialling
from actormq.rules.dialling import Agenda, Trust
from actormq.rules.endpoints import DIALLED_LIMIT

HERE = ["tcp://10.0.0.1:1"]


def begun(agenda, now=0.0):
    """All that may begin now, in their order."""
    keys = []
    while (wish := agenda.next(now)) is not None:
        keys.append(wish.key)
    return keys


def test_members_go_before_what_peers_tell_and_that_before_hints():
    agenda = Agenda()
    agenda.want("hinted", HERE, Trust.HINTED, 0.0)
    agenda.want("told", HERE, Trust.TOLD, 0.0)
    agenda.want("sure", HERE, Trust.SURE, 0.0)
    assert begun(agenda) == ["sure", "told", "hinted"]


def test_a_thousand_hints_take_the_places_of_hints_and_keep_no_member_waiting():
    agenda = Agenda()
    for number in range(2_000):
        agenda.want(f"forged {number}", HERE, Trust.HINTED, 0.0)
    assert len(begun(agenda)) == dialling.DOUBTFUL_LIMIT
    agenda.want("member", HERE, Trust.SURE, 0.0)
    assert begun(agenda) == ["member"]
    assert len(agenda._doubtful) <= dialling.WAITING_LIMIT


def test_no_more_members_are_dialled_at_a_time_than_there_are_places():
    agenda = Agenda()
    for number in range(100):
        agenda.want(f"n{number}", HERE, Trust.SURE, 0.0)
    assert len(begun(agenda)) == dialling.SURE_LIMIT
    agenda.ended("n0", has_answered=True, now=0.0)
    assert begun(agenda) == [f"n{dialling.SURE_LIMIT}"]


def test_a_hint_that_failed_waits_and_then_stands_behind_those_that_have_not():
    agenda = Agenda()
    agenda.want("old", HERE, Trust.HINTED, 0.0)
    assert begun(agenda) == ["old"]
    agenda.ended("old", has_answered=False, now=2.0)
    agenda.want("old", HERE, Trust.HINTED, 2.5)
    assert agenda.is_empty
    agenda.want("old", HERE, Trust.HINTED, 2.0 + dialling.AFTER_FAILURE)
    agenda.want("new", HERE, Trust.HINTED, 2.0 + dialling.AFTER_FAILURE)
    assert begun(agenda, 10.0) == ["new", "old"]


def test_one_that_answered_is_no_failure_any_more():
    agenda = Agenda()
    for has_answered in (False, True):
        agenda.want("n0", HERE, Trust.HINTED, 10.0 * has_answered)
        begun(agenda)
        agenda.ended("n0", has_answered=has_answered, now=10.0 * has_answered)
    agenda.want("n0", HERE, Trust.HINTED, 10.1)
    assert begun(agenda, 10.1) == ["n0"]


def test_a_failed_hint_does_not_hold_up_what_a_peer_vouches_for():
    agenda = Agenda()
    agenda.want("n0", HERE, Trust.HINTED, 0.0)
    begun(agenda)
    agenda.ended("n0", has_answered=False, now=0.0)
    agenda.want("n0", HERE, Trust.SURE, 0.1)
    assert begun(agenda, 0.1) == ["n0"]


def test_who_is_dialled_is_not_dialled_twice():
    agenda = Agenda()
    assert agenda.want("n0", HERE, Trust.HINTED, 0.0)
    begun(agenda)
    assert not agenda.want("n0", HERE, Trust.SURE, 0.0)
    assert begun(agenda) == []


def test_the_newest_endpoints_are_tried_first_and_there_is_an_end_to_them():
    agenda = Agenda()
    agenda.want("n0", [f"tcp://10.0.0.1:{port}" for port in range(1, 60)], Trust.TOLD, 0.0)
    agenda.want("n0", HERE, Trust.TOLD, 0.0)
    agenda.want("n0", ["tcp://10.9.9.9:9"], Trust.SURE, 0.0)
    wish = agenda.next(0.0)
    assert wish.endpoints[:2] == ["tcp://10.9.9.9:9", *HERE]
    assert len(wish.endpoints) == len(set(wish.endpoints)) == DIALLED_LIMIT
    assert wish.trust is Trust.SURE


@pytest.mark.parametrize("later", [0.0, dialling.PATIENCE / 2, dialling.PATIENCE])
def test_hints_that_do_not_answer_give_way_to_those_that_were_never_tried(later):
    agenda = Agenda()
    for number in range(dialling.DOUBTFUL_LIMIT):
        agenda.want(f"forged {number}", HERE, Trust.HINTED, 0.0)
    silent = begun(agenda)
    assert agenda.overdue(later) == []  # nobody waits
    agenda.want("real", HERE, Trust.HINTED, later)
    assert agenda.overdue(later) == (silent if later >= dialling.PATIENCE else [])
    for key in agenda.overdue(later):
        agenda.ended(key, has_answered=False, now=later)
    assert begun(agenda, later) == (["real"] if later >= dialling.PATIENCE else [])


def test_members_have_all_the_time_they_need():
    agenda = Agenda()
    agenda.want("member", HERE, Trust.SURE, 0.0)
    for number in range(50):
        agenda.want(f"forged {number}", HERE, Trust.HINTED, 0.0)
    begun(agenda)
    assert "member" not in agenda.overdue(100.0)


def test_hints_that_fail_at_once_get_no_more_endpoints_a_second_than_are_allowed():
    agenda, dialled = Agenda(), 0
    seconds = 5
    for step in range(seconds * 10):
        now = step / 10
        for number in range(256):
            agenda.want(f"{number}", [f"tcp://10.0.0.1:{p}" for p in range(64)], Trust.HINTED, now)
        while (wish := agenda.next(now)) is not None:
            dialled += len(wish.endpoints)
            agenda.ended(wish.key, has_answered=False, now=now)
    most = dialling.ALLOWANCE_MOST + seconds * dialling.ALLOWANCE + dialling.DOUBTFUL_ENDPOINTS
    assert most / 2 < dialled <= most + 256 * dialling.DOUBTFUL_ENDPOINTS  # and once for each


def test_who_is_named_last_among_a_thousand_forged_ones_is_dialled_first():
    agenda = Agenda()
    for key in (*map(str, range(1_000)), "real"):
        agenda.want(key, HERE, Trust.HINTED, 0.0)
    assert begun(agenda)[0] == "real"


def test_who_is_dropped_is_dialled_no_more():
    agenda = Agenda()
    for key, trust in (("a", Trust.SURE), ("b", Trust.HINTED), ("c", Trust.TOLD)):
        agenda.want(key, HERE, trust, 0.0)
    agenda.next(0.0)
    for key in "abc":
        agenda.drop(key)
    assert agenda.is_empty
    assert begun(agenda) == []


def test_what_failed_is_forgotten_in_time():
    agenda = Agenda()
    for number in range(dialling.FAILED_LIMIT + 10):
        agenda.want(f"{number}", HERE, Trust.HINTED, float(number))
        begun(agenda, float(number))
        agenda.ended(f"{number}", has_answered=False, now=float(number))
    assert len(agenda._failed) == dialling.FAILED_LIMIT
