"""Asks in a row, and answers in a row: fewer bytes and look-ups, and not one promise less."""

import asyncio
import math
from typing import Any

import msgpack
import msgspec
import pytest
from overheard import Said

from actormq import (
    Actor,
    ActorStopped,
    ArgumentMismatch,
    AskCircle,
    AskTimeout,
    LinkFull,
    MailboxFull,
    NotEncodable,
    PeerLost,
    RemoteError,
    handler,
    message,
)
from actormq.cluster.row import AskRow, ReplyRow, Room, pack_plain
from actormq.deadlines import bucket_end
from actormq.events import DeadLetter
from actormq.settings import BUFFER_BYTES, FRAME_MESSAGES


class Echo(Actor):
    """Answers, or not, and keeps what it was asked."""

    def __init__(self) -> None:
        self.kept: list[object] = []

    @handler
    def echo(self, value: Any) -> Any:
        self.kept.append(value)
        return value

    @handler
    def number(self, value: int) -> int:
        self.kept.append(value)
        return 1000 // value

    @handler
    def keep(self, value: Any) -> None:
        self.kept.append(value)

    @handler
    def all(self) -> list[object]:
        return list(self.kept)

    @handler(concurrent=True)
    async def later(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @handler
    async def hold(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Small(Echo):
    mailbox_limit = 10


@pytest.fixture
def two(mesh, monkeypatch):
    """An actor on one node, a ref to it on another one, and what both nodes say."""

    async def begun(kind=Echo, **options):
        far, near = await mesh.start(), await mesh.start(**options)
        await far.spawn(kind, "echo")
        ref = await near.find("echo")
        await ref.ask(Echo.all)
        return ref, Said(near, monkeypatch), Said(far, monkeypatch), near, far

    return begun


def answers(back):
    """What was answered to which number, and whether some of it in rows."""
    envelopes = back.of(message.REPLY, message.REPLIES)
    rows = [
        each[1:] if each[0] == message.REPLIES else [[one] for one in each[1:]]
        for each in envelopes
    ]
    flat = [pair for numbers, values in rows for pair in zip(numbers, values, strict=True)]
    return flat, len(envelopes) < len(flat)


async def outcomes(replies):
    return await asyncio.gather(*replies, return_exceptions=True)


# -- what they are ----------------------------------------------------------------------------


class Sender:
    """As much of a post, and of its deadlines, as a row knows."""

    def __init__(self):
        self.deadlines = self
        self.pending = {}
        self.number = iter(range(100, 900)).__next__
        self.buckets = {}

    def add(self, reply, deadline):
        bucket = self.buckets.setdefault(int(deadline * 100), {})
        bucket[reply] = None
        return bucket


class Asked:
    """As much of a reply as a row knows."""

    def __init__(self, deadline, seconds=5.0):
        self.deadline = deadline
        self.seconds = seconds

    def arm(self, deadlines, deadline):
        self.bucket = deadlines.add(self, deadline)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 256])
def test_rows_end_as_one_envelope_and_begin_anew(count):
    post = Sender()
    asks, replies = AskRow(7, post), ReplyRow()
    for _ in range(2):
        asks.rename("note", "note")
        asks.begin(Asked(9.0), pack_plain((0,)))
        asks.room = replies.room = Room(1 << 20)
        for number in range(1, count):
            assert asks.took(Asked(9.0), pack_plain((number,)), 4.0)
        first = next(iter(post.pending))
        numbers = list(range(first, first + count))
        for number in range(count):
            assert replies.took(first + number, number)
        sizes, packed = [asks.size, replies.size], [asks.end(), replies.end()]
        asked, answered = map(msgpack.unpackb, packed)

        if count == 1:
            assert asked == [message.ASK, first, 5.0, 7, "note", [0]]
            assert answered == [message.REPLY, first, 0]
        else:
            rows = [[number] for number in range(count)]
            assert asked == [message.ASKS, numbers, 5.0, 7, "note", rows]
            assert answered == [message.REPLIES, numbers, list(range(count))]
        assert all(len(data) <= size for data, size in zip(packed, sizes, strict=True))
        assert list(post.pending) == numbers
        assert not asks.took(Asked(9.0), b"\x90", 4.0)
        assert not replies.took(1, None)
        post.pending.clear()


