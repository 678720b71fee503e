"""What is published on one topic in a burst, on its way into one frame."""

from __future__ import annotations

from collections.abc import Callable

from actormq.settings import FRAME_BYTES, FRAME_MESSAGES, TURN_SECONDS

SHARES = 4
"""Of a frame; whether the next share is for the same frame as the last, the clock says.

A frame costs each of its subscribers a wake-up and each connection a write, so a burst is faster
the longer its frames are (2.5 us of processor a message with 256 of them, 2.0 with 1 024, 1.9 with
1 900). But for as long as one is filled nobody else has the loop.
"""

SHARE_BYTES = FRAME_BYTES // SHARES
LEAST = SHARE_BYTES // FRAME_MESSAGES  # bytes that a value takes at least: bounds their number


class Batch:
    """The values that will share a frame.

    Args:
        clock: The loop's, in seconds.

    Attributes:
        topic: Their topic.
        first: The number of the first one.
        values: Each packed.
        room: Bytes left of the share, each value counted as `LEAST` at least; below zero if the
            first one was larger than a frame.
    """

    __slots__ = ("_began", "_clock", "_shares", "first", "room", "topic", "values")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.topic = ""
        self.first = 0
        self.values: list[bytes] = []
        self.room = 0
        self._clock = clock
        self._began = 0.0
        self._shares = SHARES

    def begin(self, topic: str, first: int) -> None:
        """Begin with a topic, and the number of its next message."""
        self.topic, self.first, self.values = topic, first, []
        self.room, self._shares, self._began = SHARE_BYTES, 1, self._clock()

    @property
    def number(self) -> int:
        """The number of the last one."""
        return self.first + len(self.values) - 1

    def has_room(self, size: int) -> bool:
        """Whether there is room for so many bytes more, in this share or the next."""
        if size > self.room and self._clock() - self._began < TURN_SECONDS:
            while size > self.room and self._shares < SHARES:
                self._shares += 1
                self.room += SHARE_BYTES
        return size <= self.room

    def add(self, packed: bytes) -> bool:
        """Add a value; say whether another one like it would have room."""
        self.values.append(packed)
        size = len(packed)
        taken = size if size > LEAST else LEAST  # noqa: FURB136 a third of what `max` takes
        self.room -= taken
        return taken <= self.room or self.has_room(taken)
