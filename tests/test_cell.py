"""How one actor runs: its turns, its limits, its failures, its end."""

import asyncio
import threading
import time

import pytest

from actormq import (
    Actor,
    ActorStopped,
    AskTimeout,
    HandlerCancelled,
    HandlerNotFound,
    MailboxFull,
    OutcomeUnknown,
    RemoteError,
    handler,
)
from actormq.events import HandlerFailed
from actormq.settings import ROW_MESSAGES, TURN_MESSAGES


class Notes(Actor):
    """Writes down what comes, and waits where it is told to."""

    def __init__(self) -> None:
        self.notes: list[object] = []
        self.gate = asyncio.Event()

    @handler
    def add(self, note: object) -> int:
        self.notes.append(note)
        return len(self.notes)

    @handler
    async def add_soon(self, note: object) -> int:
        await asyncio.sleep(0)
        self.notes.append(note)
        return len(self.notes)

    @handler
    async def wait(self, note: object) -> object:
        self.notes.append(f"{note} begins")
        await self.gate.wait()
        self.notes.append(f"{note} ends")
        return note

    @handler(concurrent=True)
    async def wait_aside(self, note: object) -> object:
        return await self.wait(note)

    @handler(blocking=True)
    def block(self, note: object, go: threading.Event) -> str:
        assert go.wait(10)
        self.notes.append(note)
        return threading.current_thread().name

    @handler
    def all(self) -> list[object]:
        return list(self.notes)

    @handler
    def open(self) -> None:
        self.gate.set()

    def unmarked(self) -> None: ...


def inside(node, ref):
    """The user's object behind a ref."""
    return node._runtime.registry.by_serial(ref.address.serial).actor


# -- one message at a time ------------------------------------------------------------------------


async def test_messages_of_one_sender_are_handled_in_their_order(mesh):
    node = await mesh.start()
    ref = await node.spawn(Notes)
    for number in range(2_000):
        ref.tell(Notes.add_soon if number % 3 else Notes.add, number)
    assert await ref.ask(Notes.all) == list(range(2_000))


async def test_a_handler_that_awaits_keeps_its_turn(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Notes)
    actor = inside(node, ref)
    first, second = ref.ask(Notes.wait, 1), ref.ask(Notes.wait, 2)
    ref.tell(Notes.add, 3)
    await until(lambda: actor.notes)
    await asyncio.sleep(0)
    assert actor.notes == ["1 begins"]
    actor.gate.set()
    assert (await first, await second) == (1, 2)
    assert await ref.ask(Notes.all) == ["1 begins", "1 ends", "2 begins", "2 ends", 3]


async def test_a_concurrent_handler_lets_the_next_message_in(mesh):
    node = await mesh.start()
    ref = await node.spawn(Notes)
    first, second = ref.ask(Notes.wait_aside, 1), ref.ask(Notes.wait_aside, 2)
    assert await ref.ask(Notes.all) == ["1 begins", "2 begins"]
    await ref.ask(Notes.open)
    assert (await first, await second) == (1, 2)


async def test_a_blocking_handler_runs_in_a_thread_and_keeps_its_turn(mesh):
    node = await mesh.start()
    ref, other = await node.spawn(Notes), await node.spawn(Notes)
    go = threading.Event()
    blocked, behind = ref.ask(Notes.block, 1, go), ref.ask(Notes.add, 2)
    assert await other.ask(Notes.add, "meanwhile") == 1
    assert not behind.is_done
    go.set()
    assert (await blocked).startswith(f"actormq-{node.name}")
    assert await behind == 2
    assert await ref.ask(Notes.all) == [1, 2]


async def test_an_ask_that_nobody_awaits_any_more_does_not_run(mesh):
    node = await mesh.start()
    ref = await node.spawn(Notes)
    waiting = ref.ask(Notes.wait, 1)
    with pytest.raises(AskTimeout):
        await ref.within(0.02).ask(Notes.add, "too late")
    inside(node, ref).gate.set()
    await waiting
    assert await ref.ask(Notes.all) == ["1 begins", "1 ends"]
    assert node.events.dead_letter_count == {"asker gave up": 1}


# -- bounds ---------------------------------------------------------------------------------------


