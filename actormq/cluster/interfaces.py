"""The network interfaces of this host, looked at now and then: a cable is plugged in, a VPN comes.

Nothing tells of that on every system. A look costs 0.4 ms (three interfaces, measured), so one
every few seconds costs a hundredth of a percent of a core.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from actormq.loop import Loop
from actormq.rules.endpoints import Interface

LOOK_INTERVAL = 3.0  # s between looks; with a question of mDNS a new network is used within 4 s
SETTLE_LOOKS = 2  # looks after a change at which it is told once more: IPv6 checks an address first

_BRIDGE_PORT = "/sys/class/net/{}/brport"  # there for the ports of a bridge; Linux only


def interfaces() -> list[Interface]:
    """List the interfaces that are up, with their addresses."""
    import psutil  # noqa: PLC0415 costs 5 ms that a node of this host alone does not need

    states = psutil.net_if_stats()
    found = []
    for name, entries in psutil.net_if_addrs().items():
        state = states.get(name)
        if state is None or not state.isup:
            continue
        addresses = tuple(
            entry.address.partition("%")[0]
            for entry in entries
            if entry.family in (socket.AF_INET, socket.AF_INET6)
        )
        found.append(Interface(name, addresses, Path(_BRIDGE_PORT.format(name)).exists()))
    return found


class Watch:
    """Looks at the host's addresses and tells when they have changed.

    Args:
        loop: The node's loop.
        look: Gives the addresses under which others may dial this host.
        changed: Called with them when they are others than before, and again at the next
            `SETTLE_LOOKS` looks: an address may be there and not be usable yet.
        interval: Time between looks, in seconds.
    """

    def __init__(
        self,
        loop: Loop,
        look: Callable[[], Sequence[str]],
        changed: Callable[[Sequence[str]], None],
        interval: float = LOOK_INTERVAL,
    ) -> None:
        self._loop = loop
        self._look = look
        self._changed = changed
        self._interval = interval
        self._before = list(look())
        self._again = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        self._timer = self._loop.call_later(self._interval, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self.start()
        addresses = list(self._look())
        if addresses != self._before:
            self._before, self._again = addresses, SETTLE_LOOKS
        elif self._again:
            self._again -= 1
        else:
            return
        self._changed(addresses)
