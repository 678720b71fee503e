"""One connection to one peer, from the first hello to its end.

A link is one TCP (or ipc) connection: its DEALER never reconnects by itself, for a process that
listens there later is not the peer that the earlier messages were meant for.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import zmq

from actormq import message
from actormq.codec import Codec
from actormq.errors import DeliveryError, RemoteProtocolError, SetupError
from actormq.loop import Loop
from actormq.message import Envelope, Facts
from actormq.port import Port
from actormq.settings import HANDSHAKE_TIMEOUT
from actormq.transport import LINK_DIALER, Transport

REFUSAL_LATE = 0.05  # s; a node that has welcomed another one says nothing more, but a refusal

_BROKEN = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class Owner(Protocol):
    """Who dialled."""

    def link_welcomed(self, link: Link, facts: Facts) -> None:
        """The peer let us in."""

    def link_refused(self, link: Link, reason: str, sentence: str) -> None:
        """The peer did not, or does no longer; the link is closed."""

    def link_broken(self, link: Link, why: str) -> None:
        """The connection could not be made, or has ended; the link is closed."""

    def link_heard(self, link: Link, envelopes: list[Envelope]) -> None:
        """The peer says something on it: only guests are answered this way."""


class Link:
    """A DEALER that dials one endpoint.

    Args:
        loop: The node's loop.
        transport: Opens the socket.
        codec: Packs the hello and reads the answers.
        facts: What we say of ourselves.
        endpoint: Where to dial.
        owner: Hears how it goes.

    Attributes:
        incarnation: The one of ours that said hello.
        is_welcomed: Whether the peer has let us in.
    """

    def __init__(
        self,
        loop: Loop,
        transport: Transport,
        codec: Codec,
        facts: Facts,
        endpoint: str,
        owner: Owner,
    ) -> None:
        self.endpoint = endpoint
        self.incarnation = facts.incarnation
        self.is_welcomed = False
        self._transport = transport
        self._codec = codec
        self._owner = owner
        self._loop = loop
        self._is_guest = facts.is_guest
        # New for each connection: a ROUTER keeps the first of two equal ids and ignores the other.
        self._port = transport.open(LINK_DIALER, self._arrived, transport.new_routing_id())
        self._port.copied_frames = 1  # the envelopes
        transport.watch(self._port, _BROKEN, self._event)
        self._timer: asyncio.TimerHandle | None = loop.call_later(
            HANDSHAKE_TIMEOUT, self._fail, f"no answer within {HANDSHAKE_TIMEOUT:g} s"
        )
        try:
            transport.connect(self._port, endpoint, "link")
        except SetupError as error:
            loop.call_soon(self._fail, str(error))
            return
        packed = codec.pack_whole(endpoint, message.hello(facts))
        self._port.send_when_writable([packed], lambda _: None)

    @property
    def port(self) -> Port:
        """The socket, for the outbox of the peer."""
        return self._port

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._port.is_closed

    def close(self, linger_ms: int = 0) -> None:
        """End the connection without a word to the owner."""
        self._disarm()
        self._transport.close_port(self._port, linger_ms)

    def _arrived(self, frames: list[bytes]) -> None:
        try:
            envelopes = self._codec.unpack(frames)
        except RemoteProtocolError as error:
            self._fail(str(error))
            return
        if not self.is_welcomed:
            first, *envelopes = envelopes
            if not self._answered(first):
                return
        if envelopes and envelopes[0][0] == message.REFUSED:
            self._refused(envelopes[0])
        elif envelopes:
            self._owner.link_heard(self, envelopes)

    def _answered(self, envelope: Envelope) -> bool:
        """Take the answer to our hello; say whether we are let in."""
        try:
            match envelope:
                case [message.WELCOME, int(), raw, *_]:
                    facts = message.facts_from(raw)
                    self._disarm()
                    self.is_welcomed = True
                    if not self._is_guest:
                        self._port.look_late(REFUSAL_LATE)
                    self._owner.link_welcomed(self, facts)
                    return True
                case [message.REFUSED, *_]:
                    self._refused(envelope)
                case _:
                    self._fail("what listens there does not answer as an actormq node")
        except (RemoteProtocolError, DeliveryError) as error:
            self._fail(str(error))
        return False

    def _refused(self, envelope: Envelope) -> None:
        reason, sentence = (*map(str, envelope[1:3]), "", "")[:2]
        self.close()
        self._owner.link_refused(self, reason[:64], sentence[:512])

    def _event(self, _event: int, _value: int, _endpoint: str) -> None:
        # Words sent before the end may still be on their way from the socket to us.
        self._loop.call_soon(self._fail, "the connection was refused or has ended")

    def _fail(self, why: str) -> None:
        if not self.is_closed:
            self.close()
            self._owner.link_broken(self, why)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