async def test_a_full_mailbox_refuses_whoever_can_still_react(mesh, until):
    node = await mesh.start(mailbox_limit=10)
    ref = await node.spawn(Notes)
    actor = inside(node, ref)
    waiting = ref.ask(Notes.wait, "it")
    await until(lambda: actor.notes)
    for number in range(10):
        ref.tell(Notes.add, number)
    with pytest.raises(MailboxFull, match="holds its limit of 10 messages"):
        ref.tell(Notes.add, 10)
    with pytest.raises(MailboxFull) as refused:
        await ref.ask(Notes.add, 11)
    assert refused.value.undelivered == ("add", (11,), {})
    actor.gate.set()
    await waiting
    await until(lambda: actor.notes[2:] == list(range(10)))
    assert await ref.ask(Notes.add, 12) == 13


async def test_what_came_over_a_wire_and_does_not_fit_is_a_counted_dead_letter(mesh, until):
    near, far = await mesh.pair(mailbox_limit=10)
    ref = await far.spawn(Notes, "it")
    actor = inside(far, ref)
    theirs = await near.find("it")
    waiting = theirs.ask(Notes.wait, "it")
    await until(lambda: actor.notes)
    for number in range(15):
        theirs.tell(Notes.add, number)
    await until(lambda: far.events.dead_letter_count.total() == 5)
    with pytest.raises(MailboxFull):
        await theirs.ask(Notes.add, "no room")
    actor.gate.set()
    await waiting
    await until(lambda: actor.notes[2:] == list(range(10)))


class Onlooker(Actor):
    @handler
    def count(self, notes: list[object]) -> int:
        return len(notes)


async def test_a_flooded_actor_gives_way_to_its_neighbour(mesh):
    node = await mesh.start(mailbox_limit=100_000)
    flooded, neighbour = await node.spawn(Notes), await node.spawn(Onlooker)
    for number in range(50_000):
        flooded.tell(Notes.add, number)
    asked = neighbour.ask(Onlooker.count, inside(node, flooded).notes)
    await asyncio.sleep(0)  # awaited at once, it would be answered ahead of them
    assert 0 < await asked <= TURN_MESSAGES


class Crunches(Notes):
    @handler
    def crunch(self):
        self.notes.append("crunch")
        end = time.perf_counter() + 0.001
        while time.perf_counter() < end:
            pass


async def test_a_slow_actor_gives_way_after_each_message(mesh):
    node = await mesh.start()

    slow, neighbour = await node.spawn(Crunches), await node.spawn(Onlooker)
    for _ in range(100):
        slow.tell(Crunches.crunch)
    asked = neighbour.ask(Onlooker.count, inside(node, slow).notes)
    await asyncio.sleep(0)  # as above
    assert await asked == 1


async def test_slow_messages_among_quick_ones_hold_the_loop_for_a_row_of_them_at_most(mesh):
    node = await mesh.start()

    mixed, neighbour = await node.spawn(Crunches), await node.spawn(Onlooker)
    quick = 1 + ROW_MESSAGES
    for number in range(quick):
        mixed.tell(Crunches.add, number)
    for _ in range(100):
        mixed.tell(Crunches.crunch)
    asked = neighbour.ask(Onlooker.count, inside(node, mixed).notes)
    await asyncio.sleep(0)
    assert await asked <= quick + ROW_MESSAGES


async def test_a_flood_that_never_ends_leaves_the_loop_to_timers(mesh):
    node = await mesh.start()

    class Restless(Notes):
        @handler
        def again(self):
            self.notes.append(1)
            self.ref.tell(Restless.again)

    ref = await node.spawn(Restless)
    ref.tell(Restless.again)
    fired = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, fired.set)
    await asyncio.wait_for(fired.wait(), 5)
    assert inside(node, ref).notes


@pytest.mark.slow
async def test_ten_thousand_actors_are_spawned_told_and_stopped(mesh):
    node = await mesh.start()
    refs = [await node.spawn(Notes) for _ in range(10_000)]
    for number, ref in enumerate(refs):
        ref.tell(Notes.add, number)
    counts = [await ref.ask(Notes.all) for ref in refs]
    assert counts == [[number] for number in range(10_000)]
    await asyncio.gather(*(ref.stop() for ref in refs))
    assert len(node._runtime.registry) == 1


# -- failures -------------------------------------------------------------------------------------


class Faulty(Actor):
    @handler
    def fail(self, kind: str) -> None:
        raise KINDS[kind](kind)

    @handler
    async def fail_soon(self, kind: str) -> None:
        await asyncio.sleep(0)
        raise KINDS[kind](kind)

    @handler
    async def fail_at_once(self, kind: str) -> None:
        raise KINDS[kind](kind)

    @handler(blocking=True)
    def fail_in_thread(self, kind: str) -> None:
        raise KINDS[kind](kind)

    @handler(concurrent=True)
    async def fail_aside(self, kind: str) -> None:
        await asyncio.sleep(0)
        raise KINDS[kind](kind)

    @handler
    def fine(self) -> str:
        return "fine"


