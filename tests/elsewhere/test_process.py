"""Actors in processes of their own, and their ends."""

import asyncio
import os
import signal
import sys
import time

import msgpack
import psutil
import pytest
import zmq
from crunchers import (
    Counter,
    Cruncher,
    Ending,
    FailsToStart,
    Hidden,
    NeverStops,
    Patient,
    Point,
    Ticking,
)
from granted import Granted

from actormq import (
    Actor,
    ActorStopped,
    ArgumentMismatch,
    AskTimeout,
    HandlerNotFound,
    NotEncodable,
    OutcomeUnknown,
    ProcessLost,
    RemoteError,
    SetupError,
    StartFailed,
)

pytestmark = pytest.mark.slow

SEEN_WITHIN = 2.0  # s, as the issue asks


def children():
    """The processes of ours that live."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture(autouse=True)
def no_process_left():
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    end = time.monotonic() + 60
    while True:
        left = [c for c in psutil.Process().children(recursive=True) if c.pid not in before]
        if not left:
            return
        if time.monotonic() > end:
            pytest.fail(f"processes left: {left}")
        left[0].status()


# -- what works as on the loop --------------------------------------------------------------------


async def test_it_behaves_as_an_actor_of_the_loop_does(mesh, until, logged):
    node, third = await mesh.pair()
    counter = await node.spawn(Counter, "counter")
    far = await third.spawn(Counter, "far")
    far = await node.find("far")
    cruncher = await node.spawn(Cruncher, "cruncher", 3, by=2, notes=counter)
    ask = cruncher.ask

    # state, constructor arguments, another process, its name and node
    assert [await ask(Cruncher.add, n) for n in (1, 2, 3)] == [5, 9, 15]
    pid, _, name = await ask(Cruncher.where)
    assert pid != os.getpid()
    assert name == "cruncher"
    assert await ask(Cruncher.facts) == [node.id, node.name, node.mesh, "cruncher"]

    # values: plain ones, dataclasses in, large buffers, refs to itself and others
    assert await ask(Cruncher.moved, Point(1, 2), by=2.0) == {"x": 3.0, "y": 4.0}
    large = os.urandom(1_000_000)
    assert await ask(Cruncher.echo, large) == large
    assert await ask(Cruncher.own_ref) == cruncher
    assert await ask(Cruncher.echo, [counter, far, None]) == [counter, far, None]

    # asks and tells from there, to this node and to a third
    assert await ask(Cruncher.pass_on, counter, "a") == 1
    assert await ask(Cruncher.pass_on, far, "a") == 1
    assert await ask(Cruncher.pass_on, far, large) == 2
    assert await ask(Cruncher.pass_on_blocking, counter, "b") == 3
    await ask(Cruncher.tell, counter, [*range(1000)])
    await until(lambda: counter_values(node)[3:] == [*range(1000)])

    # timers, names, spawns, the end of another
    await ask(Cruncher.later, counter, 0.01)
    await until(lambda: counter_values(node)[-1] == "later")
    assert await ask(Cruncher.find, "far") == far
    spawned = await ask(Cruncher.spawn, "spawned")
    assert spawned == await node.find("spawned")
    await ask(Cruncher.stop_it, spawned)
    assert node.find_all("spawned") == []

    # from a third node, asked by name
    remote = await third.find("cruncher")
    assert await remote.ask(Cruncher.add, 1) == 17
    assert await remote.ask(Cruncher.pass_on, far, "from afar") == 3

    # a blocking handler beats on, a busy one is not hurried
    assert await ask(Cruncher.block, 1.5) is False

    # the world around it
    assert await ask(Cruncher.read_input) == ""
    assert await ask(Cruncher.subprocess_ends_by_sigterm) == -signal.SIGTERM

    # nobody else sees a member, or more than the actor
    assert len(third.mesh_view.members) == 1
    assert len(node.mesh_view.members) == 1

    await cruncher.stop()
    assert counter_values(node)[-1] == "cruncher stopped"
    with pytest.raises(ActorStopped):
        await cruncher.ask(Cruncher.add, 1)


def counter_values(node):
    [cell] = [c for c in node._runtime.registry.cells() if c.address.label == "counter"]
    return cell.actor.values


async def test_what_goes_wrong_there_goes_wrong_as_on_the_loop(mesh, until, logged):
    node = await mesh.start(shutdown_timeout=0.2)  # a handler of the counter still runs
    counter = await node.spawn(Counter, "counter")
    cruncher = await node.spawn(Cruncher, "cruncher")
    ask = cruncher.ask

    with pytest.raises(RemoteError) as raised:
        await ask(Cruncher.fail, "no ? such")
    assert raised.value.type == "LookupError"
    assert raised.value.text == "no \\ud800 such"
    assert "in fail" in raised.value.traceback
    assert "bench.py" not in raised.value.traceback
    assert "raise LookupError(text" in str(raised.value.__cause__)
    for handler, kind in [
        (Cruncher.fail_later, "KeyError"),
        (Cruncher.stop_iteration, "RuntimeError"),
        (Cruncher.cancelled, "asyncio.exceptions.CancelledError"),
    ]:
        with pytest.raises(RemoteError) as raised:
            await ask(handler)
        assert raised.value.type == kind
    with pytest.raises(HandlerNotFound):
        await ask("nothing")
    with pytest.raises(HandlerNotFound):
        await ask("unmarked", counter, "x")
    with pytest.raises(ArgumentMismatch, match="'number' should be int, got 'one'"):
        await ask("add", "one")
    with pytest.raises(NotEncodable, match=r"argument 'value': .*function"):
        await ask(Cruncher.echo, lambda: None)
    with pytest.raises(NotEncodable, match=r"whoever asked cruncher\.lambda_"):
        await ask(Cruncher.lambda_)
    with pytest.raises(RemoteError, match=r"self\.node\.find_all is not there"):
        await ask(Cruncher.beyond)

    # errors on the way from there
    assert "HandlerNotFound" in await ask(Cruncher.ask_wrongly, counter, "nothing", 1)
    wrong = await ask(Cruncher.ask_wrongly, counter, "at", {"x": "one", "y": 2})
    assert wrong.startswith("ArgumentMismatch: counter.at: argument 'point'")
    assert await ask(Cruncher.ask_failing, counter) == (
        "RemoteError: counter.fail raised ValueError: not today"
    )
    with pytest.raises(RemoteError, match="ActorNotFound"):
        await ask(Cruncher.find, "nobody")

    # deadlines, here and from there
    with pytest.raises(AskTimeout):
        await cruncher.within(0.05).ask(Cruncher.wait, 0.2)
    with pytest.raises(AskTimeout):
        await cruncher.within(0.3).ask(Cruncher.ask_slow, counter)

    # whoever tells is not told, the log is
    logged.expect("cruncher.fail raised: RemoteError('cruncher.fail raised LookupError: told')")
    cruncher.tell(Cruncher.fail, "told")
    cruncher.tell("add", "one")
    await until(lambda: node.events.dead_letter_count["ArgumentMismatch"] == 1)
    assert await ask(Cruncher.add, 1) == 1
    await cruncher.within(60).stop()


async def test_those_who_await_each_other_are_told_so(mesh):
    node = await mesh.start()
    counter = await node.spawn(Counter, "counter")
    cruncher = await node.spawn(Cruncher, "cruncher")
    with Granted() as taken, pytest.raises(RemoteError, match="AskCircle"):
        await cruncher.within(20).ask(Cruncher.ask_round, counter)
    assert taken.seconds < 5


async def test_a_sender_waits_for_room_from_there_too(mesh):
    node = await mesh.start(mailbox_limit=10)
    counter = await node.spawn(Counter, "counter")
    cruncher = await node.spawn(Cruncher, "cruncher")
    await cruncher.ask(Cruncher.send_all, counter, 100)
    assert await counter.ask(Counter.note, "last") == 102
    assert node.ledger().is_balanced


async def test_without_a_pidfd_a_thread_waits(mesh, monkeypatch, until, logged):
    logged.expect("ended by itself with status 3")
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    node = await mesh.start()
    ending = await node.spawn(Patient, "ending")
    with pytest.raises(ProcessLost):
        await ending.ask(Ending.leave, 3)
    await until(lambda: node.find_all("ending") == [])


async def test_messages_are_handled_in_order_one_at_a_time_unless_marked(mesh, until):
    node = await mesh.start()
    cruncher = await node.spawn(Cruncher)
    replies = [cruncher.ask(Cruncher.add, n) for n in range(200)]
    assert [await reply for reply in replies] == [sum(range(n + 1)) for n in range(200)]
    # those that are marked wait for each other
    await asyncio.gather(*(cruncher.ask(Cruncher.meet, 5) for _ in range(5)))
    # one that keeps its turn is cut off by the end of its actor, and its asker told
    reply = cruncher.ask(Cruncher.wait, 60.0)
    waiting = cruncher.ask(Cruncher.add, 1)
    [cell] = [c for c in node._runtime.registry.cells() if c.address == cruncher.address]
    await until(lambda: cell.mailbox_count == 1)
    await cruncher.within(0.2).stop()
    with pytest.raises(OutcomeUnknown):
        await reply
    with pytest.raises(ActorStopped):
        await waiting


async def test_periodic_methods_run_there(mesh, until):
    node = await mesh.start()
    counter = await node.spawn(Counter, "counter")
    ticking = await node.spawn(Ticking, None, counter)
    await until(lambda: len(counter_values(node)) >= 3)
    assert len(set(counter_values(node))) == 1
    assert counter_values(node)[0] in {child.pid for child in children()}
    await ticking.stop()


# -- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "args", "how"),
    [
        ("segfault", (), "was killed by SIGSEGV while it ran segfault"),
        ("leave", (3,), "ended by itself with status 3 while it ran leave"),
        ("exit", (5,), "ended by itself with status 5 while it ran exit"),
        ("exit_later", (), "ended by itself with status 4 while it ran exit_later"),
        ("interrupt", (), "was killed by SIGINT while it ran interrupt"),
        ("spin", (), "held its loop for more than 1.25 s while it ran spin: mark long work"),
        ("stop_oneself", (), "held its loop for more than 1.25 s while it ran stop_oneself"),
    ],
)
async def test_an_end_is_seen_in_time_and_said_to_whoever_asked(
    mesh, until, logged, handler, args, how
):
    logged.expect(how)
    node = await mesh.start()
    # Those that end by themselves may be slow at it.
    ending = await node.spawn(Ending if "held its loop" in how else Patient, "ending")
    beside = await node.spawn(Counter, "beside")
    with Granted() as taken:
        reply = ending.within(30).ask(handler, *args)
        waiting = [ending.within(30).ask(Cruncher.add, n) for n in range(3)]
        with pytest.raises(ProcessLost) as raised:
            await reply
    assert taken.seconds < SEEN_WITHIN
    assert how in str(raised.value)
    assert raised.value.handler == handler
    for one in waiting:  # exactly one was under way; these never ran
        with pytest.raises(ActorStopped):
            await one
    assert await beside.ask(Counter.note, 1) == 1
    await until(lambda: node.find_all("ending") == [])
    await node.spawn(Counter, "ending")


async def test_a_process_that_is_killed_while_idle_is_missed(mesh, until, logged):
    logged.expect("'idle' was killed by SIGKILL")
    node = await mesh.start()
    idle = await node.spawn(Cruncher, "idle")
    pid, _, _ = await idle.ask(Cruncher.where)
    with Granted() as taken:
        os.kill(pid, signal.SIGKILL)
        await until(lambda: node.find_all("idle") == [])
    assert taken.seconds < SEEN_WITHIN


async def test_what_a_process_said_before_its_end_is_heard(mesh, until, logged):
    logged.expect("ended by itself with status 9")
    node = await mesh.start()
    counter = await node.spawn(Counter, "counter")
    ending = await node.spawn(Patient, "ending")
    await ending.ask(Cruncher.tell, counter, [1])
    ending.tell(Cruncher.tell, counter, [*range(2, 500)])
    ending.tell(Ending.leave, 9)
    await until(lambda: node.find_all("ending") == [])
    assert counter_values(node) == [*range(1, 500)]


async def test_a_long_handler_is_let_be_where_its_class_says_so(mesh):
    node = await mesh.start()
    patient = await node.spawn(Patient)
    await patient.ask(Ending.sleep, 1.6)
    assert await patient.ask(Cruncher.add, 1) == 1


async def test_the_heartbeats_of_the_node_go_on(mesh, until, logged):
    logged.expect("held its loop", "was killed by SIGSEGV")
    one, other = await mesh.pair()
    spinning = await one.spawn(Ending, "spinning")
    crashing = await one.spawn(Patient, "crashing")
    changes = []
    other.events.listen(changes.append)
    longest = last = 0.0
    with Granted() as passed:
        replies = [spinning.ask(Ending.spin), crashing.ask(Ending.segfault)]
        while one.find_all("spinning") or one.find_all("crashing"):
            await asyncio.sleep(0.005)
            longest, last = max(longest, passed.seconds - last), passed.seconds
    for reply in replies:
        with pytest.raises(ProcessLost):
            await reply
    assert longest < 0.5  # of 3 s until a node is suspect
    assert not [c for c in changes if "Member" in type(c).__name__]


# -- starting and stopping ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("constructor", "its constructor raised ValueError: not today"),
        ("on_start", "on_start raised ValueError: not today either"),
        ("segfault", "was killed by SIGSEGV while it ran its constructor"),
        ("crash", "ended by itself with status 7 while it ran on_start"),
    ],
)
async def test_what_fails_to_start_says_why_and_leaves_the_name_free(mesh, how, sentence):
    node = await mesh.start()
    with pytest.raises(StartFailed) as raised:
        await node.spawn(FailsToStart, "it", how)
    assert sentence in str(raised.value)
    assert children() == []
    await node.spawn(Counter, "it")


async def test_on_start_has_its_own_limit(mesh):
    node, hasty = await mesh.start(), await mesh.start(start_timeout=0.1)
    held = await node.spawn(FailsToStart, None, "hold")
    assert await held.ask(FailsToStart.ping) == "pong"
    with pytest.raises(StartFailed, match=r"longer than start_timeout, 0\.1 s"):
        await hasty.spawn(FailsToStart, None, "wait")
    assert len(children()) == 1


async def test_a_process_that_does_not_stop_is_killed(mesh, logged):
    logged.expect("never.on_stop raised: TimeoutError()")
    node = await mesh.start()
    never = await node.spawn(NeverStops, "never")
    pid = await never.ask(NeverStops.pid)
    with Granted() as taken:
        await never.within(0.3).stop()
    assert taken.seconds < 3.0
    assert not psutil.pid_exists(pid)


async def test_a_node_that_stops_ends_the_processes(mesh):
    node = await mesh.start()
    for _ in range(2):
        await node.spawn(Cruncher)
    assert len(children()) == 2
    await node.stop()
    assert children() == []


async def test_processes_leave_no_descriptor_behind(mesh, until):
    node = await mesh.start()
    own = psutil.Process()
    counts = []
    for _ in range(2):
        cruncher = await node.spawn(Cruncher)
        await cruncher.stop()
        counts.append(own.num_fds())
    await until(lambda: own.num_fds() <= counts[0])


# -- bad input ------------------------------------------------------------------------------------


async def test_a_class_that_another_process_cannot_find_is_refused(mesh):
    class Local(Actor):
        runs_in = "process"

    node = await mesh.start()
    with pytest.raises(SetupError, match="Local is defined inside a function"):
        await node.spawn(Local)
    with pytest.raises(SetupError, match="crunchers:Elsewhere is not where its name says"):
        await node.spawn(Hidden)


async def test_a_stranger_on_the_line_of_a_process_is_not_heard(mesh):
    node = await mesh.start()
    cruncher = await node.spawn(Cruncher, "cruncher")
    spawned = node._runtime.registry.by_name("cruncher").place._spawned
    stranger = zmq.Context.instance().socket(zmq.DEALER)
    stranger.linger = 0
    stranger.connect(spawned._endpoint)
    reply = cruncher.ask(Cruncher.wait, 0.3)
    for number in range(20):
        stranger.send(msgpack.packb([12, number, "forged"]))
    assert await reply == 0.3
    stranger.close()
    assert await cruncher.ask(Cruncher.add, 1) == 1


async def test_without_an_interpreter_there_is_no_process(mesh, monkeypatch):
    node = await mesh.start()
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(StartFailed, match=r"sys\.executable does not say which Python to start"):
        await node.spawn(Cruncher)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(StartFailed, match="no process for actor"):
        await node.spawn(Cruncher)


async def test_constructor_arguments_that_cannot_travel_are_named(mesh):
    node = await mesh.start()
    with pytest.raises(NotEncodable, match="argument 'start': "):
        await node.spawn(Cruncher, "it", object())
    with pytest.raises(NotEncodable, match="argument 'notes': "):
        await node.spawn(Cruncher, "it", notes=object())
    with pytest.raises(
        StartFailed, match=r"its constructor .* argument 'start' should be int, got 'one'"
    ):
        await node.spawn(Cruncher, "it", "one")
    assert node.find_all("it") == []
