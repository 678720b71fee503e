import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from actormq.address import Address
from actormq.arguments import Arguments
from actormq.cluster.far import FarRoute
from actormq.errors import ArgumentMismatch
from actormq.ref import Ref


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Reading:
    station: str
    celsius: float


class Task(msgspec.Struct):
    name: str
    reply_to: Ref[Any] | None = None


class Opaque:
    """Nothing that msgspec knows."""


class Greeter:
    def greet(self, who: str, times: int = 1) -> str: ...
    def note(self, reading: Reading) -> None: ...
    def both(self, a: int, /, b: int, *, c: int = 0) -> None: ...
    def many(self, *numbers: int, **flags: bool) -> None: ...
    def loose(self, anything, more: Any = None): ...


POST = SimpleNamespace(loop=SimpleNamespace(thread=0))  # nothing is sent
GREETER = Ref(FarRoute(POST, Address("0123456789abcdef", 3, "greeter")))
ARRAY = np.arange(3.0)


def checked(method, *args, **kwargs):
    """The arguments as the method would get them."""
    function = getattr(Greeter, method)
    positional = list(Arguments(Greeter, function).checked("greeter", args, kwargs))
    return positional, kwargs


def converted(annotation, value):
    def take(self, value): ...

    take.__annotations__ = {"value": annotation}
    [got] = Arguments(Greeter, take).checked("greeter", [value], {})
    return got


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (str, "LAN", "LAN"),
        (int, 3, 3),
        (int, True, True),
        (int | None, False, False),
        (int | str, True, True),
        (Ref[Greeter] | int, True, True),
        (float, 3, 3.0),
        (bytes, b"x", b"x"),
        (bytes, bytearray(b"x"), b"x"),
        (bytearray, b"x", bytearray(b"x")),
        (None, None, None),
        (Any, Opaque, Opaque),
        (object, 3, 3),
        (Reading, {"station": "98101", "celsius": 21}, Reading("98101", 21.0)),
        (Task, {"name": "thumb"}, Task("thumb")),
        (Task, {"name": "thumb", "reply_to": GREETER}, Task("thumb", GREETER)),
        (Point, [1, 2], Point(1, 2)),
        (Colour, "red", Colour.RED),
        (uuid.UUID, str(uuid.UUID(int=7)), uuid.UUID(int=7)),
        (Decimal, "1.50", Decimal("1.50")),
        (PurePosixPath, "a/b", PurePosixPath("a/b")),
        (dt.datetime, "2026-01-02T03:04:05Z", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        (dt.date, "2026-01-02", dt.date(2026, 1, 2)),
        (dt.timedelta, "PT90S", dt.timedelta(seconds=90)),
        (set[int], [1, 2], {1, 2}),
        (tuple[int, str], [1, "a"], (1, "a")),
        (dict[tuple[int, int], str], {(1, 2): "a"}, {(1, 2): "a"}),
        (int | str, "a", "a"),
        (int | None, None, None),
        (Literal["a", "b"], "b", "b"),
        (Ref, GREETER, GREETER),
        (Ref[Greeter], GREETER, GREETER),
        (Ref[Greeter] | None, GREETER, GREETER),
        (Ref[Greeter] | None, None, None),
        (Ref[Greeter] | str, "greeter", "greeter"),
        (Ref[Greeter] | str, GREETER, GREETER),
        (list[Ref[Greeter]], [GREETER], [GREETER]),
        (np.ndarray, ARRAY, ARRAY),
        (npt.NDArray[np.float64], ARRAY, ARRAY),
        (np.ndarray | None, ARRAY, ARRAY),
    ],
    ids=str,
)
def test_plain_values_become_what_the_annotation_says(annotation, value, expected):
    got = converted(annotation, value)

    assert type(got) is type(expected)
    assert got is expected if isinstance(expected, np.ndarray) else got == expected


