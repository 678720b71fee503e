"""Tells in a row: fewer bytes and look-ups, and not one promise less."""

import contextlib
import math
import random

import msgpack
import msgspec
import pytest
from overheard import Said

from actormq import Actor, LinkFull, MessageTooLarge, NotEncodable, Ref, handler, message
from actormq.address import NODE_SERIAL
from actormq.cluster.row import LEAST, NO_ROOM, PLAIN, ROW_LIMIT, Room, TellRow, pack_plain
from actormq.codec import Codec
from actormq.events import DeadLetter
from actormq.settings import BUFFER_BYTES, FRAME_BYTES, FRAME_MESSAGES


class Keeper(Actor):
    """Keeps what it is told, and can hold its turn."""

    def __init__(self) -> None:
        self.kept: list[object] = []

    @handler
    def keep(self, value: object) -> None:
        self.kept.append(value)

    @handler
    def number(self, value: int, other: int = 0) -> None:
        self.kept.append([value, other])

    @handler
    def all(self) -> list[object]:
        return self.kept


class Small(Keeper):
    mailbox_limit = 100


@pytest.fixture
def two(mesh, monkeypatch):
    """A keeper on one node, and a ref to it on another one that is listened to."""

    async def begun(kind=Keeper, **options):
        far, near = await mesh.start(), await mesh.start(**options)
        await far.spawn(kind, "keeper")
        ref = await near.find("keeper")
        await ref.ask(Keeper.all)
        return ref, Said(near, monkeypatch), near, far

    return begun


VALUES = [0, -1, 2**63, 2**64 - 1, -(2**63), 1.5, -0.0, math.inf, "", "ä" * 40, b"", b"\xdc", True]


@pytest.mark.parametrize("value", [*VALUES, None, "x" * 300, b"y" * 70_000], ids=repr)
def test_plain_values_have_the_bytes_that_the_codec_gives_them(value):
    assert type(value) in PLAIN
    assert (
        pack_plain((value,)) == msgpack.packb([value]) == Codec(1 << 20, 1).pack_whole("", [value])
    )


def test_a_row_ends_as_one_envelope_and_begins_anew():
    row = TellRow(7)
    for count in (1, 2, 15, 16, 256):
        row.rename("note", "note")
        row.parts = [pack_plain((number,)) for number in range(count)]
        size = row.size
        packed = row.end()
        rows = [[number] for number in range(count)]
        one, more = [message.TELL, 7, "note", *rows[:1]], [message.TELLS, 7, "note", rows]
        assert msgpack.unpackb(packed) == (one if count == 1 else more)
        assert len(packed) <= size
        assert row.parts == []


async def test_what_is_told_in_a_row_is_one_envelope_and_arrives_in_order(two):
    ref, said, *_ = await two()
    for number in range(50):
        ref.tell(Keeper.keep, number)
    assert await ref.ask(Keeper.all) == list(range(50))
    [[_, serial, name, rows]] = said.of(message.TELL, message.TELLS)
    assert (serial, name, rows) == (ref.address.serial, "keep", [[number] for number in range(50)])


async def test_whatever_comes_between_ends_the_row_and_keeps_its_place(two):
    ref, said, near, _ = await two()
    other = await near.find("keeper")
    ref.tell(Keeper.keep, 0)
    ref.tell(Keeper.keep, 1)
    ref.tell("keep", 2)  # another name for the same
    ref.tell(Keeper.keep, [3])  # not plain
    ref.tell(Keeper.keep, 4)
    ref.tell(Keeper.keep, value=5)
    ref.tell(Keeper.number, 6)
    other.tell(Keeper.keep, 7)
    ref.tell(Keeper.keep, b"x" * BUFFER_BYTES)
    ref.tell(Keeper.keep, 9)
    kept = await ref.ask(Keeper.all)
    assert kept == [0, 1, 2, [3], 4, 5, [6, 0], 7, b"x" * BUFFER_BYTES, 9]
    kinds = [envelope[0] for envelope in said.of(message.TELL, message.TELLS)]
    assert kinds == [message.TELLS, *[message.TELL] * 7, message.TELL]


@pytest.fixture
def several(two):
    """Some keepers on one node, and refs to them on another one that is listened to."""

    async def begun(count, **options):
        _, said, near, far = await two(**options)
        for number in range(count):
            await far.spawn(Keeper, f"k{number}")
        refs = [await near.find(f"k{number}", timeout=5) for number in range(count)]
        said.envelopes.clear()
        return refs, said, near, far

    return begun


