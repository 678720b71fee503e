"""Whose code a thread runs: the user's handler, found in a stack.

Nothing is noted beforehand, so that handlers pay nothing for being found.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import msgspec

from actormq.actor import Actor
from actormq.context import Context
from actormq.turns import Turns

FRAMES_MOST = 100_000  # of a stack that are looked at
FRAMES_SHOWN = 30  # innermost frames of a stack; a recursion has a thousand, all alike
_ANTICIPATE = Turns.anticipate.__code__
_OURS = ("actormq.", "asyncio.", "tornado.", "concurrent.", "threading", "zmq.", "contextvars")


class Culprit(msgspec.Struct, frozen=True):
    """What was found in a stack.

    Attributes:
        actor: The actor, if it is the code of one.
        handler: The outermost method of the actor, or else the outermost function that is no
            part of what runs it.
        stack: The stack from there inward, as text.
    """

    actor: Actor | None
    handler: str
    stack: str

    @property
    def context(self) -> Context | None:
        """What the actor was given by its cell; None while it has not been."""
        return getattr(self.actor, "_actormq_context", None)

    @property
    def label(self) -> str:
        """The actor's name, its class if it has none yet, or ""."""
        return label_of(self.actor) if self.actor is not None else ""


def frames_of(thread: int) -> list[FrameType]:
    """The stack of a thread that goes on running, the innermost frame first; none if it has ended.

    A thread that is left to run between two steps of a walk may leave frames that lead to freed
    memory, and CPython 3.11 then crashes (five times in tests with dozens of overloaded nodes).
    So the whole walk is one call of C, within which no other thread gets its turn.

    Args:
        thread: Its ident.
    """
    top = map(operator.itemgetter(thread), map(operator.call, (sys._current_frames,)))  # noqa: SLF001 documented, for this purpose
    steps = itertools.chain(top, itertools.repeat("f_back", FRAMES_MOST))
    frames: list[FrameType] = []
    with contextlib.suppress(KeyError, AttributeError):  # no such thread; the frame of none
        frames.extend(itertools.accumulate(steps, getattr))
    return [frame for frame in frames if frame is not None]


def culprit(stack: Sequence[FrameType], outside: FrameType | None = None) -> Culprit:
    """Find the handler in a stack, which may go on running meanwhile.

    Args:
        stack: That of `frames_of`.
        outside: A frame of that stack; only what it called is looked at.
    """
    frames = []
    for frame in stack:
        if frame is outside or frame.f_code is _ANTICIPATE:  # beyond it is only who awaits the rest
            break
        frames.append(frame)
    frames.reverse()
    actor, first = None, 0
    for number, frame in enumerate(frames):
        actor = owner(frame)
        if actor is not None:
            first = number
            break
    else:
        for number, frame in enumerate(frames):
            if not frame.f_globals.get("__name__", "").startswith(_OURS):
                first = number
                break
    shown = frames[first:]
    name = shown[0].f_code.co_name if shown else "?"
    return Culprit(actor, name, _text(shown))


def stack_of(thread: int) -> Culprit | None:
    """Find the handler that a thread runs; None if the thread has ended.

    Args:
        thread: Its ident.
    """
    frames = frames_of(thread)
    return culprit(frames) if frames else None


def label_of(actor: Actor) -> str:
    """The actor's name; its class if it has none yet."""
    context: Context | None = getattr(actor, "_actormq_context", None)
    return context.address.label if context is not None else type(actor).__name__


def owner(frame: FrameType) -> Actor | None:
    """The actor whose method runs in a frame, by its first argument."""
    code = frame.f_code
    if not code.co_argcount:
        return None
    try:
        first = frame.f_locals.get(code.co_varnames[0])
    except RuntimeError:  # the frame ended while it was looked at
        return None
    return first if isinstance(first, Actor) else None


def _text(frames: list[FrameType]) -> str:
    hidden = max(len(frames) - FRAMES_SHOWN, 0)
    pairs = ((frame, frame.f_lineno) for frame in (*frames[:1], *frames[1 + hidden :]))
    lines = traceback.StackSummary.extract(pairs).format()
    if hidden:
        lines.insert(1, f"  ... {hidden} more ...\n")
    return "".join(lines).rstrip()
