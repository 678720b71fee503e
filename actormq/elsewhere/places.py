"""Makes the place of an actor that does not run on its node's loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actormq.elsewhere.process import ProcessPlace
from actormq.elsewhere.thread import ThreadPlace
from actormq.place import THREAD, Place, Tenant
from actormq.runtime import Runtime


def new_place(
    runtime: Runtime, tenant: Tenant, kind: type, args: Sequence[Any], kwargs: dict[str, Any]
) -> Place:
    """Make the place that a class asks for; nothing is started yet.

    Raises:
        SetupError: The class cannot run there.
        NotEncodable: A constructor argument cannot travel to a process.
    """
    make = ThreadPlace if kind.runs_in == THREAD else ProcessPlace  # type: ignore[attr-defined]  # of an Actor
    return make(runtime, tenant, kind, args, kwargs)
