"""Machines that offer slots, as processes of this one, and the troubles that befall them."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROGRAM = """
import asyncio, sys
from actormq import Node
from actormq.farm.reports import WORKER_NAME
from actormq.farm.worker import Worker
async def main():
    async with Node(mesh=sys.argv[1], port=0) as node:
        await node.spawn(Worker, WORKER_NAME, int(sys.argv[2]))
        await asyncio.sleep(3600)
asyncio.run(main())
"""


class Host:
    """One `Worker` in a process of its own."""

    def __init__(self, mesh, slots):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, mesh, str(slots)], cwd=Path(__file__).parent
        )
        self.process_info = psutil.Process(self.process.pid)

    def slots(self):
        """The processes of its slots."""
        try:
            return self.process_info.children()
        except psutil.Error:
            return []

    def kill(self):
        self.process.kill()
        self.process.wait()


@dataclass
class Trouble:
    """What was done to whom, and when, on the machine's monotonic clock."""

    kind: str
    at: float
    pids: list = field(default_factory=list)


class Troubles:
    """Kills and stops hosts and slots, in a random order, and starts others in their place.

    Args:
        mesh: Where the hosts offer their slots.
        count: Hosts at a time.
        slots: Of each.
        seed: Of the order.
    """

    def __init__(self, mesh, count, slots, seed):
        self.done = []
        self._mesh, self._slots = mesh, slots
        self._chance = random.Random(seed)
        self.hosts = [Host(mesh, slots) for _ in range(count)]

    async def befall(self, kinds, pause, now, slots_ready):
        """Let them happen, one after the other, each when all slots are there."""
        kinds = list(kinds)
        self._chance.shuffle(kinds)
        for kind in kinds:
            await slots_ready()
            await asyncio.sleep(self._chance.random() * pause)
            await getattr(self, kind)(now)

    def _note(self, kind, now, pids):
        self.done.append(Trouble(kind, now(), pids))

    async def kill_slot(self, now):
        """SIGKILL for one slot."""
        host = self._chance.choice(self.hosts)
        slots = host.slots()
        if slots:
            victim = self._chance.choice(slots)
            self._note("kill", now, [victim.pid])
            victim.kill()

    async def kill_host(self, now):
        """SIGKILL for a worker; its slots end with it."""
        host = self.hosts.pop(self._chance.randrange(len(self.hosts)))
        self._note("kill", now, [slot.pid for slot in host.slots()])
        # In a thread: the loop here is the ventilator's.
        await asyncio.to_thread(host.kill)
        self.hosts.append(await asyncio.to_thread(Host, self._mesh, self._slots))

    async def stop_slot(self, now):
        """SIGSTOP for one slot, which is killed for it."""
        # One that has just been started is killed as well, but half a minute later.
        grown = [
            s for host in self.hosts for s in host.slots() if time.time() - s.create_time() > 1
        ]
        if grown:
            victim = self._chance.choice(grown)
            self._note("stop", now, [victim.pid])
            victim.send_signal(signal.SIGSTOP)
            # Until that is noticed it is one who may be given what others lose.
            await asyncio.to_thread(victim.wait)

    async def stop_host(self, now):
        """SIGSTOP for a worker, whose slots go on; it is let go later."""
        host = self._chance.choice(self.hosts)
        self._note("stop", now, [slot.pid for slot in host.slots()])
        host.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(3.0 + self._chance.random())
        host.process.send_signal(signal.SIGCONT)

    def end(self):
        for host in self.hosts:
            host.kill()