@pytest.mark.parametrize(
    ("deadline", "seconds", "now", "taken"),
    [
        (105.001, 5.0, 100.001, True),
        (105.02, 5.0, 100.02, True),  # as long, from a little later on
        (105.0, 4.9, 100.1, True),  # bounded by the same ask
        (105.001, 4.9, 100.101, False),
        (105.0, 0.0, 105.0, False),  # its time is over
    ],
)
def test_a_row_takes_what_has_the_same_time(deadline, seconds, now, taken):
    post, first, reply = Sender(), Asked(105.0), Asked(deadline, seconds)
    row = AskRow(7, post)
    row.begin(first, b"\x90")
    row.room = Room(100)

    assert row.took(reply, b"\x90", now) is taken
    assert list(post.pending.values()) == [first, reply][: 1 + taken]
    assert {number: list(bucket) for number, bucket in post.buckets.items()} == (
        {10500: [first], 10502: [reply]}
        if deadline > bucket_end(105.0)
        else {10500: [first, reply][: 1 + taken]}
    )


# -- between nodes ----------------------------------------------------------------------------


async def test_asks_in_a_row_are_one_envelope_and_so_are_their_answers(two):
    ref, said, back, *_ = await two()
    replies = [ref.ask(Echo.echo, number) for number in range(50)]
    numbers = [reply.number for reply in replies]

    assert await outcomes(replies) == list(range(50))

    [[_, asked, seconds, serial, name, rows]] = said.of(message.ASK, message.ASKS)
    assert (asked, seconds, serial, name) == (numbers, 5.0, ref.address.serial, "echo")
    assert rows == [[number] for number in range(50)]
    assert answers(back) == (list(zip(numbers, range(50), strict=True)), True)


async def test_tells_and_asks_keep_their_order(two):
    ref, said, _, near, _ = await two()
    other = await near.find("echo")
    replies = []
    for number in range(0, 40, 4):
        ref.tell(Echo.keep, number)
        replies += [ref.ask(Echo.echo, number + 1), ref.ask(Echo.echo, number + 2)]
        other.tell(Echo.keep, number + 3)

    assert (await outcomes([*replies, ref.ask(Echo.all)]))[-1] == list(range(40))
    assert len(said.of(message.ASKS)) == 10


async def test_what_does_not_fit_into_a_row_keeps_its_place(two):
    ref, said, *_ = await two()
    large = b"x" * BUFFER_BYTES
    asked = [1, [2], 3, large, "five", None]
    replies = [ref.ask(Echo.echo, value) for value in asked]
    replies += [ref.ask("echo", 7), ref.ask(Echo.echo, value=8), ref.ask(Echo.number, 5)]

    assert await outcomes(replies) == [*asked, 7, 8, 200]
    assert await ref.ask(Echo.all) == [*asked, 7, 8, 5]
    assert [envelope[5] for envelope in said.of(message.ASKS)] == [[["five"], [None]]]


async def test_what_is_wrong_with_one_of_a_row_is_said_of_that_one(two):
    ref, said, back, _, far = await two()
    values = [1, "two", 0, 4, None, 10]

    got = await outcomes([ref.ask(Echo.number, value) for value in values])

    assert [type(one) for one in got] == [
        *(int, ArgumentMismatch, RemoteError),
        *(int, ArgumentMismatch, int),
    ]
    assert [got[0], got[3], got[5]] == [1000, 250, 100]
    assert "ZeroDivisionError" in str(got[2])
    assert len(said.of(message.ASKS)) == 1
    assert len(back.of(message.FAIL)) == 3
    assert await ref.ask(Echo.all) == [1, 0, 4, 10]
    assert far.ledger().is_balanced


