"""What a ref does, whether its actor lives here, on another node, or nowhere any more."""

import asyncio
import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from actormq import (
    Actor,
    ActorStopped,
    ArgumentMismatch,
    AskTimeout,
    HandlerNotFound,
    LinkFull,
    MessageTooLarge,
    NotEncodable,
    Ref,
    RemoteError,
    handler,
)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Reading:
    station: str
    value: float


class Point(msgspec.Struct):
    x: int
    y: int


class Echo(Actor):
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.gate = asyncio.Event()

    @handler
    def echo(self, value: Any) -> Any:
        return value

    @handler
    async def echo_soon(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    @handler
    def note(self, value: Any) -> None:
        self.told.append(value)

    @handler
    def add(self, first: int, second: int = 1, *more: int, scale: float = 1.0) -> float:
        return (first + second + sum(more)) * scale

    @handler
    def kinds(self, reading: Reading, point: Point, colour: Colour, when: dt.datetime) -> list[str]:
        return [type(value).__name__ for value in (reading, point, colour, when)]

    @handler
    def number(self, value: int) -> int:
        return value

    @handler
    def identify(self, which: uuid.UUID, names: set[str], maybe: int | None = None) -> list[str]:
        return [type(value).__name__ for value in (which, names, maybe)]

    @handler
    def odd(self) -> object:
        return object()

    @handler
    def large(self, size: int) -> str:
        return "x" * size

    @handler
    def fail(self) -> None:
        raise Reading

    @handler
    def fail_deep(self) -> None:
        def below() -> None:
            raise LookupError("no sensor")

        below()

    @handler
    async def hang(self) -> None:
        await self.gate.wait()

    @handler
    def me(self) -> Ref[Any]:
        return self.ref

    @handler
    async def ask_it(self, ref: Ref[Any], value: Any) -> Any:
        return await ref.ask(Echo.echo, value)

    def unmarked(self) -> None: ...


async def placed(mesh, where, **options):
    """An echo, and a ref to it held by a node that is the same or another."""
    near = await mesh.start(**options)
    far = near if where == "local" else await mesh.start(**options)
    ref = await far.spawn(Echo, "echo")
    held = await near.find("echo")
    return held, far._runtime.registry.by_serial(ref.address.serial).actor


everywhere = pytest.mark.parametrize("where", ["local", "far"])


# -- the same from everywhere ---------------------------------------------------------------------


@everywhere
async def test_ask_takes_the_method_or_its_name(mesh, where):
    ref, _ = await placed(mesh, where)
    assert await ref.ask(Echo.echo, 1) == await ref.ask("echo", 1) == 1
    assert await ref.ask(Echo.echo_soon, "soon") == "soon"
    assert await ref.ask("add", 1) == 2
    assert await ref.ask(Echo.add, 1, 2, 3, 4, scale=0.5) == 5
    assert await ref.ask(Echo.add, second=5, first=1) == 6


@everywhere
async def test_a_thousand_asks_may_be_under_way_at_once(mesh, where):
    ref, _ = await placed(mesh, where)
    replies = [ref.ask(Echo.echo_soon, number) for number in range(1_000)]
    assert [await reply for reply in replies] == list(range(1_000))


@everywhere
async def test_tells_and_asks_of_one_sender_arrive_in_their_order(mesh, where):
    ref, actor = await placed(mesh, where)
    for number in range(3_000):
        ref.tell(Echo.note, number)
        if not number % 100:
            await ref.ask(Echo.note, "asked")
    await ref.ask(Echo.note, "the last")
    assert [x for x in actor.told if isinstance(x, int)] == list(range(3_000))
    assert actor.told[-1] == "the last"


@everywhere
async def test_a_reply_may_be_awaited_often_and_by_many(mesh, where):
    ref, actor = await placed(mesh, where)
    reply = ref.ask(Echo.hang)
    waiting = [asyncio.ensure_future(reply) for _ in range(3)]
    actor.gate.set()
    assert await asyncio.gather(*waiting) == [None] * 3
    assert await reply is None
    failed = ref.ask(Echo.fail_deep)
    for _ in range(2):
        with pytest.raises(RemoteError):
            await failed


@everywhere
async def test_one_who_gives_up_waiting_leaves_the_others_waiting(mesh, where):
    ref, actor = await placed(mesh, where)
    reply = ref.ask(Echo.hang)
    impatient, patient = asyncio.ensure_future(reply), asyncio.ensure_future(reply)
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    actor.gate.set()
    assert await patient is None


@everywhere
async def test_a_failure_has_type_text_and_traceback(mesh, where):
    ref, _ = await placed(mesh, where)
    with pytest.raises(RemoteError, match=r"echo\.fail_deep raised LookupError: no sensor") as far:
        await ref.ask(Echo.fail_deep)
    error = far.value
    assert (error.type, error.text) == ("LookupError", "no sensor")
    lines = error.traceback.splitlines()
    frames = [line.rpartition(", in ")[2] for line in lines if line.startswith("  File")]
    assert frames == ["fail_deep", "below"]
    assert lines[-1] == "LookupError: no sensor"
    assert isinstance(error.__cause__, LookupError) is (where == "local")
    with pytest.raises(RemoteError, match="raised TypeError: exceptions must derive"):
        await ref.ask(Echo.fail)


@everywhere
async def test_a_handler_that_is_missing_or_unmarked_is_named(mesh, where):
    ref, _ = await placed(mesh, where)
    with pytest.raises(HandlerNotFound, match="actor 'echo' has no handler 'fly': it has add, "):
        await ref.ask("fly")
    with pytest.raises(HandlerNotFound, match="'unmarked' of actor 'echo' is not a handler"):
        await ref.ask(Echo.unmarked)
    with pytest.raises(HandlerNotFound):
        await ref.ask("on_stop")


@everywhere
async def test_an_ask_ends_at_its_deadline(mesh, where):
    ref, _ = await placed(mesh, where)
    with pytest.raises(AskTimeout, match=r"no reply from echo\.hang within 0\.02 s"):
        await ref.within(0.02).ask(Echo.hang)


@everywhere
async def test_an_actor_may_be_stopped_by_whoever_has_its_ref(mesh, where, until):
    ref, _ = await placed(mesh, where)
    await ref.stop()
    with pytest.raises(ActorStopped):
        await ref.ask(Echo.echo, 1)
    await ref.stop()
    finder = mesh.nodes[0]
    await until(lambda: finder.find_all("echo") == [])


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
async def test_a_deadline_is_above_zero(mesh, seconds):
    ref, _ = await placed(mesh, "local")
    with pytest.raises(ValueError, match="a deadline is a number of seconds above 0"):
        ref.within(seconds)


async def test_without_end_an_ask_may_wait_for_ever(mesh):
    ref, actor = await placed(mesh, "local")
    reply = ref.within(float("inf")).ask(Echo.hang)
    actor.gate.set()
    assert await reply is None


# -- refs as values -------------------------------------------------------------------------------


async def test_refs_are_equal_if_they_mean_the_same_actor(mesh):
    near, far = await mesh.pair()
    here, there = await near.spawn(Echo), await far.spawn(Echo, "echo")
    assert here == here.within(3) != there
    assert len({here, here.within(3), there, await near.find("echo")}) == 2
    assert here != "echo"
    assert repr(there) == f"<Ref echo #{there.address.serial} on {far.id}>"


async def test_a_ref_in_a_message_works_at_the_receiver(mesh):
    first = await mesh.start()
    second, third = await mesh.start(), await mesh.start()
    target = await third.spawn(Echo, "target")
    await second.spawn(Echo, "middle")
    middle = await first.find("middle")
    theirs = await first.find("target")
    assert await middle.ask(Echo.ask_it, theirs, 7) == 7  # to a third node
    own = await first.spawn(Echo)
    assert await middle.ask(Echo.ask_it, own, 8) == 8  # back to the sender
    assert await middle.ask(Echo.me) == middle  # one that came as a result
    nested = await middle.ask(Echo.echo, {"refs": [theirs, own]})
    assert nested == {"refs": [target, own]}
    assert await nested["refs"][0].ask(Echo.echo, 10) == 10


async def test_a_ref_that_came_home_says_that_its_actor_has_stopped(mesh):
    near, far = await mesh.pair()
    await far.spawn(Echo, "echo")
    own = await near.spawn(Echo)
    await own.stop()
    back = await (await near.find("echo")).ask(Echo.echo, own)
    with pytest.raises(ActorStopped):
        await back.ask(Echo.echo, 1)
    await back.stop()


async def test_an_actor_of_a_node_that_has_left_has_stopped(mesh, until):
    near, far = await mesh.pair()
    await far.spawn(Echo, "echo")
    ref = await near.find("echo")
    await far.stop()
    await until(lambda: not list(near.mesh_view.peers()))
    with pytest.raises(ActorStopped):
        ref.tell(Echo.note, 1)
    with pytest.raises(ActorStopped) as failed:
        await ref.ask(Echo.note, 1)
    assert failed.value.undelivered == ("note", (1,), {})


# -- over the wire --------------------------------------------------------------------------------


async def test_values_arrive_as_the_annotations_have_them(mesh):
    ref, _ = await placed(mesh, "far")
    values = (Reading("98101", 3.5), Point(1, 2), Colour.RED, dt.datetime.now(dt.UTC))
    assert await ref.ask(Echo.kinds, *values) == ["Reading", "Point", "Colour", "datetime"]
    which = uuid.uuid4()
    assert await ref.ask(Echo.identify, which, {"a"}) == ["UUID", "set", "NoneType"]
    assert await ref.ask(Echo.identify, which, {"a"}, maybe=3) == ["UUID", "set", "int"]


@pytest.mark.parametrize(
    ("args", "kwargs", "argument", "expected", "got"),
    [
        (("seven",), {}, "value", "int", "'seven' (Expected `int`, got `str`)"),
        ((1.5,), {}, "value", "int", "1.5 (Expected `int`, got `float`)"),
        ((), {}, "value", "(value: int)", "(): missing a required argument: 'value'"),
        ((1, 2), {}, "*args", "", "(1, 2): too many positional arguments"),
        ((1,), {"more": 2}, "more", "", "got an unexpected keyword argument 'more'"),
    ],
)
async def test_an_argument_that_does_not_fit_is_named(mesh, args, kwargs, argument, expected, got):
    ref, _ = await placed(mesh, "far")
    with pytest.raises(ArgumentMismatch) as failed:
        await ref.ask("number", *args, **kwargs)
    error = failed.value
    what = f"argument {argument!r}" if error.expected == "int" else "arguments"
    assert str(error).startswith(f"echo.number: {what} should be ")
    assert error.argument == argument
    assert expected in error.expected
    assert got in error.got


async def test_what_does_not_fit_in_a_tell_is_a_counted_dead_letter(mesh, until):
    ref, _ = await placed(mesh, "far")
    far = mesh.nodes[1]
    ref.tell("number", "seven")
    ref.tell("fly")
    await until(lambda: far.events.dead_letter_count.total() == 2)
    assert far.events.dead_letter_count == {"ArgumentMismatch": 1, "HandlerNotFound": 1}
    assert await ref.ask(Echo.number, 7) == 7


@pytest.mark.parametrize("value", [object(), {1, object()}, lambda: None, 2**70, "\ud800"])
async def test_what_has_no_form_on_the_wire_is_refused_at_the_sender(mesh, value):
    ref, _ = await placed(mesh, "far")
    says = "a message to 'echo' cannot be encoded: argument"
    with pytest.raises(NotEncodable, match=f"{says} 1: "):
        ref.tell(Echo.note, value)
    with pytest.raises(NotEncodable, match=f"{says} 2: "):
        await ref.ask(Echo.note, bytes(2**22), value)
    with pytest.raises(NotEncodable, match=f"{says} 'value': "):
        await ref.ask(Echo.note, 1, value=value)
    assert await ref.ask(Echo.echo, 1) == 1


async def test_what_is_too_large_is_refused_at_the_sender(mesh):
    ref, _ = await placed(mesh, "far", message_limit=10_000, buffer_limit=300_000)
    with pytest.raises(MessageTooLarge, match=r"has 200\d\d bytes, over the limit of 10000"):
        ref.tell(Echo.note, "x" * 20_000)
    with pytest.raises(MessageTooLarge):
        await ref.ask(Echo.note, b"x" * 300_001)
    assert await ref.ask(Echo.echo, b"x" * 300_000) == b"x" * 300_000  # beside its message


async def test_a_result_that_cannot_travel_is_an_answer_as_well(mesh):
    ref, _ = await placed(mesh, "far", message_limit=10_000)
    with pytest.raises(NotEncodable):
        await ref.ask(Echo.odd)
    with pytest.raises(MessageTooLarge):
        await ref.ask(Echo.large, 20_000)
    assert await ref.ask(Echo.large, 3) == "xxx"


async def test_past_its_limit_a_link_refuses_and_later_takes_again(mesh):
    near = await mesh.start(link_limit=10_000)
    far = await mesh.start()
    await far.spawn(Echo, "echo")
    ref = await near.find("echo")
    for _ in range(9):
        ref.tell(Echo.note, "x" * 1_000)
    with pytest.raises(LinkFull, match="10000 bytes wait for node 'n1'"):
        ref.tell(Echo.note, "x" * 1_000)
    with pytest.raises(LinkFull) as full:
        await ref.ask(Echo.note, "x" * 1_000)
    assert full.value.undelivered == ("note", ("x" * 1_000,), {})
    assert await ref.ask(Echo.echo, 1) == 1
    told = far._runtime.registry.by_serial(ref.address.serial).actor.told
    assert told == ["x" * 1_000] * 9
