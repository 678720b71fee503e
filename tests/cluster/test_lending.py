"""Large buffers between nodes of one host: real nodes, real processes, real memory."""

import asyncio
import gc
import os
import sys
import threading
import weakref
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from actormq import Actor, Node, handler, message
from actormq.cluster import lending
from actormq.cluster.lending import LENT_BYTES, SEGMENTS_LIMIT, Borrower, Lender
from actormq.codec import Codec
from actormq.errors import MessageTooLarge, RemoteProtocolError
from actormq.loop import Loop
from actormq.memory import AT_ONCE, Segment, give_back

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="segments are Linux's memfds")
MIB = 1 << 20
BUFFER = msgpack.ExtType(3, b"\0")


class Keeper(Actor):
    """Gives back what it gets, or keeps it."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    @handler
    def echo(self, value: Any) -> Any:
        return value

    @handler
    def keep(self, value: Any) -> None:
        self.kept.append(value)

    @handler
    def sums(self) -> list[int]:
        return [int(np.sum(one, dtype="u8")) for one in self.kept]

    @handler
    def drop(self) -> None:
        self.kept.clear()

    @handler
    def kind(self, value: bytes) -> str:
        return f"{type(value).__name__} {len(value)}"


def maps_of(pid):
    """The segments that a process has open or mapped."""
    gc.collect()  # stopped nodes are circles
    mapped = {
        line.split("/memfd:")[1]
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines()
        if "/memfd:actormq-" in line
    }
    descriptors = Path(f"/proc/{pid}/fd")
    links = [str(one.readlink()) for one in descriptors.iterdir() if one.is_symlink()]
    return mapped | {link.split("/memfd:")[1] for link in links if "/memfd:actormq-" in link}


@asynccontextmanager
async def two(mesh_name, **options):
    """A node, another one of this host, and a ref of the first to an actor on the second."""
    async with Node(mesh=mesh_name, name="a", discovery=False, **options) as node:
        place = node.address.removeprefix("tcp://")
        async with Node(mesh=mesh_name, name="b", discovery=False, join=[place]) as other:
            await other.spawn(Keeper, "keeper")
            yield node, other, await node.find("keeper", timeout=60)


def lender(node, to):
    return node.mesh_view.members[to.id].outbox.lender


async def lent_to(node, other, ref):
    """Let the first segment be opened; give the lender."""
    await ref.ask(Keeper.echo, np.zeros(MIB, "u1"))
    await ref.ask(Keeper.echo, 0)
    assert [loan.is_free for loan in lender(node, other)._loans.values()] == [True]
    return lender(node, other)


async def test_a_large_array_is_lent_there_and_back_and_arrives_as_it_was(mesh_name):
    async with two(mesh_name) as (node, other, ref):
        there = await lent_to(node, other, ref)
        array = np.arange(MIB // 4, dtype="<u4").reshape(4, -1)

        got = await ref.ask(Keeper.echo, {"deep": [array, "x"]})

        assert there.lent_count == 1
        assert np.array_equal(got["deep"][0], array)
        assert got["deep"][1] == "x"
        for one in (node, other):
            assert one.ledger().is_balanced
            assert one.ledger().in_flight == 0
        traffic = [one.mesh_view.traffic() for one in (node, other)]
        assert all(each.dropped == each.unread == 0 for each in traffic)


async def test_bytes_arrive_as_bytes(mesh_name):
    async with two(mesh_name) as (node, other, ref):
        there = await lent_to(node, other, ref)

        assert await ref.ask(Keeper.kind, b"x" * MIB) == f"bytes {MIB}"
        assert type(await ref.ask(Keeper.echo, b"y" * MIB)) is bytes
        assert there.lent_count == 2


async def test_smaller_ones_go_through_the_socket(mesh_name):
    async with two(mesh_name) as (node, other, ref):
        there = await lent_to(node, other, ref)

        await ref.ask(Keeper.echo, np.zeros(LENT_BYTES - 100, "u1"))

        assert there.lent_count == 0


async def test_the_sender_may_change_what_it_has_sent(mesh_name):
    async with two(mesh_name) as (node, other, ref):
        there = await lent_to(node, other, ref)
        array = np.ones(MIB, "u1")
        ref.tell(Keeper.keep, array)
        array[:] = 7

        assert await ref.ask(Keeper.sums) == [MIB]
        assert there.lent_count == 1


async def test_what_a_receiver_keeps_is_never_written_again_and_more_goes_by_the_socket(mesh_name):
    async with two(mesh_name, link_limit=8 * MIB) as (node, other, ref):
        there = await lent_to(node, other, ref)
        for number in range(20):
            await ref.send(Keeper.keep, np.full(MIB, number, "u1"))

        assert await ref.ask(Keeper.sums) == [number * MIB for number in range(20)]
        assert 2 <= there.lent_count <= 8  # the limit is 8 MiB
        assert there.size <= 8 * MIB


async def test_what_was_read_is_lent_again_in_the_same_memory(mesh_name):
    async with two(mesh_name) as (node, other, ref):
        there = await lent_to(node, other, ref)
        for _ in range(3 * SEGMENTS_LIMIT):
            await ref.ask(Keeper.echo, np.zeros(MIB, "u1"))

        assert there.lent_count >= 3 * SEGMENTS_LIMIT - 2
        assert len(there._loans) <= 3


async def test_messages_keep_their_order_whichever_way_they_go(mesh_name):
    async with two(mesh_name) as (node, other, ref):
        there = await lent_to(node, other, ref)
        for number in range(60):
            ref.tell(Keeper.keep, np.full(MIB if number % 3 else 10, number, "u1"))

        sums = await ref.ask(Keeper.sums)

        assert sums == [number * (MIB if number % 3 else 10) for number in range(60)]
        assert 0 < there.lent_count < 60


async def test_without_memory_for_segments_all_goes_by_the_socket(mesh_name, monkeypatch):
    def full(_size):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(lending, "Segment", full)
    async with two(mesh_name) as (node, other, ref):
        for number in range(5):
            got = await ref.ask(Keeper.echo, np.full(MIB, number, "u1"))
            assert got[-1] == number
        assert lender(node, other).lent_count == 0


async def test_a_peer_that_cannot_open_segments_is_lent_none(mesh_name, monkeypatch, until):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lending, "Borrowed", refused)
    monkeypatch.setattr(lending, "KEPT", 0.01)
    async with two(mesh_name) as (node, other, ref):
        assert (await ref.ask(Keeper.echo, np.ones(MIB, "u1"))).sum() == MIB
        there = lender(node, other)
        await until(lambda: not there._loans)  # it was offered, and is taken back
        assert (await ref.ask(Keeper.echo, np.ones(MIB, "u1"))).sum() == MIB
        assert (there.lent_count, there.size) == (0, 0)


async def test_segments_that_are_not_used_are_given_back(mesh_name, monkeypatch, until):
    async with two(mesh_name) as (node, other, ref):
        monkeypatch.setattr(lending, "KEPT", 0.05)
        await lent_to(node, other, ref)

        await until(lambda: not maps_of(os.getpid()))


async def test_limits_hold_for_what_is_lent(mesh_name):
    async with two(mesh_name, buffer_limit=2 * MIB, link_limit=3 * MIB) as (node, other, ref):
        there = await lent_to(node, other, ref)
        with pytest.raises(MessageTooLarge):
            ref.tell(Keeper.keep, bytes(2 * MIB + 1))
        for _ in range(3):
            ref.tell(Keeper.keep, b"x" * MIB)
        full = [ref.offer(Keeper.keep, b"x" * 2 * MIB) for _ in range(3)]

        assert there.lent_count
        assert False in full
        dropped = node.ledger(), other.ledger()
        assert all(one.is_balanced for one in dropped)


async def test_a_new_link_begins_with_new_segments(mesh_name, until):
    async with two(mesh_name) as (node, other, ref):
        there = await lent_to(node, other, ref)
        former = set(there._loans)
        member = node.mesh_view.members[other.id]
        link = member.link
        link._fail("the test has cut it")
        await until(lambda: member.link not in (None, link))

        assert (await ref.ask(Keeper.echo, np.ones(MIB, "u1"))).sum() == MIB
        await ref.ask(Keeper.echo, 0)
        before = there.lent_count
        assert (await ref.ask(Keeper.echo, np.ones(MIB, "u1"))).sum() == MIB
        assert there.lent_count == before + 1
        assert not former & set(there._loans)


async def test_what_was_lent_arrives_although_its_sender_has_left(mesh_name, until):
    async with Node(mesh=mesh_name, name="stays", discovery=False) as stays:
        keeper = await stays.spawn(Keeper, "keeper")
        place = stays.address.removeprefix("tcp://")
        async with Node(mesh=mesh_name, name="goes", discovery=False, join=[place]) as goes:
            ref = await goes.find("keeper", timeout=60)
            there = await lent_to(goes, stays, ref)
            ref.tell(Keeper.keep, np.ones(MIB, "u1"))
            assert there.lent_count == 1
        await until(lambda: goes.id not in stays.mesh_view.members)

        assert await keeper.ask(Keeper.sums) == [MIB]


# -- processes --------------------------------------------------------------------------------

PEER = """
import asyncio, sys
from actormq import Node
sys.path.insert(0, sys.argv[1])
from test_lending import Keeper

