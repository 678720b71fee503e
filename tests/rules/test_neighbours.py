import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actormq.rules.rings import NEIGHBOURS, RINGS, Rings


def ids(count, seed=0):
    generator = random.Random(seed)
    return [f"{generator.getrandbits(64):016x}" for _ in range(count)]


few = settings(max_examples=30)
MANY = ids(60)
IDS = st.lists(st.sampled_from(MANY), unique=True, min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("count", "least", "most"),
    [(1, 0, 0), (2, 1, 1), (NEIGHBOURS + 1, NEIGHBOURS, NEIGHBOURS), (200, RINGS, NEIGHBOURS)],
)
def test_a_node_has_few_neighbours_however_many_there_are(count, least, most):
    nodes = ids(count)
    rings = Rings(nodes)
    assert all(least <= len(rings.neighbours(node)) <= most for node in nodes)


@pytest.mark.parametrize("count", [1, 2, NEIGHBOURS + 1, NEIGHBOURS + 2, 40, 200])
def test_being_neighbours_is_mutual(count):
    nodes = ids(count)
    rings = Rings(nodes)
    for node in nodes:
        found = rings.neighbours(node)
        assert found == sorted(set(found) - {node})
        assert all(node in rings.neighbours(other) for other in found)


@few
@given(IDS, st.randoms())
def test_who_knows_the_same_nodes_finds_the_same_neighbours(nodes, chance):
    one, other = Rings(nodes), Rings()
    for node in chance.sample(nodes, len(nodes)):
        other.add(node)
    assert len(one) == len(other) == len(nodes)
    assert [one.neighbours(n) for n in nodes] == [other.neighbours(n) for n in nodes]


@few
@given(IDS, IDS)
def test_who_has_come_and_gone_leaves_no_trace(nodes, passers):
    passers = [node for node in passers if node not in nodes]
    rings = Rings(nodes)
    copy = rings.copy()
    for node in passers:
        copy.add(node)
    for node in reversed(passers):
        copy.remove(node)
    assert [copy.neighbours(n) for n in nodes] == [rings.neighbours(n) for n in nodes]


@pytest.mark.parametrize("count", [100, 1_000])
def test_news_reach_all_in_few_steps_even_if_one_in_ten_is_gone(count):
    nodes = ids(count)
    rings = Rings(nodes)
    gone = set(random.Random(1).sample(nodes[1:], count // 10))
    told, fresh, steps = {nodes[0]}, {nodes[0]}, 0
    while fresh:
        fresh = {o for node in fresh for o in rings.neighbours(node)} - told - gone
        told |= fresh
        steps += bool(fresh)
    assert told == set(nodes) - gone
    assert steps <= 6
