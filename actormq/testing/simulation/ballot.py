"""Judges who holds elected names in a simulation, at each event, against what is the case.

- No node sees a name in other hands while whoever had it is a member of its mesh, runs, and has
  not let it go.
- Two nodes do not both hold a name for long once everything gets through between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from actormq.events import NameElected
from actormq.testing.simulation.history import History, Life
from actormq.testing.simulation.machine import SimulatedNode

ONE_AGAIN = 7.0  # s: 5 for a heal to be complete, and for the one that lets go to do so
LOOK_AGAIN = 1.0  # s between looks at who else holds a name

After = Callable[[float, Callable[[], None]], None]
"""Calls something after some seconds, whatever becomes of the machines."""


class Ballot:
    """Hears who is elected in a world, and fails it as soon as something does not hold.

    Args:
        now: The virtual time.
        after: Calls something later.
        late_until: Until when messages are late, see `Network.late_until`.
        fail: Called with what does not hold.
        history: What has happened.
        verdicts: Counts the judgements of each kind.
    """

    def __init__(
        self,
        now: Callable[[], float],
        after: After,
        late_until: Callable[[], float],
        fail: Callable[[str], None],
        history: History,
        verdicts: Counter[str],
    ) -> None:
        self._now = now
        self._after = after
        self._late_until = late_until
        self._fail = fail
        self._history = history
        self._verdicts = verdicts
        self._seen: dict[
            tuple[str, str], tuple[str, float]
        ] = {}  # who holds a name, and since when
        self._let_go_at: dict[tuple[str, str], float] = {}

    def let_go(self, node: SimulatedNode, name: str) -> None:
        """A node has let a name go; it may take it again before all have heard of it."""
        self._let_go_at[node.id, name] = self._now()

    def heard(self, node: SimulatedNode, event: NameElected) -> None:
        """A node sees a name in other hands than before, perhaps its own."""
        before, since = self._seen.get((node.id, event.name), (event.node, 0.0))
        self._seen[node.id, event.name] = event.node, self._now()
        if before != event.node and node.knows(before):
            self._verdicts["handed over"] += 1
            life = self._history.lives[before]
            has_let_go = self._let_go_at.get((before, event.name), -1.0) >= since
            if life.ended_at is None and event.name in life.node.held() and not has_let_go:
                self._fail(
                    f"{node.name} sees {event.name!r} on {event.node_name}, though "
                    f"{life.node.name} has not let it go"
                )
        if event.is_own:
            self._after(ONE_AGAIN, lambda: self._is_alone(self._history.lives[node.id], event.name))

    def _is_alone(self, life: Life, name: str) -> None:
        if life.ended_at is not None or name not in life.node.held():
            return
        since = self._now() - ONE_AGAIN
        for other in self._history.living():
            if other is not life and self._were_in_touch(life, other, since):
                self._verdicts["one holder"] += 1
                if name in other.node.held():
                    self._fail(
                        f"{life.node.name} and {other.node.name} both hold {name!r}, and nothing "
                        f"has come between them for {ONE_AGAIN:g} s"
                    )
        self._after(LOOK_AGAIN, lambda: self._is_alone(life, name))

    def _were_in_touch(self, one: Life, other: Life, since: float) -> bool:
        """Whether two nodes could hear each other all the time."""
        places, now = (one.machine, other.machine), self._now()
        history = self._history
        return (
            max(one.began_at, other.began_at, self._late_until()) <= since
            and max(history.clear_since(*places), history.torn_at(*places)) <= since
            and not one.hung(since, now)
            and not other.hung(since, now)
        )
