"""A simulated machine, and the node that runs on it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import math
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar, Unpack

import msgspec

from actormq.cluster.discovery import Discovery
from actormq.cluster.dns import Found, Names, NameUnknown
from actormq.cluster.member import Traffic
from actormq.errors import NodeNotRunning, PeerLost
from actormq.events import LoopHeld
from actormq.loop import Loop
from actormq.machine import Machine
from actormq.node import Node
from actormq.place import Place, Places
from actormq.ref import Ref
from actormq.reply import Reply
from actormq.rules.digest import Digest
from actormq.rules.records import Record
from actormq.rules.rings import Rings
from actormq.seeds import DnsName
from actormq.settings import NodeOptions, Settings
from actormq.testing.simulation.discovery import Multicast, SimulatedDiscovery
from actormq.testing.simulation.loop import LANE, Lane, VirtualLoop, ended
from actormq.testing.simulation.network import Network
from actormq.testing.simulation.transport import SimulatedTransport
from actormq.threads import Threads
from actormq.transport import Transport
from actormq.watchdog import Watched

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")


class _Here(Threads):
    """Stands where threads would: the virtual loop calls what it is given by itself."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call it at once."""
        future: concurrent.futures.Future[R] = concurrent.futures.Future()
        future.set_result(fn(*args, **kwargs))
        return future


class _OnLoop:
    """Lets actors live on the loop that would run elsewhere."""

    def new(self, *_actor: Any) -> Place | None:
        """See `Places.new`."""
        return None

    async def close(self) -> None:
        """Nothing is open."""


class _Addresses:
    """The names of a simulation, which are addresses."""

    def known(self, host: str) -> list[str]:
        """Itself."""
        return [host]

    async def addresses(self, host: str) -> list[str]:
        """Itself."""
        return [host]

    async def records(self, name: DnsName) -> Found:
        """There is no DNS.

        Raises:
            NameUnknown: Always.
        """
        raise NameUnknown(f"{name.name} cannot be asked for: a simulation has no DNS")

    def close(self) -> None:
        """Nothing is open."""


