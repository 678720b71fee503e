"""Writes what happens in the mesh to a file, one JSON object a line, for programs to read.

Each line has `monotonic`, the time in seconds on the clock that all processes of a machine share,
network namespaces or not; `time`, the same moment of the calendar in UTC; `event`, the kind; and
the fields of that kind as `events.py` has them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from actormq.errors import SetupError
from actormq.events import (
    Event,
    Events,
    LoopHeld,
    MemberChanged,
    NameElected,
    NameStandby,
    NodeStarted,
    NodeStopped,
    Notice,
    PeerRefused,
)

WRITTEN = (
    *(NodeStarted, NodeStopped, MemberChanged, NameElected, NameStandby),
    *(PeerRefused, Notice, LoopHeld),
)
"""What is written: of what happens to single messages there may be thousands a second."""


class EventLog:
    """Appends a node's events to a file from now on, until it is closed.

    Each line is handed to the system by itself and at once, so a process that is killed leaves
    whole lines, all but the events of its last moment. A disk that is full ends the log, not the
    node.

    Args:
        events: Those of the node.
        path: The file; what stands in it already is kept.

    Raises:
        SetupError: The file cannot be written.
    """

    def __init__(self, events: Events, path: str | Path) -> None:
        self._events = events
        self._path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        try:
            self._file = os.open(path, flags, 0o644)
        except OSError as error:
            raise SetupError(
                f"--events {path}: it cannot be written: {error.strerror}; name a file in a "
                "folder that is there and is yours"
            ) from error
        self._end = events.listen(self._write, any_thread=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write no more; closing twice is no error."""
        self._end()
        file, self._file = self._file, -1
        if file >= 0:
            with contextlib.suppress(OSError):
                os.close(file)

    def _write(self, event: Event) -> None:
        if not isinstance(event, WRITTEN) or self._file < 0:
            return
        try:
            os.write(self._file, line_of(event, time.monotonic(), time.time()))
        except OSError as error:
            self.close()
            self._events.notice(
                logging.ERROR, "no more is written to %s: %s", self._path, error.strerror
            )


def line_of(event: Event, monotonic: float, wall: float) -> bytes:
    """Make the line of an event, its end included.

    Args:
        event: What happened.
        monotonic: When, on the machine's monotonic clock, in seconds.
        wall: The same moment in seconds since 1970.
    """
    moment = dt.datetime.fromtimestamp(wall, dt.UTC).isoformat(timespec="microseconds")
    head = {"monotonic": round(monotonic, 6), "time": moment, "event": type(event).__name__}
    named = {name: getattr(event, name) for name in event.__struct_fields__}
    return msgspec.json.encode(head | named, enc_hook=str) + b"\n"
