"""What happened, in order: kept as it comes, written as lines when somebody reads them.

A line is made of virtual time, machine and event, and of nothing that differs between two runs of
one seed or between versions of Python: no address in memory, no path, no text of a traceback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from actormq import message
from actormq.codec import Codec
from actormq.errors import RemoteProtocolError
from actormq.message import Envelope
from actormq.testing.simulation.loop import EPOCH

_LINK = (message.HELLO, message.WELCOME, message.REFUSED)
"""Kinds that belong to a connection, not to an outbox: they are in no ledger."""

_codec = Codec(2**30, 2**30)


def envelopes_of(frames: Sequence[Any]) -> list[Envelope]:
    """What a link message says; nothing if it is none."""
    try:
        return _codec.unpack([bytes(frame) for frame in frames])
    except RemoteProtocolError:
        return []


def count_of(frames: Sequence[Any]) -> int:
    """How many envelopes of an outbox a link message holds."""
    return sum(map(_count_of, envelopes_of(frames)))


def _count_of(envelope: Envelope) -> int:
    if envelope[0] == message.TELLS:
        return len(envelope[3])  # as our own senders make it
    if envelope[0] in (message.ASKS, message.REPLIES):
        return len(envelope[1])  # likewise
    return envelope[0] not in _LINK


class Record:
    """All that happened in one simulation.

    Args:
        now: The virtual time.
        is_kept: Whether it is kept at all; a long run of many nodes may not have the room.

    Attributes:
        events: How many link messages were sent (`to`), received (`from`), lost and doubled.
        sent_bytes: The length of all link messages that were sent.
        is_over: Whether nothing that happens now belongs to it.
    """

    def __init__(self, now: Callable[[], float], is_kept: bool) -> None:
        self._now = now
        self._entries: list[tuple[float, str, str, Sequence[Any] | None]] = []
        self._is_kept = is_kept
        self.events: Counter[str] = Counter()
        self.sent_bytes = 0
        self.is_over = False

    def note(self, where: str, text: str) -> None:
        """Something happened on a machine."""
        if self._is_kept and not self.is_over:
            self._entries.append((self._now(), where, text, None))

    def frame(self, where: str, event: str, other: str, frames: Sequence[Any]) -> None:
        """A link message was sent, received or lost.

        Args:
            where: The machine.
            event: What became of it.
            other: The machine at the other end.
            frames: The message.
        """
        self.events[event] += 1
        if self._is_kept and not self.is_over:
            self._entries.append((self._now(), where, f"{event} {other}", frames))

    def sent(self, where: str, other: str, frames: Sequence[Any]) -> None:
        """A link message was sent to another machine; see `frame`."""
        self.sent_bytes += sum(map(len, frames))
        self.frame(where, "to", other, frames)

    def lines(self) -> Iterator[str]:
        """Everything, a line each."""
        for time, where, text, frames in self._entries:
            said = "" if frames is None else f": {'; '.join(map(_said, envelopes_of(frames)))}"
            yield f"{time - EPOCH:.6f} {where} {text}{said}\n"


def _said(envelope: Envelope) -> str:  # noqa: C901, PLR0911, PLR0912 a table of kinds
    """An envelope in a few words."""
    match envelope:
        case [message.HELLO, _, _, {"name": name, "incarnation": incarnation}]:
            return f"hello {name}/{incarnation}"
        case [message.WELCOME, _, {"name": name, "incarnation": incarnation}]:
            return f"welcome {name}/{incarnation}"
        case [message.REFUSED, reason, *_]:
            return f"refused {reason}"
        case [message.TELL, to, handler, *_]:
            return f"tell {to}.{handler}"
        case [message.ASK, number, _, to, handler, *_]:
            return f"ask {number} {to}.{handler}"
        case [message.ASKS, numbers, _, to, handler, *_]:
            return f"ask {' '.join(map(str, numbers))} {to}.{handler}"
        case [message.REPLY, number, *_]:
            return f"reply {number}"
        case [message.REPLIES, numbers, *_]:
            return f"reply {' '.join(map(str, numbers))}"
        case [message.FAIL, number, name, *_]:
            return f"fail {number} {name}"
        case [message.PROBE, number, to, *_]:
            return f"probe {number} {to}"
        case [message.PING, *_]:
            return "ping"
        case [message.PONG, *_]:
            return "pong"
        case [message.LEAVE, reason, *_]:
            return f"leave, {reason}"
        case [message.PEERS, list(records), *_]:
            return f"peers {' '.join(map(_record_said, records))}"
        case [message.STATE, node, base, version, list(actors), list(services), list(gone), *_]:
            names = [str(actor[1]) for actor in actors]
            names += [str(service[1]) for service in services]
            text = " ".join([f"+{name}" for name in names] + [f"-{serial}" for serial in gone])
            return f"state {node} {base} {version} {text}".rstrip()
        case [message.HELP, node, *_]:
            return f"help with {node}"
        case [message.HELPED, node, is_there, *_]:
            return f"{node} is {'there' if is_there else 'not reached'}"
        case [message.DIGEST, *_]:
            return "digest"
        case [message.SUMMARY, _, list(entries), *_]:
            return f"summary of {len(entries)}"
        case [message.WANT, list(nodes), *_]:
            return f"want {' '.join(map(str, nodes))}"
        case [kind, *_]:
            return f"kind {kind}"
    return "nothing"


def _record_said(record: Any) -> str:
    """What is said of a node, in a few words."""
    match record:
        case [{"name": name, "incarnation": incarnation, **more}, state, *_]:
            return f"{name}/{incarnation}.{more.get('edition', 0)} {state}"
    return "nothing"