class SimulatedMachine(Machine):
    """A machine of a simulated network: it runs one node, hangs, crashes, and boots again.

    Args:
        name: Its name, which is its address.
        virtual: The loop of the simulation.
        network: That it is on.
        multicast: How discovery gets around.
        chance: Where its ids come from.
        find: Gives another machine by its name.

    Attributes:
        context: In which its callbacks run.
        node: The node that runs on it, None if there is none.
    """

    def __init__(
        self,
        name: str,
        virtual: VirtualLoop,
        network: Network,
        multicast: Multicast,
        chance: random.Random,
        find: Callable[[str], SimulatedMachine | None],
    ) -> None:
        self.name = name
        self.node: SimulatedNode | None = None
        self.context = network.context
        self._virtual = virtual
        self._network = network
        self._multicast = multicast
        self._chance = chance
        self._find = find
        self._lane: Lane | None = None
        self._past: list[Lane] = []
        self._remains: list[Any] = []
        self._outcomes: dict[asyncio.Future[Any], None] = {}
        self._transport: SimulatedTransport | None = None
        self._discovery: SimulatedDiscovery | None = None

    # -- what a node asks for -----------------------------------------------------------------

    def new_node_id(self) -> str:
        """Draw the id of a node."""
        return self._chance.randbytes(8).hex()

    def new_name(self) -> str:
        """The machine's."""
        return self.name

    def identity(self) -> str:
        """No two machines are near each other."""
        return f"simulated/{self.name}"

    def loop(self, settings: Settings) -> Loop:  # noqa: ARG002 nothing is gained by spinning here
        """The virtual loop; no turn takes any time."""
        return Loop(self._virtual.time)

    def transport(self, loop: Loop, settings: Settings) -> Transport:  # noqa: ARG002 as the real
        """Ports on the simulated network."""
        transport = SimulatedTransport(loop, self._network, self, self._chance, self._find)
        self._transport = transport
        return transport

    def addresses(self, settings: Settings) -> Sequence[str]:  # noqa: ARG002 as the real
        """Its name."""
        return (self.name,)

    def names(self) -> Names:
        """Nothing: names are addresses."""
        return _Addresses()

    def threads(self, node: str) -> Threads:
        """None: what blocks is called on the loop."""
        return _Here(node)

    def watch(
        self, node_id: str, loop: Loop, limit: float, report: Callable[[LoopHeld], None]
    ) -> Watched:
        """Nobody: no time passes while something holds the loop."""
        del limit
        return Watched(node_id, loop.thread, math.inf, report)

    def places(self) -> Places:
        """None but the loop: no handler takes any time, and none crashes."""
        return _OnLoop()

    def chance(self) -> float:
        """Draw a number of the simulation's own."""
        return self._chance.random()

    def discovery(self, settings: Settings) -> Discovery:  # noqa: ARG002 as the real one
        """Simulated multicast."""
        loop = Loop(self._virtual.time)
        discovery = SimulatedDiscovery(loop, self._multicast, self, self._chance)
        self._discovery = discovery
        return discovery

    # -- its life -----------------------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """Whether what is being called belongs to it."""
        return self._lane is not None and LANE.get() is self._lane

    @property
    def is_held(self) -> bool:
        """Whether it hangs."""
        return self._lane is not None and self._lane.held is not None

    def boot(self) -> None:
        """Begin anew, with nothing to do."""
        self._lane = Lane(self.name)
        context = contextvars.Context()
        context.run(LANE.set, self._lane)
        self._move(context)

    def _move(self, context: contextvars.Context) -> None:
        self.context = context
        self._network.moved(self)

    async def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run something as a part of what the machine does; it ends with the machine.

        Raises:
            NodeNotRunning: The machine has crashed meanwhile.
        """
        if self.is_current:
            return await coroutine
        outcome: asyncio.Future[R] = self._virtual.create_future()
        self._outcomes[outcome] = None
        task = self._virtual.create_task(_told(coroutine, outcome), context=self.context)
        try:
            return await outcome
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._outcomes.pop(outcome, None)

    def hold(self) -> None:
        """Let it hang."""
        if self._lane is not None:
            self._virtual.hold(self._lane)

    def resume(self) -> None:
        """Let it go on."""
        if self._lane is not None:
            self._virtual.resume(self._lane)

    def crash(self, kept: float) -> None:
        """End everything on it, now.

        Args:
            kept: The share of what was under way that arrives.
        """
        node, lane = self.node, self._lane
        if node is None or lane is None:
            return
        self.node = self._lane = None
        self._virtual.drop(lane)
        self._past.append(lane)
        # Kept to the end, or the collector would end them at times of its own.
        self._remains.append((node, list(lane.tasks)))
        if self._transport is not None:
            self._transport.vanish(kept)
        if self._discovery is not None:
            self._discovery.vanish()
        node.vanish()
        outcomes, self._outcomes = self._outcomes, {}
        for outcome in outcomes:
            if not outcome.done():
                outcome.set_exception(NodeNotRunning(self.name))
        self._move(self._network.context)

    def stopped(self) -> None:
        """Its node has stopped in order; what is left of the process ends with it."""
        self.crash(1.0)

    def bury(self) -> None:
        """End what is left of all that ran here; the simulation is over."""
        lanes = [*self._past, *([self._lane] if self._lane is not None else [])]
        for lane in lanes:
            self._virtual.drop(lane)
            bury_tasks(lane)
        self._remains.clear()


class SimulatedNode(Node):
    """A node on a simulated machine; what it is asked to do from outside it does as its own."""

    def __init__(self, machine: SimulatedMachine, /, **options: Unpack[NodeOptions]) -> None:
        super().__init__(machine, **options)
        self._simulated = machine

    async def start(self) -> None:
        """Start; see `Node.start`."""
        await self._simulated.run(super().start())

    async def stop(self) -> None:
        """Stop; see `Node.stop`."""
        await self._simulated.run(super().stop())

    async def drain(self) -> None:
        """Drain; see `Node.drain`."""
        await self._simulated.run(super().drain())

    async def spawn(
        self, actor: Callable[P, A], name: str | None = None, /, *args: P.args, **kwargs: P.kwargs
    ) -> Ref[A]:
        """Start an actor; see `Node.spawn`."""
        return await self._simulated.run(super().spawn(actor, name, *args, **kwargs))

    def traffic(self) -> Traffic:
        """Count the envelopes of its links."""
        return self._mesh.traffic() if self._mesh is not None else Traffic()

    def say_age(self, seniority: int) -> Record:
        """Take a place in the order of age; give what is to be said of it."""
        mesh = self.mesh_view
        mesh.facts = msgspec.structs.replace(mesh.facts, seniority=seniority)
        return mesh.membership.own_record()

    def acquaint(self, records: Iterable[Record], rings: Rings, digest: Digest) -> None:
        """Know other nodes from now on; see `Membership.acquaint`."""
        mesh = self.mesh_view
        mesh.gossip.digest = digest.copy()
        mesh.membership.acquaint(records, rings, mesh.now())

    def knows(self, node: str) -> bool:
        """Whether it holds another node for a member, or knows a name of it."""
        mesh = self._mesh
        return mesh is not None and (mesh.is_member(node) or node in mesh.gossip.owners())

    def strangers(self) -> set[str]:
        """Those of whom it knows names although they are no members."""
        mesh = self._mesh
        if mesh is None:
            return set()
        return {node for node in mesh.gossip.owners() if not mesh.is_member(node)} - {self.id}

    def held(self) -> set[str]:
        """The elected names that actors of its own hold."""
        return self._elections.held() if self._elections is not None else set()

    @property
    def incarnation(self) -> int:
        """As which one it takes part."""
        return self._mesh.facts.incarnation if self._mesh is not None else 0

    def vanish(self) -> None:
        """Its machine has crashed: whoever waits outside for an answer of it gets none."""
        runtime, self._runtime = self._runtime, None
        for item in runtime.deadlines.waiting() if runtime is not None else ():
            if isinstance(item, Reply):
                item.reject(PeerLost(self.name, "its machine crashed"))


async def _told(coroutine: Coroutine[Any, Any, R], outcome: asyncio.Future[R]) -> None:
    """Run a coroutine, and say elsewhere how it ended."""
    try:
        result = await coroutine
    except BaseException as error:  # whoever waits is told
        if not outcome.done():
            if isinstance(error, asyncio.CancelledError):
                outcome.cancel()
            else:
                outcome.set_exception(error)
        if not isinstance(error, Exception):
            raise
    else:
        if not outcome.done():
            outcome.set_result(result)


def bury_tasks(lane: Lane) -> None:
    """End the tasks of a lane that will not run again."""
    for task in list(lane.tasks):
        if not task.done():
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 we know
            ended(task.get_coro())
