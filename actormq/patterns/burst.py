"""Messages of one topic that came in one frame, on their way to the method one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any


class Burst:
    """Values of one topic, numbered one after the other.

    An iterator is its only cursor, so that to move on costs nothing more than to take the next.

    Args:
        stream: The id of the stream.
        topic: Their topic.
        first: The number of the first.
        values: One for each message.
        are_fit: Whether the values are as the method wants them; the topic may not be.

    Attributes:
        are_fit: As given.
        columns: The arguments of all, as they came: the topic once, which stands for all, and all
            the values.
        is_fit: Whether they were made to fit the method, so that none needs a check.
        first: The first argument of all, as the method wants it if they are fit.
        left: The second argument of one message after the other; taking it begins the message.
        noted: The number up to which they are counted.
        stream: The id of the stream.
        topic: Their topic.
    """

    __slots__ = (
        "_end",
        "are_fit",
        "columns",
        "first",
        "is_fit",
        "left",
        "noted",
        "stream",
        "topic",
    )

    def __init__(
        self, stream: int, topic: str, first: int, values: list[Any], *, are_fit: bool = False
    ) -> None:
        self.stream = stream
        self.topic = topic
        self.noted = first - 1
        self.columns: tuple[list[Any], list[Any]] = ([topic], values)
        self.are_fit = are_fit
        self.is_fit = False
        self.first: Any = topic
        self.left: Iterator[Any] = iter(values)
        self._end = first + len(values)

    def fit(self, columns: Sequence[list[Any]]) -> None:
        """Take the arguments as the method wants them; no message may be begun yet."""
        (self.first,), values = columns
        self.left = iter(values)
        self.is_fit = True

    @property
    def waiting(self) -> int:
        """Messages that are not begun yet, a count."""
        return length_hint(self.left)

    @property
    def number(self) -> int:
        """The number of the message that was begun last."""
        return self._end - 1 - length_hint(self.left)

    def peek(self) -> tuple[str, Any]:
        """The arguments of the next message as they came; there is one, and it is not begun."""
        return self.topic, self.columns[1][-self.waiting]

    def take(self) -> tuple[Any, Any]:
        """Begin the next message; its arguments, as they came or fit."""
        return self.first, next(self.left)
