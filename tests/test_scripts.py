"""What a fresh clone stands on: its scripts, and that no file knows the machine it was made on."""

import ast
import os
import re
import shutil
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT / "scripts", ROOT / "scripts" / "benchmarks")
SCRIPTS = sorted(path for folder in FOLDERS for path in folder.iterdir() if path.is_file())
CODE_LINES = 400  # of one module: beyond it, it is two

ELSEWHERE = re.compile(r"(?<![\w.}])(?<!ipc://)/(tmp|work|root|home/\w+|Users/\w+)/")
"""Paths of one machine or one user. Tests as well ask for a folder (tmp_path), they know none."""


def is_shell(path):
    return path.suffix == ".sh" or path.read_text(encoding="utf-8").startswith(
        ("#!/usr/bin/env bash\n", "#!/bin/bash\n", "#!/bin/sh\n")
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_what_it_is_for_and_can_be_run(path):
    if is_shell(path):
        subprocess.run(["bash", "-n", str(path)], check=True)
    if not path.suffix:
        first, second = path.read_text(encoding="utf-8").splitlines()[:2]
        assert first.startswith("#!/usr/bin/env ")
        assert second.startswith(("# ", '"""'))
        assert os.access(path, os.X_OK)


def test_ci_runs_the_test_script_and_nothing_else(tmp_path):
    (tmp_path / ".ci").mkdir()
    (tmp_path / "scripts").mkdir()
    run = shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    stand_in = tmp_path / "scripts" / "test"
    stand_in.write_text('#!/bin/sh\necho "called with $# arguments"\nexit 3\n')
    stand_in.chmod(0o755)
    done = subprocess.run([run], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("called with 0 arguments\n", "")
    assert done.returncode == 3
    own = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert len([line for line in own if not line.startswith("#")]) == 1


def tracked():
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout: there is no list of what belongs to the project")
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_file_knows_a_path_of_one_machine():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ELSEWHERE.search(line)
    ]
    assert found == []


def code_lines(path):
    """Lines of a module that do something: no blank lines, comments or docstrings."""
    with tokenize.open(path) as file:
        tokens = list(tokenize.generate_tokens(file.readline))
    quiet = {
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
        *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
    }
    held = set()
    for token in tokens:
        if token.type not in quiet:
            held.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                held.difference_update(range(node.lineno, node.end_lineno + 1))
    return len(held)


def test_no_module_has_outgrown_one_thought():
    modules = [p for folder in ("actormq", "apps") for p in (ROOT / folder).rglob("*.py")]
    sizes = {str(path.relative_to(ROOT)): code_lines(path) for path in modules}
    assert len(sizes) > 50
    assert {name: size for name, size in sizes.items() if size > CODE_LINES} == {}
