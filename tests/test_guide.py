"""docs/guide.md leaves nothing out that it lists, and its classes can be defined."""

import re
from pathlib import Path

import actormq
from actormq.settings import Settings

GUIDE = (Path(__file__).parents[1] / "docs" / "guide.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
CLASSES = [block for block in BLOCKS if "class " in block]


def section(title):
    """The text under a heading of the page, up to the next one."""
    return GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(text):
    return set(re.findall(r"`(\w+)`", text))


def test_the_guide_lists_every_setting_of_a_node():
    assert set(Settings.__struct_fields__) - named(section("Nodes")) == set()


def test_the_guide_lists_every_error():
    public = [getattr(actormq, name) for name in actormq.__all__]
    errors = [it for it in public if isinstance(it, type) and issubclass(it, Exception)]
    assert len(errors) > 30
    assert [it.__name__ for it in errors if it.__name__ not in named(section("Errors"))] == []


def test_the_guide_lists_what_a_handler_can_be_marked_with():
    marks = set(re.findall(r"`@handler\((\w+)=", section("Actors")))
    assert marks == {"concurrent", "blocking", "retry", "raises"}


def test_the_classes_that_the_guide_shows_can_be_defined_one_after_another():
    names = {name: getattr(actormq, name) for name in actormq.__all__}
    namespace = {"__name__": "guide", **names}
    for block in CLASSES:
        exec(compile(block, "guide", "exec", dont_inherit=True), namespace)
    own = [it for it in namespace.values() if getattr(it, "__module__", "") == "guide"]
    assert len(own) == GUIDE.count("\nclass ")
    assert [it for it in own if not issubclass(it, actormq.Actor)] == []
