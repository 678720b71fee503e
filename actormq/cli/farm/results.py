"""Results as lines of JSON: written by whole lines, and found again by the next run.

One line is one task: `{"input": …, "result": …, "tries": n}`, or `"error"` in place of `"result"`,
with a `"traceback"` where one is asked for.
What JSON has no word for is written as what comes nearest: bytes as base64, times in ISO 8601, NaN
and infinities as null, arrays and sets as lists, all else, and keys that are no texts, as text.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from actormq.cli.farm.done import Done
from actormq.errors import SetupError

if sys.platform != "win32":
    import fcntl

READ_AT_ONCE = 1024 * 1024  # bytes of lines, some thousand
STDOUT = "-"


class Earlier(msgspec.Struct, frozen=True):
    """What an earlier run has left in a file.

    Attributes:
        done: Its results, those of failures among them.
        failed: Those of failures.
        cut: Bytes at its end that were no whole line, and are gone.
    """

    done: int = 0
    failed: int = 0
    cut: int = 0


class _Line(msgspec.Struct):
    input: str
    tries: int
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET


_lines = msgspec.json.Decoder(_Line)


def result_line(given: Any, value: Any, tries: int) -> bytes:
    """Write down what a task came to."""
    return _line({"input": given, "result": value, "tries": tries})


def error_line(given: Any, error: str, tries: int, traceback: str = "") -> bytes:
    """Write down why a task failed; where that was as well, unless it is ""."""
    fields = {"input": given, "error": error, "tries": tries}
    return _line({**fields, "traceback": traceback} if traceback else fields)


def _line(fields: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(fields, enc_hook=_plain) + b"\n"
    except (TypeError, ValueError):  # keys that JSON does not know, texts that are none
        return msgspec.json.encode(_texts(fields), enc_hook=_plain) + b"\n"


def _plain(value: Any) -> Any:
    """Something that JSON knows in place of what it does not."""
    as_list = getattr(value, "tolist", None)  # numpy's arrays and numbers
    return as_list() if callable(as_list) else str(value)


def _texts(value: Any) -> Any:
    """The same value, with nothing but texts for keys, and texts that UTF-8 can say."""
    if isinstance(value, dict):
        return {str(_texts(key)): _texts(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_texts(each) for each in value]
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return value


class Output(Protocol):
    """Where lines go.

    Attributes:
        earlier: What was there before.
        done: The inputs of it.
    """

    earlier: Earlier
    done: Done

    @property
    def name(self) -> str:
        """What it is called, for people; empty for standard output."""

    def put(self, lines: bytes) -> None:
        """Write whole lines; they are out when it returns."""

    def close(self) -> None:
        """Write no more."""


class StandardOutput:
    """Lines on standard output.

    Raises:
        SetupError: There is none.
    """

    earlier = Earlier()
    name = ""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise SetupError("standard output is closed: name a file with --out FILE")
        self.done = Done()

    def put(self, lines: bytes) -> None:
        """Write whole lines.

        Raises:
            BrokenPipeError: Whoever read them has had enough.
            SetupError: They cannot be written.
        """
        try:
            if sys.stdout.isatty():  # where the bar is drawn, it makes room for what is written
                sys.stdout.write(lines.decode())
            else:
                sys.stdout.buffer.write(lines)
            sys.stdout.flush()
        except OSError as error:
            # Python writes what it still holds when it ends, and would fail once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                raise
            raise SetupError(f"standard output cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Leave it as it is."""


class ResultFile:
    """Lines in a file, which is this run's alone.

    Args:
        path: The file.
        resume: Go on with what is there; otherwise there must be nothing.

    Raises:
        SetupError: It cannot be written, is in use, has results without `resume`, or has something
            in it that is none.
    """

    def __init__(self, path: str, *, resume: bool) -> None:
        self.name = path
        self.earlier = Earlier()
        self.done = Done()
        flags = os.O_RDWR if resume else os.O_WRONLY
        try:
            self._file = os.open(path, flags | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise SetupError(f"{path} cannot be written: {error.strerror}") from error
        try:
            self._is_regular = stat.S_ISREG(os.fstat(self._file).st_mode)
            if self._is_regular:
                self._claim()
            self._look(resume)
            self._size = os.fstat(self._file).st_size
        except BaseException:
            os.close(self._file)
            raise

    def _claim(self) -> None:
        """Have it for ourselves: two runs would take each other's results for their own."""
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(
                f"{self.name} is being written by another run: wait for it, or take another file"
            ) from error
        except OSError:
            return  # a file system without locks

    def _look(self, resume: bool) -> None:
        if not self._is_regular:  # a pipe, a terminal: there is nothing in it
            return
        if resume:
            self._read()
        elif os.fstat(self._file).st_size:
            raise SetupError(
                f"{self.name} is there already: go on with it by --resume, or take another file"
            )

    def _read(self) -> None:
        """Look at all that is in it, and take away a line that was cut off in the middle."""
        count = failed = whole = 0
        size = os.fstat(self._file).st_size
        for lines in self._groups(size):
            if not lines[-1].endswith(b"\n"):
                lines.pop()
            found = [self._parsed(line, count + n) for n, line in enumerate(lines, 1)]
            count += len(lines)
            failed += sum(line.error is not msgspec.UNSET for line in found)
            whole += sum(map(len, lines))
        if size > whole:
            os.ftruncate(self._file, whole)
        self.earlier = Earlier(count, failed, size - whole)
        groups = self._groups(whole)
        self.done = Done([_lines.decode(line).input for line in lines] for lines in groups)

    def _groups(self, size: int) -> Iterator[list[bytes]]:
        """The lines of its first bytes, some thousand at a time."""
        with Path(self.name).open("rb") as file:
            # Lines are read until there are more bytes than that: one less, or a new one is read.
            while size and (lines := file.readlines(max(min(size, READ_AT_ONCE) - 1, 1))):
                size -= sum(map(len, lines))
                yield lines

    def _parsed(self, line: bytes, number: int) -> _Line:
        try:
            parsed = _lines.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            parsed = None
        if parsed is None or (parsed.result is msgspec.UNSET) is (parsed.error is msgspec.UNSET):
            raise SetupError(
                f"{self.name}, line {number} is no result of a farm: take another file, or "
                "remove that line"
            )
        return parsed

    def put(self, lines: bytes) -> None:
        """Write whole lines.

        Raises:
            SetupError: They cannot be written. What was written before stands.
        """
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self._size += len(lines)
        except OSError as error:
            if self._is_regular:
                os.ftruncate(self._file, self._size)  # whole lines only
            raise SetupError(
                f"{self.name} cannot be written: {error.strerror}; what is in it stands: "
                "mend that, then go on with --resume"
            ) from error

    def close(self) -> None:
        """Let others have it."""
        os.close(self._file)
