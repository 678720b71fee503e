"""What nodes tell each other of the mesh: news to neighbours, and now and then a comparison.

News are passed on by whoever did not know them, so all hear of them in a few steps. What is lost
with a connection is found by the digest that travels with each ping: two neighbours that have
known different things for a while compare what they know, part by part, and tell each other
what the other lacks. The same comparison brings a newcomer, or the other side of a healed cut, up
to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from actormq import message
from actormq.address import ActorEntry, ServiceEntry
from actormq.cluster.directory import Directory, StateChange, Taken, state_from
from actormq.cluster.member import Member
from actormq.errors import RemoteProtocolError
from actormq.message import Envelope
from actormq.rules.digest import BUCKETS, Digest
from actormq.rules.membership import Membership
from actormq.rules.records import Record, State

RECORDS_LIMIT = 200  # records of one PEERS envelope: some 50 kB
ENTRIES_LIMIT = 20_000  # entries of one SUMMARY that are read
WHOLE_SUMMARY = 64  # members up to which no parts are compared first
DIFFERS_FOR = 1.0  # s that two may know different things: news are under way for so long at most
AHEAD_LIMIT = 1_000  # nodes of which it is kept that they have something, before they are known
WANT_AGAIN = 2.0  # s until the same member is asked for the same node again


class Hub(Protocol):
    """The mesh, as gossip sees it."""

    membership: Membership

    def now(self) -> float:
        """The node's time, in seconds."""

    def member(self, node: str) -> Member | None:
        """The member of that id, if it was spoken with."""

    def guests(self) -> Iterable[Member]:
        """Those who take part without being watched."""

    def say(self, members: Iterable[Member], envelope: Envelope) -> None:
        """Say something to some members."""

    def act(self) -> None:
        """Do what the membership wants done."""


