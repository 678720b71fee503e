"""The last value of each topic of one publisher, for those who subscribe later."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Any

import msgpack

from actormq.settings import FRAME_BYTES, TOPICS_NUMBERED


class LastValues:
    """What was published last, by topic; of too many topics the longest unheard of is forgotten.

    Topics are kept in order as well: a stranger may subscribe ten thousand times.
    """

    def __init__(self) -> None:
        self._values: dict[bytes, Any] = {}
        self._topics: list[bytes] = []

    def keep(self, topic: bytes, value: Any) -> None:
        """Take in what is published now."""
        if self._values.pop(topic, None) is None:
            if len(self._values) >= TOPICS_NUMBERED:
                oldest = next(iter(self._values))
                del self._values[oldest]
                del self._topics[bisect_left(self._topics, oldest)]
            insort(self._topics, topic)
        self._values[topic] = value

    def under(self, beginning: bytes) -> list[tuple[bytes, Any]]:
        """The values of all topics that begin so, in the order of topics."""
        found = []
        for place in range(bisect_left(self._topics, beginning), len(self._topics)):
            topic = self._topics[place]
            if not topic.startswith(beginning):
                break
            found.append((topic, self._values[topic]))
        return found

    def clear(self) -> None:
        """Forget them all."""
        self._values.clear()
        self._topics.clear()


def handed_over(
    stream: int, beginning: bytes, found: Sequence[tuple[bytes, tuple[int, bytes]]]
) -> list[bytes]:
    """Last values as one message with codec `msgpack`: its frames end between two of them.

    Args:
        stream: The publisher's stream.
        beginning: What was asked for.
        found: The topic of each, its number, and itself as it was packed.
    """
    frames, part = [beginning], bytearray(msgpack.packb([stream, 0]))
    for topic, (number, packed) in found:
        if len(part) + len(packed) > FRAME_BYTES:
            frames.append(bytes(part))
            part.clear()
        part += msgpack.packb(topic.decode()) + msgpack.packb(number) + packed
    return [*frames, bytes(part)]
