"""Plants known bugs in a copy of the tree, and sees whether the tests find each of them.

A test suite that is green says little until it has been seen red. Each bug of `mutants.toml` is a
text of one file, what to put in its place, why that is wrong, and the tests that should notice.
It is found if those tests fail, or do not end in time. They have to pass without it.

Exits with 1 if a bug survives, or does not fit the code any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[1]
LIST = ROOT / "scripts" / "mutants.toml"
COPIED = ("actormq", "apps", "examples", "tests", "pyproject.toml")

TEST_SECONDS = 60  # s for the tests of one bug, which take about 2; a bug may make them hang
EXAMPLES = 50  # tries of a state machine per bug: one that needs more should have a table too

FOUND, SURVIVED = "found", "survived"
OPTIONS = ("-x", "-q", "-m", "not slow", "--assert=plain", "-p", "no:cacheprovider")
# Nobody reads what failed, so asserts need not be rewritten: that takes half of the time.

ELSEWHERE = "PYTHONPYCACHEPREFIX"  # where what is compiled goes: here, it is copied with the tree

_PASSED, _FAILED = 0, 1  # pytest's exit codes; others mean that it could not run the tests


WARM = """
import os, sys
import hypothesis.stateful, msgpack, msgspec, psutil, pytest, tornado.ioloop, zeroconf, zmq
for line in sys.stdin:
    child = os.fork()
    if not child:
        code = 3
        try:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(nowhere, number)
            code = pytest.main(line.rstrip("\\n").split("\\0"))
        finally:
            os._exit(int(code))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Has loaded all that no bug is planted in, and forks for each run: that saves half of the time."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug.

    Attributes:
        file: Where it is planted, below the root of the tree.
        old: What stands there, exactly once.
        new: What stands there instead.
        why: What is wrong with it, in words.
        tests: What should find it: files or tests, below the root as well; those marked slow
            are left out.
    """

    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.why}"

    def misfit(self, root: Path) -> str | None:
        """Say why it cannot be planted; None if it can."""
        count = (root / self.file).read_text(encoding="utf-8").count(self.old)
        return None if count == 1 else f"{self}: its old text is there {count} times, not once"


def mutants(path: Path = LIST) -> list[Mutant]:
    """Read a list of bugs."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    return [Mutant(**{**table, "tests": tuple(table["tests"])}) for table in tables]


class Tree:
    """A copy of the project that bugs can be planted in.

    Args:
        folder: Where it is made.
        source: What is copied: the project, or another copy, with all that is compiled there.
    """

    def __init__(self, folder: Path, source: Path = ROOT) -> None:
        self.folder = folder
        self._warm: subprocess.Popen[str] | None = None
        for name in COPIED:
            if (source / name).is_dir():
                shutil.copytree(source / name, folder / name)
            elif (source / name).exists():
                folder.mkdir(exist_ok=True)
                shutil.copy2(source / name, folder / name)

    def verdict(self, mutant: Mutant) -> str:
        """Plant a bug, and say whether its tests found it, or why that cannot be said."""
        if misfit := mutant.misfit(self.folder):
            return misfit
        with self._planted(mutant):
            code = self.run(mutant.tests)
        return {_PASSED: SURVIVED, _FAILED: FOUND}.get(code, f"the tests ended with {code}")

    @contextmanager
    def _planted(self, mutant: Mutant) -> Iterator[None]:
        path = self.folder / mutant.file
        was = path.read_bytes()
        path.write_bytes(was.replace(mutant.old.encode(), mutant.new.encode()))
        # A compiled file is taken for its source by age in seconds and size: both may be the same.
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()
        try:
            yield
        finally:
            path.write_bytes(was)

    def run(self, tests: Iterable[str]) -> int:
        """Run tests in a process that is warm already, and return pytest's exit code."""
        if self._warm is None:
            self._warm = subprocess.Popen(
                [sys.executable, "-c", WARM],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        asks, answers = self._warm.stdin, self._warm.stdout
        assert asks is not None
        assert answers is not None
        asks.write("\0".join((*OPTIONS, *tests)) + "\n")
        asks.flush()
        guard = threading.Timer(TEST_SECONDS, os.kill, (int(answers.readline()), signal.SIGKILL))
        guard.start()
        code = int(answers.readline())
        guard.cancel()
        return _FAILED if code == -signal.SIGKILL else code

    def compile(self, tests: Iterable[str]) -> int:
        """Run tests, keep what is compiled for the runs to come, and return pytest's exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *OPTIONS, *tests],
            cwd=self.folder,
            env={**self._environment(), "PYTHONDONTWRITEBYTECODE": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if name != ELSEWHERE},
            "ACTORMQ_EXAMPLES": str(EXAMPLES),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(self.folder),  # ahead of the project that is installed
        }

    def close(self) -> None:
        """End the process that is warm."""
        if self._warm is not None:
            with self._warm:  # which closes its pipes, and waits
                pass


def verdicts(chosen: Sequence[Mutant], jobs: int = 2) -> Iterator[tuple[Mutant, str]]:
    """Plant bugs, several at a time in a copy each, and tell of them in their order.

    All of their tests have to pass without any of them first; that they do not is the verdict
    on all, if so.
    """
    with tempfile.TemporaryDirectory(prefix="actormq-mutants-") as scratch:
        first = Tree(Path(scratch) / "0")
        tests = dict.fromkeys(name for mutant in chosen for name in mutant.tests)
        if first.compile(tests) != _PASSED:
            yield from ((mutant, "its tests fail without it") for mutant in chosen)
            return
        copies = [Tree(Path(scratch) / str(n), first.folder) for n in range(1, jobs)]
        trees: SimpleQueue[Tree] = SimpleQueue()
        for each in (first, *copies):
            trees.put(each)

        def verdict(mutant: Mutant) -> str:
            tree = trees.get()
            try:
                return tree.verdict(mutant)
            finally:
                trees.put(tree)

        try:
            with ThreadPoolExecutor(jobs) as pool:
                yield from zip(chosen, pool.map(verdict, chosen), strict=True)
        finally:
            for each in (first, *copies):
                each.close()


def main(arguments: Sequence[str]) -> int:
    """Plant the bugs that were asked for, and print what became of each."""
    parser = argparse.ArgumentParser(description="Plants bugs, and says which the tests find.")
    parser.add_argument("words", nargs="*", help="plant only bugs with these in file or reason")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    parser.add_argument("--list", type=Path, default=LIST, help="another list of bugs")
    given = parser.parse_args(arguments)
    chosen = [m for m in mutants(given.list) if all(word in str(m) for word in given.words)]
    bad = 0
    for mutant, verdict in verdicts(chosen, given.jobs):
        bad += verdict != FOUND
        print(f"{verdict:9} {mutant}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} bugs found")
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
