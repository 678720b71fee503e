"""Memory that two processes of one user on one host share: written by one, read by the other.

A segment is a page whose first byte says whether it may be written, and then the bytes. The writer
sets that byte to 0, the reader to 1 once nobody holds what was read: no message has to say so.

A segment is a memfd: a file without a name, which ends with the last process that has it open.
So `kill -9` leaves nothing behind, nothing needs sweeping, and the size of `/dev/shm`, which is
64 MB in many containers, does not matter. The other process opens it through `/proc`, which the
kernel allows to the same user (and root) in the same place for process ids only.

It is sealed against shrinking, and its pages are there before they are written: nobody meets the
SIGBUS of a page that is not.

Only Linux has memfds. Elsewhere there is no segment, and bodies go through sockets: names of shared
memory on macOS can be neither listed nor swept, and would outlive a killed process.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import Any

NAME = re.compile(r"actormq-[0-9a-f]{32}\Z")
_GUARD = 0 if sys.platform != "linux" else fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
HEAD = 4096  # bytes before the data, which begins with a page
AT_ONCE = 4 * 1024 * 1024  # bytes that are unmapped where they stand: 1 ms, and a thread costs 0.1
_LENT, _FREE = 0, 1
_QUIETLY = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Segment:
    """One that this process writes.

    Args:
        size: Bytes that it has room for.

    Attributes:
        size: Bytes that it has room for.
        name: 128 random bits: who knows them was told by its owner.
        descriptor: By which others can open it, until `settle`; -1 from then on.

    Raises:
        OSError: There is no memory for it, no descriptor, or no such thing on this system.
    """

    def __init__(self, size: int) -> None:
        if sys.platform != "linux":
            raise OSError("shared memory is used on Linux only")
        self.size = size
        self.name = f"actormq-{os.urandom(16).hex()}"
        self.descriptor = os.memfd_create(self.name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.posix_fallocate(self.descriptor, 0, HEAD + size)
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _GUARD)
            self._map = mmap.mmap(self.descriptor, HEAD + size)
            self._map[0] = _FREE
        except OSError:
            self.settle()
            raise

    @property
    def is_free(self) -> bool:
        """Whether nobody holds what was written last."""
        return self._map[0] == _FREE

    def lend(self) -> None:
        """It is to be read: not free until it was."""
        self._map[0] = _LENT

    def take_back(self) -> None:
        """Nobody will read it after all."""
        self._map[0] = _FREE

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Copy bytes to its beginning, and say how many."""
        view = memoryview(data).cast("B")
        with memoryview(self._map) as room:
            room[HEAD : HEAD + view.nbytes] = view
        return view.nbytes

    def settle(self) -> None:
        """Others have opened it, or will not: it needs its descriptor no more."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def release(self) -> mmap.mmap:
        """Give up the memory, to be dropped; who reads it keeps it."""
        self.settle()
        released = self._map
        del self._map
        return released


class Borrowed:
    """A segment of another process.

    It stays mapped: the faults of mapping 64 MB cost more than copying it does (5 ms and 3).

    Args:
        pid: Its owner.
        descriptor: The owner's for it.
        name: Its name, so that it cannot be taken for anything else.
        size: Its bytes.

    Raises:
        OSError: It cannot be opened from here.
        ValueError: It is not what it is said to be.
    """

    def __init__(self, pid: int, descriptor: int, name: str, size: int) -> None:
        if sys.platform != "linux":
            raise OSError("shared memory is used on Linux only")
        self.size = size
        path = Path(f"/proc/{pid}/fd/{descriptor}")
        # Looked at before it is opened: opening alone means something to a pipe or a terminal.
        if not NAME.match(name) or not str(path.readlink()).startswith(f"/memfd:{name}"):
            raise ValueError(f"{path} is not the segment {name}")
        here = os.open(path, _QUIETLY)
        try:
            if not _is_sound(here, size):
                raise ValueError(f"{path} is no sealed segment of {size} bytes")
            self._map = mmap.mmap(here, HEAD + size)
        finally:
            os.close(here)
        self._reading = _reading(HEAD + size)

    def release(self) -> mmap.mmap:
        """Give up the memory, to be dropped; who still reads it keeps it."""
        released = self._map
        del self._map
        return released

    def read(self, length: int) -> memoryview:
        """Give its first bytes, read-only and uncopied; it is free once the last view has gone."""
        reading = self._reading.from_buffer(self._map)
        return memoryview(reading).cast("B")[HEAD : HEAD + length].toreadonly()


def give_back(segments: Iterable[Segment | Borrowed]) -> None:
    """Let go of segments; of many bytes in a thread, for to unmap 100 MB takes 30 ms and more.

    Python lets other threads run meanwhile, and the kernel lets them use their memory.
    """
    maps = [segment.release() for segment in segments]
    if sum(map(len, maps)) > AT_ONCE:
        # As the process ends, the kernel does it: nobody need wait for that thread.
        thread = Thread(target=maps.clear, name="actormq-unmap", daemon=True)
        with contextlib.suppress(RuntimeError):  # no thread is to be had: so be it here
            thread.start()
            return
    maps.clear()


def _is_sound(descriptor: int, size: int) -> bool:
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:  # it is no memfd
        return False
    return seals & _GUARD == _GUARD and os.fstat(descriptor).st_size == HEAD + size


def _reading(size: int) -> Any:
    """A type of objects that lend out so much of a map, and free it when nobody holds them.

    Every view of a view holds on to the object that has exported the memory, and to nothing else;
    so each loan needs one of its own, and of all that Python has only ctypes makes them.
    """
    import ctypes  # noqa: PLC0415 few nodes ever lend

    def end(self: Any) -> None:
        self[0] = _FREE

    return type("Reading", (ctypes.c_ubyte * size,), {"__del__": end})
