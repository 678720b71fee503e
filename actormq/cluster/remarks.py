"""What a mesh tells whoever runs the node: each sentence once, however often there is a cause."""

from __future__ import annotations

import logging

from actormq.events import Events, PeerRefused

REMARKS = (
    4_096  # different sentences that are said; whoever finds more causes is not to flood a log
)


class Remarks:
    """The sentences that were said.

    Args:
        events: Where they are reported.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._said: set[str] = set()

    def complain(self, who: str, sentence: str) -> None:
        """Report that somebody was not let in."""
        if self._is_news(f"{who} {sentence}"):
            self._events.emit(PeerRefused(who, sentence))

    def remark(self, sentence: str, level: int = logging.WARNING) -> None:
        """Say something else."""
        if self._is_news(sentence):
            self._events.notice(level, sentence)

    def _is_news(self, sentence: str) -> bool:
        if sentence in self._said or len(self._said) >= REMARKS:
            return False
        self._said.add(sentence)
        return True