async def main():
    async with Node(mesh=sys.argv[2], name="b", discovery=False, join=[sys.argv[3]]) as node:
        await node.spawn(Keeper, "keeper")
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@asynccontextmanager
async def process_of(node, mesh_name):
    place = node.address.removeprefix("tcp://")
    command = [sys.executable, "-c", PEER, str(Path(__file__).parent), mesh_name, place]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()


@pytest.mark.slow
async def test_kill_9_of_either_side_leaves_no_memory_behind(mesh_name, until):
    async with (
        Node(mesh=mesh_name, name="a", discovery=False) as node,
        process_of(node, mesh_name) as process,
    ):
        ref = await node.find("keeper", timeout=60)
        kept = []
        for number in range(4):
            kept.append(await ref.ask(Keeper.echo, np.full(MIB, number, "u1")))
            await ref.ask(Keeper.keep, np.full(MIB, number, "u1"))
        assert await ref.ask(Keeper.sums) == [number * MIB for number in range(4)]
        assert len(maps_of(process.pid)) > 2
        member = node.mesh_view.members[ref.address.node]
        assert member.outbox.lender.lent_count > 2

        process.kill()
        await process.wait()
        await until(lambda: ref.address.node not in node.mesh_view.members)

        assert [int(one.sum()) for one in kept] == [number * MIB for number in range(4)]
        kept.clear()
        await until(lambda: maps_of(os.getpid()) == set())
        assert node.ledger().is_balanced


