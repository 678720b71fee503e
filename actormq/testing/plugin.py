"""The pytest plugin: fixtures, and a loop for the async tests that ask for them.

An `async def` test is run by this plugin if it asks for one of the fixtures here, directly or
through another, and does not carry the marker of another plugin (`asyncio`, `anyio`, `trio`). All
other tests are left as they are. pytest-asyncio's auto mode, which takes every async test, leaves
those with our fixtures to us.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from actormq.node import Node
from actormq.testing.clock import Clock, ClockLoop
from actormq.testing.injection import Injector
from actormq.testing.leaks import Leaks
from actormq.testing.letters import DeadLetters
from actormq.testing.logged import Logged
from actormq.testing.meshes import Mesh
from actormq.testing.probes import Probes
from actormq.testing.testloop import TestLoop
from actormq.testing.waiting import Until
from actormq.testing.waiting import until as until_

LOOP = "_actormq_loop"
"""The fixture that all those stand on which need a loop: whoever has it is a test of ours."""

OTHERS = ("asyncio", "anyio", "trio")
"""Markers of plugins that run async tests."""

_FAILED: pytest.StashKey[bool] = pytest.StashKey()


# -- options --------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini options."""
    parser.addini("actormq_deadline", "seconds that an async test may take (30)", default="30")
    parser.addini(
        "actormq_async_tests",
        "which async tests actormq runs: 'ours', those with its fixtures (default), or 'all'",
        default="ours",
    )
    parser.addini(
        "actormq_ignored_threads",
        "beginnings of the names of threads that a test may leave behind",
        type="linelist",
        default=[],
    )


def _deadline(config: pytest.Config) -> float:
    text = str(config.getini("actormq_deadline"))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise pytest.UsageError(f"actormq_deadline is a number of seconds above 0, not {text!r}")
    return seconds


def _is_greedy(config: pytest.Config) -> bool:
    which = config.getini("actormq_async_tests")
    if which not in ("ours", "all"):
        raise pytest.UsageError(f"actormq_async_tests is 'ours' or 'all', not {which!r}")
    return bool(which == "all")


def pytest_configure(config: pytest.Config) -> None:
    """Check the ini options."""
    _deadline(config)
    _is_greedy(config)


# -- whose test it is -----------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, obj: object
) -> Generator[None, Any, Any]:
    """Take back what pytest-asyncio's auto mode took: its items cannot be run by others."""
    made = yield
    if made is None or not inspect.iscoroutinefunction(obj):
        return made
    own = [mark.name for mark in getattr(obj, "pytestmark", [])]
    marked = own + [mark.name for mark in collector.iter_markers()]
    if not isinstance(made, list) or not set(marked).isdisjoint(OTHERS):
        return made
    return [_taken_back(item) for item in made]


def _taken_back(item: Any) -> Any:
    is_theirs = isinstance(item, pytest.Function) and type(item) is not pytest.Function
    if not is_theirs or not _wants_loop(item):
        return item
    return pytest.Function.from_parent(
        item.parent,
        name=item.name,
        callspec=getattr(item, "callspec", None),
        callobj=item.obj,
        fixtureinfo=item._fixtureinfo,  # noqa: SLF001 as pytest-asyncio itself makes it
        originalname=item.originalname,
    )


def _wants_loop(item: pytest.Function) -> bool:
    return LOOP in item.fixturenames or _is_greedy(item.config)


