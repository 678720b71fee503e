"""The mailbox and its turns against a plain list with a limit, whatever comes in between.

The actor, its cell and its node are real; the machine calls the loop's callbacks one at a time.

ACTORMQ_EXAMPLES=20000 scripts/test tests/test_mailbox_model.py
"""

import asyncio
import sys
import threading
from collections import Counter

import pytest
from examples_count import run_machine, seconds_allowed, slow_if_many
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from stepped import Bench

from actormq import (
    Actor,
    ActorStopped,
    AskTimeout,
    Backoff,
    DeadLetter,
    MailboxFull,
    RemoteError,
    Supervisor,
    Terminated,
    child,
    handler,
)
from actormq.failing import RETRIES_EXHAUSTED
from actormq.mailbox import State
from actormq.settings import CONCURRENT_LIMIT
from actormq.turns import GAVE_UP

CLOSED = (State.STOPPING, State.STOPPED)
TIMES = st.sampled_from([0.25, 0.5, 1.0, 4.0])  # s, sums of powers of 2
PICK = st.integers(0, 9)
METHODS = st.sampled_from(["note", "note", "pass_by", "hold", "hold", "fail", "shaky", "aside"])
RETRY = 1  # of `shaky`


class Book:
    """What happens inside of the actor; outlives its instances."""

    def __init__(self):
        self.events = []
        self.gates = {}
        self.moods = {}  # by number: how many of its tries fail

    def add(self, *event):
        self.events.append(event)


class Subject(Actor):
    def __init__(self, book):
        self.book = book

    @handler
    def note(self, number):
        self.book.add("begin", number)
        self.book.add("end", number)

    @handler
    async def pass_by(self, number):
        self.book.add("begin", number)
        self.book.add("end", number)

    @handler
    async def hold(self, number):
        await self._hold(number)

    @handler(concurrent=True)
    async def aside(self, number):
        await self._hold(number)

    async def _hold(self, number):
        self.book.add("begin", number)
        gate = self.book.gates[number] = asyncio.get_running_loop().create_future()
        try:
            await gate
        finally:
            del self.book.gates[number]
            self.book.add("end", number)

    @handler
    def fail(self, number):
        self.book.add("begin", number)
        self.book.add("end", number)
        raise RuntimeError(number)

    @handler(retry=RETRY)
    async def shaky(self, number):
        self.book.add("begin", number)
        if self.book.moods[number]:
            self.book.moods[number] -= 1
            self.book.add("raise", number)
            raise OSError(number)
        self.book.add("end", number)

    async def on_terminated(self, terminated):
        self.book.add("signal", terminated.detail)
        if terminated.detail % 2:
            await asyncio.sleep(0.5)


class Rack(Supervisor):
    max_restarts = 1_000_000

    def __init__(self, kind, book, delay, policy):
        self.backoff = Backoff(delay, max(delay, 1.0), 2.0, 0.0)
        self.children = [child(kind, "subject", book).restarts(policy)]


KINDS = {limit: type("Limited", (Subject,), {"mailbox_limit": limit}) for limit in (1, 2, 5)}


