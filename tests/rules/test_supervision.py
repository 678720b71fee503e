"""What a supervisor does, fact by fact. Children are numbered from 1 in start order."""

import time

import pytest

from actormq.errors import InternalError
from actormq.rules.actions import Done, Forget, GiveUp, Start, Started, StartFailed, Stop, Wait
from actormq.rules.backoff import Backoff
from actormq.rules.restart import RestartBudget
from actormq.rules.supervision import Supervision

STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"]
GROUPS = ["one_for_all", "rest_for_one"]
POLICIES = {"a": "always", "o": "on_error", "n": "never"}

AT_ONCE = Backoff(first=0.0)
SLOW = Backoff(first=1.0, most=8.0, factor=2.0, jitter=0.0)


def children(letters):
    return [(key, POLICIES[letter]) for key, letter in enumerate(letters, 1)]


def supervisor(strategy, letters="", backoff=AT_ONCE, restarts=100, period=5.0):
    """A supervisor whose children are up, since the time 0."""
    it = Supervision(strategy, RestartBudget(restarts, period), backoff, lambda: 0.5)
    it.begin(children(letters))
    for key in range(1, len(letters) + 1):
        it.started(key, 0.0)
    return it


def play(it, script):
    """Tell it the facts of a script, and compare what it wants with what the script wants."""
    for (fact, *arguments), wanted in script:
        assert (fact, arguments, getattr(it, fact)(*arguments)) == (fact, arguments, wanted)


def phases(it):
    return [it.phase(key) for key in it.keys]


def failed(key, now=1.0):
    return ("ended", key, True, now)


def ended(key, now=1.0):
    return ("ended", key, False, now)


def up(key, now=1.0):
    return ("started", key, now)


# -- begin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_children_start_one_after_another(strategy):
    it = Supervision(strategy, RestartBudget(), AT_ONCE, lambda: 0.5)
    play(
        it,
        [
            (("begin", children("aon")), [Start(1)]),
            (up(1), [Start(2)]),
            (up(2), [Start(3)]),
            (up(3), [Started()]),
        ],
    )
    assert phases(it) == ["up", "up", "up"]
    assert it.keys == [1, 2, 3]


def test_a_supervisor_without_children_has_begun_at_once():
    it = Supervision("one_for_all", RestartBudget(), AT_ONCE, lambda: 0.5)
    assert it.begin([]) == [Started()]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_first_start_that_fails_ends_all_in_reverse(strategy):
    it = Supervision(strategy, RestartBudget(), AT_ONCE, lambda: 0.5)
    play(it, [(("begin", children("aaaa")), [Start(1)]), (up(1), [Start(2)]), (up(2), [Start(3)])])
    stops = [Stop(2), Stop(1)]
    first = stops if strategy == "one_for_one" else stops[:1]
    play(it, [(("start_failed", 3, 1.0), first), (ended(2), stops[len(first) :])])
    assert it.is_stopping
    play(it, [(ended(1), [StartFailed(3)]), (("stop",), [Done()]), (("stop",), [])])
    assert it.keys == []


def test_the_first_of_all_starts_failing_leaves_nothing_to_stop():
    it = Supervision("one_for_all", RestartBudget(), AT_ONCE, lambda: 0.5)
    play(it, [(("begin", children("na")), [Start(1)]), (failed(1), [StartFailed(1)])])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_stop_comes_before_begin_is_through(strategy):
    it = Supervision(strategy, RestartBudget(), AT_ONCE, lambda: 0.5)
    play(it, [(("begin", children("aaa")), [Start(1)]), (up(1), [Start(2)])])
    stops = [Stop(2), Stop(1)]
    first = stops if strategy == "one_for_one" else stops[:1]
    play(
        it,
        [
            (("stop",), first),
            (up(2), []),  # it was faster than its Stop
            (failed(2), stops[len(first) :]),
            (ended(1), [Done()]),
            (("begin", children("a")), []),
        ],
    )


