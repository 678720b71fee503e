"""What the tests of farms let them run."""

import os
import signal
import time
from pathlib import Path


def same(value):
    return value


def double(value: int) -> int:
    return 2 * value


def odd_only(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"{value} is even")
    return value


def kill_at_seven(value: int) -> int:
    if value == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def hang_at_three(value: int) -> int:
    if value == 3:
        time.sleep(60)
    return value


def hang_unless_marked(path: str) -> None:
    if path and not Path(path).exists():
        Path(path).touch()
        time.sleep(60)
    time.sleep(0.005)


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def strange(what: str) -> object:
    return {"object": object(), "plain": "plain", "huge": bytes(100_000_000)}[what]


def noted(task: list) -> int:
    """Note in a file when a run of a task begins and ends, and who runs it."""
    path, number, seconds = task
    note = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(note, f"begun {number} {os.getpid()} {time.monotonic()}\n".encode())
        time.sleep(seconds)
        os.write(note, f"ended {number} {os.getpid()} {time.monotonic()}\n".encode())
    finally:
        os.close(note)
    return number * number


def square_slowly(value: int) -> int:
    time.sleep(0.001)
    return value * value


def number_in(text: str) -> int:
    return int(text)
