import asyncio
import logging

import pytest

from actormq import Actor, LifecycleError, SetupError, handler
from actormq.testing import SimulationFailed, simulate


async def nothing(world):
    await world.start("n0")
    world.note("one and only")


def test_a_run_says_how_it_went():
    async def scenario(world):
        await world.sleep(3)
        return "done"

    run = simulate(7, scenario)
    assert (run.seed, run.seconds, run.result) == (7, 3.0, "done")
    assert run.ledger.is_balanced


def test_the_trace_is_lines_of_time_machine_and_event():
    lines = simulate(1, nothing).trace.decode().splitlines()
    assert lines[0].startswith("0.000000 n0 starts as ")
    assert lines[1] == "0.000000 - one and only"


def test_without_a_trace_there_is_none():
    assert simulate(1, nothing, trace=False).trace == b""


def test_another_seed_is_another_run():
    assert simulate(1, nothing).trace != simulate(2, nothing).trace


def test_a_failure_names_its_seed_and_how_to_see_it_again():
    async def scenario(world):
        await world.sleep(1.5)
        world.note("just before")
        raise ValueError("too bad")

    with pytest.raises(SimulationFailed) as failure:
        simulate(42, scenario)
    text = str(failure.value)
    assert text.startswith("seed 42 failed after 1.500 virtual seconds: ValueError: too bad")
    assert "simulate(42, scenario)" in text
    assert "1.500000 - just before" in text
    assert isinstance(failure.value.__cause__, ValueError)


def test_what_a_callback_raises_fails_the_run():
    async def scenario(world):
        asyncio.get_running_loop().call_soon(int, "no number")
        await world.sleep(1)

    with pytest.raises(SimulationFailed, match="a callback raised ValueError"):
        simulate(1, scenario)


def test_a_bug_of_ours_that_a_border_has_caught_fails_the_run(logged):
    async def scenario(world):
        node = await world.start("n0")
        node.events.listen(lambda _: 1 / 0)
        await world.start("n1")
        await world.settled()

    logged.expect("a listener failed")
    with pytest.raises(SimulationFailed, match="ZeroDivisionError"):
        simulate(1, scenario)


def test_a_handler_that_raises_is_no_failure_of_the_run(logged):
    class Bad(Actor):
        @handler
        def raise_it(self) -> None:
            raise ValueError("mine")

    async def scenario(world):
        node = await world.start("n0")
        (await node.spawn(Bad, "bad")).tell(Bad.raise_it)
        await world.sleep(1)

    logged.expect("bad.raise_it raised")
    assert b"n0 bad.raise_it raised ValueError" in simulate(1, scenario).trace


def test_time_that_cannot_go_on_fails_the_run():
    async def scenario(_):
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SimulationFailed, match="nothing is left to happen"):
        simulate(1, scenario)


def test_a_scenario_that_goes_on_for_too_long_fails():
    async def scenario(world):
        await world.sleep(1_000)

    with pytest.raises(SimulationFailed, match="has not ended within 10 virtual seconds"):
        simulate(1, scenario, most=10)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"seed": "1"}, "seed '1' is no whole number"),
        ({"seed": True}, "seed True is no whole number"),
        ({"delay": (2, 1)}, r"delay \(2, 1\) is no \(least, most\)"),
        ({"loss": 1.0}, "loss=1.0 is no share"),
        ({"duplicates": -0.1}, "duplicates=-0.1 is no share"),
        ({"nodes": 0}, "a mesh has at least one node"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, sentence):
    with pytest.raises(SetupError, match=sentence):
        simulate(**{"seed": 1, **arguments})


async def test_it_is_not_called_from_async_code():
    with pytest.raises(LifecycleError, match="call it outside of async code"):
        simulate(1, nothing)


def test_nothing_is_left_behind():
    handlers = list(logging.getLogger("actormq").handlers)
    simulate(1)
    assert logging.getLogger("actormq").handlers == handlers
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


@pytest.mark.parametrize("nodes", [1, 2, 9])
def test_the_standard_scenario_is_for_any_number_of_nodes(nodes):
    run = simulate(3, nodes=nodes, seconds=5)
    assert run.ledger.is_balanced
    assert run.result.told or nodes == 1


def test_who_is_suspected_while_connections_still_notice_the_heal_is_no_failure():
    run = simulate(5380, seconds=6.0)  # nobody has noticed a cut of 1.9 s when it is healed
    _, _, mended = run.trace.decode().partition("all is mended")
    assert "is suspect: silent for" in mended.partition("all gets through")[0]


def test_the_standard_scenario_sees_all_that_it_is_there_for():
    account, lost, traces = None, set(), b""
    for seed in range(12):
        run = simulate(seed)
        account = run.result
        lost |= {reason for reason, count in run.ledger.dropped.items() if count}
        traces += run.trace
        assert account.outcomes["answered"] > 10
        assert account.heard > 10
    assert lost >= {"broken", "closed", "unread"}
    for text in (b"is dead", b"is left", b"is suspect", b"again from", b"refused stale", b"hangs"):
        assert text in traces, text