async def test_results_without_a_form_fail_alone(two):
    class Odd(Echo):
        @handler
        def made(self, which: int) -> object:
            return [which, object(), "\ud800", 2**64, b"x" * BUFFER_BYTES][which]

    ref, *_ = await two(Odd)
    got = await outcomes([ref.ask("made", which) for which in range(5)])

    assert [got[0], got[4]] == [0, b"x" * BUFFER_BYTES]
    assert {type(one) for one in got[1:4]} == {NotEncodable}


@pytest.mark.parametrize("value", [2**64, "\ud800"])
async def test_what_cannot_leave_fails_alone(two, value):
    ref, *_ = await two()
    got = await outcomes([ref.ask(Echo.echo, one) for one in (1, value, 2)])

    assert [got[0], got[2]] == [1, 2]
    assert isinstance(got[1], NotEncodable)
    assert got[1].undelivered == ("echo", (value,), {})


async def test_of_a_row_only_what_fits_is_taken_and_the_rest_is_refused(two):
    ref, *_, far = await two(Small)

    got = await outcomes([ref.ask(Echo.echo, number) for number in range(25)])

    assert got[:10] == list(range(10))
    assert {type(one) for one in got[10:]} == {MailboxFull}
    assert await ref.ask(Echo.all) == list(range(10))
    ledger = far.ledger()
    assert ledger.is_balanced
    assert ledger.dropped["MailboxFull"] == 15


AGAIN = "find or spawn it again"


async def test_an_actor_that_ends_answers_all_of_a_row(two):
    ref, *_, near, far = await two()
    replies = [ref.ask(Echo.hold, 0.1), *(ref.ask(Echo.echo, number) for number in range(5))]
    await ref.stop()
    replies += [ref.ask(Echo.echo, number) for number in range(3)]

    got = await outcomes(replies)

    assert got[0] is None
    assert [type(one) for one in got[1:]] == [ActorStopped] * 8
    # Those that came too late are told by a node that knows a number only.
    assert {str(one) for one in got[1:]} == {f"actor {ref.address.label!r} has stopped: {AGAIN}"}
    assert near._post.pending == {}
    assert far.ledger().is_balanced


async def test_each_of_a_row_has_its_own_deadline(two, until):
    ref, said, *_, near, _ = await two()
    late = []
    near.events.listen(late.append, DeadLetter)
    quick, slow = ref.within(0.05), ref.within(30)
    replies = [one.ask(Echo.later, 0.3) for one in (quick, quick, slow, slow, quick)]

    got = await outcomes(replies)

    assert [type(one) for one in got] == [AskTimeout, AskTimeout, float, float, AskTimeout]
    assert [envelope[2] for envelope in said.of(message.ASK, message.ASKS)] == [0.05, 30, 0.05]
    await until(lambda: near._post.pending == {})
    assert near._runtime.deadlines.waiting() == []


async def test_answers_that_come_late_are_counted_one_by_one(two, until):
    ref, _, back, near, far = await two()
    letters = []
    near.events.listen(letters.append, DeadLetter)
    replies = [ref.ask(Echo.echo, number) for number in range(60)]
    for reply in replies[10:40]:
        reply.expire()

    got = await outcomes(replies)

    assert [one if isinstance(one, int) else type(one) for one in got] == [
        *(*range(10), *[AskTimeout] * 30, *range(40, 60)),
    ]
    await until(lambda: len(letters) == 30)
    assert {letter.reason for letter in letters} == {"late reply"}
    assert answers(back)[1]
    assert far.ledger().is_balanced


async def test_what_was_not_begun_when_the_asker_gave_up_is_not_begun(two, until):
    ref, *_, far = await two()
    letters = []
    far.events.listen(letters.append, DeadLetter)
    held = ref.ask(Echo.hold, 0.3)
    got = await outcomes([ref.within(0.05).ask(Echo.echo, number) for number in range(3)])
    await held

    assert {type(one) for one in got} == {AskTimeout}
    await until(lambda: len(letters) == 3)
    assert await ref.ask(Echo.all) == []
    assert {letter.reason for letter in letters} == {"asker gave up"}


class Seconds(float):
    """A number of a class of its own, as numpy has them."""


