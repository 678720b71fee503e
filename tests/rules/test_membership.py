"""Each rule at the head of `rules/membership.py`, on one machine that is told what happens."""

import pytest
from membership_world import facts_of

from actormq.rules import membership
from actormq.rules.lookout import (
    ANSWER_WITHIN,
    ASK_AFTER,
    ASK_LATER,
    HANG_LIMIT,
    HELP_WITHIN,
    HELPERS,
    SUSPICION_LEAST,
    SUSPICION_MOST,
)
from actormq.rules.membership import Membership, lag_of
from actormq.rules.records import Record, State, disputed
from actormq.rules.rings import Rings
from actormq.rules.steps import Answer, Change, Dial, Help, Ping, Renew, Retry, Spread, Tell
from actormq.settings import RECONNECT_GRACE, TICK_INTERVAL

OWN, B, C, D, E = (digit * 16 for digit in "8bcde")
T = 100.0


def said(node, state=State.ALIVE, accuser="", **changes):
    return Record(facts_of(node, **changes), state, "why", accuser)


class Driven:
    """A machine with members that it has met, and what it wanted done."""

    def __init__(self, *nodes):
        self.now = T
        self.machine = Membership(facts_of(OWN), T, lambda: 0.0)
        for node in nodes:
            self.machine.linked(node, T)
            self.machine.greeted(facts_of(node), T)
        self.steps = []
        self.take()

    def take(self, *kinds):
        """What was wanted since the last time, of some kinds only."""
        self.steps += self.machine.take_steps()
        taken, self.steps = self.steps, []
        return [step for step in taken if not kinds or isinstance(step, kinds)]

    def run(self, seconds, but=()):
        """Let time pass; all others than these say something all the time."""
        for _ in range(round(seconds / TICK_INTERVAL)):
            self.now += TICK_INTERVAL
            for node in list(self.machine.entries):
                if node not in but:
                    self.machine.heard(node, self.now)
            self.machine.tick(self.now, 0.0)
            self.steps += self.machine.take_steps()

    def state(self, node):
        entry = self.machine.entries.get(node)
        return None if entry is None else entry.state


def vouch(driven, node, helper, seconds):
    """Let a member be silent for a while, as another one reaches it whenever it is asked to."""
    end = driven.now + seconds
    while driven.now < end:
        driven.run(TICK_INTERVAL, but={node})
        if Help(helper, node) in driven.take(Help):
            driven.machine.answered(node, helper, is_there=True, now=driven.now)


# -- silence


@pytest.mark.parametrize(("node", "after"), [("f" * 16, ASK_AFTER), ("1" * 16, ASK_LATER)])
def test_of_two_one_asks_earlier(node, after):
    driven = Driven(node)
    driven.run(after - TICK_INTERVAL, but={node})
    assert Ping(node) not in driven.take()[1:]  # the first look asks for the round trip
    driven.run(TICK_INTERVAL, but={node})
    assert driven.take(Ping) == [Ping(node)]


def test_who_does_not_answer_is_looked_for_through_others_and_then_suspected():
    driven = Driven(B, C, D, E, "a" * 16)
    driven.run(ASK_AFTER + ANSWER_WITHIN - TICK_INTERVAL, but={B})
    assert driven.take(Help) == []
    driven.run(TICK_INTERVAL, but={B})
    helps = driven.take(Help)
    assert len(helps) == HELPERS
    assert {step.node for step in helps} == {B}
    driven.run(HELP_WITHIN - TICK_INTERVAL, but={B})
    assert driven.state(B) is State.ALIVE
    driven.run(TICK_INTERVAL, but={B})
    assert driven.state(B) is State.SUSPECT
    (suspected,) = driven.take(Spread)
    assert (suspected.record.state, suspected.record.accuser) == (State.SUSPECT, OWN)
    assert suspected.record.reason == "silent for 3.0 s"


