"""What a test has left behind: nodes, sockets, threads, and what Python warned of.

Sockets are noted as they are opened, with the place; the rest is compared with what was there
before. Tasks belong to a loop: `testloop.py` looks at them.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import zmq
from zmq.utils.garbage import GarbageCollectorThread

from actormq.node import Node, started_nodes
from actormq.testing.simulation.machine import SimulatedNode

GRACE = 5.0  # s of real time for threads to end; they were told to
POLL = 0.001  # s
_NOT_THE_TEST = ("zmq", "tornado", "actormq")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A socket, and where it was opened."""

    ref: weakref.ref[Any]
    where: str


class Leaks:
    """Looks for what was left between `__enter__` and `complaints`.

    Args:
        ignored_threads: Beginnings of the names of threads that may stay.
    """

    def __init__(self, ignored_threads: Sequence[str] = ()) -> None:
        self._ignored = tuple(ignored_threads)
        self._threads: set[threading.Thread] = set()
        self._nodes: weakref.WeakSet[Node] = weakref.WeakSet()
        self._opened: list[_Opened] = []
        self._warned: list[str] = []
        self._socket_init: Callable[..., None] = zmq.Socket.__init__
        self._show: Callable[..., None] = warnings.showwarning
        self._catching = warnings.catch_warnings()
        self._has_frozen = False
        self._said: list[str] = []
        self._expected: list[str] = []

    def __enter__(self) -> Self:
        self._threads = set(threading.enumerate())
        self._nodes = weakref.WeakSet(started_nodes())
        self._note_sockets()
        self._note_warnings()
        self._has_frozen = gc.get_freeze_count() == 0  # else somebody else has, who unfreezes too
        if self._has_frozen:
            gc.freeze()
        return self

    def __exit__(self, *_: object) -> None:
        zmq.Socket.__init__ = self._socket_init  # type: ignore[method-assign]  # as it was
        self._catching.__exit__(None, None, None)
        self._thaw()

    # -- noting -------------------------------------------------------------------------------

    def _note_sockets(self) -> None:
        original = self._socket_init = zmq.Socket.__init__
        opened = self._opened

        def noted(socket: Any, *args: Any, **kwargs: Any) -> None:
            original(socket, *args, **kwargs)
            where = _place()
            if where and not getattr(socket, "_shadow", False):
                opened.append(_Opened(weakref.ref(socket), where))

        zmq.Socket.__init__ = noted  # type: ignore[method-assign, assignment]  # put back in __exit__

    def _note_warnings(self) -> None:
        """Take down each ResourceWarning; all others go where they went.

        Raised as errors they would keep pyzmq's `__del__` from closing its socket, and then the
        end of its context would wait for ever.
        """
        self._catching.__enter__()
        warnings.filterwarnings("always", category=ResourceWarning)
        self._show = warnings.showwarning
        warnings.showwarning = self._warn  # type: ignore[assignment]  # put back by _catching

    def _warn(self, message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if issubclass(category, ResourceWarning):
            self._warned.append(str(message))
        else:
            self._show(message, category, *rest)

    # -- looking ------------------------------------------------------------------------------

    def say(self, *sentences: str) -> None:
        """Add what somebody else has found."""
        self._said += sentences

    def nodes(self) -> list[Node]:
        """The nodes that were started since, and still run."""
        return [node for node in self._started() if node._runtime is not None]  # noqa: SLF001 as below

    def _started(self) -> list[Node]:
        """Those of this machine: what a simulation crashes holds nothing that could be left."""
        started = [node for node in started_nodes() if not isinstance(node, SimulatedNode)]
        return [node for node in started if node not in self._nodes]

    def expect(self, *texts: str) -> None:
        """Reckon with what is left, by a text of its sentence; each must come at least once."""
        self._expected += texts

    def complaints(self) -> list[str]:
        """A sentence for each thing that was left, and for each that was expected and was not."""
        found = self._found()
        surprises = [x for x in found if not any(text in x for text in self._expected)]
        absent = [text for text in self._expected if not any(text in x for x in found)]
        return surprises + [f"expected to be left: {x}" for x in absent]

    def _found(self) -> list[str]:
        self._collect()
        nodes, threads = self.nodes(), self._threads_left()
        found = [*self._said, *map(node_left, nodes)]
        found += self._sockets_left([_context_of(node) for node in nodes])
        found += threads
        found += [f"not closed, a ResourceWarning: {text}" for text in self._warned]
        if threads or any(sentence.startswith("task left") for sentence in self._said):
            # Not without: what a node gave up waiting for may have ended a moment later.
            found = [*filter(None, map(_actors_left, self._started())), *found]
        return found

    def _collect(self) -> None:
        """Let go of what only circles hold; what was there before is frozen, and costs nothing."""
        gc.collect()
        self._thaw()

    def _thaw(self) -> None:
        if self._has_frozen:
            self._has_frozen = False
            gc.unfreeze()

    def _sockets_left(self, of_nodes: list[Any]) -> list[str]:
        """Those that are open, without those of nodes that were left: these are named already."""
        left = []
        for opened in self._opened:
            socket = opened.ref()
            if socket is not None and not socket.closed and socket.context not in of_nodes:
                left.append(f"socket left open: {_described(socket)}, opened at {opened.where}")
        return left

    def _threads_left(self) -> list[str]:
        end = time.monotonic() + GRACE
        while threads := self._new_threads():
            if time.monotonic() > end:
                return [f"thread left: {thread.name!r}" for thread in threads]
            threads[0].join(POLL)
        return []

    def _new_threads(self) -> list[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread not in self._threads
            and not thread.name.startswith(self._ignored)
            and not isinstance(thread, GarbageCollectorThread)  # pyzmq's own, one for ever
        ]


def _actors_left(node: Node) -> str:
    """The sentence for what had not ended when its node did; "" if all had."""
    # What holds the loop is this: else nobody would ask.
    what = "; ".join(line for line in node.left if "holds the loop" not in line)
    return f"actor left: node {node.name!r} stopped without the end of {what}" if what else ""


def node_left(node: Node) -> str:
    """The sentence for a node that was not stopped."""
    actors = len(list(node._runtime.registry.cells())) - 1 if node._runtime else 0  # noqa: SLF001 as above
    return (
        f"node left running: {node.name!r} with {actors} actors; stop it with `await node.stop()`, "
        "or start it with the fixture `mesh`"
    )


def _context_of(node: Node) -> Any:
    runtime = node._runtime  # noqa: SLF001 the kit may look inside
    return None if runtime is None else runtime.transport.context


def _described(socket: Any) -> str:
    kind = zmq.constants.SocketType(socket.get(zmq.TYPE)).name
    endpoint = socket.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
    return f"{kind} at {endpoint}" if endpoint else f"{kind}, neither bound nor connected"


def _place() -> str:
    """The line of the test, or of what it calls, that opened a socket; "" for pyzmq's own use."""
    frame = sys._getframe(1)  # noqa: SLF001 documented, and what traceback uses too
    while frame.f_back is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module == "zmq.utils.garbage":
            return ""
        is_own = module.partition(".")[0] in _NOT_THE_TEST
        if not is_own:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
