"""A durable batch: the tasks that were accepted, and what became of each, in a SQLite file.

What `accept` and `record` return from is on disk: SQLite's write-ahead log with `synchronous=FULL`,
a group a transaction. Nothing that was altered on the disk is given back (`records`, `salvage`).

In memory is one byte a task, which says whether it waits or is done: it answers which tasks are to
be done, and which outcome is a second one, without a query. Records are read by their ids, so that
one damaged page cannot end a scan.

The store waits for the disk in the thread that calls it: give it one of its own.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from actormq.errors import (
    InternalError,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreInUse,
    StoreMismatch,
)
from actormq.farm import files, salvage
from actormq.farm.ballast import Ballast
from actormq.farm.claim import Claim
from actormq.farm.records import (
    TASK,
    Altered,
    Damage,
    Head,
    Outcome,
    pack_outcome,
    seal,
    unpack_outcome,
    unseal,
)
from actormq.farm.salvage import DONE, Survey
from actormq.farm.tables import beside, explained, look_up, transaction

BALLAST = 4 << 20  # bytes: outcomes of 1 KiB of 4000 tasks, more than are under way at a time
RECORD_LIMIT = 1_000_000_000 - 100  # bytes: the most that SQLite keeps in a row, less its head
JOB_LIMIT = 2000  # bytes: the facts of a batch stay in one page


class Store:
    """The file of a durable batch, open for this process alone.

    Args:
        path: Of the file. What belongs to it has its name and `-wal`, `-lock` or `-ballast`, and is
            gone after `close`; a damaged file that was replaced is kept with `-damaged`.
        job: What the batch runs, in words: a file of another job is refused.
        resume: Whether to go on with a batch that the file holds; a new file is fine with it.

    Raises:
        StoreInUse: Another process has it.
        StoreMismatch: It holds another job's batch, or one although `resume` is false.
        StoreDamaged: Nothing could be salvaged.
        StoreFull: There is no room for a new file.
        StoreError: It cannot be a store, with the reason.
    """

    def __init__(self, path: str | os.PathLike[str], job: str, *, resume: bool) -> None:
        self._path = Path(os.path.realpath(path))
        self._broken: StoreError | None = None
        self._is_closed = False
        _check_place(self._path)
        if len(job.encode()) > JOB_LIMIT:
            raise StoreError(
                str(self._path), f"the job's text is over {JOB_LIMIT} bytes: name less"
            )
        with explained(self._path):
            self._claim = Claim(beside(self._path, "-lock"), self._path)
            try:
                self._db, found = self._open(job, resume=resume)
            except BaseException:
                self._claim.let_go(is_clean=not self._claim.batch)
                raise
        self._head, self._states = found.head, found.states
        self._damages = found.damages
        self._rows = {(each.what, each.id): row for row, each in found.damages.items()}
        self._claim.write(self._head.batch, self._head.accepted, self._head.outcomes)
        self._ballast = Ballast(beside(self._path, "-ballast"), BALLAST)
        with suppress(OSError):  # there is no room: outcomes may fit, and `accept` will say so
            self._ballast.hold()

    def accept(self, tasks: Sequence[tuple[int, bytes]]) -> None:
        """Put tasks on disk, all or none of them.

        Args:
            tasks: Their ids, which go on from those before, and their payloads.

        Raises:
            StoreFull: There is no room; it goes on when there is.
            StoreError: A record is too large, or the disk failed: then nothing more is taken until
                the file is opened again.
        """
        first = self.accepted_count
        if [number for number, _ in tasks] != [*range(first, first + len(tasks))]:
            raise InternalError(f"ids of tasks do not go on from {first}")
        records = [(number, seal(TASK, number, payload)) for number, payload in tasks]

        self._check_size(records)

        def write() -> None:
            self._ballast.hold()
            self._db.executemany("INSERT INTO tasks VALUES (?, ?)", records)

        self._commit(write, replace(self._head, accepted=first + len(tasks)))
        self._states.extend(bytes(len(tasks)))

    def record(self, outcomes: Sequence[Outcome]) -> list[int]:
        """Put outcomes on disk, all or none of them.

        Args:
            outcomes: Of tasks that were accepted; the first one of a task stays.

        Returns:
            The ids of those that were not the first.

        Raises:
            StoreFull: There is no room, and the ballast has been given up.
            StoreError: A record is too large, or the disk failed: then nothing more is taken until
                the file is opened again.
        """
        fresh: dict[int, Outcome] = {}
        again: list[int] = []
        for outcome in outcomes:
            if not 0 <= outcome.id < self.accepted_count:
                raise InternalError(f"an outcome of task {outcome.id}, which was never accepted")
            if self._states[outcome.id] == DONE or outcome.id in fresh:
                again.append(outcome.id)
            else:
                fresh[outcome.id] = outcome
        records = [(number, pack_outcome(outcome)) for number, outcome in fresh.items()]

        self._check_size(records)

        def write() -> None:
            self._db.executemany("REPLACE INTO outcomes VALUES (?, ?)", records)
            self._forget("outcome", fresh)

        if fresh:
            head = replace(self._head, outcomes=self._head.outcomes + len(fresh))
            self._commit_with_ballast(write, head)
            for number in fresh:
                self._states[number] = DONE
            self._drop("outcome", fresh)
        return again

    def complete(self, count: int) -> None:
        """Say that the input has been read to its end.

        Args:
            count: Of its tasks.

        Raises:
            StoreError: Fewer than were accepted earlier: it is not the same input.
        """
        if count < self.accepted_count:
            raise StoreError(
                str(self._path),
                f"the input ends after {count} tasks now, and {self.accepted_count} had been "
                "accepted: give the same input, or name another file",
            )
        if count > self.accepted_count:
            raise InternalError(f"an input of {count} tasks, {self.accepted_count} accepted")
        if self.total != count:
            self._commit_with_ballast(lambda: None, replace(self._head, total=count))

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def accepted_count(self) -> int:
        """Tasks that were accepted, a count."""
        return self._head.accepted

    @property
    def total(self) -> int | None:
        """Tasks of the whole input, a count; None while it has not been read to its end."""
        return self._head.total

    @property
    def damaged(self) -> list[Damage]:
        """What was found damaged, now or earlier, and was not given anew since."""
        return list(self._damages.values())

    def outcomes(self, after: int, most: int) -> list[Outcome]:
        """Give outcomes, in order of the ids of their tasks.

        Args:
            after: Ids above this one; -1 to begin.
            most: How many, a count.
        """
        found: list[Outcome] = []
        for number in self._done(after):
            if len(found) == most:
                break
            try:
                found.append(unpack_outcome(number, look_up(self._db, "outcomes", number)))
            except Altered:
                self._note(number)
                self._head = replace(self._head, outcomes=self._head.outcomes - 1)
        return found

    def payload(self, number: int) -> bytes | None:
        """Give the payload of a task; None if it is damaged or was never accepted.

        Args:
            number: The task's id.
        """
        try:
            return unseal(TASK, number, look_up(self._db, "tasks", number))
        except Altered:
            return None

    def replace(self, number: int, payload: bytes) -> None:
        """Put the payload of a damaged task on disk, as it was given again.

        Args:
            number: The task's id.
            payload: What its input makes.

        Raises:
            StoreFull: There is no room.
        """
        if not 0 <= number < self.accepted_count or self.payload(number) is not None:
            raise InternalError(f"task {number} is not damaged, and must not be replaced")
        record = seal(TASK, number, payload)
        self._check_size([(number, record)])

        def write() -> None:
            self._db.execute("REPLACE INTO tasks VALUES (?, ?)", (number, record))
            self._forget("task", [number])

        self._commit_with_ballast(write, self._head)
        self._drop("task", [number])

    def close(self) -> None:
        """Close the file and let others have it; a second time it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        with explained(self._path):
            self._ballast.give_up()  # the log is moved into the file now, which may take room
            self._db.close()
            self._claim.let_go(is_clean=not beside(self._path, "-wal").exists())

    def _open(self, job: str, *, resume: bool) -> tuple[sqlite3.Connection, Survey]:
        files.settle(self._path)
        is_new = not self._path.exists() or not self._path.stat().st_size
        if is_new:
            if resume and self._path.exists() and self._claim.accepted:
                how = f"it is empty, and {self._claim.accepted} tasks had been accepted"
                raise StoreDamaged(str(self._path), how)
            salvage.begin(self._path, Head(secrets.token_bytes(16), job, 0, 0, None))
        found = salvage.find(self._path)
        if found is None and files.has_our_header(self._path):
            raise StoreDamaged(str(self._path), "both copies of its facts")
        if found is None:
            raise StoreError(str(self._path), _NOT_OURS)
        head = found.head
        if head.job != job or not (resume or is_new):
            found.close()
            other = job if head.job != job else ""
            raise StoreMismatch(str(self._path), head.job, other, head.accepted)
        return salvage.open_sound(self._path, found, self._claim.raised(head))

    def _check_size(self, records: Iterable[tuple[int, bytes]]) -> None:
        for number, record in records:
            if len(record) > RECORD_LIMIT:
                raise StoreError(
                    str(self._path),
                    f"what is to be kept of task {number} has {len(record)} bytes, over the limit "
                    f"of {RECORD_LIMIT}: put it into a file, and pass the name of that",
                )

    def _commit(self, write: Callable[[], None], head: Head) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            with explained(self._path), transaction(self._db):
                write()
                salvage.put_head(self._db, head)
        except (StoreFull, StoreInUse):
            raise
        except StoreError as error:
            # After an fsync that failed the next one may succeed, and what failed be gone.
            self._broken = error
            raise
        self._head = head
        self._claim.write(head.batch, head.accepted, head.outcomes)

    def _commit_with_ballast(self, write: Callable[[], None], head: Head) -> None:
        try:
            self._commit(write, head)
        except StoreFull:
            if not self._ballast.give_up():
                raise
            self._commit(write, head)

    def _done(self, after: int) -> Iterator[int]:
        at = self._states.find(DONE, after + 1)
        while at >= 0:
            yield at
            at = self._states.find(DONE, at + 1)

    def _note(self, number: int) -> None:
        """Remember an outcome that turned out to be damaged while the file is open."""
        self._states[number] = 0
        row = max(self._damages, default=-1) + 1
        self._damages[row] = Damage("outcome", number, "altered")
        self._rows["outcome", number] = row

    def _forget(self, what: str, mended: Iterable[int]) -> None:
        rows = [(self._rows[what, number],) for number in mended if (what, number) in self._rows]
        self._db.executemany("DELETE FROM damaged WHERE id = ?", rows)

    def _drop(self, what: str, mended: Iterable[int]) -> None:
        for number in mended:
            self._damages.pop(self._rows.pop((what, number), -1), None)


_NOT_OURS = "it is not the file of a batch, and is left as it is: name another file"


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise StoreError(str(path), "it is a folder: name a file in it")
    if not path.parent.is_dir():
        raise StoreError(str(path), f"there is no folder {path.parent}: make it first")
    if path.exists() and not path.is_file():
        raise StoreError(str(path), "it is not a file: name one")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(str(path), "it may not be written to: change its mode, or name another")