def test_a_child_that_fails_during_begin_is_restarted_on_its_own():
    it = Supervision("one_for_one", RestartBudget(), AT_ONCE, lambda: 0.5)
    play(
        it,
        [
            (("begin", children("aa")), [Start(1)]),
            (up(1), [Start(2)]),
            (failed(1), [Start(1)]),
            (up(1), []),
            (up(2), [Started()]),
        ],
    )


@pytest.mark.parametrize("strategy", GROUPS)
def test_a_group_that_fails_during_begin_is_part_of_it(strategy):
    it = Supervision(strategy, RestartBudget(), SLOW, lambda: 0.5)
    play(
        it,
        [
            (("begin", children("aaa")), [Start(1)]),
            (up(1), [Start(2)]),
            (failed(1), [Stop(2)]),
            (("start_failed", 2, 1.0), [Wait(1, 1.0)]),
            (("due", 1, 2.0), [Start(1)]),
            (up(1), [Start(2)]),
            (up(2), [Start(3)]),
            (up(3), [Started()]),
        ],
    )


def test_a_budget_spent_during_begin_gives_up():
    it = Supervision("one_for_all", RestartBudget(0), AT_ONCE, lambda: 0.5)
    play(it, [(("begin", children("aa")), [Start(1)]), (up(1), [Start(2)])])
    play(it, [(failed(1), [Stop(2)]), (failed(2), [GiveUp(1)])])


# -- who is restarted -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "letters", "key", "stops", "starts"),
    [
        ("one_for_one", "aaaa", 2, [], [2]),
        ("one_for_one", "oooo", 4, [], [4]),
        ("one_for_all", "aaaa", 2, [4, 3, 1], [1, 2, 3, 4]),
        ("one_for_all", "oooo", 1, [4, 3, 2], [1, 2, 3, 4]),
        ("one_for_all", "a", 1, [], [1]),
        ("rest_for_one", "aaaa", 2, [4, 3], [2, 3, 4]),
        ("rest_for_one", "oaoa", 1, [4, 3, 2], [1, 2, 3, 4]),
        ("rest_for_one", "aaaa", 4, [], [4]),
        ("one_for_all", "anon", 3, [4, 2, 1], [1, 3]),
        ("rest_for_one", "nann", 2, [4, 3], [2]),
    ],
)
def test_a_failure_stops_in_reverse_and_starts_in_order(strategy, letters, key, stops, starts):
    it = supervisor(strategy, letters)
    stopped, started, forgotten = [], [], []
    actions = it.ended(key, is_error=True, now=1.0)
    while actions:
        action = actions.pop(0)
        match action:
            case Stop():
                stopped.append(action.key)
                assert not started
                assert not actions, "one after another"
                actions += it.ended(action.key, is_error=False, now=1.0)
            case Start():
                started.append(action.key)
                assert not actions, "one after another"
                actions += it.started(action.key, 1.0)
            case Forget():
                forgotten.append(action.key)
    assert (stopped, started) == (stops, starts)
    never = [k for k in stops if letters[k - 1] == "n"]
    assert forgotten == never
    assert it.keys == [k for k in range(1, len(letters) + 1) if k not in never]
    assert {it.restart_count(k) for k in starts} == {1}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("letter", "fact"), [("o", ended(2)), ("n", ended(2)), ("n", failed(2))])
def test_a_child_that_is_not_to_be_restarted_is_forgotten_and_disturbs_nobody(
    strategy, letter, fact
):
    it = supervisor(strategy, f"a{letter}a", restarts=0)
    play(it, [(fact, [Forget(2)])])
    assert it.keys == [1, 3]
    assert phases(it) == ["up", "up"]
    assert it.phase(2) is None
    assert it.restart_count(2) == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_always_means_also_after_an_end_in_order(strategy):
    it = supervisor(strategy, "a")
    play(it, [(ended(1), [Start(1)])])
    assert len(it.history) == 1


