"""The parts of a node that actors and their sockets are run with."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actormq.address import Address, ServiceEntry
from actormq.codec import Codec
from actormq.deadlines import Deadlines
from actormq.events import Events
from actormq.ledger import Books
from actormq.loop import Loop
from actormq.place import Places
from actormq.reply import Reply
from actormq.settings import Settings
from actormq.stepping import Stepper
from actormq.threads import Threads
from actormq.transport import Transport
from actormq.waits import Contexts

if TYPE_CHECKING:
    from actormq.cell import Cell
    from actormq.ref import Ref
    from actormq.registry import Registry
    from actormq.watchdog import Watched


class ServiceEnd(msgspec.Struct, frozen=True):
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

    def opposite(self, service: str, *, is_binder: bool) -> Sequence[ServiceEntry]:
        """The ends of a service that one which binds, or one which connects, would have."""

    def watch_service(
        self, service: str, changed: Callable[[Sequence[ServiceEnd]], None]
    ) -> Callable[[], None]:
        """Call `changed` now and whenever other ends come or go; the result ends it."""

    def vouch(self, node: str, token: int, stream: int, baseline: Mapping[str, int] | None) -> None:
        """Tell a subscriber on `node` that its subscription is known here."""

    def expect_vouch(self, token: int, vouched: Vouched | None) -> None:
        """Call `vouched` when a publisher vouches for a token of ours; None ends it."""


class Watching(Protocol):
    """Who is told of whose end, on this node and others."""

    def watch(self, watcher: Cell, ref: Ref[Any]) -> None:
        """Tell `watcher` of the end of an actor."""

    def unwatch(self, watcher: Cell, ref: Ref[Any]) -> None:
        """Tell it no more."""

    def forget(self, watcher: Cell) -> None:
        """It has ended itself and watches nobody any more."""


class ElectedNames(Protocol):
    """Which actors of this node hold the names for which only one of the mesh can."""

    def holds(self, cell: Cell) -> bool:
        """Whether an actor holds its name."""

    def role(self, cell: Cell) -> str:
        """What an actor is, in words; "" if it is no candidate, or that is not known yet."""

    def restarted(self, cell: Cell) -> None:
        """An actor has a new instance, which does not know yet."""


Vouched = Callable[[int, Mapping[str, int] | None], None]
"""Called with the stream's id, and where each topic stands if that could be said."""


class Runtime(msgspec.Struct):
    """What `Node` has put together, for cells and sockets to use.

    Attributes:
        books: What became of the messages, as far as no living actor knows.
        chance: Draws a number evenly from 0 (within) to 1 (without).
        mailboxes: Empty ones, to be used again.
        stopped: Says that an actor has ended; one for all that have when somebody stops them.
        unfinished: What did not even end when it was cut off: whether it has ended since, and a
            text that names it.
    """

    node: Any
    node_id: str
    settings: Settings
    loop: Loop
    transport: Transport
    codec: Codec
    events: Events
    deadlines: Deadlines
    stepper: Stepper
    threads: Threads
    registry: Registry
    services: Services
    watching: Watching
    elections: ElectedNames
    next_serial: Callable[[], int]
    places: Places
    watched: Watched
    stopped: Reply[None]
    chance: Callable[[], float] = random.random
    books: Books = msgspec.field(default_factory=Books)
    unfinished: list[tuple[Callable[[], bool], str]] = msgspec.field(default_factory=list)
    contexts: Contexts = msgspec.field(default_factory=Contexts)
    mailboxes: list[deque[Any]] = msgspec.field(default_factory=list)

    def leave_unfinished(self, has_ended: Callable[[], bool], text: str) -> None:
        """Note what did not end when it was cut off, for whoever waits for the node's end."""
        self.unfinished[:] = [one for one in self.unfinished if not one[0]()]
        self.unfinished.append((has_ended, text))

    def address(self, serial: int, label: str) -> Address:
        """The address of one of this node's actors."""
        return Address(self.node_id, serial, label)
