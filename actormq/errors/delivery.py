"""No handler saw the message: sending it again is safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from actormq.errors.root import ActormqError


class DeliveryError(ActormqError):
    """No handler saw the message: sending it again is safe.

    Attributes:
        undelivered: `(handler, args, kwargs)` where the sender still had them, else None.
    """

    undelivered: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None


class ActorNotFound(DeliveryError):
    """Nobody in the mesh holds that name."""

    LONGER: ClassVar = "or wait longer with timeout="
    """How its sentence ends: the way out of a program, which is none of the command line."""

    def __init__(self, name: str, mesh: str, seconds: float = 0.0, why: str = "") -> None:
        waited = f" within {seconds:g} s" if seconds else ""
        why_so = f" ({why})" if why else ""
        super().__init__(
            f"no actor named {name!r} in mesh {mesh!r}{waited}{why_so}: "
            f"check the name with `actormq ps`, {self.LONGER}",
            name,
            mesh,
            seconds,
            why,
        )


class ActorStopped(DeliveryError):
    """The actor had stopped before it came to the message."""

    def __init__(self, actor: str) -> None:
        super().__init__(f"actor {actor!r} has stopped: find or spawn it again", actor)


class MailboxFull(DeliveryError):
    """The receiver's mailbox was at its limit."""

    def __init__(self, actor: str, limit: int) -> None:
        super().__init__(
            f"the mailbox of actor {actor!r} holds its limit of {limit} messages: "
            "send more slowly, or raise mailbox_limit",
            actor,
            limit,
        )
        self.limit = limit


class LinkFull(DeliveryError):
    """More bytes wait for a peer than its link may hold."""

    def __init__(self, node: str, limit: int) -> None:
        super().__init__(
            f"{limit} bytes wait for node {node!r}, the limit of its link: "
            "send more slowly, or raise link_limit",
            node,
            limit,
        )


class NodeUnreachable(DeliveryError):
    """The message's node is not in the mesh, so nothing was sent."""

    def __init__(self, node: str) -> None:
        super().__init__(f"node {node!r} is not in the mesh (any more): find the actor again", node)


class MeshNotFound(DeliveryError):
    """A guest found no mesh to talk to."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, sentence)


class HandlerNotFound(DeliveryError):
    """The actor has no handler of that name."""

    def __init__(self, actor: str, handler: str, unmarked: bool, known: Sequence[str]) -> None:
        if unmarked:
            why = f"{handler!r} of actor {actor!r} is not a handler: mark the method with @handler"
        else:
            names = ", ".join(sorted(known)) or "none"
            why = f"actor {actor!r} has no handler {handler!r}: it has {names}"
        super().__init__(why, actor, handler, unmarked, list(known))


class ArgumentMismatch(DeliveryError):
    """An argument from a wire does not fit the handler's annotation."""

    def __init__(self, actor: str, handler: str, argument: str, expected: str, got: str) -> None:
        # One too few or too many: it is the whole list that should be another.
        is_list = argument == "*args" or str(expected).startswith("(")
        what = "arguments" if is_list else f"argument {argument!r}"
        super().__init__(
            f"{actor}.{handler}: {what} should be {expected}, got {got}",
            actor,
            handler,
            argument,
            expected,
            got,
        )
        self.argument, self.expected, self.got = argument, expected, got


class MessageTooLarge(DeliveryError):
    """A message is over the limit of the node that sends it.

    Args:
        to: Whom it is for.
        size: Bytes that it has.
        limit: Bytes that it may have.
        advice: What to do, where that is another thing than with most messages.
    """

    def __init__(self, to: str, size: int, limit: int, advice: str = "") -> None:
        usual = "send it in pieces, pass large data as bytes or arrays, or raise message_limit"
        super().__init__(
            f"a message to {to!r} has {size} bytes, over the limit of {limit}: {advice or usual}",
            *(to, size, limit, advice)[: 4 if advice else 3],  # as old nodes know it, if they can
        )


class NotEncodable(DeliveryError):
    """A message holds something that has no form on the wire."""

    def __init__(self, to: str, text: str) -> None:
        super().__init__(
            f"a message to {to!r} cannot be encoded: {text}; "
            "send plain values, dataclasses, msgspec.Structs or refs",
            to,
            text,
        )


class SocketFull(DeliveryError):
    """A socket is at its high-water mark, and its author said `full="raise"`."""

    def __init__(self, socket: str, waiting: str) -> None:
        super().__init__(
            f"{socket} is at its high-water mark: {waiting}; send more slowly, or choose "
            'full="wait" or full="drop"',
            socket,
            waiting,
        )


class PeerGone(DeliveryError):
    """A Router was told to send to a peer that is not connected (any more)."""

    def __init__(self, socket: str, peer: str) -> None:
        super().__init__(
            f"{socket} has no peer {peer}: it has left, or never was; send to peers that a "
            "message has come from",
            socket,
            peer,
        )


class NobodyThere(DeliveryError):
    """A request could not leave: nobody was there to take it."""

    def __init__(self, socket: str, where: str, seconds: float) -> None:
        super().__init__(
            f"{socket}: nobody answers at {where} within {seconds:.3g} s: start the other end, or "
            "check the endpoint",
            socket,
            where,
            seconds,
        )


class AskCircle(DeliveryError):
    """Actors await each other, and this ask would have been answered after itself.

    Attributes:
        circle: The handlers, each of which awaits the next: `a.f -> b.g -> a.h (behind a.f)`.
    """

    def __init__(self, circle: str) -> None:
        super().__init__(
            f"{circle}: they would await each other for ever; mark one of these handlers "
            "concurrent=True, or tell instead of asking",
            circle,
        )
        self.circle = circle
