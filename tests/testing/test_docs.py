"""What docs/testing.md shows is run as it stands, by pytest and by mypy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"


def files():
    """The programs of the page by the names in their first lines."""
    form = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    blocks = form.findall(PAGE.read_text())
    assert len(blocks) == PAGE.read_text().count("```python")
    return dict(blocks)


@pytest.fixture
def nothing_left():
    """The tests of the page look after themselves, in this very process."""


def test_all_that_the_page_shows_passes(pytester):
    for name, text in files().items():
        pytester.path.joinpath(name).write_text(text)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.syspathinsert()
    # A process of its own: this one knows other modules of the same names.
    done = pytester.runpytest_subprocess("-pno:cacheprovider", "-pno:hypothesispytest")
    tests = sum(text.count("def test_") for text in files().values())
    done.assert_outcomes(passed=tests)
    assert tests >= 10


def test_the_first_test_has_ten_lines():
    assert len(files()["test_first.py"].splitlines()) <= 10


@pytest.mark.slow
@pytest.mark.timeout(180)  # as long as others check types
def test_the_page_is_typed_as_strictly_as_the_kit(tmp_path, type_checking):
    for name, text in files().items():
        tmp_path.joinpath(name).write_text(text)
    paths = sorted(map(str, tmp_path.iterdir()))
    command = [sys.executable, "-m", "mypy", "--strict", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1].startswith("Success"), done.stdout


def test_the_page_names_every_fixture_and_every_option(pytestconfig):
    text = PAGE.read_text()
    plugin = pytestconfig.pluginmanager.get_plugin("actormq")
    fixtures = [name for name, value in vars(plugin).items() if hasattr(value, "_fixture_function")]
    assert len(fixtures) >= 9
    for name in [name for name in fixtures if not name.startswith("_")]:
        assert f"| `{name}` |" in text
    for option in ("actormq_deadline", "actormq_async_tests", "actormq_ignored_threads"):
        assert f"| `{option}` |" in text
