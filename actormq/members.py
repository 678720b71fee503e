"""What a node tells its users of the other nodes of its mesh."""

from __future__ import annotations

import msgspec


class MemberInfo(msgspec.Struct, frozen=True):
    """One node, as another one sees it.

    Attributes:
        node: Its id, 16 hex digits; a process that starts again has another one.
        name: Its name, for people; several may have the same.
        state: `alive`, `suspect`, `dead` or `left`.
        reason: Why, in words.
        since: For how long it has been so, in seconds.
        round_trip: Seconds from a ping to its answer; None for a node that was not pinged: one of
            many has neighbours that look after it.
        address: The endpoint at which it is spoken to; "" if there is no connection to it now.
        endpoints: All endpoints that it offers.
        incarnation: How often its process had to come back as a new member, from 1.
        seniority: Its place in the order of age: 1 is the oldest; 0 before it has taken one.
    """

    node: str
    name: str
    state: str
    reason: str
    since: float
    round_trip: float | None
    address: str
    endpoints: tuple[str, ...]
    incarnation: int
    seniority: int

    @property
    def is_there(self) -> bool:
        """Whether it is alive, or suspected only."""
        return self.state in ("alive", "suspect")