@pytest.mark.parametrize("seconds", [Seconds(5.0), True, 5])
async def test_a_deadline_may_be_any_number(two, seconds):
    ref, *_ = await two()
    patient = ref.within(seconds)
    asked = [patient.ask(Echo.echo, value) for value in (1, 2, [3])]
    assert await asyncio.gather(*asked) == [1, 2, [3]]


async def test_an_ask_without_a_deadline_goes_in_a_row_as_well(two):
    ref, said, *_, near, _ = await two()
    for_ever = ref.within(math.inf)

    assert await outcomes([for_ever.ask(Echo.echo, number) for number in range(3)]) == [0, 1, 2]
    assert [envelope[2] for envelope in said.of(message.ASKS, message.ASK)] == [math.inf]
    assert near._runtime.deadlines.waiting() == []


async def test_asks_of_one_that_was_asked_share_what_is_left(two):
    ref, said, *_, near, _ = await two()

    class Asker(Actor):
        @handler
        async def sum(self) -> int:
            return sum(await asyncio.gather(*(ref.ask(Echo.echo, one) for one in range(5))))

    asker = await near.spawn(Asker)

    assert await asker.within(3).ask(Asker.sum) == 10
    [envelope] = said.of(message.ASK, message.ASKS)
    assert envelope[0] == message.ASKS
    assert 0 < envelope[2] <= 3


async def test_a_row_counts_as_so_many_messages_on_both_sides(two):
    ref, *_, near, far = await two()
    before = near.mesh_view.traffic(), far.mesh_view.traffic()
    replies = [ref.ask(Echo.echo, number) for number in range(40)]
    assert near.mesh_view.traffic().waiting == 40
    await outcomes(replies)
    after = near.mesh_view.traffic(), far.mesh_view.traffic()

    for one, other in ((0, 1), (1, 0)):
        sent = after[one].sent - before[one].sent
        assert sent >= 40
        assert sent == after[other].received - before[other].received


async def test_more_than_a_frame_leaves_at_once(two):
    ref, said, *_ = await two()
    replies = [ref.ask(Echo.echo, None) for _ in range(FRAME_MESSAGES + 1)]

    assert sum(len(envelope[1]) for envelope in said.of(message.ASKS)) == FRAME_MESSAGES
    assert await outcomes(replies) == [None] * (FRAME_MESSAGES + 1)


async def test_a_row_is_refused_what_the_link_has_no_room_for(two):
    ref, _, _, near, far = await two(link_limit=5_000)
    replies = [ref.ask(Echo.echo, b"x" * 90) for _ in range(80)]
    waiting = near.mesh_view.members[far.id].outbox

    assert 4_800 < waiting.waiting_bytes <= 5_000
    got = await outcomes(replies)
    refused = [one for one in got if one != b"x" * 90]
    assert {type(one) for one in refused} == {LinkFull}
    assert 20 < len(refused) < 60
    assert refused[0].undelivered == ("echo", (b"x" * 90,), {})
    assert near._post.pending == {}


async def test_who_is_lost_answers_none_of_a_row(two):
    ref, *_, near, far = await two()
    replies = [ref.ask(Echo.later, 0.1) for _ in range(3)]
    await ref.ask(Echo.all)

    near._post.lost(near.mesh_view.members[far.id], "it fell")

    assert {type(one) for one in await outcomes(replies)} == {PeerLost}
    assert near._post.pending == {}
    assert near._runtime.deadlines.waiting() == []


@pytest.mark.parametrize("kind", [float, list, ValueError], ids=lambda kind: kind.__name__)
async def test_what_an_asker_that_has_gone_will_not_hear_is_a_dead_letter(two, until, kind):
    ref, _, _, near, far = await two()
    letters, gate, node = [], asyncio.Event(), near.id

    class Slow(Actor):
        @handler
        async def end(self) -> object:
            await gate.wait()
            if kind is ValueError:
                raise ValueError
            return kind()

    await far.spawn(Slow, "slow")
    slow = await near.find("slow")
    slow.ask(Slow.end)
    await ref.ask(Echo.all)
    outbox = far.mesh_view.members[node].outbox
    await near.stop()
    await until(lambda: node not in far.mesh_view.members)
    far.events.listen(letters.append, DeadLetter)
    gate.set()
    await until(lambda: letters)
    assert [(one.handler, one.reason) for one in letters] == [("reply", "NodeUnreachable")]
    assert outbox.waiting_count == outbox.waiting_bytes == 0


