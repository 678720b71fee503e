"""What a node tells of itself to whoever asks: the shapes behind `actormq ps`."""

from __future__ import annotations

import msgspec


class ActorReport(msgspec.Struct, frozen=True):
    """One actor.

    Attributes:
        name: Its name, or its class and serial.
        class_: Its class, qualified by its module; "class" outside Python.
        mailbox: Messages that wait.
        received: Messages that its handlers were given.
        handler: What it has been busy with for more than `BUSY_SHOWN`; "" if with nothing.
        busy: Seconds that it has been so.
        awaits: Whose reply that handler awaits, "" if it awaits something else.
        held: The longest time that one of its handlers held the node's loop, in seconds; 0.0 if
            none did for longer than `hold_limit`.
        held_by: That handler.
        parent: The actor whose child it is; "" if it is nobody's but the node's.
        restarts: How often it has been restarted.
        is_down: Whether it has no instance now, and waits for the next one.
        role: "elected" or "standing by" where its name is held by one of all its actors; else "".
    """

    name: str
    class_: str = msgspec.field(name="class")
    mailbox: int
    received: int
    handler: str = ""
    busy: float = 0.0
    awaits: str = ""
    held: float = 0.0
    held_by: str = ""
    parent: str = ""
    restarts: int = 0
    is_down: bool = False
    role: str = ""


class NodeReport(msgspec.Struct, frozen=True):
    """One node.

    Attributes:
        name: Its name.
        id: Its id, 16 hex digits.
        mesh: Its mesh.
        state: What it is: alive, as long as it answers for itself.
        address: Where its link socket can be dialled.
        sent: Envelopes that it has sent to its peers.
        received: Envelopes that came from its peers.
        dead_letters: Messages that reached no handler, by reason.
        actors: Its actors, oldest first; at most `ACTORS_SHOWN`.
        actor_count: How many there are.
        services: Names of the services that it offers.
    """

    name: str
    id: str
    mesh: str
    state: str
    address: str
    sent: int
    received: int
    dead_letters: dict[str, int]
    actors: list[ActorReport]
    actor_count: int
    services: list[str]


ACTORS_SHOWN = 1_000  # a node may hold 100 000 actors; nobody reads them all
BUSY_SHOWN = 1.0  # s with one message: less is a matter of course
