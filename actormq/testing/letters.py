"""Dead letters, written down: the messages that reached no handler."""

from __future__ import annotations

from actormq.events import DeadLetter
from actormq.node import Node
from actormq.testing.waiting import until_or


class DeadLetters:
    """The dead letters of the nodes that it listens to; those of the fixture are the mesh's.

    Attributes:
        all: As they came.
    """

    def __init__(self) -> None:
        self.all: list[DeadLetter] = []

    def listen(self, node: Node) -> None:
        """Write down those of a node from now on."""
        node.events.listen(self.all.append, DeadLetter)

    async def expect(
        self,
        actor: str | None = None,
        handler: str | None = None,
        reason: str | None = None,
        *,
        within: float = 1.0,
    ) -> DeadLetter:
        """Wait for a dead letter, and take the first that fits off the list.

        Args:
            actor: The name of whom it was for; None for anybody.
            handler: The handler's name; None for any.
            reason: Such as "ActorStopped"; None for any.
            within: Seconds of real time.

        Raises:
            AssertionError: None came in time; the text shows those that did.
        """
        wanted = {"actor": actor, "handler": handler, "reason": reason}
        facts = {name: value for name, value in wanted.items() if value is not None}

        def fitting() -> list[DeadLetter]:
            return [x for x in self.all if all(getattr(x, n) == v for n, v in facts.items())]

        def complaint() -> str:
            what = ", ".join(f"{name} {value!r}" for name, value in facts.items()) or "any"
            return f"no dead letter ({what}) within {within:g} s; there are {self.all}"

        first = (await until_or(fitting, within, complaint))[0]
        self.all.remove(first)
        return first
