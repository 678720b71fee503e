"""What a full socket does with what is sent, to the last message."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import zmq

from actormq.errors import LifecycleError, SetupError, SocketFull
from actormq.events import Events
from actormq.loop import Loop
from actormq.patterns.outlet import Outlet, check_full
from actormq.patterns.tally import Tally
from actormq.transport import Role, Transport

MARK = 5  # messages, at each end: inproc holds twice as many
PUSH = Role(zmq.PUSH, {zmq.SNDHWM: MARK})
PULL = Role(zmq.PULL, {zmq.RCVHWM: MARK})


class Way:
    """An outlet to a receiver that does not read until it is told to."""

    def __init__(self, full):
        self.loop = Loop()
        self.transport = Transport(self.loop, lan=False, frame_limit=1_000)
        self.came = []
        self.far = self.transport.open(PULL, lambda frames: self.came.append(int(frames[0])))
        self.far.pause()
        self.port = self.transport.open(PUSH)
        self.tally = Tally("a.out", Events())
        self.is_alone = False
        self.outlet = Outlet(
            self.loop, self.port, "a.out", full, self.tally, lambda: not self.is_alone
        )

    def connect(self):
        self.transport.bind(self.far, "inproc://way", "test")
        self.transport.connect(self.port, "inproc://way", "test")

    def put(self, *numbers):
        for number in numbers:
            self.outlet.admit_nowait()
            self.outlet.put([b"%d" % number])

    async def send(self, number):
        await self.outlet.admit()
        self.outlet.put([b"%d" % number])

    @property
    def counts(self):
        return self.tally.sent, dict(self.tally.dropped), self.outlet.waiting


@asynccontextmanager
async def way(full, connected=True):
    this = Way(full)
    if connected:
        this.connect()
    try:
        yield this
    finally:
        await this.outlet.close()
        this.transport.close_ports()
        await asyncio.to_thread(this.transport.close)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """At the end of each test something may still wait for a receiver that does not read."""
    monkeypatch.setattr("actormq.patterns.outlet.CLOSE_SECONDS", 0.01)
    monkeypatch.setattr("actormq.patterns.outlet.OUTLET_LIMIT", 20)


def test_there_are_three_answers_to_a_full_socket():
    for full in ("wait", "raise", "drop"):
        check_full("Pusher", full)
    with pytest.raises(SetupError, match="Pusher: full=True is unknown: take 'wait', 'raise' or"):
        check_full("Pusher", True)  # noqa: FBT003 what a user might write


async def test_who_drops_loses_the_oldest_of_those_that_wait(until):
    async with way("drop") as w:
        w.put(*range(100))
        assert w.counts == (2 * MARK, {"full": 70}, 20)
        w.far.resume()
        await until(lambda: len(w.came) == 30)
        assert w.came == [*range(10), *range(80, 100)]
        assert w.counts == (30, {"full": 70}, 0)


@pytest.mark.parametrize("full", ["wait", "raise"])
async def test_of_those_that_do_not_fit_one_waits_and_the_next_is_refused(until, full):
    async with way(full) as w:
        w.put(*range(11))
        with pytest.raises(SocketFull, match=r"a\.out is at its high-water mark: the other end is"):
            w.put(11)
        assert w.counts == (10, {}, 1)
        w.is_alone = True
        with pytest.raises(SocketFull, match="nobody is connected"):
            w.put(11)
        w.far.resume()
        await until(lambda: len(w.came) == 11)
        w.put(11)
        await until(lambda: w.came == list(range(12)))


async def test_who_raises_does_not_wait_for_room():
    async with way("raise") as w:
        w.put(*range(11))
        with pytest.raises(SocketFull):
            await w.send(11)
        assert w.counts == (10, {}, 1)


async def test_those_that_wait_go_in_the_order_in_which_they_came(until):
    async with way("wait") as w:
        w.put(*range(11))
        senders = [asyncio.create_task(w.send(number)) for number in range(11, 100)]
        await asyncio.sleep(0)
        for sender in senders[::10]:
            sender.cancel()  # it has not sent
        w.far.resume()
        await until(lambda: all(sender.done() for sender in senders))
        await w.send(100)
        expected = [number for number in range(101) if number % 10 != 1 or number < 11]
        await until(lambda: len(w.came) == len(expected))
        assert w.came == expected
        assert w.counts == (len(expected), {}, 0)


async def test_nobody_overtakes_those_that_wait(until):
    async with way("wait") as w:
        w.put(*range(11))
        first = asyncio.create_task(w.send(11))
        await asyncio.sleep(0)
        w.far.resume()
        while w.outlet.waiting:  # noqa: ASYNC110 the very tick in which there is room again
            await asyncio.sleep(0)
        await w.send(12)  # there is room, and the first has not run yet
        assert first.done()
        await until(lambda: w.came == list(range(13)))


async def test_who_comes_is_sent_to_at_once(until, monkeypatch):
    monkeypatch.setattr("actormq.patterns.outlet.RETRY", 3_600.0)
    async with way("wait", connected=False) as w:
        w.put(0)
        w.connect()
        w.far.resume()
        w.outlet.kick()
        await until(lambda: w.came == [0])
        w.outlet.kick()  # nothing waits: nothing happens
        assert w.counts == (1, {}, 0)


async def test_without_a_word_of_room_it_is_asked_for_again(until):
    async with way("wait", connected=False) as w:
        w.put(0)
        w.is_alone = True
        w.connect()
        w.far.resume()
        await until(lambda: w.came == [0])


@pytest.mark.parametrize("is_alone", [True, False])
async def test_what_waits_at_the_end_is_counted(is_alone):
    async with way("drop") as w:
        w.put(*range(25))
        w.is_alone = is_alone
        await w.outlet.close()
        assert w.counts == (10, {"closed": 15}, 0)


async def test_at_the_end_what_waits_is_sent_if_there_is_room_in_time(monkeypatch, until):
    monkeypatch.setattr("actormq.patterns.outlet.CLOSE_SECONDS", 3_600.0)
    async with way("drop") as w:
        w.put(*range(25))
        closing = asyncio.create_task(w.outlet.close())
        await asyncio.sleep(0)
        assert not closing.done()
        w.far.resume()
        await closing
        assert w.counts == (25, {}, 0)
        await until(lambda: w.came == list(range(25)))


async def test_through_a_closed_socket_nothing_is_sent():
    async with way("wait") as w:
        w.put(*range(11))
        waiting = asyncio.create_task(w.send(11))
        await asyncio.sleep(0)
        await w.outlet.close()
        w.transport.close_port(w.port, 0)
        for refused in (waiting, w.send(12)):
            with pytest.raises(LifecycleError, match=r"a\.out is closed: its actor has stopped"):
                await refused
