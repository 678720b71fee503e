"""The suite finds all planted bugs: the list in scripts/ fits the code, and none survives."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from mutants import FOUND, SURVIVED, Mutant, mutants, verdicts  # noqa: E402 it is no package

BACKOFF = "actormq/rules/backoff.py"
TESTS = ("tests/rules/test_backoff.py",)
PARTS = 4


def test_each_planted_bug_has_exactly_one_place():
    assert [misfit for mutant in mutants() if (misfit := mutant.misfit(ROOT))] == []


def test_there_are_more_than_enough_planted_bugs_and_each_is_another_one():
    planted = mutants()
    assert len(planted) >= 20
    assert [why for why, count in Counter(map(str, planted)).items() if count > 1] == []
    assert all(mutant.old != mutant.new for mutant in planted)


def sample():
    """All bugs of the rules, whose tests are fast, and one of each other file; all take minutes."""
    others = {mutant.file: mutant for mutant in mutants() if "/rules/" not in mutant.file}
    return [mutant for mutant in mutants() if "/rules/" in mutant.file or mutant in others.values()]


def portions():
    """The sample in parts that several workers share: by file, since its tests are run once."""
    files = {}
    for mutant in sample():
        files.setdefault(mutant.file, []).append(mutant)
    parts = [[] for _ in range(PARTS)]
    for bugs in sorted(files.values(), key=len, reverse=True):
        min(parts, key=len).extend(bugs)
    return parts


def test_bugs_are_planted_in_all_that_decides_on_lives_and_messages():
    planted = {mutant.file for mutant in mutants()}
    names = ["cell", "cluster/watches", "family", "instance", "ledger", "mailbox", "turns"]
    assert planted >= {f"actormq/{name}.py" for name in names}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("planted", portions(), ids=lambda planted: f"{len(planted)} bugs")
def test_the_tests_find_the_planted_bugs(planted):
    said = verdicts(planted, jobs=1)
    assert [(str(mutant), verdict) for mutant, verdict in said if verdict != FOUND] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_no_bug_is_not_found_and_what_does_not_fit_is_told():
    harmless = Mutant(BACKOFF, "if not self.first:", "if self.first == 0.0:", "the same", TESTS)
    nowhere = Mutant(BACKOFF, "if not self.last:", "", "not there", TESTS)
    unread = Mutant(BACKOFF, "import sys\n", "import sys as\n", "no Python", TESTS)
    said = [verdict for _, verdict in verdicts([harmless, nowhere, unread])]
    assert said[:2] == [
        SURVIVED,
        f"{BACKOFF}: not there: its old text is there 0 times, not once",
    ]
    assert said[2].startswith("the tests ended with ")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_bugs_whose_tests_fail_without_them_count_as_not_found():
    mutant = Mutant(BACKOFF, "if not self.first:", "if True:", "no wait", ("tests/none_such.py",))
    assert list(verdicts([mutant])) == [(mutant, "its tests fail without it")]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("new", "said", "code"), [("if True:", "1 of 1", 0), ("if self.first == 0:", "0 of 1", 1)]
)
def test_the_script_fails_if_a_bug_survives(tmp_path, new, said, code):
    planted = tmp_path / "list.toml"
    planted.write_text(
        f'[[mutant]]\nfile = "{BACKOFF}"\nold = "if not self.first:"\nnew = "{new}"\n'
        f'why = "no wait"\ntests = {list(TESTS)}\n'
    )
    command = [sys.executable, ROOT / "scripts" / "mutants.py", "--list", planted, "no", "wait"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.splitlines()[-1], done.returncode) == (f"{said} bugs found", code)
