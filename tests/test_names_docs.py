"""docs/names.md says what is so: its program is the example, its figures are those of the code."""

import re
from pathlib import Path

from actormq.actor import Actor
from actormq.cluster.pulse import SETTLE
from actormq.definition import HOOKS
from actormq.errors import ActorNotFound
from actormq.rules.election import majority
from actormq.settings import DRAIN_QUIET, DRAIN_SHARE, OFFER_KNOWN, STANDBY_LIMIT

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "names.md").read_text(encoding="utf-8")


def test_the_program_is_the_example_word_for_word():
    program, *fragments = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert program == (ROOT / "examples" / "elected.py").read_text(encoding="utf-8")
    assert fragments == ["run(main, expected_nodes=5)\n"]


def test_the_figures_are_those_of_the_code():
    assert (STANDBY_LIMIT, SETTLE) == (2.0, 1.5)
    assert "or has had 2 s for it" in PAGE
    assert "for a second and a half" in PAGE
    assert OFFER_KNOWN == DRAIN_QUIET == DRAIN_SHARE == 0.5
    assert "that it has not offered for half a second" in PAGE
    assert "nothing was under way for half a second" in PAGE
    assert majority(5) == 3
    assert majority(2) == 2


def test_the_hooks_are_there():
    for hook in ("on_elected", "on_standby"):
        assert f"| `async def {hook}(self)` |" in PAGE
        assert HOOKS[hook] == 0
        assert hasattr(Actor, hook)


def test_what_find_says_on_the_smaller_side_is_said_word_for_word():
    why = "2 of 5 expected nodes are here, and nobody is elected by fewer than 3"
    assert f"```text\n{ActorNotFound('scheduler', 'home', 5.0, why)}\n```" in PAGE
