"""A message that waits alone has no mailbox made for it; all that holds of others holds of it."""

import asyncio

import pytest

from actormq import (
    Actor,
    ActorStopped,
    MailboxFull,
    RemoteError,
    Supervisor,
    child,
    handler,
)
from actormq.mailbox import State


class Desk(Actor):
    """Notes what it is told."""

    mailbox_limit = 1

    def __init__(self) -> None:
        self.notes: list[object] = []
        self.failures_left = 1
        self.states: list[State] = []

    @handler
    def note(self, what: object) -> None:
        self.notes.append(what)

    @handler
    def count_down(self, left: int) -> int:
        self.notes.append(left)
        if left:
            self.ref.tell(Desk.count_down, left - 1)
        self.notes.append(f"{left} is done")
        return left

    @handler
    def pair(self, first: int, second: int = 0, *, third: int = 0) -> int:
        self.notes.append((first, second, third))
        return first + second + third

    @handler
    def ask_itself(self) -> None:
        self.reply = self.ref.ask(Desk.pair, 1)
        self.notes.append("asked")

    @handler(retry=1)
    def fail_once(self) -> None:
        self.ref.tell(Desk.note, "told meanwhile")
        self.failures_left -= 1
        if self.failures_left >= 0:
            raise ValueError("once")
        self.notes.append("tried again")

    @handler(retry=1)
    async def fail_once_later(self) -> None:
        await asyncio.sleep(0)
        self.failures_left -= 1
        if self.failures_left >= 0:
            raise ValueError("once")
        self.notes.append("tried again")

    @handler
    def fail(self) -> None:
        raise ValueError("always")

    @handler
    async def begin(self, gate: asyncio.Event) -> None:
        await gate.wait()
        self.notes.append("ended")

    @handler
    def stop_itself(self) -> None:
        self.ref.stop()
        self.states.append(self._actormq_context.state)
        self.notes.append("stopped itself")


class Roomy(Desk):
    mailbox_limit = None


class Watcher(Actor):
    def __init__(self) -> None:
        self.seen: list[object] = []

    @handler
    def end_and_note(self, other) -> None:
        self.watch(other)
        other.stop()
        self.seen.append("watched")

    @handler
    def note(self) -> None:
        self.seen.append("told")

    async def on_terminated(self, terminated) -> None:
        self.seen.append("signal")


def inside(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial)


async def test_a_message_alone_makes_no_mailbox(node, until):
    refs = [await node.spawn(Desk) for _ in range(20)]
    for ref in refs:
        ref.tell(Desk.note, 1)
    cells = [inside(node, ref) for ref in refs]
    assert all(cell._mailbox is None and cell.mailbox_count == 1 for cell in cells)
    assert node._runtime.mailboxes == []
    await until(lambda: all(cell.actor.notes == [1] for cell in cells))
    assert node._runtime.mailboxes == []
    assert node.ledger().is_balanced


async def test_a_mailbox_for_one_refuses_the_second_and_admits_who_waits_for_room(node, until):
    ref = await node.spawn(Desk)
    ref.tell(Desk.note, 1)
    with pytest.raises(MailboxFull):
        ref.tell(Desk.note, 2)
    assert not ref.offer(Desk.note, 3)
    sent = ref.send(Desk.note, 4)
    assert not sent.is_done
    await sent
    await until(lambda: inside(node, ref).actor.notes == [1, 4])
    assert node.ledger().dropped == {"MailboxFull": 2}
    assert node.ledger().is_balanced


async def test_who_waits_for_room_behind_it_is_let_in(node, until):
    ref = await node.spawn(Desk)
    ref.tell(Desk.note, 1)
    await ref.send(Desk.note, 2)
    await until(lambda: inside(node, ref).actor.notes == [1, 2])
    assert node.ledger().is_balanced


async def test_an_actor_stands_in_the_queue_once_however_much_waits(node):
    refs = [await node.spawn(Roomy) for _ in range(3)]
    queue = node._runtime.loop._ready
    before = len(queue)
    for ref in refs:
        for number in range(3):
            ref.tell(Desk.note, number)
    assert len(queue) - before == 3


async def test_it_stands_there_once_for_what_is_tried_again(node, until, monkeypatch):
    ref = await node.spawn(Roomy)
    actor, loop, counts = inside(node, ref).actor, node._runtime.loop, []
    ready = loop.ready

    def queued(turn):
        ready(turn)
        counts.append(loop._ready.count(turn))

    monkeypatch.setattr(loop, "ready", queued)
    ref.tell(Roomy.fail_once_later)
    await until(lambda: actor.notes == ["tried again"])
    assert counts == [1, 1]


@pytest.mark.parametrize("kind", [Desk, Roomy])
async def test_what_an_actor_tells_itself_is_handled_once_and_behind(node, kind, until):
    ref = await node.spawn(kind)
    ref.tell(kind.count_down, 3)
    notes = inside(node, ref).actor.notes
    await until(lambda: notes[-1:] == ["0 is done"])
    assert notes == [3, "3 is done", 2, "2 is done", 1, "1 is done", 0, "0 is done"]
    assert inside(node, ref).received_count == 4
    assert node.ledger().is_balanced


