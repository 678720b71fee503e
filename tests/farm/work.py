"""What the tests of slots let them run."""

import asyncio
import ctypes
import functools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from actormq import Actor, handler


def same(value):
    return value


def double(value: int) -> int:
    return 2 * value


def add(a: int, b: int = 10, *, c: int = 100) -> int:
    return a + b + c


def plus(a, b):
    return a + b


# -- ends of a process ----------------------------------------------------------------------------


def kill_myself_at(value):
    if value == "now":
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def leave_at(value):
    if value == "now":
        sys.exit(3)
    return value


def leave_a_thread_and_exit(value):
    if value != "after":
        threading.Thread(target=time.sleep, args=(60,)).start()
        sys.exit(value)


def leave_hard(value):
    os._exit(value)


def read_nowhere(_):
    ctypes.string_at(0)


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.01)
    return "there"


def sleep_if(value):
    if value:
        time.sleep(value)
    return value


def hold_the_lock(_):
    """Never give up the interpreter's lock."""
    re.match(r"(a+)+$", "a" * 64 + "b")


def stop_myself(_):
    os.kill(os.getpid(), signal.SIGSTOP)


def start_another_and_wait(path):
    """A program of its own, which nobody but whoever ends us could end."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(path).write_text(str(child.pid))
    time.sleep(60)


def end_of_a_fork(_):
    """How a process ends that was forked and is told to."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join(10)
    return process.exitcode


# -- values ---------------------------------------------------------------------------------------


@dataclass
class Point:
    x: int
    y: int


def mirrored(point: Point) -> Point:
    assert isinstance(point, Point)
    return Point(point.y, point.x)


def zeros(count):
    return bytes(count)


def many_lists(count):
    return [[] for _ in range(count)]


def no_form(_):
    return object()


def pid_of(_):
    return os.getpid()


def names(_):
    return "numpy" in sys.modules, sys.stdin.read()


async def later(value):
    await asyncio.sleep(0)
    return [value, id(asyncio.get_running_loop())]


def shout(text):
    print(text)  # noqa: T201 it is what is tested
    print("an end without a line", end="")  # noqa: T201
    sys.stdout.flush()


# -- exceptions -----------------------------------------------------------------------------------


class Spoilt(Exception):
    """Makes a sentence of its arguments."""

    def __init__(self, what, count):
        super().__init__(f"{count} of {what}")
        self.what, self.count = what, count


class Stranger(Exception):
    """Carries what does not travel."""


def spoil(value):
    raise Spoilt(value, 3)


def complain(length):
    raise ValueError("x" * length)


def fail_with(value):
    match value:
        case "stranger":
            raise Stranger(object())
        case "missing":
            Path("/no/such/file").read_text()
        case "interrupt":
            raise KeyboardInterrupt
        case "ends":
            raise StopIteration(1)
        case "unicode":
            b"\xff".decode()
        case "deep":
            return fail_with("deep")
        case "chained":
            try:
                {}["key"]
            except KeyError as error:
                raise ValueError("bad") from error
    return value


# -- actors ---------------------------------------------------------------------------------------


class Counter(Actor):
    def __init__(self):
        self.count = 0

    async def on_start(self):
        self.count = 100

    @handler
    def add(self, n: int) -> int:
        self.count += n
        return self.count


class Two(Actor):
    @handler
    def one(self, n: int) -> int:
        return n

    @handler
    async def other(self, n: int) -> int:
        return -n

    @handler(raises=KeyError)
    def answers(self, n: int) -> int:
        raise KeyError(n)

    def unmarked(self, n: int) -> int:
        return n


class Unmakeable(Actor):
    def __init__(self, needed):
        self.needed = needed

    @handler
    def take(self, n: int) -> int:
        return n


# -- initializers ---------------------------------------------------------------------------------

SET = []


def set_up(*values):
    SET[:] = values


def set_up_badly():
    raise ValueError("no disk")


def what_is_set(_):
    return SET


half = functools.partial(plus, 0.5)
shy = lambda value: value  # noqa: E731


class Tool:
    @classmethod
    def made(cls, value):
        return [cls.__name__, value]

    def bound(self, value):
        return value
