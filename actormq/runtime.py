"""The parts of a node that actors and their sockets are run with."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from actormq.address import Address, ServiceEntry
from actormq.codec import Codec
from actormq.deadlines import Deadlines
from actormq.events import Events
from actormq.loop import Loop
from actormq.place import Places
from actormq.settings import Settings
from actormq.stepping import Stepper
from actormq.transport import Transport

if TYPE_CHECKING:
    from actormq.registry import Registry


@dataclass(frozen=True, slots=True)
class ServiceEnd:
    """One bound end of a service, with endpoints that can be dialled from here.

    Attributes:
        node: The id of the node that has it.
        entry: What that node announced.
        endpoint: Where to connect.
    """

    node: str
    entry: ServiceEntry
    endpoint: str


class Services(Protocol):
    """Who offers what: the mesh, as the patterns see it."""

    def announce(self, entry: ServiceEntry) -> None:
        """Tell the mesh of a bound socket."""

    def withdraw(self, serial: int) -> None:
        """Take it back."""

    def entries(self, service: str) -> Sequence[ServiceEntry]:
        """All ends of a service that are known; those that connect have no endpoints."""

    def watch_service(
        self, service: str, changed: Callable[[Sequence[ServiceEnd]], None]
    ) -> Callable[[], None]:
        """Call `changed` now and whenever other ends come or go; the result ends it."""

    def vouch(self, node: str, token: int, stream: int, baseline: Mapping[str, int] | None) -> None:
        """Tell a subscriber on `node` that its subscription is known here."""

    def expect_vouch(self, token: int, vouched: Vouched | None) -> None:
        """Call `vouched` when a publisher vouches for a token of ours; None ends it."""


Vouched = Callable[[int, Mapping[str, int] | None], None]
"""Called with the stream's id, and where each topic stands if that could be said."""


@dataclass(slots=True)
class Runtime:
    """What `Node` has put together, for cells and sockets to use."""

    node: Any
    node_id: str
    settings: Settings
    loop: Loop
    transport: Transport
    codec: Codec
    events: Events
    deadlines: Deadlines
    stepper: Stepper
    threads: concurrent.futures.Executor
    registry: Registry
    services: Services
    next_serial: Callable[[], int]
    places: Places

    def address(self, serial: int, label: str) -> Address:
        """The address of one of this node's actors."""
        return Address(self.node_id, serial, label)
