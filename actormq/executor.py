"""A `concurrent.futures.Executor` whose workers are those of a mesh.

The user's threads leave calls in a list and ring once; the rest happens on a node of its own, which
runs in a thread. There is nothing here that decides: the queue is a farm's (`farm/ventilator.py`).
"""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, Unpack

from actormq.elsewhere.finding import pass_over
from actormq.errors import MessageTooLarge, NotEncodable, SetupError
from actormq.farm.farm import count_of
from actormq.farm.job import target_of
from actormq.farm.payload import packed
from actormq.hired import Hired
from actormq.settings import NodeOptions

P = ParamSpec("P")
T = TypeVar("T")


class Executor(concurrent.futures.Executor):
    """Runs functions on the workers of a mesh; takes the place of a `ProcessPoolExecutor`.

    Functions are named by their modules, arguments and results travel as msgpack; nothing is
    pickled. A call whose worker dies is given to another one, up to five times; one that raises is
    not tried again.

    Args:
        max_workers: Processes that are started on this machine; by default one a core. 0 leaves all
            work to `actormq farm worker` on other machines.
        initializer: A function that each process calls before its first task.
        initargs: What it is called with.
        options: The settings of its node, see `Settings`: `mesh`, `name`, `join` and so on.

    Raises:
        SetupError: A setting cannot be, the initializer cannot be found by its name, or its
            arguments cannot travel.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        **options: Unpack[NodeOptions],
    ) -> None:
        pass_over()  # in a process of a worker, this script is loaded for its functions only
        self._max_workers = count_of(max_workers, "max_workers")
        if initializer is not None and _is_lock_of_tqdm(initializer):
            initializer = None
        self._hired = Hired(self._max_workers, options)
        if initializer is not None:
            self._hired.initializer = target_of(initializer)
            self._hired.initargs = _packed(self._hired, initializer, initargs)
        # When it is thrown away without a word, what it was given is still done.
        weakref.finalize(self, self._hired.close).atexit = False

    @property
    def _broken(self) -> str | bool:
        """Why no call can be run any more; other executors have such a thing, and tests ask it."""
        return str(self._hired.broken or "") or False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn(*args, **kwargs)` on a worker.

        Args:
            fn: A function at the top of a module that the workers have as well.
            args: What it takes; packed now, so what becomes of them later does not matter.
            kwargs: Likewise.

        Returns:
            A future. It can be cancelled until a worker is given the call. What the function raised
            is raised by it, as its own class where that can be made again here, else as
            `TaskFailed`; `TaskLost` if five workers died of it.

        Raises:
            SetupError: The function cannot be found by its name.
            NotEncodable: An argument cannot travel.
            MessageTooLarge: The arguments are too large.
            BrokenExecutor: The initializer has failed, or the node has ended.
            RuntimeError: It was shut down.
        """
        hired = self._hired
        if isinstance(fn, _Chunk):
            kind, payload = hired.kind(fn.function, "chunk"), list(args)
        else:
            kind, payload = hired.kind(fn, "call"), [args, kwargs]
        future: Future[T] = Future()
        hired.put([(kind, hired.packed(kind, payload), future)])
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Run a function over many arguments; gives the results in their order.

        Each task goes through `submit`, which others may have wrapped to count them: a call of
        `fn`, or a chunk of calls, for which something else that can be called stands for `fn`.

        Args:
            fn: As in `submit`.
            iterables: What it takes: the first arguments, the second ones and so on. They are read
                to the end of the shortest now, unless there is a `buffersize`.
            timeout: Seconds from now until the last result must be there.
            chunksize: How many calls are one task. A task is what is given to a worker, given to
                another one, and fails as a whole.
            buffersize: How many tasks are handed over ahead of the one whose results are asked for;
                more of the iterables is read as results are taken. None for all of them now.

        Raises:
            TimeoutError: By the iterator: a result is not there in time.
            Exception: As in `submit`; by the iterator, what the function raised, and with a
                `buffersize` what `submit` or an iterable raises later.
            ValueError: `chunksize` or `buffersize` is below 1.
            TypeError: `buffersize` is no whole number.
        """
        if chunksize < 1:
            raise ValueError(f"chunksize={chunksize}: it is a count of calls, 1 or more")
        _check_buffersize(buffersize)
        end = None if timeout is None else time.monotonic() + timeout
        if chunksize == 1:
            calls = (self.submit(fn, *args) for args in zip(*iterables, strict=False))
            return _results(calls, buffersize, end)
        chunk = _Chunk(fn)
        tasks = (self.submit(chunk, *columns) for columns in _chunks(iterables, chunksize))
        return _joined(_results(tasks, buffersize, end))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and end when all have been done.

        Args:
            wait: Whether to wait for that.
            cancel_futures: Whether calls that no worker has been given are cancelled.
        """
        thread = self._hired.thread
        self._hired.close(cancel_futures=cancel_futures)
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()  # the current one where a callback of a future shuts it down

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        # Ctrl-C means now, and not when a thousand calls have been done.
        is_interrupt = exc_type is not None and issubclass(exc_type, KeyboardInterrupt)
        self.shutdown(cancel_futures=is_interrupt)


