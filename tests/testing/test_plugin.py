"""The plugin: which tests it runs, its options, and what its fixtures give."""

import pytest

from actormq import Node
from actormq.testing import Mesh, Probe

# -- fixtures -------------------------------------------------------------------------------------


async def test_a_node_has_started_and_is_alone(node):
    assert isinstance(node, Node)
    assert node.is_running
    assert node.mesh.startswith("test-")
    assert not list(node.mesh_view.peers())


async def test_the_node_is_the_first_of_the_mesh(mesh, node):
    assert mesh.nodes == [node]
    other = await mesh.start()
    assert [peer.facts.node for peer in node.mesh_view.peers()] == [other.id]


async def test_a_pair_knows_each_other(mesh):
    near, far = await mesh.pair()
    assert (near.name, far.name) == ("n0", "n1")
    assert near.mesh == far.mesh == mesh.name
    await far.stop()
    assert mesh.running == [near]


async def test_a_mesh_needs_no_fixture():
    async with Mesh() as mesh:
        node = await mesh.start(name="roof")
        assert node.name == "roof"
    assert not node.is_running


async def test_nodes_that_do_not_meet_are_an_error(mesh, monkeypatch):
    monkeypatch.setattr("actormq.testing.meshes.MEETING", 0.05)
    await mesh.start()
    with pytest.raises(AssertionError, match=r"the nodes did not meet in 0\.05 s"):
        await mesh.start(join=[])


async def test_probes_live_on_the_first_node_or_where_they_are_told(probe, mesh):
    first = await probe()
    far = await mesh.start()
    second = await probe(node=far, name="second")
    assert isinstance(first, Probe)
    assert first.ref.address.node == mesh.nodes[0].id
    assert await mesh.nodes[0].find("second") == second.ref


# -- whose tests it runs --------------------------------------------------------------------------


def test_an_async_test_without_our_fixtures_is_left_to_others(trial):
    done = trial.run("""
async def test_it():
    pass
""")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


def test_it_is_run_if_the_project_says_so(trial):
    done = trial.run(
        """
ran = []

async def test_it():
    await asyncio.sleep(0)
    ran.append(1)

def test_it_ran():
    assert ran == [1]
""",
        ini="actormq_async_tests = all",
    )
    done.assert_outcomes(passed=2)


def test_a_fixture_of_another_fixture_makes_it_ours(trial):
    done = trial.run("""
@pytest.fixture
def roof(node):
    return node

async def test_it(roof):
    await roof.spawn(Greeter)
""")
    done.assert_outcomes(passed=1)


def test_fixtures_of_the_same_names_are_the_projects_own(trial):
    done = trial.run("""
@pytest.fixture
def node():
    return 1

@pytest.fixture
def clock():
    return 2

def test_it(node, clock):
    assert (node, clock) == (1, 2)

async def test_async(node):
    pass
""")
    done.assert_outcomes(passed=1, failed=1)  # nobody runs the second: it is not ours


def test_a_test_of_another_plugin_is_told_what_to_do(trial):
    done = trial.run(
        """
@pytest.mark.asyncio
async def test_it(node):
    pass
""",
        ini="markers = asyncio: of another plugin",
    )
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*take the marker 'asyncio' off this test and actormq runs it*"])


GREEDY = """
import inspect
import pytest

class TheirFunction(pytest.Function):
    def runtest(self):
        raise AssertionError("taken by the other plugin")

@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(obj):
    made = yield
    if not inspect.iscoroutinefunction(obj):
        return made
    taken = []
    for item in made:
        item.add_marker("asyncio")
        taken.append(
            TheirFunction.from_parent(
                item.parent,
                name=item.name,
                callspec=getattr(item, "callspec", None),
                callobj=item.obj,
                fixtureinfo=item._fixtureinfo,
                originalname=item.originalname,
            )
        )
    return taken
"""
"""Takes every async test as pytest-asyncio does in its auto mode: by items of its own class."""


