"""Messages from other nodes: into the mailboxes of this one's actors, and back as answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from actormq import message
from actormq.address import NODE_SERIAL
from actormq.cell import Cell
from actormq.cluster.far import FarAnswer
from actormq.cluster.member import Member
from actormq.cluster.row import HEAD_BYTES, NUMBER_BYTES, PLAIN, ROW_LIMIT, packed_plain
from actormq.codec import Codec
from actormq.errors import ActorNotFound, ActorStopped, DeliveryError, RemoteProtocolError
from actormq.events import DeadLetter, Events
from actormq.ledger import Books
from actormq.loop import Loop
from actormq.message import Envelope
from actormq.registry import Registry
from actormq.settings import Settings

_NAME_LIMIT = 255  # characters; Python's handlers and our actors have shorter ones


class Calls:
    """Takes what other nodes say to the actors of this one, and answers.

    Args:
        loop: The node's loop.
        codec: Packs answers.
        events: Where dead letters are reported.
        registry: The node's own actors.
        settings: The node's settings.
        books: Where messages are counted that no actor takes.

    Attributes:
        count: Messages that were taken, but not those for this node's own actor.
        takers: What takes an envelope, by its kind, and says whether it had the right shape.
    """

    def __init__(
        self,
        loop: Loop,
        codec: Codec,
        events: Events,
        registry: Registry,
        settings: Settings,
        books: Books,
    ) -> None:
        self.loop = loop
        self.count = 0
        self._codec = codec
        self._events = events
        self._registry = registry
        self._settings = settings
        self._books = books
        self.takers: dict[int, Callable[[Member, Envelope], bool]] = {
            message.TELL: self._take_tell,
            message.TELLS: self._take_tells,
            message.ASK: self._take_ask,
            message.ASKS: self._take_asks,
            message.SEND: self._take_send,
        }

    # -- in -----------------------------------------------------------------------------------

    def _take_tell(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, to, str(handler), list(args), *rest]:
                self._told(member, to, handler, args, _keywords(rest))
                return True
        return False

    def _take_tells(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, to, str(handler), [_, *_] as rows, *_] if len(rows) <= ROW_LIMIT and set(
                map(type, rows)
            ) == {list}:
                member.received_count += len(rows) - 1
                for args in rows[self._put_row(to, handler, rows) :]:
                    self._told(member, to, handler, args, {})
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
        self._asked(answer, to, handler, args, keywords)
        return True

    def _take_asks(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, [_, *_] as numbers, left, to, str(handler), list(rows), *_] if (
                type(left) in (float, int)
                and len(numbers) == len(rows) <= ROW_LIMIT
                and set(map(type, numbers)) == {int}
                and set(map(type, rows)) == {list}
            ):
                member.received_count += len(rows) - 1
                deadline = self.loop.now() + left
                answers = [FarAnswer(self, member, number, deadline) for number in numbers]
                taken = self._put_row(to, handler, rows, answers)
                for answer, args in zip(answers[taken:], rows[taken:], strict=True):
                    self._asked(answer, to, handler, args, {})
                return True
        return False

    def _take_send(self, member: Member, envelope: Envelope) -> bool:
        match envelope:
            case [_, int(number), _, to, str(handler), list(args), *rest]:
                answer = FarAnswer(self, member, number, math.inf)
                try:
                    self._call(to, handler, args, _keywords(rest), None)
                except DeliveryError as error:
                    answer.reject(error)
                else:
                    answer.resolve(None)  # it is queued; no more is said
                return True
        return False

    def _told(
        self, member: Member, to: Any, handler: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        try:
            self._call(to, handler, args, kwargs, None)
        except DeliveryError as error:
            reason, detail = type(error).__name__, f"from {member.facts.name}: {error}"
            letter = DeadLetter(
                _label(to), _cut(handler), reason, detail, args=tuple(args), kwargs=kwargs
            )
            self._events.emit(letter)

    def _asked(
        self, answer: FarAnswer, to: Any, handler: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        try:
            self._call(to, handler, args, kwargs, answer)
        except DeliveryError as error:
            answer.reject(error)

    def _put_row(
        self, to: Any, handler: str, rows: list[Any], answers: Sequence[FarAnswer] | None = None
    ) -> int:
        """Take a row of messages: what they have in common is looked up once.

        Returns:
            How many were taken, the first ones; what is not as usual is to be looked at one by one.
        """
        cell = self._registry.by_serial(to) if type(to) is int else None
        spec = cell.handler(handler) if cell is not None else None
        if cell is None or spec is None or not spec.arguments.are_exact_rows(rows):
            return 0
        taken = cell.put_all(spec, rows, answers)
        self.count += taken if to != NODE_SERIAL else 0
        return taken

    def _call(
        self,
        to: Any,
        handler: str,
        args: list[Any],
        kwargs: dict[str, Any],
        answer: FarAnswer | None,
    ) -> None:
        self.count += to != NODE_SERIAL
        try:
            cell = self._registry.by_serial(to) if type(to) is int else None
            if cell is None:
                cell = self._named(to)
            spec = cell.handler(handler) or cell.find(_cut(handler))
            checked = spec.arguments.checked(cell.address.label, args, kwargs)
        except DeliveryError as error:
            self._books.refuse(type(error).__name__)
            raise
        cell.put((spec, checked, kwargs, answer))

    def _named(self, to: Any) -> Cell:
        """Whom a message is for that is for no serial of an actor that lives."""
        if isinstance(to, int):
            raise ActorStopped(_label(to))
        cell = self._registry.by_name(to) if isinstance(to, str) else None
        if cell is None:
            raise ActorNotFound(_label(to), self._settings.mesh)
        return cell

    # -- back ---------------------------------------------------------------------------------

    def answer(self, member: Member, number: int, value: Any) -> None:
        """Send a result that goes on in no row; what cannot be encoded becomes the reason why."""
        limit, outbox = self._settings.message_limit, member.outbox
        packed = packed_plain(value, limit - HEAD_BYTES) if type(value) in PLAIN else None
        if packed is None:
            self._answer_apart(member, number, value)
            return
        row = outbox.replies
        outbox.make_way(None)
        try:
            # A guest may be a small program in another language, which knows no rows.
            most = 0 if member.facts.is_guest else limit
            outbox.begin_row(row, HEAD_BYTES + NUMBER_BYTES + len(packed), most)
        except DeliveryError as error:
            self._lost(member, error)
        else:
            row.numbers.append(number)
            row.parts.append(packed)

    def _answer_apart(self, member: Member, number: int, value: Any) -> None:
        name = member.facts.name
        try:
            value = self._codec.aside(name, value)
            packed, buffers = self._codec.pack(name, [message.REPLY, number, value])
        except DeliveryError as error:
            self.refuse(member, number, type(error).__name__, list(error.facts))
        else:
            self._put(member, packed, buffers)

    def refuse(self, member: Member, number: int, name: str, facts: list[Any]) -> None:
        """Send the reason why there is no result: the name of an error, and its facts."""
        envelope = [message.FAIL, number, name, facts]
        self._put(member, self._codec.pack_whole(member.facts.name, envelope), ())

    def _put(self, member: Member, packed: bytes, buffers: Sequence[Any]) -> None:
        try:
            member.outbox.put(packed, buffers)
        except DeliveryError as error:
            self._lost(member, error)

    def _lost(self, member: Member, error: DeliveryError) -> None:
        name = type(error).__name__
        self._events.emit(DeadLetter(member.facts.name, "reply", name, str(error)))


def _keywords(rest: list[Any]) -> dict[str, Any]:
    if not rest:
        return {}
    match rest:
        case [dict(keywords), *_] if all(isinstance(key, str) for key in keywords):
            return keywords
    raise RemoteProtocolError("keyword arguments are a map with texts for keys")


def _label(to: Any) -> str:
    if isinstance(to, str):
        return _cut(to)
    return f"#{to if isinstance(to, int) else type(to).__name__}"


def _cut(name: str) -> str:
    """A name as it is repeated to others: of a whole row each time, and it may fill a frame."""
    return name if len(name) <= _NAME_LIMIT else f"{name[: _NAME_LIMIT - 1]}…"
