"""Imports point downward, and users' code sees public names only."""

import ast
import re
from pathlib import Path

import pytest

import actormq

ROOT = Path(__file__).parents[1]

LAYERS = [
    {
        *("errors", "settings", "seeds", "address", "message", "events", "ledger"),
        *("wording", "kept", "forms", "packer", "unpacker", "codec"),
        *("report", "members", "memory"),
    },
    {"multicast", "endpoint"},
    {"rules"},
    {"loop", "deadlines", "stepping", "port", "transport", "inlet", "threads"},
    {
        *(
            "definition",
            "reply",
            "ref",
            "arguments",
            "context",
            "signals",
            "marks",
            "actor",
            "supervisor",
            "runtime",
        ),
        "place",
        *(
            "mailbox",
            "entrance",
            "failing",
            "turns",
            "timers",
            "family",
            "stopping",
            "extras",
            "instance",
            "parting",
            "cell",
            "registry",
        ),
        *("waits", "stacks", "watchdog"),
    },
    {"cluster"},
    {"patterns"},
    {"devices"},
    {"elsewhere"},
    {"farm"},
    {
        *("draining", "unended", "machine", "steward", "assembly"),
        *(
            "life",
            "node",
            "collector",
            "ending",
            "run",
            "topology",
            "blueprint",
            "hired",
            "executor",
        ),
    },
    {"", "observe", "doctor"},
    {"cli", "testing", "interrupts", "__main__"},
]
"""From the ground up, a module or a folder each; "" is the package's own list of names."""

UPWARD = {
    ("life", "observe.logs"): "only life.py knows everyone: it lets each node's log be written",
}
"""Imports that point upward, and why they may."""


def modules():
    """Each module of the package by its name below `actormq`, with its syntax tree."""
    for path in sorted((ROOT / "actormq").rglob("*.py")):
        parts = path.relative_to(ROOT / "actormq").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree):
    """What a module imports at run time, not for type checkers only: (module, name) pairs."""
    if isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test):
        return
    if isinstance(tree, ast.Import):
        yield from ((alias.name, None) for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        assert not tree.level, "the package imports absolutely"
        yield from ((tree.module, alias.name) for alias in tree.names)
    for child in ast.iter_child_nodes(tree):
        yield from imported(child)


def graph():
    """Which module of the package imports which."""
    trees = dict(modules())
    edges = {}
    for name, tree in trees.items():
        found = set()
        for module, what in imported(tree):
            first, _, below = module.partition(".")
            if first == "actormq":
                inner = f"{below}.{what}".strip(".")
                found.add(inner if inner in trees else below)
        edges[name] = found
    return edges


def layer(name):
    own = name.partition(".")[0]
    return next((number for number, names in enumerate(LAYERS) if own in names), None)


def test_every_module_stands_in_one_layer():
    assert [name for name in graph() if layer(name) is None] == []
    names = [name for names in LAYERS for name in names]
    assert len(names) == len(set(names))


def test_no_import_points_upward():
    upward = {
        (name, other)
        for name, others in graph().items()
        for other in others
        if layer(other) > layer(name)
    }
    assert upward == set(UPWARD)


def test_no_imports_form_a_circle():
    edges = graph()
    done = set()

    def visit(name, above):
        assert name not in above, " -> ".join([*above[above.index(name) :], name])
        if name not in done:
            for other in sorted(edges[name]):
                visit(other, [*above, name])
            done.add(name)

    for name in edges:
        visit(name, [])


@pytest.mark.parametrize("folder", ["apps", "examples"])
def test_what_users_could_write_imports_what_users_can_import(folder):
    for path in sorted((ROOT / folder).rglob("*.py")):
        for module, name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            if module.partition(".")[0] == "actormq":
                where = f"{path.relative_to(ROOT)} imports {module}.{name}"
                assert module == "actormq", where
                assert name in actormq.__all__, where


def test_the_page_on_architecture_lists_every_module():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| Layer |")[2].partition("\n\n")[0]
    names = {name for names in LAYERS for name in names if name not in {"", "__main__"}}
    listed = set(re.findall(r"`(\w+)/?`", table))
    assert names - listed == set()
