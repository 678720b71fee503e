"""One process at a time has a store, and notes beside it what it last knew to be on disk.

The lock ends with its process, however that ends. The note says how many tasks and outcomes had
been committed. It is needed for one case: SQLite drops the end of its write-ahead log from the
first bit that flipped in it, and says nothing. Then the file stands behind the note. The note is
written after each commit and never forced to the disk, so it can stand behind the file, but never
before it.
"""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from actormq.errors import StoreInUse
from actormq.farm.records import NOTE, Altered, Head, seal, unseal

if sys.platform != "win32":
    import fcntl

BINARY = getattr(os, "O_BINARY", 0)  # Windows would write other bytes

_NOTE = struct.Struct(">Q16sQQ")  # process, batch, accepted, outcomes


class Claim:
    """The right to use a store, until it is let go or the process ends.

    Args:
        path: Of the file that is locked, which is made beside the store.
        store: Of the store, to name it in errors.

    Raises:
        StoreInUse: Another process has it.
    """

    def __init__(self, path: Path, store: Path) -> None:
        self._path = path
        while True:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | BINARY, 0o666)
            try:
                self._lock(store)
                if self._is_there():
                    break
            except BaseException:
                os.close(self._file)
                raise
            os.close(self._file)  # whoever had it took the file away as it let go: make it anew
        _, self.batch, self.accepted, self.outcomes = self._read()
        if self.batch:  # whoever comes next is told of this process, not of the one before
            self.write(self.batch, self.accepted, self.outcomes)

    def write(self, batch: bytes, accepted: int, outcomes: int) -> None:
        """Note what is on disk.

        Args:
            batch: Which batch it is.
            accepted: Its tasks, a count.
            outcomes: Its outcomes, a count.
        """
        note = seal(NOTE, 0, _NOTE.pack(os.getpid(), batch, accepted, outcomes))
        with suppress(OSError):  # it may stand behind what is on disk, and that is safe already
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, note)

    def raised(self, head: Head) -> Head:
        """Give the facts of a batch with the counts that were noted of it, if those are higher.

        Args:
            head: As the file has them.
        """
        if self.batch != head.batch:
            return head
        accepted = max(head.accepted, self.accepted)
        return replace(head, accepted=accepted, outcomes=max(head.outcomes, self.outcomes))

    def let_go(self, *, is_clean: bool) -> None:
        """Let others have it.

        Args:
            is_clean: Whether nothing is left in a write-ahead log, so that the note has no use.
        """
        if sys.platform == "win32":
            os.close(self._file)  # what is open cannot be taken away there
            if is_clean:
                self._path.unlink(missing_ok=True)
            return
        if is_clean:  # while it is locked: a new one may be another's
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _lock(self, store: Path) -> None:
        if sys.platform == "win32":
            return  # SQLite's own lock is the only one there
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUse(str(store), self._read()[0]) from None

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _read(self) -> tuple[int, bytes, int, int]:
        try:
            os.lseek(self._file, 0, os.SEEK_SET)
            note = unseal(NOTE, 0, os.read(self._file, 256))
        except Altered:
            return 0, b"", 0, 0
        process, batch, accepted, outcomes = _NOTE.unpack(note)
        return process, batch, accepted, outcomes
