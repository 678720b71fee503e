"""Actors that are answerable for others: restarts, their company, their limit, their end."""

import asyncio

import pytest

from actormq import (
    Actor,
    ActorStopped,
    ArgumentMismatch,
    Backoff,
    Failure,
    NameTaken,
    RemoteError,
    RestartLimitReached,
    SetupError,
    StartFailed,
    Supervisor,
    Terminated,
    child,
    every,
    handler,
)
from actormq.events import ActorFailed

AT_ONCE = Backoff(first=0.0, most=0.0)


class Log:
    """What happened, in order; shared by the actors of one test as an argument."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(line)


class Part(Actor):
    """Says what happens to it, and fails when it is told to."""

    def __init__(self, log: Log, fail_starts: int = 0) -> None:
        self.log_ = log
        self.count = 0
        self.fail_starts = fail_starts

    async def on_start(self) -> None:
        self.log_.add(f"{self.name} starts")

    async def on_restart(self, failure: Failure) -> None:
        self.failure = failure

    async def on_stop(self) -> None:
        self.log_.add(f"{self.name} stops")

    @handler
    def add(self) -> int:
        self.count += 1
        return self.count

    @handler
    def fail(self, text: str = "told to") -> None:
        raise RuntimeError(text)

    @handler
    async def fail_later(self) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("later")

    @handler
    def last_failure(self) -> tuple[str, str, int, int]:
        failure = self.failure
        return str(failure.error), failure.handler, failure.restart_count, failure.previous.count

    @handler(raises=KeyError)
    def look_up(self, key: str) -> None:
        raise KeyError(key)


class Rack(Supervisor):
    backoff = AT_ONCE

    def __init__(self, log: Log, *names: str, strategy: str = "one_for_one", policy="on_error"):
        self.strategy = strategy
        self.children = [child(Part, name, log).restarts(policy) for name in names]


@pytest.fixture
def failures():
    """Collects the failures of supervised actors on a node, which are logged as errors."""

    def listen(node):
        seen = []
        node.events.listen(lambda e: seen.append(e) if isinstance(e, ActorFailed) else None)
        return seen

    return listen


async def test_a_supervisor_starts_its_children_in_order_and_stops_them_in_reverse(mesh):
    node, log = await mesh.start(), Log()
    rack = await node.spawn(Rack, "rack", log, "a", "b", "c")
    assert log.lines == ["a starts", "b starts", "c starts"]
    assert await (await node.find("b")).ask("add") == 1
    await rack.stop()
    assert log.lines[3:] == ["c stops", "b stops", "a stops"]
    assert node.find_all("a") == []


@pytest.mark.parametrize("method", ["fail", "fail_later"])
async def test_a_restart_keeps_ref_name_and_mailbox_and_makes_a_new_instance(
    mesh, until, logged, method
):
    logged.expect("a.fail")
    node, log = await mesh.start(), Log()
    await node.spawn(Rack, "rack", log, "a")
    ref = await node.find("a")
    assert await ref.ask("add") == 1
    failing = ref.ask(method)
    waiting = [ref.ask("add"), ref.ask("add")]
    with pytest.raises(RemoteError):
        await failing
    assert [await reply for reply in waiting] == [1, 2]
    assert await node.find("a") == ref
    assert log.lines == ["a starts", "a stops", "a starts"]
    assert await ref.ask("last_failure") == (
        "told to" if method == "fail" else "later",
        method,
        1,
        1,
    )


async def test_an_exception_that_is_declared_is_an_answer_and_no_failure(mesh):
    node, log = await mesh.start(), Log()
    await node.spawn(Rack, "rack", log, "a")
    ref = await node.find("a")
    await ref.ask("add")
    with pytest.raises(RemoteError, match="KeyError"):
        await ref.ask("look_up", "x")
    assert await ref.ask("add") == 2


async def test_who_has_no_supervisor_goes_on_after_a_failed_message(mesh):
    node, log = await mesh.start(), Log()
    ref = await node.spawn(Part, "a", log)
    await ref.ask("add")
    with pytest.raises(RemoteError):
        await ref.ask("fail")
    assert await ref.ask("add") == 2


@pytest.mark.parametrize(
    ("strategy", "lines"),
    [
        ("one_for_one", ["b stops", "b starts"]),
        ("one_for_all", ["b stops", "c stops", "a stops", "a starts", "b starts", "c starts"]),
        ("rest_for_one", ["b stops", "c stops", "b starts", "c starts"]),
    ],
)
async def test_a_strategy_says_who_else_is_restarted(mesh, until, logged, strategy, lines):
    logged.expect("b.fail failed")
    node, log = await mesh.start(), Log()
    await node.spawn(Rack, "rack", log, "a", "b", "c", strategy=strategy)
    refs = [await node.find(name) for name in "abc"]
    log.lines.clear()
    with pytest.raises(RemoteError):
        await refs[1].ask("fail")
    await until(lambda: len(log.lines) == len(lines))
    assert log.lines == lines
    assert [await ref.ask("add") for ref in refs] == [1, 1, 1]


@pytest.mark.parametrize(
    ("policy", "is_back"), [("always", True), ("on_error", False), ("never", False)]
)
async def test_a_policy_says_who_is_started_again_after_an_orderly_end(mesh, policy, is_back):
    node, log = await mesh.start(), Log()
    await node.spawn(Rack, "rack", log, "a", policy=policy)
    ref = await node.find("a")
    await ref.stop()
    if is_back:
        assert await ref.ask("add") == 1
    else:
        with pytest.raises(ActorStopped):
            await ref.ask("add")
        assert node.find_all("a") == []


async def test_a_child_that_is_never_restarted_ends_with_its_failure(mesh, logged, until):
    logged.expect("a.fail failed: it is not restarted")
    node, log = await mesh.start(), Log()
    watcher = await node.spawn(Watcher, "watcher")
    await node.spawn(Rack, "rack", log, "a", policy="never")
    ref = await node.find("a")
    await watcher.ask("begin", ref)
    ref.tell("fail")
    left = ref.ask("add")
    with pytest.raises(ActorStopped):
        await left
    await until(lambda: watcher.ask("ends"))
    assert await watcher.ask("ends") == [("a", "failed", "RuntimeError: told to")]


class Watcher(Actor):
    def __init__(self) -> None:
        self.terminated: list[Terminated] = []

    @handler
    def begin(self, ref) -> None:
        self.watch(ref)

    @handler
    def end(self, ref) -> None:
        self.unwatch(ref)

    async def on_terminated(self, terminated: Terminated) -> None:
        self.terminated.append(terminated)

    @handler
    def ends(self) -> list[tuple[str, str, str]]:
        return [(t.ref.name, t.reason, t.detail) for t in self.terminated]


async def test_past_its_limit_a_supervisor_fails_and_at_the_top_the_node_ends(mesh, logged):
    logged.expect("it is restarted", "its supervisor gives up", "the node ends")
    node, log = await mesh.start(), Log()
    await node.spawn(Rack, "rack", log, "a", "b")
    ref = await node.find("a")
    for _ in range(4):
        ref.tell("fail")
    with pytest.raises(RestartLimitReached, match="'rack' gave up: 'a' failed again"):
        await node.stopped()
    assert "b stops" in log.lines
    assert not node.is_running


class Building(Supervisor):
    backoff = AT_ONCE
    max_restarts = 1

    def __init__(self, log: Log) -> None:
        self.children = [child(Rack, "rack", log, "a").restarts("always")]


async def test_a_supervisor_that_gave_up_is_restarted_by_its_own(mesh, logged, until):
    logged.expect("it is restarted", "its supervisor gives up", "rack failed")
    node, log = await mesh.start(), Log()
    await node.spawn(Building, "building", log)
    ref = await node.find("a")
    for _ in range(4):
        ref.tell("fail")
    await until(lambda: log.lines.count("a starts") == 5)
    again = await node.find("a")
    assert again != ref  # its supervisor was made anew, and all below it
    assert await again.ask("add") == 1
    with pytest.raises(ActorStopped):
        await ref.ask("add")


async def test_children_come_and_go_while_it_runs(mesh):
    node, log = await mesh.start(), Log()
    rack = await node.spawn(Rack, "rack", log)
    ref = await rack.ask(Rack.start_child, child(Part, "x", log).restarts("always"))
    assert await ref.ask("add") == 1
    with pytest.raises(RemoteError, match="NameTaken"):
        await rack.ask(Rack.start_child, child(Part, "x", log))
    await rack.ask(Rack.stop_child, ref)
    with pytest.raises(ActorStopped):
        await ref.ask("add")
    other = await rack.ask(Rack.start_child, child(Part, "x", log))
    await rack.ask(Rack.stop_child, "x")
    with pytest.raises(ActorStopped):
        await other.ask("add")


async def test_a_supervisor_without_a_class_of_its_own_supervises_what_it_is_given(mesh, logged):
    logged.expect("x.fail failed: it is restarted")
    node, log = await mesh.start(), Log()
    supervisor = await node.spawn(Supervisor)
    ref = await supervisor.ask(Supervisor.start_child, child(Part, "x", log))
    with pytest.raises(RemoteError):
        await ref.ask("fail")
    assert await ref.ask("add") == 1
    assert log.lines == ["x starts", "x stops", "x starts"]


class Unborn(Actor):
    async def on_start(self) -> None:
        raise OSError("no sensor")


class Bad(Supervisor):
    children = (child(Part, "first", Log()), child(Unborn, "unborn"))


async def test_a_child_that_does_not_start_fails_the_start_of_its_supervisor(mesh):
    node = await mesh.start()
    with pytest.raises(StartFailed, match=r"one of its children raised .*unborn.*no sensor"):
        await node.spawn(Bad, "bad")
    assert node.find_all("first") == []
    assert len(node._runtime.registry) == 1


async def test_a_dynamic_child_that_does_not_start_is_not_kept(mesh):
    node, log = await mesh.start(), Log()
    rack = await node.spawn(Rack, "rack", log)
    with pytest.raises(RemoteError, match="no sensor"):
        await rack.ask(Rack.start_child, child(Unborn, "unborn"))
    assert await rack.ask(Rack.start_child, child(Part, "unborn", log))


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"strategy": "one_for_none"}, "supervisor Odd: strategy 'one_for_none' is unknown"),
        ({"period": -1}, "supervisor Odd: .*period"),
        ({"max_restarts": -1}, "supervisor Odd: max_restarts=-1"),
        ({"children": [Part]}, "is no child: write child"),
        ({"children": 5}, "children 5 is no list: write children ="),
        ({"children": child(Part, "a", None)}, "is no list: write"),
        ({"stratgey": "one_for_all"}, "Odd.stratgey: did you mean strategy"),
        ({"max_restart": 1}, "Odd.max_restart: did you mean max_restarts"),
        ({"backoff": 1.0}, r"backoff 1.0 is no Backoff\(...\)"),
    ],
)
def test_what_a_supervisor_is_told_is_checked_as_its_class_is_made(attributes, sentence):
    with pytest.raises(SetupError, match=sentence):
        type("Odd", (Supervisor,), attributes)


def test_what_is_no_actor_is_no_child():
    with pytest.raises(SetupError, match="is no class that extends Actor"):
        child(str, "text")
    with pytest.raises(
        SetupError, match=r"child\(Part\): its constructor cannot be called: missing"
    ):
        child(Part, "a")
    with pytest.raises(SetupError, match="a name is a text"):
        child(Part, 5, Log())
    with pytest.raises(SetupError, match="restart policy 'sometimes' is unknown"):
        child(Part, "a", Log()).restarts("sometimes")
    with pytest.raises(SetupError, match="stops_within"):
        child(Part, "a", Log()).stops_within(0)


async def test_supervisors_that_contain_each_other_are_refused(mesh):
    class Chicken(Supervisor):
        pass

    class Egg(Supervisor):
        children = (child(Chicken),)

    Chicken.children = (child(Egg),)
    node = await mesh.start()
    with pytest.raises(SetupError, match="Chicken -> Egg -> Chicken"):
        await node.spawn(Chicken)
    assert len(node._runtime.registry) == 1


async def test_a_supervisor_that_makes_itself_again_and_again_is_refused(mesh):
    class Doll(Supervisor):
        def __init__(self) -> None:
            self.children = [child(Doll)]

    node = await mesh.start()
    with pytest.raises(SetupError, match="Doll -> Doll"):
        await node.spawn(Doll)
    assert len(node._runtime.registry) == 1


async def test_two_children_of_one_name_are_refused_before_any_starts(mesh):
    node, log = await mesh.start(), Log()
    with pytest.raises(SetupError, match="two children have the name 'a'"):
        await node.spawn(Rack, "rack", log, "a", "a")
    await node.spawn(Part, "b", log)
    log.lines.clear()
    with pytest.raises(NameTaken):
        await node.spawn(Rack, "rack", log, "a", "b")
    assert log.lines == []
    assert len(node._runtime.registry) == 2


class Clock(Actor):
    @every(0.01)
    def tick(self) -> None:
        raise OSError("no tick")


class Rare(Actor):
    @handler(raises=OSError)
    @every(0.01)
    def tick(self) -> None:
        raise OSError("no answer")


class Clocks(Supervisor):
    max_restarts = 1_000_000
    children = (child(Clock, "clock"), child(Rare, "rare"))


async def test_what_nobody_asked_for_is_in_the_log_once(mesh, logged, until):
    logged.expect("clock.tick failed: it is restarted", "rare.tick raised: OSError('no answer')")
    node = await mesh.start()
    await node.spawn(Clocks, "clocks")
    await until(lambda: len({line[:20] for line in logged.lines}) > 1)
    assert not [line for line in logged.lines if "clock.tick raised" in line]


async def test_a_timer_of_one_instance_does_not_reach_the_next(mesh, logged, until):
    logged.expect("late.fail failed")
    fired = []

    class Late(Actor):
        @handler
        def fail(self) -> None:
            self.after(0.01, self.fire)
            raise RuntimeError

        @handler
        def fire(self) -> None:
            fired.append(self)

        async def on_stop(self) -> None:
            await asyncio.sleep(0.03)

    class Lates(Supervisor):
        backoff = AT_ONCE
        children = (child(Late, "late"),)

    node = await mesh.start()
    await node.spawn(Lates)
    ref = await node.find("late")
    with pytest.raises(RemoteError):
        await ref.ask("fail")
    await ref.ask("fire")
    assert len(fired) == 1


@pytest.mark.parametrize(
    ("hook", "sentence"),
    [
        ("def on_start(self): ...", r"Odd.on_start: write async def on_start\(self\)"),
        ("async def on_start(self, more): ...", r"write async def on_start\(self\)"),
        ("async def on_restart(self): ...", r"write async def on_restart\(self, failure\)"),
        ("def on_stop(self): ...", r"write async def on_stop\(self\)"),
        ("async def on_terminated(self): ...", r"on_terminated\(self, terminated\)"),
        ("mailbox_limit = 0", "mailbox_limit = 0: it is a count"),
        ('mailbox_limit = "many"', "mailbox_limit = 'many': it is a count"),
        ("@handler\n    def name(self): ...", "a handler 'name' would hide self.name"),
        ("@every(1.0)\n    def tick(self, more): ...", r"write def tick\(self\)"),
    ],
)
def test_a_class_that_cannot_work_is_refused_as_it_is_defined(hook, sentence):
    with pytest.raises(SetupError, match=sentence):
        exec(f"class Odd(Actor):\n    {hook}", dict(globals()))


class Fragile(Actor):
    @handler
    def take(self, number: int) -> int:
        return number

    @handler
    async def take_later(self, number: int) -> int:
        return number

    @handler
    def forget(self) -> int:
        return self.take_later(1)  # without await

    @handler
    def id(self) -> int:
        return id(self)


class Case(Supervisor):
    children = (child(Fragile, "fragile"),)


@pytest.mark.parametrize("method", ["take", "take_later"])
@pytest.mark.parametrize("args", [(), (1, 2)], ids=["too few", "too many"])
async def test_a_call_that_cannot_be_is_the_callers_mistake_and_no_failure(mesh, method, args):
    node = await mesh.start()
    await node.spawn(Case)
    ref = await node.find("fragile")
    before = await ref.ask("id")
    with pytest.raises(ArgumentMismatch, match=r"fragile.take.*arguments should be \("):
        await ref.ask(method, *args)
    ref.tell(method, *args)
    assert await ref.ask("id") == before
    assert node.events.dead_letter_count["ArgumentMismatch"] == 1
    assert node.ledger().is_balanced


async def test_a_plain_handler_that_returns_a_coroutine_is_told_so(mesh):
    node = await mesh.start()
    ref = await node.spawn(Fragile, "fragile")
    with pytest.raises(RemoteError, match="forget returned a coroutine that nobody awaits"):
        await ref.ask("forget")


class Member(Part):
    async def on_start(self) -> None:
        await super().on_start()
        await asyncio.sleep(0)


class Three(Supervisor):
    strategy = "rest_for_one"
    backoff = AT_ONCE

    def __init__(self, log: Log) -> None:
        self.children = [child(Member, name, log) for name in "abc"]


async def test_a_sibling_that_is_stopped_as_it_starts_is_told_of_the_failure_that_it_was_for(
    mesh, logged, until
):
    logged.expect("b.fail failed")
    node, log = await mesh.start(), Log()
    await node.spawn(Three, "three", log)
    b, c = await node.find("b"), await node.find("c")
    for _ in range(3):
        b.tell("fail")
    await until(lambda: log.lines.count("c starts") > 1)
    text, where, *_ = await c.ask("last_failure")
    assert (text, where) == ("told to", "")
