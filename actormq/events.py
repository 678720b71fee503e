"""What the runtime can report, and who may listen.

Any layer may `emit`; only `observe/` and tests interpret.
Events are imported downward and called upward, which keeps the layers free of circles.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

import msgspec

from actormq.errors import SetupError
from actormq.ledger import Ledger


class Event(msgspec.Struct, frozen=True):
    """The root of all events."""


class NodeStarted(Event, frozen=True):
    """A node listens; `endpoints` are where, and `id` is the node's own."""

    node: str
    mesh: str
    endpoints: tuple[str, ...]
    id: str = ""


class NodeStopped(Event, frozen=True):
    """A node has closed all that it had: the last event it reports.

    Attributes:
        node: Its name.
        mesh: Its mesh.
        id: Its id.
        ledger: What became of the messages for its actors.
        traffic: The envelopes of its links since it began, a count each: sent, dropped, waiting,
            received and unread.
    """

    node: str
    mesh: str
    id: str
    ledger: Ledger
    traffic: Mapping[str, int]


class Notice(Event, frozen=True):
    """Something that whoever runs the node should read once; `level` is one of logging's."""

    level: int
    text: str


class MemberChanged(Event, frozen=True):
    """A node's view of a peer changed; `state` is alive, suspect, dead or left.

    `incarnation` is which one of the peer is meant, and `accuser` the id of the node that suspects
    it or has declared it dead, if one has.
    """

    node: str
    name: str
    state: str
    reason: str
    incarnation: int = 0
    accuser: str = ""


class LinkLost(Event, frozen=True):
    """The connection to a peer has ended, and not by this node; it may come back at once.

    Attributes:
        node: The peer's id.
        name: Its name, for people.
    """

    node: str
    name: str


class NameElected(Event, frozen=True):
    """An actor holds an elected name from now on, as this node sees it.

    Attributes:
        name: The name.
        node: The id of the node that has the actor.
        node_name: That node's name, for people.
        is_own: Whether it is this node.
    """

    name: str
    node: str
    node_name: str
    is_own: bool


class NameStandby(Event, frozen=True):
    """An actor of this node stands by for an elected name from now on, and is told so.

    Attributes:
        name: The name.
        reason: Why it does not hold the name, in words.
        has_let_go: Whether it held the name until now.
    """

    name: str
    reason: str
    has_let_go: bool


class PeerRefused(Event, frozen=True):
    """A peer was not let in, or did not let us in; `reason` is for whoever runs the node."""

    who: str
    reason: str


class HandlerFailed(Event, frozen=True):
    """A handler raised and nobody had asked for a reply."""

    actor: str
    handler: str
    error: BaseException


class ActorFailed(Event, frozen=True):
    """A supervised actor failed; `consequence` says what becomes of it, in words."""

    actor: str
    handler: str
    error: BaseException
    consequence: str


class LoopHeld(Event, frozen=True):
    """Something holds the node's loop, or has held it: nothing else ran meanwhile.

    It is told twice, while it is still so and when it is over.

    Attributes:
        actor: Whose handler it is; "" if it is no actor's.
        handler: The handler, or else the function.
        seconds: For how long so far, or in all.
        stack: Where it was found, as text, from the handler inward.
        is_over: Whether the loop goes on again.
    """

    actor: str
    handler: str
    seconds: float
    stack: str
    is_over: bool


