"""What the tests of executors call."""

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

STATE = {"began": 0}


@dataclass
class Point:
    x: int
    y: int


class Refused(Exception):
    """An error of our own, with facts."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(f"{name} was refused {count} times")
        self.name, self.count = name, count


def double(value: int) -> int:
    return 2 * value


def pair(first, second=2):
    return first, second


def moved(point: Point, by: int) -> Point:
    return Point(point.x + by, point.y + by)


def refuse(name):
    raise Refused(name, 3)


def pid():
    return os.getpid()


def begin(amount):
    STATE["began"] += amount


def began():
    return STATE["began"]


def cannot_begin(text):
    raise RuntimeError(text)


def till(path):
    """Wait until a file is there."""
    while not Path(path).exists():
        time.sleep(0.001)
    return path


def wrote(path):
    """Make a file."""
    Path(path).touch()
    return path


def die_once(path):
    """Kill this process, unless it was done before."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def leave():
    sys.exit(3)


def object_of_a_class():
    return threading.Event()
