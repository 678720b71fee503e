"""What waits for an actor: bounded, in order, accounted for; and senders that wait for room."""

import asyncio
import threading
from collections import deque

import psutil
import pytest

from actormq import (
    Actor,
    ActorStopped,
    AskTimeout,
    DeadLetter,
    Ledger,
    MailboxFull,
    RemoteError,
    handler,
)


class Stuck(Actor):
    """Handles nothing until its gate opens."""

    mailbox_limit = 10

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.notes: list[int] = []

    @handler
    async def wait(self) -> None:
        await self.gate.wait()

    @handler
    def note(self, number: int) -> None:
        self.notes.append(number)

    @handler(concurrent=True)
    async def open(self) -> None:
        self.gate.set()

    @handler(concurrent=True)
    async def wait_aside(self) -> None:
        await self.gate.wait()


class Roomy(Stuck):
    mailbox_limit = None


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial)


async def stuck(node, kind=Stuck):
    """An actor with a handler under way that waits for its gate."""
    ref = await node.spawn(kind, "stuck")
    ref.tell("wait")
    await asyncio.sleep(0)
    return ref, inside(node, ref)


@pytest.fixture
def dead_letters():
    def listen(node):
        seen = []
        node.events.listen(lambda e: seen.append(e) if isinstance(e, DeadLetter) else None)
        return seen

    return listen


# -- bounds ---------------------------------------------------------------------------------------


async def test_a_row_does_not_fit_into_a_mailbox_that_is_over_its_limit(mesh):
    node = await mesh.start()
    ref, cell = await stuck(node)
    for number in range(cell._limit):
        ref.tell("note", number)
    # As one that failed and is tried again is put before all others.
    cell._put_first((cell.find("note"), (-1,), None, None))
    cell.received_count += 1  # which it was not
    assert cell.put_all(cell.find("note"), [[number] for number in range(5)]) == 0
    assert cell.mailbox_count == cell._limit + 1
    cell.actor.gate.set()


@pytest.mark.slow
async def test_a_flood_keeps_the_limit_refuses_the_rest_and_costs_little(mesh, until):
    node = await mesh.start()
    ref, cell = await stuck(node, Roomy)
    limit = node._settings.mailbox_limit
    refused = 0
    memory = psutil.Process().memory_info
    before = peak = memory().rss
    for number in range(1_000_000):
        try:
            ref.tell("note", number)
        except MailboxFull:
            refused += 1
        if not number % 1_000:
            peak = max(peak, memory().rss)
    assert cell.mailbox_count == limit
    assert refused == 1_000_000 - limit
    assert peak - before < 12 * 1024 * 1024
    assert node.ledger().is_balanced
    cell.actor.gate.set()
    await ref.send("note", -1)
    await until(lambda: len(cell.actor.notes) == limit + 1)


@pytest.mark.slow
async def test_a_flood_from_another_node_keeps_the_limit_and_counts_the_rest(mesh, until):
    node, far = await mesh.pair()
    _, cell = await stuck(node)
    ref = await far.find("stuck")
    for number in range(20_000):
        ref.tell("note", number)
    dropped = lambda: node.ledger().dropped.get("MailboxFull")  # noqa: E731
    await until(lambda: dropped() == 20_000 - 10)
    assert cell.mailbox_count == 10
    assert node.events.dead_letter_count["MailboxFull"] == 20_000 - 10
    assert node.ledger().is_balanced
    await ref.stop()  # a request to stop gets through


async def test_a_flood_of_concurrent_handlers_is_bounded_too(mesh, until):
    node = await mesh.start(mailbox_limit=5_000)
    ref = await node.spawn(Roomy, "stuck")
    for _ in range(3_000):
        ref.tell("wait_aside")
    cell = inside(node, ref)
    await until(lambda: len(cell._tasks or ()) == 1_000)
    assert cell.mailbox_count == 2_000
    cell.actor.gate.set()
    await until(lambda: cell.received_count == 3_000)
    assert node.ledger().is_balanced


