"""The file of a durable batch could not be used; nothing was lost silently."""

from __future__ import annotations

from actormq.errors.root import ActormqError


class StoreError(ActormqError):
    """The file of a durable batch could not be used.

    Attributes:
        path: Of the file.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}", path, why)
        self.path = path


class StoreInUse(StoreError):
    """Another process has the file open; the number of that process may be unknown, 0."""

    def __init__(self, path: str, process: int = 0) -> None:
        by = f"process {process}" if process else "another process"
        super().__init__(path, f"{by} has this batch open: wait for it, or name another file")
        self.facts = (path, process)
        self.process = process


class StoreMismatch(StoreError):
    """The file holds another batch than the one that was meant."""

    def __init__(self, path: str, found: str, asked: str = "", accepted: int = 0) -> None:
        if asked:
            why = f"it holds a batch of {found!r}, not of {asked!r}: name another file"
        else:
            why = (
                f"it holds a batch of {found!r} already, with {accepted} tasks accepted: "
                "go on with it with --resume (resume=True), or name another file"
            )
        super().__init__(path, why)
        self.facts = (path, found, asked, accepted)


class StoreFull(StoreError):
    """The disk is full: the call did nothing, and what was accepted before is safe."""

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            "the disk is full: no further task is accepted, and nothing that was is lost; make "
            "room, and it goes on",
        )
        self.facts = (path,)


class StoreDamaged(StoreError):
    """The file is damaged beyond what could be salvaged."""

    def __init__(self, path: str, how: str) -> None:
        super().__init__(
            path,
            f"the file is damaged ({how}): take a copy of it that is sound, or name another file "
            "and start anew",
        )
        self.facts = (path, how)
