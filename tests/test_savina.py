"""Savina's micro benchmarks: actormq solves each, and notices when it does not."""

import re
import sys
from pathlib import Path

import pytest

from actormq import RemoteError

CONTESTANTS = Path(__file__).parents[1] / "scripts" / "benchmarks" / "contestants"
sys.path += [str(CONTESTANTS / "savina"), str(CONTESTANTS.parent)]  # as programs import each other

import actormq_concurrency  # noqa: E402 as above
import actormq_micro  # noqa: E402 as above
import problems  # noqa: E402 as above
import programs  # noqa: E402 as above
import works  # noqa: E402 as above

PROBLEMS = {**actormq_micro.MICRO, **actormq_concurrency.CONCURRENCY}


async def solve(node, name):
    kind, parties = PROBLEMS[name]
    problem = await node.spawn(kind, None, parties)
    return await problem.ask("solve")


PIECES = {
    "savina-pingpong": 2 * problems.PINGS,
    "savina-counting": problems.INCREMENTS,
    "savina-threadring": problems.HOPS,
    "savina-big": 2 * problems.BIG_ACTORS * problems.BIG_PINGS,
    "savina-fjcreate": problems.CREATED,
    "savina-fjthroughput": problems.FORKED * problems.FORKED_MESSAGES,
    "savina-chameneos": problems.MEETINGS,
    "savina-smokers": problems.SMOKES,
    "savina-dictionary": problems.DICTIONARY_WORKERS * problems.REQUESTS,
    "savina-buffer": problems.PRODUCERS * problems.ITEMS,
    "savina-philosophers": problems.PHILOSOPHERS * problems.MEALS,
}


@pytest.mark.parametrize("name", PROBLEMS)
async def test_a_problem_is_solved_with_as_many_pieces_as_it_has(mesh, name):
    assert await solve(await mesh.start(), name) == PIECES[name]


@pytest.mark.parametrize(
    ("actor", "handler", "lazy", "name"),
    [
        (actormq_micro.Counter, "increment", lambda _: None, "savina-counting"),
        (actormq_concurrency.Smoker, "smoke", lambda _: None, "savina-smokers"),
    ],
)
async def test_a_wrong_result_is_an_error_and_no_figure(
    mesh, monkeypatch, actor, handler, lazy, name
):
    monkeypatch.setattr(actor._actormq_handlers[handler], "function", lazy)
    with pytest.raises(RemoteError, match="WrongResult"):
        await solve(await mesh.start(), name)


def test_the_bench_knows_each_problem_and_who_solves_it():
    assert set(PROBLEMS) == set(programs.SAVINA) == {f"savina-{name}" for name in works.SAVINA}
    solvers = {one.name for one in programs.PROGRAMS if set(programs.SAVINA) <= set(one.works)}
    assert solvers == {"actormq", "pykka", "thespian", "xoscar", "erlang"}


def test_erlang_solves_problems_of_the_same_size():
    source = (CONTESTANTS / "erlang" / "savina.erl").read_text(encoding="utf-8")
    sizes = re.findall(r"-define\((\w+), ([\d.]+)\)", source)
    assert len(sizes) > 20
    for name, size in sizes:
        ours = {"WORKERS": "DICTIONARY_WORKERS"}.get(name, name)
        assert float(size) == getattr(problems, ours), name