class Model:
    """The mailbox as a list, and what became of each message."""

    def __init__(self, limit):
        self.limit = limit
        self.waiting = []
        self.from_threads = []
        self.room = []  # (number, reply) of those that wait for room
        self.signals = []
        self.under_way = {}  # number -> method
        self.method = {}
        self.became = {}  # number -> "handled", "refused" or ("dead", reason)
        self.raised = Counter()
        self.letters = Counter()  # dead letters that have to come, by number and reason
        self.sent = self.delivered = 0
        self.dropped = Counter()
        self.told = Counter()  # refusals in threads, of which the loop has not heard yet

    def has_room(self):
        return len(self.waiting) < self.limit

    def take(self, number):
        self.sent += 1
        self.waiting.append(number)

    def refuse(self, number, reason):
        self.sent += 1
        self.dropped[reason] += 1
        self.became[number] = "refused"

    def die(self, number, reason, is_letter):
        self.dropped[reason] += 1
        self.became[number] = ("dead", reason)
        self.letters[number, reason] += is_letter

    def see(self, kind, what):
        """Something has happened inside of the actor."""
        match kind:
            case "begin":
                self.let_in()
                assert self.waiting[0] == what, "first come, first served"
                assert not self.signals, "signals go first"
                assert set(self.under_way.values()) <= {"aside"}, "one at a time"
                self.under_way[self.waiting.pop(0)] = self.method[what]
                self.delivered += 1
            case "end":
                del self.under_way[what]
                self.became[what] = "handled"
            case "raise":
                del self.under_way[what]
                self.raised[what] += 1
                self.delivered -= 1
                if self.raised[what] <= RETRY:
                    self.waiting.insert(0, what)
                else:
                    self.die(what, RETRIES_EXHAUSTED, is_letter=True)
            case "signal":
                assert set(self.under_way.values()) <= {"aside"}
                assert self.signals.pop(0) == what

    def let_in(self):
        """Take those who have waited for room, the first ones first; a turn ends with that."""
        while self.room and self.room[0][1].is_done and self.has_room():
            number, reply = self.room.pop(0)
            if reply._error is None:
                self.take(number)
            else:
                self.became[number] = "refused"  # no part of the ledger: it was never put

    def drained(self, refused, is_open):
        """What came from threads has been taken to the loop, but for those that were refused."""
        for number in self.from_threads:
            reason = refused.get(number)
            if reason is None:
                assert self.has_room()
                self.take(number)
            else:
                assert not (is_open if reason == "ActorStopped" else self.has_room())
                self.refuse(number, reason)
                self.letters[number, reason] += 1
        self.from_threads = []


