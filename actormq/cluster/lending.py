"""Large buffers between nodes of one host: lent in shared memory instead of sent.

The sender copies a buffer into a segment, and says which; the receiver reads it there, and marks
the segment as free when the last view of it has gone (`memory.py`).

    SHARE   here is a segment          the receiver opens it, and from then on it can be lent
    OPENED  I have that segment
    LEND    an envelope whose buffers are in these segments

A segment is lent only once its receiver has it: so a LEND cannot fail, may be the last word of a
process, and needs no answer. What there is no segment for goes through the socket, as does
everything before the first OPENED; a peer that cannot open segments never says it.

The segments of one sender and receiver belong to one link: a new one begins with new ones.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

import msgpack

from actormq import message
from actormq.codec import Codec
from actormq.errors import RemoteProtocolError
from actormq.loop import Loop
from actormq.memory import Borrowed, Segment, give_back
from actormq.message import Envelope

LENT_BYTES = 512 * 1024  # bytes of a message's buffers: below, the socket is as fast (measured)
SEGMENTS_LIMIT = 16  # for one peer: each is a descriptor here and there
SEGMENTS_LEAST = 2  # of any size: one is written while the other is read
SEGMENT_STEP = 1024 * 1024  # bytes: sizes that differ a little share segments
KEPT = 5.0  # s that a segment is kept without use: fresh pages cost more than the copy


def _packed(envelope: Envelope) -> bytes:
    return cast("bytes", msgpack.packb(envelope))


class Loan:
    """A segment of one peer's.

    Attributes:
        serial: Its number between the two nodes, never used again.
        segment: The memory.
        is_open: Whether the peer has it.
        used_at: When it was lent last, on the node's clock.
    """

    __slots__ = ("is_open", "segment", "serial", "used_at")

    def __init__(self, serial: int, segment: Segment, now: float) -> None:
        self.serial = serial
        self.segment = segment
        self.is_open = False
        self.used_at = now

    @property
    def is_free(self) -> bool:
        """Whether it can be lent."""
        return self.is_open and self.segment.is_free


def _size(loans: Iterable[Loan]) -> int:
    return sum(loan.segment.size for loan in loans)


class Lender:
    """Lends buffers to one peer.

    Args:
        loop: The node's loop.
        limit: Bytes of all segments, if they are more than `SEGMENTS_LEAST`.
        say: Says a packed envelope to the peer, behind what was said before.

    Attributes:
        lent_count: Messages whose buffers were lent.
    """

    def __init__(self, loop: Loop, limit: int, say: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._limit = limit
        self._say = say
        self._serials = itertools.count(1)
        self._loans: dict[int, Loan] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_answered = False
        self._rests_until = 0.0
        self.lent_count = 0

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return _size(self._loans.values())

    def lend(self, packed: bytes, buffers: Sequence[Any]) -> bytes | None:
        """Put the buffers of an envelope into segments.

        Returns:
            What to send in its place; None if there are not enough segments.
        """
        if len(buffers) > SEGMENTS_LIMIT:
            return None
        chosen: list[Loan] = []
        for buffer in buffers:
            loan = self._free(memoryview(buffer).nbytes)
            if loan is None:
                for other in chosen:
                    other.segment.take_back()
                return None
            loan.segment.lend()
            loan.used_at = self._loop.now()
            chosen.append(loan)
        self.lent_count += 1
        lent = [
            [loan.serial, loan.segment.write(buffer)]
            for loan, buffer in zip(chosen, buffers, strict=True)
        ]
        return _packed([message.LEND, lent, packed])

    def opened(self, serial: Any) -> None:
        """The peer has a segment; one of a former link does not count."""
        loan = self._loans.get(serial) if type(serial) is int else None
        if loan is not None:
            loan.is_open = self._is_answered = True
            loan.segment.settle()

    def begin(self) -> None:
        """There is a new link: who is there may know nothing of the segments that there were."""
        self._withdraw(list(self._loans.values()))
        self._is_answered, self._rests_until = False, 0.0

    def close(self) -> None:
        """The peer is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        give_back(loan.segment for loan in self._loans.values())
        self._loans.clear()
        self._rests_until = math.inf  # it may still be answered: nobody reads that

    def _free(self, size: int) -> Loan | None:
        """Choose a segment to lend; None if there is none yet."""
        free = [loan for loan in self._loans.values() if loan.is_free]
        fitting = [loan for loan in free if loan.segment.size >= size]
        if fitting:
            return min(fitting, key=lambda loan: loan.segment.size)
        if not self._loans or self._is_answered:
            self._share(-(-size // SEGMENT_STEP) * SEGMENT_STEP, free)
        return None

    def _share(self, size: int, free: list[Loan]) -> None:
        """Let the peer open one more segment, in the place of free ones that are too small."""
        now = self._loop.now()
        if now < self._rests_until:
            return
        if self._has_no_room_for(size, [one for one in self._loans.values() if one not in free]):
            return
        free.sort(key=lambda loan: loan.segment.size, reverse=True)
        while self._has_no_room_for(size, self._loans.values()):
            self._withdraw([free.pop()])
        try:
            segment = Segment(size)
        except OSError:  # no memory, no descriptor, or no such thing here
            self._rests_until = now + KEPT
            return
        loan = Loan(next(self._serials), segment, now)
        self._loans[loan.serial] = loan
        words = [message.SHARE, loan.serial, os.getpid(), segment.descriptor, segment.name, size]
        self._say(_packed(words))
        if self._timer is None:
            self._timer = self._loop.call_later(KEPT, self._tidy)

    def _has_no_room_for(self, size: int, loans: Collection[Loan]) -> bool:
        count = len(loans)
        return count >= SEGMENTS_LIMIT or (
            count >= SEGMENTS_LEAST and _size(loans) + size > self._limit
        )

    def _tidy(self) -> None:
        """Give back what was not used, or not opened, for some time."""
        self._timer = None
        old = self._loop.now() - KEPT
        unused = [
            loan
            for loan in self._loans.values()
            if loan.used_at <= old and (loan.is_free or not loan.is_open)
        ]
        if unused and not self._is_answered:
            self._rests_until = math.inf  # it cannot open them, or does not know how
        self._withdraw(unused)
        if self._loans:
            self._timer = self._loop.call_later(KEPT, self._tidy)

    def _withdraw(self, loans: list[Loan]) -> None:
        for loan in loans:
            del self._loans[loan.serial]
            self._say(_packed([message.SHARE, loan.serial]))
        give_back(loan.segment for loan in loans)


class Borrower:
    """Reads what one peer lends.

    Args:
        codec: Reads the envelopes that are lent with buffers.
        say: Says a packed envelope to the peer.
    """

    def __init__(self, codec: Codec, say: Callable[[bytes], None]) -> None:
        self._codec = codec
        self._say = say
        self._segments: dict[int, Borrowed] = {}

    def take(self, envelope: Envelope) -> None:
        """Open a segment, or let go of one that the peer has withdrawn.

        Raises:
            RemoteProtocolError: It has another shape, or is one too many.
        """
        match envelope:
            case [_, int(serial)]:
                segment = self._segments.pop(serial, None)
                if segment is not None:
                    give_back([segment])
            case [_, int(serial), int(pid), int(descriptor), str(name), int(size), *_]:
                if len(self._segments) >= SEGMENTS_LIMIT or serial in self._segments:
                    raise RemoteProtocolError("a segment too many, or twice")
                try:
                    self._segments[serial] = Borrowed(pid, descriptor, name, size)
                except (OSError, ValueError, ImportError):
                    # Of another user, in another place for process ids, or this is a Python
                    # without ctypes: it is never lent.
                    return
                self._say(_packed([message.OPENED, serial]))
            case _:
                raise RemoteProtocolError("a segment is a serial, and where it can be opened")

    def read(self, envelope: Envelope) -> Envelope:
        """Read the envelope that came with buffers in segments.

        Raises:
            RemoteProtocolError: It has another shape, or names what was not lent.
        """
        match envelope:
            case [_, list(lent), bytes(packed), *_] if len(lent) <= SEGMENTS_LIMIT:
                buffers = [self._buffer(one) for one in lent]
                envelopes = self._codec.unpack([packed, *buffers])
                if len(envelopes) == 1:
                    return envelopes[0]
        raise RemoteProtocolError("what is lent is one envelope and its buffers")

    def close(self) -> None:
        """The peer is gone; what was read stays."""
        give_back(self._segments.values())
        self._segments.clear()

    def _buffer(self, lent: Any) -> memoryview:
        match lent:
            case [int(serial), int(length), *_]:
                segment = self._segments.get(serial)
                if segment is not None and 0 < length <= segment.size:
                    return segment.read(length)
        raise RemoteProtocolError("a buffer is in no segment that was lent")
