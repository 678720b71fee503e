"""What came on one socket, on its way to the method that takes it.

One message of a socket stands in its actor's mailbox at a time, the others wait here.
So the sockets of an actor are served in turn with each other and with what others tell it, and a
flood on one holds up the rest by one message.
While nothing else is in the mailbox, a plain method is given one after the other from here: each
would be the next in any case, and the way through the mailbox costs more than the method.
What waits here is bounded: past the window the socket is not read, and the sender feels it.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from actormq.arguments import Arguments
from actormq.context import ALONE, Answer, Context
from actormq.errors import ArgumentMismatch, SetupError
from actormq.marks import marks_of
from actormq.patterns.burst import Burst
from actormq.patterns.tally import Tally
from actormq.port import Port
from actormq.settings import SOCKET_WINDOW

Item = tuple[Sequence[Any], Answer | None]

FEW = 4  # messages that cost more to be handled in a row than each through the mailbox

REFUSED = object()
"""The result of a message that did not fit its method."""


class Intake:
    """Feeds one method of one actor; as a `Call` it is what the actor's turn runs.

    Args:
        context: The actor's.
        label: The socket's name, for errors.
        receiver: The method's name; None if its author has marked none.
        tally: Counts.
        begun: Called as a message is begun that came alone, with None, and as the first of a
            burst is begun, with that.
        are_texts: Whether what comes are texts, to be read as the method's annotations say.
        is_answered: Whether each message has an answer, which is what the method returns.

    Attributes:
        arguments: The check of what comes against the method's annotations.
        stands: Whether a message stands in the mailbox, not begun.

    Raises:
        SetupError: There is no method.
    """

    def __init__(
        self,
        context: Context,
        label: str,
        receiver: str | None,
        tally: Tally,
        begun: Callable[[Burst | None], None] | None = None,
        *,
        are_texts: bool = False,
        is_answered: bool = False,
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
        self.is_flow = not self.is_async and not is_answered
        self.concurrent = marks.concurrent
        self.retry = 0  # the next one stands in the mailbox by then
        self.raises = marks.raises
        self.function = self._run_async if self.is_async else self._run
        self.method = method
        self._context = context
        self._label = label
        self._tally = tally
        self._begun = begun
        self.arguments = Arguments(owner, method, are_texts=are_texts)
        self._items: deque[Item | Burst] = deque()
        self._behind = 0  # messages of these
        self._burst: Burst | None = None  # the one that messages are taken from
        self.stands = False
        self._is_queued = False  # whether one stands in the mailbox, or is being handled from there
        self._port: Port | None = None
        self._is_paused = False

    def feed_from(self, port: Port) -> None:
        """The socket to be paused while too much waits."""
        self._port = port

    @property
    def waiting(self) -> int:
        """Messages that wait for the actor, a count."""
        return self._behind + (self._burst.waiting if self._burst is not None else 0)

    # -- in -----------------------------------------------------------------------------------

    def put(self, values: Sequence[Any], answer: Answer | None = None) -> None:
        """Take in one message."""
        self._items.append((values, answer))
        self._behind += 1
        if not self._is_queued:
            self._is_queued = True
            self._context.receive(self, values, answer)
            self.stands = True
        elif self._behind > SOCKET_WINDOW:
            self._pause()

    def put_all(self, burst: Burst) -> None:
        """Take in the messages of one frame."""
        self._items.append(burst)
        self._behind += burst.waiting
        if not self._is_queued:
            self.rest()
        if self.waiting > SOCKET_WINDOW:
            self._pause()

    def _pause(self) -> None:
        if self._port is not None:
            self._port.pause()
            self._is_paused = True

    def rest(self) -> None:
        """Let the next one stand in the mailbox, behind what others have put there."""
        burst = self._burst
        waiting = self._behind if burst is None else self._behind + burst.waiting
        self._is_queued = waiting > 0
        if self.is_flow:
            self.is_plain = waiting <= FEW
        if waiting:
            self._context.receive(self, *self._head())
            self.stands = True
        if self._is_paused and waiting <= SOCKET_WINDOW // 4 and self._port is not None:
            self._port.resume()
            self._is_paused = False

    def _head(self) -> Item:
        """The next message, which is not begun."""
        burst = self._burst
        if burst is None or not burst.waiting:
            item = self._items[0]
            if not isinstance(item, Burst):
                return item
            burst = item
        return burst.peek(), None

    # -- out ----------------------------------------------------------------------------------

    def rows(self) -> Iterator[tuple[Any, Any]]:
        """What comes next, in rows of messages that share their first argument.

        They end behind one that does not fit, for to say so takes longer than most methods do:
        the turn shall look at the clock.

        Yields:
            The first argument, and an iterator of the second ones: to take one begins a message.
            Or `ALONE` and all arguments of a message, which is begun.
        """
        self.stands = False
        while self.waiting:
            burst = self._next_burst()
            if burst is not None and burst.is_fit:
                yield burst.first, burst.left
            else:
                args = self._next()
                if args is None:
                    return
                yield ALONE, args

    def _run(self, actor: Any, *_: Any) -> Any:
        """Handle the one that stands in the mailbox."""
        self.stands = False
        try:
            args = self._next() if self._is_queued else None  # the socket may have been closed
            return REFUSED if args is None else self.method(actor, *args)
        finally:
            self.rest()

    def _run_async(self, actor: Any, *_: Any) -> Any:
        """Begin the one that stands in the mailbox; the next may be begun while this one awaits."""
        self.stands = False
        args = self._next() if self._is_queued else None
        self.rest()
        return _refused() if args is None else self.method(actor, *args)

    def _next(self) -> Sequence[Any] | None:
        """Begin the next message; None if it does not fit the method, and is dropped."""
        burst = self._next_burst()
        if burst is not None:
            return burst.take() if burst.is_fit else self._checked(burst.take())
        item = self._items.popleft()
        assert not isinstance(item, Burst)
        self._behind -= 1
        if self._begun is not None:
            self._begun(None)
        return self._checked(item[0])

    def _next_burst(self) -> Burst | None:
        """The burst that the next message is from, made to fit; None if that came alone."""
        burst = self._burst
        if burst is not None and burst.waiting:
            return burst
        item = self._items[0]
        if not isinstance(item, Burst):
            return None
        del self._items[0]
        return self._turn_to(item)

    def _turn_to(self, burst: Burst) -> Burst:
        self._burst = burst
        self._behind -= burst.waiting
        columns = self.arguments.converted(burst.columns, burst.are_fit)
        if columns is not None:
            burst.fit(columns)
        if self._begun is not None:
            self._begun(burst)
        return burst

    def _checked(self, values: Sequence[Any]) -> Sequence[Any] | None:
        """Values as the method wants them; None for what does not fit."""
        try:
            return self.arguments.checked(self._label, values, {})
        except ArgumentMismatch as error:
            self._tally.drop(self.name, "ArgumentMismatch", str(error))
            return None

    def close(self) -> None:
        """Count what waits and will not be handled."""
        left = self.waiting - self._is_queued
        if left:
            text = f"{left} messages were not handled when the actor stopped"
            self._tally.drop(self.name, "ActorStopped", text, left)
        if self._is_queued:
            # Its dead letter is the cell's to tell, and its answer the cell's to give.
            self._tally.dropped["ActorStopped"] += self._head()[1] is None
            self._is_queued = self.stands = False
        self._items.clear()
        self._behind, self._burst = 0, None


async def _refused() -> object:
    return REFUSED
