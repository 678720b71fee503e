"""Drives the rules of membership: tells them that time passes, and does what they want done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from actormq import message
from actormq.cluster.gossip import Gossip
from actormq.cluster.member import Member
from actormq.cluster.reach import Reach
from actormq.loop import Loop
from actormq.message import Envelope, Facts
from actormq.rules.membership import Membership, lag_of
from actormq.rules.steps import Answer, Change, Dial, Help, Ping, Renew, Retry, Spread, Step, Tell
from actormq.settings import LINK_IDLE, TICK_INTERVAL

SETTLE = 1.5  # s after which a node that has found nobody is the first of its mesh
FIRST = 1  # the seniority of that one


class Hub(Protocol):
    """The mesh, as whoever drives the rules sees it."""

    membership: Membership
    gossip: Gossip
    members: dict[str, Member]
    reach: Reach

    def redial(self, facts: Facts) -> None:
        """Make a link to a node, unless there is one or one is being made."""

    def hang_up(self, member: Member) -> None:
        """End the link to a member, which says nothing of that one."""

    def changed(self, change: Change) -> None:
        """What is believed of a member has changed."""

    def say(self, members: Iterable[Member], envelope: Envelope) -> None:
        """Say something to some members."""


class Pulse:
    """The time of a mesh.

    Args:
        hub: The mesh.
        loop: The node's loop.
        ticked: Called every `TICK_INTERVAL` with the node's time, and how much of the time since
            the last call the node did not listen, in seconds.

    Attributes:
        at: When it beat last, on the node's clock.
    """

    def __init__(self, hub: Hub, loop: Loop, ticked: Callable[[float, float], None]) -> None:
        self._hub = hub
        self._loop = loop
        self._ticked = ticked
        self._is_acting = False
        self._timer: asyncio.TimerHandle | None = None
        self._started_at = self.at = loop.now()

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return self._loop.now() - self._started_at

    def start(self) -> None:
        """Beat from now on."""
        self._started_at = self.at = self._loop.now()
        self._beat()

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        now = self._loop.now()
        lag = lag_of(now, self.at)
        self.at = now
        self._timer = self._loop.call_later(TICK_INTERVAL, self._beat)
        self._hub.membership.tick(now, lag)
        self._take_seniority()
        self.act()
        self._close_idle(now)
        self._ticked(now, lag)

    def _take_seniority(self) -> None:
        """Take a place in the order of age, once this node has met the mesh or found none."""
        membership = self._hub.membership
        if membership.own.seniority or membership.own.is_guest:
            return
        next_one = membership.next_seniority()
        if next_one > FIRST or self.uptime >= SETTLE:
            membership.renew(seniority=next_one)

    def give_way(self, peer: Facts) -> None:
        """Take a place behind a node that is older, after two meshes have met."""
        membership = self._hub.membership
        is_before = 0 < membership.own.seniority <= peer.seniority
        if is_before and peer.uptime > self.uptime + 1.0:
            membership.renew(seniority=max(membership.next_seniority(), peer.seniority + 1))

    def _close_idle(self, now: float) -> None:
        """Close links on which nothing was said for long, where there are too many to keep all."""
        membership = self._hub.membership
        if membership.keeps_all_links:
            return
        for node, member in self._hub.members.items():
            is_idle = now - max(member.used_at, member.heard_at) > LINK_IDLE
            if is_idle and member.link is not None and not membership.wants_link(node):
                self._hub.hang_up(member)

    # -- what the rules want ------------------------------------------------------------------

    def act(self) -> None:
        """Do what the membership wants done."""
        if self._is_acting:
            return  # whoever acts goes on until nothing is left
        self._is_acting = True
        try:
            while steps := self._hub.membership.take_steps():
                for step in steps:
                    self._do(step)
        finally:
            self._is_acting = False

    def _do(self, step: Step) -> None:  # noqa: C901 a table of steps
        hub = self._hub
        match step:
            case Ping(node):
                self._ping(node)
            case Dial(facts):
                hub.redial(facts)
            case Retry(facts):
                hub.reach.retry(facts)
            case Help(helper, node):
                self._say(helper, [message.HELP, node])
            case Answer(asker, node, is_there):
                self._say(asker, [message.HELPED, node, is_there])
            case Tell(node, record):
                for member in self._listening(node):
                    hub.gossip.tell(member, record)
            case Spread(record, source):
                hub.gossip.spread(record, source)
            case Renew(facts):
                hub.gossip.note(facts.node)
            case Change():
                hub.changed(step)

    def _say(self, node: str, envelope: Envelope) -> None:
        self._hub.say(self._listening(node), envelope)

    def _listening(self, node: str) -> list[Member]:
        """The member of that id, if it can be told something now."""
        member = self._hub.members.get(node)
        return [member] if member is not None and member.can_be_told else []

    def _ping(self, node: str) -> None:
        member = self._hub.members.get(node)
        if member is not None and member.link is not None:
            member.pings += 1
            member.pinged_at = self._loop.now()
            self._hub.say([member], [message.PING, member.pings, self._hub.gossip.digest.root])

    def ponged(self, member: Member, token: object) -> None:
        """A member has answered a ping.

        An answer to an older one than the last may have been given before its node ended.
        """
        if token == member.pings:
            now, node = self._loop.now(), member.facts.node
            entry = self._hub.membership.entries.get(node)
            if entry is not None:
                entry.round_trip = now - member.pinged_at
            self._hub.membership.ponged(node, now)