@pytest.mark.parametrize(
    ("annotation", "value", "says"),
    [
        (str, 3, "should be str, got 3"),
        (int, "3", "should be int, got '3'"),
        (int, 1.5, "should be int, got 1.5"),
        (str, True, "should be str, got True"),
        (float, True, "should be float, got True"),
        (list[int], [True], r"list\[int\]"),
        (bool, 1, "should be bool, got 1"),
        (str, b"x", "should be str"),
        (Reading, {"station": "98101"}, "celsius"),
        (Reading, {"station": 98101, "celsius": 1.0}, r"\$\.station"),
        (Reading, [], "should be Reading"),
        (Colour, "blue", "'blue'"),
        (uuid.UUID, "7", "should be UUID"),
        (list[int], [1, "2"], r"list\[int\]"),
        (Literal["a"], "b", "'b'"),
        (Annotated[int, msgspec.Meta(ge=1)], 0, ">= 1"),
        (Ref, "greeter", "expected Ref, got str"),
        (Ref[Greeter] | int, "greeter", "got str"),
        (np.ndarray, [1, 2], "expected ndarray, got list"),
        (Opaque, {}, "expected Opaque, got dict"),
        (str, 10**18 * 7, "got 7000"),
        (int, "x" * 1000, "got 'xxxx"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(annotation, value, says):
    with pytest.raises(ArgumentMismatch, match=says) as caught:
        converted(annotation, value)

    assert str(caught.value).startswith("greeter.take: argument 'value' should be")
    assert caught.value.argument == "value"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("method", "args", "kwargs", "expected"),
    [
        ("greet", ["LAN"], {}, (["LAN"], {})),
        ("greet", ["LAN", 2], {}, (["LAN", 2], {})),
        ("greet", [], {"who": "LAN"}, (["LAN"], {})),
        ("greet", ["LAN"], {"times": 2}, (["LAN", 2], {})),
        ("both", [1, 2], {}, ([1, 2], {})),
        ("both", [1], {"b": 2, "c": 3}, ([1, 2], {"c": 3})),
        ("many", [1, 2, 3], {"loud": True}, ([1, 2, 3], {"loud": True})),
        ("many", [], {}, ([], {})),
        ("loose", [Opaque], {"more": [1]}, ([Opaque, [1]], {})),
        (
            "note",
            [],
            {"reading": {"station": "a", "celsius": 1.0}},
            ([Reading("a", 1.0)], {}),
        ),
    ],
    ids=str,
)
def test_arguments_go_where_a_call_would_put_them(method, args, kwargs, expected):
    assert checked(method, *args, **kwargs) == expected


@pytest.mark.parametrize(
    ("method", "args", "kwargs", "argument", "says"),
    [
        ("greet", [], {}, "who", "missing a required argument: 'who'"),
        ("greet", ["a", 1, 2], {}, "*args", "too many positional arguments"),
        ("greet", ["a"], {"loud": 1}, "loud", "unexpected keyword argument 'loud'"),
        ("greet", ["a"], {"who": "b"}, "who", "multiple values for argument 'who'"),
        ("greet", ["a", "b"], {}, "times", "should be int"),
        ("both", [1, 2, 3], {}, "*args", "too many positional arguments"),
        ("both", [1, 2], {"c": "3"}, "c", "should be int"),
        ("many", [1, "2"], {}, "numbers", "should be int"),
        ("many", [], {"loud": 1}, "flags", "should be bool"),
    ],
    ids=str,
)
def test_a_call_that_cannot_be_names_its_argument(method, args, kwargs, argument, says):
    with pytest.raises(ArgumentMismatch, match=says) as caught:
        checked(method, *args, **kwargs)

    assert caught.value.argument == argument
    assert str(caught.value).startswith(f"greeter.{method}: ")


def test_a_missing_argument_is_answered_with_the_signature():
    with pytest.raises(ArgumentMismatch, match=r"\(who: str, times: int = 1\), got \(\)"):
        checked("greet")


def test_annotations_that_cannot_be_resolved_are_warned_of_and_not_checked():
    def take(self, value: "Nowhere"): ...  # noqa: F821 the point of this test

    with pytest.warns(UserWarning, match=r"arguments of Greeter.take are not checked.*Nowhere"):
        arguments = Arguments(Greeter, take)

    assert arguments.checked("greeter", ["anything"], {}) == ["anything"]


def test_what_came_is_left_as_it_was():
    value = {"station": "98101", "celsius": 1}

    converted(Reading, value)

    assert value == {"station": "98101", "celsius": 1}


# -- many calls in one go -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (int, [1, 2]),
        (float, [1.5, 2]),
        (bytes, [b"a", b""]),
        (Any, [1, "a", None]),
        (Colour, ["red", "red"]),
        (Reading, [{"station": "a", "celsius": 1}, {"station": "b", "celsius": 2.5}]),
        (Task, [{"name": "a"}, {"name": "b", "reply_to": Ref(Address("n", 1, "x"), None)}]),
        (list[Colour] | None, [None, ["red"]]),
        (uuid.UUID, ["12345678123456781234567812345678"]),
        (PurePosixPath, ["a/b"]),
    ],
)
def test_converting_many_in_one_go_is_converting_each(kind, values):
    def note(self, topic: str, value: kind) -> None:
        pass

    note.__annotations__ |= {"topic": str, "value": kind}
    arguments = Arguments(Opaque, note)
    topics, found = arguments.converted((["t"], values))
    each = [arguments.checked("a", ("t", value), {}) for value in values]
    assert (topics, found) == (["t"], [value for _, value in each])
    assert [*map(type, found)] == [type(value) for _, value in each]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (int, [1, "2"]),
        (int, [1, True]),  # Python takes it and msgspec does not: it is for `checked` to say
        (Reading, [{"station": "a", "celsius": 1}, {"station": "b"}]),
        (Ref[Any] | str, ["a"]),  # a union that msgspec knows nothing of
    ],
)
def test_one_that_perhaps_does_not_fit_leaves_all_to_be_checked_one_by_one(kind, values):
    def note(self, topic, value) -> None:
        pass

    note.__annotations__ = {"value": kind}
    assert Arguments(Opaque, note).converted((["t"], values)) is None


def test_columns_that_the_parameters_do_not_match_are_left_to_be_checked_one_by_one():
    def one(self, topic: str) -> None: ...
    def three(self, topic: str, value: int, more: int) -> None: ...
    def rest(self, topic: str, *values: int) -> None: ...
    def two_at_least(self, topic: str, value: int, more: int = 0) -> None: ...

    columns = (["t"], [1, 2])
    for function in (one, three, rest):
        assert Arguments(Opaque, function).converted(columns) is None
    assert Arguments(Opaque, two_at_least).converted(columns) == [["t"], [1, 2]]
