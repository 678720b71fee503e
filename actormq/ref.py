"""What others hold of an actor: a ref knows an address and a way to send, never the class."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from actormq.address import Address
from actormq.reply import Reply

A_co = TypeVar("A_co", covariant=True)  # what takes a Greeter takes a subclass of it
P = ParamSpec("P")
R = TypeVar("R")


class Route(Protocol):
    """A way to one actor: its cell on this node, or a link to another."""

    @property
    def address(self) -> Address:
        """Where the actor lives."""

    def tell(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Send a message without an answer."""

    def ask(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[Any]:
        """Send a message and return its reply to be."""

    def send(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[None]:
        """Send a message once there is room for it."""

    def offer(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Send a message, or drop it."""

    def stop(self, within: float | None) -> Reply[None]:
        """Ask the actor to stop."""


class Ref(Generic[A_co]):
    """A reference to an actor, on this node or another: copy it, send it, keep it.

    Two refs are equal if they mean the same actor. An actor that stopped stays stopped: its refs
    never reach a later actor of that name.

    Attributes:
        address: Where the actor lives.
        name: What people call the actor.
    """

    __slots__ = ("_route", "_within")

    def __init__(self, route: Route, within: float | None = None) -> None:
        self._route = route
        self._within = within

    @property
    def address(self) -> Address:
        """Where the actor lives."""
        return self._route.address

    @property
    def name(self) -> str:
        """The actor's name, or its class and number if it has none."""
        return self.address.label

    @overload
    def ask(
        self,
        handler: Callable[Concatenate[A_co, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Reply[R]: ...
    @overload
    def ask(
        self, handler: Callable[Concatenate[A_co, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Reply[R]: ...
    @overload
    def ask(self, handler: str, /, *args: Any, **kwargs: Any) -> Reply[Any]: ...
    def ask(self, handler: Any, /, *args: Any, **kwargs: Any) -> Reply[Any]:
        """Send a message and get an awaitable of the one reply.

        The message leaves at once; awaiting waits, or has an actor answer that is free to.

        Args:
            handler: A method marked `@handler`, or its name.
            args: Its arguments; at most `message_limit` bytes once packed, if the actor is far.
            kwargs: Likewise.

        Returns:
            An awaitable of what the handler returned. Awaiting it raises
            `DeliveryError` if no handler saw the message, and sending again is safe;
            `OutcomeUnknown` if it left and no reply came, `AskTimeout` after `within` seconds;
            `RemoteError` if the handler ran and raised.

        Source: `call` in OTP's gen_server.
        """
        return self._route.ask(handler, args, kwargs, self._within)

    @overload
    def tell(
        self, handler: Callable[Concatenate[A_co, P], Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> None: ...
    @overload
    def tell(self, handler: str, /, *args: Any, **kwargs: Any) -> None: ...
    def tell(self, handler: Any, /, *args: Any, **kwargs: Any) -> None:
        """Send a message at most once, without a reply; never blocks.

        Args:
            handler: A method marked `@handler`, or its name.
            args: Its arguments.
            kwargs: Likewise.

        Raises:
            DeliveryError: It is known already that no handler will see it: the mailbox or the
                link is full, the actor has stopped, its node is not in the mesh, there is no such
                handler, the message cannot be encoded or is too large. What goes wrong further
                away is a counted dead letter there.

        Source: `cast` in OTP's gen_server.
        """
        self._route.tell(handler, args, kwargs)

    @overload
    def send(
        self, handler: Callable[Concatenate[A_co, P], Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Reply[None]: ...
    @overload
    def send(self, handler: str, /, *args: Any, **kwargs: Any) -> Reply[None]: ...
    def send(self, handler: Any, /, *args: Any, **kwargs: Any) -> Reply[None]:
        """Tell, and wait until the message stands in the mailbox: `await ref.send(...)`.

        A sender that awaits it is slowed down to the pace of the receiver, near or far.

        Args:
            handler: A method marked `@handler`, or its name.
            args: Its arguments.
            kwargs: Likewise.

        Returns:
            An awaitable that ends once the message is queued; it says nothing of its handling.
            Awaiting it raises `DeliveryError` if it is not, `MailboxFull` or `LinkFull` where there
            was no room within the deadline of `within`; `OutcomeUnknown` if a far node did not say.
        """
        return self._route.send(handler, args, kwargs, self._within)

    @overload
    def offer(
        self, handler: Callable[Concatenate[A_co, P], Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> bool: ...
    @overload
    def offer(self, handler: str, /, *args: Any, **kwargs: Any) -> bool: ...
    def offer(self, handler: Any, /, *args: Any, **kwargs: Any) -> bool:
        """Tell if there is room, or else drop the message as a counted dead letter.

        Args:
            handler: A method marked `@handler`, or its name.
            args: Its arguments.
            kwargs: Likewise.

        Returns:
            False if it is known already that no handler will see it.

        Raises:
            HandlerNotFound: There is no such handler.
        """
        return self._route.offer(handler, args, kwargs)

    def within(self, seconds: float) -> Ref[A_co]:
        """The same actor with another deadline for what is asked of it.

        Inside a handler that was asked itself, the earlier of both deadlines holds.

        Args:
            seconds: Time for the reply, in seconds, above 0.
        """
        if not (isinstance(seconds, int | float) and seconds > 0):
            raise ValueError(f"within({seconds!r}): a deadline is a number of seconds above 0")
        return Ref(self._route, float(seconds))

    def stop(self) -> Reply[None]:
        """Ask the actor to stop behind the message that it is handling now.

        What is left in its mailbox is answered with `ActorStopped` or counted.

        Returns:
            An awaitable that ends when `on_stop` has run; one that has stopped already is no error.
        """
        return self._route.stop(self._within)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ref):
            return NotImplemented
        mine, theirs = self.address, other.address
        return (mine.node, mine.serial) == (theirs.node, theirs.serial)

    def __hash__(self) -> int:
        return hash((self.address.node, self.address.serial))

    def __repr__(self) -> str:
        return f"<Ref {self.name} #{self.address.serial} on {self.address.node}>"
