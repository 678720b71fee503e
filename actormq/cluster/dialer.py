"""From a hint to a welcomed link: dial every endpoint of a node, keep the one that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from actormq.cluster.link import Link
from actormq.message import Envelope, Facts

HEAD_START = 0.1  # s that ipc gets before tcp is dialled too: it answers in 1 ms where it can

Open = Callable[[str, "Attempt"], Link]
"""Dials one endpoint for an attempt."""


class Host(Protocol):
    """Who wants the link."""

    def dialled(self, attempt: Attempt, link: Link, facts: Facts) -> None:
        """One endpoint answered; the others are let go."""

    def refused_by(self, attempt: Attempt, endpoint: str, reason: str, sentence: str) -> None:
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
        key: What is dialled: a node's id, or the `HOST:PORT` that somebody named.
        endpoints: Where it may answer.
        open_link: Dials one.
        later: Calls a function after some seconds, and gives a handle.
        host: Hears how it goes.
    """

    def __init__(
        self,
        key: str,
        endpoints: Sequence[str],
        open_link: Open,
        later: Callable[[float, Callable[[], None]], object],
        host: Host,
    ) -> None:
        self.key = key
        self.endpoints = endpoints
        self._open = open_link
        self._host = host
        self._links: list[Link] = []
        self._winner: Link | None = None
        self._is_over = False
        self._why = "it has no endpoint"
        near = [e for e in endpoints if e.startswith("ipc://")]
        self._rest = [e for e in endpoints if not e.startswith("ipc://")]
        self._dial(near)
        if self._rest:
            later(HEAD_START if near else 0.0, self._dial_rest)
        elif not near:
            later(0.0, self._finish_if_over)

    def cancel(self) -> None:
        """Dial no more."""
        self._is_over = True
        for link in self._links:
            link.close()

    def _dial(self, endpoints: Sequence[str]) -> None:
        for endpoint in endpoints:
            self._links.append(self._open(endpoint, self))

    def _dial_rest(self) -> None:
        rest, self._rest = self._rest, []
        if not self._is_over:
            self._dial(rest)
            self._finish_if_over()

    def _finish_if_over(self) -> None:
        if not self._is_over and not self._rest and all(link.is_closed for link in self._links):
            self._is_over = True
            self._host.gave_up(self, self._why)

    # -- what the links say -------------------------------------------------------------------

    def link_welcomed(self, link: Link, facts: Facts) -> None:
        """The first one wins."""
        if self._is_over:
            link.close()
            return
        self._is_over, self._winner = True, link
        for other in self._links:
            if other is not link:
                other.close()
        self._host.dialled(self, link, facts)

    def link_refused(self, link: Link, reason: str, sentence: str) -> None:
        """Pass it on, and see whether any is left."""
        if link is self._winner:
            self._host.link_refused(link, reason, sentence)
            return
        self._why = sentence
        self._host.refused_by(self, link.endpoint, reason, sentence)
        self._finish_if_over()

    def link_broken(self, link: Link, why: str) -> None:
        """Likewise; where ipc fails at once, tcp need not wait."""
        if link is self._winner:
            self._host.link_broken(link, why)
            return
        self._why = why
        self._dial_rest()
        self._finish_if_over()

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """Pass it on."""
        if link is self._winner:
            self._host.link_heard(link, envelopes)
