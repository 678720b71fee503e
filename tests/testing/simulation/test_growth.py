"""How the cost of a mesh grows with its nodes: what one costs does not, and news go a few steps."""

import json
import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

from growth import PAGE, measure, measure_together  # noqa: E402 it is no package
from growth_plot import BEGIN, END, plot, table, with_table  # noqa: E402 as above

SMALL, LARGE = 10, 100
FACTOR = 2.0  # by which what a node costs may grow, with a mesh of any size
NEIGHBOURS = 10
TELL = 9  # of its neighbours are told by whoever passes something on


@pytest.fixture(scope="module")
def sizes():
    """What was measured with two sizes."""
    return measure(SMALL), measure(LARGE)


def steps_most(nodes):
    """Steps that news may take: those of a tree that grows by half the neighbours, and one more."""
    return math.ceil(math.log(nodes, TELL / 2)) + 1


@pytest.mark.slow
def test_an_idle_node_costs_the_same_in_a_mesh_of_any_size(sizes):
    small, large = sizes
    assert small.messages > 0
    assert 1 / FACTOR < large.messages / small.messages < FACTOR
    assert 1 / FACTOR < large.bytes / small.bytes < FACTOR
    assert large.bytes < 2_000
    assert small.links == SMALL - 1
    assert large.links <= NEIGHBOURS


@pytest.mark.slow
def test_news_reach_all_after_steps_that_grow_with_the_logarithm(sizes):
    for figures in sizes:
        assert 1 <= figures.name_hops <= steps_most(figures.nodes)
        assert figures.killed_hops <= steps_most(figures.nodes)
    small, large = sizes
    growth = math.log(LARGE) / math.log(SMALL)
    assert large.name_hops <= FACTOR * growth * small.name_hops
    assert large.joined_seconds < FACTOR * growth * small.joined_seconds


@pytest.mark.slow
def test_deaths_are_found_as_fast_in_a_mesh_of_any_size(sizes):
    for figures in sizes:
        assert 0 < figures.killed_seconds < 2.0
        assert 3.0 < figures.silent_seconds <= figures.silent_all_seconds < 8.0


@pytest.mark.slow
def test_nodes_that_start_at_once_find_each_other():
    together = measure_together(20)
    assert together.seconds < 5.0
    assert together.messages > 20


def test_the_page_shows_what_was_measured():
    written = json.loads((PAGE.parent / "mesh" / "growth.json").read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == table(written["sizes"], written["together"])
    assert with_table(page, shown) == page
    assert (PAGE.parent / "mesh" / "growth.svg").read_text("utf-8") == plot(written["sizes"])
    sizes = written["sizes"]
    for field in ("messages", "bytes"):
        values = [figures[field] for figures in sizes]
        assert max(values) < FACTOR * min(values)
    assert all(figures["name_hops"] <= steps_most(figures["nodes"]) for figures in sizes)
