import contextvars
import random

import pytest

from actormq.codec import Codec
from actormq.testing.simulation.connection import FRAMES_LIMIT
from actormq.testing.simulation.loop import VirtualLoop
from actormq.testing.simulation.network import Conditions, Network
from actormq.testing.simulation.record import Record

GIVEN_UP = 6.5  # s by which a connection has been given up that acknowledges nothing
IDLE = 18.0  # s likewise for one on which nothing was sent


class Place:
    def __init__(self, name):
        self.name = name
        self.context = contextvars.copy_context()


class End:
    """A port that writes down what it is told."""

    def __init__(self, net, place):
        self.net, self.place = net, place
        self.got, self.times, self.ends = [], [], []
        self.connections = []
        self.is_established = False
        self.drained_count = 0

    def accepted(self, connection):
        self.connections.append(connection)

    def established(self):
        self.is_established = True

    def arrived(self, routing_id, frames):
        said = frames[0]
        self.got.append((routing_id, said[0] if len(said) == 1 else said))
        self.times.append(self.net.loop.time())

    def drained(self):
        self.drained_count += 1

    def broken(self, connection):
        self.ends.append(connection)


class Lab:
    """Two machines, one of which listens."""

    def __init__(self, seed=1, **conditions):
        self.loop = VirtualLoop(10_000.0)
        self.record = Record(self.loop.time, is_kept=True)
        chance = random.Random(seed)
        self.net = Network(self.loop, chance, Conditions(**conditions), self.record)
        self.a, self.b = Place("a"), Place("b")
        self.listener = End(self.net, self.b)
        self.net.listen("b", "door", self.listener)
        self.dialer = End(self.net, self.a)

    def run(self, scenario):
        self.loop.run_until_complete(scenario())
        assert self.loop.failures == []

    def dial(self, endpoint="door"):
        return self.net.connect(self.dialer, self.b, endpoint, b"dialer")

    async def dialled(self):
        connection = self.dial()
        await sleep(1)
        assert self.dialer.is_established
        return connection


async def sleep(seconds):
    import asyncio  # noqa: PLC0415 it is the virtual loop's

    await asyncio.sleep(seconds)


def frame(number):
    """A link message of two envelopes."""
    codec = Codec(1_000, 1_000)
    return [b"".join(codec.pack("x", [7, value])[0] for value in (number, number))]


@pytest.mark.parametrize("seed", range(5))
def test_messages_of_a_connection_come_in_order_each_once_whatever_is_lost(seed):
    lab = Lab(seed, loss=0.3, delay=(0.01, 0.5))

    async def scenario():
        connection = lab.dial()
        while not lab.dialer.is_established:
            await sleep(1)
        for number in range(50):
            assert connection.send(lab.dialer, [bytes([number])])
        await sleep(200)

    lab.run(scenario)
    sent = list(range(50))
    if not lab.dialer.ends:
        assert [number for _, number in lab.listener.got] == sent
    else:  # a packet was lost so often that the connection broke
        assert [number for _, number in lab.listener.got] == sent[: len(lab.listener.got)]


def test_a_message_takes_at_least_its_delay_and_at_most_the_most():
    lab = Lab(delay=(0.25, 0.5))

    async def scenario():
        connection = await lab.dialled()
        begun = lab.loop.time()
        connection.send(lab.dialer, [b"x"])
        await sleep(1)
        assert 0.25 <= lab.listener.times[0] - begun <= 0.5

    lab.run(scenario)


def test_where_nobody_listens_a_dial_is_refused():
    lab = Lab()

    async def scenario():
        connection = lab.dial("another door")
        await sleep(1)
        assert not lab.dialer.is_established
        assert lab.dialer.ends == [connection]

    lab.run(scenario)
    assert not lab.net._connections


def test_what_is_sent_into_a_cut_waits_for_the_heal():
    lab = Lab()

    async def scenario():
        connection = await lab.dialled()
        lab.net.cut([("a", "b"), ("b", "a")])
        connection.send(lab.dialer, [b"\x01"])
        connection.send(lab.dialer, [b"\x02"])
        await sleep(4)
        assert lab.listener.got == []
        lab.net.heal(lambda *_: True, whole=True)
        await sleep(4)
        assert [number for _, number in lab.listener.got] == [1, 2]
        assert lab.dialer.ends == lab.listener.ends == []

    lab.run(scenario)


def test_what_is_under_way_when_a_cut_comes_waits_as_well():
    lab = Lab(delay=(0.1, 0.1))

    async def scenario():
        connection = await lab.dialled()
        connection.send(lab.dialer, [b"\x01"])
        await sleep(0.05)
        lab.net.cut([("a", "b")])
        await sleep(3)
        assert lab.listener.got == []
        lab.net.heal(lambda *_: True, whole=True)
        assert lab.listener.got == []
        await sleep(lab.net.flows_at - lab.net.loop.time() + 0.1)
        assert lab.listener.got == [(b"dialer", 1)]

    lab.run(scenario)


