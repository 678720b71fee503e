"""Whom to dial next, and whom to let wait: a few at a time, whatever is hinted.

Anybody on the network can announce a thousand nodes that are not there.
Each would hold sockets until it has not answered for two seconds, so there is an order:
members, and whom the user named, before what peers tell of peers; both before hints; and a hint
that has failed before behind one that has not.
Hints have places of their own, of which there are few, so that no flood of them keeps a member
waiting, and an allowance of endpoints a second, so that hints which fail at once do not keep the
loop busy. One that has not answered within `PATIENCE` gives way to another that has not been tried.
The newest goes first among them: who is there is named again and again, in the middle of a flood,
too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from enum import IntEnum

import msgspec

from actormq.rules.endpoints import DIALLED_LIMIT

SURE_LIMIT = 64  # nodes that are dialled at a time, members and those whom somebody vouches for
DOUBTFUL_LIMIT = 32  # nodes that are dialled at a time because of a hint
WAITING_LIMIT = 1_024  # nodes that wait for their turn, hints and others each; hints come again
FAILED_LIMIT = 4_096  # hints that are remembered as having led nowhere
DOUBTFUL_ENDPOINTS = 10  # endpoints of one hint; 64 can be claimed, and the best stand first
DOUBTFUL_WIDTH = 4  # endpoints of one hint that are dialled at a time
PATIENCE = 0.25  # s for a hint while others wait; a LAN needs 10 ms, a busy Pi some 100
AFTER_FAILURE = 1.0  # s until a hint that failed is tried again; hints come every 3 s
ALLOWANCE = 100.0  # endpoints of hints a second: one costs about a millisecond
ALLOWANCE_MOST = 200.0  # endpoints at once: 50 nodes that all come up together, 4 each


class Trust(IntEnum):
    """Why somebody is to be dialled; the lower, the sooner."""

    SURE = 0  # a member, or named by the user
    TOLD = 1  # a peer's word
    HINTED = 2  # anybody's word
    FAILED = 3  # anybody's word, and it has led nowhere before


class Wish(msgspec.Struct):
    """Somebody to be dialled.

    Attributes:
        key: A node's id, or what else names it.
        endpoints: Where it may answer, the best first.
        trust: Why.
        begun: When dialling began, in seconds.
    """

    key: str
    endpoints: list[str]
    trust: Trust
    begun: float = 0.0

    def add(self, endpoints: Iterable[str], trust: Trust) -> None:
        """Take in what else is said of it: the newest goes first, old and forged ones may wait."""
        self.trust = min(self.trust, trust)
        self.endpoints = list(dict.fromkeys([*endpoints, *self.endpoints]))[:DIALLED_LIMIT]


class Agenda:
    """Whom to dial, in bounded memory. No socket, no clock."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Wish] = OrderedDict()
        self._doubtful: OrderedDict[str, Wish] = OrderedDict()
        self._running: dict[str, Wish] = {}
        self._failed: OrderedDict[str, float] = OrderedDict()  # hints, and when they failed
        self._allowance = ALLOWANCE_MOST
        self._seen_at = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits and nobody is being dialled."""
        return not (self._waiting or self._doubtful or self._running)

    def want(self, key: str, endpoints: Sequence[str], trust: Trust, now: float) -> bool:
        """Put somebody on the agenda, or add to what is known of one who is.

        Args:
            key: Who.
            endpoints: Where it may answer.
            trust: Why; never `Trust.FAILED`, which is found out here.
            now: The present, in seconds.

        Returns:
            False if it is being dialled already: these endpoints belong to that attempt.
        """
        if trust is Trust.HINTED and key in self._failed:
            if now - self._failed[key] < AFTER_FAILURE:
                return True
            trust = Trust.FAILED
        if trust >= Trust.HINTED:
            endpoints = endpoints[:DOUBTFUL_ENDPOINTS]
        running = self._running.get(key)
        if running is not None:
            running.trust = min(running.trust, trust)
            return False
        old = self._waiting.pop(key, None)
        if old is None and (trust < Trust.HINTED or key in self._doubtful):
            old = self._doubtful.pop(key, None)
        wish = old or Wish(key, [], trust)
        wish.add(endpoints, trust)
        line = self._doubtful if wish.trust >= Trust.HINTED else self._waiting
        if old is not None or len(line) < WAITING_LIMIT:
            line[key] = wish
        return True

    def next(self, now: float) -> Wish | None:
        """Take the next one to be dialled off the waiting ones; None if nobody may begin now."""
        if not (self._waiting or self._doubtful):
            return None  # as at nearly every beat of a node
        doubtful = self._running_doubtful()
        if self._waiting and len(self._running) - doubtful < SURE_LIMIT:
            wish = min(self._waiting.values(), key=lambda wish: wish.trust)
            del self._waiting[wish.key]
        elif self._doubtful and doubtful < DOUBTFUL_LIMIT and self._is_allowed(now):
            wish = min(reversed(self._doubtful.values()), key=lambda wish: wish.trust)
            del self._doubtful[wish.key]
            # One that was never tried pays for what it begins with, or long lists would stand in
            # the way of those who are there.
            is_new = wish.trust is Trust.HINTED
            self._allowance -= min(
                len(wish.endpoints), DOUBTFUL_WIDTH if is_new else DOUBTFUL_ENDPOINTS
            )
        else:
            return None
        wish.begun = now
        self._running[wish.key] = wish
        return wish

    def overdue(self, now: float) -> list[str]:
        """Name hints that have had their time, as others wait that were never tried."""
        if not self._doubtful:
            return []
        untried = any(wish.trust is Trust.HINTED for wish in self._doubtful.values())
        if not untried or self._running_doubtful() < DOUBTFUL_LIMIT:
            return []
        return [
            wish.key
            for wish in self._running.values()
            if wish.trust >= Trust.HINTED and now - wish.begun >= PATIENCE
        ]

    def ended(self, key: str, has_answered: bool, now: float) -> None:
        """Take note that somebody is dialled no more.

        Args:
            key: Who.
            has_answered: Whether it is there.
            now: The present, in seconds.
        """
        wish = self._running.pop(key, None)
        if has_answered:
            self._failed.pop(key, None)
        elif wish is not None and wish.trust >= Trust.HINTED:
            self._failed[key] = now
            self._failed.move_to_end(key)
            if len(self._failed) > FAILED_LIMIT:
                self._failed.popitem(last=False)

    def drop(self, key: str) -> None:
        """Take somebody off the agenda."""
        for line in (self._waiting, self._doubtful, self._running):
            line.pop(key, None)

    def _running_doubtful(self) -> int:
        return sum(wish.trust >= Trust.HINTED for wish in self._running.values())

    def _is_allowed(self, now: float) -> bool:
        grown = self._allowance + (now - self._seen_at) * ALLOWANCE
        self._allowance, self._seen_at = min(grown, ALLOWANCE_MOST), now
        return self._allowance >= 1.0