async def test_what_an_actor_asks_itself_is_handled_behind(node):
    ref = await node.spawn(Desk)
    await ref.ask(Desk.ask_itself)
    assert await inside(node, ref).actor.reply == 1
    assert inside(node, ref).actor.notes == ["asked", (1, 0, 0)]


@pytest.mark.parametrize(
    ("args", "kwargs", "noted"),
    [
        ((1,), {}, (1, 0, 0)),
        ((1, 2), {}, (1, 2, 0)),
        ((1,), {"third": 3}, (1, 0, 3)),
        ((), {"first": 4}, (4, 0, 0)),
    ],
)
async def test_it_takes_any_arguments(node, until, args, kwargs, noted):
    ref = await node.spawn(Desk)
    assert await ref.ask(Desk.pair, *args, **kwargs) == sum(noted)
    ref.tell(Desk.pair, *args, **kwargs)
    await until(lambda: inside(node, ref).actor.notes == [noted, noted])


async def test_it_is_tried_again_before_what_came_meanwhile(node, until):
    ref = await node.spawn(Roomy)
    ref.tell(Desk.fail_once)
    actor = inside(node, ref).actor
    await until(lambda: len(actor.notes) == 3)
    assert actor.notes == ["tried again", "told meanwhile", "told meanwhile"]
    assert node.ledger().is_balanced


async def test_a_failure_answers_who_asked_and_the_actor_goes_on(node):
    ref = await node.spawn(Desk)
    with pytest.raises(RemoteError, match="always"):
        await ref.ask(Desk.fail)
    reply = ref.ask(Desk.fail)
    await asyncio.sleep(0)  # handled by the loop, and not while it is awaited
    assert reply.is_done
    with pytest.raises(RemoteError, match="always"):
        await reply
    assert await ref.ask(Desk.pair, 1) == 1


async def test_a_supervised_actor_that_fails_at_it_handles_the_next_in_its_next_life(
    node, until, logged
):
    class Office(Supervisor):
        children = [child(Desk, "desk")]  # noqa: RUF012 it is read only

    logged.expect("desk.fail failed")
    await node.spawn(Office)
    ref = await node.find("desk")
    before = inside(node, ref).actor
    ref.tell(Desk.fail)
    await asyncio.sleep(0)
    assert inside(node, ref).state is State.DOWN
    ref.tell(Desk.note, "next")
    await until(lambda: inside(node, ref).actor.notes == ["next"])
    assert inside(node, ref).actor is not before
    assert node.ledger().is_balanced


async def test_a_handler_that_suspends_keeps_the_turn(node, until):
    ref, gate = await node.spawn(Desk), asyncio.Event()
    ref.tell(Desk.begin, gate)
    await asyncio.sleep(0)
    ref.tell(Desk.note, "behind")
    await asyncio.sleep(0)
    actor = inside(node, ref).actor
    assert actor.notes == []
    gate.set()
    await until(lambda: actor.notes == ["ended", "behind"])


async def test_a_signal_that_comes_meanwhile_is_ahead_of_what_was_told(node, until):
    watcher, other = await node.spawn(Watcher), await node.spawn(Desk)
    watcher.tell(Watcher.end_and_note, other)
    actor = inside(node, watcher).actor
    await until(lambda: actor.seen == ["watched", "signal"])
    other = await node.spawn(Desk)
    watcher.tell(Watcher.note)
    inside(node, watcher).watch(other)
    await other.stop()
    await until(lambda: len(actor.seen) == 4)
    assert actor.seen[2:] == ["signal", "told"]


async def test_what_waits_when_the_actor_stops_is_answered(node):
    ref = await node.spawn(Desk)
    reply = ref.ask(Desk.pair, 1)
    await ref.stop()
    with pytest.raises(ActorStopped):
        await reply
    assert node.ledger().dropped == {"ActorStopped": 1}
    assert node.ledger().is_balanced


async def test_an_actor_that_stops_itself_ends_behind_its_handler_and_without_a_task(node, until):
    ref = await node.spawn(Desk)
    cell, actor = inside(node, ref), inside(node, ref).actor
    tasks = asyncio.all_tasks()
    ref.tell(Desk.stop_itself)
    await asyncio.sleep(0)
    assert actor.states == [State.STOPPING]
    assert actor.notes == ["stopped itself"]
    assert cell.state is State.STOPPED
    assert asyncio.all_tasks() == tasks
    await ref.stop()
    with pytest.raises(ActorStopped):
        ref.tell(Desk.note, 1)
    assert node.ledger().is_balanced


async def test_who_stops_an_actor_in_its_turn_waits_for_its_end(node):
    ref, gate = await node.spawn(Roomy), asyncio.Event()
    ref.tell(Desk.begin, gate)
    await asyncio.sleep(0)
    ref.tell(Desk.note, "never")
    cell = inside(node, ref)
    stop = ref.stop()
    await asyncio.sleep(0)
    assert not stop.is_done
    assert cell.state is State.STOPPING
    gate.set()
    await stop
    assert cell.state is State.STOPPED
    assert cell.actor.notes == ["ended"]
    assert node.ledger().dropped == {"ActorStopped": 1}
