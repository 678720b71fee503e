"""Circles of asks over several nodes: found by probes, ended where a message waits.

A handler that has awaited a reply of another node for `PROBE_AFTER` sends a probe after its ask, if
anybody can wait for that handler. Whoever gets one follows the notes of `waits.py`: from the ask to
the handler that works on it, or behind which its message waits, and from there along what that one
awaits; at each ask that leads to another node the probe goes on. It looks for the least of the asks
that it has passed whose message waits in a mailbox (`rules/circles.Trail`). If it comes to that one
again, the circle is closed, and the node that it has come to is the one on which the message waits:
it rejects it, so that an `AskCircle` is true as a `DeliveryError`.

A probe that is lost does no harm: while the reply is awaited, one is sent every `PROBE_INTERVAL`.
All that is kept is which probes have gone which way lately, and numbers of asks within the node.

Prior art: the edge chasing of Chandy, Misra and Haas (1983). With theirs, whoever begins a probe
decides, and several may end one circle; Mitchell and Merritt (1984) let a label travel, as here.
A probe can be wrong only if a handler on its way gives an ask up, by its deadline or otherwise,
while the probe travels; the message that is rejected then has not run either.
"""

from __future__ import annotations

import contextlib
import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from actormq import message
from actormq.cluster.far import FarAnswer, FarReply
from actormq.cluster.member import Member
from actormq.deadlines import Served
from actormq.errors import AskCircle, DeliveryError
from actormq.failing import Again
from actormq.message import STEP_LIMIT, STEPS_LIMIT, Envelope
from actormq.registry import Registry
from actormq.rules.circles import Ask, Trail
from actormq.waits import awaited, name_of

if TYPE_CHECKING:
    from actormq.cell import Cell
    from actormq.cluster.post import Post

PROBE_AFTER = 1.0  # s that a reply is awaited; nearly all come before, and cost no probe
PROBE_INTERVAL = 2.0  # s until a reply that is still awaited is probed again
PASS_INTERVAL = 1.0  # s in which equal probes go the same way once
PROBES_LIMIT = 50  # begun at one look; the others at the next one
KEPT_LIMIT = 1_000  # ways that probes have gone within that time; what is over is dropped
HANDLERS_LIMIT = 1_000  # of this node that one probe follows
WAITING_LIMIT = 2_000  # messages of a mailbox that a probe looks through: 0.2 ms