def test_one_helper_that_reaches_it_is_enough():
    driven = Driven(B, C, D)
    driven.run(ASK_AFTER + ANSWER_WITHIN, but={B})
    driven.machine.answered(B, C, is_there=False, now=driven.now)
    driven.machine.answered(B, D, is_there=True, now=driven.now)
    driven.run(ASK_AFTER + ANSWER_WITHIN + HELP_WITHIN - TICK_INTERVAL, but={B})
    assert driven.state(B) is State.ALIVE


def test_a_helper_that_was_lost_after_its_answer_is_asked_when_it_is_back():
    driven = Driven(B, C)
    driven.run(ASK_AFTER + ANSWER_WITHIN, but={B})
    assert driven.take(Help) == [Help(C, B)]
    driven.machine.answered(B, C, is_there=False, now=driven.now)
    driven.machine.unlinked(C)
    driven.machine.heard(B, driven.now)
    driven.machine.linked(C, driven.now)
    driven.run(ASK_AFTER + ANSWER_WITHIN, but={B})
    assert driven.take(Help) == [Help(C, B)]


def test_only_those_who_were_asked_help():
    driven = Driven(B, C)
    driven.run(ASK_AFTER, but={B})
    driven.machine.answered(B, C, is_there=True, now=driven.now)
    driven.run(ANSWER_WITHIN + HELP_WITHIN, but={B})
    assert driven.state(B) is State.SUSPECT


@pytest.mark.parametrize("confirmers", [(), (C,), (C, D)])
def test_a_suspect_is_dead_when_its_time_is_over_the_sooner_the_more_suspect_it(confirmers):
    driven = Driven(B, C, D)
    driven.run(ASK_AFTER + ANSWER_WITHIN + HELP_WITHIN, but={B})
    for node in confirmers:
        driven.machine.told(said(B, State.SUSPECT, node), node, driven.now)
    began = driven.now
    while driven.state(B) is State.SUSPECT:
        driven.run(TICK_INTERVAL, but={B})
    whole = {0: SUSPICION_MOST, 1: (SUSPICION_LEAST + SUSPICION_MOST) / 2, 2: SUSPICION_LEAST}
    assert driven.now - began == pytest.approx(whole[len(confirmers)], abs=TICK_INTERVAL)
    assert driven.machine.tombs[B].record.state is State.DEAD
    assert driven.take(Change)[-1].reason.startswith("silent for ")


def test_it_is_in_time_whichever_moment_it_fell_silent_and_no_sooner_than_promised():
    latest = ASK_LATER + ANSWER_WITHIN + HELP_WITHIN + SUSPICION_MOST
    assert latest + TICK_INTERVAL < 8.0  # a look may come up to one interval after its time
    assert HANG_LIMIT >= 5.0
    assert RECONNECT_GRACE + TICK_INTERVAL < 2.0


def test_a_suspect_that_is_heard_again_has_to_contradict_and_is_told_so():
    driven = Driven(B, C)
    driven.run(ASK_AFTER + ANSWER_WITHIN + HELP_WITHIN, but={B})
    driven.take()
    driven.run(10.0)
    assert driven.state(B) is State.SUSPECT
    assert {step.node for step in driven.take(Tell)} == {B}
    driven.machine.told(said(B, edition=1), C, driven.now)
    assert driven.state(B) is State.ALIVE
    driven.run(ASK_AFTER, but={B})
    assert driven.state(B) is State.ALIVE


# -- broken connections


def test_who_is_killed_is_in_doubt_at_once_and_dead_after_the_grace():
    driven = Driven(B, C)
    driven.machine.broke(B, driven.now)
    assert driven.state(B) is State.SUSPECT
    assert driven.take(Spread) == []  # others have connections of their own
    driven.machine.answered(B, C, is_there=False, now=driven.now)
    driven.run(RECONNECT_GRACE - TICK_INTERVAL, but={B})
    assert driven.state(B) is State.SUSPECT
    driven.run(TICK_INTERVAL, but={B})
    assert driven.state(B) is None
    assert driven.take(Change)[-1].reason == "its connection broke and did not come back"


