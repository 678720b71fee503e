"""Signals on their way to a process: hooks whose argument is no plain value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from actormq.elsewhere.bench import remote_error
from actormq.elsewhere.home import remade
from actormq.errors import ActormqError
from actormq.signals import Failure, Terminated


class Signal(msgspec.Struct, frozen=True):
    """How the argument of a hook travels.

    Attributes:
        packed: Makes plain values of it.
        made: Makes it again of them.
    """

    packed: Callable[[Any], Sequence[Any]]
    made: Callable[..., Any]


def _failure_packed(failure: Failure) -> Sequence[Any]:
    error = failure.error
    if not isinstance(error, ActormqError):
        error = remote_error("?", failure.handler, error)
    return type(error).__name__, list(error.facts), failure.handler, failure.restart_count


def _failure_made(name: str, facts: Sequence[Any], handler: str, count: int) -> Failure:
    return Failure(remade(name, facts), handler, count, None)


def _terminated_packed(terminated: Terminated) -> Sequence[Any]:
    return terminated.ref, terminated.reason, terminated.detail


SIGNALS = {
    "on_restart": Signal(_failure_packed, _failure_made),
    "on_terminated": Signal(_terminated_packed, Terminated),
}
"""By the name of the hook."""