class Gossip:
    """Passes on what is said of nodes and of what they have.

    Args:
        hub: The mesh.
        directory: What is known of names and services.

    Attributes:
        digest: What this node knows, hashed.
    """

    def __init__(self, hub: Hub, directory: Directory) -> None:
        self._hub = hub
        self._directory = directory
        self._wanted: dict[str, dict[str, float]] = {}  # by node: whom it was asked for, and when
        self._ahead: dict[str, str] = {}  # nodes that are not known yet, and who told of theirs
        self.digest = Digest()

    # -- what this node knows -----------------------------------------------------------------

    def note(self, node: str) -> None:
        """What is known of a node has changed: it is a member, or is none any more, or has news."""
        membership = self._hub.membership
        entry = membership.entries.get(node)
        facts = membership.own if node == membership.own.node else entry.facts if entry else None
        if facts is None:
            self.digest.drop(node)
            self._wanted.pop(node, None)
        elif not facts.is_guest:
            known = facts.incarnation, facts.edition, self._directory.version(node)
            self.digest.put(node, known)
            teller = self._hub.member(self._ahead.pop(node, ""))
            if teller is not None:
                self._want(teller, [node])

    def owners(self) -> Iterable[str]:
        """The ids of the nodes of whose names and services something is known."""
        return self._directory.owners()

    def _packed(self, record: Record) -> list[Any]:
        facts = record.facts.packed()
        facts.pop("uptime", None)
        version = self._directory.version(record.node)
        return [facts, record.state.value, record.reason[:200], record.accuser, version]

    # -- news ---------------------------------------------------------------------------------

    def spread(self, record: Record, source: str) -> None:
        """Tell all neighbours, and guests, what is said of a node."""
        self.note(record.node)
        if self._hub.membership.own.is_guest:
            return  # it says nothing of the mesh
        targets = self._targets({source, record.node})
        self._hub.say(targets, [message.PEERS, [self._packed(record)]])

    def tell(self, member: Member, record: Record) -> None:
        """Tell one member what is said of a node."""
        self._hub.say([member], [message.PEERS, [self._packed(record)]])

    def announce(
        self,
        actors: Sequence[ActorEntry] = (),
        services: Sequence[ServiceEntry] = (),
        gone: Sequence[int] = (),
    ) -> None:
        """Change what this node has, and tell the mesh."""
        change = self._directory.change(actors, services, gone)
        self.note(change.node)
        self._hub.say(self._targets(set()), change.packed())

    def _targets(self, but: set[str]) -> list[Member]:
        """Neighbours and guests that can be told something now."""
        found = map(self._hub.member, self._hub.membership.neighbours)
        members = [m for m in found if m is not None and m.facts.node not in but]
        return [m for m in (*members, *self._hub.guests()) if m.can_be_told]

    # -- comparisons --------------------------------------------------------------------------

    def introduce(self, member: Member) -> None:
        """Bring a member up to date, first thing on a new connection to it."""
        if not member.facts.is_guest:
            self._compare(member)
            return
        membership = self._hub.membership
        records = [membership.own_record(), *(e.record for e in membership.entries.values())]
        self._tell_all(member, records, with_states=True)

    def compared(self, member: Member, root: Any) -> None:
        """A member has said the root of its digest."""
        if not isinstance(root, int) or root == self.digest.root or member.facts.is_guest:
            member.differs_since = None
            return
        now = self._hub.now()
        if member.differs_since is None:
            member.differs_since = now
        elif now - member.differs_since >= DIFFERS_FOR:
            member.differs_since = now
            self._compare(member)

    def _compare(self, member: Member) -> None:
        if len(self.digest) <= WHOLE_SUMMARY:
            self._summarise(member, None)
        else:
            self._hub.say([member], [message.DIGEST, self.digest.buckets])

    def _summarise(self, member: Member, buckets: list[int] | None) -> None:
        entries = [[node, *known] for node, known in self.digest.entries(buckets)]
        self._hub.say([member], [message.SUMMARY, buckets, entries])

    # -- what members say ---------------------------------------------------------------------

    def take(self, member: Member, envelope: Envelope) -> None:
        """Take a PEERS, STATE, DIGEST, SUMMARY or WANT of a member.

        Raises:
            RemoteProtocolError: It has another shape.
        """
        match envelope:
            case [message.PEERS, list(raw), *_]:
                self._take_records(member, raw)
            case [message.STATE, *_]:
                self._take_state(member, state_from(envelope))
            case [message.DIGEST, list(sums), *_] if len(sums) == BUCKETS and _are_counts(sums):
                self._summarise(member, self.digest.differing(sums))
            case [message.SUMMARY, list() | None as buckets, list(entries), *_] if (
                buckets is None or (len(buckets) <= BUCKETS and _are_counts(buckets))
            ):
                self._take_summary(member, buckets, entries[:ENTRIES_LIMIT])
            case [message.WANT, list(nodes), *_]:
                self._tell_wanted(member, list(dict.fromkeys(filter(message.is_node, nodes))))
            case _:
                raise RemoteProtocolError(f"an envelope of kind {envelope[0]} has another shape")

    def _take_records(self, member: Member, raw: list[Any]) -> None:
        hub, now = self._hub, self._hub.now()
        membership = hub.membership
        wanted = []
        for record, version in [record_from(item) for item in raw]:  # all of it, or nothing
            facts, own = record.facts, membership.own
            if facts.mesh != own.mesh or facts.scope != own.scope or facts.is_guest:
                continue
            membership.told(record, member.facts.node, now)
            is_member = facts.node in membership.entries
            if is_member and version > self._directory.version(facts.node):
                wanted.append(facts.node)
        hub.act()
        self._want(member, wanted)

    def _take_state(self, member: Member, change: StateChange) -> None:
        membership, node = self._hub.membership, change.node
        if node not in membership.entries:
            if len(self._ahead) < AHEAD_LIMIT:
                self._ahead[node] = member.facts.node  # who is asked once the node is known
            return
        taken = self._directory.take(change, member.facts.node)
        if taken is Taken.GAP:
            self._want(member, [node])
        elif taken is Taken.NEWS:
            self.note(node)
            self._wanted.pop(node, None)
            if change.base is not None and change.base >= 0:  # the whole is for whoever asked
                source = member.facts.node
                heard = {source, node, *membership.neighbours_of(source)}
                self._hub.say(self._targets(heard), change.packed())

    def _take_summary(self, member: Member, buckets: list[int] | None, entries: list[Any]) -> None:
        """Tell a member what it lacks, and ask for what we lack."""
        own, digest = self._hub.membership, self.digest
        theirs = dict(map(_summary_from, entries))
        lacking, wanted = [], []
        for node, ours in digest.entries(buckets):
            its = theirs.get(node, (0, 0, 0))
            if ours > its:
                lacking.append(
                    own.own_record() if node == own.own.node else own.entries[node].record
                )
        for node, its in theirs.items():
            ours = digest.known(node)
            if own.is_gone(node, its[0]):
                lacking.append(own.last_words(node))
            elif its > ours and (node != own.own.node or its[:2] > ours[:2]):
                wanted.append(node)
        self._tell_all(member, lacking)
        self._want(member, wanted)

    def _want(self, member: Member, nodes: list[str]) -> None:
        if member.facts.is_guest:
            return
        now, asked = self._hub.now(), member.facts.node
        if len(self._wanted) + len(nodes) > ENTRIES_LIMIT:
            self._wanted.clear()
        fresh = []
        for node in nodes:
            # Each may know less than the next one, so one that was asked does not stand for others.
            times = self._wanted.setdefault(node, {})
            if now - times.get(asked, -WANT_AGAIN) >= WANT_AGAIN:
                times[asked] = now
                fresh.append(node)
        if fresh:
            self._hub.say([member], [message.WANT, fresh])

    def _tell_wanted(self, member: Member, nodes: list[str]) -> None:
        membership = self._hub.membership
        own = membership.own.node
        records = [membership.entries[node].record for node in nodes if node in membership.entries]
        if own in nodes:
            records.append(membership.own_record())
        self._tell_all(member, records, with_states=True)

    def _tell_all(
        self, member: Member, records: list[Record], *, with_states: bool = False
    ) -> None:
        for start in range(0, len(records), RECORDS_LIMIT):
            part = [self._packed(record) for record in records[start : start + RECORDS_LIMIT]]
            self._hub.say([member], [message.PEERS, part])
        for node in [record.node for record in records] if with_states else []:
            for change in self._directory.of(node).whole(node):
                self._hub.say([member], change.packed())


_STATES = frozenset(State)


def record_from(raw: Any) -> tuple[Record, int]:
    """Read an item of a PEERS envelope: a record, and the version of what the node has.

    Raises:
        RemoteProtocolError: It has another shape.
    """
    match raw:
        case [dict(facts), str(state), str(reason), str(accuser), int(version), *_] if (
            state in _STATES
            and reason.isprintable()
            and (accuser == "" or message.is_node(accuser))
            and version >= 0
        ):
            return Record(message.facts_from(facts), State(state), reason[:200], accuser), version
    raise RemoteProtocolError("what is said of a node is [facts, state, reason, accuser, version]")


def _summary_from(raw: Any) -> tuple[str, tuple[int, int, int]]:
    match raw:
        case [str(node), incarnation, edition, version, *_] if message.is_node(
            node
        ) and _are_counts((incarnation, edition, version)):
            return node, (incarnation, edition, version)
    raise RemoteProtocolError("a summary lists [node, incarnation, edition, version]")


def _are_counts(values: Sequence[Any]) -> bool:
    return all(type(value) is int and value >= 0 for value in values)