def test_a_transient_child_stopped_for_a_sibling_is_started_again():
    it = supervisor("one_for_all", "oo")
    play(it, [(failed(1), [Stop(2)]), (ended(2), [Start(1)]), (up(1), [Start(2)]), (up(2), [])])


# -- back-off -------------------------------------------------------------------------------------


def test_delays_grow_from_failure_to_failure():
    it = supervisor("one_for_one", "aa", SLOW)
    play(
        it,
        [
            (failed(1), [Wait(1, 1.0)]),
            (failed(2), [Wait(2, 1.0)]),  # a row of its own
            (("due", 1, 2.0), [Start(1)]),
            (("start_failed", 1, 2.0), [Wait(1, 2.0)]),
            (("due", 1, 4.0), [Start(1)]),
            (up(1, 4.0), []),
            (failed(1, 9.0), [Wait(1, 4.0)]),
            (("due", 1, 13.0), [Start(1)]),
            (failed(1, 13.0), [Wait(1, 8.0)]),
            (("due", 1, 21.0), [Start(1)]),
            (("start_failed", 1, 21.0), [Wait(1, 8.0)]),
        ],
    )
    assert it.restart_count(1) == 4
    assert it.restart_count(2) == 0


@pytest.mark.parametrize(
    ("ran", "seconds"), [(5.0, 2.0), (5.1, 1.0)], ids=["not longer than the period", "longer"]
)
def test_delays_begin_anew_once_a_child_has_run_for_longer_than_the_period(ran, seconds):
    it = supervisor("one_for_one", "a", SLOW)
    play(it, [(failed(1), [Wait(1, 1.0)]), (("due", 1, 2.0), [Start(1)]), (up(1, 2.0), [])])
    play(it, [(failed(1, 2.0 + ran), [Wait(1, seconds)])])


@pytest.mark.parametrize(
    ("ran", "seconds"), [(2.0, 4.0), (2.25, 1.0)], ids=["not longer than the wait", "longer"]
)
def test_delays_begin_anew_once_a_child_has_run_for_longer_than_it_waited(ran, seconds):
    it = supervisor("one_for_one", "a", SLOW, period=0.5)
    play(it, [(failed(1, 1.0), [Wait(1, 1.0)]), (("due", 1, 2.0), [Start(1)]), (up(1, 2.0), [])])
    play(it, [(failed(1, 2.75), [Wait(1, 2.0)]), (("due", 1, 4.75), [Start(1)])])
    play(it, [(up(1, 4.75), []), (failed(1, 4.75 + ran), [Wait(1, seconds)])])


def test_a_start_that_fails_has_not_run_however_long_it_took():
    it = supervisor("one_for_one", "a", SLOW)
    play(
        it,
        [
            (failed(1, 100.0), [Wait(1, 1.0)]),
            (("due", 1, 101.0), [Start(1)]),
            (("start_failed", 1, 200.0), [Wait(1, 2.0)]),
        ],
    )


def test_chance_is_asked_for_each_delay():
    drawn = iter([0.0, 0.75])
    it = Supervision(
        "one_for_one", RestartBudget(), Backoff(1.0, 8.0, 2.0, 0.5), lambda: next(drawn)
    )
    play(it, [(("begin", children("a")), [Start(1)]), (up(1), [Started()])])
    play(it, [(failed(1), [Wait(1, 0.5)]), (("due", 1, 1.5), [Start(1)])])
    play(it, [(failed(1), [Wait(1, 2.5)])])


def test_a_group_waits_once_its_members_are_down():
    it = supervisor("rest_for_one", "aaa", SLOW)
    play(it, [(failed(2), [Stop(3)])])
    assert phases(it) == ["up", "down", "stopping"]
    play(it, [(ended(3), [Wait(2, 1.0)])])
    assert phases(it) == ["up", "waiting", "down"]
    play(it, [(("due", 3, 2.0), []), (("due", 2, 2.0), [Start(2)])])
    assert phases(it) == ["up", "starting", "down"]
    play(it, [(("due", 2, 2.0), []), (up(2, 2.0), [Start(3)]), (up(3, 2.0), [])])
    assert phases(it) == ["up", "up", "up"]
    assert [it.restart_count(key) for key in it.keys] == [0, 1, 1]


