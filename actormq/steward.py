"""The node's own actor: answers for the node, under the serial that every node gives it."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from actormq.actor import Actor
from actormq.cell import Cell
from actormq.marks import handler
from actormq.report import ACTORS_SHOWN, BUSY_SHOWN, ActorReport, NodeReport
from actormq.waits import longest


class Steward(Actor):
    """Tells what the node runs, stops one of its actors, passes on what publishers vouch for.

    Args:
        vouched: Takes a publisher's word.
        until_drained: Drains the node; ends when it is about to stop.
    """

    def __init__(
        self,
        vouched: Callable[[int, int, dict[str, int] | None], None],
        until_drained: Callable[[], Coroutine[Any, Any, bool]],
    ) -> None:
        self._vouched = vouched
        self._until_drained = until_drained

    @handler
    def describe(self) -> NodeReport:
        """Tell what the node is and runs."""
        node, runtime = self.node, self._actormq_own.runtime
        cells = list(runtime.registry.cells())
        members = list(node.mesh_view.members.values())
        holdings = node.directory.of(runtime.node_id)
        return NodeReport(
            name=node.name,
            id=node.id,
            mesh=node.mesh,
            state="alive",
            address=node.address,
            sent=sum(member.outbox.sent_count for member in members),
            received=sum(member.received_count for member in members),
            dead_letters=dict(runtime.events.dead_letter_count),
            actors=[_reported(cell) for cell in cells[:ACTORS_SHOWN]],
            actor_count=len(cells),
            services=sorted({e.service for e in holdings.services.values() if e.endpoints}),
        )

    @handler
    def echo(self, payload: bytes) -> tuple[float, bytes]:
        """Send a payload back, behind what this machine's clock says, in seconds since 1970."""
        return time.time(), payload

    @handler(concurrent=True)
    async def stop_actor(self, serial: int) -> None:
        """Stop one of the node's actors; one that has stopped already is no error."""
        cell = self._actormq_own.runtime.registry.by_serial(serial)
        if cell is not None:
            await cell.stop(None)

    @handler(concurrent=True)
    async def drain(self) -> bool:
        """Drain the node; when it is about to stop, say whether all was handled by then."""
        return await self._until_drained()

    @handler
    def vouched(self, token: int, stream: int, baseline: dict[str, int] | None) -> None:
        """A publisher of another node knows of a subscription of ours."""
        self._vouched(token, stream, baseline)


def _reported(cell: Cell) -> ActorReport:
    name, busy, awaits = longest(cell)
    if busy < BUSY_SHOWN:
        name, busy, awaits = "", 0.0, ""
    hold = cell.runtime.watched.holds.get(cell.serial)
    return ActorReport(
        name=cell.address.label,
        class_=f"{cell.kind.__module__}:{cell.kind.__qualname__}",
        mailbox=cell.mailbox_count,
        received=cell.received_count,
        handler=name,
        busy=round(busy, 3),
        awaits=awaits,
        held=round(hold.seconds, 3) if hold is not None else 0.0,
        held_by=hold.handler if hold is not None else "",
        parent=cell.family.parent.address.label if cell.family is not None else "",
        restarts=cell.restart_count,
        is_down=cell.is_down,
        role=cell.runtime.elections.role(cell),
    )
