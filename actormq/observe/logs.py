"""Says in the log what whoever runs a node should know, in one line each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from actormq.errors import one_line
from actormq.events import (
    ActorFailed,
    DeadLetter,
    Event,
    Events,
    HandlerFailed,
    LoopHeld,
    MemberChanged,
    NameElected,
    NameStandby,
    NodeStarted,
    Notice,
    PeerRefused,
)
from actormq.observe.limit import Later, Limit

DEAD_LETTERS_A_SECOND = 10  # lines; a flood of losses must not become a flood of lines
FAILURES_A_SECOND = 10  # tracebacks; 1 000 actors that crash at once would write 30 000 lines

STACK_AGAIN = 60.0  # s until the stack of the same handler is written once more
STACKS_KNOWN = 1_000  # handlers of which that is remembered

REASONS = {
    "ActorStopped": "the actor has stopped",
    "MailboxFull": "its mailbox is full, see mailbox_limit",
    "asker gave up": "nobody waits for its answer any more, so it was not run",
    "late reply": "the reply came after its asker had given up",
    "peer gone": "the peer it was for has left",
    "full": "there is no room in the socket",
}
"""What is said of a dead letter that brings no sentence of its own."""

log = logging.getLogger("actormq")
letters = log.getChild("letters")
"""Dead letters, for whoever wants to hear of all else, and not of these."""
peers = log.getChild("peers")
"""Nodes that belong elsewhere, likewise."""


def log_events(  # noqa: C901 one case for each kind
    events: Events, node: str, later: Later, clock: Callable[[], float] = time.monotonic
) -> Callable[[], None]:
    """Write a node's events to the logger `actormq` from now on.

    Args:
        events: Those of the node.
        node: Its name, for the lines.
        later: Calls a function after so many seconds, as the node's loop does.
        clock: The time by which it does so, in seconds.

    Returns:
        What ends it, and says what has been left out until then.
    """
    letter_limit = Limit(
        DEAD_LETTERS_A_SECOND,
        lambda count: letters.warning(
            "%s: and %d more dead letters within a second: `actormq ps` counts them", node, count
        ),
        later,
        clock,
    )
    failures = Limit(
        FAILURES_A_SECOND,
        lambda count: log.error("%s: and %d more handlers raised within a second", node, count),
        later,
        clock,
    )

    stacks: dict[str, float] = {}

    def write(event: Event) -> None:
        match event:
            case NodeStarted():
                log.info("%s: started in mesh %s at %s", node, event.mesh, _tcp(event.endpoints))
            case MemberChanged():
                reason = one_line(event.reason)
                log.info("%s: %s is %s: %s", node, one_line(event.name), event.state, reason)
            case NameElected() | NameStandby():
                log.info("%s: %s", node, one_line(_role(event)))
            case PeerRefused():
                peers.warning("%s: %s: %s", node, one_line(event.who), one_line(event.reason))
            case Notice():
                log.log(event.level, "%s: %s", node, one_line(event.text))
            case LoopHeld():
                _log_hold(node, event, stacks)
            case HandlerFailed() if failures.allows():
                error = event.error
                log.error("%s: %s.%s raised", node, event.actor, event.handler, exc_info=error)
            case ActorFailed() if failures.allows():
                error = event.error
                where = f"{event.actor}.{event.handler}" if event.handler else event.actor
                log.error("%s: %s failed: %s", node, where, event.consequence, exc_info=error)
            case DeadLetter() if letter_limit.allows(event.count):
                _log_dead_letter(node, event)
            case _:
                pass

    ends = events.listen(write, any_thread=True)  # logging takes care of threads itself

    def end() -> None:
        ends()
        letter_limit.flush()
        failures.flush()

    return end


def _role(event: NameElected | NameStandby) -> str:
    if isinstance(event, NameElected):
        return f"{event.name} is elected {'here' if event.is_own else f'on {event.node_name}'}"
    how = "has let go and stands by" if event.has_let_go else "stands by"
    return f"{event.name} {how}: {event.reason}"


def _log_hold(node: str, event: LoopHeld, stacks: dict[str, float]) -> None:
    whose = _whose(event)
    now = time.monotonic()
    if event.is_over:
        log.warning("%s: %s held the loop for %.3g s", node, whose, event.seconds)
    elif now - stacks.get(whose, -STACK_AGAIN) < STACK_AGAIN:
        log.warning("%s: %s has held the loop for %.3g s, again", node, whose, event.seconds)
    else:
        if len(stacks) >= STACKS_KNOWN:
            stacks.clear()
        stacks[whose] = now
        text = "%s: %s has held the loop for %.3g s, nothing else runs meanwhile:\n%s"
        log.warning(text, node, whose, event.seconds, event.stack)


def _log_dead_letter(node: str, event: DeadLetter) -> None:
    why = event.detail or REASONS.get(event.reason, event.reason)
    what = "message" if event.count == 1 else f"{event.count} messages"
    if event.handler == "reply":
        what = what.replace("message", "reply").replace("replys", "replies")
    whom = event.actor if event.handler == "reply" else f"{event.actor}.{event.handler}"
    why = why.removeprefix(f"{whom}: ")  # an error that may stand alone says it as well
    text = "%s: a dead letter, %s for %s: %s"
    letters.warning(text, node, what, one_line(whom), one_line(why))


def _whose(event: LoopHeld) -> str:
    return one_line(f"{event.actor}.{event.handler}" if event.actor else event.handler)


def _tcp(endpoints: tuple[str, ...]) -> str:
    return ", ".join(e for e in endpoints if e.startswith("tcp://")) or "no address: a guest"
