"""One tree of failures, each carrying its facts.

The branches answer the catcher's question: *did it run, and may I send again?*

    ActormqError
        SetupError (ValueError)          asked for something impossible: mend the call
            NameTaken   PortInUse   IncompatibleSockets
        LifecycleError (RuntimeError)    right call, wrong moment
            NodeNotRunning   StartFailed   FarmClosed
        DeliveryError                    no handler saw it: sending again is safe
            ActorNotFound   ActorStopped   MailboxFull   LinkFull   NodeUnreachable
            MeshNotFound   HandlerNotFound   ArgumentMismatch   MessageTooLarge   NotEncodable
            SocketFull   PeerGone   NobodyThere   AskCircle
        OutcomeUnknown                   it left and no word came: it may have run
            AskTimeout (TimeoutError)   RequestTimeout (TimeoutError)   PeerLost   HandlerCancelled
            ProcessLost
        RemoteError                      it ran and raised: carries type, text, traceback
        TaskFailed                       likewise a task of a farm
            TaskTimeout (TimeoutError)   TaskLost
        ResultRefused                    a task of a farm ran, and its result cannot travel
        RestartLimitReached              a supervisor gave up
        ProtocolError
            LocalProtocolError           we would have broken the wire format
            RemoteProtocolError          a peer did
        SecurityError                    not let in
        StoreError                       the file of a durable batch: nothing was lost silently
            StoreInUse   StoreMismatch   StoreFull   StoreDamaged
        InternalError                    our bug: please report

An error is built from facts, plain values, and writes its own sentence.
That is why it can travel: a name from `TRAVELLING` and its `facts` rebuild it at the asker's side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ActormqError(Exception):
    """The root of all that actormq raises.

    Attributes:
        facts: What the error was built from, plain values that msgpack can carry.
    """

    def __init__(self, sentence: str, *facts: Any) -> None:
        super().__init__(sentence)
        self.facts: tuple[Any, ...] = facts or (sentence,)


class SetupError(ActormqError, ValueError):
    """Something impossible was asked for: mend the call, the file or the command."""


class NameTaken(SetupError):
    """An actor of that name lives on this node already."""

    def __init__(self, name: str, node: str) -> None:
        super().__init__(
            f"the name {name!r} is taken on node {node!r}: give the new actor another name, "
            "or stop the one that holds it",
            name,
            node,
        )


class PortInUse(SetupError):
    """An endpoint could not be bound because somebody else holds it."""

    def __init__(self, endpoint: str, what: str) -> None:
        super().__init__(
            f"{what}: {endpoint} is in use by another program: stop that one, or take another port",
            endpoint,
            what,
        )


class IncompatibleSockets(SetupError):
    """Two ends of a service whose socket types do not work together."""

    def __init__(
        self, one: str, one_name: str, other: str, other_name: str, partners: Sequence[str]
    ) -> None:
        *most, last = partners
        goes_with = f"{', '.join(most)} or {last}" if most else last
        verb = "feed" if one in ("PUB", "XPUB", "PUSH") else "talk to"
        super().__init__(
            f'{one} "{one_name}" cannot {verb} {other} "{other_name}"; {one} goes with {goes_with}',
            one,
            one_name,
            other,
            other_name,
            list(partners),
        )


class LifecycleError(ActormqError, RuntimeError):
    """The right call at the wrong moment."""


class NodeNotRunning(LifecycleError):
    """The node has not been started, or has stopped."""

    def __init__(self, node: str) -> None:
        super().__init__(
            f"node {node!r} is not running: use it inside `async with Node(...)` or `run(main)`",
            node,
        )


class StartFailed(LifecycleError):
    """An actor raised in its constructor or in `on_start`; it was taken away again."""

    def __init__(self, actor: str, stage: str, kind: str, text: str) -> None:
        super().__init__(
            f"actor {actor!r} did not start: {stage} raised {_described(kind, text)}",
            actor,
            stage,
            kind,
            text,
        )


class FarmClosed(LifecycleError):
    """A farm was used that has ended, or has not begun."""

    def __init__(self, farm: str) -> None:
        super().__init__(
            f"farm {farm!r} is not open: use it within `async with node.farm(...)`", farm
        )


class DeliveryError(ActormqError):
    """No handler saw the message: sending it again is safe.

    Attributes:
        undelivered: `(handler, args, kwargs)` where the sender still had them, else None.
    """

    undelivered: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None


class ActorNotFound(DeliveryError):
    """Nobody in the mesh holds that name."""

    def __init__(self, name: str, mesh: str, seconds: float = 0.0, why: str = "") -> None:
        waited = f" within {seconds:g} s" if seconds else ""
        why_so = f" ({why})" if why else ""
        super().__init__(
            f"no actor named {name!r} in mesh {mesh!r}{waited}{why_so}: "
            "check the name with `actormq ps`, or wait longer with timeout=",
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
        what = "arguments" if argument == "*args" else f"argument {argument!r}"
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


class OutcomeUnknown(ActormqError):
    """The message left and no word came back: it may have run."""


class AskTimeout(OutcomeUnknown, TimeoutError):
    """No reply came before the deadline."""

    def __init__(self, actor: str, handler: str, seconds: float) -> None:
        super().__init__(
            f"no reply from {actor}.{handler} within {seconds:.3g} s: "
            "it may still run; wait longer with ref.within(seconds)",
            actor,
            handler,
            seconds,
        )


class RequestTimeout(OutcomeUnknown, TimeoutError):
    """A request left through a `Requester`, and no reply came before the deadline."""

    def __init__(self, socket: str, seconds: float, tries: int) -> None:
        times = "once" if tries == 1 else f"{tries} times"
        super().__init__(
            f"{socket}: no reply within {seconds:.3g} s, asked {times}: it may have been handled; "
            "wait longer with timeout=, or try again with retries= what may run twice",
            socket,
            seconds,
            tries,
        )


class PeerLost(OutcomeUnknown):
    """The node or program that had the message was lost before it replied."""

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(f"{node!r} was lost before it replied: {reason}", node, reason)
        self.reason = reason


class HandlerCancelled(OutcomeUnknown):
    """The handler was cut off in the middle because its actor or node stopped."""

    def __init__(self, actor: str, handler: str) -> None:
        super().__init__(
            f"{actor}.{handler} was cut off in the middle: the actor stopped", actor, handler
        )


class ProcessLost(OutcomeUnknown):
    """The process that an actor runs in came to its end, and the actor's state with it.

    Attributes:
        how: What happened to it, such as "was killed by SIGSEGV".
        handler: What it was running, "" if nothing.
    """

    def __init__(self, actor: str, how: str, handler: str = "", advice: str = "") -> None:
        during = f" while it ran {handler}" if handler else ""
        advised = f": {advice}" if advice else ""
        super().__init__(
            f"the process of actor {actor!r} {how}{during}{advised}", actor, how, handler, advice
        )
        self.how, self.handler = how, handler


class RemoteError(ActormqError):
    """The handler ran and raised.

    Where asker and actor share a process, `__cause__` is the exception itself.

    Attributes:
        type: The exception's class, qualified by its module unless built in.
        text: What `str()` of the exception gave.
        traceback: The traceback as text, from the handler inward.
    """

    def __init__(self, actor: str, handler: str, kind: str, text: str, traceback: str = "") -> None:
        super().__init__(
            f"{actor}.{handler} raised {_described(kind, text)}",
            actor,
            handler,
            kind,
            text,
            traceback,
        )
        self.type, self.text, self.traceback = kind, text, traceback


class TaskFailed(ActormqError):
    """A task of a farm raised, and its exception cannot be made again here.

    Attributes:
        type: The exception's class, qualified by its module unless built in.
        text: What `str()` of the exception gave.
        traceback: The traceback as text, from the function inward.
    """

    def __init__(self, kind: str, text: str, traceback: str = "") -> None:
        super().__init__(f"a task raised {_described(kind, text)}", kind, text, traceback)
        self.type, self.text, self.traceback = kind, text, traceback


class ResultRefused(ActormqError):
    """A task of a farm has run, and its result cannot travel."""


class TaskTimeout(TaskFailed, TimeoutError):
    """A task of a farm took too long each time, and its process was ended each time."""

    def __init__(self, how: str) -> None:
        ActormqError.__init__(self, f"a task {how}", how)
        self.type, self.text, self.traceback = "", how, ""


class TaskLost(TaskFailed):
    """A task of a farm during which its workers died, one after the other."""

    def __init__(self, how: str) -> None:
        ActormqError.__init__(self, f"a task was lost each time: the last process {how}", how)
        self.type, self.text, self.traceback = "", how, ""


class RestartLimitReached(ActormqError):
    """A supervisor gave up: its children failed more often than it may restart them."""

    def __init__(
        self, supervisor: str, child: str, restarts: int, period: float, text: str
    ) -> None:
        super().__init__(
            f"supervisor {supervisor!r} gave up: {child!r} failed again, {text}, after {restarts} "
            f"restarts within {period:g} s; mend what fails, or raise max_restarts",
            supervisor,
            child,
            restarts,
            period,
            text,
        )


class ProtocolError(ActormqError):
    """Bytes that are not the protocol of `docs/wire.md`."""


class LocalProtocolError(ProtocolError):
    """We would have broken the wire format."""


class RemoteProtocolError(ProtocolError):
    """A peer broke the wire format."""


class SecurityError(ActormqError):
    """Not let in: another mesh, another protocol version, another user's loopback."""


