"""Runs all checks, at the same time where they do not wait for each other, and judges them."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from actormq.cluster.discovery import Announcement
from actormq.doctor import hosts, interfaces, limits, multicast, trial
from actormq.errors import ActormqError
from actormq.rules import announced, diagnosis, distance
from actormq.rules.admission import LAN
from actormq.rules.diagnosis import State, Verdict
from actormq.rules.distance import Ground
from actormq.rules.findings import (
    Dialled,
    Hello,
    Intent,
    Interface,
    Meeting,
    Outcome,
    OwnName,
    Seen,
)
from actormq.seeds import DEFAULT_PORT
from actormq.threads import Threads

T = TypeVar("T")

WHOLE: Final = 8.5  # s; with the start of Python, the command ends within 10 s
NAMES: Final = 2.0  # s for a name to be looked up; a name server that is there needs 0.1 s
BASE, TALK = 64, 40  # descriptors: of what is tried here, and of a talk with another machine
TALKS: Final = 8  # at a time; each has two nodes here


class Examination:
    """One look at this machine, and at others.

    Args:
        intent: How nodes are started that are meant to find each other.
        places: The other machines, HOST or HOST:PORT.
        port: Where nodes of this machine listen; 0 for any free port.

    Raises:
        SetupError: A place is none.
    """

    def __init__(self, intent: Intent, places: Sequence[str], port: int = 0) -> None:
        self._intent = intent
        self._hosts = [(place, *hosts.host_of(place)) for place in places]
        self._port = port
        self._is_free = not port or limits.is_free(port, lan=intent.lan)
        self._delegates: dict[str, asyncio.Task[trial.Delegate]] = {}
        self._started: list[trial.Delegate] = []
        self._talks = asyncio.Semaphore(TALKS)
        self._threads = Threads("actormq-doctor")
        self._interfaces: list[Interface] = []
        self._firewall = ""
        self._heard: dict[str, Announcement] = {}
        self._listening: asyncio.Future[str] | None = None

    async def run(self) -> list[Verdict]:
        """Do it; takes `WHOLE` at most.

        Returns:
            A verdict for each check, this machine's first.
        """
        deadline = asyncio.get_running_loop().time() + WHOLE
        self._interfaces = interfaces.interfaces()
        self._firewall = interfaces.firewall()
        intent = self._intent
        few = limits.descriptors()
        room = diagnosis.descriptors(few)
        verdicts = [diagnosis.interfaces(self._interfaces, lan=intent.lan)]
        if room.state is State.PROBLEM:  # libzmq ends a process that has no descriptor left
            return [*verdicts, room]
        self._talks = asyncio.Semaphore(max(min(TALKS, (few.most - few.used - BASE) // TALK), 1))
        try:
            async with asyncio.TaskGroup() as group:
                self._listening = group.create_task(trial.listen(self._heard))
                here = group.create_task(self._here())
                there = [group.create_task(self._host(*each, deadline)) for each in self._hosts]
        finally:
            await asyncio.gather(*(delegate.stop() for delegate in self._started))
            self._threads.shutdown(wait=False, cancel_futures=True)
        verdicts += [*here.result(), *diagnosis.firewall(self._firewall if intent.lan else "")]
        verdicts += [room, diagnosis.clock(time.time())]
        if self._port:
            verdicts.append(diagnosis.own_port(self._port, self._seen(), is_free=self._is_free))
        error, is_asked = self._listening.result(), bool(self._hosts)
        verdicts += announced.nodes(self._seen(), intent, error, is_asked=is_asked)
        others = [each.result() for each in there]
        return [*distance.in_spite(verdicts, others), *(each for other in others for each in other)]

    # -- this machine -------------------------------------------------------------------------

    async def _here(self) -> list[Verdict]:
        intent = self._intent
        shared = multicast.sharing()
        probes, pair, own_name = await asyncio.gather(
            multicast.probe_all(self._interfaces),
            trial.pair(intent),
            self._look_up(limits.own_name, OwnName(socket.gethostname(), ())),
        )
        return [
            *diagnosis.multicast(probes, self._interfaces, intent, self._firewall),
            diagnosis.sharing(shared, joins=intent.joins),
            diagnosis.pair(pair, joins=intent.joins),
            diagnosis.own_name(own_name),
        ]

    async def _look_up(self, call: Callable[[], T], otherwise: T) -> T:
        """Call what blocks, for `NAMES` at most."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(NAMES):
                return await loop.run_in_executor(self._threads, call)
        except TimeoutError:
            return otherwise

    def _seen(self) -> list[Seen]:
        """Who was heard, in the order of their names."""
        own = interfaces.own_addresses(self._interfaces)
        return [
            Seen(
                each.name,
                each.node_id,
                each.mesh,
                each.scope,
                each.protocol,
                each.endpoints,
                each.scope != LAN or any(host in own - _LOOPBACK for host in _hosts_of(each)),
            )
            for each in sorted(self._heard.values(), key=lambda each: (each.name, each.node_id))
        ]

    # -- another machine ----------------------------------------------------------------------

    async def _host(
        self, place: str, host: str, port: int | None, deadline: float
    ) -> list[Verdict]:
        verdicts: list[Verdict] = []
        try:
            async with asyncio.timeout_at(deadline):
                await self._examine(host, port, verdicts)
        except TimeoutError:
            found = f"not done within {WHOLE:g} s"
            cause = "the network or this machine is too slow for it"
            fix = "run this command again, with this host alone"
            verdicts.append(Verdict("all checks", State.PROBLEM, found, cause, fix))
        except ActormqError as error:
            fix = "mend what it says, then run this command again"
            verdicts.append(Verdict("node", State.PROBLEM, "could not be asked", str(error), fix))
        return [dataclasses.replace(verdict, host=place) for verdict in verdicts]

    async def _examine(self, host: str, port: int | None, verdicts: list[Verdict]) -> None:
        """Go as far as one gets, a step after the other."""
        addresses, error = await self._addresses(host)
        verdicts.append(distance.name(host, addresses, error))
        if not addresses:
            return
        is_own = all(each in _LOOPBACK or self._is_own(each) for each in addresses)
        lan = self._intent.lan or not is_own
        if lan and not self._intent.lan:
            verdicts.append(distance.openness(host))
        port, ground = await self._port_of(addresses, port)
        dialled = await hosts.dial_all(addresses, port, self._interfaces)
        verdicts += distance.way(host, dialled, ground)
        best = next((each for each in dialled if each.outcome is Outcome.OPEN), None)
        if best is not None:
            async with self._talks:
                await self._talk(host, best, lan, verdicts)

    async def _talk(self, host: str, best: Dialled, lan: bool, verdicts: list[Verdict]) -> None:
        """Say hello to the node there, and if it is the right one, meet it."""
        assert self._listening is not None
        async with trial.guest(best.place, lan=lan) as guest:
            hello = await trial.greet(guest, best.place)
            await self._listening
            mesh = announced.wanted_mesh(self._intent, self._seen())
            verdict = distance.hello(host, hello, mesh, best.place, self._announced_at(best.place))
            verdicts.append(verdict)
            if verdict.state is State.PROBLEM:
                return
            echo, meeting = await asyncio.gather(
                trial.echo(guest, hello),
                self._meet(hello, best, lan),
            )
        if meeting is not None:
            verdicts += distance.meeting(host, meeting, best, self._intent, self._firewall)
        verdicts += distance.echo(host, echo, best.mtu)

    async def _meet(self, hello: Hello, best: Dialled, lan: bool) -> Meeting | None:
        """Meet, unless that takes being open to the network, and nobody said so."""
        if lan and not self._intent.lan:
            return None
        try:
            delegate = await asyncio.shield(self._delegate(hello.mesh, lan=lan))
            meeting = await delegate.meet(hello, best)
        except (ActormqError, OSError) as error:
            return Meeting(None, there=False, back=False, heard=False, error=str(error))
        is_heard = hello.node in self._heard
        # One whose announcement we have not heard may have been met through one that we have.
        others = any(a.mesh == hello.mesh and a.node_id != hello.node for a in self._heard.values())
        by_itself = meeting.by_itself if is_heard or not others else None
        return dataclasses.replace(meeting, by_itself=by_itself, heard=is_heard)

    def _delegate(self, mesh: str, *, lan: bool) -> asyncio.Task[trial.Delegate]:
        """Our node in a mesh; one for all machines, so that each mesh sees one of us at most."""
        starting = self._delegates.get(mesh)
        if starting is None:
            # There may be several meshes, and there is one port.
            port = self._port if self._is_free and not self._delegates else 0
            delegate = trial.Delegate(mesh, self._intent, lan=lan, port=port)

            async def start() -> trial.Delegate:
                await delegate.start()
                self._started.append(delegate)
                return delegate

            starting = self._delegates[mesh] = asyncio.create_task(start())
        return starting

    async def _addresses(self, host: str) -> tuple[list[str], str]:
        def call() -> tuple[list[str], str]:
            try:
                return hosts.addresses_of(host), ""
            except (OSError, UnicodeError) as error:
                return [], getattr(error, "strerror", None) or str(error)

        return await self._look_up(call, ([], f"no answer within {NAMES:g} s"))

    async def _port_of(self, addresses: list[str], port: int | None) -> tuple[int, Ground]:
        """The port of the node there, and how it is known."""
        if port is not None:
            return port, Ground.SAID
        assert self._listening is not None
        await self._listening
        wanted = announced.wanted_mesh(self._intent, self._seen())
        heard = sorted(self._heard.values(), key=lambda each: each.mesh != wanted)
        for announcement in heard:
            for endpoint in announcement.endpoints:
                place, _, number = endpoint.removeprefix("tcp://").rpartition(":")
                if place.strip("[]") in addresses:
                    return int(number), Ground.HEARD
        return DEFAULT_PORT, Ground.GUESSED

    def _announced_at(self, place: str) -> str:
        """The node that announces that it listens at a place; "" if none was heard."""
        endpoint = f"tcp://{place}"
        return next((a.name for a in self._heard.values() if endpoint in a.endpoints), "")

    def _is_own(self, address: str) -> bool:
        return address in interfaces.own_addresses(self._interfaces)


_LOOPBACK: Final = frozenset({"127.0.0.1", "127.0.1.1", "::1"})


def _hosts_of(announcement: Announcement) -> list[str]:
    tcp = [e.removeprefix("tcp://") for e in announcement.endpoints if e.startswith("tcp://")]
    return [place.rpartition(":")[0].strip("[]") for place in tcp]
