"""What an actor is given by the cell that runs it; neither imports the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from actormq.address import Address

if TYPE_CHECKING:
    from actormq.actor import Actor
    from actormq.ref import Ref
    from actormq.runtime import Runtime


ALONE = object()
"""In place of the first argument of a row: a message by itself."""


class Timer(Protocol):
    """A message that will be sent later."""

    def cancel(self) -> None:
        """Do not send it, if it has not been sent."""


class Call(Protocol):
    """What a message runs: a handler, or what takes in what came on a socket."""

    name: str
    function: Callable[..., Any]
    is_plain: bool
    is_async: bool
    concurrent: bool
    retry: int
    raises: tuple[type[Exception], ...]

    @property
    def is_flow(self) -> bool:
        """Whether it is a `Flow`; while it is not plain, its messages shall be handled in a row."""


class Flow(Call, Protocol):
    """What takes in what came on a socket: one message is in the mailbox, the others outside.

    Attributes:
        method: The method that takes them, which needs no look at its result.
    """

    method: Callable[..., Any]

    @property
    def waiting(self) -> int:
        """Messages that are not begun yet, the one in the mailbox included, a count."""

    def rows(self) -> Iterator[tuple[Any, Any]]:
        """What comes next, in rows of messages that share their first argument.

        They may end although messages wait.

        Yields:
            The first argument, and an iterator of the second ones, which can tell how many are
            left: to take one begins a message. Or `ALONE` and all arguments of a message, which is
            begun.
        """

    def rest(self) -> None:
        """Let the next message, if there is one, stand in the mailbox."""


class Answer(Protocol):
    """Where the result of a message goes.

    Attributes:
        deadline: When it must be there, on the node's clock; 0.0 if that is not known.
        is_asked: Whether somebody asked for it; else what goes wrong is for the log.
    """

    deadline: float
    is_asked: bool

    def is_open(self) -> bool:
        """Whether somebody still waits."""

    def resolve(self, value: Any) -> None:
        """The handler returned."""

    def reject(self, error: BaseException) -> None:
        """There will be no result, and why."""


class LiveSocket(Protocol):
    """A socket of an actor, open."""

    @property
    def stands(self) -> bool:
        """Whether a message of it stands in the actor's mailbox."""

    async def close(self) -> None:
        """Flush and close it."""


class Context(Protocol):
    """An actor's powers."""

    @property
    def address(self) -> Address:
        """Where the actor lives."""

    @property
    def actor(self) -> Actor:
        """The user's object."""

    @property
    def kind(self) -> type:
        """The actor's class."""

    @property
    def runtime(self) -> Runtime:
        """The parts of the node it runs on."""

    @property
    def ref(self) -> Ref[Any]:
        """A ref to the actor."""

    @property
    def sockets(self) -> dict[str, LiveSocket]:
        """Its open sockets by attribute."""

    async def spawn(
        self, kind: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Ref[Any]:
        """Start a child."""

    async def start_child(self, spec: Any) -> Ref[Any]:
        """Start a child of a supervisor."""

    async def stop_child(self, child: Ref[Any] | str) -> None:
        """Stop a child for good."""

    def watch(self, ref: Ref[Any]) -> None:
        """Be told of an actor's end."""

    def unwatch(self, ref: Ref[Any]) -> None:
        """Be told no more."""

    def after(
        self, seconds: float, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Timer:
        """Send itself a message later."""

    def receive(self, call: Call, args: Sequence[Any], answer: Answer | None, /) -> None:
        """Queue what came on one of its sockets for `call.function(actor, *args)`."""


class SocketSpec(Protocol):
    """A socket as a class attribute: opened when the actor starts."""

    def open(self, attribute: str, context: Context) -> LiveSocket:
        """Open it for one actor."""
