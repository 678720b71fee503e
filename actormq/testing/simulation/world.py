"""The world of a simulation: machines that a scenario starts, cuts off, crashes and heals."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Unpack

from actormq.cluster.member import Traffic
from actormq.errors import SetupError
from actormq.events import (
    ActorFailed,
    DeadLetter,
    Event,
    HandlerFailed,
    MemberChanged,
    NameElected,
    NameStandby,
    PeerRefused,
)
from actormq.node import Node
from actormq.rules.digest import Digest
from actormq.rules.rings import Rings
from actormq.settings import NodeOptions
from actormq.testing.simulation.discovery import Multicast
from actormq.testing.simulation.guard import Guard
from actormq.testing.simulation.loop import EPOCH, VirtualLoop
from actormq.testing.simulation.machine import SimulatedMachine, SimulatedNode
from actormq.testing.simulation.network import Conditions, Network
from actormq.testing.simulation.record import Record
from actormq.wording import kind_of

PORT = 7_000  # of every simulated node that is not given another one: `join=["n0"]` finds it
LOOK = 0.05  # s between looks at a condition

Boot = Callable[[Node], Awaitable[object]]
"""What the program on a machine does once its node has started, each time it starts."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The envelopes of all links of a world, each a count since it began.

    Attributes:
        sent: Handed to connections by outboxes.
        received: Taken from connections by members of those who sent them.
        dropped: Lost by reason: `broken` with its connection, `closed` at an end that had closed,
            `double` to the double of a connect, `unread` at a node whose member the sender was not.
        in_flight: Under way.
    """

    sent: int
    received: int
    dropped: dict[str, int]
    in_flight: int

    @property
    def is_balanced(self) -> bool:
        """Whether every envelope is accounted for, once."""
        return self.sent == self.received + sum(self.dropped.values()) + self.in_flight


class World:
    """What a scenario acts on. All times are virtual seconds.

    Args:
        seed: From which all chance comes.
        loop: The virtual loop.
        conditions: How the network is.
        record: Where what happens is written.

    Attributes:
        seed: From which all chance comes.
        random: Chance for the scenario.
        dead_letters: How many messages between actors reached no handler, by reason.
    """

    def __init__(
        self, seed: int, loop: VirtualLoop, conditions: Conditions, record: Record
    ) -> None:
        self.seed = seed
        self.random = chance_of(seed, "scenario")
        self.dead_letters: Counter[str] = Counter()
        self._loop = loop
        self._record = record
        self._network = Network(loop, chance_of(seed, "network"), conditions, record)
        self._multicast = Multicast(self._network)
        self._machines: dict[str, SimulatedMachine] = {}
        self._guard: Guard | None = None
        self._programs: dict[str, tuple[Boot | None, NodeOptions]] = {}
        self._past: list[SimulatedNode] = []

    # -- time ---------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        """How long the world has been there."""
        return self._loop.time() - EPOCH

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def until(self, condition: Callable[[], object], within: float = 30.0) -> float:
        """Let time pass until a condition holds.

        Args:
            condition: Looked at now, and every 0.05 s.
            within: The most that it may take.

        Returns:
            How long it took.

        Raises:
            AssertionError: It did not hold in time.
        """
        begun = self.time
        while not condition():
            if self.time - begun >= within:
                raise AssertionError(f"not within {within:g} virtual seconds")
            await asyncio.sleep(LOOK)
        return self.time - begun

    def note(self, text: str) -> None:
        """Write a line of the trace."""
        self._record.note("-", text)

    # -- nodes --------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Node]:
        """The nodes that run, hanging ones included, in the order of their machines."""
        return [m.node for m in self._machines.values() if m.node is not None]

    def node(self, name: str) -> Node:
        """The node that runs on a machine.

        Raises:
            SetupError: None does.
        """
        return self._simulated(name)

    def _simulated(self, name: str) -> SimulatedNode:
        machine = self._machines.get(name)
        if machine is None or machine.node is None:
            raise SetupError(f"no node runs on {name!r}: start or restart it")
        return machine.node

    async def start(
        self, name: str, boot: Boot | None = None, /, **options: Unpack[NodeOptions]
    ) -> Node:
        """Start a node on a machine of its own.

        Args:
            name: The name of both. `join=["n0"]` means the node of that name.
            boot: What the program there does once the node has started, and after each restart.
            options: The node's settings, see `Settings`. It is found by simulated multicast
                unless `discovery=False`.

        Raises:
            SetupError: A node runs there, or a setting cannot be.
        """
        self._programs[name] = (boot, options)
        if name not in self._machines:
            chance = chance_of(self.seed, f"machine {name}")
            self._machines[name] = SimulatedMachine(
                name, self._loop, self._network, self._multicast, chance, self._machines.get
            )
        return await self._boot(name)

    async def start_whole(self, names: Iterable[str], /, **options: Unpack[NodeOptions]) -> None:
        """Start nodes that know each other from the start, and only have to make their links.

        A mesh of thousands that forms by itself costs messages with the square of its size, and
        hours. These find nobody by multicast.

        Args:
            names: Of the nodes and their machines.
            options: The settings of each, see `start`.
        """
        started = []
        options["discovery"] = False
        for name in names:
            await self.start(name, **options)
            started.append(self._simulated(name))
        records = [node.say_age(age) for age, node in enumerate(started, start=1)]
        rings, digest = Rings(record.node for record in records), Digest()
        for record in records:
            facts = record.facts
            digest.put(facts.node, (facts.incarnation, facts.edition, 0))
        for node in started:
            node.acquaint(records, rings, digest)

    async def _boot(self, name: str) -> Node:
        machine = self._machines[name]
        if machine.node is not None:
            raise SetupError(f"a node runs on {name!r} already: stop or crash it first")
        boot, given = self._programs[name]
        options: NodeOptions = {"name": name, "mesh": "simulated", "port": PORT, **given}
        options["insecure_lan"] = True  # each is a machine of its own, and the LAN is in here
        places = options.get("join", ())
        options["join"] = [p if ":" in p else f"{p}:{PORT}" for p in places]
        machine.boot()
        self._network.power(name, on=True)
        node = machine.node = SimulatedNode(machine, **options)
        self._past.append(node)
        node.events.listen(lambda event: self._heard(node, event))
        if self._guard is not None:
            self._guard.started(name, node)
            self._rewired()
        self._record.note(name, f"starts as {node.id}")
        try:
            await node.start()
            if boot is not None:
                await machine.run(_booted(boot, node))
        except BaseException:
            machine.crash(0.0)  # unless it has crashed already
            raise
        return node

    async def stop(self, name: str, *, drain: bool = False) -> None:
        """Stop a node in order.

        Args:
            name: Whose.
            drain: Whether it drains before.
        """
        node = self._simulated(name)
        if self._machines[name].is_held:
            raise SetupError(f"the node on {name!r} hangs: resume it or crash it")
        self._record.note(name, "drains" if drain else "stops")
        await (node.drain() if drain else node.stop())
        self._machines[name].stopped()
        self._ended(node, "stopped")
        self._record.note(name, "has stopped")

    def crash(self, name: str, *, silent: bool = False) -> None:
        """End a node without a goodbye.

        Args:
            name: Whose.
            silent: Whether the machine is gone as well, as if its power had: otherwise the
                process was killed, and its connections break.
        """
        node = self._simulated(name)
        self._record.note(name, "loses power" if silent else "crashes")
        if silent:
            self._network.power(name, on=False)
        self._machines[name].crash(0.0 if silent else self._network.chance.random())
        self._ended(node, "silent" if silent else "killed")

    async def restart(self, name: str) -> Node:
        """Start the program of a machine again, after a crash or a stop; its node is a new one."""
        if name not in self._programs:
            raise SetupError(f"nothing has run on {name!r} before: start it")
        return await self._boot(name)

    def pause(self, name: str) -> None:
        """Let a node hang, as in a handler that does not come back; what it is sent waits."""
        node = self._simulated(name)
        self._record.note(name, "hangs")
        self._machines[name].hold()
        if self._guard is not None:
            self._guard.hangs(node)

    def resume(self, name: str) -> None:
        """Let it go on."""
        node = self._simulated(name)
        self._record.note(name, "goes on")
        if self._guard is not None:
            self._guard.goes_on(node)
        self._machines[name].resume()

    # -- the network --------------------------------------------------------------------------

    def partition(self, *groups: Iterable[str]) -> None:
        """Cut groups of machines off from each other; those that are not named are a group.

        A later partition replaces it.
        """
        sides = [list(group) for group in groups]
        self.note(f"partition {' | '.join(' '.join(side) for side in sides)}")
        self._network.partition(sides)
        self._rewired()

    def cut(self, one: str, other: str, *, one_way: bool = False) -> None:
        """Let nothing through from one machine to another, and back unless it is `one_way`."""
        self.note(f"cut {one} {'->' if one_way else '<->'} {other}")
        self._network.cut([(one, other)] if one_way else [(one, other), (other, one)])
        self._rewired()

    def heal(self, one: str | None = None, other: str | None = None) -> None:
        """End cuts: between two machines, all of one machine, or all cuts and the partition."""
        self.note(f"heal {one or 'all'} {other or ''}".rstrip())
        wanted = {name for name in (one, other) if name is not None}
        self._network.heal(lambda source, target: wanted <= {source, target}, whole=not wanted)
        self._rewired()

    def tear(self, one: str, other: str) -> int:
        """Break the connections between two machines, as a router that restarts; count them."""
        self.note(f"tear {one} {other}")
        if self._guard is not None:
            self._guard.history.torn(one, other, self._loop.time())
        return self._network.tear(one, other)

    def worsen(
        self,
        *,
        delay: tuple[float, float] | None = None,
        loss: float | None = None,
        duplicates: float | None = None,
    ) -> None:
        """Change how the network is from now on; see `Conditions`."""
        before = self._network.conditions
        now = Conditions(
            before.delay if delay is None else delay,
            before.loss if loss is None else loss,
            before.duplicates if duplicates is None else duplicates,
        )
        self.note(f"network: delay {now.delay}, loss {now.loss}, duplicates {now.duplicates}")
        self._network.conditions = now

    # -- what can be asked --------------------------------------------------------------------

    def ledger(self) -> Ledger:
        """Count the envelopes of all links, those of nodes that are gone included."""
        total = Traffic()
        for node in self._past:
            traffic = node.traffic()
            total.sent += traffic.sent
            total.received += traffic.received
            total.unread += traffic.unread
        dropped = dict(sorted({**self._network.lost, "unread": total.unread}.items()))
        return Ledger(total.sent, total.received, dropped, self._network.in_flight())

    def sent(self) -> tuple[int, int]:
        """How many link messages were sent since the world began, and their bytes.

        Those of ZeroMQ, TCP and IP around them are not counted.
        """
        return self._record.events["to"], self._record.sent_bytes

    def links(self) -> int:
        """How many connections there are between nodes; each is one node's to another one."""
        return self._network.count()

    def is_whole(self) -> bool:
        """Whether all nodes that run know each other, nobody else, and all for alive."""
        nodes = self.nodes
        ids = {node.id for node in nodes}
        return all(
            {peer.facts.node for peer in node.mesh_view.peers() if peer.state.value == "alive"}
            == {peer.facts.node for peer in node.mesh_view.peers()}
            == ids - {node.id}
            for node in nodes
        )

    @property
    def flows_in(self) -> float:
        """Seconds until the last connection goes on that was cut and is not any more."""
        return max(self._network.flows_at - self._loop.time(), 0.0)

    async def settled(self, within: float = 30.0) -> float:
        """Wait until all nodes that run know each other; see `until`."""
        return await self.until(self.is_whole, within)

    # -- what must hold -----------------------------------------------------------------------

    def guarded(self) -> Guard:
        """Judge from now on what nodes believe of each other; see `guard.py`. No node has run yet.

        What does not hold ends the scenario.
        """
        loop, network = self._loop, self._network

        def after(seconds: float, then: Callable[[], None]) -> None:
            loop.call_later(seconds, then, context=network.context)

        def fail(what: str) -> None:
            loop.halt(AssertionError(what))

        guard = self._guard = Guard(loop.time, after, lambda: network.late_until, fail)
        return guard

    def _ended(self, node: SimulatedNode, how: str) -> None:
        if self._guard is not None:
            self._guard.ended(node, how)
            self._rewired()

    def _rewired(self) -> None:
        if self._guard is not None:
            names, is_cut = list(self._machines), self._network.is_cut
            cut = [(a, b) for a in names for b in names if a != b and is_cut(a, b)]
            self._guard.history.rewired(self._loop.time(), cut)

    # -- the record ---------------------------------------------------------------------------

    def _heard(self, node: SimulatedNode, event: Event) -> None:
        name = node.name
        if self._guard is not None:
            self._guard.told(node, event)
        match event:
            case MemberChanged():
                text = f"{event.name} {event.node} is {event.state}: {event.reason}"
                self._record.note(name, text)
            case DeadLetter():
                self.dead_letters[event.reason] += event.count
                text = f"dead letter {event.actor}.{event.handler}: {event.reason}"
                self._record.note(name, text)
            case HandlerFailed():
                text = f"{event.actor}.{event.handler} raised {kind_of(event.error)}"
                self._record.note(name, text)
            case ActorFailed():
                what = f"{event.actor}.{event.handler} failed with {kind_of(event.error)}"
                self._record.note(name, f"{what}: {event.consequence}")
            case NameElected():
                self._record.note(name, f"{event.name} is elected on {event.node_name}")
            case NameStandby():
                how = "has let go" if event.has_let_go else "stands by"
                self._record.note(name, f"{event.name} {how}: {event.reason}")
            case PeerRefused():
                self._record.note(name, f"{event.who} refused: {event.reason}")
            case _:
                pass

    def end(self) -> None:
        """End what is left; the scenario is over."""
        for machine in self._machines.values():
            machine.bury()


def chance_of(seed: int, whose: str) -> random.Random:
    """Chance for one part of a world, so that more of it in one part changes no other."""
    return random.Random(f"{seed}/{whose}")  # noqa: S311 it must be foretold


async def _booted(boot: Boot, node: Node) -> Any:
    return await boot(node)