async def test_nobody_answers_for_another_node(two, mesh):
    ref, *_, near, far = await two()
    thief = await mesh.start()
    reply = ref.ask(Echo.later, 0.2)
    letters = []
    near.events.listen(letters.append, DeadLetter)

    thief._post.say(near.id, [message.REPLIES, [reply.number, 12_345], ["mine", "too"]])

    assert await reply == 0.2
    assert [letter.reason for letter in letters] == ["late reply", "late reply"]
    assert far.mesh_view.garbage_count == 0


@pytest.mark.parametrize("guest", ["who asks", "who is asked"])
async def test_a_guest_is_asked_and_answered_one_by_one(two, guest):
    ref, *_, near, far = await two()
    kinds = []
    for node, other in ((near, far), (far, near)):
        if (node is far) == (guest == "who asks"):
            member = node.mesh_view.members[other.id]
            member.facts = msgspec.structs.replace(member.facts, endpoints=())
        for kind, take in node._post._takers.items():
            node._post._takers[kind] = lambda *it, kind=kind, take=take: (
                kinds.append(kind) or take(*it)
            )

    numbers = list(range(40))
    assert await outcomes([ref.ask(Echo.echo, number) for number in numbers]) == numbers
    if guest == "who asks":
        assert kinds == [message.ASKS, *[message.REPLY] * 40]
    else:
        assert kinds[:40] == [message.ASK] * 40
        assert message.REPLIES in kinds[40:]


async def test_sends_are_answered_in_a_row_as_well(two):
    ref, said, back, *_ = await two()

    assert await outcomes([ref.send(Echo.keep, number) for number in range(40)]) == [None] * 40
    assert len(said.of(message.SEND)) == 40
    assert answers(back) == ([(envelope[1], None) for envelope in said.of(message.SEND)], True)
    assert await ref.ask(Echo.all) == list(range(40))


@pytest.mark.slow  # a probe is sent after a second
async def test_a_circle_through_a_row_is_found(mesh):
    class Back(Actor):
        @handler
        async def again(self, which: int) -> str:
            away = await self.node.find("front")
            return await away.within(20).ask("quick", which)

    class Front(Actor):
        @handler
        async def begin(self) -> list[str]:
            back = await self.node.find("back")
            return await asyncio.gather(*(back.within(20).ask("again", one) for one in (1, 2)))

        @handler
        def quick(self, which: int) -> str:
            return f"{which}"

    front, back = await mesh.start(), await mesh.start()
    await back.spawn(Back, "back")
    begun = (await front.spawn(Front, "front")).within(20).ask(Front.begin)

    with pytest.raises(RemoteError, match=AskCircle.__name__):
        await begun


async def test_threads_ask_beside_a_row_and_each_is_handled_by_its_own(two):
    ref, said, *_ = await two()

    def ask():
        wanted = [ref.ask(Echo.echo, -number) for number in range(1, 50)]
        return [reply.result(5) for reply in wanted], ref.send(Echo.keep, "sent").result(5)

    asking = asyncio.get_running_loop().run_in_executor(None, ask)
    got = []
    while not asking.done():
        got += await outcomes([ref.ask(Echo.number, 10), ref.ask(Echo.number, 500)])

    assert await asking == ([-number for number in range(1, 50)], None)
    assert got == [100, 2] * (len(got) // 2)
    assert said.of(message.ASKS)


async def test_a_thread_may_wait_for_the_stop_of_what_lived_here(two):
    *_, far = await two()
    actor = await far.spawn(Echo)
    await actor.stop()
    gone = far._post.ref(actor.address)

    stopping = asyncio.get_running_loop().run_in_executor(None, lambda: gone.stop().result(5))

    assert await stopping is None
