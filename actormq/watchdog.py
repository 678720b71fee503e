"""Finds what holds a loop: a thread that looks at the loops' threads from time to time.

asyncio runs everything, turns of actors, tasks, timers and sockets alike, through `Handle._run`.
If a loop's thread is in the very same frame of it as at the last look, and has been for longer
than `hold_limit`, somebody holds the loop; the stack inside that frame says who. So neither a
message nor a tick pays for being watched, and a loop that sleeps is not woken.

What it cannot see: while C code keeps the interpreter's lock (a regular expression that explodes,
a huge `json.loads`, `sorted` of a big list) no thread runs, this one neither. It is told the
moment the code gives the lock back, at the line that did it. A process that was stopped or starved
as a whole, which did not compute meanwhile, is not taken for one that held its loop.
A loop that is not asyncio's own (uvloop) has no such frames and is not watched.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from asyncio import base_events, events
from collections.abc import Callable
from types import FrameType

import msgspec

from actormq.events import LoopHeld
from actormq.stacks import Culprit, culprit, frames_of

IDLE_LOOKS = 2  # looks within one hold_limit at loops that wait: found after 1 to 1.75 times that
BUSY_LOOKS = 4  # once something runs
HELD_LOOKS = 20  # once it is known to hold the loop: for how long it did
SHORTEST_LOOK = 0.01  # s between looks, whatever the limit
LONGEST_LOOK = 1.0  # s between looks: a node that is added with a short limit is seen within that

_HANDLE_RUN = events.Handle._run.__code__  # noqa: SLF001 a code object to compare with
_RUN_ONCE = base_events.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]  # noqa: SLF001 as above


class Hold(msgspec.Struct, frozen=True):
    """The longest time that an actor has held the loop.

    Attributes:
        handler: By which of its handlers.
        seconds: For how long.
    """

    handler: str
    seconds: float


class Watched(msgspec.Struct, eq=False):
    """One node, under watch between `begin` and `end`.

    Attributes:
        node: Its id.
        thread: The ident of its loop's thread.
        limit: Its `hold_limit`, in seconds; infinity watches nothing.
        report: Called with each finding, from a thread of its own.
        holds: The longest of each actor, by serial. Threads read it: it is replaced, never changed.
    """

    node: str
    thread: int
    limit: float
    report: Callable[[LoopHeld], None]
    holds: dict[int, Hold] = msgspec.field(default_factory=dict)

    def begin(self) -> None:
        """Watch it from now on; the first one starts the thread."""
        if self.limit != math.inf:
            _add(self)

    def end(self) -> None:
        """Watch it no more; the last one ends the thread."""
        _remove(self)

    def note(self, serial: int, hold: Hold) -> None:
        """Keep it if it is the actor's longest."""
        longest = self.holds.get(serial)
        if longest is None or longest.seconds < hold.seconds:
            self.holds = {**self.holds, serial: hold}


def held_by(thread: int, seconds: float = SHORTEST_LOOK) -> Culprit | None:
    """Say who holds the loop of a thread now; None if it goes on within `seconds`."""
    first = _running(frames_of(thread))
    if first is None:
        return None
    time.sleep(seconds)
    stack = frames_of(thread)
    if not stack or _running(stack) is not first:
        return None
    return culprit(stack, first)


class _Look(msgspec.Struct):
    """What was seen of one thread last: in which frame it was, since when, and what was told."""

    frame: FrameType
    since: float
    told: tuple[Watched, Culprit] | None = None


class _Dog:
    """The thread, for all nodes of this process."""

    def __init__(self) -> None:
        self.nodes: tuple[Watched, ...] = ()
        self._alarm = (
            threading.Lock()
        )  # held while there is nothing new; half the price of an Event
        self._alarm.acquire()
        self._looks: dict[int, _Look] = {}
        self._thread = threading.Thread(target=self._run, name="actormq-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Let it see that its nodes are others."""
        with contextlib.suppress(RuntimeError):  # it has been woken already
            self._alarm.release()

    def join(self) -> None:
        self._thread.join(1.0)

    def _run(self) -> None:
        last, computed = time.monotonic(), time.process_time()
        wait = self._wait()
        while self.nodes:
            self._alarm.acquire(timeout=wait)
            now, busy = time.monotonic(), time.process_time()
            late = now - last - wait
            if late > wait and busy - computed < late / 2:
                for look in self._looks.values():
                    look.since += late  # all of the process stood still, not its loop
            elif late <= wait:
                late = 0.0
            self._look(now, now - late)
            last, computed, wait = now, busy, self._wait()

    def _wait(self) -> float:
        nodes = self.nodes
        if not nodes:
            return 0.0
        looks = IDLE_LOOKS
        if self._looks:
            held = any(look.told for look in self._looks.values())
            looks = HELD_LOOKS if held else BUSY_LOOKS
        shortest = min(node.limit for node in nodes) / looks
        return min(max(shortest, SHORTEST_LOOK), LONGEST_LOOK)

    def _look(self, now: float, due: float) -> None:
        """Look at each loop's thread.

        Args:
            now: The present.
            due: When this look should have been: what runs now has done so since, if late.
        """
        nodes = self.nodes
        for thread in {node.thread for node in nodes} | set(self._looks):
            stack = frames_of(thread)
            frame = _running(stack)
            look = self._looks.get(thread)
            if look is not None and frame is not look.frame:
                del self._looks[thread]
                if look.told is not None:
                    _report(*look.told, now - look.since, is_over=True)
                look = None
            if frame is None:
                continue
            if look is None:
                look = self._looks[thread] = _Look(frame, due)
            if look.told is None:
                here = [node for node in nodes if node.thread == thread]
                held = now - look.since
                if here and held >= min(node.limit for node in here):
                    self._found(look, here, stack, held)

    def _found(
        self, look: _Look, nodes: list[Watched], stack: list[FrameType], seconds: float
    ) -> None:
        found = culprit(stack, look.frame)
        context = found.context
        node = nodes[0]
        if context is not None:
            id_ = context.runtime.node_id
            node = next((one for one in nodes if one.node == id_), node)
        if seconds >= node.limit:
            look.told = (node, found)
            _report(node, found, seconds, is_over=False)


def _running(stack: list[FrameType]) -> FrameType | None:
    """The frame in which asyncio runs what it runs now; None for a loop that waits."""
    for frame in stack:
        if frame.f_code is _HANDLE_RUN:
            return frame
        if frame.f_code is _RUN_ONCE:
            return None
    return None


def _report(node: Watched, found: Culprit, seconds: float, *, is_over: bool) -> None:
    context = found.context
    if context is not None:
        node.note(context.address.serial, Hold(found.handler, seconds))
    node.report(LoopHeld(found.label, found.handler, seconds, found.stack, is_over))


_lock = threading.Lock()
_dogs: list[_Dog] = []


def _add(watched: Watched) -> None:
    with _lock:
        if _dogs:
            dog = _dogs[0]
            dog.nodes = (*dog.nodes, watched)
            dog.wake()
        else:
            dog = _Dog()
            dog.nodes = (watched,)
            _dogs.append(dog)
            dog.start()


def _remove(watched: Watched) -> None:
    with _lock:
        ended = None
        for dog in _dogs:
            dog.nodes = tuple(node for node in dog.nodes if node is not watched)
            if not dog.nodes:
                ended = dog
        if ended is not None:
            _dogs.remove(ended)
            ended.wake()
    if ended is not None:
        ended.join()
