"""What is wrong with a class of actors, said at the first moment: as it is defined."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from actormq.errors import SetupError

HOOKS = {
    "on_start": 0,
    "on_stop": 0,
    "on_restart": 1,
    "on_terminated": 1,
    "on_elected": 0,
    "on_standby": 0,
}
"""The hooks of an actor, and how many arguments each is given."""

TAKEN = ("name", "ref", "node", "log")
"""What an actor is to others and to its log; a handler of that name would hide it."""

LIKENESS = 0.8  # of a name to a known one, from which on it is held for a slip


def check_definition(kind: type, handlers: Collection[str], periodic: Collection[str]) -> None:
    """Look at what a class of actors defines.

    Args:
        kind: The class.
        handlers: The names of its handlers.
        periodic: The names of methods that run again and again.

    Raises:
        SetupError: A hook is no coroutine function, or takes other arguments; a handler hides what
            the actor itself has; a periodic method wants arguments; `mailbox_limit` is no count;
            `elected` is neither True nor False.
    """
    for hook, count in HOOKS.items():
        _check_hook(kind, hook, count)
    for name in handlers:
        if name in TAKEN:
            raise SetupError(
                f"{kind.__name__}: a handler {name!r} would hide self.{name}: give it another name"
            )
    for name in periodic:
        if not _takes(getattr(kind, name), 1):
            raise SetupError(
                f"{kind.__name__}.{name} runs again and again, and is given no arguments: "
                f"write def {name}(self)"
            )
    if not isinstance(kind.elected, bool):  # type: ignore[attr-defined]  # as below
        raise SetupError(
            f"{kind.__name__}.elected is {kind.elected!r}: write elected = True for a class of "  # type: ignore[attr-defined]
            "which one actor holds the name at a time, or leave it out"
        )
    limit = kind.mailbox_limit  # type: ignore[attr-defined]  # of a class of actors
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise SetupError(
            f"{kind.__name__}: mailbox_limit = {limit!r}: it is a count of messages from 1, or None"
        )


def _check_hook(kind: type, hook: str, count: int) -> None:
    function = getattr(kind, hook)
    argument = {"on_restart": ", failure", "on_terminated": ", terminated"}.get(hook, "")
    if not inspect.iscoroutinefunction(function) or not _takes(function, 1 + count):
        raise SetupError(f"{kind.__name__}.{hook}: write async def {hook}(self{argument})")


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


def check_slips(kind: type, known: Collection[str]) -> None:
    """Look for attributes whose names are almost those of settings.

    Args:
        kind: The class that defines them.
        known: The settings.

    Raises:
        SetupError: There is one, which would have no effect.
    """
    for name, value in vars(kind).items():
        if name.startswith("_") or name in known or callable(value):
            continue
        import difflib  # noqa: PLC0415 few classes have anything to be compared

        close = difflib.get_close_matches(name, known, 1, LIKENESS)
        if close:
            raise SetupError(f"{kind.__name__}.{name}: did you mean {close[0]}?")
