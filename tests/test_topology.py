"""Topology files: good ones are read, and each mistake is said in one sentence."""

import sys
from typing import Any

import pytest

from actormq import SetupError
from actormq.topology import Plan, checked_args, find_class, from_json, load, parse, read_args

MODULE = """
from actormq import Actor, handler


class Lamp(Actor):
    @handler
    def on(self) -> None: ...


class Station(Actor):
    def __init__(self, station: str, speed: float = 0.0, columns: list[str] | None = None) -> None:
        self.station = station


class Untyped(Actor):
    def __init__(self, size=3, **others): ...


class Outer:
    class Inner(Actor): ...


class Tool: ...


value = 3
"""
MODULES = {
    "gadgets": MODULE,
    "gadgets_that_raise": "raise OSError('no sensor\\nhere')",
    "gadgets_that_end": "raise SystemExit('use me as a program')",
    "gadgets_with_a_slip": "def on(:",
    "gadgets_that_need": "import gadg",
    "gadgets_unused": "",
    "gadgets_lazy": """
__all__ = ["Lamp", "Broken"]
def __getattr__(name):
    if name == "Lamp":
        import gadgets
        return gadgets.Lamp
    if name == "Broken":
        import gadgets_that_raise
    raise AttributeError(name)
""",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with modules in it that are forgotten afterwards."""
    for name, source in MODULES.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


def said(call, *args):
    """The sentence of the error that a call raises."""
    with pytest.raises(SetupError) as caught:
        call(*args)
    return str(caught.value)


# -- good files -----------------------------------------------------------------------------------


def test_a_file_says_what_a_node_runs_in_order(folder):
    (folder / "home.toml").write_text("""
        [node]
        name = "roof"
        mesh = "home"
        discovery = false
        join = ["192.168.1.20:4711"]

        [[actor]]
        class = "gadgets:Station"
        name = "station-98101"
        args = { station = "98101", speed = 2 }

        [[actor]]
        class = "gadgets:Lamp"
    """)
    topology = load("home.toml")
    gadgets = sys.modules["gadgets"]
    assert topology.node == {
        "name": "roof",
        "mesh": "home",
        "discovery": False,
        "join": ["192.168.1.20:4711"],
    }
    assert topology.actors == [
        Plan(gadgets.Station, "station-98101", {"station": "98101", "speed": 2.0}),
        Plan(gadgets.Lamp, "lamp", {}),
    ]


@pytest.mark.parametrize("text", ["", "# nothing yet", "[node]", "actor = []"])
def test_what_is_not_said_is_left_to_the_defaults(text):
    topology = parse(text, "home.toml")
    assert (topology.node, topology.actors) == ({}, [])


def test_standard_input_is_a_file_too(monkeypatch, folder):
    (folder / "piped").write_text('[node]\nname = "roof"')
    with (folder / "piped").open() as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        assert load("-").node == {"name": "roof"}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("gadgets:Lamp", "Lamp"),
        ("gadgets:Outer.Inner", "Inner"),
        ("gadgets_lazy:Lamp", "Lamp"),
        ("apps.weather:Station", "Station"),
    ],
)
def test_a_class_is_found_in_this_folder_and_in_packages(target, name):
    assert find_class(target).__name__ == name


# -- bad files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "name", "says"),
    [
        (
            None,
            "away.toml",
            (
                "away.toml cannot be read: No such file or directory; "
                "name a topology file such as home.toml"
            ),
        ),
        (
            lambda path: path.mkdir(),
            "folder.toml",
            "folder.toml cannot be read: Is a directory; name a topology file such as home.toml",
        ),
        (
            lambda path: path.write_bytes(b'name = "\xff"'),
            "latin.toml",
            (
                "latin.toml cannot be read: it is no UTF-8 text; "
                "name a topology file such as home.toml"
            ),
        ),
        (
            lambda path: path.write_text("[node\nname = 3"),
            "slip.toml",
            (
                "slip.toml is no TOML: Expected ']' at the end of a table declaration "
                "(at line 1, column 6)"
            ),
        ),
    ],
    ids=["missing", "directory", "no text", "no TOML"],
)
def test_what_cannot_be_read_is_named(folder, make, name, says):
    if make is not None:
        make(folder / name)
    assert said(load, name) == says


ACTOR = '[[actor]]\nclass = "gadgets:Station"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[nodes]", "home.toml: unknown table [nodes]: it has [node] and [[actor]]"),
        (
            ACTOR + 'restart = "sometimes"',
            (
                "home.toml, actor 1: restart policy 'sometimes' is unknown: "
                "take 'always', 'on_error' or 'never'"
            ),
        ),
        ("name = 3", "home.toml: unknown table [name]: it has [node] and [[actor]]"),
        ("node = 3", "home.toml: [node] is one table, [[actor]] one for each actor"),
        (
            '[actor]\nclass = "gadgets:Lamp"',
            "home.toml: [node] is one table, [[actor]] one for each actor",
        ),
        ("[node]\nnam = 'roof'", "home.toml, [node]: unknown setting 'nam': a node knows name, "),
        ("[node]\nmesh = 'a/b'", "home.toml, [node]: mesh name 'a/b' cannot be used: take 1 to 63"),
        ("[node]\nname = 'a b'", "home.toml, [node]: node name 'a b' cannot be used: take 1 to 63"),
        (
            "[node]\nmesh = 3",
            "home.toml, [node]: setting mesh: expected str, got int, not 3",
        ),
        ("[node]\nport = 70000", "setting port: expected int <= 65535, not 70000"),
        ("[node]\njoin = 'a:1'", "home.toml, [node]: join takes a list of 'HOST:PORT', not one"),
        (
            "[node]\njoin = ['a:x']",
            "home.toml, [node]: 'a:x' is no HOST or HOST:PORT: take roof, roof:4711",
        ),
        ("actor = [3]", 'home.toml, actor 1: needs class = "module:Class"'),
        ("[[actor]]\nname = 'lamp'", 'home.toml, actor 1: needs class = "module:Class"'),
        ("[[actor]]\nclass = 3", 'home.toml, actor 1: needs class = "module:Class"'),
        (
            '[[actor]]\nclass = "gadgets:Lamp"\n[[actor]]\nclass = "gadgets:Lmap"',
            "home.toml, actor 2: module 'gadgets' has no class 'Lmap': it has Lamp, ",
        ),
        (
            ACTOR + "arg = { station = '98101' }",
            "home.toml, actor 1: unknown key 'arg': it has class, name, args, restart",
        ),
        (
            ACTOR + "name = 3",
            "home.toml, actor 1: name is a text, args a table such as { station = '98101' }",
        ),
        (
            ACTOR + "args = ['98101']",
            "home.toml, actor 1: name is a text, args a table such as { station = '98101' }",
        ),
        (
            ACTOR,
            (
                "home.toml, actor 1 (station): Station cannot be made of these args: "
                "missing a required argument: 'station'; it takes station, speed, columns"
            ),
        ),
        (
            ACTOR + "args = { station = '98101', sped = 1 }",
            (
                "home.toml, actor 1 (station): Station cannot be made of these args: "
                "got an unexpected keyword argument 'sped'; it takes station, speed, columns"
            ),
        ),
        (
            ACTOR + "args = { station = 98101 }",
            (
                "home.toml, actor 1 (station): argument 'station' does not fit: "
                "Expected `str`, got `int`"
            ),
        ),
        (
            ACTOR + "args = { station = '98101', columns = ['wind', 3] }",
            "argument 'columns' does not fit: Expected `str`, got `int` - at `$[1]`",
        ),
        (
            '[[actor]]\nclass = "gadgets:Lamp"\nargs = { n = 1 }',
            (
                "Lamp cannot be made of these args: got an unexpected keyword argument 'n'; "
                "it takes nothing"
            ),
        ),
    ],
)
def test_each_mistake_in_a_file_is_named_with_its_place(text, says):
    sentence = said(parse, text, "home.toml")
    assert says in sentence
    assert sentence.startswith("home.toml")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("gadgets", "'gadgets' is no class: write it as module:Class"),
        ("gadgets:", "'gadgets:' is no class: write it as module:Class"),
        (":Lamp", "':Lamp' is no class: write it as module:Class"),
        ("gadget:Lamp", "there is no module 'gadget': looked in this folder and in the installed"),
        ("gadgets.sub:Lamp", "there is no module 'gadgets.sub': looked in this folder and in"),
        ("gadgets_that_need:Lamp", "module 'gadgets_that_need' needs 'gadg': install it"),
        (
            "gadgets_that_raise:Lamp",
            "module 'gadgets_that_raise' cannot be imported: OSError: no sensor",
        ),
        (
            "gadgets_that_end:Lamp",
            "module 'gadgets_that_end' cannot be imported: SystemExit: use me as a program",
        ),
        (
            "gadgets_with_a_slip:Lamp",
            (
                "module 'gadgets_with_a_slip' cannot be imported: SyntaxError: invalid syntax "
                "(gadgets_with_a_slip.py, line 1)"
            ),
        ),
        ("gadgets_lazy:Broken", "module 'gadgets_lazy' cannot be imported: OSError: no sensor"),
        (".gadgets:Lamp", "module '.gadgets' cannot be imported: TypeError: "),
        ("gadgets:Lmap", "module 'gadgets' has no class 'Lmap': it has Lamp, Station, Untyped"),
        ("gadgets:Outer.Iner", "module 'gadgets' has no class 'Outer.Iner': it has Lamp, "),
        ("gadgets_unused:Lamp", "module 'gadgets_unused' has no class 'Lamp': it has no actor"),
        ("apps.weather:Statoin", "has no class 'Statoin': it has Average, Extremes, HostStation, "),
        ("gadgets:Tool", "gadgets:Tool is no actor: it does not extend actormq.Actor"),
        ("gadgets:value", "gadgets:value is no actor: it does not extend actormq.Actor"),
        ("gadgets:Lamp.on", "gadgets:Lamp.on is no actor: it does not extend actormq.Actor"),
        ("actormq:Actor", "actormq:Actor is no actor: it does not extend actormq.Actor"),
    ],
)
def test_what_is_no_actor_class_is_named_with_the_way_out(target, says):
    assert said(find_class, target).startswith(says) or says in said(find_class, target)


# -- arguments ------------------------------------------------------------------------------------


def constructor(kind: Any) -> type:
    class Anything:
        def __init__(self, value: kind) -> None: ...

    return Anything


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, "98101", "98101"),
        (str, '"98101"', '"98101"'),
        (str, "", ""),
        (str | None, "98101", "98101"),
        (int, "98101", 98101),
        (float, "2", 2.0),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (bool, "0", False),
        (float | None, "null", None),
        (list[int], "[1, 2]", [1, 2]),
        (dict[str, float], '{"a": 1}', {"a": 1.0}),
        (Any, "98101", 98101),
        (Any, "station", "station"),
        (Any, '{"a": [1, null]}', {"a": [1, None]}),
    ],
)
def test_a_text_is_read_as_what_the_constructor_wants(kind, text, value):
    found = read_args(constructor(kind), {"value": text})
    assert found == {"value": value}
    assert type(found["value"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (int, "two", "--arg value=two: Expected `int`, got `str`"),
        (int, "2.5", "--arg value=2.5: "),
        (bool, "perhaps", "--arg value=perhaps: "),
        (list[int], "1, 2", "--arg value=1, 2: "),
    ],
)
def test_a_text_that_does_not_fit_is_named_with_its_argument(kind, text, says):
    assert said(read_args, constructor(kind), {"value": text}).startswith(says)


def test_arguments_without_annotations_are_json_or_text_and_may_be_any():
    kind = find_class("gadgets:Untyped")
    args = read_args(kind, {"size": "4", "colour": "red"})
    assert checked_args("here", kind, args) == {"size": 4, "colour": "red"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("LAN", "LAN"),
        ('"LAN"', "LAN"),
        ("3", 3),
        ("-0.5", -0.5),
        ("true", True),
        ("null", None),
        ("[1, 2", "[1, 2"),
        ("", ""),
        ("NaN", "NaN"),
        ("\udcff", "\udcff"),
        ("[" * 100_000, "[" * 100_000),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_json_is_a_text(text, value):
    found = from_json(text)
    assert found == value
    assert type(found) is type(value)