# -- what peers may not do --------------------------------------------------------------------


@asynccontextmanager
async def ends(limit=64 * MIB):
    """A lender and a borrower without a link: what each says is kept."""
    loop, said, answers = Loop(), [], []
    codec = Codec(4 * MIB, 256 * MIB)
    one = Lender(loop, limit, lambda packed: said.append(msgpack.unpackb(packed)))
    other = Borrower(codec, lambda packed: answers.append(msgpack.unpackb(packed)))
    yield one, other, said, answers
    one.close()
    other.close()


async def test_the_words_are_as_the_page_has_them():
    async with ends() as (one, other, said, answers):
        assert one.lend(b"", [b"x" * MIB]) is None  # there is none yet
        [share] = said
        assert share[:3] == [message.SHARE, 1, os.getpid()]
        other.take(share)
        assert answers == [[message.OPENED, 1]]
        one.opened(answers.pop()[1])

        envelope = msgpack.packb([3, 1, "note", [BUFFER]])
        lent = msgpack.unpackb(one.lend(envelope, [b"x" * MIB]), strict_map_key=False)

        assert lent == [message.LEND, [[1, MIB]], envelope]
        assert not one._loans[1].is_free
        assert other.read(lent) == [3, 1, "note", [b"x" * MIB]]
        assert one._loans[1].is_free


async def test_what_ends_in_another_thread_is_free_as_well():
    async with ends() as (one, other, said, answers):
        one.lend(b"", [b"x" * MIB])
        other.take(said[0])
        one.opened(answers.pop()[1])
        envelope = msgpack.packb([3, msgpack.ExtType(2, msgpack.packb(["|u1", [MIB], BUFFER]))])
        lent = msgpack.unpackb(one.lend(envelope, [b"x" * MIB]), strict_map_key=False)
        arrays = other.read(lent)[1:]
        assert not one._loans[1].is_free

        await asyncio.to_thread(arrays.clear)

        assert one._loans[1].is_free


@pytest.mark.parametrize(
    "words",
    [
        [message.LEND],
        [message.LEND, [[1, 10]], "text"],
        [message.LEND, [[2, 10]], b"\x91\x03"],
        [message.LEND, [[1, 0]], b"\x91\x03"],
        [message.LEND, [[1, -1]], b"\x91\x03"],
        [message.LEND, [[1, 2 * MIB]], b"\x91\x03"],
        [message.LEND, [["1", 10]], b"\x91\x03"],
        [message.LEND, [3], b"\x91\x03"],
        [message.LEND, [[1, 10]], b"\x91\x03\x91\x03"],
        [message.LEND, [[1, 10]], b"\xc1"],
        [message.LEND, [[1, 10]] * (SEGMENTS_LIMIT + 1), b"\x91\x03"],
    ],
)
async def test_what_was_not_lent_is_not_read(words):
    async with ends() as (one, other, said, answers):
        one.lend(b"", [b"x" * MIB])
        other.take(said[0])
        one.opened(answers.pop()[1])

        with pytest.raises(RemoteProtocolError):
            other.read(words)


@pytest.mark.parametrize("words", [[], ["x"], [1, 2], [1, "x", 3, "n", 5], [1, 2, 3, b"n", 5]])
async def test_a_segment_of_another_shape_is_refused(words):
    async with ends() as (_, other, *_):
        with pytest.raises(RemoteProtocolError):
            other.take([message.SHARE, *words])


