"""The members of a mesh as users see them."""

from __future__ import annotations

from collections.abc import Mapping

from actormq.cluster.member import Member
from actormq.members import MemberInfo
from actormq.rules.membership import Membership
from actormq.rules.records import Record, State


def infos(
    membership: Membership, members: Mapping[str, Member], uptime: float, now: float
) -> list[MemberInfo]:
    """All nodes of a mesh: this one first if it is one, and those that are gone last.

    Args:
        membership: Who is there.
        members: Those with whom this node has spoken, by id.
        uptime: For how long this node has been there, in seconds.
        now: The node's time.
    """
    found = []
    if not membership.own.is_guest:
        found.append(_info(membership.own_record(), State.ALIVE, "this node", uptime))
    for node, entry in membership.entries.items():
        member = members.get(node)
        address = member.address if member is not None else ""
        since, round_trip = now - entry.since, entry.round_trip
        found.append(_info(entry.record, entry.state, entry.reason, since, round_trip, address))
    for tomb in membership.tombs.values():
        record = tomb.record
        found.append(_info(record, record.state, record.reason, now - tomb.at))
    return found


def _info(
    record: Record,
    state: State,
    reason: str,
    since: float,
    round_trip: float | None = None,
    address: str = "",
) -> MemberInfo:
    facts = record.facts
    return MemberInfo(
        facts.node,
        facts.name,
        state.value,
        reason,
        since,
        round_trip,
        address,
        facts.endpoints,
        facts.incarnation,
        facts.seniority,
    )
