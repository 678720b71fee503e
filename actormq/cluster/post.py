"""Messages between actors of different nodes: out as envelopes, in as calls, back as replies."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from actormq import message
from actormq.address import NODE_SERIAL, Address
from actormq.cell import Cell
from actormq.cluster.far import FarAnswer, FarReply, FarRoute
from actormq.cluster.member import Member
from actormq.cluster.probes import Probes
from actormq.cluster.row import PLAIN, Row, packed_plain
from actormq.codec import Codec
from actormq.deadlines import Deadlines
from actormq.errors import (
    ActormqError,
    ActorNotFound,
    ActorStopped,
    DeliveryError,
    MessageTooLarge,
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
        self._takers: dict[int, Callable[[Member, Envelope], bool]] = {
            message.TELL: self._take_tell,
            message.TELLS: self._take_tells,
            message.ASK: self._take_ask,
            message.SEND: self._take_send,
            message.REPLY: self._take_reply,
            message.FAIL: self._take_fail,
            message.PROBE: self._take_probe,
        }

    # -- out ----------------------------------------------------------------------------------

    def ref(self, address: Address) -> Ref[Any]:
        """A ref to an actor of another node."""
        return Ref(FarRoute(self, address))

    def tell(self, address: Address, handler: str, args: Any, kwargs: dict[str, Any]) -> None:
        """Send a message without an answer.

        Raises:
            DeliveryError: It cannot leave.
        """
        self._send(address, (message.TELL, address.serial, handler), args, kwargs)

    def tell_row(self, row: Row, address: Address, handler: Any, name: str, packed: bytes) -> None:
        """Send a message without an answer, and let more like it go on in a row.

        Args:
            row: That of its sender's ref.
            address: The receiver.
            handler: The handler as it was given.
            name: Its name.
            packed: The arguments, packed.

        Raises:
            DeliveryError: It cannot leave.
        """
        if len(packed) > self.settings.message_limit:
            raise MessageTooLarge(address.label, len(packed), self.settings.message_limit)
        member = self._member(address)
        # A guest may be a small program in another language, which knows single tells only.
        most = 0 if member.facts.is_guest else self.settings.message_limit
        member.outbox.begin_row(row, handler, name, packed, most)

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
            head = (kind, number, left, address.serial, handler)
            self._send(address, head, args, kwargs)
            self.loop.expect()
        except DeliveryError as error:
            error.undelivered = (handler, tuple(args), kwargs)
            reply.reject(error)
            return
        self._pending[number] = (reply, address)
        reply.number = number

    def _send(
        self,
        address: Address,
        head: tuple[Any, ...],
        args: Any,
        kwargs: dict[str, Any],
    ) -> None:
        outbox = self._member(address).outbox
        if not kwargs and PLAIN.issuperset(map(type, args)):
            packed = packed_plain((*head, args), self.settings.message_limit)
            if packed is not None:
                outbox.put(packed)
                return
        to, aside = address.label, self.codec.aside
        envelope = [*head, [aside(to, value) for value in args]]
        if kwargs:
            envelope.append({key: aside(to, value) for key, value in kwargs.items()})
        outbox.put(*self.codec.pack(to, envelope))

    def _member(self, address: Address) -> Member:
        member = self.member(address.node)
        if address.node == self.own:
            raise ActorStopped(address.label)  # it lived here, or its ref would not lead this way
        if member is None:
            if self._has_ended(address.node):
                raise ActorStopped(address.label)
            raise NodeUnreachable(address.node)
        return member

    def say(self, node: str, envelope: Envelope) -> None:
        """Send an envelope that is for a node, not for an actor.

        Raises:
            DeliveryError: It cannot leave.
        """
        member = self.member(node)
        if member is None:
            raise NodeUnreachable(node)
        member.outbox.put(self.codec.pack_whole(member.facts.name, envelope))

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
        """Take a TELL, TELLS, ASK, SEND, REPLY, FAIL or PROBE.

        Raises:
            RemoteProtocolError: It has another shape.
        """
        if not self._takers[envelope[0]](member, envelope):
            raise RemoteProtocolError(f"an envelope of kind {envelope[0]} has another shape")

    def _take_tell(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, to, str(handler), list(args), *rest]:
                self._told(member, to, handler, args, _keywords(rest))
                return True
        return False

    def _take_tells(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, to, str(handler), [_, *_] as rows, *_] if set(map(type, rows)) == {list}:
                self._told_all(member, to, handler, rows)
                return True
        return False

    def _take_ask(self, member: Member, envelope: Envelope) -> bool:
        if len(envelope) < 6:  # noqa: PLR2004 its elements; a pattern costs twice as much
            return False
        _, number, left, to, handler, args, *rest = envelope
        if not (type(number) is int and type(handler) is str and type(args) is list):
            return False
        if type(left) is not float and type(left) is not int:
            return False
        keywords = _keywords(rest) if rest else {}
        answer = FarAnswer(self, member, number, self.loop.now() + left)
        try:
            self._call(to, handler, args, keywords, answer)
        except DeliveryError as error:
            answer.reject(error)
        return True

    def _take_send(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, int(number), _, to, str(handler), list(args), *rest]:
                answer: Envelope = [message.REPLY, number, None]  # it is queued; no more is said
                try:
                    self._call(to, handler, args, _keywords(rest), None)
                except DeliveryError as error:
                    answer = [message.FAIL, number, type(error).__name__, list(error.facts)]
                self.reply(member, answer)
                return True
        return False

    def _take_reply(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, int(number), value, *_]:
                self._answered(member, number, value, None)
                return True
        return False

    def _take_fail(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, int(number), str(name), list(facts), *_]:
                self._answered(member, number, None, rebuilt(name, facts))
                return True
        return False

    def _take_probe(self, member: Member, envelope: Envelope) -> bool:
        self.probes.take(member, envelope)
        return True

    def _told(
        self, member: Member, to: Any, handler: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        try:
            self._call(to, handler, args, kwargs, None)
        except DeliveryError as error:
            reason, detail = type(error).__name__, f"from {member.facts.name}: {error}"
            letter = DeadLetter(
                _label(to), handler, reason, detail, args=tuple(args), kwargs=kwargs
            )
            self.events.emit(letter)

    def _told_all(self, member: Member, to: Any, handler: str, rows: list[Any]) -> None:
        """Take a row of tells: what they have in common is looked up once."""
        member.received_count += len(rows) - 1
        cell = self._registry.by_serial(to) if type(to) is int else None
        taken = 0
        if cell is not None:
            spec = cell.handler(handler)
            if spec is not None and spec.arguments.are_exact_rows(rows):
                taken = cell.put_all(spec, rows)
                self.call_count += taken if to != NODE_SERIAL else 0
        for args in rows[taken:]:  # what is not as usual is looked at one by one
            self._told(member, to, handler, args, {})

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
                cell = self._named(to)
            spec = cell.find(handler)
            checked = spec.arguments.checked(cell.address.label, args, kwargs)
        except DeliveryError as error:
            self._books.refuse(type(error).__name__)
            raise
        if answer is not None:
            answer.actor, answer.handler = cell.address.label, handler
        cell.put((spec, checked, kwargs, answer))

    def _named(self, to: Any) -> Cell:
        """Whom a message is for that is for no serial of an actor that lives."""
        if isinstance(to, int):
            raise ActorStopped(_label(to))
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

    def answer(self, member: Member, number: int, value: Any) -> None:
        """Send a result; one that cannot be encoded becomes the reason why."""
        if type(value) in PLAIN:
            envelope = (message.REPLY, number, value)
            packed = packed_plain(envelope, self.settings.message_limit)
            if packed is not None:
                self._put_reply(member, packed, ())
                return
        name = member.facts.name
        try:
            value = self.codec.aside(name, value)
            packed, buffers = self.codec.pack(name, [message.REPLY, number, value])
        except DeliveryError as error:
            self.reply(member, [message.FAIL, number, type(error).__name__, list(error.facts)])
        else:
            self._put_reply(member, packed, buffers)

    def reply(self, member: Member, envelope: Envelope) -> None:
        """Send an answer of plain values."""
        self._put_reply(member, self.codec.pack_whole(member.facts.name, envelope), ())

    def _put_reply(self, member: Member, packed: bytes, buffers: Sequence[Any]) -> None:
        try:
            member.outbox.put(packed, buffers)
        except DeliveryError as error:
            name = type(error).__name__
            self.events.emit(DeadLetter(member.facts.name, "reply", name, str(error)))

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
    if not rest:
        return {}
    match rest:
        case [dict(keywords), *_] if all(isinstance(key, str) for key in keywords):
            return keywords
    raise RemoteProtocolError("keyword arguments are a map with texts for keys")


def _label(to: Any) -> str:
    return to[:255] if isinstance(to, str) else f"#{to}"