# -- senders that wait, and such that do not care -------------------------------------------------


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
async def test_send_waits_for_room_and_keeps_the_order(mesh, until, far):
    node, other = await mesh.pair() if far else [await mesh.start()] * 2
    _, cell = await stuck(other)
    ref = await node.find("stuck")
    sent = 0

    async def send_all():
        nonlocal sent
        for number in range(30):
            await ref.send("note", number)
            sent += 1

    task = asyncio.create_task(send_all())
    await until(lambda: sent == 10)
    assert cell.mailbox_count == 10
    cell.actor.gate.set()
    await task
    await until(lambda: len(cell.actor.notes) == 30)
    assert cell.actor.notes == list(range(30))
    assert other.ledger().is_balanced


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
async def test_send_fails_with_mailbox_full_if_there_is_no_room_in_time(mesh, far):
    node, other = await mesh.pair() if far else [await mesh.start()] * 2
    await stuck(other)
    ref = await node.find("stuck")
    for number in range(10):
        await ref.send("note", number)
    error = None
    while not isinstance(error, MailboxFull):  # a try that is under way when time is up may go well
        with pytest.raises((MailboxFull, AskTimeout) if far else MailboxFull) as raised:
            await ref.within(0.2).send("note", 10)
        error = raised.value
    assert other.ledger().is_balanced


async def test_send_without_waiting_is_bounded_as_well(mesh):
    node = await mesh.start()
    ref, cell = await stuck(node)
    replies = [ref.send("note", number) for number in range(1_000)]
    assert sum(reply.is_done for reply in replies) == 1_000 - 10  # 10 are queued, 10 wait for room
    for reply in replies[20:]:
        with pytest.raises(MailboxFull):
            await reply
    actor = cell.actor
    actor.gate.set()
    for reply in replies[:20]:
        await reply
    await ref.stop()
    assert actor.notes == list(range(20))


async def test_an_ask_that_is_given_up_while_it_waits_is_not_run_but_counted(mesh, dead_letters):
    node = await mesh.start()
    ref, cell = await stuck(node)
    seen = dead_letters(node)
    with pytest.raises(AskTimeout):
        await ref.within(0.02).ask("note", 1)
    cell.actor.gate.set()
    await ref.ask("note", 2)
    assert cell.actor.notes == [2]
    assert [letter.reason for letter in seen] == ["asker gave up"]
    assert node.ledger().dropped == {"asker gave up": 1}
    assert node.ledger().is_balanced


async def test_send_from_a_thread_waits_for_room(mesh):
    node = await mesh.start()
    ref, cell = await stuck(node)

    def flood():
        for number in range(30):
            ref.send("note", number).result()

    task = asyncio.create_task(asyncio.to_thread(flood))
    actor = cell.actor
    actor.gate.set()
    await task
    await ref.stop()
    assert actor.notes == list(range(30))


async def test_who_waits_for_room_is_told_when_the_actor_stops(mesh):
    node = await mesh.start()
    ref, _ = await stuck(node)
    replies = [ref.send("note", number) for number in range(12)]
    await ref.within(0.05).stop()
    for reply in replies[10:]:
        with pytest.raises(ActorStopped):
            await reply
    with pytest.raises(ActorStopped):
        await ref.send("note", 0)
    assert node.ledger().is_balanced


async def test_offer_drops_what_does_not_fit_and_counts_it(mesh, dead_letters):
    node = await mesh.start()
    ref, _ = await stuck(node)
    seen = dead_letters(node)
    assert [ref.offer("note", number) for number in range(12)] == [True] * 10 + [False] * 2
    assert [(letter.handler, letter.reason) for letter in seen] == [("note", "MailboxFull")] * 2
    await ref.within(0.05).stop()
    assert ref.offer("note", 0) is False
    assert node.ledger().is_balanced


async def test_a_thread_does_not_count_what_waits_for_who_has_the_mailbox_next(mesh):
    node = await mesh.start()
    ref, cell = await stuck(node)

    class GivenBack(deque):
        def __len__(self):
            cell._mailbox = kept  # as the loop may do at any moment of a thread
            return super().__len__()

    kept, cell._mailbox = cell._mailbox, GivenBack([None] * cell._limit)
    await asyncio.to_thread(ref.tell, "note", 1)
    cell.actor.gate.set()
    assert await ref.ask("note", 2) is None
    assert cell.actor.notes == [1, 2]