async def test_a_peer_may_share_so_many_segments_and_no_more():
    async with ends() as (_, other, _, answers):
        segments = [Segment(4096) for _ in range(SEGMENTS_LIMIT + 1)]
        words = [
            [message.SHARE, number, os.getpid(), one.descriptor, one.name, 4096]
            for number, one in enumerate(segments)
        ]
        for word in words[:-1]:
            other.take(word)
        with pytest.raises(RemoteProtocolError, match="too many"):
            other.take(words[-1])
        assert len(answers) == SEGMENTS_LIMIT

        other.take([message.SHARE, 0])
        other.take(words[-1])
        give_back(segments)


async def test_buffers_of_one_message_are_lent_together_or_not_at_all():
    async with ends() as (one, _, _said, _):
        one.lend(b"", [b"x" * MIB])
        one.opened(1)

        assert one.lend(b"", [b"x" * MIB, b"y" * MIB]) is None
        assert [loan.is_free for loan in one._loans.values()] == [True, False]
        one.opened(2)
        assert one.lend(b"", [b"x" * MIB, b"y" * MIB]) is not None


async def test_only_what_is_for_actors_is_lent(mesh_name, until, caplog):
    async with two(mesh_name) as (node, other, ref):
        there = await lent_to(node, other, ref)
        outbox = node.mesh_view.members[other.id].outbox
        outbox.say(there.lend(msgpack.packb([message.LEAVE, "bye"]), [bytes(MIB)]))

        await until(lambda: other.mesh_view.garbage_count == 1)

        assert await ref.ask(Keeper.echo, 3) == 3
        assert "of kind 9 is lent" in caplog.text


async def test_segments_of_former_links_and_nonsense_are_passed_over():
    async with ends() as (one, _, said, _):
        one.lend(b"", [b"x" * MIB])
        for serial in (77, "x", None, [1], 1):
            one.opened(serial)

        assert [loan.is_free for loan in one._loans.values()] == [True]
        assert len(said) == 1


async def test_free_segments_that_are_too_small_make_room_for_a_larger_one():
    async with ends(limit=4 * MIB) as (one, _, said, _):
        for _ in range(4):
            one.lend(b"", [b"x" * MIB])
            for loan in one._loans.values():
                one.opened(loan.serial)
                loan.segment.lend()
        for loan in one._loans.values():
            loan.segment.take_back()
        assert one.size == 4 * MIB

        one.lend(b"", [bytes(3 * MIB)])

        assert sorted(loan.segment.size for loan in one._loans.values()) == [MIB, 3 * MIB]
        assert len([word for word in said if len(word) == 2]) == 3


async def test_nothing_is_lent_to_a_peer_that_is_gone():
    async with ends() as (one, _, said, _):
        one.lend(b"", [b"x" * MIB])
        one.opened(1)
        one.close()
        said.clear()

        assert one.lend(b"", [b"x" * MIB]) is None  # an answer to what it had asked
        assert (said, one.size) == ([], 0)


@pytest.mark.parametrize("side", ["lender", "borrower"])
async def test_the_loop_is_not_held_by_the_memory_of_a_peer_that_is_gone(until, side):
    async with ends() as (one, other, said, _):
        for number in range(4):
            one.lend(b"", [b"x" * (AT_ONCE // 2 + number * MIB)])
            other.take(said.pop())
            one.opened(number + 1)
            assert one.lend(b"", [b"x" * (AT_ONCE // 2 + number * MIB)])
        segments = (
            [loan.segment for loan in one._loans.values()]
            if side == "lender"
            else [*other._segments.values()]
        )
        threads = []
        watched = [
            weakref.ref(segment._map, lambda _: threads.append(threading.get_ident()))
            for segment in segments
        ]
        assert len(watched) == 4
        del segments
        (one if side == "lender" else other).close()
        await until(lambda: len(threads) == 4)
    assert threading.get_ident() not in threads


async def test_no_segment_is_made_for_more_buffers_than_can_be_lent():
    async with ends() as (one, _, said, _):
        assert one.lend(b"", [b"x" * MIB] * (SEGMENTS_LIMIT + 1)) is None
        assert said == []


async def test_free_segments_are_kept_where_giving_them_up_would_not_help():
    async with ends(limit=4 * MIB) as (one, _, said, _):
        for serial in (1, 2, 3):
            one.lend(b"", [b"x" * MIB])
            one.opened(serial)
            one._loans[serial].segment.lend()
        one._loans[3].segment.take_back()
        said.clear()

        assert one.lend(b"", [bytes(3 * MIB)]) is None

        assert one._loans[3].is_free
        assert said == []


async def test_a_python_without_ctypes_opens_nothing_and_says_nothing(monkeypatch):
    async with ends() as (one, other, said, answers):
        one.lend(b"", [b"x" * MIB])
        monkeypatch.setitem(sys.modules, "ctypes", None)

        other.take(said[0])

        assert answers == []