async def test_what_is_told_to_several_in_turn_is_a_row_for_each(several):
    refs, said, near, far = await several(5)
    sent, got = near.mesh_view.traffic(), far.mesh_view.traffic()
    for number in range(20):
        for ref in refs:
            ref.tell(Keeper.keep, number)
    assert near.mesh_view.traffic().waiting == 100
    assert near.mesh_view.members[far.id].outbox.waiting_bytes >= 200

    assert [await ref.ask(Keeper.all) for ref in refs] == [list(range(20))] * 5
    assert [envelope[1] for envelope in said.of(message.TELL, message.TELLS)] == [
        ref.address.serial for ref in refs
    ]
    later, there = near.mesh_view.traffic(), far.mesh_view.traffic()
    assert later.sent - sent.sent == there.received - got.received
    assert far.ledger().is_balanced


async def test_each_receiver_gets_all_kinds_in_their_order(several):
    refs, *_ = await several(3)
    again = [ref.within(5) for ref in refs]  # the same route
    other = [type(ref)(type(ref._route)(ref._route._post, ref.address)) for ref in refs]
    chance = random.Random(7)
    expected, replies = [[] for _ in refs], []
    for number in range(400):
        which = chance.randrange(3)
        ref = chance.choice([refs, again, other])[which]
        expected[which].append(number)
        match chance.randrange(12):
            case 0:
                replies.append(ref.ask(Keeper.keep, number))
            case 1:
                ref.tell("keep", number)
            case 2:
                ref.tell(Keeper.keep, value=number)
            case 3:
                replies.append(ref.ask("keep", number))
            case _:
                ref.tell(Keeper.keep, number)

    assert [await ref.ask(Keeper.all) for ref in refs] == expected
    assert [await reply for reply in replies] == [None] * len(replies)


async def test_what_is_asked_of_the_node_keeps_its_place_among_all(several):
    (one, two, three), said, *_ = await several(3)
    one.tell(Keeper.keep, 1)
    stopping = [three.stop()]
    one.tell(Keeper.keep, 2)
    two.tell(Keeper.keep, 3)
    stopping.append(two.stop())
    one.tell(Keeper.keep, 4)

    assert await one.ask(Keeper.all) == [1, 2, 4]
    assert [await each for each in stopping] == [None, None]
    to = [envelope[3 if envelope[0] == message.ASK else 1] for envelope in said.envelopes]
    at = [ref.address.serial for ref in (one, two)]
    assert to[:6] == [at[0], NODE_SERIAL, at[0], at[1], NODE_SERIAL, at[0]]


async def test_an_answer_stands_behind_what_was_told_before_it(mesh):
    class Teller(Keeper):
        @handler
        def back(self, to: Ref[Keeper], number: int) -> None:
            to.tell(Keeper.keep, number)
            to.tell(Keeper.keep, number)

    far, near = await mesh.start(), await mesh.start()
    await far.spawn(Teller, "teller")
    keeper, teller = await near.spawn(Keeper, "keeper"), await near.find("teller")
    for number in range(0, 10, 2):
        asked = [teller.ask("back", keeper, number), teller.ask("back", keeper, number + 1)]
        await asked[0]
        assert (await keeper.ask(Keeper.all)).count(number) == 2
        await asked[1]
        assert (await keeper.ask(Keeper.all)).count(number + 1) == 2


async def test_rows_of_several_share_the_room_of_a_frame_and_of_the_link(several):
    refs, said, near, far = await several(4, link_limit=10_000)
    told = 0
    with contextlib.suppress(LinkFull):
        while told < FRAME_MESSAGES:
            refs[told % 4].tell(Keeper.keep, b"x" * 90)
            told += 1
    assert 9_600 < near.mesh_view.members[far.id].outbox.waiting_bytes <= 10_000
    assert near.mesh_view.members[far.id].outbox.waiting_count == told
    assert sum([len(await ref.ask(Keeper.all)) for ref in refs]) == told
    said.envelopes.clear()

    for number in range(FRAME_MESSAGES):
        refs[number % 4].tell(Keeper.keep, None)
    assert said.envelopes == []
    refs[0].tell(Keeper.keep, None)
    assert len(said.envelopes) >= 4  # they have left, and the loop has not run


