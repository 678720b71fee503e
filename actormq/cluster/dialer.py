"""From a hint to a welcomed link: dial every endpoint of a node, keep the one that answers.

An endpoint may be anybody's: `172.17.0.1` is there on every host that runs Docker, and the address
of a node that has left may be another one's by now. Who answers says its id, and if it is not the
one that was meant, the other endpoints go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from actormq.cluster.link import Link
from actormq.errors import SetupError
from actormq.message import Envelope, Facts
from actormq.rules.endpoints import DIALLED_LIMIT

HEAD_START = 0.1  # s that ipc gets before tcp is dialled too: it answers in 1 ms where it can
WIDTH = 8  # endpoints of one node that are dialled at a time; the next when one has failed

Open = Callable[[str, "Attempt"], Link]
"""Dials one endpoint for an attempt."""


class Host(Protocol):
    """Who wants the link."""

    def objection(self, attempt: Attempt, endpoint: str, facts: Facts) -> str:
        """Say why whoever let us in is not the one that was to be dialled; "" if it is."""

    def dialled(self, attempt: Attempt, link: Link, facts: Facts) -> None:
        """The node that was meant answered; its other endpoints are let go."""

    def refused_by(self, attempt: Attempt, link: Link, reason: str, sentence: str) -> None:
        """A node did not let us in."""

    def gave_up(self, attempt: Attempt, why: str) -> None:
        """No endpoint let us in."""

    def link_broken(self, link: Link, why: str) -> None:
        """A welcomed link has ended."""

    def link_refused(self, link: Link, reason: str, sentence: str) -> None:
        """A welcomed link was ended by the peer."""

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """The peer says something on a welcomed link."""


class Attempt:
    """Dials the endpoints of one node, ipc a little ahead.

    Args:
        key: What is dialled: a node's id, or the place that somebody named.
        endpoints: Where it may answer, the best first.
        open_link: Dials one.
        later: Calls a function after some seconds, and gives a handle.
        host: Hears how it goes.
        width: Endpoints that are dialled at a time.
    """

    def __init__(
        self,
        key: str,
        endpoints: Iterable[str],
        open_link: Open,
        later: Callable[[float, Callable[[], None]], object],
        host: Host,
        width: int = WIDTH,
    ) -> None:
        self.key = key
        self._open = open_link
        self._host = host
        self._width = width
        self._seen = dict.fromkeys(endpoints)
        self._links: dict[Link, None] = {}
        self._winner: Link | None = None
        self._is_over = False
        self._why = "it has no endpoint"
        near = [e for e in self._seen if e.startswith("ipc://")]
        self._rest = deque(e for e in self._seen if not e.startswith("ipc://"))
        for endpoint in near:
            self._dial(endpoint)
        self._is_held = bool(near)
        later(HEAD_START if near else 0.0, self._dial_rest)

    def extend(self, endpoints: Iterable[str]) -> None:
        """Dial these as well, before those that wait: what was said last is most likely right."""
        if self._is_over:
            return
        for endpoint in reversed(list(endpoints)):
            # Bounded, for whoever claims to be that node may say something new again and again.
            if endpoint not in self._seen and len(self._seen) < 2 * DIALLED_LIMIT:
                self._seen[endpoint] = None
                self._rest.appendleft(endpoint)
        if not self._is_held:
            self._dial_rest()

    def cancel(self) -> None:
        """Dial no more."""
        self._is_over = True
        for link in self._links:
            link.close()

    def _dial(self, endpoint: str) -> None:
        try:
            self._links[self._open(endpoint, self)] = None
        except SetupError as error:  # no descriptor is left
            self._why = str(error)

    def _dial_rest(self) -> None:
        self._is_held = False
        while not self._is_over and self._rest and len(self._links) < self._width:
            self._dial(self._rest.popleft())
        if not self._is_over and not self._rest and not self._links:
            self._is_over = True
            self._host.gave_up(self, self._why)

    def _end(self, link: Link, why: str) -> None:
        """One endpoint led nowhere; where ipc fails at once, tcp need not wait."""
        self._links.pop(link, None)
        self._why = why
        self._dial_rest()

    # -- what the links say -------------------------------------------------------------------

    def link_welcomed(self, link: Link, facts: Facts) -> None:
        """The first one that is right wins."""
        if self._is_over:
            link.close()
            return
        objection = self._host.objection(self, link.endpoint, facts)
        if objection:
            link.close()
            self._end(link, objection)
            return
        self._is_over, self._winner = True, link
        for other in self._links:
            if other is not link:
                other.close()
        self._links.clear()
        self._host.dialled(self, link, facts)

    def link_refused(self, link: Link, reason: str, sentence: str) -> None:
        """Pass it on, and see whether any is left."""
        if link is self._winner:
            self._host.link_refused(link, reason, sentence)
            return
        self._host.refused_by(self, link, reason, sentence)
        self._end(link, sentence)

    def link_broken(self, link: Link, why: str) -> None:
        """Likewise."""
        if link is self._winner:
            self._host.link_broken(link, why)
            return
        self._end(link, why)

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """Pass it on."""
        if link is self._winner:
            self._host.link_heard(link, envelopes)
