"""A test that leaves something behind fails with a sentence that names it; others pass."""

import pytest

LEFT = {
    "node": (
        """
async def test_it(node):
    other = Node(mesh="left", name="attic", discovery=False)
    await other.start()
    await other.spawn(Greeter)
    {mend}
""",
        "await other.stop()",
        "node left running: 'attic' with 1 actors; stop it with `await node.stop()`",
    ),
    "actor": (
        """
class Stubborn(Actor):
    async def on_stop(self) -> None:
        times = 0 if {mend} else 4
        while times:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                times -= 1

async def test_it(mesh):
    node = await mesh.start(shutdown_timeout=0.01)
    await node.spawn(Stubborn, "mule")
""",
        "True",
        "actor left: node 'n0' stopped without the end of mule.on_stop goes on",
    ),
    "socket": (
        """
async def test_it(node):
    global context
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.bind("tcp://127.0.0.1:*")
    {mend}
    globals()["kept"] = socket
""",
        "context.destroy(0)",
        "socket left open: PUSH at tcp://127.0.0.1:",
    ),
    "task": (
        """
async def wait_for_ever():
    await asyncio.Event().wait()

async def test_it(node):
    task = globals()["kept"] = asyncio.create_task(wait_for_ever(), name="endless")
    await asyncio.sleep(0)
    {mend}
""",
        "task.cancel()",
        "task left: endless in wait_for_ever at ",
    ),
    "thread": (
        """
end = threading.Event()

async def test_it(node):
    threading.Thread(target=end.wait, args=[3], name="spinner", daemon=True).start()
    {mend}
""",
        "end.set()",
        "thread left: 'spinner'",
    ),
    "file": (
        """
async def test_it(node):
    file = open(__file__)
    {mend}
""",
        "file.close()",
        "not closed, a ResourceWarning: unclosed file <_io.TextIOWrapper",
    ),
    "file in a circle": (
        """
async def test_it(node):
    circle = [open(__file__, "rb", buffering=0)]
    circle.append(circle)
    {mend}
""",
        "circle[0].close()",
        "not closed, a ResourceWarning: unclosed file <_io.FileIO",
    ),
    "error in the log": (
        """
class Grumpy(Actor):
    @handler
    def greet(self) -> None:
        raise ValueError("not today")

async def test_it(node, logged, until):
    {mend}
    ref = await node.spawn(Grumpy, "grump")
    ref.tell(Grumpy.greet)
    await until(lambda: logged.lines)
""",
        'logged.expect("not today")',
        "logged: actormq: n0: grump.greet raised: ValueError('not today')",
    ),
}


@pytest.fixture
def nothing_left():
    """What these leave is what they are about; `trial` takes it away."""


@pytest.mark.parametrize("what", LEFT)
def test_what_is_left_is_named(trial, what):
    source, _, sentence = LEFT[what]
    mend = "False" if what == "actor" else "pass"
    done = trial.run(source.format(mend=mend))
    done.assert_outcomes(passed=1, errors=1)
    assert sentence in done.stdout.str()


@pytest.mark.parametrize("what", LEFT)
def test_what_is_mended_passes(trial, what):
    source, mend, _ = LEFT[what]
    trial.run(source.format(mend=mend)).assert_outcomes(passed=1)


def test_each_thing_is_named_where_it_was_opened(trial):
    source, _, _ = LEFT["socket"]
    done = trial.run(source.format(mend="pass"))
    done.stdout.re_match_lines([r".*socket left open: PUSH .*, opened at .*test_.*\.py:\d+"])


def test_a_task_that_python_took_away_is_named_as_well(trial):
    done = trial.run("""
import gc

async def wait_for_ever():
    await asyncio.get_running_loop().create_future()

async def test_it(node):
    asyncio.create_task(wait_for_ever(), name="lost")
    await asyncio.sleep(0)
    gc.collect()
""")
    done.assert_outcomes(passed=1, errors=1)
    assert "task left: lost in wait_for_ever, which nobody held on to" in done.stdout.str()


def test_a_test_that_failed_is_not_blamed_for_what_it_left(trial):
    done = trial.run("""
async def test_it(node):
    asyncio.create_task(asyncio.sleep(1000))
    assert False
""")
    done.assert_outcomes(failed=1)


def test_what_one_test_left_does_not_fail_the_next(trial):
    done = trial.run("""
async def test_left(node):
    globals()["kept"] = Node(mesh="left", name="attic", discovery=False)
    await kept.start()

async def test_tidy(node):
    assert not kept.is_running
""")
    done.assert_outcomes(passed=2, errors=1)


def test_what_lives_longer_than_a_test_is_not_its_leak(trial):
    done = trial.run("""
@pytest.fixture(scope="session")
def context():
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield context
    end.set()
    thread.join()
    socket.close()
    context.term()

async def test_it(node, context):
    pass
""")
    done.assert_outcomes(passed=1)


def test_what_other_fixtures_close_is_not_left_whatever_their_order(trial):
    done = trial.run("""
@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy()

async def test_it(context, node):
    globals()["kept"] = context.socket(zmq.PUSH)
""")
    done.assert_outcomes(passed=1)


def test_threads_that_may_stay_can_be_named(trial):
    source, _, _ = LEFT["thread"]
    ini = "actormq_ignored_threads =\n    spin"
    trial.run(source.format(mend="pass"), ini=ini).assert_outcomes(passed=1)


def test_sync_tests_are_looked_at_as_well(trial):
    done = trial.run("""
def test_it(no_leaks):
    socket = globals()["kept"] = zmq.Context.instance().socket(zmq.PULL)
""")
    done.assert_outcomes(passed=1, errors=1)
    assert "socket left open: PULL, neither bound nor connected" in done.stdout.str()


def test_a_node_left_by_a_loop_of_its_own_is_named(trial):
    done = trial.run("""
async def main():
    globals()["kept"] = Node(mesh="left", name="attic", discovery=False)
    await kept.start()

def test_it(no_leaks):
    asyncio.run(main())
""")
    done.assert_outcomes(passed=1, errors=1)
    assert "node left running: 'attic'" in done.stdout.str()


def test_what_a_simulation_crashes_is_no_leak(trial):
    done = trial.run("""
from actormq.testing import simulate

async def scenario(world):
    globals()["kept"] = await world.start("a")

def test_it(no_leaks):
    simulate(1, scenario)
    assert kept._runtime is not None
""")
    done.assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_task_that_cannot_be_cancelled_does_not_hold_up_the_rest(trial):
    done = trial.run("""
async def immortal():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass

async def test_it(node):
    asyncio.create_task(immortal())
    await asyncio.sleep(0)

async def test_next(node):
    pass
""")
    assert "task left: Task-" in done.stdout.str()
    assert done.parseoutcomes()["passed"] == 2


@pytest.mark.parametrize(("mend", "passes"), [("pass", True), ("context.destroy(0)", False)])
def test_a_test_may_reckon_with_what_it_leaves(trial, mend, passes):
    source = LEFT["socket"][0].replace("(node)", "(node, no_leaks)")
    source = source.replace("global context", 'global context; no_leaks.expect("PUSH at tcp")')
    done = trial.run(source.format(mend=mend))
    done.assert_outcomes(passed=1, errors=0 if passes else 1)
    assert ("expected to be left: PUSH at tcp" in done.stdout.str()) is not passes