class StoreError(ActormqError):
    """The file of a durable batch could not be used.

    Attributes:
        path: Of the file.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}", path, why)
        self.path = path


class StoreInUse(StoreError):
    """Another process has the file open; the number of that process may be unknown, 0."""

    def __init__(self, path: str, process: int = 0) -> None:
        by = f"process {process}" if process else "another process"
        super().__init__(path, f"{by} has this batch open: wait for it, or name another file")
        self.facts = (path, process)
        self.process = process


class StoreMismatch(StoreError):
    """The file holds another batch than the one that was meant."""

    def __init__(self, path: str, found: str, asked: str = "", accepted: int = 0) -> None:
        if asked:
            why = f"it holds a batch of {found!r}, not of {asked!r}: name another file"
        else:
            why = (
                f"it holds a batch of {found!r} already, with {accepted} tasks accepted: "
                "go on with it with --resume (resume=True), or name another file"
            )
        super().__init__(path, why)
        self.facts = (path, found, asked, accepted)


class StoreFull(StoreError):
    """The disk is full: the call did nothing, and what was accepted before is safe."""

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            "the disk is full: no further task is accepted, and nothing that was is lost; make "
            "room, and it goes on",
        )
        self.facts = (path,)


class StoreDamaged(StoreError):
    """The file is damaged beyond what could be salvaged."""

    def __init__(self, path: str, how: str) -> None:
        super().__init__(
            path,
            f"the file is damaged ({how}): take a copy of it that is sound, or name another file "
            "and start anew",
        )
        self.facts = (path, how)


class InternalError(ActormqError):
    """A bug of actormq: please report it with the sentence and the traceback."""


def one_line(text: str) -> str:
    """A text from elsewhere as one line that a terminal shows and does not obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in text)


