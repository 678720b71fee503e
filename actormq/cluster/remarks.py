"""What a mesh tells whoever runs the node: each sentence once, however often there is a cause."""

from __future__ import annotations

import logging

from actormq.events import Events, PeerRefused
from actormq.message import Facts

REMARKS = (
    4_096  # different sentences that are said; whoever finds more causes is not to flood a log
)
NAMED_MOST = 4  # ids of nodes of one name that are listed


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


class Namesakes:
    """Says that several nodes have one name, of which commands cannot know which is meant.

    Kept by name, for with each node that comes all others would be looked through else.

    Args:
        own: What this node says of itself.
        remarks: Where it is said.
    """

    def __init__(self, own: Facts, remarks: Remarks) -> None:
        self._remarks = remarks
        self._ids: dict[str, set[str]] = {own.name: {own.node}}

    def came(self, facts: Facts) -> None:
        """A node is a member now."""
        ids = self._ids.setdefault(facts.name, set())
        ids.add(facts.node)
        if len(ids) > 1:
            named = ", ".join(sorted(ids)[:NAMED_MOST])
            self._remarks.remark(f"several nodes are called {facts.name!r}: {named}", logging.INFO)

    def went(self, facts: Facts) -> None:
        """A node is a member no more; one that was none does no harm."""
        ids = self._ids.get(facts.name, set())
        ids.discard(facts.node)
        if not ids:
            self._ids.pop(facts.name, None)