def _chunks(iterables: Sequence[Iterable[Any]], size: int) -> Iterator[list[list[Any]]]:
    """Cut into chunks what a function is called with: of each, all first arguments and so on."""
    if len(iterables) == 1:
        values = iter(iterables[0])
        while column := list(itertools.islice(values, size)):
            yield [column]
    else:
        rows = zip(*iterables, strict=False)
        while chunk := list(itertools.islice(rows, size)):
            yield [list(column) for column in zip(*chunk, strict=True)]


def _results(tasks: Iterator[Future[T]], buffersize: int | None, end: float | None) -> Iterator[T]:
    """Hand tasks over now, and give their results in order.

    Args:
        tasks: Hands one over, or some, with each turn.
        buffersize: How many at first; then one more each time a result is asked for.
        end: When the last result must be there, in seconds of the monotonic clock.
    """
    return _taken(deque(itertools.islice(tasks, buffersize)), tasks, end)


def _taken(futures: deque[Future[T]], more: Iterator[Future[T]], end: float | None) -> Iterator[T]:
    """Give results in order, and hold on to none; what nobody waits for any more is cancelled."""
    try:
        while futures:
            futures.extend(itertools.islice(more, 1))
            yield _result_of(futures.popleft(), end)
    finally:
        for future in futures:
            future.cancel()


def _result_of(future: Future[T], end: float | None) -> T:
    try:
        return future.result(None if end is None else end - time.monotonic())
    finally:
        future.cancel()
        del future  # a traceback holds this frame


def _joined(lists: Iterator[list[T]]) -> Iterator[T]:
    """Give what is in lists, and hold on to none."""
    for values in lists:
        values.reverse()
        while values:
            yield values.pop()


def _check_buffersize(buffersize: Any) -> None:
    if buffersize is None:
        return
    if not isinstance(buffersize, int):
        raise TypeError(f"buffersize={buffersize!r}: it is a count of tasks, or None")
    if buffersize < 1:
        raise ValueError(f"buffersize={buffersize}: it is a count of tasks, 1 or more")


class _Chunk(Generic[T]):
    """Stands for a function where a chunk of its calls is one `submit`.

    It can be called as well: a `submit` of somebody else may run it where it likes.
    """

    def __init__(self, function: Callable[..., T]) -> None:
        self.function = function

    def __call__(self, *columns: Sequence[Any]) -> list[T]:
        return list(map(self.function, *columns))

    def __repr__(self) -> str:
        return f"<a chunk of calls of {self.function!r}>"


def _packed(hired: Hired, initializer: Callable[..., object], args: Iterable[Any]) -> bytes:
    name = f"the initializer {target_of(initializer)}"
    try:
        return packed(hired.codec, name, list(args))
    except (NotEncodable, MessageTooLarge) as error:
        raise SetupError(f"initargs cannot travel to a worker: {error}") from error


def _is_lock_of_tqdm(initializer: Any) -> bool:
    """Whether this is how tqdm shares its lock among the processes of one machine.

    Here each process has one of its own: it does not outlive a process, nor leave a machine.
    """
    name = getattr(initializer, "__qualname__", "")
    module = getattr(initializer, "__module__", "") or ""
    return name == "tqdm.set_lock" and module.partition(".")[0] == "tqdm"
