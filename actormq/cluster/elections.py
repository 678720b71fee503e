"""Elected names on one node: offers its candidates, tells them what they are, sees who holds what.

`rules/election.py` decides. Here facts come in, from the directory and from who is there, and what
was decided goes out: a hook to the actor, an entry to the mesh. Entries are written by their owner
alone, as all of the directory is; a candidate that may not be elected at all (the node has only
just come, or too few others are there) has none, so that nobody waits for it.

The names are looked at when something changed, and from time to time, for time is a fact as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from actormq.address import ActorEntry
from actormq.cell import Cell
from actormq.cluster.directory import Directory
from actormq.events import Event, Events, MemberChanged, NameElected, NameStandby
from actormq.loop import Loop
from actormq.rules.election import (
    Key,
    Move,
    Offer,
    Verdict,
    decide,
    holder,
    is_majority,
    majority,
)
from actormq.settings import ELECTION_INTERVAL, ELECTION_REST, OFFER_KNOWN, STANDBY_LIMIT

ELECTED, STANDBY = "on_elected", "on_standby"
WORDS = {"": "", ELECTED: "elected", STANDBY: "standing by"}

Entry = tuple[str, ActorEntry]
"""The id of a node, and what it has announced."""


class Electorate(Protocol):
    """Who is there, as far as elections need it."""

    @property
    def is_settled_in(self) -> bool:
        """Whether this node has met the mesh, or has looked for one long enough."""

    def seniority(self, node: str) -> int | None:
        """The seniority of a living member, or of this node; None for others."""

    def living_count(self) -> int:
        """The nodes that are there, this one included, guests not."""

    def name_of(self, node: str) -> str:
        """What people call a node."""


class Speaker(Protocol):
    """Tells the mesh what this node has."""

    def announce_actor(self, entry: ActorEntry) -> None:
        """Tell it of a named actor."""

    def withdraw(self, serial: int) -> None:
        """Take one back; what was taken back before is no error."""


class _Told:
    """The answer of a hook: nobody asked for it, and an election waits for its end.

    Args:
        ended: Called once it has ended, however it did.
    """

    is_asked = False

    def __init__(self, ended: Callable[[], None]) -> None:
        self.deadline = 0.0
        self._ended = ended

    def is_open(self) -> bool:
        """It wants its turn in any case."""
        return True

    def resolve(self, _value: Any) -> None:
        """It has returned."""
        self._ended()

    def reject(self, _error: BaseException) -> None:
        """It was cut off, or raised: the actor's own way of failing says so."""
        self._ended()


