"""What a farm is given on the command line: words, and lines of standard input as they come."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence

from actormq.cli.farm.done import Done
from actormq.errors import SetupError

BLOCK = 64 * 1024  # bytes read at once: some hundred paths
GROUP = 1_000  # words looked at at once: a thread costs 50 us
LINE_LIMIT = 16 * 1024 * 1024  # bytes of one line; a longer one is no line but another kind of file
STDIN = "-"


class Lines:
    """Cuts bytes, as they come, into lines; skips empty ones.

    Args:
        source: What they come from, for errors.
    """

    def __init__(self, source: str = "standard input") -> None:
        self._source = source
        self._rest = b""
        self._number = 0

    def feed(self, block: bytes) -> Iterator[str]:
        """Cut one more block; b"" is the end, where a line need not be ended.

        Raises:
            SetupError: A line is no UTF-8 text, or has no end.
        """
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop() if block else b""
        if len(self._rest) > LINE_LIMIT:
            raise SetupError(
                f"{self._source}, line {self._number + len(lines) + 1}: longer than {LINE_LIMIT} "
                "bytes: give one input a line"
            )
        for line in lines:
            self._number += 1
            try:
                text = line.removesuffix(b"\r").decode()
            except UnicodeDecodeError as error:
                raise SetupError(
                    f"{self._source}, line {self._number}: no UTF-8 text, which all inputs are"
                ) from error
            if text:
                yield text


def checked_inputs(given: Sequence[str]) -> None:
    """Make sure that words of the command line can be inputs.

    Raises:
        SetupError: There are none, one is no text, or standard input is asked for twice.
    """
    if given.count(STDIN) > 1:
        raise SetupError("- is standard input, which can be read once: give it once")
    for word in given:
        try:
            word.encode()
        except UnicodeEncodeError as error:  # bytes of a name that are no UTF-8
            raise SetupError(f"input {word!r} is no UTF-8 text, which all inputs are") from error


async def inputs_of(given: Sequence[str], done: Done) -> AsyncIterator[str]:
    """Give one input after another, those that are done left out.

    Args:
        given: Words; `-` stands for the lines of standard input.
        done: Which are done; they are taken from it.

    Raises:
        SetupError: A line is no text.
    """
    for is_stdin, words in itertools.groupby(given, STDIN.__eq__):
        if not is_stdin:
            while group := list(itertools.islice(words, GROUP)):
                for word in await asyncio.to_thread(done.undone, group):
                    yield word
            continue
        lines, block = Lines(), b"?"
        while block:
            # In a thread, for it may wait for long; and what is there, for more may never come.
            block = await asyncio.to_thread(os.read, sys.stdin.fileno(), BLOCK)
            for line in await asyncio.to_thread(done.undone, lines.feed(block)):
                yield line
