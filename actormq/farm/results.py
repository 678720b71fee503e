"""What became of a task, as its user gets it."""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from actormq.actor import Actor
from actormq.farm.failure import Failure

T = TypeVar("T")
R = TypeVar("R")


class TaskResult(Generic[T, R]):
    """What became of one task.

    Attributes:
        index: Which input it was, from 0.
        input: What the function got.
        error: Why it failed for good; None if it did not.
        tries: How often it was begun, as far as that is known; 0 if the input could not travel.
        seconds: What the function took; of short tasks, what those took on average that were done
            together. 0.0 if it failed.
        node: The name of the node on which it was done.
        failure: The error as it travelled, if there is one.
    """

    __slots__ = ("_value", "error", "failure", "index", "input", "node", "seconds", "tries")

    def __init__(
        self,
        index: int,
        input: T,  # noqa: A002 its name everywhere
        value: R | None,
        error: Exception | None,
        tries: int,
        seconds: float,
        node: str,
    ) -> None:
        self.index = index
        self.input = input
        self.failure: Failure | None = None
        self._value: Any = value
        self.error = error
        self.tries = tries
        self.seconds = seconds
        self.node = node

    @property
    def value(self) -> R:
        """What the function returned.

        Raises:
            Exception: What it raised at its last try, where that class is there and can be made
                again; else `TaskFailed`. `TaskTimeout` if it took too long, `TaskLost` if its
                workers died.
        """
        if self.error is not None:
            raise self.error
        value: R = self._value
        return value

    def __repr__(self) -> str:
        what = repr(self._value) if self.error is None else f"failed: {self.error!r}"
        return f"<TaskResult {self.index} of {self.input!r}: {what}>"


_PLAIN = (Any, None, type(None), str, int, float, bool, bytes, list, dict, object)
"""Annotations of what comes back as it is."""


def result_maker(function: Any) -> Callable[[Any], Any] | None:
    """Say how to make what a function returned of what has come over the wire.

    Args:
        function: The function, the handler, or an Actor class with one.

    Returns:
        What makes a dataclass of a map and a tuple of a list, as the function's annotation says;
        what does not fit that is left as it is. None where there is nothing to make.
    """
    if isinstance(function, type) and issubclass(function, Actor):
        [spec] = {id(spec): spec for spec in function._actormq_handlers.values()}.values()  # noqa: SLF001 the table that cells use
        function = spec.function
    if not inspect.isfunction(function):
        return None
    try:
        kind = typing.get_type_hints(function).get("return", Any)
    except (NameError, TypeError, AttributeError):
        return None  # imported for the type checker only: nothing is promised
    if kind in _PLAIN:
        return None

    def made(value: Any) -> Any:
        with contextlib.suppress(msgspec.ValidationError, TypeError, ValueError):
            return msgspec.convert(value, kind)
        return value

    return made
