"""The program of a slot: runs one task at a time, in a process that a task may ruin.

A plain loop in the main thread that blocks where it waits. It starts in a tenth of a second, for it
imports what it needs and nothing of the package besides.

What is finished is gathered and sent together, see `outgoing.py`.
"""

from __future__ import annotations

import atexit
import contextlib
import mmap
import os
import sys
import time
from typing import Any, NoReturn

import msgspec

from actormq.codec import Codec
from actormq.elsewhere.tether import tie
from actormq.errors import (
    MessageTooLarge,
    NotEncodable,
    RemoteProtocolError,
    ResultRefused,
    SetupError,
)
from actormq.farm import words
from actormq.farm.job import Job, Loaded, load, load_initializer
from actormq.farm.outgoing import ID_BYTES, Outgoing
from actormq.farm.payload import check, limits_named, payload_codec, value_limit
from actormq.settings import FRAME_BYTES
from actormq.transport import PROCESS_DIALER, connect_socket, new_context, open_socket


def main(told: dict[str, Any]) -> None:
    """Be a slot until the node says that it is over.

    Args:
        told: What the node wrote on standard input.
    """
    with contextlib.suppress(OSError):  # a node without standard error
        os.dup2(2, 1)  # what tasks print must not meet the results that a command writes
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    tie(told)
    _Program(told).run()
    sys.stdout.flush()