def _described(kind: str, text: str) -> str:
    return f"{kind}: {text}" if text else kind


TRAVELLING: dict[str, type[ActormqError]] = {
    error.__name__: error
    for error in (
        ActorNotFound,
        ActorStopped,
        ArgumentMismatch,
        AskCircle,
        AskTimeout,
        HandlerCancelled,
        HandlerNotFound,
        MailboxFull,
        MessageTooLarge,
        NameTaken,
        NodeNotRunning,
        NodeUnreachable,
        NotEncodable,
        PeerLost,
        ProcessLost,
        RemoteError,
        StartFailed,
    )
}
"""The errors that may answer an ask from another node, by the name they have on the wire."""


def rebuilt(name: str, facts: Sequence[Any]) -> ActormqError:
    """Make the error again that a peer sent.

    Args:
        name: Its name in `TRAVELLING`; an unknown one becomes a `RemoteError` of that type.
        facts: Its facts, in the order of its constructor.

    Raises:
        RemoteProtocolError: The facts do not fit the error of that name.
    """
    kind = TRAVELLING.get(name)
    if kind is None:
        return RemoteError("?", "?", name, ", ".join(map(str, facts)))
    try:
        return kind(*facts)
    except (TypeError, ValueError) as error:
        raise RemoteProtocolError(f"error {name!r} with unfit facts: {error}") from error