# -- the budget -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_restart_too_many_stops_the_others_in_reverse_and_gives_up(strategy):
    it = supervisor(strategy, "aaa", restarts=0)
    stops = [Stop(3), Stop(1)]
    first = stops if strategy == "one_for_one" else stops[:1]
    play(
        it,
        [
            (failed(2), first),
            (ended(3), stops[len(first) :]),
            (failed(1), [GiveUp(2)]),
            (("stop",), [Done()]),
            (("stop",), []),
        ],
    )


def test_the_budget_is_the_supervisors_not_the_childs():
    it = supervisor("one_for_one", "aaa", restarts=2)
    play(it, [(failed(1), [Start(1)]), (failed(2), [Start(2)]), (failed(3), [Stop(2), Stop(1)])])


def test_a_failed_start_is_one_more_restart():
    it = supervisor("one_for_one", "aa", restarts=2)
    play(
        it,
        [
            (failed(1), [Start(1)]),
            (("start_failed", 1, 1.0), [Start(1)]),
            (("start_failed", 1, 1.0), [Stop(2)]),
            (ended(2), [GiveUp(1)]),
        ],
    )


def test_old_restarts_leave_the_budget():
    it = supervisor("one_for_one", "a", restarts=1, period=5.0)
    play(it, [(failed(1, 1.0), [Start(1)]), (up(1), [])])
    play(it, [(failed(1, 6.1), [Start(1)]), (up(1, 6.1), [])])
    assert it.history == (6.1,)
    play(it, [(failed(1, 11.1), [GiveUp(1)])])


def test_a_group_restart_counts_once():
    it = supervisor("one_for_all", "aaa")
    play(it, [(failed(1), [Stop(3)]), (ended(3), [Stop(2)]), (ended(2), [Start(1)])])
    assert it.history == (1.0,)


def test_stop_while_giving_up_ends_in_done_alone():
    it = supervisor("one_for_one", "aa", restarts=0)
    play(it, [(failed(1), [Stop(2)]), (("stop",), []), (ended(2), [Done()]), (("stop",), [])])


def test_whoever_waits_or_fails_meanwhile_is_dropped_when_it_gives_up():
    it = supervisor("one_for_one", "aaa", SLOW, restarts=1)
    play(
        it,
        [
            (failed(3), [Wait(3, 1.0)]),
            (failed(2), [Stop(1)]),
            (("due", 3, 2.0), []),
            (failed(1), [GiveUp(2)]),
        ],
    )


# -- further failures during a group restart ------------------------------------------------------


def test_a_member_that_fails_while_the_group_is_stopped_joins_uncounted():
    it = supervisor("one_for_all", "aaaa", restarts=1)
    play(
        it,
        [
            (failed(2), [Stop(4)]),
            (failed(3), []),
            (failed(4), [Stop(1)]),  # its own Stop and its failure are one end
            (failed(1), [Start(1)]),
            (up(1), [Start(2)]),
            (up(2), [Start(3)]),
            (up(3), [Start(4)]),
            (up(4), []),
        ],
    )
    assert it.history == (1.0,)


@pytest.mark.parametrize(("letter", "fact"), [("o", ended(2)), ("n", failed(2)), ("n", ended(2))])
def test_a_member_that_is_done_while_the_group_is_stopped_is_forgotten(letter, fact):
    it = supervisor("one_for_all", f"a{letter}aa")
    play(
        it,
        [
            (failed(3), [Stop(4)]),
            (fact, [Forget(2)]),
            (ended(4), [Stop(1)]),
            (ended(1), [Start(1)]),
            (up(1), [Start(3)]),
            (up(3), [Start(4)]),
        ],
    )


