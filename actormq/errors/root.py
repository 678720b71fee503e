"""The root of the tree, and how texts from elsewhere stand in a sentence."""

from __future__ import annotations

from typing import Any


class ActormqError(Exception):
    """The root of all that actormq raises.

    Attributes:
        facts: What the error was built from, plain values that msgpack can carry.
    """

    def __init__(self, sentence: str, *facts: Any) -> None:
        super().__init__(sentence)
        self.facts: tuple[Any, ...] = facts or (sentence,)


def one_line(text: str) -> str:
    """A text from elsewhere as one line that a terminal shows and does not obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in text)


def described(kind: str, text: str) -> str:
    """An exception in words: its class, and its text if it has one."""
    return f"{kind}: {text}" if text else kind
