"""The other processes of a program of `scripts/bench`: itself once more, in another role.

A child is told its role by its first arguments, says one line when it is ready (such as its
address), and ends when its standard input does: whatever becomes of us, it does not outlive us.
Only the standard library is imported, as in `protocol`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

PATIENCE = 5.0  # s for a child to end by itself, before it is killed
PAYLOAD = b"x" * 32  # bytes of an ordinary message
BURST = 5_000  # messages sent before somebody looks how far the receiver is


class Silent(Exception):
    """A child ended before it was ready."""


@contextlib.contextmanager
def child(*role: str, command: Sequence[str] = ()) -> Iterator[str]:
    """Start a child; give the line that it says.

    Args:
        role: Its arguments.
        command: What to start; this program in this interpreter if nothing is said.

    Raises:
        Silent: It ended without a line.
    """
    process = subprocess.Popen(
        [*(command or (sys.executable, sys.argv[0])), *role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise Silent(f"{' '.join(role)} did not start")
        yield line
    finally:
        process.stdin.close()
        end(process)
        process.stdout.close()


def end(process: subprocess.Popen[str]) -> None:
    """Wait for a process that has been told to end, or kill it."""
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def say(line: str) -> None:
    """Be a child that is ready."""
    print(line, flush=True)


def end_with_parent() -> None:
    """Be a child that is busy with something else until the parent ends us, or itself."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


async def wait_for_end() -> None:
    """Be a child whose loop goes on until the parent ends us, or itself."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(0, 1024):
            ended.set()

    loop.add_reader(0, look)
    await ended.wait()
    loop.remove_reader(0)


def free_port() -> int:
    """A port of the loopback that nobody uses now, nor gets by chance before we do.

    Those that the system hands out by itself, to whoever dials, lie above: with 32 768 or more.
    """
    while True:
        port = random.randrange(10_000, 32_000)  # noqa: S311 no secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
