"""Messages of one topic that came in one frame, on their way to the method one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
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

    Attributes:
        args: The arguments of one message after the other; taking them begins the message.
        columns: All the first arguments (of which one stands for all), and all the second ones.
        is_exact: Whether all of them fit the method as they are.
        noted: The number up to which they are counted.
        stream: The id of the stream.
        topic: Their topic.
    """

    __slots__ = ("_end", "_left", "args", "columns", "is_exact", "noted", "stream", "topic")

    def __init__(self, stream: int, topic: str, first: int, values: list[Any]) -> None:
        self.stream = stream
        self.topic = topic
        self.is_exact = False
        self.noted = first - 1
        self.columns: Sequence[Sequence[Any]] = ((topic,), values)
        self._end = first + len(values)
        self._left = iter(values)
        self.args: Iterator[tuple[str, Any]] = zip(repeat(topic), self._left)

    @property
    def waiting(self) -> int:
        """Messages that are not begun yet, a count."""
        return length_hint(self._left)

    @property
    def number(self) -> int:
        """The number of the message that was begun last."""
        return self._end - 1 - length_hint(self._left)

    def peek(self) -> tuple[str, Any]:
        """The arguments of the next message, which must exist; it is not begun."""
        return self.topic, self.columns[1][-self.waiting]
