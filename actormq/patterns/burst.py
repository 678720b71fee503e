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
        columns: The arguments of all, as they came: the topic once, which stands for all, and all
            the values.
        fitting: The arguments of one message after the other as the method wants them, once they
            were made to fit; taking them begins the message.
        noted: The number up to which they are counted.
        stream: The id of the stream.
        topic: Their topic.
    """

    __slots__ = ("_end", "_left", "columns", "fitting", "noted", "stream", "topic")

    def __init__(self, stream: int, topic: str, first: int, values: list[Any]) -> None:
        self.stream = stream
        self.topic = topic
        self.noted = first - 1
        self.columns: tuple[list[Any], list[Any]] = ([topic], values)
        self.fitting: Iterator[tuple[Any, Any]] | None = None
        self._end = first + len(values)
        self._left = iter(values)

    def fit(self, columns: Sequence[list[Any]]) -> None:
        """Take the arguments as the method wants them; no message may be begun yet."""
        (topic,), values = columns
        self._left = iter(values)
        self.fitting = zip(repeat(topic), self._left)

    @property
    def waiting(self) -> int:
        """Messages that are not begun yet, a count."""
        return length_hint(self._left)

    @property
    def number(self) -> int:
        """The number of the message that was begun last."""
        return self._end - 1 - length_hint(self._left)

    def peek(self) -> tuple[str, Any]:
        """The arguments of the next message as they came; there is one, and it is not begun."""
        return self.topic, self.columns[1][-self.waiting]

    def take(self) -> tuple[str, Any]:
        """Begin the next message; its arguments as they came."""
        return self.topic, next(self._left)
