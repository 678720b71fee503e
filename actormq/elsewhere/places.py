"""The threads and processes of a node's actors."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from actormq.actor import Actor
from actormq.errors import SetupError
from actormq.place import THREAD, Place, Tenant
from actormq.supervisor import Supervisor


class OwnPlaces:
    """Makes the places of one node, and ends what is left of them."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[Place] = weakref.WeakSet()

    def new(
        self, tenant: Tenant, kind: type[Actor], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Place:
        """See `Places.new`."""
        if issubclass(kind, Supervisor):
            raise SetupError(
                f"{kind.__qualname__} is a supervisor and runs in a {kind.runs_in}: let it run on "
                "the loop; what it supervises may run elsewhere"
            )
        place = _maker(kind.runs_in)(tenant, kind, args, kwargs)
        self._all.add(place)
        return place

    async def close(self) -> None:
        """See `Places.close`."""
        await asyncio.gather(*(place.close(0.0) for place in self._all))


def _maker(where: str) -> Callable[..., Place]:
    # Imported when used: most nodes have no such actor, and a command line is in a hurry.
    if where == THREAD:
        from actormq.elsewhere.thread import ThreadPlace  # noqa: PLC0415

        return ThreadPlace
    from actormq.elsewhere.process import ProcessPlace  # noqa: PLC0415

    return ProcessPlace