def test_a_suspect_that_is_killed_is_dead_after_the_grace_as_well():
    driven = Driven(B, C)
    driven.run(ASK_AFTER + ANSWER_WITHIN + HELP_WITHIN, but={B})
    driven.machine.broke(B, driven.now)
    driven.machine.answered(B, C, is_there=False, now=driven.now)
    driven.run(RECONNECT_GRACE + TICK_INTERVAL, but={B})
    assert driven.state(B) is None


def test_one_whose_last_answer_came_late_is_not_waited_for_the_longer():
    driven = Driven(B)
    driven.machine.entries[B].round_trip = 5.0  # it hung for a while
    driven.machine.broke(B, driven.now)
    driven.run(2 * RECONNECT_GRACE + TICK_INTERVAL, but={B})
    assert driven.state(B) is None


def test_a_helper_that_does_not_answer_holds_nobody_up_for_long():
    driven = Driven(*(f"{n:016x}" for n in range(30)))
    node = driven.machine.neighbours[0]
    driven.machine.broke(node, driven.now)
    helps = driven.take(Help)
    silent = helps[0].helper
    while driven.state(node) is not None:
        for step in helps:
            if step.helper != silent:
                driven.machine.answered(node, step.helper, is_there=False, now=driven.now)
        driven.run(TICK_INTERVAL, but={node})
        helps = driven.take(Help)
    assert driven.now - T <= RECONNECT_GRACE + HELP_WITHIN + TICK_INTERVAL


@pytest.mark.parametrize(
    ("silence", "is_vouched_for", "is_kill"),
    [
        (0.0, True, True),
        (ASK_LATER + TICK_INTERVAL, True, True),  # so long nobody need say anything
        (5.0, False, True),  # it hung, and was killed
        (3.0, True, False),
        (5.0, True, False),
    ],
)
def test_who_was_reached_by_others_only_has_not_been_killed_as_its_connection_breaks(
    silence, is_vouched_for, is_kill
):
    driven = Driven(B, C)
    vouch(driven, B, C if is_vouched_for else None, silence)
    driven.machine.broke(B, driven.now)
    assert Dial(facts_of(B)) in driven.take(Dial)
    assert driven.state(B) is (State.SUSPECT if is_kill else State.ALIVE)
    driven.machine.answered(B, C, is_there=False, now=driven.now)
    driven.run(RECONNECT_GRACE + TICK_INTERVAL, but={B})
    assert driven.state(B) is (None if is_kill else State.ALIVE)


def test_who_is_cut_off_is_suspected_as_the_silent_are_and_has_their_time_to_contradict():
    driven = Driven(B, C)
    vouch(driven, B, C, 5.0)
    driven.machine.broke(B, driven.now)
    driven.take()
    while driven.state(B) is State.ALIVE:
        driven.run(TICK_INTERVAL, but={B})
    steps = driven.take(Help, Spread)
    assert steps[0] == Help(C, B)
    assert steps[-1].record.state is State.SUSPECT  # and whoever reaches it lets it know
    driven.run(SUSPICION_LEAST - TICK_INTERVAL, but={B})
    driven.machine.told(said(B, edition=1), C, driven.now)
    assert driven.state(B) is State.ALIVE


def test_a_host_that_vanishes_is_dead_in_time_though_its_connection_breaks():
    driven = Driven(B, C)
    driven.run(1.0)
    gone_at = driven.now
    while driven.state(B) is not None:
        driven.run(TICK_INTERVAL, but={B})
        if driven.now == gone_at + 5.25:
            driven.machine.broke(B, driven.now)
    assert driven.now - gone_at < 8.0


@pytest.mark.parametrize("how", ["heard", "linked"])
def test_a_connection_that_delivers_again_can_tell_of_a_kill_again(how):
    driven = Driven(B, C)
    vouch(driven, B, C, 5.0)
    getattr(driven.machine, how)(B, driven.now)
    driven.machine.broke(B, driven.now)
    assert driven.state(B) is State.SUSPECT
    driven.run(RECONNECT_GRACE + HELP_WITHIN + TICK_INTERVAL, but={B})
    assert driven.state(B) is None