class _Program:
    """One slot, on the main thread."""

    def __init__(self, told: dict[str, Any]) -> None:
        message_limit, buffer_limit, link_limit = told["limits"]
        self._codec = Codec(message_limit, buffer_limit)
        self._limit = value_limit(message_limit, buffer_limit, link_limit)
        self._payloads = payload_codec(self._limit)
        self._page = mmap.mmap(told["page"], words.PAGE_BYTES)
        self._count = 0  # of the tasks that were begun, or would have been
        self._skipped: list[int] = []
        self._jobs: dict[int, Job] = {}
        self._loaded: dict[int, Loaded | _Unfit] = {}
        self._initialized: set[tuple[str, bytes]] = set()
        self._context = new_context()
        token = told["token"].encode()
        self._socket = open_socket(self._context, PROCESS_DIALER, told["frame_limit"], token)
        connect_socket(self._socket, told["endpoint"], "slot")
        self._outgoing = Outgoing(self._socket, self._codec, self._page)

    def run(self) -> None:
        """Do what the node says, until it says that it is over."""
        self._outgoing.say([words.HELLO], [words.READY])
        try:
            while self._has_obeyed(self._socket.recv_multipart()):
                pass
        except SystemExit as exit_:  # a task, or what it imports, means to end the process
            self._context.destroy()
            _leave(exit_)
        self._context.destroy()  # what was sent leaves

    def _has_obeyed(self, frames: list[bytes]) -> bool:
        for envelope in self._codec.unpack(frames):
            match envelope:
                case [words.WORK, number, ids, blob]:
                    self._work(number, ids, blob)
                case [words.JOB, number, *parts]:
                    self._jobs[number] = msgspec.convert(parts, Job)
                case [words.CLOSE]:
                    return False
        return True

    def _mark(self, what: int) -> None:
        words.PAGE.pack_into(self._page, 0, time.monotonic(), what)

    # -- jobs ---------------------------------------------------------------------------------

    def _work(self, number: int, ids: list[int], blob: bytes) -> None:
        if number not in self._loaded:
            self._mark(words.LOADING)
            self._loaded[number] = self._load(self._jobs[number])
        loaded = self._loaded[number]
        if isinstance(loaded, Loaded):
            with self._outgoing.batch(len(ids)):
                self._run_all(loaded, ids, blob)
            if self._skipped:
                self._outgoing.say([words.SKIPPED, self._skipped])
                self._skipped = []
        else:
            self._count += len(ids)
            self._refuse_all(number, ids, loaded)
        self._mark(words.IDLE)

    def _refuse_all(self, number: int, ids: list[int], unfit: _Unfit) -> None:
        if unfit.failure is None:
            self._outgoing.say([words.CANNOT, number, ids, unfit.text])
        else:
            self._outgoing.fail([words.BROKEN, number, ids], unfit.failure)
            self._outgoing.flush()

    def _load(self, job: Job) -> Loaded | _Unfit:
        try:
            self._initialize(job)
            return load(job)  # which may stand on what was initialized
        except SystemExit:
            raise  # as in `_run`
        except SetupError as error:
            return _Unfit(text=str(error))
        except BaseException as error:  # noqa: BLE001 a border: initializers are not ours
            return _Unfit(failure=failure_of(self._payloads, error))

    def _initialize(self, job: Job) -> None:
        """Call what comes before the first task, once for all jobs that have it in common."""
        first = (job.initializer, job.initargs)
        if job.initializer and first not in self._initialized:
            function = load_initializer(job)
            function(*(self._payloads.unpack_all(job.initargs)[0] if job.initargs else []))
            self._initialized.add(first)

    # -- tasks --------------------------------------------------------------------------------

    def _run_all(self, loaded: Loaded, ids: list[int], blob: bytes) -> None:
        try:
            values = self._payloads.unpack_all(blob)
        except RemoteProtocolError:
            pass
        else:
            self._run(loaded, ids, values)
            return
        # One of them cannot be read, or they have too many lists and maps together.
        try:
            pieces = self._payloads.split(blob)
        except RemoteProtocolError as error:
            self._count += len(ids)
            for id_ in ids:
                self._fail(id_, error)
            return
        for id_, piece in zip(ids, pieces, strict=True):
            try:
                values = self._payloads.unpack_all(piece)
            except RemoteProtocolError as error:
                self._count += 1
                self._fail(id_, error)
            else:
                self._run(loaded, [id_], values)

    def _run(self, loaded: Loaded, ids: list[int], values: list[Any]) -> None:
        """Run tasks one after the other; what is in this loop, each of them pays for."""
        run, pack, outgoing = loaded.run, self._payloads.pack_value, self._outgoing
        write, page, clock = words.PAGE.pack_into, self._page, time.monotonic
        recalls_at = words.RECALLS_AT
        for id_, value in zip(ids, values, strict=True):
            now = clock()
            if now > outgoing.flush_at:
                outgoing.flush()
            write(page, 0, now, id_)
            self._count += 1
            # The node writes what it takes back and then looks what is begun, this end the other
            # way round: so each task is run by somebody, and at worst by two.
            if page[recalls_at] and self._was_recalled(self._count - 1):
                self._skipped.append(id_)
                continue
            try:
                result = run(value)
            except SystemExit:
                raise  # it means to end the process, and the node sees that
            except BaseException as error:  # noqa: BLE001 a border: tasks are not ours
                self._fail(id_, error, is_final=isinstance(error, loaded.finals))
                continue
            try:
                packed = pack("", result)
                size = len(packed)
                if size > FRAME_BYTES:
                    check(self._payloads, "", packed)
            except Exception as error:  # noqa: BLE001 a border: packing may run what is not ours
                self._refuse(id_, error)
                continue
            if size > outgoing.room:
                outgoing.flush()
            outgoing.room -= size + ID_BYTES
            outgoing.done.append((id_, packed))

    def _was_recalled(self, number: int) -> bool:
        """Whether the node has taken a task back; `number` counts them as they were given."""
        page = self._page
        while True:
            before = page[words.RECALLS_AT]
            first, end = words.RECALL.unpack_from(page, words.PAGE.size)
            if before % 2 == 0 and before == page[words.RECALLS_AT]:
                return bool(first <= number < end)

    def _fail(self, id_: int, error: BaseException, *, is_final: bool = False) -> None:
        failure = failure_of(self._payloads, error, is_final=is_final)
        self._outgoing.fail([words.FAILED, id_], failure)

    def _refuse(self, id_: int, error: Exception) -> None:
        """Say of a task that it has run, and its result cannot travel."""
        if isinstance(error, MessageTooLarge):
            text = (
                f"the result has {error.facts[1]} bytes, over the limit of {self._limit}: write it "
                f"to a file and return its name, or raise {limits_named(self._limit)}"
            )
        else:
            why = error.facts[1] if isinstance(error, NotEncodable) else repr(error)
            text = (
                f"the result cannot be encoded: {why}; return plain values, dataclasses, "
                "msgspec.Structs or arrays"
            )
        self._fail(id_, ResultRefused(text), is_final=True)


def _leave(exit_: SystemExit) -> NoReturn:
    """End as the interpreter would, but wait for no thread that a task has left behind."""
    code = exit_.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)  # noqa: T201 as the interpreter does
        code = 1
    atexit._run_exitfuncs()  # noqa: SLF001 as multiprocessing does
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a task may have closed it
            stream.flush()
    os._exit((code or 0) & 0xFF)


class _Unfit:
    """Why a job cannot run here: its function is not here, or its initializer failed."""

    def __init__(self, text: str = "", failure: Any = None) -> None:
        self.text = text
        self.failure = failure


def failure_of(codec: Codec, error: BaseException, *, is_final: bool = False) -> Any:
    """See `failure.failure_of`."""
    from actormq.farm import failure  # noqa: PLC0415 it takes a while, and most slots need none

    return failure.failure_of(codec, error, is_final=is_final)
