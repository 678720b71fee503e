"""Discovery by multicast, simulated: announcements that take a while, get lost, meet cuts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from actormq.cluster.discovery import RECORD_LIFE, Announcement
from actormq.loop import Loop
from actormq.testing.simulation.connection import Place
from actormq.testing.simulation.network import Network

QUERY_INTERVAL = 3.0  # s; as `cluster/mdns.py` asks
CALM_ROUNDS = 5  # likewise


class Multicast:
    """Where announcements are sent to: everybody who listens.

    Args:
        network: Whose cuts, delays and losses they meet.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._members: dict[SimulatedDiscovery, None] = {}

    def join(self, member: SimulatedDiscovery) -> None:
        """Hear what is said from now on."""
        self._members[member] = None

    def leave(self, member: SimulatedDiscovery) -> None:
        """Hear nothing any more."""
        self._members.pop(member, None)

    def say(self, source: Place, what: Callable[[SimulatedDiscovery], None]) -> None:
        """Say something to all but the sender; each hears it in its own time, or not at all."""
        network = self._network
        for member in list(self._members):
            target = member.place
            if target is source or network.is_cut(source.name, target.name):
                continue
            if network.chance.random() >= network.conditions.loss:
                delay = network.delay()
                if delay is not None:
                    network.loop.call_later(delay, what, member, context=target.context)


class SimulatedDiscovery:
    """One node's part in it: asks who is there, again and again, and answers.

    Args:
        loop: The node's loop.
        multicast: Carries it.
        place: The machine that it is on.
        chance: Where its jitter comes from.

    Attributes:
        place: The machine that it is on.
        refused_count: Announcements that made no sense: none.
    """

    refused_count = 0

    def __init__(
        self, loop: Loop, multicast: Multicast, place: Place, chance: random.Random
    ) -> None:
        self._loop = loop
        self._multicast = multicast
        self._chance = chance
        self._found: Callable[[Announcement], None] | None = None
        self._is_calm: Callable[[], bool] = lambda: False
        self._rounds = 0
        self._own: Announcement | None = None
        self._known: dict[str, tuple[Announcement, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.place = place

    async def start(
        self,
        found: Callable[[Announcement], None],
        is_calm: Callable[[], bool] = lambda: False,
    ) -> None:
        """Look for others from now on."""
        self._found, self._is_calm = found, is_calm
        self._multicast.join(self)
        self._timer = self._loop.call_later(0.02 + 0.1 * self._chance.random(), self._ask)

    async def announce(self, announcement: Announcement) -> None:
        """Tell of ourselves."""
        self._own = announcement
        self._multicast.say(self.place, lambda member: member.heard(announcement))

    async def withdraw(self) -> None:
        """Take back what was told."""
        self._own = None

    async def refresh(self) -> None:
        """Nothing: a simulated machine has one network."""

    async def stop(self) -> None:
        """Withdraw and look no longer."""
        self._own = self._found = None
        self._multicast.leave(self)
        if self._timer is not None:
            self._timer.cancel()

    def vanish(self) -> None:
        """End with the process, without a word."""
        self._multicast.leave(self)

    def _ask(self) -> None:
        self._timer = self._loop.call_later(QUERY_INTERVAL, self._ask)
        now = self._loop.now()
        self._known = {i: seen for i, seen in self._known.items() if now - seen[1] < RECORD_LIFE}
        for announcement, _ in self._known.values():
            self._report(announcement)
        self._rounds += 1
        if self._is_calm() and self._rounds % CALM_ROUNDS:
            return
        known = {i for i, (_, at) in self._known.items() if now - at < RECORD_LIFE / 2}
        self._multicast.say(self.place, lambda member: member.asked(known))

    def asked(self, known: set[str]) -> None:
        """Answer somebody who does not know of us."""
        own = self._own
        if own is not None and own.node_id not in known:
            self._multicast.say(self.place, lambda member: member.heard(own))

    def heard(self, announcement: Announcement) -> None:
        """Take in what somebody said of itself."""
        self._known[announcement.node_id] = (announcement, self._loop.now())
        self._report(announcement)

    def _report(self, announcement: Announcement) -> None:
        if self._found is not None:
            self._found(announcement)
