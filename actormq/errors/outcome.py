"""The message left and no word came back: it may have run."""

from __future__ import annotations

from typing import ClassVar

from actormq.errors.root import ActormqError


class OutcomeUnknown(ActormqError):
    """The message left and no word came back: it may have run."""


class AskTimeout(OutcomeUnknown, TimeoutError):
    """No reply came before the deadline."""

    LONGER: ClassVar = "wait longer with ref.within(seconds)"
    """How its sentence ends: the way out of a program, which is none of the command line."""

    def __init__(self, actor: str, handler: str, seconds: float) -> None:
        super().__init__(
            f"no reply from {actor}.{handler} within {seconds:.3g} s: "
            f"it may still run; {self.LONGER}",
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
