"""What came on one socket, on its way to the method that takes it.

One message of a socket stands in its actor's mailbox at a time, the others wait here.
So the sockets of an actor are served in turn with each other and with what others tell it, and a
flood on one holds up the rest by one message.
What waits here is bounded: past the window the socket is not read, and the sender feels it.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from actormq.actor import marks_of
from actormq.arguments import Arguments
from actormq.context import Answer, Context
from actormq.errors import ArgumentMismatch, SetupError
from actormq.patterns.tally import Tally
from actormq.port import Port
from actormq.settings import SOCKET_WINDOW

Item = tuple[Sequence[Any], Answer | None]

REFUSED = object()
"""The result of a message that did not fit its method."""


class Intake:
    """Feeds one method of one actor; as a `Call` it is what the actor's turn runs.

    Args:
        context: The actor's.
        label: The socket's name, for errors.
        receiver: The method's name; None if its author has marked none.
        tally: Counts.
        begun: Called with the first value, which is not the method's, as a message is begun;
            None if all values are the method's.
        are_texts: Whether what comes are texts, to be read as the method's annotations say.

    Attributes:
        arguments: The check of what comes against the method's annotations.

    Raises:
        SetupError: There is no method.
    """

    def __init__(
        self,
        context: Context,
        label: str,
        receiver: str | None,
        tally: Tally,
        begun: Callable[[Any], None] | None = None,
        *,
        are_texts: bool = False,
    ) -> None:
        owner = context.kind
        if receiver is None:
            raise SetupError(
                f"{label} has nobody to receive: mark a method of {owner.__name__} with "
                f"@{label.rpartition('.')[2]}.received"
            )
        method = getattr(owner, receiver, None)
        if not inspect.isfunction(method):
            raise SetupError(
                f"{label}: {owner.__name__} has no method {receiver!r}, which is marked with "
                f"@{label.rpartition('.')[2]}.received"
            )
        marks = marks_of(method)
        if marks.blocking:
            raise SetupError(
                f"{owner.__name__}.{receiver} is marked blocking, and takes what comes on {label}: "
                "make it `async def`, and `await asyncio.to_thread(...)` what blocks"
            )
        self.name = receiver
        self.is_async = inspect.iscoroutinefunction(method)
        self.is_plain = not self.is_async
        self.concurrent = marks.concurrent
        self.retry = 0  # the next one stands in the mailbox by then
        self.raises = marks.raises
        self.function = self._run
        self._context = context
        self._label = label
        self._tally = tally
        self._begun = begun
        self._method = method
        self.arguments = Arguments(owner, method, are_texts=are_texts)
        self._waiting: deque[Item] = deque()
        self._queued: Item | None = None  # the one that stands in the mailbox
        self._port: Port | None = None

    def feed_from(self, port: Port) -> None:
        """The socket to be paused while too much waits."""
        self._port = port

    @property
    def waiting(self) -> int:
        """Messages that wait for the actor, a count."""
        return len(self._waiting) + (self._queued is not None)

    def put(self, values: Sequence[Any], answer: Answer | None = None) -> None:
        """Take in one message."""
        if self._queued is None:
            self._queued = (values, answer)
            self._context.receive(self, values, answer)
            return
        self._waiting.append((values, answer))
        if len(self._waiting) >= SOCKET_WINDOW and self._port is not None:
            self._port.pause()

    def _run(self, actor: Any, *values: Any) -> Any:
        self._next()
        if self._begun is not None:
            self._begun(values[0])
            values = values[1:]
        try:
            checked = self.arguments.checked(self._label, values, {})
        except ArgumentMismatch as error:
            self._tally.drop(self.name, "ArgumentMismatch", str(error))
            return _refused() if self.is_async else REFUSED
        return self._method(actor, *checked)

    def _next(self) -> None:
        """Let the next one stand in the mailbox, behind what others have put there."""
        if not self._waiting:
            self._queued = None
            return
        self._queued = self._waiting.popleft()
        self._context.receive(self, *self._queued)
        if len(self._waiting) <= SOCKET_WINDOW // 4 and self._port is not None:
            self._port.resume()

    def close(self) -> None:
        """Count what waits and will not be handled."""
        if self._waiting:
            text = f"{len(self._waiting)} messages were not handled when the actor stopped"
            self._tally.drop(self.name, "ActorStopped", text, len(self._waiting))
            self._waiting.clear()
        if self._queued is not None:
            # Its dead letter is the cell's to tell, and its answer the cell's to give.
            self._tally.dropped["ActorStopped"] += self._queued[1] is None
            self._queued = None


async def _refused() -> object:
    return REFUSED
