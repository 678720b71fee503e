import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actormq.rules.circles import Trail, circle_through, drawn


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ({}, None),
        ({"a": "a"}, "a"),
        ({"a": "b", "b": "a"}, "ab"),
        ({"a": "b", "b": "c", "c": "a"}, "abc"),
        ({"a": "b", "b": "c", "c": "b"}, None),  # a circle, but not through a
        ({"a": "bc", "b": "", "c": "a"}, "ac"),  # b leads nowhere
        ({"a": "bd", "b": "c", "c": "a", "d": "a"}, "ad"),  # the shorter one
        ({"a": "bc", "b": "d", "c": "d", "d": "a"}, "abd"),  # two ways: the first of them
    ],
)
def test_a_circle_is_found_if_one_leads_back(edges, circle):
    found = circle_through(lambda node: edges.get(node, ""), "a")
    assert found == (None if circle is None else list(circle))


GRAPHS = st.dictionaries(st.integers(0, 6), st.lists(st.integers(0, 6), max_size=4), max_size=7)


@settings(deadline=None)
@given(GRAPHS)
def test_what_is_found_is_a_shortest_circle(edges):
    found = circle_through(lambda node: edges.get(node, ()), 0)
    paths = (
        [0, *between]
        for length in range(7)
        for between in itertools.permutations(range(1, 7), length)
    )
    circles = (path for path in paths if is_circle(edges, path))
    shortest = next(circles, None)
    assert (found is None) is (shortest is None)
    if found is not None:
        assert found[0] == 0
        assert is_circle(edges, found)
        assert len(found) == len(shortest)


def is_circle(edges, path):
    return all(
        other in edges.get(node, ()) for node, other in zip(path, [*path[1:], 0], strict=False)
    )


def test_a_long_chain_needs_no_stack():
    chain = circle_through(lambda node: [(node + 1) % 5_000], 0)
    assert chain == list(range(5_000))


def test_a_graph_without_end_is_looked_at_up_to_the_limit():
    seen = []

    def edges(node):
        seen.append(node)
        return [node + 1]

    assert circle_through(edges, 0, limit=100) is None
    assert seen == list(range(100))
    assert circle_through(lambda node: [(node + 1) % 100], 0, limit=100) == list(range(100))
    assert circle_through(lambda node: [(node + 1) % 101], 0, limit=100) is None


@pytest.mark.parametrize(
    ("names", "drawing"),
    [
        (["a"], "a -> a"),
        (["a", "b"], "a -> b -> a"),
        (("roof", "rack", "hall"), "roof -> rack -> hall -> roof"),
    ],
)
def test_a_circle_is_drawn_back_to_where_it_starts(names, drawing):
    assert drawn(names) == drawing


A, B = ("0" * 16, 7), ("f" * 16, 1)


@pytest.mark.parametrize(
    ("trail", "ask", "after"),
    [
        (Trail(), A, Trail(A, ("h.f",))),
        (Trail(B, ("x.f", "y.f")), A, Trail(A, ("h.f",))),
        (Trail(A, ("x.f", "y.f")), B, Trail(A, ("x.f", "y.f", "i.g (behind h.f)"))),
        (Trail(A, ("x.f",)), (A[0], 8), Trail(A, ("x.f", "i.g (behind h.f)"))),
        (Trail((A[0], 10), ("x.f",)), (A[0], 9), Trail((A[0], 9), ("h.f",))),  # as numbers
    ],
)
def test_a_trail_begins_anew_behind_a_lesser_ask_that_waits(trail, ask, after):
    assert trail.past_waiting(ask, "h.f", "i.g (behind h.f)") == after


def test_a_trail_notes_handlers_once_it_knows_what_it_looks_for():
    assert Trail().past("h.f") == Trail()
    assert Trail(A, ("x.f",)).past("h.f") == Trail(A, ("x.f", "h.f"))


@given(st.lists(st.integers(0, 9), unique=True, min_size=1, max_size=8), st.data())
def test_whoever_sends_it_a_probe_closes_the_circle_at_its_least_ask_within_two_rounds(asks, data):
    waits = data.draw(st.lists(st.sampled_from(asks), unique=True, min_size=1))
    for first in range(len(asks)):
        trail = Trail()
        for step in range(first, first + 2 * len(asks) + 1):
            ask = asks[step % len(asks)]
            if trail.origin == ("n", ask):
                break
            if ask in waits:
                trail = trail.past_waiting(("n", ask), f"{ask}", f"{ask}")
            else:
                trail = trail.past(f"{ask}")
        assert trail.origin == ("n", min(waits))
        at = asks.index(min(waits))
        assert trail.steps == tuple(map(str, [*asks[at:], *asks[:at]]))