def test_a_plugin_that_takes_every_async_test_leaves_ours_to_us(trial):
    done = trial.run(
        """
@pytest.mark.parametrize("who", ["a", "b"])
async def test_ours(node, who):
    ref = await node.spawn(Greeter)
    assert await ref.ask(Greeter.greet, who) == f"hello {who}"

class TestOurs:
    async def test_it(self, clock):
        await clock.advance(1)

async def test_theirs():
    pass

@pytest.mark.asyncio
async def test_theirs_by_its_marker():
    pass
""",
        ini="markers = asyncio: of another plugin",
        conftest=GREEDY,
    )
    done.assert_outcomes(passed=3, failed=2)
    assert done.stdout.str().count("AssertionError: taken by the other plugin") >= 2


def test_methods_parameters_and_marks_work_as_everywhere(trial):
    done = trial.run("""
class TestGreeter:
    @pytest.mark.parametrize("who", ["a", "b"])
    async def test_it(self, node, who):
        ref = await node.spawn(Greeter)
        assert await ref.ask(Greeter.greet, who) == f"hello {who}"

    @pytest.mark.skip
    async def test_skipped(self, node):
        raise AssertionError

    @pytest.mark.xfail(strict=True)
    async def test_fails(self, node):
        raise AssertionError
""")
    done.assert_outcomes(passed=2, skipped=1, xfailed=1)


def test_two_tests_have_nothing_in_common(trial):
    done = trial.run("""
seen = []

@pytest.mark.parametrize("number", range(2))
async def test_it(mesh, node, number):
    await node.spawn(Greeter, "greeter")
    assert (mesh.name, asyncio.get_running_loop()) not in seen
    seen.append((mesh.name, asyncio.get_running_loop()))
""")
    done.assert_outcomes(passed=2)


def test_the_fixtures_and_the_test_share_loop_and_context(trial):
    done = trial.run("""
import contextvars

variable = contextvars.ContextVar("variable")

async def test_it(node):
    assert node._runtime.loop.aio is asyncio.get_running_loop()
""")
    done.assert_outcomes(passed=1)


# -- options --------------------------------------------------------------------------------------


def test_a_test_that_hangs_ends_at_its_deadline_and_says_where(trial):
    done = trial.run(
        """
async def test_it(node):
    await asyncio.Event().wait()
""",
        ini="actormq_deadline = 0.05",
    )
    done.assert_outcomes(failed=1)
    done.stdout.re_match_lines(
        [r".*the test took longer than 0\.05 s \(actormq_deadline\): Task-\d+ in .*"]
    )


def test_a_test_that_hangs_since_time_stands_still_is_told_so(trial):
    done = trial.run(
        """
async def test_it(clock):
    await asyncio.sleep(1)
""",
        ini="actormq_deadline = 0.05",
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*time stands still until `await clock.advance(seconds)`*"])


@pytest.mark.parametrize(
    ("ini", "sentence"),
    [
        ("actormq_deadline = soon", "actormq_deadline is a number of seconds above 0, not 'soon'"),
        ("actormq_deadline = 0", "actormq_deadline is a number of seconds above 0, not '0'"),
        ("actormq_async_tests = some", "actormq_async_tests is 'ours' or 'all', not 'some'"),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(trial, ini, sentence):
    done = trial.run("", ini=ini)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.lines == [f"ERROR: {sentence}", ""]


def test_the_fixtures_say_what_they_are(trial):
    done = trial.run("", "--fixtures")
    for name in ("node", "mesh", "probe", "clock", "inject", "dead_letters", "until", "logged"):
        done.stdout.re_match_lines([rf"{name} -- .*actormq/testing/plugin\.py:\d+"])
    assert "no docstring" not in done.stdout.str()


# -- the log --------------------------------------------------------------------------------------


def test_an_error_that_is_expected_and_does_not_come_fails(trial):
    done = trial.run("""
async def test_it(node, logged):
    logged.expect("never")
""")
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(["*expected in the log: never*"])