# -- tried again ----------------------------------------------------------------------------------


class Shaky(Actor):
    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.order: list[str] = []

    @handler(retry=2)
    async def work(self, name: str) -> str:
        self.order.append(name)
        if self.failures:
            self.failures -= 1
            raise OSError("busy")
        return name

    @handler
    def note(self, name: str) -> list[str]:
        self.order.append(name)
        return self.order


async def test_a_message_is_tried_again_before_those_behind_it(mesh):
    node = await mesh.start()
    ref = await node.spawn(Shaky, "shaky", 2)
    reply = ref.ask("work", "a")
    assert await ref.ask("note", "b") == ["a", "a", "a", "b"]
    assert await reply == "a"
    assert node.ledger().is_balanced


async def test_after_its_tries_it_is_a_dead_letter_with_its_error(mesh, dead_letters, logged):
    logged.expect("shaky.work raised")
    node = await mesh.start()
    seen = dead_letters(node)
    ref = await node.spawn(Shaky, "shaky", 100)
    ref.tell("work", "a")
    assert await ref.ask("note", "b") == ["a", "a", "a", "b"]
    assert [(x.reason, x.detail) for x in seen] == [("retries exhausted", "OSError: busy")]
    with pytest.raises(RemoteError, match="OSError: busy"):
        await ref.ask("work", "c")
    ledger = node.ledger()
    assert ledger.dropped == {"retries exhausted": 2}
    assert ledger.is_balanced


async def test_a_concurrent_handler_is_tried_again_while_nothing_else_waits(mesh):
    class Wavers(Actor):
        def __init__(self) -> None:
            self.tries = 0

        @handler(concurrent=True, retry=1)
        async def work(self) -> int:
            await asyncio.sleep(0)
            self.tries += 1
            if self.tries < 2:
                raise LookupError("not yet")
            return self.tries

    node = await mesh.start()
    ref = await node.spawn(Wavers)
    assert await ref.within(5).ask(Wavers.work) == 2
    assert node.ledger().is_balanced


# -- accounts -------------------------------------------------------------------------------------


async def test_the_ledger_of_a_node_accounts_for_every_message(mesh, until):
    node, far = await mesh.pair()
    ref, cell = await stuck(node)
    for number in range(10):
        ref.tell("note", number)
    with pytest.raises(MailboxFull):
        ref.tell("note", 10)
    from_far = await far.find("stuck")
    from_far.tell("nonsense")
    from_far.tell("note", "no number")
    await until(lambda: len(node.ledger().dropped) == 3)
    ledger = node.ledger()
    assert ledger.is_balanced
    assert ledger.in_flight == 10
    assert ledger.dropped == {"MailboxFull": 1, "HandlerNotFound": 1, "ArgumentMismatch": 1}
    thread = threading.Thread(target=lambda: ref.offer("note", 11))
    thread.start()
    thread.join()
    await until(lambda: node.ledger().dropped["MailboxFull"] == 2)
    await ref.within(0.05).stop()
    assert cell.mailbox_count == 0
    ledger = node.ledger()
    assert ledger.is_balanced
    assert (ledger.in_flight, ledger.dropped["ActorStopped"]) == (0, 10)


def test_a_ledger_shows_what_is_missing():
    assert Ledger(5, 2, {"a": 1, "b": 1}, 1).is_balanced
    assert Ledger(6, 2, {"a": 1}, 1).unaccounted == 2


async def test_what_waits_for_room_on_another_node_is_bounded(mesh, monkeypatch):
    monkeypatch.setattr("actormq.cluster.far.SENDS_LIMIT", 20)
    near, far = await mesh.pair()
    _, cell = await stuck(far)
    ref = await near.find("stuck")
    replies = [ref.send("note", number) for number in range(50)]
    for reply in replies[10:30]:  # the first to be refused are those that are too many
        with pytest.raises(MailboxFull):
            await reply
    cell.actor.gate.set()
    for reply in (*replies[:10], *replies[30:]):
        await reply
    assert near._post.sends == 0