async def test_a_frame_of_rows_is_bounded_in_messages_and_bytes(two):
    ref, said, *_ = await two()
    for number in range(FRAME_MESSAGES):
        ref.tell(Keeper.number, number)
    assert said.envelopes == []
    ref.tell(Keeper.number, 0)
    assert len(said.envelopes) == 1  # it has left, and the loop has not run
    for _ in range(9):
        ref.tell(Keeper.keep, "x" * (FRAME_BYTES // 4))
    await ref.ask(Keeper.all)
    rows = [envelope[3] for envelope in said.of(message.TELLS)]
    assert max(map(len, rows)) <= FRAME_MESSAGES
    assert max(len(msgpack.packb(row)) for row in rows) <= FRAME_BYTES


async def test_of_a_row_only_what_fits_is_taken_and_the_rest_is_counted(two, until):
    ref, _, _, far = await two(Small)
    letters = []
    far.events.listen(letters.append, DeadLetter)
    for number in range(130):
        ref.tell(Keeper.number, number)
    await until(lambda: len(letters) == 30)
    kept = await ref.ask(Keeper.all)
    assert kept == [[number, 0] for number in range(100)]
    assert [letter.args for letter in letters] == [(number,) for number in range(100, 130)]
    assert {letter.reason for letter in letters} == {"MailboxFull"}
    assert far.ledger().is_balanced
    assert far.ledger().dropped["MailboxFull"] == 30


async def test_each_of_a_row_is_checked(two):
    ref, said, _, far = await two()
    letters = []
    far.events.listen(letters.append, DeadLetter)
    for value in (1, "two", 3, True, None, 6.0):
        ref.tell(Keeper.number, value)
    assert await ref.ask(Keeper.all) == [[1, 0], [3, 0], [True, 0]]
    assert [letter.args for letter in letters] == [("two",), (None,), (6.0,)]
    assert {letter.reason for letter in letters} == {"ArgumentMismatch"}
    assert len(said.of(message.TELLS)) == 1


async def test_a_row_of_more_than_any_sender_makes_is_no_protocol(two, until):
    """Each that cannot be handled is a dead letter: a byte a message must not buy that for ever."""
    ref, _, near, far = await two()
    letters, garbage = [], far.mesh_view.garbage_count
    far.events.listen(letters.append, DeadLetter)
    near._post.say(far.id, [message.TELLS, "nobody", "keep", [[]] * (ROW_LIMIT + 1)])
    await until(lambda: far.mesh_view.garbage_count > garbage)
    assert letters == []
    assert await ref.ask(Keeper.all) == []


async def test_rows_of_unequal_length_are_taken_as_well(two):
    ref, said, *_ = await two()
    ref.tell(Keeper.number, 1)
    ref.tell(Keeper.number, 2, 3)
    assert await ref.ask(Keeper.all) == [[1, 0], [2, 3]]
    assert [envelope[3] for envelope in said.of(message.TELLS)] == [[[1], [2, 3]]]


async def test_a_row_counts_as_so_many_messages_on_both_sides(two):
    ref, _, near, far = await two()
    sent, got = near.mesh_view.traffic(), far.mesh_view.traffic()
    for number in range(40):
        ref.tell(Keeper.keep, number)
    assert near.mesh_view.traffic().waiting == 40
    await ref.ask(Keeper.all)
    later, there = near.mesh_view.traffic(), far.mesh_view.traffic()
    assert later.sent - sent.sent >= 41
    assert later.sent - sent.sent == there.received - got.received
    assert later.waiting == 0


@pytest.mark.parametrize("value", [2**64, "\ud800"])
async def test_what_has_no_form_on_the_wire_is_refused_and_leaves_the_row_whole(two, value):
    ref, *_ = await two()
    ref.tell(Keeper.keep, 1)
    with pytest.raises(NotEncodable):
        ref.tell(Keeper.keep, value)
    ref.tell(Keeper.keep, 2)
    assert await ref.ask(Keeper.all) == [1, 2]


class Text(str):
    """A text of a class of its own."""

    __slots__ = ()


async def test_a_handler_may_be_named_by_any_text(two, until):
    ref, _, near, far = await two()
    fresh = await near.find("keeper")
    dead = []
    far.events.listen(lambda event: dead.append(event.handler), DeadLetter)
    for named in (fresh, ref):
        named.tell("", 0)  # of a fresh ref the first one
        named.tell(Text("keep"), 1)
        await named.ask(Text("keep"), 2)
        named.tell(Text("keep"), value=3)
    assert await ref.ask(Keeper.all) == [1, 2, 3] * 2
    await until(lambda: dead == ["", ""])
    assert far.mesh_view.garbage_count == 0


@pytest.mark.parametrize(
    ("name", "error"), [("\ud800", NotEncodable), ("x" * 20_000, MessageTooLarge)]
)
async def test_a_name_that_cannot_leave_is_refused_each_time_and_nobody_gets_its_messages(
    two, name, error
):
    ref, _, _, far = await two(message_limit=10_000)
    ref.tell(Keeper.keep, 0)
    for _ in range(2):
        with pytest.raises(error):
            ref.tell(name, 1)
        with pytest.raises(error):
            await ref.ask(name, 2)
    ref.tell(Keeper.keep, 3)
    assert await ref.ask(Keeper.all) == [0, 3]
    assert far.mesh_view.garbage_count == 0


async def test_a_row_is_refused_what_the_link_has_no_room_for(two):
    ref, _, near, far = await two(link_limit=10_000)
    told = 0
    with contextlib.suppress(LinkFull):  # less than a frame, so nothing leaves meanwhile
        while told < FRAME_MESSAGES:
            ref.tell(Keeper.keep, b"x" * 90)
            told += 1
    with pytest.raises(LinkFull):
        ref.tell(Keeper.keep, b"x" * 90)
    waiting = near.mesh_view.members[far.id].outbox
    assert 9_800 < waiting.waiting_bytes <= 10_000
    assert waiting.waiting_count == told < 10_000 // 90 < 10_000 // LEAST * 3
    assert await ref.within(5).send(Keeper.keep, 1) is None
    assert len(await ref.ask(Keeper.all)) == told + 1


@pytest.mark.parametrize("rows", [[], [[1], 2], "no", [{}]], ids=str)
async def test_a_row_that_is_none_is_garbage_and_none_of_it_counts(two, rows):
    ref, _, near, far = await two()
    post = near.mesh_view._sorter._deliver.__self__
    before = far.mesh_view.garbage_count
    post.say(far.id, [message.TELLS, ref.address.serial, "number", rows])
    assert await ref.ask(Keeper.all) == []
    assert far.mesh_view.garbage_count == before + 1


@pytest.mark.parametrize("to", ["serial", "x" * 9_000, b"x" * 9_000, ["x" * 9_000]])
async def test_a_row_for_nobody_is_not_repeated_whole_for_each_of_it(two, until, monkeypatch, to):
    ref, _, near, far = await two()
    post, back = near.mesh_view._sorter._deliver.__self__, Said(far, monkeypatch)
    letters, name, rows, asks = [], "y" * 9_000, [[]] * 20, [*range(9_000, 9_020)]
    far.events.listen(letters.append, DeadLetter)
    to = ref.address.serial if to == "serial" else to
    post.say(far.id, [message.TELLS, to, name, rows])
    post.say(far.id, [message.ASKS, asks, 5.0, to, name, rows])
    await until(lambda: len(letters) == len(back.of(message.FAIL)) == 20)
    for letter in letters:
        assert len(letter.actor) + len(letter.handler) + len(letter.detail) < 2_000
    assert all(len(str(envelope)) < 2_000 for envelope in back.of(message.FAIL))


async def test_a_guest_is_told_one_by_one(two):
    ref, said, near, far = await two()
    member = near.mesh_view.members[far.id]
    member.facts = msgspec.structs.replace(member.facts, endpoints=())
    assert member.facts.is_guest
    for number in range(3):
        ref.tell(Keeper.keep, number)
    assert await ref.ask(Keeper.all) == [0, 1, 2]
    assert [envelope[3] for envelope in said.of(message.TELL)] == [[0], [1], [2]]
    assert said.of(message.TELLS) == []


async def test_a_mailbox_over_its_limit_takes_none_of_a_row(two):
    _, _, _, far = await two(Small)
    [cell] = [cell for cell in far._runtime.registry.cells() if cell.kind is Small]
    for number in range(Small.mailbox_limit):
        cell.tell(Keeper.keep, (number,), {})
    cell._put_first((cell.find("keep"), ["again"], {}, None))  # one that is to be handled anew

    assert cell.put_all(cell.find("keep"), [[number] for number in range(10)]) == 0
    assert cell.mailbox_count == Small.mailbox_limit + 1


def test_nothing_is_added_to_a_row_that_has_ended():
    row = TellRow(7)
    row.parts, row.room = [b"\x90"], Room(100)
    row.rename("note", "note")
    row.end()

    assert row.room is NO_ROOM