class DeadLetter(Event, frozen=True):
    """A message that reached no handler, or an answer that reached no asker.

    Attributes:
        actor: For whom it was: an actor, one of its sockets, or a node.
        handler: The handler that would have had it; "reply" for an answer.
        reason: One of few, for counting: the name of the error that its sender would have been
            given (`ActorStopped`, `MailboxFull`, `HandlerNotFound`, `ArgumentMismatch`, ...), or
            `asker gave up`: the deadline of its ask was over before its turn came;
            `retries exhausted`: its handler raised each of the times that `retry` allows;
            `late reply`: its ask was given up; `full`, `subscriber full`: a socket with
            full="drop" had no room; `peer gone`: a socket's peer had left; `not answered`,
            `unasked reply`, `no reply`, `closed`: see docs/patterns.md.
        detail: A sentence that says more, or "".
        count: Of how many messages it tells, where they were lost together.
        args: The handler's arguments, where the message was a tell or an ask, on the node that
            lost it; of what was lost in a socket, (). Nobody keeps them but a listener that does.
        kwargs: Likewise.
    """

    actor: str
    handler: str
    reason: str
    detail: str = ""
    count: int = 1
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}

    def __repr__(self) -> str:
        # Without the arguments: a log must not hold what a message did.
        told = "actor", "handler", "reason", "detail", "count"
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in told)
        return f"{type(self).__name__}({fields})"


E = TypeVar("E", bound=Event)

Listener = Callable[[Any], object]


class Events:
    """The hub of one node: a tally by kind, and listeners that hear each event at once.

    Attributes:
        dead_letter_count: Messages lost so far, by reason.
    """

    def __init__(self) -> None:
        self._listeners: dict[object, tuple[Listener, type[Event], bool]] = {}
        self.dead_letter_count: Counter[str] = Counter()

    @overload
    def listen(
        self, listener: Callable[[Event], object], *, any_thread: bool = ...
    ) -> Callable[[], None]: ...
    @overload
    def listen(
        self, listener: Callable[[E], object], kind: type[E], *, any_thread: bool = ...
    ) -> Callable[[], None]: ...
    def listen(
        self, listener: Listener, kind: type[Event] = Event, *, any_thread: bool = False
    ) -> Callable[[], None]:
        """Call `listener` with every event of a kind from now on; it must not block.

        Args:
            listener: What it raises is logged, and the others still hear the event.
            kind: A class of events such as `DeadLetter`; by default all.
            any_thread: Whether it may be called off the loop. Then it hears at once what is told
                while the loop is held (`LoopHeld`); the others hear of it afterwards, on the loop.

        Returns:
            What ends it; calling that twice is no error.

        Raises:
            SetupError: `kind` is no class of events, or the listener cannot be called.
        """
        if not (isinstance(kind, type) and issubclass(kind, Event) and callable(listener)):
            raise SetupError(
                f"listen({listener!r}, {kind!r}): it takes a function and a class of events, such "
                "as DeadLetter"
            )
        key = object()
        # A new dict each time: whoever is being told goes on with the old one.
        self._listeners = {**self._listeners, key: (listener, kind, any_thread)}

        def end() -> None:
            self._listeners = {k: v for k, v in self._listeners.items() if k is not key}

        return end

    def emit(self, event: Event) -> None:
        """Tell all listeners, on the loop."""
        if isinstance(event, DeadLetter):
            self.dead_letter_count[event.reason] += event.count
        for listener, kind, _ in self._listeners.values():
            if isinstance(event, kind):
                _tell(listener, event)

    def emit_from_thread(
        self, event: Event, call_from_thread: Callable[[Callable[[], None]], None]
    ) -> None:
        """Tell those at once who may be called from any thread, the others when the loop can.

        Args:
            event: What there is to tell; no dead letter, for they are counted on the loop.
            call_from_thread: Calls what it is given, on the loop.
        """
        later = []
        for listener, kind, any_thread in self._listeners.values():
            if isinstance(event, kind):
                if any_thread:
                    _tell(listener, event)
                else:
                    later.append(listener)
        if later:

            def tell() -> None:
                for listener in later:
                    _tell(listener, event)

            call_from_thread(tell)

    def notice(self, level: int, text: str, *values: Any) -> None:
        """Say something to whoever runs the node."""
        self.emit(Notice(level, text % values if values else text))


def _tell(listener: Listener, event: Event) -> None:
    try:
        listener(event)
    except Exception:  # a listener is not ours: a border
        logging.getLogger("actormq").exception("a listener failed on %s", event)
