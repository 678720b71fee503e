"""Judges what simulated nodes believe of each other, at each event, against what is the case.

- No incarnation that a node held for gone is a member of its mesh again.
- A node is declared dead only if it is, or if it hung for `HANG` and longer, or if there was no way
  to it, not even by way of a third node. That the accuser itself hung is no reason.
- A process that was killed, or has stopped, is out of every node's view within `OUT_KILLED`, and
  a machine that vanished within `OUT_SILENT`; and with it all its names.
- No node knows a name of a node that it does not hold for a member.

What is said of times holds where the network lets it: not where messages are late, and not for
those that other faults have hit as well. `Guard.verdicts` counts what was judged, so that one sees
whether a scenario tries anything at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from actormq.events import Event, MemberChanged, NameElected, NameStandby
from actormq.testing.simulation.ballot import After, Ballot
from actormq.testing.simulation.history import History, Life
from actormq.testing.simulation.machine import SimulatedNode

HANG = 5.0  # s that a node may hang and is not declared dead
OUT_KILLED, OUT_SILENT = 2.0, 8.0  # s
RECOVERY = 5.0  # s after a fault until a node's doubts that came of it are over
FRESH = 15.0  # s after which a node that was in trouble trusts its own ears again
JOINED = 1.0  # s after its start from which a node counts as one that watches


class Guard:
    """Hears what happens in a world, and fails it as soon as something does not hold.

    Args:
        now: The virtual time.
        after: Calls something later.
        late_at: Until when messages are late, see `Network.late_until`.
        fail: Called with what does not hold.

    Attributes:
        history: What has happened.
        verdicts: How many judgements of each kind were made.
        ballot: Judges who holds elected names.
    """

    def __init__(
        self,
        now: Callable[[], float],
        after: After,
        late_until: Callable[[], float],
        fail: Callable[[str], None],
    ) -> None:
        self._now = now
        self._after = after
        self._late_until = late_until
        self._fail = fail
        self.history = History()
        self.verdicts: Counter[str] = Counter()
        self.ballot = Ballot(now, after, late_until, fail, self.history, self.verdicts)

    # -- what the world does ------------------------------------------------------------------

    def started(self, machine: str, node: SimulatedNode) -> None:
        """A node starts."""
        self.history.lives[node.id] = Life(node, machine, self._now())

    def ended(self, node: SimulatedNode, how: str) -> None:
        """A node has ended: it was `killed`, has `stopped`, or its machine went `silent`."""
        life = self.history.lives[node.id]
        if life.ended_at is not None:
            return
        life.ended_at = self._now()
        now, history = self._now(), self.history
        is_silent = how == "silent"
        since = now - (FRESH if is_silent else RECOVERY)
        others = history.living()
        if any(history.clear_since(other.machine, life.machine) > since for other in others):
            return  # old words of it may be under way, and keep it alive for whoever asks
        able = [o for o in others if o.node.knows(node.id) and o.began_at <= now - JOINED]
        limit = OUT_SILENT if is_silent else OUT_KILLED
        self._after(limit, lambda: self._is_out(life, how, able, since))

    def hangs(self, node: SimulatedNode) -> None:
        """A node hangs."""
        life = self.history.lives[node.id]
        if not life.hung(self._now(), self._now()):
            life.hangs.append((self._now(), float("inf")))

    def goes_on(self, node: SimulatedNode) -> None:
        """A node goes on."""
        hangs = self.history.lives[node.id].hangs
        if hangs and hangs[-1][1] > self._now():
            hangs[-1] = hangs[-1][0], self._now()
            self.verdicts[f"hung {'shortly' if self._now() - hangs[-1][0] < HANG else 'long'}"] += 1

    def is_haunted(self) -> bool:
        """Whether a node that runs still knows one that has ended."""
        living = self.history.living()
        ended = [life for life in self.history.lives.values() if life.ended_at is not None]
        return any(one.node.knows(other.node.id) for one in living for other in ended)

    # -- what nodes say -----------------------------------------------------------------------

    def told(self, node: SimulatedNode, event: Event) -> None:
        """A node reports something."""
        match event:
            case MemberChanged():
                self.heard(node, event)
            case NameElected():
                self.ballot.heard(node, event)
            case NameStandby() if event.has_let_go:
                self.ballot.let_go(node, event.name)
            case _:
                pass

    def heard(self, node: SimulatedNode, event: MemberChanged) -> None:
        """A node believes something else of another one than before."""
        life = self.history.lives[node.id]
        if event.state in ("dead", "left"):
            life.gone[event.node] = max(life.gone.get(event.node, 0), event.incarnation)
            other = self.history.lives.get(event.node)
            if event.state == "dead" and event.accuser == node.id and other is not None:
                self._is_just(life, other, event)
        else:
            self.verdicts["not risen"] += 1
            if event.incarnation <= life.gone.get(event.node, 0):
                self._fail(
                    f"{node.name} holds {event.name}/{event.incarnation} for {event.state} again, "
                    "which was gone"
                )
        self._after(0.0, lambda: self._has_members_only(node))

    def _has_members_only(self, node: SimulatedNode) -> None:
        strangers = node.strangers()
        if strangers:
            self._fail(f"{node.name} knows names of {sorted(strangers)}, who are no members")

    def _is_just(self, life: Life, other: Life, event: MemberChanged) -> None:
        """Judge a death that a node has declared by itself."""
        if other.ended_at is not None or event.incarnation < other.node.incarnation:
            self.verdicts["death of the dead"] += 1
        elif self._excuse(life, other):
            self.verdicts["death excused"] += 1
        else:
            self._fail(
                f"{life.node.name} declares {event.name}/{event.incarnation} dead, "
                f"which is well: {event.reason}"
            )

    def _excuse(self, life: Life, other: Life) -> bool:
        """Whether a node could but hold another one for dead that is not."""
        now, history = self._now(), self.history
        since = now - RECOVERY
        hung, was_away = other.hung(since, now), life.hung(since, now) >= HANG
        places = life.machine, other.machine
        is_whole = max(history.clear_since(*places), history.torn_at(*places)) <= since
        return (
            self._late_until() > since
            or hung >= HANG
            or ((hung or was_away) and not is_whole)
            or not history.reaches(life, other, since, now)
        )

    def _is_out(self, life: Life, how: str, able: list[Life], since: float) -> None:
        """Judge whether a node that has ended is out of the views of those who knew it.

        Args:
            life: The node.
            how: It has ended.
            able: Those who should have noticed by now, unless they could not.
            since: What has hung since then could not.
        """
        now, ended_at = self._now(), life.ended_at
        if ended_at is None or self._late_until() > ended_at - RECOVERY:
            return
        for other in able:
            if other.ended_at is None and not other.hung(since, now):
                self.verdicts[f"out of view, {how}"] += 1
                if other.node.knows(life.node.id):
                    self._fail(
                        f"{other.node.name} still knows {life.node.name} {life.node.id}, "
                        f"{how} {now - ended_at:g} s ago"
                    )
