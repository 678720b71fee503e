"""What an exception is called and says, as text that any log and wire can carry."""

from __future__ import annotations

import traceback

from actormq.errors import RemoteError

TEXT_LIMIT = 20_000  # characters of what an exception says, and of the end of its traceback


def remote_error(actor: str, handler: str, error: BaseException) -> RemoteError:
    """What an asker is told of an exception."""
    remote = RemoteError(
        actor,
        handler,
        kind_of(error),
        text_of(error),
        _carried("".join(traceback.format_exception(error))[-TEXT_LIMIT:]),
    )
    remote.__cause__ = error
    return remote


def described(error: BaseException) -> str:
    """An exception as one phrase: its class, and what it says."""
    text = text_of(error)
    return f"{kind_of(error)}: {text}" if text else kind_of(error)


def text_of(error: BaseException) -> str:
    """What an exception says, as text that any log and wire can carry."""
    try:
        text = str(error)
    except Exception as other:  # noqa: BLE001 a border: its author's __str__ is not ours
        text = f"(its text cannot be had: {type(other).__name__})"
    if len(text) > TEXT_LIMIT:
        text = f"{text[:TEXT_LIMIT]} ... ({len(text)} characters)"
    return _carried(text)


def kind_of(error: BaseException) -> str:
    """The class of an exception, qualified by its module unless built in."""
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _carried(text: str) -> str:
    """A text without what UTF-8 cannot carry."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
