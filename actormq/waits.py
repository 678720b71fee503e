"""Who waits for whom on this node: actors that await each other are told so at once.

A handler that awaits a reply notes that with the message it serves (`Served.awaits`), for as long
as it awaits; nothing else is kept, and handlers that do not await a reply pay nothing.
An awaited reply waits for the handler that works on it; while its message is still in a mailbox, it
waits for the handler that holds that actor's turn. So the nodes of the graph are messages, not
actors: a concurrent handler holds no turn, but who awaits its reply waits for what it awaits.

Asks of tasks that a handler has started count as its own, for they run in its context. Whether it
awaits those tasks cannot be known: a circle that needs such an ask is judged only when it has
lasted for `CHILD_GRACE`. Any other circle cannot open by itself before a deadline ends it.

Prior art: the wait-for graphs of databases; what differs is that the edge that closes a circle is
known as it is made, so no search runs in the background. Circles over several nodes are found by
`cluster/probes.py`, which follows the same notes.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Iterable
from typing import Any, Protocol

from actormq.context import Answer, Call
from actormq.deadlines import CURRENT, Served
from actormq.errors import AskCircle
from actormq.rules.circles import circle_through

CHILD_GRACE = 1.0  # s; a handler that left a task behind and goes on is mostly done by then
CONTEXTS_KEPT = 64  # handlers; each keeps the actor alive that ran it last


class Awaited(Protocol):
    """A reply, as far as waiting goes.

    Attributes:
        actor: Whom was asked, by name.
        handler: For what.
        target: The cell of the actor; None if it is on another node.
        is_done: Whether the answer is there.
    """

    actor: str
    handler: str
    target: Any
    is_done: bool

    def reject(self, error: BaseException) -> None:
        """There will be no answer."""

    def awaited_by(self, served: Served) -> None:
        """A handler awaits it from now on; called if it has no target."""


class Contexts:
    """The contexts that handlers run in, each with the message that it serves.

    Most messages are told in rows and do not suspend: those of one handler share what is set up,
    for a context of its own costs as much as half the handler's step.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Call, tuple[Any, contextvars.Context, Served]] = {}

    def of(
        self, cell: Any, call: Call, answer: Answer | None
    ) -> tuple[contextvars.Context, Served]:
        """Make the context for a message that may take a while."""
        if answer is not None and answer.deadline:
            served = Served(answer.deadline, cell, call, answer)
            context = contextvars.copy_context()
            context.run(CURRENT.set, served)
            return context, served
        kept = self._kept.get(call)
        if kept is None or kept[0] is not cell:
            if len(self._kept) >= CONTEXTS_KEPT:
                self._kept.clear()
            context, served = contextvars.copy_context(), Served(math.inf, cell, call)
            context.run(CURRENT.set, served)
            kept = self._kept[call] = (cell, context, served)
        return kept[1].copy(), kept[2]

    def suspended(self, served: Served) -> None:
        """Its handler has suspended: what it serves is no other message's from now on."""
        served.began = served.cell.runtime.loop.now()
        kept = self._kept.get(served.call)
        if kept is not None and kept[2] is served:
            del self._kept[served.call]


def enter(served: Served, reply: Awaited, *, is_own: bool = False) -> None:
    """A handler awaits a reply from now on; on the loop.

    If that closes a circle, the reply is rejected with `AskCircle`.

    Args:
        served: What the handler serves.
        reply: What it awaits.
        is_own: Whether the handler itself awaits, as in a thread; else the current task is asked.
    """
    cell = served.cell
    if cell is None:
        return
    if not is_own:
        task = asyncio.current_task()
        if cell.runtime.stepper.is_stepping(task):
            is_own = True
        else:
            owner = next((own for own, one in cell.serving() if one is served), None)
            if owner is None:
                return  # the handler has ended and left this task behind
            is_own = task is owner
    served.awaits = {**(served.awaits or {}), reply: (cell.runtime.loop.now(), is_own)}
    if reply.target is not None:
        _judge(served, reply, is_late=False)
    else:
        reply.awaited_by(served)


def leave(served: Served, reply: Awaited) -> None:
    """It awaits the reply no more."""
    if served.awaits and reply in served.awaits:
        served.awaits = {one: how for one, how in served.awaits.items() if one is not reply}


def awaited(served: Served, now: float) -> list[Any]:
    """The replies that a handler certainly awaits: itself, or in a task for `CHILD_GRACE`."""
    awaits = served.awaits or {}
    return [
        reply
        for reply, (since, is_own) in awaits.items()
        if not reply.is_done and (is_own or now - since >= CHILD_GRACE)
    ]


def longest(cell: Any) -> tuple[str, float, str]:
    """What an actor has been busy with for the longest time.

    Returns:
        The handler, seconds, and whose reply it awaits; the texts are "" if there is none.
    """
    now = cell.runtime.loop.now()
    served = min((one for _, one in cell.serving()), key=lambda one: one.began, default=None)
    if served is None:
        return "", 0.0, ""
    awaited = next(iter(served.awaits or ()), None)
    return served.call.name, now - served.began, awaited.actor if awaited is not None else ""


def _judge(served: Served, reply: Awaited, *, is_late: bool) -> None:
    if reply.is_done or reply not in (served.awaits or ()):
        return

    def edges(one: Served) -> Iterable[Served]:
        awaited = [reply] if one is served else list(one.awaits or ())
        for each in awaited:
            yield from _holders(each, served)

    circle = circle_through(edges, served)
    if circle is None:
        return
    hops = []
    for one, other in zip(circle, [*circle[1:], served], strict=True):
        awaits = [reply] if one is served else list(one.awaits or ())
        each = next(each for each in awaits if other in _holders(each, served))
        hops.append((one, each, other))
    if not (is_late or all((one.awaits or {})[each][1] for one, each, _ in hops)):
        served.cell.runtime.loop.call_later(CHILD_GRACE, _judge_late, served, reply)
        return
    # The ask to reject is one whose message has not run. There is one: of handlers that only work
    # on each other's asks, the first would have been asked by the last.
    last = next(number for number, hop in enumerate(hops) if hop[2].answer is not hop[1])
    hops[last][1].reject(AskCircle(_drawn([*hops[last + 1 :], *hops[: last + 1]])))


def _judge_late(served: Served, reply: Awaited) -> None:
    _judge(served, reply, is_late=True)


def _holders(reply: Awaited, start: Served) -> list[Served]:
    """What a reply waits for: the handler that works on it, or those its message waits behind.

    Args:
        reply: The reply.
        start: A handler that awaits one; it may be in its first step, and then no cell knows it.
    """
    cell = reply.target
    if reply.is_done or cell is None:
        return []
    there = [one for _, one in cell.serving()]
    if start.cell is cell and start not in there:
        there.append(start)
    at_it = [one for one in there if one.answer is reply]
    return at_it or [one for one in there if not one.call.concurrent]


def _drawn(hops: list[tuple[Served, Awaited, Served]]) -> str:
    """Draw the steps of a circle, of which the last is the ask that is rejected."""
    names = [name_of(hops[0][0])]
    for _, reply, other in hops:
        asked = f"{reply.actor}.{reply.handler}"
        names.append(asked if other.answer is reply else f"{asked} (behind {name_of(other)})")
    return " -> ".join(names)


def name_of(served: Served) -> str:
    """The actor and the handler, for people."""
    return f"{served.cell.address.label}.{served.call.name}"
