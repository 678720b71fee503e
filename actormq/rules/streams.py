"""Numbered streams: what a subscriber received, and how many messages it missed.

A publisher numbers the messages of each topic from 1, under the id of its stream.
Numbers are per topic because a subscriber sees some topics only, and what it did not ask for is
not missed.
"""

from __future__ import annotations

from collections.abc import Mapping

from actormq.settings import TOPICS_NUMBERED

POSITIONS_LIMIT = (
    4 * TOPICS_NUMBERED
)  # topics of all streams; a publisher that restarts is a new one

Position = tuple[int, str]
"""A stream's id and a topic."""


class Positions:
    """The last number of each topic of each stream, and the tally of gaps.

    Attributes:
        received_count: Messages noted.
        missed_count: Messages that must have been published between those.
    """

    def __init__(self) -> None:
        self.last: dict[Position, int] = {}
        self.received_count = 0
        self.missed_count = 0
        self._synced: set[int] = set()
        self._resumed: set[int] = set()

    def resume(self, last: Mapping[Position, int]) -> None:
        """Go on behind what was received before, by an earlier process perhaps.

        What those streams published meanwhile counts as missed, topics that began since included.
        """
        self.last.update(last)
        self._resumed |= {stream for stream, _ in last}

    def unsettled(self) -> None:
        """More was subscribed to: until the publishers vouch again, any number may come first."""
        self._synced.clear()
        self._resumed.clear()

    def synced(self, stream: int, baseline: Mapping[str, int]) -> None:
        """Take a publisher's word on where a stream stands now that it knows of us.

        Args:
            stream: The stream's id.
            baseline: The last number published of each topic; one that is not named is new, and
                begins at 1.
        """
        self._synced.add(stream)
        if stream in self._resumed:
            return
        for topic, seq in baseline.items():
            if len(self.last) >= POSITIONS_LIMIT:
                self._forget_oldest()
            self.last.setdefault((stream, topic), seq)

    def note(self, stream: int, topic: str, first: int, last: int | None = None) -> int:
        """Count one message, or several that follow each other.

        Args:
            stream: The stream's id.
            topic: Their topic.
            first: The number of the first.
            last: That of the last; None if there is one alone.

        Returns:
            How many were missed before them.
        """
        if last is None:
            last = first
        self.received_count += last - first + 1
        key = (stream, topic)
        before = self.last.get(key)
        if before is None:
            if len(self.last) >= POSITIONS_LIMIT:
                self._forget_oldest()
            # A stream that has not vouched for its beginning begins with what comes first.
            before = 0 if stream in self._synced else first - 1
        if last <= before:
            return 0  # published before the baseline was told, and arriving behind it
        self.last[key] = last
        missed = max(first - before - 1, 0)
        self.missed_count += missed
        return missed

    def _forget_oldest(self) -> None:
        oldest = next(iter(self.last))[0]
        self._synced.discard(oldest)
        for key in [key for key in self.last if key[0] == oldest]:
            del self.last[key]