class Probes:
    """The probes of one node.

    Args:
        post: Sends them, and knows the asks of this node.
        registry: The node's actors.
    """

    def __init__(self, post: Post, registry: Registry) -> None:
        self._post = post
        self._loop = post.loop
        self._registry = registry
        self._passed: dict[tuple[Ask | None, int], float] = {}
        self._numbers: dict[Any, int] = {}

    # -- replies that do not come -------------------------------------------------------------

    def look(self, now: float) -> None:
        """Begin probes; called now and then with the node's time."""
        if self._numbers:
            self._numbers = {one: n for one, n in self._numbers.items() if not one.is_done}
        due = []
        serving: dict[Any, set[Served]] = {}
        for reply in self._post.pending.values():
            if type(reply) is not FarReply:
                continue  # it waits for room
            if reply.deadline - reply.seconds + PROBE_AFTER > now:
                break  # those behind it were asked later still
            if not reply.probe_at <= now < reply.deadline or not _is_awaited(reply, now):
                continue
            assert reply.awaiter is not None
            cell = reply.awaiter.cell
            if cell not in serving:
                serving[cell] = {served for _, served in cell.serving()}
            # Else it has ended, and left a task behind.
            if reply.awaiter in serving[cell] and _is_waited_for(reply.awaiter):
                due.append(reply)
        # Where there are too many, those that have waited for it longest, new ones first.
        for reply in heapq.nsmallest(PROBES_LIMIT, due, key=lambda reply: reply.probe_at):
            reply.probe_at = now + PROBE_INTERVAL
            self._pass_on(reply, Trail())

    # -- on the way ---------------------------------------------------------------------------

    def take(self, member: Member, envelope: Envelope) -> None:
        """Take a PROBE.

        Raises:
            RemoteProtocolError: It has another shape.
        """
        number, serial, origin, steps = message.probe_from(envelope)
        cell = self._registry.by_serial(serial)
        if cell is None:
            return

        def is_it(answer: Any) -> bool:
            return type(answer) is FarAnswer and answer.is_of(member, number) and answer.is_open()

        def ask() -> Ask:
            return member.facts.node, number

        self._follow(deque(self._behind(cell, is_it, ask, Trail(origin, steps))))

    def _follow(self, queue: deque[tuple[Served, Trail]]) -> None:
        """Go on from handlers of this node along what they await."""
        now = self._loop.now()
        seen: set[Served] = set()
        while queue and len(seen) < HANDLERS_LIMIT:
            served, trail = queue.popleft()
            if served in seen or len(trail.steps) > STEPS_LIMIT:
                continue
            seen.add(served)
            for reply in awaited(served, now):
                if type(reply) is FarReply:
                    self._pass_on(reply, trail)
                elif reply.target is not None:
                    queue.extend(self._behind_own(reply, trail))

    def _behind_own(self, reply: Any, trail: Trail) -> Iterator[tuple[Served, Trail]]:
        return self._behind(
            reply.target,
            lambda answer: answer is reply,
            lambda: (self._post.own, self._number(reply)),
            trail,
        )

    def _behind(
        self, cell: Cell, is_it: Callable[[Any], bool], ask: Callable[[], Ask], trail: Trail
    ) -> Iterator[tuple[Served, Trail]]:
        """What an ask of an actor of this node waits for; rejects the ask if that closes a circle.

        Args:
            cell: The actor.
            is_it: Tells the answer that the ask is to get.
            ask: Names it.
            trail: That of the probe before this step.
        """
        there = [served for _, served in cell.serving()]
        for served in there:
            if served.answer is not None and is_it(served.answer):
                if trail.origin is None or trail.origin != ask():  # else its turn has come
                    yield served, trail.past(name_of(served)[:STEP_LIMIT])
                return
        holders = [served for served in there if not served.call.concurrent and served.awaits]
        waiting = cell.waiting(is_it, WAITING_LIMIT) if holders else None
        if waiting is None:
            return
        call, _, _, answer = waiting
        for holder in holders:
            behind = name_of(holder)
            step = f"{cell.address.label}.{call.name} (behind {behind})"[:STEP_LIMIT]
            if isinstance(call, Again):  # it has run once: not one to reject
                yield holder, trail.past(step)
            elif trail.origin == ask():
                assert answer is not None
                answer.reject(AskCircle(" -> ".join([*trail.steps, step])))
                return
            else:
                yield holder, trail.past_waiting(ask(), behind[:STEP_LIMIT], step)

    def _pass_on(self, reply: FarReply, trail: Trail) -> None:
        """Let a probe follow an ask to another node."""
        asked = self._post.asked(reply.number)
        way, now = (trail.origin, reply.number), self._loop.now()
        if asked is None or now - self._passed.get(way, -math.inf) < PASS_INTERVAL:
            return
        if len(self._passed) >= KEPT_LIMIT:
            self._passed = {way: at for way, at in self._passed.items() if now - at < PASS_INTERVAL}
            if len(self._passed) >= KEPT_LIMIT:
                return  # more than can be of use
        self._passed[way] = now
        probe = message.probe(reply.number, asked.serial, trail.origin, trail.steps)
        with contextlib.suppress(DeliveryError):  # another one will follow
            self._post.say(asked.node, probe)

    def _number(self, reply: Any) -> int:
        """The number of an ask within this node, which gets one when a probe passes it."""
        number = self._numbers.get(reply)
        if number is None:
            number = self._numbers[reply] = self._post.number()
        return number


def _is_awaited(reply: FarReply, now: float) -> bool:
    """Whether a handler has awaited a reply for long."""
    awaits = reply.awaiter.awaits if reply.awaiter is not None else None
    return awaits is not None and reply in awaits and now >= awaits[reply][0] + PROBE_AFTER


def _is_waited_for(served: Served) -> bool:
    """Whether anybody can wait for a handler: its asker, or a message behind it."""
    answer = served.answer
    if answer is not None and answer.is_asked and answer.is_open():
        return True
    return not served.call.concurrent and served.cell.mailbox_count > 0