class OddError(Exception):
    def __str__(self) -> str:
        return "odd"


KINDS = {
    "value": ValueError,
    "odd": OddError,
    "stop": StopIteration,
    "stop async": StopAsyncIteration,
    "cancelled": asyncio.CancelledError,
    "timeout": TimeoutError,
}
WAYS = ["fail", "fail_soon", "fail_at_once", "fail_in_thread", "fail_aside"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_failure_goes_to_the_asker_with_type_text_and_traceback(mesh, way):
    node = await mesh.start()
    ref = await node.spawn(Faulty, "faulty")
    with pytest.raises(RemoteError) as failed:
        await ref.ask(way, "value")
    error = failed.value
    assert (error.type, error.text) == ("ValueError", "value")
    assert str(error) == f"faulty.{way} raised ValueError: value"
    assert isinstance(error.__cause__, ValueError)
    first, *_ = [x for x in error.traceback.splitlines() if x.startswith("  File")]
    assert first.endswith(f", in {way}")
    assert error.traceback.endswith("ValueError: value\n")
    with pytest.raises(RemoteError) as failed:
        await ref.ask(way, "odd")
    assert (failed.value.type, failed.value.text) == (f"{__name__}.OddError", "odd")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", list(KINDS))
async def test_whatever_one_actor_raises_it_and_the_others_are_served(mesh, logged, way, kind):
    node = await mesh.start()
    faulty, other = await node.spawn(Faulty, "faulty"), await node.spawn(Faulty, "other")
    logged.expect(f"faulty.{way} raised")
    faulty.tell(way, kind)
    with pytest.raises(RemoteError):
        await faulty.ask(way, kind)
    assert await faulty.ask(Faulty.fine) == await other.ask(Faulty.fine) == "fine"


async def test_an_actor_that_raises_everywhere_harms_nobody(mesh, logged, until):
    near, far = await mesh.pair()
    faulty, other = await far.spawn(Faulty, "faulty"), await far.spawn(Faulty, "other")
    theirs = await near.find("faulty")
    logged.expect("faulty.fail raised", "faulty.fail_soon raised", "faulty.fail_in_thread raised")
    logged.expect("more handlers raised within a second")
    failed = []
    far.events.listen(failed.append, HandlerFailed)
    for number in range(60):
        for ref in (faulty, theirs):
            ref.tell(("fail", "fail_soon", "fail_in_thread")[number % 3], "value")
    report = await other.ask(Faulty.fine)
    assert report == await theirs.ask(Faulty.fine) == "fine"
    await until(lambda: len(failed) == 120)


async def test_a_handler_that_is_missing_or_not_marked_is_named(mesh):
    node = await mesh.start()
    ref = await node.spawn(Notes, "it")
    with pytest.raises(HandlerNotFound, match="'it' has no handler 'fly': it has add, add_soon, "):
        await ref.ask("fly")
    sentence = "'unmarked' of actor 'it' is not a handler: mark the method with @handler"
    with pytest.raises(HandlerNotFound, match=sentence):
        await ref.ask(Notes.unmarked)
    for missing in ("fly", Notes.unmarked, "__init__", "_actormq_own", "on_stop"):
        with pytest.raises(HandlerNotFound):
            ref.tell(missing)


# -- deadlines ------------------------------------------------------------------------------------


class Relay(Actor):
    def __init__(self, to: object = None) -> None:
        self.to = to
        self.gate = asyncio.Event()

    @handler
    async def seconds_left(self) -> float:
        """How long this may still take, as an ask of ours is given it."""
        await asyncio.sleep(0)
        return self.ref.within(60).ask(Relay.nothing).seconds

    @handler(blocking=True)
    def seconds_left_in_thread(self) -> float:
        return self.ref.within(60).ask(Relay.nothing).seconds

    @handler
    async def pass_on(self) -> float:
        return await self.to.within(60).ask("seconds_left")

    @handler
    def nothing(self) -> None: ...

    @handler
    async def hang(self) -> None:
        await self.gate.wait()

    @handler
    async def pass_on_hang(self) -> None:
        await self.to.within(60).ask(Relay.hang)


async def test_an_ask_fails_at_its_deadline(mesh):
    node = await mesh.start()
    ref = await node.spawn(Relay, "it")
    sentence = r"no reply from it\.hang within 0\.03 s: it may still run"
    with pytest.raises(AskTimeout, match=sentence) as late:
        await ref.within(0.03).ask(Relay.hang)
    assert isinstance(late.value, OutcomeUnknown)
    assert isinstance(late.value, TimeoutError)


async def test_the_default_deadline_is_a_setting(mesh):
    node = await mesh.start(ask_timeout=0.03)
    ref = await node.spawn(Relay, "it")
    with pytest.raises(AskTimeout, match=r"within 0\.03 s"):
        await ref.ask(Relay.hang)


@pytest.mark.parametrize("how", ["seconds_left", "seconds_left_in_thread"])
async def test_a_deadline_bounds_what_the_handler_asks(mesh, how):
    node = await mesh.start()
    ref = await node.spawn(Relay)
    assert 0 < await ref.within(2).ask(how) <= 2
    relay = await node.spawn(Relay, None, ref)
    assert 0 < await relay.within(2).ask(Relay.pass_on) <= 2


async def test_a_deadline_travels_over_three_nodes(mesh):
    first = await mesh.start()
    second, third = await mesh.start(), await mesh.start()
    await third.spawn(Relay, "end")
    await second.spawn(Relay, "middle", await second.find("end"))
    middle = await first.find("middle")
    assert 0 < await middle.within(2).ask("pass_on") <= 2


async def test_a_tell_has_no_deadline_to_hand_on(mesh, until):
    node = await mesh.start()
    seen = []

    class Told(Relay):
        @handler
        async def look(self):
            seen.append(await self.seconds_left())

    ref = await node.spawn(Told)
    ref.within(2).tell(Told.look)
    await until(lambda: seen)
    assert seen == [60]


async def test_whoever_asked_first_hears_of_its_own_deadline(mesh):
    node = await mesh.start()
    end = await node.spawn(Relay, "end")
    relay = await node.spawn(Relay, "relay", end)
    with pytest.raises((AskTimeout, RemoteError)) as late:
        await relay.within(0.03).ask(Relay.pass_on_hang)
    assert "within 0.0" in str(late.value)


# -- the end --------------------------------------------------------------------------------------


async def test_a_stopping_actor_ends_its_handler_and_answers_the_rest(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Notes, "it")
    actor = inside(node, ref)
    under_way = ref.ask(Notes.wait, "under way")
    await until(lambda: actor.notes)
    waiting = ref.ask(Notes.add, "waiting")
    ref.tell(Notes.add, "told")
    stopped = ref.stop()
    late = ref.ask(Notes.add, "late")
    actor.gate.set()
    assert await under_way == "under way"
    await stopped
    for reply in (waiting, late):
        with pytest.raises(ActorStopped, match="actor 'it' has stopped"):
            await reply
    assert actor.notes == ["under way begins", "under way ends"]
    assert node.events.dead_letter_count == {"ActorStopped": 1}


async def test_an_actor_that_stopped_takes_nothing(mesh):
    node = await mesh.start()
    ref = await node.spawn(Notes, "it")
    await ref.stop()
    await ref.stop()  # one that has stopped already is no error
    with pytest.raises(ActorStopped):
        ref.tell(Notes.add, 1)
    with pytest.raises(ActorStopped):
        await ref.ask(Notes.add, 1)
    again = await node.spawn(Notes, "it")
    assert again != ref
    with pytest.raises(ActorStopped):  # its refs never reach a later actor of that name
        await ref.ask(Notes.add, 1)


async def test_a_handler_that_does_not_end_is_cut_off(mesh, until):
    node = await mesh.start()
    ref = await node.spawn(Notes, "it")
    actor = inside(node, ref)
    hanging = ref.ask(Notes.wait, "it")
    await until(lambda: actor.notes)
    await ref.within(0.05).stop()
    with pytest.raises(HandlerCancelled, match=r"it\.wait was cut off in the middle"):
        await hanging


async def test_an_actor_may_stop_itself(mesh):
    node = await mesh.start()

    class Done(Notes):
        @handler
        def last(self):
            self.ref.stop()
            return "bye"

    ref = await node.spawn(Done)
    bye, behind = ref.ask(Done.last), ref.ask(Done.add, 1)
    assert await bye == "bye"
    with pytest.raises(ActorStopped):
        await behind


async def test_a_node_that_stops_answers_what_waits(mesh, until):
    node = await mesh.start(shutdown_timeout=0.05)
    ref = await node.spawn(Notes, "it")
    actor = inside(node, ref)
    hanging, waiting = ref.ask(Notes.wait, "it"), ref.ask(Notes.add, 1)
    await until(lambda: actor.notes)
    await node.stop()
    with pytest.raises(HandlerCancelled):
        await hanging
    with pytest.raises(ActorStopped):
        await waiting