def test_time_in_which_this_node_did_not_listen_is_no_silence_of_a_connection():
    driven = Driven(B, C)
    driven.now += 6.0
    driven.machine.tick(driven.now, 6.0 - TICK_INTERVAL)
    driven.machine.broke(B, driven.now)
    assert driven.state(B) is State.SUSPECT


@pytest.mark.parametrize("how", ["linked", "helped", "heard"])
def test_who_is_reached_after_a_break_is_alive(how):
    driven = Driven(B, C)
    driven.machine.broke(B, driven.now)
    driven.now += 0.4
    match how:
        case "linked":
            driven.machine.linked(B, driven.now)
        case "helped":
            driven.machine.answered(B, C, is_there=True, now=driven.now)
        case "heard":
            driven.machine.heard(B, driven.now)
    assert driven.state(B) is State.ALIVE
    driven.run(RECONNECT_GRACE + TICK_INTERVAL, but={B})
    assert driven.state(B) is State.ALIVE


def test_last_words_do_not_make_the_killed_alive():
    driven = Driven(B)
    driven.machine.broke(B, driven.now)
    driven.machine.heard(B, driven.now + 0.05)
    assert driven.state(B) is State.SUSPECT
    driven.run(RECONNECT_GRACE + TICK_INTERVAL, but={B})
    assert driven.state(B) is None


def test_all_are_asked_before_a_break_is_taken_for_a_kill():
    others = [f"{n}" * 16 for n in range(1, 7)]
    driven = Driven(B, *others)
    driven.machine.broke(B, driven.now)
    asked = []
    while helps := driven.take(Help):
        assert len(helps) <= HELPERS
        asked += [step.helper for step in helps]
        for step in helps:
            driven.machine.answered(B, step.helper, is_there=False, now=driven.now)
    assert sorted(asked) == others


def test_who_is_asked_gets_its_time_to_answer():
    driven = Driven(B, C)
    driven.run(0.5)
    driven.machine.broke(C, driven.now)
    driven.machine.broke(B, driven.now)
    assert driven.take(Help) == [Help(B, C)]  # and then its own connection broke
    driven.run(0.5, but={B, C})
    driven.machine.linked(D, driven.now)
    driven.machine.greeted(facts_of(D), driven.now)
    driven.run(0.5, but={B, C})
    assert set(driven.take(Help)) == {Help(D, B), Help(D, C)}
    assert driven.state(B) is driven.state(C) is State.SUSPECT
    driven.run(0.5, but={B, C})
    assert driven.state(B) is driven.state(C) is None


# -- helping others


def test_a_helper_pings_and_says_whether_it_was_answered():
    driven = Driven(B, C)
    driven.machine.asked_for(B, C, driven.now)
    assert driven.take() == [Ping(B)]
    driven.machine.ponged(B, driven.now)
    assert driven.take() == [Answer(C, B, is_there=True)]
    driven.machine.asked_for(B, C, driven.now)
    driven.run(HELP_WITHIN)
    assert Answer(C, B, is_there=False) in driven.take()


@pytest.mark.parametrize(("node", "is_there"), [(OWN, True), (D, False)])
def test_what_a_helper_knows_it_says_at_once(node, is_there):
    driven = Driven(B, C)
    driven.machine.asked_for(node, C, driven.now)
    assert driven.take() == [Answer(C, node, is_there)]


def test_a_helper_whose_own_connection_breaks_says_so_at_once():
    driven = Driven(B, C)
    driven.machine.asked_for(B, C, driven.now)
    driven.machine.broke(B, driven.now)
    assert Answer(C, B, is_there=False) in driven.take()


# -- this node's own lag


@pytest.mark.parametrize(
    ("now", "previous", "lag"),
    [(10.25, 10.0, 0.0), (10.5, 10.0, 0.0), (11.25, 10.0, 1.0), (20.25, 10.0, 10.0), (9, 10, 0.0)],
)
def test_a_look_that_comes_very_late_tells_of_lag(now, previous, lag):
    assert lag_of(now, previous, interval=0.25) == pytest.approx(lag)