class Mailboxes(RuleBasedStateMachine):
    @initialize(
        limit=st.sampled_from(sorted(KINDS)),
        policy=st.sampled_from([None, "always", "on_error"]),
        delay=st.sampled_from([0.0, 0.5]),
    )
    def begin(self, limit, policy, delay):
        self.bench = Bench()
        self.book = Book()
        self.model = Model(limit)
        self.asks, self.count, self.is_supervised = {}, 0, policy is not None
        self.top = None
        if policy is None:
            self.ref = self.bench.run(self.bench.node.spawn(KINDS[limit], "subject", self.book))
        else:
            rack = self.bench.node.spawn(Rack, "rack", KINDS[limit], self.book, delay, policy)
            self.top = self.bench.run(rack)
            self.ref = self.bench.node.find_all("subject")[0]
        self.cell = self.bench.runtime.registry.by_serial(self.ref.address.serial)
        self.stops = []
        self.bench.node.events.listen(self.lost, DeadLetter)

    # -- what comes in ------------------------------------------------------------------------

    def new(self, method, mood=0):
        self.count += 1
        self.model.method[self.count] = method
        self.book.moods[self.count] = mood
        return self.count

    def expect(self, number, error):
        """The mailbox has answered at once: that has to be what the list says."""
        model, state = self.model, self.cell.state
        if error is None:
            assert state not in CLOSED
            assert model.has_room()
            model.take(number)
        else:
            full = not model.has_room()
            assert isinstance(error, MailboxFull if full else ActorStopped)
            assert full or state in CLOSED
            model.refuse(number, type(error).__name__)

    @rule(method=METHODS, mood=st.integers(0, 2))
    def tell(self, method, mood):
        number, error = self.new(method, mood), None
        try:
            self.bench.call(self.ref.tell, method, number)
        except (MailboxFull, ActorStopped) as refused:
            error = refused
        self.expect(number, error)

    @rule(method=METHODS, mood=st.integers(0, 2), within=TIMES)
    def ask(self, method, mood, within):
        number = self.new(method, mood)
        reply = self.asks[number] = self.bench.call(self.ref.within(within).ask, method, number)
        self.expect(number, reply._error)

    @rule(method=METHODS)
    def offer(self, method):
        number = self.new(method)
        is_full = not self.model.has_room()
        reason = "MailboxFull" if is_full else "ActorStopped"
        self.model.letters[number, reason] += 1
        error = MailboxFull("", 0) if is_full else ActorStopped("")
        if self.bench.call(self.ref.offer, method, number):
            self.model.letters[number, reason] -= 1
            error = None
        self.expect(number, error)

    @rule(method=METHODS, within=TIMES)
    def send(self, method, within):
        number, model = self.new(method), self.model
        while model.room and model.room[0][1].is_done:
            model.became[model.room.pop(0)[0]] = "refused"
        is_first = not model.room
        reply = self.bench.call(self.ref.within(within).send, method, number)
        if not is_first or not model.has_room():
            if reply.is_done:
                assert isinstance(reply._error, MailboxFull)
                assert len(model.room) == model.limit
                model.became[number] = "refused"  # it was never put: no part of the ledger
            else:
                model.room.append((number, reply))
        else:
            assert reply.is_done
            self.expect(number, reply._error)

    @rule(method=METHODS, within=TIMES, count=st.integers(2, 6))
    def send_many(self, method, within, count):
        for _ in range(count):
            self.send(method, within)

    @rule(method=METHODS)
    def tell_from_a_thread(self, method):
        number, errors = self.new(method), []

        def tell():
            try:
                self.ref.tell(method, number)
            except (MailboxFull, ActorStopped) as error:
                errors.append(error)

        thread = threading.Thread(target=tell)
        thread.start()
        thread.join()
        model, state = self.model, self.cell.state
        if not errors:
            assert state not in CLOSED
            model.from_threads.append(number)
            return
        is_full = len(model.waiting) + len(model.from_threads) >= model.limit
        assert isinstance(errors[0], ActorStopped if state in CLOSED else MailboxFull)
        assert is_full or state in CLOSED
        # The loop hears of the refusal in a while, and counts it then.
        model.became[number] = "refused"
        model.told[type(errors[0]).__name__] += 1

    @rule()
    def signal(self):
        self.count += 1
        if self.cell.is_open:
            self.model.signals.append(self.count)
        self.bench.call(self.cell.terminated, Terminated(self.ref, "stopped", self.count))

    # -- what goes on -------------------------------------------------------------------------

    @rule(steps=st.integers(1, 6))
    def go_on(self, steps):
        for _ in range(steps):
            self.bench.loop.step()
            self.look()

    @rule()
    def settle(self):
        while self.bench.loop.step():
            self.look()

    @rule(seconds=TIMES)
    def wait(self, seconds):
        self.bench.loop.pass_time(seconds, self.look)

    @precondition(lambda self: self.book.gates)
    @rule(pick=PICK, fails=st.booleans())
    def let_go(self, pick, fails):
        gates = [gate for gate in self.book.gates.values() if not gate.done()]
        if gates:
            gate = gates[pick % len(gates)]
            error = RuntimeError("told to")
            self.bench.call(gate.set_exception if fails else gate.set_result, fails and error)

    @rule(within=TIMES)
    def stop(self, within):
        self.stops.append(self.bench.call(self.ref.within(within).stop))

    # -- what must hold -----------------------------------------------------------------------

    def lost(self, letter):
        self.book.add("letter", (letter.args[0], letter.reason))

    @invariant()
    def look(self):
        """After each callback: what has happened is what the list says."""
        model, cell = self.model, self.cell
        events, self.book.events = self.book.events, []
        drained = bool(model.from_threads) and not cell.inlet_count
        is_over = cell.state is State.STOPPED
        if drained and not is_over:
            model.drained(dict(what for kind, what in events if kind == "letter"), cell.is_open)
        for kind, what in events:
            if kind != "letter":
                model.see(kind, what)
                continue
            if what[1] == GAVE_UP:
                model.let_in()
                assert model.waiting.pop(0) == what[0]
                assert isinstance(self.asks[what[0]]._error, AskTimeout)
                model.die(what[0], GAVE_UP, is_letter=True)
            if cell.state in CLOSED and what[1] == "ActorStopped":
                self.end(is_over)
            model.letters[what] -= 1
            assert model.letters[what] == 0, f"an unexpected dead letter: {what}"
        self.admitted()
        if cell.state in CLOSED:
            self.end(is_over)
        self.hold()

    def admitted(self):
        """Of those who wait for room some have been let in, or have waited for too long."""
        self.model.let_in()
        for number, reply in self.model.room:
            if reply.is_done:
                assert reply._error is not None, "who waits for room is let in in order"
                assert isinstance(reply._error, (MailboxFull, ActorStopped))
                self.model.became[number] = "refused"

    def end(self, is_over):
        """The actor stops or has ended: all that waited is answered or counted.

        What came from threads may still be taken to the loop while it stops, and is refused there.
        """
        model = self.model
        if is_over:
            model.sent += len(model.from_threads)
            model.waiting += model.from_threads
            model.from_threads = []
        for number in model.waiting:
            model.die(number, "ActorStopped", is_letter=number not in self.asks)
        model.waiting, model.signals = [], []

    def hold(self):
        model, cell = self.model, self.cell
        is_retried = bool(model.waiting) and model.raised[model.waiting[0]] > 0
        assert len(model.waiting) <= model.limit + is_retried
        assert cell.mailbox_count == len(model.waiting) + len(model.from_threads)
        ledger = self.bench.node.ledger()
        assert ledger.is_balanced
        for reason, count in model.told.items():
            heard = ledger.dropped.get(reason, 0) - model.dropped[reason]
            assert 0 <= heard <= count
            model.dropped[reason] += heard
            model.sent += heard
            model.told[reason] -= heard
        assert ledger.in_flight == len(model.waiting) + len(model.from_threads)
        assert ledger.delivered == model.delivered
        assert ledger.sent == model.sent + len(model.from_threads)
        assert ledger.dropped == +model.dropped
        assert not +model.letters, "a dead letter that nobody heard of"
        assert len(model.under_way) <= CONCURRENT_LIMIT

    def teardown(self):
        if not hasattr(self, "bench"):
            return
        try:
            if sys.exc_info()[0] is None:  # or it has failed already
                self.finish()
        finally:
            self.bench.close()

    def finish(self):
        self.settle()
        for gate in list(self.book.gates.values()):
            if not gate.done():
                self.bench.call(gate.set_result, None)
        self.settle()
        stopped = self.bench.call((self.top or self.ref).within(2.0).stop)
        self.bench.loop.pass_time(4.0, self.look)
        assert stopped.is_done
        assert all(reply.is_done for reply in self.stops)
        assert self.cell.state is State.STOPPED
        assert not self.model.under_way
        assert not self.book.gates
        assert not +self.model.told
        for number in range(1, self.count + 1):
            if number in self.model.method:
                self.check_answer(number)
        self.bench.run(self.bench.node.stop())
        assert not self.bench.node.left
        assert not self.bench.complaints()

    def check_answer(self, number):
        became, reply = self.model.became[number], self.asks.get(number)
        if reply is None:
            return
        assert reply.is_done, "every ask is answered"
        match became:
            case "refused":
                assert isinstance(reply._error, (MailboxFull, ActorStopped))
            case ("dead", "ActorStopped"):
                assert isinstance(reply._error, (ActorStopped, AskTimeout))
            case ("dead", reason):
                assert isinstance(
                    reply._error, AskTimeout if reason == GAVE_UP else (AskTimeout, RemoteError)
                )


@slow_if_many
@pytest.mark.timeout(seconds_allowed())
def test_the_mailbox_does_what_a_list_with_a_limit_does():
    run_machine(Mailboxes)
