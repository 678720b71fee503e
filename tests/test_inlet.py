"""The way in from other threads: nothing lost, in order, over one pair."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import zmq

from actormq import (
    Actor,
    ActorStopped,
    AskTimeout,
    HandlerCancelled,
    LifecycleError,
    MailboxFull,
    RemoteError,
    handler,
)
from actormq.inlet import Inlet
from actormq.loop import Loop
from actormq.transport import Transport

THREADS, MESSAGES = 10, 1_000


class Ledger(Actor):
    def __init__(self) -> None:
        self.entries: list[tuple[int, int]] = []

    @handler
    def enter(self, thread: int, number: int) -> int:
        self.entries.append((thread, number))
        return number

    @handler
    async def enter_soon(self, thread: int, number: int) -> int:
        await asyncio.sleep(0)
        return self.enter(thread, number)

    @handler
    def fail(self) -> None:
        raise ValueError("no sensor")

    @handler
    async def hang(self) -> None:
        await asyncio.Event().wait()

    @handler
    def count(self) -> int:
        return len(self.entries)


def entries_of(node, ref):
    return node._runtime.registry.by_serial(ref.address.serial).actor.entries


def in_order(entries):
    return {t: [number for thread, number in entries if thread == t] for t in range(THREADS)}


def ports(node):
    return len(node._runtime.transport._ports)


# -- threads of the user's own --------------------------------------------------------------------


async def test_ten_threads_tell_a_thousand_messages_each_over_one_pair(mesh):
    node = await mesh.start(mailbox_limit=2 * THREADS * MESSAGES)
    ref = await node.spawn(Ledger)
    before = ports(node)

    def tell_all(thread):
        for number in range(MESSAGES):
            ref.tell(Ledger.enter if number % 2 else Ledger.enter_soon, thread, number)
        return ref.ask(Ledger.count).result()

    with ThreadPoolExecutor(THREADS) as threads:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(threads, tell_all, t) for t in range(THREADS)))
    assert in_order(entries_of(node, ref)) == {t: list(range(MESSAGES)) for t in range(THREADS)}
    assert ports(node) == before + 1
    await ref.stop()
    assert ports(node) == before


async def test_ten_threads_ask_and_each_gets_its_own_answers(mesh):
    node = await mesh.start(mailbox_limit=2 * THREADS * MESSAGES)
    ref = await node.spawn(Ledger)

    def ask_all(thread):
        replies = [ref.ask(Ledger.enter, thread, number) for number in range(MESSAGES)]
        return [reply.result() for reply in replies]

    with ThreadPoolExecutor(THREADS) as threads:
        loop = asyncio.get_running_loop()
        answers = await asyncio.gather(
            *(loop.run_in_executor(threads, ask_all, t) for t in range(THREADS))
        )
    assert answers == [list(range(MESSAGES))] * THREADS
    assert in_order(entries_of(node, ref)) == {t: list(range(MESSAGES)) for t in range(THREADS)}


async def test_threads_reach_actors_of_other_nodes_in_order(mesh, until):
    near, far = await mesh.pair()
    ref = await far.spawn(Ledger, "ledger")
    theirs = await near.find("ledger")

    def tell_all(thread):
        for number in range(100):
            theirs.tell(Ledger.enter, thread, number)
        return theirs.ask(Ledger.enter, thread, 100).result()

    with ThreadPoolExecutor(THREADS) as threads:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(threads, tell_all, t) for t in range(THREADS)))
    assert in_order(entries_of(far, ref)) == {t: list(range(101)) for t in range(THREADS)}


async def test_a_loop_in_another_thread_may_await_the_reply(mesh):
    node = await mesh.start()
    ref = await node.spawn(Ledger)

    async def ask():
        return await ref.ask(Ledger.enter, 1, 2)

    assert await asyncio.to_thread(asyncio.run, ask()) == 2


async def test_a_thread_may_stop_an_actor(mesh):
    node = await mesh.start()
    ref = await node.spawn(Ledger, "ledger")
    await asyncio.to_thread(lambda: ref.stop().result())
    assert node.find_all("ledger") == []


# -- blocking handlers ----------------------------------------------------------------------------


class Clerk(Actor):
    def __init__(self, ledger: object) -> None:
        self.ledger = ledger

    @handler(blocking=True)
    def work(self, thread: int) -> list[int]:
        for number in range(100):
            self.ledger.tell(Ledger.enter, thread, number)
        return [self.ledger.ask(Ledger.enter, thread, 100 + n).result() for n in range(100)]


async def test_a_blocking_handler_may_tell_and_ask(mesh):
    node = await mesh.start()
    ledger = await node.spawn(Ledger)
    clerks = [await node.spawn(Clerk, None, ledger) for _ in range(THREADS)]
    replies = [clerk.ask(Clerk.work, number) for number, clerk in enumerate(clerks)]
    assert [await reply for reply in replies] == [list(range(100, 200))] * THREADS
    assert in_order(entries_of(node, ledger)) == {t: list(range(200)) for t in range(THREADS)}


# -- what goes wrong ------------------------------------------------------------------------------


async def test_result_on_the_loop_says_to_await_instead(mesh):
    node = await mesh.start()
    ref = await node.spawn(Ledger)
    reply = ref.ask(Ledger.enter, 1, 2)
    with pytest.raises(LifecycleError, match="`await` the reply instead"):
        reply.result()
    assert await reply == 2


async def test_result_raises_what_await_would(mesh):
    node = await mesh.start()
    ref = await node.spawn(Ledger, "ledger")

    def ask_all():
        with pytest.raises(RemoteError, match="no sensor"):
            ref.ask(Ledger.fail).result()
        with pytest.raises(TimeoutError):
            ref.ask(Ledger.hang).result(timeout=0.01)
        with pytest.raises(AskTimeout):
            ref.within(0.02).ask(Ledger.enter, 1, 2).result()

    await asyncio.to_thread(ask_all)
    await ref.within(0.01).stop()

    def ask_again():
        with pytest.raises(ActorStopped):
            ref.ask(Ledger.count).result()
        with pytest.raises(ActorStopped):
            ref.tell(Ledger.count)

    await asyncio.to_thread(ask_again)


async def test_a_mailbox_is_as_bounded_for_threads(mesh, until):
    node = await mesh.start(mailbox_limit=100)
    ref = await node.spawn(Ledger)
    hanging = ref.within(10).ask(Ledger.hang)
    await until(lambda: not node._runtime.registry.by_serial(ref.address.serial).mailbox_count)

    def fill():
        taken = 0
        while True:
            try:
                ref.tell(Ledger.enter, 1, taken)
            except MailboxFull:
                break
            taken += 1
        with pytest.raises(MailboxFull):
            ref.ask(Ledger.count).result()
        return taken

    assert await asyncio.to_thread(fill) == 100
    stopped = ref.within(0.01).stop()
    with pytest.raises(HandlerCancelled):
        await hanging
    await stopped
    assert node.events.dead_letter_count == {"ActorStopped": 100}


async def test_an_ask_from_a_thread_hands_on_its_deadline_however_soon_it_runs(mesh):
    node = await mesh.start()
    seconds = []

    class Asks(Ledger):
        @handler
        async def look(self):
            await asyncio.sleep(0)
            seconds.append(self.ref.within(60).ask(Ledger.count).seconds)

    ref = await node.spawn(Asks)

    def ask_all():
        for _ in range(200):
            ref.within(2).ask(Asks.look).result()

    await asyncio.to_thread(ask_all)
    assert len(seconds) == 200
    assert max(seconds) <= 2


async def test_a_thread_whose_node_stops_is_answered(mesh):
    node = await mesh.start()
    ref = await node.spawn(Ledger, "ledger")
    asked = threading.Event()

    def ask():
        reply = ref.ask(Ledger.hang)
        asked.set()
        with pytest.raises((ActorStopped, HandlerCancelled)):
            reply.result()

    asking = asyncio.create_task(asyncio.to_thread(ask))
    await asyncio.to_thread(asked.wait)
    await node.stop()
    await asking


# -- the inlet itself -----------------------------------------------------------------------------


async def test_an_inlet_gives_out_what_it_took_and_then_takes_no_more():
    loop = Loop()
    transport = Transport(loop, lan=False, frame_limit=1024)
    inlet = Inlet(loop, transport, print)
    assert await asyncio.to_thread(inlet.put, 1)
    assert await asyncio.to_thread(inlet.put, 2)
    assert inlet.close() in ([1, 2], [])
    assert not await asyncio.to_thread(inlet.put, 3)
    assert len(inlet) == 0
    transport.close_ports()
    await asyncio.to_thread(transport.close)


async def test_without_descriptors_for_a_pair_messages_still_arrive_in_order(until):
    loop = Loop()
    transport = Transport(loop, lan=False, frame_limit=1024)
    transport.context.set(zmq.MAX_SOCKETS, 1)
    last = transport.context.socket(zmq.PAIR)
    came = []
    inlet = Inlet(loop, transport, came.append)

    def put_all():
        for number in range(MESSAGES):
            assert inlet.put(number)

    await asyncio.to_thread(put_all)
    await until(lambda: came == list(range(MESSAGES)))
    assert inlet._far is None
    assert inlet.close() == []
    last.close(0)
    await asyncio.to_thread(transport.close)