def test_an_earlier_child_extends_a_group_that_is_being_stopped():
    it = supervisor("rest_for_one", "aaaaa", SLOW)
    play(
        it,
        [
            (failed(4, 1.0), [Stop(5)]),
            (failed(2, 2.0), []),  # what is being stopped is still waited for
            (ended(5), [Stop(3)]),
            (ended(3), [Wait(2, 1.0)]),
            (("due", 4, 2.0), []),
            (("due", 2, 3.0), [Start(2)]),
            (up(2), [Start(3)]),
            (up(3), [Start(4)]),
            (up(4), [Start(5)]),
            (up(5), []),
        ],
    )
    assert it.history == (1.0, 2.0)


def test_an_earlier_child_extends_a_group_that_waits():
    it = supervisor("rest_for_one", "aaaa", SLOW)
    play(
        it,
        [
            (failed(4), [Wait(4, 1.0)]),
            (failed(2), [Stop(3)]),
            (("due", 4, 2.0), []),
            (ended(3), [Wait(2, 1.0)]),
            (("due", 4, 2.0), []),
            (("due", 2, 2.0), [Start(2)]),
            (up(2), [Start(3)]),
            (up(3), [Start(4)]),
        ],
    )


def test_an_earlier_child_extends_a_group_that_is_being_started():
    it = supervisor("rest_for_one", "aaaa")
    play(
        it,
        [
            (failed(2), [Stop(4)]),
            (ended(4), [Stop(3)]),
            (ended(3), [Start(2)]),
            (up(2), [Start(3)]),
            (failed(1), [Stop(3)]),
            (up(3), []),
            (ended(3), [Stop(2)]),
            (ended(2), [Start(1)]),
            (up(1), [Start(2)]),
            (up(2), [Start(3)]),
            (up(3), [Start(4)]),
            (up(4), []),
        ],
    )
    assert len(it.history) == 2


def test_a_start_that_fails_in_a_group_restarts_all_for_one_for_all():
    it = supervisor("one_for_all", "aaa", SLOW)
    play(
        it,
        [
            (failed(3), [Stop(2)]),
            (ended(2), [Stop(1)]),
            (ended(1), [Wait(3, 1.0)]),
            (("due", 3, 2.0), [Start(1)]),
            (up(1), [Start(2)]),
            (("start_failed", 2, 2.0), [Stop(1)]),
            (ended(1), [Wait(2, 1.0)]),  # the first failure of this child
            (("due", 2, 3.0), [Start(1)]),
            (up(1), [Start(2)]),
            (up(2), [Start(3)]),
            (up(3), []),
        ],
    )
    assert len(it.history) == 2


def test_a_start_that_fails_in_a_group_leaves_the_earlier_ones_up_for_rest_for_one():
    it = supervisor("rest_for_one", "aaa", SLOW)
    play(
        it,
        [
            (failed(1), [Stop(3)]),
            (ended(3), [Stop(2)]),
            (ended(2), [Wait(1, 1.0)]),
            (("due", 1, 2.0), [Start(1)]),
            (up(1), [Start(2)]),
            (("start_failed", 2, 2.0), [Wait(2, 1.0)]),
            (("due", 2, 3.0), [Start(2)]),
            (("start_failed", 2, 3.0), [Wait(2, 2.0)]),
            (("due", 2, 5.0), [Start(2)]),
            (up(2), [Start(3)]),
            (up(3), []),
        ],
    )
    assert len(it.history) == 3


@pytest.mark.parametrize("strategy", GROUPS)
def test_a_group_that_fails_again_and_again_gives_up(strategy):
    it = supervisor(strategy, "aa", restarts=1)
    play(
        it,
        [
            (failed(1), [Stop(2)]),
            (ended(2), [Start(1)]),
            (up(1), [Start(2)]),
            (failed(1), [Stop(2)]),
            (ended(2), [GiveUp(1)]),
        ],
    )


