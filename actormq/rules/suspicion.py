"""How long a suspect has to contradict, and how far a node trusts its own ears.

Both are refinements of SWIM that Lifeguard brought (Dadgar, Phillips, Currey: "Lifeguard: local
health awareness for more accurate failure detection", 2017):

- a suspicion that others share ends sooner than one that nobody shares;
- a node that has reasons to think that it is slow itself waits longer before it accuses others.
"""

from __future__ import annotations

import math

import msgspec

CONFIRMATIONS = 3  # accusers besides the first, with whom the least time is reached
HEALTH_WORST = 4
HEALTH_STEP = 0.05  # of the patience, for each point: at worst a second counts as 1.2 s
HEALTH_REGAIN = 3.0  # s without an incident that win a point back


class Suspicion(msgspec.Struct):
    """A node that is suspected.

    Attributes:
        since: When this node learned of it, in seconds on its clock.
        accusers: Ids of the nodes that suspect it.
        others: Nodes that could share it, besides the first accuser and the suspect.
        told_at: When the suspect itself was told of it last.
    """

    since: float
    accusers: set[str] = msgspec.field(default_factory=set)
    others: int = 0
    told_at: float = 0.0

    def confirm(self, accuser: str) -> bool:
        """Count one more accuser; say whether it is a new one, and one that still matters."""
        if accuser in self.accusers or len(self.accusers) > CONFIRMATIONS:
            return False
        self.accusers.add(accuser)
        return True

    def ends(self, least: float, most: float) -> float:
        """When the suspect is dead unless it contradicts.

        Args:
            least: Seconds that it has if enough others share the suspicion, or nobody can.
            most: Seconds that it has if nobody shares it.
        """
        wanted = min(CONFIRMATIONS, self.others)
        if wanted < 1:
            return self.since + least
        shared = math.log(max(len(self.accusers), 1)) / math.log(wanted + 1)
        return self.since + max(most - (most - least) * shared, least)


class Health(msgspec.Struct):
    """How well a node thinks that it does itself.

    Attributes:
        score: Points against it, 0 to `HEALTH_WORST`.
        changed_at: When the last one was added or won back, in seconds on the node's clock.
    """

    score: int = 0
    changed_at: float = 0.0

    def worsen(self, now: float) -> None:
        """Its loop lagged, it was suspected, or nobody whom it asked for help answered."""
        self.score = min(self.score + 1, HEALTH_WORST)
        self.changed_at = now

    def recover(self, now: float) -> None:
        """Win a point back if nothing has happened for a while."""
        if self.score and now - self.changed_at >= HEALTH_REGAIN:
            self.score -= 1
            self.changed_at = now

    def stretched(self, seconds: float) -> float:
        """A patience, longer where the node does not do well."""
        return seconds * (1.0 + HEALTH_STEP * self.score)
