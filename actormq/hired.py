"""The node of an executor, in a thread of its own, and the way to it from all others."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from typing import Any

from actormq.codec import Codec
from actormq.ending import run_to_end
from actormq.errors import SetupError
from actormq.farm.calls import Call, Calls, Kind, fail
from actormq.farm.dispatch import Dispatch
from actormq.farm.job import Mode, job_of
from actormq.farm.payload import packed, payload_codec, value_limit
from actormq.farm.reports import FARM_PREFIX
from actormq.farm.results import result_maker
from actormq.farm.ventilator import Ventilator
from actormq.farm.worker import Worker
from actormq.node import Node
from actormq.settings import NodeOptions, checked

_ALIVE: dict[Hired, threading.Thread] = {}
"""Those that have begun and not ended: their work is done before the interpreter ends."""


class _Interpreter:
    is_ending = False


class Hired:
    """A node with the one queue of an executor, and the workers that it brings itself.

    It begins with the first call: who imports a module that makes an executor, as workers do, may
    want no more of it. It knows nothing of the executor, which may be thrown away while there is
    work left, nor of its own thread, which is not to wait for the collector.

    Args:
        workers: Slots on this node.
        options: The settings of the node.

    Attributes:
        initializer: The target of what slots call before their first task; "" for nothing.
        initargs: What it is called with, packed.
        broken: Why no call can be run any more, None as long as they can.

    Raises:
        SetupError: A setting cannot be.
    """

    def __init__(self, workers: int, options: NodeOptions) -> None:
        settings = checked(options)
        self.initializer = ""
        self.initargs = b""
        self.broken: Exception | None = None
        self._workers = workers
        self._node = Node(**options)
        self._name = f"executor-{options.get('name') or os.getpid()}"
        self._limit = value_limit(
            settings.message_limit, settings.buffer_limit, settings.link_limit
        )
        self._local = threading.local()
        self._kinds: dict[tuple[Any, Mode], Kind] = {}
        self._pid = os.getpid()
        self._lock = threading.RLock()  # the collector may call `close` at any place
        self._inbox: list[Call] = []
        self._has_begun = False
        self._is_rung = False
        self._is_shut = False
        self._is_cancelling = False
        self._calls: Calls | None = None
        self._over: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- from any thread ----------------------------------------------------------------------

    @property
    def codec(self) -> Codec:
        """Packs values, for the calling thread: a codec is at one value at a time."""
        try:
            codec: Codec = self._local.codec
        except AttributeError:
            codec = self._local.codec = payload_codec(self._limit)
        return codec

    def packed(self, kind: Kind, value: Any) -> bytes:
        """Pack what a call takes.

        Raises:
            NotEncodable: It cannot travel.
            MessageTooLarge: Likewise.
        """
        return packed(self.codec, kind.job.target, value)

    def kind(self, function: Any, mode: Mode) -> Kind:
        """The calls of one function.

        Raises:
            SetupError: It cannot be found by its name.
        """
        try:
            known = self._kinds.get((function, mode))
        except TypeError:  # no hash: no function
            known = None
        if known is None:
            first = self.initializer or None
            job = job_of(function, mode, first, self.initargs)
            made = result_maker(function)
            if mode == "chunk" and made is not None:
                one = made
                made = lambda values: [one(value) for value in values]  # noqa: E731 it is one line
            known = self._kinds.setdefault((function, mode), Kind(job, made))
        return known

    @property
    def thread(self) -> threading.Thread | None:
        """Its thread, as long as it has one."""
        return _ALIVE.get(self)

    def put(self, calls: Sequence[Call]) -> None:
        """Hand calls to the node.

        Raises:
            BrokenExecutor: They cannot be run any more.
            RuntimeError: It has been closed, or this is a fork.
        """
        if os.getpid() != self._pid:
            raise RuntimeError(
                "cannot schedule new futures in a fork of the process that has the executor: make "
                "one in each process"
            )
        with self._lock:
            if self.broken is not None:
                raise _again(self.broken)
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if _Interpreter.is_ending:
                raise RuntimeError("cannot schedule new futures after interpreter shutdown")
            self._inbox += calls
            if not self._has_begun:
                self._begin()
            self._ring()

    def _begin(self) -> None:
        # A daemon: Python joins others before it runs what is registered to be run at its end.
        thread = threading.Thread(target=self._serve, name="actormq-executor", daemon=True)
        thread.start()
        _ALIVE[self] = thread
        self._has_begun = True

    def close(self, *, cancel_futures: bool = False) -> None:
        """Take no more calls; the node ends when those it has are done."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._is_shut = True
            self._is_cancelling = self._is_cancelling or cancel_futures
            self._ring()

    def _ring(self) -> None:
        """Let the loop look, once for all that comes until it does. The lock is held."""
        if self._loop is not None and not self._is_rung:
            self._is_rung = True
            self._loop.call_soon_threadsafe(self._look)

    # -- in its thread ------------------------------------------------------------------------

    def _serve(self) -> None:
        error: BaseException | None = None
        try:
            run_to_end(self._node, self._main(), lambda task, _: task.cancel())
        except BaseException as raised:  # noqa: BLE001 a border: it goes to all who wait
            error = raised
        self._end(error)
        _ALIVE.pop(self, None)  # the last thing: who finds it there waits until it has ended

    async def _main(self) -> None:
        self._over = asyncio.Event()
        async with self._node as node:
            ref = await node.spawn(
                Ventilator, FARM_PREFIX + self._name, self._name, 0, self._attach
            )
            worker = await node.spawn(Worker, None, self._workers, ref) if self._workers else None
            with self._lock:
                self._loop = asyncio.get_running_loop()
                self._ring()
            await self._over.wait()
            with self._lock:
                self._loop = None  # it closes, and whoever rings later would hear of that
            await ref.stop()
            if worker is not None:
                await worker.stop()

    def _attach(self, dispatch: Dispatch) -> None:
        self._calls = Calls(dispatch, self._look, self._break)

    def _look(self) -> None:
        """See what was put, and whether that was the last."""
        if self._calls is None or self._over is None:
            return  # the node has ended
        with self._lock:
            self._is_rung = False
            calls, self._inbox = self._inbox, []
            is_cancelling, self._is_cancelling = self._is_cancelling, False
            is_shut = self._is_shut
        self._calls.put(calls)
        if is_cancelling:
            self._calls.cancel_all(spared=self._workers)
        if is_shut and not self._calls.count:
            self._over.set()

    def _break(self, error: Exception) -> None:
        """The initializer has failed: so will all calls."""
        assert self._calls is not None
        broken = BrokenExecutor(
            f"the initializer {self.initializer} has failed, and no call can be run: "
            f"{type(error).__name__}: {error}"
        )
        broken.__cause__ = error
        with self._lock:
            self.broken = broken
        self._calls.fail_all(broken)

    def _end(self, error: BaseException | None) -> None:
        """The node has ended, and with it whatever was not done."""
        why = "it was stopped" if error is None else f"{type(error).__name__}: {error}"
        if isinstance(error, SetupError):
            why = str(error)
        broken = BrokenExecutor(f"the node of the executor has ended: {why}")
        broken.__cause__ = error
        with self._lock:
            self._loop = None
            calls, self._inbox = self._inbox, []
            if not self._is_shut and self.broken is None:
                self.broken = broken
        for _, _, future in calls:
            fail(future, broken)
        if self._calls is not None:
            self._calls.fail_all(broken)
        self._calls = None


def _again(broken: Exception) -> Exception:
    """The same error for another caller, who gets a traceback of his own."""
    error = BrokenExecutor(str(broken))
    error.__cause__ = broken.__cause__
    return error


@atexit.register
def _finish() -> None:
    """Do what is left before the interpreter ends."""
    _Interpreter.is_ending = True
    alive = dict(_ALIVE)
    for hired in alive:
        hired.close()
    for thread in alive.values():
        thread.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ALIVE.clear)  # they are not in the child
