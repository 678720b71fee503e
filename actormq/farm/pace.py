"""How fast a farm is of late, and how long it will still take."""

from __future__ import annotations

from collections import deque

WINDOW = 10.0  # s that "of late" looks back
LEAST = 0.5  # s between two notes: more say no more


class Pace:
    """Notes how many tasks have ended by when.

    Args:
        now: The time, in seconds on any clock that goes on.
    """

    def __init__(self, now: float) -> None:
        self._notes: deque[tuple[float, int]] = deque([(now, 0)])

    def note(self, now: float, count: int) -> None:
        """Note that `count` tasks have ended by now."""
        notes = self._notes
        if now - notes[-1][0] >= LEAST:
            notes.append((now, count))
            while now - notes[1][0] >= WINDOW:  # the newest is no older
                notes.popleft()

    def rate(self, now: float, count: int) -> float:
        """Tasks per second, within the last `WINDOW` seconds or as long as there is."""
        since, before = self._notes[0]
        return (count - before) / (now - since) if now > since else 0.0


def left(rate: float, done: int, total: int | None) -> float | None:
    """Seconds that the rest will take at this rate; None where nobody can say."""
    if total is None or (rate <= 0 and done < total):
        return None
    return (total - done) / rate if done < total else 0.0
