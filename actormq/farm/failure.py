"""What a task raised: told where it ran, made again where it is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import traceback
import types
from pathlib import Path
from typing import Any

import msgspec

from actormq.codec import Codec
from actormq.elsewhere.finding import LOADED_MAIN, MAIN, at
from actormq.errors import ActormqError, DeliveryError, ProtocolError, TaskFailed
from actormq.wording import text_of

TRACEBACK_LIMIT = 32 * 1024  # characters: hundreds of frames; a batch may fail as a whole
ARGS_LIMIT = 64 * 1024  # bytes of what an exception carries along

_OURS = (str(Path(__file__).parents[1]), str(Path(asyncio.__file__).parent))
"""Where code lies that is between the slot's loop and the function."""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """How a task failed, in values that travel.

    Attributes:
        kind: The exception's class, as `module:QualName`.
        text: What `str()` of it gave.
        args: What its class was called with, packed as a list; None if that does not travel.
        state: Its attributes, packed as a map; None if there are none, or they do not travel.
        traceback: As text, from the function on.
        is_final: Whether another try would come to the same.
    """

    kind: str
    text: str
    args: bytes | None = None
    state: bytes | None = None
    traceback: str = ""
    is_final: bool = False


class _TracebackElsewhere(Exception):
    """The traceback of another process, as text."""


def failure_of(codec: Codec, error: BaseException, *, is_final: bool = False) -> Failure:
    """Say what a task raised.

    Args:
        codec: Packs what the exception carries.
        error: The exception.
        is_final: Whether another try would come to the same.
    """
    kind = type(error)
    module = MAIN if kind.__module__ == LOADED_MAIN else kind.__module__
    args, state = _carried(error)
    return Failure(
        f"{module}:{kind.__qualname__}",
        text_of(error),
        _packed(codec, list(args)),
        _packed(codec, state) if state else None,
        _traceback(error),
        is_final,
    )


def _carried(error: BaseException) -> tuple[tuple[Any, ...], Any]:
    """What an exception's class was called with, and its attributes, as far as is known."""
    if isinstance(error, ActormqError):
        return error.facts, None
    try:
        reduced = error.__reduce__()  # an OSError's file name is nowhere else
    except Exception:  # noqa: BLE001 a border: its author's method is not ours
        return error.args, None
    match reduced:
        case (type(), tuple() as args):
            return args, None
        case (type(), tuple() as args, dict() as state):
            return args, state
    return error.args, None


def _packed(codec: Codec, value: Any) -> bytes | None:
    """A value packed, None if it would not arrive as it is."""
    try:
        packed = codec.pack_value("whoever waits", value)
        if len(packed) > ARGS_LIMIT or codec.unpack_all(packed) != [value]:
            return None
    except (DeliveryError, ProtocolError):
        return None
    except Exception:  # noqa: BLE001 a border: comparing runs what is not ours
        return None
    return packed


def _traceback(error: BaseException) -> str:
    error.__traceback__ = _from_function_on(error.__traceback__)
    text = "".join(traceback.format_exception(error))
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) > TRACEBACK_LIMIT:
        half = TRACEBACK_LIMIT // 2
        text = f"{text[:half]}\n...\n{text[-half:]}"
    return text


def _from_function_on(step: types.TracebackType | None) -> types.TracebackType | None:
    while step is not None and step.tb_frame.f_code.co_filename.startswith(_OURS):
        step = step.tb_next
    return step


def rebuilt(codec: Codec, failure: Failure) -> Exception:
    """Make the exception again that a task raised, without importing anything for it.

    Args:
        codec: Unpacks what the exception carries.
        failure: What came of the task.

    Returns:
        An exception of the same class where this process has it and it can be made of what it
        carried, else a `TaskFailed`. Its `__cause__` has the traceback as text.
    """
    error = _same(codec, failure) or TaskFailed(
        _shown(failure.kind), failure.text, failure.traceback
    )
    if failure.traceback:
        error.__cause__ = _TracebackElsewhere(f'\n"""\n{failure.traceback}"""')
    return error


def _same(codec: Codec, failure: Failure) -> Exception | None:
    kind = _class_at(failure.kind)
    if kind is None or failure.args is None:
        return None
    try:
        [args] = codec.unpack_all(failure.args)
        [state] = codec.unpack_all(failure.state) if failure.state else [{}]
    except (ProtocolError, ValueError):
        return None
    for make in (kind, lambda *args: kind.__new__(kind, *args)):
        # Its text tells whether it is what it was: many classes make one sentence of several
        # arguments, and would make another of that sentence.
        with contextlib.suppress(Exception):  # a border: its constructor is not ours
            error = make(*args)
            error.__dict__.update(state)
            if type(error) is kind and text_of(error) == failure.text:
                return error
    return None


def _class_at(name: str) -> type[Exception] | None:
    module_name, _, path = name.partition(":")
    module = sys.modules.get(module_name)
    try:
        kind = at(module, path)
    except AttributeError:
        return None
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    # Whoever waits in a coroutine or a generator would take these for its end.
    return None if issubclass(kind, StopIteration | StopAsyncIteration) else kind


def _shown(kind: str) -> str:
    return kind.removeprefix("builtins:").replace(":", ".")
