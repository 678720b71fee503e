"""The devices of ZeroMQ as actors: spawned, counted, paused and stopped like any other."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import msgspec

from actormq.actor import Actor
from actormq.devices.proxy import ANSWER_SECONDS, Face, Flow, Proxy
from actormq.errors import LifecycleError, SetupError
from actormq.marks import handler


class DeviceStatistics(msgspec.Struct, frozen=True):
    """What a device has relayed.

    Attributes:
        frontend: Socket and endpoint of its frontend; as a text `XSUB bound at tcp://*:5556`.
        backend: Likewise.
        to_backend: What went from the frontend to the backend since it was started.
        to_frontend: What went the other way: replies, and the filters of subscribers.
        since: When it was started.
        at: When the figures were true.
        is_paused: Whether it has been told to pause.
        is_held_up: Whether it could not say, because it waits for a receiver that takes nothing;
            the figures are then older ones.
    """

    frontend: Face
    backend: Face
    to_backend: Flow
    to_frontend: Flow
    since: dt.datetime
    at: dt.datetime
    is_paused: bool
    is_held_up: bool


class Device(Actor):
    """Relays between two sockets, in a thread of libzmq's own; extend it with `faces`.

    Where the two are is given to the constructor, or by class attributes of the same names.

    Args:
        frontend: Endpoint of the side that takes what is sent.
        backend: Endpoint of the side that passes it on.
        frontend_connect: Connect the frontend there, rather than bind it.
        backend_connect: The same for the backend.

    Attributes:
        faces: The socket types of frontend and backend.

    Raises:
        SetupError: Nothing says where a side is.
    """

    faces: ClassVar[tuple[str, str]]

    frontend: str = ""
    backend: str = ""
    frontend_connect: bool = False
    backend_connect: bool = False

    def __init__(
        self,
        frontend: str | None = None,
        backend: str | None = None,
        frontend_connect: bool | None = None,
        backend_connect: bool | None = None,
    ) -> None:
        if frontend is not None:
            self.frontend = frontend
        if backend is not None:
            self.backend = backend
        if frontend_connect is not None:
            self.frontend_connect = frontend_connect
        if backend_connect is not None:
            self.backend_connect = backend_connect
        for side in ("frontend", "backend"):
            if not getattr(self, side):
                raise SetupError(
                    f"{type(self).__name__} has no {side}: give it an endpoint such as "
                    f'{side}="tcp://*:5556"'
                )
        self._proxy: Proxy | None = None
        self._since = dt.datetime.now(dt.UTC)

    async def on_start(self) -> None:
        """Open both sides and start to relay.

        Raises:
            PortInUse: Somebody else holds one of the endpoints.
            SetupError: An endpoint cannot be.
        """
        front, back = self.faces
        context = self._actormq_own
        self._proxy = Proxy(
            context.runtime,
            self.name,
            Face(front, self.frontend, self.frontend_connect),
            Face(back, self.backend, self.backend_connect),
            self._died,
        )
        # Among the sockets it is closed even if a subclass fails to start, or has no time to stop.
        context.sockets["proxy"] = self._proxy
        self._since = dt.datetime.now(dt.UTC)

    def _died(self, reason: str) -> None:
        """Fail, since nothing is relayed any more."""
        self.log.error("its thread has ended, %s: the device relays no more and stops", reason)
        error = LifecycleError(f"{self.name} relays no more: its thread has ended, {reason}")
        cell: Any = self._actormq_own  # it has sockets, so it is on the loop, and this its cell
        cell.fall(error, "")

    @property
    def _relay(self) -> Proxy:
        if self._proxy is None:
            raise LifecycleError(
                f"{self.name} relays nothing: its own on_start has to await super().on_start()"
            )
        return self._proxy

    @handler
    async def statistics(self) -> DeviceStatistics:
        """Say what went through so far; takes `ANSWER_SECONDS` if the device is held up."""
        proxy = self._relay
        is_true = await proxy.count()
        age = dt.timedelta(seconds=self._actormq_own.runtime.loop.now() - proxy.counted_at)
        return DeviceStatistics(
            proxy.frontend,
            proxy.backend,
            proxy.to_backend,
            proxy.to_frontend,
            self._since,
            dt.datetime.now(dt.UTC) - age,
            proxy.is_paused,
            not is_true,
        )

    @handler
    async def pause(self) -> None:
        """Relay nothing from here on; what is sent meanwhile waits, at its senders in the end.

        What a PUB sends to a paused device is lost as soon as their high-water marks are reached.

        Raises:
            LifecycleError: It still relays, for it waits for a receiver in the middle of a burst.
                It pauses when that has taken 2 000 messages at most.
        """
        if not await self._relay.pause():
            raise LifecycleError(
                f"{self.name} did not pause within {ANSWER_SECONDS:g} s, for its receivers "
                "take too little: it pauses when they have taken 2 000 messages at most"
            )

    @handler
    async def resume(self) -> None:
        """Relay again, first what has waited."""
        self._relay.resume()


class Queue(Device):
    """Takes requests of many clients to many workers, and the replies back.

    Requests wait where no worker takes them: in the device up to 1 000 from each client, then at
    the clients. A request that a worker took with it is lost, and so is a reply to a client that
    has gone.
    """

    faces = "ROUTER", "DEALER"


class Forwarder(Device):
    """Takes what publishers say to subscribers, and what these subscribe to back to the publishers.

    Only what somebody subscribes to comes in. A subscriber that is 1 000 messages behind loses what
    comes after, and so does the device if it falls behind a publisher.
    """

    faces = "XSUB", "XPUB"


class Streamer(Device):
    """Takes tasks of many ventilators to many workers, in turn.

    Tasks wait where no worker takes them, as with `Queue`; those that a worker took with it are
    lost.
    """

    faces = "PULL", "PUSH"
