"""What a program has to wait for before its first line: modules are counted, not seconds."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

import actormq

USUAL = "from actormq import Actor, Node, handler, run"

LOADED = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""

NEVER = {
    *("zeroconf", "ifaddr", "sqlite3", "rich", "click", "dns", "numpy", "psutil", "ctypes"),
    *("hashlib", "secrets", "tempfile", "shutil", "difflib", "multiprocessing", "pytest"),
    *("actormq.patterns", "actormq.devices", "actormq.farm", "actormq.doctor", "actormq.cli"),
    *("actormq.testing", "actormq.cluster.mdns", "actormq.elsewhere.process", "actormq.hired"),
}
"""What a program that starts a node need not load, with all that is below it."""

OTHER_COMMANDS = {
    f"actormq.cli.{name}" for name in ("asking", "bench", "device", "doctor", "farm", "lint")
}


def output(program):
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def loaded(statement):
    return set(json.loads(output(LOADED.format(statement=statement))))


def test_the_package_loads_no_module_before_it_is_asked_for_one():
    found = loaded("import actormq")

    own = {name for name in found if name.startswith("actormq")}
    assert {".".join(name.split(".")[:2]) for name in own} == {
        *("actormq", "actormq.errors", "actormq.run")
    }
    assert not found & {"asyncio", "zmq", "tornado", "msgspec", "msgpack"}


NODE_COMMAND = "from actormq.cli import main; main.get_command(None, 'node')"


@pytest.mark.parametrize(
    ("statement", "expected", "never"),
    [
        (USUAL, {"actormq.node"}, NEVER),
        (NODE_COMMAND, {"actormq.cli.running"}, NEVER - {"click", "actormq.cli"} | OTHER_COMMANDS),
    ],
    ids=["program", "command"],
)
def test_a_node_loads_only_what_a_node_needs(statement, expected, never):
    found = loaded(statement)

    assert expected <= found
    parts = [name.split(".") for name in found]
    whole = {".".join(each[:count]) for each in parts for count in range(1, len(each) + 1)}
    assert whole & never == set()


def test_no_dataclass_is_made():
    """One costs as much as thirty Structs: see docs/benchmarks/README.md."""
    program = f"""
import dataclasses
made = []
real = dataclasses._process_class
def noted(kind, *options):
    made.append(f"{{kind.__module__}}.{{kind.__name__}}")
    return real(kind, *options)
dataclasses._process_class = noted
{USUAL}
print(*made)
"""

    assert output(program).split() == []


def test_run_is_a_function_however_its_module_is_imported():
    program = "import actormq.run, importlib; importlib.import_module('actormq.run'); "

    assert output(program + "print(actormq.run.__qualname__, actormq.run.__module__)") == (
        "run actormq.run"
    )


def test_no_other_name_is_one_of_a_module_too():
    assert [name for name in actormq.__all__ if find_spec(f"actormq.{name}")] == ["run"]


def test_modules_are_there_for_whoever_asks_the_package_and_nothing_else_is():
    assert output("import actormq; print(actormq.endpoint.__name__)") == "actormq.endpoint"
    with pytest.raises(AttributeError, match="module 'actormq' has no attribute 'Nodes'"):
        _ = actormq.Nodes


def test_all_public_names_are_listed_before_they_are_used():
    program = "import actormq; print(set(actormq.__all__) <= set(dir(actormq)))"

    assert output(program) == "True"


def test_a_star_brings_all_of_them():
    program = "from actormq import *; print(Farm.__name__, Queue.__name__, child.__name__)"

    assert output(program) == "Farm Queue child"