def test_who_sends_into_a_cut_gives_the_connection_up_and_what_waits_in_it_is_counted():
    lab = Lab()

    async def scenario():
        connection = await lab.dialled()
        lab.net.cut([("a", "b"), ("b", "a")])
        connection.send(lab.dialer, frame(1))
        assert lab.net.in_flight() == 2
        await sleep(4.9)
        assert lab.dialer.ends == lab.listener.ends == []
        await sleep(GIVEN_UP - 4.9)
        assert lab.dialer.ends == [connection]
        assert lab.listener.ends == []  # it has sent nothing, and hears nothing
        await sleep(IDLE - GIVEN_UP)
        assert lab.listener.ends == [connection]
        assert not connection.send(lab.dialer, frame(2))

    lab.run(scenario)
    assert lab.net.lost == {"broken": 2}
    assert lab.net.in_flight() == 0


def test_an_idle_connection_that_is_cut_one_way_is_found_broken_at_both_ends():
    lab = Lab()

    async def scenario():
        connection = await lab.dialled()
        lab.net.cut([("a", "b")])
        await sleep(IDLE)
        assert lab.listener.ends == lab.dialer.ends == [connection]

    lab.run(scenario)


def test_a_heal_before_it_is_given_up_keeps_the_connection_for_good():
    lab = Lab()

    async def scenario():
        await lab.dialled()
        for _ in range(3):
            lab.net.cut([("a", "b")])
            await sleep(4)
            lab.net.heal(lambda *_: True, whole=True)
            await sleep(1)
        await sleep(20)
        assert lab.listener.ends == []

    lab.run(scenario)


def test_a_torn_connection_loses_what_is_under_way_and_both_ends_hear_of_it():
    lab = Lab(delay=(0.1, 0.1))

    async def scenario():
        connection = await lab.dialled()
        connection.send(lab.dialer, frame(1))
        connection.send(lab.listener, frame(2))
        assert lab.net.tear("b", "a") == 1
        await sleep(1)
        assert lab.dialer.ends == lab.listener.ends == [connection]

    lab.run(scenario)
    assert lab.net.lost == {"broken": 4}
    assert not lab.net._connections


@pytest.mark.parametrize(("kept", "arrives"), [(1.0, 4), (0.5, 2), (0.0, 0)])
def test_of_what_was_sent_before_an_end_closed_the_share_that_is_kept_arrives(kept, arrives):
    lab = Lab(delay=(0.1, 0.1))

    async def scenario():
        connection = await lab.dialled()
        for number in range(4):
            connection.send(lab.dialer, frame(number))
        connection.close(lab.dialer, kept)
        await sleep(1)
        assert len(lab.listener.got) == arrives
        assert lab.listener.ends == [connection]
        assert lab.dialer.ends == []  # it closed by itself

    lab.run(scenario)
    assert lab.net.lost.total() == 2 * (4 - arrives)
    assert not lab.net._connections


def test_what_comes_to_an_end_that_has_closed_is_counted():
    lab = Lab(delay=(0.1, 0.1))

    async def scenario():
        connection = await lab.dialled()
        connection.send(lab.listener, frame(1))
        connection.close(lab.dialer, 1.0)
        await sleep(1)

    lab.run(scenario)
    assert lab.net.lost == {"closed": 2}


def test_a_full_stream_refuses_and_says_when_there_is_room():
    lab = Lab(delay=(0.1, 0.1))

    async def scenario():
        connection = await lab.dialled()
        for number in range(FRAMES_LIMIT):
            assert connection.send(lab.dialer, [bytes([number])])
        assert not connection.send(lab.dialer, [b"one more"])
        await sleep(1)
        assert lab.dialer.drained_count == 1
        assert connection.send(lab.dialer, [bytes([FRAMES_LIMIT])])
        await sleep(1)
        assert [number for _, number in lab.listener.got] == list(range(FRAMES_LIMIT + 1))

    lab.run(scenario)


def test_a_double_of_a_connect_says_its_first_message_again_and_is_swallowed():
    lab = Lab(duplicates=0.999_999)

    async def scenario():
        connection = await lab.dialled()
        connection.send(lab.dialer, frame(1))
        connection.send(lab.dialer, frame(2))
        await sleep(0.02)
        one, other = {who for who, _ in lab.listener.got}
        ghost = one if other == b"dialer" else other
        assert [f for who, f in lab.listener.got if who == ghost] == frame(1)
        assert lab.net.haunted(ghost, frame(3))
        await sleep(4)
        assert not lab.net.haunted(ghost, frame(3))  # it has gone

    lab.run(scenario)
    assert lab.net.lost == {"double": 2}


def test_a_partition_cuts_groups_off_and_those_that_are_not_named_are_one():
    net = Lab().net
    net.partition([["a", "b"], ["c"]])
    cut = {(x, y) for x in "abcde" for y in "abcde" if net.is_cut(x, y)}
    assert cut == {(x, y) for x in "abcde" for y in "abcde" if _side(x) != _side(y)}
    net.heal(lambda *_: False, whole=True)
    assert not net.is_cut("a", "c")


def _side(name):
    return {"a": 1, "b": 1, "c": 2}.get(name, 3)


def test_a_machine_without_power_is_reached_by_nobody():
    net = Lab().net
    net.power("a", on=False)
    assert net.is_cut("a", "b")
    assert net.is_cut("b", "a")
    net.power("a", on=True)
    assert not net.is_cut("a", "b")