@pytest.mark.parametrize("silence", [0.0, 2.0, 4.0, 6.0])
def test_who_lagged_declares_nobody_dead_and_blames_nobody_for_the_time(silence):
    driven = Driven(B, C)
    driven.run(silence, but={B})
    before = driven.state(B)
    driven.take()
    driven.now += 20.0
    driven.machine.tick(driven.now, lag=20.0 - TICK_INTERVAL)
    assert driven.state(B) is before
    assert driven.take(Help) == []
    assert driven.machine.health.score > 0


def test_a_word_that_is_read_before_the_lag_is_noticed_does_not_count_for_the_future():
    driven = Driven(B, C)
    driven.now += 20.0
    driven.machine.heard(B, driven.now)
    driven.machine.tick(driven.now, lag=19.75)
    driven.machine.tick(driven.now, lag=0.0)
    latest = ASK_AFTER + 2 * ANSWER_WITHIN + HELP_WITHIN
    driven.run(latest, but={B})
    assert driven.state(B) is State.SUSPECT


# -- what others say


def test_news_are_believed_reported_and_passed_on():
    driven = Driven(B)
    driven.machine.told(said(C), B, driven.now)
    assert driven.take(Spread, Change) == [
        Spread(said(C), B),
        Change(said(C), State.ALIVE, "why", is_new=True),
    ]
    driven.machine.told(said(C), B, driven.now)
    assert driven.take() == []


@pytest.mark.parametrize("end", [State.DEAD, State.LEFT])
def test_an_end_is_final_and_only_a_new_incarnation_comes_back(end):
    driven = Driven(B, C)
    driven.machine.broke(B, driven.now)
    driven.machine.told(said(B, end, C), C, driven.now)
    assert driven.state(B) is None
    driven.take()
    driven.machine.told(said(B, edition=7), C, driven.now)
    driven.machine.greeted(facts_of(B), driven.now)
    assert driven.state(B) is None
    assert driven.take() == [Tell(C, driven.machine.last_words(B))]
    driven.machine.told(said(B, incarnation=2), C, driven.now)
    assert driven.state(B) is State.ALIVE
    assert not driven.machine.is_gone(B, 2)


def test_whoever_hears_a_member_disputes_its_death_and_it_comes_back_as_another_incarnation():
    driven = Driven(B, C)
    driven.machine.told(said(B, State.DEAD, C), C, driven.now)
    assert driven.state(B) is State.SUSPECT
    (told,) = driven.take(Tell)
    assert (told.node, told.record) == (B, disputed(said(B, State.DEAD, C)))
    driven.machine.told(said(B, edition=9), C, driven.now)  # no edition is enough
    assert driven.state(B) is State.SUSPECT
    driven.machine.told(said(B, incarnation=2), C, driven.now)
    assert driven.state(B) is State.ALIVE


def test_who_has_not_answered_for_a_while_is_dead_when_others_say_so():
    driven = Driven(B, C)
    driven.run(ASK_AFTER + ANSWER_WITHIN, but={B})
    driven.machine.told(said(B, State.DEAD, C), C, driven.now)
    assert driven.state(B) is None


def test_whoever_is_in_dispute_comes_back_as_another_incarnation():
    driven = Driven(B)
    driven.machine.told(disputed(said(OWN, State.DEAD)), B, T)
    assert (driven.machine.own.incarnation, driven.machine.own.edition) == (2, 0)


def test_an_end_of_an_earlier_incarnation_is_no_news():
    driven = Driven()
    driven.machine.greeted(facts_of(B, incarnation=2), T)
    driven.take()
    driven.machine.told(said(B, State.DEAD), C, T)
    assert driven.state(B) is State.ALIVE
    assert driven.take() == []


@pytest.mark.parametrize(
    ("record", "incarnation", "edition"),
    [
        (said(OWN, State.SUSPECT), 1, 1),
        (said(OWN, State.SUSPECT, edition=4), 1, 5),
        (said(OWN, State.ALIVE, edition=4), 1, 5),
        (said(OWN, State.DEAD), 2, 0),
        (said(OWN, State.LEFT, incarnation=3), 4, 0),
        (said(OWN, State.ALIVE, incarnation=3, edition=2), 3, 3),
        (said(OWN, State.ALIVE), 1, 0),
    ],
)
def test_what_is_said_of_this_node_is_contradicted(record, incarnation, edition):
    driven = Driven(B)
    driven.machine.told(record, B, T)
    own = driven.machine.own
    assert (own.incarnation, own.edition) == (incarnation, edition)
    is_news = (incarnation, edition) != (1, 0)
    spread = [Renew(own), Spread(driven.machine.own_record(), "")]
    assert driven.take() == (spread if is_news else [])


