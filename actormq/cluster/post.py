"""Messages to actors of other nodes, and what comes back: out as envelopes, in as replies."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from actormq import message
from actormq.address import Address
from actormq.cluster.calls import Calls
from actormq.cluster.far import FarReply, FarRoute
from actormq.cluster.member import Member
from actormq.cluster.probes import Probes
from actormq.cluster.row import NUMBER_BYTES, PLAIN, ROW_LIMIT, AskRow, TellRow, packed_plain
from actormq.codec import Codec
from actormq.deadlines import Deadlines
from actormq.errors import (
    ActorStopped,
    DeliveryError,
    MessageTooLarge,
    NodeUnreachable,
    NotEncodable,
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

    Attributes:
        calls: Takes what is for the actors of this node.
        number: Gives a number that no other ask of this node has.
        pending: The asks that wait for an answer, by number, the earliest first.
        probes: Follow them where they may have become circles.
        sends: How many wait for room elsewhere.
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
        self.member = member
        self._has_ended = has_ended
        self.sends = 0
        self.number = itertools.count(1).__next__
        self.pending: dict[int, FarReply] = {}
        self.calls = Calls(loop, codec, events, registry, settings, books)
        self.probes = Probes(self, registry)
        self._takers: dict[int, Callable[[Member, Envelope], bool]] = {
            **self.calls.takers,
            message.REPLY: self._take_reply,
            message.REPLIES: self._take_replies,
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

    def begin_row(self, row: TellRow, address: Address, handler: Any, size: int) -> None:
        """Send a message behind which more like it may go on in a row.

        Args:
            row: That of its sender's ref, into which the caller then puts the message.
            address: The receiver.
            handler: The handler as it was given.
            size: Bytes of the message's own.

        Raises:
            DeliveryError: It cannot leave.
        """
        limit = self.settings.message_limit
        member = self._member(address)
        member.outbox.make_way(row.to)
        try:
            size += row.rename(handler, handler if isinstance(handler, str) else handler.__name__)
        except ValueError as error:
            raise NotEncodable(address.label, str(error)) from error
        if size > limit:
            raise MessageTooLarge(address.label, size, limit)
        # A guest may be a small program in another language, which knows no rows.
        member.outbox.begin_row(row, size, 0 if member.facts.is_guest else limit)

    def ask(
        self,
        reply: FarReply,
        handler: str,
        args: Any,
        kwargs: dict[str, Any],
        kind: int = message.ASK,
    ) -> None:
        """Send a message with an answer; a failure to send rejects the reply."""
        number = self.number()
        left = max(reply.deadline - self.loop.now(), 0.0)
        try:
            head = (kind, number, left, reply.address.serial, handler)
            self._send(reply.address, head, args, kwargs)
        except DeliveryError as error:
            error.undelivered = (handler, tuple(args), kwargs)
            reply.reject(error)
        else:
            reply.number = number
            self.pending[number] = reply
            self.loop.expect()

    def ask_row(
        self, row: AskRow, reply: FarReply, handler: Any, args: tuple[Any, ...], packed: bytes
    ) -> None:
        """As `ask`, and let more like it go on in a row.

        Args:
            row: That of its sender's ref.
            reply: What waits for the answer.
            handler: The handler as it was given.
            args: The arguments, for whoever hears that they cannot leave.
            packed: The same, packed.
        """
        try:
            self.begin_row(row, reply.address, handler, len(packed) + NUMBER_BYTES)
        except DeliveryError as error:
            error.undelivered = (reply.handler, args, {})
            reply.reject(error)
            return
        row.begin(reply, packed)
        self.loop.expect()

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
        try:
            packed, buffers = self.codec.pack(to, envelope)
        except NotEncodable as error:
            raise self._blaming(error, to, args, kwargs) from error
        outbox.put(packed, buffers)

    def _blaming(self, error: NotEncodable, to: str, args: Any, kwargs: Any) -> NotEncodable:
        """The same error, with the argument that it is about."""
        for key, value in (*enumerate(args, 1), *kwargs.items()):
            try:
                self.codec.pack_whole(to, value)
            except NotEncodable as found:
                return NotEncodable(to, f"argument {key!r}: {found.facts[1]}")
            except MessageTooLarge:
                continue
        return error

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

    def asked(self, number: int) -> Address | None:
        """Whom an ask went to; None if it has been answered."""
        reply = self.pending.get(number)
        return reply.address if reply is not None else None

    # -- in -----------------------------------------------------------------------------------

    def take(self, member: Member, envelope: Envelope) -> None:
        """Take a message to an actor of this node, an answer or a probe.

        Raises:
            RemoteProtocolError: It has another shape.
        """
        if not self._takers[envelope[0]](member, envelope):
            raise RemoteProtocolError(f"an envelope of kind {envelope[0]} has another shape")

    def _take_probe(self, member: Member, envelope: Envelope) -> bool:
        self.probes.take(member, envelope)
        return True

    def _take_reply(self, member: Member, envelope: Envelope) -> bool:
        # A pattern would cost twice as much.
        if len(envelope) < 3 or type(number := envelope[1]) is not int:  # noqa: PLR2004 its elements
            return False
        reply = self._answered(member, number)
        if reply is not None:
            reply.resolve(envelope[2])
        return True

    def _take_replies(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, [_, *_] as numbers, list(values), *_] if len(numbers) == len(
                values
            ) <= ROW_LIMIT and set(map(type, numbers)) == {int}:
                member.received_count += len(numbers) - 1
                node, pending = member.facts.node, self.pending
                for number, value in zip(numbers, values, strict=True):
                    # `_answered`, spelled out: a call costs a tenth of what an answer costs here.
                    reply = pending.get(number)
                    if reply is None or reply.address.node != node:
                        self._late(member)
                    else:
                        del pending[number]
                        reply.resolve(value)
                return True
        return False

    def _take_fail(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, int(number), str(name), list(facts), *_]:
                error = rebuilt(name, facts)  # whether it is one counts, late or not
                reply = self._answered(member, number)
                if reply is not None:
                    if facts[:1] == [f"#{reply.address.serial}"]:
                        # Of an actor that is gone its node has the number left; we know the name.
                        error = rebuilt(name, [reply.actor, *facts[1:]])
                    reply.reject(error)
                return True
        return False

    def _answered(self, member: Member, number: int) -> FarReply | None:
        """What waits for the answer of an ask; no more from now on."""
        reply = self.pending.get(number)
        if reply is None or reply.address.node != member.facts.node:
            self._late(member)
            return None
        del self.pending[number]
        return reply

    def _late(self, member: Member) -> None:
        """An answer comes that nobody waits for, or of one that was not asked."""
        self.events.emit(DeadLetter(member.facts.name, "reply", "late reply"))

    def lost(self, member: Member, reason: str) -> None:
        """A member is gone: whoever waits for it is told now, not at the deadline."""
        node = member.facts.node
        for number, reply in list(self.pending.items()):
            if reply.address.node == node:
                del self.pending[number]
                reply.reject(PeerLost(member.facts.name, reason))

    def close(self) -> None:
        """This node stops: nobody will hear an answer any more."""
        while self.pending:
            _, reply = self.pending.popitem()
            reply.reject(PeerLost(reply.address.node, "this node has stopped"))