# -- children that come and go --------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_added_child_is_started_and_is_one_of_the_others_then(strategy):
    it = supervisor(strategy, "a")
    play(it, [(("add", 7, "always"), [Start(7)]), (up(7), [])])
    assert it.keys == [1, 7]
    play(it, [(failed(7), [Stop(1)] if strategy == "one_for_all" else [Start(7)])])


@pytest.mark.parametrize(
    ("strategy", "wanted"),
    [
        ("one_for_one", [Forget(1)]),
        ("one_for_all", [Forget(1), Start(2)]),
        ("rest_for_one", [Forget(1), Start(2)]),
    ],
)
def test_a_restart_that_fails_when_nothing_can_be_started_any_more_is_the_last(strategy, wanted):
    it = supervisor(strategy, "aa")
    it.ended(1, is_error=True, now=1.0)
    if strategy != "one_for_one":
        it.ended(2, is_error=False, now=1.0)
    assert it.phase(1) == "starting"
    assert it.start_failed(1, 1.0, is_last=True) == wanted
    assert it.phase(1) is None


def test_a_first_start_that_fails_when_nothing_can_be_started_any_more_fails_them_all():
    it = Supervision("one_for_one", RestartBudget(1, 1.0), AT_ONCE, lambda: 0.5)
    it.begin(children("a"))
    assert it.start_failed(1, 1.0, is_last=True) == [StartFailed(1)]


@pytest.mark.parametrize("fact", [("start_failed", 2, 1.0), ended(2), failed(2)])
def test_an_added_child_that_does_not_come_up_is_forgotten_without_a_restart(fact):
    it = supervisor("one_for_all", "a", restarts=0)
    play(it, [(("add", 2, "always"), [Start(2)]), (fact, [Forget(2)])])
    assert phases(it) == ["up"]


def test_an_added_child_may_fail_its_start_only_the_first_time():
    it = supervisor("one_for_one")
    play(it, [(("add", 1, "always"), [Start(1)]), (up(1), []), (failed(1), [Start(1)])])
    play(it, [(("start_failed", 1, 1.0), [Start(1)])])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_child_added_during_begin_is_started_last(strategy):
    it = Supervision(strategy, RestartBudget(), AT_ONCE, lambda: 0.5)
    play(
        it,
        [
            (("begin", children("aa")), [Start(1)]),
            (("add", 3, "always"), []),
            (up(1), [Start(2)]),
            (up(2), [Start(3)]),
            (("start_failed", 3, 1.0), [Forget(3), Started()]),
        ],
    )


@pytest.mark.parametrize("strategy", GROUPS)
def test_a_child_added_during_a_group_restart_is_started_last(strategy):
    it = supervisor(strategy, "aa", SLOW)
    play(
        it,
        [
            (failed(1), [Stop(2)]),
            (("add", 3, "never"), []),
            (ended(2), [Wait(1, 1.0)]),
            (("add", 4, "always"), []),
            (("due", 1, 2.0), [Start(1)]),
            (("add", 5, "always"), []),
            (up(1), [Start(2)]),
            (up(2), [Start(3)]),
            (up(3), [Start(4)]),
            (failed(4), [Forget(4), Start(5)]),
            (up(5), []),
            (("add", 6, "always"), [Start(6)]),
        ],
    )
    assert [it.restart_count(key) for key in it.keys] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_removed_child_is_stopped_and_forgotten(strategy):
    it = supervisor(strategy, "aaa", restarts=0)
    play(
        it,
        [
            (("remove", 2), [Stop(2)]),
            (("remove", 2), []),
            (failed(2), [Forget(2)]),
            (("remove", 2), []),
        ],
    )
    assert it.keys == [1, 3]
    assert phases(it) == ["up", "up"]