def test_an_older_suspicion_of_this_node_is_none():
    driven = Driven(B)
    driven.machine.renew(endpoints=("tcp://x:1",))
    driven.take()
    driven.machine.told(said(OWN, State.SUSPECT), B, T)
    assert driven.take() == []


def test_a_suspect_is_told_and_one_more_accuser_is_passed_on_once():
    driven = Driven(B, C)
    driven.machine.told(said(B, State.SUSPECT, C), C, T)
    assert Tell(B, said(B, State.SUSPECT, C)) in driven.take()
    for _ in range(2):
        driven.machine.told(said(B, State.SUSPECT, D), C, T)
    assert driven.take() == [Spread(said(B, State.SUSPECT, D), C)]


# -- whom it watches and dials


def test_in_a_large_mesh_only_neighbours_and_those_in_doubt_are_watched():
    nodes = [f"{n:016x}" for n in range(60)]
    driven = Driven(*nodes)
    machine = driven.machine
    watched = {n for n in nodes if machine.entries[n].watch is not None}
    assert watched == set(machine.neighbours) == {n for n in nodes if machine.wants_link(n)}
    near = machine.neighbours[0]
    machine.broke(near, T)
    for n in range(60, 400):  # so many that it is a neighbour no more
        machine.told(said(f"{n:016x}"), nodes[0], T)
    assert near not in machine.neighbours
    assert driven.state(near) is State.SUSPECT
    driven.run(1.0)
    assert driven.state(near) is State.ALIVE
    assert machine.entries[near].watch is None


def test_the_dead_are_dialled_for_they_may_have_been_cut_off():
    driven = Driven(B)
    driven.machine.broke(B, driven.now)
    driven.run(2.0, but={B})
    assert driven.state(B) is None
    driven.take()
    driven.run(2.0)
    assert driven.take(Retry) == [Retry(facts_of(B))] * 2


def test_those_who_left_are_not_dialled():
    driven = Driven(B)
    driven.machine.told(said(B, State.LEFT), B, driven.now)
    driven.run(5.0)
    assert driven.take(Retry, Dial) == []


def test_what_is_remembered_has_bounds(monkeypatch):
    monkeypatch.setattr(membership, "TOMBS", 10)
    monkeypatch.setattr(membership, "MEMBERS_LIMIT", 20)
    driven = Driven()
    for n in range(50):
        driven.machine.told(said(f"{n:016x}", State.DEAD), B, T)
        driven.machine.told(said(f"{n + 100:016x}"), B, T)
    assert len(driven.machine.tombs) == 10
    assert len(driven.machine.entries) == 20


def test_a_newcomer_stands_behind_all_in_age():
    driven = Driven()
    assert driven.machine.next_seniority() == 1
    for node, seniority in ((B, 4), (C, 2)):
        driven.machine.told(said(node, seniority=seniority), B, T)
    assert driven.machine.next_seniority() == 5


def test_who_is_acquainted_from_the_start_watches_its_neighbours_and_tells_nobody():
    nodes = [f"{n * 0x1357:016x}" for n in range(1, 41)]
    rings, shared = Rings(nodes), Rings(nodes)
    machine = Membership(facts_of(nodes[0]), T, lambda: 0.5)
    machine.acquaint([said(node) for node in nodes], rings, T)
    assert sorted(machine.entries) == nodes[1:]
    assert machine.neighbours == shared.neighbours(nodes[0])
    steps = machine.take_steps()
    assert [step.facts.node for step in steps] == machine.neighbours
    machine.told(said(nodes[1], State.DEAD), nodes[2], T)
    assert len(rings) == len(nodes)  # they are others' as well
