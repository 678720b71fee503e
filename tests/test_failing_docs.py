"""What docs/failing.md shows runs as it stands and prints what stands below it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from actormq import Actor, Backoff, Supervisor, child
from actormq.rules.restart import POLICIES, STRATEGIES
from actormq.settings import CONCURRENT_LIMIT, SOCKET_WINDOW, Settings
from actormq.wording import TEXT_LIMIT

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "failing.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(
    r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
)
STATUS = {"giving_up.py": 3}


def name(program):
    """What the first line of a program calls it."""
    return program.splitlines()[0].split()[-1].rpartition("/")[2]


@pytest.mark.slow
@pytest.mark.parametrize(("program", "printed"), PROGRAMS, ids=[name(p) for p, _ in PROGRAMS])
def test_a_program_of_the_page_prints_what_stands_below_it(program, printed, tmp_path):
    path = tmp_path / name(program)
    path.write_text(program, encoding="utf-8")
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.stdout, done.returncode) == (printed, STATUS.get(path.name, 0)), done.stderr


def test_each_block_of_the_page_is_such_a_program():
    assert len(PROGRAMS) == PAGE.count("```python") >= 6
    assert len({name(program) for program, _ in PROGRAMS}) == len(PROGRAMS)


def test_the_first_program_is_the_example_word_for_word():
    assert PROGRAMS[0][0] == (ROOT / "examples" / "supervised.py").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(180)  # as long as others check types
def test_the_programs_are_typed_strictly(tmp_path, type_checking):
    for program, _ in PROGRAMS:
        tmp_path.joinpath(name(program)).write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_page_names_all_there_is_and_its_defaults():
    spec, backoff, settings = child(Actor), Backoff(), Settings()
    figures = ", ".join(f"{each}={getattr(backoff, each)}" for each in backoff.__struct_fields__)
    assert f"`Backoff({figures})`" in PAGE
    assert f"| {Supervisor.max_restarts}, {Supervisor.period:g} s |" in PAGE
    assert f'| `strategy` | `"{Supervisor.strategy}"` |' in PAGE
    assert f'| `.restarts("{spec.policy}")` | restart it when it fails; that is usual |' in PAGE
    assert [each for each in (*POLICIES, *STRATEGIES) if f'"{each}"' not in PAGE] == []
    limits = (settings.mailbox_limit, CONCURRENT_LIMIT, SOCKET_WINDOW, TEXT_LIMIT)
    assert [limit for limit in limits if f"{limit:_}".replace("_", " ") not in PAGE] == []
    assert f"`link_limit` of the node: {settings.link_limit >> 20} MiB" in PAGE