def test_a_child_removed_while_it_waits_is_forgotten_at_once():
    it = supervisor("one_for_one", "aa", SLOW)
    play(it, [(failed(1), [Wait(1, 1.0)]), (("remove", 1), [Forget(1)]), (("due", 1, 2.0), [])])


def test_a_child_removed_while_it_starts_is_stopped():
    it = supervisor("one_for_one", "a")
    play(it, [(failed(1), [Start(1)]), (("remove", 1), [Stop(1)]), (up(1), [])])
    play(it, [(("start_failed", 1, 1.0), [Forget(1)])])


def test_begin_goes_on_behind_a_child_that_is_removed():
    it = Supervision("one_for_all", RestartBudget(), AT_ONCE, lambda: 0.5)
    play(
        it,
        [
            (("begin", children("aaa")), [Start(1)]),
            (("remove", 2), [Forget(2)]),
            (("remove", 1), [Stop(1)]),
            (ended(1), [Forget(1), Start(3)]),
            (up(3), [Started()]),
        ],
    )


def test_a_group_starts_at_once_when_the_child_it_waits_for_is_removed():
    it = supervisor("one_for_all", "aaa", SLOW)
    play(
        it,
        [
            (failed(1), [Stop(3)]),
            (ended(3), [Stop(2)]),
            (ended(2), [Wait(1, 1.0)]),
            (("remove", 1), [Forget(1), Start(2)]),
            (("due", 1, 2.0), []),
            (up(2), [Start(3)]),
            (up(3), []),
        ],
    )


def test_a_group_whose_failed_child_is_removed_before_the_wait_does_not_wait():
    it = supervisor("rest_for_one", "aaa", SLOW)
    play(it, [(failed(2), [Stop(3)]), (("remove", 2), [Forget(2)]), (ended(3), [Start(3)])])


def test_a_group_waits_for_a_member_that_is_being_removed():
    it = supervisor("one_for_all", "aaa")
    play(
        it,
        [
            (("remove", 2), [Stop(2)]),
            (failed(1), [Stop(3)]),
            (ended(3), []),
            (ended(2), [Forget(2), Start(1)]),
            (up(1), [Start(3)]),
        ],
    )


def test_a_member_removed_while_it_is_being_stopped_does_not_come_back():
    it = supervisor("one_for_all", "aa")
    play(it, [(failed(1), [Stop(2)]), (("remove", 2), []), (ended(2), [Forget(2), Start(1)])])


def test_a_key_is_not_used_twice():
    it = supervisor("one_for_one", "a")
    with pytest.raises(InternalError, match="child 1 is known already"):
        it.add(1, "always")


# -- stop -----------------------------------------------------------------------------------------


def test_one_for_one_stops_all_at_once_in_reverse():
    it = supervisor("one_for_one", "aaa")
    play(it, [(("stop",), [Stop(3), Stop(2), Stop(1)])])
    play(it, [(ended(2), []), (failed(3), []), (ended(1), [Done()]), (("stop",), [])])


@pytest.mark.parametrize("strategy", GROUPS)
def test_groups_stop_one_after_another_in_reverse(strategy):
    it = supervisor(strategy, "aaa")
    play(it, [(("stop",), [Stop(3)]), (failed(1), []), (ended(3), [Stop(2)])])
    play(it, [(("remove", 2), []), (failed(2), [Forget(2), Done()]), (("stop",), [])])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_to_stop_is_done_at_once(strategy):
    it = supervisor(strategy)
    play(it, [(("stop",), [Done()]), (("stop",), []), (("add", 1, "always"), [Forget(1)])])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_stop_ends_all_waits(strategy):
    it = supervisor(strategy, "a", SLOW)
    play(it, [(failed(1), [Wait(1, 1.0)]), (("stop",), [Done()]), (("due", 1, 2.0), [])])


