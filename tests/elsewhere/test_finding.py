"""Classes by name."""

import sys

import crunchers
import pytest
from crunchers import Cruncher

from actormq import SetupError
from actormq.elsewhere import finding

SCRIPT = """
from actormq import Actor, run

STEPS = ["top"]


class Outer:
    class Inner(Actor):
        runs_in = "process"


run(lambda node: None)
STEPS.append("beyond run")
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A user's script, loaded as a process of one of its actors loads it."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    monkeypatch.delitem(sys.modules, finding.LOADED_MAIN, raising=False)
    finding.load_main(str(path), None)
    yield sys.modules[finding.LOADED_MAIN]
    del sys.modules[finding.LOADED_MAIN]


def test_a_class_is_found_again_by_what_names_it():
    assert finding.target_of(Cruncher) == "crunchers:Cruncher"
    assert finding.found("crunchers:Cruncher") is Cruncher


def test_a_script_is_loaded_up_to_where_it_starts_its_node_and_once(script):
    assert script.STEPS == ["top"]
    finding.load_main("/nowhere/else.py", None)
    assert sys.modules[finding.LOADED_MAIN] is script


def test_a_class_of_the_script_is_main_s_on_both_sides(script):
    assert finding.target_of(script.Outer.Inner) == "__main__:Outer.Inner"
    assert finding.found("__main__:Outer.Inner") is script.Outer.Inner


def test_run_goes_on_where_no_script_is_loaded():
    finding.pass_over()


@pytest.mark.parametrize("name", ["Nothing", "Point", "Cruncher.add", "asyncio"])
def test_what_is_no_actor_class_is_refused(name):
    with pytest.raises(SetupError, match=f"crunchers:{name} is no actor class"):
        finding.found(f"crunchers:{name}")


def test_a_class_under_another_name_is_refused(monkeypatch):
    monkeypatch.setattr(crunchers, "Cruncher", object)
    with pytest.raises(SetupError, match="crunchers:Cruncher is not where its name says"):
        finding.target_of(Cruncher)
