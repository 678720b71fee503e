"""Messages between actors of different nodes: out as envelopes, in as calls, back as replies."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from actormq import message
from actormq.address import NODE_SERIAL, Address
from actormq.cell import Cell
from actormq.cluster.far import FarAnswer, FarReply, FarRoute
from actormq.cluster.member import Member
from actormq.cluster.probes import Probes
from actormq.codec import Codec
from actormq.deadlines import Deadlines
from actormq.errors import (
    ActormqError,
    ActorNotFound,
    ActorStopped,
    DeliveryError,
    NodeUnreachable,
    PeerLost,
    RemoteProtocolError,
    rebuilt,
)
from actormq.events import DeadLetter, Events
from actormq.ledger import Books
from actormq.loop import Loop
from actormq.message import Envelope
from actormq.ref import Ref
from actormq.registry import Registry
from actormq.settings import Settings


class Post:
    """Sends and receives for the actors of one node.

    Args:
        own: The id of this node.
        loop: The node's loop.
        codec: Reads and writes envelopes.
        deadlines: Those of the node.
        events: Where dead letters are reported.
        registry: The node's own actors.
        settings: The node's settings.
        member: Gives the member of a node id, None if it is not in the mesh.
        has_ended: Says of a node that is not in the mesh whether it is gone for good.
        books: Where messages are counted that no actor takes.
    """

    def __init__(
        self,
        own: str,
        loop: Loop,
        codec: Codec,
        deadlines: Deadlines,
        events: Events,
        registry: Registry,
        settings: Settings,
        member: Callable[[str], Member | None],
        has_ended: Callable[[str], bool],
        books: Books,
    ) -> None:
        self.own = own
        self.loop = loop
        self.codec = codec
        self.deadlines = deadlines
        self.settings = settings
        self.events = events
        self._registry = registry
        self.member = member
        self._has_ended = has_ended
        self._books = books
        self.sends = 0
        self.call_count = 0  # messages from other nodes, but not those for this node's own actor
        self._ids = itertools.count(1)
        self._pending: dict[int, tuple[FarReply, Address]] = {}
        self.probes = Probes(self, registry)

    # -- out ----------------------------------------------------------------------------------

    def ref(self, address: Address) -> Ref[Any]:
        """A ref to an actor of another node."""
        return Ref(FarRoute(self, address))

    def tell(self, address: Address, handler: str, args: Any, kwargs: dict[str, Any]) -> None:
        """Send a message without an answer.

        Raises:
            DeliveryError: It cannot leave.
        """
        self._send(address, [message.TELL, address.serial, handler], args, kwargs)

    def ask(
        self,
        address: Address,
        handler: str,
        args: Any,
        kwargs: dict[str, Any],
        reply: FarReply,
        kind: int = message.ASK,
    ) -> None:
        """Send a message with an answer; a failure to send rejects the reply."""
        number = next(self._ids)
        left = max(reply.deadline - self.loop.now(), 0.0)
        try:
            head = [kind, number, left, address.serial, handler]
            self._send(address, head, args, kwargs)
        except DeliveryError as error:
            error.undelivered = (handler, tuple(args), kwargs)
            reply.reject(error)
            return
        self._pending[number] = (reply, address)
        reply.number = number

    def _send(self, address: Address, head: Envelope, args: Any, kwargs: dict[str, Any]) -> None:
        member = self.member(address.node)
        if address.node == self.own:
            raise ActorStopped(address.label)  # it lived here, or its ref would not lead this way
        if member is None:
            if self._has_ended(address.node):
                raise ActorStopped(address.label)
            raise NodeUnreachable(address.node)
        to, aside = address.label, self.codec.aside
        envelope = [*head, [aside(to, value) for value in args]]
        if kwargs:
            envelope.append({key: aside(to, value) for key, value in kwargs.items()})
        packed, buffers = self.codec.pack(to, envelope)
        member.outbox.put(packed, buffers)

    def say(self, node: str, envelope: Envelope) -> None:
        """Send an envelope that is for a node, not for an actor.

        Raises:
            DeliveryError: It cannot leave.
        """
        member = self.member(node)
        if member is None:
            raise NodeUnreachable(node)
        packed, _ = self.codec.pack(member.facts.name, envelope, beside=False)
        member.outbox.put(packed)

    def number(self) -> int:
        """A number that no other ask of this node has."""
        return next(self._ids)

    def pending(self) -> Iterable[tuple[FarReply, Address]]:
        """The asks that wait for an answer, the earliest first, and whom they went to."""
        return self._pending.values()

    def asked(self, number: int) -> Address | None:
        """Whom an ask went to; None if it has been answered."""
        _, address = self._pending.get(number, (None, None))
        return address

    def forget(self, number: int) -> None:
        """The asker has given up."""
        self._pending.pop(number, None)

    # -- in -----------------------------------------------------------------------------------

    def take(self, member: Member, envelope: Envelope) -> None:
        """Take a TELL, ASK, SEND, REPLY, FAIL or PROBE.

        Raises:
            RemoteProtocolError: It has another shape.
        """
        kind = envelope[0]
        if kind == message.TELL and len(envelope) == 4:  # noqa: PLR2004 the most frequent shape, first
            _, to, handler, args = envelope
            if type(handler) is str and type(args) is list:
                self._told(member, to, handler, args, {})
                return
        match envelope:
            case [message.TELL, to, str(handler), list(args), *rest]:
                self._told(member, to, handler, args, _keywords(rest))
            case [
                message.ASK,
                int(number),
                int() | float() as seconds,
                to,
                str(handler),
                list(args),
                *rest,
            ]:
                answer = FarAnswer(self, member, number, self.loop.now() + seconds)
                try:
                    self._call(to, handler, args, _keywords(rest), answer)
                except DeliveryError as error:
                    answer.reject(error)
            case [message.SEND, int(number), _, to, str(handler), list(args), *rest]:
                self._sent(member, number, (to, handler, args, _keywords(rest), None))
            case [message.REPLY, int(number), value, *_]:
                self._answered(member, number, value, None)
            case [message.FAIL, int(number), str(name), list(facts), *_]:
                self._answered(member, number, None, rebuilt(name, facts))
            case [message.PROBE, *_]:
                self.probes.take(member, envelope)
            case _:
                raise RemoteProtocolError(f"an envelope of kind {envelope[0]} has another shape")

    def _sent(self, member: Member, number: int, call: tuple[Any, str, Any, Any, None]) -> None:
        """Queue a message and say so; its handling is nobody's business."""
        answer: Envelope = [message.REPLY, number, None]
        try:
            self._call(*call)
        except DeliveryError as error:
            answer = [message.FAIL, number, type(error).__name__, list(error.facts)]
        self.reply(member, answer)

    def _told(
        self, member: Member, to: Any, handler: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        try:
            self._call(to, handler, args, kwargs, None)
        except DeliveryError as error:
            self.events.emit(
                DeadLetter(
                    _label(to),
                    handler,
                    type(error).__name__,
                    f"from {member.facts.name}: {error}",
                    args=tuple(args),
                    kwargs=kwargs,
                )
            )

    def _call(
        self,
        to: Any,
        handler: str,
        args: list[Any],
        kwargs: dict[str, Any],
        answer: FarAnswer | None,
    ) -> None:
        self.call_count += to != NODE_SERIAL
        try:
            cell = self._registry.by_serial(to) if type(to) is int else None
            if cell is None:
                cell = self._cell(to)
            spec = cell.find(handler)
            checked = spec.arguments.checked(cell.address.label, args, kwargs)
        except DeliveryError as error:
            self._books.refuse(type(error).__name__)
            raise
        if answer is not None:
            answer.actor, answer.handler = cell.address.label, handler
        cell.put((spec, checked, kwargs, answer))

    def _cell(self, to: Any) -> Cell:
        if isinstance(to, int):
            cell = self._registry.by_serial(to)
            if cell is None:
                raise ActorStopped(_label(to))
        else:
            cell = self._registry.by_name(to) if isinstance(to, str) else None
            if cell is None:
                raise ActorNotFound(_label(to), self.settings.mesh)
        return cell

    def _answered(
        self, member: Member, number: int, value: Any, error: ActormqError | None
    ) -> None:
        reply, address = self._pending.get(number, (None, None))
        if reply is None or address is None or address.node != member.facts.node:
            self.events.emit(DeadLetter(member.facts.name, "reply", "late reply"))
            return
        del self._pending[number]
        if error is not None:
            reply.reject(error)
        else:
            reply.resolve(value)

    def reply(self, member: Member, envelope: Envelope) -> None:
        """Send an answer; one that cannot be encoded becomes the reason why."""
        name = member.facts.name
        try:
            packed, buffers = self.codec.pack(name, envelope)
        except DeliveryError as error:
            failed = [message.FAIL, envelope[1], type(error).__name__, list(error.facts)]
            packed, buffers = self.codec.pack(name, failed)
        try:
            member.outbox.put(packed, buffers)
        except DeliveryError as error:
            self.events.emit(DeadLetter(name, "reply", type(error).__name__, str(error)))

    def lost(self, member: Member, reason: str) -> None:
        """A member is gone: whoever waits for it is told now, not at the deadline."""
        node = member.facts.node
        for number, (reply, address) in list(self._pending.items()):
            if address.node == node:
                del self._pending[number]
                reply.reject(PeerLost(member.facts.name, reason))

    def close(self) -> None:
        """This node stops: nobody will hear an answer any more."""
        while self._pending:
            _, (reply, address) = self._pending.popitem()
            reply.reject(PeerLost(address.node, "this node has stopped"))


def _keywords(rest: list[Any]) -> dict[str, Any]:
    match rest:
        case []:
            return {}
        case [dict(keywords), *_] if all(isinstance(key, str) for key in keywords):
            return keywords
    raise RemoteProtocolError("keyword arguments are a map with texts for keys")


def _label(to: Any) -> str:
    return to[:255] if isinstance(to, str) else f"#{to}"
