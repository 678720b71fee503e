"""Who holds a name: tables for each rule, and whole meshes in which news travels at random."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.rules.election import Move, Offer, Verdict, decide, holder, is_majority, majority


def offer(seniority, node=None, *, holds=False):
    return Offer(seniority, node or f"{seniority:016x}", 1, holds)


def held(seniority, node=None):
    return offer(seniority, node, holds=True)


@pytest.mark.parametrize(
    ("own", "others", "move", "before"),
    [
        (offer(1), [], Move.TAKE, None),
        (held(1), [], Move.STAY, None),
        (offer(1), [offer(2)], Move.TAKE, None),
        (offer(1), [held(2)], Move.STAY, held(2)),  # which lets go first
        (held(1), [held(2)], Move.STAY, None),
        (held(1), [offer(2)], Move.STAY, None),
        (offer(2), [offer(1)], Move.STAY, offer(1)),
        (held(2), [offer(1)], Move.LET_GO, offer(1)),
        (held(2), [held(1)], Move.LET_GO, held(1)),
        (held(3), [held(2), offer(1)], Move.LET_GO, offer(1)),
        (offer(2), [offer(0)], Move.TAKE, None),  # it has not taken its place: nobody is younger
        (offer(0), [offer(9)], Move.STAY, offer(9)),
        (offer(1, "a"), [offer(1, "b")], Move.TAKE, None),  # of one age after a heal
        (held(1, "b"), [offer(1, "a")], Move.LET_GO, offer(1, "a")),
    ],
)
def test_an_owner_takes_the_name_only_as_the_best_and_when_nobody_holds_it(
    own, others, move, before
):
    assert decide(own, others, is_known=True) == Verdict(move, before)
    assert decide(own, reversed(others), is_known=True) == Verdict(move, before)


@pytest.mark.parametrize(
    ("own", "others", "move"),
    [
        (offer(1), [], Move.STAY),
        (held(1), [], Move.STAY),
        (held(2), [offer(1)], Move.LET_GO),
    ],
)
def test_who_has_just_come_takes_nothing(own, others, move):
    assert decide(own, others, is_known=False).move is move


@pytest.mark.parametrize(
    ("offers", "current", "found"),
    [
        ([], None, None),
        ([offer(1)], None, None),
        ([offer(1)], offer(1), None),  # it has let go
        ([offer(1), held(2)], None, held(2)),
        ([held(2), held(1)], None, held(1)),
        ([held(1), held(2)], offer(2), held(2)),  # its own side's, for now
        ([held(1), offer(2)], offer(2), held(1)),
        ([held(1)], offer(3), held(1)),  # the former one is dead
    ],
)
def test_an_observer_stays_with_whom_it_knows_while_that_one_holds(offers, current, found):
    assert holder(offers, current and current.key) == found


@pytest.mark.parametrize(
    ("expected", "least"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)]
)
def test_a_majority_is_more_than_half(expected, least):
    assert [n for n in range(1, 9) if is_majority(n, expected)] == list(range(least, 9))
    assert majority(expected) == least


# -- whole meshes -----------------------------------------------------------------------------


class Mesh:
    """Owners that decide, and whose words reach each of the others in order but at any time."""

    def __init__(self, seniorities, holding):
        self.own = {
            f"{number:016x}": offer(seniority, f"{number:016x}", holds=number in holding)
            for number, seniority in enumerate(seniorities)
        }
        self.views = {node: dict(self.own) for node in self.own}
        self.found = dict.fromkeys(self.own)
        self.news = {(a, b): [] for a in self.own for b in self.own if a != b}
        self.told = []  # who has let go, in order; and who was seen as the new holder, by whom
        for node in self.own:
            self.look(node)

    def look(self, node):
        """What an observer sees now."""
        current = self.found[node]
        seen = holder(self.views[node].values(), current and current.key)
        if seen is not None and (current is None or seen.key != current.key):
            self.told.append(("sees", node, seen.node))
        self.found[node] = seen

    def step(self, node):
        """Let an owner decide; say whether it did something."""
        own = self.own[node]
        others = [each for key, each in self.views[node].items() if key != node]
        move = decide(own, others, is_known=True).move
        if move is Move.STAY:
            return False
        if move is Move.LET_GO:
            self.told.append(("lets go", node, node))
        own = self.own[node] = offer(own.seniority, node, holds=move is Move.TAKE)
        self.views[node][node] = own
        self.look(node)
        for other in self.own:
            if other != node:
                self.news[node, other].append(own)
        return True

    def hear(self, node, other):
        """Let the next word of one reach the other."""
        if not self.news[node, other]:
            return False
        self.views[other][node] = self.news[node, other].pop(0)
        self.look(other)
        return True

    def settle(self):
        """Go on until nobody has anything to do or to hear."""
        for _ in range(1_000):
            acted = [self.step(node) for node in self.own]
            heard = [self.hear(*way) for way in self.news]
            if not any(acted) and not any(heard):
                return
        raise AssertionError("it does not settle")

    def holding(self):
        return [node for node, each in self.own.items() if each.holds]


@st.composite
def runs(draw, holders):
    count = draw(st.integers(1, 5))
    seniorities = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    holding = draw(st.sets(st.integers(0, count - 1), max_size=min(holders, count)))
    nodes = [f"{number:016x}" for number in range(count)]
    acts = st.sampled_from(
        [("step", node) for node in nodes]
        + [("hear", a, b) for a in nodes for b in nodes if a != b]
    )
    return seniorities, holding, draw(st.lists(acts, max_size=40))


def played(run):
    seniorities, holding, acts = run
    mesh = Mesh(seniorities, holding)
    for kind, *args in acts:
        getattr(mesh, kind)(*args)
        yield mesh
    mesh.settle()
    yield mesh


@given(runs(holders=5))
def test_in_the_end_the_best_holds_the_name_alone_and_all_know_it(run):
    *_, mesh = played(run)
    best = min(mesh.own.values(), key=lambda each: each.rank).node
    assert mesh.holding() == [best]
    assert {seen.node for seen in mesh.found.values()} == {best}


@given(runs(holders=1))
def test_of_those_that_know_each_other_there_are_never_two(run):
    for mesh in played(run):
        assert len(mesh.holding()) <= 1


@given(runs(holders=5))
def test_nobody_sees_another_in_the_place_of_one_that_has_not_let_go(run):
    *_, mesh = played(run)
    gone = set()
    seen = {}
    for what, node, whom in mesh.told:
        if what == "lets go":
            gone.add(node)
        elif node in seen:
            assert seen[node] in gone
        if what == "sees":
            seen[node] = whom
