"""Who is connected to a socket: counted, and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq

from actormq.context import Context
from actormq.errors import SetupError
from actormq.port import Port
from actormq.rules.connections import Connections

_EVENTS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_CONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_DISCONNECTED
)
SEEN = ("tcp://", "ipc://")
"""Transports whose connections have events."""


class Peers:
    """The connections of one socket.

    inproc and multicast have no events of connections: nobody is ever seen there.

    Args:
        context: The actor's.
        port: The socket, not attached yet.
        label: Its name, for errors.
    """

    def __init__(self, context: Context, port: Port, label: str) -> None:
        self._label = label
        self._port = port
        self._connections = Connections()
        self._is_seen = self._is_unseen = False  # whether some of its peers would be, or not
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        context.runtime.transport.watch(port, _EVENTS, self._heard)

    @property
    def count(self) -> int:
        """Connections that work now."""
        return self._connections.count

    @property
    def lost_count(self) -> int:
        """Connections that worked and have ended."""
        return self._connections.lost_count

    @property
    def is_alone(self) -> bool:
        """Whether nobody is connected; False where that cannot be seen."""
        return not self.count and not self._is_unseen

    def has(self, endpoint: str) -> bool:
        """Whether the connection to an endpoint works."""
        return self._connections.has(endpoint)

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever somebody has come or gone."""
        self._listeners.append(changed)

    def attached(self, endpoint: str) -> None:
        """The socket was bound there, or connects to it."""
        if endpoint.startswith(SEEN):
            self._is_seen = True
        else:
            self._is_unseen = True

    def left(self, endpoint: str) -> None:
        """We have left an endpoint ourselves."""
        self._connections.left(endpoint)

    async def ready(self, peers: int, timeout: float | None) -> None:
        """Wait until that many are connected.

        Raises:
            TimeoutError: They did not come within `timeout` seconds.
            SetupError: Nobody can be seen to come over inproc.
        """
        if self._is_unseen and not self._is_seen:
            raise SetupError(
                f"{self._label}: ready() does not see who comes over inproc: leave it out"
            )
        try:
            async with asyncio.timeout(timeout):
                while self.count < peers:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(
                f"{self._label} has {self.count} of {peers} peers after {timeout:g} s"
            ) from None
        self._port.look()

    def _heard(self, event: int, value: int, endpoint: str) -> None:
        connections = self._connections
        if event in (zmq.EVENT_ACCEPTED, zmq.EVENT_CONNECTED):
            connections.made(value, endpoint)
            return
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            connections.greeted(endpoint)
        elif not connections.ended(value):
            return
        self._changed.set()
        for changed in self._listeners:
            changed()
