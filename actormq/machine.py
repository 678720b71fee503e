"""What a node takes from the machine that it runs on: sockets, time, chance, threads, a name.

A node asks its `Machine` for all of it, once, as it starts. Whoever wants a node to live elsewhere,
as a simulation does, gives it another machine; the node and all that it consists of stay the same.
"""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from actormq.address import new_node_id
from actormq.cluster.discovery import Discovery
from actormq.cluster.dns import HostNames, Names
from actormq.cluster.interfaces import interfaces
from actormq.elsewhere.places import OwnPlaces
from actormq.events import LoopHeld
from actormq.loop import Loop
from actormq.place import Places
from actormq.rules.admission import LAN
from actormq.rules.endpoints import offered
from actormq.settings import Settings
from actormq.threads import Threads
from actormq.transport import Transport
from actormq.watchdog import Watched

_LOOPBACK = ("127.0.0.1",)


class Machine:
    """The real one: this computer."""

    def new_node_id(self) -> str:
        """Draw the id of a node."""
        return new_node_id()

    def new_name(self) -> str:
        """Make up a name for a node without one: the host's, and a random ending."""
        host = socket.gethostname().partition(".")[0] or "node"
        clean = "".join(c if c.isalnum() and c.isascii() else "-" for c in host).strip("-")
        return f"{clean[:50] or 'node'}-{os.urandom(2).hex()}"

    def identity(self) -> str:
        """Name this machine and its network, so that ipc is dialled only where it can work."""
        return host_identity()

    def scope(self, settings: Settings) -> str:
        """Say who may reach a node with these settings."""
        return LAN if settings.insecure_lan else f"loopback:{os.getuid()}"

    def loop(self, settings: Settings) -> Loop:
        """The loop that is running, as a node's loop."""
        return Loop(spin=settings.spin)

    def transport(self, loop: Loop, settings: Settings) -> Transport:
        """What opens the sockets of a node."""
        is_lan = settings.insecure_lan
        frame_limit = max(settings.message_limit, settings.buffer_limit) + 64 * 1024
        return Transport(loop, is_lan, frame_limit, self.addresses(settings))

    def addresses(self, settings: Settings) -> Sequence[str]:
        """The hosts under which others may dial a node with these settings, the best first."""
        return addresses() if settings.insecure_lan else _LOOPBACK

    def names(self) -> Names:
        """What looks up the names of hosts."""
        return HostNames()

    def threads(self, node: str) -> Threads:
        """Threads for what blocks.

        Args:
            node: The node's name, for theirs.
        """
        return Threads(f"actormq-{node}")

    def watch(
        self, node_id: str, loop: Loop, limit: float, report: Callable[[LoopHeld], None]
    ) -> Watched:
        """Look out for what holds the node's loop; see `Watched`."""
        return Watched(node_id, loop.thread, limit, report)

    def places(self) -> Places:
        """Threads and processes for actors that do not run on the loop."""
        return OwnPlaces()

    def chance(self) -> float:
        """Draw a number evenly from 0 (within) to 1 (without)."""
        return random.random()  # noqa: S311 back-off wants no secret

    def discovery(self, settings: Settings) -> Discovery:
        """A source of hints who else is there."""
        from actormq.cluster.mdns import Mdns  # noqa: PLC0415 costs 0.1 s that --join does not need

        return Mdns(loopback=not settings.insecure_lan)


MACHINE = Machine()
"""The one that nodes run on unless they are told otherwise."""


def addresses() -> list[str]:
    """All addresses of this host that another may dial, the best first; see `offered`."""
    return offered(interfaces())


def host_identity() -> str:
    """Name this machine and its network, so that ipc is dialled only where it can work."""
    name = socket.gethostname()
    if sys.platform.startswith("linux"):
        space = Path("/proc/self/ns/net").stat().st_ino
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{name}/{boot}/{space}"
    else:  # noqa: RET505 a plain return would be unreachable code to mypy on Linux
        return f"{name}/{os.getuid()}"