def _is_ours(item: pytest.Item) -> bool:
    return (
        isinstance(item, pytest.Function)
        and inspect.iscoroutinefunction(item.obj)
        and _wants_loop(item)
        and not any(item.get_closest_marker(name) for name in OTHERS)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look before other fixtures open something, and again when they have closed it."""
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is None:
        return
    wanted = [name for name in ("no_leaks", LOOP) if name in names]
    if _is_ours(item):
        wanted = ["no_leaks", LOOP]
    if wanted:
        first = sum(1 for name in names if _is_wide(item, name))
        names[:] = [name for name in names if name not in wanted]
        names[first:first] = wanted


def _is_wide(item: Any, name: str) -> bool:
    """Whether a fixture lives longer than a test: it is set up first, and is not looked at."""
    definitions = item._fixtureinfo.name2fixturedefs.get(name)  # noqa: SLF001 no public way there
    return bool(definitions) and definitions[-1].scope != "function"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that is ours."""
    if not _is_ours(pyfuncitem):
        return None
    loop = pyfuncitem.funcargs[LOOP]
    assert isinstance(loop, TestLoop)
    wanted = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001 as pytest's own hook does
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    loop.run(pyfuncitem.obj(**arguments), _deadline(pyfuncitem.config))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test has failed: what it left is no news then."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


# -- fixtures -------------------------------------------------------------------------------------


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> Iterator[Leaks]:
    """Fail a test that leaves an actor, a node, a socket, a task or a thread behind."""
    with Leaks(request.config.getini("actormq_ignored_threads")) as leaks:
        yield leaks
        complaints = leaks.complaints()
    if complaints and not request.node.stash.get(_FAILED, False):
        pytest.fail("\n".join(complaints), pytrace=False)


@pytest.fixture
def _actormq_loop(request: pytest.FixtureRequest, no_leaks: Leaks) -> Iterator[TestLoop]:
    for name in OTHERS:
        if request.node.get_closest_marker(name) is not None:
            pytest.fail(
                f"the fixtures of actormq run on a loop of their own: take the marker {name!r} off "
                "this test and actormq runs it, or use `async with Mesh() as mesh` from "
                "actormq.testing, which works on any loop",
                pytrace=False,
            )
    loop = TestLoop(no_leaks, has_clock="clock" in request.fixturenames)
    yield loop
    loop.close()


@pytest.fixture
def mesh(_actormq_loop: TestLoop) -> Iterator[Mesh]:
    """Nodes in a mesh of the test's own, stopped at its end: `node = await mesh.start()`."""
    mesh = Mesh()
    yield mesh
    if isinstance(_actormq_loop.loop, ClockLoop):
        _actormq_loop.loop.thaw()  # what does not end in time shall be cut off
    _actormq_loop.run(mesh.stop())


@pytest.fixture
def node(_actormq_loop: TestLoop, mesh: Mesh) -> Node:
    """A node that has started, alone in its mesh."""
    return _actormq_loop.run(mesh.start())


@pytest.fixture
def probe(mesh: Mesh) -> Iterator[Probes]:
    """Make actors that write down what they are sent, and answer as they are told."""
    probes = Probes(mesh)
    yield probes
    probes.release()


@pytest.fixture
def clock(_actormq_loop: TestLoop) -> Clock:
    """The time of the test, which stands still until `await clock.advance(seconds)`."""
    assert isinstance(_actormq_loop.loop, ClockLoop)
    return Clock(_actormq_loop.loop)


@pytest.fixture
def inject(_actormq_loop: TestLoop) -> Iterator[Injector]:
    """Lets an actor fail at its n-th message: `inject.fail_at(ref, Greeter.greet, 2, error)`."""
    injector = Injector()
    yield injector
    injector.undo()


@pytest.fixture
def dead_letters(mesh: Mesh) -> DeadLetters:
    """The dead letters of all nodes of the test: `await dead_letters.expect("greeter")`."""
    letters = DeadLetters()
    mesh.each(letters.listen)
    return letters


@pytest.fixture
def until(_actormq_loop: TestLoop) -> Until:
    """Wait for conditions, sync or async."""
    return until_


@pytest.fixture
def logged(request: pytest.FixtureRequest) -> Iterator[Logged]:
    """Fail a test for errors that actormq or asyncio logs, but those that it expects."""
    with Logged() as logged:
        yield logged
    complaints = logged.complaints()
    if complaints and not request.node.stash.get(_FAILED, False):
        pytest.fail("\n".join(complaints), pytrace=False)