@pytest.mark.parametrize("strategy", GROUPS)
def test_stop_ends_a_group_restart_at_each_stage(strategy):
    stopping = supervisor(strategy, "aaa", SLOW)
    play(
        stopping,
        [
            (failed(1), [Stop(3)]),
            (("add", 4, "always"), []),
            (("stop",), [Forget(4)]),
            (ended(3), [Stop(2)]),
            (ended(2), [Done()]),
        ],
    )
    starting = supervisor(strategy, "aaa")
    play(starting, [(failed(1), [Stop(3)]), (ended(3), [Stop(2)]), (ended(2), [Start(1)])])
    play(starting, [(up(1), [Start(2)]), (("stop",), [Stop(2)]), (up(2), [])])
    play(starting, [(ended(2), [Stop(1)]), (ended(1), [Done()])])


def test_a_child_added_and_not_up_yet_is_told_forgotten_at_the_end():
    it = supervisor("one_for_one", "a")
    play(it, [(("add", 2, "always"), [Start(2)]), (("stop",), [Stop(2), Stop(1)])])
    play(it, [(("start_failed", 2, 1.0), [Forget(2)]), (ended(1), [Done()])])


def test_a_child_that_is_leaving_is_told_forgotten_at_the_end_too():
    it = supervisor("one_for_one", "aa")
    play(it, [(("remove", 1), [Stop(1)]), (("stop",), [Stop(2)]), (ended(1), [Forget(1)])])
    play(it, [(ended(2), [Done()])])


# -- late facts, and many children ----------------------------------------------------------------


@pytest.mark.parametrize(
    "fact", [up(9), ("start_failed", 9, 1.0), ended(9), failed(9), ("due", 9, 1.0), ("remove", 9)]
)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_facts_about_a_child_that_is_not_known_change_nothing(strategy, fact):
    it = supervisor(strategy, "aa")
    play(it, [(fact, [])])
    assert phases(it) == ["up", "up"]


@pytest.mark.parametrize("fact", [up(1), ended(1), failed(1), ("start_failed", 1, 1.0)])
def test_facts_about_a_child_that_is_down_change_nothing(fact):
    it = supervisor("one_for_one", "a", SLOW)
    play(it, [(failed(1), [Wait(1, 1.0)]), (fact, []), (("due", 1, 2.0), [Start(1)])])


def seconds_a_fact(count):
    """What restarting and stopping that many children takes of the processor, for each fact."""
    it = Supervision("one_for_one", RestartBudget(10**9, 1.0), SLOW, lambda: 0.5)
    began = time.process_time()
    it.begin([(key, "always") for key in range(count)])
    for key in range(count):
        it.started(key, 0.0)
    for key in range(count):
        it.ended(key, is_error=True, now=1.0)
        it.due(key, 2.0)
        it.started(key, 2.0)
    assert it.stop() == [Stop(key) for key in reversed(range(count))]
    actions = [action for key in range(count) for action in it.ended(key, is_error=False, now=3.0)]
    assert actions == [Done()]
    return (time.process_time() - began) / (5 * count)


@pytest.mark.slow
def test_a_fact_costs_the_same_among_many_children():
    few = min(seconds_a_fact(100) for _ in range(10))
    many = min(seconds_a_fact(10_000) for _ in range(3))
    assert many < 5 * few  # a scan of all children per fact would make it 50 times


@pytest.mark.parametrize(("letter", "wanted"), [("a", True), ("o", False), ("n", False)])
def test_a_child_that_ends_in_order_is_wanted_back_if_it_is_restarted_always(letter, wanted):
    it = supervisor("one_for_one", letter)
    assert it.wants_back(1) is wanted
    assert (it.ended(1, is_error=False, now=1.0) == [Start(1)]) is wanted


@pytest.mark.parametrize("fact", [("remove", 1), ("stop",)])
def test_a_child_that_is_told_to_stop_for_good_is_not_wanted_back(fact):
    it = supervisor("one_for_all", "aa")
    assert it.wants_back(1)
    getattr(it, fact[0])(*fact[1:])
    assert not it.wants_back(1)
