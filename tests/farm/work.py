"""What the tests of slots let them run."""

import os
import signal
import sys


def nothing(value):
    return value


def double(value: int) -> int:
    return 2 * value


def kill_myself(value):
    if value:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def leave(status):
    sys.exit(status)
