"""Whatever a constructor or a hook raises is said in words, and ends what it has to."""

import asyncio

import pytest

from actormq import (
    Actor,
    Backoff,
    RemoteError,
    RestartLimitReached,
    StartFailed,
    Supervisor,
    child,
    handler,
)
from actormq.events import ActorFailed

pytestmark = pytest.mark.usefixtures("patience_with_processes")


class Mute(Exception):
    def __str__(self):
        raise ValueError("no words")


def odd(how):
    """An exception that is hard to tell of."""
    return {
        "silent": RuntimeError(),
        "mute": Mute(),
        "surrogates": RuntimeError("\udcff"),
        "binary": RuntimeError(b"\x00", object()),
        "no text": RuntimeError(None),
        "exit": SystemExit(7),
        "interrupt": KeyboardInterrupt(),
    }[how]


ODD = ["silent", "mute", "surrogates", "binary", "no text"]
WORDS = ["exit", "interrupt"]


class Moody(Actor):
    """Raises where it is told to."""

    def __init__(self, where, how):
        self.where, self.how = where, how
        self._raise_in("constructor")

    def _raise_in(self, where):
        if self.where == where:
            raise odd(self.how)

    async def on_start(self):
        self._raise_in("on_start")

    async def on_restart(self, failure):
        self._raise_in("on_restart")

    async def on_stop(self):
        self._raise_in("on_stop")

    async def on_terminated(self, terminated):
        self._raise_in("on_terminated")

    @handler
    def ping(self):
        return self.where

    @handler
    def fail(self):
        raise LookupError("told to")

    @handler
    def begin(self, ref):
        self.watch(ref)


class MoodyThread(Moody):
    runs_in = "thread"


class MoodyProcess(Moody):
    runs_in = "process"


class Rack(Supervisor):
    backoff = Backoff(first=0.0)
    max_restarts = 2
    period = 600.0

    def __init__(self, kind, where, how):
        self.children = [child(kind, "moody", where, how).restarts("always")]


class Plain(Actor):
    pass


CASES = [
    *((Moody, how) for how in ODD),
    pytest.param(MoodyThread, "mute", marks=pytest.mark.slow),
    pytest.param(MoodyProcess, "mute", marks=pytest.mark.slow),  # each takes a second to start
]


@pytest.mark.parametrize(("kind", "how"), CASES)
@pytest.mark.parametrize("where", ["constructor", "on_start"])
async def test_who_cannot_start_says_why_and_leaves_its_name_free(mesh, kind, where, how):
    node = await mesh.start()
    with pytest.raises(StartFailed, match=rf"{where} raised .*(RuntimeError|Mute)"):
        await node.spawn(kind, "moody", where, how)
    ref = await node.spawn(kind, "moody", "nowhere", how)
    assert await ref.ask("ping") == "nowhere"


@pytest.mark.parametrize(("kind", "how"), CASES)
async def test_who_cannot_stop_in_order_is_stopped_all_the_same(mesh, logged, kind, how):
    logged.expect("moody.on_stop raised")
    node = await mesh.start()
    ref = await node.spawn(kind, "moody", "on_stop", how)
    await ref.stop()
    assert node.find_all("moody") == []


@pytest.mark.parametrize("how", ODD)
async def test_a_hook_that_raises_as_others_end_costs_who_has_no_supervisor_nothing(
    mesh, logged, until, how
):
    logged.expect("moody.on_terminated raised")
    node = await mesh.start()
    ref = await node.spawn(Moody, "moody", "on_terminated", how)
    plain = await node.spawn(Plain, "plain")
    await ref.ask("begin", plain)
    await plain.stop()
    await until(lambda: logged.lines)
    assert await ref.ask("ping") == "on_terminated"


@pytest.mark.parametrize(("kind", "how"), CASES)
async def test_a_restart_that_raises_is_one_more_failure_up_to_the_limit(mesh, logged, kind, how):
    logged.expect("moody.fail failed", "moody.on_start failed", "the node ends")
    node = await mesh.start()
    failures = []
    node.events.listen(failures.append, ActorFailed)
    await node.spawn(Rack, "rack", kind, "on_restart", how)
    with pytest.raises(RemoteError, match="told to"):
        await (await node.find("moody")).ask("fail")
    with pytest.raises(RestartLimitReached, match=r"'moody' failed again.*on_restart raised"):
        await node.stopped()
    assert len(failures) == 3


@pytest.mark.parametrize("how", WORDS)
@pytest.mark.parametrize("where", ["constructor", "on_start", "on_stop", "on_terminated"])
async def test_a_hook_that_wants_the_program_to_end_is_heard(mesh, logged, where, how):
    error = type(odd(how))
    logged.expect(f"the node ends: {error.__name__}")
    if where == "on_terminated":
        logged.expect("moody.on_terminated raised")
    node = await mesh.start()
    if where in ("constructor", "on_start"):
        with pytest.raises(StartFailed, match=error.__name__):
            await node.spawn(Moody, "moody", where, how)
    else:
        ref = await node.spawn(Moody, "moody", where, how)
        if where == "on_terminated":
            plain = await node.spawn(Plain, "plain")
            await ref.ask("begin", plain)
            await plain.stop()
        else:
            await ref.stop()
    async with asyncio.timeout(60):
        await node.stopped()
    assert isinstance(node.failure, error)


@pytest.mark.parametrize("how", WORDS)
async def test_a_restart_that_wants_the_program_to_end_is_heard(mesh, logged, how):
    error = type(odd(how))
    logged.expect("moody.fail failed", "moody.on_start failed", f"the node ends: {error.__name__}")
    node = await mesh.start()
    await node.spawn(Rack, "rack", Moody, "on_restart", how)
    (await node.find("moody")).tell("fail")
    await node.stopped()
    assert isinstance(node.failure, error)


@pytest.mark.slow
@pytest.mark.parametrize("how", WORDS)
async def test_a_process_that_ends_in_its_start_is_a_failure_of_the_actor_alone(mesh, how):
    node = await mesh.start()
    with pytest.raises(StartFailed):
        await node.spawn(MoodyProcess, "moody", "on_start", how)
    assert node.is_running
    assert node.find_all("moody") == []
