"""Room on the disk that is given up when there is no other.

On a full disk nothing can be committed, not even what would free it. So a store that accepts tasks
holds some room in a file beside it, and lets it go for the outcomes of tasks that are under way.
Nothing more is accepted until the room is held again.
"""

from __future__ import annotations

import os
from pathlib import Path

PIECE = 1 << 16  # bytes


class Ballast:
    """A file that takes up room.

    Args:
        path: Of the file.
        size: Of the room, in bytes.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self.is_held = False

    def hold(self) -> None:
        """Take up the room, if it is not held yet.

        Raises:
            OSError: There is none.
        """
        if self.is_held:
            return
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            self._fill(file)
        except BaseException:
            self._path.unlink(missing_ok=True)  # half of it is of no use, and others may need it
            raise
        finally:
            os.close(file)
        self.is_held = True

    def give_up(self) -> bool:
        """Let the room go; say whether there was any."""
        had, self.is_held = self.is_held, False
        self._path.unlink(missing_ok=True)
        return had

    def _fill(self, file: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, self._size)
            return
        for _ in range(0, self._size, PIECE):  # macOS: bytes that no file system can leave out
            os.write(file, os.urandom(PIECE))
        os.fsync(file)
