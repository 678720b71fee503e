"""CPython's own tests of executors, taken from its `test` package as it is installed here.

python cpython_futures.py KIND SHARE OF: runs every OF-th of them, from number SHARE on, against an
executor of this KIND, and prints what came of each as one line of JSON. "pool" is Python's own
ProcessPoolExecutor: that one shows that the tests run here as they should.

What is not asked of us is in `LEFT_OUT`, with the reason.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import sys
import unittest
from pathlib import Path

from cpython_executors import KINDS

from actormq import TaskLost

NAME = "test_concurrent_futures"
MODULES = (  # where the classes are, from Python 3.12 on; before, all are in one module
    *("executor", "util", "test_as_completed", "test_deadlock", "test_init"),
    *("test_process_pool", "test_shutdown", "test_wait"),
)
SUITES = (
    *("ProcessPoolExecutorTest", "ProcessPoolShutdownTest", "WaitTests", "AsCompletedTests"),
    *("InitializerMixin", "FailingInitializerMixin", "ExecutorDeadlockTest"),
)

_PICKLE = "sends an object that only pickle can carry"
_INSIDE = "looks at the processes, threads or queues inside of a ProcessPoolExecutor"
_OWN_POOL = "makes a ProcessPoolExecutor by itself, so it would not test this one"
_LOST = "a worker that dies breaks the whole pool there; here another one does its task"
_EXIT = "`sys.exit` ends a worker here, as a crash does, and is not handed on as an exception"

LEFT_OUT = {
    # ProcessPoolExecutorTest, with what it has of ExecutorTest
    "test_no_stale_references": _PICKLE + ", a bound method",
    "test_free_reference": _PICKLE + ", an instance of a plain class",
    "test_ressources_gced_in_workers": _PICKLE + ", an instance with a `__del__`",
    "test_traceback": "names a function of a class that is made while it runs",
    "test_max_workers_negative": "0 workers mean that other machines do the work",
    "test_max_workers_too_large": "is about Windows' limit of 61 processes in one wait",
    "test_killed_child": _LOST,
    "test_saturation": _INSIDE,
    "test_idle_process_reuse_one": _INSIDE,
    "test_idle_process_reuse_multiple": _INSIDE,
    "test_max_tasks_per_child": _INSIDE,
    "test_max_tasks_per_child_defaults_to_spawn_context": _INSIDE,
    "test_max_tasks_early_shutdown": _INSIDE,
    "test_python_finalization_error": _INSIDE,
    "test_force_shutdown_workers": _INSIDE,
    # ProcessPoolShutdownTest, with what it has of ExecutorShutdownTest
    "test_processes_terminate": _INSIDE,
    "test_context_manager_shutdown": _OWN_POOL,
    "test_del_shutdown": _OWN_POOL,
    "test_shutdown_no_wait": _OWN_POOL,
    # AsCompletedTests
    "test_free_reference_yielded_future": "runs no executor",
    "test_correct_timeout_exception_msg": "runs no executor",
    # ExecutorDeadlockTest
    **dict.fromkeys(
        (
            *("test_error_at_task_pickle", "test_exit_at_task_unpickle"),
            *("test_error_at_task_unpickle", "test_crash_at_task_unpickle"),
            *("test_crash_during_result_pickle_on_worker", "test_shutdown_deadlock_pickle"),
            *("test_exit_during_result_pickle_on_worker", "test_crash_big_data"),
            "test_error_during_result_pickle_on_worker",
            "test_error_during_result_unpickle_in_result_handler",
            "test_exit_during_result_unpickle_in_result_handler",
        ),
        _PICKLE + ", and misbehaves as it does",
    ),
    "test_error_during_func_exec_on_worker": _PICKLE + ", a class",
    "test_exit_during_func_exec_on_worker": _EXIT,
    "test_gh105829_should_not_deadlock_if_wakeup_pipe_full": _INSIDE,
}
"""Tests that are not asked of `actormq.Executor`, by name, and why."""

IN_SECONDS = {
    *("test_map_timeout", "test_timeout", "test_first_exception", "test_first_completed"),
    *("test_first_exception_some_already_complete", "test_first_exception_one_already_failed"),
    "test_first_completed_some_already_completed",
}
"""Those where one thing takes a second or more, and another is to be over by then: starting Python
is none of them, and they get several tries."""

TRIES = 4


def installed() -> Path | None:
    """The folder that holds a `test` package with these tests for this Python, None if none does.

    Python's own is best; Debian has them in a package apart, `libpython3.X-testsuite`.
    """
    spec = importlib.util.find_spec("test")
    own = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    debian = Path("/usr/lib/python{}.{}/test".format(*sys.version_info[:2]))
    for folder in (*own, debian):
        if (folder / f"{NAME}.py").is_file() or (folder / NAME).is_dir():
            return folder
    return None


class _Started:
    """Has all workers at hand before a test begins that has no time to wait for them."""

    def setUp(self) -> None:
        super().setUp()
        workers = set()
        while self._testMethodName in IN_SECONDS and len(workers) < self.worker_count:
            asked = [self.executor.submit(os.getpid) for _ in range(10)]
            workers |= {future.result() for future in asked}


class _Loaded:
    """The classes of the tests, wherever this version of Python has them."""

    def __init__(self) -> None:
        module = importlib.import_module(f"test.{NAME}")
        self.modules = [module]
        if hasattr(module, "__path__"):
            self.modules += [importlib.import_module(f"{module.__name__}.{m}") for m in MODULES]

    def find(self, name: str) -> type:
        return next(vars(module)[name] for module in self.modules if name in vars(module))

    def replace(self, name: str, value: object) -> None:
        for module in self.modules:
            if name in vars(module):
                setattr(module, name, value)


def tests_of(kind: str) -> tuple[list[unittest.TestCase], dict[str, str]]:
    """The tests that are to run, and those that are left out with the reasons."""
    loaded = _Loaded()
    executor = KINDS[kind]
    if kind == "actormq":
        # That a task is lost, after five workers, is another error: its executor is not broken.
        loaded.replace("BrokenProcessPool", TaskLost)
    mixin = type(
        "Mixin",
        (_Started, loaded.find("ExecutorMixin")),
        {"executor_type": executor, "worker_count": 2, "get_context": lambda _: None},
    )
    loaded.replace("assert_python_ok", _in_process(executor))
    tests, left_out = [], {}
    for suite in SUITES:
        body = {"__module__": __name__}
        if suite == "FailingInitializerMixin":
            body["_assert_logged"] = lambda *_: contextlib.nullcontext()  # in another process
        found = type(suite, (loaded.find(suite), mixin, loaded.find("BaseTestCase")), body)
        for name in unittest.defaultTestLoader.getTestCaseNames(found):
            reason = LEFT_OUT.get(name)
            if reason:
                left_out[f"{suite}.{name}"] = reason
            else:
                tests.append(found(name))
    return tests, left_out


def _in_process(executor: type):
    """Runs the scripts that the tests have, each in an interpreter of its own.

    They import their executor from `concurrent.futures`, and look for what a task prints on
    standard output, which is standard error with ours.
    """
    from test.support.script_helper import assert_python_ok  # noqa: PLC0415 only where it is

    def run(option: str, script: str) -> tuple[int, bytes, bytes]:
        imports = f"from concurrent.futures import {executor.__name__}"
        assert imports in script
        script = script.replace(imports, f"from {executor.__module__} import {executor.__name__}")
        status, out, err = assert_python_ok(option, script, __isolated=False, **os.environ)
        if b"apple" in err and not out:
            out, err = err, out
        return status, out, err

    return run


class _Result(unittest.TestResult):
    """Notes what came of each test."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[str] = []
        self.skips: dict[str, str] = {}
        self.faults: dict[str, str] = {}

    def addSuccess(self, test):  # noqa: N802 unittest's name
        self.passed.append(_name(test))

    def addSkip(self, test, reason):  # noqa: N802
        self.skips[_name(test)] = reason

    def addFailure(self, test, error):  # noqa: N802
        self.faults[_name(test)] = self._exc_info_to_string(error, test)

    addError = addFailure  # noqa: N815


def _name(test: unittest.TestCase) -> str:
    return test.id().removeprefix(f"{__name__}.")


def main(kind: str, share: int, of: int) -> None:
    from test import support  # noqa: PLC0415 only where it is

    support.verbose = 0  # no seconds on standard output
    tests, left_out = tests_of(kind)
    result = _Result()
    for test in tests[share::of]:
        name = _name(test)
        for _ in range(TRIES if name.rpartition(".")[2] in IN_SECONDS else 1):
            result.faults.pop(name, None)
            unittest.TestSuite([test]).run(result)
            if name not in result.faults:
                break
    said = {"passed": result.passed, "skips": result.skips, "faults": result.faults}
    sys.stdout.write(json.dumps({**said, "left_out": left_out}) + "\n")


if __name__ == "__main__":
    sys.modules["cpython_futures"] = sys.modules["__main__"]  # children find classes by that name
    __name__ = "cpython_futures"
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