class _Candidate:
    """An actor of this node that could hold its name.

    Attributes:
        cell: Its cell.
        role: The hook that says what it is; "" before it is known. One that lets go is elected
            until others may know.
        offered_at: Since when the others can know of it; None: it is not offered.
        is_leaving: Whether it is about to let go.
        pending: How many hooks it has still to run.
        quiet: Set while that is none, or it is gone.
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.role = ""
        self.offered_at: float | None = None
        self.is_leaving = False
        self.pending = 0
        self.quiet = asyncio.Event()
        self.quiet.set()

    @property
    def name(self) -> str:
        """The name that it stands for."""
        assert self.cell.name is not None
        return self.cell.name

    def tell(self, hook: str) -> None:
        """Let it run a hook, if its class has that."""
        if self.cell.tell_role(hook, _Told(self._told)):
            self.pending += 1
            self.quiet.clear()

    def _told(self) -> None:
        self.pending -= 1
        if self.pending <= 0:
            self.quiet.set()


class Elections:
    """The elected names of one node.

    Args:
        own: The id of this node.
        loop: Its loop.
        directory: What all nodes have announced.
        events: Where it is said who holds a name.
        electorate: Who is there.
        speaker: Tells the others.
        keep: Holds on to a task.
        expected_nodes: How many nodes there ought to be, see `Settings`.
    """

    def __init__(
        self,
        own: str,
        loop: Loop,
        directory: Directory,
        events: Events,
        electorate: Electorate,
        speaker: Speaker,
        keep: Callable[[asyncio.Future[Any]], None],
        expected_nodes: int,
    ) -> None:
        self._own = own
        self._loop = loop
        self._directory = directory
        self._events = events
        self._electorate = electorate
        self._speaker = speaker
        self._keep = keep
        self._expected = expected_nodes
        self._candidates: dict[int, _Candidate] = {}
        self._found: dict[str, Key] = {}  # who holds a name, as this node sees it
        self._timer: asyncio.TimerHandle | None = None
        self._is_look_due = self._is_closed = False
        directory.watch(self._changed)
        events.listen(self._heard, MemberChanged)

    # -- what others ask ----------------------------------------------------------------------

    def holds(self, cell: Cell) -> bool:
        """Whether an actor of this node holds its name."""
        candidate = self._candidates.get(cell.address.serial)
        return candidate is not None and candidate.role == ELECTED

    def role(self, cell: Cell) -> str:
        """What an actor of this node is, in words; "" if that is not known yet."""
        candidate = self._candidates.get(cell.address.serial)
        return WORDS[candidate.role] if candidate is not None else ""

    def held(self) -> set[str]:
        """The names that actors of this node hold."""
        return {each.name for each in self._candidates.values() if each.role == ELECTED}

    def found(self, entries: list[Entry]) -> list[Entry]:
        """Of all entries of a name, those by which it may be found: not those that stand by."""
        if not any(entry.elected for _, entry in entries):
            return entries
        current = self._see(next(entry.name for _, entry in entries), entries)
        return [
            (node, entry)
            for node, entry in entries
            if not entry.elected or (node, entry.serial) == current
        ]

    def hindrance(self) -> str:
        """Say why nobody can be elected on this side of the mesh; "" if somebody can."""
        living, expected = self._electorate.living_count(), self._expected
        if is_majority(living, expected):
            return ""
        are = "is" if living == 1 else "are"
        return (
            f"{living} of {expected} expected nodes {are} here, "
            f"and nobody is elected by fewer than {majority(expected)}"
        )

    # -- candidates ---------------------------------------------------------------------------

    def enter(self, cell: Cell) -> None:
        """An actor has started, and could hold its name."""
        if not self._is_closed:
            self._candidates[cell.address.serial] = _Candidate(cell)
            self._look_soon()

    def restarted(self, cell: Cell) -> None:
        """See `ElectedNames.restarted`; what it has still to be told reaches the new instance."""
        candidate = self._candidates.get(cell.address.serial)
        if candidate is not None and candidate.role and not candidate.pending:
            candidate.tell(candidate.role)

    def leave(self, cell: Cell) -> None:
        """An actor has ended: its name is free, if it held it."""
        candidate = self._candidates.pop(cell.address.serial, None)
        if candidate is not None:
            candidate.quiet.set()
        self._speaker.withdraw(cell.address.serial)

    async def close(self, seconds: float) -> None:
        """Let all names go, the actors first: this node is about to leave.

        Args:
            seconds: For `on_standby` of all that hold a name.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        candidates = list(self._candidates.values())
        for candidate in candidates:
            if candidate.role == ELECTED and not candidate.is_leaving:
                candidate.tell(STANDBY)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for candidate in candidates:
                    await candidate.quiet.wait()
        for candidate in candidates:
            candidate.role = STANDBY
            self._speaker.withdraw(candidate.cell.address.serial)

    # -- looking ------------------------------------------------------------------------------

    def _changed(self, names: set[str], _services: set[str]) -> None:
        for name in names:
            entries = self._directory.named(name)
            if name in self._found or any(entry.elected for _, entry in entries):
                self._see(name, entries)
                self._look_soon()

    def _heard(self, _event: Event) -> None:
        self._look_soon()

    def _look_soon(self) -> None:
        # Not at once: what changed may be our own word, or the first of several.
        if self._candidates and not self._is_look_due:
            self._is_look_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._is_look_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_closed or not self._candidates:
            return
        for candidate in list(self._candidates.values()):
            if not candidate.is_leaving:
                self._consider(candidate)
        is_open = any(not candidate.role for candidate in self._candidates.values())
        wait = ELECTION_INTERVAL if is_open else ELECTION_REST
        self._timer = self._loop.call_later(wait, self._look)

    def _consider(self, candidate: _Candidate) -> None:
        if not self._electorate.is_settled_in:
            return  # its seniority is not settled, and it may yet meet who holds the name
        hindrance = self.hindrance()
        if hindrance:
            if candidate.role == ELECTED:
                self._let_go(candidate, hindrance)
            else:
                self._stand_by(candidate, hindrance)
                self._withdraw(candidate)
            return
        now = self._loop.now()
        if candidate.offered_at is None:
            candidate.offered_at = now
            self._announce(candidate)
        verdict = self._verdict(candidate, now - candidate.offered_at >= OFFER_KNOWN)
        if verdict.move is Move.TAKE:
            candidate.role = ELECTED
            candidate.tell(ELECTED)  # before anybody can send it anything by its name
            self._announce(candidate)
        elif verdict.move is Move.LET_GO:
            self._let_go(candidate, self._reason(verdict))
        elif candidate.role != ELECTED and verdict.before is not None:
            self._stand_by(candidate, self._reason(verdict))

    def _verdict(self, candidate: _Candidate, is_known: bool) -> Verdict:
        entries = self._directory.named(candidate.name)
        key = (self._own, candidate.cell.address.serial)
        own = Offer(self._electorate.seniority(self._own) or 0, *key, candidate.role == ELECTED)
        others = [offer for offer in self._offers(entries) if offer.key != key]
        return decide(own, others, is_known=is_known)

    def _offers(self, entries: Iterable[Entry]) -> list[Offer]:
        offers = []
        for node, entry in entries:
            seniority = self._electorate.seniority(node)
            if entry.elected and seniority is not None:
                offers.append(Offer(seniority, node, entry.serial, entry.holds))
        return offers

    def _reason(self, verdict: Verdict) -> str:
        assert verdict.before is not None
        name = self._electorate.name_of(verdict.before.node)
        return f"{name} holds it" if verdict.before.holds else f"{name} is older"

    # -- acting -------------------------------------------------------------------------------

    def _stand_by(self, candidate: _Candidate, reason: str) -> None:
        if candidate.role != STANDBY:
            candidate.role = STANDBY
            candidate.tell(STANDBY)
            self._events.emit(NameStandby(candidate.name, reason, has_let_go=False))

    def _let_go(self, candidate: _Candidate, reason: str) -> None:
        candidate.is_leaving = True
        self._keep(self._loop.aio.create_task(self._leave_office(candidate, reason)))

    async def _leave_office(self, candidate: _Candidate, reason: str) -> None:
        """Tell an actor that it is elected no more; then, and only then, the others."""
        candidate.tell(STANDBY)
        try:
            async with asyncio.timeout(STANDBY_LIMIT):
                await candidate.quiet.wait()
        except TimeoutError:
            self._events.notice(
                logging.WARNING,
                "%s has not come to the end of on_standby within %g s: others may be elected now",
                candidate.cell.address.label,
                STANDBY_LIMIT,
            )
        candidate.is_leaving = False
        if candidate.cell.address.serial not in self._candidates:
            return
        candidate.role = STANDBY
        self._events.emit(NameStandby(candidate.name, reason, has_let_go=True))
        if self.hindrance():
            self._withdraw(candidate)
        else:
            self._announce(candidate)
        self._look_soon()

    def _announce(self, candidate: _Candidate) -> None:
        cell = candidate.cell
        kind = f"{cell.kind.__module__}:{cell.kind.__qualname__}"
        holds = candidate.role == ELECTED
        self._speaker.announce_actor(
            ActorEntry(cell.address.serial, candidate.name, kind, elected=True, holds=holds)
        )

    def _withdraw(self, candidate: _Candidate) -> None:
        if candidate.offered_at is not None:
            candidate.offered_at = None
            self._speaker.withdraw(candidate.cell.address.serial)

    # -- seeing -------------------------------------------------------------------------------

    def _see(self, name: str, entries: list[Entry]) -> Key | None:
        """Say who holds a name now, and report it if that is another one than before."""
        before = self._found.get(name)
        now = holder(self._offers(entries), before)
        if now is None:
            self._found.pop(name, None)
            return None
        if now.key != before:
            self._found[name] = now.key
            node = now.node
            event = NameElected(name, node, self._electorate.name_of(node), node == self._own)
            self._events.emit(event)
        return now.key
